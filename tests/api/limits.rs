//! The limits of a request's head and of the time that it may take, over a bare socket: a client library would not
//! send these.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::hosts::{Host, on_each_database, on_each_database_with};

fn connected(host: &Host) -> TcpStream {
    TcpStream::connect(host.base.trim_start_matches("http://")).expect("connected")
}

/// Everything that comes back until the server closes: the status, and the problem where there is one.
fn heard(stream: &mut TcpStream) -> (u16, Value) {
    let mut bytes = Vec::new();
    // A server that refuses may close before it has read everything: what came before that counts.
    let _ = stream.read_to_end(&mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let status = text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
    (status, serde_json::from_str(body).unwrap_or_default())
}

fn asked(host: &Host, request: &str) -> (u16, Value) {
    let mut stream = connected(host);
    // The same: the rest of what is sent may not find a reader.
    let _ = stream.write_all(request.as_bytes());
    heard(&mut stream)
}

#[test]
fn a_head_that_is_too_large_or_says_two_things_is_refused() {
    on_each_database(|host| {
        let get = |path: &str, headers: &str| asked(host, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n"));
        assert_eq!(get("/health/live", "").0, 200);
        let (status, problem) = get(&format!("/health/live?{}", "a".repeat(8 * 1024)), "");
        assert_eq!((status, problem["code"].as_str()), (414, Some("uri_too_long")));
        let (status, problem) = get("/health/live", &format!("X-Long: {}\r\n", "a".repeat(33 * 1024)));
        assert_eq!((status, problem["code"].as_str()), (431, Some("headers_too_large")));
        assert_eq!(problem["title"], "请求头过大");
        let (_, problem) = get("/health/live", &format!("Accept-Language: en\r\nX-Long: {}\r\n", "a".repeat(33 * 1024)));
        assert_eq!(problem["title"], "The headers are too large");
        // Beyond what actix reads at all it answers by itself, without a document.
        assert_eq!(get("/health/live", &format!("X-Long: {}\r\n", "a".repeat(200 * 1024))).0, 431);
        assert_eq!(get("/health/live", &"X-Many: 1\r\n".repeat(200)).0, 431);

        let post = |headers: &str, body: &str| {
            asked(
                host,
                &format!(
                    "POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n{headers}\r\n{body}"
                ),
            )
        };
        let smuggled = "0\r\n\r\nGET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
        for headers in [
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
            "Content-Length: 4\r\nContent-Length: 5\r\n",
            "Transfer-Encoding: xchunked\r\n",
            "Content-Length: +4\r\n",
        ] {
            let (status, _) = post(headers, smuggled);
            assert_eq!(status, 400, "{headers:?}");
        }
    });
}

#[test]
fn a_slow_head_and_a_slow_body_end() {
    let settings = [("YIYONG_HEAD_WITHIN_SECONDS", "1"), ("YIYONG_BODY_WITHIN_SECONDS", "1")];
    on_each_database_with(&settings, |host| {
        let mut slow_head = connected(host);
        slow_head.write_all(b"GET /health/live HTTP/1.1\r\nHost:").expect("sent");
        let mut slow_body = connected(host);
        slow_body
            .write_all(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{")
            .expect("sent");
        // actix's own refusal, which has no document.
        assert_eq!(heard(&mut slow_head).0, 408);
        let (status, problem) = heard(&mut slow_body);
        assert_eq!((status, problem["code"].as_str()), (408, Some("request_timeout")));

        // A file has longer, but not when nothing comes.
        let admin = host.planted();
        let token = admin.token.as_deref().expect("a token");
        let mut slow_file = connected(host);
        let head = format!(
            "POST /api/v1/imports HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nIdempotency-Key: slow\r\n\
             Content-Type: multipart/form-data; boundary=b0und\r\nContent-Length: 4000\r\n\r\n\
             --b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\na,b"
        );
        slow_file.write_all(head.as_bytes()).expect("sent");
        let (status, problem) = heard(&mut slow_file);
        assert_eq!((status, problem["code"].as_str()), (408, Some("request_timeout")), "{problem}");
    });
}
