//! Standards: checklists in versions. A published one never changes; who wants another revises it.

use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, on_each_database};
use crate::welfare::{made, organization};

pub const STANDARDS: &str = "/api/v1/standards";

pub fn done(answer: Answer) -> Answer {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

pub fn item(key: &str, weight: i32, kind: &str, maximum: Option<i32>, evidence: bool) -> Value {
    json!({"key": key, "name": format!("有{key}"), "weight": weight, "kind": kind, "maximum": maximum, "evidence_required": evidence})
}

/// Three items of 100 points in all: a sign that wants a photo, a drill of up to three points, five liaison officers.
pub fn draft(city: &Client<'_>, key: &str, subject: &str) -> Value {
    json!({"organization_id": organization(city, "zz"), "key": key, "title": "工作站“七个统一”标准", "subject": subject, "valid_months": 12,
        "levels": [{"name": "达标", "least_points": 60}, {"name": "优秀", "least_points": 90}],
        "items": [item("sign", 40, "yes_no", None, true), item("drill", 30, "score", Some(3), false),
            item("liaison", 30, "count", Some(5), false)]})
}

/// A published standard of the city's.
pub fn published(city: &Client<'_>, key: &str, subject: &str) -> Answer {
    let standard = made(city.post(STANDARDS, &draft(city, key, subject)));
    done(step(city, &standard, "publish"))
}

pub fn step(client: &Client<'_>, of: &Answer, action: &str) -> Answer {
    client.post(&format!("{STANDARDS}/{}/{action}", of.id()), &json!({}))
}

#[test]
fn a_standard_from_its_draft_to_the_next_version() {
    on_each_database(|host| {
        let city = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let county_admin = host.user("countyadmin", Role::OrgAdmin, Some("zz-dengfeng"));

        // All that is wrong is told at once.
        let mut wrong = draft(&city, "seven-unities", "workstation");
        wrong["items"] = json!([
            item("sign", 40, "yes_no", Some(1), true),
            item("sign", 30, "score", None, false),
            item("x", -1, "yes_no", None, false)
        ]);
        wrong["levels"] = json!([{"name": "达标", "least_points": 60}, {"name": "达标", "least_points": 6000}]);
        let refused = city.post(STANDARDS, &wrong);
        assert_eq!((refused.status, refused.faults()), (422, vec![("/items/2/weight", "too_small")]));
        wrong["items"][2]["weight"] = json!(10);
        let refused = city.post(STANDARDS, &wrong);
        let expected = [
            ("/items/0/maximum", "not_for_yes_no"),
            ("/items/1/key", "twice"),
            ("/items/1/maximum", "required"),
            ("/levels/1/name", "twice"),
            ("/levels/1/least_points", "beyond_the_maximum"),
        ];
        assert_eq!((refused.status, refused.faults()), (422, expected.to_vec()));
        let empty = city.post(
            STANDARDS,
            &json!({"organization_id": organization(&city, "zz"), "key": "k", "title": "空", "subject": "organization", "items": []}),
        );
        assert_eq!(empty.faults(), [("/items", "wrong_number")]);

        let first = made(city.post(STANDARDS, &draft(&city, "seven-unities", "workstation")));
        assert_eq!((&first.body["number"], &first.body["state"]), (&json!(1), &json!("draft")));
        let path = format!("{STANDARDS}/{}", first.id());
        let second_draft = city.post(STANDARDS, &draft(&city, "seven-unities", "workstation"));
        assert_eq!((second_draft.status, second_draft.code()), (409, "already_exists"));
        let renamed = done(city.patch(&path, "\"1\"", &json!({"title": "工作站标准"})));
        assert_eq!(city.patch(&path, "\"2\"", &json!({"key": "other"})).faults(), [("/key", "fixed")]);
        assert_eq!(renamed.body["items"][1]["maximum"], 3);

        // A county sees the city's standard, and finds it by its name; it writes none of it.
        let seen = clerk.get(&path);
        assert_eq!((seen.status, &seen.body["allowed_actions"]), (200, &json!([])));
        assert_eq!(clerk.get(&format!("{STANDARDS}?q=gzzbz&count=true")).body["total"], 1);
        assert_eq!(county_admin.patch(&path, "\"2\"", &json!({"title": "x"})).status, 404);
        assert_eq!(step(&county_admin, &first, "publish").status, 404);
        assert_eq!(step(&clerk, &first, "publish").status, 403);
        assert_eq!(clerk.post(STANDARDS, &draft(&city, "x", "workstation")).faults(), [("/organization_id", "unknown_reference")]);

        let published = done(step(&city, &first, "publish"));
        assert_eq!((&published.body["state"], &published.body["allowed_actions"]), (&json!("published"), &json!(["revise", "retire"])));
        let kept = city.patch(&path, "\"3\"", &json!({"title": "x"}));
        assert_eq!((kept.status, kept.code(), &kept.body["allowed_actions"]), (409, "step_not_allowed", &json!(["revise", "retire"])));
        assert_eq!(city.delete(&path).code(), "step_not_allowed");

        // Revised: the same content, the next number, another record; the published one goes on until the next is published.
        let next = done(step(&city, &first, "revise"));
        assert_ne!(next.id(), first.id());
        assert_eq!((&next.body["number"], &next.body["state"], &next.body["key"]), (&json!(2), &json!("draft"), &json!("seven-unities")));
        assert_eq!(next.body["items"], first.body["items"]);
        assert_eq!(step(&city, &first, "revise").code(), "already_exists");
        assert_eq!(city.get(&path).body["state"], "published");
        done(step(&city, &next, "publish"));
        assert_eq!(city.get(&path).body["state"], "retired");
        let standing = city.get(&format!("{STANDARDS}?key=seven-unities&state=published"));
        assert_eq!((standing.body["items"].as_array().map(Vec::len), &standing.body["items"][0]["number"]), (Some(1), &json!(2)));

        // Of a retired version the next is made too; a draft can be deleted, and its number is free again.
        let third = done(step(&city, &first, "revise"));
        assert_eq!(third.body["number"], 3);
        assert_eq!(city.delete(&format!("{STANDARDS}/{}", third.id())).status, 204);
        done(step(&city, &next, "retire"));
        assert_eq!(city.get(&format!("{STANDARDS}?key=seven-unities&state=published&count=true")).body["total"], 0);
        assert_eq!(city.get(&format!("{STANDARDS}?subject=workstation,organization&state=retired&count=true")).body["total"], 2);
    });
}
