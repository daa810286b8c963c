//! Hangs committed events on the chain, and ends its days with signed checkpoints.
//!
//! One sealer works at a time, on all servers together; who finds another at work leaves it to that one. An event's id is
//! made before its deed is committed, so an event may turn up behind others that are sealed already. So what isn't sealed
//! is looked for some way back: five seconds each second, two minutes every ten, an hour each minute, and from the beginning
//! each hour and whenever the chain is verified. A server that writes thousands of events a second spent a seventh of its
//! database on looking back two minutes each second.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Event;
use super::chain::{Link, extended};
use crate::auth::Keys;
use crate::db::{AnyConnection, Db, Deed, Tx, insert_all};
use crate::error::Result;
use crate::schema::{audit_checkpoints, audit_events, audit_links};
use crate::types::{Id, Instant, business_today};

/// Events that one transaction seals.
const BATCH: usize = 2_000;
/// Events that one query looks through for those without a link.
const PAGE: usize = 10_000;

/// How far back to look for events that aren't sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Back {
    Seconds(i64),
    Whole,
}

/// How far the chain had come, signed: what is kept elsewhere shows later that nothing of it was cut off or written anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    pub day: NaiveDate,
    /// Of the last link.
    #[schema(example = 4711)]
    pub sequence: i64,
    /// Links of this day, up to that one.
    #[schema(example = 4711)]
    pub count: i64,
    /// Of the last link, in hexadecimal digits.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub hash: String,
    /// Of the key that signed: see /.well-known/jwks.json.
    pub kid: String,
    /// Ed25519 over the text `yiyong audit checkpoint 1`, day, sequence, count and hash, each on a line of its own; base64url.
    pub signature: String,
}

#[derive(Insertable, Queryable)]
#[diesel(table_name = audit_checkpoints)]
struct Row {
    day: NaiveDate,
    sequence: i64,
    count: i64,
    hash: Vec<u8>,
    kid: String,
    signature: String,
}

impl From<Row> for Checkpoint {
    fn from(Row { day, sequence, count, hash, kid, signature }: Row) -> Self {
        Self { day, sequence, count, hash: hex(&hash), kid, signature }
    }
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Checkpoint {
    fn text(&self) -> String {
        let Self { day, sequence, count, hash, .. } = self;
        format!("yiyong audit checkpoint 1\n{day}\n{sequence}\n{count}\n{hash}\n")
    }

    fn signed(last: &Link, count: i64, keys: &Keys) -> Self {
        let mut checkpoint = Self {
            day: last.day,
            sequence: last.sequence,
            count,
            hash: hex(&last.hash),
            kid: keys.kid().to_owned(),
            signature: String::new(),
        };
        checkpoint.signature = keys.sign(checkpoint.text().as_bytes());
        checkpoint
    }

    /// Whether the signature is that of the key it names; `None` when the service doesn't hold that key any more.
    pub fn is_genuine(&self, keys: &Keys) -> Option<bool> {
        keys.has_signed(&self.kid, self.text().as_bytes(), &self.signature)
    }
}

/// When an id was made.
fn made_at(id: Id) -> Option<Instant> {
    let milliseconds = i64::try_from(id.0.as_u128() >> 80).ok()?;
    chrono::DateTime::from_timestamp_millis(milliseconds).map(Instant)
}

pub fn last_link(conn: &mut AnyConnection) -> QueryResult<Option<Link>> {
    audit_links::table.order(audit_links::sequence.desc()).select(Link::as_select()).first(conn).optional()
}

fn has_checkpoint(conn: &mut AnyConnection, day: NaiveDate) -> QueryResult<bool> {
    audit_checkpoints::table.filter(audit_checkpoints::day.eq(day)).count().get_result::<i64>(conn).map(|count| count > 0)
}

/// The checkpoints of some days, in their order.
pub fn checkpoints(conn: &mut AnyConnection, from: NaiveDate, to: NaiveDate, limit: i64) -> QueryResult<Vec<Checkpoint>> {
    let rows: Vec<Row> = audit_checkpoints::table
        .filter(audit_checkpoints::day.ge(from))
        .filter(audit_checkpoints::day.le(to))
        .order(audit_checkpoints::day)
        .limit(limit)
        .load(conn)?;
    Ok(rows.into_iter().map(Checkpoint::from).collect())
}

/// A checkpoint of the chain as it is now, in the middle of a day; it is signed and not kept.
pub fn head(conn: &mut AnyConnection, keys: &Keys) -> Result<Option<Checkpoint>> {
    let Some(last) = last_link(conn)? else { return Ok(None) };
    let count = of_day(conn, &last)?;
    Ok(Some(Checkpoint::signed(&last, count, keys)))
}

/// How many links a day has, up to one.
fn of_day(conn: &mut AnyConnection, last: &Link) -> QueryResult<i64> {
    audit_links::table.filter(audit_links::day.eq(last.day)).filter(audit_links::sequence.le(last.sequence)).count().get_result(conn)
}

/// What waits for the sealer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The first event without a link.
    first: Option<Id>,
    /// Whether the last day of the chain is over and has no checkpoint.
    day_over: bool,
}

/// Events and their links, from an id on. Both tables are entered there: a planner would begin at the first link.
macro_rules! since {
    ($id:expr) => {
        audit_events::table
            .left_join(audit_links::table.on(audit_links::event_id.eq(audit_events::id).and(audit_links::event_id.ge($id))))
            .filter(audit_events::id.ge($id))
            .order(audit_events::id)
    };
}

/// Goes through the log from its beginning, page by page, and tells of each event without a link until that is enough.
pub fn without_link(db: &Db, mut enough: impl FnMut(Id) -> bool) -> Result<()> {
    let mut from = Id(uuid::Uuid::nil());
    loop {
        let rows: Vec<(Id, Option<Id>)> = db.run(true, |conn| {
            let page = since!(from).limit(PAGE as i64);
            Ok(page.select((audit_events::id, audit_links::event_id.nullable())).load(conn)?)
        })?;
        if rows.iter().filter(|(_, link)| link.is_none()).any(|(id, _)| enough(*id)) {
            return Ok(());
        }
        match rows.last() {
            Some((last, _)) if rows.len() == PAGE => from = Id(uuid::Uuid::from_u128(last.0.as_u128().saturating_add(1))),
            _ => return Ok(()),
        }
    }
}

/// What there is to seal.
pub fn waiting(db: &Db, back: Back, now: Instant) -> Result<Waiting> {
    let mut first = None;
    match back {
        Back::Whole => without_link(db, |id| {
            first = Some(id);
            true
        })?,
        Back::Seconds(seconds) => first = db.run(true, |conn| Ok(lately_waiting(conn, seconds, now)?))?,
    }
    let day_over = db.run(true, |conn| {
        Ok(match last_link(conn)? {
            Some(last) => last.day < business_today(now) && !has_checkpoint(conn, last.day)?,
            None => false,
        })
    })?;
    Ok(Waiting { first, day_over })
}

/// The first event without a link among those made since some seconds before the last that has one.
fn lately_waiting(conn: &mut AnyConnection, seconds: i64, now: Instant) -> QueryResult<Option<Id>> {
    let greatest: Option<Id> =
        audit_links::table.order(audit_links::event_id.desc()).select(audit_links::event_id).first(conn).optional()?;
    // A clock that was ahead once must not hide what comes after.
    let from = greatest.and_then(made_at).map(|made| Id::earliest(made.min(now).plus_seconds(-seconds)));
    since!(from.unwrap_or(Id(uuid::Uuid::nil()))).filter(audit_links::event_id.is_null()).select(audit_events::id).first(conn).optional()
}

/// What one transaction of the sealer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sealed {
    /// Nothing is left to seal.
    All,
    /// There may be more after this event.
    UpTo(Id),
    /// Another sealer is at work.
    Busy,
}

/// Seals events from an id on, and ends the day before.
pub fn seal(tx: &mut Tx<'_>, keys: &Keys, first: Option<Id>) -> Result<Sealed> {
    if !alone(tx.conn)? {
        return Ok(Sealed::Busy);
    }
    let last = last_link(tx.conn)?;
    let today = business_today(tx.now);
    if let Some(last) = last.as_ref().filter(|last| last.day < today) {
        end_day(tx, keys, last)?;
    }
    let Some(first) = first else { return Ok(Sealed::All) };
    // Another server's clock may be ahead.
    let day = last.as_ref().map_or(today, |last| last.day.max(today));
    let events: Vec<Event> =
        since!(first).filter(audit_links::event_id.is_null()).limit(BATCH as i64).select(Event::as_select()).load(tx.conn)?;
    let links = extended(last.as_ref(), day, &events);
    insert_all!(&mut *tx.conn, audit_links::table, links)?;
    Ok(match events.last() {
        Some(last) if events.len() == BATCH => Sealed::UpTo(last.id),
        _ => Sealed::All,
    })
}

fn end_day(tx: &mut Tx<'_>, keys: &Keys, last: &Link) -> Result<()> {
    if has_checkpoint(tx.conn, last.day)? {
        return Ok(());
    }
    let count = of_day(tx.conn, last)?;
    let Checkpoint { day, sequence, count, kid, signature, .. } = Checkpoint::signed(last, count, keys);
    let row = Row { day, sequence, count, hash: last.hash.clone(), kid, signature };
    diesel::insert_into(audit_checkpoints::table).values(&row).execute(tx.conn)?;
    Ok(())
}

/// Whether no other sealer is at work. On SQLite a transaction that writes is alone.
fn alone(conn: &mut AnyConnection) -> Result<bool> {
    #[derive(QueryableByName)]
    struct Got {
        #[diesel(sql_type = diesel::sql_types::Bool)]
        got: bool,
    }
    match conn {
        AnyConnection::Pg(c) => Ok(diesel::sql_query("SELECT pg_try_advisory_xact_lock(7914202203) AS got").get_result::<Got>(c)?.got),
        AnyConnection::Sqlite(_) => Ok(true),
    }
}

/// Seals all that is found, in as many transactions as it takes; `false` when another sealer is at work.
pub async fn catch_up(db: &Db, keys: &std::sync::Arc<Keys>, back: Back) -> Result<bool> {
    let Waiting { mut first, day_over } = db.read_long(move |db| waiting(db, back, Instant::now())).await?;
    if first.is_none() && !day_over {
        return Ok(true);
    }
    loop {
        let (keys, from) = (keys.clone(), first);
        match db.write_value(Deed::of_operator("seal"), move |tx| seal(tx, &keys, from)).await? {
            Sealed::All => return Ok(true),
            Sealed::UpTo(id) => first = Some(id),
            Sealed::Busy => return Ok(false),
        }
    }
}

/// How far back to look in the n-th second.
pub fn back_in(second: u64) -> Back {
    match second {
        n if n % 3_600 == 0 => Back::Whole,
        n if n % 60 == 0 => Back::Seconds(3_600),
        n if n % 10 == 0 => Back::Seconds(120),
        _ => Back::Seconds(5),
    }
}

/// A failure of the sealer is no request's: it is told once, and the next second tries again.
pub fn told(failing: &mut bool, outcome: &Result<bool>) {
    match outcome {
        Err(error) if !*failing => {
            log::warn!("the audit log is not sealed at the moment: {error}");
            *failing = true;
        }
        Err(_) => {}
        Ok(_) => *failing = false,
    }
}

/// Checkpoints that were kept elsewhere: what `GET /audit/checkpoints` gave, any number of times one after the other.
pub fn read_kept(text: &str) -> Result<Vec<Checkpoint>, String> {
    #[derive(Deserialize)]
    struct Document {
        items: Vec<Checkpoint>,
        head: Option<Checkpoint>,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Kept {
        Document(Document),
        Many(Vec<Checkpoint>),
        One(Checkpoint),
    }
    let mut all = Vec::new();
    for kept in serde_json::Deserializer::from_str(text).into_iter::<Kept>() {
        match kept.map_err(|e| format!("line {}: this should be what GET /api/v1/audit/checkpoints gave: {e}", e.line()))? {
            Kept::Document(Document { items, head }) => all.extend(items.into_iter().chain(head)),
            Kept::Many(many) => all.extend(many),
            Kept::One(one) => all.push(one),
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_when_it_was_made() {
        let (before, id) = (Instant::now(), Id::new());
        let made = made_at(id).expect("an instant");
        assert!((before.plus_seconds(-1)..=Instant::now()).contains(&made));
        assert!(Id::earliest(before.plus_seconds(-1)) < id && id < Id::earliest(before.plus_seconds(2)));
    }

    #[test]
    fn kept_checkpoints_are_read_as_they_were_given() {
        let one = r#"{"day":"2022-06-17","sequence":3,"count":3,"hash":"00","kid":"k","signature":"s"}"#;
        let text = format!(
            r#"{{"items":[{one}],"head":{one},"next_from":null}}
            {one} [{one}]"#
        );
        assert_eq!(read_kept(&text).expect("read").len(), 4);
        assert!(read_kept("{\"day\":1}").is_err());
    }
}
