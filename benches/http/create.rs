//! A new volunteer with the person behind them: over HTTP with audit, search and idempotency, beside the bare rows.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::params;
use yiyong::types::{Id, Instant, new_code};

use crate::http::request;
use crate::load::{self, Measured, Pace};
use crate::server::Server;
use crate::straight;
use crate::world::{self, World};

pub fn over_http(server: &Server, token: &str, world: &World, pace: Pace) -> Measured {
    static KEY: AtomicU64 = AtomicU64::new(0);
    let path = format!("/api/v1/{}", world::SUBJECT);
    load::requests(pace, &server.address, 201, |random| {
        let body = world.draft(random).to_string();
        let key = format!("bench-{}", KEY.fetch_add(1, Ordering::Relaxed));
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key.as_str())];
        request("POST", &path, token, &headers, body.as_bytes())
    })
}

/// Both rows in one statement and one transaction, with ids in the order of time as the service makes them.
const BARE: &str = "\
WITH ids AS (
    SELECT (lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0') || '7' || substr(r, 1, 3) || '8' || substr(r, 4, 15))::uuid AS id,
           substr(r, 1, 20) AS code, decode(r || r, 'hex') AS hash
    FROM (SELECT md5(random()::text) AS r) AS drawn
), person AS (
    INSERT INTO persons (id, code, organization_id, name, gender, id_number_sealed, id_number_hash, id_number_masked,
                         phone_sealed, phone_hash, phone_masked, version, created_at, updated_at)
    SELECT id, code, '{organization}', '王建国', 'male', hash, hash, '419***********1234', hash, hash, '199****1234', 1, now(), now() FROM ids
    RETURNING id, code
)
INSERT INTO volunteers (id, code, organization_id, person_id, sector, status, registered_on, registered_on_precision, version, created_at, updated_at)
SELECT id, code, '{organization}', id, 'delivery', 'active', '2022-06-01', 'exact', 1, now(), now() FROM person;
";

/// Executions a second by pgbench.
pub fn bare_on_postgres(url: &str, folder: &Path, pace: Pace) -> Option<f64> {
    let script = folder.join("bare.sql");
    std::fs::write(&script, BARE.replace("{organization}", &world::city())).expect("a script");
    let mut command = Command::new(straight::program("pgbench")?);
    command.args(["-M", "prepared", "-n", "-j", "2", "-c", &pace.callers.to_string(), "-T", &pace.measured.as_secs().max(1).to_string()]);
    let output = command.arg("-f").arg(script).arg(url).output().expect("pgbench runs");
    straight::rate_told(&output)
}

/// The same on a SQLite file. It has one writer at a time, so one thread is the quickest.
pub fn bare_on_sqlite(path: &Path, pace: Pace) -> Measured {
    let organization: Id = world::city().parse().expect("an id");
    load::run(
        Pace { callers: 1, ..pace },
        || straight::open(path),
        |conn, _| {
            let (id, code, now) = (Id::new().0, new_code(), Instant::now().0.to_rfc3339());
            let (id, organization, hash) = (id.as_bytes().as_slice(), organization.0.as_bytes().as_slice(), id.as_bytes().repeat(2));
            let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).expect("a transaction");
            transaction
                .prepare_cached(
                    "INSERT INTO persons (id, code, organization_id, name, gender, id_number_sealed, id_number_hash, id_number_masked, \
                                          phone_sealed, phone_hash, phone_masked, version, created_at, updated_at) \
                     VALUES (?, ?, ?, '王建国', 'male', ?, ?, '419***********1234', ?, ?, '199****1234', 1, ?, ?)",
                )
                .and_then(|mut insert| insert.execute(params![id, code, organization, hash, hash, hash, hash, now, now]))
                .expect("a person");
            transaction
                .prepare_cached("INSERT INTO volunteers VALUES (?, ?, ?, ?, 'delivery', 'active', '2022-06-01', 'exact', NULL, 1, ?, ?)")
                .and_then(|mut insert| insert.execute(params![id, code, organization, id, now, now]))
                .expect("a volunteer");
            transaction.commit().expect("committed");
        },
    )
}
