//! What became of each row. A thousand rows are one sealed, deflated piece: whole numbers may stand in what a changed
//! record said before, and a million rows are a thousand pieces.
//!
//! Pieces are written to a nameless file first ([`Spool`]), since an import that is undone as a whole must still tell
//! what was wrong with it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use diesel::prelude::*;
use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::run::Fault;
use crate::db::pieces::{column, reseals_pieces};
use crate::db::{AnyConnection, Tx};
use crate::error::{Error, Result};
use crate::schema::import_outcomes as t;
use crate::types::{Id, text_enum};
use crate::vault::Vault;

text_enum! {
    /// What became of a row.
    RowOutcome {
        Created = "created", "已新建", "created";
        Updated = "updated", "已更新", "updated";
        Unchanged = "unchanged", "无变化", "unchanged";
        Failed = "failed", "有错误", "failed";
        NotImported = "not_imported", "未导入", "not imported";
    }
}

/// A row and what became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RowResult {
    /// Row of the file, as a spreadsheet counts.
    #[schema(example = 7)]
    pub row: u64,
    pub outcome: RowOutcome,
    /// The record that it made or changed.
    pub record_id: Option<Id>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

/// A row as it is kept, with what an undoing needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptRow {
    pub shown: RowResult,
    /// What would have made the record what it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The record's version since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i32>,
}

/// Rows that were written together.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Piece {
    pub rows: Vec<KeptRow>,
    /// Records of other resources that were made along with these, such as the persons of volunteers.
    pub along: Vec<(String, Id)>,
}

impl Piece {
    fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.shown.outcome == RowOutcome::Failed).count()
    }
}

#[derive(Insertable)]
#[diesel(table_name = t)]
struct PieceRow {
    import_id: Id,
    position: i32,
    first_row: i64,
    last_row: i64,
    failed: i32,
    sealed: Vec<u8>,
}

reseals_pieces!(import_outcomes, import_id, of "imports");

/// Keeps a piece in its place.
pub fn keep(tx: &mut Tx<'_>, import_id: Id, position: i32, piece: &Piece) -> Result<()> {
    let mut deflated = ZlibEncoder::new(Vec::new(), Compression::fast());
    serde_json::to_writer(&mut deflated, piece).map_err(Error::internal)?;
    let deflated = deflated.finish().map_err(Error::internal)?;
    let number = |row: Option<&KeptRow>| row.and_then(|row| i64::try_from(row.shown.row).ok()).unwrap_or_default();
    let row = PieceRow {
        import_id,
        position,
        first_row: number(piece.rows.first()),
        last_row: number(piece.rows.last()),
        failed: i32::try_from(piece.failed()).unwrap_or(i32::MAX),
        sealed: tx.vault.seal("import_outcomes", &column(position), import_id, deflated)?,
    };
    diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
    Ok(())
}

/// Pieces on their way into the database.
#[derive(Debug)]
pub struct Spool {
    file: File,
    lengths: Vec<usize>,
}

impl Spool {
    pub fn new() -> Result<Self> {
        Ok(Self { file: tempfile::tempfile().map_err(Error::internal)?, lengths: Vec::new() })
    }

    /// The spool is a file on disk: what goes there is sealed, too.
    pub fn push(&mut self, vault: &Vault, import_id: Id, piece: &Piece) -> Result<()> {
        if piece.rows.is_empty() {
            return Ok(());
        }
        let sealed = vault.seal("import_outcomes", "spool", import_id, serde_json::to_vec(piece).map_err(Error::internal)?)?;
        self.file.write_all(&sealed).map_err(Error::of_file)?;
        self.lengths.push(sealed.len());
        Ok(())
    }

    /// Keeps all of them, in the order that they came in.
    pub fn keep(&mut self, tx: &mut Tx<'_>, import_id: Id) -> Result<()> {
        self.file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
        for (position, length) in (0..).zip(&self.lengths) {
            let mut sealed = vec![0; *length];
            self.file.read_exact(&mut sealed).map_err(Error::internal)?;
            let plain = tx.vault.open_bytes("import_outcomes", "spool", import_id, &sealed)?;
            keep(tx, import_id, position, &serde_json::from_slice(&plain).map_err(Error::internal)?)?;
        }
        Ok(())
    }
}

/// The piece at a position; `None` where there is none.
pub fn piece(conn: &mut AnyConnection, vault: &Vault, import_id: Id, position: i32) -> Result<Option<Piece>> {
    let sealed: Option<Vec<u8>> = t::table.find((import_id, position)).select(t::sealed).first(conn).optional()?;
    let Some(sealed) = sealed else { return Ok(None) };
    let deflated = vault.open_bytes("import_outcomes", &column(position), import_id, &sealed)?;
    Ok(Some(serde_json::from_reader(ZlibDecoder::new(deflated.as_slice())).map_err(Error::internal)?))
}

/// How many pieces there are: the position of the next.
pub fn pieces(conn: &mut AnyConnection, import_id: Id) -> Result<i32> {
    let last: Option<i32> = t::table.filter(t::import_id.eq(import_id)).select(diesel::dsl::max(t::position)).first(conn)?;
    Ok(last.map_or(0, |last| last + 1))
}

/// At most `limit` rows after row `after`, of one outcome where that is asked for.
///
/// Where only the failed are asked for, pieces without any are passed over by what stands beside them.
pub fn page(
    conn: &mut AnyConnection,
    vault: &Vault,
    import_id: Id,
    (outcome, undone): (Option<RowOutcome>, bool),
    after: u64,
    limit: usize,
) -> Result<Vec<RowResult>> {
    let after_row = i64::try_from(after).unwrap_or(i64::MAX);
    let mut found: Vec<RowResult> = Vec::new();
    let mut from = -1;
    while found.len() < limit {
        let mut next = t::table
            .filter(t::import_id.eq(import_id))
            .filter(t::position.gt(from))
            .filter(t::last_row.gt(after_row))
            .order(t::position)
            .select(t::position)
            .into_boxed::<crate::db::Any>();
        if outcome == Some(RowOutcome::Failed) {
            next = next.filter(t::failed.gt(0));
        }
        let Some(position) = next.first::<i32>(conn).optional()? else { break };
        let rows = piece(conn, vault, import_id, position)?.unwrap_or_default().rows;
        let rows = rows.into_iter().map(|row| if undone { row.shown.not_imported() } else { row.shown });
        found.extend(rows.filter(|row| row.row > after && outcome.is_none_or(|outcome| row.outcome == outcome)));
        from = position;
    }
    found.truncate(limit);
    Ok(found)
}

impl RowResult {
    /// The row of an import that was undone as a whole: what was right is not there either.
    fn not_imported(mut self) -> Self {
        if self.outcome != RowOutcome::Failed {
            self.outcome = RowOutcome::NotImported;
            self.record_id = None;
        }
        self
    }
}
