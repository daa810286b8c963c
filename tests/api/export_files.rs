//! Exports that nobody waits for.

use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use yiyong::auth::UserKind;
use yiyong::policy::Role;

use crate::exports::{events, id_number, much};
use crate::hosts::{Answer, Client, on_each_database, on_each_database_with};
use crate::jobs::{over, plant, teams};
use crate::process::Workplace;

const FILES: &str = "/api/v1/export-files";

fn asked(client: &Client<'_>, what: &str, key: &str) -> Answer {
    client.send("POST", &format!("/api/v1/exports/{what}"), &[("Idempotency-Key", key)], None)
}

fn address(asked: &Answer) -> &str {
    assert_eq!(asked.status, 202, "{asked:?}");
    asked.header("Location").expect("an address")
}

/// A clerk asks for a large file, goes to lunch and fetches it: it is what the clerk would have got at once.
#[test]
fn a_file_is_made_while_nobody_waits() {
    on_each_database(|host| {
        let city = host.planted();
        let many = much(host, &city);
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        let before = events(&auditor, "inspections").len();
        for (format, narrow, count) in [("csv", "", many), ("xlsx", "&code=i-0", 1), ("ndjson", "&code=i-0", 1)] {
            let what = format!("inspections?format={format}{narrow}");
            let begun = asked(&city, &what, format);
            let path = address(&begun);
            // A small one may be done by the time that the answer is written.
            let (bytes, offered) = if begun.body["state"] == "done" { (true, "download") } else { (false, "cancel") };
            assert_eq!((begun.body["bytes"].is_i64(), &begun.body["allowed_actions"]), (bytes, &json!([offered])), "{begun:?}");
            // Asked again, it is the same.
            let again = asked(&city, &what, format);
            assert_eq!((address(&again), again.header("Idempotent-Replayed")), (path, Some("true")));
            assert_eq!(asked(&city, "inspections?format=csv&year=2022", format).code(), "idempotency_mismatch");

            let done = over(&city, path);
            assert_eq!(
                (&done.body["state"], &done.body["rows_written"], &done.body["allowed_actions"]),
                (&json!("done"), &json!(count), &json!(["download"])),
                "{done:?}"
            );
            let file = city.download(&format!("{path}/content"));
            assert_eq!(done.body["bytes"], json!(file.len()));
            let at_once = city.download(&format!("/api/v1/exports/{what}"));
            // A workbook tells when it was made.
            assert!(if format == "xlsx" { file.starts_with(b"PK") } else { file == at_once }, "{format}");
        }
        let told = &events(&auditor, "inspections")[before..];
        let whole = told.iter().filter(|detail| detail["completed"] == true).map(|detail| detail["rows"].as_u64());
        let rows: Vec<Option<u64>> = whole.collect();
        assert_eq!((told.len(), rows), (12, [many, many, 1, 1, 1, 1].map(|rows| Some(rows as u64)).to_vec()), "{told:?}");

        // Others' exports are no business of anybody's.
        let other = host.user("other", Role::Clerk, Some("zz"));
        let list = city.get(&format!("{FILES}?limit=2"));
        assert_eq!((list.body["items"].as_array().map(Vec::len), list.body["next_cursor"].is_string()), (Some(2), true), "{list:?}");
        let rest = city.get(&format!("{FILES}?limit=2&cursor={}", list.body["next_cursor"].as_str().expect("a cursor")));
        assert_eq!((rest.body["items"][0]["format"].clone(), &rest.body["next_cursor"]), (json!("csv"), &json!(null)), "{rest:?}");
        let path = format!("{FILES}/{}", list.body["items"][0]["id"].as_str().expect("an id"));
        assert_eq!(other.get(FILES).body["items"], json!([]));
        for path in [path.clone(), format!("{path}/content")] {
            assert_eq!(other.get(&path).status, 404);
        }
        assert_eq!(other.send("POST", &format!("{path}/cancel"), &[], None).status, 404);
        assert_eq!(city.send("POST", &format!("{path}/cancel"), &[], None).code(), "step_not_allowed");
    });
}

/// What is wrong with an order is told at once, and nothing waits.
#[test]
fn an_order_that_makes_no_sense_is_refused() {
    on_each_database(|host| {
        let city = host.planted();
        let unknown = asked(&city, "heros", "a");
        assert!(unknown.status == 404 && unknown.body["detail"].as_str().is_some_and(|text| text.contains("heroes")), "{unknown:?}");
        assert_eq!(asked(&city, "volunteers?format=pdf&colour=red", "b").status, 400);
        assert_eq!(asked(&city, "volunteers?format=geojson", "c").status, 406);
        assert_eq!(asked(&city, "persons?identifiers=full", "d").faults(), [("/purpose", "invalid_parameter")]);
        let family = host.user("family", Role::HeroFamily, Some("zz"));
        assert_eq!(asked(&family, "users", "e").status, 403);
        assert_eq!(asked(&host.nobody(), "volunteers", "f").status, 401);
        assert_eq!(city.get(FILES).body["items"], json!([]));
    });
}

/// One server takes the order, another makes the file, either gives it out; and whoever may see the list no longer gets neither.
#[test]
fn another_server_makes_the_file_and_rights_are_asked_again() {
    on_each_database_with(&[("YIYONG_JOB_WORKERS", "0")], |host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let [first, off, kept, late] = ["1", "2", "3", "4"].map(|key| asked(&clerk, "organizations?sort=code", key));
        let called_off = clerk.send("POST", &format!("{}/cancel", address(&off)), &[], None);
        assert_eq!((called_off.status, &called_off.body["state"]), (200, &json!("cancelled")), "{called_off:?}");
        assert_eq!(clerk.get(&format!("{}/content", address(&first))).code(), "step_not_allowed");
        {
            let beside = host.beside(&[]);
            let done = over(&clerk.elsewhere(&beside.base), address(&first));
            assert_eq!(done.body["state"], "done", "{done:?}");
            over(&clerk, address(&kept));
            over(&clerk, address(&late));
        }
        let file = clerk.download(&format!("{}/content", address(&first)));
        assert_eq!(file, clerk.download("/api/v1/exports/organizations?sort=code"));

        let user = city.get("/api/v1/users?username=clerk").body["items"][0]["id"].clone();
        let grant = city.get(&format!("/api/v1/role-grants?user_id={}", user.as_str().expect("an id"))).body["items"][0].clone();
        let grant = format!("/api/v1/role-grants/{}", grant["id"].as_str().expect("an id"));
        let waiting = asked(&clerk, "organizations?sort=code", "5");
        assert_eq!(city.delete(&grant).status, 204);
        let clerk = host.sign_in("clerk", UserKind::Person);
        assert_eq!(clerk.get(&format!("{}/content", address(&kept))).status, 403);
        let beside = host.beside(&[]);
        let refused = over(&clerk.elsewhere(&beside.base), address(&waiting));
        assert_eq!((&refused.body["state"], &refused.body["failure"]["code"]), (&json!("failed"), &json!("forbidden")), "{refused:?}");
    });
}

/// How often on each database.
const KILLS: usize = 4;

/// The server is killed while it makes files: whoever comes after it makes them, and each is whole.
#[test]
fn a_killed_server_leaves_no_export_by_halves() {
    kill_over_and_over(&Workplace::new(None));
    if let Some(database) = crate::hosts::postgres_database() {
        kill_over_and_over(&Workplace::new(Some(&database)));
    }
}

fn kill_over_and_over(workplace: &Workplace) {
    const ROWS: usize = 10_000;
    let settings = [("YIYONG_MIGRATE_AT_START", "true"), ("YIYONG_JOB_LEASE_SECONDS", "1")];
    plant(workplace);
    let mut server = workplace.serve(&settings);
    let first = server.base.clone();
    let clerk = Client::at(&server.base).sign_in("importer", UserKind::Person).elsewhere(&first);
    let imported = clerk.import("volunteer-teams", teams("t", 0..ROWS).as_bytes(), &[]);
    assert_eq!(imported.status, 201, "{imported:?}");
    let wanted = clerk.download("/api/v1/exports/volunteer-teams");
    let mut random = StdRng::seed_from_u64(7);
    let mut interrupted = 0;
    for round in 0..KILLS {
        let begun = asked(&clerk.elsewhere(&server.base), "volunteer-teams", &round.to_string());
        let path = address(&begun).to_owned();
        let (moment, since) = (Duration::from_millis(random.random_range(0..500)), Instant::now());
        while since.elapsed() < moment {
            std::thread::yield_now();
        }
        interrupted += usize::from(clerk.elsewhere(&server.base).get(&path).body["state"] != "done");
        server.kill();
        server = workplace.serve(&settings);
        let clerk = clerk.elsewhere(&server.base);
        let done = over(&clerk, &path);
        assert_eq!((&done.body["state"], &done.body["rows_written"]), (&json!("done"), &json!(ROWS)), "{round}: {done:?}");
        assert!(clerk.download(&format!("{path}/content")) == wanted, "{round}");
    }
    assert!(interrupted > 0, "no export was ever met in the middle");
}

/// A file that holds whole numbers lies sealed in the database until it is fetched.
#[test]
fn a_kept_file_is_sealed() {
    use diesel::prelude::*;
    use yiyong::schema::export_file_pieces as pieces;
    on_each_database(|host| {
        let city = host.planted();
        let number = id_number(107);
        let organization = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let made = city.post("/api/v1/persons", &json!({"organization_id": organization, "name": "王小明", "id_number": number}));
        assert_eq!(made.status, 201, "{made:?}");
        let purpose = "%E6%A0%B8%E5%AF%B9%E8%BA%AB%E4%BB%BD";
        let begun = asked(&city, &format!("persons?format=ndjson&identifiers=full&purpose={purpose}"), "k");
        assert_eq!(over(&city, address(&begun)).body["state"], "done");
        let file = String::from_utf8(city.download(&format!("{}/content", address(&begun)))).expect("UTF-8");
        assert!(file.contains(&number), "{file}");
        let sealed: Vec<Vec<u8>> = host.service.db.run(true, |conn| Ok(pieces::table.select(pieces::sealed).load(conn)?)).expect("pieces");
        assert!(!sealed.is_empty() && sealed.iter().all(|piece| !piece.windows(18).any(|window| window == number.as_bytes())));
    });
}
