//! Objections (异议) to a public notice: who says what stays inside, the answer is for the public.
//!
//! An objection comes while the notice is in force; until it is answered the notice isn't concluded. It is never deleted: one that was
//! written down by mistake is answered as well.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::public_notices::{self, NoticeState};
use super::rules;
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{notice_objections as t, public_notices as n};
use crate::types::{Id, Instant, business_today, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::step_body;
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, save, viewed};

text_enum! {
    /// How an objection came.
    ObjectionChannel {
        Phone = "phone", "电话", "by telephone";
        Letter = "letter", "来信", "by letter";
        Visit = "visit", "来访", "in person";
        Online = "online", "网络", "online";
    }
}

text_enum! {
    /// Where an objection stands.
    ObjectionState {
        Received = "received", "已收到", "received";
        Answered = "answered", "已答复", "answered";
    }
}

text_enum! {
    /// What came of an objection.
    ObjectionOutcome {
        Upheld = "upheld", "异议成立", "upheld";
        Dismissed = "dismissed", "异议不成立", "dismissed";
    }
}

/// An objection.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct NoticeObjection {
    pub id: Id,
    pub code: String,
    /// The notice's.
    pub organization_id: Id,
    pub notice_id: Id,
    pub received_on: NaiveDate,
    pub channel: ObjectionChannel,
    /// Who objects; never told to the public.
    pub objector: Option<String>,
    /// What they say; never told to the public.
    pub content: String,
    pub state: ObjectionState,
    pub outcome: Option<ObjectionOutcome>,
    /// Told to the public.
    pub answer: Option<String>,
    pub answered_on: Option<NaiveDate>,
    pub answered_by: Option<Id>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(NoticeObjection);

/// What may be written of an objection, until it is answered.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct NoticeObjectionDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// A notice that is published; fixed once written.
    pub notice_id: Id,
    /// Within the notice's days, and not later than today.
    pub received_on: NaiveDate,
    pub channel: ObjectionChannel,
    /// Who objects; absent where they don't say.
    #[schema(min_length = 1, max_length = 100)]
    pub objector: Option<String>,
    /// What they say.
    #[schema(min_length = 1, max_length = 5000, example = "名单第 3 人已不在本县居住。")]
    pub content: String,
}

/// What came of an objection, and what is answered.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct AnswerBody {
    outcome: ObjectionOutcome,
    /// Told to the public, without the number of a paper, a mobile phone or a bank card, and without whole names.
    #[schema(min_length = 1, max_length = 2000, example = "经核实，金额登记有误，已更正。")]
    #[validate(custom(function = "rules::public_text"))]
    answer: String,
}

/// Which objections.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct NoticeObjectionFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub notice_id: Option<Id>,
    #[param(inline)]
    pub channel: Option<ObjectionChannel>,
    #[param(inline)]
    pub state: Option<ObjectionState>,
    #[param(inline)]
    pub outcome: Option<ObjectionOutcome>,
    /// Received on this day or later.
    pub received_from: Option<NaiveDate>,
    /// Received on this day or earlier.
    pub received_to: Option<NaiveDate>,
}

pub struct NoticeObjections;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &NoticeObjectionFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.notice_id {
        query = query.filter(t::notice_id.eq(id));
    }
    if let Some(channel) = filter.channel {
        query = query.filter(t::channel.eq(channel));
    }
    if let Some(state) = filter.state {
        query = query.filter(t::state.eq(state));
    }
    if let Some(outcome) = filter.outcome {
        query = query.filter(t::outcome.eq(outcome));
    }
    if let Some(day) = filter.received_from {
        query = query.filter(t::received_on.ge(day));
    }
    if let Some(day) = filter.received_to {
        query = query.filter(t::received_on.le(day));
    }
    query
}

/// A notice as an objection to it needs it.
struct Objected {
    organization_id: Id,
    state: NoticeState,
    starts_on: Option<NaiveDate>,
    ends_on: Option<NaiveDate>,
}

/// The notices that are objected to, held so that none is concluded meanwhile; with faults at pointers that `at` makes.
fn check(
    tx: &mut Tx<'_>,
    scope: &Scope,
    drafts: &[NoticeObjectionDraft],
    at: impl Fn(usize, &str) -> String,
) -> Result<HashMap<Id, Objected>> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "notice_id"), Some(draft.notice_id)));
    rules::all_in_scope(tx.conn, scope, "public_notices", wanted.collect::<Vec<_>>(), &mut faults)?;
    Error::unless_empty(std::mem::take(&mut faults))?;
    let ids: Vec<Id> = drafts.iter().map(|draft| draft.notice_id).collect();
    held!(tx.conn, n::table.filter(n::id.eq_any(ids.clone())).order(n::id).select(n::id))?;
    type Found = (Id, Id, NoticeState, Option<NaiveDate>, Option<NaiveDate>);
    let found: Vec<Found> =
        n::table.filter(n::id.eq_any(ids)).select((n::id, n::organization_id, n::state, n::starts_on, n::ends_on)).load(tx.conn)?;
    let notices: HashMap<Id, Objected> = found
        .into_iter()
        .map(|(id, organization_id, state, starts_on, ends_on)| (id, Objected { organization_id, state, starts_on, ends_on }))
        .collect();
    for (i, draft) in drafts.iter().enumerate() {
        let Some(notice) = notices.get(&draft.notice_id) else { continue };
        match (notice.state, notice.starts_on, notice.ends_on) {
            (NoticeState::Published, Some(from), Some(to)) if draft.received_on < from || draft.received_on > to => {
                let says = Says::new(
                    format!("异议应在公示期内收到：{from} 至 {to}"),
                    format!("an objection comes within the days of the notice: from {from} to {to}"),
                );
                faults.push(Fault::new(at(i, "received_on"), "outside_the_period", says));
            }
            (NoticeState::Published, ..) => faults.extend(rules::not_ahead(Some(draft.received_on), tx.now, at(i, "received_on"))),
            _ => {
                let says = Says::new("只能对正在公示的公示提出异议", "only a notice that is published can be objected to");
                faults.push(Fault::new(at(i, "notice_id"), "not_published", says));
            }
        }
    }
    Error::unless_empty(faults)?;
    Ok(notices)
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, organization_id: Id, draft: NoticeObjectionDraft) -> NoticeObjection {
    NoticeObjection {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id,
        notice_id: draft.notice_id,
        received_on: draft.received_on,
        channel: draft.channel,
        objector: draft.objector,
        content: draft.content,
        state: ObjectionState::Received,
        outcome: None,
        answer: None,
        answered_on: None,
        answered_by: None,
        version,
        created_at,
        updated_at: now,
    }
}

/// `answer`: once, and for the public to read.
fn answer(tx: &mut Tx<'_>, _: &Scope, before: NoticeObjection, body: &Value) -> Result<NoticeObjection> {
    let actor = tx.actor()?;
    let body: AnswerBody = step_body(body)?;
    Error::unless_empty(public_notices::whole_names(tx.conn, before.notice_id, "/answer", &body.answer)?.into_iter().collect())?;
    let after = NoticeObjection {
        state: ObjectionState::Answered,
        outcome: Some(body.outcome),
        answer: Some(body.answer),
        answered_on: Some(business_today(tx.now)),
        answered_by: Some(actor),
        version: before.version + 1,
        updated_at: tx.now,
        ..before.clone()
    };
    save!(tx, t, before, &after)?;
    Ok(after)
}

impl Resource for NoticeObjections {
    const NAME: &'static str = "notice_objections";
    const LABEL: (&'static str, &'static str) = ("公示异议", "objection to a notice");
    const AREA: Area = Area::Welfare;
    const REFERENCES: &'static [Reference] = &[Reference { field: "notice_id", column: "notice_code", of: "public_notices" }];

    type View = NoticeObjection;
    type Draft = NoticeObjectionDraft;
    type Filter = NoticeObjectionFilter;

    reads!(t, NoticeObjection);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let notices = check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<NoticeObjection> = drafts
            .into_iter()
            .filter_map(|draft| {
                let organization_id = notices.get(&draft.notice_id)?.organization_id;
                Some(row(Id::new(), 1, now, now, organization_id, draft))
            })
            .collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let record = view.clone();
        Ok(NoticeObjectionDraft {
            code: Some(record.code),
            notice_id: record.notice_id,
            received_on: record.received_on,
            channel: record.channel,
            objector: record.objector,
            content: record.content,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        if draft.notice_id != before.notice_id {
            return Err(Error::field(
                "/notice_id",
                "fixed",
                "所异议的公示不能更改；请另行登记",
                "which notice is objected to does not change; record another objection",
            ));
        }
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, before.organization_id, draft);
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    /// None is offered: an objection is answered.
    fn delete(_: &mut Tx<'_>, _: &Scope, _: &Self::View) -> Result<()> {
        Err(Error::forbidden())
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step {
            action: Action::Answer,
            summary: "答复异议（答复内容对公众公开） / Answer; the public reads it",
            body: Some(Shape::of::<AnswerBody>),
            needs_key: false,
            run: answer,
        }]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        if view.state == ObjectionState::Received { vec![Action::Update, Action::Answer] } else { Vec::new() }
    }
}
