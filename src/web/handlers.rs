//! The verbs over HTTP: what a request says is read, the caller is permitted, and what came of it is answered.

use std::sync::Arc;

use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, guard, web};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::asked::{Asked, EVERY_ADDRESS, Verb, asks_of_a_resource, record_of};
use super::page::Window;
use super::query::Pairs;
use super::shape::Shape;
use super::verbs::{BATCH_LIMIT, Shown, StepCall, StepFacts, Verbs};
use super::{body, changes};
use crate::auth::Caller;
use crate::db::{Db, Deed, Once, Reply};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Purpose};
use crate::types::Id;

const JSON: &[&str] = &["application/json"];
const PATCH: &[&str] = &["application/merge-patch+json", "application/json"];

type Shared = web::Data<Db>;

/// Mounts the verbs of all resources.
pub fn mount(config: &mut web::ServiceConfig) {
    config.service(web::resource(EVERY_ADDRESS).guard(guard::fn_guard(asks_of_a_resource)).route(web::route().to(answer)));
}

async fn answer(
    asked: web::ReqData<Asked>,
    request: HttpRequest,
    caller: Caller,
    db: Shared,
    payload: web::Payload,
) -> Result<HttpResponse> {
    let Asked { verbs, verb, .. } = asked.into_inner();
    match verb {
        Verb::List => list(verbs, request, caller, db).await,
        Verb::Create => create(verbs, request, caller, db, payload).await,
        Verb::Batch => batch(verbs, request, caller, db, payload).await,
        Verb::Get => get(verbs, request, caller, db).await,
        Verb::Patch => patch(verbs, request, caller, db, payload).await,
        Verb::Delete => delete(verbs, request, caller, db).await,
        Verb::Step(facts) => step(verbs, facts, request, caller, db, payload).await,
    }
}

/// The id in an address.
pub fn id_of(request: &HttpRequest) -> Result<Id> {
    record_of(request).ok_or_else(Error::not_found)
}

/// This operation takes none.
pub fn no_parameters(request: &HttpRequest) -> Result<()> {
    nothing_else(Pairs::parse(request.query_string())?)
}

/// What has not been taken out of a query is unknown to its operation.
pub fn nothing_else(pairs: Pairs) -> Result<()> {
    pairs.into_json(&Shape::from_schema(json!({"type": "object", "properties": {}}))).map(|_| ())
}

async fn list(verbs: &'static dyn Verbs, request: HttpRequest, caller: Caller, db: Shared) -> Result<HttpResponse> {
    let scope = caller.actor.may(verbs.area(), Action::Read)?;
    let mut pairs = Pairs::parse(request.query_string())?;
    if let Some(since) = pairs.take(changes::SINCE) {
        let limit = changes::limit(pairs)?;
        let actor = caller.actor;
        let body = db.read(move |conn| changes::list(conn, verbs, &actor, &scope, &since, limit)).await?;
        return Ok(HttpResponse::Ok().content_type("application/json").body(body));
    }
    let window = Window::take(&mut pairs, verbs.sorts())?;
    let others = pairs.clone();
    let filter = pairs.into_json(verbs.filter_shape())?;
    let (actor, sort, limit, count) = (caller.actor, window.sort, window.limit, window.count);
    let asked = filter.get("organization_id").and_then(Value::as_str).and_then(|text| text.parse().ok());
    let tree = db.tree().clone();
    let listed = db
        .read(move |conn| {
            let purpose = if filter.get("q").is_some() { Purpose::Search } else { Purpose::Page };
            let page = scope.fitted(conn, &tree, asked, purpose)?;
            let sum = scope.fitted(conn, &tree, asked, Purpose::Sum)?;
            verbs.list(conn, &actor, (&page, &sum), filter.clone(), &window)
        })
        .await?;
    let mut response = HttpResponse::Ok();
    response.content_type("application/json");
    if let Some(cursor) = &listed.next_cursor {
        let mut query = others.0;
        query.push(("sort".into(), serde_json::to_value(sort).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()));
        query.push(("limit".into(), limit.to_string()));
        if count {
            query.push(("count".into(), "true".into()));
        }
        query.push(("cursor".into(), cursor.clone()));
        let query = serde_urlencoded::to_string(query).map_err(Error::internal)?;
        response.insert_header((header::LINK, format!("<{}?{query}>; rel=\"next\"", request.path())));
    }
    Ok(response.body(listed.body))
}

async fn get(verbs: &'static dyn Verbs, request: HttpRequest, caller: Caller, db: Shared) -> Result<HttpResponse> {
    let scope = caller.actor.may(verbs.area(), Action::Read)?;
    let id = id_of(&request)?;
    no_parameters(&request)?;
    let actor = caller.actor;
    let shown = db.read(move |conn| verbs.get(conn, &actor, &scope, id)).await?;
    let etag = shown.etag;
    if is_known(&request, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, etag)).finish());
    }
    Ok(HttpResponse::Ok().content_type("application/json").insert_header((header::ETAG, etag)).body(shown.body))
}

/// Whether the caller holds this version already, by `If-None-Match`.
pub fn is_known(request: &HttpRequest, etag: &str) -> bool {
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|v| v.to_str().ok()).unwrap_or("");
    known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag)
}

async fn create(
    verbs: &'static dyn Verbs,
    request: HttpRequest,
    caller: Caller,
    db: Shared,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(verbs.area(), Action::Create)?;
    no_parameters(&request)?;
    let (raw, draft) = body::json(&request, &mut payload, JSON).await?;
    let deed = deed_of(&request, &caller, &raw, false)?;
    let path = request.path().to_owned();
    let actor = caller.actor;
    let reply = db
        .write(deed, move |tx| {
            let (id, shown) = verbs.create(tx, &actor, &scope, &draft)?;
            Ok(Reply { status: 201, location: Some(format!("{path}/{id}")), ..shown_reply(shown) })
        })
        .await?;
    Ok(respond(reply))
}

async fn batch(
    verbs: &'static dyn Verbs,
    request: HttpRequest,
    caller: Caller,
    db: Shared,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(verbs.area(), Action::Create)?;
    no_parameters(&request)?;
    let (raw, value) = body::json(&request, &mut payload, JSON).await?;
    let deed = deed_of(&request, &caller, &raw, true)?;
    let shape = Shape::from_schema(json!({
        "type": "object", "required": ["items"], "properties": {"items": {"type": "array", "maxItems": BATCH_LIMIT}}
    }));
    let mut faults = Vec::new();
    shape.check(&value, "", &mut faults);
    Error::unless_empty(faults)?;
    let drafts = value.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let actor = caller.actor;
    let reply = db
        .write(deed, move |tx| {
            let (body, kept) = verbs.batch(tx, &actor, &scope, &drafts).map_err(|mut error| {
                error.faults.iter_mut().for_each(|fault| fault.pointer = format!("/items{}", fault.pointer));
                error
            })?;
            Ok(Reply { status: 201, location: None, etag: None, body, kept, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}

async fn patch(
    verbs: &'static dyn Verbs,
    request: HttpRequest,
    caller: Caller,
    db: Shared,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(verbs.area(), Action::Update)?;
    let id = id_of(&request)?;
    no_parameters(&request)?;
    let (raw, patch) = body::json(&request, &mut payload, PATCH).await?;
    if !patch.is_object() {
        return Err(Error::field("", "wrong_type", "应为 JSON 对象", "this should be a JSON object"));
    }
    let deed = deed_of(&request, &caller, &raw, false)?;
    let version = if_match(request.headers())?;
    let actor = caller.actor;
    let reply = db
        .write(deed, move |tx| {
            let version = version.ok_or_else(|| Error::new(Code::VersionRequired))?;
            Ok(shown_reply(verbs.patch(tx, &actor, &scope, id, version, &patch)?))
        })
        .await?;
    Ok(respond(reply))
}

async fn delete(verbs: &'static dyn Verbs, request: HttpRequest, caller: Caller, db: Shared) -> Result<HttpResponse> {
    let scope = caller.actor.may(verbs.area(), Action::Delete)?;
    let id = id_of(&request)?;
    no_parameters(&request)?;
    let version = if_match(request.headers())?;
    let deed = deed_of(&request, &caller, &[], false)?;
    let reply = db
        .write(deed, move |tx| {
            verbs.delete(tx, &scope, id, version)?;
            Ok(Reply { status: 204, location: None, etag: None, body: Vec::new(), kept: None, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}

async fn step(
    verbs: &'static dyn Verbs,
    facts: Arc<StepFacts>,
    request: HttpRequest,
    caller: Caller,
    db: Shared,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(verbs.area(), facts.action)?;
    let id = id_of(&request)?;
    no_parameters(&request)?;
    let (raw, value) = if facts.body.is_some() { body::json(&request, &mut payload, JSON).await? } else { (Vec::new(), Value::Null) };
    let deed = deed_of(&request, &caller, &raw, facts.needs_key)?;
    let call = StepCall { id, action: facts.action, version: if_match(request.headers())?, body: value };
    let actor = caller.actor;
    let reply = db.write(deed, move |tx| Ok(shown_reply(verbs.step(tx, &actor, &scope, &call)?))).await?;
    Ok(respond(reply))
}

pub fn shown_reply(shown: Shown) -> Reply {
    Reply { status: 200, location: None, etag: Some(shown.etag), body: shown.body, kept: shown.kept, replayed: false }
}

/// The deed of a request: who, under which id, and once if a key says so.
pub fn deed_of(request: &HttpRequest, caller: &Caller, body: &[u8], key_needed: bool) -> Result<Deed> {
    let key = match request.headers().get("Idempotency-Key") {
        None if key_needed => {
            return Err(Error::because(
                Code::MalformedRequest,
                "此操作需要 Idempotency-Key 请求头，以便安全重试",
                "this operation needs an Idempotency-Key header, so that it can be retried safely",
            ));
        }
        None => None,
        Some(value) => Some(value.to_str().ok().filter(|key| (1..=200).contains(&key.len())).map(str::to_owned).ok_or_else(|| {
            Error::because(
                Code::MalformedRequest,
                "Idempotency-Key 应为 1–200 个 ASCII 字符",
                "an Idempotency-Key has 1 to 200 ASCII characters",
            )
        })?),
    };
    let once = key.map(|key| Once { key, fingerprint: fingerprint(request.method(), request.path(), body) });
    Ok(Deed { actor_id: Some(caller.actor.id), request_id: caller.request_id.clone(), address: caller.address, once, rolled_back: false })
}

pub fn fingerprint(method: &Method, path: &str, body: &[u8]) -> Vec<u8> {
    let mut digest = Sha256::new();
    for part in [method.as_str().as_bytes(), path.as_bytes(), body] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().to_vec()
}

/// The record's own version, with which an ETag begins: that of a person who is shown along decides nothing here.
fn if_match(headers: &HeaderMap) -> Result<Option<i32>> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let own = |tag: &str| tag.trim().trim_start_matches("W/").trim_matches('"').split('-').next().and_then(|own| own.parse().ok());
    value.to_str().ok().and_then(own).map(Some).ok_or_else(|| {
        Error::because(Code::MalformedRequest, "If-Match 应为 ETag 的值，如 \"3\"", "If-Match should be the ETag, as in \"3\"")
    })
}

/// A reply as a response.
pub fn respond(reply: Reply) -> HttpResponse {
    let mut response = HttpResponse::build(StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK));
    if let Some(location) = reply.location {
        response.insert_header((header::LOCATION, location));
    }
    if let Some(etag) = reply.etag {
        response.insert_header((header::ETAG, etag));
    }
    if reply.replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    if reply.body.is_empty() {
        return response.finish();
    }
    response.content_type("application/json").body(reply.body)
}
