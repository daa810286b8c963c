//! Refusals on their way into the log: who was told that they may not.
//!
//! A refusal is noted after its answer is made, off the event loop, and neither slows nor fails it. Whoever is refused
//! again and again must not fill the disk: of one caller at one address of the service, one refusal a minute has an event;
//! the others are counted, and their number is written when the minute is over. A minute has at most a thousand events, from
//! however many callers; what goes beyond is counted together.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use actix_web::HttpRequest;
use actix_web::http::Method;
use serde_json::json;

use crate::db::{Db, Deed};
use crate::error::Code;
use crate::types::{Id, Instant};
use crate::web::asked::{record_of, route_of};
use crate::web::rates::Who;

/// Callers and routes that are told apart in one minute.
const APART: usize = 1_000;
/// Refusals that wait for the database at the same time.
const WAITING: usize = 32;

/// Who, at which address of the service: refusals that are alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Alike {
    actor_id: Option<Id>,
    address: Option<Who>,
    method: String,
    route: String,
}

/// One refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    pub actor_id: Option<Id>,
    pub address: Option<IpAddr>,
    pub request_id: String,
    pub method: String,
    /// With `{id}` where the request had an id.
    pub route: String,
    pub record_id: Option<Id>,
    pub code: Code,
    /// Others like it in the minute that is over; this one tells their number.
    pub left_out: u64,
}

impl Refusal {
    /// What kind of answer goes into the log. Of those who ask too often, those who are known: a program that has gone wrong, or
    /// somebody who carries data away.
    pub fn is_told(code: Code, known: bool) -> bool {
        match code {
            Code::Forbidden | Code::PasswordChangeRequired | Code::InvalidToken => true,
            Code::TooManyRequests => known,
            _ => false,
        }
    }

    pub fn of(request: &HttpRequest, method: &Method, request_id: &str, address: Option<IpAddr>, actor_id: Option<Id>, code: Code) -> Self {
        Self {
            actor_id,
            address,
            request_id: request_id.to_owned(),
            method: method.to_string(),
            route: route_of(request).unwrap_or_else(|| "unmatched".to_owned()),
            record_id: record_of(request),
            code,
            left_out: 0,
        }
    }

    fn alike(&self) -> Alike {
        Alike { actor_id: self.actor_id, address: self.address.map(Who::at), method: self.method.clone(), route: self.route.clone() }
    }

    /// The resource, as its table is called.
    fn resource(&self) -> String {
        self.route.trim_start_matches("/api/v1/").split('/').next().unwrap_or_default().replace('-', "_")
    }
}

#[derive(Debug, Default)]
struct Minute {
    /// Since 1970.
    number: i64,
    seen: HashMap<Alike, Refusal>,
    beyond: u64,
}

/// The refusals of the present minute.
#[derive(Debug, Default)]
pub struct Refusals(Mutex<Minute>, std::sync::Arc<std::sync::atomic::AtomicUsize>);

impl Refusals {
    /// What is to be written now that there is this refusal, or none: itself when it is the first of its kind in the
    /// minute, and the numbers of those that the minute before has left out.
    fn hear(&self, now: Instant, refusal: Option<Refusal>) -> Vec<Refusal> {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = Vec::new();
        let number = now.0.timestamp().div_euclid(60);
        if minute.number != number {
            let over = std::mem::replace(&mut *minute, Minute { number, ..Minute::default() });
            told.extend(over.seen.into_values().filter(|refusal| refusal.left_out > 0));
            if over.beyond > 0 {
                told.push(Refusal {
                    actor_id: None,
                    address: None,
                    request_id: "beyond".into(),
                    method: "*".into(),
                    route: "*".into(),
                    record_id: None,
                    code: Code::Forbidden,
                    left_out: over.beyond,
                });
            }
        }
        let Some(refusal) = refusal else { return told };
        let full = minute.seen.len() >= APART;
        match minute.seen.get_mut(&refusal.alike()) {
            Some(known) => known.left_out += 1,
            None if full => minute.beyond += 1,
            None => {
                minute.seen.insert(refusal.alike(), refusal.clone());
                told.push(refusal);
            }
        }
        told
    }

    /// Notes a refusal, or only that time has passed, and writes what there is to write meanwhile.
    pub fn note(&self, db: &Db, refusal: Option<Refusal>) {
        use std::sync::atomic::Ordering;
        let told = self.hear(Instant::now(), refusal);
        if told.is_empty() {
            return;
        }
        if self.1.fetch_add(1, Ordering::AcqRel) >= WAITING {
            self.1.fetch_sub(1, Ordering::AcqRel);
            log::warn!(refusals = told.len(); "refusals are not noted: the database is too slow");
            return;
        }
        let (db, waiting) = (db.clone(), self.1.clone());
        actix_web::rt::spawn(async move {
            for refusal in told {
                if let Err(error) = write(&db, refusal).await {
                    log::warn!("a refusal was not noted: {error}");
                }
            }
            waiting.fetch_sub(1, Ordering::AcqRel);
        });
    }
}

async fn write(db: &Db, refusal: Refusal) -> crate::error::Result<()> {
    let deed = Deed {
        actor_id: refusal.actor_id,
        request_id: refusal.request_id.clone(),
        address: refusal.address,
        once: None,
        rolled_back: false,
    };
    db.write_value(deed, move |tx| {
        let mut detail = json!({"method": refusal.method, "route": refusal.route, "code": refusal.code.as_str()});
        if refusal.left_out > 0 {
            detail["left_out"] = refusal.left_out.into();
        }
        let event = tx.audit("request", "", refusal.record_id, None, Some(&detail)).refused();
        event.resource = refusal.resource();
        Ok(())
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(actor_id: Option<Id>, address: &str, route: &str) -> Refusal {
        Refusal {
            actor_id,
            address: address.parse().ok(),
            request_id: Id::new().to_string(),
            method: "GET".into(),
            route: route.into(),
            record_id: None,
            code: Code::Forbidden,
            left_out: 0,
        }
    }

    #[test]
    fn the_same_refusal_is_written_once_a_minute_and_then_counted() {
        let refusals = Refusals::default();
        let now = Instant(chrono::DateTime::from_timestamp(1_655_427_600, 0).expect("an instant"));
        let actor = Some(Id::new());
        let first = refusal(actor, "10.0.0.1", "/api/v1/users");
        assert_eq!(refusals.hear(now, Some(first.clone())), vec![first.clone()]);
        for _ in 0..7 {
            assert_eq!(refusals.hear(now.plus_seconds(59), Some(refusal(actor, "10.0.0.1", "/api/v1/users"))), vec![]);
        }
        let others = [
            refusal(None, "10.0.0.1", "/api/v1/users"),
            refusal(actor, "10.0.0.2", "/api/v1/users"),
            refusal(actor, "10.0.0.1", "/api/v1/roles"),
            refusal(None, "2001:db8::1", "/api/v1/users"),
        ];
        for other in others {
            assert_eq!(refusals.hear(now, Some(other.clone())), vec![other]);
        }
        // A house with IPv6 has more addresses than a disk has room.
        assert_eq!(refusals.hear(now, Some(refusal(None, "2001:db8::2", "/api/v1/users"))), vec![]);
        let mut told = refusals.hear(now.plus_seconds(60), None);
        told.sort_by_key(|refusal| refusal.left_out);
        assert_eq!(told.iter().map(|refusal| refusal.left_out).collect::<Vec<_>>(), [1, 7]);
        assert_eq!(told[1], Refusal { left_out: 7, ..first.clone() });
        assert_eq!(refusals.hear(now.plus_seconds(61), None), vec![], "told once");
        assert_eq!(refusals.hear(now.plus_seconds(61), Some(first.clone())), vec![first]);
    }

    #[test]
    fn however_many_are_refused_the_log_grows_by_a_bounded_number() {
        let refusals = Refusals::default();
        let now = Instant(chrono::DateTime::from_timestamp(1_655_427_600, 0).expect("an instant"));
        let written: usize =
            (0..5 * APART).map(|n| refusals.hear(now, Some(refusal(Some(Id::new()), "10.0.0.1", &format!("/{n}")))).len()).sum();
        assert_eq!(written, APART);
        let told = refusals.hear(now.plus_seconds(60), None);
        assert_eq!(told.iter().map(|refusal| (refusal.route.as_str(), refusal.left_out)).collect::<Vec<_>>(), [("*", 4 * APART as u64)]);
    }
}
