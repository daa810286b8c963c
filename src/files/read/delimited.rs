//! CSV: text with a cell after another and a row a line.

use super::packed::{Bounded, Stream};
use super::{Cell, Limits, RawRow, beyond, out_of_io, size, unreadable};
use crate::error::{Error, Result};

const BUFFER: usize = 64 * 1024;

/// The rows of a text.
pub struct Rows {
    reader: csv::Reader<Bounded<Stream>>,
    record: csv::StringRecord,
    number: u64,
    columns: usize,
}

impl Rows {
    pub fn new(text: Stream, delimiter: u8, limits: &Limits) -> Self {
        let text = Bounded::new(text, limits.cell, BUFFER, too_long);
        let reader =
            csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).has_headers(false).buffer_capacity(BUFFER).from_reader(text);
        Self { reader, record: csv::StringRecord::new(), number: 0, columns: limits.columns }
    }

    pub fn next(&mut self) -> Result<Option<RawRow>> {
        self.reader.get_mut().mark();
        let before = self.reader.position().line();
        if !self.reader.read_record(&mut self.record).map_err(|error| refused(&error))? {
            return Ok(None);
        }
        // A spreadsheet counts the blank lines that the reader leaves out, and a cell of several lines once.
        let lines = self.reader.position().line() - before;
        let inside = self.record.iter().map(|cell| cell.bytes().filter(|byte| *byte == b'\n').count() as u64).sum::<u64>();
        self.number += lines.saturating_sub(inside).max(1);
        if self.record.len() > self.columns {
            return Err(too_many_columns(self.number, self.columns));
        }
        let cells = self.record.iter().map(|cell| if cell.is_empty() { Cell::Empty } else { Cell::Text(cell.to_owned()) }).collect();
        Ok(Some(RawRow { number: self.number, cells }))
    }
}

pub fn too_many_columns(row: u64, most: usize) -> Error {
    beyond(
        "columns",
        most as u64,
        format!("第 {row} 行超过 {most} 列；请只保留需要导入的列"),
        format!("row {row} has more than {most} columns; keep only those to be imported"),
    )
}

pub fn too_long(most: u64) -> Error {
    let told = size(most);
    beyond(
        "cell",
        most,
        format!("有一行或一格超过 {told}；请检查引号是否成对，并分行保存"),
        format!("a row or cell has more than {told}; see that quotes are closed and each record has a row of its own"),
    )
}

fn refused(error: &csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    let broken = || unreadable(format!("第 {line} 行无法按 CSV 读取"), format!("line {line} can't be read as CSV"));
    if let csv::ErrorKind::Io(error) = error.kind() { out_of_io(error, broken) } else { broken() }
}
