//! Notifications (通知): what somebody is told in the service itself. Each sees their own, and nobody anybody else's.
//!
//! Who is told of what is decided in [`crate::outbox`]. A row holds no words: they are made in the language of whoever reads, and what
//! the record itself holds is read at its own address, by whoever may.

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::auth::Caller;
use crate::db::{Any, AnyConnection, Db, Reply, Tx};
use crate::error::{Error, Language, Result};
use crate::schema::notifications as t;
use crate::types::{Id, Instant, TextEnum, text_enum};
use crate::web::contract::filter_shape;
use crate::web::handlers::{self, deed_of, id_of, respond};
use crate::web::query::Pairs;
use crate::web::verbs::{self, Verbs};
use crate::web::{Sort, Window};

text_enum! {
    /// What somebody is told of a record.
    NotificationKind {
        WaitsForApproval = "waits_for_approval", "等待您审批", "waits for your approval";
        Approved = "approved", "已批准", "was approved";
        Returned = "returned", "已退回，请修改", "was returned to be mended";
        Rejected = "rejected", "已驳回", "was rejected";
        Reversed = "reversed", "已冲销", "was reversed";
        Paid = "paid", "已支付", "was paid";
        Delivered = "delivered", "已交付", "was delivered";
        NoticePublished = "notice_published", "已公开", "was published";
        TrainingPlanned = "training_planned", "已安排", "is planned";
        ReturnOpened = "return_opened", "请填报", "is to be filled in";
        ReturnDue = "return_due", "请尽快提交", "is due: hand it in";
        ImportFinished = "import_finished", "已完成", "is finished";
        ImportFailed = "import_failed", "失败", "has failed";
    }
}

/// A notification as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct Row {
    pub id: Id,
    pub user_id: Id,
    pub kind: NotificationKind,
    pub resource: String,
    pub record_id: Id,
    pub event_id: Id,
    pub at: Instant,
    pub read_at: Option<Instant>,
}

/// Something that one is told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Notification {
    id: Id,
    kind: NotificationKind,
    /// In the caller's language.
    #[schema(example = "发放：等待您审批")]
    title: String,
    #[schema(example = "disbursements")]
    resource: String,
    record_id: Id,
    /// Where the record is read.
    #[schema(example = "/api/v1/disbursements/01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08")]
    path: String,
    /// When it happened.
    at: Instant,
    /// Null as long as it is unread.
    read_at: Option<Instant>,
}

impl Row {
    /// What it says.
    pub fn title(&self, language: Language) -> String {
        let (zh, en) = verbs::named(&self.resource).map_or(("导入", "import"), Verbs::label);
        let (kind_zh, kind_en) = self.kind.label();
        match language {
            Language::Zh => format!("{zh}：{kind_zh}"),
            Language::En => format!("{en}: {kind_en}"),
        }
    }

    fn shown(self, language: Language) -> Notification {
        Notification {
            id: self.id,
            kind: self.kind,
            title: self.title(language),
            path: format!("/api/v1/{}/{}", self.resource.replace('_', "-"), self.record_id),
            resource: self.resource,
            record_id: self.record_id,
            at: self.at,
            read_at: self.read_at,
        }
    }
}

/// A page of one's notifications.
#[derive(Serialize, ToSchema)]
pub struct NotificationPage {
    items: Vec<Notification>,
    next_cursor: Option<String>,
    /// Only with `count=true`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0, nullable = false)]
    total: Option<i64>,
}

/// Which of one's notifications.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct NotificationFilter {
    /// `true` for those that are unread, `false` for those that are read.
    unread: Option<bool>,
    #[param(inline)]
    kind: Option<NotificationKind>,
}

/// One's own: every query starts here.
fn own(actor: Id, filter: &NotificationFilter) -> t::BoxedQuery<'static, Any> {
    let mut query = t::table.filter(t::user_id.eq(actor)).into_boxed::<Any>();
    query = match filter.unread {
        Some(true) => query.filter(t::read_at.is_null()),
        Some(false) => query.filter(t::read_at.is_not_null()),
        None => query,
    };
    if let Some(kind) = filter.kind {
        query = query.filter(t::kind.eq(kind));
    }
    query
}

fn find(conn: &mut AnyConnection, actor: Id, id: Id) -> Result<Row> {
    Ok(own(actor, &NotificationFilter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?)
}

/// What the caller is told, the latest first.
#[utoipa::path(
    operation_id = "notifications_list", tag = "notifications", summary = "我的通知 / One's own notifications",
    params(
        NotificationFilter,
        ("sort" = Option<String>, Query, description = "`-created_at` when absent."),
        ("limit" = Option<i64>, Query, description = "Notifications a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, with the same filter."),
        ("count" = Option<bool>, Query, description = "Whether to count all that match into `total`.")),
    responses((status = 200, description = "A page.", body = NotificationPage)),
)]
#[get("/notifications")]
pub async fn list(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &Sort::IN_TIME)?;
    let filter: NotificationFilter =
        serde_json::from_value(pairs.into_json(&filter_shape::<NotificationFilter>())?).map_err(Error::internal)?;
    let (actor, language) = (caller.actor.id, caller.language);
    let page = db
        .read(move |conn| {
            let mut query = own(actor, &filter);
            let newest = window.sort == Sort::Newest;
            if let Some(after) = &window.after {
                query = if newest { query.filter(t::id.lt(after.id)) } else { query.filter(t::id.gt(after.id)) };
            }
            query = if newest { query.order(t::id.desc()) } else { query.order(t::id.asc()) };
            let mut found: Vec<Row> = query.limit(window.fetch()).select(Row::as_select()).load(conn)?;
            let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
            let more = found.len() > limit;
            found.truncate(limit);
            let next_cursor = found.last().filter(|_| more).map(|last| window.cursor_after(last.id, ""));
            let total = if window.count { Some(own(actor, &filter).count().get_result(conn)?) } else { None };
            Ok(NotificationPage { items: found.into_iter().map(|row| row.shown(language)).collect(), next_cursor, total })
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}

/// One of the caller's notifications.
#[utoipa::path(
    operation_id = "notifications_get", tag = "notifications", summary = "读取一条通知 / Read one notification",
    params(("id" = Id, Path, description = "Id of the notification.")),
    responses((status = 200, description = "The notification.", body = Notification)),
)]
#[get("/notifications/{id}")]
pub async fn one(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    handlers::no_parameters(&request)?;
    let (id, actor) = (id_of(&request)?, caller.actor.id);
    let row = db.read(move |conn| find(conn, actor, id)).await?;
    Ok(HttpResponse::Ok().json(row.shown(caller.language)))
}

/// Notes that the caller has read a notification; one that was read already stays as it is.
#[utoipa::path(
    operation_id = "notifications_read", tag = "notifications", summary = "标为已读 / Mark one as read",
    params(("id" = Id, Path, description = "Id of the notification.")),
    responses((status = 200, description = "The notification.", body = Notification)),
)]
#[post("/notifications/{id}/read")]
pub async fn read(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    handlers::no_parameters(&request)?;
    let (id, actor, language) = (id_of(&request)?, caller.actor.id, caller.language);
    let deed = deed_of(&request, &caller, &[], false)?;
    let reply = db
        .write(deed, move |tx| {
            let mut row = find(tx.conn, actor, id)?;
            if row.read_at.is_none() {
                diesel::update(t::table.find(row.id)).set(t::read_at.eq(tx.now)).execute(tx.conn)?;
                row.read_at = Some(tx.now);
            }
            let body = serde_json::to_vec(&row.shown(language)).map_err(Error::internal)?;
            Ok(Reply { status: 200, location: None, etag: None, body, kept: None, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}

/// How many were marked.
#[derive(Serialize, ToSchema)]
pub struct MarkedAsRead {
    marked: usize,
}

/// Notes that the caller has read all their notifications.
#[utoipa::path(
    operation_id = "notifications_read_all", tag = "notifications", summary = "全部标为已读 / Mark all as read",
    responses((status = 200, description = "How many were unread.", body = MarkedAsRead)),
)]
#[post("/notifications/read-all")]
pub async fn read_all(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    handlers::no_parameters(&request)?;
    let actor = caller.actor.id;
    let deed = deed_of(&request, &caller, &[], false)?;
    let reply = db
        .write(deed, move |tx| {
            let unread = t::table.filter(t::user_id.eq(actor)).filter(t::read_at.is_null());
            let marked = diesel::update(unread).set(t::read_at.eq(tx.now)).execute(tx.conn)?;
            let body = serde_json::to_vec(&MarkedAsRead { marked }).map_err(Error::internal)?;
            Ok(Reply { status: 200, location: None, etag: None, body, kept: None, replayed: false })
        })
        .await?;
    Ok(respond(reply))
}

/// Forgets what somebody was told, who is about to be deleted.
pub fn forget(tx: &mut Tx<'_>, user_id: Id) -> Result<()> {
    diesel::delete(t::table.filter(t::user_id.eq(user_id))).execute(tx.conn)?;
    Ok(())
}
