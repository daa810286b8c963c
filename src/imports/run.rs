//! One import from its first row to its last, inside one transaction.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::columns::{self, Column};
use super::lines;
use crate::db::Tx;
use crate::error::{Code, Error, Language, Result, Says};
use crate::policy::Scope;
use crate::resources::references;
use crate::types::{Id, text_enum};
use crate::web::body;
use crate::web::verbs::{Verbs, Written, named};

/// Rows that are read, checked and written together.
const CHUNK: usize = 1_000;
const BUFFER: usize = 64 * 1024;
/// Bytes of a line of NDJSON.
const LONGEST_LINE: u64 = 1024 * 1024;
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
        WouldComplete = "would_complete", "试运行通过", "a dry run without faults";
        WouldFail = "would_fail", "试运行发现错误", "a dry run that found faults";
    }
}

/// A fault of one cell or row.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
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

/// What an import did.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Report {
    /// Null for a dry run, which leaves no trace.
    pub id: Option<Id>,
    #[schema(example = "volunteers")]
    pub resource: String,
    pub mode: Mode,
    pub dry_run: bool,
    pub on_error: OnError,
    pub outcome: Outcome,
    pub rows_read: i64,
    pub rows_created: i64,
    pub rows_updated: i64,
    pub rows_unchanged: i64,
    pub rows_failed: i64,
    /// Headers of columns that only show something, as exports have them: known, and left alone.
    pub ignored_columns: Vec<String>,
    /// The first thousand faults.
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

struct Row {
    number: u64,
    draft: Map<String, Value>,
}

impl Row {
    fn text(&self, field: &str) -> Option<&str> {
        self.draft.get(field).and_then(Value::as_str)
    }
}

struct Import<'a> {
    verbs: &'static dyn Verbs,
    scope: &'a Scope,
    order: Order,
    /// Those that are written, and those that are only shown.
    columns: Vec<Column>,
    /// For each column of the file: its header and which of `columns` it is.
    header: Vec<(String, usize)>,
    codes_seen: HashSet<String>,
    report: Report,
    failed_rows: HashSet<u64>,
}

/// Reads all rows and writes what is right. Fails, and so undoes everything, only where the file can't be read.
pub fn run(tx: &mut Tx<'_>, verbs: &'static dyn Verbs, scope: &Scope, order: Order, file: impl Read) -> Result<Report> {
    let mut file = BufReader::with_capacity(BUFFER, WithoutBom::new(file));
    // No header of a table begins with a brace.
    let is_ndjson = file.fill_buf().map_err(Error::internal)?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    let mut import = Import {
        verbs,
        scope,
        order,
        columns: columns::of(verbs).into_iter().chain(columns::shown(verbs)).collect(),
        header: Vec::new(),
        codes_seen: HashSet::new(),
        failed_rows: HashSet::new(),
        report: Report {
            id: None,
            resource: verbs.name().to_owned(),
            mode: order.mode,
            dry_run: order.dry_run,
            on_error: order.on_error,
            outcome: Outcome::Completed,
            rows_read: 0,
            rows_created: 0,
            rows_updated: 0,
            rows_unchanged: 0,
            rows_failed: 0,
            ignored_columns: Vec::new(),
            faults: Vec::new(),
            faults_total: 0,
        },
    };
    if is_ndjson {
        import.read_lines(tx, file)?;
        return Ok(import.finish());
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).has_headers(false).buffer_capacity(BUFFER).from_reader(file);
    let mut record = csv::ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(unreadable)? {
        return Err(not_csv("文件是空的", "the file is empty"));
    }
    import.read_header(&record)?;
    if import.report.faults_total > 0 {
        return Ok(import.finish());
    }
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut number = 1;
    while reader.read_byte_record(&mut record).map_err(unreadable)? {
        number += 1;
        if record.iter().all(|cell| cell.iter().all(u8::is_ascii_whitespace)) {
            continue;
        }
        import.report.rows_read += 1;
        if let Some(row) = import.read_row(number, &record) {
            chunk.push(row);
        }
        if chunk.len() == CHUNK {
            import.write(tx, std::mem::take(&mut chunk))?;
        }
    }
    import.write(tx, chunk)?;
    Ok(import.finish())
}

fn not_csv(zh: &str, en: &str) -> Error {
    Error::field("/file", "not_csv", zh, en)
}

fn unreadable(error: csv::Error) -> Error {
    let line = error.position().map_or(0, csv::Position::line);
    not_csv(&format!("第 {line} 行无法按 CSV 读取"), &format!("line {line} can't be read as CSV"))
}

impl Import<'_> {
    fn fault(&mut self, row: u64, column: Option<String>, code: &str, says: &Says) {
        self.report.faults_total += 1;
        if row > 1 {
            self.failed_rows.insert(row);
        }
        if self.report.faults.len() < FAULTS_TOLD {
            self.report.faults.push(Fault {
                row,
                column,
                code: code.to_owned(),
                message: says.in_language(self.order.language).to_owned(),
            });
        }
    }

    fn read_header(&mut self, record: &csv::ByteRecord) -> Result<()> {
        let cells: Vec<String> =
            record.iter().map(|cell| std::str::from_utf8(cell).map(str::to_owned)).collect::<Result<_, _>>().map_err(|_| {
                not_csv("文件不是 UTF-8 编码的 CSV；请另存为“CSV UTF-8”", "the file is not CSV in UTF-8; save it as 'CSV UTF-8'")
            })?;
        if cells.iter().any(|cell| cell.contains('\0')) || cells.first().is_some_and(|cell| cell.starts_with("PK\u{3}\u{4}")) {
            return Err(not_csv("文件不是 CSV（Excel 文件请另存为“CSV UTF-8”）", "the file is not CSV; save an Excel file as 'CSV UTF-8'"));
        }
        for cell in cells {
            match self.columns.iter().position(|column| column.is_called(&cell)) {
                Some(i) if self.header.iter().any(|(_, other)| *other == i) => {
                    self.fault(1, Some(cell), "duplicate_column", &Says::new("此列出现了不止一次", "the column stands more than once"));
                }
                Some(i) => {
                    if self.columns[i].read_only {
                        self.report.ignored_columns.push(cell.trim().to_owned());
                    }
                    self.header.push((cell.trim().to_owned(), i));
                }
                None => {
                    let says = self.unknown_column();
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
        Ok(())
    }

    /// Each line an object: a row of its own columns.
    fn read_lines(&mut self, tx: &mut Tx<'_>, mut file: impl BufRead) -> Result<()> {
        self.header =
            self.columns.iter().enumerate().filter(|(_, column)| !column.read_only).map(|(i, column)| (column.header.clone(), i)).collect();
        let mut chunk = Vec::with_capacity(CHUNK);
        let mut bytes = Vec::new();
        let mut number = 0;
        loop {
            bytes.clear();
            if file.by_ref().take(LONGEST_LINE + 1).read_until(b'\n', &mut bytes).map_err(Error::internal)? == 0 {
                break;
            }
            number += 1;
            if bytes.len() as u64 > LONGEST_LINE {
                let (zh, en) = (format!("第 {number} 行超过 1 MiB"), format!("line {number} has more than 1 MiB"));
                return Err(Error::field("/file", "not_ndjson", zh, en));
            }
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            self.report.rows_read += 1;
            if let Some(row) = self.read_line(number, &bytes) {
                chunk.push(row);
            }
            if chunk.len() == CHUNK {
                self.write(tx, std::mem::take(&mut chunk))?;
            }
        }
        self.write(tx, chunk)
    }

    fn read_line(&mut self, number: u64, bytes: &[u8]) -> Option<Row> {
        let object = match body::parse(bytes) {
            Ok(Value::Object(object)) => object,
            Ok(_) => {
                self.fault(number, None, "not_ndjson", &Says::new("此行应为一个 JSON 对象", "the line should be a JSON object"));
                return None;
            }
            Err(error) => {
                self.fault(number, None, "not_ndjson", &error.detail.unwrap_or_else(|| error.code.title()));
                return None;
            }
        };
        let line = lines::read(&self.columns, object);
        for column in line.ignored {
            if !self.report.ignored_columns.contains(&column) {
                self.report.ignored_columns.push(column);
            }
        }
        if !line.unknown.is_empty() {
            let says = self.unknown_column();
            for column in &line.unknown {
                self.fault(number, Some(column.chars().take(100).collect()), "unknown_column", &says);
            }
        }
        if self.order.mode == Mode::Upsert && !line.draft.get("code").is_some_and(Value::is_string) {
            self.fault(
                number,
                Some("code".into()),
                "missing_column",
                &Says::new("更新模式需要编码列 code", "an upsert needs the column code"),
            );
            return None;
        }
        if line.unknown.is_empty() { self.complete(number, line.draft) } else { None }
    }

    fn unknown_column(&self) -> Says {
        let written = || self.columns.iter().filter(|column| !column.read_only);
        let known: Vec<&str> = written().map(|column| column.headers_zh.first().copied().unwrap_or(&column.header)).collect();
        let known_en: Vec<&str> = written().map(|column| column.header.as_str()).collect();
        Says::new(format!("没有此列；可用：{}", known.join("、")), format!("there is no such column; known: {}", known_en.join(", ")))
    }

    fn read_row(&mut self, number: u64, record: &csv::ByteRecord) -> Option<Row> {
        if record.len() != self.header.len() {
            let (have, want) = (record.len(), self.header.len());
            let says = Says::new(format!("此行有 {have} 格，表头有 {want} 格"), format!("the row has {have} cells, the header {want}"));
            self.fault(number, None, "wrong_number_of_cells", &says);
            return None;
        }
        let mut draft = Map::new();
        for (i, cell) in record.iter().enumerate() {
            match std::str::from_utf8(cell) {
                Ok(_) if self.columns[self.header[i].1].read_only => {}
                Ok(text) => self.columns[self.header[i].1].put(text, &mut draft),
                Err(_) => {
                    let header = self.header[i].0.clone();
                    self.fault(number, Some(header), "not_utf8", &Says::new("此格不是 UTF-8 文本", "the cell is not UTF-8 text"));
                    return None;
                }
            }
        }
        self.complete(number, draft)
    }

    /// A row that has been read, unless its code has been before.
    fn complete(&mut self, number: u64, draft: Map<String, Value>) -> Option<Row> {
        if let Some(code) = draft.get("code").and_then(Value::as_str)
            && !self.codes_seen.insert(code.to_owned())
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
    fn write(&mut self, tx: &mut Tx<'_>, mut rows: Vec<Row>) -> Result<()> {
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
        self.write_new(tx, new)
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
            let kept = self.kept(tx, rows, &field, of, foreign)?;
            for row in rows.iter_mut() {
                let Some(code) = row.text(&field).map(str::to_owned) else { continue };
                match ids.get(&code).or_else(|| kept.get(&row.number)) {
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

    /// What records refer to outside the caller's reach, where a row only says again what its record says already: by the
    /// row's number. An association's file names the one above it.
    fn kept(&self, tx: &mut Tx<'_>, rows: &[Row], field: &str, of: &str, foreign: Vec<String>) -> Result<HashMap<u64, Id>> {
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
            let error = match tx.nested(|tx| self.verbs.import_new(tx, self.scope, &drafts)) {
                Ok(()) => {
                    self.report.rows_created += drafts.len() as i64;
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
            Ok(Written::Updated) => self.report.rows_updated += 1,
            Ok(Written::Created) => self.report.rows_created += 1,
            Ok(Written::Unchanged) => self.report.rows_unchanged += 1,
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
                .find(|(_, i)| self.columns[*i].is_at(&rest) && !self.columns[*i].read_only)
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

    fn finish(mut self) -> Report {
        self.report.rows_failed = self.failed_rows.len() as i64;
        self.report.faults.sort_by_key(|fault| fault.row);
        self.report.outcome = match (self.order.dry_run, self.report.faults_total > 0) {
            (true, false) => Outcome::WouldComplete,
            (true, true) => Outcome::WouldFail,
            (false, false) => Outcome::Completed,
            (false, true) => Outcome::CompletedWithFaults,
        };
        self.report
    }
}

/// Leaves out the mark that Excel puts before UTF-8.
struct WithoutBom<R> {
    inner: R,
    begun: bool,
}

impl<R: Read> WithoutBom<R> {
    fn new(inner: R) -> Self {
        Self { inner, begun: false }
    }
}

impl<R: Read> Read for WithoutBom<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.begun || buffer.len() < 3 {
            return self.inner.read(buffer);
        }
        self.begun = true;
        let mut filled = 0;
        while filled < 3 {
            match self.inner.read(&mut buffer[filled..3])? {
                0 => break,
                n => filled += n,
            }
        }
        if filled == 3 && buffer[..3] == [0xEF, 0xBB, 0xBF] {
            return self.inner.read(buffer);
        }
        Ok(filled)
    }
}
