//! The files of imports, and what is kept of an import: any server that shares the database can go on with it.
//!
//! Files hold whole numbers, so they are sealed, in pieces; they are kept for a while, so that a file can be had back with its
//! faults and an import can be undone, and swept afterwards.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::time::Duration;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};

use super::run::{Mode, OnError, Outcome};
use crate::db::pieces::{column, reseals_pieces};
use crate::db::{AnyConnection, Db, Deed, Tx};
use crate::error::{Error, Result};
use crate::files::read::{FileCompression, FileEncoding, FileFormat};
use crate::schema::{import_files, import_outcomes, imports as t};
use crate::types::{Id, Instant};

/// Of a file, in the database.
const PIECE: usize = 512 * 1024;

/// An import as it is kept.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct Row {
    pub id: Id,
    pub code: String,
    pub actor_id: Id,
    pub resource: String,
    pub mode: Mode,
    pub dry_run: bool,
    pub on_error: OnError,
    pub file_name: Option<String>,
    pub file_sha256: String,
    /// Once it has ended.
    pub outcome: Option<Outcome>,
    pub rows_read: i64,
    pub rows_created: i64,
    pub rows_updated: i64,
    pub rows_unchanged: i64,
    pub rows_failed: i64,
    /// How many there are, and the first of them, as JSON.
    pub faults: String,
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
    pub file_bytes: i64,
    /// [`Options`] as JSON.
    pub options: String,
    /// What the file turned out to be.
    pub format: Option<FileFormat>,
    pub encoding: Option<FileEncoding>,
    pub compression: Option<FileCompression>,
    pub sheet: Option<String>,
    pub rows_left_out: i64,
    /// Headers that only show something, as a JSON array.
    pub ignored_columns: String,
    /// Up to which row of the file what was right is kept: where an import that leaves wrong rows out goes on.
    pub last_row: i64,
    /// The earlier import of the same file.
    pub repeats_id: Option<Id>,
    pub finished_at: Option<Instant>,
    pub undone_at: Option<Instant>,
}

/// What else was asked for of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    /// Of a workbook: the sheet to read.
    pub sheet: Option<String>,
    /// Headers of the file, each with the column that it means.
    pub mapping: BTreeMap<String, Option<String>>,
}

pub fn find(conn: &mut AnyConnection, id: Id) -> Result<Row> {
    Ok(t::table.find(id).select(Row::as_select()).first(conn)?)
}

/// Seals a file away.
pub fn keep_file(tx: &mut Tx<'_>, import_id: Id, file: &File) -> Result<()> {
    let mut file = file.try_clone().map_err(Error::internal)?;
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    for position in 0_i32.. {
        let mut piece = Vec::new();
        (&mut file).take(PIECE as u64).read_to_end(&mut piece).map_err(Error::internal)?;
        if piece.is_empty() {
            break;
        }
        let sealed = tx.vault.seal("import_files", &column(position), import_id, piece)?;
        diesel::insert_into(import_files::table)
            .values((import_files::import_id.eq(import_id), import_files::position.eq(position), import_files::sealed.eq(sealed)))
            .execute(tx.conn)?;
    }
    Ok(())
}

reseals_pieces!(import_files, import_id, of "imports");

/// The file of an import, in a nameless file on this machine; `None` when it was swept.
pub fn file(db: &Db, import_id: Id) -> Result<Option<File>> {
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    for position in 0_i32.. {
        let sealed: Option<Vec<u8>> = db
            .run(true, |conn| Ok(import_files::table.find((import_id, position)).select(import_files::sealed).first(conn).optional()?))?;
        let Some(sealed) = sealed else {
            file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
            return Ok((position > 0).then_some(file));
        };
        let piece = db.vault().open_bytes("import_files", &column(position), import_id, &sealed)?;
        file.write_all(&piece).map_err(Error::of_file)?;
    }
    Ok(None)
}

/// Forgets the files and the rows' outcomes of imports that were made longer ago; the imports themselves stay. Answers
/// of how many.
pub fn sweep(db: &Db, kept_for: Duration) -> Result<usize> {
    let seconds = i64::try_from(kept_for.as_secs()).unwrap_or(i64::MAX);
    let before = Instant::now().plus_seconds(-seconds);
    let old = || t::table.filter(t::created_at.lt(before)).filter(t::outcome.is_not_null()).select(t::id);
    let any: Option<Id> = db.run(true, |conn| {
        Ok(import_files::table.filter(import_files::import_id.eq_any(old())).select(import_files::import_id).first(conn).optional()?)
    })?;
    if any.is_none() {
        return Ok(0);
    }
    db.write_background(&Deed::of_operator("sweep"), |tx| {
        let files = diesel::delete(import_files::table.filter(import_files::import_id.eq_any(old()))).execute(tx.conn)?;
        diesel::delete(import_outcomes::table.filter(import_outcomes::import_id.eq_any(old()))).execute(tx.conn)?;
        Ok(files)
    })
}
