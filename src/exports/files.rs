//! Exports that nobody waits for: `POST /exports/{resource}`, and the files that come of it.

use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use diesel::prelude::*;
use futures_util::stream;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::api::{Asked, Headers, Identifiers, file_name, record_begin, resource_of, respond};
use super::kept::{self, Row};
use super::{Format, job};
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::{Any, AnyConnection, Db, Reply};
use crate::error::{Code, Error, Language, Result};
use crate::jobs::{self, Job, JobKind, JobState, Jobs};
use crate::policy::Action;
use crate::schema::export_files as t;
use crate::types::{CoordinateSystem, Id, Instant, TextEnum};
use crate::web::handlers::{self, deed_of, id_of};
use crate::web::query::Pairs;
use crate::web::verbs;
use crate::web::{Sort, Window};

/// How long a cancelling waits for the export to end.
const PATIENCE: Duration = Duration::from_secs(20);

/// An export of which a file is made.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = ExportFile)]
pub struct Shown {
    id: Id,
    #[schema(example = "volunteers")]
    resource: String,
    /// What was asked for, as it stood in the address.
    #[schema(example = "format=xlsx&status=active")]
    query: String,
    format: Format,
    file_name: String,
    state: JobState,
    /// Records written so far.
    rows_written: i64,
    /// Of all records, 0 to 100, while it runs.
    percent: Option<i64>,
    seconds_left: Option<i64>,
    /// Bytes of the file; null until there is one.
    bytes: Option<i64>,
    /// Why it could not be made: `code`, `detail` and `errors` of a problem document.
    #[schema(value_type = Option<Object>)]
    failure: Option<Value>,
    created_at: Instant,
    finished_at: Option<Instant>,
    /// Until when the file is kept.
    kept_until: Instant,
    /// What its owner may do with it now: `cancel`, `download`.
    allowed_actions: Vec<&'static str>,
}

/// Exports of one's own.
#[derive(Serialize, ToSchema)]
pub struct ExportFilePage {
    items: Vec<Shown>,
    next_cursor: Option<String>,
}

/// An export with its job.
struct Known {
    row: Row,
    job: Option<Job>,
}

fn own(conn: &mut AnyConnection, actor: Id, id: Id) -> Result<Known> {
    // The job first: when it is over, so is what is read next.
    let job = jobs::latest(conn, JobKind::Export, id)?;
    Ok(Known { row: kept::own(conn, actor, id)?, job })
}

impl Known {
    fn state(&self) -> JobState {
        self.job.as_ref().map_or(JobState::Done, |job| job.state)
    }

    fn kept_until(&self, jobs: &Jobs) -> Instant {
        self.row.created_at.plus_seconds(i64::try_from(jobs.files_kept().as_secs()).unwrap_or(i64::MAX))
    }

    fn shown(self, jobs: &Jobs, language: Language) -> Shown {
        let (state, kept_until) = (self.state(), self.kept_until(jobs));
        let progress = self.job.as_ref().filter(|_| !state.is_over()).and_then(|job| jobs.progress(job));
        let allowed_actions = match state {
            state if !state.is_over() => vec![Action::Cancel.code()],
            _ if self.row.bytes.is_some() && kept_until > Instant::now() => vec!["download"],
            _ => Vec::new(),
        };
        Shown {
            state,
            rows_written: progress.map_or(self.row.rows_written, |progress| progress.rows_read),
            percent: progress.and_then(|progress| progress.percent),
            seconds_left: progress.and_then(|progress| progress.seconds_left),
            failure: self.job.as_ref().and_then(Job::failed_with).map(|failure| failure.told(language)),
            kept_until,
            allowed_actions,
            id: self.row.id,
            resource: self.row.resource,
            query: self.row.query,
            format: self.row.format,
            file_name: self.row.file_name,
            bytes: self.row.bytes,
            created_at: self.row.created_at,
            finished_at: self.row.finished_at,
        }
    }
}

/// Exports a list into a file that is kept, for one so long that nobody wants to hold a connection open: the same as `GET`
/// with the same parameters, made in the background, of one moment, and fetched later under `/export-files`.
#[utoipa::path(
    operation_id = "exports_create", tag = "exports", summary = "后台导出列表 / Export a list in the background",
    params(
        ("resource" = String, Path, description = "The resource, as in its address. All parameters of its list that filter are taken here as well.", example = "volunteers"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: it is the same export."),
        ("format" = inline(Option<Format>), Query, description = "`csv` when absent."),
        ("headers" = inline(Option<Headers>), Query, description = "Language of the headers and labels of CSV and XLSX; `zh` when absent."),
        ("sort" = Option<String>, Query, description = "As of the list; `created_at` when absent.", example = "created_at"),
        ("coordinate_system" = inline(Option<CoordinateSystem>), Query, description = "Of GeoJSON: `wgs84` when absent. Otherwise as the list has it."),
        ("identifiers" = inline(Option<Identifiers>), Query, description = "`masked` when absent."),
        ("purpose" = Option<String>, Query, description = "What whole numbers are for, 4 to 200 characters: kept in the audit log.", example = "核对慰问金收款人身份"),
    ),
    responses((status = 202, description = "It waits or runs.", body = Shown, headers(("Location" = String, description = "Its address.")))),
)]
#[post("/exports/{resource}")]
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    jobs: web::Data<Jobs>,
    facts: web::Data<Facts>,
) -> Result<HttpResponse> {
    let verbs = resource_of(&request)?;
    let (actor, language) = (caller.actor.id, caller.language);
    let query = request.query_string().to_owned();
    let Asked { export, purpose } = Asked::of(&caller.actor, verbs, &query)?;
    let deed = deed_of(&request, &caller, query.as_bytes(), false)?;
    let most = facts.full_exports_an_hour;
    let reply = db
        .write(deed, move |tx| {
            let row = Row {
                id: Id::new(),
                actor_id: actor,
                resource: verbs.name().to_owned(),
                query: query.clone(),
                format: export.format,
                file_name: file_name(&export),
                organization_id: export.scope.root(),
                begun_event_id: record_begin(tx, &export, purpose.as_deref(), most)?,
                rows_written: 0,
                bytes: None,
                created_at: tx.now,
                finished_at: None,
            };
            diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
            jobs::place(tx, JobKind::Export, row.id, language)?;
            Ok(Reply {
                status: 202,
                location: Some(format!("/api/v1/export-files/{}", row.id)),
                etag: None,
                body: Vec::new(),
                kept: None,
                replayed: false,
            })
        })
        .await?;
    let location = reply.location.unwrap_or_default();
    let id: Id = location.rsplit('/').next().and_then(|id| id.parse().ok()).ok_or_else(Error::not_found)?;
    let known = db.read(move |conn| own(conn, actor, id)).await?;
    let mut response = HttpResponse::Accepted();
    response.insert_header((header::LOCATION, location));
    if reply.replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.json(known.shown(&jobs, language)))
}

/// The caller's exports in the background.
#[utoipa::path(
    operation_id = "export_files_list", tag = "exports", summary = "我的后台导出 / One's own exports in the background",
    params(
        ("sort" = Option<String>, Query, description = "`-created_at` when absent."),
        ("limit" = Option<i64>, Query, description = "Exports a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")),
    responses((status = 200, description = "A page.", body = ExportFilePage)),
)]
#[get("/export-files")]
pub async fn list(request: HttpRequest, caller: Caller, db: web::Data<Db>, jobs: web::Data<Jobs>) -> Result<HttpResponse> {
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &Sort::IN_TIME)?;
    handlers::nothing_else(pairs)?;
    let actor = caller.actor.id;
    let (known, next_cursor) = db
        .read(move |conn| {
            let mut query = t::table.filter(t::actor_id.eq(actor)).select(Row::as_select()).into_boxed::<Any>();
            let newest = window.sort == Sort::Newest;
            if let Some(after) = &window.after {
                query = if newest { query.filter(t::id.lt(after.id)) } else { query.filter(t::id.gt(after.id)) };
            }
            query = if newest { query.order(t::id.desc()) } else { query.order(t::id.asc()) };
            let mut found: Vec<Row> = query.limit(window.fetch()).load(conn)?;
            let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
            let more = found.len() > limit;
            found.truncate(limit);
            let next_cursor = found.last().filter(|_| more).map(|last| window.cursor_after(last.id, ""));
            let all = jobs::all_of(conn, &found.iter().map(|row| row.id).collect::<Vec<_>>())?;
            let job_of = |id| all.iter().rev().find(|job| job.record_id == id).cloned();
            Ok((found.into_iter().map(|row| Known { job: job_of(row.id), row }).collect::<Vec<_>>(), next_cursor))
        })
        .await?;
    let items = known.into_iter().map(|known| known.shown(&jobs, caller.language)).collect();
    Ok(HttpResponse::Ok().json(ExportFilePage { items, next_cursor }))
}

/// One of the caller's exports in the background: how far it is, and whether its file can be fetched.
#[utoipa::path(
    operation_id = "export_files_get", tag = "exports", summary = "读取一次后台导出的进度 / Read one export in the background",
    params(("id" = Id, Path, description = "Id of the export.")),
    responses((status = 200, description = "Where it stands.", body = Shown)),
)]
#[get("/export-files/{id}")]
pub async fn one(request: HttpRequest, caller: Caller, db: web::Data<Db>, jobs: web::Data<Jobs>) -> Result<HttpResponse> {
    handlers::no_parameters(&request)?;
    let (id, actor) = (id_of(&request)?, caller.actor.id);
    let known = db.read(move |conn| own(conn, actor, id)).await?;
    Ok(HttpResponse::Ok().json(known.shown(&jobs, caller.language)))
}

/// The file, to whoever made it and still may see what it holds.
#[utoipa::path(
    operation_id = "export_files_content", tag = "exports", summary = "下载后台导出的文件 / Fetch the file of an export",
    params(("id" = Id, Path, description = "Id of the export.")),
    responses((status = 200, description = "The file.",
        headers(("Content-Disposition" = String, description = "The file's name: the resource's label and the day.")),
        content(
            (String = "text/csv"), (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (String = "application/x-ndjson"), (Value = "application/geo+json"),
        ))),
)]
#[get("/export-files/{id}/content")]
pub async fn content(request: HttpRequest, caller: Caller, db: web::Data<Db>, jobs: web::Data<Jobs>) -> Result<HttpResponse> {
    handlers::no_parameters(&request)?;
    let (id, actor) = (id_of(&request)?, caller.actor.id);
    let known = db.read(move |conn| own(conn, actor, id)).await?;
    let verbs = verbs::named(&known.row.resource).ok_or_else(Error::not_found)?;
    Asked::of(&caller.actor, verbs, &known.row.query)?;
    let Some(bytes) = known.row.bytes else {
        let (zh, en) = if known.state().is_over() {
            ("此次导出没有文件", "the export has made no file")
        } else {
            ("导出尚未完成", "the export is not done yet")
        };
        return Err(
            Error::because(Code::StepNotAllowed, zh, en).with("allowed_actions", known.shown(&jobs, caller.language).allowed_actions)
        );
    };
    let source = db.clone();
    let first = piece(source.clone(), id, 0).await?;
    if first.is_none() && bytes > 0 {
        return Err(Error::because(Code::Conflict, "文件已过保存期，请重新导出", "the file is kept no longer; export it again"));
    }
    let chunks = stream::unfold((first, 0), move |(ready, position)| {
        let source = source.clone();
        async move {
            let next = match ready {
                Some(piece) => return Some((Ok(web::Bytes::from(piece)), (None, position + 1))),
                None => piece(source, id, position).await,
            };
            next.transpose().map(|piece| (piece.map(web::Bytes::from), (None, position + 1)))
        }
    });
    Ok(respond(known.row.format, &known.row.file_name).no_chunking(u64::try_from(bytes).unwrap_or_default()).streaming(Box::pin(chunks)))
}

async fn piece(db: web::Data<Db>, id: Id, position: i32) -> Result<Option<Vec<u8>>> {
    let source = db.clone();
    db.read(move |conn| kept::piece(&source, conn, id, position)).await
}

/// Ends an export that waits or runs: nothing of it is kept.
#[utoipa::path(
    operation_id = "export_files_cancel", tag = "exports", summary = "取消后台导出 / Cancel an export in the background",
    params(("id" = Id, Path, description = "Id of the export.")),
    responses((status = 200, description = "It has ended.", body = Shown), (status = 202, description = "It is about to end.", body = Shown)),
)]
#[post("/export-files/{id}/cancel")]
pub async fn cancel(request: HttpRequest, caller: Caller, db: web::Data<Db>, jobs: web::Data<Jobs>) -> Result<HttpResponse> {
    handlers::no_parameters(&request)?;
    let (id, actor) = (id_of(&request)?, caller.actor.id);
    let deed = deed_of(&request, &caller, &[], false)?;
    let reply = db.write(deed, move |tx| {
        let known = own(tx.conn, actor, id)?;
        let Some(work) = known.job.filter(|job| !job.state.is_over()) else {
            return Err(Error::because(Code::StepNotAllowed, "导出已经结束，不能再取消", "the export is over and can't be cancelled")
                .with("allowed_actions", json!([])));
        };
        if jobs::ask_to_end(tx, &work)? {
            job::cancel(tx, id)?;
        }
        Ok(Reply { status: 202, location: None, etag: None, body: Vec::new(), kept: None, replayed: false })
    });
    reply.await?;
    if let Some(progress) = jobs.running(id) {
        progress.cancel(actor);
    }
    jobs.awaited(&db, JobKind::Export, id, PATIENCE).await?;
    let known = db.read(move |conn| own(conn, actor, id)).await?;
    let mut response = if known.state().is_over() { HttpResponse::Ok() } else { HttpResponse::Accepted() };
    Ok(response.json(known.shown(&jobs, caller.language)))
}
