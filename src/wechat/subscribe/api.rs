//! What somebody has agreed to be told, as the mini-program asks and reports it.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::Validate;

use super::{MOST_CREDITS, credits};
use crate::auth::Caller;
use crate::db::{AnyConnection, Db, Reply, each};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::types::{Id, text_enum};
use crate::web::body;
use crate::web::handlers::{deed_of, no_parameters, respond};
use crate::wechat::{WeChat, templates};

text_enum! {
    /// What somebody has answered to a template.
    SubscriptionAnswer {
        Accept = "accept", "同意", "accepted";
        Reject = "reject", "拒绝", "rejected";
        Ban = "ban", "模板被封禁", "the template is banned";
        Filter = "filter", "被过滤", "filtered";
    }
}

/// One template of a request to subscribe.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionResult {
    #[schema(min_length = 1, max_length = 100)]
    template_id: String,
    result: SubscriptionAnswer,
}

/// What came of one tap.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionReport {
    /// Of the templates that were asked for: three at most.
    #[schema(min_items = 1, max_items = 3)]
    #[validate(nested)]
    results: Vec<SubscriptionResult>,
}

/// A template, and how many of its messages the caller has still agreed to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Subscription {
    template_id: String,
    /// What it tells.
    kinds: Vec<String>,
    credits: i32,
}

/// All templates, for the caller's WeChat account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Subscriptions {
    items: Vec<Subscription>,
}

/// The WeChat account by which the caller is signed in.
fn binding_of(caller: &Caller) -> Result<Id> {
    caller.actor.wechat_binding_id.ok_or_else(|| {
        Error::because(
            Code::Conflict,
            "请在微信小程序中用微信登录后再操作",
            "this belongs to a WeChat account: sign in by WeChat, in the mini-program",
        )
    })
}

fn shown(conn: &mut AnyConnection, app_id: &str, binding_id: Id) -> Result<Subscriptions> {
    let mut by_template: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for template in templates::all(conn, app_id)? {
        by_template.entry(template.template_id).or_default().push(template.kind);
    }
    let ids: Vec<&String> = by_template.keys().collect();
    let counted = credits::table.filter(credits::binding_id.eq(binding_id)).filter(credits::template_id.eq_any(ids));
    let counted: Vec<(String, i32)> = counted.select((credits::template_id, credits::credits)).load(conn)?;
    let counted: BTreeMap<String, i32> = counted.into_iter().collect();
    let items = by_template.into_iter().map(|(template_id, kinds)| Subscription {
        credits: counted.get(&template_id).copied().unwrap_or_default(),
        template_id,
        kinds,
    });
    Ok(Subscriptions { items: items.collect() })
}

/// The templates that the mini-program may ask for, and how many messages of each the caller has still agreed to.
#[utoipa::path(operation_id = "wechat_subscriptions_list", tag = "wechat", summary = "我的订阅 / My subscriptions",
    responses((status = 200, description = "All templates.", body = Subscriptions)))]
#[get("/wechat/subscriptions")]
pub async fn list(request: HttpRequest, caller: Caller, db: web::Data<Db>, wechat: web::Data<WeChat>) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let app_id = wechat.api()?.settings.app_id.clone();
    let binding_id = binding_of(&caller)?;
    Ok(HttpResponse::Ok().json(db.read(move |conn| shown(conn, &app_id, binding_id)).await?))
}

/// Counts what somebody has answered after a tap: one accept is good for one message.
#[utoipa::path(operation_id = "wechat_subscriptions_report", tag = "wechat", summary = "上报订阅结果 / Report what was agreed to",
    params(("Idempotency-Key" = Option<String>, Header, description = "Makes a retry safe: the same key and body get the stored answer.")),
    request_body = SubscriptionReport,
    responses((status = 200, description = "Counted.", body = Subscriptions)))]
#[post("/wechat/subscriptions")]
pub async fn report(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    wechat: web::Data<WeChat>,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    no_parameters(&request)?;
    let report: SubscriptionReport = body::typed(&request, &mut payload).await?;
    let app_id = wechat.api()?.settings.app_id.clone();
    let binding_id = binding_of(&caller)?;
    let raw = serde_json::to_vec(&report).map_err(Error::internal)?;
    let deed = deed_of(&request, &caller, &raw, false)?;
    let reply = db
        .write(deed, move |tx| {
            let known: Vec<String> = templates::all(tx.conn, &app_id)?.into_iter().map(|template| template.template_id).collect();
            let unknown = report.results.iter().enumerate().filter(|(_, one)| !known.contains(&one.template_id));
            let says = || Says::new("没有此模板；见 GET /wechat/subscriptions", "there is no such template; see GET /wechat/subscriptions");
            Error::unless_empty(
                unknown.map(|(i, _)| Fault::new(format!("/results/{i}/template_id"), "unknown_template", says())).collect(),
            )?;
            let mut accepted: Vec<&String> =
                report.results.iter().filter(|one| one.result == SubscriptionAnswer::Accept).map(|one| &one.template_id).collect();
            accepted.sort_unstable();
            accepted.dedup();
            for template_id in accepted {
                let now = tx.now;
                each!(&mut *tx.conn, c => diesel::insert_into(credits::table)
                    .values((
                        credits::binding_id.eq(binding_id),
                        credits::template_id.eq(template_id),
                        credits::credits.eq(1),
                        credits::updated_at.eq(now),
                    ))
                    .on_conflict((credits::binding_id, credits::template_id))
                    .do_update()
                    .set((credits::credits.eq(credits::credits + 1), credits::updated_at.eq(now)))
                    .execute(c))?;
                let many = credits::table.find((binding_id, template_id)).filter(credits::credits.gt(MOST_CREDITS));
                diesel::update(many).set(credits::credits.eq(MOST_CREDITS)).execute(tx.conn)?;
            }
            let body = serde_json::to_vec(&shown(tx.conn, &app_id, binding_id)?).map_err(Error::internal)?;
            Ok(Reply { status: 200, location: None, etag: None, body, kept: None, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}
