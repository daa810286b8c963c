//! CSV and XLSX: a header, and a row for each record.

use std::fmt::Write as _;
use std::io::{Seek, SeekFrom, Write};

use rust_xlsxwriter::{Format, Workbook, XlsxError};
use serde_json::Value;

use super::layout::{Codes, Exported, Layout, Shown, label};
use crate::error::{Code, Error, Language, Result};
use crate::files::cells::{Cell, Row};
use crate::files::guarded;

/// Rows of a sheet below its header: a sheet has 1,048,576.
pub const MOST_ROWS: u32 = 1_048_575;

/// A cell as a spreadsheet's reader sees it; numbers where the column has them.
enum Told<'a> {
    Nothing,
    Text(&'a str),
    Integer(i64),
    Number(f64),
}

/// What a column tells of a record. `scratch` holds what has to be made for it.
fn told<'a>(column: &'a Exported, row: &'a Row, codes: &'a Codes, language: Language, scratch: &'a mut String) -> Told<'a> {
    scratch.clear();
    let chinese = language == Language::Zh;
    match (column.value(row, codes), &column.shown) {
        (Cell::Empty, _) => Told::Nothing,
        (Cell::Text(code), Shown::Labelled(labels)) if chinese => Told::Text(label(labels, code)),
        (Cell::Text(json), Shown::List(labels)) => {
            let items: Vec<Value> = serde_json::from_str(json).unwrap_or_default();
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    scratch.push(',');
                }
                match item {
                    Value::String(code) if chinese => scratch.push_str(label(labels, code)),
                    Value::String(code) => scratch.push_str(code),
                    other => scratch.push_str(&other.to_string()),
                }
            }
            Told::Text(scratch)
        }
        (Cell::Text(text), _) => Told::Text(text),
        (Cell::Integer(number), _) => Told::Integer(number),
        (Cell::Number(number), _) => Told::Number(number),
        (Cell::Boolean(truth), _) => Told::Text(match (truth, chinese) {
            (true, true) => "是",
            (false, true) => "否",
            (true, false) => "true",
            (false, false) => "false",
        }),
        (Cell::Id(id), _) => {
            // Writing into a text doesn't fail.
            let _ = write!(scratch, "{}", id.hyphenated());
            Told::Text(scratch)
        }
    }
}

fn columns(layout: &Layout) -> impl Iterator<Item = &Exported> {
    layout.columns.iter().filter(|column| column.shown != Shown::Json)
}

fn header(column: &Exported, language: Language) -> &str {
    match language {
        Language::Zh => &column.header_zh,
        Language::En => &column.header_en,
    }
}

/// RFC 4180 in UTF-8, with the byte order mark without which Excel reads it as GBK.
pub struct CsvFile<W: Write> {
    writer: csv::Writer<W>,
    language: Language,
    scratch: String,
}

impl<W: Write> CsvFile<W> {
    pub fn begin(mut out: W, layout: &Layout, language: Language) -> Result<Self> {
        out.write_all(&[0xEF, 0xBB, 0xBF]).map_err(broken)?;
        let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).buffer_capacity(64 * 1024).from_writer(out);
        for column in columns(layout) {
            writer.write_field(header(column, language)).map_err(broken)?;
        }
        writer.write_record(None::<&[u8]>).map_err(broken)?;
        Ok(Self { writer, language, scratch: String::new() })
    }

    pub fn row(&mut self, layout: &Layout, row: &Row, codes: &Codes) -> Result<()> {
        let mut number = String::new();
        for column in columns(layout) {
            let written = match told(column, row, codes, self.language, &mut self.scratch) {
                Told::Nothing => self.writer.write_field(b""),
                Told::Text(text) => self.writer.write_field(guarded(text).as_bytes()),
                // A number is no formula, whatever its sign.
                Told::Integer(value) => {
                    number.clear();
                    let _ = write!(number, "{value}");
                    self.writer.write_field(&number)
                }
                Told::Number(value) => {
                    number.clear();
                    let _ = write!(number, "{value}");
                    self.writer.write_field(&number)
                }
            };
            written.map_err(broken)?;
        }
        self.writer.write_record(None::<&[u8]>).map_err(broken)
    }

    pub fn finish(mut self) -> Result<()> {
        self.writer.flush().map_err(broken)
    }
}

/// A workbook of one sheet. It lies in temporary files until it is whole, since a ZIP's directory comes last.
pub struct XlsxFile<W: Write> {
    out: W,
    book: Workbook,
    language: Language,
    text: Format,
    rows: u32,
    most: u32,
    scratch: String,
}

impl<W: Write> XlsxFile<W> {
    pub fn begin(out: W, layout: &Layout, name: &str, language: Language, most: u32) -> Result<Self> {
        let mut book = Workbook::new();
        // So that a number typed over a code stays a text as well.
        let text = Format::new().set_num_format("@");
        let bold = Format::new().set_bold();
        let sheet = book.add_worksheet_with_constant_memory().map_err(unwritten)?;
        sheet.set_name(name).map_err(unwritten)?;
        sheet.set_freeze_panes(1, 0).map_err(unwritten)?;
        for (place, column) in (0_u16..).zip(columns(layout)) {
            sheet.set_column_width(place, 16).map_err(unwritten)?;
            sheet.write_string_with_format(0, place, header(column, language), &bold).map_err(unwritten)?;
        }
        Ok(Self { out, book, language, text, rows: 0, most, scratch: String::new() })
    }

    pub fn row(&mut self, layout: &Layout, row: &Row, codes: &Codes) -> Result<()> {
        if self.rows == self.most {
            return Err(Error::field(
                "/format",
                "too_many_rows",
                format!("一张工作表最多 {} 行，结果更多：请缩小筛选范围，或改用 format=csv", self.most),
                format!("a sheet has at most {} rows, and there are more: narrow the filter, or take format=csv", self.most),
            ));
        }
        self.rows += 1;
        let sheet = self.book.worksheet_from_index(0).map_err(unwritten)?;
        for (place, column) in (0_u16..).zip(columns(layout)) {
            let written = match told(column, row, codes, self.language, &mut self.scratch) {
                Told::Nothing => continue,
                Told::Text(text) => sheet.write_string_with_format(self.rows, place, guarded(text), &self.text),
                Told::Number(number) => sheet.write_number(self.rows, place, number),
                // A spreadsheet's numbers have 53 bits; what has more would come back as another.
                #[allow(clippy::cast_precision_loss)]
                Told::Integer(number) if number.unsigned_abs() <= 1 << 53 => sheet.write_number(self.rows, place, number as f64),
                Told::Integer(number) => sheet.write_string_with_format(self.rows, place, number.to_string(), &self.text),
            };
            written.map_err(unwritten)?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<()> {
        let mut whole = tempfile::tempfile().map_err(Error::internal)?;
        self.book.save_to_writer(&mut whole).map_err(unwritten)?;
        whole.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
        std::io::copy(&mut whole, &mut self.out).map_err(broken)?;
        self.out.flush().map_err(broken)
    }
}

/// Who takes the file has gone, or is too slow: nobody is left to tell it to.
pub fn broken(error: impl std::fmt::Display) -> Error {
    log::debug!("an export was broken off: {error}");
    Error::because(Code::RequestTimeout, "导出被中断", "the export was broken off")
}

fn unwritten(error: XlsxError) -> Error {
    match error {
        XlsxError::IoError(error) => Error::of_file(error),
        XlsxError::MaxStringLengthExceeded => Error::field(
            "/format",
            "text_too_long",
            "有一格文字超过 32767 个字，Excel 放不下：请改用 format=csv",
            "a text has more than 32,767 characters, which a sheet can't hold: take format=csv",
        ),
        error => Error::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a sheet can't hold is refused, and the refusal tells what to do.
    #[test]
    fn a_sheet_has_so_many_rows() {
        let verbs = crate::web::verbs::named("goods").expect("a resource");
        let layout = Layout::of(verbs, false);
        let (row, codes) = (Row::of(layout.slots), Codes::new());
        let mut file = XlsxFile::begin(Vec::new(), &layout, "宣传品", Language::Zh, 2).expect("a sheet");
        assert!(file.row(&layout, &row, &codes).is_ok() && file.row(&layout, &row, &codes).is_ok());
        let error = file.row(&layout, &row, &codes).expect_err("a full sheet");
        assert_eq!((error.code, error.faults[0].code), (Code::ValidationFailed, "too_many_rows"));
        assert!(error.faults[0].message.zh.contains("format=csv"));
        file.finish().expect("a workbook");
    }
}
