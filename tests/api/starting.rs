//! The start of the program: it stops with one clear line, or it serves; and a migration that is killed.

use std::net::TcpListener;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use yiyong::db::{Target, migrations};

use crate::cluster;
use crate::hosts::on_each_database;
use crate::process::Workplace;

/// What the start says when it stops: one line, and a status that is not zero.
fn refusal(place: &Workplace, arguments: &[&str], settings: &[(&str, &str)]) -> String {
    let output = place.run(arguments, settings);
    assert!(!output.status.success(), "{settings:?}: it started");
    assert!(output.stdout.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stderr).expect("text");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 1, "{settings:?}: {text}");
    lines[0].to_owned()
}

#[test]
fn a_wrong_setting_stops_the_start_with_one_line_that_names_it() {
    let place = Workplace::new(None);
    let short = place.folder.path().join("short");
    std::fs::write(&short, "AAECAwQFBgcICQoLDA0ODw==").expect("written");
    let short = short.display().to_string();
    let empty = place.folder.path().join("empty");
    std::fs::write(&empty, "\n").expect("written");
    let empty = empty.display().to_string();
    let postgres = "postgres://nobody@127.0.0.1:1/nothing";
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("DATABASE_URL", "mysql://root@localhost/x")], "DATABASE_URL: unknown scheme 'mysql'"),
        (&[("DATABASE_URL", "yiyong.db")], "DATABASE_URL: no scheme"),
        (&[("DATABASE_URL", "sqlite:")], "DATABASE_URL: sqlite: needs a path"),
        (&[("YIYONG_DATA_KEY_FILE", &short)], "YIYONG_DATA_KEY_FILE: the data key should be exactly 32 bytes"),
        (&[("YIYONG_DATA_KEY_FILE", &empty)], "YIYONG_DATA_KEY_FILE: "),
        (&[("YIYONG_DATA_KEY_FILE", "/nowhere/key")], "YIYONG_DATA_KEY_FILE: /nowhere/key"),
        (&[("YIYONG_OTHER_DATA_KEY_FILES", &short)], "YIYONG_OTHER_DATA_KEY_FILES: the data key should be exactly 32 bytes"),
        (&[("YIYONG_OTHER_DATA_KEY_FILES", "/nowhere/key")], "YIYONG_OTHER_DATA_KEY_FILES: /nowhere/key"),
        (&[("YIYONG_SIGNING_KEY_FILE", &short)], "YIYONG_SIGNING_KEY_FILE: "),
        (&[("DATABASE_URL", postgres), ("YIYONG_DATA_KEY_FILE", "")], "YIYONG_DATA_KEY_FILE: with PostgreSQL this key must be given"),
        (&[("DATABASE_URL", postgres), ("YIYONG_SIGNING_KEY_FILE", "")], "YIYONG_SIGNING_KEY_FILE: with PostgreSQL this key must be given"),
        (&[("DATABASE_URL", postgres), ("YIYONG_MIGRATE_AT_START", "true")], "the database can't be opened: "),
        (&[("YIYONG_BIND", "everywhere")], "YIYONG_BIND: 'everywhere' is not an address"),
        (&[("YIYONG_BEHIND_TLS", "perhaps")], "YIYONG_BEHIND_TLS: 'perhaps' should be true or false"),
        (&[("YIYONG_MIGRATE_AT_START", "1")], "YIYONG_MIGRATE_AT_START: '1' should be true or false"),
        (&[("YIYONG_WORKERS", "many")], "YIYONG_WORKERS: 'many' should be a whole number from 1 to 256"),
        (&[("YIYONG_DB_CONNECTIONS", "0")], "YIYONG_DB_CONNECTIONS: '0' should be"),
        (&[("YIYONG_ANSWER_WITHIN_SECONDS", "-1")], "YIYONG_ANSWER_WITHIN_SECONDS: '-1' should be"),
        (&[("YIYONG_BODY_WITHIN_SECONDS", "0")], "YIYONG_BODY_WITHIN_SECONDS: '0' should be"),
        (&[("YIYONG_ALLOWED_ORIGINS", "*")], "YIYONG_ALLOWED_ORIGINS: '*' is not an origin"),
        (&[("YIYONG_ALLOWED_ORIGINS", "null")], "YIYONG_ALLOWED_ORIGINS: 'null' is not an origin"),
    ];
    for (settings, says) in cases {
        let line = refusal(&place, &["serve"], settings);
        assert!(line.starts_with(&format!("yiyong: {says}")), "{settings:?}: {line}");
    }
}

#[test]
fn a_port_in_use_stops_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let line = refusal(&Workplace::new(None), &["serve"], &[("YIYONG_BIND", &address)]);
    assert!(line.starts_with(&format!("yiyong: YIYONG_BIND: {address} can't be listened on")), "{line}");
    let unwell = refusal(&Workplace::new(None), &["health"], &[("YIYONG_BIND", "127.0.0.1:1")]);
    assert!(unwell.starts_with("yiyong: 127.0.0.1:1 is not well"), "{unwell}");
}

/// It lives, and tells a balancer and an operator why it can't work.
#[test]
fn a_database_that_is_not_up_to_date_is_not_ready() {
    on_each_database(|host| {
        let emptied = host.service.db.run(false, |conn| {
            migrations::down_to_nothing(conn).expect("down");
            Ok(())
        });
        assert!(emptied.is_ok());
        let nobody = host.nobody();
        assert_eq!(nobody.get("/health/live").status, 200);
        let not_ready = nobody.get("/health/ready");
        assert_eq!((not_ready.status, not_ready.code()), (503, "database_unavailable"));
        assert!(not_ready.body["detail"].as_str().is_some_and(|text| text.contains("yiyong migrate")), "{not_ready:?}");
        assert!(not_ready.header("Retry-After").is_some());
        host.service.db.run(false, |conn| Ok(migrations::up(conn).expect("up"))).expect("up");
        assert_eq!(nobody.get("/health/ready").status, 200);
    });
}

/// Killed at whatever it has come to, a start leaves a file that the next start brings up to date.
#[test]
fn a_killed_migration_of_a_file_is_made_good_by_the_next_start() {
    // Each of these files appears a step later than the one before; the last round kills as soon as the log of the
    // first transactions is there.
    for sign in ["", "yiyong.db", "yiyong.db.migrating", "yiyong.db-wal"] {
        let place = Workplace::new(None);
        let mut child = place.command(&["migrate"], &[]).spawn().expect("a process");
        while !place.folder.path().join(sign).exists() && child.try_wait().expect("asked").is_none() {
            std::thread::yield_now();
        }
        child.kill().expect("killed");
        child.wait().expect("its end");
        let server = place.serve(&[]);
        assert_eq!(server.nobody().get("/health/ready").status, 200, "after {sign:?}");
    }
}

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    waiting: i64,
}

/// The test holds the name of the last table, so the migration is certainly in its middle when it is killed.
#[test]
fn a_killed_migration_on_postgresql_is_made_good_by_the_next_start() {
    let Some(cluster) = cluster::own() else { return };
    let place = Workplace::new(Some(&cluster.url()));
    let minute = std::time::Duration::from_secs(60);
    let target = Target::parse(&cluster.url()).expect("a URL");
    let mut holder = target.connect(minute).expect("connected");
    holder.batch_execute("BEGIN; CREATE TABLE disbursements (id int)").expect("the name is held");
    let mut child = place.command(&["migrate"], &[]).spawn().expect("a process");
    let mut watcher = target.connect(minute).expect("connected");
    let in_its_middle = "SELECT count(*) AS waiting FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND pid <> pg_backend_pid()";
    while diesel::sql_query(in_its_middle).get_result::<Waiting>(&mut watcher).expect("asked").waiting == 0 {
        assert!(child.try_wait().expect("asked").is_none(), "it ended before it was in its middle");
    }
    child.kill().expect("killed");
    child.wait().expect("its end");
    holder.batch_execute("ROLLBACK").expect("let go");
    assert!(migrations::pending(&mut watcher).expect("asked"), "nothing of the killed step is left");
    let server = place.serve(&[("YIYONG_MIGRATE_AT_START", "true")]);
    assert_eq!(server.nobody().get("/health/ready").status, 200);
}
