//! CSV: text with a cell after another and a row a line.

use super::section::Section;
use super::{Cell, Encoding, RawRow, text};
use crate::error::{Error, Result};

/// The rows of a text.
pub struct Rows {
    reader: csv::Reader<Section>,
    record: csv::ByteRecord,
    number: u64,
}

pub fn open(section: Section) -> Result<(Rows, Encoding)> {
    let start = section.start(4096).map_err(Error::internal)?;
    let head = start.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if head.contains(&0) || start.starts_with(b"PK\x03\x04") {
        return Err(not_csv("文件不是 CSV（Excel 文件请另存为“CSV UTF-8”）", "the file is not CSV; save an Excel file as 'CSV UTF-8'"));
    }
    let encoding = text::encoding(&start);
    let text = text::without_mark(section, encoding).map_err(Error::internal)?;
    let reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).buffer_capacity(64 * 1024).from_reader(text);
    Ok((Rows { reader, record: csv::ByteRecord::new(), number: 0 }, encoding))
}

impl Rows {
    /// Of the row that was read last.
    pub fn number(&self) -> u64 {
        self.number
    }

    pub fn next(&mut self) -> Result<Option<RawRow>> {
        if !self.reader.read_byte_record(&mut self.record).map_err(|error| unreadable(&error))? {
            return if self.number == 0 { Err(not_csv("文件是空的", "the file is empty")) } else { Ok(None) };
        }
        self.number += 1;
        let cells = self.record.iter().map(|cell| match std::str::from_utf8(cell) {
            Ok("") => Ok(Cell::Empty),
            Ok(text) => Ok(Cell::Text(text.to_owned())),
            Err(_) => {
                Err(not_csv("文件不是 UTF-8 编码的 CSV；请另存为“CSV UTF-8”", "the file is not CSV in UTF-8; save it as 'CSV UTF-8'"))
            }
        });
        Ok(Some(RawRow { number: self.number, cells: cells.collect::<Result<_>>()? }))
    }
}

fn not_csv(zh: &str, en: &str) -> Error {
    Error::field("/file", "not_csv", zh, en)
}

fn unreadable(error: &csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    not_csv(&format!("第 {line} 行无法按 CSV 读取"), &format!("line {line} can't be read as CSV"))
}
