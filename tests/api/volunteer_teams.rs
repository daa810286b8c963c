//! Teams: written, listed, searched, imported.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::on_each_database;

const TEAMS: &str = "/api/v1/volunteer-teams";

#[test]
fn all_the_faults_of_a_team_are_told_at_once() {
    on_each_database(|host| {
        let city = host.planted();
        let wrong = city.post(
            TEAMS,
            &json!({"organization_id": "x", "base_kind": "army", "established_on": "2022-02-30", "status": 1, "leader": "nobody", "name": "a\u{202E}b"}),
        );
        let mut faults = wrong.faults();
        faults.sort_unstable();
        assert_eq!(
            faults,
            [
                ("/base_kind", "unknown_entry"),
                ("/established_on", "invalid_date"),
                ("/leader", "unknown_field"),
                ("/name", "hidden_character"),
                ("/organization_id", "invalid_id"),
                ("/status", "wrong_type"),
            ]
        );
    });
}

#[test]
fn teams_are_paged_by_key_filtered_and_searched() {
    on_each_database(|host| {
        let city = host.planted();
        let csv: String =
            std::iter::once("编码,所属协会编码,队伍名称,依托领域,成立日期\n".to_owned())
                .chain((1..=45).map(|n| {
                    format!("t{n:02},zz-dengfeng,少林{}队,村社区,2022-0{}-01\n", if n % 5 == 0 { "救援" } else { "巡防" }, 1 + n % 9)
                }))
                .collect();
        let imported = city.import("volunteer-teams", format!("\u{FEFF}{csv}").as_bytes(), &[]);
        assert_eq!((imported.status, &imported.body["rows_created"]), (201, &json!(45)), "{imported:?}");
        assert_eq!(city.get(imported.header("Location").expect("an address")).body["rows_created"], 45);

        let mut seen: Vec<String> = Vec::new();
        let mut address = format!("{TEAMS}?sort=code&limit=20&base_kind=village_community");
        loop {
            let page = city.get(&address);
            seen.extend(page.body["items"].as_array().expect("items").iter().map(|t| t["code"].as_str().expect("a code").to_owned()));
            let Some(cursor) = page.body["next_cursor"].as_str() else { break };
            let link = page.header("Link").expect("a link");
            assert!(link.contains(cursor) && link.ends_with("rel=\"next\""));
            // The cursor is bound to its filter.
            assert_eq!(city.get(&format!("{TEAMS}?sort=code&limit=20&cursor={cursor}")).code(), "invalid_cursor");
            address = link.trim_start_matches('<').split('>').next().expect("an address").to_owned();
        }
        assert_eq!(seen, (1..=45).map(|n| format!("t{n:02}")).collect::<Vec<_>>());

        let total = |query: &str| city.get(&format!("{TEAMS}?count=true&limit=1&{query}")).body["total"].as_i64();
        let encoded = |text: &str| text.bytes().map(|b| format!("%{b:02X}")).collect::<String>();
        assert_eq!(total(&format!("q={}", encoded("救援"))), Some(9));
        assert_eq!(total(&format!("q={}", encoded("林救援"))), Some(9));
        assert_eq!(total(&format!("q={}", encoded("少"))), Some(45));
        assert_eq!(total(&format!("q={}", encoded("援少"))), Some(0));
        assert_eq!(total("as_at=2022-01-15"), Some(5));
        assert_eq!(total("organization_level=city"), Some(0));
        for (query, code) in [
            ("limit=0", "invalid_parameter"),
            ("nonsense=1", "unknown_parameter"),
            ("status=x", "unknown_entry"),
            ("as_at=1&as_at=2", "duplicate_parameter"),
        ] {
            let refused = city.get(&format!("{TEAMS}?{query}"));
            assert_eq!((refused.status, refused.faults()[0].1), (400, code), "{query}");
        }
    });
}

#[test]
fn an_import_tells_every_fault_and_a_second_run_changes_nothing() {
    on_each_database(|host| {
        host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let good = "code,organization_code,base_kind,established_on\na,zz-dengfeng,school,2022-05-01\nb,zz-gaoxin,shop_market,2022-05-02\n";
        let dry = client.import("volunteer-teams", good.as_bytes(), &[("dry_run", "true")]);
        assert_eq!((dry.status, &dry.body["rows_created"], &dry.body["outcome"]), (200, &json!(2), &json!("would_complete")));
        assert_eq!(client.get(TEAMS).body["items"], json!([]), "a dry run leaves nothing");

        let wrong = "code,organization_code,base_kind,established_on\na,zz-dengfeng,school,2022-05-01\n,zz-nowhere,school,2022-05-01\nc,zz-gaoxin,navy,2022-13-01\nc,zz-gaoxin,school,2022-05-01\nd,zz-gaoxin\n";
        let refused = client.import("volunteer-teams", wrong.as_bytes(), &[]);
        assert_eq!(refused.status, 422);
        let told: Vec<(u64, &str, &str)> = refused.body["faults"]
            .as_array()
            .expect("faults")
            .iter()
            .map(|f| (f["row"].as_u64().expect("a row"), f["column"].as_str().unwrap_or(""), f["code"].as_str().expect("a code")))
            .collect();
        assert_eq!(
            told,
            [
                (3, "organization_code", "unknown_reference"),
                (4, "base_kind", "unknown_entry"),
                (4, "established_on", "invalid_date"),
                (5, "code", "duplicate_code"),
                (6, "", "wrong_number_of_cells"),
            ]
        );
        assert_eq!(client.get(TEAMS).body["items"], json!([]), "with abort nothing is kept");
        let skipped = client.import("volunteer-teams", wrong.as_bytes(), &[("on_error", "skip")]);
        assert_eq!((skipped.status, &skipped.body["rows_created"], &skipped.body["rows_failed"]), (201, &json!(1), &json!(4)));

        let upsert = |csv: &str| client.import("volunteer-teams", csv.as_bytes(), &[("mode", "upsert")]);
        let counts = |body: &Value| ["rows_created", "rows_updated", "rows_unchanged"].map(|k| body[k].as_i64().unwrap_or(-1));
        assert_eq!(counts(&upsert(good).body), [1, 0, 1]);
        assert_eq!(counts(&upsert(good).body), [0, 0, 2]);
        assert_eq!(counts(&upsert(&good.replace("school", "rescue")).body), [0, 1, 1]);

        assert_eq!(client.import("volunteer-teams", b"code,colour\nx,red\n", &[]).body["faults"][0]["code"], "unknown_column");
        assert_eq!(client.import("volunteer-teams", b"PK\x03\x04\x00\x00", &[]).faults(), [("/file", "unreadable_file")]);
        assert_eq!(client.import("volunteer-teams", b"", &[]).faults(), [("/file", "empty_file")]);
        assert_eq!(
            client.import("nothing", b"a\n", &[("mode", "replace")]).faults(),
            [("/resource", "unknown_resource"), ("/mode", "unknown_entry")]
        );
    });
}

#[test]
fn a_retry_is_a_replay() {
    on_each_database(|host| {
        let city = host.planted();
        let organization = city.get("/api/v1/organizations?code=zz-gaoxin").body["items"][0]["id"].clone();
        let team =
            |code: &str| json!({"code": code, "organization_id": organization, "base_kind": "school", "established_on": "2022-05-01"});
        let send = |body: &Value, key: &str| {
            let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
            city.send("POST", TEAMS, &headers, Some(body.to_string().as_bytes()))
        };
        let first = send(&team("a"), "k1");
        let second = send(&team("a"), "k1");
        assert_eq!((second.status, second.header("Idempotent-Replayed")), (201, Some("true")));
        assert_eq!(first.body, second.body);
        assert_eq!(send(&team("b"), "k1").code(), "idempotency_mismatch");
        let batch = json!({"items": [team("b"), team("c"), team("a")]});
        let path = format!("{TEAMS}/batch");
        assert_eq!(city.post(&path, &batch).code(), "malformed_request", "a batch needs a key");
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "k2")];
        assert_eq!(city.send("POST", &path, &headers, Some(batch.to_string().as_bytes())).status, 409);
        assert_eq!(city.get(&format!("{TEAMS}?count=true")).body["total"], 1, "all or none");
    });
}
