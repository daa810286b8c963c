//! Deliveries on their way: a webhook is taken by a lease, its oldest delivery is sent without a connection to the database being held,
//! and what came of it is noted.

use std::io::Read;
use std::time::{Duration, Instant as Clock};

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use rand::Rng;
use serde::Serialize;
use ureq::Agent;
use ureq::unversioned::transport::DefaultConnector;
use url::Url;

use super::OutboxConfig;
use super::sign::{self, Secret};
use super::target::{self, Guard, Networks, Refused};
use crate::db::{AnyConnection, Db, Deed, Tx};
use crate::error::{Error, Result};
use crate::resources::webhook_deliveries::{Attempt, DeliveryFault, DeliveryState, Row};
use crate::resources::webhooks;
use crate::schema::{webhook_deliveries as d, webhooks as w};
use crate::types::{Id, Instant};

/// Of an answer nothing is wanted but its status; so much of its body is taken, and thrown away.
const ANSWER: u64 = 64 * 1024;
/// How long that may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);
/// What a lease lasts beyond an attempt: it takes a moment to note what came of it.
const BEYOND: i64 = 50;
/// Attempts of one delivery that are told, the latest.
const ATTEMPTS_KEPT: usize = 100;

/// Sends deliveries.
pub struct Sender {
    agent: Agent,
    networks: Networks,
    first_pause: Duration,
    lease_seconds: i64,
}

/// A delivery that is to be sent now, and whom to.
struct Order {
    webhook_id: Id,
    /// This attempt's alone.
    lease: Id,
    url: String,
    secrets: Vec<Secret>,
    delivery: Row,
}

/// What a receiver is told: what happened to which record, and nothing of what stands in it.
#[derive(Serialize)]
struct Message<'a> {
    id: Id,
    #[serde(rename = "type")]
    event_type: &'a str,
    /// Its number in the order of all events; null of a test.
    sequence: Option<i64>,
    at: Instant,
    organization_id: Id,
    resource: &'a str,
    record_id: Id,
    /// Where the receiver reads the record, with a grant of its own.
    path: String,
}

/// Webhooks of which a delivery is due, and nobody sends it.
macro_rules! due {
    ($now:expr) => {
        w::table
            .filter(w::enabled.eq(true))
            .filter(w::due_at.le($now))
            .filter(w::leased_until.is_null().or(w::leased_until.lt($now)))
            .order(w::due_at)
            .select(w::id)
    };
}

/// The deliveries of a webhook that wait. By its own words, so that a planner without the values finds the index of these.
macro_rules! waiting {
    ($webhook_id:expr) => {
        d::table.filter(d::webhook_id.eq($webhook_id)).filter(sql::<Bool>("state = 'waiting'"))
    };
}

impl Sender {
    pub fn new(config: &OutboxConfig) -> Self {
        let settings = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            // A proxy would resolve names for itself.
            .proxy(None)
            // Each attempt looks at the address anew.
            .max_idle_connections(0)
            .timeout_global(Some(config.answer_within))
            .timeout_recv_body(Some(ANSWER_WITHIN))
            .user_agent("yiyong-webhooks")
            .build();
        Self {
            agent: Agent::with_parts(settings, DefaultConnector::default(), Guard::new(config.networks.clone())),
            networks: config.networks.clone(),
            first_pause: config.first_pause,
            lease_seconds: i64::try_from(config.answer_within.as_secs()).unwrap_or(i64::MAX - BEYOND) + BEYOND,
        }
    }

    /// Sends one delivery, where one is due; to whoever answered last time only, unless `all`.
    pub fn send_one(&self, db: &Db, all: bool) -> Result<bool> {
        let Some(order) = self.claim(db, all)? else { return Ok(false) };
        let attempt = self.attempt(&order)?;
        db.write_background(&Deed::of_operator("webhooks"), |tx| self.note(tx, &order, &attempt))?;
        Ok(true)
    }

    fn claim(&self, db: &Db, all: bool) -> Result<Option<Order>> {
        let most = if all { i32::MAX } else { 0 };
        let now = Instant::now();
        // Who only looks disturbs no writer.
        if db.run(true, |conn| Ok(due!(now).filter(w::failures.le(most)).first::<Id>(conn).optional()?))?.is_none() {
            return Ok(None);
        }
        db.write_background(&Deed::of_operator("webhooks"), |tx| {
            let now = tx.now;
            let webhook_id: Option<Id> = match &mut *tx.conn {
                AnyConnection::Pg(c) => due!(now).filter(w::failures.le(most)).for_update().skip_locked().first(c).optional()?,
                AnyConnection::Sqlite(c) => due!(now).filter(w::failures.le(most)).first(c).optional()?,
            };
            let Some(webhook_id) = webhook_id else { return Ok(None) };
            let oldest = waiting!(webhook_id).order((d::position, d::id)).select(Row::as_select()).first(tx.conn).optional()?;
            let Some(delivery) = oldest else {
                diesel::update(w::table.find(webhook_id)).set(w::due_at.eq(None::<Instant>)).execute(tx.conn)?;
                return Ok(None);
            };
            let lease = Id::new();
            diesel::update(w::table.find(webhook_id))
                .set((w::leased_by.eq(lease), w::leased_until.eq(now.plus_seconds(self.lease_seconds))))
                .execute(tx.conn)?;
            let (url, secrets) = webhooks::sending(tx, webhook_id)?;
            Ok(Some(Order { webhook_id, lease, url, secrets, delivery }))
        })
    }

    /// One attempt, whatever comes of it.
    fn attempt(&self, order: &Order) -> Result<Attempt> {
        let (at, begun) = (Instant::now(), Clock::now());
        let delivery = &order.delivery;
        let message = Message {
            id: delivery.event_id,
            event_type: &delivery.event_type,
            sequence: delivery.sequence,
            at: delivery.event_at,
            organization_id: delivery.event_organization_id,
            resource: &delivery.resource,
            record_id: delivery.record_id,
            path: format!("/api/v1/{}/{}", delivery.resource.replace('_', "-"), delivery.record_id),
        };
        let body = serde_json::to_vec(&message).map_err(Error::internal)?;
        // What was allowed when it was written need not be allowed any more.
        let outcome = match target::read(&order.url, &self.networks) {
            Err(_) => Err(DeliveryFault::TargetRefused),
            Ok(url) => self.post(&url, &sign::headers(&order.secrets, delivery.event_id, at, &body), &body),
        };
        let (status, fault) = match outcome {
            Ok(status @ 200..300) => (Some(status), None),
            Ok(status @ 300..400) => (Some(status), Some(DeliveryFault::Redirect)),
            Ok(status) => (Some(status), Some(DeliveryFault::Status)),
            Err(fault) => (None, Some(fault)),
        };
        Ok(Attempt { at, duration_ms: i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX), status, fault })
    }

    fn post(&self, url: &Url, headers: &[(&'static str, String)], body: &[u8]) -> Result<u16, DeliveryFault> {
        let mut request = self.agent.post(url.as_str()).header("Content-Type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let answer = request.send(body).map_err(|error| fault_of(&error))?;
        let status = answer.status().as_u16();
        // Read so that its sender can end in peace. The status has been told by then.
        let _ = std::io::copy(&mut answer.into_body().into_reader().take(ANSWER), &mut std::io::sink());
        Ok(status)
    }

    /// Notes what came of an attempt, unless its lease has ended and another has made one since.
    fn note(&self, tx: &mut Tx<'_>, order: &Order, attempt: &Attempt) -> Result<()> {
        let (now, delivered) = (tx.now, attempt.fault.is_none());
        let own = w::table.filter(w::id.eq(order.webhook_id)).filter(w::leased_by.eq(order.lease));
        let freed = (w::leased_by.eq(None::<Id>), w::leased_until.eq(None::<Instant>));
        // The row is held from here on: who adds to what waits comes before or after.
        let kept = match delivered {
            true => diesel::update(own).set((freed, w::failures.eq(0))).execute(tx.conn)?,
            false => diesel::update(own).set((freed, w::failures.eq(w::failures + 1))).execute(tx.conn)?,
        };
        if kept == 0 {
            return Ok(());
        }
        let one = d::table.find(order.delivery.id).select(Row::as_select()).first(tx.conn).optional()?;
        if let Some(delivery) = one.filter(|delivery| delivery.state == DeliveryState::Waiting) {
            let mut attempts = delivery.attempts()?;
            attempts.push(attempt.clone());
            attempts.drain(..attempts.len().saturating_sub(ATTEMPTS_KEPT));
            let state = if delivered { DeliveryState::Delivered } else { DeliveryState::Waiting };
            diesel::update(d::table.find(delivery.id))
                .set((
                    d::state.eq(state),
                    d::delivered_at.eq(delivered.then_some(now)),
                    d::attempt_count.eq(d::attempt_count + 1),
                    d::attempts.eq(serde_json::to_string(&attempts).map_err(Error::internal)?),
                    d::version.eq(d::version + 1),
                    d::updated_at.eq(now),
                ))
                .execute(tx.conn)?;
        }
        if !delivered {
            // A test that was asked for meanwhile has its attempt before it.
            let tried = d::sequence.is_not_null().or(d::id.eq(order.delivery.id));
            diesel::update(waiting!(order.webhook_id).filter(d::expires_at.le(now)).filter(tried))
                .set((d::state.eq(DeliveryState::Expired), d::version.eq(d::version + 1), d::updated_at.eq(now)))
                .execute(tx.conn)?;
        }
        let oldest: Option<Id> = waiting!(order.webhook_id).select(d::id).first(tx.conn).optional()?;
        let failures: i32 = w::table.find(order.webhook_id).select(w::failures).first(tx.conn)?;
        let due = oldest.map(|_| if delivered { now } else { now.plus_seconds(self.pause(failures)) });
        diesel::update(w::table.find(order.webhook_id)).set(w::due_at.eq(due)).execute(tx.conn)?;
        Ok(())
    }

    /// How long to wait after so many attempts that have failed: twice as long after each, and not all at the same moment.
    fn pause(&self, failures: i32) -> i64 {
        let doubled = 1_u32.checked_shl(u32::try_from(failures - 1).unwrap_or_default()).unwrap_or(u32::MAX);
        let pause = self.first_pause.saturating_mul(doubled).min(LONGEST_PAUSE).as_secs_f64() * rand::rng().random_range(0.8..1.2);
        #[expect(clippy::cast_possible_truncation, reason = "an hour and a bit")]
        let seconds = pause.round() as i64;
        seconds.max(1)
    }
}

/// What a failure is called: to whoever reads it, and nothing of what was answered.
fn fault_of(error: &ureq::Error) -> DeliveryFault {
    match error {
        ureq::Error::Other(why) if why.is::<Refused>() => DeliveryFault::TargetRefused,
        ureq::Error::HostNotFound => DeliveryFault::NameUnknown,
        ureq::Error::Timeout(_) => DeliveryFault::Timeout,
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::TlsRequired => DeliveryFault::Tls,
        // So it is told that a certificate is not known.
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => DeliveryFault::Tls,
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => DeliveryFault::Timeout,
        ureq::Error::Io(_) | ureq::Error::ConnectionFailed => DeliveryFault::Unreachable,
        _ => DeliveryFault::NoHttp,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_an_hour() {
        let config = OutboxConfig {
            networks: Networks::default(),
            senders: 1,
            answer_within: Duration::from_secs(10),
            first_pause: Duration::from_secs(5),
            tried_for: Duration::from_secs(72 * 3600),
            deliveries_kept: Duration::from_secs(86_400),
            notifications_kept: Duration::from_secs(86_400),
        };
        let sender = Sender::new(&config);
        for (failures, about) in [(1, 5), (2, 10), (3, 20), (10, 2_560), (11, 3_600), (40, 3_600), (i32::MAX, 3_600)] {
            for _ in 0..50 {
                let pause = sender.pause(failures);
                assert!(pause * 10 >= about * 8 - 10 && pause * 10 <= about * 12 + 10, "{failures}: {pause}");
            }
        }
    }
}
