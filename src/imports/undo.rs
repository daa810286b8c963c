//! The undoing of an import: what it made is deleted, what it changed is as it was before, all of it or nothing; and only
//! while nobody else has touched it.

use std::collections::HashMap;

use diesel::prelude::*;
use serde_json::{Value, json};

use super::outcomes::{self, Piece, RowOutcome};
use super::store::{self, Row};
use crate::auth;
use crate::db::{Db, Tx};
use crate::error::{Code, Error, Result};
use crate::jobs::{self, Job, JobState, Progress};
use crate::policy::{Action, Scope};
use crate::schema::imports as t;
use crate::types::{Id, TextEnum};
use crate::web::verbs::{self, Verbs};

/// Rows that are told of when they were touched since.
const TOLD: usize = 100;

/// Undoes an import, or fails with what stands in the way.
pub fn run(db: &Db, job: &Job, progress: &Progress) -> Result<()> {
    let row = db.run(true, |conn| store::find(conn, job.record_id))?;
    let verbs = verbs::named(&row.resource).ok_or_else(Error::not_found)?;
    let actor = db.run(true, |conn| auth::standing_of(conn, job.actor_id))?;
    let scope = actor.may(verbs.area(), Action::Import)?;
    db.write_background(&job.deed(), |tx| {
        let pieces = outcomes::pieces(tx.conn, row.id)?;
        if pieces == 0 && row.rows_created + row.rows_updated > 0 {
            return Err(Error::because(
                Code::Conflict,
                "导入的逐行结果已过保存期，不能再撤销",
                "what the rows became is kept no longer, so the import can't be undone",
            ));
        }
        untouched(tx, verbs, &row, pieces)?;
        let mut undone = 0;
        // The last first: what refers to others of the file goes before them.
        for position in (0..pieces).rev() {
            progress.go_on()?;
            let vault = tx.vault;
            let piece = outcomes::piece(tx.conn, vault, row.id, position)?.unwrap_or_default();
            undone += undo(tx, verbs, &scope, &piece)?;
        }
        diesel::update(t::table.find(row.id))
            .set((t::undone_at.eq(tx.now), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
            .execute(tx.conn)?;
        tx.audit(Action::Undo.code(), "imports", Some(row.id), None, Some(&json!({"resource": row.resource, "rows_undone": undone})));
        jobs::finish(tx, job, JobState::Done, None)
    })
}

/// Fails with the rows whose records were changed or deleted since.
fn untouched(tx: &mut Tx<'_>, verbs: &'static dyn Verbs, row: &Row, pieces: i32) -> Result<()> {
    let mut touched = Vec::new();
    let mut more = 0_usize;
    for position in 0..pieces {
        let vault = tx.vault;
        let piece = outcomes::piece(tx.conn, vault, row.id, position)?.unwrap_or_default();
        let written = piece.rows.iter().filter(|row| matches!(row.shown.outcome, RowOutcome::Created | RowOutcome::Updated));
        let written: Vec<(u64, Id, i32)> =
            written.filter_map(|row| Some((row.shown.row, row.shown.record_id?, row.version.unwrap_or(1)))).collect();
        let present = versions(tx, verbs, written.iter().map(|(_, id, _)| *id).collect())?;
        let changed = written.iter().filter(|(_, id, version)| present.get(id) != Some(version));
        let mut told: Vec<Value> = changed.map(|(number, id, _)| json!({"row": number, "record_id": id})).collect();
        for (of, ids) in along(&piece) {
            let present = versions(tx, of, ids.clone())?;
            let changed = ids.into_iter().filter(|id| present.get(id) != Some(&1));
            told.extend(changed.map(|id| json!({"resource": of.name(), "record_id": id})));
        }
        let room = TOLD - touched.len();
        more += told.len().saturating_sub(room);
        touched.extend(told.into_iter().take(room));
    }
    if touched.is_empty() {
        return Ok(());
    }
    let n = touched.len() + more;
    Err(Error::because(
        Code::Conflict,
        format!("导入后有 {n} 行的记录已被修改或删除，不能整体撤销；请逐条处理"),
        format!("the records of {n} rows were changed or deleted since, so the import can't be undone as a whole"),
    )
    .with("touched", touched))
}

/// What was made along with the rows of a piece, by resource.
fn along(piece: &Piece) -> Vec<(&'static dyn Verbs, Vec<Id>)> {
    let mut by_resource: Vec<(&'static dyn Verbs, Vec<Id>)> = Vec::new();
    for (of, id) in &piece.along {
        match by_resource.iter_mut().find(|(verbs, _)| verbs.name() == of) {
            Some((_, ids)) => ids.push(*id),
            None => by_resource.extend(verbs::named(of).map(|verbs| (verbs, vec![*id]))),
        }
    }
    by_resource
}

fn versions(tx: &mut Tx<'_>, verbs: &'static dyn Verbs, ids: Vec<Id>) -> Result<HashMap<Id, i32>> {
    Ok(verbs.versions(tx.conn, &ids)?.into_iter().collect())
}

fn undo(tx: &mut Tx<'_>, verbs: &'static dyn Verbs, scope: &Scope, piece: &Piece) -> Result<usize> {
    let mut undone = 0;
    for row in piece.rows.iter().rev() {
        let done = match (row.shown.outcome, row.shown.record_id, &row.before) {
            (RowOutcome::Created, Some(id), _) => verbs.delete(tx, scope, id, Some(1)),
            (RowOutcome::Updated, Some(id), Some(before)) => verbs.restore(tx, scope, id, before),
            _ => continue,
        };
        // Which row stands in the way.
        done.map_err(|error| error.with("row", row.shown.row))?;
        undone += 1;
    }
    for (of, id) in piece.along.iter().rev() {
        let of = verbs::named(of).ok_or_else(Error::not_found)?;
        of.delete(tx, scope, *id, Some(1))?;
    }
    Ok(undone)
}
