//! Webhooks: everything that happened arrives, in order and at least once, signed, whatever the receiver does meanwhile; and nobody is
//! reached who is not to be.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use diesel::prelude::*;
use futures_util::future;
use hmac::{KeyInit, Mac};
use serde_json::{Value, json};
use yiyong::app;
use yiyong::auth::UserKind;
use yiyong::outbox::AtWork;
use yiyong::policy::Role;
use yiyong::schema::{audit_events, audit_links, idempotency_keys, outbox_position, webhook_deliveries as d, webhooks as w};
use yiyong::types::{Id, Instant};

use crate::hosts::{Answer, Client, Host, on_each_database, on_each_database_with};
use crate::process::Workplace;
use crate::welfare::{made, organization};

const WEBHOOKS: &str = "/api/v1/webhooks";
const DELIVERIES: &str = "/api/v1/webhook-deliveries";
const TRAININGS: &str = "/api/v1/trainings";

/// Receivers on this machine are allowed, and nobody waits long.
const HERE: [(&str, &str); 3] = [
    ("YIYONG_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8"),
    ("YIYONG_WEBHOOK_FIRST_PAUSE_SECONDS", "1"),
    ("YIYONG_WEBHOOK_ANSWER_WITHIN_SECONDS", "1"),
];

/// The same, where every answer is waited for.
const PATIENT: [(&str, &str); 2] = [HERE[0], HERE[1]];

/// The sealer and the outbox of a server, as they run where it is started for good.
pub struct Telling {
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    sealer: Option<JoinHandle<()>>,
    _at_work: AtWork,
}

impl Telling {
    pub fn begin(host: &Host) -> Self {
        let service = host.service.clone();
        let at_work = service.outbox.start(&service.db);
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let sealer = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                future::select(Box::pin(app::keep_the_log(service)), stopped).await;
            });
        });
        Self { stop: Some(stop), sealer: Some(sealer), _at_work: at_work }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.sealer.take().map(JoinHandle::join);
    }
}

/// Until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Clock::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Until all that has happened so far was told of: sooner than the server would by itself, which looks each second.
pub fn settled(host: &Host) {
    host.seal();
    host.service.outbox.wake();
    until("all is told", || {
        host.service
            .db
            .run(true, |conn| {
                let events: i64 = audit_events::table.count().get_result(conn)?;
                let links: i64 = audit_links::table.count().get_result(conn)?;
                let position: i64 = outbox_position::table.select(outbox_position::sequence).first(conn)?;
                Ok(events == links && links == position)
            })
            .expect("a position")
    });
}

/// What a receiver does with what comes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Mood {
    Well,
    Fails,
    /// Takes the request and says nothing until its mood is another.
    Hangs,
    /// Takes it, and closes without an answer.
    Drops,
    /// Answers half, and a little later the rest, and more than anybody wants to read.
    Slow,
    SendsTo(String),
}

/// A request as it came.
#[derive(Debug, Clone)]
struct Heard {
    headers: BTreeMap<String, String>,
    text: String,
    body: Value,
    accepted: bool,
}

impl Heard {
    fn sequence(&self) -> i64 {
        self.body["sequence"].as_i64().unwrap_or_default()
    }

    /// By how many of the secrets it is signed.
    fn signed_by(&self, secret: &str) -> bool {
        let key = STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
        let said = format!("{}.{}.{}", self.headers["webhook-id"], self.headers["webhook-timestamp"], self.text);
        let mac = <hmac::Hmac<sha2::Sha256> as KeyInit>::new_from_slice(&key).expect("a key").chain_update(said).finalize();
        let expected = format!("v1,{}", STANDARD.encode(mac.into_bytes()));
        self.headers["webhook-signature"].split(' ').any(|signature| signature == expected)
    }
}

struct Inner {
    mood: Mutex<Mood>,
    changed: Condvar,
    heard: Mutex<Vec<Heard>>,
}

/// A program that is told what happens.
struct Receiver {
    url: String,
    inner: Arc<Inner>,
}

impl Receiver {
    fn begin(mood: Mood) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("an address"));
        let inner = Arc::new(Inner { mood: Mutex::new(mood), changed: Condvar::new(), heard: Mutex::default() });
        let serving = inner.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = serving.clone();
                std::thread::spawn(move || inner.serve(stream));
            }
        });
        Self { url, inner }
    }

    fn is(&self, mood: Mood) {
        *self.inner.mood.lock().expect("a mood") = mood;
        self.inner.changed.notify_all();
    }

    fn heard(&self) -> Vec<Heard> {
        self.inner.heard.lock().expect("what was heard").clone()
    }

    fn accepted(&self) -> Vec<Heard> {
        self.heard().into_iter().filter(|one| one.accepted).collect()
    }

    /// What it has accepted, each once, in the order in which it came.
    fn types(&self) -> Vec<String> {
        let mut seen = Vec::new();
        let first = self.accepted().into_iter().filter(|one| {
            let id = one.headers["webhook-id"].clone();
            let new = !seen.contains(&id);
            seen.push(id);
            new
        });
        first.map(|one| one.body["type"].as_str().expect("a type").to_owned()).collect()
    }

    /// That it has accepted these records, each at least once, and each for the first time in this order.
    fn has_in_order(&self, records: &[String]) -> bool {
        let mut first: Vec<String> = Vec::new();
        for one in self.accepted() {
            let record = one.body["record_id"].as_str().expect("an id").to_owned();
            if !first.contains(&record) {
                first.push(record);
            }
        }
        first == records
    }
}

impl Inner {
    fn serve(&self, mut stream: TcpStream) {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        let (head, length) = loop {
            let Ok(read @ 1..) = stream.read(&mut piece) else { return };
            bytes.extend_from_slice(&piece[..read]);
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
            let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ").map(str::to_owned));
            break (head.to_owned(), length.and_then(|text| text.trim().parse::<usize>().ok()).unwrap_or_default());
        };
        while bytes.len() < head.len() + 4 + length {
            let Ok(read @ 1..) = stream.read(&mut piece) else { return };
            bytes.extend_from_slice(&piece[..read]);
        }
        let text = String::from_utf8(bytes[head.len() + 4..].to_vec()).expect("text");
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut mood = self.mood.lock().expect("a mood");
        let accepted = matches!(*mood, Mood::Well | Mood::Slow | Mood::Drops);
        let body = serde_json::from_str(&text).expect("JSON");
        self.heard.lock().expect("what was heard").push(Heard { headers, text, body, accepted });
        while *mood == Mood::Hangs {
            mood = self.changed.wait(mood).expect("a mood");
            if *mood != Mood::Hangs {
                return;
            }
        }
        let mood = mood.clone();
        let mut say = |text: &str| stream.write_all(text.as_bytes());
        // Who has gone by now hears nothing.
        let _ = match mood {
            Mood::Well => say("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"),
            Mood::Fails => say("HTTP/1.1 503 Busy\r\nContent-Length: 19\r\nConnection: close\r\n\r\nthe-word-of-nobody\n"),
            Mood::SendsTo(url) => say(&format!("HTTP/1.1 307 There\r\nLocation: {url}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")),
            Mood::Slow => say("HTTP/1.1 200 O").and_then(|()| {
                std::thread::sleep(Duration::from_millis(200));
                say("K\r\nContent-Length: 10000000\r\nConnection: close\r\n\r\n")?;
                say(&"x".repeat(200_000))
            }),
            Mood::Hangs | Mood::Drops => Ok(()),
        };
    }
}

fn webhook(client: &Client<'_>, organization: &Value, url: &str, types: &[&str]) -> Answer {
    made(client.post(WEBHOOKS, &json!({"organization_id": organization, "name": "办公系统", "url": url, "event_types": types})))
}

fn training(client: &Client<'_>, organization: &Value, topic: &str) -> String {
    let draft = json!({"organization_id": organization, "kind": "other", "topic": topic, "audience": "other", "year": 2022});
    made(client.post(TRAININGS, &draft)).id().to_owned()
}

fn trainings(client: &Client<'_>, organization: &Value, numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| training(client, organization, &format!("第 {n} 期"))).collect()
}

fn deliveries(client: &Client<'_>, query: &str) -> Vec<Value> {
    let answer = client.get(&format!("{DELIVERIES}?limit=200&{query}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["items"].as_array().expect("items").clone()
}

/// Changes a webhook: it is tried at once, after whatever pause.
fn hurry(client: &Client<'_>, webhook: &Answer) {
    let path = format!("{WEBHOOKS}/{}", webhook.id());
    let present = client.get(&path);
    let name = format!("{} 改", present.body["name"].as_str().expect("a name"));
    let changed = client.patch(&path, present.header("ETag").expect("a version"), &json!({"name": name}));
    assert_eq!(changed.status, 200, "{changed:?}");
}

fn has_fault(client: &Client<'_>, webhook: &Answer, fault: &str) -> bool {
    let all = deliveries(client, &format!("webhook_id={}", webhook.id()));
    all.iter().flat_map(|one| one["attempts"].as_array().expect("attempts")).any(|attempt| attempt["fault"] == fault)
}

#[test]
fn what_happens_is_told_signed_and_in_order() {
    on_each_database_with(&PATIENT, |host| {
        let city = host.planted();
        let (zz, dengfeng, gaoxin) = (organization(&city, "zz"), organization(&city, "zz-dengfeng"), organization(&city, "zz-gaoxin"));
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let (receiver, countys) = (Receiver::begin(Mood::Well), Receiver::begin(Mood::Slow));
        // What happened before there was a webhook is not told.
        training(&clerk, &zz, "从前");
        let telling = Telling::begin(host);

        let draft =
            json!({"organization_id": zz, "name": "办公系统", "url": receiver.url, "event_types": ["trainings.*", "persons.create"]});
        let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "one")];
        let hook = made(host.sign_in("cityadmin", UserKind::Person).send("POST", WEBHOOKS, &keyed, Some(draft.to_string().as_bytes())));
        let secret = hook.body["secret"].as_str().expect("a secret").to_owned();
        assert!(secret.starts_with("whsec_") && STANDARD.decode(&secret[6..]).is_ok_and(|key| key.len() == 32), "{secret}");
        // It is told once: not for a retry, in no list, in no log, and nowhere in the database.
        let again = city.send("POST", WEBHOOKS, &keyed, Some(draft.to_string().as_bytes()));
        assert_eq!((again.id(), &again.body["secret"], again.header("Idempotent-Replayed")), (hook.id(), &Value::Null, Some("true")));
        assert_eq!(city.get(&format!("{WEBHOOKS}/{}", hook.id())).body["secret"], Value::Null);
        assert_eq!(city.get(WEBHOOKS).body["items"][0]["secret"], Value::Null);
        let batch = json!({"items": [{"organization_id": dengfeng, "name": "县", "url": countys.url, "event_types": ["*"]}]});
        let keyed = [("Content-Type", "application/json"), ("Idempotency-Key", "many")];
        let batch = made(city.send("POST", &format!("{WEBHOOKS}/batch"), &keyed, Some(batch.to_string().as_bytes())));
        let countys_secret = batch.body["items"][0]["secret"].as_str().expect("a secret").to_owned();
        let kept = host.service.db.run(true, |conn| {
            let replies: Vec<Vec<u8>> = idempotency_keys::table.select(idempotency_keys::body).load(conn)?;
            let details: Vec<Option<String>> = audit_events::table.select(audit_events::detail).load(conn)?;
            let sealed: Vec<Vec<u8>> = w::table.select(w::secret_sealed).load(conn)?;
            let all = replies.into_iter().chain(details.into_iter().flatten().map(String::into_bytes)).chain(sealed);
            Ok(all.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect::<Vec<_>>().join("\n"))
        });
        let kept = kept.expect("rows");
        assert!(kept.contains("办公系统") && !kept.contains(&secret[6..]) && !kept.contains(&countys_secret[6..]), "{kept}");

        let first = training(&clerk, &zz, "甲");
        let second = training(&clerk, &dengfeng, "乙");
        let third = training(&clerk, &gaoxin, "丙");
        let person = made(clerk.post("/api/v1/persons", &json!({"organization_id": dengfeng, "name": "程砚秋", "phone": "13800138000"})));
        let changed = clerk.patch(&format!("{TRAININGS}/{second}"), "\"1\"", &json!({"topic": "丁"}));
        assert_eq!(changed.status, 200);
        // Who there is, and who may what, is no other program's business.
        host.user("another", Role::Clerk, Some("zz-dengfeng"));
        settled(host);
        until("five and three", || receiver.accepted().len() >= 5 && countys.accepted().len() >= 3);
        let told = receiver.accepted();
        assert_eq!(receiver.types(), ["trainings.create", "trainings.create", "trainings.create", "persons.create", "trainings.update"]);
        let records: Vec<&Value> = told.iter().map(|one| &one.body["record_id"]).collect();
        assert_eq!(records, [&json!(first), &json!(second), &json!(third), &json!(person.id()), &json!(second)]);
        assert!(told.windows(2).all(|two| two[0].sequence() < two[1].sequence()));
        assert_eq!(countys.types(), ["trainings.create", "persons.create", "trainings.update"], "its own, and not the city's");
        for (one, secret) in told.iter().map(|one| (one, &secret)).chain(countys.accepted().iter().map(|one| (one, &countys_secret))) {
            assert!(one.signed_by(secret), "{one:?}");
            assert_eq!(one.headers["webhook-id"], one.body["id"].as_str().expect("an id"));
            assert!(!one.text.contains("程砚秋") && !one.text.contains("1380013"), "{one:?}");
            let mut members: Vec<&str> = one.body.as_object().expect("an object").keys().map(String::as_str).collect();
            members.sort_unstable();
            assert_eq!(members, ["at", "id", "organization_id", "path", "record_id", "resource", "sequence", "type"]);
        }
        assert!(!told[0].signed_by(&countys_secret));
        // What was told leads to the record, and to the event of the log.
        assert_eq!(clerk.get(told[3].body["path"].as_str().expect("a path")).body["name"], "程砚秋");
        let event = city.get(&format!("/api/v1/audit-events?record_id={first}"));
        assert_eq!(event.status, 403, "an administrator reads no log");
        let auditor = host.user("auditor", Role::Auditor, Some("zz"));
        assert_eq!(auditor.get(&format!("/api/v1/audit-events?record_id={first}")).body["items"][0]["id"], told[0].body["id"]);

        // The log of deliveries, of whom it concerns.
        until("it is noted", || deliveries(&city, "state=delivered").len() == 8);
        let log = deliveries(&city, &format!("webhook_id={}", hook.id()));
        assert_eq!(log.len(), 5);
        assert_eq!(
            (&log[4]["event_type"], &log[4]["record_id"], &log[4]["attempts"][0]["status"]),
            (&json!("trainings.create"), &json!(first), &json!(204))
        );
        assert!(log.iter().all(|one| one["attempt_count"] == 1 && one["allowed_actions"] == json!(["replay"])), "{log:?}");
        let county = host.user("countyadmin", Role::OrgAdmin, Some("zz-dengfeng"));
        assert_eq!((deliveries(&county, "").len(), county.get(&format!("{WEBHOOKS}/{}", hook.id())).status), (3, 404));
        assert_eq!(clerk.get(DELIVERIES).status, 403);

        // Who is told nothing any more is told nothing, and what happened meanwhile stays untold.
        let path = format!("{WEBHOOKS}/{}", hook.id());
        assert_eq!(city.patch(&path, "\"1\"", &json!({"enabled": false})).status, 200);
        training(&clerk, &zz, "戊");
        settled(host);
        assert_eq!(city.patch(&path, "\"2\"", &json!({"enabled": true})).status, 200);
        let last = training(&clerk, &zz, "己");
        until("the last", || receiver.accepted().len() >= 6);
        assert_eq!(receiver.accepted()[5].body["record_id"], json!(last));

        // With its log it goes.
        assert_eq!(city.delete(&path).status, 204);
        training(&clerk, &zz, "庚");
        settled(host);
        assert_eq!((deliveries(&city, "").len(), receiver.accepted().len()), (3, 6));
        drop(telling);
    });
}

/// A receiver that fails, hangs, closes, sends elsewhere and is slow: the service goes on meanwhile, others are told, and everything
/// arrives when it is well again.
#[test]
fn everything_arrives_whatever_the_receiver_does() {
    on_each_database_with(&HERE, |host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let (sick, well, trap) = (Receiver::begin(Mood::Fails), Receiver::begin(Mood::Well), Receiver::begin(Mood::Well));
        let hook = webhook(&city, &zz, &sick.url, &["trainings.create"]);
        webhook(&city, &zz, &well.url, &["trainings.create"]);
        let telling = Telling::begin(host);
        let mut all = trainings(&clerk, &zz, 0..5);
        until("a failure", || has_fault(&city, &hook, "status"));
        // Of the answer its status is told, and nothing that stood in it.
        let log = city.get(&format!("{DELIVERIES}?webhook_id={}&state=waiting", hook.id()));
        assert!(log.body.to_string().contains("503") && !log.body.to_string().contains("the-word"), "{log:?}");

        sick.is(Mood::Hangs);
        hurry(&city, &hook);
        let before = sick.heard().len();
        until("somebody hangs", || sick.heard().len() > before);
        // While it hangs, others call and are answered, and others are told.
        all.extend(trainings(&clerk, &zz, 5..25));
        assert_eq!(city.get(&format!("{TRAININGS}?count=true")).body["total"], 25);
        until("it took too long", || has_fault(&city, &hook, "timeout"));
        until("the other knows", || well.has_in_order(&all));
        assert!(sick.accepted().is_empty());

        sick.is(Mood::SendsTo(trap.url.clone()));
        hurry(&city, &hook);
        until("it is not followed", || has_fault(&city, &hook, "redirect"));
        assert!(trap.heard().is_empty());

        // One that takes it and closes: it comes again, under the same id.
        sick.is(Mood::Drops);
        hurry(&city, &hook);
        until("it is taken", || sick.accepted().len() > 1);
        let ids: Vec<String> = sick.accepted().iter().map(|one| one.headers["webhook-id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "only the oldest is tried: {ids:?}");

        sick.is(Mood::Slow);
        hurry(&city, &hook);
        until("some arrive", || sick.types().len() > 3);
        sick.is(Mood::Well);
        until("all arrive", || sick.has_in_order(&all));
        until("all is noted", || deliveries(&city, "state=delivered").len() == 50);
        assert!(deliveries(&city, "state=waiting").is_empty() && deliveries(&city, "state=expired").is_empty());
        let attempts = deliveries(&city, &format!("webhook_id={}&record_id={}", hook.id(), all[0]))[0].clone();
        assert!(attempts["attempt_count"].as_u64().is_some_and(|n| n >= 5), "{attempts}");
        drop(telling);
    });
}

/// Whoever is back before the next attempt needn't wait for it.
#[test]
fn a_test_ends_the_pause() {
    let settings = [HERE[0], ("YIYONG_WEBHOOK_FIRST_PAUSE_SECONDS", "3600")];
    on_each_database_with(&settings, |host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let receiver = Receiver::begin(Mood::Fails);
        let hook = webhook(&city, &zz, &receiver.url, &["trainings.create"]);
        let telling = Telling::begin(host);
        trainings(&host.user("clerk", Role::Clerk, Some("zz")), &zz, 0..4);
        until("a failure", || has_fault(&city, &hook, "status"));
        receiver.is(Mood::Well);
        assert_eq!(city.post(&format!("{WEBHOOKS}/{}/test", hook.id()), &json!({})).status, 202);
        until("all arrive", || receiver.accepted().len() == 5);
        let accepted = receiver.accepted();
        assert_eq!(accepted[0].body["type"], "webhooks.test");
        assert!(accepted[1..].is_sorted_by_key(Heard::sequence));
        drop(telling);
    });
}

#[test]
fn what_was_given_up_is_sent_again() {
    on_each_database_with(&HERE, |host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let receiver = Receiver::begin(Mood::Fails);
        let hook = webhook(&city, &zz, &receiver.url, &["trainings.create"]);
        let path = format!("{WEBHOOKS}/{}", hook.id());
        let telling = Telling::begin(host);
        let since = Instant::now();
        let all = trainings(&clerk, &zz, 0..4);
        until("a failure", || has_fault(&city, &hook, "status"));

        // A test goes first, and is not tried again.
        let test = city.post(&format!("{path}/test"), &json!({}));
        assert_eq!(
            (test.status, &test.body["event_type"], &test.body["state"]),
            (202, &json!("webhooks.test"), &json!("waiting")),
            "{test:?}"
        );
        let tested = test.header("Location").expect("an address").to_owned();
        until("the test has failed", || city.get(&tested).body["state"] == "expired");
        assert_eq!(city.get(&tested).body["attempts"][0]["status"], 503);

        // Three days later.
        settled(host);
        let earlier = Instant::now().plus_seconds(-1);
        host.service
            .db
            .run(false, |conn| {
                diesel::update(d::table).set(d::expires_at.eq(earlier)).execute(conn)?;
                Ok(())
            })
            .expect("time has passed");
        hurry(&city, &hook);
        until("all are given up", || deliveries(&city, "state=expired").len() == 5);

        receiver.is(Mood::Well);
        let fresh = training(&clerk, &zz, "新");
        until("the next is told", || receiver.has_in_order(std::slice::from_ref(&fresh)));
        let one = deliveries(&city, &format!("record_id={}", all[2]))[0].clone();
        let again = city.post(&format!("{DELIVERIES}/{}/replay", one["id"].as_str().expect("an id")), &json!({}));
        assert_eq!((again.status, &again.body["state"]), (200, &json!("waiting")), "{again:?}");
        until("one again", || receiver.accepted().len() == 2);
        assert_eq!(receiver.accepted()[1].headers["webhook-id"], one["event_id"].as_str().expect("an id"));
        let twice = city.post(
            &format!("{DELIVERIES}/{}/replay", deliveries(&city, &format!("record_id={fresh}"))[0]["id"].as_str().expect("an id")),
            &json!({}),
        );
        assert_eq!(twice.status, 200, "what was delivered is sent again, too: {twice:?}");
        until("that again", || receiver.accepted().len() == 3);
        assert_eq!(city.post(&format!("{path}/replay"), &json!({})).faults(), [("/since", "required")]);
        assert_eq!(city.post(&format!("{path}/replay"), &json!({"since": since})).status, 200);
        until("all again", || all.iter().all(|record| receiver.accepted().iter().any(|one| one.body["record_id"] == json!(record))));
        let rest: Vec<i64> = receiver.accepted()[3..].iter().map(Heard::sequence).collect();
        assert!(rest.is_sorted(), "{rest:?}");

        let test = city.post(&format!("{path}/test"), &json!({}));
        until("the test arrives", || receiver.types().last().is_some_and(|last| last == "webhooks.test"));
        let heard = receiver.accepted().pop().expect("the test");
        assert_eq!((&heard.body["sequence"], &heard.body["record_id"]), (&Value::Null, &json!(hook.id())));
        until("and is noted", || city.get(test.header("Location").expect("an address")).body["state"] == "delivered");

        // Another secret: for a day the former one signs as well.
        let (former, present) = (hook.body["secret"].as_str().expect("a secret"), city.post(&format!("{path}/rotate"), &json!({})));
        let secret = present.body["secret"].as_str().expect("a secret").to_owned();
        assert_ne!(former, secret);
        training(&clerk, &zz, "换");
        let heard = receiver.accepted().len();
        until("by both", || receiver.accepted().len() > heard);
        let both = receiver.accepted().pop().expect("one");
        assert!(both.signed_by(former) && both.signed_by(&secret));
        host.service
            .db
            .run(false, |conn| {
                diesel::update(w::table).set(w::former_secret_until.eq(earlier)).execute(conn)?;
                Ok(())
            })
            .expect("a day has passed");
        training(&clerk, &zz, "一日后");
        until("by one", || receiver.accepted().len() > heard + 1);
        let last = receiver.accepted().pop().expect("one");
        assert!(!last.signed_by(former) && last.signed_by(&secret));

        let version = city.get(&path).header("ETag").expect("a version").to_owned();
        assert_eq!(city.patch(&path, &version, &json!({"enabled": false})).status, 200);
        assert_eq!(city.post(&format!("{path}/test"), &json!({})).code(), "step_not_allowed");
        drop(telling);
    });
}

/// What only this machine can reach is reached by nobody's webhook, whatever was allowed when it was made.
#[test]
fn private_addresses_are_refused() {
    on_each_database(|host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let receiver = Receiver::begin(Mood::Well);
        let draft = |url: &str| json!({"organization_id": zz, "name": "内网", "url": url, "event_types": ["*"]});
        for url in [
            receiver.url.as_str(),
            "https://127.0.0.1/",
            "https://[::1]/",
            "https://0x7f000001/",
            "https://169.254.169.254/latest/meta-data",
            "https://10.0.0.7:8443/",
            "https://user:word@office.example.cn/",
            "https://office.example.cn:22/",
            "ftp://office.example.cn/",
            "office",
        ] {
            assert_eq!(city.post(WEBHOOKS, &draft(url)).faults(), [("/url", "target_refused")], "{url}");
        }
        let mut wrong = draft("https://office.example.cn/");
        wrong["event_types"] = json!(["users.create", "*"]);
        assert_eq!(city.post(WEBHOOKS, &wrong).faults(), [("/event_types", "unknown_event_type")]);
        wrong["event_types"] = json!([]);
        assert_eq!(city.post(WEBHOOKS, &wrong).faults(), [("/event_types", "required")]);
        assert_eq!(clerk.post(WEBHOOKS, &draft("https://office.example.cn/")).status, 403);

        // A name that means this machine, and an address that was allowed once: what counts is where the attempt would go.
        let name = made(city.post(WEBHOOKS, &draft("https://localhost/")));
        let allowing = host.beside(&HERE);
        let once = webhook(&city.elsewhere(&allowing.base), &zz, &receiver.url, &["*"]);
        let telling = Telling::begin(host);
        for hook in [&name, &once] {
            let test = city.post(&format!("{WEBHOOKS}/{}/test", hook.id()), &json!({}));
            let test = test.header("Location").expect("an address");
            until("it is refused", || city.get(test).body["state"] == "expired");
            let attempt = city.get(test).body["attempts"][0].clone();
            assert_eq!((&attempt["fault"], &attempt["status"]), (&json!("target_refused"), &Value::Null), "{attempt}");
        }
        assert!(receiver.heard().is_empty());
        drop(telling);
    });
}

/// Servers share the sending; what one held that is gone is sent by another when its lease has ended.
#[test]
fn servers_share_the_sending() {
    on_each_database_with(&PATIENT, |host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let clerk = host.user("clerk", Role::Clerk, Some("zz"));
        let receivers: Vec<Receiver> = (0..3).map(|_| Receiver::begin(Mood::Well)).collect();
        let hooks: Vec<Answer> = receivers.iter().map(|receiver| webhook(&city, &zz, &receiver.url, &["trainings.create"])).collect();
        let held: Id = hooks[0].id().parse().expect("an id");
        let ends = Instant::now().plus_seconds(3);
        host.service
            .db
            .run(false, |conn| {
                // Somebody has taken it, and was killed.
                diesel::update(w::table.find(held)).set((w::leased_by.eq(Id::new()), w::leased_until.eq(ends))).execute(conn)?;
                Ok(())
            })
            .expect("a lease");
        let beside = host.beside(&PATIENT);
        let both = (Telling::begin(host), Telling::begin(&beside));
        let elsewhere = clerk.elsewhere(&beside.base);
        let mut all = Vec::new();
        for n in 0..20 {
            all.push(training(if n % 2 == 0 { &clerk } else { &elsewhere }, &zz, &format!("第 {n} 期")));
        }
        settled(host);
        // The order is that of the chain.
        let order: Vec<String> = host
            .service
            .db
            .run(true, |conn| {
                let of = audit_links::table.inner_join(audit_events::table.on(audit_events::id.eq(audit_links::event_id)));
                let of = of.filter(audit_events::resource.eq("trainings")).order(audit_links::sequence).select(audit_events::record_id);
                Ok(of.load::<Option<Id>>(conn)?.into_iter().flatten().map(|id| id.to_string()).collect())
            })
            .expect("the chain");
        assert_eq!(order.len(), all.len());
        until("all know", || receivers.iter().all(|receiver| receiver.has_in_order(&order)));
        assert!(Instant::now() >= ends, "a lease was not kept to");
        until("all is noted", || deliveries(&city, "state=delivered").len() == 60);
        assert!(deliveries(&city, "").iter().all(|one| one["attempt_count"] == 1), "each was sent by one server alone");
        drop(both);
    });
}

/// The real program: it ends while a receiver hangs, and tells the rest when it is started again.
#[test]
fn a_server_that_is_told_to_stop_leaves_nothing_behind() {
    fn story(place: &Workplace) {
        crate::jobs::plant(place);
        let receiver = Receiver::begin(Mood::Hangs);
        let settings = [HERE[0], HERE[1], ("YIYONG_WEBHOOK_ANSWER_WITHIN_SECONDS", "2"), ("YIYONG_DRAIN_SECONDS", "0")];
        let mut server = place.serve(&settings);
        let platform = server.nobody().sign_in("platform", UserKind::Person);
        let zz = organization(&platform, "zz");
        let hook = webhook(&platform, &zz, &receiver.url, &["trainings.*"]);
        let clerk = server.nobody().sign_in("importer", UserKind::Person);
        let all = trainings(&clerk, &zz, 0..3);
        until("it hangs", || !receiver.heard().is_empty());
        server.terminate();
        assert_eq!(server.end().code(), Some(0), "{}", server.log());
        let secret = hook.body["secret"].as_str().expect("a secret");
        assert!(!server.log().contains(&secret[6..]));
        receiver.is(Mood::Well);
        let server = place.serve(&settings);
        until("all arrive", || receiver.has_in_order(&all));
        drop(server);
    }
    story(&Workplace::new(None));
    if let Some(database) = crate::hosts::postgres_database() {
        story(&Workplace::new(Some(&database)));
    }
}

/// After a change of the data key the secrets are sealed anew with everything else.
#[test]
fn secrets_outlive_a_change_of_the_data_key() {
    on_each_database_with(&HERE, |host| {
        let city = host.planted();
        let zz = organization(&city, "zz");
        let receiver = Receiver::begin(Mood::Well);
        let hook = webhook(&city, &zz, &receiver.url, &["trainings.*"]);
        let path = format!("{WEBHOOKS}/{}", hook.id());
        let secret = city.post(&format!("{path}/rotate"), &json!({})).body["secret"].as_str().expect("a secret").to_owned();
        let former = host.keys.path().join("data-key").display().to_string();
        let next = host.keys.path().join("next-data-key").display().to_string();
        std::fs::write(&next, "Hx4dHBsaGRgXFhUUExIREA8ODQwLCgkIBwYFBAMCAQA=").expect("written");
        let with = |more: &[(&'static str, &str)]| {
            let settings: Vec<(&str, &str)> = more.iter().chain(&HERE).copied().collect();
            Host::on(&host.database, &settings)
        };
        let both = with(&[("YIYONG_DATA_KEY_FILE", &next), ("YIYONG_OTHER_DATA_KEY_FILES", &former)]);
        let done = yiyong::resources::webhooks::reseal(&both.service.db).expect("resealed");
        assert_eq!((done.seen, done.resealed), (1, 1));
        assert_eq!(yiyong::resources::webhooks::reseal(&both.service.db).expect("resealed").resealed, 0);
        let alone = with(&[("YIYONG_DATA_KEY_FILE", &next)]);
        let telling = Telling::begin(&alone);
        assert_eq!(city.post(&format!("{path}/test"), &json!({})).status, 202);
        until("it arrives", || !receiver.accepted().is_empty());
        let heard = receiver.accepted().pop().expect("a test");
        assert!(heard.signed_by(&secret) && heard.signed_by(hook.body["secret"].as_str().expect("a secret")));
        drop(telling);
    });
}
