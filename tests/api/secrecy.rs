//! Identity and telephone numbers stand nowhere in the open: not in a file of either database, not in its log or the
//! service's, not in the tables that keep what was asked and answered. And no statement is put together from text.

use std::path::Path;
use std::process::Command;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::json;
use yiyong::auth::UserKind;
use yiyong::db::{AnyConnection, Target};
use yiyong::schema::{audit_events, idempotency_keys, imports};

use crate::cluster;
use crate::process::Workplace;

/// A number of the district and day given, with its check character.
fn id_number(day: &str, serial: &str) -> String {
    let digits = format!("410199{day}{serial}");
    let weights = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    let sum: u32 = digits.chars().zip(weights).map(|(c, weight)| c.to_digit(10).unwrap_or_default() * weight).sum();
    let check = ['1', '0', 'X', '9', '8', '7', '6', '5', '4', '3', '2'][(sum % 11) as usize];
    format!("{digits}{check}")
}

/// The files of a folder that hold a text.
fn found_in(folder: &Path, text: &str) -> Vec<String> {
    let output = Command::new("grep").args(["-rlaF", "-e", text]).arg(folder).output().expect("grep");
    assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

fn story(place: &Workplace, files: &Path, settle: impl Fn()) {
    let database = Target::parse(&place.database).expect("a URL");
    let migrated = place.run(&["migrate"], &[]);
    assert!(migrated.status.success(), "{migrated:?}");
    let mut server = place.serve(&[("YIYONG_LOG", "trace")]);
    place.user("platform", "platform_admin", None);
    let platform = server.nobody().sign_in("platform", UserKind::Person);
    let root =
        platform.post("/api/v1/organizations", &json!({"code": "hn", "name": "河南省见义勇为基金会", "kind": "provincial_foundation"}));
    assert_eq!(root.status, 201, "{root:?}");
    place.user("clerk", "clerk", Some("hn"));
    let clerk = server.nobody().sign_in("clerk", UserKind::Person);

    let numbers: Vec<String> = (0..40).map(|n| id_number(&format!("19900{}15", n % 9 + 1), &format!("{:03}", 500 + n))).collect();
    let phones: Vec<String> = (0..40).map(|n| format!("14{:09}", 271_828_182 + n)).collect();
    let mut csv = "姓名,所属协会编码,身份证号,手机号\n".to_owned();
    for (n, (number, phone)) in numbers.iter().zip(&phones).enumerate().take(30) {
        csv.push_str(&format!("程砚秋{n},hn,{number},{phone}\n"));
    }
    // Rows that are wrong in many ways are left out, and what is kept of them must not hold the numbers either.
    csv.push_str(&format!("错一,hn,{}0,{}\n", &numbers[30][..17].replace('5', "6"), phones[30]));
    csv.push_str(&format!("错二,{},{},{}\n", numbers[31], numbers[31], phones[31]));
    csv.push_str(&format!("错三,hn,{}\n", numbers[32]));
    csv.push_str(&format!("错四,hn,{},{}\n", phones[33], numbers[33]));
    csv.push_str(&format!("错五,hn,{},{}\n", numbers[0], phones[34]));
    let report = clerk.import("persons", csv.as_bytes(), &[("on_error", "skip")]);
    assert_eq!((report.status, &report.body["rows_created"]), (201, &json!(30)), "{report:?}");
    assert_eq!(report.body["rows_failed"], 5, "{report:?}");
    // A file without its header: the first person stands where the columns' names should.
    let headless = format!("程砚秋,hn,{},{}\n", numbers[35], phones[35]);
    assert_eq!(clerk.import("persons", headless.as_bytes(), &[("on_error", "skip")]).status, 422);

    let organization = root.id();
    let person = json!({"organization_id": organization, "name": "程砚秋", "id_number": numbers[36], "phone": phones[36]}).to_string();
    let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "one-person")];
    let made = clerk.send("POST", "/api/v1/persons", &keyed, Some(person.as_bytes()));
    assert_eq!(made.status, 201, "{made:?}");
    let again = clerk.send("POST", "/api/v1/persons", &keyed, Some(person.as_bytes()));
    assert_eq!(again.header("Idempotent-Replayed"), Some("true"));
    let path = format!("/api/v1/persons/{}", made.id());
    assert_eq!(clerk.patch(&path, "\"1\"", &json!({"phone": phones[37]})).status, 200);
    let reason = json!({"reason": "核对收款人身份"}).to_string();
    let revealed = clerk.send("POST", &format!("{path}/reveal"), &[keyed[0], ("Idempotency-Key", "reveal")], Some(reason.as_bytes()));
    assert_eq!(revealed.body, json!({"id_number": numbers[36], "phone": phones[37]}));
    // A bank account is as much a secret, in a reply that is kept, a change and a fault.
    let cards: Vec<String> = (0..3).map(|n| format!("6222027182818284{n:03}")).collect();
    let payee = json!({"organization_id": organization, "person_id": made.id(), "holder_name": "程砚秋", "bank_name": "某银行", "number": cards[0]}).to_string();
    let account = clerk.send("POST", "/api/v1/payee-accounts", &[keyed[0], ("Idempotency-Key", "account")], Some(payee.as_bytes()));
    assert_eq!(account.status, 201, "{account:?}");
    let account = format!("/api/v1/payee-accounts/{}", account.id());
    assert_eq!(clerk.patch(&account, "\"1\"", &json!({"number": cards[1]})).status, 200);
    assert_eq!(clerk.patch(&account, "\"2\"", &json!({"number": format!("{}x", cards[2])})).status, 422);
    let wrong = json!({"organization_id": organization, "name": "错", "id_number": numbers[38], "phone": phones[38], "more": numbers[38]});
    assert_eq!(clerk.post("/api/v1/persons", &wrong).status, 422);
    assert_eq!(clerk.get(&format!("/api/v1/persons?id_number={}", numbers[39])).status, 400);

    // While the server still runs, so that the log of SQLite's transactions is looked at too.
    settle();
    assert!(!found_in(files, "程砚秋").is_empty(), "the search finds what is there");
    let mut conn = database.connect(std::time::Duration::from_secs(60)).expect("connected");
    // PostgreSQL may keep long values compressed, where a search by bytes would see nothing.
    let replies: Vec<Vec<u8>> = idempotency_keys::table.select(idempotency_keys::body).load(&mut conn).expect("rows");
    let details: Vec<Option<String>> = audit_events::table.select(audit_events::detail).load(&mut conn).expect("rows");
    let faults: Vec<String> = imports::table.select(imports::faults).load(&mut conn).expect("rows");
    assert!(!replies.is_empty() && !details.is_empty() && !faults.is_empty());
    let kept = replies
        .iter()
        .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
        .chain(details.into_iter().flatten())
        .chain(faults)
        .collect::<Vec<_>>()
        .join("\n");
    server.terminate();
    assert_eq!(server.end().code(), Some(0));
    let log = server.log();
    assert!(log.contains("/api/v1/persons"));
    // All but the check character, which a fault may have replaced.
    for text in numbers.iter().map(|number| &number[..17]).chain(phones.iter().chain(&cards).map(String::as_str)) {
        assert_eq!(found_in(files, text), Vec::<String>::new(), "{text}");
        assert!(!kept.contains(text), "{text} in {kept}");
        assert!(!log.contains(text), "{text} in the log");
    }
    for file in ["signing.pem", "key"] {
        let key = std::fs::read_to_string(place.folder.path().join(file)).expect("a key");
        let secret = key.lines().find(|line| !line.starts_with('-')).expect("its text");
        assert!(!log.contains(secret), "{file} in the log");
    }
}

#[test]
fn numbers_stand_nowhere_in_the_open_on_sqlite() {
    let place = Workplace::new(None);
    story(&place, place.folder.path(), || {
        for file in ["yiyong.db", "yiyong.db-wal", "yiyong.db-shm"] {
            assert!(place.folder.path().join(file).exists(), "{file}");
        }
    });
}

#[test]
fn numbers_stand_nowhere_in_the_open_on_postgresql() {
    let Some(cluster) = cluster::own() else { return };
    let place = Workplace::new(Some(&cluster.url()));
    story(&place, cluster.folder(), || {
        let target = Target::parse(&cluster.url()).expect("a URL");
        match target.connect(std::time::Duration::from_secs(60)).expect("connected") {
            AnyConnection::Pg(mut conn) => conn.batch_execute("CHECKPOINT").expect("written to disk"),
            AnyConnection::Sqlite(_) => unreachable!(),
        }
    });
}

/// Values are bound and identifiers are our own: no statement is put together from text.
#[test]
fn no_statement_is_put_together_from_text() {
    fn sources(folder: &Path, found: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                sources(&path, found);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push((path.display().to_string(), std::fs::read_to_string(&path).expect("a source")));
            }
        }
    }
    let mut all = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    assert!(all.len() > 40, "the sources are found");
    for (path, text) in all {
        // Without white space, so that a line's end hides nothing.
        let text: String = text.chars().filter(|c| !c.is_whitespace()).collect();
        for way in ["sql_query(format!", "sql_query(&format!", "sql_query(&", "::sql(&format!", "sql::<Bool>(&"] {
            assert!(!text.contains(way), "{path}: {way}");
        }
    }
}
