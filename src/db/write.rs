//! The one way to change anything: a transaction that holds the deed, its audit events and its idempotency record.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant as Clock;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use serde_json::Value;

use super::pool::PATIENCE;
use super::{AnyConnection, Db, Tree, each, grams};
use crate::audit;
use crate::config::SecondApproval;
use crate::error::{Code, Error, Result};
use crate::outbox::Networks;
use crate::policy::Action;
use crate::schema::idempotency_keys;
use crate::types::{Id, Instant, TextEnum};
use crate::vault::Vault;

/// Who does it, and under which request.
#[derive(Debug, Clone)]
pub struct Deed {
    /// `None` for the command line.
    pub actor_id: Option<Id>,
    pub request_id: String,
    /// Where the request came from, where that is known.
    pub address: Option<IpAddr>,
    pub once: Option<Once>,
    /// Undo everything at the end, whatever came out: a dry run.
    pub rolled_back: bool,
}

impl Deed {
    /// A deed of the command line.
    pub fn of_operator(request_id: &str) -> Self {
        Self { actor_id: None, request_id: request_id.to_owned(), address: None, once: None, rolled_back: false }
    }
}

/// An idempotency key and what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    pub key: String,
    /// SHA-256 of method, path, `If-Match`-free request: a retry has the same.
    pub fingerprint: Vec<u8>,
}

/// What a write answers: kept beside the key, so that a retry gets the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub status: u16,
    pub location: Option<String>,
    pub etag: Option<String>,
    pub body: Vec<u8>,
    /// What a retry gets instead, where the body tells what is told once.
    pub kept: Option<Vec<u8>>,
    pub replayed: bool,
}

/// The inside of a write.
pub struct Tx<'a> {
    pub conn: &'a mut AnyConnection,
    /// Seals and opens identifiers.
    pub vault: &'a Vault,
    pub second_approval: SecondApproval,
    /// Where webhooks may point besides public addresses.
    pub networks: &'a Networks,
    /// How much of the tree lies below whom.
    pub tree: &'a Tree,
    pub now: Instant,
    pub actor_id: Option<Id>,
    request_id: &'a str,
    address: Option<IpAddr>,
    events: Vec<audit::Event>,
    names: Vec<grams::Renamed>,
    /// Where among the events a record was noted that others have changed.
    touched: HashMap<Id, usize>,
    standing_changed: bool,
    work_placed: bool,
    /// The database has ended the transaction by itself: nothing more may be written.
    is_over: bool,
}

impl Tx<'_> {
    /// Who is behind this write; a deed of the command line has nobody.
    pub fn actor(&self) -> Result<Id> {
        self.actor_id.ok_or_else(Error::forbidden)
    }

    /// Of the request behind it.
    pub fn request_id(&self) -> &str {
        self.request_id
    }

    /// Where the request came from, where that is known.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// What [`Tx::created_since`] begins at.
    pub fn noted(&self) -> usize {
        self.events.len()
    }

    /// The records of other resources than `resource` whose creation was noted since.
    pub fn created_since(&self, noted: usize, resource: &str) -> Vec<(String, Id)> {
        let created = |event: &&audit::Event| event.action == Action::Create.code() && event.resource != resource;
        let events = self.events.get(noted..).unwrap_or_default().iter().filter(created);
        events.filter_map(|event| Some((event.resource.clone(), event.record_id?))).collect()
    }

    /// Says that this changes who may do what: once it is kept, every caller is read anew.
    pub fn change_standing(&mut self) {
        self.standing_changed = true;
    }

    /// Says that there is a job to do, once this is kept.
    pub fn place_work(&mut self) {
        self.work_placed = true;
    }

    /// Notes what was done, and returns the event for what else is to be said of it. The events are written with the deed,
    /// or not at all.
    pub fn audit(
        &mut self,
        action: &'static str,
        resource: &'static str,
        record_id: Option<Id>,
        organization_id: Option<Id>,
        detail: Option<&Value>,
    ) -> &mut audit::Event {
        let place = self.events.len();
        self.events.push(audit::Event {
            id: Id::new(),
            at: self.now,
            actor_id: self.actor_id,
            action: action.to_owned(),
            resource: resource.to_owned(),
            record_id,
            organization_id,
            request_id: self.request_id.to_owned(),
            detail: detail.map(Value::to_string),
            address: self.address.map(|address| address.to_string()),
            outcome: audit::AuditOutcome::Done,
            person_id: None,
        });
        &mut self.events[place]
    }

    /// Notes the name by which a record was found and that by which it is to be found; `None` where there is none. The verbs
    /// do this for the record that they write. Kept with the events: one statement for all names, whatever was written.
    pub fn index(&mut self, resource: &'static str, id: Id, before: Option<String>, after: Option<String>) {
        if before != after {
            self.names.push(grams::Renamed { resource, id, before, after });
        }
    }

    /// Notes that a record has changed because of what was done to others, once in a transaction and however many these are.
    pub fn touch(&mut self, resource: &'static str, id: Id, organization_id: Option<Id>) {
        if !self.is_touched(id) {
            self.touched.insert(id, self.events.len());
            self.audit(Action::Update.code(), resource, Some(id), organization_id, None);
        }
    }

    /// Whether that was noted already; what was noted in a part that was undone was not.
    pub fn is_touched(&self, id: Id) -> bool {
        let place = self.touched.get(&id);
        place.and_then(|place| self.events.get(*place)).is_some_and(|event| event.record_id == Some(id))
    }

    /// A part that is undone as a whole when it fails, while the transaction goes on: a savepoint.
    pub fn nested<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.is_over {
            return Err(Error::database_away());
        }
        // A bulk write must not hold its whole history in memory.
        if self.events.len() >= 2_000 {
            self.flush()?;
        }
        let (noted, named) = (self.events.len(), self.names.len());
        each!(&mut *self.conn, c => AnsiTransactionManager::begin_transaction(c))?;
        match work(self) {
            Ok(value) => {
                each!(&mut *self.conn, c => AnsiTransactionManager::commit_transaction(c))?;
                Ok(value)
            }
            Err(error) => {
                self.events.truncate(noted);
                self.names.truncate(named);
                if each!(&mut *self.conn, c => AnsiTransactionManager::rollback_transaction(c)).is_err() {
                    // SQLite ends the whole transaction when the disk is full: what came after would be kept, each part by itself.
                    self.is_over = true;
                    return Err(if error.code.status().is_server_error() { error } else { Error::database_away() });
                }
                Err(error)
            }
        }
    }

    fn flush(&mut self) -> QueryResult<()> {
        grams::rename(self.conn, std::mem::take(&mut self.names))?;
        audit::append(self.conn, &std::mem::take(&mut self.events))
    }
}

/// Keys whose first request still runs on this server.
pub(super) type Running = Arc<Mutex<HashSet<(Id, String)>>>;

struct RunningKey {
    running: Running,
    key: (Id, String),
}

impl RunningKey {
    fn take(running: &Running, actor_id: Id, key: &str) -> Result<Self> {
        let key = (actor_id, key.to_owned());
        if !running.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return Err(Error::new(Code::RequestInProgress).retry_after(1));
        }
        Ok(Self { running: running.clone(), key })
    }
}

impl Drop for RunningKey {
    fn drop(&mut self) {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[derive(Queryable, Insertable)]
#[diesel(table_name = idempotency_keys, treat_none_as_default_value = false)]
struct KeptReply {
    actor_id: Id,
    key: String,
    fingerprint: Vec<u8>,
    status: i32,
    location: Option<String>,
    etag: Option<String>,
    body: Vec<u8>,
    created_at: Instant,
}

/// How often a write that met a busy database is tried.
const TRIES: u32 = 5;

impl Db {
    /// Writes off the event loop; answers 503 when the database does not answer in time.
    pub async fn write(&self, deed: Deed, work: impl FnMut(&mut Tx<'_>) -> Result<Reply> + Send + 'static) -> Result<Reply> {
        let db = self.clone();
        self.block(true, move |until| db.write_until(until, &deed, work)).await
    }

    /// A write that may take as long as it needs.
    pub async fn write_long(&self, deed: Deed, work: impl FnMut(&mut Tx<'_>) -> Result<Reply> + Send + 'static) -> Result<Reply> {
        let db = self.clone();
        self.block_in_turn(true, move |until| db.write_until(until, &deed, work)).await
    }

    /// A write whose outcome is a value of the service's own and no reply.
    pub async fn write_value<T: Send + 'static>(
        &self,
        deed: Deed,
        mut work: impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let db = self.clone();
        self.block(true, move |until| db.write_until(until, &deed, |tx| work(tx).map(Plain)).map(|plain| plain.0)).await
    }

    /// A write of a thread that serves no request: it takes its turn like any other, and may take as long as it needs.
    pub fn write_background<T>(&self, deed: &Deed, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let _turn = self.turn_of_thread()?;
        self.write_until(Clock::now() + PATIENCE, deed, |tx| work(tx).map(Plain)).map(|plain| plain.0)
    }

    /// Writes on this thread.
    pub fn write_now<T: Replies>(&self, deed: &Deed, work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        self.write_until(Clock::now() + PATIENCE, deed, work)
    }

    fn write_until<T: Replies>(&self, until: Clock, deed: &Deed, mut work: impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<T> {
        let _running = match (&deed.once, deed.actor_id) {
            (Some(once), Some(actor_id)) => Some(RunningKey::take(self.running(), actor_id, &once.key)?),
            _ => None,
        };
        let mut tries = 0;
        loop {
            tries += 1;
            let mut begun = false;
            match self.run_until(until, false, |conn| attempt(conn, self, deed, &mut begun, &mut work)) {
                Err(error) if error.code == Code::Overloaded && tries < TRIES => {
                    std::thread::sleep(std::time::Duration::from_millis(u64::from(tries) * 7));
                }
                // A connection that was dead before the transaction began has done nothing.
                Err(error) if error.code == Code::DatabaseUnavailable && !begun && tries < TRIES && Clock::now() < until => {}
                other => return other,
            }
        }
    }
}

/// What a write may return: a [`Reply`] can be kept for a retry, other values can't.
pub trait Replies: Sized {
    fn kept(&self) -> Option<&Reply> {
        None
    }
    fn replay(_: Reply) -> Option<Self> {
        None
    }
}

impl Replies for Reply {
    fn kept(&self) -> Option<&Reply> {
        Some(self)
    }
    fn replay(reply: Reply) -> Option<Self> {
        Some(reply)
    }
}

impl Replies for Id {}

struct Plain<T>(T);

impl<T> Replies for Plain<T> {}

fn attempt<T: Replies>(
    conn: &mut AnyConnection,
    db: &Db,
    deed: &Deed,
    begun: &mut bool,
    work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>,
) -> Result<T> {
    let begin = match conn {
        // A write looks rows up by their keys. A plan that was made while a table was empty would read all of it, and stays
        // as long as nobody has analyzed the table since: after a minute of creating records, half as many a second.
        AnyConnection::Pg(_) => "BEGIN; SET LOCAL enable_seqscan = off",
        AnyConnection::Sqlite(_) => "BEGIN IMMEDIATE",
    };
    each!(&mut *conn, c => AnsiTransactionManager::begin_transaction_sql(c, begin))?;
    *begun = true;
    let result = inside(conn, db, deed, work);
    if let Ok(Done { kept: true, .. }) = result {
        each!(&mut *conn, c => AnsiTransactionManager::commit_transaction(c))?;
    } else {
        let undone = each!(&mut *conn, c => AnsiTransactionManager::rollback_transaction(c));
        match (undone.map_err(Error::from).and_then(|()| replayed(conn, db.vault(), deed)), &result) {
            (Ok(Some(value)), _) => return Ok(value),
            (Ok(None), _) => {}
            (Err(error), Ok(_)) => return Err(error),
            // What refuses a retry need not have refused the first: where it can't be found out whether there was one, that is told.
            (Err(error), Err(first)) if deed.once.is_some() && !first.code.status().is_server_error() => return Err(error),
            // The first error is the one to tell; a failed rollback breaks the connection, which the pool sees.
            (Err(_), Err(_)) => {}
        }
    }
    let Done { value, standing_changed, work_placed, .. } = result?;
    if standing_changed {
        db.standing_has_changed();
    }
    if work_placed {
        db.work_was_placed();
    }
    value.ok_or_else(|| Error::new(Code::Overloaded).retry_after(1))
}

/// What the first request under a deed's key was answered, where there was one.
///
/// Nobody looks for the key before the work: nearly always it is a new one. A retry does the work again up to where that fails,
/// or up to the key that is there already; then it is undone, and answered as the first was.
fn replayed<T: Replies>(conn: &mut AnyConnection, vault: &Vault, deed: &Deed) -> Result<Option<T>> {
    let (Some(once), Some(actor_id)) = (&deed.once, deed.actor_id) else { return Ok(None) };
    let kept: Option<KeptReply> = idempotency_keys::table.find((actor_id, &once.key)).first(conn).optional()?;
    let Some(kept) = kept else { return Ok(None) };
    // Kept under the data key of then: a retry that meets a change of it is still the same. When that key is gone, it is
    // refused and not done again.
    if !vault.hashes("request", &once.fingerprint).contains(&kept.fingerprint) {
        return Err(Error::because(
            Code::IdempotencyMismatch,
            "此 Idempotency-Key 已用于另一个请求；重试请原样发送第一次的请求，新的请求请换一个键",
            "this Idempotency-Key belongs to another request: send that one unchanged to retry it, or take a new key",
        ));
    }
    let reply = Reply {
        status: u16::try_from(kept.status).unwrap_or(200),
        location: kept.location,
        etag: kept.etag,
        body: kept.body,
        kept: None,
        replayed: true,
    };
    T::replay(reply).map(Some).ok_or_else(|| Error::internal("a reply that can't be replayed was kept"))
}

/// What came of the work, whether to keep what was done, whether that changes who may do what, and whether it asks for work.
/// There is no value where the deed's key turned out to be there already.
struct Done<T> {
    value: Option<T>,
    kept: bool,
    standing_changed: bool,
    work_placed: bool,
}

fn inside<T: Replies>(conn: &mut AnyConnection, db: &Db, deed: &Deed, work: &mut impl FnMut(&mut Tx<'_>) -> Result<T>) -> Result<Done<T>> {
    let now = Instant::now();
    let vault: &Vault = db.vault();
    let mut tx = Tx {
        conn,
        vault,
        second_approval: db.second_approval(),
        networks: db.networks(),
        tree: db.tree(),
        now,
        actor_id: deed.actor_id,
        request_id: &deed.request_id,
        address: deed.address,
        events: Vec::new(),
        names: Vec::new(),
        touched: HashMap::new(),
        standing_changed: false,
        work_placed: false,
        is_over: false,
    };
    let value = work(&mut tx)?;
    if tx.is_over {
        return Err(Error::database_away());
    }
    if deed.rolled_back {
        return Ok(Done { value: Some(value), kept: false, standing_changed: false, work_placed: false });
    }
    tx.flush()?;
    let (standing_changed, work_placed) = (tx.standing_changed, tx.work_placed);
    if let (Some(once), Some(actor_id), Some(reply)) = (&deed.once, deed.actor_id, value.kept()) {
        let kept = KeptReply {
            actor_id,
            key: once.key.clone(),
            // Under the key, since a body may hold a password, which a bare digest would let be guessed.
            fingerprint: vault.hash("request", &once.fingerprint),
            status: i32::from(reply.status),
            location: reply.location.clone(),
            etag: reply.etag.clone(),
            body: reply.kept.as_ref().unwrap_or(&reply.body).clone(),
            created_at: now,
        };
        // Waits for another server that is about to keep the same key.
        let written =
            each!(&mut *conn, c => diesel::insert_into(idempotency_keys::table).values(&kept).on_conflict_do_nothing().execute(c))?;
        if written == 0 {
            return Ok(Done { value: None, kept: false, standing_changed: false, work_placed: false });
        }
    }
    Ok(Done { value: Some(value), kept: true, standing_changed, work_placed })
}
