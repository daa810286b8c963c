//! The examples for front ends, as these would use them: types made from the contract, programs compiled against them and run with Node,
//! a page in a browser. What they need is not part of this program, so where it is missing they are left out, loudly.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::hosts::{Host, PASSWORD, on_each_database, on_sqlite_with};
use crate::service_records;
use crate::webhooks::{Telling, settled};
use crate::wechat::{organization, somebody, with_wechat};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Whether what is needed is there. Where it must be, this ends the test.
fn is_there(what: &str, found: bool) -> bool {
    if !found {
        assert!(std::env::var_os("YIYONG_REQUIRE_FRONT_ENDS").is_none(), "front ends are required here, and there is no {what}");
        eprintln!("\n*** NO {what}: the examples for front ends are not tried. ***\n");
    }
    found
}

/// Runs a program to its good end; what it says otherwise is the failure.
fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}\n{said}");
    said
}

fn works(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn node(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.current_dir(folder).args(arguments);
    command
}

/// A folder with the programs of `examples/typescript` and of these tests, and the packages that they need, which are installed once
/// for a lock file.
fn workshop() -> Option<&'static Path> {
    static FOLDER: OnceLock<Option<PathBuf>> = OnceLock::new();
    FOLDER
        .get_or_init(|| {
            let recent = ["-e", "process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)"];
            let has_node = Command::new("node").args(recent).status().is_ok_and(|status| status.success());
            if !is_there("NODE.JS 20 AND NPM", has_node && works("npm")) {
                return None;
            }
            let example = Path::new(ROOT).join("examples/typescript");
            let lock = std::fs::read(example.join("package-lock.json")).expect("a lock file");
            let name: String = Sha256::digest(&lock)[..8].iter().map(|byte| format!("{byte:02x}")).collect();
            let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("front-ends").join(name);
            std::fs::create_dir_all(&folder).expect("a folder");
            for from in [example.as_path(), &Path::new(ROOT).join("tests/front_ends")] {
                for entry in std::fs::read_dir(from).expect("a folder").flatten().filter(|entry| entry.path().is_file()) {
                    std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("copied");
                }
            }
            let installed = folder.join("installed");
            if !installed.exists() {
                let done = Command::new("npm").args(["ci", "--prefer-offline"]).current_dir(&folder).output().expect("npm");
                let said = String::from_utf8_lossy(&done.stderr);
                if !is_there(&format!("PACKAGES FOR NODE.JS ({})", said.trim()), done.status.success()) {
                    return None;
                }
                std::fs::write(&installed, "").expect("noted");
            }
            Some(folder)
        })
        .as_deref()
}

/// A program of the workshop, for a user of a server.
fn program(folder: &Path, name: &str, host: &Host, username: &str) -> Command {
    let mut command = node(folder, &[name]);
    command.env("YIYONG_API", &host.base).env("YIYONG_USERNAME", username).env("YIYONG_PASSWORD", PASSWORD);
    command
}

#[test]
fn the_typed_client_does_the_main_flows() {
    let Some(folder) = workshop() else { return };
    // What the contract promises no more, doesn't compile.
    let contract = Path::new(ROOT).join("openapi/openapi.json").display().to_string();
    run(&mut node(folder, &["node_modules/openapi-typescript/bin/cli.js", &contract, "--output", "contract.d.ts"]));
    run(&mut node(folder, &["node_modules/typescript/bin/tsc"]));
    on_each_database(|host| {
        let city = host.planted();
        // Something to be told of.
        let _telling = Telling::begin(host);
        let csv = "code,organization_code,name,host_kind\nzz-dengfeng-songyang,zz-dengfeng,嵩阳工作站,police_station\n";
        let imported = city.import("workstations", csv.as_bytes(), &[("mode", "upsert"), ("dry_run", "false")]);
        assert!([200, 201, 202].contains(&imported.status), "{imported:?}");
        settled(host);

        let said = run(&mut program(folder, "build/flows.js", host, "cityadmin"));
        assert!(said.contains("read: 导入：已完成\n") && said.ends_with("signed out\n"), "{said}");
        let stations = city.get("/api/v1/workstations?limit=200");
        let named = |name: &str| stations.body["items"].as_array().expect("stations").iter().find(|one| one["name"] == name).cloned();
        let made = named("少林街道见义勇为工作站").expect("made by the flows");
        assert_eq!((&made["address"], &made["host_name"]), (&json!("登封市少林大道 1 号"), &json!(null)), "the stale change did nothing");

        let said = run(&mut program(folder, "build/trouble.js", host, "cityadmin"));
        assert!(said.ends_with("trouble is dealt with\n"), "{said}");
    });
}

/// A volunteer and a station head, each with a telephone of their own.
#[test]
fn the_mini_program_serves_volunteers_and_stations() {
    let Some(folder) = workshop() else { return };
    let photo = folder.join("photo.png");
    image::RgbImage::from_fn(400, 300, |x, y| image::Rgb([(x % 256) as u8, (y % 256) as u8, 90])).save(&photo).expect("a photo");
    with_wechat(&[], |host, _| {
        let admin = host.planted();
        let county = organization(&admin, "zz-dengfeng");
        let (person, _) = somebody(&admin, "volunteer", Some("13800138000"), "volunteer");
        let volunteer = json!({"organization_id": county, "person_id": person, "sector": "community", "registered_on": "2022-01-01"});
        let volunteer = service_records::made(&admin, "/api/v1/volunteers", &volunteer);
        let team = service_records::team(&admin, "team", None);
        let member = json!({"volunteer_id": volunteer, "team_id": team, "joined_on": "2022-01-01"});
        service_records::made(&admin, "/api/v1/memberships", &member);
        let (_, head) = somebody(&admin, "head", None, "station_head");
        let code = admin.post(&format!("/api/v1/users/{head}/binding-code"), &json!({}));
        let station = json!({"organization_id": county, "name": "少林工作站", "host_kind": "sub_district"});
        let station = service_records::made(&admin, "/api/v1/workstations", &station);

        let said = run(program(folder, "mini_program.cjs", host, "")
            .env("YIYONG_MINI_PROGRAM", Path::new(ROOT).join("examples/mini_program"))
            .env("SCENE", service_records::scene("volunteer_teams", &team))
            .env("PHONE", "13800138000")
            .env("BINDING_CODE", code.body["binding_code"].as_str().expect("a code"))
            .env("STATION", &station)
            .env("PHOTO", &photo));
        assert!(said.ends_with("the mini-program works\n"), "{said}");
        let record = &admin.get("/api/v1/service-records").body["items"];
        assert_eq!((record.as_array().map(Vec::len), &record[0]["volunteer_id"]), (Some(1), &json!(volunteer)), "{record}");
        assert_eq!(admin.get(&format!("/api/v1/workstations/{station}")).body["version"], 2, "changed once");
    });
}

/// Serves the files of a folder to the end of this process, as any web server would. Its origin.
fn file_server(folder: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().expect("a stream")).lines().map_while(Result::ok);
            let target = lines.next().unwrap_or_default();
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let name = target.split(['/', '?', ' ']).nth(2).unwrap_or_default();
            let kind = match name.rsplit('.').next() {
                Some("html") => "text/html",
                Some("css") => "text/css",
                _ => "text/javascript",
            };
            let body = std::fs::read(Path::new(folder).join(name)).unwrap_or_default();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    origin
}

/// The page in a browser: what it shows is what the service says, whatever is chosen, and when the service is away it says that.
#[test]
fn the_dashboard_shows_what_the_public_is_told() {
    let Some(folder) = workshop() else { return };
    let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|program| works(program));
    if !is_there("CHROMIUM", chromium.is_some()) {
        return;
    }
    let origin = file_server(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/dashboard"));
    on_sqlite_with(&[("YIYONG_ALLOWED_ORIGINS", &origin)], |host| {
        let city = host.planted();
        let organization = |code: &str| organization(&city, code);
        let (zz, dengfeng, gaoxin) = (organization("zz"), organization("zz-dengfeng"), organization("zz-gaoxin"));
        for (code, county) in [("one", &dengfeng), ("two", &dengfeng), ("three", &gaoxin)] {
            let team =
                json!({"organization_id": county, "code": code, "name": "志愿者队", "base_kind": "school", "established_on": "2022-01-01"});
            service_records::made(&city, "/api/v1/volunteer-teams", &team);
        }
        // A name is a text, whatever it looks like.
        for (code, owner, name) in [("park", &dengfeng, "嵩阳公园"), ("square", &zz, "<img src=x onerror=alert(1)>")] {
            let place = json!({"longitude": 113.05, "latitude": 34.45, "coordinate_system": "gcj02"});
            let asset = json!({"code": code, "organization_id": owner, "name": name, "category": "venue", "kind": "park", "stage": "completed",
                               "stage_on": "2022-05-01", "place": place});
            service_records::made(&city, "/api/v1/publicity-assets", &asset);
        }
        // More than a page of the map.
        let rows = (0..205).map(|n| {
            format!("s{n},zz-gaoxin,第{n}工作站,sub_district,{},{}\n", 113.5 + f64::from(n) / 2e3, 34.7 + f64::from(n % 20) / 1e3)
        });
        let csv = format!("code,organization_code,name,host_kind,longitude,latitude\n{}", rows.collect::<String>());
        let imported = city.import("workstations", csv.as_bytes(), &[("mode", "upsert"), ("dry_run", "false")]);
        assert_eq!(imported.body["rows_created"], 205, "{imported:?}");

        let said = run(program(folder, "dashboard.mjs", host, "")
            .env("YIYONG_PAGE", format!("{origin}/index.html?year=2022&lang=zh&api={}", host.base))
            .env("CHROMIUM", chromium.unwrap_or_default()));
        assert!(said.ends_with("the dashboard shows it\n"), "{said}");
    });
}
