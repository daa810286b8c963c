//! Persons: checked, sealed, masked, revealed for a reason.

use serde_json::json;
use yiyong::policy::Role;

use crate::hosts::on_each_database;

const PERSONS: &str = "/api/v1/persons";

#[test]
fn a_person_is_checked_masked_sealed_and_revealed_for_a_reason() {
    on_each_database(|host| {
        let city = host.planted();
        let county = city.get("/api/v1/organizations?code=zz-dengfeng").body["items"][0]["id"].clone();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let person = |number: &str, phone: &str| json!({"organization_id": county, "name": "王小明", "id_number": number, "phone": phone});
        let wrong = clerk.post(PERSONS, &person("410105198506170011", "12800138000"));
        let mut faults = wrong.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/id_number", "checksum_mismatch"), ("/phone", "invalid_phone")]);
        assert_eq!(clerk.post(PERSONS, &person("410105198506310015", "13800138000")).faults(), [("/id_number", "impossible_birth_date")]);

        let made = clerk.post(PERSONS, &person("41010519850617018x", "+86 138-0013-8000"));
        assert_eq!(made.status, 201, "{made:?}");
        assert_eq!(made.body["id_number_masked"], "410***********018X");
        assert_eq!(made.body["phone_masked"], "138****8000");
        assert_eq!(made.body["gender"], "female");
        let path = format!("{PERSONS}/{}", made.id());

        // The same number is the same person: who may see it is told which.
        let same = clerk.post(PERSONS, &person("41010519850617018X", "13800138001"));
        assert_eq!((same.status, same.code(), &same.body["person_id"]), (409, "already_exists", &made.body["id"]));
        let elsewhere = host.user("gaoxin", Role::Clerk, Some("zz-gaoxin"));
        let other = city.get("/api/v1/organizations?code=zz-gaoxin").body["items"][0]["id"].clone();
        let foreign = elsewhere.post(PERSONS, &json!({"organization_id": other, "name": "王小明", "id_number": "41010519850617018X"}));
        assert_eq!((foreign.status, foreign.body.get("person_id")), (409, None));
        assert!(!foreign.body.to_string().contains(made.id()), "{foreign:?}");
        assert_eq!(elsewhere.get(&path).status, 404);
        assert_eq!(elsewhere.post(&format!("{path}/reveal"), &json!({"reason": "核对身份信息"})).status, 404);
        let foreign_home = elsewhere.post(PERSONS, &json!({"organization_id": county, "name": "甲"}));
        assert_eq!(foreign_home.faults(), [("/organization_id", "unknown_reference")]);

        // A patch that leaves the numbers out leaves them as they are.
        let renamed = clerk.patch(&path, "\"1\"", &json!({"name": "王晓明"}));
        assert_eq!((renamed.status, &renamed.body["phone_masked"]), (200, &json!("138****8000")));
        let respelt = clerk.patch(&path, "\"2\"", &json!({"id_number": "41010519850617018 x", "phone": "+86 138 0013 8000"}));
        assert_eq!((respelt.status, &respelt.body["version"]), (200, &json!(2)), "another spelling is no change");
        // Among many, a known one is the fault of its row.
        let many = json!({"items": [person("410105198506170016", "14000000001"), person("41010519850617018X", "14000000002")]});
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "many")];
        let refused = clerk.send("POST", &format!("{PERSONS}/batch"), &headers, Some(many.to_string().as_bytes()));
        assert_eq!((refused.status, refused.faults()), (422, vec![("/items/1/id_number", "person_exists")]));
        assert_eq!(clerk.post(&format!("{path}/reveal"), &json!({"reason": "x"})).faults(), [("/reason", "too_short")]);
        let revealed = clerk.post(&format!("{path}/reveal"), &json!({"reason": "核对收款人身份"}));
        assert_eq!(revealed.body, json!({"id_number": "41010519850617018X", "phone": "13800138000"}));
        assert_eq!(revealed.header("Cache-Control"), Some("no-store"));
        let leader = host.user("leader", Role::Leader, Some("zz"));
        assert_eq!(leader.get(&path).status, 200);
        assert_eq!(leader.post(&format!("{path}/reveal"), &json!({"reason": "核对收款人身份"})).code(), "forbidden");
        let platform = host.sign_in("platform", yiyong::auth::UserKind::Person);
        let refused = platform.get(&path);
        assert_eq!(refused.code(), "forbidden", "an administrator sees no people");
        let detail = refused.body["detail"].as_str().expect("which roles do");
        assert!(
            detail.starts_with("可对“人员”进行“查看”的角色：协会管理员、领导（审批）、文员")
                && detail.ends_with("；您目前的角色：平台管理员"),
            "{detail}"
        );

        // Nowhere in the database does a number stand in the open, the trail included.
        use diesel::prelude::*;
        use yiyong::schema::{audit_events, persons};
        let (sealed, details): (Vec<Option<Vec<u8>>>, Vec<Option<String>>) = host
            .service
            .db
            .run(true, |conn| {
                Ok((
                    persons::table.select(persons::id_number_sealed).load(conn)?,
                    audit_events::table.select(audit_events::detail).load(conn)?,
                ))
            })
            .expect("rows");
        assert!(sealed.iter().flatten().all(|bytes| !bytes.windows(8).any(|w| w == b"19850617")));
        assert!(details.iter().flatten().all(|text| !text.contains("41010519850617018") && !text.contains("13800138000")));
        assert!(details.iter().flatten().any(|text| text.contains("核对收款人身份")));
        for _ in 0..29 {
            assert_eq!(clerk.post(&format!("{path}/reveal"), &json!({"reason": "核对收款人身份"})).status, 200);
        }
        assert_eq!(clerk.post(&format!("{path}/reveal"), &json!({"reason": "核对收款人身份"})).status, 429);
    });
}

/// The limit holds for those who ask many times at once too.
#[test]
fn no_more_than_thirty_numbers_a_minute_are_shown_to_one_user() {
    on_each_database(|host| {
        let city = host.planted();
        let home = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let person = city.post(PERSONS, &json!({"organization_id": home, "name": "王小明", "phone": "14000000001"}));
        let path = format!("{PERSONS}/{}/reveal", person.id());
        let reveals = |n: usize| (0..n).map(|_| city.post(&path, &json!({"reason": "核对收款人身份"})).status).collect::<Vec<_>>();
        let statuses: Vec<u16> = std::thread::scope(|scope| {
            let askers: Vec<_> = (0..8).map(|_| scope.spawn(|| reveals(5))).collect();
            askers.into_iter().flat_map(|asker| asker.join().expect("answers")).collect()
        });
        let of = |status: u16| statuses.iter().filter(|s| **s == status).count();
        assert_eq!((of(200), of(429)), (30, 10), "{statuses:?}");
    });
}

#[test]
fn a_name_is_found_by_one_or_two_characters() {
    on_each_database(|host| {
        let city = host.planted();
        let csv = "姓名,所属协会编码,手机号\n张伟明,zz-dengfeng,14000000001\n张三,zz-dengfeng,14000000002\n李伟,zz-gaoxin,14000000003\n";
        assert_eq!(city.import("persons", csv.as_bytes(), &[]).body["rows_created"], 3);
        let found = |q: &str| -> Vec<String> {
            let q: String = q.bytes().map(|b| format!("%{b:02X}")).collect();
            let page = city.get(&format!("{PERSONS}?sort=created_at&q={q}"));
            page.body["items"].as_array().expect("items").iter().map(|p| p["name"].as_str().expect("a name").to_owned()).collect()
        };
        assert_eq!(found("张"), ["张伟明", "张三"]);
        assert_eq!(found("伟"), ["张伟明", "李伟"]);
        assert_eq!(found("伟明"), ["张伟明"]);
        assert_eq!(found("张伟明"), ["张伟明"]);
        assert_eq!(found("明张"), Vec::<String>::new());
    });
}

/// What shows a person along is another representation once they have another name; who may write it stays as it was.
#[test]
fn a_new_name_is_a_new_etag_of_all_that_show_it() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let made = |resource: &str, draft: serde_json::Value| {
            let answer = city.post(&format!("/api/v1/{resource}"), &draft);
            assert_eq!(answer.status, 201, "{answer:?}");
            (format!("/api/v1/{resource}/{}", answer.id()), answer.id().to_owned(), answer.header("ETag").expect("an ETag").to_owned())
        };
        let (person, person_id, _) = made("persons", json!({"organization_id": zz, "name": "张三"}));
        let (team, team_id, _) = made(
            "volunteer-teams",
            json!({"organization_id": zz, "name": "少林队", "base_kind": "school", "established_on": "2022-01-01"}),
        );
        let volunteer =
            made("volunteers", json!({"organization_id": zz, "person_id": person_id, "sector": "taxi", "registered_on": "2022-01-01"}));
        let hero = made("heroes", json!({"organization_id": zz, "person_id": person_id}));
        let membership = made("memberships", json!({"volunteer_id": volunteer.1, "team_id": team_id, "joined_on": "2022-01-01"}));
        let dependant = made("dependants", json!({"organization_id": zz, "person_id": person_id, "hero_id": hero.1, "relation": "child"}));
        let appointment =
            made("appointments", json!({"organization_id": zz, "person_id": person_id, "post": "other", "from_on": "2022-01-01"}));
        assert_eq!((volunteer.2.as_str(), membership.2.as_str()), ("\"1-1\"", "\"1-1-1-1\""));

        let unless = |path: &str, etag: &str| city.send("GET", path, &[("If-None-Match", etag)], None);
        let all = [&volunteer, &hero, &membership, &dependant, &appointment];
        for (path, _, etag) in all {
            assert_eq!(unless(path, etag).status, 304, "{path}");
        }
        assert_eq!(city.patch(&person, "\"1\"", &json!({"name": "张三丰"})).status, 200);
        for (path, _, etag) in all {
            let fresh = unless(path, etag);
            assert_eq!((fresh.status, &fresh.body["version"]), (200, &json!(1)), "{path}");
            assert!(fresh.body.to_string().contains("张三丰"), "{fresh:?}");
            assert_eq!(unless(path, fresh.header("ETag").expect("an ETag")).status, 304, "{path}");
        }
        // So it is with a team's name and a volunteer's number.
        for (path, change) in [(&team, json!({"name": "嵩山队"})), (&volunteer.0, json!({"code": "v-7"}))] {
            let before = city.get(&membership.0).header("ETag").expect("an ETag").to_owned();
            assert_eq!(city.patch(path, "\"1\"", &change).status, 200, "{path}");
            assert_eq!(unless(&membership.0, &before).status, 200, "{path}");
        }

        // A write is decided by the record's own version: the ETag of then, of now, and the version alone are the same.
        for (etag, number) in [(hero.2.as_str(), "1"), ("\"2-2\"", "2"), ("\"3\"", "3"), ("W/\"4-1\"", "4")] {
            let written = city.patch(&hero.0, etag, &json!({"deed_place": number}));
            assert_eq!(written.status, 200, "{etag} {written:?}");
        }
        assert_eq!(city.get(&hero.0).header("ETag"), Some("\"5-2\""));
        assert_eq!(city.patch(&hero.0, "\"4-2\"", &json!({"deed_place": "5"})).code(), "stale_version");
        assert_eq!(city.patch(&hero.0, "\"-5\"", &json!({"deed_place": "5"})).code(), "malformed_request");
    });
}
