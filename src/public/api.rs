//! Notices as the public reads them.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};

use super::store;
use crate::db::Db;
use crate::error::{Error, Result};
use crate::resources::notice_objections::ObjectionOutcome;
use crate::resources::public_notices::{NoticeCorrection, NoticeLine, ObjectionCounts};
use crate::schema::notice_objections;
use crate::types::{Id, Instant, business_today, text_enum};
use crate::web::Window;
use crate::web::contract::filter_shape;
use crate::web::handlers::{id_of, is_known, no_parameters, nothing_else};
use crate::web::query::Pairs;

text_enum! {
    /// Where a notice stands, for the public.
    PublicStatus {
        InForce = "in_force", "公示中", "in force";
        Archived = "archived", "已归档", "archived";
    }
}

/// A notice in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublishedNoticeBrief {
    pub id: Id,
    pub title: String,
    pub organization_code: String,
    pub organization_name: String,
    /// The day of its publication.
    pub starts_on: NaiveDate,
    /// Its last day.
    pub ends_on: NaiveDate,
    pub status: PublicStatus,
    /// Whether its last day has passed: until it is concluded it stays in force.
    pub period_over: bool,
}

/// An answer to an objection.
#[derive(Debug, Clone, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = notice_objections)]
pub struct NoticeAnswer {
    pub outcome: Option<ObjectionOutcome>,
    pub answer: Option<String>,
    pub answered_on: Option<NaiveDate>,
}

/// A notice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublishedNotice {
    #[serde(flatten)]
    pub notice: PublishedNoticeBrief,
    pub introduction: Option<String>,
    /// How many lines it has.
    pub line_count: i64,
    /// For how many people they are; null where one of them doesn't say.
    pub people: Option<i64>,
    /// Their sum, in fen (1/100 yuan); null where no amount is told.
    pub total_fen: Option<i64>,
    pub objections: ObjectionCounts,
    /// To the last hundred objections that were answered, the newest first.
    pub answers: Vec<NoticeAnswer>,
    /// What was put right, at most a hundred times.
    pub corrections: Vec<NoticeCorrection>,
}

/// A page of notices.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublishedNoticePage {
    pub items: Vec<PublishedNoticeBrief>,
    /// Give it as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A page of a notice's lines.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublishedNoticeLinePage {
    pub items: Vec<NoticeLine>,
    /// Give it as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// Which notices.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PublishedNoticeFilter {
    /// The organization with this code, and all below it.
    #[param(example = "zz")]
    pub organization_code: Option<String>,
    #[param(inline)]
    pub status: Option<PublicStatus>,
}

/// What is told alike to everybody: it may be kept for a minute wherever it passes, and its ETag is that of its words, which change by
/// themselves when the last day is over.
pub(super) fn told(request: &HttpRequest, body: &impl Serialize) -> Result<HttpResponse> {
    let body = serde_json::to_vec(body).map_err(Error::internal)?;
    let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..12]));
    let mut response = if is_known(request, &etag) { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header((header::ETAG, etag.clone())).insert_header((header::CACHE_CONTROL, "public, max-age=60"));
    if is_known(request, &etag) {
        return Ok(response.finish());
    }
    Ok(response.content_type("application/json").body(body))
}

/// Notices that are in force or archived, the newest first.
#[utoipa::path(operation_id = "public_notices_published", tag = "public", summary = "公示列表 / Notices", security(()),
    params(PublishedNoticeFilter,
        ("limit" = Option<i64>, Query, description = "Notices a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, with the same filter."),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses((status = 200, description = "A page.", body = PublishedNoticePage,
        headers(("ETag" = String, description = "Of these words."), ("Cache-Control" = String, description = "`public, max-age=60`."))),
        (status = 304, description = "The caller's copy is the present one.")))]
#[get("/public/notices")]
pub async fn notices(request: HttpRequest, db: web::Data<Db>) -> Result<HttpResponse> {
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &[])?;
    let filter = pairs.into_json(&filter_shape::<PublishedNoticeFilter>())?;
    let filter: PublishedNoticeFilter = serde_json::from_value(filter).map_err(Error::internal)?;
    let today = business_today(Instant::now());
    let tree = db.tree().clone();
    let page = db.read(move |conn| store::page(conn, &tree, filter.organization_code.as_deref(), filter.status, &window, today)).await?;
    told(&request, &page)
}

/// One notice that is in force or archived; anything else isn't there.
#[utoipa::path(operation_id = "public_notices_published_one", tag = "public", summary = "公示详情 / One notice", security(()),
    params(("id" = Id, Path, description = "Id of the notice."),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses((status = 200, description = "The notice.", body = PublishedNotice,
        headers(("ETag" = String, description = "Of these words."), ("Cache-Control" = String, description = "`public, max-age=60`."))),
        (status = 304, description = "The caller's copy is the present one.")))]
#[get("/public/notices/{id}")]
pub async fn notice(request: HttpRequest, db: web::Data<Db>) -> Result<HttpResponse> {
    let id = id_of(&request)?;
    no_parameters(&request)?;
    let today = business_today(Instant::now());
    let notice = db.read(move |conn| store::find(conn, id, today)).await?;
    told(&request, &notice)
}

/// The lines of a notice that is in force or archived: masked names, or what stands in their place.
#[utoipa::path(operation_id = "public_notices_published_lines", tag = "public", summary = "公示名单 / The lines of a notice", security(()),
    params(("id" = Id, Path, description = "Id of the notice."),
        ("limit" = Option<i64>, Query, description = "Lines a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before."),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses((status = 200, description = "A page, in the order of the notice.", body = PublishedNoticeLinePage,
        headers(("ETag" = String, description = "Of these words."), ("Cache-Control" = String, description = "`public, max-age=60`."))),
        (status = 304, description = "The caller's copy is the present one.")))]
#[get("/public/notices/{id}/lines")]
pub async fn notice_lines(request: HttpRequest, db: web::Data<Db>) -> Result<HttpResponse> {
    let id = id_of(&request)?;
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &[])?;
    nothing_else(pairs)?;
    let page = db.read(move |conn| store::lines(conn, id, &window)).await?;
    told(&request, &page)
}
