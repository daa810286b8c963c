//! The audit log (审计日志), for those who look over others' shoulders: who did what, when, from where, and what came of it.
//!
//! The service alone writes it. An event belongs to the organization of its record; those that belong to none, such as
//! a refusal, are seen by who sees the whole tree. That is who administers the platform, and they are shown no personal
//! data: of a person's records they see that something was done, and not what.

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use crate::audit::{AuditOutcome, Event};
use crate::db::{Any, AnyConnection, Part, Subset};
use crate::error::{Error, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::audit_events as t;
use crate::types::{Id, Instant};
use crate::web::{Measure, Measured, Reference, Resource, Sort, Viewed, Window, page, read_only, verbs};

/// One event of the audit log.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct AuditEvent {
    pub id: Id,
    pub at: Instant,
    /// The user who did it; null for the command line, and where nobody was signed in.
    pub actor_id: Option<Id>,
    #[schema(example = "update")]
    pub action: String,
    #[schema(example = "persons")]
    pub resource: String,
    pub record_id: Option<Id>,
    pub organization_id: Option<Id>,
    /// Whom the record is about.
    pub person_id: Option<Id>,
    /// Where the request came from; null where only a proxy is known.
    #[schema(example = "10.0.0.7")]
    pub address: Option<String>,
    pub outcome: AuditOutcome,
    /// The `X-Request-Id` of the request.
    pub request_id: String,
    /// A new or deleted record as its readers see it, or of a change what was and what is: `{"field": [before, after]}`.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<Value>,
}

impl Viewed for AuditEvent {
    fn id(&self) -> Id {
        self.id
    }
    fn code(&self) -> &str {
        ""
    }
    fn version(&self) -> i32 {
        1
    }
    fn organization_id(&self) -> Option<Id> {
        self.organization_id
    }
    fn person_id(&self) -> Option<Id> {
        self.person_id
    }
}

/// Nobody writes an event.
#[derive(Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NoDraft {}

/// Which events.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AuditEventFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub record_id: Option<Id>,
    /// As in the address, with `_` for `-`.
    #[param(example = "persons")]
    pub resource: Option<String>,
    /// What was done to this person's records.
    pub person_id: Option<Id>,
    /// What this user did.
    pub actor_id: Option<Id>,
    #[param(example = "reveal")]
    pub action: Option<String>,
    #[param(inline)]
    pub outcome: Option<AuditOutcome>,
    /// From this instant on.
    #[param(value_type = Option<String>, format = DateTime, example = "2022-06-17T09:00:00+08:00")]
    pub from: Option<Instant>,
    /// Before this instant.
    #[param(value_type = Option<String>, format = DateTime, example = "2022-06-18T09:00:00+08:00")]
    pub to: Option<Instant>,
}

pub struct AuditEvents;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &AuditEventFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(id) = filter.record_id {
        query = query.filter(t::record_id.eq(id));
    }
    if let Some(resource) = &filter.resource {
        query = query.filter(t::resource.eq(resource.clone()));
    }
    if let Some(id) = filter.person_id {
        // A disbursement knows the hero or the dependant that it goes to, and not the person.
        let given = Subset(vec![
            Part::Sql("SELECT id FROM disbursements WHERE hero_id IN (SELECT id FROM heroes WHERE person_id = "),
            Part::Id(id),
            Part::Sql(") OR dependant_id IN (SELECT id FROM dependants WHERE person_id = "),
            Part::Id(id),
            Part::Sql(")"),
        ]);
        query = query.filter(given.holds(t::record_id).or(t::person_id.eq(id)));
    }
    if let Some(id) = filter.actor_id {
        query = query.filter(t::actor_id.eq(id));
    }
    if let Some(action) = &filter.action {
        query = query.filter(t::action.eq(action.clone()));
    }
    match filter.outcome {
        // By its own words, so that a planner without the values finds the index of what was refused.
        Some(AuditOutcome::Refused) => query = query.filter(diesel::dsl::sql::<diesel::sql_types::Bool>("outcome = 'refused'")),
        Some(done @ AuditOutcome::Done) => query = query.filter(t::outcome.eq(done)),
        None => {}
    }
    if let Some(from) = filter.from {
        query = query.filter(t::at.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(t::at.lt(to));
    }
    query
}

/// An event as it is shown in a scope.
fn shown(scope: &Scope, event: Event) -> AuditEvent {
    let area = verbs::named(&event.resource).map(verbs::Verbs::area);
    let personal = matches!(area, Some(Area::People | Area::Heroes | Area::Welfare));
    // A refusal tells the address that was asked for, and nothing of the record.
    let hidden = personal && scope.is_whole() && event.outcome == AuditOutcome::Done;
    let detail = event.detail.filter(|_| !hidden);
    AuditEvent {
        id: event.id,
        at: event.at,
        actor_id: event.actor_id,
        action: event.action,
        resource: event.resource,
        record_id: event.record_id,
        organization_id: event.organization_id,
        person_id: event.person_id,
        address: event.address,
        outcome: event.outcome,
        request_id: event.request_id,
        detail: detail.and_then(|text| serde_json::from_str(&text).ok()),
    }
}

impl Resource for AuditEvents {
    const NAME: &'static str = "audit_events";
    const LABEL: (&'static str, &'static str) = ("审计记录", "audit event");
    const AREA: Area = Area::Audit;
    const REFERENCES: &'static [Reference] = &[];
    const SORTS: &'static [&'static str] = &Sort::IN_TIME;

    type View = AuditEvent;
    type Filter = AuditEventFilter;
    read_only!();

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let events: Vec<Event> = page!(in_time conn, scope, query(scope, filter), t, window, rows => rows.select(Event::as_select()));
        Ok(events.into_iter().map(|event| shown(scope, event)).collect())
    }

    fn count(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter) -> Result<i64> {
        Ok(query(scope, filter).count().get_result(conn)?)
    }

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        let event = query(scope, &Self::Filter::default()).filter(t::id.eq(id)).select(Event::as_select()).first(conn)?;
        Ok(shown(scope, event))
    }

    /// An event has no code.
    fn ids_by_code(_: &mut AnyConnection, _: &Scope, _: &[String]) -> Result<Vec<(String, Id)>> {
        Ok(Vec::new())
    }

    /// Events stay as they are.
    fn versions(conn: &mut AnyConnection, ids: &[Id]) -> Result<Vec<(Id, i32)>> {
        let known: Vec<Id> = t::table.filter(t::id.eq_any(ids.to_vec())).select(t::id).load(conn)?;
        Ok(known.into_iter().map(|id| (id, 1)).collect())
    }

    fn known_ids(conn: &mut AnyConnection, scope: &Scope, ids: &[Id]) -> Result<Vec<Id>> {
        Ok(query(scope, &Self::Filter::default()).filter(t::id.eq_any(ids.to_vec())).select(t::id).load(conn)?)
    }

    /// No figure is made of the log.
    fn measure(_: &mut AnyConnection, _: &Scope, _: &Self::Filter, _: Measure) -> Result<Measured> {
        Err(Error::forbidden())
    }
}
