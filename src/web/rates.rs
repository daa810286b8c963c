//! How often a caller may ask: each class of routes has a rate of its own, for each user, and for each address of those who
//! are nobody.
//!
//! A rate is a bucket that holds what may be asked in a minute and fills again all the time, so whoever has been silent for a minute
//! may ask all of it at once. Of a bucket one moment says everything: when it will be full again. It stands in this server's
//! memory, or, where the servers share their rates, in the database: there a server takes a twentieth of a minute's requests at a
//! time, so that few requests wait for it, and the servers together may give that much more than the rate. Where the
//! database doesn't answer, a server counts alone: a rate must not take down what it protects.
//!
//! Every answer that was counted says where its caller stands, in the words of draft-ietf-httpapi-ratelimit-headers:
//! `RateLimit-Policy: "read";q=1200;w=60` and `RateLimit: "read";r=1199;t=1` (requests left, seconds until the bucket is full).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use diesel::prelude::*;

use super::asked::route_of;
use super::contract::Contract;
use super::frame::RequestFacts;
use crate::db::{Db, Deed, each, held};
use crate::error::{Code, Error, Result};
use crate::schema::rates as r;
use crate::types::{Id, Instant};

/// What a rate is measured in, in microseconds.
const MINUTE: i64 = 60_000_000;
/// Which part of a minute's requests a server takes at a time where they are shared.
const LOTS: u32 = 20;
/// Callers that are remembered; the half that was longest silent makes room.
const REMEMBERED: usize = 20_000;
/// Rows of the database that a sweep takes away.
const SWEPT: i64 = 1_000;

/// Routes that have a rate together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RateClass {
    /// What needs no token.
    Public,
    Read,
    Write,
    /// What shows whole numbers, moves money or hands out a way in.
    Sensitive,
}

/// The routes of [`RateClass::Sensitive`], by their method and pattern.
pub const SENSITIVE: &[(&str, &str)] = &[
    ("POST", "/api/v1/auth/password"),
    ("POST", "/api/v1/bank-transfers/{id}/export"),
    ("POST", "/api/v1/disbursements/{id}/pay"),
    ("GET", "/api/v1/exports/{resource}"),
    ("POST", "/api/v1/exports/{resource}"),
    ("GET", "/api/v1/export-files/{id}/content"),
    ("POST", "/api/v1/persons/{id}/reveal"),
    ("POST", "/api/v1/users/{id}/binding-code"),
    ("POST", "/api/v1/users/{id}/reset-password"),
    ("POST", "/api/v1/vouchers/{id}/post"),
    ("POST", "/api/v1/webhooks/{id}/rotate"),
    ("POST", "/api/v1/welfare-batches/{id}/pay"),
];

impl RateClass {
    fn of(request: &HttpRequest) -> Self {
        let pattern = route_of(request).unwrap_or_default();
        match request.method() {
            method if SENSITIVE.contains(&(method.as_str(), &pattern)) => Self::Sensitive,
            &Method::GET | &Method::HEAD => Self::Read,
            _ => Self::Write,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sensitive => "sensitive",
        }
    }

    const fn label(self) -> (&'static str, &'static str) {
        match self {
            Self::Public => ("公开访问", "requests without a token"),
            Self::Read => ("读取", "reads"),
            Self::Write => ("写入", "writes"),
            Self::Sensitive => ("敏感操作", "sensitive requests"),
        }
    }
}

/// Requests a minute; 0 is as many as there are.
#[derive(Debug, Clone, Copy)]
pub struct RatesConfig {
    pub public: u32,
    pub read: u32,
    pub write: u32,
    pub sensitive: u32,
    pub shared: bool,
}

impl RatesConfig {
    fn limit(&self, class: RateClass) -> u32 {
        match class {
            RateClass::Public => self.public,
            RateClass::Read => self.read,
            RateClass::Write => self.write,
            RateClass::Sensitive => self.sensitive,
        }
    }
}

/// Who is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Who {
    User(Id),
    /// Of IPv6 the network: one house has that many addresses.
    Address(IpAddr),
}

impl Who {
    pub fn at(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V6(v6) => IpAddr::V6((u128::from(v6) >> 64 << 64).into()),
            v4 @ IpAddr::V4(_) => v4,
        })
    }

    fn text(self) -> String {
        match self {
            Self::User(id) => format!("user:{id}"),
            Self::Address(address) => format!("address:{address}"),
        }
    }
}

/// A bucket, at a moment: microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Bucket {
    limit: u32,
    full_at: i64,
}

impl Bucket {
    /// What one request takes from it.
    fn each(self) -> i64 {
        MINUTE / i64::from(self.limit.max(1))
    }

    /// How long until it is full. A clock that was set back leaves nobody waiting for longer than a minute.
    fn lacks(self, now: i64) -> i64 {
        (self.full_at - now).clamp(0, MINUTE)
    }

    fn holds(self, now: i64) -> u32 {
        u32::try_from((MINUTE - self.lacks(now)) / self.each()).unwrap_or(0).min(self.limit)
    }

    /// Takes so many, or as many as there are.
    fn take(&mut self, wanted: u32, now: i64) -> u32 {
        let taken = wanted.min(self.holds(now));
        self.full_at = now + self.lacks(now) + i64::from(taken) * self.each();
        taken
    }

    /// How long until it holds one.
    fn next(self, now: i64) -> i64 {
        (self.lacks(now) + self.each() - MINUTE).max(0)
    }
}

/// What a server knows of a caller.
#[derive(Debug, Clone, Copy)]
struct Known {
    bucket: Bucket,
    /// Taken out of the shared bucket and not used yet, and until when that counts.
    lot: (u32, i64),
    last: i64,
}

/// Where a caller stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    class: RateClass,
    limit: u32,
    left: u32,
    /// Seconds until the bucket is full.
    full_in: i64,
}

impl Standing {
    fn new(class: RateClass, bucket: Bucket, lot: u32, now: i64) -> Self {
        let left = bucket.holds(now).saturating_add(lot).min(bucket.limit);
        Self { class, limit: bucket.limit, left, full_in: whole_seconds(bucket.lacks(now)) }
    }

    pub fn tell(&self, headers: &mut HeaderMap) {
        let name = self.class.name();
        let policy = format!("\"{name}\";q={};w=60", self.limit);
        let rate = format!("\"{name}\";r={};t={}", self.left, self.full_in);
        for (header, value) in [("ratelimit-policy", policy), ("ratelimit", rate)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(header), value);
            }
        }
    }
}

fn whole_seconds(microseconds: i64) -> i64 {
    // Rounded up: who waits for as long as they are told does not wait in vain.
    (microseconds + 999_999) / 1_000_000
}

/// The rates of one server, or its part of those that the servers share.
pub struct Rates {
    config: RatesConfig,
    known: Mutex<HashMap<(RateClass, Who), Known>>,
}

impl Rates {
    pub fn new(config: RatesConfig) -> Self {
        Self { config, known: Mutex::default() }
    }

    /// Counts a request with a token.
    pub async fn count_user(&self, db: &Db, request: &HttpRequest, user_id: Id) -> Result<()> {
        self.count(db, request, RateClass::of(request), Who::User(user_id)).await
    }

    /// Counts a request of nobody, where it is known from where it comes.
    pub async fn count_nobody(&self, db: &Db, request: &HttpRequest) -> Result<()> {
        let address = request.extensions().get::<RequestFacts>().and_then(|facts| facts.address);
        match address {
            Some(address) => self.count(db, request, RateClass::Public, Who::at(address)).await,
            None => Ok(()),
        }
    }

    async fn count(&self, db: &Db, request: &HttpRequest, class: RateClass, who: Who) -> Result<()> {
        let limit = self.config.limit(class);
        if limit == 0 {
            return Ok(());
        }
        let now = Instant::now().0.timestamp_micros();
        let counted = if self.config.shared { self.count_shared(db, (class, who), limit, now).await } else { None };
        let (standing, wait) = match counted {
            Some(counted) => counted,
            None => self.count_alone((class, who), limit, now),
        };
        request.extensions_mut().insert(standing);
        let Some(wait) = wait else { return Ok(()) };
        let (zh, en) = class.label();
        let seconds = u32::try_from(whole_seconds(wait).max(1)).unwrap_or(u32::MAX);
        Err(Error::because(
            Code::TooManyRequests,
            format!("{zh}每分钟最多 {limit} 次；请在 {seconds} 秒后再试"),
            format!("at most {limit} {en} a minute; try again in {seconds} s"),
        )
        .retry_after(seconds))
    }

    /// Whether a request is one too many: then how long to wait.
    fn count_alone(&self, key: (RateClass, Who), limit: u32, now: i64) -> (Standing, Option<i64>) {
        self.with(key, limit, now, |known| {
            let taken = known.bucket.take(1, now);
            (Standing::new(key.0, known.bucket, 0, now), (taken == 0).then(|| known.bucket.next(now)))
        })
    }

    /// The same out of a lot of the shared bucket; `None` where the database doesn't answer.
    async fn count_shared(&self, db: &Db, key: (RateClass, Who), limit: u32, now: i64) -> Option<(Standing, Option<i64>)> {
        let of_lot = |known: &mut Known| {
            let (left, until) = known.lot;
            if left > 0 && until > now {
                known.lot.0 = left - 1;
                return Some((Standing::new(key.0, known.bucket, left - 1, now), None));
            }
            // A bucket that was found empty isn't asked again before it can hold one.
            let wait = known.bucket.next(now);
            (wait > 0).then(|| (Standing::new(key.0, known.bucket, 0, now), Some(wait)))
        };
        if let Some(counted) = self.with(key, limit, now, of_lot) {
            return Some(counted);
        }
        let wanted = (limit / LOTS).max(1);
        let text = key.1.text();
        let found = db.write_value(Deed::of_operator("rates"), move |tx| take_lot(tx.conn, key.0, &text, limit, wanted, now)).await;
        let (taken, bucket) = found.inspect_err(|error| log::warn!("the shared rates don't answer: {}", error.code.as_str())).ok()?;
        Some(self.with(key, limit, now, |known| {
            known.bucket = bucket;
            if taken == 0 {
                return (Standing::new(key.0, bucket, 0, now), Some(bucket.next(now)));
            }
            // Another request may have brought a lot meanwhile.
            let still = if known.lot.1 > now { known.lot.0 } else { 0 };
            known.lot = (still.saturating_add(taken - 1), now + MINUTE);
            (Standing::new(key.0, bucket, known.lot.0, now), None)
        }))
    }

    fn with<T>(&self, key: (RateClass, Who), limit: u32, now: i64, work: impl FnOnce(&mut Known) -> T) -> T {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED && !known.contains_key(&key) {
            let mut uses: Vec<i64> = known.values().map(|known| known.last).collect();
            let (_, middle, _) = uses.select_nth_unstable(REMEMBERED / 2);
            let middle = *middle;
            known.retain(|_, known| known.last > middle);
        }
        let fresh = Known { bucket: Bucket { limit, full_at: now }, lot: (0, 0), last: now };
        let entry = known.entry(key).or_insert(fresh);
        entry.last = now;
        work(entry)
    }
}

/// Takes out of the bucket that the servers share: how many, and what it is like then.
fn take_lot(
    conn: &mut crate::db::AnyConnection,
    class: RateClass,
    caller: &str,
    limit: u32,
    wanted: u32,
    now: i64,
) -> Result<(u32, Bucket)> {
    let one = || r::table.find((class.name(), caller));
    held!(conn, one().select(r::full_at))?;
    let known: Option<i64> = one().select(r::full_at).first(conn).optional()?;
    let mut bucket = Bucket { limit, full_at: known.unwrap_or(now) };
    let taken = bucket.take(wanted, now);
    if known.is_some() {
        diesel::update(one()).set(r::full_at.eq(bucket.full_at)).execute(conn)?;
        return Ok((taken, bucket));
    }
    // A caller of whom nothing is known comes rarely: the time to forget those who have been silent.
    let over: Vec<(String, String)> =
        r::table.filter(r::full_at.lt(now - MINUTE)).order(r::full_at).limit(SWEPT).select((r::class, r::caller)).load(conn)?;
    for (class, caller) in &over {
        diesel::delete(r::table.find((class, caller)).filter(r::full_at.lt(now - MINUTE))).execute(conn)?;
    }
    // Two servers that meet a caller at the same time both begin a bucket: the one that is kept counts, as a lot too many once.
    each!(conn, c => diesel::insert_into(r::table)
        .values((r::class.eq(class.name()), r::caller.eq(caller), r::full_at.eq(bucket.full_at)))
        .on_conflict_do_nothing()
        .execute(c))?;
    Ok((taken, bucket))
}

/// Counts by its address what comes without a token, or to where none is asked for. Who holds a token is counted where it is
/// read.
pub async fn by_address(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let open = || request.app_data::<web::Data<Contract>>().is_some_and(|contract| contract.is_open(request.path()));
    let counts = request.path().starts_with("/api/") && (!request.headers().contains_key(header::AUTHORIZATION) || open());
    if counts && let (Some(rates), Some(db)) = (request.app_data::<web::Data<Rates>>(), request.app_data::<web::Data<Db>>()) {
        let (rates, db) = (rates.clone(), db.clone());
        if let Err(error) = rates.count_nobody(&db, request.request()).await {
            let response = ServiceResponse::new(request.into_parts().0, HttpResponse::from_error(error));
            return Ok(response.map_into_right_body());
        }
    }
    Ok(next.call(request).await?.map_into_left_body())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bucket_gives_what_it_holds_and_fills_again() {
        let mut bucket = Bucket { limit: 60, full_at: 0 };
        let now = 1_000 * MINUTE;
        assert_eq!((bucket.take(60, now), bucket.take(1, now), bucket.next(now)), (60, 0, 1_000_000));
        assert_eq!(bucket.take(5, now + 2_500_000), 2);
        assert_eq!(bucket.holds(now + 3_000_000), 1);
        // A clock that goes back a day.
        assert_eq!(bucket.lacks(now - 1_440 * MINUTE), MINUTE);
    }

    #[test]
    fn every_sensitive_route_is_in_the_contract() {
        let document = crate::app::document();
        for (method, path) in SENSITIVE {
            assert!(document["paths"][path][method.to_lowercase()].is_object(), "{method} {path}");
        }
    }

    #[test]
    fn memory_is_bounded_and_keeps_who_was_here_last() {
        let rates = Rates::new(RatesConfig { public: 10, read: 10, write: 10, sensitive: 10, shared: false });
        let who = |n: u32| Who::at(IpAddr::from(n.to_be_bytes()));
        let many = u32::try_from(2 * REMEMBERED).expect("a number");
        for n in 0..many {
            rates.count_alone((RateClass::Public, who(n)), 10, i64::from(n));
        }
        let known = rates.known.lock().expect("unpoisoned");
        assert!(known.len() <= REMEMBERED && known.contains_key(&(RateClass::Public, who(many - 1))));
    }

    #[test]
    fn a_house_of_ipv6_is_one_caller() {
        let at = |text: &str| Who::at(text.parse().expect("an address"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_ne!(at("10.0.0.1"), at("10.0.0.2"));
    }

    proptest! {
        /// Whatever is asked when: in any time no more is given than a full bucket and what has come in since.
        #[test]
        fn never_more_than_a_bucket_and_what_came_in(
            limit in 1_u32..5_000,
            asked in prop::collection::vec((0_i64..20_000_000, 1_u32..50), 1..200),
        ) {
            let mut bucket = Bucket { limit, full_at: 0 };
            let begun = 1_000 * MINUTE;
            let (mut now, mut given) = (begun, 0_i64);
            for (later, wanted) in asked {
                now += later;
                given += i64::from(bucket.take(wanted, now));
                let most = i64::from(limit) + (now - begun) / bucket.each();
                prop_assert!(given <= most, "{given} of {most}");
            }
        }
    }
}
