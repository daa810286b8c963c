//! Work that outlives its request and its server: imports, their undoing, and exports that nobody waits for.
//!
//! A job is a row, written in the transaction of the request that asks for it ([`place`]). Each server has a few workers
//! ([`workers`]); one of them takes the oldest open job by a lease, so that servers share the work. While it runs, the lease is
//! renewed; a server that dies, or stands still for too long, loses it, and another goes on. Every transaction of a job ends
//! with [`hold`] or [`finish`], which fail where the lease is another's by then: whatever two servers believe, one of them
//! commits.
//!
//! On SQLite nobody else can write while an import writes, so nothing is renewed and nobody could take the lease either; an
//! export, which only reads, renews its lease there too.
//! Should a job be done once by one server only, these are the pieces that see to it: the row, the lease, the fence.

mod progress;
pub mod workers;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use progress::{Progress, Rows, Shown};
pub use workers::{Jobs, JobsConfig};

use crate::db::{AnyConnection, Db, Deed, Tx};
use crate::error::{Code, Error, Language, Result, Says};
use crate::schema::jobs as t;
use crate::types::{Id, Instant, text_enum};

text_enum! {
    /// What is to be done.
    JobKind {
        Import = "import", "导入", "import";
        ImportUndo = "import_undo", "撤销导入", "undoing of an import";
        Export = "export", "导出", "export";
        OpenReturns = "open_returns", "下发每月上报", "opening of monthly returns";
    }
}

text_enum! {
    /// Where a job stands.
    JobState {
        Waiting = "waiting", "等待中", "waiting";
        Running = "running", "进行中", "running";
        Done = "done", "已结束", "done";
        Failed = "failed", "失败", "failed";
        Cancelled = "cancelled", "已取消", "cancelled";
    }
}

impl JobState {
    /// Whether nothing more happens.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Waiting | Self::Running)
    }
}

text_enum! {
    /// The language that a job's messages are in: its caller's.
    JobLanguage {
        Zh = "zh", "中文", "Chinese";
        En = "en", "英文", "English";
    }
}

impl From<Language> for JobLanguage {
    fn from(language: Language) -> Self {
        if language == Language::En { Self::En } else { Self::Zh }
    }
}

impl From<JobLanguage> for Language {
    fn from(language: JobLanguage) -> Self {
        if language == JobLanguage::En { Self::En } else { Self::Zh }
    }
}

/// A job.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct Job {
    pub id: Id,
    pub kind: JobKind,
    /// What it is about, such as the import.
    pub record_id: Id,
    pub actor_id: Id,
    /// Of the request that asked for it: its audit events bear it.
    pub request_id: String,
    pub address: Option<String>,
    pub language: JobLanguage,
    pub state: JobState,
    /// How often it was begun.
    pub attempts: i32,
    pub not_before: Instant,
    pub leased_by: Option<Id>,
    pub leased_until: Option<Instant>,
    pub cancelled_by: Option<Id>,
    /// [`Shown`] as JSON, as last told by who runs it.
    pub progress: Option<String>,
    /// [`Failure`] as JSON.
    pub failure: Option<String>,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl Job {
    /// The deed that its transactions are: its actor's, under the request that asked for it.
    pub fn deed(&self) -> Deed {
        Deed {
            actor_id: Some(self.actor_id),
            request_id: self.request_id.clone(),
            address: self.address.as_deref().and_then(|address| address.parse().ok()),
            once: None,
            rolled_back: false,
        }
    }

    /// Why it could not be done, where it could not.
    pub fn failed_with(&self) -> Option<Failure> {
        self.failure.as_deref().and_then(|text| serde_json::from_str(text).ok())
    }
}

/// Why a job could not be done, as it is kept: the refusal that the request would have got.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure {
    code: String,
    detail: Option<(String, String)>,
    /// Pointer, code, and what is said in Chinese and English.
    faults: Vec<(String, String, String, String)>,
    extra: Map<String, Value>,
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.as_str().to_owned(),
            detail: error.detail.as_ref().map(|says| (says.zh.clone(), says.en.clone())),
            faults: error
                .faults
                .iter()
                .map(|fault| (fault.pointer.clone(), fault.code.to_owned(), fault.message.zh.clone(), fault.message.en.clone()))
                .collect(),
            extra: error.extra.clone(),
        }
    }
}

impl Failure {
    /// What a record of the job shows of it.
    pub fn told(&self, language: Language) -> Value {
        let document = self.error(language).to_json(language, "", "");
        serde_json::json!({"code": document["code"], "detail": document["detail"], "errors": document["errors"]})
    }

    /// The refusal as it would have been given.
    pub fn error(&self, language: Language) -> Error {
        let code = Code::ALL.iter().find(|code| code.as_str() == self.code).copied().unwrap_or(Code::Internal);
        let mut error = Error::new(code);
        error.detail = self.detail.as_ref().map(|(zh, en)| Says::new(zh, en));
        error.extra = self.extra.clone();
        if !self.faults.is_empty() {
            let told = self.faults.iter().map(|(pointer, code, zh, en)| {
                let message = if language == Language::En { en } else { zh };
                serde_json::json!({"pointer": pointer, "code": code, "message": message})
            });
            error.extra.insert("errors".into(), told.collect());
        }
        error
    }
}

/// Asks for work on a record, once this transaction is kept.
pub fn place(tx: &mut Tx<'_>, kind: JobKind, record_id: Id, language: Language) -> Result<Id> {
    let job = Job {
        id: Id::new(),
        kind,
        record_id,
        actor_id: tx.actor()?,
        request_id: tx.request_id().to_owned(),
        address: tx.address().map(|address| address.to_string()),
        language: language.into(),
        state: JobState::Waiting,
        attempts: 0,
        not_before: tx.now,
        leased_by: None,
        leased_until: None,
        cancelled_by: None,
        progress: None,
        failure: None,
        created_at: tx.now,
        updated_at: tx.now,
    };
    diesel::insert_into(t::table).values(&job).execute(tx.conn)?;
    tx.place_work();
    Ok(job.id)
}

/// The latest job of a kind about a record.
pub fn latest(conn: &mut AnyConnection, kind: JobKind, record_id: Id) -> Result<Option<Job>> {
    let of = t::table.filter(t::record_id.eq(record_id)).filter(t::kind.eq(kind));
    Ok(of.order(t::id.desc()).select(Job::as_select()).first(conn).optional()?)
}

/// All jobs about records, the oldest first.
pub fn all_of(conn: &mut AnyConnection, record_ids: &[Id]) -> Result<Vec<Job>> {
    Ok(t::table.filter(t::record_id.eq_any(record_ids.to_vec())).order(t::id).select(Job::as_select()).load(conn)?)
}

/// Open jobs that nobody holds, the oldest first. An id that was made on a server whose clock is ahead waits for nothing.
macro_rules! due {
    ($now:expr) => {
        t::table
            .filter(t::state.eq_any([JobState::Waiting, JobState::Running]))
            .filter(t::not_before.le($now))
            .filter(t::leased_until.is_null().or(t::leased_until.lt($now)))
            .order(t::id)
            .select(t::id)
    };
}

/// Takes the oldest open job that nobody holds.
fn claim(db: &Db, me: Id, lease_seconds: i64) -> Result<Option<Job>> {
    let now = Instant::now();
    // Who only looks disturbs no writer.
    if db.run(true, |conn| Ok(due!(now).first::<Id>(conn).optional()?))?.is_none() {
        return Ok(None);
    }
    db.write_background(&Deed::of_operator("jobs"), |tx| {
        let now = tx.now;
        let id: Option<Id> = match &mut *tx.conn {
            AnyConnection::Pg(c) => due!(now).for_update().skip_locked().first(c).optional()?,
            AnyConnection::Sqlite(c) => due!(now).first(c).optional()?,
        };
        let Some(id) = id else { return Ok(None) };
        diesel::update(t::table.find(id))
            .set((
                t::state.eq(JobState::Running),
                t::attempts.eq(t::attempts + 1),
                t::leased_by.eq(me),
                t::leased_until.eq(now.plus_seconds(lease_seconds)),
                t::updated_at.eq(now),
            ))
            .execute(tx.conn)?;
        Ok(Some(t::table.find(id).select(Job::as_select()).first(tx.conn)?))
    })
}

/// The row of a job, as long as it is this attempt's.
macro_rules! own {
    ($job:expr) => {
        t::table
            .filter(t::id.eq($job.id))
            .filter(t::state.eq(JobState::Running))
            .filter(t::attempts.eq($job.attempts))
            .filter(t::leased_by.eq($job.leased_by))
    };
}

fn lost() -> Error {
    Error::because(Code::Conflict, "此任务已由另一台服务器接手", "another server has taken the job over")
}

/// Ends a transaction in the middle of a job: it is kept only where the job is still this attempt's.
pub fn hold(tx: &mut Tx<'_>, job: &Job, lease_seconds: i64) -> Result<()> {
    let until = Instant::now().plus_seconds(lease_seconds);
    match diesel::update(own!(job)).set((t::leased_until.eq(until), t::updated_at.eq(tx.now))).execute(tx.conn)? {
        0 => Err(lost()),
        _ => Ok(()),
    }
}

/// Ends a job with the transaction that it is part of.
pub fn finish(tx: &mut Tx<'_>, job: &Job, state: JobState, failure: Option<&Error>) -> Result<()> {
    let failure = failure.map(|error| serde_json::to_string(&Failure::from(error))).transpose().map_err(Error::internal)?;
    let ended = diesel::update(own!(job))
        .set((
            t::state.eq(state),
            t::leased_by.eq(None::<Id>),
            t::leased_until.eq(None::<Instant>),
            t::failure.eq(failure),
            t::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    if ended == 0 { Err(lost()) } else { Ok(()) }
}

/// Lets go of a job that was not done: another attempt comes after a while.
fn give_back(db: &Db, job: &Job, after_seconds: i64) -> Result<()> {
    db.write_background(&Deed::of_operator("jobs"), |tx| {
        diesel::update(own!(job))
            .set((
                t::state.eq(JobState::Waiting),
                t::leased_by.eq(None::<Id>),
                t::leased_until.eq(None::<Instant>),
                t::not_before.eq(tx.now.plus_seconds(after_seconds)),
                t::updated_at.eq(tx.now),
            ))
            .execute(tx.conn)?;
        Ok(())
    })
}

/// Renews the lease and tells how far the job is; answers who wants it to end, or that it is another's.
fn renew(db: &Db, job: &Job, progress: &Shown, lease_seconds: i64) -> Result<Option<Id>> {
    let progress = serde_json::to_string(progress).map_err(Error::internal)?;
    db.write_background(&Deed::of_operator("jobs"), |tx| {
        let until = Instant::now().plus_seconds(lease_seconds);
        let kept = diesel::update(own!(job))
            .set((t::leased_until.eq(until), t::progress.eq(&progress), t::updated_at.eq(tx.now)))
            .execute(tx.conn)?;
        if kept == 0 {
            return Err(lost());
        }
        Ok(t::table.find(job.id).select(t::cancelled_by).first::<Option<Id>>(tx.conn)?)
    })
}

/// Says that somebody wants a job to end. One that nobody has begun ends at once: `true`.
pub fn ask_to_end(tx: &mut Tx<'_>, job: &Job) -> Result<bool> {
    let actor = tx.actor()?;
    let unbegun = t::table.filter(t::id.eq(job.id)).filter(t::state.eq(JobState::Waiting));
    let ended = diesel::update(unbegun)
        .set((t::state.eq(JobState::Cancelled), t::cancelled_by.eq(actor), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    if ended == 0 {
        let running = t::table.filter(t::id.eq(job.id)).filter(t::state.eq(JobState::Running));
        diesel::update(running).set((t::cancelled_by.eq(actor), t::updated_at.eq(tx.now))).execute(tx.conn)?;
    }
    Ok(ended > 0)
}
