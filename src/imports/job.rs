//! An import at work.
//!
//! With `on_error=abort` it is one transaction: whoever dies in the middle has done nothing, and it is begun again. With
//! `skip`, each thousand rows are one, which ends with the row that was reached; it goes on from there.

use std::fs::File;

use diesel::prelude::*;
use serde_json::json;

use super::layout::Mapping;
use super::outcomes::{self, Spool};
use super::run::{Import, OnError, Order, Outcome, Report};
use super::store::{self, Options, Row};
use crate::auth;
use crate::db::{Db, Tx};
use crate::error::{Code, Error, Language, Result};
use crate::files::read::{self, Found, Limits, Table};
use crate::jobs::{self, Job, JobState, Progress};
use crate::policy::{Action, Scope};
use crate::schema::imports as t;
use crate::types::{Id, TextEnum};
use crate::web::verbs::{self, Verbs};

/// What the audit log calls an import that came to nothing, or broke off.
pub const FAILED: &str = "import_failed";

/// What an import needs before its first row.
pub struct Work {
    row: Row,
    verbs: &'static dyn Verbs,
    scope: Scope,
    order: Order,
    sheet: Option<String>,
    mapping: Mapping,
    limits: Limits,
    file: File,
}

/// Runs an import to its end, whatever that is.
pub fn run(db: &Db, job: &Job, progress: &Progress, limits: Limits, lease_seconds: i64) -> Result<()> {
    let work = prepared(db, job, limits)?;
    let ended = if work.order.on_error == OnError::Skip && !work.order.dry_run {
        by_pieces(db, job, progress, &work, lease_seconds)
    } else {
        as_a_whole(db, job, progress, &work)
    };
    match progress.cancelled_by() {
        Some(by) if ended.is_err() => cancelled(db, job, by),
        _ => ended,
    }
}

fn prepared(db: &Db, job: &Job, limits: Limits) -> Result<Work> {
    let row = db.run(true, |conn| store::find(conn, job.record_id))?;
    let verbs = verbs::named(&row.resource).ok_or_else(Error::not_found)?;
    // Who may no longer import doesn't, though they might when they asked.
    let actor = db.run(true, |conn| auth::standing_of(conn, job.actor_id))?;
    let scope = actor.may(verbs.area(), Action::Import)?;
    Work::of(db, row, verbs, scope, job.language.into(), limits)
}

impl Work {
    /// Of an import whose file is kept still.
    pub fn of(db: &Db, row: Row, verbs: &'static dyn Verbs, scope: Scope, language: Language, limits: Limits) -> Result<Self> {
        let order = Order { mode: row.mode, dry_run: row.dry_run, on_error: row.on_error, language };
        let file = store::file(db, row.id)?
            .ok_or_else(|| Error::because(Code::Conflict, "文件已过保存期，请重新上传", "the file is kept no longer; send it again"))?;
        let options: Options = serde_json::from_str(&row.options).map_err(Error::internal)?;
        let mapping = Mapping::of(options.mapping.into_iter().map(|(header, column)| (header, column.into())))?;
        Ok(Self { row, verbs, scope, order, sheet: options.sheet, mapping, limits, file })
    }

    pub fn id(&self) -> Id {
        self.row.id
    }

    /// The number of the row with the headers; 0 where there is none.
    pub fn header_row(&self) -> Result<u64> {
        let mut table = self.table()?;
        Ok(Import::open(self.verbs, &self.scope, self.order, &mut table, &self.mapping)?.header_row())
    }

    pub fn table(&self) -> Result<Table> {
        let file = self.file.try_clone().map_err(Error::internal)?;
        read::open_sheet(file, self.row.file_name.as_deref(), self.sheet.as_deref(), &self.limits)
    }
}

/// One transaction. A dry run is rolled back, and so is what has faults; what is told of them comes in another.
fn as_a_whole(db: &Db, job: &Job, progress: &Progress, work: &Work) -> Result<()> {
    let mut deed = job.deed();
    deed.rolled_back = work.order.dry_run;
    let mut told: Option<(Report, Found, Spool)> = None;
    let done = db.write_background(&deed, |tx| {
        told = None;
        let mut table = work.table()?;
        let mut import = Import::open(work.verbs, &work.scope, work.order, &mut table, &work.mapping)?;
        let mut spool = Spool::new()?;
        while let Some(rows) = import.read_piece(&mut table)? {
            progress.go_on()?;
            import.write(tx, rows)?;
            spool.push(tx.vault, work.row.id, &import.take_piece())?;
            progress.tell(import.counted(), table.part());
        }
        let found = import.found().clone();
        let report = import.finish();
        if work.order.dry_run || report.outcome == Outcome::Failed {
            told = Some((report, found, spool));
            return if work.order.dry_run { Ok(()) } else { Err(Error::new(Code::ValidationFailed)) };
        }
        ended(tx, job, &work.row, (&report, &found), Some(&mut spool))
    });
    match told {
        None => done,
        Some((report, found, mut spool)) => {
            db.write_background(&job.deed(), |tx| ended(tx, job, &work.row, (&report, &found), Some(&mut spool)))
        }
    }
}

/// A transaction for each piece, which leaves behind where it ended.
fn by_pieces(db: &Db, job: &Job, progress: &Progress, work: &Work, lease_seconds: i64) -> Result<()> {
    let mut table = work.table()?;
    let mut import = Import::open(work.verbs, &work.scope, work.order, &mut table, &work.mapping)?;
    import.resume(&mut table, &work.row)?;
    progress.resume(import.counted());
    let mut position = db.run(true, |conn| outcomes::pieces(conn, work.row.id))?;
    while let Some(rows) = import.read_piece(&mut table)? {
        progress.go_on()?;
        let before = import.stand();
        db.write_background(&job.deed(), |tx| {
            import.go_back_to(&before);
            import.write(tx, rows.clone())?;
            let piece = import.take_piece();
            outcomes::keep(tx, work.row.id, position, &piece)?;
            reached(tx, &work.row, import.report(), Some(import.last_row()))?;
            jobs::hold(tx, job, lease_seconds)
        })?;
        position += 1;
        progress.tell(import.counted(), table.part());
    }
    let found = import.found().clone();
    let report = import.finish();
    db.write_background(&job.deed(), |tx| ended(tx, job, &work.row, (&report, &found), None))
}

/// Notes how far an import is, and up to which row of the file that is kept.
fn reached(tx: &mut Tx<'_>, row: &Row, report: &Report, last_row: Option<u64>) -> Result<()> {
    let last_row = last_row.map(|row| i64::try_from(row).unwrap_or(i64::MAX));
    diesel::update(t::table.find(row.id))
        .set((
            t::rows_read.eq(report.rows_read),
            t::rows_left_out.eq(report.rows_left_out),
            t::ignored_columns.eq(serde_json::to_string(&report.ignored_columns).map_err(Error::internal)?),
            t::rows_created.eq(report.rows_created),
            t::rows_updated.eq(report.rows_updated),
            t::rows_unchanged.eq(report.rows_unchanged),
            t::rows_failed.eq(report.rows_failed),
            t::faults.eq(serde_json::to_string(&(report.faults_total, &report.faults)).map_err(Error::internal)?),
            last_row.map(|row| t::last_row.eq(row)),
            t::version.eq(t::version + 1),
            t::updated_at.eq(tx.now),
        ))
        .execute(tx.conn)?;
    Ok(())
}

/// Ends an import and its job.
fn ended(tx: &mut Tx<'_>, job: &Job, row: &Row, (report, found): (&Report, &Found), spool: Option<&mut Spool>) -> Result<()> {
    if let Some(spool) = spool {
        spool.keep(tx, row.id)?;
    }
    reached(tx, row, report, None)?;
    diesel::update(t::table.find(row.id))
        .set((
            t::outcome.eq(report.outcome),
            t::finished_at.eq(tx.now),
            t::format.eq(found.format),
            t::encoding.eq(found.encoding),
            t::compression.eq(found.compression),
            t::sheet.eq(found.sheet.clone()),
        ))
        .execute(tx.conn)?;
    match report.outcome {
        outcome if outcome.keeps() => noted(tx, row, report, Action::Import.code()),
        Outcome::Failed => noted(tx, row, report, FAILED),
        // A dry run.
        _ => {}
    }
    jobs::finish(tx, job, JobState::Done, None)
}

fn noted(tx: &mut Tx<'_>, row: &Row, report: &Report, action: &'static str) {
    let detail = json!({
        "resource": row.resource, "file_sha256": row.file_sha256, "rows_read": report.rows_read,
        "rows_created": report.rows_created, "rows_updated": report.rows_updated, "rows_failed": report.rows_failed,
    });
    tx.audit(action, "imports", Some(row.id), None, Some(&detail));
}

/// An import that can't be done: its file can't be read to the end, or its owner may do it no longer. Pieces that were kept
/// before stay.
pub fn failed(tx: &mut Tx<'_>, job: &Job, error: &Error) -> Result<()> {
    let row = store::find(tx.conn, job.record_id)?;
    let outcome = if row.last_row > 0 { Outcome::BrokenOff } else { Outcome::Failed };
    diesel::update(t::table.find(job.record_id))
        .set((t::outcome.eq(outcome), t::finished_at.eq(tx.now), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    if !row.dry_run {
        let detail = json!({"resource": row.resource, "file_sha256": row.file_sha256, "code": error.code.as_str()});
        tx.audit(FAILED, "imports", Some(row.id), None, Some(&detail));
    }
    jobs::finish(tx, job, JobState::Failed, Some(error))
}

/// What was kept so far stays, and is told.
fn cancelled(db: &Db, job: &Job, by: Id) -> Result<()> {
    db.write_background(&job.deed(), |tx| {
        cancel(tx, job.record_id, by)?;
        jobs::finish(tx, job, JobState::Cancelled, None)
    })
}

/// Ends an import that somebody no longer wants.
pub fn cancel(tx: &mut Tx<'_>, import_id: Id, by: Id) -> Result<()> {
    diesel::update(t::table.find(import_id))
        .set((t::outcome.eq(Outcome::Cancelled), t::finished_at.eq(tx.now), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    tx.audit(Action::Cancel.code(), "imports", Some(import_id), None, Some(&json!({"cancelled_by": by})));
    Ok(())
}
