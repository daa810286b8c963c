//! The audit log: what is in it, that nothing takes it back, and that whoever changes it all the same is found out.

use std::sync::atomic::{AtomicBool, Ordering};

use chrono::NaiveDate;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::{Value, json};
use yiyong::audit::chain::{Link, extended};
use yiyong::audit::seal::{self, Back, Checkpoint};
use yiyong::audit::verify::{self, Asked, Verification};
use yiyong::audit::{self, AuditOutcome, Event};
use yiyong::auth::{Keys, UserKind};
use yiyong::db::AnyConnection;
use yiyong::error::Language;
use yiyong::policy::Role;
use yiyong::schema::{audit_checkpoints, audit_events, audit_links};
use yiyong::types::{Id, Instant, business_today, sql};

use crate::hosts::{Client, Host, on_each_database, on_each_database_with};
use crate::process::Workplace;

const EVENTS: &str = "/api/v1/audit-events";
const VERIFY: &str = "/api/v1/audit/verify";

/// The newest events that a filter finds.
fn found(client: &Client<'_>, filter: &str) -> Vec<Value> {
    let answer = client.get(&format!("{EVENTS}?limit=200&{filter}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["items"].as_array().expect("items").clone()
}

/// The one event that a filter finds. A refusal is written while its answer is on its way, so it is asked for again.
fn the_one(client: &Client<'_>, filter: &str) -> Value {
    for _ in 0..500 {
        let mut all = found(client, filter);
        if all.len() == 1 {
            return all.remove(0);
        }
        assert!(all.is_empty(), "{filter}: {all:?}");
    }
    panic!("nothing is found by {filter}");
}

fn verified(client: &Client<'_>) -> Value {
    let answer = client.get(VERIFY);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// Kinds and places of what a verification names.
fn faults(verification: &Value) -> Vec<(&str, Option<i64>)> {
    let faults = verification["faults"].as_array().expect("faults");
    faults.iter().map(|fault| (fault["kind"].as_str().expect("a kind"), fault["sequence"].as_i64())).collect()
}

fn county(city: &Client<'_>) -> String {
    let county = city.get("/api/v1/organizations?code=zz-dengfeng");
    county.body["items"][0]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn who_did_what_from_where_and_what_came_of_it() {
    on_each_database_with(&[("YIYONG_TRUSTED_PROXIES", "127.0.0.1")], |host| {
        let city = host.planted();
        let county = county(&city);
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz-dengfeng"));
        let clerk_id = clerk.get("/api/v1/auth/me").id().to_owned();
        let platform = host.sign_in("platform", UserKind::Person);

        // A write, its change, and a reading of whole numbers.
        let draft = json!({"organization_id": county, "name": "王小明", "phone": "13800138000"}).to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("X-Forwarded-For", "198.51.100.1, 203.0.113.9"),
            ("X-Request-Id", "a-request-of-a-clerk"),
        ];
        let person = clerk.send("POST", "/api/v1/persons", &headers, Some(draft.as_bytes()));
        assert_eq!(person.status, 201, "{person:?}");
        let person_id = person.id().to_owned();
        let path = format!("/api/v1/persons/{person_id}");
        assert_eq!(clerk.patch(&path, "\"1\"", &json!({"name": "王晓明"})).status, 200);
        assert_eq!(clerk.post(&format!("{path}/reveal"), &json!({"reason": "核对慰问金收款人"})).status, 200);

        let created = the_one(&auditor, &format!("record_id={person_id}&action=create"));
        assert_eq!(
            (&created["actor_id"], &created["resource"], &created["outcome"]),
            (&json!(clerk_id), &json!("persons"), &json!("done"))
        );
        assert_eq!(created["address"], "203.0.113.9", "the last that the trusted proxy has seen; what stands before may be invented");
        assert_eq!(created["request_id"], "a-request-of-a-clerk");
        assert_eq!(created["detail"]["phone_masked"], "138****8000");
        assert!(!created.to_string().contains("13800138000"));
        let renamed = the_one(&auditor, &format!("record_id={person_id}&action=update"));
        assert_eq!(renamed["detail"]["name"], json!(["王小明", "王晓明"]));
        let revealed = the_one(&auditor, &format!("person_id={person_id}&action=reveal"));
        assert_eq!(revealed["detail"]["reason"], "核对慰问金收款人");
        assert_eq!(found(&auditor, &format!("person_id={person_id}")).len(), 3);

        // Another record about the same person.
        let volunteer = clerk.post(
            "/api/v1/volunteers",
            &json!({"organization_id": county, "person_id": person_id, "sector": "community", "registered_on": "2022-06-17"}),
        );
        assert_eq!(volunteer.status, 201, "{volunteer:?}");
        assert_eq!(found(&auditor, &format!("person_id={person_id}&resource=volunteers")).len(), 1);

        // Who administers the platform sees that it was done, and not to whom.
        let hidden = the_one(&platform, &format!("record_id={person_id}&action=create"));
        assert_eq!(hidden["detail"], Value::Null);

        // Ways in and out: nothing that was typed is kept of a name that nobody has.
        let nobody = host.nobody();
        let wrong =
            |username: &str, password: &str| nobody.post("/api/v1/auth/login", &json!({"username": username, "password": password})).status;
        assert_eq!(wrong("clerk", "a-password-that-is-wrong"), 401);
        assert_eq!(wrong("typed-my-password-here", "x"), 401);
        let failed = the_one(&auditor, "action=login_failed&outcome=refused");
        assert_eq!((&failed["record_id"], &failed["actor_id"]), (&json!(clerk_id), &Value::Null), "the owner did not do it");
        assert_eq!(failed["detail"], json!({"username": "clerk"}));
        let all_failed = found(&platform, "action=login_failed");
        assert_eq!(all_failed.len(), 2);
        assert!(!format!("{all_failed:?}").contains("password"), "{all_failed:?}");
        assert_eq!(the_one(&auditor, &format!("action=login&actor_id={clerk_id}"))["record_id"], json!(clerk_id));

        // Refusals: a role that may not, and a token that is none. The log holds one of each; the others are counted.
        for _ in 0..3 {
            assert_eq!(auditor.post("/api/v1/persons", &json!({})).status, 403);
            assert_eq!(host.holding("not-a-token").get(&path).status, 401);
        }
        let auditor_id = auditor.get("/api/v1/auth/me").id().to_owned();
        let refused = the_one(&platform, &format!("outcome=refused&actor_id={auditor_id}"));
        assert_eq!(refused["detail"], json!({"method": "POST", "route": "/api/v1/persons", "code": "forbidden"}));
        let bad = the_one(&platform, &format!("outcome=refused&record_id={person_id}"));
        assert_eq!(bad["detail"]["code"], "invalid_token");
        assert_eq!(bad["actor_id"], Value::Null);

        assert_eq!(clerk.post("/api/v1/auth/logout", &json!({})).status, 204);
        assert_eq!(found(&platform, &format!("action=logout&actor_id={clerk_id}")).len(), 1);

        // A stretch of time, and pages of it.
        let at = created["at"].as_str().expect("an instant");
        assert!(found(&auditor, &format!("to={at}&record_id={person_id}")).is_empty());
        assert_eq!(found(&auditor, &format!("from={at}&record_id={person_id}")).len(), 3);
        let first = auditor.get(&format!("{EVENTS}?person_id={person_id}&limit=3&sort=created_at&count=true"));
        assert_eq!(first.body["total"], 4);
        let cursor = first.body["next_cursor"].as_str().expect("a cursor");
        let second = auditor.get(&format!("{EVENTS}?person_id={person_id}&limit=3&sort=created_at&cursor={cursor}"));
        assert_eq!(second.body["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(auditor.get(&format!("{EVENTS}?sort=code")).status, 400, "an event has no code");
    });
}

#[test]
fn the_log_is_for_auditors_of_its_organization_and_read_only() {
    on_each_database(|host| {
        let city = host.planted();
        let county = county(&city);
        let team =
            city.post("/api/v1/volunteer-teams", &json!({"organization_id": county, "base_kind": "other", "established_on": "2022-06-17"}));
        assert_eq!(team.status, 201, "{team:?}");
        let filter = format!("record_id={}", team.id());
        let here = host.user("here", Role::Auditor, Some("zz-dengfeng"));
        let elsewhere = host.user("elsewhere", Role::Auditor, Some("zz-gaoxin"));
        let event = the_one(&here, &filter);
        assert!(found(&elsewhere, &filter).is_empty());
        let path = format!("{EVENTS}/{}", event["id"].as_str().expect("an id"));
        assert_eq!((here.get(&path).status, elsewhere.get(&path).status), (200, 404));
        // What belongs to no organization is the whole tree's.
        let platform = host.sign_in("platform", UserKind::Person);
        assert!(found(&platform, "action=login").iter().any(|event| event["organization_id"].is_null()));
        assert!(found(&here, "action=login").iter().all(|event| !event["organization_id"].is_null()));
        for address in [EVENTS, VERIFY, "/api/v1/audit/checkpoints"] {
            assert_eq!(city.get(address).status, 403, "{address}");
        }
        for (method, address) in [("POST", EVENTS), ("PATCH", path.as_str()), ("DELETE", path.as_str())] {
            assert_eq!(platform.send(method, address, &[], None).status, 405, "{method}");
        }
    });
}

/// Whoever holds the database can take the triggers away first.
fn unguarded(conn: &mut AnyConnection) {
    let statements = match conn {
        AnyConnection::Pg(_) => {
            "ALTER TABLE audit_events DISABLE TRIGGER USER; ALTER TABLE audit_links DISABLE TRIGGER USER; ALTER TABLE audit_checkpoints DISABLE TRIGGER USER"
        }
        AnyConnection::Sqlite(_) => {
            "DROP TRIGGER audit_events_no_update; DROP TRIGGER audit_events_no_delete; DROP TRIGGER audit_links_no_update; \
             DROP TRIGGER audit_links_no_delete; DROP TRIGGER audit_checkpoints_no_update; DROP TRIGGER audit_checkpoints_no_delete"
        }
    };
    conn.batch_execute(statements).expect("unguarded");
}

fn raw(host: &Host, statements: &str) {
    host.write_behind();
    host.service.db.run(false, |conn| Ok(conn.batch_execute(statements)?)).expect(statements);
}

fn links(host: &Host) -> Vec<Link> {
    let links =
        host.service.db.run(true, |conn| Ok(audit_links::table.order(audit_links::sequence).select(Link::as_select()).load(conn)?));
    links.expect("links")
}

fn on_event(host: &Host, statement: &str, id: Id) {
    host.write_behind();
    let changed = host.service.db.run(false, |conn| Ok(diesel::sql_query(statement).bind::<sql::Uuid, _>(id).execute(conn)?));
    assert_eq!(changed.expect(statement), 1, "{statement}");
}

#[test]
fn rows_are_only_added() {
    on_each_database(|host| {
        host.planted();
        ended_yesterday(host);
        let count = |conn: &mut AnyConnection| -> (i64, i64, i64) {
            (
                audit_events::table.count().get_result(conn).expect("counted"),
                audit_links::table.count().get_result(conn).expect("counted"),
                audit_checkpoints::table.count().get_result(conn).expect("counted"),
            )
        };
        host.service
            .db
            .run(false, |conn| {
                let before = count(conn);
                assert!(before.0 > 0 && before.1 > 0 && before.2 > 0, "{before:?}");
                for table in ["audit_events", "audit_links", "audit_checkpoints"] {
                    let column = if table == "audit_events" { "action" } else { "day" };
                    let mut tried = vec![format!("UPDATE {table} SET {column} = {column}"), format!("DELETE FROM {table}")];
                    tried.push(match conn {
                        AnyConnection::Pg(_) => format!("TRUNCATE {table}"),
                        AnyConnection::Sqlite(_) => format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}"),
                    });
                    for statement in tried {
                        let outcome = conn.batch_execute(&statement);
                        assert!(outcome.is_err_and(|error| error.to_string().contains("only added")), "{statement}");
                    }
                }
                assert_eq!(count(conn), before);
                Ok(())
            })
            .expect("tried");
    });
}

#[test]
fn a_changed_a_deleted_and_an_exchanged_row_are_named() {
    on_each_database(|host| {
        host.planted();
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        let whole = verified(&auditor);
        assert_eq!((faults(&whole), &whole["complete"]), (vec![], &json!(true)), "{whole}");
        let links = links(host);
        assert_eq!(whole["verified"], json!(links.len()));
        assert_eq!(whole["last_sequence"], json!(links.len()));
        assert!(links.len() > 8);
        host.service
            .db
            .run(false, |conn| {
                unguarded(conn);
                Ok(())
            })
            .expect("unguarded");

        // Another says that he did it, or that it was refused.
        let event = links[2].event_id;
        for (there, back) in
            [("outcome = 'refused'", "outcome = 'done'"), ("request_id = 'x' || request_id", "request_id = substr(request_id, 2)")]
        {
            on_event(host, &format!("UPDATE audit_events SET {there} WHERE id = $1"), event);
            let found = verified(&auditor);
            assert_eq!(faults(&found), [("changed", Some(3))], "{found}");
            assert_eq!(found["faults"][0]["event_id"], json!(event));
            assert!(found["faults"][0]["message"].as_str().is_some_and(|text| text.contains("改动")));
            on_event(host, &format!("UPDATE audit_events SET {back} WHERE id = $1"), event);
            assert_eq!(faults(&verified(&auditor)), []);
        }

        // Two links change places.
        let swap = "UPDATE audit_links SET sequence = -1 WHERE sequence = 4; UPDATE audit_links SET sequence = 4 WHERE sequence = 6; \
                    UPDATE audit_links SET sequence = 6 WHERE sequence = -1";
        raw(host, swap);
        assert_eq!(faults(&verified(&auditor)), [("reordered", Some(4)), ("reordered", Some(6))]);
        raw(host, swap);
        assert_eq!(faults(&verified(&auditor)), []);

        // What can't be read is no reason to stop.
        if !host.service.db.target().is_postgres() {
            on_event(host, "UPDATE audit_events SET at = 'yesterday' WHERE id = $1", event);
            let found = verified(&auditor);
            assert_eq!(faults(&found), [("changed", Some(3))], "{found}");
            return;
        }

        // A row is gone; then its link, too.
        on_event(host, "DELETE FROM audit_events WHERE id = $1", links[4].event_id);
        let found = verified(&auditor);
        assert_eq!(faults(&found), [("missing", Some(5))]);
        assert_eq!(found["faults"][0]["event_id"], json!(links[4].event_id));
        on_event(host, "DELETE FROM audit_links WHERE event_id = $1", links[4].event_id);
        assert_eq!(faults(&verified(&auditor)), [("missing", Some(5))]);
        let english = [("Accept-Language", "en")];
        let found = auditor.send("GET", &format!("{VERIFY}?after=2"), &english, None).body;
        assert!(found["faults"][0]["message"].as_str().is_some_and(|text| text.contains("numbers 5 to 5")), "{found}");
    });
}

#[test]
fn a_deleted_row_is_named_on_each_database() {
    on_each_database(|host| {
        host.planted();
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        assert_eq!(faults(&verified(&auditor)), []);
        host.service
            .db
            .run(false, |conn| {
                unguarded(conn);
                Ok(())
            })
            .expect("unguarded");
        let gone = links(host)[3].event_id;
        on_event(host, "DELETE FROM audit_events WHERE id = $1", gone);
        let found = verified(&auditor);
        assert_eq!(faults(&found), [("missing", Some(4))]);
        assert_eq!(found["faults"][0]["event_id"], json!(gone));
    });
}

/// The end of the log, cut off with its links, leaves a whole chain. A checkpoint kept elsewhere knows better.
#[test]
fn what_was_cut_off_is_found_by_a_checkpoint_kept_elsewhere() {
    on_each_database(|host| {
        let city = host.planted();
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        let county = county(&city);
        city.post("/api/v1/trainings", &json!({"organization_id": county}));
        let kept = auditor.get("/api/v1/audit/checkpoints");
        assert_eq!(kept.status, 200);
        let head = kept.body["head"]["sequence"].as_i64().expect("a number");
        assert_eq!(kept.body["head"]["count"], json!(head), "all of them today");

        let place = Workplace { folder: tempfile::tempdir().expect("a folder"), database: host.database.clone() };
        let file = place.folder.path().join("checkpoints.json");
        std::fs::write(&file, kept.body.to_string()).expect("written");
        let file = file.display().to_string();
        let own = |name: &str| host.keys.path().join(name).display().to_string();
        let (signing, data) = (own("signing.pem"), own("data-key"));
        let keys = [("YIYONG_SIGNING_KEY_FILE", signing.as_str()), ("YIYONG_DATA_KEY_FILE", data.as_str())];
        let run = |arguments: &[&str]| {
            let output = place.run(arguments, &keys);
            let printed: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
            (output.status.success(), printed)
        };
        let (well, printed) = run(&["audit", "verify", "--checkpoints", &file]);
        assert!(well && faults(&printed).is_empty(), "{printed}");
        let (well, printed) = run(&["audit", "checkpoints"]);
        assert!(well && printed["head"]["sequence"].as_i64() >= Some(head), "{printed}");

        host.service
            .db
            .run(false, |conn| {
                unguarded(conn);
                Ok(())
            })
            .expect("unguarded");
        raw(host, &format!("DELETE FROM audit_events WHERE id IN (SELECT event_id FROM audit_links WHERE sequence > {})", head - 2));
        raw(host, &format!("DELETE FROM audit_links WHERE sequence > {}", head - 2));
        let (well, printed) = run(&["audit", "verify"]);
        assert!(well && faults(&printed).is_empty(), "without the file it is whole: {printed}");
        let (well, printed) = run(&["audit", "verify", "--checkpoints", &file]);
        assert!(!well);
        assert_eq!(faults(&printed), [("missing", Some(head))]);

        // Others in their place are not the same.
        for _ in 0..3 {
            city.post("/api/v1/trainings", &json!({}));
            host.sign_in("cityadmin", UserKind::Person);
        }
        let (well, printed) = run(&["audit", "verify", "--checkpoints", &file]);
        assert!(!well);
        assert_eq!(faults(&printed), [("changed", Some(head))], "{printed}");
    });
}

/// Verifies as the service does, or what stands there without sealing anything.
fn walked(host: &Host, kept: Vec<Checkpoint>) -> Verification {
    let (db, keys) = (host.service.db.clone(), host.service.auth.keys());
    let asked = Asked { kept, ..Asked::default() };
    actix_web::rt::System::new().block_on(verify::verify(&db, keys, asked, Language::En)).expect("a verification")
}

/// Seals what there is as if that had been yesterday, which today is over.
fn ended_yesterday(host: &Host) -> NaiveDate {
    let yesterday = business_today(Instant::now()).pred_opt().expect("a day");
    let (db, keys) = (host.service.db.clone(), host.service.auth.keys());
    db.run(false, |conn| {
        let events: Vec<Event> = audit_events::table.order(audit_events::id).select(Event::as_select()).load(conn)?;
        for link in extended(None, yesterday, &events) {
            diesel::insert_into(audit_links::table).values(link).execute(conn)?;
        }
        Ok(())
    })
    .expect("linked");
    assert!(actix_web::rt::System::new().block_on(seal::catch_up(&db, &keys, Back::Whole)).expect("sealed"));
    yesterday
}

#[test]
fn a_day_ends_with_a_signed_checkpoint() {
    on_each_database(|host| {
        host.planted();
        let yesterday = ended_yesterday(host);
        host.sign_in("platform", UserKind::Person);
        let whole = walked(host, Vec::new());
        assert_eq!(whole.faults, []);
        assert_eq!(whole.days.iter().map(|day| day.checkpoint).collect::<Vec<_>>(), [true, false], "today goes on");
        assert_eq!(whole.days[0].day, yesterday);

        let platform = host.sign_in("platform", UserKind::Person);
        let kept = platform.get("/api/v1/audit/checkpoints").body;
        assert_eq!(kept["items"][0]["day"], json!(yesterday));
        let keys = host.nobody().get("/.well-known/jwks.json").body;
        assert_eq!(kept["items"][0]["kid"], keys["keys"][0]["kid"]);

        // One day of the two.
        let of_yesterday = platform.get(&format!("{VERIFY}?to={yesterday}")).body;
        assert_eq!(of_yesterday["verified"], json!(whole.days[0].events));
        let after = platform.get(&format!("{VERIFY}?from={}", yesterday.succ_opt().expect("a day"))).body;
        assert_eq!((&after["days"][0]["checkpoint"], faults(&after)), (&json!(false), vec![]));

        let rest = platform.get(&format!("{VERIFY}?after=2")).body;
        assert_eq!((&rest["days"][0]["events"], faults(&rest)), (&json!(whole.days[0].events - 2), vec![]));

        // The key changes: an old checkpoint alone has nobody to vouch for it, a later one of the present key does.
        let folder = tempfile::tempdir().expect("a folder");
        let next = folder.path().join("next.pem");
        std::fs::write(&next, Keys::generate_pem()).expect("written");
        let data = host.keys.path().join("data-key").display().to_string();
        let other = Host::on(&host.database, &[("YIYONG_SIGNING_KEY_FILE", &next.display().to_string()), ("YIYONG_DATA_KEY_FILE", &data)]);
        assert_eq!(kinds(&walked(&other, Vec::new())), ["signature"]);
        let keys = other.service.auth.keys();
        let head = other.service.db.run(true, |conn| seal::head(conn, &keys)).expect("a checkpoint").expect("a chain");
        assert_eq!(kinds(&walked(&other, vec![head.clone()])), Vec::<&str>::new());
        assert_eq!(kinds(&walked(&other, vec![Checkpoint { count: head.count + 1, ..head }])), ["signature", "changed", "signature"]);

        // What was signed is changed, or taken away.
        host.service
            .db
            .run(false, |conn| {
                unguarded(conn);
                Ok(())
            })
            .expect("unguarded");
        raw(host, "UPDATE audit_checkpoints SET count = count - 1");
        assert_eq!(kinds(&walked(host, Vec::new())), ["signature", "changed"]);
        raw(host, "DELETE FROM audit_checkpoints");
        assert_eq!(kinds(&walked(host, Vec::new())), ["missing"]);
    });
}

fn kinds(verification: &Verification) -> Vec<&'static str> {
    use yiyong::types::TextEnum;
    verification.faults.iter().map(|fault| fault.kind.code()).collect()
}

/// Sealing comes first; what still waits after a minute is named.
#[test]
fn an_event_without_a_link_is_named() {
    on_each_database(|host| {
        host.planted();
        let id = Id::new();
        let event = Event {
            id,
            at: Instant::now().plus_seconds(-61),
            actor_id: None,
            action: "create".into(),
            resource: "organizations".into(),
            record_id: None,
            organization_id: None,
            request_id: "late".into(),
            detail: None,
            address: None,
            outcome: AuditOutcome::Done,
            person_id: None,
        };
        host.service.db.run(false, |conn| Ok(audit::append(conn, std::slice::from_ref(&event))?)).expect("appended");
        let keys = host.service.auth.keys();
        let found = verify::walk(&host.service.db, &keys, Asked::default()).expect("a walk");
        assert_eq!(found.walk.faults.iter().map(|fault| fault.event_id).collect::<Vec<_>>(), [Some(id)]);
        assert_eq!(walked(host, Vec::new()).faults, [], "it was only late");
        // An event whose id is older than others that are sealed already turns up when its deed is committed at last.
        let old = Event { id: Id(uuid_of(Instant::now().plus_seconds(-90))), ..event };
        host.service.db.run(false, |conn| Ok(audit::append(conn, std::slice::from_ref(&old))?)).expect("appended");
        let (db, sealed) = (host.service.db.clone(), links(host).len());
        assert!(actix_web::rt::System::new().block_on(seal::catch_up(&db, &keys, Back::Seconds(120))).expect("sealed"));
        assert_eq!(links(host).len(), sealed + 1);
    });
}

fn uuid_of(at: Instant) -> uuid::Uuid {
    let milliseconds = u128::try_from(at.0.timestamp_millis()).expect("after 1970");
    uuid::Uuid::from_u128((milliseconds << 80) | 7 << 76 | 2 << 62 | 0x1234)
}

#[test]
fn many_writers_and_two_sealers_make_one_whole_chain() {
    on_each_database(|host| {
        let city = host.planted();
        let county = county(&city);
        let other = host.beside(&[]);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let sealers: Vec<_> = [host, &other]
                .map(|server| {
                    let done = &done;
                    scope.spawn(move || {
                        let (db, keys) = (server.service.db.clone(), server.service.auth.keys());
                        let system = actix_web::rt::System::new();
                        let mut times = 0;
                        while !done.load(Ordering::Acquire) {
                            system.block_on(seal::catch_up(&db, &keys, Back::Seconds(120))).expect("sealed");
                            times += 1;
                        }
                        times
                    })
                })
                .into();
            let writers: Vec<_> = (0..16)
                .map(|n| {
                    let (client, county) =
                        (Client { base: if n % 2 == 0 { &host.base } else { &other.base }, ..city.clone() }, county.as_str());
                    scope.spawn(move || {
                        for _ in 0..6 {
                            let draft = json!({"organization_id": county, "base_kind": "other", "established_on": "2022-06-17"});
                            assert_eq!(client.post("/api/v1/volunteer-teams", &draft).status, 201);
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.join().expect("written");
            }
            done.store(true, Ordering::Release);
            for sealer in sealers {
                assert!(sealer.join().expect("sealed") > 0_u64);
            }
        });
        let events: i64 = host.service.db.run(true, |conn| Ok(audit_events::table.count().get_result(conn)?)).expect("counted");
        let whole = walked(host, Vec::new());
        assert_eq!((whole.faults, whole.verified, whole.complete), (vec![], events, true));
    });
}

/// A server seals by itself.
#[test]
fn a_server_keeps_the_chain() {
    let place = Workplace::new(None);
    place.user("platform", "platform_admin", None);
    let server = place.serve(&[]);
    let platform = server.nobody().sign_in("platform", UserKind::Person);
    let target = yiyong::db::Target::parse(&place.database).expect("an address");
    let mut conn = target.connect(std::time::Duration::from_secs(60)).expect("connected");
    let begun = std::time::Instant::now();
    let signed_in = loop {
        assert!(begun.elapsed().as_secs() < 60, "nothing is sealed");
        platform.get("/api/v1/auth/me");
        let linked: Vec<Id> = audit_links::table.select(audit_links::event_id).load(&mut conn).expect("links");
        let logins: Vec<Id> =
            audit_events::table.filter(audit_events::action.eq("login")).select(audit_events::id).load(&mut conn).expect("events");
        if let Some(login) = logins.into_iter().find(|login| linked.contains(login)) {
            break login;
        }
    };
    assert!(found(&platform, "action=login").iter().any(|event| event["id"] == json!(signed_in)));
}
