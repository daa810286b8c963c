//! Who does the jobs: a few threads of each server.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as Clock};

use tokio::sync::watch;

use super::{Job, JobKind, JobState, Progress, Shown, claim, finish, give_back, latest, renew};
use crate::db::Db;
use crate::error::{Code, Error, Result};
use crate::files::read::Limits;
use crate::resources::monthly_returns;
use crate::resources::monthly_returns::calendar::Brought;
use crate::types::{Id, Instant};
use crate::{exports, imports};

/// How soon a job that another server was asked for is seen here.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How soon a new day is seen.
const CALENDAR_EVERY: Duration = Duration::from_secs(60);
/// How often a job that fails by no fault of the caller's is tried.
const ATTEMPTS: i32 = 5;

/// How a server takes part in the work.
#[derive(Debug, Clone, Copy)]
pub struct JobsConfig {
    pub workers: usize,
    /// How long a job is held without a sign of life.
    pub lease: Duration,
    /// How long the files of imports and exports are kept.
    pub files_kept: Duration,
    /// How much a file may hold.
    pub file_limits: Limits,
}

/// The jobs, as one server sees them. Cheap to clone.
#[derive(Clone)]
pub struct Jobs(Arc<Inner>);

struct Inner {
    config: JobsConfig,
    /// This server, among those that share the work.
    me: Id,
    /// Counts what was asked for on this server.
    asked: Mutex<u64>,
    woken: Condvar,
    /// Those that run here, by what they are about.
    running: Mutex<HashMap<Id, Arc<Progress>>>,
    ended: watch::Sender<u64>,
    stopping: AtomicBool,
}

impl Jobs {
    pub fn new(config: JobsConfig) -> Self {
        Self(Arc::new(Inner {
            config,
            me: Id::new(),
            asked: Mutex::new(0),
            woken: Condvar::new(),
            running: Mutex::default(),
            ended: watch::Sender::new(0),
            stopping: AtomicBool::new(false),
        }))
    }

    /// Says that there is something to do.
    pub fn wake(&self) {
        *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.woken.notify_all();
    }

    /// What runs on this server about a record.
    pub fn running(&self, record_id: Id) -> Option<Arc<Progress>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).get(&record_id).cloned()
    }

    /// How far the work on a record is: as this server knows it, or as another has last told.
    pub fn progress(&self, job: &Job) -> Option<Shown> {
        let told = || job.progress.as_deref().and_then(|text| serde_json::from_str(text).ok());
        self.running(job.record_id).map(|progress| progress.shown()).or_else(told)
    }

    pub fn files_kept(&self) -> Duration {
        self.0.config.files_kept
    }

    pub fn lease_seconds(&self) -> i64 {
        i64::try_from(self.0.config.lease.as_secs()).unwrap_or(i64::MAX).max(1)
    }

    /// The latest job of a kind about a record once it is over, or as it stands when the time is.
    pub async fn awaited(&self, db: &Db, kind: JobKind, record_id: Id, at_most: Duration) -> Result<Option<Job>> {
        let mut ended = self.0.ended.subscribe();
        let until = tokio::time::Instant::now() + at_most;
        loop {
            // Marked before reading: what ends meanwhile wakes.
            ended.mark_unchanged();
            let job = db.read(move |conn| latest(conn, kind, record_id)).await?;
            if job.as_ref().is_none_or(|job| job.state.is_over()) || tokio::time::Instant::now() >= until {
                return Ok(job);
            }
            let look = (tokio::time::Instant::now() + Duration::from_millis(500)).min(until);
            let _ = tokio::time::timeout_at(look, ended.changed()).await;
        }
    }

    /// Begins to work. What runs when the answer is dropped is let go of, for another server or another time.
    pub fn start(&self, db: &Db) -> Workers {
        let threads = (0..self.0.config.workers)
            .filter_map(|n| {
                let (jobs, db) = (self.clone(), db.clone());
                let thread = std::thread::Builder::new().name(format!("job-{n}"));
                let started = thread.spawn(move || jobs.work(&db));
                started.inspect_err(|error| log::error!("a worker for jobs can't be started: {error}")).ok()
            })
            .collect();
        Workers { jobs: self.clone(), threads }
    }

    fn work(&self, db: &Db) {
        let (mut swept, mut looked) = (None, None);
        while !self.is_stopping() {
            // Before looking: what is asked for meanwhile wakes.
            let asked = *self.0.asked.lock().unwrap_or_else(PoisonError::into_inner);
            if swept.is_none_or(|swept: Clock| swept.elapsed() > SWEEP_EVERY) {
                swept = Some(Clock::now());
                let kept = self.0.config.files_kept;
                match imports::sweep(db, kept).and_then(|of_imports| Ok(of_imports + exports::sweep(db, kept)?)) {
                    Ok(0) => {}
                    Ok(pieces) => log::info!("{pieces} pieces of files of former imports and exports were swept"),
                    Err(error) => log::warn!("files of former imports and exports can't be swept: {error}"),
                }
            }
            if looked.is_none_or(|looked: Clock| looked.elapsed() > CALENDAR_EVERY) {
                looked = Some(Clock::now());
                match monthly_returns::calendar::turn(db, Instant::now()) {
                    Ok(brought) if brought == Brought::default() => {}
                    Ok(brought) => log::info!("the calendar has brought {brought:?}"),
                    Err(error) => log::warn!("what the day brings can't be done: {error}"),
                }
            }
            match claim(db, self.0.me, self.lease_seconds()) {
                Ok(Some(job)) => self.run(db, &job),
                Ok(None) => self.sleep(asked),
                Err(error) => {
                    log::warn!("no job can be taken: {error}");
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

    fn run(&self, db: &Db, job: &Job) {
        let progress = Arc::new(Progress::default());
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).insert(job.record_id, progress.clone());
        if self.is_stopping() {
            progress.stop();
        }
        let done = {
            let beats = db.target().is_postgres() || matches!(job.kind, JobKind::Export | JobKind::OpenReturns);
            let _heart = beats.then(|| Heart::start(db, job, &progress, self.0.config.lease));
            let work = || match job.kind {
                JobKind::Import => imports::job::run(db, job, &progress, self.0.config.file_limits, self.lease_seconds()),
                JobKind::ImportUndo => imports::undo::run(db, job, &progress),
                JobKind::Export => exports::job::run(db, job, &progress, self.lease_seconds()),
                JobKind::OpenReturns => monthly_returns::run(db, job, &progress, self.lease_seconds()),
            };
            catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| Err(Error::internal("a job panicked")))
        };
        if let Err(error) = done {
            let ended = self.after(db, job, &progress, &error);
            // Then it is whose lease ends.
            let _ = ended.inspect_err(|error| log::warn!("the job {} can't be let go of: {error}", job.id));
        }
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner).remove(&job.record_id);
        self.0.ended.send_modify(|ended| *ended += 1);
    }

    /// What becomes of a job that did not come to its own end.
    fn after(&self, db: &Db, job: &Job, progress: &Progress, error: &Error) -> Result<()> {
        if progress.is_lost() {
            return Ok(());
        }
        if progress.is_stopping() {
            return give_back(db, job, 0);
        }
        let passing = matches!(error.code, Code::Overloaded | Code::DatabaseUnavailable);
        log::warn!("the job {} was not done at attempt {}: {error}", job.id, job.attempts);
        let worth_another = error.code.status().is_server_error() && error.code != Code::StorageFull && job.attempts < ATTEMPTS;
        if passing || worth_another {
            return give_back(db, job, i64::from(1_u32 << job.attempts.clamp(0, 6)));
        }
        db.write_background(&job.deed(), |tx| match job.kind {
            JobKind::Import => imports::job::failed(tx, job, error),
            JobKind::ImportUndo => finish(tx, job, JobState::Failed, Some(error)),
            JobKind::Export => exports::job::failed(tx, job, error),
            JobKind::OpenReturns => monthly_returns::failed(tx, job, error),
        })
    }
}

/// The workers of a server.
pub struct Workers {
    jobs: Jobs,
    threads: Vec<JoinHandle<()>>,
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.jobs.0.stopping.store(true, Ordering::Relaxed);
        self.jobs.0.running.lock().unwrap_or_else(PoisonError::into_inner).values().for_each(|progress| progress.stop());
        self.jobs.wake();
        for thread in self.threads.drain(..) {
            // A worker that panicked has been told of.
            let _ = thread.join();
        }
    }
}

/// Renews the lease of a job while it runs.
struct Heart {
    over: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Heart {
    fn start(db: &Db, job: &Job, progress: &Arc<Progress>, lease: Duration) -> Self {
        let over = Arc::new((Mutex::new(false), Condvar::new()));
        let (db, job, progress, told) = (db.clone(), job.clone(), progress.clone(), over.clone());
        let every = (lease / 4).clamp(Duration::from_millis(100), Duration::from_secs(1));
        let thread = std::thread::spawn(move || {
            let (over, changed) = &*told;
            let mut ended = over.lock().unwrap_or_else(PoisonError::into_inner);
            while !*ended {
                (ended, _) = changed.wait_timeout(ended, every).unwrap_or_else(PoisonError::into_inner);
                if *ended {
                    break;
                }
                drop(ended);
                match renew(&db, &job, &progress.shown(), i64::try_from(lease.as_secs()).unwrap_or(i64::MAX).max(1)) {
                    Ok(Some(by)) => progress.cancel(by),
                    Ok(None) => {}
                    Err(error) if error.code == Code::Conflict => progress.lose(),
                    // The database will be back, or the lease ends.
                    Err(_) => {}
                }
                ended = over.lock().unwrap_or_else(PoisonError::into_inner);
            }
        });
        Self { over, thread: Some(thread) }
    }
}

impl Drop for Heart {
    fn drop(&mut self) {
        *self.over.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.over.1.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
