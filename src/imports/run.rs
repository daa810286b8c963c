//! The rows of an import: read, checked and written a piece at a time, by whoever holds the transaction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::cells::{self, Kind, Refused};
use super::columns::{self, Column, Headers};
use super::layout::{self, Example, Mapping, Place, Told};
use super::lines;
use super::outcomes::{KeptRow, Piece, RowOutcome, RowResult};
use super::people;
use crate::db::Tx;
use crate::error::{Code, Error, Language, Result, Says};
use crate::files::read::{Cell, FileFormat, Found, RawRow, Table, malformed};
use crate::jobs::Rows;
use crate::policy::Scope;
use crate::resources::references;
use crate::types::{Id, text_enum};
use crate::web::verbs::{Verbs, Written, named};

/// Rows that are read, checked and written together.
const PIECE: usize = 1_000;
/// Faults that are told; more are counted.
const FAULTS_TOLD: usize = 1_000;

text_enum! {
    /// What rows do to records that exist.
    Mode {
        Create = "create", "只新建", "create only";
        Upsert = "upsert", "有则更新，无则新建", "update what exists, create what does not";
    }
}

text_enum! {
    /// What a wrong row does to the others.
    OnError {
        Abort = "abort", "全部不导入", "nothing is imported";
        Skip = "skip", "跳过错误行", "wrong rows are left out";
    }
}

text_enum! {
    /// How an import ended.
    Outcome {
        Completed = "completed", "已完成", "completed";
        CompletedWithFaults = "completed_with_faults", "已完成，有跳过的行", "completed, some rows left out";
        BrokenOff = "broken_off", "未能读完，此前的行已导入", "could not be read to its end; the rows before are imported";
        Failed = "failed", "有错误，未导入", "nothing was imported";
        Cancelled = "cancelled", "已取消", "cancelled";
        WouldComplete = "would_complete", "试运行通过", "a dry run without faults";
        WouldFail = "would_fail", "试运行发现错误", "a dry run that found faults";
    }
}

impl Outcome {
    /// Whether what was written is there.
    pub fn keeps(self) -> bool {
        matches!(self, Self::Completed | Self::CompletedWithFaults | Self::BrokenOff | Self::Cancelled)
    }
}

/// A fault of one cell or row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Row of the file, as a spreadsheet counts; of a JSON file the line or the place of the object.
    #[schema(example = 7)]
    pub row: u64,
    /// The header as it stands in the file; null when the whole row is meant.
    pub column: Option<String>,
    #[schema(example = "invalid_phone")]
    pub code: String,
    pub message: String,
}

/// What an import has done so far.
#[derive(Debug, Clone)]
pub struct Report {
    pub outcome: Outcome,
    pub rows_read: i64,
    /// Rows that are no records: totals (合计、总计、小计) and the example of a template.
    pub rows_left_out: i64,
    pub rows_created: i64,
    pub rows_updated: i64,
    pub rows_unchanged: i64,
    pub rows_failed: i64,
    /// Headers of columns that only show something, as exports have them: known, and left alone.
    pub ignored_columns: Vec<String>,
    /// The first of them.
    pub faults: Vec<Fault>,
    pub faults_total: i64,
}

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub mode: Mode,
    pub dry_run: bool,
    pub on_error: OnError,
    pub language: Language,
}

/// A row that could be read.
#[derive(Debug, Clone)]
pub struct Row {
    number: u64,
    draft: Map<String, Value>,
    /// References that a JSON file gives by id, as a draft does: for these there is no code to look up.
    by_id: Vec<String>,
    /// Something of it could not be read: only what else is wrong with it is looked for.
    spoilt: bool,
}

impl Row {
    fn text(&self, field: &str) -> Option<&str> {
        if self.by_id.iter().any(|by_id| by_id == field) { None } else { self.draft.get(field).and_then(Value::as_str) }
    }
}

/// An import at work.
pub struct Import<'a> {
    verbs: &'static dyn Verbs,
    scope: &'a Scope,
    order: Order,
    /// Those that are written, and after them those that only show something.
    columns: Vec<Column>,
    headers: Headers,
    mapping: &'a Mapping,
    /// For each column of the file that is imported: its header and which of `columns` it is.
    header: Vec<(String, usize)>,
    /// What stands in each place of a row.
    places: Vec<Place>,
    header_row: u64,
    found: Found,
    codes_seen: Seen,
    /// Of the file, the last that was read.
    last_row: u64,
    report: Report,
    /// What became of the rows of the present piece, by their numbers.
    results: BTreeMap<u64, KeptRow>,
    along: Vec<(String, Id)>,
}

/// Where an import stands between two pieces.
pub struct Stand {
    report: Report,
    results: BTreeMap<u64, KeptRow>,
}

/// Texts that were met, a million of them in a few megabytes: by two keyed hashes, which for different texts are not the
/// same.
#[derive(Default)]
struct Seen {
    hashes: HashSet<(u64, u64)>,
    keys: (RandomState, RandomState),
}

impl Seen {
    /// Whether it is met for the first time.
    fn insert(&mut self, text: &str) -> bool {
        self.hashes.insert((self.keys.0.hash_one(text), self.keys.1.hash_one(text)))
    }
}

impl<'a> Import<'a> {
    /// Reads the header. Fails where it is not one, with every fault of it.
    pub fn open(verbs: &'static dyn Verbs, scope: &'a Scope, order: Order, table: &mut Table, mapping: &'a Mapping) -> Result<Self> {
        let columns: Vec<Column> = columns::of(verbs).into_iter().chain(columns::shown(verbs)).collect();
        let mut import = Import {
            verbs,
            scope,
            order,
            headers: Headers::of(&columns),
            columns,
            mapping,
            header: Vec::new(),
            places: Vec::new(),
            header_row: 0,
            found: table.found().clone(),
            codes_seen: Seen::default(),
            last_row: 0,
            results: BTreeMap::new(),
            along: Vec::new(),
            report: Report {
                outcome: Outcome::Completed,
                rows_read: 0,
                rows_left_out: 0,
                rows_created: 0,
                rows_updated: 0,
                rows_unchanged: 0,
                rows_failed: 0,
                ignored_columns: Vec::new(),
                faults: Vec::new(),
                faults_total: 0,
            },
        };
        import.read_header(table)?;
        // A header that is wrong leaves no row to skip; and where a file has none, its first row may hold numbers that
        // must not be kept with the faults.
        if import.report.faults_total > 0 { Err(refused(&import.report)) } else { Ok(import) }
    }

    /// Goes on after the last row that an earlier attempt has kept.
    pub fn resume(&mut self, table: &mut Table, row: &super::store::Row) -> Result<()> {
        let last = u64::try_from(row.last_row).unwrap_or_default();
        while self.last_row < last {
            // What was met counts for what comes.
            let Some(raw) = table.next()? else { break };
            self.last_row = raw.number;
            self.read(raw, table);
        }
        self.results.clear();
        self.report = super::shown::report(row)?;
        Ok(())
    }

    /// The next rows that could be read; what is wrong with the others is noted. `None` after the last.
    pub fn read_piece(&mut self, table: &mut Table) -> Result<Option<Vec<Row>>> {
        let mut rows = Vec::with_capacity(PIECE);
        let mut read = 0;
        while read < PIECE {
            let Some(raw) = table.next()? else { break };
            read += 1;
            self.last_row = raw.number;
            rows.extend(self.read(raw, table));
        }
        Ok((read > 0).then_some(rows))
    }

    fn read(&mut self, raw: RawRow, table: &Table) -> Option<Row> {
        if self.leaves_out(&raw) {
            return None;
        }
        self.report.rows_read += 1;
        if self.is_json() { self.read_object(raw) } else { self.read_row(&raw, table) }
    }

    /// What became of the rows since this was last asked.
    pub fn take_piece(&mut self) -> Piece {
        let rows: Vec<KeptRow> = std::mem::take(&mut self.results).into_values().collect();
        let failed = rows.iter().filter(|row| row.shown.outcome == RowOutcome::Failed).count();
        self.report.rows_failed += i64::try_from(failed).unwrap_or(i64::MAX);
        Piece { rows, along: std::mem::take(&mut self.along) }
    }

    pub fn stand(&self) -> Stand {
        Stand { report: self.report.clone(), results: self.results.clone() }
    }

    /// Forgets what was written since.
    pub fn go_back_to(&mut self, stand: &Stand) {
        self.report = stand.report.clone();
        self.results = stand.results.clone();
        self.along.clear();
    }

    pub fn report(&self) -> &Report {
        &self.report
    }

    pub fn header_row(&self) -> u64 {
        self.header_row
    }

    pub fn found(&self) -> &Found {
        &self.found
    }

    pub fn last_row(&self) -> u64 {
        self.last_row
    }

    pub fn counted(&self) -> Rows {
        let Report { rows_read, rows_created, rows_updated, rows_unchanged, rows_failed, .. } = self.report;
        Rows { read: rows_read, created: rows_created, updated: rows_updated, unchanged: rows_unchanged, failed: rows_failed }
    }

    fn became(&mut self, row: u64, outcome: RowOutcome, record_id: Id, changed: Option<(Value, i32)>) {
        let (before, version) = changed.unzip();
        let shown = RowResult { row, outcome, record_id: Some(record_id), faults: Vec::new() };
        self.results.insert(row, KeptRow { shown, before, version });
    }

    fn fault(&mut self, row: u64, column: Option<String>, code: &str, says: &Says) {
        self.report.faults_total += 1;
        let fault = Fault { row, column, code: code.to_owned(), message: says.in_language(self.order.language).to_owned() };
        if self.report.faults.len() < FAULTS_TOLD {
            self.report.faults.push(fault.clone());
        }
        let failed = || RowResult { row, outcome: RowOutcome::Failed, record_id: None, faults: Vec::new() };
        let kept = self.results.entry(row).or_insert_with(|| KeptRow { shown: failed(), before: None, version: None });
        kept.shown.faults.push(fault);
    }

    fn is_json(&self) -> bool {
        matches!(self.found.format, FileFormat::Ndjson | FileFormat::Json)
    }

    fn read_header(&mut self, table: &mut Table) -> Result<()> {
        if self.is_json() {
            // Each object names its own members, any of the columns.
            let written = self.columns.iter().enumerate().filter(|(_, column)| !column.read_only);
            self.header = written.map(|(i, column)| (column.header.clone(), i)).collect();
            return Ok(());
        }
        let row = layout::header_row(table, &self.headers, self.mapping)?;
        let row = row.ok_or_else(|| Error::field("/file", "empty_file", "文件是空的", "the file is empty"))?;
        self.header_row = row.number;
        let names: Vec<String> = row.cells.iter().map(layout::name).collect();
        for name in &names {
            let place = self.place(name);
            self.places.push(place);
        }
        for header in layout::unused(self.mapping, &names) {
            let says = Says::new(
                "映射中的此表头在文件里没有；请核对文字",
                "the mapping names this header and the file has none such; compare the words",
            );
            self.fault(self.header_row, Some(header), "missing_header", &says);
        }
        self.check_header();
        Ok(())
    }

    /// What stands below a header.
    fn place(&mut self, name: &str) -> Place {
        if name.is_empty() {
            return Place::Nameless;
        }
        let row = self.header_row;
        match layout::told(name, &self.headers, self.mapping) {
            Told::Ignored => Place::Ignored,
            Told::RowNumber => Place::RowNumber,
            Told::Column(meaning) if self.columns[meaning.column].read_only => {
                self.ignore(name);
                Place::Ignored
            }
            Told::Column(meaning) if self.header.iter().any(|(_, other)| *other == meaning.column) => {
                let says = Says::new("此列出现了不止一次", "the column stands more than once");
                self.fault(row, Some(name.to_owned()), "duplicate_column", &says);
                Place::Ignored
            }
            Told::Column(meaning) => {
                self.header.push((name.to_owned(), meaning.column));
                Place::Column { at: self.header.len() - 1, unit: meaning.unit }
            }
            Told::Nothing => {
                let says = self.known_columns("没有此列", "there is no such column");
                self.fault(row, Some(name.to_owned()), "unknown_column", &says);
                Place::Ignored
            }
            Told::Mapped(column) => {
                let says = self.known_columns(
                    &format!("映射所指的列“{column}”不存在"),
                    &format!("the mapping gives it the column '{column}', which there isn't"),
                );
                self.fault(row, Some(name.to_owned()), "unknown_column", &says);
                Place::Ignored
            }
        }
    }

    /// Notes a column that only shows something.
    fn ignore(&mut self, name: &str) {
        if !self.report.ignored_columns.iter().any(|ignored| ignored == name) {
            self.report.ignored_columns.push(name.to_owned());
        }
    }

    fn known_columns(&self, zh: &str, en: &str) -> Says {
        let written = || self.columns.iter().filter(|column| !column.read_only);
        let known: Vec<&str> = written().map(|column| column.headers_zh.first().unwrap_or(&column.header).as_str()).collect();
        let known_en: Vec<&str> = written().map(|column| column.header.as_str()).collect();
        Says::new(format!("{zh}；可用：{}", known.join("、")), format!("{en}; known: {}", known_en.join(", ")))
    }

    /// What the header row must have.
    fn check_header(&mut self) {
        let row = self.header_row;
        let missing: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(i, column)| column.required && !self.header.iter().any(|(_, present)| present == i))
            .map(|(_, column)| match column.headers_zh.first() {
                Some(zh) => format!("{}（{zh}）", column.header),
                None => column.header.clone(),
            })
            .collect();
        for column in missing {
            self.fault(row, Some(column), "missing_column", &Says::new("缺少此必填列", "this required column is missing"));
        }
        if self.order.mode == Mode::Upsert && !self.header.iter().any(|(_, i)| self.columns[*i].header == "code") {
            self.fault(
                row,
                Some("code".into()),
                "missing_column",
                &Says::new("更新模式需要编码列 code", "an upsert needs the column code"),
            );
        }
    }

    /// Whether a row is no record; an example that was filled in but not called something else is a fault.
    fn leaves_out(&mut self, row: &RawRow) -> bool {
        if self.is_json() {
            return false;
        }
        let left_out = layout::is_total(&row.cells)
            || match layout::example(row, &self.places, |at| &self.columns[self.header[at].1]) {
                Example::No => false,
                Example::Unchanged => true,
                Example::Changed => {
                    let says = Says::new(
                        "此行仍标为“示例”但内容已改；如为正式数据，请把“示例”改为序号，否则请删除此行",
                        "the row is still marked as the example (示例) and has been changed; number it if it is a record, or else delete it",
                    );
                    self.report.rows_read += 1;
                    self.fault(row.number, None, "example_row_changed", &says);
                    return true;
                }
            };
        self.report.rows_left_out += i64::from(left_out);
        left_out
    }

    fn read_row(&mut self, raw: &RawRow, table: &Table) -> Option<Row> {
        let number = raw.number;
        let (have, want) = (raw.cells.len(), self.places.len());
        let beyond = raw.cells.iter().skip(want).any(|cell| !cell.is_blank());
        // A workbook leaves out the empty cells at the end of a row.
        let short =
            self.found.format == FileFormat::Csv && self.places.iter().skip(have).any(|place| matches!(place, Place::Column { .. }));
        if beyond || short {
            let says = Says::new(format!("此行有 {have} 格，表头有 {want} 格"), format!("the row has {have} cells, the header {want}"));
            self.fault(number, None, "wrong_number_of_cells", &says);
            return None;
        }
        let mut draft = Map::new();
        let mut refusals = Vec::new();
        for (i, (cell, place)) in raw.cells.iter().zip(&self.places).enumerate() {
            match place {
                Place::Column { at, unit } => {
                    let column = &self.columns[self.header[*at].1];
                    match cells::value(column.content, &column.entries, *unit, cell, |serial| table.day(serial)) {
                        Ok(Some(value)) => column.put(value, &mut draft),
                        Ok(None) => {}
                        Err(refused) => refusals.push((*at, refused)),
                    }
                }
                Place::Nameless if !cell.is_blank() => {
                    let says = Says::new(
                        format!("第 {} 列没有表头，此格却有内容；请补上表头或清空此格", i + 1),
                        format!("column {} has no header and this row has something there; name the column or empty the cell", i + 1),
                    );
                    self.fault(number, None, "cell_without_header", &says);
                    return None;
                }
                _ => {}
            }
        }
        self.kept(Row { number, draft, by_id: Vec::new(), spoilt: false }, refusals)
    }

    /// An object of a JSON file: its members are columns, by any of their names, or fields as a draft has them.
    fn read_object(&mut self, row: RawRow) -> Option<Row> {
        let number = row.number;
        let members = match row.cells.into_iter().next() {
            Some(Cell::Json(Value::Object(members))) => members,
            Some(Cell::Text(text)) => {
                self.fault(number, None, "malformed_json", &malformed(&text));
                return None;
            }
            _ => return None,
        };
        let mut row = Row { number, draft: Map::new(), by_id: Vec::new(), spoilt: false };
        let mut refusals = Vec::new();
        for (name, value) in members {
            let by_id = self.verbs.references().iter().any(|reference| reference.field == name);
            let meaning = match layout::told(&name, &self.headers, self.mapping) {
                Told::Ignored | Told::RowNumber => continue,
                _ if by_id => {
                    row.by_id.push(name.clone());
                    row.draft.insert(name, value);
                    continue;
                }
                Told::Column(meaning) if self.columns[meaning.column].read_only => {
                    self.ignore(&name);
                    continue;
                }
                Told::Column(meaning) => meaning,
                Told::Nothing => {
                    let line = lines::read(&self.columns, Map::from_iter([(name.clone(), value)]));
                    line.ignored.iter().for_each(|ignored| self.ignore(ignored));
                    if let Some(unknown) = line.unknown.into_iter().next() {
                        let says = self.known_columns("没有此列", "there is no such column");
                        self.fault(number, Some(unknown), "unknown_column", &says);
                        return None;
                    }
                    row.draft.extend(line.draft);
                    continue;
                }
                Told::Mapped(_) => {
                    let says = self.known_columns("没有此列", "there is no such column");
                    self.fault(number, Some(name), "unknown_column", &says);
                    return None;
                }
            };
            let column = &self.columns[meaning.column];
            let cell = match value {
                // JSON has no formulas: a text is the text.
                Value::String(text) if column.content != Kind::Words => Cell::Text(text),
                Value::Number(digits) if meaning.unit.is_some() => Cell::Number(digits.to_string()),
                other => {
                    column.put(other, &mut row.draft);
                    continue;
                }
            };
            // In JSON's draft every column is at the place of its own.
            match cells::value(column.content, &column.entries, meaning.unit, &cell, |_| None) {
                Ok(Some(value)) => column.put(value, &mut row.draft),
                Ok(None) => {}
                Err(refused) => refusals.push((meaning.column, refused)),
            }
        }
        if self.order.mode == Mode::Upsert && row.text("code").is_none() {
            let says = Says::new("更新模式需要编码 code", "an upsert needs the code");
            self.fault(number, Some("code".into()), "required", &says);
            return None;
        }
        self.kept(row, refusals)
    }

    /// The row, if all its cells could be read and its code is new to the file. With cells that could not, its other faults are
    /// told at the same time.
    fn kept(&mut self, row: Row, refusals: Vec<(usize, Refused)>) -> Option<Row> {
        let number = row.number;
        if !refusals.is_empty() {
            let known: Vec<usize> = refusals.iter().map(|(i, _)| self.header[*i].1).collect();
            for (i, refused) in refusals {
                self.fault(number, Some(self.header[i].0.clone()), refused.code, &refused.says);
            }
            self.tell_others(&row, &known);
            // It goes on to where its references are looked up, and no further.
            return Some(Row { spoilt: true, ..row });
        }
        let draft = &row.draft;
        if let Some(code) = draft.get("code").and_then(Value::as_str)
            && !self.codes_seen.insert(code)
        {
            let header = self.header_of("code");
            self.fault(number, header, "duplicate_code", &Says::new("此编码在文件中已出现过", "the code stands in the file already"));
            return None;
        }
        Some(row)
    }

    /// Tells what else is wrong with a row that can't be written: not of the columns that are known to be wrong, nor of
    /// references, whose codes are no ids yet.
    fn tell_others(&mut self, row: &Row, known: &[usize]) {
        let mut others = self.verbs.faults(&Value::Object(row.draft.clone()));
        others.retain(|fault| {
            let at = |column: &Column| fault.pointer.strip_prefix("/0").is_some_and(|rest| column.is_at(rest));
            let mut columns = self.columns.iter().enumerate();
            !columns.any(|(i, column)| (column.refers_to.is_some() || known.contains(&i)) && at(column))
        });
        self.tell(std::slice::from_ref(row), &Error::invalid(others));
    }

    fn header_of(&self, column: &str) -> Option<String> {
        self.header.iter().find(|(_, i)| self.columns[*i].header == column).map(|(header, _)| header.clone())
    }

    /// Rows that name others of these, such as their parents, are written after them. Over more than one chunk it is the
    /// file that puts parents first.
    pub fn write(&mut self, tx: &mut Tx<'_>, mut rows: Vec<Row>) -> Result<()> {
        let own: Vec<String> =
            self.columns.iter().filter(|c| c.refers_to == Some(self.verbs.name()) && !c.read_only).map(|c| c.field().to_owned()).collect();
        while !rows.is_empty() {
            let codes: HashSet<String> = rows.iter().filter_map(|row| row.text("code")).map(str::to_owned).collect();
            let waits = |row: &Row| own.iter().filter_map(|field| row.text(field)).any(|code| codes.contains(code));
            let (mut later, mut ready): (Vec<Row>, Vec<Row>) = rows.into_iter().partition(waits);
            if ready.is_empty() {
                // A circle: nothing is there yet that they name.
                std::mem::swap(&mut later, &mut ready);
            }
            self.write_ready(tx, ready)?;
            rows = later;
        }
        Ok(())
    }

    fn write_ready(&mut self, tx: &mut Tx<'_>, mut rows: Vec<Row>) -> Result<()> {
        self.resolve(tx, &mut rows)?;
        let codes: Vec<String> = rows.iter().filter_map(|row| row.text("code")).map(str::to_owned).collect();
        let existing: HashMap<String, Id> =
            if codes.is_empty() { HashMap::new() } else { self.verbs.ids_by_code(tx.conn, self.scope, &codes)?.into_iter().collect() };
        let mut new = Vec::with_capacity(rows.len());
        for row in rows {
            let known = row.text("code").and_then(|code| existing.get(code)).copied();
            match (known, self.order.mode) {
                (None, _) => new.push(row),
                (Some(_), Mode::Create) => {
                    let header = self.header_of("code");
                    let says = Says::new(
                        "此编码的记录已存在；如需更新请用 mode=upsert",
                        "a record with this code exists; to update it use mode=upsert",
                    );
                    self.fault(row.number, header, "already_exists", &says);
                }
                (Some(id), Mode::Upsert) => self.write_over(tx, id, row)?,
            }
        }
        if people::come_along(&self.columns) {
            self.recognise(tx, &mut new)?;
        }
        self.write_new(tx, new)
    }

    /// Persons who are registered already take the place of those that rows write out.
    fn recognise(&mut self, tx: &mut Tx<'_>, rows: &mut Vec<Row>) -> Result<()> {
        let doubts = people::recognise(tx, self.scope, rows.iter_mut().map(|row| (row.number, &mut row.draft)))?;
        for doubt in &doubts {
            let column = self.header.iter().find(|(_, i)| self.columns[*i].is_at(doubt.pointer)).map(|(header, _)| header.clone());
            self.fault(doubt.row, column, doubt.code, &doubt.says);
        }
        rows.retain(|row| doubts.iter().all(|doubt| doubt.row != row.number));
        Ok(())
    }

    /// Puts ids in the place of codes: one query per column that refers.
    fn resolve(&mut self, tx: &mut Tx<'_>, rows: &mut Vec<Row>) -> Result<()> {
        let refers = |i: usize| self.columns[i].refers_to.is_some() && !self.columns[i].read_only;
        let referring: Vec<(String, usize)> = self.header.iter().filter(|(_, i)| refers(*i)).cloned().collect();
        let mut broken = HashSet::new();
        for (header, i) in referring {
            let field = self.columns[i].field().to_owned();
            let of = self.columns[i].refers_to.unwrap_or_default();
            let target = named(of).ok_or_else(|| Error::internal(format_args!("no resource is called {of}")))?;
            let mut codes: Vec<String> = rows.iter().filter_map(|row| row.text(&field)).map(str::to_owned).collect();
            codes.sort_unstable();
            codes.dedup();
            if codes.is_empty() {
                continue;
            }
            let ids: HashMap<String, Id> = target.ids_by_code(tx.conn, self.scope, &codes)?.into_iter().collect();
            let foreign: Vec<String> = codes.into_iter().filter(|code| !ids.contains_key(code)).collect();
            let said = self.said_again(tx, rows, &field, of, foreign)?;
            for row in rows.iter_mut() {
                let Some(code) = row.text(&field).map(str::to_owned) else { continue };
                match ids.get(&code).or_else(|| said.get(&row.number)) {
                    Some(id) => {
                        row.draft.insert(field.clone(), id.to_string().into());
                    }
                    None => {
                        broken.insert(row.number);
                        let label = target.label();
                        // Without the cell's text: faults are kept, and in a row that has slipped it may be a number.
                        let says = Says::new(
                            format!("没有此编码的{}，或不在您的管辖范围内", label.0),
                            format!("there is no {} with this code in your scope", label.1),
                        );
                        self.fault(row.number, Some(header.clone()), "unknown_reference", &says);
                    }
                }
            }
        }
        for row in rows.iter().filter(|row| broken.contains(&row.number) && !row.spoilt) {
            self.tell_others(row, &[]);
        }
        rows.retain(|row| !broken.contains(&row.number) && !row.spoilt);
        Ok(())
    }

    /// What records refer to outside the caller's reach, where a row only says again what its record says already: by the
    /// row's number. An association's file names the one above it.
    fn said_again(&self, tx: &mut Tx<'_>, rows: &[Row], field: &str, of: &str, foreign: Vec<String>) -> Result<HashMap<u64, Id>> {
        let mut kept = HashMap::new();
        if foreign.is_empty() || self.order.mode != Mode::Upsert {
            return Ok(kept);
        }
        let foreign: HashMap<String, Id> = references::ids(tx.conn, of, &foreign)?.into_iter().map(|(id, code)| (code, id)).collect();
        for row in rows {
            let (Some(own), Some(code)) = (row.text("code"), row.text(field)) else { continue };
            let Some(named) = foreign.get(code) else { continue };
            let Some((_, id)) = self.verbs.ids_by_code(tx.conn, self.scope, &[own.to_owned()])?.pop() else { continue };
            if self.verbs.refers(tx.conn, self.scope, id, field)? == Some(*named) {
                kept.insert(row.number, *named);
            }
        }
        Ok(kept)
    }

    /// All new rows at once; where that fails, the faulty ones are named and the others tried again.
    fn write_new(&mut self, tx: &mut Tx<'_>, mut rows: Vec<Row>) -> Result<()> {
        while !rows.is_empty() {
            let drafts: Vec<Value> = rows.iter_mut().map(|row| Value::Object(std::mem::take(&mut row.draft))).collect();
            let written = tx.nested(|tx| {
                let noted = tx.noted();
                let ids = self.verbs.import_new(tx, self.scope, &drafts)?;
                Ok((ids, tx.created_since(noted, self.verbs.name())))
            });
            let error = match written {
                Ok((ids, along)) => {
                    self.report.rows_created += drafts.len() as i64;
                    self.along.extend(along);
                    for (row, id) in rows.iter().zip(ids) {
                        self.became(row.number, RowOutcome::Created, id, None);
                    }
                    return Ok(());
                }
                Err(error) => error,
            };
            for (row, draft) in rows.iter_mut().zip(drafts) {
                if let Value::Object(draft) = draft {
                    row.draft = draft;
                }
            }
            if matches!(error.code, Code::Overloaded | Code::DatabaseUnavailable | Code::StorageFull) {
                // No row is to blame.
                return Err(error);
            }
            if self.order.mode == Mode::Upsert && error.code == Code::AlreadyExists {
                let before = rows.len();
                self.write_over_those_since(tx, &mut rows)?;
                if rows.len() < before {
                    continue;
                }
            }
            let faulty = self.tell(&rows, &error);
            if faulty.is_empty() {
                // The database refused without saying which row: only alone can the culprit be found.
                return if rows.len() == 1 {
                    self.tell_alone(&rows[0], &error)
                } else {
                    rows.into_iter().try_for_each(|row| self.write_new(tx, vec![row]))
                };
            }
            rows.retain(|row| !faulty.contains(&row.number));
        }
        Ok(())
    }

    /// Rows whose codes are there by now, though they were new a moment ago: another import of the same records was first.
    fn write_over_those_since(&mut self, tx: &mut Tx<'_>, rows: &mut Vec<Row>) -> Result<()> {
        let codes: Vec<String> = rows.iter().filter_map(|row| row.text("code")).map(str::to_owned).collect();
        let since: HashMap<String, Id> = self.verbs.ids_by_code(tx.conn, self.scope, &codes)?.into_iter().collect();
        for row in std::mem::take(rows) {
            match row.text("code").and_then(|code| since.get(code)).copied() {
                Some(id) => self.write_over(tx, id, row)?,
                None => rows.push(row),
            }
        }
        Ok(())
    }

    fn write_over(&mut self, tx: &mut Tx<'_>, id: Id, row: Row) -> Result<()> {
        let value = Value::Object(row.draft.clone());
        match tx.nested(|tx| self.verbs.import_over(tx, self.scope, id, &value)) {
            Ok(Written::Updated { before, version }) => {
                self.report.rows_updated += 1;
                self.became(row.number, RowOutcome::Updated, id, Some((before, version)));
            }
            Ok(Written::Unchanged) => {
                self.report.rows_unchanged += 1;
                self.became(row.number, RowOutcome::Unchanged, id, None);
            }
            Err(mut error) => {
                for fault in &mut error.faults {
                    fault.pointer = format!("/0{}", fault.pointer);
                }
                if self.tell(std::slice::from_ref(&row), &error).is_empty() {
                    self.tell_alone(&row, &error)?;
                }
            }
        }
        Ok(())
    }

    /// Notes the faults of a refusal, whose pointers begin with the row's place in `rows`.
    fn tell(&mut self, rows: &[Row], error: &Error) -> HashSet<u64> {
        let mut faulty = HashSet::new();
        for fault in &error.faults {
            let mut parts = fault.pointer.splitn(3, '/').skip(1);
            let Some(row) = parts.next().and_then(|i| i.parse::<usize>().ok()).and_then(|i| rows.get(i)) else { continue };
            let rest = parts.next().map_or_else(String::new, |rest| format!("/{rest}"));
            let column = self
                .header
                .iter()
                .find(|(_, i)| self.columns[*i].is_at(&rest))
                .map(|(header, _)| header.clone())
                .or_else(|| (!rest.is_empty()).then(|| rest.trim_start_matches('/').replace('/', ".")));
            faulty.insert(row.number);
            self.fault(row.number, column, fault.code, &fault.message);
        }
        faulty
    }

    /// A refusal of one row as a whole. What isn't the row's fault ends the import.
    fn tell_alone(&mut self, row: &Row, error: &Error) -> Result<()> {
        if error.code.status().is_server_error() || error.code == Code::Overloaded {
            return Err(error.clone());
        }
        let says = error.detail.clone().unwrap_or_else(|| error.code.title());
        self.fault(row.number, None, error.code.as_str(), &says);
        Ok(())
    }

    /// What it comes to.
    pub fn finish(mut self) -> Report {
        self.report.faults.sort_by_key(|fault| fault.row);
        self.report.outcome = match (self.order.dry_run, self.order.on_error, self.report.faults_total > 0) {
            (true, _, false) => Outcome::WouldComplete,
            (true, _, true) => Outcome::WouldFail,
            (false, _, false) => Outcome::Completed,
            (false, OnError::Skip, true) => Outcome::CompletedWithFaults,
            (false, OnError::Abort, true) => Outcome::Failed,
        };
        if self.report.outcome == Outcome::Failed {
            // They were undone with the others.
            (self.report.rows_created, self.report.rows_updated) = (0, 0);
        }
        self.report
    }
}

/// The refusal of a file with faults: nothing was kept, and every fault is told.
pub fn refused(report: &Report) -> Error {
    let n = report.faults_total;
    Error::because(
        Code::ValidationFailed,
        format!("文件中有 {n} 处错误，未导入任何记录"),
        format!("the file has {n} faults; nothing was imported"),
    )
    .with("rows_read", report.rows_read)
    .with("rows_failed", report.rows_failed)
    .with("faults_total", report.faults_total)
    .with("faults", serde_json::to_value(&report.faults).unwrap_or_default())
}
