//! Users: made, signed in, disabled, given a new password; and never by who could not have given what they hold.

use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, Host, PASSWORD, SECRET, on_each_database};

const INITIAL: &str = "嵩山上的月亮照着少林寺前";

fn organization(client: &Client<'_>, code: &str) -> String {
    client.get(&format!("/api/v1/organizations?code={code}")).body["items"][0]["id"].as_str().expect("an organization").to_owned()
}

fn draft(organization_id: &str, username: &str) -> Value {
    json!({"organization_id": organization_id, "kind": "person", "username": username, "name": format!("李{username}"),
        "initial_password": INITIAL})
}

fn made(client: &Client<'_>, draft: &Value) -> Answer {
    let answer = client.post("/api/v1/users", draft);
    assert_eq!(answer.status, 201, "{answer:?}");
    answer
}

fn login(host: &Host, username: &str, password: &str) -> Answer {
    host.nobody().post("/api/v1/auth/login", &json!({"username": username, "password": password}))
}

/// Everything that the database keeps of deeds, as text.
fn kept(host: &Host) -> String {
    use yiyong::schema::{audit_events, idempotency_keys};
    host.service
        .db
        .run(true, |conn| {
            let details: Vec<Option<String>> = audit_events::table.select(audit_events::detail).load(conn)?;
            let bodies: Vec<Vec<u8>> = idempotency_keys::table.select(idempotency_keys::body).load(conn)?;
            let bodies = bodies.iter().map(|body| String::from_utf8_lossy(body).into_owned());
            Ok(details.into_iter().flatten().chain(bodies).collect::<Vec<_>>().join("\n"))
        })
        .expect("read")
}

#[test]
fn a_new_clerk_changes_the_initial_password_and_then_works() {
    on_each_database(|host| {
        let admin = host.planted();
        let county = organization(&admin, "zz-dengfeng");
        let body = draft(&county, "li.na").to_string();
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "one")];
        let user = admin.send("POST", "/api/v1/users", &headers, Some(body.as_bytes()));
        assert_eq!(user.status, 201, "{user:?}");
        assert_eq!((&user.body["must_change_password"], &user.body["status"]), (&json!(true), &json!("active")));
        assert!(!user.body.to_string().contains("argon2"));
        assert!(admin.send("POST", "/api/v1/users", &headers, Some(body.as_bytes())).header("Idempotent-Replayed").is_some());
        let grant = json!({"user_id": user.id(), "role": "clerk", "organization_id": county});
        assert_eq!(admin.post("/api/v1/role-grants", &grant).status, 201);

        let first = login(host, "li.na", INITIAL);
        assert_eq!(first.body["must_change_password"], true);
        let renewed = host.nobody().post("/api/v1/auth/refresh", &json!({"refresh_token": first.body["refresh_token"]}));
        assert_eq!(renewed.body["must_change_password"], true);
        let clerk = host.holding(renewed.body["access_token"].as_str().expect("a token"));
        assert_eq!(clerk.get("/api/v1/persons").code(), "password_change_required");
        let change = clerk.post("/api/v1/auth/password", &json!({"current_password": INITIAL, "new_password": PASSWORD}));
        assert_eq!(change.status, 204, "{change:?}");
        assert_eq!(clerk.get("/api/v1/persons").status, 200);
        let again = login(host, "li.na", PASSWORD);
        assert_eq!(again.body["must_change_password"], false);

        // No password and no hash stands in the trail or beside an idempotency key.
        let kept = kept(host);
        assert!(kept.contains("li.na"));
        assert!(!kept.contains(INITIAL) && !kept.contains(PASSWORD) && !kept.contains("argon2"), "{kept}");
    });
}

#[test]
fn what_is_wrong_with_a_draft_is_said() {
    on_each_database(|host| {
        let admin = host.planted();
        let county = organization(&admin, "zz-dengfeng");
        let with = |changes: Value| {
            let mut body = draft(&county, "li.na");
            body.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
            admin.post("/api/v1/users", &body)
        };
        // Nothing that the service decides can be written.
        for field in ["status", "version", "created_by", "password_hash", "must_change_password", "failed_attempts", "id", "role"] {
            assert_eq!(with(json!({field: 1})).faults(), [(format!("/{field}").as_str(), "unknown_field")]);
        }
        assert_eq!(with(json!({"initial_password": null})).faults(), [("/initial_password", "required")]);
        assert_eq!(with(json!({"initial_password": "password2022"})).faults(), [("/initial_password", "weak_password")]);
        assert_eq!(with(json!({"initial_password": "well, li.na it is then"})).faults(), [("/initial_password", "weak_password")]);
        assert_eq!(with(json!({"username": "Li Na"})).faults(), [("/username", "invalid_username")]);
        assert_eq!(with(json!({"organization_id": null})).faults(), [("/organization_id", "required")]);
        let nowhere = "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08";
        assert_eq!(with(json!({"organization_id": nowhere})).faults(), [("/organization_id", "unknown_reference")]);
        assert_eq!(with(json!({"person_id": nowhere})).faults(), [("/person_id", "unknown_reference")]);
        assert_eq!(with(json!({"kind": "service"})).faults(), [("/initial_password", "weak_password")]);
        let client = with(json!({"kind": "service", "initial_password": SECRET}));
        assert_eq!((client.status, &client.body["must_change_password"]), (201, &json!(false)));
        let taken = with(json!({}));
        assert_eq!((taken.status, taken.faults()), (409, vec![("/username", "already_exists")]));
        let many: Vec<Value> = (0..21).map(|n| draft(&county, &format!("user{n}"))).collect();
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "many")];
        let many = admin.send("POST", "/api/v1/users/batch", &headers, Some(json!({"items": many}).to_string().as_bytes()));
        assert_eq!(many.faults(), [("/items", "too_many_items")]);

        let path = format!("/api/v1/users/{}", client.id());
        let patch = |changes: Value| admin.patch(&path, "\"1\"", &changes);
        assert_eq!(
            patch(json!({"kind": "person", "username": "other", "initial_password": SECRET})).faults(),
            [("/kind", "fixed"), ("/username", "fixed"), ("/initial_password", "fixed")]
        );
        assert_eq!(patch(json!({"status": "disabled"})).faults(), [("/status", "unknown_field")]);
        let renamed = patch(json!({"name": "导入程序"}));
        assert_eq!((renamed.status, &renamed.body["version"]), (200, &json!(2)));
        // Nobody refers to it yet.
        assert_eq!(admin.delete(&path).status, 204);
        assert_eq!(admin.get(&path).status, 404);
    });
}

#[test]
fn lists_are_narrowed_by_what_users_are_and_hold() {
    on_each_database(|host| {
        let admin = host.planted();
        let county = organization(&admin, "zz-dengfeng");
        let officer = made(&admin, &draft(&county, "li.na"));
        made(&admin, &draft(&county, "wang.wei"));
        let grant = json!({"user_id": officer.id(), "role": "welfare_officer", "organization_id": county});
        assert_eq!(admin.post("/api/v1/role-grants", &grant).status, 201);
        let later = json!({"user_id": officer.id(), "role": "clerk", "organization_id": county, "from_on": "2999-01-01"});
        assert_eq!(admin.post("/api/v1/role-grants", &later).status, 201);
        let found = |query: &str| {
            let answer = admin.get(&format!("/api/v1/users?count=true&{query}"));
            assert_eq!(answer.status, 200, "{answer:?}");
            answer.body["total"].as_i64().expect("a total")
        };
        for (query, number) in [
            ("", 3),
            ("role=welfare_officer", 1),
            ("role=clerk", 0),
            ("username=wang.wei", 1),
            ("q=%E6%9D%8Ew", 1),
            ("kind=service", 0),
            ("status=active", 3),
            ("organization_level=county", 2),
        ] {
            assert_eq!(found(query), number, "{query}");
        }
        assert_eq!(found(&format!("organization_id={county}")), 2);
        // The administrator of the platform, who is registered nowhere, is not the city's to see.
        assert_eq!(found("username=platform"), 0);
        let platform = host.sign_in("platform", UserKind::Person);
        assert_eq!(platform.get("/api/v1/users?username=platform&count=true").body["total"], 1);
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        assert_eq!(clerk.get("/api/v1/users").status, 403);
        let auditor = host.user("auditor", Role::Auditor, Some("zz-dengfeng"));
        assert_eq!(auditor.get("/api/v1/users?count=true").body["total"], 3);
        assert_eq!(auditor.post("/api/v1/users", &draft(&county, "x.y")).status, 403);
    });
}

#[test]
fn a_disabled_user_is_out_at_once_and_a_new_password_lets_in_again() {
    on_each_database(|host| {
        let admin = host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let id = clerk.get("/api/v1/auth/me").id().to_owned();
        let step = |step: &str| admin.send("POST", &format!("/api/v1/users/{id}/{step}"), &[], None);
        assert_eq!(clerk.get("/api/v1/persons").status, 200);
        let disabled = step("disable");
        assert_eq!((disabled.status, &disabled.body["status"]), (200, &json!("disabled")));
        assert_eq!(clerk.get("/api/v1/persons").status, 401);
        assert_eq!(login(host, "clerk", PASSWORD).code(), "invalid_credentials");
        let twice = step("disable");
        assert_eq!((twice.status, twice.code()), (409, "step_not_allowed"));
        assert_eq!(step("enable").status, 200);
        // The old session stays ended.
        assert_eq!(clerk.get("/api/v1/persons").status, 401);
        let clerk = host.sign_in("clerk", UserKind::Person);
        for _ in 0..6 {
            login(host, "clerk", "not the password");
        }
        let reset = |password: &str| admin.post(&format!("/api/v1/users/{id}/reset-password"), &json!({"new_password": password}));
        assert_eq!(reset("password1234").faults(), [("/new_password", "weak_password")]);
        let done = reset(INITIAL);
        assert_eq!((done.status, &done.body["must_change_password"]), (200, &json!(true)));
        assert_eq!(clerk.get("/api/v1/persons").status, 401);
        // At another server the wait after failures stood in the database, and is gone.
        let elsewhere = host.beside(&[]);
        assert_eq!(login(&elsewhere, "clerk", PASSWORD).status, 401);
        assert_eq!(login(&elsewhere, "clerk", INITIAL).body["must_change_password"], true);
        let referred = admin.delete(&format!("/api/v1/users/{id}"));
        assert_eq!((referred.status, referred.code()), (409, "still_referenced"));
        let kept = kept(host);
        assert!(!kept.contains(INITIAL) && !kept.contains("argon2"));
    });
}

/// A county's administrator doesn't become a city's officer by giving that officer a new password.
#[test]
fn nobody_changes_who_holds_more_than_they_could_give() {
    on_each_database(|host| {
        let city = host.planted();
        let county = host.user("county", Role::OrgAdmin, Some("zz-dengfeng"));
        let (home, above) = (organization(&city, "zz-dengfeng"), organization(&city, "zz"));
        let officer = made(&city, &draft(&home, "li.na"));
        let path = format!("/api/v1/users/{}", officer.id());
        // All in hand so far: the county's own.
        assert_eq!(county.patch(&path, "\"1\"", &json!({"name": "李娜娜"})).status, 200);
        let grant = |client: &Client<'_>, role: &str, organization: &str, from: &str| {
            let body = json!({"user_id": officer.id(), "role": role, "organization_id": organization, "from_on": from});
            client.post("/api/v1/role-grants", &body)
        };
        assert_eq!(grant(&county, "clerk", &home, "2022-01-01").status, 201);
        let denied = || {
            for answer in [
                county.patch(&path, "\"2\"", &json!({"name": "李娜"})),
                county.delete(&path),
                county.send("POST", &format!("{path}/disable"), &[], None),
                county.post(&format!("{path}/reset-password"), &json!({"new_password": PASSWORD})),
            ] {
                // A user with grants is referred to before anything else is asked.
                assert!(answer.code() == "forbidden" || answer.code() == "still_referenced", "{answer:?}");
            }
        };
        // From a day to come it counts as well.
        let later = grant(&city, "finance", &above, "2999-01-01");
        assert_eq!(later.status, 201, "{later:?}");
        denied();
        let later = format!("/api/v1/role-grants/{}", later.id());
        assert_eq!(county.delete(&later).status, 404, "nor is that grant the county's to take");
        assert_eq!(city.delete(&later).status, 204);
        // A role of the platform on the county itself is no less.
        let platform = host.sign_in("platform", UserKind::Person);
        let viewer = grant(&platform, "province_viewer", &home, "2022-01-01");
        assert_eq!(viewer.status, 201, "{viewer:?}");
        denied();
        assert_eq!(platform.delete(&format!("/api/v1/role-grants/{}", viewer.id())).status, 204);
        assert_eq!(county.post(&format!("{path}/reset-password"), &json!({"new_password": PASSWORD})).status, 200);

        // One's own account, and those of others.
        let me = county.get("/api/v1/auth/me").id().to_owned();
        let own = county.post(&format!("/api/v1/users/{me}/reset-password"), &json!({"new_password": INITIAL}));
        assert_eq!((own.status, own.code()), (403, "forbidden"));
        assert_eq!(county.send("POST", &format!("/api/v1/users/{me}/disable"), &[], None).status, 403);
        let other = city.get("/api/v1/auth/me").id().to_owned();
        assert_eq!(county.get(&format!("/api/v1/users/{other}")).status, 404);
        assert_eq!(county.send("POST", &format!("/api/v1/users/{other}/disable"), &[], None).status, 404);
    });
}
