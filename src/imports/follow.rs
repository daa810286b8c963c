//! What an import's owner may see of it and do with it: its rows, its end, its undoing, and its events as they come.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use diesel::prelude::*;
use futures_util::stream;
use serde::Serialize;
use utoipa::ToSchema;

use super::api::{PATIENCE, awaited, id_of, patience, resource_named};
use super::job;
use super::outcomes::{self, RowOutcome, RowResult};
use super::run::Outcome;
use super::shown::{self, Known, ShownImport};
use crate::auth::Caller;
use crate::db::{Db, Reply, held};
use crate::error::{Code, Error, Fault as Wrong, Result, Says};
use crate::jobs::{self, JobKind, Jobs};
use crate::policy::Action;
use crate::schema::imports as t;
use crate::types::{Id, TextEnum};
use crate::web::handlers;
use crate::web::query::Pairs;

/// Rows of an import.
#[derive(Serialize, ToSchema)]
pub struct ImportRowPage {
    items: Vec<RowResult>,
    /// The last row of this page; null on the last page.
    next_cursor: Option<String>,
}

/// What became of each row, in the order of the file.
#[utoipa::path(
    operation_id = "imports_rows", tag = "imports", summary = "逐行结果 / What became of each row",
    params(("id" = Id, Path, description = "Id of the import."),
        ("outcome" = Option<RowOutcome>, Query, description = "Only rows with this outcome."),
        ("limit" = Option<i64>, Query, description = "Rows a page; 100 when absent.", minimum = 1, maximum = 1000),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")),
    responses((status = 200, description = "A page.", body = ImportRowPage)),
)]
#[get("/imports/{id}/rows")]
pub async fn rows(request: HttpRequest, caller: Caller, db: web::Data<Db>, id: web::Path<String>) -> Result<HttpResponse> {
    let (id, actor) = (id_of(&id)?, caller.actor.id);
    let mut pairs = Pairs::parse(request.query_string())?;
    let mut wrong = Vec::new();
    let mut fault = |name: &str, zh: &str, en: &str| wrong.push(Wrong::new(format!("/{name}"), "invalid_parameter", Says::new(zh, en)));
    let outcome = pairs.take("outcome").and_then(|text| {
        let outcome = RowOutcome::from_code(&text);
        if outcome.is_none() {
            fault(
                "outcome",
                "应为 created、updated、unchanged、failed 或 not_imported",
                "this should be created, updated, unchanged, failed or not_imported",
            );
        }
        outcome
    });
    let limit = pairs.take("limit").map_or(100, |text| {
        text.parse().ok().filter(|n| (1..=1_000).contains(n)).unwrap_or_else(|| {
            fault("limit", "应为 1 到 1000 的整数", "this should be a whole number from 1 to 1000");
            100
        })
    });
    let after: u64 = pairs.take("cursor").map_or(0, |text| {
        text.parse().unwrap_or_else(|_| {
            fault("cursor", "请使用上一页返回的 next_cursor", "use the next_cursor of the page before");
            0
        })
    });
    handlers::nothing_else(pairs)?;
    if !wrong.is_empty() {
        return Err(Error::with_faults(Code::InvalidParameter, wrong));
    }
    let vault = db.vault().clone();
    let mut items = db
        .read(move |conn| {
            let known = shown::own(conn, actor, id)?;
            let kept = known.row.outcome.is_none_or(Outcome::keeps);
            let undone = !kept || known.row.undone_at.is_some();
            outcomes::page(conn, &vault, id, (outcome, undone), after, limit + 1)
        })
        .await?;
    let more = items.len() > limit;
    items.truncate(limit);
    let next_cursor = items.last().filter(|_| more).map(|last| last.row.to_string());
    Ok(HttpResponse::Ok().json(ImportRowPage { items, next_cursor }))
}

/// Ends an import that waits or runs. What it kept so far, with `on_error=skip`, stays; else nothing is kept.
#[utoipa::path(
    operation_id = "imports_cancel", tag = "imports", summary = "取消导入 / Cancel an import",
    params(("id" = Id, Path, description = "Id of the import.")),
    responses((status = 200, description = "It has ended.", body = ShownImport),
        (status = 202, description = "It is about to end.", body = ShownImport)),
)]
#[post("/imports/{id}/cancel")]
pub async fn cancel(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    jobs: web::Data<Jobs>,
    id: web::Path<String>,
) -> Result<HttpResponse> {
    let (id, actor) = (id_of(&id)?, caller.actor.id);
    handlers::no_parameters(&request)?;
    let known = db.read(move |conn| shown::own(conn, actor, id)).await?;
    offered(&known, Action::Cancel)?;
    match jobs.running(id) {
        // Where it runs here, it is told directly: on SQLite nobody else could write now.
        Some(progress) => progress.cancel(actor),
        None => {
            let deed = handlers::deed_of(&request, &caller, &[], false)?;
            let reply = db.write(deed, move |tx| {
                let known = shown::own(tx.conn, actor, id)?;
                offered(&known, Action::Cancel)?;
                if let Some(job) = &known.job
                    && jobs::ask_to_end(tx, job)?
                {
                    job::cancel(tx, id, actor)?;
                }
                Ok(Reply { status: 202, location: None, etag: None, body: Vec::new(), kept: None, replayed: false })
            });
            reply.await?;
        }
    }
    let known = awaited(&db, &jobs, actor, JobKind::Import, id, PATIENCE).await?;
    let status = if known.state().is_over() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(HttpResponse::build(status).json(known.shown(&jobs, caller.language)?))
}

/// Undoes an import: what it made is deleted, what it changed is as it was, all of it or nothing, and only while nobody else
/// has touched it.
#[utoipa::path(
    operation_id = "imports_undo", tag = "imports", summary = "撤销导入 / Undo an import",
    params(("id" = Id, Path, description = "Id of the import.")),
    responses((status = 200, description = "It is undone.", body = ShownImport),
        (status = 202, description = "It is being undone.", body = ShownImport)),
)]
#[post("/imports/{id}/undo")]
pub async fn undo(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    jobs: web::Data<Jobs>,
    id: web::Path<String>,
) -> Result<HttpResponse> {
    let (id, actor, language) = (id_of(&id)?, caller.actor.id, caller.language);
    handlers::no_parameters(&request)?;
    let known = db.read(move |conn| shown::own(conn, actor, id)).await?;
    caller.actor.may(resource_named(&known.row.resource).ok_or_else(Error::not_found)?.area(), Action::Import)?;
    let deed = handlers::deed_of(&request, &caller, &[], false)?;
    let reply = db.write(deed, move |tx| {
        held!(tx.conn, t::table.filter(t::id.eq(id)).select(t::id))?;
        offered(&shown::own(tx.conn, actor, id)?, Action::Undo)?;
        jobs::place(tx, JobKind::ImportUndo, id, language)?;
        Ok(Reply { status: 202, location: None, etag: None, body: Vec::new(), kept: None, replayed: false })
    });
    reply.await?;
    let known = awaited(&db, &jobs, actor, JobKind::ImportUndo, id, patience(&request, PATIENCE)?).await?;
    if let Some(error) = known.undo_refusal(language).filter(|_| known.row.undone_at.is_none()) {
        return Err(error);
    }
    let status = if known.row.undone_at.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok(HttpResponse::build(status).json(known.shown(&jobs, language)?))
}

/// That a step may be taken with an import now.
fn offered(known: &Known, action: Action) -> Result<()> {
    let allowed = known.offers();
    if allowed.contains(&action) {
        return Ok(());
    }
    let told: Vec<&str> = allowed.into_iter().map(TextEnum::code).collect();
    let (zh, en) = match action {
        Action::Cancel => {
            ("导入已经结束，不能再取消；如需收回请撤销", "the import is over and can't be cancelled; undo it to take it back")
        }
        _ if !known.state().is_over() => {
            ("导入尚未结束，不能撤销；请先取消，或等它结束", "the import is not over; cancel it, or wait until it is")
        }
        _ if known.row.undone_at.is_some() => ("此导入已经撤销", "the import is undone already"),
        _ if known.is_being_undone() => ("此导入正在撤销", "the import is being undone"),
        _ => ("此导入没有新建或修改任何记录，无可撤销", "the import has made and changed nothing, so there is nothing to undo"),
    };
    Err(Error::because(Code::StepNotAllowed, zh, en).with("allowed_actions", told))
}

/// How often a follower is told, at most.
const TELL_EVERY: Duration = Duration::from_millis(500);
/// How many times nothing is new until a follower is told that the line still stands.
const QUIET: u32 = 30;

/// Follows an import: an event `progress` whenever something is new, and `end` with the import when it is over.
#[utoipa::path(
    operation_id = "imports_events", tag = "imports", summary = "以服务器推送事件跟踪导入 / Follow an import by server-sent events",
    params(("id" = Id, Path, description = "Id of the import.")),
    responses((status = 200, description = "Events `progress` and `end`, with the import as `data`.", content_type = "text/event-stream", body = String)),
)]
#[get("/imports/{id}/events")]
pub async fn events(caller: Caller, db: web::Data<Db>, jobs: web::Data<Jobs>, id: web::Path<String>) -> Result<HttpResponse> {
    let (id, actor, language) = (id_of(&id)?, caller.actor.id, caller.language);
    db.read(move |conn| shown::own(conn, actor, id)).await?;
    struct Follower {
        told: String,
        over: bool,
    }
    let follower = Follower { told: String::new(), over: false };
    let stream = stream::unfold(follower, move |mut follower| {
        let (db, jobs) = (db.clone(), jobs.clone());
        async move {
            if follower.over {
                return None;
            }
            for quiet in 0.. {
                if quiet > 0 || !follower.told.is_empty() {
                    jobs.awaited(&db, JobKind::Import, id, TELL_EVERY).await.ok()?;
                }
                let known = db.read(move |conn| shown::own(conn, actor, id)).await.ok()?;
                let data = serde_json::to_string(&known.shown(&jobs, language).ok()?).ok()?;
                follower.over = known.state().is_over();
                if data != follower.told || follower.over {
                    let event = if follower.over { "end" } else { "progress" };
                    let text = format!("event: {event}\ndata: {data}\n\n");
                    follower.told = data;
                    return Some((Ok::<_, Error>(web::Bytes::from(text)), follower));
                }
                if quiet == QUIET {
                    return Some((Ok(web::Bytes::from_static(b": still here\n\n")), follower));
                }
            }
            None
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Whoever gathers and packs events keeps them from their reader.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(Box::pin(stream)))
}
