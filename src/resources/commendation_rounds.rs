//! Commendation rounds (评选表彰): an association commends some of those who are nominated to it.
//!
//! `draft → open → reviewing → announced → awarded`: `publish` opens the round for nominations, `conclude` ends these, `issue` announces what
//! was approved to the public, `award` gives it under a document's number once the announcement has stood for its days. The nominations
//! stand in [`super::nominations`]; never more of them are approved than the quota says.

mod steps;

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::dsl::count_star;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::nominations::NominationState;
use super::rules;
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{commendation_rounds as t, nominations};
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What is commended.
    CommendationKind {
        DemonstrationWorkstation = "demonstration_workstation", "示范工作站", "demonstration workstation";
        AdvancedLiaisonOfficer = "advanced_liaison_officer", "先进联络员", "advanced liaison officer";
        Other = "other", "其他", "other";
    }
}

text_enum! {
    /// Where a round stands.
    CommendationState {
        Draft = "draft", "草稿", "draft";
        Open = "open", "申报中", "open";
        Reviewing = "reviewing", "评审中", "under review";
        Announced = "announced", "公示中", "announced";
        Awarded = "awarded", "已表彰", "awarded";
    }
}

/// A round's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    pub id: Id,
    pub code: String,
    pub organization_id: Id,
    title: String,
    year: i32,
    pub kind: CommendationKind,
    pub quota: i32,
    pub opens_on: NaiveDate,
    pub closes_on: NaiveDate,
    pub state: CommendationState,
    announced_on: Option<NaiveDate>,
    announced_days: Option<i32>,
    announced_until: Option<NaiveDate>,
    document_number: Option<String>,
    awarded_on: Option<NaiveDate>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// How the nominations of a round stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct NominationCounts {
    /// Handed in, whatever became of them.
    pub received: i64,
    /// Not decided yet.
    pub undecided: i64,
    /// Approved, awarded ones among them.
    pub approved: i64,
    pub rejected: i64,
}

/// A round of commendations.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct CommendationRound {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that commends; those below it see it, and nominate.
    pub organization_id: Id,
    #[schema(example = "2022 年度示范工作站评选")]
    pub title: String,
    pub year: i32,
    pub kind: CommendationKind,
    /// How many are approved at most.
    pub quota: i32,
    /// The first day on which nominations are taken.
    pub opens_on: NaiveDate,
    /// The last one.
    pub closes_on: NaiveDate,
    pub state: CommendationState,
    pub nominations: NominationCounts,
    /// The day on which what was approved was told to the public.
    pub announced_on: Option<NaiveDate>,
    /// For how many days, that day not counted.
    pub announced_days: Option<i32>,
    /// Their last one.
    pub announced_until: Option<NaiveDate>,
    /// The document of the award.
    #[schema(example = "郑义〔2022〕8号")]
    pub document_number: Option<String>,
    pub awarded_on: Option<NaiveDate>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(CommendationRound {
    fn shown_version(&self) -> String {
        let counts = &self.nominations;
        format!("{}-{}-{}-{}", self.version, counts.received, counts.approved, counts.rejected)
    }
});

/// What may be written of a round, while it is a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "title": "2022 年度示范工作站评选", "year": 2022,
    "kind": "demonstration_workstation", "quota": 10, "opens_on": "2022-09-01", "closes_on": "2022-09-30"}))]
pub struct CommendationRoundDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that commends.
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: i32,
    pub kind: CommendationKind,
    /// How many are approved at most.
    #[schema(minimum = 1, maximum = 1000)]
    pub quota: i32,
    /// The first day on which nominations are taken.
    pub opens_on: NaiveDate,
    /// The last one.
    pub closes_on: NaiveDate,
}

fn whole(draft: &CommendationRoundDraft) -> Result<(), ValidationError> {
    rules::in_order(Some(draft.opens_on), Some(draft.closes_on), "closes_on")
}

/// Which rounds.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CommendationRoundFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub year: Option<i32>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<CommendationKind>>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<CommendationState>>,
}

pub struct CommendationRounds;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &CommendationRoundFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    query
}

/// How the nominations of some rounds stand: one query; none has no entry.
fn counts(conn: &mut AnyConnection, rounds: &[Id]) -> Result<HashMap<Id, NominationCounts>> {
    let groups: Vec<(Id, NominationState, i64)> = nominations::table
        .filter(nominations::round_id.eq_any(rounds.to_vec()))
        .group_by((nominations::round_id, nominations::state))
        .select((nominations::round_id, nominations::state, count_star()))
        .load(conn)?;
    let mut all: HashMap<Id, NominationCounts> = HashMap::new();
    for (round_id, state, n) in groups {
        let counts = all.entry(round_id).or_default();
        counts.received += if state == NominationState::Draft { 0 } else { n };
        match state {
            NominationState::Draft => {}
            NominationState::Submitted => counts.undecided += n,
            NominationState::Approved | NominationState::Awarded => counts.approved += n,
            NominationState::Rejected => counts.rejected += n,
        }
    }
    Ok(all)
}

/// Rows as they are shown: one query for the nominations of all of them.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<CommendationRound>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let counts = counts(conn, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
    let view = |row: Row| CommendationRound {
        nominations: counts.get(&row.id).copied().unwrap_or_default(),
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        title: row.title,
        year: row.year,
        kind: row.kind,
        quota: row.quota,
        opens_on: row.opens_on,
        closes_on: row.closes_on,
        state: row.state,
        announced_on: row.announced_on,
        announced_days: row.announced_days,
        announced_until: row.announced_until,
        document_number: row.document_number,
        awarded_on: row.awarded_on,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    };
    Ok(rows.into_iter().map(view).collect())
}

/// Some rounds, for what is nominated to them: whoever asks has decided that.
pub fn known(conn: &mut AnyConnection, ids: impl IntoIterator<Item = Id>) -> Result<HashMap<Id, Row>> {
    let ids: Vec<Id> = ids.into_iter().collect();
    let rows: Vec<Row> = t::table.filter(t::id.eq_any(ids)).select(Row::as_select()).load(conn)?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// A round as it is now and stays until the transaction ends: its nominations are decided one after the other.
pub fn hold(tx: &mut Tx<'_>, id: Id) -> Result<Row> {
    let one = t::table.filter(t::id.eq(id));
    held!(tx.conn, one.select(t::id))?;
    Ok(one.select(Row::as_select()).first(tx.conn)?)
}

/// How many of a round are approved.
pub fn approved(conn: &mut AnyConnection, id: Id) -> Result<i64> {
    Ok(counts(conn, &[id])?.get(&id).map_or(0, |counts| counts.approved))
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: CommendationRoundDraft) -> Row {
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        title: draft.title,
        year: draft.year,
        kind: draft.kind,
        quota: draft.quota,
        opens_on: draft.opens_on,
        closes_on: draft.closes_on,
        state: CommendationState::Draft,
        announced_on: None,
        announced_days: None,
        announced_until: None,
        document_number: None,
        awarded_on: None,
        version,
        created_at,
        updated_at: now,
    }
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[CommendationRoundDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id))).collect();
    rules::all_in_scope(tx.conn, scope, "organizations", wanted, &mut faults)?;
    Error::unless_empty(faults)
}

/// The kind says what is nominated, so it stays once something is.
fn kind_stays(tx: &mut Tx<'_>, before: &CommendationRound, draft: &CommendationRoundDraft) -> Result<()> {
    if before.kind == draft.kind {
        return Ok(());
    }
    let named: i64 = nominations::table.filter(nominations::round_id.eq(before.id)).count().get_result(tx.conn)?;
    if named == 0 {
        return Ok(());
    }
    let says = Says::new(format!("已有 {named} 份申报，类别不能更改"), format!("{named} nominations are written, so the kind stays"));
    Err(Error::invalid(vec![Fault::new("/kind", "fixed", says)]))
}

impl Resource for CommendationRounds {
    const NAME: &'static str = "commendation_rounds";
    const LABEL: (&'static str, &'static str) = ("评选表彰", "commendation round");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    const SHARED_BELOW: bool = true;

    type View = CommendationRound;
    type Draft = CommendationRoundDraft;
    type Filter = CommendationRoundFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Row> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let round = view.clone();
        Ok(CommendationRoundDraft {
            code: Some(round.code),
            organization_id: round.organization_id,
            title: round.title,
            year: round.year,
            kind: round.kind,
            quota: round.quota,
            opens_on: round.opens_on,
            closes_on: round.closes_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        hold(tx, before.id)?;
        kind_stays(tx, before, &draft)?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        save!(tx, t, before, &after)?;
        Self::find(tx.conn, scope, before.id)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        steps::all()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            CommendationState::Draft => vec![Action::Update, Action::Delete, Action::Publish],
            CommendationState::Open => vec![Action::Conclude],
            CommendationState::Reviewing => vec![Action::Issue],
            CommendationState::Announced => vec![Action::Award],
            CommendationState::Awarded => Vec::new(),
        }
    }
}
