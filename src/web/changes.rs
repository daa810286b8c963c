//! What has changed of a resource, for whoever keeps a copy of its records: a front end that works without a network, another
//! register of the city.
//!
//! `GET /things?updated_since=…` gives the records that were written since, as they are now, and the ids of those that are gone. Its
//! order is that of the audit log's chain, which is the order of commits: a record whose transaction took long is told late and
//! never missed, which no time of a record can promise. The place in the chain goes out as `sync_token` and comes back as
//! `updated_since`. Whoever begins gives an instant: then it starts an hour before, since what was written in a long
//! transaction says when that began. What is told twice is the same.
//!
//! A record counts as changed when it was written itself. What it shows along of another record changes with that one.
//!
//! The token belongs to what its holder may see. When that has changed, or an organization has been moved, records come and
//! go that nobody has written: then the token is refused (`sync_expired`) and the copy is to be made anew.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::page::take_limit;
use super::query::Pairs;
use super::verbs::Verbs;
use crate::audit::AuditOutcome;
use crate::db::AnyConnection;
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Scope};
use crate::schema::{audit_events as e, audit_links as l, organizations};
use crate::types::{Id, Instant, TextEnum};

/// The parameter.
pub const SINCE: &str = "updated_since";
/// How much earlier than an instant it begins: no transaction is open for so long.
const SLACK_SECONDS: i64 = 3_600;
/// Links that one query looks through, and queries of a request: it ends, however much else was written.
const STRETCH: i64 = 5_000;
const STRETCHES: usize = 10;

/// A place in the chain, of one resource and for one who may see so much.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    #[serde(rename = "s")]
    sequence: i64,
    #[serde(rename = "r")]
    resource: String,
    #[serde(rename = "w")]
    sees: String,
}

impl Token {
    fn written(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    fn read(text: &str) -> Option<Self> {
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()
    }
}

/// A record that is gone, or out of the caller's sight.
#[derive(Debug, Serialize)]
struct Gone {
    id: Id,
    at: Instant,
}

/// What has changed.
#[derive(Debug, Serialize)]
struct Changes {
    items: Vec<Box<RawValue>>,
    deleted: Vec<Gone>,
    sync_token: String,
    more: bool,
    /// Of pages that are none here.
    next_cursor: Option<String>,
}

/// A write of one record.
#[derive(Debug, Clone, Queryable)]
struct Written {
    sequence: i64,
    event_id: Id,
    at: Instant,
    action: String,
    record_id: Option<Id>,
    organization_id: Option<Id>,
    person_id: Option<Id>,
}

/// What else may stand beside the parameter.
pub fn limit(mut pairs: Pairs) -> Result<i64> {
    let mut faults = Vec::new();
    let limit = take_limit(&mut pairs, &mut faults);
    faults.extend(pairs.0.iter().map(|(name, _)| {
        let says = Says::new("updated_since 只能与 limit 同用，请去掉此参数", "only limit may stand beside updated_since; leave this out");
        Fault::new(format!("/{name}"), "unknown_parameter", says)
    }));
    if !faults.is_empty() {
        return Err(Error::with_faults(Code::InvalidParameter, faults));
    }
    Ok(limit)
}

fn sees(scope: &Scope) -> String {
    URL_SAFE_NO_PAD.encode(&Sha256::digest(scope.words())[..9])
}

/// Where to begin.
fn begun(conn: &mut AnyConnection, verbs: &dyn Verbs, scope: &Scope, since: &str) -> Result<i64> {
    let wrong = |zh: &str, en: &str| {
        let fault = Fault::new(format!("/{SINCE}"), "invalid_parameter", Says::new(zh, en));
        Error::with_faults(Code::InvalidParameter, vec![fault])
    };
    if let Ok(at) = chrono::DateTime::parse_from_rfc3339(since) {
        let from = Instant(at.to_utc()).plus_seconds(-SLACK_SECONDS);
        let sealed = e::table.inner_join(l::table.on(l::event_id.eq(e::id)));
        let first: Option<i64> = sealed.filter(e::at.ge(from)).order(e::at).select(l::sequence).first(conn).optional()?;
        return Ok(match first {
            Some(first) => first - 1,
            None => last(conn)?,
        });
    }
    let Some(token) = Token::read(since) else {
        return Err(wrong(
            "应为带时区的时刻（如 2022-06-17T01:00:00Z；地址中的 + 须写作 %2B），或上一次返回的 sync_token",
            "this should be an instant with its zone, as in 2022-06-17T01:00:00Z (a + in an address is written %2B), or the sync_token of the answer before",
        ));
    };
    if token.resource != verbs.name() {
        return Err(wrong("此 sync_token 属于另一类记录", "this sync_token belongs to other records"));
    }
    // The chain goes on: a place behind its end is of another database, or of one that was put back.
    let moved = !scope.is_whole() && has_moved(conn, token.sequence)?;
    if token.sees != sees(scope) || moved || token.sequence > last(conn)? {
        return Err(Error::because(
            Code::SyncExpired,
            "您可见的范围或组织隶属已有变动，请重新读取列表，再以开始读取的时刻作为 updated_since",
            "what you may see has changed, or an organization has moved: read the list again, then give the instant at which you began as updated_since",
        ));
    }
    Ok(token.sequence)
}

fn last(conn: &mut AnyConnection) -> Result<i64> {
    Ok(l::table.order(l::sequence.desc()).select(l::sequence).first(conn).optional()?.unwrap_or(0))
}

/// Whether an organization has been moved since: rare enough to be looked for by its action.
fn has_moved(conn: &mut AnyConnection, sequence: i64) -> Result<bool> {
    let moves = e::table
        .inner_join(l::table.on(l::event_id.eq(e::id)))
        .filter(e::action.eq(Action::Move.code()))
        .filter(e::resource.eq("organizations"))
        .filter(l::sequence.gt(sequence));
    Ok(moves.order(e::id.desc()).select(l::sequence).first::<i64>(conn).optional()?.is_some())
}

/// The writes after a place, and the place up to which there are no others.
fn written(conn: &mut AnyConnection, resource: &str, from: i64, end: i64, limit: i64) -> Result<(Vec<Written>, i64)> {
    let mut from = from;
    for _ in 0..STRETCHES {
        let to = end.min(from + STRETCH);
        let rows: Vec<Written> = l::table
            .inner_join(e::table.on(e::id.eq(l::event_id)))
            .filter(l::sequence.gt(from))
            .filter(l::sequence.le(to))
            .filter(e::resource.eq(resource))
            .filter(e::outcome.eq(AuditOutcome::Done))
            .filter(e::record_id.is_not_null())
            .order(l::sequence)
            .limit(limit)
            .select((l::sequence, e::id, e::at, e::action, e::record_id, e::organization_id, e::person_id))
            .load(conn)?;
        // Not all of the stretch may have been seen.
        let full = i64::try_from(rows.len()).is_ok_and(|n| n == limit);
        let seen = rows.last().filter(|_| full).map_or(to, |last| last.sequence);
        if !rows.is_empty() || seen == end {
            return Ok((rows, seen));
        }
        from = seen;
    }
    Ok((Vec::new(), from))
}

/// The answer.
pub fn list(conn: &mut AnyConnection, verbs: &dyn Verbs, actor: &Actor, scope: &Scope, since: &str, limit: i64) -> Result<Vec<u8>> {
    let from = begun(conn, verbs, scope, since)?;
    let end = last(conn)?;
    let (rows, seen) = written(conn, verbs.name(), from, end, limit)?;
    // Each record once, where it was written last.
    let mut latest: HashMap<Id, &Written> = HashMap::new();
    for row in &rows {
        latest.extend(row.record_id.map(|id| (id, row)));
    }
    let mut found = verbs.among(conn, actor, scope, latest.keys().copied().collect())?;
    let missing: HashSet<Id> = latest.keys().filter(|id| !found.contains_key(id)).copied().collect();
    let missing = seen_before(conn, verbs, scope, &rows, missing)?;
    let mut in_order: Vec<(Id, &Written)> = latest.into_iter().collect();
    in_order.sort_unstable_by_key(|(_, row)| row.sequence);
    let items = in_order.iter().filter_map(|(id, _)| found.remove(id)).collect();
    let deleted = in_order.iter().filter(|(id, _)| missing.contains(id)).map(|(id, row)| Gone { id: *id, at: row.at }).collect();
    let token = Token { sequence: seen, resource: verbs.name().to_owned(), sees: sees(scope) };
    let changes = Changes { items, deleted, sync_token: token.written(), more: seen < end, next_cursor: None };
    serde_json::to_vec(&changes).map_err(Error::internal)
}

/// Those of the missing records that the caller may have seen: by the organization that they belonged to at a write, or before it.
fn seen_before(conn: &mut AnyConnection, verbs: &dyn Verbs, scope: &Scope, rows: &[Written], missing: HashSet<Id>) -> Result<HashSet<Id>> {
    let scope = verbs.readable_in(scope);
    if scope.is_whole() || missing.is_empty() {
        return Ok(missing);
    }
    let of_missing = || rows.iter().filter_map(|row| Some((row.record_id.filter(|id| missing.contains(id))?, row)));
    let mut at: Vec<(Id, Id)> = of_missing().filter_map(|(id, row)| Some((id, row.organization_id?))).collect();
    let updates: HashMap<Id, Id> =
        of_missing().filter(|(_, row)| row.action == Action::Update.code()).map(|(id, row)| (row.event_id, id)).collect();
    let details: Vec<(Id, Option<String>)> =
        e::table.filter(e::id.eq_any(updates.keys().copied().collect::<Vec<_>>())).select((e::id, e::detail)).load(conn)?;
    for (event_id, detail) in details {
        let detail: serde_json::Value = detail.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let was = detail["organization_id"][0].as_str().and_then(|text| text.parse().ok());
        at.extend(updates.get(&event_id).copied().zip(was));
    }
    let out_of_reach = scope.lacks(conn, at.iter().map(|(_, organization)| *organization).collect())?;
    // Of an organization that is gone nobody knows any more under whom it was: that one of its records is gone tells nothing.
    let lacks: HashSet<Id> = organizations::table
        .filter(organizations::id.eq_any(out_of_reach))
        .select(organizations::id)
        .load::<Id>(conn)?
        .into_iter()
        .collect();
    let own = of_missing().filter(|(_, row)| row.person_id.is_some() && row.person_id == scope.own()).map(|(id, _)| id);
    let here = at.iter().filter(|(_, organization)| !lacks.contains(organization)).map(|(id, _)| *id);
    Ok(here.chain(own).collect())
}
