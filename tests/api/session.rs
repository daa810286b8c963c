//! Signing in and out.

use serde_json::json;
use yiyong::policy::Role;

use crate::hosts::{PASSWORD, on_each_database};

#[test]
fn a_clerk_signs_in_renews_and_signs_out() {
    on_each_database(|host| {
        host.planted();
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let me = clerk.get("/api/v1/auth/me");
        assert_eq!(me.body["username"], "clerk");
        assert_eq!(me.body["grants"][0]["role"], "clerk");

        let nobody = host.nobody();
        let first = nobody.post("/api/v1/auth/login", &json!({"username": "clerk", "password": PASSWORD}));
        let refresh = |token: &str| nobody.post("/api/v1/auth/refresh", &json!({"refresh_token": token}));
        let old = first.body["refresh_token"].as_str().expect("a token").to_owned();
        let renewed = refresh(&old);
        assert_eq!(renewed.status, 200);
        // The answer got lost: the same successor comes again.
        assert_eq!(refresh(&old).body["refresh_token"], renewed.body["refresh_token"]);
        let newer = renewed.body["refresh_token"].as_str().expect("a token").to_owned();
        assert_ne!(old, newer);

        assert_eq!(clerk.send("POST", "/api/v1/auth/logout", &[], None).status, 204);
        let after = clerk.get("/api/v1/auth/me");
        assert_eq!((after.status, after.code()), (401, "invalid_token"));
        // The other session lives on, until its token is revoked.
        assert_eq!(nobody.post("/api/v1/auth/revoke", &json!({"refresh_token": newer})).status, 200);
        assert_eq!(nobody.post("/api/v1/auth/revoke", &json!({"refresh_token": "unknown"})).status, 200);
        assert_eq!(refresh(&newer).status, 401);
    });
}

/// An old refresh token in a second pair of hands ends the family: here the clock of the first use is set back.
#[test]
fn a_stolen_refresh_token_ends_the_session() {
    use diesel::prelude::*;
    use yiyong::schema::refresh_tokens::dsl::{refresh_tokens, used_at};
    use yiyong::types::Instant;
    on_each_database(|host| {
        host.planted();
        host.user("clerk", Role::Clerk, Some("zz"));
        let nobody = host.nobody();
        let login = nobody.post("/api/v1/auth/login", &json!({"username": "clerk", "password": PASSWORD}));
        let refresh = |token: &str| nobody.post("/api/v1/auth/refresh", &json!({"refresh_token": token}));
        let old = login.body["refresh_token"].as_str().expect("a token").to_owned();
        let newer = refresh(&old).body["refresh_token"].as_str().expect("a token").to_owned();
        host.service
            .db
            .run(false, |conn| {
                diesel::update(refresh_tokens.filter(used_at.is_not_null()))
                    .set(used_at.eq(Some(Instant::now().plus_seconds(-60))))
                    .execute(conn)?;
                Ok(())
            })
            .expect("set back");
        assert_eq!(refresh(&old).status, 401);
        assert_eq!(refresh(&newer).status, 401, "the honest holder signs in again");
    });
}

#[test]
fn a_wrong_password_and_an_unknown_user_look_alike() {
    on_each_database(|host| {
        host.planted();
        let nobody = host.nobody();
        let mut wrong = nobody.post("/api/v1/auth/login", &json!({"username": "cityadmin", "password": "not the password"}));
        let mut unknown = nobody.post("/api/v1/auth/login", &json!({"username": "somebody", "password": "not the password"}));
        for answer in [&mut wrong, &mut unknown] {
            assert_eq!((answer.status, answer.code()), (401, "invalid_credentials"));
            answer.body["request_id"] = "".into();
        }
        assert_eq!(wrong.body, unknown.body);
        for _ in 0..5 {
            nobody.post("/api/v1/auth/login", &json!({"username": "cityadmin", "password": "not the password"}));
        }
        let waits = nobody.post("/api/v1/auth/login", &json!({"username": "cityadmin", "password": PASSWORD}));
        assert_eq!((waits.status, waits.code()), (429, "too_many_requests"));
        assert!(waits.header("Retry-After").is_some());
    });
}

#[test]
fn a_new_password_must_be_good_and_ends_the_other_sessions() {
    on_each_database(|host| {
        let admin = host.planted();
        let other = host.sign_in("cityadmin", yiyong::auth::UserKind::Person);
        let change =
            |current: &str, new: &str| admin.post("/api/v1/auth/password", &json!({"current_password": current, "new_password": new}));
        assert_eq!(change(PASSWORD, "password1234").faults(), [("/new_password", "weak_password")]);
        assert_eq!(change("wrong", "黄河边上的第一声春雷响了").faults(), [("/current_password", "wrong_password")]);
        assert_eq!(change(PASSWORD, "黄河边上的第一声春雷响了").status, 204);
        assert_eq!(admin.get("/api/v1/auth/me").status, 200);
        assert_eq!(other.get("/api/v1/auth/me").status, 401);
    });
}

#[test]
fn what_is_wrong_is_said_in_both_languages() {
    on_each_database(|host| {
        let nobody = host.nobody();
        let json = ("Content-Type", "application/json");
        let login = |headers: &[(&str, &str)], body: &[u8]| nobody.send("POST", "/api/v1/auth/login", headers, Some(body));
        let empty = login(&[json], b"{}");
        assert_eq!((empty.status, empty.faults()), (422, vec![("/username", "required"), ("/password", "required")]));
        assert_eq!(empty.body["title"], "提交的内容有误");
        assert_eq!(login(&[json, ("Accept-Language", "en")], b"{}").body["title"], "The content is not valid");
        assert_eq!(
            login(&[json], b"{\"username\": 3, \"password\": \"x\", \"more\": 1}").faults(),
            [("/more", "unknown_field"), ("/username", "wrong_type")]
        );
        assert_eq!(login(&[json], b"{\"username\":").code(), "malformed_request");
        assert_eq!(login(&[json], b"{\"username\":\"a\",\"username\":\"b\"}").code(), "malformed_request");
        assert_eq!(login(&[("Content-Type", "text/plain")], b"{}").status, 415);
        assert_eq!(login(&[json], &vec![b' '; 1024 * 1024 + 1]).status, 413);
        assert_eq!(nobody.get("/api/v1/nothing").code(), "not_found");
        let put = nobody.send("PUT", "/api/v1/auth/login", &[], None);
        assert_eq!((put.status, put.header("Allow")), (405, Some("POST")));
        let header = [("Authorization", "Bearer nonsense")];
        assert_eq!(nobody.send("GET", "/api/v1/auth/me", &header, None).code(), "invalid_token");
    });
}
