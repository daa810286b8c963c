//! Signing in and out.

use serde_json::json;
use yiyong::policy::Role;

use crate::hosts::{Host, PASSWORD, on_each_database};

/// How many audit events there are of an action.
fn noted(host: &Host, wanted: &str) -> i64 {
    use diesel::prelude::*;
    use yiyong::schema::audit_events::dsl::{action, audit_events};
    host.service.db.run(true, |conn| Ok(audit_events.filter(action.eq(wanted)).count().get_result(conn)?)).expect("counted")
}

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
        let session = host.holding(login.body["access_token"].as_str().expect("a token"));
        assert_eq!(session.get("/api/v1/auth/me").status, 401, "the access token of the session ends with it");
        assert_eq!(noted(host, "refresh_reuse"), 1);
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

/// A key of tomorrow signs, that of yesterday still counts, and a server that knows only one takes only its own.
#[test]
fn the_signing_key_is_changed_without_signing_anybody_out() {
    on_each_database(|host| {
        let old = host.user("platform", Role::PlatformAdmin, None);
        let old_token = old.token.clone().expect("a token");
        let folder = tempfile::tempdir().expect("a folder");
        let (next, former) = (folder.path().join("next.pem"), host.keys.path().join("signing.pem"));
        std::fs::write(&next, yiyong::auth::Keys::generate_pem()).expect("written");
        let (next, former) = (next.display().to_string(), former.display().to_string());
        let rotated = host.beside(&[("YIYONG_SIGNING_KEY_FILE", &next), ("YIYONG_OTHER_SIGNING_KEY_FILES", &former)]);
        let kids = |host: &Host| -> Vec<String> {
            let keys = host.nobody().get("/.well-known/jwks.json").body["keys"].clone();
            keys.as_array().expect("keys").iter().map(|key| key["kid"].as_str().expect("a kid").to_owned()).collect()
        };
        let kid = |token: &str| {
            use base64::Engine as _;
            let head = token.split('.').next().expect("a header");
            let head = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(head).expect("base64");
            serde_json::from_slice::<serde_json::Value>(&head).expect("JSON")["kid"].as_str().expect("a kid").to_owned()
        };
        assert_eq!(kids(host), [kid(&old_token)]);
        assert_eq!(kids(&rotated).len(), 2);
        assert_eq!(rotated.holding(&old_token).get("/api/v1/auth/me").status, 200);
        let new = rotated.sign_in("platform", yiyong::auth::UserKind::Person);
        let new_token = new.token.clone().expect("a token");
        assert_eq!(new.get("/api/v1/auth/me").status, 200);
        assert_eq!(kids(&rotated), [kid(&new_token), kid(&old_token)]);
        assert_ne!(kid(&new_token), kid(&old_token));
        let refused = host.holding(&new_token).get("/api/v1/auth/me");
        assert_eq!((refused.status, refused.code()), (401, "invalid_token"), "its key is not known there");

        // A stolen key is taken back while the server runs, and so is what it was known to have signed.
        assert_eq!(rotated.service.auth.reread_keys(), Ok(false), "nothing has changed");
        std::fs::write(&former, "").expect("emptied");
        assert_eq!(rotated.service.auth.reread_keys(), Ok(true));
        assert_eq!(kids(&rotated), [kid(&new_token)]);
        assert_eq!(rotated.holding(&old_token).get("/api/v1/auth/me").code(), "invalid_token");
        assert_eq!(new.get("/api/v1/auth/me").status, 200);
        // The next key is published before it signs; a broken file changes nothing.
        std::fs::write(&former, yiyong::auth::Keys::generate_pem() + &yiyong::auth::Keys::generate_pem()).expect("written");
        assert_eq!(rotated.service.auth.reread_keys(), Ok(true));
        assert_eq!((kids(&rotated).len(), &kids(&rotated)[0]), (3, &kid(&new_token)));
        std::fs::write(&next, "not a key").expect("written");
        assert!(rotated.service.auth.reread_keys().is_err());
        assert_eq!(new.get("/api/v1/auth/me").status, 200);
    });
}

#[test]
fn a_wait_tells_nothing_about_who_exists() {
    on_each_database(|host| {
        host.planted();
        let nobody = host.nobody();
        let wrong = |username: &str| {
            let answer = nobody.post("/api/v1/auth/login", &json!({"username": username, "password": "not the password"}));
            (answer.status, answer.header("Retry-After").map(str::to_owned))
        };
        operator_makes(host, "clerk");
        let (known, unknown): (Vec<_>, Vec<_>) = (0..7).map(|_| (wrong("clerk"), wrong("nobody-here"))).unzip();
        assert_eq!(known.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [401, 401, 401, 401, 401, 401, 429]);
        assert_eq!(unknown.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [401, 401, 401, 401, 401, 401, 429]);
        assert!(known[6].1.is_some() && unknown[6].1.is_some());
        assert_eq!(noted(host, "login_failed"), 12);
    });
}

/// A user who has never signed in.
fn operator_makes(host: &Host, username: &str) {
    let user = yiyong::auth::operator::NewOperatorUser {
        username: username.into(),
        name: username.into(),
        kind: yiyong::auth::UserKind::Person,
        role: Role::Clerk,
        organization_code: Some("zz".into()),
        password: zeroize::Zeroizing::new(PASSWORD.to_owned()),
    };
    yiyong::auth::operator::create_user(&host.service.db, &user).expect("a user");
}

#[test]
fn who_fails_elsewhere_does_not_lock_the_owner_out() {
    on_each_database(|host| {
        host.planted();
        let host = host.beside(&[("YIYONG_TRUSTED_PROXIES", "127.0.0.1"), ("YIYONG_BEHIND_TLS", "true")]);
        let nobody = host.nobody();
        let login = |from: &str, password: &str| {
            let body = json!({"username": "cityadmin", "password": password}).to_string();
            let headers = [("Content-Type", "application/json"), ("X-Forwarded-For", from)];
            nobody.send("POST", "/api/v1/auth/login", &headers, Some(body.as_bytes())).status
        };
        assert_eq!(login("10.0.0.1", PASSWORD), 200);
        for _ in 0..6 {
            assert_eq!(login("10.0.0.9", "not the password"), 401);
        }
        assert_eq!(login("10.0.0.9", PASSWORD), 429);
        // What stands before the proxy's own word may be invented.
        assert_eq!(login("10.0.0.1, 10.0.0.9", PASSWORD), 429);
        assert_eq!(login("10.0.0.1", PASSWORD), 200);
    });
}

#[test]
fn an_address_that_fails_very_often_waits_whoever_it_names() {
    on_each_database(|host| {
        let nobody = host.nobody();
        let login = |n: usize| nobody.post("/api/v1/auth/login", &json!({"username": format!("name{n}"), "password": "x"})).status;
        // Meanwhile it may have recovered a few.
        let waited = (0..120).map(login).position(|status| status == 429);
        assert!(waited.is_some_and(|tries| tries >= 50), "{waited:?}");
    });
}

#[test]
fn there_is_no_default_account_and_one_first_administrator() {
    use yiyong::auth::operator::{NewOperatorUser, create_user};
    on_each_database(|host| {
        let nobody = host.nobody();
        for username in ["admin", "root", "platform"] {
            let answer = nobody.post("/api/v1/auth/login", &json!({"username": username, "password": username}));
            assert_eq!(answer.status, 401);
        }
        let make = |username: &str| {
            let user = NewOperatorUser {
                username: username.into(),
                name: username.into(),
                kind: yiyong::auth::UserKind::Person,
                role: Role::PlatformAdmin,
                organization_code: None,
                password: zeroize::Zeroizing::new(PASSWORD.to_owned()),
            };
            create_user(&host.service.db, &user).is_ok()
        };
        let made = std::thread::scope(|scope| {
            let racing: Vec<_> = ["first", "second", "third"].map(|name| scope.spawn(move || make(name))).into_iter().collect();
            racing.into_iter().filter_map(|thread| thread.join().ok()).filter(|made| *made).count()
        });
        assert_eq!(made, 1);
        assert!(!make("fourth"), "and none after it");
    });
}

#[test]
fn a_wrong_key_stops_the_start_with_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    let start = |name: &str, text: &str| {
        std::fs::write(&key, text).expect("written");
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_yiyong"))
            .arg("serve")
            .env_clear()
            .env("YIYONG_DATA_DIR", folder.path().join("data"))
            .env("YIYONG_BIND", "127.0.0.1:0")
            .env(name, &key)
            .output()
            .expect("run");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{told}");
        assert_eq!(told.lines().count(), 1, "{told}");
        told
    };
    assert!(start("YIYONG_DATA_KEY_FILE", "AAECAwQFBgcICQoLDA0ODw==").contains("exactly 32 bytes"));
    assert!(start("YIYONG_DATA_KEY_FILE", "").contains("YIYONG_DATA_KEY_FILE"));
    assert!(start("YIYONG_SIGNING_KEY_FILE", "not a key").contains("Ed25519"));
}
