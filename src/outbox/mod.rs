//! What happened is told to those who want to know: to people in the service itself ([`notify`]), to other programs by webhooks
//! ([`send`]).
//!
//! The outbox is the audit log. Its events stand in the transaction of their deed, so nothing that happened is missed and nothing is
//! told that didn't; a writer pays for nothing more. The sealer gives them numbers ([`crate::audit::seal`]), an order for good. From
//! there a dispatcher goes along the chain after a position that is kept, and writes what is to be told in the transaction that moves
//! the position: each event once, whichever server does it.
//!
//! # Order, and how often
//!
//! The deliveries of one webhook are sent one after the other in the order of the chain. While the oldest fails it alone is tried
//! again, with pauses that double up to an hour, until three days after its event; then it is `expired`, as are those behind it that
//! are as old, and the next is tried. Webhooks don't wait for each other. What is sent again by hand, and a test, goes first.
//!
//! A delivery is sent at least once. A server that dies between an answer and the note of it leaves a lease behind, and after that
//! another sends once more, with the same `webhook-id`: by that a receiver knows what it has had.

mod notify;
mod send;
mod sign;
mod target;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use diesel::prelude::*;

pub use sign::Secret;
pub use target::{Networks, read as target};

use crate::audit::AuditOutcome;
use crate::db::{AnyConnection, Db, Deed, insert_all};
use crate::error::Result;
use crate::policy::{Action, Area};
use crate::resources::webhook_deliveries::{self, Row};
use crate::resources::webhooks::{self, Listener};
use crate::schema::{
    audit_events as e, audit_links as l, notifications, organization_closure as closure, outbox_position, webhook_deliveries as d,
};
use crate::types::{Id, Instant, TextEnum};
use crate::web::verbs::{self, Verbs};
use crate::wechat::subscribe;

/// How soon something is seen that another server has written.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// Events that one transaction tells of.
const BATCH: i64 = 500;
/// Rows that one transaction sweeps.
const SWEPT_AT_ONCE: i64 = 5_000;

/// How a server takes part in telling.
#[derive(Debug, Clone)]
pub struct OutboxConfig {
    pub networks: Networks,
    /// Deliveries that this server sends at a time.
    pub senders: usize,
    /// How long one attempt may take in all.
    pub answer_within: Duration,
    /// After the first attempt that fails; each further pause is twice as long.
    pub first_pause: Duration,
    /// From an event on.
    pub tried_for: Duration,
    pub deliveries_kept: Duration,
    pub notifications_kept: Duration,
}

/// An event as far as it is told.
#[derive(Debug, Clone, Queryable)]
pub struct Happened {
    pub id: Id,
    pub at: Instant,
    pub actor_id: Option<Id>,
    pub action: String,
    pub resource: String,
    pub record_id: Option<Id>,
    pub organization_id: Option<Id>,
    pub request_id: String,
    outcome: String,
}

/// The outbox, as one server sees it. Cheap to clone.
#[derive(Clone)]
pub struct Outbox(Arc<Inner>);

struct Inner {
    config: OutboxConfig,
    sender: send::Sender,
    /// Counts what has come up on this server.
    asked: Mutex<u64>,
    woken: Condvar,
    stopping: AtomicBool,
}

impl Outbox {
    pub fn new(config: OutboxConfig) -> Self {
        let sender = send::Sender::new(&config);
        Self(Arc::new(Inner { config, sender, asked: Mutex::new(0), woken: Condvar::new(), stopping: AtomicBool::new(false) }))
    }

    /// Says that there is something to tell.
    pub fn wake(&self) {
        *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.woken.notify_all();
    }

    /// Begins to work. What is being sent when the answer is dropped is sent to its end.
    pub fn start(&self, db: &Db) -> AtWork {
        let mut threads = Vec::new();
        let mut start = |name: String, work: Box<dyn FnMut() -> Result<bool> + Send>| {
            let outbox = self.clone();
            let thread = std::thread::Builder::new().name(name).spawn(move || outbox.work(work));
            threads.extend(thread.inspect_err(|error| log::error!("nobody is told of anything, no thread can be started: {error}")).ok());
        };
        let (outbox, database, mut swept) = (self.clone(), db.clone(), None::<Clock>);
        start("outbox".into(), Box::new(move || outbox.dispatch(&database, &mut swept)));
        for n in 0..self.0.config.senders {
            let (outbox, database) = (self.clone(), db.clone());
            // One of several keeps to those that answer: they don't wait for those that don't.
            let careful = n > 0 || self.0.config.senders == 1;
            start(format!("webhook-{n}"), Box::new(move || outbox.0.sender.send_one(&database, careful)));
        }
        AtWork { outbox: self.clone(), threads }
    }

    /// Does a piece of work after the other; between, it sleeps where there is none.
    fn work(&self, mut work: impl FnMut() -> Result<bool>) {
        let mut failing = false;
        while !self.is_stopping() {
            // Before looking: what comes up meanwhile wakes.
            let asked = *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
            let done = catch_unwind(AssertUnwindSafe(&mut work)).unwrap_or_else(|_| Err(crate::error::Error::internal("telling panicked")));
            match done {
                Ok(true) => failing = false,
                Ok(false) => {
                    failing = false;
                    self.sleep(asked);
                }
                Err(error) => {
                    if !failing {
                        log::warn!("nobody is told of anything at the moment: {error}");
                    }
                    failing = true;
                    self.sleep(asked);
                }
            }
        }
    }

    fn sleep(&self, asked: u64) {
        let guard = self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = self.0.woken.wait_timeout_while(guard, LOOK_EVERY, |now| *now == asked && !self.is_stopping());
    }

    fn is_stopping(&self) -> bool {
        self.0.stopping.load(Ordering::Relaxed)
    }

    fn dispatch(&self, db: &Db, swept: &mut Option<Clock>) -> Result<bool> {
        if swept.is_none_or(|swept| swept.elapsed() > SWEEP_EVERY) {
            *swept = Some(Clock::now());
            sweep(db, &self.0.config)?;
        }
        let Told { more, waiting } = fan_out(db, self.0.config.tried_for)?;
        if waiting {
            self.wake();
        }
        Ok(more)
    }
}

/// The threads of a server.
pub struct AtWork {
    outbox: Outbox,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for AtWork {
    fn drop(&mut self) {
        self.outbox.0.stopping.store(true, Ordering::Relaxed);
        self.outbox.wake();
        for thread in self.threads.drain(..) {
            // One that panicked has been told of.
            let _ = thread.join();
        }
    }
}

/// What one step along the chain came to.
struct Told {
    /// There may be more events.
    more: bool,
    /// There is something to send.
    waiting: bool,
}

/// Takes the next events of the chain and writes who is told of them.
fn fan_out(db: &Db, tried_for: Duration) -> Result<Told> {
    let (from, links) = db.run(true, |conn| {
        let from = position(conn)?;
        Ok((from, next(conn, from)?))
    })?;
    let Some((to, _)) = links.last() else { return Ok(Told { more: false, waiting: false }) };
    let (to, more) = (*to, links.len() as i64 == BATCH);
    // Nobody is told of what was refused, or what isn't there any more.
    let done = |(sequence, event): (i64, Option<Happened>)| Some((sequence, event.filter(|e| e.outcome == AuditOutcome::Done.code())?));
    let events: Vec<(i64, Happened)> = links.into_iter().filter_map(done).collect();
    let deliveries = db.run(true, |conn| deliveries(conn, &events, tried_for))?;
    let told = db.run(true, |conn| notify::told(conn, &events))?;
    let webhooks: Vec<Id> = deliveries.iter().map(|delivery| delivery.webhook_id).collect::<HashSet<_>>().into_iter().collect();
    db.write_background(&Deed::of_operator("outbox"), |tx| {
        let here = outbox_position::table.filter(outbox_position::sequence.eq(from));
        if diesel::update(here).set(outbox_position::sequence.eq(to)).execute(tx.conn)? == 0 {
            // Another server was faster, and has told all this.
            return Ok(());
        }
        insert_all!(&mut *tx.conn, notifications::table, told)?;
        subscribe::follow(tx, &told)?;
        insert_all!(&mut *tx.conn, d::table, deliveries)?;
        webhooks::have_waiting(tx, &webhooks)
    })?;
    Ok(Told { more, waiting: !webhooks.is_empty() })
}

/// How far along the chain it was told what happened.
pub fn position(conn: &mut AnyConnection) -> QueryResult<i64> {
    outbox_position::table.select(outbox_position::sequence).first(conn)
}

/// The links after a number, each with the event that it points to.
fn next(conn: &mut AnyConnection, after: i64) -> QueryResult<Vec<(i64, Option<Happened>)>> {
    let event = (e::id, e::at, e::actor_id, e::action, e::resource, e::record_id, e::organization_id, e::request_id, e::outcome);
    l::table
        .left_join(e::table.on(e::id.eq(l::event_id)))
        .filter(l::sequence.gt(after))
        .order(l::sequence)
        .limit(BATCH)
        .select((l::sequence, event.nullable()))
        .load(conn)
}

/// Whether others are told of it at all: what was done to a record, and never who signed in, who may do what, who read a whole number, or
/// who has taken a list away.
pub fn is_told(resource: &str, action: &str) -> bool {
    let area = verbs::named(resource).map(Verbs::area);
    let deed = Action::from_code(action).is_some_and(|action| !matches!(action, Action::Read | Action::Reveal | Action::Export));
    deed && area.is_some_and(|area| !matches!(area, Area::Access | Area::Audit | Area::Figures))
}

/// What is sent of events to which webhooks: those of their organization and all below it.
fn deliveries(conn: &mut AnyConnection, events: &[(i64, Happened)], tried_for: Duration) -> Result<Vec<Row>> {
    let told: Vec<(i64, &Happened, Id, Id)> = events
        .iter()
        .filter(|(_, event)| is_told(&event.resource, &event.action))
        .filter_map(|(sequence, event)| Some((*sequence, event, event.organization_id?, event.record_id?)))
        .collect();
    if told.is_empty() {
        return Ok(Vec::new());
    }
    let listening = webhooks::listening(conn)?;
    if listening.is_empty() {
        return Ok(Vec::new());
    }
    let roots: HashSet<Id> = listening.iter().map(|webhook| webhook.organization_id).collect();
    let homes: HashSet<Id> = told.iter().map(|(_, _, organization_id, _)| *organization_id).collect();
    let below: HashSet<(Id, Id)> = closure::table
        .filter(closure::ancestor_id.eq_any(roots))
        .filter(closure::descendant_id.eq_any(homes))
        .select((closure::ancestor_id, closure::descendant_id))
        .load::<(Id, Id)>(conn)?
        .into_iter()
        .collect();
    let seconds = i64::try_from(tried_for.as_secs()).unwrap_or(i64::MAX);
    let now = Instant::now();
    let mut rows = Vec::new();
    for (sequence, event, organization_id, record_id) in told {
        let wants = |webhook: &&Listener| {
            event.at >= webhook.created_at
                && below.contains(&(webhook.organization_id, organization_id))
                && webhook.wants(&event.resource, &event.action)
        };
        rows.extend(listening.iter().filter(wants).map(|webhook| {
            Row::new(
                (webhook.id, webhook.organization_id),
                webhook_deliveries::About {
                    event_id: event.id,
                    event_type: format!("{}.{}", event.resource, event.action),
                    sequence: Some(sequence),
                    at: event.at,
                    organization_id,
                    resource: event.resource.clone(),
                    record_id,
                },
                event.at.plus_seconds(seconds),
                now,
            )
        }));
    }
    Ok(rows)
}

/// Forgets deliveries that are over and notifications, when they are old.
fn sweep(db: &Db, config: &OutboxConfig) -> Result<()> {
    let before = |kept: Duration| Id::earliest(Instant::now().plus_seconds(-i64::try_from(kept.as_secs()).unwrap_or(i64::MAX)));
    let (old_deliveries, old_notifications) = (before(config.deliveries_kept), before(config.notifications_kept));
    loop {
        let (deliveries, told): (Vec<Id>, Vec<Id>) = db.run(true, |conn| {
            let over = d::table.filter(d::id.lt(old_deliveries)).filter(d::state.ne(webhook_deliveries::DeliveryState::Waiting));
            let old = notifications::table.filter(notifications::id.lt(old_notifications));
            Ok((
                over.order(d::id).limit(SWEPT_AT_ONCE).select(d::id).load(conn)?,
                old.order(notifications::id).limit(SWEPT_AT_ONCE).select(notifications::id).load(conn)?,
            ))
        })?;
        if deliveries.is_empty() && told.is_empty() {
            return Ok(());
        }
        db.write_background(&Deed::of_operator("sweep"), |tx| {
            // One that is to be sent again meanwhile stays.
            let over = d::table.filter(d::id.eq_any(&deliveries)).filter(d::state.ne(webhook_deliveries::DeliveryState::Waiting));
            diesel::delete(over).execute(tx.conn)?;
            diesel::delete(notifications::table.filter(notifications::id.eq_any(&told))).execute(tx.conn)?;
            Ok(())
        })?;
    }
}
