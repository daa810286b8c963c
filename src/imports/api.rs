//! `POST /imports`, what became of one, and which columns there are.

use std::io::{Seek, SeekFrom, Write};

use actix_multipart::{Field, Multipart};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use diesel::prelude::*;
use futures_util::{StreamExt, TryStreamExt};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::columns::{self, Column};
use super::run::{self, Fault, Mode, OnError, Order, Outcome, Report};
use crate::auth::Caller;
use crate::db::{Db, Reply};
use crate::error::{Code, Error, Fault as Wrong, Result, Says};
use crate::policy::Action;
use crate::schema::imports as t;
use crate::types::{Id, Instant, TextEnum, new_code};
use crate::web::body;
use crate::web::verbs::{self, Verbs};

/// The largest file, in bytes.
pub const FILE_LIMIT: usize = 50 * 1024 * 1024;
const TEXT_LIMIT: usize = 256;

/// The parts of an import.
#[derive(ToSchema)]
#[allow(dead_code)] // The contract's word for what `parts` reads.
struct ImportForm {
    /// The resource, as in its address: `volunteers`.
    #[schema(example = "volunteers")]
    resource: String,
    /// CSV in UTF-8, with or without a byte order mark, with Chinese or English headers; or NDJSON, an object a line with the
    /// fields of the API. References by code. Columns that only show something, as an export has them, are left alone.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// `create` when absent.
    mode: Option<Mode>,
    /// The real run, rolled back. `false` when absent.
    dry_run: Option<bool>,
    /// `abort` when absent.
    on_error: Option<OnError>,
}

struct Parts {
    verbs: &'static dyn Verbs,
    mode: Mode,
    dry_run: bool,
    on_error: OnError,
    file: std::fs::File,
    file_name: Option<String>,
    file_sha256: Vec<u8>,
    fingerprint: Vec<u8>,
}

/// Imports a file. With `on_error=abort` a single fault undoes everything and the answer is 422 with all the faults;
/// with `skip` the right rows stay. `dry_run=true` does it all and rolls it back.
#[utoipa::path(
    operation_id = "imports_create", tag = "imports", summary = "导入文件 / Import a file",
    params(("Idempotency-Key" = String, Header, description = "Makes a retry safe: the same parts get the stored answer.")),
    request_body(content = ImportForm, content_type = "multipart/form-data"),
    responses(
        (status = 201, description = "Imported.", body = Report, headers(("Location" = String, description = "The import's address."))),
        (status = 200, description = "A dry run: nothing was kept.", body = Report),
    ),
)]
#[post("/imports")]
pub async fn create(request: HttpRequest, caller: Caller, db: web::Data<Db>, payload: web::Payload) -> Result<HttpResponse> {
    let parts = parts(Multipart::new(request.headers(), body::paced(&request, payload))).await?;
    let scope = caller.actor.may(parts.verbs.area(), Action::Import)?;
    let mut deed = verbs::deed_of(&request, &caller, &parts.fingerprint, true)?;
    deed.rolled_back = parts.dry_run;
    let order = Order { mode: parts.mode, dry_run: parts.dry_run, on_error: parts.on_error, language: caller.language };
    let file_sha256: String = parts.file_sha256.iter().map(|byte| format!("{byte:02x}")).collect();
    let reply = db
        .write_long(deed, move |tx| {
            let mut file = parts.file.try_clone().map_err(Error::internal)?;
            file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
            let mut report = run::run(tx, parts.verbs, &scope, order, file)?;
            // A header that is wrong leaves no row to skip; and where a file has none, its first row may hold numbers
            // that must not be kept with the faults.
            let nothing_to_keep = order.on_error == OnError::Abort || report.rows_read == 0;
            if report.faults_total > 0 && nothing_to_keep && !order.dry_run {
                return Err(refused(&report));
            }
            if order.dry_run {
                return Ok(Reply { status: 200, location: None, etag: None, body: bytes(&report)?, replayed: false });
            }
            let id = Id::new();
            report.id = Some(id);
            let row = Row {
                id,
                code: new_code(),
                actor_id: tx.actor()?,
                resource: report.resource.clone(),
                mode: report.mode,
                dry_run: false,
                on_error: report.on_error,
                file_name: parts.file_name.clone(),
                file_sha256: file_sha256.clone(),
                outcome: report.outcome,
                rows_read: report.rows_read,
                rows_created: report.rows_created,
                rows_updated: report.rows_updated,
                rows_unchanged: report.rows_unchanged,
                rows_failed: report.rows_failed,
                ignored_columns: serde_json::to_string(&report.ignored_columns).map_err(Error::internal)?,
                faults: serde_json::to_string(&(report.faults_total, &report.faults)).map_err(Error::internal)?,
                version: 1,
                created_at: tx.now,
                updated_at: tx.now,
            };
            diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
            let detail = json!({
                "resource": report.resource, "file_sha256": file_sha256, "rows_read": report.rows_read,
                "rows_created": report.rows_created, "rows_updated": report.rows_updated, "rows_failed": report.rows_failed,
            });
            tx.audit(Action::Import.code(), "imports", Some(id), None, Some(&detail));
            Ok(Reply { status: 201, location: Some(format!("/api/v1/imports/{id}")), etag: None, body: bytes(&report)?, replayed: false })
        })
        .await?;
    Ok(verbs::respond(reply))
}

/// What became of an import, for who made it.
#[utoipa::path(
    operation_id = "imports_get", tag = "imports", summary = "读取一次导入的结果 / Read one import",
    params(("id" = Id, Path, description = "Id of the import.")),
    responses((status = 200, description = "What it did.", body = Report)),
)]
#[get("/imports/{id}")]
pub async fn one(caller: Caller, db: web::Data<Db>, id: web::Path<String>) -> Result<HttpResponse> {
    let id: Id = id.parse().map_err(|_| Error::not_found())?;
    let row: Row = db
        .read(move |conn| Ok(t::table.filter(t::id.eq(id)).filter(t::actor_id.eq(caller.actor.id)).select(Row::as_select()).first(conn)?))
        .await?;
    let (faults_total, faults): (i64, Vec<Fault>) = serde_json::from_str(&row.faults).map_err(Error::internal)?;
    Ok(HttpResponse::Ok().json(Report {
        id: Some(row.id),
        resource: row.resource,
        mode: row.mode,
        dry_run: row.dry_run,
        on_error: row.on_error,
        outcome: row.outcome,
        rows_read: row.rows_read,
        rows_created: row.rows_created,
        rows_updated: row.rows_updated,
        rows_unchanged: row.rows_unchanged,
        rows_failed: row.rows_failed,
        ignored_columns: serde_json::from_str(&row.ignored_columns).map_err(Error::internal)?,
        faults,
        faults_total,
    }))
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
#[get("/imports/columns/{resource}")]
pub async fn columns_of(_caller: Caller, resource: web::Path<String>) -> Result<HttpResponse> {
    let verbs = resource_named(&resource).ok_or_else(Error::not_found)?;
    Ok(HttpResponse::Ok().json(Columns { resource: verbs.name().to_owned(), columns: columns::of(verbs) }))
}

fn resource_named(segment: &str) -> Option<&'static dyn Verbs> {
    verbs::named(&segment.replace('-', "_")).filter(|verbs| verbs.importable())
}

fn bytes(report: &Report) -> Result<Vec<u8>> {
    serde_json::to_vec(report).map_err(Error::internal)
}

/// The refusal of a file with faults: nothing was kept, and every fault is told.
fn refused(report: &Report) -> Error {
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

#[derive(Insertable, Queryable, Selectable)]
#[diesel(table_name = t)]
struct Row {
    id: Id,
    code: String,
    actor_id: Id,
    resource: String,
    mode: Mode,
    dry_run: bool,
    on_error: OnError,
    file_name: Option<String>,
    file_sha256: String,
    outcome: Outcome,
    rows_read: i64,
    rows_created: i64,
    rows_updated: i64,
    rows_unchanged: i64,
    rows_failed: i64,
    ignored_columns: String,
    faults: String,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// Reads the parts. The file goes to a nameless file on disk, so that its size is no matter of memory.
async fn parts(mut payload: Multipart) -> Result<Parts> {
    let mut faults = Vec::new();
    let (mut resource, mut mode, mut dry_run, mut on_error, mut file) = (None, Mode::Create, false, OnError::Abort, None);
    let mut seen: Vec<String> = Vec::new();
    let mut fingerprint = Sha256::new();
    while let Some(field) = payload.try_next().await.map_err(malformed)? {
        let name = field.name().unwrap_or_default().to_owned();
        let mut fault = |code, zh: &str, en: &str| faults.push(Wrong::new(format!("/{name}"), code, Says::new(zh, en)));
        if seen.contains(&name) {
            fault("duplicate_part", "此项出现了不止一次", "the part stands more than once");
            continue;
        }
        seen.push(name.clone());
        fingerprint.update((name.len() as u64).to_be_bytes());
        fingerprint.update(&name);
        if name == "file" {
            let file_name = field
                .content_disposition()
                .and_then(|d| d.get_filename())
                .map(|n| n.chars().filter(|c| !c.is_control()).take(200).collect());
            let (stored, digest) = store(field).await?;
            fingerprint.update(&digest);
            file = Some((stored, file_name, digest));
            continue;
        }
        let text = text(field).await?;
        fingerprint.update((text.len() as u64).to_be_bytes());
        fingerprint.update(&text);
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
            "dry_run" => match text.as_str() {
                "true" => dry_run = true,
                "false" => dry_run = false,
                _ => fault("wrong_type", "应为 true 或 false", "this should be true or false"),
            },
            _ => fault(
                "unknown_field",
                "没有此项；可用：resource、file、mode、dry_run、on_error",
                "there is no such part; known: resource, file, mode, dry_run, on_error",
            ),
        }
    }
    let required = || Says::new("此项必填", "this is required");
    if resource.is_none() && !seen.iter().any(|name| name == "resource") {
        faults.push(Wrong::new("/resource", "required", required()));
    }
    if file.is_none() {
        faults.push(Wrong::new("/file", "required", required()));
    }
    match (resource, file) {
        (Some(verbs), Some((file, file_name, file_sha256))) if faults.is_empty() => {
            Ok(Parts { verbs, mode, dry_run, on_error, file, file_name, file_sha256, fingerprint: fingerprint.finalize().to_vec() })
        }
        _ => Err(Error::invalid(faults)),
    }
}

fn malformed(error: actix_multipart::MultipartError) -> Error {
    use actix_multipart::MultipartError as E;
    match error {
        E::ContentTypeMissing | E::ContentTypeParse | E::ContentTypeIncompatible | E::BoundaryMissing => Error::because(
            Code::UnsupportedMediaType,
            "Content-Type 应为 multipart/form-data",
            "Content-Type should be multipart/form-data",
        ),
        E::Payload(error) => body::broken_off(&error),
        _ => Error::because(Code::MalformedRequest, "无法读取 multipart 内容", "the multipart body can't be read"),
    }
}

async fn text(mut field: Field) -> Result<String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = field.next().await {
        bytes.extend_from_slice(&chunk.map_err(malformed)?);
        if bytes.len() > TEXT_LIMIT {
            return Err(Error::new(Code::TooLarge));
        }
    }
    String::from_utf8(bytes).map_err(|_| Error::because(Code::MalformedRequest, "表单文字应为 UTF-8", "a form's text should be UTF-8"))
}

async fn store(mut field: Field) -> Result<(std::fs::File, Vec<u8>)> {
    let mut file = tempfile::tempfile().map_err(Error::internal)?;
    let mut digest = Sha256::new();
    let mut size = 0;
    while let Some(chunk) = field.next().await {
        let chunk = chunk.map_err(malformed)?;
        size += chunk.len();
        if size > FILE_LIMIT {
            let most = FILE_LIMIT / 1024 / 1024;
            return Err(Error::because(Code::TooLarge, format!("文件最大 {most} MiB"), format!("a file has at most {most} MiB")));
        }
        digest.update(&chunk);
        // A chunk is a few kilobytes and goes to the page cache: too little to be worth another thread.
        file.write_all(&chunk).map_err(Error::internal)?;
    }
    Ok((file, digest.finalize().to_vec()))
}
