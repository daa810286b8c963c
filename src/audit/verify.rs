//! The walk through the whole log, page by page, and what it finds.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant as Clock;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

use super::Event;
use super::chain::{AuditFaultKind, ChainFault, Link, Pointed, Walk};
use super::seal::{self, Back, Checkpoint, hex};
use crate::auth::Keys;
use crate::db::{AnyConnection, Db};
use crate::error::{Language, Result, Says};
use crate::schema::{audit_events, audit_links};
use crate::types::{Id, Instant};

/// Links that one page holds.
const PAGE: i64 = 1_000;
/// Faults that are told at most.
const FAULTS: usize = 100;
/// How long an event may wait for its link.
const SEALED_WITHIN_SECONDS: i64 = 60;

/// What to walk through.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub from: Option<NaiveDate>,
    pub to: Option<NaiveDate>,
    /// Go on after this number.
    pub after: Option<i64>,
    /// Checkpoints that were kept elsewhere.
    pub kept: Vec<Checkpoint>,
    /// When to stop, wherever that is.
    pub until: Option<Clock>,
}

/// What a walk along the audit log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Verification {
    /// Events that are as they were.
    pub verified: i64,
    /// Whether the walk came to the end of what was asked for. If not, go on with `after`.
    pub complete: bool,
    /// Number of the last link looked at.
    pub last_sequence: Option<i64>,
    pub days: Vec<VerifiedDay>,
    /// At most a hundred, in their order along the chain; none is good.
    pub faults: Vec<AuditFault>,
}

/// A day of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct VerifiedDay {
    pub day: NaiveDate,
    /// Links of the day that were looked at.
    pub events: i64,
    /// Whether a signed checkpoint ends the day.
    pub checkpoint: bool,
}

/// One place of the audit log that isn't as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditFault {
    pub kind: AuditFaultKind,
    pub event_id: Option<Id>,
    pub day: Option<NaiveDate>,
    pub sequence: Option<i64>,
    pub message: String,
}

/// Seals what is left to seal, and walks.
pub async fn verify(db: &Db, keys: Arc<Keys>, asked: Asked, language: Language) -> Result<Verification> {
    seal::catch_up(db, &keys, Back::Whole).await?;
    let found = db.read_long(move |db| walk(db, &keys, asked)).await?;
    Ok(found.told(language))
}

/// The same, not yet in words.
pub struct Found {
    pub walk: Walk,
    pub complete: bool,
    days: BTreeMap<NaiveDate, i64>,
    ended: Vec<NaiveDate>,
}

impl Found {
    fn told(self, language: Language) -> Verification {
        let Self { walk, complete, days, ended } = self;
        let faults = walk.faults.into_iter().take(FAULTS);
        Verification {
            verified: walk.verified,
            complete,
            last_sequence: walk.last.map(|last| last.sequence),
            days: days.into_iter().map(|(day, events)| VerifiedDay { day, events, checkpoint: ended.contains(&day) }).collect(),
            faults: faults
                .map(|ChainFault { kind, event_id, day, sequence, says }| AuditFault {
                    kind,
                    event_id,
                    day,
                    sequence,
                    message: says.in_language(language).to_owned(),
                })
                .collect(),
        }
    }
}

/// Walks along the chain as it stands, sealing nothing.
pub fn walk(db: &Db, keys: &Keys, asked: Asked) -> Result<Found> {
    let Asked { from, to, after, kept, until } = asked;
    let end = db.run(true, |conn| Ok(seal::last_link(conn)?))?;
    let begin = db.run(true, |conn| Ok(before(conn, from, after)?))?;
    // The later checkpoints of a walk that ends before them could vouch for those of former keys.
    let to_the_end = to.is_none();
    let (from, to) = (from.unwrap_or(NaiveDate::MIN), to.unwrap_or(NaiveDate::MAX));
    // The day in whose middle the walk may begin: how many links it has is not known.
    let cut = begin.as_ref().map(|link| link.day);
    let first_day = from.max(begin.as_ref().map_or(from, |link| link.day)).max(FIRST);
    let stored = db.run(true, |conn| Ok(seal::checkpoints(conn, first_day, to.min(LAST), i64::MAX)?))?;
    let begun_at = begin.as_ref().map_or(0, |link| link.sequence);
    let mut marks: Vec<&Checkpoint> =
        stored.iter().chain(&kept).filter(|mark| mark.sequence > begun_at && (from..=to).contains(&mark.day)).collect();
    marks.sort_by_key(|mark| mark.sequence);
    let mut marks = marks.into_iter().peekable();

    let mut days: BTreeMap<NaiveDate, i64> = BTreeMap::new();
    let mut walk = Walk::after(begin);
    let mut signatures = Signatures::default();
    let mut complete = false;
    loop {
        let at = walk.last.as_ref().map_or(0, |last| last.sequence);
        let page = db.run(true, |conn| page(conn, at, to))?;
        let more = page.len() == PAGE as usize;
        for (link, pointed) in page {
            // Those of links that are gone, which the step names.
            while marks.next_if(|mark| mark.sequence < link.sequence).is_some() {}
            let count = days.entry(link.day).or_default();
            *count += 1;
            while let Some(mark) = marks.next_if(|mark| mark.sequence == link.sequence) {
                signatures.hear(mark, keys, &mut walk.faults);
                if mark.hash != hex(&link.hash) || mark.day != link.day || (cut != Some(link.day) && mark.count != *count) {
                    walk.faults.push(broken(AuditFaultKind::Changed, mark));
                }
            }
            walk.step(link, pointed);
        }
        if !more {
            complete = true;
            break;
        }
        if walk.doubts() >= FAULTS || until.is_some_and(|until| Clock::now() >= until) {
            break;
        }
    }
    walk.settle();
    if complete {
        for mark in marks {
            signatures.hear(mark, keys, &mut walk.faults);
            walk.faults.push(broken(AuditFaultKind::Missing, mark));
        }
        if to_the_end {
            signatures.conclude(&mut walk.faults);
        }
        let last_day = end.map(|end| end.day);
        let ended = |day: &NaiveDate| stored.iter().any(|mark| mark.day == *day);
        let open = days.keys().filter(|day| Some(**day) < last_day && !ended(day));
        walk.faults.extend(open.map(|day| ChainFault {
            kind: AuditFaultKind::Missing,
            event_id: None,
            day: Some(*day),
            sequence: None,
            says: Says::new(
                "此日的签名检查点缺失，请与异地保存的检查点比对",
                "the day's signed checkpoint is gone; compare with the one that is kept elsewhere",
            ),
        }));
        let (mut waiting, left) = (Vec::new(), FAULTS.saturating_sub(walk.faults.len()));
        seal::without_link(db, |id| {
            waiting.extend(Some(id).filter(|_| waiting.len() < left));
            waiting.len() >= left
        })?;
        let late = Instant::now().plus_seconds(-SEALED_WITHIN_SECONDS);
        let unsealed: Vec<Id> = db.run(true, |conn| {
            let late = audit_events::table.filter(audit_events::id.eq_any(waiting.clone())).filter(audit_events::at.lt(late));
            Ok(late.order(audit_events::id).select(audit_events::id).load(conn)?)
        })?;
        walk.faults.extend(unsealed.into_iter().map(|id| ChainFault {
            kind: AuditFaultKind::Unsealed,
            event_id: Some(id),
            day: None,
            sequence: None,
            says: Says::new(
                "此审计记录超过一分钟仍未封入链，请检查服务是否在运行",
                "this row of the log has waited for its link for more than a minute; see whether the service runs",
            ),
        }));
    }
    Ok(Found { walk, complete, ended: stored.iter().map(|mark| mark.day).collect(), days })
}

/// Days that both databases can compare.
const FIRST: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("a day");
const LAST: NaiveDate = NaiveDate::from_ymd_opt(9999, 12, 31).expect("a day");

/// The link before the first that is to be looked at.
fn before(conn: &mut AnyConnection, from: Option<NaiveDate>, after: Option<i64>) -> QueryResult<Option<Link>> {
    let mut before = None;
    if let Some(from) = from {
        before = audit_links::table
            .filter(audit_links::day.lt(from))
            .order((audit_links::day.desc(), audit_links::sequence.desc()))
            .select(Link::as_select())
            .first(conn)
            .optional()?;
    }
    if let Some(after) = after.filter(|after| before.as_ref().is_none_or(|link| link.sequence < *after)) {
        before = audit_links::table
            .filter(audit_links::sequence.le(after))
            .order(audit_links::sequence.desc())
            .select(Link::as_select())
            .first(conn)
            .optional()?;
    }
    Ok(before)
}

/// The next links, each with what it points to.
fn page(conn: &mut AnyConnection, after: i64, to: NaiveDate) -> Result<Vec<(Link, Pointed)>> {
    let whole: QueryResult<Vec<(Link, Option<Event>)>> = audit_links::table
        .left_join(audit_events::table.on(audit_events::id.eq(audit_links::event_id)))
        .filter(audit_links::sequence.gt(after))
        .filter(audit_links::day.le(to.min(LAST)))
        .order(audit_links::sequence)
        .limit(PAGE)
        .select((Link::as_select(), Option::<Event>::as_select()))
        .load(conn);
    match whole {
        Ok(rows) => Ok(rows
            .into_iter()
            .map(|(link, event)| (link, event.map_or(Pointed::ToNothing, |event| Pointed::To(Box::new(event)))))
            .collect()),
        // A row holds what this service would never have written there: find out which.
        Err(diesel::result::Error::DeserializationError(_)) => one_by_one(conn, after, to),
        Err(error) => Err(error.into()),
    }
}

fn one_by_one(conn: &mut AnyConnection, after: i64, to: NaiveDate) -> Result<Vec<(Link, Pointed)>> {
    let links: Vec<Link> = audit_links::table
        .filter(audit_links::sequence.gt(after))
        .filter(audit_links::day.le(to.min(LAST)))
        .order(audit_links::sequence)
        .limit(PAGE)
        .select(Link::as_select())
        .load(conn)?;
    let mut pointed = Vec::with_capacity(links.len());
    for link in links {
        let event = audit_events::table.find(link.event_id).select(Event::as_select()).first(conn);
        let to = match event {
            Ok(event) => Pointed::To(Box::new(event)),
            Err(diesel::result::Error::NotFound) => Pointed::ToNothing,
            Err(diesel::result::Error::DeserializationError(_)) => Pointed::ToNonsense,
            Err(error) => return Err(error.into()),
        };
        pointed.push((link, to));
    }
    Ok(pointed)
}

/// A checkpoint that the chain doesn't agree with.
fn broken(kind: AuditFaultKind, mark: &Checkpoint) -> ChainFault {
    let (day, sequence) = (mark.day, mark.sequence);
    let says = if kind == AuditFaultKind::Missing {
        Says::new(
            format!("{day} 的检查点记载链至第 {sequence} 号，现链在此之前即告结束：末尾被截去，请从备份中查找"),
            format!(
                "by the checkpoint of {day} the chain goes on to number {sequence}, and it ends before: its end was cut off; look for it in a backup"
            ),
        )
    } else {
        Says::new(
            format!("至第 {sequence} 号的链与 {day} 的检查点不符：链被改写，请与备份比对"),
            format!(
                "up to number {sequence} the chain is not that of the checkpoint of {day}: it was written anew; compare it with a backup"
            ),
        )
    };
    ChainFault { kind, event_id: None, day: Some(day), sequence: Some(sequence), says }
}

/// Whether the signatures are those of keys that the service holds. One vouches for all before it, so the checkpoints of
/// former keys need none of their own.
#[derive(Default)]
struct Signatures {
    unvouched: Option<(NaiveDate, i64)>,
}

impl Signatures {
    fn hear(&mut self, mark: &Checkpoint, keys: &Keys, faults: &mut Vec<ChainFault>) {
        match mark.is_genuine(keys) {
            Some(true) => self.unvouched = None,
            Some(false) => faults.push(ChainFault {
                kind: AuditFaultKind::Signature,
                event_id: None,
                day: Some(mark.day),
                sequence: Some(mark.sequence),
                says: Says::new(
                    "检查点的签名不符：内容被改动，请与异地保存的检查点比对",
                    "the checkpoint's signature is wrong: it was changed; compare it with the one that is kept elsewhere",
                ),
            }),
            None => self.unvouched = Some((mark.day, mark.sequence)),
        }
    }

    fn conclude(self, faults: &mut Vec<ChainFault>) {
        faults.extend(self.unvouched.map(|(day, sequence)| ChainFault {
            kind: AuditFaultKind::Signature,
            event_id: None,
            day: Some(day),
            sequence: Some(sequence),
            says: Says::new(
                "检查点由本服务不再持有的密钥签名，其后也没有现用密钥的检查点作证；更换密钥后请保留旧密钥至次日",
                "the checkpoint is signed with a key that the service does not hold, and none of a present key follows that would vouch for it; after a change of keys keep the former one until the next day",
            ),
        }));
    }
}
