//! Exports whose file is kept for a while, to be fetched: sealed, in pieces, since it may hold whole numbers.

use std::fs::File;
use std::io::Read;
use std::time::Duration;

use diesel::prelude::*;

use super::Format;
use crate::db::pieces::{column, reseals_pieces};
use crate::db::{AnyConnection, Db, Deed, Tx};
use crate::error::{Error, Result};
use crate::jobs::{self, Job};
use crate::schema::{export_file_pieces as pieces, export_files as t};
use crate::types::{Id, Instant};

/// Bytes of a piece.
const PIECE: usize = 512 * 1024;

/// An export of which a file is made.
#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct Row {
    pub id: Id,
    pub actor_id: Id,
    pub resource: String,
    /// What is asked for, as it stood in the address.
    pub query: String,
    pub format: Format,
    pub file_name: String,
    /// In whose subtree all of it lies, where it is one.
    pub organization_id: Option<Id>,
    /// The event of the audit log that tells of its beginning.
    pub begun_event_id: Id,
    pub rows_written: i64,
    /// Of the whole file, once there is one.
    pub bytes: Option<i64>,
    pub created_at: Instant,
    pub finished_at: Option<Instant>,
}

pub fn find(conn: &mut AnyConnection, id: Id) -> Result<Row> {
    Ok(t::table.find(id).select(Row::as_select()).first(conn)?)
}

/// One of somebody's own.
pub fn own(conn: &mut AnyConnection, actor: Id, id: Id) -> Result<Row> {
    Ok(t::table.find(id).filter(t::actor_id.eq(actor)).select(Row::as_select()).first(conn)?)
}

/// Keeps a file, piece by piece, as long as the job is this attempt's; what an earlier attempt has left goes first.
pub fn keep(db: &Db, job: &Job, file: &mut File, lease_seconds: i64) -> Result<i64> {
    let id = job.record_id;
    db.write_background(&job.deed(), |tx| {
        forget(tx, id)?;
        jobs::hold(tx, job, lease_seconds)
    })?;
    let mut bytes = 0;
    for position in 0_i32.. {
        let mut piece = Vec::with_capacity(PIECE);
        file.take(PIECE as u64).read_to_end(&mut piece).map_err(Error::internal)?;
        if piece.is_empty() {
            break;
        }
        bytes += i64::try_from(piece.len()).unwrap_or(i64::MAX);
        db.write_background(&job.deed(), |tx| {
            let sealed = tx.vault.seal("export_file_pieces", &column(position), id, piece.clone())?;
            diesel::insert_into(pieces::table)
                .values((pieces::export_file_id.eq(id), pieces::position.eq(position), pieces::sealed.eq(sealed)))
                .execute(tx.conn)?;
            jobs::hold(tx, job, lease_seconds)
        })?;
    }
    Ok(bytes)
}

/// Forgets the pieces of a file.
pub fn forget(tx: &mut Tx<'_>, id: Id) -> Result<()> {
    diesel::delete(pieces::table.filter(pieces::export_file_id.eq(id))).execute(tx.conn)?;
    Ok(())
}

/// Notes how an export ended; `bytes` where there is a file.
pub fn ended(tx: &mut Tx<'_>, id: Id, rows: i64, bytes: Option<i64>) -> Result<()> {
    diesel::update(t::table.find(id)).set((t::rows_written.eq(rows), t::bytes.eq(bytes), t::finished_at.eq(tx.now))).execute(tx.conn)?;
    Ok(())
}

reseals_pieces!(export_file_pieces, export_file_id, of "export_files");

/// A piece of a file; `None` after the last, and where the file was swept.
pub fn piece(db: &Db, conn: &mut AnyConnection, id: Id, position: i32) -> Result<Option<Vec<u8>>> {
    let sealed: Option<Vec<u8>> = pieces::table.find((id, position)).select(pieces::sealed).first(conn).optional()?;
    sealed.map(|sealed| db.vault().open_bytes("export_file_pieces", &column(position), id, &sealed)).transpose()
}

/// Forgets the files of exports that were asked for longer ago; that there was an export stays. Answers of how many pieces.
pub fn sweep(db: &Db, kept_for: Duration) -> Result<usize> {
    let seconds = i64::try_from(kept_for.as_secs()).unwrap_or(i64::MAX);
    let before = Instant::now().plus_seconds(-seconds);
    let old = || t::table.filter(t::created_at.lt(before)).filter(t::finished_at.is_not_null()).select(t::id);
    let any: Option<Id> = db.run(true, |conn| {
        Ok(pieces::table.filter(pieces::export_file_id.eq_any(old())).select(pieces::export_file_id).first(conn).optional()?)
    })?;
    if any.is_none() {
        return Ok(0);
    }
    db.write_background(&Deed::of_operator("sweep"), |tx| {
        Ok(diesel::delete(pieces::table.filter(pieces::export_file_id.eq_any(old()))).execute(tx.conn)?)
    })
}
