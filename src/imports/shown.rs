//! An import as its owner sees it.

use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::run::{Fault, Mode, OnError, Outcome, Report, refused};
use super::store::Row;
use crate::db::AnyConnection;
use crate::error::{Error, Language, Result};
use crate::files::read::{FileCompression, FileEncoding, FileFormat};
use crate::jobs::{self, Job, JobKind, JobState, Jobs, Shown};
use crate::policy::Action;
use crate::schema::imports as t;
use crate::types::{Id, Instant, TextEnum};

/// An import, whether it waits, runs or has ended.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Import)]
pub struct ShownImport {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    #[schema(example = "volunteers")]
    pub resource: String,
    pub mode: Mode,
    pub dry_run: bool,
    pub on_error: OnError,
    pub file_name: Option<String>,
    /// Whether it waits, runs or is over.
    pub state: JobState,
    /// How it ended; null until it has.
    pub outcome: Option<Outcome>,
    /// What the file turned out to be; null until it was read.
    pub format: Option<FileFormat>,
    /// Of a text: how its characters are written.
    pub encoding: Option<FileEncoding>,
    pub compression: Option<FileCompression>,
    /// Of a workbook: the sheet that was read.
    pub sheet: Option<String>,
    pub rows_read: i64,
    /// Rows that are no records: totals (合计、总计、小计) and the example of a template.
    pub rows_left_out: i64,
    pub rows_created: i64,
    pub rows_updated: i64,
    pub rows_unchanged: i64,
    pub rows_failed: i64,
    /// Headers of columns that only show something, as exports have them: known, and left alone.
    pub ignored_columns: Vec<String>,
    /// The first thousand faults; all of them are in `/imports/{id}/rows`.
    pub faults: Vec<Fault>,
    pub faults_total: i64,
    /// How far it is, while it runs.
    pub progress: Option<Shown>,
    /// Why it could not be done, or undone, at all: `code`, `detail` and `errors` of a problem document.
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Value>,
    /// The earlier import of the same file, where there is one.
    pub repeats: Option<EarlierImport>,
    pub created_at: Instant,
    pub finished_at: Option<Instant>,
    pub undone_at: Option<Instant>,
    /// What its owner may do with it now: `cancel`, `undo`.
    #[schema(value_type = Vec<Action>)]
    pub allowed_actions: Vec<&'static str>,
}

/// An import that brought the same file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct EarlierImport {
    pub code: String,
    pub created_at: Instant,
}

/// An import with what is known of its work.
#[derive(Debug, Clone)]
pub struct Known {
    pub row: Row,
    /// Absent of those that were made before there were jobs.
    pub job: Option<Job>,
    undoing: Option<Job>,
    repeats: Option<EarlierImport>,
}

/// One import of its owner.
pub fn own(conn: &mut AnyConnection, actor: Id, id: Id) -> Result<Known> {
    let id: Id = t::table.filter(t::id.eq(id)).filter(t::actor_id.eq(actor)).select(t::id).first(conn)?;
    of(conn, &[id])?.pop().ok_or_else(Error::not_found)
}

/// Several, in the order of their ids as given: a query for each kind of what belongs to them.
pub fn of(conn: &mut AnyConnection, ids: &[Id]) -> Result<Vec<Known>> {
    // Jobs first: one that is over has left its outcome by the time that the imports are read.
    let jobs = jobs::all_of(conn, ids)?;
    let rows: Vec<Row> = t::table.filter(t::id.eq_any(ids.to_vec())).select(Row::as_select()).load(conn)?;
    let earlier: Vec<Id> = rows.iter().filter_map(|row| row.repeats_id).collect();
    let earlier: Vec<(Id, String, Instant)> = t::table.filter(t::id.eq_any(earlier)).select((t::id, t::code, t::created_at)).load(conn)?;
    let latest = |kind: JobKind, id: Id| jobs.iter().rev().find(|job| job.kind == kind && job.record_id == id).cloned();
    let known = ids.iter().filter_map(|id| {
        let row = rows.iter().find(|row| row.id == *id)?.clone();
        let repeats = earlier.iter().find(|(id, ..)| Some(*id) == row.repeats_id);
        let repeats = repeats.map(|(_, code, created_at)| EarlierImport { code: code.clone(), created_at: *created_at });
        Some(Known { job: latest(JobKind::Import, *id), undoing: latest(JobKind::ImportUndo, *id), row, repeats })
    });
    Ok(known.collect())
}

impl Known {
    pub fn state(&self) -> JobState {
        self.job.as_ref().map_or(JobState::Done, |job| job.state)
    }

    /// Whether its undoing is asked for and not over.
    pub fn is_being_undone(&self) -> bool {
        self.undoing.as_ref().is_some_and(|job| !job.state.is_over())
    }

    /// What may be done with it now.
    pub fn offers(&self) -> Vec<Action> {
        let wrote = self.row.rows_created + self.row.rows_updated > 0;
        let kept = wrote && self.row.outcome.is_some_and(Outcome::keeps);
        if !self.state().is_over() {
            vec![Action::Cancel]
        } else if kept && self.row.undone_at.is_none() && !self.is_being_undone() {
            vec![Action::Undo]
        } else {
            Vec::new()
        }
    }

    pub fn shown(&self, jobs: &Jobs, language: Language) -> Result<ShownImport> {
        let row = &self.row;
        let report = report(row)?;
        let at_work = [&self.job, &self.undoing].into_iter().flatten().find(|job| !job.state.is_over());
        let failure = [&self.undoing, &self.job].into_iter().flatten().find_map(Job::failed_with).map(|failure| failure.told(language));
        Ok(ShownImport {
            id: row.id,
            code: row.code.clone(),
            resource: row.resource.clone(),
            mode: row.mode,
            dry_run: row.dry_run,
            on_error: row.on_error,
            file_name: row.file_name.clone(),
            state: self.state(),
            outcome: row.outcome,
            format: row.format,
            encoding: row.encoding,
            compression: row.compression,
            sheet: row.sheet.clone(),
            rows_read: row.rows_read,
            rows_left_out: row.rows_left_out,
            rows_created: row.rows_created,
            rows_updated: row.rows_updated,
            rows_unchanged: row.rows_unchanged,
            rows_failed: row.rows_failed,
            ignored_columns: report.ignored_columns,
            faults: report.faults,
            faults_total: report.faults_total,
            progress: at_work.and_then(|job| jobs.progress(job)),
            failure,
            repeats: self.repeats.clone(),
            created_at: row.created_at,
            finished_at: row.finished_at,
            undone_at: row.undone_at,
            allowed_actions: self.offers().into_iter().map(TextEnum::code).collect(),
        })
    }

    /// The refusal that an import which has imported nothing is: of its rows, or of the file as a whole.
    pub fn refusal(&self, language: Language) -> Result<Option<Error>> {
        if self.row.outcome != Some(Outcome::Failed) {
            return Ok(None);
        }
        let error = match self.job.as_ref().and_then(Job::failed_with) {
            Some(failure) => failure.error(language),
            None => refused(&report(&self.row)?),
        };
        Ok(Some(error.with("import_id", self.row.id.to_string())))
    }

    /// The refusal that its undoing came to.
    pub fn undo_refusal(&self, language: Language) -> Option<Error> {
        self.undoing.as_ref().and_then(Job::failed_with).map(|failure| failure.error(language))
    }
}

/// What a kept import has come to so far.
pub fn report(row: &Row) -> Result<Report> {
    let (faults_total, faults) = serde_json::from_str(&row.faults).map_err(Error::internal)?;
    Ok(Report {
        outcome: row.outcome.unwrap_or(Outcome::Completed),
        rows_read: row.rows_read,
        rows_left_out: row.rows_left_out,
        rows_created: row.rows_created,
        rows_updated: row.rows_updated,
        rows_unchanged: row.rows_unchanged,
        rows_failed: row.rows_failed,
        ignored_columns: serde_json::from_str(&row.ignored_columns).map_err(Error::internal)?,
        faults,
        faults_total,
    })
}
