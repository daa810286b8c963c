//! Which template tells what: the platform's to say. A kind of message has one template; of its fields each says one part of the
//! message, by name.

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, delete, get, put, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use validator::{Validate, ValidationError};

use super::fields::Rule;
use super::{WeChat, subscribe};
use crate::auth::Caller;
use crate::db::{AnyConnection, Db, Reply};
use crate::error::{Error, Result, Says};
use crate::policy::{Action, Actor, Area};
use crate::schema::wechat_templates as t;
use crate::types::{Id, Instant, TextEnum};
use crate::web::body;
use crate::web::handlers::{deed_of, no_parameters, respond};
use crate::web::verbs::refusal;

const RESOURCE: &str = "wechat_templates";

/// A template to be kept.
#[derive(Debug, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct WechatTemplateDraft {
    /// As WeChat calls it.
    #[schema(min_length = 1, max_length = 100, example = "tmpl-3f2a9e4b1c08")]
    #[validate(custom(function = "valid_template_id"))]
    pub template_id: String,
    /// The keys of its fields, each with the name of what stands there.
    #[schema(example = json!({"thing1": "title", "time2": "at", "phrase3": "result"}))]
    #[validate(custom(function = "valid_fields"))]
    pub fields: BTreeMap<String, String>,
    /// The page of the mini-program that the message opens, without a leading `/`.
    #[schema(min_length = 1, max_length = 200, example = "pages/service/index?tab=mine")]
    #[validate(custom(function = "valid_page"))]
    pub page: Option<String>,
}

fn valid_template_id(id: &str) -> Result<(), ValidationError> {
    if id.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
        return Ok(());
    }
    Err(refusal(None, "invalid_template_id", &Says::new("模板 ID 由字母、数字和 - _ 组成", "a template's id has letters, digits, - and _")))
}

fn valid_fields(fields: &BTreeMap<String, String>) -> Result<(), ValidationError> {
    let named = |name: &String| (1..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if !(1..=20).contains(&fields.len()) {
        let says = Says::new("模板应有 1–20 个字段", "a template has 1 to 20 fields");
        return Err(refusal(None, "wrong_number", &says));
    }
    match fields.iter().find(|(key, name)| Rule::of(key).is_none() || !named(name)) {
        None => Ok(()),
        Some((key, _)) => {
            let key: String = key.chars().take(40).collect();
            let says = Says::new(
                format!("字段 {key} 无法识别：键应如 thing1、time2，值为小写字母的名称，如 title"),
                format!("the field {key} is not understood: a key is like thing1 or time2, and its value a name in lower case, like title"),
            );
            Err(refusal(None, "invalid_field", &says))
        }
    }
}

fn valid_page(page: &str) -> Result<(), ValidationError> {
    if !page.starts_with('/') && page.bytes().all(|b| b.is_ascii_alphanumeric() || b"/-_.?=&".contains(&b)) {
        return Ok(());
    }
    Err(refusal(
        None,
        "invalid_page",
        &Says::new("页面路径不以 / 开头，只含字母、数字和 /-_.?=&", "a page has no leading / and only letters, digits and /-_.?=&"),
    ))
}

/// A template that is kept.
#[derive(Debug, Serialize, ToSchema)]
pub struct WechatTemplate {
    /// The kind of message that it tells.
    #[schema(example = "service_confirmed")]
    pub kind: String,
    pub template_id: String,
    pub fields: BTreeMap<String, String>,
    pub page: Option<String>,
    pub updated_at: Instant,
}

/// All templates.
#[derive(Debug, Serialize, ToSchema)]
pub struct WechatTemplates {
    items: Vec<WechatTemplate>,
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub(super) struct Row {
    id: Id,
    app_id: String,
    pub kind: String,
    pub template_id: String,
    fields: String,
    pub page: Option<String>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

impl Row {
    /// The keys of its fields, each with the name of what stands there.
    pub fn fields(&self) -> Result<BTreeMap<String, String>> {
        serde_json::from_str(&self.fields).map_err(Error::internal)
    }

    fn shown(self) -> Result<WechatTemplate> {
        let fields = self.fields()?;
        Ok(WechatTemplate { kind: self.kind, template_id: self.template_id, fields, page: self.page, updated_at: self.updated_at })
    }
}

/// So many kinds there may be.
const MOST: i64 = 200;

/// Templates of a mini-program, by kind.
pub(super) fn all(conn: &mut AnyConnection, app_id: &str) -> Result<Vec<Row>> {
    Ok(t::table.filter(t::app_id.eq(app_id)).order(t::kind).limit(MOST).select(Row::as_select()).load(conn)?)
}

/// They are the platform's.
fn may(actor: &Actor, action: Action) -> Result<()> {
    let scope = actor.may(Area::Access, action)?;
    if scope.is_whole() { Ok(()) } else { Err(Error::forbidden()) }
}

/// Whether messages tell such a thing, and have the parts that the fields ask for: a template that nothing fills would stay silent.
fn fits(kind: &str, draft: &WechatTemplateDraft) -> Result<()> {
    let Some((_, parts)) = subscribe::kinds().find(|(known, _)| *known == kind) else {
        let all: Vec<&str> = subscribe::kinds().map(|(kind, _)| kind).collect();
        let (zh, en) = (format!("消息种类应为下列之一：{}", all.join("、")), format!("a kind is one of: {}", all.join(", ")));
        return Err(Error::field("/kind", "invalid_kind", zh, en));
    };
    match draft.fields.iter().find(|(_, part)| !parts.contains(&part.as_str())) {
        None => Ok(()),
        Some((key, part)) => Err(Error::field(
            format!("/fields/{key}"),
            "unknown_part",
            format!("此类消息没有“{part}”；可用：{}", parts.join("、")),
            format!("such a message has no '{part}', but: {}", parts.join(", ")),
        )),
    }
}

/// The templates of the mini-program.
#[utoipa::path(operation_id = "wechat_templates_list", tag = "wechat", summary = "订阅消息模板 / Templates of messages",
    responses((status = 200, description = "All of them, two hundred at most.", body = WechatTemplates)))]
#[get("/wechat/templates")]
pub async fn list(request: HttpRequest, caller: Caller, db: web::Data<Db>, wechat: web::Data<WeChat>) -> Result<HttpResponse> {
    may(&caller.actor, Action::Read)?;
    no_parameters(&request)?;
    let app_id = wechat.api()?.settings.app_id.clone();
    let rows = db.read(move |conn| all(conn, &app_id)).await?;
    Ok(HttpResponse::Ok().json(WechatTemplates { items: rows.into_iter().map(Row::shown).collect::<Result<_>>()? }))
}

/// Says which template tells a kind of message, in the place of another.
#[utoipa::path(operation_id = "wechat_templates_put", tag = "wechat", summary = "设置订阅消息模板 / Say which template tells what",
    params(("kind" = String, Path, description = "The kind of message: `service_confirmed` or `service_rejected`, whose parts are `title`, `place`, `at`, `minutes`, `result` and `reason`; or the kind of a notification, as in `paid`, whose parts are `title`, `result` and `at`.", example = "service_confirmed")),
    request_body = WechatTemplateDraft,
    responses((status = 200, description = "Replaced.", body = WechatTemplate), (status = 201, description = "Kept.", body = WechatTemplate)))]
#[put("/wechat/templates/{kind}")]
pub async fn put(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    wechat: web::Data<WeChat>,
    kind: web::Path<String>,
    mut payload: web::Payload,
) -> Result<HttpResponse> {
    may(&caller.actor, Action::Update)?;
    no_parameters(&request)?;
    let app_id = wechat.api()?.settings.app_id.clone();
    let kind = kind.into_inner();
    let draft: WechatTemplateDraft = body::typed(&request, &mut payload).await?;
    fits(&kind, &draft)?;
    let fields = serde_json::to_string(&draft.fields).map_err(Error::internal)?;
    let raw = serde_json::to_vec(&draft).map_err(Error::internal)?;
    let deed = deed_of(&request, &caller, &raw, false)?;
    let reply = db
        .write(deed, move |tx| {
            let one = t::table.filter(t::app_id.eq(&app_id)).filter(t::kind.eq(&kind));
            let before: Option<Row> = one.select(Row::as_select()).first(tx.conn).optional()?;
            let kept: i64 = t::table.filter(t::app_id.eq(&app_id)).count().get_result(tx.conn)?;
            if before.is_none() && kept >= MOST {
                let (zh, en) = (format!("最多 {MOST} 个模板"), format!("there are at most {MOST} templates"));
                return Err(Error::because(crate::error::Code::Conflict, zh, en));
            }
            let (id, version, created_at) = before.map_or_else(|| (Id::new(), 0, tx.now), |row| (row.id, row.version, row.created_at));
            let row = Row {
                id,
                app_id: app_id.clone(),
                kind: kind.clone(),
                template_id: draft.template_id.clone(),
                fields: fields.clone(),
                page: draft.page.clone(),
                version: version + 1,
                created_at,
                updated_at: tx.now,
            };
            let (status, action) = if version == 0 {
                diesel::insert_into(t::table).values(&row).execute(tx.conn)?;
                (201, Action::Create)
            } else {
                diesel::update(t::table.find(id)).set(&row).execute(tx.conn)?;
                (200, Action::Update)
            };
            let view = row.shown()?;
            let detail = serde_json::to_value(&view).map_err(Error::internal)?;
            tx.audit(action.code(), RESOURCE, Some(id), None, Some(&detail));
            let body = serde_json::to_vec(&view).map_err(Error::internal)?;
            Ok(Reply { status, location: None, etag: None, body, kept: None, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}

/// Tells a kind of message no more.
#[utoipa::path(operation_id = "wechat_templates_delete", tag = "wechat", summary = "删除订阅消息模板 / Delete a template",
    params(("kind" = String, Path, description = "The kind of message.")),
    responses((status = 204, description = "Deleted.")))]
#[delete("/wechat/templates/{kind}")]
pub async fn delete(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    wechat: web::Data<WeChat>,
    kind: web::Path<String>,
) -> Result<HttpResponse> {
    may(&caller.actor, Action::Delete)?;
    no_parameters(&request)?;
    let app_id = wechat.api()?.settings.app_id.clone();
    let kind = kind.into_inner();
    let deed = deed_of(&request, &caller, &[], false)?;
    let reply = db
        .write(deed, move |tx| {
            let one = t::table.filter(t::app_id.eq(&app_id)).filter(t::kind.eq(&kind));
            let row: Row = one.select(Row::as_select()).first(tx.conn)?;
            diesel::delete(t::table.find(row.id)).execute(tx.conn)?;
            let id = row.id;
            let detail = serde_json::to_value(row.shown()?).map_err(Error::internal)?;
            tx.audit(Action::Delete.code(), RESOURCE, Some(id), None, Some(&detail));
            Ok(Reply { status: 204, location: None, etag: None, body: Vec::new(), kept: None, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}
