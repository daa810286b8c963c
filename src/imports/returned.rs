//! The same file back, with a column 错误 that says what is wrong with each row: to be corrected and sent again.
//!
//! A workbook comes back as one, JSON as JSON lines, everything else as CSV in UTF-8. An import knows the column and leaves
//! it alone. The file holds what its owner sent, whole numbers too, so having it back is audited.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use futures_util::stream;
use rust_xlsxwriter::{Format, Workbook, XlsxError};
use serde_json::{Map, Value, json};

use super::job::Work;
use super::outcomes::{self, RowOutcome, RowResult};
use super::shown;
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::Db;
use crate::error::{Code, Error, Fault, Result, Says};
use crate::files::read::{Cell, FileFormat, RawRow};
use crate::files::{attached, guarded};
use crate::policy::Action;
use crate::types::{Id, TextEnum};
use crate::web::handlers;
use crate::web::query::Pairs;
use crate::web::verbs;

/// The column that says what is wrong.
pub const FAULTS: &str = "错误";
/// Of JSON: where the text of a record stands that is no object, beside what is said of it.
const AS_IT_WAS: &str = "原文";
/// Rows of a sheet.
const SHEET: u32 = 1_048_576;
/// Results that are looked up at a time.
const AHEAD: usize = 1_000;

/// The file that was imported, with what is wrong with each row.
#[utoipa::path(
    operation_id = "imports_file", tag = "imports", summary = "取回原文件并附错误列 / The file with its faults",
    params(("id" = Id, Path, description = "Id of the import."),
        ("rows" = Option<String>, Query, description = "`all` when absent; `failed` for the rows that were left out or are wrong.", example = "failed")),
    responses((status = 200, description = "The file, as long as it is kept.",
        content((String = "text/csv"), (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), (String = "application/x-ndjson")))),
)]
#[get("/imports/{id}/file")]
pub async fn file_back(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    facts: web::Data<Facts>,
    id: web::Path<String>,
) -> Result<HttpResponse> {
    let id: Id = id.parse().map_err(|_| Error::not_found())?;
    let actor = caller.actor.id;
    let mut pairs = Pairs::parse(request.query_string())?;
    let failed_only = match pairs.take("rows").as_deref() {
        None | Some("all") => false,
        Some("failed") => true,
        Some(_) => {
            let says = Says::new("应为 all 或 failed", "this should be all or failed");
            return Err(Error::with_faults(Code::InvalidParameter, vec![Fault::new("/rows", "invalid_parameter", says)]));
        }
    };
    handlers::nothing_else(pairs)?;
    let known = db.read(move |conn| shown::own(conn, actor, id)).await?;
    if !known.state().is_over() {
        return Err(Error::because(Code::StepNotAllowed, "导入尚未结束，请稍后再取", "the import is not over yet; come again when it is"));
    }
    let verbs = verbs::named(&known.row.resource).ok_or_else(Error::not_found)?;
    let scope = caller.actor.may(verbs.area(), Action::Import)?;
    let mut deed = handlers::deed_of(&request, &caller, &[], false)?;
    deed.once = None;
    let resource = known.row.resource.clone();
    db.write_value(deed, move |tx| {
        let detail = json!({"resource": resource, "rows": if failed_only { "failed" } else { "all" }});
        tx.audit(Action::Export.code(), "imports", Some(id), None, Some(&detail));
        Ok(())
    })
    .await?;
    let (limits, language) = (facts.import_limits, caller.language);
    let name = known.row.file_name.clone().unwrap_or_default();
    let (file, format) = db
        .read_long(move |db| {
            let work = Work::of(db, known.row, verbs, scope, language, limits)?;
            write(db, &work, failed_only)
        })
        .await?;
    let (kind, end) = match format {
        FileFormat::Xlsx => ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"),
        FileFormat::Ndjson | FileFormat::Json => ("application/x-ndjson", "ndjson"),
        FileFormat::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    let stem = name.split('.').next().filter(|stem| !stem.is_empty()).unwrap_or("import");
    let disposition = attached(&format!("{stem}-{FAULTS}.{end}"));
    let size = file.metadata().map_err(Error::internal)?.len();
    let chunks = stream::unfold(file, |mut file| async move {
        let mut chunk = vec![0; 64 * 1024];
        // Out of the page cache: too little to be worth another thread.
        match file.read(&mut chunk) {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                Some((Ok(web::Bytes::from(chunk)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header(disposition)
        .insert_header((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .no_chunking(size)
        .streaming(Box::pin(chunks)))
}

/// What is wrong with the rows, one row after the other.
struct Results<'a> {
    db: &'a Db,
    import_id: Id,
    ahead: VecDeque<RowResult>,
    after: u64,
    over: bool,
}

impl Results<'_> {
    /// What is wrong with a row; `None` where nothing is.
    fn of(&mut self, number: u64) -> Result<Option<String>> {
        while !self.over && self.ahead.back().is_none_or(|last| last.row < number) {
            let (vault, id, after) = (self.db.vault().clone(), self.import_id, self.after);
            let only = (Some(RowOutcome::Failed), false);
            let page = self.db.run(true, |conn| outcomes::page(conn, &vault, id, only, after, AHEAD))?;
            self.over = page.len() < AHEAD;
            self.after = page.last().map_or(self.after, |last| last.row);
            self.ahead.extend(page);
        }
        while self.ahead.front().is_some_and(|first| first.row < number) {
            self.ahead.pop_front();
        }
        let Some(row) = self.ahead.front().filter(|first| first.row == number) else { return Ok(None) };
        let told = row.faults.iter().map(|fault| match &fault.column {
            Some(column) => format!("{column}：{}", fault.message),
            None => fault.message.clone(),
        });
        Ok(Some(told.collect::<Vec<_>>().join("；")))
    }
}

/// Writes the file anew.
fn write(db: &Db, work: &Work, failed_only: bool) -> Result<(File, FileFormat)> {
    let header_row = work.header_row()?;
    let mut table = work.table()?;
    let format = table.found().format;
    let mut results = Results { db, import_id: work.id(), ahead: VecDeque::new(), after: 0, over: false };
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    let mut out = Out::begin(format, file.try_clone().map_err(Error::internal)?)?;
    while let Some(row) = table.next()? {
        if row.number <= header_row {
            out.row(&row, (row.number == header_row).then_some(FAULTS))?;
            continue;
        }
        let wrong = results.of(row.number)?;
        if wrong.is_some() || !failed_only {
            out.row(&row, wrong.as_deref())?;
        }
    }
    out.finish()?;
    file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
    Ok((file, format))
}

/// A file on its way out.
enum Out {
    Csv(Box<csv::Writer<File>>),
    Lines(BufWriter<File>),
    Sheet { book: Box<Workbook>, text: Format, rows: u32, file: File },
}

impl Out {
    fn begin(format: FileFormat, mut file: File) -> Result<Self> {
        Ok(match format {
            FileFormat::Csv => {
                file.write_all(&[0xEF, 0xBB, 0xBF]).map_err(Error::internal)?;
                Self::Csv(Box::new(csv::WriterBuilder::new().flexible(true).terminator(csv::Terminator::CRLF).from_writer(file)))
            }
            FileFormat::Ndjson | FileFormat::Json => Self::Lines(BufWriter::new(file)),
            FileFormat::Xlsx => {
                let mut book = Workbook::new();
                book.add_worksheet_with_constant_memory().map_err(unwritten)?;
                Self::Sheet { book: Box::new(book), text: Format::new().set_num_format("@"), rows: 0, file }
            }
        })
    }

    /// A row as it was, and what is said of it in a place of its own.
    fn row(&mut self, row: &RawRow, said: Option<&str>) -> Result<()> {
        match self {
            Self::Csv(writer) => {
                for cell in &row.cells {
                    writer.write_field(guarded(&text(cell)).as_bytes()).map_err(Error::internal)?;
                }
                writer.write_field(guarded(said.unwrap_or_default()).as_bytes()).map_err(Error::internal)?;
                writer.write_record(None::<&[u8]>).map_err(Error::internal)
            }
            Self::Lines(out) => {
                let mut members = match row.cells.first() {
                    Some(Cell::Json(Value::Object(members))) => members.clone(),
                    Some(Cell::Text(text)) => Map::from_iter([(AS_IT_WAS.to_owned(), text.as_str().into())]),
                    _ => return Ok(()),
                };
                if let Some(said) = said {
                    members.insert(FAULTS.to_owned(), said.into());
                }
                serde_json::to_writer(&mut *out, &members).map_err(Error::internal)?;
                out.write_all(b"\n").map_err(Error::of_file)
            }
            Self::Sheet { book, text: format, rows, .. } => {
                if *rows == SHEET {
                    return Ok(());
                }
                let sheet = book.worksheet_from_index(0).map_err(unwritten)?;
                for (place, cell) in (0_u16..).zip(&row.cells) {
                    let cell = text(cell);
                    if !cell.is_empty() {
                        sheet.write_string_with_format(*rows, place, guarded(&cell), format).map_err(unwritten)?;
                    }
                }
                if let Some(said) = said {
                    let place = u16::try_from(row.cells.len()).unwrap_or(u16::MAX);
                    sheet.write_string_with_format(*rows, place, guarded(said), format).map_err(unwritten)?;
                }
                *rows += 1;
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Csv(mut writer) => writer.flush().map_err(Error::of_file),
            Self::Lines(mut out) => out.flush().map_err(Error::of_file),
            Self::Sheet { mut book, mut file, .. } => book.save_to_writer(&mut file).map_err(unwritten),
        }
    }
}

fn unwritten(error: XlsxError) -> Error {
    match error {
        XlsxError::IoError(error) => Error::of_file(error),
        error => Error::internal(error),
    }
}

/// A cell as a text that an import reads as the same.
fn text(cell: &Cell) -> String {
    match cell {
        Cell::Empty => String::new(),
        Cell::Text(text) => text.clone(),
        Cell::Number(digits) => digits.clone(),
        Cell::Date(day) => day.to_string(),
        Cell::Bool(true) => "TRUE".to_owned(),
        Cell::Bool(false) => "FALSE".to_owned(),
        Cell::Json(value) => value.to_string(),
        Cell::Broken => "#REF!".to_owned(),
    }
}
