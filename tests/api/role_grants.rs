//! Role grants: by whom, to whom, where; and that what changes counts at once.

use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, Host, PASSWORD, SECRET, on_each_database};

fn organization(client: &Client<'_>, code: &str) -> String {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].as_str().expect("an organization").to_owned()
}

fn user(client: &Client<'_>, organization_id: &str, username: &str, more: Value) -> String {
    let mut body = json!({"organization_id": organization_id, "kind": "person", "username": username, "name": username,
        "initial_password": PASSWORD});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let answer = client.post("/api/v1/users", &body);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.id().to_owned()
}

fn grant(client: &Client<'_>, user_id: &str, role: &str, organization_id: Option<&str>) -> Answer {
    client.post("/api/v1/role-grants", &json!({"user_id": user_id, "role": role, "organization_id": organization_id}))
}

fn me(client: &Client<'_>) -> String {
    client.get("/api/v1/auth/me").id().to_owned()
}

#[test]
fn grants_stay_within_reach_and_fit_their_user() {
    on_each_database(|host| {
        let city = host.planted();
        let county = host.user("county", Role::OrgAdmin, Some("zz-dengfeng"));
        let (home, other, above) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"), organization(&city, "zz"));
        let clerk = user(&county, &home, "li.na", json!({}));
        let program = user(&county, &home, "importer", json!({"kind": "service", "initial_password": SECRET}));
        let foreign = user(&city, &other, "wang.wei", json!({}));

        assert_eq!(grant(&county, &clerk, "clerk", Some(&home)).status, 201);
        for organization in [&other, &above] {
            assert_eq!(grant(&county, &clerk, "clerk", Some(organization)).faults(), [("/organization_id", "unknown_reference")]);
        }
        assert_eq!(grant(&county, &foreign, "clerk", Some(&home)).faults(), [("/user_id", "unknown_reference")]);
        assert_eq!(grant(&county, &clerk, "clerk", None).faults(), [("/organization_id", "required")]);
        // To oneself, and what is the platform's.
        for (to, role, organization) in [
            (me(&county), "leader", Some(home.as_str())),
            (clerk.clone(), "platform_admin", None),
            (clerk.clone(), "platform_admin", Some(home.as_str())),
            (clerk.clone(), "province_viewer", Some(home.as_str())),
        ] {
            let answer = grant(&county, &to, role, organization);
            assert_eq!((answer.status, answer.code()), (403, "forbidden"), "{role}");
            assert!(answer.body["detail"].is_string(), "it says why");
        }
        // The role and the kind of the user.
        assert_eq!(grant(&county, &clerk, "service", Some(&home)).faults(), [("/role", "kind_mismatch")]);
        assert_eq!(grant(&county, &program, "clerk", Some(&home)).faults(), [("/role", "kind_mismatch")]);
        assert_eq!(grant(&county, &program, "service", Some(&home)).status, 201);
        assert_eq!(grant(&county, &clerk, "volunteer", Some(&home)).faults(), [("/user_id", "person_missing")]);
        let person = county.post("/api/v1/persons", &json!({"organization_id": home, "name": "赵一"}));
        let volunteer = user(&county, &home, "zhao.yi", json!({"person_id": person.id()}));
        assert_eq!(grant(&county, &volunteer, "volunteer", Some(&home)).status, 201);
        let backwards =
            json!({"user_id": clerk, "role": "leader", "organization_id": home, "from_on": "2022-02-01", "to_on": "2022-01-31"});
        assert_eq!(county.post("/api/v1/role-grants", &backwards).faults(), [("/to_on", "ends_before_it_begins")]);

        let list = |query: &str| county.get(&format!("/api/v1/role-grants?count=true&{query}")).body["total"].clone();
        assert_eq!(list("role=clerk"), 1);
        assert_eq!(list(&format!("user_id={program}")), 1);
        assert_eq!(list("as_at=2000-01-01"), 0);
        assert_eq!(list(&format!("organization_id={above}")), 4, "the county's own, of all under the city");
    });
}

#[test]
fn a_grant_that_is_given_ended_or_taken_counts_at_once() {
    on_each_database(|host| {
        let city = host.planted();
        let home = organization(&city, "zz-dengfeng");
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let id = me(&clerk);
        assert_eq!(clerk.get("/api/v1/persons").status, 200);
        let first = city.get(&format!("/api/v1/role-grants?user_id={id}")).body["items"][0].clone();
        let path = format!("/api/v1/role-grants/{}", first["id"].as_str().expect("an id"));
        assert_eq!(
            city.patch(&path, "\"1\"", &json!({"role": "leader", "user_id": me(&city)})).faults(),
            [("/user_id", "fixed"), ("/role", "fixed")]
        );
        let ended = city.patch(&path, "\"1\"", &json!({"from_on": "2022-01-01", "to_on": "2022-12-31"}));
        assert_eq!(ended.status, 200, "{ended:?}");
        assert_eq!(clerk.get("/api/v1/persons").status, 403);
        let again = grant(&city, &id, "clerk", Some(&home));
        assert_eq!(again.status, 201);
        assert_eq!(clerk.get("/api/v1/persons").status, 200);
        assert_eq!(city.delete(&format!("/api/v1/role-grants/{}", again.id())).status, 204);
        assert_eq!(clerk.get("/api/v1/persons").status, 403);

        // One's own are for others to change.
        let own = city.get(&format!("/api/v1/role-grants?user_id={}", me(&city))).body["items"][0].clone();
        let own = format!("/api/v1/role-grants/{}", own["id"].as_str().expect("an id"));
        assert_eq!(city.patch(&own, "\"1\"", &json!({"to_on": "2999-12-31"})).code(), "forbidden");
        assert_eq!(city.delete(&own).code(), "forbidden");
    });
}

#[test]
fn the_platform_keeps_an_administrator() {
    on_each_database(|host| {
        let first = host.user("first", Role::PlatformAdmin, None);
        let second =
            first.post("/api/v1/users", &json!({"kind": "service", "username": "second", "name": "second", "initial_password": SECRET}));
        assert_eq!(second.status, 201, "{second:?}");
        assert_eq!(grant(&first, second.id(), "platform_admin", None).faults(), [("/role", "kind_mismatch")]);
        let another = json!({"kind": "person", "username": "another", "name": "another", "initial_password": SECRET});
        let another = first.post("/api/v1/users", &another);
        assert_eq!(grant(&first, another.id(), "platform_admin", None).status, 201);
        let begun = host.sign_in_with("another", UserKind::Person, SECRET);
        let changed = begun.post("/api/v1/auth/password", &json!({"current_password": SECRET, "new_password": PASSWORD}));
        assert_eq!(changed.status, 204);

        // On another server, which remembers the first for a moment, the two disable each other.
        let elsewhere: Host = host.beside(&[]);
        let other = elsewhere.sign_in("first", UserKind::Person);
        let first_id = me(&other);
        assert_eq!(begun.send("POST", &format!("/api/v1/users/{first_id}/disable"), &[], None).status, 200);
        let back = other.send("POST", &format!("/api/v1/users/{}/disable", another.id()), &[], None);
        assert!(back.code() == "conflict" || back.code() == "invalid_token", "{back:?}");
        assert_eq!(begun.get("/api/v1/users").status, 200);
        let own = begun.get("/api/v1/role-grants?role=platform_admin").body["items"].clone();
        assert_eq!(own.as_array().map(Vec::len), Some(2));
    });
}

/// Who reads a city and writes in one of its counties is offered to write there, and nowhere else.
#[test]
fn what_may_be_done_is_told_where_it_may_be_done() {
    on_each_database(|host| {
        let city = host.planted();
        let (home, other, above) = (organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"), organization(&city, "zz"));
        let both = host.user("both", Role::Clerk, Some("zz-dengfeng"));
        assert_eq!(grant(&city, &me(&both), "auditor", Some(&above)).status, 201);
        let venue = |organization_id: &str| {
            let draft = json!({"organization_id": organization_id, "category": "venue", "kind": "square", "stage": "planned", "stage_on": "2022-06-17"});
            let made = city.post("/api/v1/publicity-assets", &draft);
            assert_eq!(made.status, 201, "{made:?}");
            made.id().to_owned()
        };
        let (own, foreign) = (venue(&home), venue(&other));
        let offered: Vec<(Value, Value)> = both.get("/api/v1/publicity-assets?sort=created_at").body["items"]
            .as_array()
            .expect("items")
            .iter()
            .map(|item| (item["id"].clone(), item["allowed_actions"].clone()))
            .collect();
        assert_eq!(offered, [(json!(own), json!(["update", "delete", "advance"])), (json!(foreign), json!([]))]);
        let at = |id: &str| format!("/api/v1/publicity-assets/{id}");
        assert_eq!(both.get(&at(&foreign)).body["allowed_actions"], json!([]));
        assert_eq!(both.patch(&at(&own), "\"1\"", &json!({"name": "见义勇为主题广场"})).status, 200);
        assert_eq!(both.patch(&at(&foreign), "\"1\"", &json!({"name": "见义勇为主题广场"})).status, 404);
    });
}
