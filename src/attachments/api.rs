//! `/attachments`: adding to a record, its list, one of them and what is in it.

use std::io::{Read, Seek, SeekFrom};

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, delete, get, post, web};
use diesel::prelude::*;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::content::{Judged, MEDIA_TYPES, Picture, judge};
use super::links;
use super::store::{self, Row, Variant, holder_named};
use super::sweep;
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::{Db, Deed, Reply, Tx};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::files::attached;
use crate::files::read::size;
use crate::policy::{Action, Actor};
use crate::schema::attachments as t;
use crate::storage::Storage;
use crate::types::{Id, Instant, TextEnum};
use crate::vault::Vault;
use crate::web::contract::filter_shape;
use crate::web::form::{self, Form, Part, Upload};
use crate::web::handlers::{self, deed_of, id_of, is_known, no_parameters, respond};
use crate::web::query::Pairs;
use crate::web::shape::is_hidden;
use crate::web::verbs::{Holder, Verbs};
use crate::web::{Sort, Window};

/// Characters of a caption.
const CAPTION: usize = 200;
/// Bytes that a download holds in memory.
const CHUNK: u64 = 1024 * 1024;

/// A file that belongs to a record.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Attachment {
    pub id: Id,
    /// The resource of its record, as in its address.
    #[schema(example = "publicity-assets")]
    pub resource: String,
    pub record_id: Id,
    #[schema(example = "紫荆山公园.jpg")]
    pub file_name: String,
    pub caption: Option<String>,
    /// By what is in it. A picture is kept as JPEG or PNG.
    #[schema(example = "image/jpeg")]
    pub media_type: String,
    /// As it is kept: of a picture without what was not the picture.
    pub bytes: i64,
    /// Of the file as it is kept, in hexadecimal.
    pub sha256: String,
    /// Pixels, of a picture.
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub uploaded_by: Id,
    pub created_at: Instant,
    pub links: AttachmentLinks,
    /// What the caller may do with it: `delete`.
    #[schema(value_type = Vec<Action>)]
    pub allowed_actions: Vec<String>,
}

/// Addresses that need no token for a while, for the picture tags of pages and mini-programs. Whoever has one can fetch the file.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AttachmentLinks {
    #[schema(example = "/api/v1/attachment-links/01936a3c-5b7e-7000-8000-000000000001/content?expires=1764316800&for=…&signature=…")]
    pub content: String,
    /// A JPEG whose longer side has 320 pixels at most; null of what is no picture.
    pub thumbnail: Option<String>,
    pub expires_at: Instant,
}

/// A record's attachments.
#[derive(Serialize, ToSchema)]
pub struct AttachmentPage {
    items: Vec<Attachment>,
    /// Give it as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
}

/// Of which record.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct AttachmentFilter {
    /// The record's resource, as in its address.
    #[param(example = "publicity-assets")]
    pub resource: String,
    pub record_id: Id,
}

/// A file for a record.
#[derive(ToSchema)]
#[allow(dead_code)] // The contract's word for what `parts` reads.
struct AttachmentForm {
    /// The record's resource, as in its address.
    #[schema(example = "publicity-assets")]
    resource: String,
    record_id: Id,
    /// JPEG, PNG or WebP; PDF; docx, xlsx or pptx without macros. Known by its content, which the end of its name must agree with.
    #[schema(value_type = String, format = Binary)]
    file: Vec<u8>,
    /// Up to 200 characters.
    caption: Option<String>,
}

struct Parts {
    verbs: &'static dyn Verbs,
    record_id: Id,
    caption: Option<String>,
    upload: Upload,
    fingerprint: Vec<u8>,
}

async fn parts(mut form: Form, file_limit: u64) -> Result<Parts> {
    let (mut verbs, mut record_id, mut caption, mut upload) = (None, None, None, None);
    let mut faults = Vec::new();
    let text_limit = |name: &str| if name == "caption" { 4 * CAPTION } else { form::TEXT_LIMIT };
    while let Some((name, part)) = form.next(file_limit, text_limit, &mut faults).await? {
        let text = match part {
            Part::File(file) => {
                upload = Some(file);
                continue;
            }
            Part::Text(text) => text,
        };
        let mut fault = |code, zh: &str, en: &str| faults.push(Fault::new(format!("/{name}"), code, Says::new(zh, en)));
        match name.as_str() {
            "resource" => match holder_named(&text) {
                Some(known) => verbs = Some(known),
                None => fault("unknown_resource", "此类记录没有附件", "records of this kind have no attachments"),
            },
            "record_id" => match text.parse() {
                Ok(id) => record_id = Some(id),
                Err(_) => fault("invalid_id", "应为 UUID", "this should be a UUID"),
            },
            "caption" if text.is_empty() => {}
            "caption" if text.chars().count() > CAPTION || text.chars().any(is_hidden) => {
                fault("invalid_text", "说明最多 200 字，不含控制字符", "a caption has at most 200 characters and no control characters");
            }
            "caption" => caption = Some(text),
            _ => fault(
                "unknown_field",
                "没有此项；可用：resource、record_id、file、caption",
                "there is no such part; known: resource, record_id, file, caption",
            ),
        }
    }
    for name in ["resource", "record_id", "file"] {
        if !form.has(name) {
            faults.push(form::missing(name));
        }
    }
    match (verbs, record_id, upload) {
        (Some(verbs), Some(record_id), Some(upload)) if faults.is_empty() => {
            Ok(Parts { verbs, record_id, caption, upload, fingerprint: form.fingerprint() })
        }
        _ => Err(Error::invalid(faults)),
    }
}

fn too_large(most: u64) -> Error {
    let told = size(most);
    Error::because(
        Code::TooLarge,
        format!("附件最大 {told}；照片请缩小，文件请压缩其中的图片后再上传"),
        format!("an attachment has at most {told}; make a photo smaller, or the pictures in a document"),
    )
    .with("at_most", most)
}

/// Adds a file to a record. What else is in a picture than the picture (where it was taken, with what) is not kept.
#[utoipa::path(
    operation_id = "attachments_create", tag = "attachments", summary = "上传附件 / Attach a file to a record",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: the same parts are the same attachment.")),
    request_body(content = AttachmentForm, content_type = "multipart/form-data"),
    responses((status = 201, description = "Attached.", body = Attachment, headers(("Location" = String, description = "Its address.")))),
)]
#[post("/attachments")]
pub async fn create(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    facts: web::Data<Facts>,
    storage: web::Data<Storage>,
    payload: web::Payload,
) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let limits = facts.attachment_limits;
    let parts = parts(Form::of(&request, payload, too_large), limits.file).await?;
    let scope = caller.actor.may(parts.verbs.area(), Action::Update)?;
    let deed = deed_of(&request, &caller, &parts.fingerprint, false)?;
    let (verbs, record_id) = (parts.verbs, parts.record_id);
    let early = scope.clone();
    // What can't be attached is told before a picture is painted.
    db.read(move |conn| {
        let holder = verbs.holder(conn, &early, record_id)?;
        room(conn, holder, verbs, record_id, 0, &limits).map(|_| ())
    })
    .await?;
    // One at a time: a picture of many pixels takes some hundred megabytes for a moment.
    let turn = facts.painting.acquire().await.map_err(Error::internal)?;
    let Parts { upload, caption, .. } = parts;
    let judged = db
        .block_long(move || {
            let mut file = upload.file;
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).map_err(Error::internal)?;
            file.read_to_end(&mut bytes).map_err(Error::internal)?;
            Ok((judge(bytes, upload.name.as_deref(), limits.pixels)?, upload.name))
        })
        .await;
    drop(turn);
    let (judged, sent_as) = judged?;
    let row = row(&judged, sent_as.as_deref(), caption, verbs, record_id, caller.actor.id);
    storage.write(db.vault(), &row.place(Variant::Content), &judged.bytes).await?;
    if let Some(picture) = &judged.picture {
        storage.write(db.vault(), &row.place(Variant::Thumbnail), &picture.thumbnail).await?;
    }
    drop(judged);
    let kept = row.clone();
    let written = db
        .write(deed, move |tx| {
            let holder = verbs.holder(tx.conn, &scope, record_id)?;
            let holder = room(tx.conn, holder, verbs, record_id, kept.bytes, &limits)?;
            keep(tx, kept.clone(), &holder)
        })
        .await;
    if !written.as_ref().is_ok_and(|reply| !reply.replayed) {
        // What can't be taken away now will be swept.
        let _ = sweep::take_away(&storage, &row).await;
    }
    let reply = written?;
    let id: Id =
        reply.location.as_deref().and_then(|path| path.rsplit('/').next()).and_then(|id| id.parse().ok()).ok_or_else(Error::not_found)?;
    let (actor, vault) = (caller.actor.clone(), db.clone());
    let shown = db.read(move |conn| Ok(shown(store::find(conn, &actor, id, Action::Read)?, &actor, vault.vault(), &limits))).await?;
    let body = serde_json::to_vec(&shown).map_err(Error::internal)?;
    Ok(respond(Reply { body, ..reply }))
}

/// That there is room for one more file of so many bytes.
fn room(
    conn: &mut crate::db::AnyConnection,
    holder: Holder,
    verbs: &dyn Verbs,
    record_id: Id,
    bytes: i64,
    limits: &super::AttachmentLimits,
) -> Result<Holder> {
    if store::count_of(conn, verbs.name(), record_id)? >= limits.of_record {
        let most = limits.of_record;
        return Err(Error::because(
            Code::Conflict,
            format!("一条记录最多 {most} 个附件；请先删除不需要的"),
            format!("a record has at most {most} attachments; delete those that are not needed"),
        )
        .with("most", most));
    }
    if let Some(organization_id) = holder.organization_id
        && store::bytes_of(conn, organization_id)? + bytes > limits.of_organization
    {
        let most = size(u64::try_from(limits.of_organization).unwrap_or_default());
        return Err(Error::because(
            Code::Conflict,
            format!("本组织的附件已满 {most}；请先删除不需要的，或联系管理员"),
            format!("the organization's attachments take {most}, which is all there is; delete some, or ask the administrator"),
        ));
    }
    Ok(holder)
}

fn row(judged: &Judged, sent_as: Option<&str>, caption: Option<String>, verbs: &dyn Verbs, record_id: Id, uploaded_by: Id) -> Row {
    use sha2::{Digest, Sha256};
    let pixels = |of: fn(&Picture) -> u32| judged.picture.as_ref().and_then(|picture| i32::try_from(of(picture)).ok());
    Row {
        id: Id::new(),
        organization_id: None,
        resource: verbs.name().to_owned(),
        record_id,
        file_name: file_name(sent_as, judged.extension),
        caption,
        media_type: judged.media_type.to_owned(),
        bytes: i64::try_from(judged.bytes.len()).unwrap_or(i64::MAX),
        sha256: Sha256::digest(&judged.bytes).iter().map(|byte| format!("{byte:02x}")).collect(),
        width: pixels(|picture| picture.width),
        height: pixels(|picture| picture.height),
        storage_key: Storage::new_key(),
        thumbnail_bytes: judged.picture.as_ref().and_then(|picture| i64::try_from(picture.thumbnail.len()).ok()),
        uploaded_by,
        created_at: Instant::now(),
    }
}

/// What a file is called: as it was sent, without the folders that it lay in, and ending in what it is kept as.
fn file_name(sent_as: Option<&str>, extension: &str) -> String {
    let bare = sent_as.and_then(|name| name.rsplit(['/', '\\']).next()).unwrap_or_default();
    let stem = bare.rsplit_once('.').map_or(bare, |(stem, _)| stem);
    let stem: String = stem.chars().filter(|c| !is_hidden(*c) && !"\r\n\t<>:\"|?*".contains(*c)).collect();
    let stem = stem.trim_matches(['.', ' ']);
    format!("{}.{extension}", if stem.is_empty() { "附件" } else { stem })
}

fn keep(tx: &mut Tx<'_>, row: Row, holder: &Holder) -> Result<Reply> {
    let row = Row { organization_id: holder.organization_id, created_at: tx.now, ..row };
    diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
    let detail = json!({"resource": row.resource, "record_id": row.record_id, "file_name": row.file_name, "sha256": row.sha256});
    tx.audit(Action::Create.code(), "attachments", Some(row.id), row.organization_id, Some(&detail)).about(holder.person_id);
    Ok(Reply {
        status: 201,
        location: Some(format!("/api/v1/attachments/{}", row.id)),
        etag: None,
        body: Vec::new(),
        kept: None,
        replayed: false,
    })
}

fn shown(row: Row, actor: &Actor, vault: &Vault, limits: &super::AttachmentLimits) -> Attachment {
    let deletes = row.verbs().is_ok_and(|verbs| actor.can(verbs.area(), Action::Update));
    Attachment {
        links: links::of(&row, actor.id, vault, limits.link_seconds, Instant::now()),
        allowed_actions: if deletes { vec![Action::Delete.code().to_owned()] } else { Vec::new() },
        id: row.id,
        resource: row.resource.replace('_', "-"),
        record_id: row.record_id,
        file_name: row.file_name,
        caption: row.caption,
        media_type: row.media_type,
        bytes: row.bytes,
        sha256: row.sha256,
        width: row.width,
        height: row.height,
        uploaded_by: row.uploaded_by,
        created_at: row.created_at,
    }
}

/// The attachments of a record.
#[utoipa::path(
    operation_id = "attachments_list", tag = "attachments", summary = "一条记录的附件 / A record's attachments",
    params(AttachmentFilter,
        ("sort" = Option<String>, Query, description = "`-created_at` when absent."),
        ("limit" = Option<i64>, Query, description = "Attachments a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")),
    responses((status = 200, description = "A page.", body = AttachmentPage)),
)]
#[get("/attachments")]
pub async fn list(request: HttpRequest, caller: Caller, db: web::Data<Db>, facts: web::Data<Facts>) -> Result<HttpResponse> {
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &Sort::IN_TIME)?;
    let filter = pairs.into_json(&filter_shape::<AttachmentFilter>())?;
    let missing: Vec<Fault> =
        ["resource", "record_id"].iter().filter(|name| filter.get(**name).is_none()).map(|name| form::missing(name)).collect();
    if !missing.is_empty() {
        return Err(Error::with_faults(Code::InvalidParameter, missing));
    }
    let filter: AttachmentFilter = serde_json::from_value(filter).map_err(Error::internal)?;
    let verbs = holder_named(&filter.resource).ok_or_else(|| {
        let says = Says::new("此类记录没有附件", "records of this kind have no attachments");
        Error::with_faults(Code::InvalidParameter, vec![Fault::new("/resource", "unknown_resource", says)])
    })?;
    let scope = caller.actor.may(verbs.area(), Action::Read)?;
    let (actor, limits, vault) = (caller.actor, facts.attachment_limits, db.clone());
    let page = db
        .read(move |conn| {
            let mut rows = store::page(conn, &scope, verbs, filter.record_id, &window)?;
            let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
            let more = rows.len() > limit;
            rows.truncate(limit);
            let next_cursor = rows.last().filter(|_| more).map(|last| window.cursor_after(last.id, ""));
            let items = rows.into_iter().map(|row| shown(row, &actor, vault.vault(), &limits)).collect();
            Ok(AttachmentPage { items, next_cursor })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// One attachment, with fresh links.
#[utoipa::path(
    operation_id = "attachments_get", tag = "attachments", summary = "读取附件信息 / Read about one attachment",
    params(("id" = Id, Path, description = "Id of the attachment.")),
    responses((status = 200, description = "The attachment.", body = Attachment)),
)]
#[get("/attachments/{id}")]
pub async fn one(request: HttpRequest, caller: Caller, db: web::Data<Db>, facts: web::Data<Facts>) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let id = id_of(&request)?;
    let (actor, limits, vault) = (caller.actor, facts.attachment_limits, db.clone());
    let shown = db.read(move |conn| Ok(shown(store::find(conn, &actor, id, Action::Read)?, &actor, vault.vault(), &limits))).await?;
    Ok(HttpResponse::Ok().json(shown))
}

/// Takes an attachment from its record.
#[utoipa::path(
    operation_id = "attachments_delete", tag = "attachments", summary = "删除附件 / Delete an attachment",
    params(("id" = Id, Path, description = "Id of the attachment."),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe.")),
    responses((status = 204, description = "Deleted.")),
)]
#[delete("/attachments/{id}")]
pub async fn delete(request: HttpRequest, caller: Caller, db: web::Data<Db>, storage: web::Data<Storage>) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let id = id_of(&request)?;
    let deed = deed_of(&request, &caller, &[], false)?;
    let actor = caller.actor;
    let gone = std::sync::Arc::new(std::sync::Mutex::new(None));
    let told = gone.clone();
    let reply = db
        .write(deed, move |tx| {
            let row = store::find(tx.conn, &actor, id, Action::Update)?;
            store::delete(tx.conn, id)?;
            let detail = json!({"resource": row.resource, "record_id": row.record_id, "file_name": row.file_name, "sha256": row.sha256});
            tx.audit(Action::Delete.code(), "attachments", Some(id), row.organization_id, Some(&detail));
            *told.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(row);
            Ok(Reply { status: 204, location: None, etag: None, body: Vec::new(), kept: None, replayed: false })
        })
        .await?;
    let row: Option<Row> = gone.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(row) = row.filter(|_| !reply.replayed) {
        // The row is gone, and with it the way to the file: what the storage doesn't take away now is swept.
        if let Err(error) = sweep::take_away(&storage, &row).await {
            log::warn!("the file of a deleted attachment is left for the sweep: {error}");
        }
    }
    Ok(respond(reply))
}

/// What is in an attachment, whole or a range of it.
#[utoipa::path(
    operation_id = "attachments_content", tag = "attachments", summary = "下载附件 / Fetch an attachment",
    params(("id" = Id, Path, description = "Id of the attachment."),
        ("Range" = Option<String>, Header, description = "One range of bytes.", example = "bytes=0-1023"),
        ("If-Range" = Option<String>, Header, description = "An ETag: of another version all is sent."),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses(
        (status = 200, description = "The file.", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "application/pdf"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.presentationml.presentation")),
            headers(("Content-Disposition" = String, description = "To be saved, under its name."), ("ETag" = String, description = "SHA-256 of the file."))),
        (status = 206, description = "The range.", content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "application/pdf"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            (Vec<u8> = "application/vnd.openxmlformats-officedocument.presentationml.presentation"))),
        (status = 304, description = "The caller's copy is the present one."),
    ),
)]
#[get("/attachments/{id}/content")]
pub async fn content(request: HttpRequest, caller: Caller, db: web::Data<Db>, storage: web::Data<Storage>) -> Result<HttpResponse> {
    fetched(request, caller, db, storage, Variant::Content).await
}

/// A small JPEG of a picture.
#[utoipa::path(
    operation_id = "attachments_thumbnail", tag = "attachments", summary = "图片附件的缩略图 / A picture's thumbnail",
    params(("id" = Id, Path, description = "Id of the attachment."),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses(
        (status = 200, description = "The longer side has 320 pixels at most.", content((Vec<u8> = "image/jpeg"))),
        (status = 304, description = "The caller's copy is the present one."),
    ),
)]
#[get("/attachments/{id}/thumbnail")]
pub async fn thumbnail(request: HttpRequest, caller: Caller, db: web::Data<Db>, storage: web::Data<Storage>) -> Result<HttpResponse> {
    fetched(request, caller, db, storage, Variant::Thumbnail).await
}

async fn fetched(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    storage: web::Data<Storage>,
    variant: Variant,
) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let id = id_of(&request)?;
    let deed = handlers::deed_of(&request, &caller, &[], false)?;
    let actor = caller.actor;
    let row = db.read(move |conn| store::find(conn, &actor, id, Action::Read)).await?;
    sent(&request, deed, &db, &storage, row, variant, "private, no-cache").await
}

/// The file of an attachment to who may have it; of one about persons the audit log is told.
pub async fn sent(
    request: &HttpRequest,
    deed: Deed,
    db: &web::Data<Db>,
    storage: &web::Data<Storage>,
    row: Row,
    variant: Variant,
    cache_control: &str,
) -> Result<HttpResponse> {
    let length = row.length(variant).ok_or_else(Error::not_found)?;
    let etag = if variant == Variant::Content { format!("\"{}\"", row.sha256) } else { format!("\"{}-t\"", row.sha256) };
    if is_known(request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    let range = range_of(request, length, &etag)?;
    if variant == Variant::Content && row.is_sensitive() && range.as_ref().is_none_or(|range| range.start == 0) {
        let (id, organization_id) = (row.id, row.organization_id);
        let detail = json!({"resource": row.resource, "record_id": row.record_id, "file_name": row.file_name});
        db.write_value(Deed { once: None, ..deed }, move |tx| {
            tx.audit("download", "attachments", Some(id), organization_id, Some(&detail));
            Ok(())
        })
        .await?;
    }
    let media_type = if variant == Variant::Content { row.media_type.as_str() } else { "image/jpeg" };
    let media_type = MEDIA_TYPES.iter().find(|known| **known == media_type).copied().unwrap_or("application/octet-stream");
    let mut response = if range.is_some() { HttpResponse::PartialContent() } else { HttpResponse::Ok() };
    let wanted = range.clone().unwrap_or(0..length);
    if range.is_some() {
        response.insert_header((header::CONTENT_RANGE, format!("bytes {}-{}/{length}", wanted.start, wanted.end - 1)));
    }
    response
        .content_type(media_type)
        .insert_header((header::ETAG, etag))
        .insert_header((header::ACCEPT_RANGES, "bytes"))
        .insert_header((header::CACHE_CONTROL, cache_control))
        // Pictures and archives are packed already, and a range is one of these bytes.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .insert_header(attached(&row.file_name));
    // The first bytes before the answer begins, so that a storage that is away is told as that.
    let place = row.place(variant);
    let begun = wanted.start..wanted.end.min(wanted.start + CHUNK);
    let first = storage.read(db.vault(), &place, length, begun.clone()).await?;
    let (db, storage) = (db.clone(), storage.clone());
    let chunks = stream::unfold((Some(first), begun.end), move |(ready, from)| {
        let (db, storage, place) = (db.clone(), storage.clone(), place.clone());
        async move {
            if let Some(ready) = ready {
                return Some((Ok(web::Bytes::from(ready)), (None, from)));
            }
            if from >= wanted.end {
                return None;
            }
            let to = wanted.end.min(from + CHUNK);
            let read = storage.read(db.vault(), &place, length, from..to).await;
            Some((read.map(web::Bytes::from), (None, to)))
        }
    });
    let bytes = range.map_or(length, |range| range.end - range.start);
    Ok(response.no_chunking(bytes).streaming(Box::pin(chunks)))
}

/// The range that is asked for; `None` where all is. Of several ranges all is sent, as RFC 9110 allows.
fn range_of(request: &HttpRequest, length: u64, etag: &str) -> Result<Option<std::ops::Range<u64>>> {
    let Some(asked) = request.headers().get(header::RANGE).and_then(|value| value.to_str().ok()) else { return Ok(None) };
    if request.headers().get(header::IF_RANGE).is_some_and(|held| held.as_bytes() != etag.as_bytes()) {
        return Ok(None);
    }
    let Some((first, last)) = asked.strip_prefix("bytes=").filter(|spec| !spec.contains(',')).and_then(|spec| spec.split_once('-')) else {
        return Ok(None);
    };
    let number = |text: &str| (!text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>().ok()).flatten();
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => first..(last.saturating_add(1)).min(length),
        (Some(first), None) if last.is_empty() => first..length,
        (None, Some(most)) if first.is_empty() => length.saturating_sub(most)..length,
        // What is no range is passed over.
        _ => return Ok(None),
    };
    if range.is_empty() {
        return Err(Error::because(Code::RangeNotSatisfiable, format!("文件只有 {length} 字节"), format!("the file has {length} bytes"))
            .with("length", length));
    }
    Ok(Some(range))
}
