//! A receiver of webhooks that is away for an hour: what callers of the service notice of it meanwhile, and what arrives
//! afterwards.
//!
//! Two servers with a database each do the same work at the same pace; the receiver of one answers, that of the other
//! doesn't. So whatever else the machine does slows both.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use yiyong::types::Id;

use crate::http::request;
use crate::load::{self, Measured};
use crate::server::Server;
use crate::world::{self, World};

/// One of them makes a record, the other reads some: each so often, whatever the answers take.
const WRITES_EVERY: Duration = Duration::from_millis(100);
const READS_EVERY: Duration = Duration::from_millis(50);
/// An access token lives ten minutes.
const SIGNED_IN_FOR: Duration = Duration::from_secs(300);
/// How long a receiver may be waited for after it is back: the longest pause between attempts, and what waits then.
const BACK_WITHIN: Duration = Duration::from_secs(2 * 3_600);

/// What callers waited, from the moment when they wanted to ask.
pub struct Waited {
    pub writes: Measured,
    pub reads: Measured,
}

/// What came of the events of one server.
pub struct Told {
    pub events: usize,
    /// Attempts in vain that reached the receiver; of those that found nobody it knows nothing.
    pub in_vain: usize,
    /// Messages that came once more.
    pub repeated: usize,
    /// After the receiver was back.
    pub first: Duration,
    pub last: Duration,
}

/// What the receiver does with whoever comes.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Mood {
    Answers,
    /// Nobody listens at its port.
    Away,
    /// It takes connections and says nothing, or that something is wrong, in turn.
    Ill,
}

/// A receiver with what it was told.
pub struct Receiver {
    pub url: String,
    port: u16,
    mood: AtomicU8,
    over: AtomicBool,
    told: Mutex<Messages>,
}

#[derive(Default)]
struct Messages {
    /// By number in the order of events: the record, and when it came.
    by_sequence: BTreeMap<u64, (String, Instant)>,
    /// First arrivals, as they came.
    arrived: Vec<u64>,
    in_vain: usize,
    repeated: usize,
}

impl Receiver {
    pub fn new() -> Self {
        let port = crate::cluster::free_port();
        let url = format!("http://127.0.0.1:{port}/hook");
        Self { url, port, mood: AtomicU8::new(Mood::Answers as u8), over: AtomicBool::new(false), told: Mutex::default() }
    }

    fn is(&self, mood: Mood) -> bool {
        self.mood.load(Ordering::Relaxed) == mood as u8
    }

    fn becomes(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Relaxed);
    }

    /// Listens until it is over.
    pub fn listen(&self) {
        let moment = Duration::from_millis(20);
        let mut hung: Vec<(Instant, TcpStream)> = Vec::new();
        while !self.over.load(Ordering::Relaxed) {
            if self.is(Mood::Away) {
                std::thread::sleep(moment);
                continue;
            }
            let listener = TcpListener::bind(("127.0.0.1", self.port)).expect("a port");
            listener.set_nonblocking(true).expect("a setting");
            while !self.is(Mood::Away) && !self.over.load(Ordering::Relaxed) {
                hung.retain(|(since, _)| since.elapsed() < Duration::from_secs(30));
                let Ok((mut stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                };
                stream.set_nonblocking(false).expect("a setting");
                if self.is(Mood::Answers) {
                    if self.read(&mut stream).is_some() {
                        answer(&mut stream, "204 No Content");
                    }
                    continue;
                }
                let turn = {
                    let mut told = self.told.lock().expect("whole");
                    told.in_vain += 1;
                    told.in_vain
                };
                if turn.is_multiple_of(2) {
                    answer(&mut stream, "503 Service Unavailable");
                } else {
                    hung.push((Instant::now(), stream));
                }
            }
        }
    }

    /// Reads a message and keeps it.
    fn read(&self, stream: &mut TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
        let message: serde_json::Value = loop {
            let read = stream.read(&mut buffer).ok().filter(|read| *read > 0)?;
            bytes.extend_from_slice(&buffer[..read]);
            let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|end| &bytes[end + 4..]);
            if let Some(message) = body.and_then(|body| serde_json::from_slice(body).ok()) {
                break message;
            }
        };
        let (sequence, record) = (message["sequence"].as_u64()?, message["record_id"].as_str()?.to_owned());
        let mut told = self.told.lock().expect("whole");
        if told.by_sequence.insert(sequence, (record, Instant::now())).is_some() {
            told.repeated += 1;
        } else {
            told.arrived.push(sequence);
        }
        Some(())
    }
}

fn answer(stream: &mut TcpStream, status: &str) {
    // Whoever has gone away meanwhile comes again.
    let _ = stream.write_all(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").as_bytes());
}

/// One server and whom it tells.
pub struct Side<'a> {
    pub server: &'a Server,
    pub receiver: &'a Receiver,
    world: &'a World,
    made: Mutex<BTreeSet<String>>,
}

impl<'a> Side<'a> {
    pub fn new(server: &'a Server, receiver: &'a Receiver, world: &'a World) -> Self {
        let draft = json!({"organization_id": world::city(), "name": "办公系统", "url": receiver.url, "event_types": ["volunteers.*"]});
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", "outage")];
        let token = server.sign_in("org_admin");
        let message = request("POST", "/api/v1/webhooks", &token, &headers, draft.to_string().as_bytes());
        server.connect().send(&message).expect("an answer").expect(201);
        Self { server, receiver, world, made: Mutex::default() }
    }

    /// Works until it is over, and returns what was waited.
    pub fn work(&self, over: &(dyn Fn() -> bool + Sync)) -> Waited {
        std::thread::scope(|scope| {
            let writes = scope.spawn(|| {
                let path = format!("/api/v1/{}", world::SUBJECT);
                self.every(WRITES_EVERY, over, 201, |token, random| {
                    let body = self.world.draft(random).to_string();
                    let key = format!("outage-{}", Id::new());
                    let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key.as_str())];
                    request("POST", &path, token, &headers, body.as_bytes())
                })
            });
            let reads = self.every(READS_EVERY, over, 200, |token, random| request("GET", &self.world.get(random), token, &[], &[]));
            Waited { writes: writes.join().expect("a thread that ends by itself"), reads }
        })
    }

    /// Sends a request at each beat. Who comes late to one because the answer before took long has waited since the beat.
    fn every(
        &self,
        pause: Duration,
        over: &(dyn Fn() -> bool + Sync),
        status: u16,
        mut make: impl FnMut(&str, &mut StdRng) -> Vec<u8>,
    ) -> Measured {
        let mut random = StdRng::seed_from_u64(u64::from(status));
        let (mut http, mut token, mut signed_in) = (self.server.connect(), self.server.sign_in("clerk"), Instant::now());
        let (begun, mut times) = (Instant::now(), Vec::new());
        let mut beat = begun;
        while !over() {
            if signed_in.elapsed() > SIGNED_IN_FOR {
                (http, token, signed_in) = (self.server.connect(), self.server.sign_in("clerk"), Instant::now());
                beat = Instant::now();
            }
            std::thread::sleep(beat.saturating_duration_since(Instant::now()));
            let message = make(&token, &mut random);
            let mut answer = http.send(&message).expect("an answer");
            // In an hour a machine may stand still for a moment, and whoever is told so asks again.
            while answer.status == 503 {
                std::thread::sleep(Duration::from_millis(100));
                answer = http.send(&message).expect("an answer");
            }
            let answer = answer.expect(status);
            times.push(beat.elapsed());
            beat += pause;
            if status == 201 {
                self.made.lock().expect("whole").insert(answer.json()["id"].as_str().expect("an id").to_owned());
            }
        }
        load::measured(times, begun.elapsed().as_secs_f64())
    }

    /// What its receiver was told, once it was told everything; and that it was, in the order of events.
    pub fn told(&self, back: Instant) -> Told {
        let made = self.made.lock().expect("whole");
        let told = self.receiver.told.lock().expect("whole");
        assert!(told.arrived.is_sorted(), "events came in another order than that of their numbers");
        let records: BTreeSet<String> = told.by_sequence.values().map(|(record, _)| record.clone()).collect();
        assert_eq!(records, *made, "another record was told of than was made");
        let since = |moment: Option<&Instant>| moment.map_or(Duration::MAX, |moment| moment.saturating_duration_since(back));
        let late: Vec<Instant> = told.by_sequence.values().map(|(_, at)| *at).filter(|at| *at >= back).collect();
        Told { events: records.len(), in_vain: told.in_vain, repeated: told.repeated, first: since(late.first()), last: since(late.last()) }
    }

    fn is_told(&self) -> bool {
        let made = self.made.lock().expect("whole").len();
        self.receiver.told.lock().expect("whole").arrived.len() >= made
    }
}

/// What came of an outage: what was waited meanwhile and while the receiver caught up, beside the other server.
pub struct Outage {
    pub meanwhile: (Waited, Waited),
    pub catching_up: (Waited, Waited),
    pub told: Told,
}

/// Both work; the second's receiver is away for so long, and comes back.
pub fn outlive(well: &Side<'_>, ill: &Side<'_>, away: Duration) -> Outage {
    let both = |over: &(dyn Fn() -> bool + Sync)| {
        std::thread::scope(|scope| {
            let first = scope.spawn(|| well.work(over));
            let second = ill.work(over);
            (first.join().expect("a thread that ends by itself"), second)
        })
    };
    let begun = Instant::now();
    ill.receiver.becomes(Mood::Away);
    let meanwhile = both(&|| {
        if begun.elapsed() > away / 5 && ill.receiver.is(Mood::Away) {
            ill.receiver.becomes(Mood::Ill);
        }
        begun.elapsed() > away
    });
    ill.receiver.becomes(Mood::Answers);
    let back = Instant::now();
    // A record made in the last moment is told of a moment later, so whoever keeps up has one or two to come.
    let nearly = |side: &Side<'_>| {
        let made = side.made.lock().expect("whole").len();
        side.receiver.told.lock().expect("whole").arrived.len() + 20 >= made
    };
    let catching_up = both(&|| back.elapsed() > Duration::from_secs(10) && (nearly(ill) || back.elapsed() > BACK_WITHIN));
    while !(well.is_told() && ill.is_told()) {
        assert!(back.elapsed() < BACK_WITHIN, "not everything arrived");
        std::thread::sleep(Duration::from_millis(50));
    }
    // What is repeated comes right after.
    std::thread::sleep(Duration::from_secs(3));
    for side in [well, ill] {
        side.receiver.over.store(true, Ordering::Relaxed);
    }
    well.told(back);
    Outage { meanwhile, catching_up, told: ill.told(back) }
}
