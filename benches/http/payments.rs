//! Payments out of one fund and out of a hundred: over HTTP with all that makes them trustworthy, beside the same
//! statements by pgbench.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use yiyong::db::AnyConnection;

use crate::http::request;
use crate::load::{self, Measured, Pace};
use crate::server::Server;
use crate::{straight, world};

/// Funds, each with a bank account of its own.
pub const PAIRS: u64 = 100;

/// Lays out what is to be paid, in a database with its users.
pub fn lay_out(conn: &mut AnyConnection, payments: u64) {
    world::run(conn, include_str!("till.sql"), &[("{pairs}", PAIRS), ("{payments}", payments)]);
}

pub fn over_http(server: &Server, token: &str, funds: u64, pace: Pace) -> Measured {
    // Each is paid once, in the whole run.
    static NEXT: AtomicU64 = AtomicU64::new(0);
    load::requests(pace, &server.address, 200, |_| {
        let n = 1 + NEXT.fetch_add(1, Ordering::Relaxed);
        let pair = 1 + n % funds;
        let path = format!("/api/v1/disbursements/{}/pay", world::id('e', n));
        let body = format!(
            "{{\"paid_on\":\"2022-06-17\",\"fund_id\":\"{}\",\"account_id\":\"{}\"}}",
            world::id('a', 2 * pair - 1),
            world::id('a', 2 * pair)
        );
        let key = format!("pay-{n}");
        request("POST", &path, token, &[("Content-Type", "application/json"), ("Idempotency-Key", key.as_str())], body.as_bytes())
    })
}

/// What a payment asks of the database and writes to it, as the service does it, without the service: each client pays
/// disbursements of its own from the end of the table.
const PAYMENT: &str = r"\set i :i + 1
\set n {first} + :client_id * {each} + :i
\set pair 1 + :n % {funds}
BEGIN;
SELECT key FROM idempotency_keys WHERE actor_id = (SELECT id FROM users WHERE username = 'finance') AND key = 'straight-{funds}-' || :n;
SELECT id FROM disbursements WHERE id = {e:n} FOR UPDATE;
SELECT * FROM disbursements WHERE id = {e:n};
SELECT record_id FROM audit_events WHERE record_id = {e:n} AND action IN ('create', 'update');
SELECT id, kind FROM organizations WHERE id = '{city}';
SELECT id, kind, purposes FROM accounts WHERE id IN ({a:2 * :pair - 1}, {a:2 * :pair});
SELECT id FROM accounts WHERE id IN ({a:2 * :pair - 1}, {a:2 * :pair}) ORDER BY id FOR UPDATE;
SELECT sequence AS fs, balance_fen AS fb FROM ledger_entries WHERE account_id = {a:2 * :pair - 1} ORDER BY sequence DESC LIMIT 1 \gset
SELECT sequence AS bs, balance_fen AS bb FROM ledger_entries WHERE account_id = {a:2 * :pair} ORDER BY sequence DESC LIMIT 1 \gset
INSERT INTO ledger_entries VALUES ({f:n}, 1, {a:2 * :pair - 1}, :fs + 1, 1, :fb - 1), ({f:n}, 2, {a:2 * :pair}, :bs + 1, -1, :bb - 1);
INSERT INTO ledger_transactions (id, code, organization_id, kind, occurred_on, amount_fen, summary, disbursement_id, posted_by, created_at) SELECT {f:n}, 'straight' || :n, '{city}', 'payment', '2022-06-17', 1, 'x', {e:n}, id, now() FROM users WHERE username = 'finance';
UPDATE disbursements SET state = 'paid', paid_on = '2022-06-17', paid_by = (SELECT id FROM users WHERE username = 'finance'), version = version + 1 WHERE id = {e:n} AND version = 3;
INSERT INTO audit_events (id, at, action, resource, record_id, organization_id, request_id, detail) VALUES ({f:n}, now(), 'pay', 'disbursements', {e:n}, '{city}', 'straight', '{}');
INSERT INTO idempotency_keys (actor_id, key, fingerprint, status, body, created_at) SELECT id, 'straight-{funds}-' || :n, '\x00', 200, '\x00', now() FROM users WHERE username = 'finance';
COMMIT;
";

/// Executions a second by pgbench. `first` is where the disbursements begin that nobody has paid.
pub fn straight_on_postgres(url: &str, folder: &Path, funds: u64, (first, each): (u64, u64), pace: Pace) -> Option<f64> {
    let id = |kind: char, n: &str| format!("('0190{kind}000-0000-7000-8000-' || (100000000000 + {n}))::uuid");
    let mut text = PAYMENT.replace("{city}", &world::city()).replace("{funds}", &funds.to_string());
    text = text.replace("{first}", &first.to_string()).replace("{each}", &each.to_string());
    text = text.replace("{e:n}", &id('e', ":n")).replace("{f:n}", &id('f', ":n"));
    text = text.replace("{a:2 * :pair - 1}", &id('a', "2 * :pair - 1")).replace("{a:2 * :pair}", &id('a', "2 * :pair"));
    let script = folder.join("payment.sql");
    std::fs::write(&script, text).expect("a script");
    let mut command = Command::new(straight::program("pgbench")?);
    command.args(["-M", "prepared", "-n", "-j", "2", "-D", "i=0"]);
    command.args(["-c", &pace.callers.to_string(), "-T", &pace.measured.as_secs().max(1).to_string()]);
    let output = command.arg("-f").arg(script).arg(url).output().expect("pgbench runs");
    straight::rate_told(&output)
}
