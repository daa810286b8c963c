//! `POST /imports`, where one stands, and which columns there are.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::columns::{self, Column};
use super::layout::Mapping;
use super::mappings;
use super::run::{Import, Mode, OnError, Order, Outcome};
use super::shown::{self, Known, ShownImport};
use super::store::{self, Options, Row};
use super::template;
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::{Any, Db, Reply, Tx};
use crate::error::{Code, Error, Fault as Wrong, Language, Result, Says};
use crate::files::read;
use crate::jobs::{self, JobKind, Jobs};
use crate::policy::Action;
use crate::schema::imports as t;
use crate::types::{Id, Instant, TextEnum, business_today, new_code};
use crate::web::contract::filter_shape;
use crate::web::form::{self, Form, Part};
use crate::web::handlers;
use crate::web::query::Pairs;
use crate::web::verbs::{self, Verbs};
use crate::web::{Sort, Window};

/// A mapping names each column of a file.
const MAPPING_LIMIT: usize = 64 * 1024;

/// The parts of an import.
#[derive(ToSchema)]
#[allow(dead_code)] // The contract's word for what `parts` reads.
struct ImportForm {
    /// The resource, as in its address: `volunteers`.
    #[schema(example = "volunteers")]
    resource: String,
    /// CSV (UTF-8, GB18030 or UTF-16; comma, semicolon or tab), an Excel workbook (.xlsx), JSON lines or a JSON array of objects; or
    /// one of these in gzip or as the one file of a zip. Chinese or English headers; references by code.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// `create` when absent.
    mode: Option<Mode>,
    /// The real run, rolled back. `false` when absent.
    dry_run: Option<bool>,
    /// `abort` when absent.
    on_error: Option<OnError>,
    /// `true` to import a file once more with `mode=create` that was imported already.
    repeat: Option<bool>,
    /// Of a workbook: the sheet to read. When absent the first that is visible and has rows.
    sheet: Option<String>,
    /// A JSON object: headers of the file, each with the column that it means, or with null to ignore it.
    #[schema(example = r#"{"联系方式": "phone", "民族": null}"#)]
    mapping: Option<String>,
    /// A mapping that was saved under `/import-mappings`, instead of `mapping`.
    mapping_name: Option<String>,
}

struct Parts {
    verbs: &'static dyn Verbs,
    mode: Mode,
    dry_run: bool,
    on_error: OnError,
    repeat: bool,
    sheet: Option<String>,
    mapping: Mapping,
    mapping_name: Option<String>,
    file: std::fs::File,
    file_name: Option<String>,
    file_sha256: Vec<u8>,
    fingerprint: Vec<u8>,
}

/// How long an answer waits for an import that is small, so that most callers never see a job.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// The longest that a caller may ask to wait.
const LONGEST_PATIENCE: Duration = Duration::from_secs(60);
/// Up to this size, in bytes, a file is small.
const SMALL: u64 = 1024 * 1024;

/// Imports a file. A small one is waited for; of a large one, or with `Prefer: respond-async`, the answer is 202 and the
/// import is followed at its address. With `on_error=abort` a single fault undoes everything and the answer is 422 with
/// all the faults; with `skip` the right rows stay. `dry_run=true` does it all and rolls it back.
#[utoipa::path(
    operation_id = "imports_create", tag = "imports", summary = "导入文件 / Import a file",
    params(("Idempotency-Key" = String, Header, description = "Makes a retry safe: the same parts are the same import."),
        ("Prefer" = Option<String>, Header, description = "RFC 7240: `respond-async`, or `wait=` and how many seconds (60 at most).")),
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "Imported.", body = ShownImport, headers(("Location" = String, description = "The import's address."))),
        (status = 200, description = "A dry run: nothing was kept.", body = ShownImport),
        (status = 202, description = "It waits or runs.", body = ShownImport, headers(("Location" = String, description = "The import's address."))),
    ),
)]
#[post("/imports")]
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    jobs: web::Data<Jobs>,
    facts: web::Data<Facts>,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let limits = facts.import_limits;
    let mut parts = parts(Form::of(&request, payload, read::too_large), limits.file).await?;
    let scope = caller.actor.may(parts.verbs.area(), Action::Import)?;
    if let Some(name) = parts.mapping_name.take() {
        parts.mapping = mappings::saved(&db, caller.actor.id, &name, parts.verbs.name()).await?;
    }
    let deed = handlers::deed_of(&request, &caller, &parts.fingerprint, true)?;
    let (language, actor) = (caller.language, caller.actor.id);
    let size = parts.file.metadata().map_err(Error::internal)?.len();
    let waits = patience(&request, if size <= SMALL { PATIENCE } else { Duration::ZERO })?;
    // What is no file of rows at all, or has columns that nobody knows, is told at once and leaves nothing behind.
    let parts = db
        .block_long(move || {
            let order = Order { mode: parts.mode, dry_run: parts.dry_run, on_error: parts.on_error, language };
            let file = parts.file.try_clone().map_err(Error::internal)?;
            let mut table = read::open_sheet(file, parts.file_name.as_deref(), parts.sheet.as_deref(), &limits)?;
            Import::open(parts.verbs, &scope, order, &mut table, &parts.mapping)?;
            Ok(parts)
        })
        .await?;
    let reply = db.write_long(deed, move |tx| place(tx, &parts, size, language)).await?;
    let id: Id =
        reply.location.as_deref().and_then(|path| path.rsplit('/').next()).and_then(|id| id.parse().ok()).ok_or_else(Error::not_found)?;
    let known = awaited(&db, &jobs, actor, JobKind::Import, id, waits).await?;
    if let Some(error) = known.refusal(language)? {
        return Err(error);
    }
    let status = match (known.state().is_over(), known.row.dry_run) {
        (false, _) => StatusCode::ACCEPTED,
        (true, true) => StatusCode::OK,
        (true, false) => StatusCode::CREATED,
    };
    let mut response = HttpResponse::build(status);
    response.insert_header((header::LOCATION, format!("/api/v1/imports/{id}")));
    if reply.replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.json(known.shown(&jobs, language)?))
}

/// How long the caller is ready to wait.
pub(super) fn patience(request: &HttpRequest, usual: Duration) -> Result<Duration> {
    let preferences = request.headers().get_all("Prefer").filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    let mut patience = usual;
    for preference in preferences.map(str::trim) {
        if preference.eq_ignore_ascii_case("respond-async") {
            patience = Duration::ZERO;
        } else if let Some(seconds) = preference.strip_prefix("wait=") {
            let seconds: u64 = seconds.trim().parse().map_err(|_| {
                Error::because(
                    Code::MalformedRequest,
                    "Prefer 的 wait 应为秒数，如 wait=10",
                    "wait of Prefer should be seconds, as in wait=10",
                )
            })?;
            patience = Duration::from_secs(seconds).min(LONGEST_PATIENCE);
        }
    }
    Ok(patience)
}

/// The import once its job is over, or as it stands when the time is.
pub(super) async fn awaited(db: &Db, jobs: &Jobs, actor: Id, kind: JobKind, id: Id, at_most: Duration) -> Result<Known> {
    jobs.awaited(db, kind, id, at_most).await?;
    db.read(move |conn| shown::own(conn, actor, id)).await
}

/// Puts an import where workers find it.
fn place(tx: &mut Tx<'_>, parts: &Parts, size: u64, language: Language) -> Result<Reply> {
    let id = Id::new();
    let file_sha256: String = parts.file_sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let earlier: Option<(Id, String, Instant)> = t::table
        .filter(t::file_sha256.eq(&file_sha256))
        .filter(t::resource.eq(parts.verbs.name()))
        .filter(t::outcome.eq_any([Outcome::Completed, Outcome::CompletedWithFaults]))
        .filter(t::undone_at.is_null())
        .order(t::id.desc())
        .select((t::id, t::code, t::created_at))
        .first(tx.conn)
        .optional()?;
    if let Some((_, code, created_at)) = earlier.as_ref().filter(|_| parts.mode == Mode::Create && !parts.dry_run && !parts.repeat) {
        let day = business_today(*created_at);
        return Err(Error::because(
            Code::AlreadyExists,
            format!("同一文件已于 {day} 导入（{code}）；再次导入会重复新建记录。如需更新请用 mode=upsert，确要重复请加 repeat=true"),
            format!("the same file was imported on {day} ({code}); to import it again would make everything twice: use mode=upsert to update, or repeat=true if you mean it"),
        )
        .with("import_code", code.as_str()));
    }
    let row = Row {
        id,
        code: new_code(),
        actor_id: tx.actor()?,
        resource: parts.verbs.name().to_owned(),
        mode: parts.mode,
        dry_run: parts.dry_run,
        on_error: parts.on_error,
        file_name: parts.file_name.clone(),
        file_sha256,
        outcome: None,
        rows_read: 0,
        rows_created: 0,
        rows_updated: 0,
        rows_unchanged: 0,
        rows_failed: 0,
        faults: "[0,[]]".to_owned(),
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
        file_bytes: i64::try_from(size).unwrap_or(i64::MAX),
        options: serde_json::to_string(&Options { sheet: parts.sheet.clone(), mapping: parts.mapping.kept() }).map_err(Error::internal)?,
        format: None,
        encoding: None,
        compression: None,
        sheet: None,
        rows_left_out: 0,
        ignored_columns: "[]".to_owned(),
        last_row: 0,
        repeats_id: earlier.map(|(id, ..)| id),
        finished_at: None,
        undone_at: None,
    };
    diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
    store::keep_file(tx, id, &parts.file)?;
    jobs::place(tx, JobKind::Import, id, language)?;
    Ok(Reply { status: 202, location: Some(format!("/api/v1/imports/{id}")), etag: None, body: Vec::new(), kept: None, replayed: false })
}

pub(super) fn id_of(text: &str) -> Result<Id> {
    text.parse().map_err(|_| Error::not_found())
}

/// One import of the caller's: where it stands, and what it has done.
#[utoipa::path(
    operation_id = "imports_get", tag = "imports", summary = "读取一次导入的进度和结果 / Read one import",
    params(("id" = Id, Path, description = "Id of the import.")),
    responses((status = 200, description = "Where it stands.", body = ShownImport)),
)]
#[get("/imports/{id}")]
pub async fn one(caller: Caller, db: web::Data<Db>, jobs: web::Data<Jobs>, id: web::Path<String>) -> Result<HttpResponse> {
    let (id, actor) = (id_of(&id)?, caller.actor.id);
    let known = db.read(move |conn| shown::own(conn, actor, id)).await?;
    Ok(HttpResponse::Ok().json(known.shown(&jobs, caller.language)?))
}

/// Imports of one's own.
#[derive(Serialize, ToSchema)]
pub struct ImportPage {
    items: Vec<ShownImport>,
    next_cursor: Option<String>,
}

/// The caller's imports.
#[utoipa::path(
    operation_id = "imports_list", tag = "imports", summary = "我的导入 / One's own imports",
    params(
        ("sort" = Option<String>, Query, description = "`-created_at` when absent."),
        ("limit" = Option<i64>, Query, description = "Imports a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")),
    responses((status = 200, description = "A page.", body = ImportPage)),
)]
#[get("/imports")]
pub async fn list(request: HttpRequest, caller: Caller, db: web::Data<Db>, jobs: web::Data<Jobs>) -> Result<HttpResponse> {
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &Sort::IN_TIME)?;
    handlers::nothing_else(pairs)?;
    let actor = caller.actor.id;
    let (known, next_cursor) = db
        .read(move |conn| {
            let mut query = t::table.filter(t::actor_id.eq(actor)).select((t::id, t::code)).into_boxed::<Any>();
            let newest = window.sort == Sort::Newest;
            if let Some(after) = &window.after {
                query = if newest { query.filter(t::id.lt(after.id)) } else { query.filter(t::id.gt(after.id)) };
            }
            query = if newest { query.order(t::id.desc()) } else { query.order(t::id.asc()) };
            let mut found: Vec<(Id, String)> = query.limit(window.fetch()).load(conn)?;
            let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
            let more = found.len() > limit;
            found.truncate(limit);
            let next_cursor = found.last().filter(|_| more).map(|(id, code)| window.cursor_after(*id, code));
            Ok((shown::of(conn, &found.into_iter().map(|(id, _)| id).collect::<Vec<_>>())?, next_cursor))
        })
        .await?;
    let items = known.iter().map(|known| known.shown(&jobs, caller.language)).collect::<Result<_>>()?;
    Ok(HttpResponse::Ok().json(ImportPage { items, next_cursor }))
}

/// The columns of a resource's files.
#[derive(Serialize, ToSchema)]
pub struct Columns {
    #[schema(example = "volunteers")]
    resource: String,
    columns: Vec<Column>,
}

/// Which columns a file may have, in both languages: enough to make a template from.
#[utoipa::path(
    operation_id = "imports_columns", tag = "imports", summary = "导入列说明 / The columns of a resource's files",
    params(("resource" = String, Path, description = "The resource, as in its address.", example = "volunteers")),
    responses((status = 200, description = "The columns.", body = Columns)),
)]
#[get("/import-columns/{resource}")]
pub async fn columns_of(_caller: Caller, resource: web::Path<String>) -> Result<HttpResponse> {
    let verbs = resource_named(&resource).ok_or_else(Error::not_found)?;
    Ok(HttpResponse::Ok().json(Columns { resource: verbs.name().to_owned(), columns: columns::of(verbs) }))
}

/// Which form a template has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum TemplateFormat {
    #[default]
    Xlsx,
    Csv,
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TemplateQuery {
    /// `xlsx` when absent: with drop-downs, and a sheet that explains the columns. `csv`: the headers and an example row.
    #[param(inline)]
    format: Option<TemplateFormat>,
}

const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

/// An empty file to fill in: the headers, with `*` where a column is required, and an example row, which an import leaves out as long
/// as it stays as it is.
#[utoipa::path(
    operation_id = "imports_template", tag = "imports", summary = "导入模板 / A template of a resource's files",
    params(("resource" = String, Path, description = "The resource, as in its address.", example = "volunteers"), TemplateQuery),
    responses((status = 200, description = "The template.", content((Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), (String = "text/csv")))),
)]
#[get("/import-templates/{resource}")]
pub async fn template_of(
    request: HttpRequest,
    _caller: Caller,
    facts: web::Data<Facts>,
    resource: web::Path<String>,
) -> Result<HttpResponse> {
    let query = Pairs::parse(request.query_string())?.into_json(&filter_shape::<TemplateQuery>())?;
    let query: TemplateQuery = serde_json::from_value(query).map_err(Error::internal)?;
    let verbs = resource_named(&resource).ok_or_else(Error::not_found)?;
    let limits = facts.import_limits;
    let (kind, end, bytes) = match query.format.unwrap_or_default() {
        TemplateFormat::Csv => ("text/csv; charset=utf-8", "csv", template::csv(verbs)?),
        TemplateFormat::Xlsx => (XLSX, "xlsx", web::block(move || template::xlsx(verbs, &limits)).await.map_err(Error::internal)??),
    };
    let name = format!("{}-template.{end}", verbs.name().replace('_', "-"));
    Ok(HttpResponse::Ok()
        .content_type(kind)
        .insert_header((header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")))
        .body(bytes))
}

pub fn resource_named(segment: &str) -> Option<&'static dyn Verbs> {
    verbs::named(&segment.replace('-', "_")).filter(|verbs| verbs.importable())
}

/// Reads the parts.
async fn parts(mut form: Form, file_limit: u64) -> Result<Parts> {
    let mut faults = Vec::new();
    let (mut resource, mut mode, mut on_error, mut file) = (None, Mode::Create, OnError::Abort, None);
    let (mut dry_run, mut repeat) = (false, false);
    let (mut sheet, mut mapping, mut mapping_name) = (None, None, None);
    let text_limit = |name: &str| if name == "mapping" { MAPPING_LIMIT } else { form::TEXT_LIMIT };
    while let Some((name, part)) = form.next(file_limit, text_limit, &mut faults).await? {
        let text = match part {
            Part::File(upload) => {
                file = Some(upload);
                continue;
            }
            Part::Text(text) => text,
        };
        let mut fault = |code, zh: &str, en: &str| faults.push(Wrong::new(format!("/{name}"), code, Says::new(zh, en)));
        match name.as_str() {
            "resource" => match resource_named(&text) {
                Some(verbs) => resource = Some(verbs),
                None => {
                    let known: Vec<String> =
                        verbs::registry().iter().filter(|v| v.importable()).map(|v| v.name().replace('_', "-")).collect();
                    let known = known.join(", ");
                    faults.push(Wrong::new(
                        "/resource",
                        "unknown_resource",
                        Says::new(format!("没有此类记录；可用：{known}"), format!("there is no such resource; known: {known}")),
                    ));
                }
            },
            "mode" => match Mode::from_code(&text) {
                Some(given) => mode = given,
                None => fault("unknown_entry", "应为 create 或 upsert", "this should be create or upsert"),
            },
            "on_error" => match OnError::from_code(&text) {
                Some(given) => on_error = given,
                None => fault("unknown_entry", "应为 abort 或 skip", "this should be abort or skip"),
            },
            "dry_run" | "repeat" => match (name.as_str(), text.as_str()) {
                ("dry_run", "true" | "false") => dry_run = text == "true",
                (_, "true" | "false") => repeat = text == "true",
                _ => fault("wrong_type", "应为 true 或 false", "this should be true or false"),
            },
            "sheet" => sheet = Some(text),
            "mapping" => match Mapping::parse(&text) {
                Ok(given) => mapping = Some(given),
                Err(error) if error.faults.is_empty() => {
                    fault("wrong_type", "应为 JSON 对象，键不重复", "this should be a JSON object with no key twice")
                }
                Err(error) => faults.extend(error.faults),
            },
            "mapping_name" => mapping_name = Some(text),
            _ => fault(
                "unknown_field",
                "没有此项；可用：resource、file、mode、dry_run、on_error、repeat、sheet、mapping、mapping_name",
                "there is no such part; known: resource, file, mode, dry_run, on_error, repeat, sheet, mapping, mapping_name",
            ),
        }
    }
    if resource.is_none() && !form.has("resource") {
        faults.push(form::missing("resource"));
    }
    if file.is_none() {
        faults.push(form::missing("file"));
    }
    if mapping.is_some() && mapping_name.is_some() {
        let says = Says::new("mapping 与 mapping_name 只能给一个", "give either mapping or mapping_name");
        faults.push(Wrong::new("/mapping_name", "two_mappings", says));
    }
    match (resource, file) {
        (Some(verbs), Some(upload)) if faults.is_empty() => Ok(Parts {
            verbs,
            mode,
            dry_run,
            on_error,
            repeat,
            sheet,
            mapping: mapping.unwrap_or_default(),
            mapping_name,
            file: upload.file,
            file_name: upload.name,
            file_sha256: upload.sha256,
            fingerprint: form.fingerprint(),
        }),
        _ => Err(Error::invalid(faults)),
    }
}
