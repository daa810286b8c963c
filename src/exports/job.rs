//! An export at work that nobody waits for: into a nameless file on this machine first, whole or not at all, and from there to
//! where every server finds it. Whoever dies in the middle has left nothing that could be fetched, and it is begun again.

use std::fs::File;
use std::io::{BufWriter, Result as IoResult, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use super::api::{Asked, record_end};
use super::kept::{self, Row};
use crate::auth;
use crate::db::{Db, Tx};
use crate::error::{Error, Result};
use crate::jobs::{self, Job, JobState, Progress, Rows};
use crate::policy::Purpose;
use crate::types::Id;
use crate::web::Measure;
use crate::web::verbs;

/// Runs an export to its end, whatever that is.
pub fn run(db: &Db, job: &Job, progress: &Progress, lease_seconds: i64) -> Result<()> {
    let made = make(db, job, progress, lease_seconds);
    match progress.cancelled_by() {
        Some(_) if made.is_err() => db.write_background(&job.deed(), |tx| {
            cancel(tx, job.record_id)?;
            jobs::finish(tx, job, JobState::Cancelled, None)
        }),
        _ => made,
    }
}

fn make(db: &Db, job: &Job, progress: &Progress, lease_seconds: i64) -> Result<()> {
    let row = db.run(true, |conn| kept::find(conn, job.record_id))?;
    // Who may no longer see it doesn't get it, though they might when they asked.
    let actor = db.run(true, |conn| auth::standing_of(conn, job.actor_id))?;
    let Asked { export, .. } = Asked::of(&actor, resource(&row)?, &row.query)?;
    let total = db.run(true, |conn| {
        let asked = export.filter.get("organization_id").and_then(Value::as_str).and_then(|text| text.parse().ok());
        let scope = export.scope.fitted(conn, db.tree(), asked, Purpose::Sum)?;
        Ok(export.verbs.measure(conn, &scope, export.filter.clone(), Measure::Count)?.records)
    })?;
    let rows = AtomicU64::new(0);
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    {
        let _turn = db.long_turn_of_thread()?;
        let to = BufWriter::with_capacity(256 * 1024, file.try_clone().map_err(Error::internal)?);
        let mut out = Watched { to, progress, rows: &rows, total, broken: None };
        let written = export.write(db, &mut out, &rows).and_then(|()| out.flush().map_err(Error::internal));
        // A disk that is full is no fault of who asked.
        written.map_err(|error| out.broken.take().map_or(error, Error::of_file))?;
    }
    let rows = rows.into_inner();
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    let bytes = kept::keep(db, job, &mut file, lease_seconds)?;
    db.write_background(&job.deed(), |tx| {
        kept::ended(tx, row.id, i64::try_from(rows).unwrap_or(i64::MAX), Some(bytes))?;
        told(tx, &row, rows, true)?;
        jobs::finish(tx, job, JobState::Done, None)
    })
}

fn resource(row: &Row) -> Result<&'static dyn verbs::Verbs> {
    verbs::named(&row.resource).ok_or_else(Error::not_found)
}

/// Tells the audit log how it ended.
fn told(tx: &mut Tx<'_>, row: &Row, rows: u64, completed: bool) -> Result<()> {
    record_end(tx, resource(row)?.name(), row.organization_id, row.begun_event_id, rows, completed);
    Ok(())
}

/// Ends an export that somebody no longer wants: nothing of it is kept.
pub fn cancel(tx: &mut Tx<'_>, id: Id) -> Result<()> {
    let row = kept::find(tx.conn, id)?;
    kept::forget(tx, id)?;
    kept::ended(tx, id, 0, None)?;
    told(tx, &row, 0, false)
}

/// An export that can't be made.
pub fn failed(tx: &mut Tx<'_>, job: &Job, error: &Error) -> Result<()> {
    cancel(tx, job.record_id)?;
    jobs::finish(tx, job, JobState::Failed, Some(error))
}

/// A file that is written as long as it is wanted.
struct Watched<'a> {
    to: BufWriter<File>,
    progress: &'a Progress,
    rows: &'a AtomicU64,
    total: i64,
    /// Why the file could not be written.
    broken: Option<std::io::Error>,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> IoResult<usize> {
        self.progress.go_on().map_err(std::io::Error::other)?;
        let read = i64::try_from(self.rows.load(Ordering::Relaxed)).unwrap_or(i64::MAX);
        #[expect(clippy::cast_precision_loss, reason = "a part of the whole, for people")]
        self.progress.tell(Rows { read, ..Rows::default() }, read as f64 / self.total.max(1) as f64);
        self.to.write(bytes).inspect_err(|error| self.broken = Some(again(error)))
    }

    fn flush(&mut self) -> IoResult<()> {
        self.to.flush().inspect_err(|error| self.broken = Some(again(error)))
    }
}

/// An error of the system's once more.
fn again(error: &std::io::Error) -> std::io::Error {
    error.raw_os_error().map_or_else(|| std::io::Error::new(error.kind(), error.to_string()), std::io::Error::from_raw_os_error)
}
