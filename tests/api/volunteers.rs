//! Volunteers: one person each, written along or named, found by name, imported and imported again.

use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::policy::Role;

use crate::hosts::{Client, on_each_database};

const VOLUNTEERS: &str = "/api/v1/volunteers";
const PERSONS: &str = "/api/v1/persons";

fn organization(client: &Client<'_>, code: &str) -> Value {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].clone()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02X}")).collect()
}

/// The volunteer numbers of a list.
fn codes(client: &Client<'_>, query: &str) -> Vec<String> {
    let page = client.get(&format!("{VOLUNTEERS}?sort=created_at&{query}"));
    assert_eq!(page.status, 200, "{page:?}");
    page.body["items"].as_array().expect("items").iter().map(|v| v["code"].as_str().expect("a code").to_owned()).collect()
}

fn counts(body: &Value) -> [i64; 4] {
    ["rows_created", "rows_updated", "rows_unchanged", "rows_failed"].map(|k| body[k].as_i64().unwrap_or(-1))
}

/// Row, column and code of each fault of an import.
fn told(body: &Value) -> Vec<(u64, &str, &str)> {
    let faults = body["faults"].as_array().expect("faults");
    let mut told: Vec<_> = faults
        .iter()
        .map(|f| (f["row"].as_u64().expect("a row"), f["column"].as_str().unwrap_or(""), f["code"].as_str().expect("a code")))
        .collect();
    told.sort_unstable();
    told
}

#[test]
fn a_person_written_along_or_named_is_one_volunteer() {
    on_each_database(|host| {
        let city = host.planted();
        let dengfeng = organization(&city, "zz-dengfeng");
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let draft = |code: &str, person: Value| {
            let mut draft = json!({"code": code, "organization_id": dengfeng, "sector": "delivery", "registered_on": "2022-03-05"});
            draft.as_object_mut().expect("an object").extend(person.as_object().expect("an object").clone());
            draft
        };
        let wrong = clerk.post(
            VOLUNTEERS,
            &draft("v1", json!({"person": {"name": "王小明", "phone": "12800138000", "id_number": "41010519850617001X", "age": 3}})),
        );
        assert_eq!(
            wrong.faults(),
            [("/person/age", "unknown_field"), ("/person/id_number", "checksum_mismatch"), ("/person/phone", "invalid_phone")]
        );
        let wrong = clerk.post(
            VOLUNTEERS,
            &draft("v1", json!({"person": {"name": "王小明", "phone": "12800138000", "id_number": "410105198506170011"}})),
        );
        let mut faults = wrong.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/person/id_number", "checksum_mismatch"), ("/person/phone", "invalid_phone")]);
        assert_eq!(clerk.post(VOLUNTEERS, &draft("v1", json!({}))).faults(), [("/person", "required")]);
        assert_eq!(clerk.get(&format!("{PERSONS}?count=true")).body["total"], 0, "a refusal leaves nobody behind");

        let made = clerk.post(
            VOLUNTEERS,
            &draft("v1", json!({"person": {"name": "王小明", "phone": "+86 138-0013-8000", "id_number": "41010519850617018x"}})),
        );
        assert_eq!(made.status, 201, "{made:?}");
        let person = &made.body["person"];
        assert_eq!((&person["name"], &person["gender"]), (&json!("王小明"), &json!("female")));
        assert_eq!((&person["id_number_masked"], &person["phone_masked"]), (&json!("410***********018X"), &json!("138****8000")));
        assert_eq!((&made.body["status"], &made.body["registered_on_precision"]), (&json!("active"), &json!("exact")));
        let person_path = format!("{PERSONS}/{}", person["id"].as_str().expect("an id"));
        assert_eq!(clerk.get(&person_path).body["organization_id"], dengfeng);
        let both = clerk.post(VOLUNTEERS, &draft("v2", json!({"person_id": person["id"], "person": {"name": "王小明"}})));
        assert_eq!(both.faults(), [("/person", "named_and_written")]);

        // Known by the ID number, and known as a volunteer: each says as whom.
        let known = clerk.post(VOLUNTEERS, &draft("v2", json!({"person": {"name": "王晓明", "id_number": "41010519850617018X"}})));
        assert_eq!((known.status, known.code(), &known.body["person_id"]), (409, "already_exists", &person["id"]));
        assert_eq!(known.faults(), [("/person/id_number", "person_exists")]);
        let message = known.body["errors"][0]["message"].as_str().expect("a message");
        assert!(
            message.contains(person["code"].as_str().expect("a code")) && message.contains(person["id"].as_str().expect("an id")),
            "{message}"
        );
        let twice = clerk.post(VOLUNTEERS, &draft("v2", json!({"person_id": person["id"]})));
        assert_eq!((twice.status, twice.faults()), (409, vec![("/person_id", "person_is_volunteer")]));
        assert!(twice.body["errors"][0]["message"].as_str().is_some_and(|m| m.contains("v1")), "{twice:?}");
        let named = clerk.post(PERSONS, &json!({"organization_id": dengfeng, "name": "李四"})).body["id"].clone();
        assert_eq!(clerk.post(VOLUNTEERS, &draft("v3", json!({"person_id": named}))).body["person"]["name"], "李四");
        // Among many, the known ones are faults of their rows.
        let batch = json!({"items": [draft("v4", json!({"person": {"name": "新人"}})), draft("v5", json!({"person_id": named}))]});
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "many")];
        let refused = clerk.send("POST", &format!("{VOLUNTEERS}/batch"), &headers, Some(batch.to_string().as_bytes()));
        assert_eq!((refused.status, refused.faults()), (422, vec![("/items/1/person_id", "person_is_volunteer")]));

        // What is patched of the person is the person's change; what is only spelt otherwise is none.
        let path = format!("{VOLUNTEERS}/{}", made.id());
        let same = clerk.patch(&path, "\"1\"", &json!({"person": {"id_number": " 41010519850617018x", "phone": "+86 13800138000"}}));
        assert_eq!((same.status, &same.body["version"]), (200, &json!(1)), "{same:?}");
        let headers = [("Content-Type", "application/json"), ("If-Match", "\"1\""), ("X-HTTP-Method-Override", "PATCH")];
        let changed = clerk.send("POST", &path, &headers, Some(json!({"person": {"phone": "13800138001"}}).to_string().as_bytes()));
        assert_eq!(
            (changed.status, &changed.body["version"], &changed.body["person"]["phone_masked"]),
            (200, &json!(2), &json!("138****8001"))
        );
        let after = clerk.get(&person_path);
        assert_eq!(
            (&after.body["version"], &after.body["phone_masked"], &after.body["id_number_masked"]),
            (&json!(2), &json!("138****8001"), &person["id_number_masked"])
        );
        assert_eq!(clerk.patch(&path, "\"2\"", &json!({"person": {"phone": "1"}})).faults(), [("/person/phone", "invalid_phone")]);
        assert_eq!(clerk.patch(&path, "\"2\"", &json!({"person": null})).faults(), [("/person", "required")]);
        assert_eq!(clerk.patch(&path, "\"2\"", &json!({"person_id": named})).faults(), [("/person_id", "fixed")]);
        assert_eq!(clerk.patch(&path, "\"2\"", &json!({"left_on": "2023-01-01"})).faults(), [("/left_on", "status_and_date_disagree")]);
        assert_eq!(clerk.patch(&path, "\"2\"", &json!({"status": "left", "left_on": "2023-01-01"})).status, 200);
        assert_eq!(codes(&clerk, "as_at=2022-12-31"), ["v1", "v3"]);
        assert_eq!(codes(&clerk, "as_at=2023-12-31"), ["v3"]);
        assert_eq!(codes(&clerk, "status=left,suspended"), ["v1"]);
        assert_eq!(codes(&clerk, "registered_from=2022-03-06"), Vec::<String>::new());
        assert_eq!(codes(&clerk, "registered_to=2022-03-05&sector=delivery,taxi"), ["v1", "v3"]);
        assert_eq!(clerk.delete(&person_path).code(), "still_referenced");
        // The figure counts who served on the year's last day.
        for (year, value) in [(2021, 0), (2022, 2), (2023, 1)] {
            let figure = city.get(&format!("/api/v1/figures/four_ones.volunteers?year={year}"));
            assert_eq!((figure.status, &figure.body["value"]), (200, &json!(value)), "{year}");
        }
        assert_eq!(clerk.delete(&path).status, 204);
        assert_eq!(codes(&clerk, &format!("q={}", encoded("王"))), Vec::<String>::new());

        // Another county sees none of it, and registers no stranger.
        let foreign = host.user("foreign", Role::Clerk, Some("zz-gaoxin"));
        let gaoxin = organization(&city, "zz-gaoxin");
        assert_eq!(codes(&foreign, ""), Vec::<String>::new());
        let v3 = clerk.get(&format!("{VOLUNTEERS}?code=v3")).body["items"][0]["id"].as_str().expect("an id").to_owned();
        assert_eq!(foreign.get(&format!("{VOLUNTEERS}/{v3}")).status, 404);
        assert_eq!(foreign.patch(&format!("{VOLUNTEERS}/{v3}"), "\"1\"", &json!({"sector": "taxi"})).status, 404);
        let stolen = foreign
            .post(VOLUNTEERS, &json!({"organization_id": dengfeng, "sector": "taxi", "registered_on": "2022-01-01", "person_id": named}));
        let mut faults = stolen.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/organization_id", "unknown_reference"), ("/person_id", "unknown_reference")]);
        let hidden = foreign.post(VOLUNTEERS, &json!({"organization_id": gaoxin, "sector": "taxi", "registered_on": "2022-01-01", "person": {"name": "某", "id_number": "41010519850617018X"}}));
        assert_eq!((hidden.status, hidden.body.get("person_id")), (409, None));
    });
}

#[test]
fn an_import_with_people_told_cell_by_cell_and_a_second_run_changes_nothing() {
    on_each_database(|host| {
        let city = host.planted();
        let client = host.user("importer", Role::Service, Some("zz"));
        let good = "志愿者编号,所属协会编码,姓名,性别,身份证号,手机号,所属行业,注册日期,注册日期精度\n\
                    v1,zz-dengfeng,张伟明,男,410105198506170016,+86 140 0000 0001,环卫,2022-12-31,不晚于当日\n\
                    v2,zz-dengfeng,张三,,41010519850617018x,14000000002,快递,2022-05-01,\n\
                    v3,zz-gaoxin,李伟,男,,,机关,2022-05-01,\n";
        let upsert = |csv: &str| client.import("volunteers", csv.as_bytes(), &[("mode", "upsert")]);
        let dry = client.import("volunteers", good.as_bytes(), &[("dry_run", "true")]);
        assert_eq!((counts(&dry.body), &dry.body["outcome"]), ([3, 0, 0, 0], &json!("would_complete")), "{dry:?}");
        assert_eq!(client.get(&format!("{PERSONS}?count=true")).body["total"], 0, "a dry run leaves nothing");
        let first = upsert(good);
        assert_eq!((first.status, counts(&first.body)), (201, [3, 0, 0, 0]), "{first:?}");
        assert_eq!(counts(&upsert(good).body), [0, 0, 3, 0], "the same again is no change, however it is spelt");
        assert_eq!(counts(&upsert(&good.replace("14000000002", "14000000009")).body), [0, 1, 2, 0]);
        assert_eq!(client.get(&format!("{VOLUNTEERS}?code=v2")).body["items"][0]["person"]["phone_masked"], "140****0009");
        assert_eq!(client.get(&format!("{PERSONS}?count=true")).body["total"], 3);

        // Each wrong cell is named, and a known person by the code that the file may give instead.
        let wrong = "code,organization_code,person_code,name,id_number,phone,sector,registered_on\n\
                     w1,zz-dengfeng,,甲,410105198506170011,1,taxi,2022-01-01\n\
                     w2,zz-dengfeng,,乙,410105198506170016,,taxi,2022-01-01\n\
                     w3,zz-dengfeng,nobody,,,,taxi,2022-01-01\n\
                     w4,zz-dengfeng,,,,,navy,2022-13-01\n\
                     w5,zz-dengfeng,,丙,,14000000005,taxi,2022-01-01\n\
                     w6,zz-dengfeng,,,,,taxi,2022-01-01\n\
                     w7,zz-dengfeng,,丁,11010519491231002X,,taxi,2022-01-01\n\
                     w8,zz-dengfeng,,戊,11010519491231002x,,taxi,2022-01-01\n";
        let refused = client.import("volunteers", wrong.as_bytes(), &[]);
        assert_eq!(refused.status, 422, "{refused:?}");
        assert_eq!(
            told(&refused.body),
            [
                (2, "id_number", "checksum_mismatch"),
                (2, "phone", "invalid_phone"),
                (3, "id_number", "person_exists"),
                (4, "person_code", "unknown_reference"),
                (5, "registered_on", "invalid_date"),
                (5, "sector", "unknown_entry"),
                (7, "person", "required"),
                (9, "id_number", "person_exists"),
            ]
        );
        let known = client.get(&format!("{VOLUNTEERS}?code=v1")).body["items"][0]["person"]["code"].as_str().expect("a code").to_owned();
        let message = refused.body["faults"][2]["message"].as_str().expect("a message");
        assert!(message.contains(&known), "{message}");
        assert_eq!(codes(&client, ""), ["v1", "v2", "v3"], "with abort nothing is kept");
        let skipped = client.import("volunteers", wrong.as_bytes(), &[("on_error", "skip")]);
        assert_eq!(counts(&skipped.body), [2, 0, 0, 6], "{skipped:?}");

        // A name is found by one, two and three characters, and after a change under the new one only.
        let found = |q: &str| codes(&client, &format!("q={}", encoded(q)));
        assert_eq!(found("张"), ["v1", "v2"]);
        assert_eq!(found("伟"), ["v1", "v3"]);
        assert_eq!(found("张伟"), ["v1"]);
        assert_eq!(found("张伟明"), ["v1"]);
        assert_eq!(found("明张"), Vec::<String>::new());
        let person = client.get(&format!("{VOLUNTEERS}?code=v1")).body["items"][0]["person"]["id"].as_str().expect("an id").to_owned();
        assert_eq!(city.patch(&format!("{PERSONS}/{person}"), "\"1\"", &json!({"name": "欧阳修"})).status, 200);
        assert_eq!((found("张"), found("欧阳修"), found("阳")), (vec!["v2".to_owned()], vec!["v1".to_owned()], vec!["v1".to_owned()]));
    });
}

/// A file that brings people who are registered already makes no doubles of them, and guesses nothing.
#[test]
fn an_import_knows_who_is_registered() {
    on_each_database(|host| {
        let city = host.planted();
        let persons = "code,organization_code,name,gender,id_number,phone\n\
                       p1,zz-dengfeng,张三,male,410105198506170016,14000000001\n\
                       p2,zz-dengfeng,李四,,,14000000002\n\
                       p3,zz-dengfeng,李四,,,14000000002\n";
        assert_eq!(counts(&city.import("persons", persons.as_bytes(), &[]).body), [3, 0, 0, 0]);
        let header = "code,organization_code,name,gender,id_number,phone,sector,registered_on\n";
        let row = |code: &str, person: &str| format!("{code},zz-dengfeng,{person},taxi,2022-05-01\n");
        let file = header.to_owned()
            + &row("v1", "张三,,410105198506170016,")
            + &row("v2", "李四,,,14000000002")
            + &row("v3", "李四,,,14000000003")
            + &row("v4", "王五,,410105198506170016,");
        let refused = city.import("volunteers", file.as_bytes(), &[]);
        assert_eq!(told(&refused.body), [(3, "name", "ambiguous_person"), (5, "id_number", "person_exists")], "{refused:?}");
        let message = refused.body["faults"][0]["message"].as_str().expect("a message");
        assert!(message.contains("p2、p3"), "{message}");
        let right = header.to_owned() + &row("v1", "张三,男,410105198506170016,14000000001") + &row("v3", "李四,,,14000000003");
        assert_eq!(counts(&city.import("volunteers", right.as_bytes(), &[]).body), [2, 0, 0, 0]);
        assert_eq!(city.get(&format!("{VOLUNTEERS}?code=v1")).body["items"][0]["person"]["code"], "p1");
        assert_eq!(city.get(&format!("{PERSONS}?count=true")).body["total"], 4);
        // What the file says otherwise of somebody who is known is for people to settle.
        let other = header.to_owned() + &row("v9", "张三,female,410105198506170016,") + &row("v8", "张三,,410105198506170016,14000000009");
        let refused = city.import("volunteers", other.as_bytes(), &[]);
        assert_eq!(told(&refused.body), [(2, "gender", "registered_otherwise"), (3, "phone", "registered_otherwise")], "{refused:?}");
    });
}

#[test]
fn a_volunteer_sees_themself_and_nobody_else() {
    use diesel::prelude::*;
    use yiyong::schema::users;

    on_each_database(|host| {
        let city = host.planted();
        let csv =
            "code,organization_code,name,sector,registered_on\nv1,zz-dengfeng,张三,taxi,2022-01-01\nv2,zz-dengfeng,李四,taxi,2022-01-01\n";
        assert_eq!(counts(&city.import("volunteers", csv.as_bytes(), &[]).body), [2, 0, 0, 0]);
        let of = |code: &str| city.get(&format!("{VOLUNTEERS}?code={code}")).body["items"][0].clone();
        host.user("zhangsan", Role::Volunteer, Some("zz-dengfeng"));
        let person: yiyong::types::Id = of("v1")["person"]["id"].as_str().expect("an id").parse().expect("an id");
        host.service
            .db
            .run(false, |conn| {
                diesel::update(users::table.filter(users::username.eq("zhangsan"))).set(users::person_id.eq(person)).execute(conn)?;
                Ok(())
            })
            .expect("linked");
        let own = host.sign_in("zhangsan", UserKind::Person);
        assert_eq!(codes(&own, ""), ["v1"]);
        let (dengfeng, gaoxin) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        for path in [VOLUNTEERS, PERSONS] {
            let total =
                |of: &Value| own.get(&format!("{path}?count=true&organization_id={}", of.as_str().expect("an id"))).body["total"].clone();
            assert_eq!((total(&dengfeng), total(&gaoxin)), (json!(1), json!(0)), "{path}");
            assert_eq!(own.get(&format!("{path}?count=true&organization_level=city")).body["total"], 0, "{path}");
        }
        assert_eq!(own.get(&format!("{VOLUNTEERS}/{}", of("v1")["id"].as_str().expect("an id"))).status, 200);
        assert_eq!(own.get(&format!("{VOLUNTEERS}/{}", of("v2")["id"].as_str().expect("an id"))).status, 404);
        assert_eq!(
            own.patch(&format!("{VOLUNTEERS}/{}", of("v1")["id"].as_str().expect("an id")), "\"1\"", &json!({"sector": "other"})).code(),
            "forbidden"
        );
    });
}

/// Whatever is wrong is told at once: shapes, numbers and what several fields say together.
#[test]
fn all_faults_come_together() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = city.get("/api/v1/organizations?code=zz").body["items"][0]["id"].clone();
        let person = json!({"name": "", "gender": "male", "id_number": "410105198506170011", "phone": "123"});
        let answer = city.post(
            "/api/v1/volunteers",
            &json!({"organization_id": zz, "person": person, "sector": "x", "registered_on": "2022-13-01", "more": 1}),
        );
        let mut faults = answer.faults();
        faults.sort_unstable();
        let expected = [
            ("/more", "unknown_field"),
            ("/person/id_number", "checksum_mismatch"),
            ("/person/name", "too_short"),
            ("/person/phone", "invalid_phone"),
            ("/registered_on", "invalid_date"),
            ("/sector", "unknown_entry"),
        ];
        assert_eq!(faults, expected, "{answer:?}");
        let answer = city.post(
            "/api/v1/users",
            &json!({"organization_id": zz, "username": "Zhang", "name": "张", "kind": "person", "initial_password": "123456"}),
        );
        let mut faults = answer.faults();
        faults.sort_unstable();
        assert_eq!(faults, [("/initial_password", "weak_password"), ("/username", "invalid_username")], "{answer:?}");
    });
}
