//! What goes wrong around the service: a database that hangs or goes away, code that panics.

use std::panic::AssertUnwindSafe;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::json;
use yiyong::db::{AnyConnection, Deed, Target, migrations};
use yiyong::error::Result;
use yiyong::schema::{audit_events, refresh_tokens};
use yiyong::types::Id;

use crate::cluster;
use crate::hosts::{Answer, Client, Host, on_each_database};

const ORGANIZATIONS: &str = "/api/v1/organizations";

/// Creates a township's association under a key, so that it may be asked for again.
fn create(client: &Client<'_>, code: &str, parent: &str) -> Answer {
    let body = json!({"code": code, "name": "镇见义勇为工作站", "kind": "county_association", "parent_id": parent});
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", code)];
    client.send("POST", ORGANIZATIONS, &headers, Some(body.to_string().as_bytes()))
}

/// As a caller should: the same request with the same key, for as long as it is told to try again.
fn create_at_last(client: &Client<'_>, code: &str, parent: &str) {
    loop {
        let answer = create(client, code, parent);
        match (answer.status, answer.code()) {
            (503, _) | (409, "request_in_progress") => assert!(answer.header("Retry-After").is_some(), "{answer:?}"),
            _ => return assert_eq!(answer.status, 201, "{answer:?}"),
        }
    }
}

fn refused(answer: &Answer) {
    assert_eq!((answer.status, answer.code()), (503, "database_unavailable"), "{answer:?}");
    assert!(answer.header("Retry-After").is_some());
}

#[test]
fn a_database_that_hangs_or_goes_away_is_told_and_comes_back_by_itself() {
    let Some(cluster) = cluster::own() else { return };
    let mut conn = Target::parse(&cluster.url()).expect("a URL").connect(std::time::Duration::from_secs(60)).expect("connected");
    migrations::up(&mut conn).expect("migrated");
    drop(conn);
    // Two servers on one database: one waits for it long, the other a second.
    let patient = Host::on(&cluster.url(), &[]);
    let key = patient.keys.path().join("signing.pem").display().to_string();
    let hasty = Host::on(&cluster.url(), &[("YIYONG_ANSWER_WITHIN_SECONDS", "1"), ("YIYONG_SIGNING_KEY_FILE", &key)]);
    let admin = patient.planted();
    let city = admin.get(&format!("{ORGANIZATIONS}?code=zz")).body["items"][0]["id"].as_str().expect("an id").to_owned();
    let caller = Client { token: admin.token.clone(), ..hasty.nobody() };
    let live_and_not_ready = || {
        assert_eq!(hasty.nobody().get("/health/live").status, 200);
        refused(&hasty.nobody().get("/health/ready"));
    };
    create_at_last(&caller, "before", &city);

    // It hangs: far more callers than connections and threads, and none of them is kept waiting.
    let frozen = cluster.freeze();
    let codes: Vec<String> = (0..24).map(|n| format!("hung-{n}")).collect();
    std::thread::scope(|scope| {
        for code in &codes {
            scope.spawn(|| refused(&create(&caller, code, &city)));
        }
    });
    live_and_not_ready();
    drop(frozen);
    std::thread::scope(|scope| {
        for code in &codes {
            scope.spawn(|| create_at_last(&caller, code, &city));
        }
    });

    // It goes away, and takes every connection with it.
    cluster.stop();
    refused(&create(&caller, "gone", &city));
    live_and_not_ready();
    cluster.start_again();
    // The other server holds connections that are dead, and has not been asked meanwhile: nobody notices.
    for n in 0..6 {
        let answer = create(&admin, &format!("after-{n}"), &city);
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    create_at_last(&caller, "gone", &city);
    while hasty.nobody().get("/health/ready").status != 200 {}

    // Every single connection is cut, as a proxy may do that finds them idle: neither a write nor a read notices.
    let cut = || {
        all_connections(&patient).expect("four connections");
        let mut knife = Target::parse(&cluster.url()).expect("a URL").connect(std::time::Duration::from_secs(60)).expect("connected");
        knife.batch_execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()").expect("cut");
    };
    cut();
    let deed = Deed::of_operator("cut off");
    let written = patient.service.db.write_now(&deed, |tx| {
        tx.audit("cut", "users", None, None, None);
        Ok(Id::new())
    });
    assert!(written.is_ok(), "{written:?}");
    cut();
    assert!(patient.service.db.run(true, |conn| Ok(audit_events::table.count().get_result::<i64>(conn)?)).is_ok());

    // Every deed was done once, and noted once.
    let page = admin.get(&format!("{ORGANIZATIONS}?limit=200&count=true"));
    assert_eq!(page.body["total"], 3 + 1 + 24 + 6 + 1, "without the foundation, which is above the city");
    let noted: i64 = patient
        .service
        .db
        .run(true, |conn| {
            let created = audit_events::table.filter(audit_events::resource.eq("organizations")).filter(audit_events::action.eq("create"));
            Ok(created.count().get_result(conn)?)
        })
        .expect("counted");
    assert_eq!(noted, 4 + 1 + 24 + 6 + 1);
}

/// All four connections at once.
fn all_connections(host: &Host) -> Result<()> {
    let db = &host.service.db;
    let works = |conn: &mut AnyConnection| Ok(audit_events::table.count().get_result::<i64>(conn).map(|_| ())?);
    db.run(false, |_| db.run(false, |_| db.run(false, |_| db.run(false, works))))
}

#[test]
fn a_panic_gives_its_connection_and_its_lock_back() {
    on_each_database(|host| {
        host.planted();
        let db = &host.service.db;
        for _ in 0..8 {
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| db.run(true, |_| -> Result<()> { panic!("on purpose") })));
            assert!(outcome.is_err());
            let deed = Deed::of_operator("a panic");
            let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| {
                db.write_now(&deed, |tx| -> Result<Id> {
                    tx.audit("panic", "organizations", None, None, None);
                    diesel::delete(refresh_tokens::table).execute(tx.conn)?;
                    panic!("on purpose, in the middle of a transaction")
                })
            }));
            assert!(outcome.is_err());
        }
        all_connections(host).expect("every connection serves");
        let kept: i64 = db.run(true, |conn| Ok(refresh_tokens::table.count().get_result(conn)?)).expect("counted");
        assert!(kept > 0, "what the panic interrupted is undone");
        let city = host.sign_in("cityadmin", yiyong::auth::UserKind::Person);
        assert_eq!(city.get(ORGANIZATIONS).status, 200);
    });
}
