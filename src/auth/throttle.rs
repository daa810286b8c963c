//! How failures slow a sign-in down: the account a little longer each time, and the address they come from.
//!
//! What a known account has failed at stands in the database, for all servers. Here stands, in this server's memory
//! and bounded, what must not stand there: the same wait for usernames that nobody has, so that a wait doesn't tell
//! which ones exist; and where an account's owner has signed in from, so that those who fail elsewhere can't keep
//! the owner out. Names and addresses are kept only as keyed hashes.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant as Clock};

use actix_web::HttpRequest;

/// Failures in a row that cost nothing; after them the account waits, longer each time.
const FREE_FAILURES: i32 = 5;
const LONGEST_WAIT_SECONDS: i64 = 300;
/// An address stands for a whole office: it may fail this often at once, and once more each few seconds.
const ADDRESS_FAILURES: f64 = 50.0;
const ADDRESS_RECOVERS_EVERY: Duration = Duration::from_secs(6);
/// Entries of each kind; the half that was longest unused makes room.
const REMEMBERED: usize = 10_000;

/// How long an account waits after so many failures in a row.
pub fn wait_seconds(failures: i32) -> Option<i64> {
    let over = failures - FREE_FAILURES;
    (over > 0).then(|| (1_i64 << over.min(9)).min(LONGEST_WAIT_SECONDS))
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: i32,
    until: Clock,
    last: Clock,
}

#[derive(Debug, Clone, Copy)]
struct Address {
    /// Falls with time.
    failures: f64,
    last: Clock,
}

pub struct Throttle {
    /// Proxies whose word about an address counts.
    trusted_proxies: Vec<IpAddr>,
    behind_tls: bool,
    keyed: RandomState,
    /// Of usernames that nobody has.
    unknown: Mutex<HashMap<u64, Failures>>,
    /// Of accounts at the addresses where they have been signed in to.
    familiar: Mutex<HashMap<u64, Failures>>,
    addresses: Mutex<HashMap<u64, Address>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whole seconds, at least one.
fn seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs_f64().ceil().max(1.0) as u64).unwrap_or(u32::MAX)
}

fn make_room<T>(map: &mut HashMap<u64, T>, last: impl Fn(&T) -> Clock) {
    if map.len() >= REMEMBERED {
        let mut uses: Vec<Clock> = map.values().map(&last).collect();
        let (_, middle, _) = uses.select_nth_unstable(REMEMBERED / 2);
        let middle = *middle;
        map.retain(|_, entry| last(entry) > middle);
    }
}

impl Failures {
    fn none(now: Clock) -> Self {
        Self { count: 0, until: now, last: now }
    }

    fn add(&mut self, now: Clock) {
        self.count = self.count.saturating_add(1);
        self.last = now;
        let wait = wait_seconds(self.count).and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or(0);
        self.until = now + Duration::from_secs(wait);
    }

    fn wait(&self, now: Clock) -> Option<u32> {
        self.until.checked_duration_since(now).filter(|wait| !wait.is_zero()).map(seconds)
    }
}

impl Address {
    fn fallen(&self, now: Clock) -> f64 {
        let since = now.saturating_duration_since(self.last);
        (self.failures - since.as_secs_f64() / ADDRESS_RECOVERS_EVERY.as_secs_f64()).max(0.0)
    }
}

impl Throttle {
    pub fn new(trusted_proxies: Vec<IpAddr>, behind_tls: bool) -> Self {
        Self {
            trusted_proxies,
            behind_tls,
            keyed: RandomState::new(),
            unknown: Mutex::default(),
            familiar: Mutex::default(),
            addresses: Mutex::default(),
        }
    }

    /// Where a request comes from; `None` where only a proxy is known, which must not wait for all behind it.
    pub fn address(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        if !self.trusted_proxies.contains(&peer) {
            return (!self.behind_tls).then_some(peer);
        }
        // The last one that a trusted proxy has seen itself; what stands before it may be invented.
        let forwarded: Vec<&str> =
            request.headers().get_all("X-Forwarded-For").filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(',')).collect();
        let mut addresses = forwarded.iter().rev().map(|text| text.trim().parse::<IpAddr>().ok());
        addresses.find(|address| address.is_none_or(|address| !self.trusted_proxies.contains(&address))).flatten()
    }

    /// How many seconds an address must wait.
    pub fn address_wait(&self, address: IpAddr) -> Option<u32> {
        let now = Clock::now();
        let failures = locked(&self.addresses).get(&self.keyed.hash_one(address))?.fallen(now);
        let over = failures - ADDRESS_FAILURES + 1.0;
        (over > 0.0).then(|| seconds(ADDRESS_RECOVERS_EVERY.mul_f64(over)))
    }

    pub fn address_failed(&self, address: IpAddr) {
        let now = Clock::now();
        let mut addresses = locked(&self.addresses);
        make_room(&mut addresses, |entry| entry.last);
        let entry = addresses.entry(self.keyed.hash_one(address)).or_insert(Address { failures: 0.0, last: now });
        *entry = Address { failures: entry.fallen(now) + 1.0, last: now };
    }

    /// How many seconds a username that nobody has must wait.
    pub fn unknown_wait(&self, username: &str) -> Option<u32> {
        locked(&self.unknown).get(&self.keyed.hash_one(username))?.wait(Clock::now())
    }

    pub fn unknown_failed(&self, username: &str) {
        let now = Clock::now();
        let mut unknown = locked(&self.unknown);
        make_room(&mut unknown, |entry| entry.last);
        unknown.entry(self.keyed.hash_one(username)).or_insert(Failures::none(now)).add(now);
    }

    /// Whether an account has been signed in to from an address, and how many seconds it must wait there.
    pub fn familiar_wait(&self, username: &str, address: IpAddr) -> Option<Option<u32>> {
        Some(locked(&self.familiar).get(&self.keyed.hash_one((username, address)))?.wait(Clock::now()))
    }

    pub fn familiar_failed(&self, username: &str, address: IpAddr) {
        if let Some(entry) = locked(&self.familiar).get_mut(&self.keyed.hash_one((username, address))) {
            entry.add(Clock::now());
        }
    }

    pub fn signed_in(&self, username: &str, address: IpAddr) {
        let mut familiar = locked(&self.familiar);
        make_room(&mut familiar, |entry| entry.last);
        familiar.insert(self.keyed.hash_one((username, address)), Failures::none(Clock::now()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        assert_eq!([0, 5, 6, 7, 13, 14, 100].map(wait_seconds), [None, None, Some(2), Some(4), Some(256), Some(300), Some(300)]);
    }

    #[test]
    fn an_address_waits_after_many_failures_and_a_name_after_few() {
        let throttle = Throttle::new(Vec::new(), false);
        let (here, there) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        for _ in 0..6 {
            throttle.unknown_failed("nobody");
            throttle.familiar_failed("clerk", here);
        }
        assert!(throttle.unknown_wait("nobody").is_some());
        assert_eq!(throttle.unknown_wait("somebody"), None);
        assert_eq!(throttle.familiar_wait("clerk", here), None, "nobody has signed in from there");
        throttle.signed_in("clerk", here);
        assert_eq!(throttle.familiar_wait("clerk", here), Some(None));
        for _ in 0..60 {
            throttle.address_failed(here);
        }
        assert!(throttle.address_wait(here).is_some_and(|seconds| seconds > 6));
        assert_eq!(throttle.address_wait(there), None);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::new(Vec::new(), false);
        for n in 0..2 * REMEMBERED {
            throttle.unknown_failed(&n.to_string());
        }
        assert!(locked(&throttle.unknown).len() <= REMEMBERED);
        assert!(locked(&throttle.unknown).contains_key(&throttle.keyed.hash_one((2 * REMEMBERED - 1).to_string().as_str())));
    }
}
