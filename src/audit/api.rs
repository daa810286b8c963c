//! The chain over HTTP: its verification, and the checkpoints to keep elsewhere.

use std::time::{Duration, Instant as Clock};

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::seal::{self, Back, Checkpoint};
use super::verify::{self, Asked, Verification};
use crate::app::Facts;
use crate::auth::{Auth, Caller, Keys};
use crate::db::Db;
use crate::error::{Code, Error, Language, Result};
use crate::policy::{Action, Area};
use crate::types::{Instant, business_today};
use crate::web::contract::filter_shape;
use crate::web::query::Pairs;

/// How long one request may walk; what is left is for the next.
const WALKS_FOR: Duration = Duration::from_secs(10);
/// Checkpoints of one answer.
const DAYS: i64 = 366;

/// Which part of the log.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct VerifyQuery {
    /// The first day on which events were sealed; from the beginning when absent.
    pub from: Option<NaiveDate>,
    /// The last day.
    pub to: Option<NaiveDate>,
    /// Go on after the `last_sequence` of a walk that was not complete.
    #[param(minimum = 0)]
    pub after: Option<i64>,
}

/// Walks along the audit log and names what was changed, is missing, or stands in another's place.
///
/// It walks for ten seconds at most; `complete` tells whether that was enough. What was cut off at the end on the day
/// itself is found by checkpoints that are kept elsewhere: `yiyong audit verify --checkpoints`.
#[utoipa::path(operation_id = "audit_verify", tag = "audit", summary = "校验审计日志 / Verify the audit log", params(VerifyQuery),
    responses((status = 200, description = "What was found.", body = Verification)))]
#[get("/audit/verify")]
pub async fn verification(
    request: HttpRequest,
    caller: Caller,
    auth: web::Data<Auth>,
    db: web::Data<Db>,
    facts: web::Data<Facts>,
) -> Result<HttpResponse> {
    caller.actor.may(Area::Audit, Action::Read)?;
    let query: VerifyQuery = asked(&request)?;
    Ok(HttpResponse::Ok().json(walked(&facts, &auth, &db, query, caller.language).await?))
}

/// A walk for as long as a request may take. It reads the whole log: one at a time.
pub async fn walked(facts: &Facts, auth: &Auth, db: &Db, query: VerifyQuery, language: Language) -> Result<Verification> {
    let _turn = facts.verifying.try_acquire().map_err(|_| {
        Error::because(Code::Overloaded, "另一次校验正在进行，请稍后再试", "another verification is running; try again shortly")
            .retry_after(10)
    })?;
    let VerifyQuery { from, to, after } = query;
    let asked = Asked { from, to, after, kept: Vec::new(), until: Some(Clock::now() + WALKS_FOR) };
    verify::verify(db, auth.keys(), asked, language).await
}

/// Which days.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CheckpointQuery {
    /// The first day; a year before the last when absent.
    pub from: Option<NaiveDate>,
    /// The last day; today when absent.
    pub to: Option<NaiveDate>,
}

/// Checkpoints of the audit log, to be kept where nobody can change both them and the database.
#[derive(Debug, Serialize, ToSchema)]
pub struct Checkpoints {
    /// Of the days that are over, in their order; at most 366.
    pub items: Vec<Checkpoint>,
    /// The chain as it is now.
    pub head: Option<Checkpoint>,
    /// Where to go on when there were more.
    pub next_from: Option<NaiveDate>,
}

/// The signed checkpoints, for keeping elsewhere.
#[utoipa::path(operation_id = "audit_checkpoints", tag = "audit", summary = "审计检查点 / Checkpoints of the audit log", params(CheckpointQuery),
    responses((status = 200, description = "The checkpoints.", body = Checkpoints)))]
#[get("/audit/checkpoints")]
pub async fn checkpoints(request: HttpRequest, caller: Caller, auth: web::Data<Auth>, db: web::Data<Db>) -> Result<HttpResponse> {
    caller.actor.may(Area::Audit, Action::Read)?;
    Ok(HttpResponse::Ok().json(checkpoints_of(&db, auth.keys(), asked(&request)?).await?))
}

/// The checkpoints of some days and of this moment.
pub async fn checkpoints_of(db: &Db, keys: std::sync::Arc<Keys>, query: CheckpointQuery) -> Result<Checkpoints> {
    seal::catch_up(db, &keys, Back::Seconds(120)).await?;
    let to = query.to.unwrap_or_else(|| business_today(Instant::now()));
    let from = query.from.unwrap_or_else(|| to.checked_sub_days(chrono::Days::new(365)).unwrap_or(to));
    db.read(move |conn| {
        let mut items = seal::checkpoints(conn, from, to, DAYS + 1)?;
        let next_from = if items.len() > DAYS as usize { items.pop().map(|next| next.day) } else { None };
        Ok(Checkpoints { items, head: seal::head(conn, &keys)?, next_from })
    })
    .await
}

fn asked<Q: IntoParams + serde::de::DeserializeOwned>(request: &HttpRequest) -> Result<Q> {
    let value = Pairs::parse(request.query_string())?.into_json(&filter_shape::<Q>())?;
    serde_json::from_value(value).map_err(Error::internal)
}
