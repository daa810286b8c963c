//! Reading a file of rows: what it is, and its rows one by one.

mod delimited;
mod section;
mod text;

use std::fs::File;
use std::sync::Arc;

use serde_json::Value;

use self::section::Section;
use crate::error::{Error, Result};
use crate::types::text_enum;

text_enum! {
    /// What a file of rows is.
    Format {
        Csv = "csv", "CSV 文本", "CSV";
        Xlsx = "xlsx", "Excel 工作簿", "Excel workbook";
        Ndjson = "ndjson", "每行一个 JSON 对象", "a JSON object a line";
        Json = "json", "JSON 数组", "JSON array";
    }
}

text_enum! {
    /// How the characters of a text file are written.
    Encoding {
        Utf8 = "utf-8", "UTF-8", "UTF-8";
        Utf8Bom = "utf-8-bom", "带标记的 UTF-8", "UTF-8 with a byte order mark";
        Gb18030 = "gb18030", "GB18030（含 GBK、GB2312）", "GB18030, with GBK and GB2312 in it";
        Utf16Le = "utf-16le", "UTF-16 小端", "UTF-16, little-endian";
        Utf16Be = "utf-16be", "UTF-16 大端", "UTF-16, big-endian";
    }
}

text_enum! {
    /// What the file was packed into.
    Compression {
        None = "none", "未压缩", "not packed";
        Zip = "zip", "ZIP", "ZIP";
        Gzip = "gzip", "GZIP", "gzip";
    }
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub format: Format,
    /// Of a text; a workbook has none that would matter.
    pub encoding: Option<Encoding>,
    pub compression: Compression,
    /// Of a workbook: the name of the sheet that is read.
    pub sheet: Option<String>,
}

/// How much a file may hold. Whatever goes beyond is refused with `too_large` and told which limit it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one cell, and of one row's text.
    pub cell: usize,
    /// Cells of one row.
    pub columns: usize,
    /// Rows that are not blank.
    pub rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { cell: 1024 * 1024, columns: 500, rows: 2_000_000 }
    }
}

/// What stands in one cell, as far as the file itself says it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Empty,
    Text(String),
    /// The digits as they stand in the file, so that no amount goes through a binary fraction.
    Number(String),
    Date(chrono::NaiveDate),
    Bool(bool),
    /// Of a JSON file, whose rows have this one cell: the whole object.
    Json(Value),
}

impl Cell {
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.trim().is_empty(),
            _ => false,
        }
    }
}

/// A row as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct RawRow {
    /// As a spreadsheet counts, from 1; of a file of JSON lines the line, from 1; of a JSON array the place, from 1.
    pub number: u64,
    pub cells: Vec<Cell>,
}

/// An open file and where one is in it.
pub struct Table {
    found: Found,
    rows: delimited::Rows,
    file: Arc<File>,
    whole: Section,
    name: Option<String>,
    limits: Limits,
    /// Rows that were given, blank ones not counted.
    given: u64,
}

/// Opens a file of rows by what is in it. `name` is what its owner calls it.
///
/// # Errors
/// `validation_failed` at `/file` where it is none of the formats or is broken, `too_large` where it goes beyond a limit.
pub fn open(file: File, name: Option<&str>, limits: &Limits) -> Result<Table> {
    let file = Arc::new(file);
    open_shared(file, name, limits)
}

fn open_shared(file: Arc<File>, name: Option<&str>, limits: &Limits) -> Result<Table> {
    let section = Section::whole(file.clone()).map_err(Error::internal)?;
    let (rows, encoding) = delimited::open(section.clone())?;
    let found = Found { format: Format::Csv, encoding: Some(encoding), compression: Compression::None, sheet: None };
    Ok(Table { found, rows, file, whole: section, name: name.map(str::to_owned), limits: *limits, given: 0 })
}

impl Table {
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The next row that is not blank; `None` after the last.
    ///
    /// # Errors
    /// As for [`open`].
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after an error; a reader stops there")]
    pub fn next(&mut self) -> Result<Option<RawRow>> {
        while let Some(row) = self.rows.next()? {
            if row.cells.iter().all(Cell::is_blank) {
                continue;
            }
            self.given += 1;
            return Ok(Some(row));
        }
        Ok(None)
    }

    /// How much of the file is read, from 0 to 1.
    pub fn part(&self) -> f64 {
        self.whole.part()
    }

    /// Goes forward until the next row is the first one after row `number`.
    pub fn skip_past(&mut self, number: u64) -> Result<()> {
        while self.rows.number() < number && self.next()?.is_some() {}
        Ok(())
    }

    /// The same file from its first row on.
    pub fn reopened(&self) -> Result<Self> {
        open_shared(self.file.clone(), self.name.as_deref(), &self.limits)
    }
}
