//! The server is killed in the middle of payments, over and over: what was acknowledged is there, what was not is whole
//! or not there at all, and asking again with the same key makes it one payment.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use yiyong::auth::UserKind;
use yiyong::db::{Target, migrations};
use yiyong::policy::Role;

use crate::cluster;
use crate::hosts::{Answer, Client, Host};
use crate::ledger::{approved, purse};
use crate::process::Workplace;
use crate::welfare::{BATCHES, DISBURSEMENTS, PROGRAMMES, made, organization, step};

/// How often on each database; `YIYONG_KILLS=100` takes half a minute more.
const KILLS: usize = 25;
const ROSTER: i64 = 8;

#[test]
fn a_killed_server_pays_nothing_twice_and_nothing_by_halves() {
    kill_over_and_over(&Workplace::new(None));
    if let Some(database) = crate::hosts::postgres_database() {
        kill_over_and_over(&Workplace::new(Some(&database)));
    }
}

fn kill_over_and_over(workplace: &Workplace) {
    let kills = std::env::var("YIYONG_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let settings = [("YIYONG_MIGRATE_AT_START", "true"), ("YIYONG_LOG", "warn,yiyong=info")];
    assert!(workplace.run(&["migrate"], &[]).status.success());
    workplace.user("platform", "platform_admin", None);
    let mut server = workplace.serve(&settings);
    let nobody = Client::at(&server.base);
    let platform = nobody.sign_in("platform", UserKind::Person);
    let root =
        made(platform.post("/api/v1/organizations", &json!({"code": "zz", "name": "郑州市见义勇为协会", "kind": "city_association"})));
    let zz = json!(root.id());
    for (username, role) in [("clerk", "clerk"), ("leader", "leader"), ("finance", "finance")] {
        workplace.user(username, role, Some("zz"));
    }
    let [clerk, leader, finance] = ["clerk", "leader", "finance"].map(|name| nobody.sign_in(name, UserKind::Person));
    let own = purse(&finance, &leader, &zz, "unrestricted", 1_000_000);
    let programme = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "慰问", "kind": "condolence", "form": "cash"})));
    let batches: Vec<String> = (0..kills).map(|_| approved_batch(&clerk, &leader, &zz, programme.id())).collect();
    let body = own.paid("2022-06-17").to_string();
    // Both go on at each server that comes after this one.
    let first = server.base.clone();
    let (clerk, finance) = (clerk.elsewhere(&first), finance.elsewhere(&first));

    let mut random = StdRng::seed_from_u64(7);
    let mut acknowledged = 0;
    for (round, batch) in batches.iter().enumerate() {
        let key = format!("round-{round}");
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key.as_str())];
        let path = format!("{batch}/pay");
        // Somewhere between before the request has arrived and after its answer is gone.
        let moment = Duration::from_micros(random.random_range(0..30_000));
        let answer: Option<Answer> = std::thread::scope(|threads| {
            let at = server.base.clone();
            let (finance, path, headers, body) = (&finance, &path, &headers, &body);
            let paying = threads.spawn(move || finance.elsewhere(&at).try_send("POST", path, headers, Some(body.as_bytes())).ok());
            let begun = Instant::now();
            while begun.elapsed() < moment {
                std::thread::yield_now();
            }
            server.kill();
            paying.join().expect("an end")
        });
        if let Some(answer) = &answer {
            assert_eq!(answer.status, 200, "{answer:?}");
            acknowledged += 1;
        }
        clean(workplace);
        server = workplace.serve(&settings);
        let states = |client: &Client<'_>| client.get(batch).body["totals"]["by_state"].clone();
        let clerk = clerk.elsewhere(&server.base);
        let before = states(&clerk);
        assert!(before == json!({"paid": ROSTER}) || (answer.is_none() && before == json!({"approved": ROSTER})), "{round}: {before}");
        // Whether or not the first was heard, the same again is one payment.
        let again = finance.elsewhere(&server.base).send("POST", &path, &headers, Some(body.as_bytes()));
        assert_eq!(again.status, 200, "{again:?}");
        assert_eq!(again.header("Idempotent-Replayed").is_some(), before == json!({"paid": ROSTER}), "{round}");
        assert_eq!(states(&clerk), json!({"paid": ROSTER}));
    }
    let kills = i64::try_from(kills).expect("a number");
    let finance = finance.elsewhere(&server.base);
    let posted = finance.get("/api/v1/ledger-transactions?kind=payment&count=true&limit=1");
    assert_eq!(posted.body["total"], kills * ROSTER, "{acknowledged} were acknowledged");
    let left = finance.get(&format!("/api/v1/accounts/{}", own.fund)).body["balance_fen"].clone();
    assert_eq!(left, 1_000_000 - kills * ROSTER * 10);
    clean(workplace);
    let checked = workplace.run(&["check"], &[]);
    assert!(checked.status.success(), "{checked:?}");
}

/// The database goes away twice while two servers pay: whoever asks until they are answered has paid once.
#[test]
fn a_database_that_restarts_in_the_middle_of_payments_loses_none() {
    let Some(cluster) = cluster::own() else { return };
    let mut conn = Target::parse(&cluster.url()).expect("a URL").connect(Duration::from_secs(60)).expect("connected");
    migrations::up(&mut conn).expect("migrated");
    drop(conn);
    let host = Host::on(&cluster.url(), &[]);
    let beside = host.beside(&[]);
    let city = host.planted();
    let zz = organization(&city, "zz");
    let [clerk, leader, finance] = [("clerk", Role::Clerk), ("leader", Role::Leader), ("finance", Role::Finance)]
        .map(|(name, role)| host.user(name, role, Some("zz")));
    let own = purse(&finance, &leader, &zz, "unrestricted", 1_000);
    let programme = made(clerk.post(PROGRAMMES, &json!({"organization_id": zz, "name": "救助", "kind": "hardship", "form": "cash"})));
    let draft =
        json!({"organization_id": zz, "programme_id": programme.id(), "people": 1, "amount_fen": 10, "channel": "own", "year": 2022});
    let paths: Vec<String> = (0..60).map(|_| approved(&clerk, &leader, &draft)).collect();
    let body = own.paid("2022-06-17").to_string();
    let paid = AtomicUsize::new(0);
    std::thread::scope(|threads| {
        for (n, part) in paths.chunks(10).enumerate() {
            let server = if n % 2 == 0 { &host } else { &beside };
            let (paid, body, finance) = (&paid, &body, finance.elsewhere(&server.base));
            threads.spawn(move || {
                for path in part {
                    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", path.as_str())];
                    let answer = loop {
                        match finance.send("POST", &format!("{path}/pay"), &headers, Some(body.as_bytes())) {
                            answer if [409, 429, 503].contains(&answer.status) && answer.code() != "step_not_allowed" => {}
                            answer => break answer,
                        }
                    };
                    assert_eq!((answer.status, &answer.body["state"]), (200, &json!("paid")), "{answer:?}");
                    paid.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for so_far in [10, 30] {
            while paid.load(Ordering::Relaxed) < so_far {
                std::thread::yield_now();
            }
            cluster.stop();
            cluster.start_again();
        }
    });
    assert_eq!(own.balances(&finance), (400, 400));
    assert_eq!(finance.get("/api/v1/ledger-transactions?kind=payment&count=true&limit=1").body["total"], 60);
    crate::ledger::clean(&host);
}

fn approved_batch(clerk: &Client<'_>, leader: &Client<'_>, zz: &Value, programme: &str) -> String {
    let draft = json!({"organization_id": zz, "programme_id": programme, "name": "春节", "year": 2022, "control_fen": 10 * ROSTER});
    let batch = made(clerk.post(BATCHES, &draft));
    let one = json!({"organization_id": zz, "batch_id": batch.id(), "people": 1, "amount_fen": 10, "channel": "own"});
    let roster = json!({"items": vec![one; usize::try_from(ROSTER).expect("a number")]}).to_string();
    let key = format!("roster-{}", batch.id());
    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key.as_str())];
    let sent = clerk.send("POST", &format!("{DISBURSEMENTS}/batch"), &headers, Some(roster.as_bytes()));
    assert_eq!(sent.status, 201, "{sent:?}");
    let path = format!("{BATCHES}/{}", batch.id());
    assert_eq!(step(clerk, &path, "submit", &json!({})).status, 200);
    assert_eq!(step(leader, &path, "approve", &json!({})).status, 200);
    path
}

/// As the database has it, without the server.
fn clean(workplace: &Workplace) {
    let mut conn = Target::parse(&workplace.database).expect("a database").connect(Duration::from_secs(30)).expect("a connection");
    let found = yiyong::integrity::check(&mut conn).expect("a check");
    assert!(found.clean, "{:?}", found.checks.iter().filter(|check| check.offenders > 0).collect::<Vec<_>>());
}
