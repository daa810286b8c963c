//! Deliveries (推送记录): what each webhook was told, or is still to be told, and what came of each attempt.
//!
//! The service alone writes them. Of an answer its status is kept, and never its body: who sets up a webhook must not read by it what
//! stands where it points.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::webhooks;
use crate::db::{Any, AnyConnection, Tx};
use crate::error::{Error, Result};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::webhook_deliveries as t;
use crate::types::{Id, Instant, text_enum};
use crate::web::resource::Step;
use crate::web::{Measure, Measured, Reference, Resource, Sort, Viewed, Window, measured, page, read_only};

/// How long is tried what is sent again by hand.
const AGAIN_SECONDS: i64 = 72 * 3600;

text_enum! {
    /// Where a delivery stands.
    DeliveryState {
        Waiting = "waiting", "待投递", "waiting";
        Delivered = "delivered", "已送达", "delivered";
        Expired = "expired", "已放弃", "given up";
    }
}

text_enum! {
    /// Why an attempt has failed.
    DeliveryFault {
        TargetRefused = "target_refused", "目标地址不允许", "the address is not allowed";
        NameUnknown = "name_unknown", "域名无法解析", "the name has no address";
        Unreachable = "unreachable", "无法连接", "no connection";
        Tls = "tls", "TLS 握手或证书有误", "TLS, or its certificate";
        Timeout = "timeout", "超时", "no answer in time";
        Redirect = "redirect", "对方要求转址，未跟随", "sent elsewhere, and not followed";
        Status = "status", "应答状态不是 2xx", "the answer's status is not 2xx";
        NoHttp = "no_http", "应答不是有效的 HTTP", "the answer is no HTTP";
    }
}

/// One attempt to deliver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    pub at: Instant,
    /// In milliseconds.
    pub duration_ms: i64,
    /// Of the answer, where there was one.
    pub status: Option<u16>,
    /// Null where it was delivered.
    pub fault: Option<DeliveryFault>,
}

/// What a delivery tells of.
pub struct About {
    pub event_id: Id,
    pub event_type: String,
    pub sequence: Option<i64>,
    pub at: Instant,
    pub organization_id: Id,
    pub resource: String,
    pub record_id: Id,
}

/// A delivery as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct Row {
    pub id: Id,
    pub webhook_id: Id,
    pub organization_id: Id,
    pub event_id: Id,
    pub event_type: String,
    pub sequence: Option<i64>,
    /// The order in which they go out: that of the chain, what has no place there first.
    position: i64,
    pub event_at: Instant,
    pub event_organization_id: Id,
    pub resource: String,
    pub record_id: Id,
    pub state: DeliveryState,
    expires_at: Instant,
    delivered_at: Option<Instant>,
    attempt_count: i32,
    attempts: String,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

impl Row {
    /// One that waits, for a webhook of an organization.
    pub fn new((webhook_id, organization_id): (Id, Id), about: About, expires_at: Instant, now: Instant) -> Self {
        Self {
            id: Id::new(),
            webhook_id,
            organization_id,
            event_id: about.event_id,
            event_type: about.event_type,
            sequence: about.sequence,
            position: about.sequence.unwrap_or_default(),
            event_at: about.at,
            event_organization_id: about.organization_id,
            resource: about.resource,
            record_id: about.record_id,
            state: DeliveryState::Waiting,
            expires_at,
            delivered_at: None,
            attempt_count: 0,
            attempts: "[]".to_owned(),
            version: 1,
            created_at: now,
            updated_at: now,
        }
    }

    pub fn attempts(&self) -> Result<Vec<Attempt>> {
        serde_json::from_str(&self.attempts).map_err(Error::internal)
    }

    fn shown(self) -> Result<WebhookDelivery> {
        Ok(WebhookDelivery {
            attempts: self.attempts()?,
            id: self.id,
            webhook_id: self.webhook_id,
            organization_id: self.organization_id,
            event_id: self.event_id,
            event_type: self.event_type,
            sequence: self.sequence,
            event_at: self.event_at,
            resource: self.resource,
            record_id: self.record_id,
            state: self.state,
            expires_at: self.expires_at,
            delivered_at: self.delivered_at,
            attempt_count: self.attempt_count,
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
        })
    }
}

/// What is changed of a delivery that is sent again.
#[derive(AsChangeset)]
#[diesel(table_name = t)]
pub struct Again {
    state: DeliveryState,
    expires_at: Instant,
    updated_at: Instant,
}

impl Again {
    pub fn at(now: Instant) -> Self {
        Self { state: DeliveryState::Waiting, expires_at: now.plus_seconds(AGAIN_SECONDS), updated_at: now }
    }
}

/// What a webhook was told, or is to be told.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct WebhookDelivery {
    pub id: Id,
    pub webhook_id: Id,
    /// The webhook's.
    pub organization_id: Id,
    /// Of the audit log; the `webhook-id` by which a receiver knows what it has had.
    pub event_id: Id,
    #[schema(example = "disbursements.pay")]
    pub event_type: String,
    /// The event's number in the order of all events; null of a test.
    pub sequence: Option<i64>,
    pub event_at: Instant,
    #[schema(example = "disbursements")]
    pub resource: String,
    pub record_id: Id,
    pub state: DeliveryState,
    /// Until when it is tried.
    pub expires_at: Instant,
    pub delivered_at: Option<Instant>,
    pub attempt_count: i32,
    /// The latest hundred, in their order.
    pub attempts: Vec<Attempt>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

impl Viewed for WebhookDelivery {
    fn id(&self) -> Id {
        self.id
    }
    fn code(&self) -> &str {
        ""
    }
    fn version(&self) -> i32 {
        self.version
    }
    fn organization_id(&self) -> Option<Id> {
        Some(self.organization_id)
    }
}

/// Which deliveries.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct WebhookDeliveryFilter {
    /// Of webhooks of this organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub webhook_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<DeliveryState>>,
    #[param(example = "disbursements.pay")]
    pub event_type: Option<String>,
    pub record_id: Option<Id>,
}

pub struct WebhookDeliveries;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &WebhookDeliveryFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(id) = filter.webhook_id {
        query = query.filter(t::webhook_id.eq(id));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(event_type) = &filter.event_type {
        query = query.filter(t::event_type.eq(event_type.clone()));
    }
    if let Some(id) = filter.record_id {
        query = query.filter(t::record_id.eq(id));
    }
    query
}

/// `replay`: sent once more, before what waits, with the same `webhook-id`.
fn replay(tx: &mut Tx<'_>, scope: &Scope, before: WebhookDelivery, _: &Value) -> Result<WebhookDelivery> {
    let one = t::table.filter(t::id.eq(before.id)).filter(t::version.eq(before.version));
    if diesel::update(one).set((Again::at(tx.now), t::version.eq(before.version + 1))).execute(tx.conn)? == 0 {
        return Err(crate::web::verbs::stale(before.version + 1));
    }
    webhooks::due_now(tx, before.webhook_id)?;
    WebhookDeliveries::find(tx.conn, scope, before.id)
}

impl Resource for WebhookDeliveries {
    const NAME: &'static str = "webhook_deliveries";
    const LABEL: (&'static str, &'static str) = ("推送记录", "webhook delivery");
    const AREA: Area = Area::Access;
    const REFERENCES: &'static [Reference] = &[];
    const SORTS: &'static [&'static str] = &Sort::IN_TIME;

    type View = WebhookDelivery;
    type Filter = WebhookDeliveryFilter;
    read_only!();

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows: Vec<Row> = page!(in_time conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        rows.into_iter().map(Row::shown).collect()
    }

    fn count(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter) -> Result<i64> {
        Ok(query(scope, filter).count().get_result(conn)?)
    }

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        query(scope, &Self::Filter::default())
            .filter(t::id.eq(id))
            .select(Row::as_select())
            .first(conn)
            .map_err(Error::from)
            .and_then(Row::shown)
    }

    /// A delivery has no code.
    fn ids_by_code(_: &mut AnyConnection, _: &Scope, _: &[String]) -> Result<Vec<(String, Id)>> {
        Ok(Vec::new())
    }

    fn versions(conn: &mut AnyConnection, ids: &[Id]) -> Result<Vec<(Id, i32)>> {
        Ok(t::table.filter(t::id.eq_any(ids.to_vec())).select((t::id, t::version)).load(conn)?)
    }

    fn known_ids(conn: &mut AnyConnection, scope: &Scope, ids: &[Id]) -> Result<Vec<Id>> {
        Ok(query(scope, &Self::Filter::default()).filter(t::id.eq_any(ids.to_vec())).select(t::id).load(conn)?)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step { action: Action::Replay, summary: "重新投递 / Send it again", body: None, needs_key: false, run: replay }]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        if view.state == DeliveryState::Waiting { Vec::new() } else { vec![Action::Replay] }
    }
}
