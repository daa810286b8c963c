//! Excel workbooks (ECMA-376): the cells of one sheet in the order of the file.
//!
//! A number is read by its digits, since an amount must not go through a binary fraction; a number that is shown as a day is one. What
//! a formula came to is read, the formula isn't; nothing outside the workbook is ever looked at.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{Days, NaiveDate};
use quick_xml::events::BytesStart;

use super::delimited::{too_long, too_many_columns};
use super::packed::{Archive, Part};
use super::xml::{Node, Xml, attribute, malformed};
use super::{Cell, Limits, RawRow, beyond, size};
use crate::error::{Error, Result};

/// The rows and columns that a sheet can have.
const LAST_ROW: u64 = 1_048_576;
const LAST_COLUMN: usize = 16_384;
/// What a number holds on its way through a spreadsheet.
const DIGITS: usize = 15;

/// A sheet that was chosen, and its first row, where one was read to choose it.
pub struct Opened {
    pub sheet: String,
    pub rows: Rows,
    pub first: Option<RawRow>,
}

struct Sheet {
    name: String,
    path: String,
    hidden: bool,
}

/// Opens the sheet of this name; without one the first visible sheet that has rows.
pub fn open(archive: &Arc<Archive>, wanted: Option<&str>, limits: &Limits) -> Result<Opened> {
    let book = Book::read(archive, limits)?;
    if let Some(wanted) = wanted {
        let Some(sheet) = book.sheets.iter().find(|sheet| sheet.name.trim() == wanted.trim()) else {
            let known: Vec<&str> = book.sheets.iter().filter(|sheet| !sheet.hidden).map(|sheet| sheet.name.as_str()).collect();
            return Err(Error::field(
                "/sheet",
                "unknown_sheet",
                format!("工作簿中没有此工作表；有：{}", known.join("、")),
                format!("the workbook has no such sheet; it has: {}", known.join(", ")),
            ));
        };
        return Ok(Opened { sheet: sheet.name.clone(), rows: book.rows(archive, sheet, limits)?, first: None });
    }
    for sheet in book.sheets.iter().filter(|sheet| !sheet.hidden) {
        let mut rows = book.rows(archive, sheet, limits)?;
        while let Some(row) = rows.next()? {
            if !row.cells.iter().all(Cell::is_blank) {
                return Ok(Opened { sheet: sheet.name.clone(), rows, first: Some(row) });
            }
        }
    }
    Err(super::empty())
}

/// What all sheets of a workbook share.
struct Book {
    sheets: Vec<Sheet>,
    texts: Arc<Texts>,
    /// For each cell style whether it shows a number as a day.
    days: Arc<Vec<bool>>,
    since_1904: bool,
}

impl Book {
    fn read(archive: &Archive, limits: &Limits) -> Result<Self> {
        let main = relations(archive, "_rels/.rels", "", limits)?
            .into_values()
            .find(|(kind, _)| kind.ends_with("/officeDocument"))
            .map_or_else(|| "xl/workbook.xml".to_owned(), |(_, path)| path);
        let (folder, name) = main.rsplit_once('/').unwrap_or(("", &main));
        let relations = relations(archive, &format!("{folder}/_rels/{name}.rels"), folder, limits)?;
        let mut xml = Xml::new(archive.part(&main).ok_or_else(malformed)?.stream(limits), limits);
        let (mut sheets, mut since_1904) = (Vec::new(), false);
        loop {
            let start = match xml.next()? {
                Node::Start(start) | Node::Alone(start) => start,
                Node::EndOfDocument => break,
                _ => continue,
            };
            match start.local_name().into_inner() {
                "workbookPr" => since_1904 = attribute(&start, "date1904")?.is_some_and(|text| text == "1" || text == "true"),
                "sheet" if sheets.len() < limits.entries => {
                    let (Some(name), Some(id)) = (attribute(&start, "name")?, attribute(&start, "id")?) else { continue };
                    // Sheets of charts have no rows.
                    if let Some((kind, path)) = relations.get(&id)
                        && kind.ends_with("/worksheet")
                    {
                        let hidden = attribute(&start, "state")?.is_some_and(|state| state != "visible");
                        sheets.push(Sheet { name, path: path.clone(), hidden });
                    }
                }
                _ => {}
            }
        }
        let part = |what: &str| relations.values().find(|(kind, _)| kind.ends_with(what)).and_then(|(_, path)| archive.part(path));
        let days = part("/styles").map_or_else(|| Ok(Vec::new()), |part| styles(part, limits))?;
        let texts = part("/sharedStrings").map_or_else(|| Ok(Texts::default()), |part| Texts::read(part, limits))?;
        Ok(Self { sheets, texts: Arc::new(texts), days: Arc::new(days), since_1904 })
    }

    fn rows(&self, archive: &Archive, sheet: &Sheet, limits: &Limits) -> Result<Rows> {
        let part = archive.part(&sheet.path).ok_or_else(malformed)?;
        Ok(Rows {
            xml: Xml::new(part.stream(limits), limits),
            texts: self.texts.clone(),
            days: self.days.clone(),
            since_1904: self.since_1904,
            limits: *limits,
            number: 0,
            ended: false,
        })
    }
}

/// What a part refers to: by id the kind and the path.
fn relations(archive: &Archive, path: &str, folder: &str, limits: &Limits) -> Result<HashMap<String, (String, String)>> {
    let mut found = HashMap::new();
    let Some(part) = archive.part(path) else { return Ok(found) };
    let mut xml = Xml::new(part.stream(limits), limits);
    loop {
        let start = match xml.next()? {
            Node::Start(start) | Node::Alone(start) => start,
            Node::EndOfDocument => return Ok(found),
            _ => continue,
        };
        // What lies outside the workbook is nothing of ours.
        if start.local_name().into_inner() != "Relationship" || attribute(&start, "TargetMode")?.is_some_and(|mode| mode == "External") {
            continue;
        }
        if let (Some(id), Some(kind), Some(target)) = (attribute(&start, "Id")?, attribute(&start, "Type")?, attribute(&start, "Target")?) {
            let path = if target.starts_with('/') || folder.is_empty() { target } else { format!("{folder}/{target}") };
            found.insert(id, (kind, path));
        }
        if found.len() > limits.entries {
            return Err(malformed());
        }
    }
}

/// For each cell style whether it shows a number as a day.
fn styles(part: &Part, limits: &Limits) -> Result<Vec<bool>> {
    let mut xml = Xml::new(part.stream(limits), limits);
    let (mut formats, mut days): (HashMap<u32, bool>, Vec<bool>) = (HashMap::new(), Vec::new());
    let (mut of_cells, mut count) = (false, 0);
    loop {
        let start = match xml.next()? {
            Node::Start(start) | Node::Alone(start) => start,
            Node::End(end) => {
                of_cells &= end.local_name().into_inner() != "cellXfs";
                continue;
            }
            Node::EndOfDocument => return Ok(days),
            Node::Text(_) => continue,
        };
        let number = |name| attribute(&start, name).map(|text| text.and_then(|text| text.parse::<u32>().ok()));
        match start.local_name().into_inner() {
            "cellXfs" => of_cells = true,
            "numFmt" => {
                if let (Some(id), Some(code)) = (number("numFmtId")?, attribute(&start, "formatCode")?) {
                    formats.insert(id, shows_a_day(&code));
                }
                count += 1;
            }
            "xf" => {
                count += 1;
                if of_cells {
                    let id = number("numFmtId")?.unwrap_or_default();
                    days.push(formats.get(&id).copied().unwrap_or_else(|| BUILT_IN_DAYS.contains(&id)));
                }
            }
            _ => {}
        }
        if count > limits.styles {
            let most = limits.styles;
            return Err(beyond(
                "styles",
                most as u64,
                format!("工作簿的单元格样式超过 {most} 个；请把数据粘贴为值到新的工作簿后上传"),
                format!("the workbook has more than {most} cell styles; paste the data as values into a new workbook and send that"),
            ));
        }
    }
}

/// The built-in formats that show a day, those for Chinese among them (ECMA-376 part 1, 18.8.30).
const BUILT_IN_DAYS: &[u32] = &[14, 15, 16, 17, 22, 27, 28, 29, 30, 31, 36, 50, 51, 52, 53, 54, 57, 58];

/// Whether a format of the workbook's own shows a day: it has a year or a day of the month outside quotes and brackets.
fn shows_a_day(code: &str) -> bool {
    let (mut quoted, mut bracketed, mut escaped) = (false, false, false);
    // Of several sections the first is for numbers that are not negative.
    for c in code.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' | '_' | '*' if !quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => bracketed = true,
            ']' if !quoted => bracketed = false,
            ';' if !quoted => return false,
            'y' | 'Y' | 'd' | 'D' if !quoted && !bracketed => return true,
            _ => {}
        }
    }
    false
}

/// The texts that cells refer to by number, one after another.
#[derive(Default)]
struct Texts {
    all: String,
    ends: Vec<u32>,
}

impl Texts {
    fn read(part: &Part, limits: &Limits) -> Result<Self> {
        let mut xml = Xml::new(part.stream(limits), limits);
        let mut texts = Self::default();
        let mut reading = Reading::default();
        loop {
            match xml.next()? {
                Node::Start(start) => reading.start(&start),
                // One that is empty.
                Node::Alone(start) if start.local_name().into_inner() == "si" => texts.ends.push(texts.place()),
                Node::Alone(_) => {}
                Node::Text(text) if reading.reads() => texts.all.push_str(&text),
                Node::Text(_) => {}
                Node::End(end) => {
                    let name = end.local_name().into_inner();
                    reading.end(name);
                    if name == "si" {
                        texts.ends.push(texts.place());
                    }
                }
                Node::EndOfDocument => return Ok(texts),
            }
            if texts.all.len() + texts.ends.len() * size_of::<u32>() > limits.strings.min(u32::MAX as usize) {
                let most = size(limits.strings as u64);
                return Err(beyond(
                    "strings",
                    limits.strings as u64,
                    format!("工作簿的文字超过 {most}；请分成几个文件，或另存为 CSV"),
                    format!("the workbook's texts are more than {most}; split it into several files, or save it as CSV"),
                ));
            }
        }
    }

    fn place(&self) -> u32 {
        u32::try_from(self.all.len()).unwrap_or(u32::MAX)
    }

    fn get(&self, i: usize) -> Option<&str> {
        let end = *self.ends.get(i)? as usize;
        let begin = i.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        self.all.get(begin..end)
    }
}

/// Whether one is in a text that counts: not in the reading aid that may stand beside it.
#[derive(Default)]
struct Reading {
    text: bool,
    aid: bool,
}

impl Reading {
    fn start(&mut self, start: &BytesStart<'_>) {
        match start.local_name().into_inner() {
            "t" => self.text = true,
            "rPh" => self.aid = true,
            _ => {}
        }
    }

    fn end(&mut self, name: &str) {
        match name {
            "t" => self.text = false,
            "rPh" => self.aid = false,
            _ => {}
        }
    }

    fn reads(&self) -> bool {
        self.text && !self.aid
    }
}

/// The rows of a sheet.
pub struct Rows {
    xml: Xml,
    texts: Arc<Texts>,
    days: Arc<Vec<bool>>,
    since_1904: bool,
    limits: Limits,
    number: u64,
    ended: bool,
}

/// How a cell says what it is.
#[derive(Default)]
struct Head {
    column: usize,
    kind: String,
    style: usize,
}

impl Rows {
    pub fn since_1904(&self) -> bool {
        self.since_1904
    }

    pub fn next(&mut self) -> Result<Option<RawRow>> {
        while !self.ended {
            match self.xml.next()? {
                Node::Start(start) if start.local_name().into_inner() == "row" => {
                    self.number = numbered(&start, self.number)?;
                    let cells = self.cells()?;
                    return Ok(Some(RawRow { number: self.number, cells }));
                }
                Node::Alone(start) if start.local_name().into_inner() == "row" => self.number = numbered(&start, self.number)?,
                Node::EndOfDocument => self.ended = true,
                _ => {}
            }
        }
        Ok(None)
    }

    fn cells(&mut self) -> Result<Vec<Cell>> {
        let mut cells = Vec::new();
        let mut head = Head::default();
        let mut next = 0;
        let (mut text, mut value, mut reading) = (String::new(), false, Reading::default());
        loop {
            match self.xml.next()? {
                Node::Start(start) => match start.local_name().into_inner() {
                    "c" => {
                        head = Head::of(&start, next)?;
                        text.clear();
                    }
                    "v" => value = true,
                    _ => reading.start(&start),
                },
                Node::Alone(start) => {
                    if start.local_name().into_inner() == "c" {
                        next = Head::of(&start, next)?.column + 1;
                    }
                }
                Node::Text(piece) if value || reading.reads() => {
                    text.push_str(&piece);
                    if text.len() > self.limits.cell {
                        return Err(too_long(self.limits.cell as u64));
                    }
                }
                Node::Text(_) => {}
                Node::End(end) => match end.local_name().into_inner() {
                    "c" => {
                        next = head.column + 1;
                        let cell = self.cell(&head, &text)?;
                        if cell == Cell::Empty {
                            continue;
                        }
                        if head.column >= self.limits.columns {
                            return Err(too_many_columns(self.number, self.limits.columns));
                        }
                        if cells.len() <= head.column {
                            cells.resize(head.column + 1, Cell::Empty);
                        }
                        cells[head.column] = cell;
                    }
                    "v" => value = false,
                    "row" => return Ok(cells),
                    name => reading.end(name),
                },
                Node::EndOfDocument => return Err(malformed()),
            }
        }
    }

    fn cell(&self, head: &Head, text: &str) -> Result<Cell> {
        Ok(match head.kind.as_str() {
            "s" => {
                let shared = text.trim().parse().ok().and_then(|i| self.texts.get(i)).ok_or_else(malformed)?;
                worded(shared)
            }
            "str" | "inlineStr" => worded(text),
            "b" if !text.trim().is_empty() => Cell::Bool(text.trim() == "1" || text.trim() == "true"),
            "e" => Cell::Broken,
            "d" => match text.get(..10).and_then(|day| day.parse().ok()) {
                Some(day) => Cell::Date(day),
                None => worded(text),
            },
            _ if text.trim().is_empty() => Cell::Empty,
            _ => {
                let is_day = self.days.get(head.style).copied().unwrap_or(false);
                match exact(text.trim()) {
                    Some(digits) => is_day.then(|| day(&digits, self.since_1904)).flatten().map_or(Cell::Number(digits), Cell::Date),
                    None => worded(text),
                }
            }
        })
    }
}

impl Head {
    fn of(start: &BytesStart<'_>, next: usize) -> Result<Self> {
        let column = match attribute(start, "r")? {
            Some(place) => column(&place).ok_or_else(malformed)?,
            None => next,
        };
        if column >= LAST_COLUMN {
            return Err(malformed());
        }
        let style = attribute(start, "s")?.and_then(|text| text.parse().ok()).unwrap_or_default();
        Ok(Self { column, kind: attribute(start, "t")?.unwrap_or_default(), style })
    }
}

/// The number of a row: its own, or one after the last.
fn numbered(start: &BytesStart<'_>, last: u64) -> Result<u64> {
    let number = match attribute(start, "r")? {
        Some(text) => text.parse().map_err(|_| malformed())?,
        None => last + 1,
    };
    if number > last && number <= LAST_ROW { Ok(number) } else { Err(malformed()) }
}

/// The column of a place, from 0: `B7` is 1.
fn column(place: &str) -> Option<usize> {
    let letters = place.bytes().take_while(u8::is_ascii_alphabetic).take(4);
    let column = letters.fold(0, |column, letter| column * 26 + usize::from(letter.to_ascii_uppercase() - b'A') + 1);
    column.checked_sub(1)
}

fn worded(text: &str) -> Cell {
    if text.is_empty() { Cell::Empty } else { Cell::Text(unescaped(text)) }
}

/// Characters that XML has no place for stand as `_x000D_`.
fn unescaped(text: &str) -> String {
    if !text.contains("_x") {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(place) = rest.find("_x") {
        out.push_str(&rest[..place]);
        rest = &rest[place..];
        let code = rest.get(2..6).filter(|_| rest.as_bytes().get(6) == Some(&b'_'));
        match code.and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32) {
            Some(c) => {
                out.push(c);
                rest = &rest[7..];
            }
            None => {
                out.push_str("_x");
                rest = &rest[2..];
            }
        }
    }
    out.push_str(rest);
    out
}

/// A number as plain digits: fifteen at most, as a spreadsheet keeps and shows them, so `3500.0999999999999` is `3500.1`.
pub fn exact(text: &str) -> Option<String> {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text.bytes().enumerate().all(|(i, byte)| byte.is_ascii_digit() || byte == b'.' || (i == 0 && byte == b'-'));
    if text.len() > 400 {
        return None;
    }
    let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
    if plain && digits <= DIGITS {
        return Some(text.to_owned());
    }
    let scientific = format!("{:.*e}", DIGITS - 1, number.abs());
    let (mantissa, exponent) = scientific.split_once('e')?;
    let exponent: i32 = exponent.parse().ok()?;
    let mantissa: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let sign = if number < 0.0 { "-" } else { "" };
    let whole = exponent + 1;
    let plain = if whole <= 0 {
        format!("0.{}{mantissa}", "0".repeat(usize::try_from(-whole).ok()?))
    } else {
        let whole = usize::try_from(whole).ok()?;
        let padded = format!("{mantissa:0<whole$}");
        format!("{}.{}", &padded[..whole], &padded[whole..])
    };
    Some(format!("{sign}{}", plain.trim_end_matches('0').trim_end_matches('.')))
}

/// The day that a serial number stands for; its time of day is left out.
///
/// In the system of 1900 the first of January 1900 is 1, and 60 a 29 February that there wasn't, as in Lotus 1-2-3; in that of 1904
/// the first of January 1904 is 0.
pub fn day(serial: &str, since_1904: bool) -> Option<NaiveDate> {
    let whole = serial.split('.').next()?;
    let days: u64 = whole.parse().ok().filter(|days| *days <= 2_958_465)?;
    if since_1904 {
        return NaiveDate::from_ymd_opt(1904, 1, 1)?.checked_add_days(Days::new(days));
    }
    match days {
        0 | 60 => None,
        1..60 => NaiveDate::from_ymd_opt(1899, 12, 31)?.checked_add_days(Days::new(days)),
        _ => NaiveDate::from_ymd_opt(1899, 12, 30)?.checked_add_days(Days::new(days)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The serials of `china.md` §5, and the borders of both systems.
    #[test]
    fn serials_are_days() {
        let of = |serial: &str, since_1904| day(serial, since_1904).map(|day| day.to_string());
        for (serial, wanted) in [
            ("44729", "2022-06-17"),
            ("44774", "2022-08-01"),
            ("61", "1900-03-01"),
            ("45351", "2024-02-29"),
            ("1", "1900-01-01"),
            ("59", "1900-02-28"),
            ("44729.75", "2022-06-17"),
        ] {
            assert_eq!(of(serial, false).as_deref(), Some(wanted), "{serial}");
        }
        assert_eq!(of("43267", true).as_deref(), Some("2022-06-17"));
        assert_eq!(of("0", true).as_deref(), Some("1904-01-01"));
        for nothing in ["0", "60", "-1", "3000000", "x", ""] {
            assert_eq!(of(nothing, false), None, "{nothing}");
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        for (text, wanted) in [
            ("3500.1", "3500.1"),
            ("3500.0999999999999", "3500.1"),
            ("0.30000000000000004", "0.3"),
            ("4.10105E+17", "410105000000000000"),
            ("1.38001380000000000E10", "13800138000"),
            ("-1.5e-3", "-0.0015"),
            ("1E-7", "0.0000001"),
            ("410105199001011264", "410105199001011000"),
            ("13800138000.0", "13800138000.0"),
        ] {
            assert_eq!(exact(text).as_deref(), Some(wanted), "{text}");
        }
        for nothing in ["nan", "inf", "1e999", "", "x", "--1"] {
            assert_eq!(exact(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn formats_that_show_a_day() {
        for code in
            ["yyyy-mm-dd", "yyyy\"年\"m\"月\"d\"日\"", "m/d", "[$-804]yyyy/m/d;@", "[$-F800]dddd, mmmm dd, yyyy", "dd.mm.yyyy hh:mm"]
        {
            assert!(shows_a_day(code), "{code}");
        }
        for code in ["General", "0.00", "#,##0.00\"元\"", "h:mm", "[h]:mm:ss", "\"day\"0", "0\\d", "[Red]0", "@", "0.00E+00"] {
            assert!(!shows_a_day(code), "{code}");
        }
    }

    #[test]
    fn places_and_escapes() {
        assert_eq!([column("A1"), column("Z9"), column("AA10"), column("XFD1")], [Some(0), Some(25), Some(26), Some(16_383)]);
        assert_eq!(column("7"), None);
        assert_eq!(unescaped("一_x000D_二_x_三_x00ZZ_"), "一\r二_x_三_x00ZZ_");
    }
}
