//! Reading a file of rows: what it is, and its rows one by one.
//!
//! Nothing is held but the row at hand, and of a workbook its shared texts, which have a limit of their own. So a file of any size
//! costs the same memory; and a file that was made to cost more is refused at the limit that it breaks.

mod delimited;
mod json;
mod packed;
mod section;
#[cfg(test)]
mod tests;
mod text;
mod xlsx;
mod xml;

use std::fs::File;
use std::sync::Arc;

use chrono::NaiveDate;
use serde_json::Value;

pub use self::json::malformed;
use self::packed::Origin;
use crate::error::{Code, Error, Result};
use crate::types::text_enum;

text_enum! {
    /// What a file of rows is.
    FileFormat {
        Csv = "csv", "CSV 文本", "CSV";
        Xlsx = "xlsx", "Excel 工作簿", "Excel workbook";
        Ndjson = "ndjson", "每行一个 JSON 对象", "a JSON object a line";
        Json = "json", "JSON 数组", "JSON array";
    }
}

text_enum! {
    /// How the characters of a text file are written.
    FileEncoding {
        Utf8 = "utf-8", "UTF-8", "UTF-8";
        Utf8Bom = "utf-8-bom", "带标记的 UTF-8", "UTF-8 with a byte order mark";
        Gb18030 = "gb18030", "GB18030（含 GBK、GB2312）", "GB18030, with GBK and GB2312 in it";
        Utf16Le = "utf-16le", "UTF-16 小端", "UTF-16, little-endian";
        Utf16Be = "utf-16be", "UTF-16 大端", "UTF-16, big-endian";
    }
}

text_enum! {
    /// What the file was packed into.
    FileCompression {
        None = "none", "未压缩", "not packed";
        Zip = "zip", "ZIP", "ZIP";
        Gzip = "gzip", "GZIP", "gzip";
    }
}

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub format: FileFormat,
    /// Of a text; a workbook has none that would matter.
    pub encoding: Option<FileEncoding>,
    pub compression: FileCompression,
    /// Of a workbook: the name of the sheet that is read.
    pub sheet: Option<String>,
}

/// How much a file may hold. Whatever goes beyond is refused with `too_large`, which tells the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file as it was sent.
    pub file: u64,
    /// Bytes of a file, or of one part of a workbook, once it is unpacked.
    pub inflated: u64,
    /// How many bytes one packed byte may become, once a mebibyte is unpacked.
    pub ratio: u64,
    /// Cells of one row.
    pub columns: usize,
    /// Bytes of one cell, and of the text of one row that is a line.
    pub cell: usize,
    /// Rows that are not blank.
    pub rows: u64,
    /// Files in an archive, and parts of a workbook.
    pub entries: usize,
    /// Cell styles of a workbook.
    pub styles: usize,
    /// Bytes of the texts that a workbook's cells share, which are held in memory.
    pub strings: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file: 50 * MIB as u64,
            inflated: 1024 * MIB as u64,
            ratio: 200,
            columns: 500,
            cell: MIB,
            rows: 2_000_000,
            entries: 1_000,
            styles: 65_536,
            strings: 64 * MIB,
        }
    }
}

const MIB: usize = 1024 * 1024;

/// What stands in one cell, as far as the file itself says it.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Empty,
    Text(String),
    /// The digits as a spreadsheet shows them at most, fifteen, so that no amount goes through a binary fraction.
    Number(String),
    Date(NaiveDate),
    Bool(bool),
    /// Of a JSON file, whose rows have this one cell: the whole object. A record that is none is a [`Cell::Text`].
    Json(Value),
    /// What a formula came to that could not be computed: `#REF!`.
    Broken,
}

impl Cell {
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Text(text) => text.chars().all(|c| c.is_whitespace() || c == '\u{FEFF}'),
            _ => false,
        }
    }
}

/// A row as it stands in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct RawRow {
    /// As a spreadsheet counts, from 1; of JSON lines the line, from 1; of a JSON array the place, from 1.
    pub number: u64,
    pub cells: Vec<Cell>,
}

enum Rows {
    Delimited(delimited::Rows),
    Lines(json::Lines),
    Array(json::Array),
    Sheet(Box<xlsx::Rows>),
}

/// An open file and where one is in it.
pub struct Table {
    found: Found,
    rows: Rows,
    origin: Origin,
    sheet: Option<String>,
    limits: Limits,
    /// A row that was read to see whether there is one.
    ahead: Option<RawRow>,
    /// Rows that were given, blank ones not counted.
    given: u64,
    /// The number of the last of them.
    last: u64,
}

/// Opens a file of rows by what is in it. `name` is what its owner calls it; what it is goes by its content alone.
///
/// # Errors
/// `validation_failed` at `/file` where it is none of the formats or is broken, `too_large` where it goes beyond a limit.
pub fn open(file: File, name: Option<&str>, limits: &Limits) -> Result<Table> {
    open_sheet(file, name, None, limits)
}

/// The same, of a workbook the sheet of this name; without one the first that has rows.
///
/// # Errors
/// Also `validation_failed` at `/sheet` where there is no such sheet.
pub fn open_sheet(file: File, name: Option<&str>, sheet: Option<&str>, limits: &Limits) -> Result<Table> {
    let origin = packed::open(Arc::new(file), name, limits)?;
    Table::of(origin, sheet.map(str::to_owned), *limits)
}

impl Table {
    fn of(origin: Origin, sheet: Option<String>, limits: Limits) -> Result<Self> {
        let mut found = Found { format: FileFormat::Csv, encoding: None, compression: origin.compression(), sheet: None };
        let (rows, ahead) = if let Some(archive) = origin.workbook() {
            let opened = xlsx::open(archive, sheet.as_deref(), &limits)?;
            found.format = FileFormat::Xlsx;
            found.sheet = Some(opened.sheet);
            (Rows::Sheet(Box::new(opened.rows)), opened.first)
        } else {
            if sheet.is_some() {
                return Err(Error::field(
                    "/sheet",
                    "no_sheets",
                    "只有 Excel 工作簿才有工作表；请去掉 sheet",
                    "only an Excel workbook has sheets; leave sheet out",
                ));
            }
            let text = text::open(&origin)?;
            found.encoding = Some(text.encoding);
            found.format = text.format;
            let stream = text::decoded(&origin, text.encoding)?;
            let rows = match text.format {
                FileFormat::Ndjson => Rows::Lines(json::Lines::new(stream, &limits)),
                FileFormat::Json => Rows::Array(json::Array::new(stream, &limits)),
                _ => Rows::Delimited(delimited::Rows::new(stream, text.delimiter, &limits)),
            };
            (rows, None)
        };
        Ok(Self { found, rows, origin, sheet, limits, ahead, given: 0, last: 0 })
    }

    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The next row that is not blank; `None` after the last.
    ///
    /// # Errors
    /// As for [`open`].
    #[expect(clippy::should_implement_trait, reason = "an iterator would go on after an error; a reader stops there")]
    pub fn next(&mut self) -> Result<Option<RawRow>> {
        loop {
            let row = match self.ahead.take() {
                Some(row) => Some(row),
                None => match &mut self.rows {
                    Rows::Delimited(rows) => rows.next()?,
                    Rows::Lines(rows) => rows.next()?,
                    Rows::Array(rows) => rows.next()?,
                    Rows::Sheet(rows) => rows.next()?,
                },
            };
            let Some(row) = row else { return Ok(None) };
            if row.cells.iter().all(Cell::is_blank) {
                continue;
            }
            self.given += 1;
            self.last = row.number;
            if self.given > self.limits.rows {
                let most = self.limits.rows;
                return Err(beyond(
                    "rows",
                    most,
                    format!("文件最多 {most} 行；请分成几个文件导入"),
                    format!("a file has at most {most} rows; split it into several"),
                ));
            }
            return Ok(Some(row));
        }
    }

    /// How much of the file is read, from 0 to 1.
    pub fn part(&self) -> f64 {
        self.origin.part()
    }

    /// Goes forward until the next row is the first one after row `number`.
    ///
    /// # Errors
    /// As for [`open`].
    pub fn skip_past(&mut self, number: u64) -> Result<()> {
        while self.last < number {
            match self.next()? {
                // A row that the file didn't have before: it is the next one.
                Some(row) if row.number > number => {
                    self.given -= 1;
                    self.ahead = Some(row);
                    break;
                }
                Some(_) => {}
                None => break,
            }
        }
        Ok(())
    }

    /// The same file from its first row on.
    ///
    /// # Errors
    /// As for [`open`].
    pub fn reopened(&self) -> Result<Self> {
        Self::of(self.origin.clone(), self.sheet.clone(), self.limits)
    }

    /// The day that a number of this file's date system stands for, where it stands for one.
    pub fn day(&self, serial: &str) -> Option<NaiveDate> {
        let since_1904 = if let Rows::Sheet(rows) = &self.rows { rows.since_1904() } else { false };
        xlsx::day(serial, since_1904)
    }
}

/// A file that can't be read as what it looks like.
fn unreadable(zh: impl Into<String>, en: impl Into<String>) -> Error {
    Error::field("/file", "unreadable_file", zh, en)
}

/// A file with no row in it.
fn empty() -> Error {
    Error::field(
        "/file",
        "empty_file",
        "文件是空的；第一行应为表头，其下每行一条记录",
        "the file is empty; its first row names the columns, each below is a record",
    )
}

/// A file that goes beyond a limit.
fn beyond(limit: &str, most: u64, zh: impl Into<String>, en: impl Into<String>) -> Error {
    Error::because(Code::TooLarge, zh, en).with("limit", limit).with("at_most", most)
}

/// A file of more than so many bytes.
pub fn too_large(most: u64) -> Error {
    let told = size(most);
    beyond("file", most, format!("文件最大 {told}；请分成几个文件"), format!("a file has at most {told}; split it into several"))
}

/// A refusal on its way through somebody else's reader.
fn through_io(error: Error) -> std::io::Error {
    std::io::Error::other(error)
}

/// What a reader failed with: a refusal that came through it, or else `broken`.
fn out_of_io(error: &std::io::Error, broken: impl FnOnce() -> Error) -> Error {
    error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned().unwrap_or_else(broken)
}

/// A number of bytes for a reader: `1 MiB`, `512 KiB`.
pub fn size(bytes: u64) -> String {
    if bytes >= MIB as u64 { format!("{} MiB", bytes / MIB as u64) } else { format!("{} KiB", bytes.div_ceil(1024)) }
}
