//! Imports as work that goes on without its caller: followed, ended, undone, shared between servers, and finished by another
//! server when the first one dies.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::db::Target;
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, Host, on_each_database, on_each_database_with};
use crate::process::Workplace;

const IMPORTS: &str = "/api/v1/imports";
const TEAMS: &str = "/api/v1/volunteer-teams";
const VOLUNTEERS: &str = "/api/v1/volunteers";
const PERSONS: &str = "/api/v1/persons";

/// Teams as a file: codes with a prefix and numbers.
pub fn teams(prefix: &str, numbers: std::ops::Range<usize>) -> String {
    let mut csv = "code,organization_code,base_kind,established_on\n".to_owned();
    for n in numbers {
        writeln!(csv, "{prefix}{n},zz-dengfeng,school,2022-05-01").expect("written");
    }
    csv
}

/// Asks for an import and doesn't wait for it.
fn asked(client: &Client<'_>, resource: &str, csv: &str, key: &str, fields: &[(&str, &str)]) -> Answer {
    let mut body = String::new();
    for (name, value) in [("resource", resource)].iter().chain(fields) {
        write!(body, "--b0und\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").expect("written");
    }
    write!(body, "--b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n{csv}\r\n--b0und--\r\n")
        .expect("written");
    let headers = [("Content-Type", "multipart/form-data; boundary=b0und"), ("Idempotency-Key", key), ("Prefer", "respond-async")];
    client.send("POST", IMPORTS, &headers, Some(body.as_bytes()))
}

/// The import, or another job, once it is over.
pub fn over(client: &Client<'_>, path: &str) -> Answer {
    let begun = Instant::now();
    loop {
        let answer = client.get(path);
        assert_eq!(answer.status, 200, "{answer:?}");
        if !["waiting", "running"].contains(&answer.body["state"].as_str().expect("a state")) {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{answer:?}");
        std::thread::yield_now();
    }
}

fn total(client: &Client<'_>, path: &str) -> i64 {
    client.get(&format!("{path}?count=true&limit=1")).body["total"].as_i64().expect("a total")
}

fn counts(body: &Value) -> [i64; 4] {
    ["rows_created", "rows_updated", "rows_unchanged", "rows_failed"].map(|name| body[name].as_i64().unwrap_or(-1))
}

fn act(client: &Client<'_>, path: &str, verb: &str) -> Answer {
    client.send("POST", &format!("{path}/{verb}"), &[], None)
}

/// Events of a stream: name and data.
fn events(client: &Client<'_>, path: &str) -> Vec<(String, Value)> {
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(60))).build().into();
    let token = format!("Bearer {}", client.token.as_deref().expect("a token"));
    let answer = agent.get(format!("{}{path}/events", client.base)).header("Authorization", token).call().expect("a stream");
    assert_eq!(answer.headers()["Content-Type"], "text/event-stream");
    let (mut events, mut name) = (Vec::new(), String::new());
    for line in BufReader::new(answer.into_body().into_reader()).lines() {
        let line = line.expect("a line");
        if let Some(event) = line.strip_prefix("event: ") {
            event.clone_into(&mut name);
        } else if let Some(data) = line.strip_prefix("data: ") {
            events.push((name.clone(), serde_json::from_str(data).expect("JSON")));
        }
    }
    events
}

/// A clerk sends a file, goes on, and looks what became of each row; a script sends the same again and is not taken twice.
#[test]
fn an_import_is_followed_row_by_row() {
    on_each_database(|host| {
        let city = host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let mut csv = teams("t", 0..2_500);
        csv.push_str("t7,zz-dengfeng,school,2022-05-01\nu1,nowhere,school,2022-05-01\nu2,zz-dengfeng,navy,2022-05-01\n");
        let begun = asked(&client, "volunteer-teams", &csv, "k", &[("on_error", "skip")]);
        assert_eq!((begun.status, &begun.body["outcome"]), (202, &Value::Null), "{begun:?}");
        let path = begun.header("Location").expect("an address").to_owned();
        let told = events(&client, &path);
        let (name, last) = told.last().expect("an event");
        assert_eq!((name.as_str(), &last["state"], &last["outcome"]), ("end", &json!("done"), &json!("completed_with_faults")), "{told:?}");
        assert!(told[..told.len() - 1].iter().all(|(name, _)| name == "progress"));
        let ended = over(&client, &path);
        assert_eq!((counts(&ended.body), &ended.body["rows_read"]), ([2_500, 0, 0, 3], &json!(2_503)), "{ended:?}");
        assert_eq!(ended.body["allowed_actions"], json!(["undo"]));

        // Page by page, each row once and in the order of the file.
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = client.get(&format!("{path}/rows?limit=1000{cursor}"));
            let items = page.body["items"].as_array().expect("items").clone();
            seen.extend(items.iter().map(|row| (row["row"].as_u64().expect("a row"), row["outcome"].as_str().expect("one").to_owned())));
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 2_503);
        assert!(seen.iter().zip(2..).all(|((row, _), expected)| *row == expected));
        assert!(
            seen[..2_500].iter().all(|(_, outcome)| outcome == "created") && seen[2_500..].iter().all(|(_, outcome)| outcome == "failed")
        );
        let failed = client.get(&format!("{path}/rows?outcome=failed&limit=2"));
        let told: Vec<(&Value, &Value)> =
            failed.body["items"].as_array().expect("items").iter().map(|row| (&row["row"], &row["faults"][0]["code"])).collect();
        assert_eq!(told, [(&json!(2_502), &json!("duplicate_code")), (&json!(2_503), &json!("unknown_reference"))]);
        let rest = client.get(&format!("{path}/rows?outcome=failed&limit=2&cursor={}", failed.body["next_cursor"].as_str().expect("more")));
        assert_eq!((&rest.body["items"][0]["faults"][0]["code"], &rest.body["next_cursor"]), (&json!("unknown_entry"), &Value::Null));
        let made = &client.get(&format!("{path}/rows?limit=1")).body["items"][0]["record_id"];
        assert_eq!(client.get(&format!("{TEAMS}/{}", made.as_str().expect("an id"))).body["code"], "t0");
        let wrong = client.get(&format!("{path}/rows?outcome=lost&limit=0&cursor=x&colour=red"));
        assert_eq!((wrong.status, wrong.code()), (400, "invalid_parameter"), "{wrong:?}");

        // The same key is the same import, the same file another day is noticed.
        let again = asked(&client, "volunteer-teams", &csv, "k", &[("on_error", "skip")]);
        assert_eq!((again.id(), again.header("Idempotent-Replayed")), (begun.id(), Some("true")), "{again:?}");
        assert_eq!(again.status, 201, "it is over by now");
        let twice = asked(&client, "volunteer-teams", &csv, "k2", &[("on_error", "skip")]);
        assert_eq!((twice.status, twice.code(), &twice.body["import_code"]), (409, "already_exists", &begun.body["code"]), "{twice:?}");
        let meant = asked(&client, "volunteer-teams", &csv, "k3", &[("on_error", "skip"), ("repeat", "true")]);
        let meant = over(&client, meant.header("Location").expect("an address"));
        assert_eq!((counts(&meant.body), &meant.body["repeats"]["code"]), ([0, 0, 0, 2_503], &begun.body["code"]));
        assert_eq!(total(&client, TEAMS), 2_500);

        // Each sees their own.
        assert_eq!(city.get(&path).status, 404);
        assert_eq!(city.get(&format!("{path}/rows")).status, 404);
        assert_eq!(act(&city, &path, "undo").status, 404);
        let list = client.get(&format!("{IMPORTS}?limit=1"));
        assert_eq!((&list.body["items"][0]["id"], list.body["next_cursor"].is_string()), (&meant.body["id"], true));
        let next = client.get(&format!("{IMPORTS}?limit=1&cursor={}", list.body["next_cursor"].as_str().expect("more")));
        assert_eq!((&next.body["items"][0]["id"], &next.body["next_cursor"]), (&json!(begun.id()), &Value::Null));
        assert_eq!(city.get(IMPORTS).body["items"], json!([]));
    });
}

/// The file comes back with what is wrong beside each row; mended, it is sent again as it is.
#[test]
fn a_file_comes_back_to_be_corrected() {
    on_each_database(|host| {
        host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let raw = |path: &str| {
            let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
            let token = format!("Bearer {}", client.token.as_deref().expect("a token"));
            let mut answer = agent.get(format!("{}{path}", client.base)).header("Authorization", token).call().expect("an answer");
            assert_eq!(answer.status(), 200);
            let disposition = answer.headers()["Content-Disposition"].to_str().expect("text").to_owned();
            (disposition, answer.body_mut().read_to_vec().expect("a file"))
        };
        let csv = "队伍登记表,,,\n序号,*编码,所属协会编码,依托领域,成立日期\n1,a,zz-dengfeng,学校,2022年5月1日\n2,=b,zz-nowhere,学校,2022-05-01\n\
                   3,c,zz-dengfeng,海军,2022-05-01\n";
        let refused = client.import("volunteer-teams", csv.as_bytes(), &[]);
        assert_eq!(refused.status, 422, "{refused:?}");
        let path = format!("{IMPORTS}/{}/file", refused.body["import_id"].as_str().expect("an id"));
        let (disposition, all) = raw(&path);
        assert!(disposition.contains("%E9%94%99%E8%AF%AF.csv"), "{disposition}");
        let all = String::from_utf8(all).expect("UTF-8");
        let lines: Vec<&str> = all.trim_start_matches('\u{FEFF}').lines().collect();
        assert_eq!(lines.len(), 5, "{all}");
        assert!(lines[1].ends_with(",错误") && lines[2].ends_with(','), "{all}");
        assert!(lines[3].starts_with("2,'=b,") && lines[3].contains("所属协会编码：") && lines[4].contains("依托领域："), "{all}");
        let (_, failed) = raw(&format!("{path}?rows=failed"));
        let failed = String::from_utf8(failed).expect("UTF-8");
        assert_eq!(failed.lines().count(), 4, "{failed}");
        let mended = failed.replace("zz-nowhere", "zz-dengfeng").replace("海军", "救援");
        let again = client.import("volunteer-teams", mended.as_bytes(), &[]);
        assert_eq!(counts(&again.body), [2, 0, 0, 0], "{again:?}");
        assert_eq!(client.get(&format!("{TEAMS}?code=%3Db")).body["items"][0]["code"], "=b");
        // Lines of JSON come back as lines of JSON.
        let lines = "{\"code\":\"x\",\"organization_code\":\"zz-dengfeng\",\"base_kind\":\"school\",\"established_on\":\"2022-05-01\"}\n\
                     {\"code\":\"y\",\"organization_code\":\"zz-nowhere\",\"base_kind\":\"school\",\"established_on\":\"2022-05-01\"}\n";
        let refused = client.import("volunteer-teams", lines.as_bytes(), &[]);
        let path = format!("{IMPORTS}/{}/file?rows=failed", refused.body["import_id"].as_str().expect("an id"));
        let failed = String::from_utf8(raw(&path).1).expect("UTF-8");
        let line: Value = serde_json::from_str(failed.trim()).expect("one line");
        assert_eq!((&line["code"], line["错误"].is_string()), (&json!("y"), true), "{failed}");
        let again = client.import("volunteer-teams", failed.replace("zz-nowhere", "zz-dengfeng").as_bytes(), &[]);
        assert_eq!(counts(&again.body), [1, 0, 0, 0], "{again:?}");
        // What is no JSON comes back as the text that it was.
        let refused = client.import("volunteer-teams", b"{\"code\":\"x\"}\r\n{\"code\":\"x\",\"code\":\"y\"}\r\n7\r\n", &[]);
        let (_, failed) = raw(&format!("{IMPORTS}/{}/file", refused.body["import_id"].as_str().expect("an id")));
        let failed = String::from_utf8(failed).expect("UTF-8");
        let back: Vec<Value> = failed.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let texts: Vec<&Value> = back.iter().map(|line| &line["原文"]).collect();
        assert_eq!(texts, [&json!(null), &json!("{\"code\":\"x\",\"code\":\"y\"}"), &json!("7")], "{failed}");
        assert!(back[1]["错误"].as_str().is_some_and(|text| text.contains("重复的键")), "{failed}");
        let audited = host.sign_in("platform", UserKind::Person).get("/api/v1/audit-events?action=export&resource=imports&count=true");
        assert_eq!(audited.body["total"], 4, "{audited:?}");
    });
}

/// A file that breaks in the middle, of which pieces were kept: they are told, and can be taken back.
#[test]
fn what_was_kept_before_a_file_broke_is_told() {
    on_each_database(|host| {
        host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let mut lines = String::new();
        for n in 0..1_500 {
            let team =
                json!({"code": format!("t{n}"), "organization_code": "zz-dengfeng", "base_kind": "school", "established_on": "2022-05-01"});
            writeln!(lines, "{team}").expect("written");
        }
        // An array that nobody has closed.
        let lines = format!("[{}", lines.trim_end().replace('\n', ","));
        let whole = client.import("volunteer-teams", lines.as_bytes(), &[]);
        assert_eq!((whole.status, whole.faults(), total(&client, TEAMS)), (422, vec![("/file", "unreadable_file")], 0), "{whole:?}");
        let failed = client.get(&format!("{IMPORTS}/{}", whole.body["import_id"].as_str().expect("an id")));
        assert_eq!((counts(&failed.body), &failed.body["outcome"]), ([0, 0, 0, 0], &json!("failed")), "{failed:?}");
        let broken = client.import("volunteer-teams", lines.as_bytes(), &[("on_error", "skip")]);
        assert_eq!(
            (broken.status, &broken.body["outcome"], counts(&broken.body)),
            (201, &json!("broken_off"), [1_000, 0, 0, 0]),
            "{broken:?}"
        );
        assert_eq!(broken.body["failure"]["errors"][0]["code"], "unreadable_file", "{broken:?}");
        assert_eq!(total(&client, TEAMS), 1_000);
        let path = format!("{IMPORTS}/{}", broken.id());
        assert_eq!(client.get(&format!("{path}/rows?limit=1")).body["items"][0]["outcome"], "created");
        assert_eq!((act(&client, &path, "undo").status, total(&client, TEAMS)), (200, 0));
    });
}

/// A clerk mends a row once: what is wrong with its cells, its rules and what it refers to comes together.
#[test]
fn every_fault_of_a_row_is_told_at_once() {
    on_each_database(|host| {
        host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let csv = "编码,所属协会编码,姓名,身份证号,手机号,行业,注册日期\n\
                   v1,zz-nowhere,张三,4.10105E+17,12,海军,6月17日\nv2,zz-nowhere,李四,410105198506170011,12,出租,2022-05-01\n";
        let refused = client.import("volunteers", csv.as_bytes(), &[]);
        let mut told: Vec<(u64, &str)> = refused.body["faults"]
            .as_array()
            .expect("faults")
            .iter()
            .map(|fault| (fault["row"].as_u64().expect("a row"), fault["code"].as_str().expect("a code")))
            .collect();
        told.sort_unstable();
        assert_eq!(
            told,
            [
                (2, "date_without_year"),
                (2, "destroyed_by_spreadsheet"),
                (2, "invalid_phone"),
                (2, "unknown_entry"),
                (2, "unknown_reference"),
                (3, "checksum_mismatch"),
                (3, "invalid_phone"),
                (3, "unknown_reference"),
            ],
            "{refused:?}"
        );
    });
}

/// What was imported by mistake is gone with what was made along with it, and what was changed is as it was.
#[test]
fn an_import_is_undone() {
    on_each_database(|host| {
        let city = host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let first = "code,organization_code,name,id_number,phone,sector,registered_on\n\
                     v1,zz-dengfeng,张三,410105198506170016,14000000001,taxi,2022-05-01\n\
                     v2,zz-dengfeng,李四,,14000000002,taxi,2022-05-01\n";
        let first = client.import("volunteers", first.as_bytes(), &[]);
        assert_eq!(first.status, 201, "{first:?}");
        let second = "code,organization_code,name,id_number,phone,sector,registered_on\n\
                      v1,zz-dengfeng,张三丰,410105198506170016,14000000009,delivery,2022-05-01\n\
                      v2,zz-dengfeng,李四,,14000000002,taxi,2022-05-01\n\
                      v3,zz-dengfeng,王五,,14000000003,taxi,2022-05-01\n";
        let second = client.import("volunteers", second.as_bytes(), &[("mode", "upsert")]);
        assert_eq!(counts(&second.body), [1, 1, 1, 0], "{second:?}");
        let path = format!("{IMPORTS}/{}", second.id());
        let shown = |code: &str| {
            let mut one = client.get(&format!("{VOLUNTEERS}?code={code}")).body["items"][0].clone();
            for place in ["", "/person"] {
                if let Some(members) = one.pointer_mut(place).and_then(Value::as_object_mut) {
                    ["version", "updated_at"].iter().for_each(|name| {
                        members.remove(*name);
                    });
                }
            }
            one
        };
        assert_eq!((&shown("v1")["person"]["name"], total(&client, PERSONS)), (&json!("张三丰"), 3));
        let undone = act(&client, &path, "undo");
        assert_eq!((undone.status, undone.body["undone_at"].is_string()), (200, true), "{undone:?}");
        assert_eq!((total(&client, VOLUNTEERS), total(&client, PERSONS)), (2, 2));
        let v1 = shown("v1");
        assert_eq!(
            [&v1["person"]["name"], &v1["person"]["phone_masked"], &v1["sector"]],
            [&json!("张三"), &json!("140****0001"), &json!("taxi")]
        );
        let rows = client.get(&format!("{path}/rows"));
        let outcomes: Vec<&Value> = rows.body["items"].as_array().expect("items").iter().map(|row| &row["outcome"]).collect();
        assert_eq!(outcomes, ["not_imported", "not_imported", "not_imported"]);
        let again = act(&client, &path, "undo");
        assert_eq!((again.status, again.code(), &again.body["allowed_actions"]), (409, "step_not_allowed", &json!([])));

        // Somebody has worked with what the first one brought: it stays, all of it, and they are told where.
        let person = v1["person"]["id"].as_str().expect("an id");
        assert_eq!(city.patch(&format!("{PERSONS}/{person}"), "\"3\"", &json!({"name": "张伞"})).status, 200);
        let path = format!("{IMPORTS}/{}", first.id());
        let refused = act(&client, &path, "undo");
        assert_eq!((refused.status, refused.code()), (409, "conflict"), "{refused:?}");
        assert!(refused.body["touched"].as_array().is_some_and(|touched| !touched.is_empty()), "{refused:?}");
        assert_eq!(total(&client, VOLUNTEERS), 2);
        let shown = client.get(&path);
        assert_eq!((&shown.body["failure"]["code"], &shown.body["allowed_actions"]), (&json!("conflict"), &json!(["undo"])));

        // What kept nothing has nothing to undo.
        let dry = client.import(
            "volunteers",
            b"code,organization_code,name,sector,registered_on\nv9,zz,A,taxi,2022-05-01\n",
            &[("dry_run", "true")],
        );
        assert_eq!(act(&client, &format!("{IMPORTS}/{}", dry.id()), "undo").code(), "step_not_allowed");
        crate::ledger::clean(host);
    });
}

/// A server without workers takes files; another does the work. Until then an import can be called off, and whoever may no
/// longer import doesn't.
#[test]
fn servers_share_the_work() {
    on_each_database_with(&[("YIYONG_JOB_WORKERS", "0")], |host| {
        let city = host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let gone = host.user("gone", Role::Service, Some("zz"));
        let first = asked(&client, "volunteer-teams", &teams("a", 0..10), "k1", &[]);
        let off = asked(&client, "volunteer-teams", &teams("b", 0..10), "k2", &[]);
        let theirs = asked(&gone, "volunteer-teams", &teams("c", 0..10), "k3", &[]);
        for begun in [&first, &off, &theirs] {
            assert_eq!((begun.status, &begun.body["state"], &begun.body["allowed_actions"]), (202, &json!("waiting"), &json!(["cancel"])));
        }
        let called_off = act(&client, off.header("Location").expect("an address"), "cancel");
        assert_eq!((called_off.status, &called_off.body["outcome"]), (200, &json!("cancelled")), "{called_off:?}");
        let user = city.get("/api/v1/users?username=gone").body["items"][0].clone();
        let disabled = act(&city, &format!("/api/v1/users/{}", user["id"].as_str().expect("an id")), "disable");
        assert_eq!(disabled.status, 200, "{disabled:?}");

        let beside = host.beside(&[]);
        let done = over(&client.elsewhere(&beside.base), first.header("Location").expect("an address"));
        assert_eq!((&done.body["outcome"], counts(&done.body)), (&json!("completed"), [10, 0, 0, 0]));
        // Their owner can't look any more; in the database it has failed.
        let state = || {
            use diesel::prelude::*;
            use yiyong::schema::jobs as t;
            let id: yiyong::types::Id = theirs.id().parse().expect("an id");
            host.service
                .db
                .run(true, |conn| Ok(t::table.filter(t::record_id.eq(id)).select(t::state).first::<String>(conn)?))
                .expect("a job")
        };
        let begun = Instant::now();
        while ["waiting", "running"].contains(&state().as_str()) {
            assert!(begun.elapsed() < Duration::from_secs(60));
            std::thread::yield_now();
        }
        assert_eq!((state().as_str(), total(&client, TEAMS)), ("failed", 10));
    });
}

/// An import that runs is ended by its owner: nothing of it is there.
#[test]
fn an_import_is_cancelled_while_it_runs() {
    on_each_database(|host| {
        host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let begun = asked(&client, "volunteer-teams", &teams("t", 0..20_000), "k", &[]);
        let path = begun.header("Location").expect("an address").to_owned();
        let read = |answer: &Answer| answer.body["progress"]["rows_read"].as_i64().unwrap_or_default();
        loop {
            let now = client.get(&path);
            assert_ne!(now.body["state"], "done", "it was faster than a look");
            if read(&now) > 0 {
                let progress = &now.body["progress"];
                assert!(
                    progress["percent"].is_i64() && progress["rows_per_second"].is_i64() && progress["seconds_left"].is_i64(),
                    "{now:?}"
                );
                break;
            }
        }
        let ended = act(&client, &path, "cancel");
        assert_eq!(
            (ended.status, &ended.body["state"], &ended.body["outcome"]),
            (200, &json!("cancelled"), &json!("cancelled")),
            "{ended:?}"
        );
        assert_eq!(total(&client, TEAMS), 0);
        assert_eq!(act(&client, &path, "cancel").code(), "step_not_allowed");
        // The same may be sent again: nothing was kept of it.
        let again = over(&client, asked(&client, "volunteer-teams", &teams("t", 0..10), "k2", &[]).header("Location").expect("an address"));
        assert_eq!(counts(&again.body), [10, 0, 0, 0]);
    });
}

/// How often on each database; `YIYONG_KILLS=100` takes some minutes.
const KILLS: usize = 6;

/// The server is killed in the middle of imports, over and over. What comes after it finishes what was begun: all of a file
/// or, where that was asked for, each row once.
#[test]
fn a_killed_server_leaves_no_import_by_halves() {
    kill_over_and_over(&Workplace::new(None));
    if let Some(database) = crate::hosts::postgres_database() {
        kill_over_and_over(&Workplace::new(Some(&database)));
    }
}

/// A city with a county, and a clerk of the city called `importer`.
pub fn plant(workplace: &Workplace) {
    assert!(workplace.run(&["migrate"], &[]).status.success());
    workplace.user("platform", "platform_admin", None);
    let server = workplace.serve(&[]);
    let platform = server.nobody().sign_in("platform", UserKind::Person);
    let mut parent = Value::Null;
    for (code, kind) in [("zz", "city_association"), ("zz-dengfeng", "county_association")] {
        let draft = json!({"code": code, "name": format!("{code} 协会"), "kind": kind, "parent_id": parent});
        let made = platform.post("/api/v1/organizations", &draft);
        assert_eq!(made.status, 201, "{made:?}");
        parent = made.body["id"].clone();
    }
    workplace.user("importer", "clerk", Some("zz"));
}

fn kill_over_and_over(workplace: &Workplace) {
    const ROWS: usize = 3_000;
    let kills = std::env::var("YIYONG_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let settings = [("YIYONG_MIGRATE_AT_START", "true"), ("YIYONG_LOG", "warn,yiyong=info"), ("YIYONG_JOB_LEASE_SECONDS", "1")];
    plant(workplace);
    let mut server = workplace.serve(&settings);
    let first = server.base.clone();
    let mut importer = Client::at(&server.base).sign_in("importer", UserKind::Person).elsewhere(&first);
    let mut random = StdRng::seed_from_u64(11);
    let mut interrupted = 0;
    for round in 0..kills {
        if round % 20 == 19 {
            // So many rounds outlast a token.
            importer = Client::at(&server.base).sign_in("importer", UserKind::Person).elsewhere(&first);
        }
        let skips = round % 2 == 1;
        let prefix = format!("r{round}-");
        let mut csv = teams(&prefix, 0..ROWS);
        if skips {
            csv.push_str("wrong,nowhere,school,2022-05-01\n");
        }
        let fields: &[(&str, &str)] = if skips { &[("on_error", "skip")] } else { &[] };
        let begun = asked(&importer.elsewhere(&server.base), "volunteer-teams", &csv, &prefix, fields);
        assert_eq!(begun.status, 202, "{begun:?}");
        let path = begun.header("Location").expect("an address").to_owned();
        let moment = Duration::from_millis(random.random_range(0..600));
        let since = Instant::now();
        while since.elapsed() < moment {
            std::thread::yield_now();
        }
        server.kill();
        let kept = of_round(workplace, &prefix);
        assert!(skips || kept == 0 || kept == ROWS, "{round}: {kept}");
        interrupted += usize::from(kept < ROWS);
        server = workplace.serve(&settings);
        let ended = over(&importer.elsewhere(&server.base), &path);
        let expected = if skips { ("completed_with_faults", 1) } else { ("completed", 0) };
        let rows = i64::try_from(ROWS).expect("a number");
        assert_eq!((&ended.body["outcome"], counts(&ended.body)), (&json!(expected.0), [rows, 0, 0, expected.1]), "{round}: {ended:?}");
        assert_eq!(of_round(workplace, &prefix), ROWS, "{round}");
        // Each row has its outcome, once.
        let told = importer.elsewhere(&server.base).get(&format!("{path}/rows?limit=1000&cursor=2001"));
        let numbers: Vec<u64> =
            told.body["items"].as_array().expect("items").iter().map(|row| row["row"].as_u64().expect("a row")).collect();
        assert_eq!(numbers[..1_000], (2_002..3_002).collect::<Vec<u64>>()[..], "{round}");
    }
    assert!(interrupted > 0, "no import was ever met in the middle");
    let checked = workplace.run(&["check"], &[]);
    assert!(checked.status.success(), "{checked:?}");
}

/// A disk that is full: whoever sends too much is told so, nothing of it is kept, and what fits still goes in.
#[test]
fn a_full_disk_keeps_nothing_by_halves() {
    on_a_full_disk(&Workplace::new(None));
    if let Some(database) = crate::hosts::postgres_database() {
        on_a_full_disk(&Workplace::new(Some(&database)));
    }
}

fn on_a_full_disk(workplace: &Workplace) {
    plant(workplace);
    let Some(server) = workplace.serve_on_small_disk(24, &[]) else {
        println!("NOT TRIED: no small disk can be made here, so what happens on a full one is not seen");
        return;
    };
    let importer = server.nobody().sign_in("importer", UserKind::Person);
    // The file alone is more than the disk holds.
    let long = format!("code,organization_code,base_kind,established_on\nt1,zz-dengfeng,school,2022-05-01{}\n", " ".repeat(30 << 20));
    let refused = asked(&importer, "volunteer-teams", &long, "long", &[]);
    assert_eq!((refused.status, refused.code()), (507, "storage_full"), "{refused:?}");
    assert_eq!(importer.get(IMPORTS).body["items"], json!([]));
    if workplace.database.starts_with("sqlite:") {
        // The file has room, and what would come of it has none.
        let many = teams("t", 0..60_000);
        let begun = asked(&importer, "volunteer-teams", &many, "many", &[]);
        let failed = over(&importer, begun.header("Location").unwrap_or_else(|| panic!("{begun:?}")));
        assert_eq!((&failed.body["state"], &failed.body["failure"]["code"]), (&json!("failed"), &json!("storage_full")), "{failed:?}");
    }
    assert_eq!(total(&importer, TEAMS), 0);
    let small = importer.import("volunteer-teams", teams("t", 0..10).as_bytes(), &[]);
    assert_eq!((small.status, total(&importer, TEAMS)), (201, 10), "{small:?}");
}

/// How many teams of a round there are.
fn of_round(workplace: &Workplace, prefix: &str) -> usize {
    use diesel::prelude::*;
    use yiyong::schema::volunteer_teams as t;
    let mut conn = Target::parse(&workplace.database).expect("a database").connect(Duration::from_secs(30)).expect("a connection");
    let count: i64 = t::table.filter(t::code.like(format!("{prefix}%"))).count().get_result(&mut conn).expect("a count");
    usize::try_from(count).expect("a number")
}

/// Numbers that a file brings stand nowhere in the open: not in its kept pieces, not in what became of its rows.
#[test]
fn what_is_kept_of_a_file_is_sealed() {
    use diesel::prelude::*;
    use yiyong::schema::{import_files, import_outcomes};
    on_each_database(|host: &Host| {
        host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let csv = "code,organization_code,name,id_number,phone\np1,zz,张三,410105198506170016,14000000001\n";
        assert_eq!(client.import("persons", csv.as_bytes(), &[]).status, 201);
        let changed = csv.replace("14000000001", "14000000002");
        assert_eq!(counts(&client.import("persons", changed.as_bytes(), &[("mode", "upsert")]).body), [0, 1, 0, 0]);
        let pieces: Vec<Vec<u8>> = host
            .service
            .db
            .run(true, |conn| {
                let mut all: Vec<Vec<u8>> = import_files::table.select(import_files::sealed).load(conn)?;
                all.extend(import_outcomes::table.select(import_outcomes::sealed).load::<Vec<u8>>(conn)?);
                Ok(all)
            })
            .expect("pieces");
        assert_eq!(pieces.len(), 4);
        for piece in pieces {
            for text in ["410105198506170016", "14000000001", "张三"] {
                assert!(!piece.windows(text.len()).any(|window| window == text.as_bytes()), "{text}");
            }
        }
    });
}

/// `yiyong import` and fifteen lines of Python do what a clerk does: the file is sent once, followed to its end, and the exit
/// code tells a script what came of it.
#[test]
fn a_script_imports_a_file() {
    on_each_database(|host| {
        host.planted();
        host.user("importer", Role::Service, Some("zz"));
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("teams.csv");
        let import = |csv: &str, arguments: &[&str]| {
            std::fs::write(&file, csv).expect("written");
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_yiyong"));
            command.args(["import", "--resource", "volunteer-teams", "--server", &host.base]).args(arguments).arg(&file);
            command.env("YIYONG_CLIENT_ID", "importer").env("YIYONG_CLIENT_SECRET", crate::hosts::password_of(UserKind::Service));
            let output = command.output().expect("a process");
            let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
            (output.status.code().expect("a code"), report, String::from_utf8_lossy(&output.stderr).into_owned())
        };
        let (code, report, said) = import(&teams("t", 0..3), &["--dry-run"]);
        assert_eq!((code, &report["outcome"]), (0, &json!("would_complete")), "{said}");
        let (code, report, said) = import(&teams("t", 0..3), &[]);
        assert_eq!((code, &report["rows_created"]), (0, &json!(3)), "{said}");
        let (code, _, said) = import(&teams("t", 0..3), &[]);
        assert!(code == 1 && said.contains("already_exists"), "{code}: {said}");
        let wrong = teams("u", 0..2) + "u9,nowhere,school,2022-05-01\n";
        let (code, _, said) = import(&wrong, &[]);
        assert!(code == 1 && said.contains("4:organization_code  unknown_reference"), "{code}: {said}");
        let (code, report, said) = import(&wrong, &["--on-error", "skip", "--mode", "upsert"]);
        assert_eq!((code, &report["rows_created"], &report["rows_failed"]), (4, &json!(2), &json!(1)), "{said}");
        assert_eq!(import("colour\nred\n", &[]).0, 1);
        let (code, _, said) = import(&teams("v", 0..1), &["--client-id", "nobody"]);
        assert!(code == 1 && said.contains("401"), "{code}: {said}");

        // The README's Python, as it stands there.
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("the README");
        let script = readme.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a script");
        assert!(script.lines().count() <= 15, "{script}");
        let Ok(python) = std::process::Command::new("python3").arg("--version").output() else {
            eprintln!("NOT TESTED: there is no python3 for the script of the README");
            return;
        };
        assert!(python.status.success());
        let file = folder.path().join("more.csv");
        std::fs::write(&file, teams("w", 0..3)).expect("written");
        let output = std::process::Command::new("python3")
            .args(["-c", script, &host.base, "volunteer-teams", &file.display().to_string()])
            .env("CLIENT_ID", "importer")
            .env("CLIENT_SECRET", crate::hosts::password_of(UserKind::Service))
            .output()
            .expect("a process");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("completed 3"), "{}", String::from_utf8_lossy(&output.stdout));
    });
}
