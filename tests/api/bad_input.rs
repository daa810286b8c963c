//! What is wrong is refused with a problem document in the caller's language, and changes nothing.

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde_json::{Value, json};
use yiyong::policy::Role;

use crate::hosts::{Answer, Client, Host, on_each_database};

const ORGANIZATIONS: &str = "/api/v1/organizations";
/// Pointers and codes.
type Faults = &'static [(&'static str, &'static str)];

const JSON: (&str, &str) = ("Content-Type", "application/json");

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// How many rows there are of whatever a refused request might have left behind.
fn rows(host: &Host) -> Vec<i64> {
    let count = |conn: &mut _, query: &'static str| diesel::sql_query(query).get_result::<Count>(conn).expect("counted").n;
    let all = host.service.db.run(true, |conn| {
        Ok(vec![
            count(conn, "SELECT count(*) AS n FROM organizations"),
            count(conn, "SELECT count(*) AS n FROM persons"),
            count(conn, "SELECT count(*) AS n FROM imports"),
            count(conn, "SELECT count(*) AS n FROM idempotency_keys"),
            // That it was refused may be noted, and that an import came to nothing.
            count(conn, "SELECT count(*) AS n FROM audit_events WHERE outcome = 'done' AND action <> 'import_failed'"),
            count(conn, "SELECT coalesce(sum(version), 0) AS n FROM organizations"),
        ])
    });
    all.expect("counted")
}

/// Sends a request twice, for a Chinese and an English reader, and holds both refusals against each other.
fn refused(client: &Client<'_>, call: (&str, &str), headers: &[(&str, &str)], body: Option<&[u8]>, expected: (u16, &str)) -> Answer {
    let (method, path) = call;
    let what = format!("{method} {path:.80} {:?}", body.map(|b| String::from_utf8_lossy(&b[..b.len().min(80)]).into_owned()));
    let chinese = client.send(method, path, headers, body);
    let mut in_english = headers.to_vec();
    in_english.push(("Accept-Language", "en"));
    let english = client.send(method, path, &in_english, body);
    for answer in [&chinese, &english] {
        assert_eq!((answer.status, answer.code()), expected, "{what}: {answer:?}");
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"), "{what}");
        assert_eq!(answer.body["status"], expected.0, "{what}");
        assert_eq!(answer.body["type"], format!("/problems/{}", expected.1), "{what}");
        assert_eq!(answer.body["request_id"].as_str(), answer.header("X-Request-Id"), "{what}");
        assert_eq!(answer.body["instance"].as_str(), path.split('?').next(), "{what}");
    }
    assert_eq!((chinese.header("Content-Language"), english.header("Content-Language")), (Some("zh"), Some("en")), "{what}");
    let texts = |answer: &Answer| -> Vec<String> {
        let faults = answer.body["errors"].as_array().cloned().unwrap_or_default();
        let told =
            [answer.body["title"].clone(), answer.body["detail"].clone()].into_iter().chain(faults.iter().map(|f| f["message"].clone()));
        told.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let is_chinese = |text: &String| text.chars().any(|c| ('\u{4E00}'..='\u{9FFF}').contains(&c));
    assert!(texts(&chinese).iter().all(is_chinese), "{what}: {:?}", texts(&chinese));
    assert!(!texts(&english).iter().any(is_chinese), "{what}: {:?}", texts(&english));
    assert_eq!(chinese.faults(), english.faults(), "{what}");
    chinese
}

#[test]
fn what_is_wrong_is_refused_in_both_languages_and_changes_nothing() {
    on_each_database(|host| {
        let admin = host.planted();
        let clerk = host.user("clerk", Role::OrgAdmin, Some("zz-dengfeng"));
        let of = |code: &str| admin.get(&format!("{ORGANIZATIONS}?code={code}")).body["items"][0]["id"].as_str().expect("an id").to_owned();
        let (city, foreign) = (of("zz"), of("zz-gaoxin"));
        let one = format!("{ORGANIZATIONS}/{city}");
        let before = rows(host);
        let draft =
            |more: &str| format!(r#"{{"code":"zz-x","name":"新密市见义勇为协会","kind":"county_association","parent_id":"{city}"{more}}}"#);
        let bytes = |text: &str| -> Vec<u8> { text.as_bytes().to_vec() };

        // Bodies.
        let many: Vec<Value> = (0..1001).map(|_| json!({"code": "x"})).collect();
        let many = json!({ "items": many }).to_string();
        let bodies: &[(Vec<u8>, (u16, &str), Faults)] = &[
            (bytes(r#"{"code":"#), (400, "malformed_request"), &[]),
            (bytes(""), (400, "malformed_request"), &[]),
            (bytes("{} {}"), (400, "malformed_request"), &[]),
            (b"{\"code\":\"\xFF\"}".to_vec(), (400, "malformed_request"), &[]),
            (bytes(r#"{"code":"a","code":"b"}"#), (400, "malformed_request"), &[]),
            (bytes(&format!("{}{}", "[".repeat(33), "]".repeat(33))), (400, "malformed_request"), &[]),
            (bytes(&format!("{}1{}", r#"{"a":"#.repeat(100_000), "}".repeat(100_000))), (400, "malformed_request"), &[]),
            (bytes("[]"), (422, "validation_failed"), &[("", "wrong_type")]),
            (bytes(&draft(r#","short_name":3"#)), (422, "validation_failed"), &[("/short_name", "wrong_type")]),
            (bytes(&draft(r#","version":7"#)), (422, "validation_failed"), &[("/version", "unknown_field")]),
            (bytes(&draft(r#","short_name":"a\u0000b""#)), (422, "validation_failed"), &[("/short_name", "hidden_character")]),
            (bytes(&draft(r#","short_name":"甲\u202e乙""#)), (422, "validation_failed"), &[("/short_name", "hidden_character")]),
            (vec![b' '; 1024 * 1024 + 1], (413, "too_large"), &[]),
        ];
        for (body, expected, faults) in bodies {
            let answer = refused(&admin, ("POST", ORGANIZATIONS), &[JSON], Some(body), *expected);
            assert_eq!(answer.faults(), *faults);
        }
        refused(&admin, ("POST", ORGANIZATIONS), &[("Content-Type", "text/plain")], Some(b"{}"), (415, "unsupported_media_type"));
        refused(&admin, ("POST", ORGANIZATIONS), &[], Some(b"{}"), (415, "unsupported_media_type"));
        let batch = format!("{ORGANIZATIONS}/batch");
        refused(&admin, ("POST", &batch), &[JSON], Some(b"{\"items\":[]}"), (400, "malformed_request"));
        let key = ("Idempotency-Key", "many");
        let answer = refused(&admin, ("POST", &batch), &[JSON, key], Some(many.as_bytes()), (422, "validation_failed"));
        assert_eq!(answer.faults(), [("/items", "too_many")]);

        // Addresses, parameters, methods.
        for query in ["nothing=1", "limit=1&limit=2", "limit=many", "limit=0", "q=%00", "q=%E2%80%AE", "kind=village", "cursor=nonsense"] {
            let code = if query.starts_with("cursor") { "invalid_cursor" } else { "invalid_parameter" };
            refused(&admin, ("GET", &format!("{ORGANIZATIONS}?{query}")), &[], None, (400, code));
        }
        refused(&admin, ("GET", "/api/v1/nothing"), &[], None, (404, "not_found"));
        refused(&admin, ("GET", "/"), &[], None, (404, "not_found"));
        refused(&admin, ("GET", &format!("{ORGANIZATIONS}/xyz")), &[], None, (404, "not_found"));
        let put = refused(&admin, ("PUT", ORGANIZATIONS), &[JSON], Some(b"{}"), (405, "method_not_allowed"));
        assert_eq!(put.header("Allow"), Some("GET, HEAD, POST"));
        assert_eq!(put.body["detail"], "此地址支持的方法：GET, HEAD, POST");
        let posted = refused(&admin, ("POST", &one), &[JSON], Some(b"{}"), (405, "method_not_allowed"));
        assert_eq!(posted.header("Allow"), Some("DELETE, GET, HEAD, PATCH"));
        let overridden = ("X-HTTP-Method-Override", "DELETE");
        refused(&admin, ("POST", &one), &[JSON, overridden], Some(b"{}"), (400, "malformed_request"));

        // Who asks, and for what.
        let nobody = host.nobody();
        refused(&nobody, ("GET", ORGANIZATIONS), &[("Authorization", "Bearer nonsense")], None, (401, "invalid_token"));
        refused(&nobody, ("GET", ORGANIZATIONS), &[("Authorization", "Basic YTpi")], None, (401, "unauthenticated"));
        refused(&admin, ("GET", ORGANIZATIONS), &[("Authorization", "Bearer second")], None, (400, "malformed_request"));
        let theirs = format!("{ORGANIZATIONS}/{foreign}");
        refused(&clerk, ("GET", &theirs), &[], None, (404, "not_found"));
        refused(&clerk, ("PATCH", &theirs), &[JSON, ("If-Match", "\"1\"")], Some(b"{\"short_name\":\"x\"}"), (404, "not_found"));
        refused(&clerk, ("DELETE", &theirs), &[], None, (404, "not_found"));

        // Versions.
        let patch = Some(&b"{\"short_name\":\"x\"}"[..]);
        refused(&admin, ("PATCH", &one), &[JSON], patch, (428, "version_required"));
        refused(&admin, ("PATCH", &one), &[JSON, ("If-Match", "yesterday")], patch, (400, "malformed_request"));
        let stale = refused(&admin, ("PATCH", &one), &[JSON, ("If-Match", "\"9\"")], patch, (412, "stale_version"));
        assert_eq!(stale.body["current_version"], 1);

        assert_eq!(rows(host), before);
    });
}

/// A form with a file, and its headers.
fn form(file: &[u8], resource: &str) -> Vec<u8> {
    let mut body = format!("--b0und\r\nContent-Disposition: form-data; name=\"resource\"\r\n\r\n{resource}\r\n").into_bytes();
    body.extend_from_slice(b"--b0und\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f.csv\"\r\n\r\n");
    body.extend_from_slice(file);
    body.extend_from_slice(b"\r\n--b0und--\r\n");
    body
}

#[test]
fn a_file_that_is_wrong_is_refused_in_both_languages_and_changes_nothing() {
    on_each_database(|host| {
        let admin = host.planted();
        let before = rows(host);
        let keys = std::cell::Cell::new(0);
        let send = |body: &[u8], expected| {
            let key = format!("file-{}", keys.replace(keys.get() + 1));
            let headers = [("Content-Type", "multipart/form-data; boundary=b0und"), ("Idempotency-Key", key.as_str())];
            refused(&admin, ("POST", "/api/v1/imports"), &headers, Some(body), expected)
        };
        let invalid = (422, "validation_failed");
        let xlsx = b"PK\x03\x04\x14\x00\x06\x00\x08\x00\x00\x00!\x00[Content_Types].xml \xa2\x04\x02";
        let png = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06";
        for file in [&xlsx[..], png, b"%PDF-1.7\x00", b"name\x00,organization_code\n"] {
            assert_eq!(send(&form(file, "persons"), invalid).faults(), [("/file", "unreadable_file")], "{file:?}");
        }
        for file in [&b""[..], b"\xEF\xBB\xBF"] {
            assert_eq!(send(&form(file, "persons"), invalid).faults(), [("/file", "empty_file")], "{file:?}");
        }
        assert_eq!(rows(host), before, "what is no file of rows isn't kept either");
        // What is wrong with rows and columns is told with the file's own places.
        let rows_wrong: &[(&str, &[(u64, &str)])] = &[
            ("姓名,所属协会编码,血型\n甲,zz,A\n", &[(1, "unknown_column")]),
            ("姓名,姓名,所属协会编码\n甲,乙,zz\n", &[(1, "duplicate_column")]),
            ("姓名\n甲\n", &[(1, "missing_column")]),
            ("姓名,所属协会编码\n甲\n乙,zz,1\n", &[(2, "wrong_number_of_cells"), (3, "wrong_number_of_cells")]),
            ("姓名,所属协会编码\n\"甲,zz\n乙,zz\n", &[(2, "wrong_number_of_cells")]),
            ("姓名,所属协会编码\n甲,nowhere\n", &[(2, "unknown_reference")]),
            ("姓名,所属协会编码,手机号\n甲,zz,12\n乙,zz,14000000001\n", &[(2, "invalid_phone")]),
            ("姓名,所属协会编码\n甲\u{202e}乙,zz\n", &[(2, "hidden_character")]),
        ];
        for (csv, expected) in rows_wrong {
            let answer = send(&form(csv.as_bytes(), "persons"), invalid);
            let told: Vec<(u64, String)> = answer.body["faults"]
                .as_array()
                .unwrap_or(&Vec::new())
                .iter()
                .map(|fault| (fault["row"].as_u64().unwrap_or_default(), fault["code"].as_str().unwrap_or_default().to_owned()))
                .collect();
            let told: Vec<(u64, &str)> = told.iter().map(|(row, code)| (*row, code.as_str())).collect();
            assert_eq!(told, *expected, "{csv}: {answer:?}");
        }
        assert_eq!(send(&form(b"a\n", "village"), invalid).faults(), [("/resource", "unknown_resource")]);
        assert_eq!(send(b"--b0und--\r\n", invalid).faults(), [("/resource", "required"), ("/file", "required")]);
        let whole = form("姓名,所属协会编码\n甲,zz\n".as_bytes(), "persons");
        send(&whole[..whole.len() - 20], (400, "malformed_request"));
        let no_form = [("Content-Type", "text/csv"), ("Idempotency-Key", "a-file")];
        refused(&admin, ("POST", "/api/v1/imports"), &no_form, Some(b"a\n"), (415, "unsupported_media_type"));
        let no_key = [("Content-Type", "multipart/form-data; boundary=b0und")];
        refused(&admin, ("POST", "/api/v1/imports"), &no_key, Some(&whole), (400, "malformed_request"));
        // The imports themselves are kept, with what was wrong; what they might have made is not.
        let kept = |rows: &[i64]| [rows[0], rows[1], rows[4], rows[5]];
        assert_eq!(kept(&rows(host)), kept(&before));
    });
}
