//! Who sends: a thread of each server takes what is due by a lease, one message at a time, so that a server that dies leaves its message
//! to another.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde_json::json;

use super::{Message, MessageState, credits, filled, t};
use crate::db::{AnyConnection, Db, Deed, Tx};
use crate::error::Result;
use crate::types::{Id, Instant};
use crate::wechat::client::Api;
use crate::wechat::errors::{Failure, Meaning};
use crate::wechat::{Environment, WeChat, bindings, templates, token};

/// How soon a message is seen to be due.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How often a message is tried that WeChat doesn't take by no fault of its own.
const ATTEMPTS: i32 = 6;
/// Rows that one transaction sweeps.
const SWEPT_AT_ONCE: i64 = 1_000;

/// The sender of a server; it ends when this is dropped.
pub struct Sender {
    stopping: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl WeChat {
    /// Begins to send, where a mini-program is configured.
    pub fn start(&self, db: &Db) -> Sender {
        let stopping = Arc::new((Mutex::new(false), Condvar::new()));
        let thread = self.configured().and_then(|api| {
            let (api, db, told) = (api.clone(), db.clone(), stopping.clone());
            let thread = std::thread::Builder::new().name("wechat-sender".into());
            let started = thread.spawn(move || work(&api, &db, &told));
            started.inspect_err(|error| log::error!("the sender of messages can't be started: {error}")).ok()
        });
        Sender { stopping, thread }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        *self.stopping.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stopping.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(api: &Api, db: &Db, stopping: &(Mutex<bool>, Condvar)) {
    let me = Id::new();
    let mut swept: Option<Clock> = None;
    let is_stopping = || *stopping.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !is_stopping() {
        if swept.is_none_or(|swept| swept.elapsed() > SWEEP_EVERY) {
            swept = Some(Clock::now());
            let _ = sweep(api, db).inspect_err(|error| log::warn!("former messages can't be swept: {error}"));
        }
        // A message that breaks its sender must not end the sending.
        let done = catch_unwind(AssertUnwindSafe(|| next(api, db, me)));
        if !matches!(done, Ok(Ok(true))) {
            if let Ok(Err(error)) = done {
                log::warn!("no message can be sent: {error}");
            }
            let ending = stopping.0.lock().unwrap_or_else(PoisonError::into_inner);
            let _ = stopping.1.wait_timeout_while(ending, LOOK_EVERY, |ending| !*ending);
        }
    }
}

/// Due messages that nobody holds, the oldest first.
macro_rules! due {
    ($now:expr) => {
        t::table
            // Written out, and not bound: only so is the index of the few that wait used.
            .filter(sql::<Bool>("wechat_messages.state = 'waiting'"))
            .filter(t::not_before.le($now))
            .filter(t::leased_until.is_null().or(t::leased_until.lt($now)))
            .order(t::id)
            .select(t::id)
    };
}

/// Sends the next message; tells whether there was one.
fn next(api: &Api, db: &Db, me: Id) -> Result<bool> {
    let now = Instant::now();
    // Who only looks disturbs no writer.
    if db.run(true, |conn| Ok(due!(now).first::<Id>(conn).optional()?))?.is_none() {
        return Ok(false);
    }
    if token::quota_until(db, &api.settings.app_id)?.is_some_and(|until| until > now) {
        return Ok(false);
    }
    let Some(message) = claim(db, me, api.settings.answer_within)? else { return Ok(false) };
    let outcome = if message.attempts > ATTEMPTS {
        // Its senders died of it.
        never("given_up", true)
    } else {
        deliver(api, db, &message).unwrap_or_else(|error| {
            log::warn!("a message of {} can't be sent: {error}", message.kind);
            Outcome::Later("this service's own trouble")
        })
    };
    settle(api, db, &message, &outcome)?;
    Ok(true)
}

fn claim(db: &Db, me: Id, answer_within: Duration) -> Result<Option<Message>> {
    // A token may be asked for twice, and the message sent twice.
    let lease = i64::try_from(6 * answer_within.as_secs()).unwrap_or(i64::MAX);
    db.write_background(&Deed::of_operator("wechat"), |tx| {
        let now = tx.now;
        let id: Option<Id> = match &mut *tx.conn {
            AnyConnection::Pg(c) => due!(now).for_update().skip_locked().first(c).optional()?,
            AnyConnection::Sqlite(c) => due!(now).first(c).optional()?,
        };
        let Some(id) = id else { return Ok(None) };
        diesel::update(t::table.find(id))
            .set((t::leased_by.eq(me), t::leased_until.eq(now.plus_seconds(lease)), t::attempts.eq(t::attempts + 1), t::updated_at.eq(now)))
            .execute(tx.conn)?;
        Ok(Some(t::table.find(id).select(Message::as_select()).first(tx.conn)?))
    })
}

/// What became of a message.
enum Outcome {
    Sent,
    /// It is WeChat's trouble, or ours.
    Later(&'static str),
    /// Not before tomorrow.
    Tomorrow,
    /// The person takes no more of these.
    Refused,
    /// It can't be sent; whether what was agreed to is used up by it.
    Never {
        why: String,
        used_up: bool,
    },
}

fn never(why: impl Into<String>, used_up: bool) -> Outcome {
    Outcome::Never { why: why.into(), used_up }
}

fn deliver(api: &Api, db: &Db, message: &Message) -> Result<Outcome> {
    let app_id = &api.settings.app_id;
    let found = db.run(true, |conn| {
        let template = templates::all(conn, app_id)?.into_iter().find(|template| template.kind == message.kind);
        Ok((bindings::openid(conn, db.vault(), message.binding_id)?, template))
    })?;
    let (Some(openid), template) = found else { return Ok(never("unbound", true)) };
    let Some(template) = template.filter(|template| template.template_id == message.template_id) else {
        return Ok(never("template_gone", false));
    };
    let told = db.vault().open(super::TABLE, "told", message.id, &message.sealed)?;
    let told: BTreeMap<String, String> = serde_json::from_str(&told).map_err(crate::error::Error::internal)?;
    let data = match filled(&template, &told)? {
        Ok(data) => data,
        Err(key) => {
            log::warn!("the field {key} of the template of {} can't hold what is told", message.kind);
            return Ok(never(format!("field:{key}"), false));
        }
    };
    let state = match api.settings.environment {
        Environment::Release => "formal",
        Environment::Trial => "trial",
        Environment::Develop => "developer",
    };
    let mut sent =
        json!({"touser": openid, "template_id": template.template_id, "data": data, "miniprogram_state": state, "lang": "zh_CN"});
    if let Some(page) = &template.page {
        sent["page"] = page.as_str().into();
    }
    Ok(match token::with(api, db, |token| api.send(token, &sent)) {
        Ok(()) => Outcome::Sent,
        Err(Failure::Own(error)) => return Err(error),
        Err(Failure::Away(why)) => Outcome::Later(why),
        Err(Failure::Refused(refusal)) => match refusal.meaning() {
            Meaning::Busy => Outcome::Later("WeChat is busy"),
            Meaning::TooOften => Outcome::Later("WeChat is asked too often"),
            Meaning::Token | Meaning::Configuration => {
                log::error!("WeChat refuses this service ({}): see to the AppID, the AppSecret and the list of addresses", refusal.code);
                Outcome::Later("WeChat refuses this service")
            }
            Meaning::Quota => Outcome::Tomorrow,
            Meaning::Unsubscribed => Outcome::Refused,
            Meaning::Recipient => never("recipient", true),
            Meaning::Field => {
                let key = refusal.field.unwrap_or_default();
                log::warn!("WeChat does not take what the field {key} of the template of {} holds", message.kind);
                never(format!("field:{key}"), false)
            }
            Meaning::Template | Meaning::Page => {
                log::error!("WeChat knows no such template, or page, as that of {} ({})", message.kind, refusal.code);
                never(refusal.code.to_string(), false)
            }
            _ => never(refusal.code.to_string(), false),
        },
    })
}

fn settle(api: &Api, db: &Db, message: &Message, outcome: &Outcome) -> Result<()> {
    db.write_background(&Deed::of_operator("wechat"), |tx| {
        let wait = |attempts: i32| i64::from(1_u32 << attempts.clamp(0, 10));
        let (state, failure, not_before) = match outcome {
            Outcome::Sent => (MessageState::Sent, None, tx.now),
            Outcome::Later(why) if message.attempts >= ATTEMPTS => {
                log::warn!("a message of {} is given up: {why}", message.kind);
                (MessageState::Failed, Some("unreachable"), tx.now)
            }
            Outcome::Later(_) => (MessageState::Waiting, None, tx.now.plus_seconds(wait(message.attempts))),
            Outcome::Tomorrow => {
                log::error!("WeChat's quota is used up for today (45009)");
                token::quota_is_used_up(tx, &api.settings.app_id)?;
                (MessageState::Waiting, None, token::next_day(tx.now))
            }
            Outcome::Refused => (MessageState::Failed, Some("unsubscribed"), tx.now),
            Outcome::Never { why, .. } => (MessageState::Failed, Some(why.as_str()), tx.now),
        };
        // Only while it is this attempt's: another may have taken it over, or its binding have ended.
        let own = t::table
            .filter(t::id.eq(message.id))
            .filter(t::state.eq(MessageState::Waiting))
            .filter(t::attempts.eq(message.attempts))
            .filter(t::leased_by.eq(message.leased_by));
        let kept = diesel::update(own)
            .set((
                t::state.eq(state),
                t::failure.eq(failure),
                t::not_before.eq(not_before),
                t::leased_by.eq(None::<Id>),
                t::leased_until.eq(None::<Instant>),
                t::updated_at.eq(tx.now),
            ))
            .execute(tx.conn)?;
        if kept == 0 {
            return Ok(());
        }
        recount(tx, message, outcome)
    })
}

/// What is left of what was agreed to.
fn recount(tx: &mut Tx<'_>, message: &Message, outcome: &Outcome) -> Result<()> {
    let one = credits::table.find((message.binding_id, &message.template_id));
    match outcome {
        Outcome::Refused => diesel::update(one).set(credits::credits.eq(0)).execute(tx.conn)?,
        Outcome::Never { used_up: false, .. } => diesel::update(one).set(credits::credits.eq(credits::credits + 1)).execute(tx.conn)?,
        _ => 0,
    };
    Ok(())
}

/// Forgets what became of former messages.
fn sweep(api: &Api, db: &Db) -> Result<()> {
    let seconds = i64::try_from(api.settings.messages_kept.as_secs()).unwrap_or(i64::MAX);
    loop {
        let swept = db.write_background(&Deed::of_operator("wechat"), |tx| {
            let old =
                t::table.filter(sql::<Bool>("wechat_messages.state <> 'waiting'")).filter(t::updated_at.lt(tx.now.plus_seconds(-seconds)));
            let ids: Vec<Id> = old.order(t::updated_at).limit(SWEPT_AT_ONCE).select(t::id).load(tx.conn)?;
            Ok(diesel::delete(t::table.filter(t::id.eq_any(ids))).execute(tx.conn)?)
        })?;
        if i64::try_from(swept).is_ok_and(|swept| swept < SWEPT_AT_ONCE) {
            return Ok(());
        }
    }
}
