//! Nominations (申报): an association names a workstation, or a liaison officer by their appointment, for a commendation.
//!
//! `draft → submitted → approved` or `rejected`, and `awarded` with the round. It is submitted while the round is open, and decided by the
//! association whose round it is, by another than any who wrote or submitted it. What was announced may still be rejected, where the
//! public has said why. No name stands here.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::appointments::Post;
use super::commendation_rounds::{self, CommendationKind, CommendationState, Row as Round};
use super::rules::{self, ReasonBody};
use super::workstations;
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{appointments, nominations as t, workstations as w};
use crate::types::{Id, Instant, TextEnum, business_today, code_or_new, text_enum};
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::{stale, step_body};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// Where a nomination stands.
    NominationState {
        Draft = "draft", "草稿", "draft";
        Submitted = "submitted", "已申报", "submitted";
        Approved = "approved", "评审通过", "approved";
        Rejected = "rejected", "未通过", "rejected";
        Awarded = "awarded", "已表彰", "awarded";
    }
}

/// A nomination.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Nomination {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that nominates.
    pub organization_id: Id,
    pub round_id: Id,
    pub workstation_id: Option<Id>,
    /// Of a liaison officer.
    pub appointment_id: Option<Id>,
    /// Why it should be commended.
    #[schema(example = "三年来线索上报及时，台账齐全")]
    pub merits: String,
    pub state: NominationState,
    /// The user who submitted it.
    pub submitted_by: Option<Id>,
    /// Another user, who approved or rejected it.
    pub decided_by: Option<Id>,
    /// Why it was rejected.
    pub reason: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Nomination);

/// What may be written of a nomination, while it is a draft. Without names: the appointment tells who it is.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "round_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08",
    "workstation_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "merits": "三年来线索上报及时，台账齐全"}))]
pub struct NominationDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that nominates.
    pub organization_id: Id,
    /// A round of this association or of one above it, which is not under review yet.
    pub round_id: Id,
    /// Of this association or below it; needed where workstations are commended. Each once in a round.
    pub workstation_id: Option<Id>,
    /// The appointment of a liaison officer of this association or below it; needed where liaison officers are commended.
    pub appointment_id: Option<Id>,
    /// Why it should be commended.
    #[schema(min_length = 1, max_length = 4000)]
    pub merits: String,
}

/// Which nominations.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct NominationFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub round_id: Option<Id>,
    pub workstation_id: Option<Id>,
    pub appointment_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<NominationState>>,
}

pub struct Nominations;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &NominationFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.round_id {
        query = query.filter(t::round_id.eq(id));
    }
    if let Some(id) = filter.workstation_id {
        query = query.filter(t::workstation_id.eq(id));
    }
    if let Some(id) = filter.appointment_id {
        query = query.filter(t::appointment_id.eq(id));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: NominationDraft) -> Nomination {
    Nomination {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        round_id: draft.round_id,
        workstation_id: draft.workstation_id,
        appointment_id: draft.appointment_id,
        merits: draft.merits,
        state: NominationState::Draft,
        submitted_by: None,
        decided_by: None,
        reason: None,
        version,
        created_at,
        updated_at: now,
    }
}

/// What a round of a kind takes, and what it doesn't: pure.
fn fits(kind: CommendationKind, draft: &NominationDraft, at: impl Fn(&str) -> String, faults: &mut Vec<Fault>) {
    let (station, officer) = (draft.workstation_id.is_some(), draft.appointment_id.is_some());
    let mut fault = |field: &str, code, zh: &str, en: &str| faults.push(Fault::new(at(field), code, Says::new(zh, en)));
    match kind {
        CommendationKind::DemonstrationWorkstation => {
            if !station {
                fault("workstation_id", "required", "请填写申报的工作站", "name the workstation");
            }
            if officer {
                fault("appointment_id", "not_taken", "本次评选的是工作站", "this round commends workstations");
            }
        }
        CommendationKind::AdvancedLiaisonOfficer => {
            if !officer {
                fault("appointment_id", "required", "请填写联络员的任职", "name the appointment of the liaison officer");
            }
            if station {
                fault("workstation_id", "not_taken", "本次评选的是联络员", "this round commends liaison officers");
            }
        }
        CommendationKind::Other if station && officer => {
            fault(
                "appointment_id",
                "not_taken",
                "工作站与任职只能填写一个",
                "a nomination names a workstation or an appointment, not both",
            );
        }
        CommendationKind::Other => {}
    }
}

/// Faults of drafts, with pointers that `at` makes from a draft's index and a field.
fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[NominationDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut known = |of, field: &str, id: fn(&NominationDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    known("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    known("commendation_rounds", "round_id", |draft| Some(draft.round_id))?;
    known("workstations", "workstation_id", |draft| draft.workstation_id)?;
    known("appointments", "appointment_id", |draft| draft.appointment_id)?;
    Error::unless_empty(std::mem::take(&mut faults))?;

    let rounds: HashMap<Id, Round> = commendation_rounds::known(tx.conn, drafts.iter().map(|draft| draft.round_id))?;
    let stations: Vec<(Id, Id)> = w::table
        .filter(w::id.eq_any(drafts.iter().filter_map(|draft| draft.workstation_id).collect::<Vec<_>>()))
        .select((w::id, w::organization_id))
        .load(tx.conn)?;
    let officers: Vec<(Id, Id, Post)> = appointments::table
        .filter(appointments::id.eq_any(drafts.iter().filter_map(|draft| draft.appointment_id).collect::<Vec<_>>()))
        .select((appointments::id, appointments::organization_id, appointments::post))
        .load(tx.conn)?;
    let nominating = drafts.iter().map(|draft| draft.organization_id);
    let placed = stations.iter().map(|(_, place)| *place).chain(officers.iter().map(|(_, place, _)| *place));
    let owners = rounds.values().map(|round| round.organization_id);
    let below = rules::lying_below(tx.conn, nominating.clone().chain(owners), placed.chain(nominating))?;
    let stations: HashMap<Id, Id> = stations.into_iter().collect();
    let officers: HashMap<Id, (Id, Post)> = officers.into_iter().map(|(id, place, post)| (id, (place, post))).collect();
    for (i, draft) in drafts.iter().enumerate() {
        let Some(round) = rounds.get(&draft.round_id) else { continue };
        let mut fault = |field: &str, code, zh: &str, en: &str| faults.push(Fault::new(at(i, field), code, Says::new(zh, en)));
        if !matches!(round.state, CommendationState::Draft | CommendationState::Open) {
            fault("round_id", "round_not_open", "该评选的申报已经结束", "the round takes no nominations any more");
        }
        if !below.contains(&(round.organization_id, draft.organization_id)) {
            fault(
                "round_id",
                "round_of_others",
                "该评选属于其他单位，不接受本单位申报",
                "the round belongs to an association that is not above this one",
            );
        }
        let elsewhere = |place: Option<&Id>| place.is_some_and(|place| !below.contains(&(draft.organization_id, *place)));
        if elsewhere(draft.workstation_id.and_then(|id| stations.get(&id))) {
            fault(
                "workstation_id",
                "not_of_this_organization",
                "该工作站不属于申报单位",
                "the workstation is not of the association that nominates",
            );
        }
        let officer = draft.appointment_id.and_then(|id| officers.get(&id));
        if elsewhere(officer.map(|(place, _)| place)) {
            fault(
                "appointment_id",
                "not_of_this_organization",
                "该联络员不属于申报单位",
                "the officer is not of the association that nominates",
            );
        }
        if officer.is_some_and(|(_, post)| *post != Post::LiaisonOfficer) {
            fault("appointment_id", "not_a_liaison_officer", "该任职不是联络员", "the appointment is not that of a liaison officer");
        }
        fits(round.kind, draft, |field| at(i, field), &mut faults);
    }
    Error::unless_empty(faults)
}

/// Says what stands in the way of a second nomination of the same.
fn once(error: diesel::result::Error) -> Error {
    let mut error = Error::from(error);
    if error.code == Code::AlreadyExists && error.faults.is_empty() {
        error.detail =
            Some(Says::new("该工作站或联络员在本次评选中已有申报", "the workstation or the officer is nominated in this round already"));
    }
    error
}

/// Takes a nomination for this transaction as it was when it was read, after its round: what is decided about many is decided in turn.
fn take(tx: &mut Tx<'_>, before: &Nomination) -> Result<Round> {
    let round = commendation_rounds::hold(tx, before.round_id)?;
    let one = t::table.filter(t::id.eq(before.id));
    held!(tx.conn, one.select(t::id))?;
    let version: i32 = one.select(t::version).first(tx.conn)?;
    if version == before.version { Ok(round) } else { Err(stale(version)) }
}

fn save(tx: &mut Tx<'_>, before: &Nomination, after: Nomination) -> Result<Nomination> {
    let after = Nomination { version: before.version + 1, updated_at: tx.now, ..after };
    save!(tx, t, before, &after)?;
    Ok(after)
}

fn conflict(pointer: &str, code: &'static str, zh: impl Into<String>, en: impl Into<String>) -> Error {
    Error::with_faults(Code::Conflict, vec![Fault::new(pointer, code, Says::new(zh, en))])
}

fn submit(tx: &mut Tx<'_>, _: &Scope, before: Nomination, _: &Value) -> Result<Nomination> {
    let actor = tx.actor()?;
    let round = take(tx, &before)?;
    let today = business_today(tx.now);
    if round.state != CommendationState::Open || today < round.opens_on || round.closes_on < today {
        return Err(conflict(
            "/round_id",
            "round_not_open",
            format!("该评选只在 {} 至 {} 申报期间接受申报", round.opens_on, round.closes_on),
            format!("the round takes nominations while it is open, from {} to {}", round.opens_on, round.closes_on),
        ));
    }
    let after = Nomination { state: NominationState::Submitted, submitted_by: Some(actor), ..before.clone() };
    save(tx, &before, after)
}

fn approve(tx: &mut Tx<'_>, _: &Scope, before: Nomination, _: &Value) -> Result<Nomination> {
    let round = take(tx, &before)?;
    let actor = tx.actor()?;
    if !matches!(round.state, CommendationState::Open | CommendationState::Reviewing) {
        return Err(conflict("/round_id", "announced_already", "评选结果已公示，不能再通过申报", "what was approved is announced already"));
    }
    let approved = commendation_rounds::approved(tx.conn, round.id)?;
    if approved >= i64::from(round.quota) {
        return Err(conflict(
            "/round_id",
            "quota_exhausted",
            format!("名额 {} 个已满", round.quota),
            format!("all {} places of the round are taken", round.quota),
        ));
    }
    let after = Nomination { state: NominationState::Approved, decided_by: Some(actor), ..before.clone() };
    save(tx, &before, after)
}

fn reject(tx: &mut Tx<'_>, _: &Scope, before: Nomination, body: &Value) -> Result<Nomination> {
    let reason = step_body::<ReasonBody>(body)?.reason;
    take(tx, &before)?;
    let actor = tx.actor()?;
    let after = Nomination { state: NominationState::Rejected, decided_by: Some(actor), reason: Some(reason), ..before.clone() };
    save(tx, &before, after)
}

/// What is approved of a round becomes awarded, with the round held; a commended workstation shows that it is one.
pub fn award(tx: &mut Tx<'_>, round_id: Id) -> Result<()> {
    let approved = t::table.filter(t::round_id.eq(round_id)).filter(t::state.eq(NominationState::Approved));
    let rows: Vec<(Id, Id, Option<Id>)> = approved.order(t::id).select((t::id, t::organization_id, t::workstation_id)).load(tx.conn)?;
    diesel::update(approved)
        .set((t::state.eq(NominationState::Awarded), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    let detail = json!({"state": [NominationState::Approved, NominationState::Awarded]});
    for (id, organization_id, _) in &rows {
        tx.audit(Action::Award.code(), Nominations::NAME, Some(*id), Some(*organization_id), Some(&detail));
    }
    workstations::commend(tx, rows.into_iter().filter_map(|(.., workstation_id)| workstation_id).collect())
}

impl Resource for Nominations {
    const NAME: &'static str = "nominations";
    const LABEL: (&'static str, &'static str) = ("表彰申报", "nomination");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "round_id", column: "round_code", of: "commendation_rounds" },
        Reference { field: "workstation_id", column: "workstation_code", of: "workstations" },
        Reference { field: "appointment_id", column: "appointment_code", of: "appointments" },
    ];

    type View = Nomination;
    type Draft = NominationDraft;
    type Filter = NominationFilter;

    reads!(t, Nomination);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Nomination> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows).map_err(once)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let nomination = view.clone();
        Ok(NominationDraft {
            code: Some(nomination.code),
            organization_id: nomination.organization_id,
            round_id: nomination.round_id,
            workstation_id: nomination.workstation_id,
            appointment_id: nomination.appointment_id,
            merits: nomination.merits,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        let at_its_version = t::table.filter(t::id.eq(before.id)).filter(t::version.eq(before.version));
        match diesel::update(at_its_version).set(&after).execute(tx.conn).map_err(once)? {
            0 => Err(stale(before.version + 1)),
            _ => Ok(after),
        }
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        type Taken = (Action, &'static str, Option<fn() -> Shape>, Run<Nominations>);
        let steps: [Taken; 3] = [
            (Action::Submit, "提交申报（评选申报期间） / Submit, while the round is open", None, submit),
            (
                Action::Approve,
                "评审通过（由组织评选的单位，不得为编写人；不超过名额） / Approve: by the round's association, within the quota",
                None,
                approve,
            ),
            (Action::Reject, "评审不通过 / Reject, with a reason", Some(Shape::of::<ReasonBody>), reject),
        ];
        steps.into_iter().map(|(action, summary, body, run)| Step { action, summary, body, needs_key: false, run }).collect()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            NominationState::Draft => vec![Action::Update, Action::Delete, Action::Submit],
            NominationState::Submitted => vec![Action::Approve, Action::Reject],
            NominationState::Approved => vec![Action::Reject],
            NominationState::Rejected | NominationState::Awarded => Vec::new(),
        }
    }

    /// The round is the association's that made it: it decides, by a hand that had no part in the nomination.
    fn objections(conn: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        const DECIDED: [Action; 2] = [Action::Approve, Action::Reject];
        let rounds: Vec<Id> = asked.iter().filter(|(_, action)| DECIDED.contains(action)).map(|(view, _)| view.round_id).collect();
        if rounds.is_empty() {
            return Ok(Vec::new());
        }
        let rounds: HashMap<Id, Round> = commendation_rounds::known(conn, rounds)?;
        let deciding = asked.iter().filter(|(_, action)| DECIDED.contains(action));
        let deciding = deciding.filter_map(|(view, action)| Some((*action, rounds.get(&view.round_id)?.organization_id)));
        let elsewhere = actor.lacks(conn, Self::AREA, deciding)?;
        let wrote = rules::wrote::<Self>(conn, actor, asked, &DECIDED)?;
        let objection = |view: &Nomination, action: Action| {
            if !DECIDED.contains(&action) {
                return None;
            }
            if rounds.get(&view.round_id).is_none_or(|round| elsewhere.contains(&(action, round.organization_id))) {
                return Some(Error::because(
                    Code::Forbidden,
                    "申报由组织评选的单位评审",
                    "nominations are decided by the association whose round it is",
                ));
            }
            (view.submitted_by == Some(actor.id) || wrote.contains(&view.id)).then(|| {
                Error::because(
                    Code::Forbidden,
                    format!("申报 {} 由您编写或提交，须由另一人评审", view.code),
                    format!("you wrote or submitted the nomination {}, so somebody else has to decide it", view.code),
                )
            })
        };
        Ok(asked.iter().map(|(view, action)| objection(view, *action)).collect())
    }
}
