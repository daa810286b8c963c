//! The rows of an import: read, checked and written a piece at a time, by whoever holds the transaction.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::columns::{self, Column};
use super::outcomes::{KeptRow, Piece, RowOutcome, RowResult};
use super::people;
use crate::db::Tx;
use crate::error::{Code, Error, Language, Result, Says};
use crate::files::read::{Cell, RawRow, Table};
use crate::jobs::Rows;
use crate::policy::Scope;
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
        Failed = "failed", "有错误，未导入", "nothing was imported";
        Cancelled = "cancelled", "已取消", "cancelled";
        WouldComplete = "would_complete", "试运行通过", "a dry run without faults";
        WouldFail = "would_fail", "试运行发现错误", "a dry run that found faults";
    }
}

/// A fault of one cell or row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Fault {
    /// Row of the file, as a spreadsheet counts: the header is row 1.
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
    pub rows_created: i64,
    pub rows_updated: i64,
    pub rows_unchanged: i64,
    pub rows_failed: i64,
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
}

impl Row {
    fn text(&self, field: &str) -> Option<&str> {
        self.draft.get(field).and_then(Value::as_str)
    }
}

/// An import at work.
pub struct Import<'a> {
    verbs: &'static dyn Verbs,
    scope: &'a Scope,
    order: Order,
    columns: Vec<Column>,
    /// For each column of the file: its header and which of `columns` it is.
    header: Vec<(String, usize)>,
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
    pub fn open(verbs: &'static dyn Verbs, scope: &'a Scope, order: Order, table: &mut Table) -> Result<Self> {
        let mut import = Import {
            verbs,
            scope,
            order,
            columns: columns::of(verbs),
            header: Vec::new(),
            codes_seen: Seen::default(),
            last_row: 0,
            results: BTreeMap::new(),
            along: Vec::new(),
            report: Report {
                outcome: Outcome::Completed,
                rows_read: 0,
                rows_created: 0,
                rows_updated: 0,
                rows_unchanged: 0,
                rows_failed: 0,
                faults: Vec::new(),
                faults_total: 0,
            },
        };
        let header = table.next()?.ok_or_else(|| Error::field("/file", "not_csv", "文件是空的", "the file is empty"))?;
        import.read_header(header);
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
            self.read_row(raw);
        }
        let (faults_total, faults) = serde_json::from_str(&row.faults).map_err(Error::internal)?;
        self.results.clear();
        self.report = Report {
            outcome: Outcome::Completed,
            rows_read: row.rows_read,
            rows_created: row.rows_created,
            rows_updated: row.rows_updated,
            rows_unchanged: row.rows_unchanged,
            rows_failed: row.rows_failed,
            faults,
            faults_total,
        };
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
            self.report.rows_read += 1;
            rows.extend(self.read_row(raw));
        }
        Ok((read > 0).then_some(rows))
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

    fn read_header(&mut self, header: RawRow) {
        let cells = header.cells.into_iter().map(|cell| if let Cell::Text(text) = cell { text } else { String::new() });
        for cell in cells {
            match self.columns.iter().position(|column| column.is_called(&cell)) {
                Some(i) if self.header.iter().any(|(_, other)| *other == i) => {
                    self.fault(1, Some(cell), "duplicate_column", &Says::new("此列出现了不止一次", "the column stands more than once"));
                }
                Some(i) => self.header.push((cell.trim().to_owned(), i)),
                None => {
                    let known: Vec<&str> =
                        self.columns.iter().map(|column| column.headers_zh.first().copied().unwrap_or(&column.header)).collect();
                    let known_en: Vec<&str> = self.columns.iter().map(|column| column.header.as_str()).collect();
                    let says = Says::new(
                        format!("没有此列；可用：{}", known.join("、")),
                        format!("there is no such column; known: {}", known_en.join(", ")),
                    );
                    self.fault(1, Some(cell), "unknown_column", &says);
                }
            }
        }
        let missing: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .filter(|(i, column)| column.required && !self.header.iter().any(|(_, present)| present == i))
            .map(|(_, column)| column.headers_zh.first().map_or_else(|| column.header.clone(), |zh| format!("{}（{zh}）", column.header)))
            .collect();
        for column in missing {
            self.fault(1, Some(column), "missing_column", &Says::new("缺少此必填列", "this required column is missing"));
        }
        if self.order.mode == Mode::Upsert && !self.header.iter().any(|(_, i)| self.columns[*i].header == "code") {
            self.fault(1, Some("code".into()), "missing_column", &Says::new("更新模式需要编码列 code", "an upsert needs the column code"));
        }
    }

    fn read_row(&mut self, row: RawRow) -> Option<Row> {
        let number = row.number;
        if row.cells.len() != self.header.len() {
            let (have, want) = (row.cells.len(), self.header.len());
            let says = Says::new(format!("此行有 {have} 格，表头有 {want} 格"), format!("the row has {have} cells, the header {want}"));
            self.fault(number, None, "wrong_number_of_cells", &says);
            return None;
        }
        let mut draft = Map::new();
        for (cell, (_, column)) in row.cells.iter().zip(&self.header) {
            if let Cell::Text(text) = cell {
                self.columns[*column].put(text, &mut draft);
            }
        }
        if let Some(code) = draft.get("code").and_then(Value::as_str)
            && !self.codes_seen.insert(code)
        {
            let header = self.header_of("code");
            self.fault(number, header, "duplicate_code", &Says::new("此编码在文件中已出现过", "the code stands in the file already"));
            return None;
        }
        Some(Row { number, draft })
    }

    fn header_of(&self, column: &str) -> Option<String> {
        self.header.iter().find(|(_, i)| self.columns[*i].header == column).map(|(header, _)| header.clone())
    }

    /// Rows that name others of these, such as their parents, are written after them. Over more than one chunk it is the
    /// file that puts parents first.
    pub fn write(&mut self, tx: &mut Tx<'_>, mut rows: Vec<Row>) -> Result<()> {
        let own: Vec<String> =
            self.columns.iter().filter(|c| c.refers_to == Some(self.verbs.name())).map(|c| c.field().to_owned()).collect();
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
        let referring: Vec<(String, usize)> = self.header.iter().filter(|(_, i)| self.columns[*i].refers_to.is_some()).cloned().collect();
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
            for row in rows.iter_mut() {
                let Some(code) = row.text(&field).map(str::to_owned) else { continue };
                match ids.get(&code) {
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
        rows.retain(|row| !broken.contains(&row.number));
        Ok(())
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
