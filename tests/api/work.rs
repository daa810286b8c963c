//! More of the year's work: policy documents, targets and what has been reached of them, who came to trainings, stations without a head.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, on_each_database};
use crate::welfare::{made, organization};

const DOCUMENTS: &str = "/api/v1/policy-documents";
const TARGETS: &str = "/api/v1/targets";
const ATTENDANCES: &str = "/api/v1/training-attendances";
const VACANCIES: &str = "/api/v1/reports/vacancies";

fn total(client: &Client<'_>, list: &str) -> Value {
    client.get(&format!("{list}{}count=true", if list.contains('?') { '&' } else { '?' })).body["total"].clone()
}

#[test]
fn a_policy_document_is_shared_below_until_another_takes_its_place() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let county = host.user("county", Role::Clerk, Some("zz-dengfeng"));
        let document = |number: &str, title: &str| {
            city.post(DOCUMENTS, &json!({"organization_id": zz, "number": number, "title": title, "issuer": "河南省人民政府办公厅", "issued_on": "2013-11-04"}))
        };
        assert_eq!(document("豫政办[2013]90号", "意见").faults(), [("/number", "invalid_document_number")]);
        let old = made(document("豫政办〔2013〕90号", "关于加强见义勇为人员权益保护的意见"));
        let taken = document("豫政办〔2013〕90号", "又一份");
        assert_eq!((taken.status, taken.faults()), (409, vec![("/number", "number_taken")]), "{taken:?}");
        let new = made(document("豫政办〔2022〕12号", "见义勇为人员奖励办法"));

        assert_eq!(total(&county, &format!("{DOCUMENTS}?q=quanyi&state=in_force")), 1);
        let path = format!("{DOCUMENTS}/{}", old.id());
        let seen = county.get(&path);
        assert_eq!((seen.status, &seen.body["allowed_actions"]), (200, &json!([])));
        assert_eq!(county.patch(&path, "\"1\"", &json!({"title": "改"})).status, 404, "it is the city's");

        let retire = |by: &str| city.post(&format!("{path}/retire"), &json!({"superseded_by_id": by}));
        assert_eq!(retire(old.id()).faults(), [("/superseded_by_id", "not_in_force")]);
        assert_eq!(retire("01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08").faults(), [("/superseded_by_id", "unknown_reference")]);
        let retired = retire(new.id());
        assert_eq!(
            (retired.status, &retired.body["state"], &retired.body["superseded_by_id"]),
            (200, &json!("superseded"), &json!(new.id()))
        );
        // Not in a circle; and what took another's place stays.
        let back = city.post(&format!("{DOCUMENTS}/{}/retire", new.id()), &json!({"superseded_by_id": old.id()}));
        assert_eq!(back.faults(), [("/superseded_by_id", "not_in_force")]);
        assert_eq!(city.delete(&format!("{DOCUMENTS}/{}", new.id())).code(), "still_referenced");
        assert_eq!(city.patch(&path, "\"2\"", &json!({"title": "改"})).code(), "step_not_allowed");
    });
}

#[test]
fn a_target_tells_what_has_been_reached_of_it() {
    on_each_database(|host| {
        let city = host.planted();
        let (zz, dengfeng) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"));
        let county = host.user("county", Role::Clerk, Some("zz-gaoxin"));
        made(
            city.post(
                "/api/v1/volunteer-teams",
                &json!({"organization_id": dengfeng, "base_kind": "other", "established_on": "2022-06-17"}),
            ),
        );
        let target = |indicator: &str, value: i64, phase: Value| {
            let draft = json!({"organization_id": zz, "indicator": indicator, "year": 2022, "value": value, "unit": "个", "phase": phase});
            made(city.post(TARGETS, &draft))
        };
        let progress = |of: &Answer| {
            let told = city.get(&format!("{TARGETS}/{}/progress", of.id()));
            assert_eq!(told.status, 200, "{told:?}");
            told.body
        };
        let teams = target("four_ones.volunteer_teams", 3, json!("pilot"));
        assert_eq!(teams.body["phase"], "pilot");
        assert_eq!(total(&city, &format!("{TARGETS}?phase=pilot,roll_out")), 1);
        let told = progress(&teams);
        assert_eq!((&told["reached"], &told["percent"], &told["precision"]), (&json!(1), &json!(33), &json!("exact")));
        assert_eq!(total(&city, told["records_url"].as_str().expect("an address")), 1, "the records behind it");
        // What is no figure, a standard that says itself what is wanted, and what nobody has told: unknown, and not zero.
        for unknown in ["一队一档", "organizations.staff_target_per_county", "training.liaison_attendances"] {
            let told = progress(&target(unknown, 5, Value::Null));
            assert_eq!((&told["reached"], &told["percent"], &told["precision"]), (&Value::Null, &Value::Null, &Value::Null), "{unknown}");
        }
        assert_eq!(county.get(&format!("{TARGETS}/{}/progress", teams.id())).status, 404);
        let wrong =
            city.post(TARGETS, &json!({"organization_id": zz, "indicator": "x", "year": 2022, "value": 1, "unit": "个", "phase": "later"}));
        assert_eq!(wrong.faults(), [("/phase", "unknown_entry")]);
    });
}

#[test]
fn who_came_twice_counts_as_two_attendances() {
    on_each_database(|host| {
        let city = host.planted();
        let (dengfeng, gaoxin) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let foreign = host.user("foreign", Role::Clerk, Some("zz-gaoxin"));
        let person = |name: &str| made(clerk.post("/api/v1/persons", &json!({"organization_id": dengfeng, "name": name}))).id().to_owned();
        let (zhao, qian) = (person("赵铁柱"), person("钱小满"));
        let training = json!({"organization_id": dengfeng, "kind": "liaison_training", "topic": "急救", "audience": "liaison_officers", "held_on": "2022-06-17", "attendances": 60});
        let training = made(clerk.post("/api/v1/trainings", &training));
        let came = |who: &str, day: &str, more: Value| {
            let mut draft = json!({"training_id": training.id(), "person_id": who, "attended_on": day});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            clerk.post(ATTENDANCES, &draft)
        };
        let first = made(came(&zhao, "2022-06-17", json!({})));
        assert_eq!(
            (&first.body["organization_id"], &first.body["times"], &first.body["person"]["name"]),
            (&dengfeng, &json!(1), &json!("赵铁柱"))
        );
        made(came(&zhao, "2022-06-18", json!({})));
        made(came(&qian, "2022-06-17", json!({"times": 2})));
        let again = came(&zhao, "2022-06-17", json!({}));
        assert_eq!((again.status, again.faults()), (409, vec![("/person_id", "already_attended")]), "{again:?}");
        assert_eq!(came(&zhao, "2100-01-01", json!({})).faults(), [("/attended_on", "in_the_future")]);
        assert_eq!(total(&clerk, &format!("{ATTENDANCES}?training_id={}", training.id())), 3);
        assert_eq!(total(&clerk, &format!("{ATTENDANCES}?person_id={zhao}&from=2022-06-18")), 1);
        assert_eq!(total(&foreign, ATTENDANCES), 0);
        assert_eq!(foreign.get(&format!("{ATTENDANCES}/{}", first.id())).status, 404);
        assert_eq!(clerk.get(&format!("/api/v1/trainings/{}", training.id())).body["attendances"], 60, "it says what it said");

        // Whoever came sees that of themselves, and of nobody else.
        host.user("walker", Role::Volunteer, Some("zz-gaoxin"));
        host.is_person("walker", &zhao);
        let walker = host.sign_in("walker", yiyong::auth::UserKind::Person);
        assert_eq!(total(&walker, ATTENDANCES), 2);

        // A training that is another county's takes its list along.
        assert_eq!(city.patch(&format!("/api/v1/trainings/{}", training.id()), "\"1\"", &json!({"organization_id": gaoxin})).status, 200);
        assert_eq!(total(&foreign, ATTENDANCES), 3);
        assert_eq!(city.delete(&format!("/api/v1/trainings/{}", training.id())).code(), "still_referenced");
    });
}

#[test]
fn days_without_a_head_are_counted_by_station() {
    on_each_database(|host| {
        let city = host.planted();
        let (dengfeng, gaoxin) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let county = host.user("county", Role::Clerk, Some("zz-dengfeng"));
        let station = |of: &Value, code: &str, more: Value| {
            let mut draft = json!({"code": code, "organization_id": of, "name": code, "host_kind": "police_station"});
            draft.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
            made(city.post("/api/v1/workstations", &draft)).id().to_owned()
        };
        let w1 = station(&dengfeng, "w1", json!({}));
        station(&dengfeng, "w2", json!({"established_on": "2022-12-22"}));
        station(&gaoxin, "w3", json!({"status": "closed"}));
        station(&gaoxin, "w4", json!({}));
        let person = |name: &str| made(city.post("/api/v1/persons", &json!({"organization_id": dengfeng, "name": name}))).id().to_owned();
        let (zhao, qian) = (person("赵铁柱"), person("钱小满"));
        let appointed =
            |who: &str, post: &str, from: &str, to: Value| {
                made(city.post(
                    "/api/v1/appointments",
                    &json!({"workstation_id": w1, "person_id": who, "post": post, "from_on": from, "to_on": to}),
                ))
            };
        appointed(&zhao, "station_head", "2021-01-01", json!("2022-03-01"));
        let head = appointed(&qian, "station_head", "2022-03-11", Value::Null);
        // A liaison officer is no head.
        appointed(&zhao, "liaison_officer", "2022-03-01", Value::Null);

        let told = |client: &Client<'_>, path: &str| {
            let told = client.get(path);
            assert_eq!(told.status, 200, "{told:?}");
            assert!(!told.body.to_string().contains("赵铁柱"), "nobody is named");
            told.body
        };
        let year = told(&city, &format!("{VACANCIES}/2022"));
        let days: Vec<(&str, i64, i64)> = year["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|one| {
                (one["code"].as_str().expect("a code"), one["days"].as_i64().expect("days"), one["vacant_days"].as_i64().expect("days"))
            })
            .collect();
        assert_eq!(days, [("w1", 365, 10), ("w2", 10, 10), ("w4", 365, 365)]);
        assert_eq!((&year["items"][0]["vacant_now"], &year["items"][1]["vacant_since"]), (&json!(false), &Value::Null));
        assert_eq!(year["counted_to"], "2022-12-31");

        // When the head leaves, the vacancy runs on, from that day.
        let left = city.patch(&format!("/api/v1/appointments/{}", head.id()), "\"1\"", &json!({"to_on": "2022-12-01"}));
        assert_eq!(left.status, 200, "{left:?}");
        let now = told(&city, &format!("{VACANCIES}/2022?organization_id={}", dengfeng.as_str().expect("an id")));
        let w1 = &now["items"][0];
        assert_eq!((&w1["vacant_days"], &w1["vacant_now"], &w1["vacant_since"]), (&json!(41), &json!(true), &json!("2022-12-01")));
        assert_eq!(now["items"].as_array().map(Vec::len), Some(2));

        // Page by page, in the order of the codes; and nothing beyond one's reach.
        let first = told(&city, &format!("{VACANCIES}/2022?limit=2"));
        let cursor = first["next_cursor"].as_str().expect("more");
        let rest = told(&city, &format!("{VACANCIES}/2022?limit=2&cursor={cursor}"));
        assert_eq!((&rest["items"][0]["code"], &rest["next_cursor"]), (&json!("w4"), &Value::Null));
        assert_eq!(told(&county, &format!("{VACANCIES}/2022"))["items"].as_array().map(Vec::len), Some(2));
        assert_eq!(county.get(&format!("{VACANCIES}/2022?organization_id={}", gaoxin.as_str().expect("an id"))).status, 404);
        assert_eq!(county.get(&format!("{VACANCIES}/1999")).code(), "invalid_parameter");
        let ahead = told(&city, &format!("{VACANCIES}/2100"));
        assert_eq!((&ahead["counted_to"], &ahead["items"][0]["days"]), (&Value::Null, &json!(0)));
    });
}
