//! Headers that every answer carries, origins that may read it, and the methods HEAD and TRACE.

use crate::hosts::{Answer, on_each_database};

/// Method, path, headers, body, and the status that it gets.
type Call<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Option<&'a [u8]>, u16);

fn sealed(what: &str, answer: &Answer) {
    assert_eq!(answer.header("X-Content-Type-Options"), Some("nosniff"), "{what}");
    assert_eq!(answer.header("Referrer-Policy"), Some("no-referrer"), "{what}");
    let policy = answer.header("Content-Security-Policy").unwrap_or_default();
    assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{what}: {policy}");
    assert!(answer.header("X-Request-Id").is_some_and(|id| id.len() >= 8), "{what}");
    assert_eq!(answer.header("Server"), None, "{what}");
    assert_eq!(answer.header("X-Powered-By"), None, "{what}");
}

#[test]
fn every_kind_of_answer_is_sealed() {
    on_each_database(|host| {
        let admin = host.planted();
        let list = "/api/v1/organizations";
        let one = format!("{list}/{}", admin.get(&format!("{list}?code=zz")).body["items"][0]["id"].as_str().expect("an id"));
        let json = [("Content-Type", "application/json")];
        let long = format!("/health/live?{}", "a".repeat(9000));
        let calls: &[Call<'_>] = &[
            ("GET", list, &[], None, 200),
            ("GET", &one, &[], None, 200),
            ("GET", &one, &[("If-None-Match", "\"1\"")], None, 304),
            ("GET", "/health/live", &[], None, 200),
            ("GET", "/docs", &[], None, 307),
            ("POST", list, &json, Some(b"{}"), 422),
            ("POST", list, &json, Some(b"{"), 400),
            ("PATCH", &one, &json, Some(b"{}"), 428),
            ("PUT", list, &json, Some(b"{}"), 405),
            ("TRACE", "/health/live", &[], None, 405),
            ("TRACE", list, &[], None, 405),
            ("GET", "/nowhere", &[], None, 404),
            ("GET", &long, &[], None, 414),
        ];
        for (method, path, headers, body, status) in calls {
            let answer = admin.send(method, path, headers, *body);
            assert_eq!(answer.status, *status, "{method} {path:.60}: {answer:?}");
            sealed(&format!("{method} {path:.60}"), &answer);
        }
        let nobody = host.nobody().get(list);
        assert_eq!(nobody.status, 401);
        sealed("401", &nobody);
        assert_eq!(admin.get(list).header("Cache-Control"), Some("no-store"));
        // What a caller calls its request is kept when it is harmless.
        let named = |id: &str| host.nobody().send("GET", "/health/live", &[("X-Request-Id", id)], None).header("X-Request-Id") == Some(id);
        assert!(named("walk-2026.11_24"));
        assert!(!named("x") && !named("a b c d e f g h") && !named(&"a".repeat(65)));
    });
}

#[test]
fn only_an_origin_that_is_listed_may_read() {
    on_each_database(|host| {
        let nobody = host.nobody();
        let from = |origin: &str| nobody.send("GET", "/health/live", &[("Origin", origin)], None);
        let ours = from("https://office.example.cn");
        assert_eq!((ours.status, ours.header("Access-Control-Allow-Origin")), (200, Some("https://office.example.cn")));
        assert_eq!(ours.header("Access-Control-Allow-Credentials"), None);
        let preflight = |origin: &str, method: &str| {
            let headers = [
                ("Origin", origin),
                ("Access-Control-Request-Method", method),
                ("Access-Control-Request-Headers", "authorization,content-type,if-match,idempotency-key"),
            ];
            nobody.send("OPTIONS", "/api/v1/organizations", &headers, None)
        };
        let asked = preflight("https://office.example.cn", "PATCH");
        assert_eq!((asked.status, asked.header("Access-Control-Allow-Origin")), (200, Some("https://office.example.cn")));
        assert!(asked.header("Access-Control-Allow-Methods").is_some_and(|methods| methods.contains("PATCH")));
        // A refusal is told to our own front end as well, or it could not show it.
        let refused = nobody.send("GET", "/api/v1/organizations", &[("Origin", "https://office.example.cn")], None);
        assert_eq!((refused.status, refused.header("Access-Control-Allow-Origin")), (401, Some("https://office.example.cn")));
        for origin in [
            "https://evil.example",
            "null",
            "http://office.example.cn",
            "https://office.example.cn.evil.example",
            "https://office.example.cn:8443",
            "https://servicewechat.com",
        ] {
            assert_eq!(from(origin).header("Access-Control-Allow-Origin"), None, "{origin}");
            assert_eq!(preflight(origin, "GET").header("Access-Control-Allow-Origin"), None, "{origin}");
        }
    });
}

/// What GET says, without its body.
#[test]
fn head_is_where_get_is() {
    on_each_database(|host| {
        let admin = host.planted();
        let list = "/api/v1/organizations";
        let one = format!("{list}/{}", admin.get(&format!("{list}?code=zz")).body["items"][0]["id"].as_str().expect("an id"));
        for path in ["/health/live", "/health/ready", "/api/v1/openapi.json", list, &one, "/docs/"] {
            let (get, head) = (
                admin.send("GET", path, &[("Accept-Encoding", "identity")], None),
                admin.send("HEAD", path, &[("Accept-Encoding", "identity")], None),
            );
            assert_eq!(head.status, 200, "{path}: {head:?}");
            assert!(head.body.is_null(), "{path}");
            for name in ["Content-Type", "Content-Length", "ETag"] {
                assert_eq!(head.header(name), get.header(name), "{path}: {name}");
            }
        }
        assert_eq!(admin.send("HEAD", "/nowhere", &[], None).status, 404);
        assert_eq!(host.nobody().send("HEAD", list, &[], None).status, 401);
        let login = admin.send("HEAD", "/api/v1/auth/login", &[], None);
        assert_eq!((login.status, login.header("Allow")), (405, Some("POST")));
    });
}
