//! Assessments (达标评定): what was found of one workstation, demonstration unit, team or association, by one version of a standard.
//!
//! `draft → submitted → accepted`, sent back with a reason to be a draft again, or `withdrawn` where it should not stand. While it is a draft,
//! evidence is attached to it and named at the items that it proves; from then on such an attachment can't be deleted. Who wrote any
//! version of it doesn't accept it. It lies where its subject lies, and follows it.
//!
//! `totals` reckons, `answers` keeps what was found, `standing` tells how subjects stand on a day, `steps` walks the way.

pub mod answers;
pub mod standing;
mod steps;
pub mod totals;

use std::collections::{HashMap, HashSet};

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use super::standards::{self, Standard, Subject};
use super::versions::VersionState;
use crate::attachments;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{assessments as t, demonstration_units, organization_closure as closure, volunteer_teams, workstations};
use crate::types::{Id, Instant, TextEnum, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

pub use answers::{AssessmentItem, AssessmentItemDraft};
pub use standing::{Assessed, follow, standing, valid};

text_enum! {
    /// Where an assessment stands.
    AssessmentState {
        Draft = "draft", "草稿", "draft";
        Submitted = "submitted", "已提交", "submitted";
        Accepted = "accepted", "已通过", "accepted";
        Withdrawn = "withdrawn", "已撤回", "withdrawn";
    }
}

/// An assessment's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    standard_id: Id,
    subject: Subject,
    workstation_id: Option<Id>,
    demonstration_unit_id: Option<Id>,
    volunteer_team_id: Option<Id>,
    subject_organization_id: Option<Id>,
    assessed_on: NaiveDate,
    note: Option<String>,
    state: AssessmentState,
    reason: Option<String>,
    total: Option<i64>,
    maximum_total: i64,
    level: Option<String>,
    expires_on: Option<NaiveDate>,
    prepared_by: Id,
    submitted_by: Option<Id>,
    accepted_by: Option<Id>,
    accepted_on: Option<NaiveDate>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// An assessment.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Assessment {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// That of the subject.
    pub organization_id: Id,
    /// The version of the standard by which it was made: it stays, whatever is published later.
    pub standard_id: Id,
    /// What is assessed: of the four ids below, the one of this kind is there.
    pub subject: Subject,
    pub workstation_id: Option<Id>,
    pub demonstration_unit_id: Option<Id>,
    pub volunteer_team_id: Option<Id>,
    pub subject_organization_id: Option<Id>,
    pub assessed_on: NaiveDate,
    /// What was found of each item of the standard, in its order.
    pub items: Vec<AssessmentItem>,
    pub note: Option<String>,
    pub state: AssessmentState,
    /// Why it was sent back, or withdrawn.
    pub reason: Option<String>,
    /// What the items come to, in hundredths of a point (8650 is 86.50), each item rounded down; null while one is not answered.
    #[schema(example = 8650)]
    pub total: Option<i64>,
    /// What all items come to, in hundredths of a point.
    #[schema(example = 10000)]
    pub maximum_total: i64,
    /// The highest level of the standard that the total reaches; null where it reaches none.
    #[schema(example = "达标")]
    pub level: Option<String>,
    /// The first day on which it holds no more; null: it holds for ever.
    pub expires_on: Option<NaiveDate>,
    /// The user who wrote the draft last; nobody who wrote a version of it accepts it.
    pub prepared_by: Id,
    pub submitted_by: Option<Id>,
    /// Another user, who accepted it.
    pub accepted_by: Option<Id>,
    pub accepted_on: Option<NaiveDate>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Assessment);

/// What may be written of an assessment, while it is a draft. Its standard and its subject stay as they are first written.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"standard_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "workstation_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08",
    "assessed_on": "2022-06-17", "items": [{"key": "office", "met": true}, {"key": "volunteers", "count": 8}]}))]
pub struct AssessmentDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// A published version, of the subject's association or one above it.
    pub standard_id: Id,
    /// One subject: this, or one of the next three. It is of the kind that the standard is for.
    pub workstation_id: Option<Id>,
    pub demonstration_unit_id: Option<Id>,
    pub volunteer_team_id: Option<Id>,
    pub subject_organization_id: Option<Id>,
    pub assessed_on: NaiveDate,
    /// What was found, by the keys of the standard's items; what is not told is not answered. A patch gives all of them again.
    #[schema(max_items = 100)]
    pub items: Option<Vec<AssessmentItemDraft>>,
    #[schema(min_length = 1, max_length = 1000)]
    pub note: Option<String>,
}

impl AssessmentDraft {
    fn subjects(&self) -> [(&'static str, Subject, Option<Id>); 4] {
        [
            ("workstation_id", Subject::Workstation, self.workstation_id),
            ("demonstration_unit_id", Subject::DemonstrationUnit, self.demonstration_unit_id),
            ("volunteer_team_id", Subject::VolunteerTeam, self.volunteer_team_id),
            ("subject_organization_id", Subject::Organization, self.subject_organization_id),
        ]
    }

    /// The field that names the subject, its kind and its id: of a draft that was judged whole, there is one.
    fn subject(&self) -> Result<(&'static str, Subject, Id)> {
        let told = self.subjects().into_iter().find_map(|(field, subject, id)| Some((field, subject, id?)));
        told.ok_or_else(|| Error::internal("an assessment of nothing was let through"))
    }
}

fn whole(draft: &AssessmentDraft) -> Result<(), ValidationError> {
    let mut told = draft.subjects().into_iter().filter(|(.., id)| id.is_some());
    match (told.next(), told.next()) {
        (None, _) => Err(refusal(
            Some("workstation_id"),
            "required",
            &Says::new(
                "请填写评定对象：工作站、示范单位、志愿者队伍或协会组织之一",
                "say what is assessed: a workstation, a demonstration unit, a volunteer team or an organization",
            ),
        )),
        (Some(_), Some((field, ..))) => {
            Err(refusal(Some(field), "two_subjects", &Says::new("评定对象只能填写一个", "an assessment is of one subject alone")))
        }
        _ => Ok(()),
    }
}

/// Which assessments.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct AssessmentFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub standard_id: Option<Id>,
    /// By any version of the standards with this key.
    pub standard_key: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub subject: Option<Vec<Subject>>,
    pub workstation_id: Option<Id>,
    pub demonstration_unit_id: Option<Id>,
    pub volunteer_team_id: Option<Id>,
    pub subject_organization_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<AssessmentState>>,
    /// Accepted, and holding on this day.
    pub valid_on: Option<NaiveDate>,
    /// Assessed on this day or later.
    pub assessed_from: Option<NaiveDate>,
    /// Assessed on this day or earlier.
    pub assessed_to: Option<NaiveDate>,
}

pub struct Assessments;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &AssessmentFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.standard_id {
        query = query.filter(t::standard_id.eq(id));
    }
    if let Some(key) = &filter.standard_key {
        let versions = Subset(vec![Part::Sql("SELECT id FROM standards WHERE key = "), Part::Text(key.clone())]);
        query = query.filter(versions.holds(t::standard_id));
    }
    if let Some(subjects) = &filter.subject {
        query = query.filter(t::subject.eq_any(subjects.clone()));
    }
    if let Some(id) = filter.workstation_id {
        query = query.filter(t::workstation_id.eq(id));
    }
    if let Some(id) = filter.demonstration_unit_id {
        query = query.filter(t::demonstration_unit_id.eq(id));
    }
    if let Some(id) = filter.volunteer_team_id {
        query = query.filter(t::volunteer_team_id.eq(id));
    }
    if let Some(id) = filter.subject_organization_id {
        query = query.filter(t::subject_organization_id.eq(id));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(day) = filter.valid_on {
        let holds = t::assessed_on.le(day).and(t::expires_on.is_null().or(t::expires_on.gt(day)));
        query = query.filter(t::state.eq(AssessmentState::Accepted)).filter(holds);
    }
    if let Some(day) = filter.assessed_from {
        query = query.filter(t::assessed_on.ge(day));
    }
    if let Some(day) = filter.assessed_to {
        query = query.filter(t::assessed_on.le(day));
    }
    query
}

fn view(row: Row, items: Vec<AssessmentItem>) -> Assessment {
    Assessment {
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        standard_id: row.standard_id,
        subject: row.subject,
        workstation_id: row.workstation_id,
        demonstration_unit_id: row.demonstration_unit_id,
        volunteer_team_id: row.volunteer_team_id,
        subject_organization_id: row.subject_organization_id,
        assessed_on: row.assessed_on,
        items,
        note: row.note,
        state: row.state,
        reason: row.reason,
        total: row.total,
        maximum_total: row.maximum_total,
        level: row.level,
        expires_on: row.expires_on,
        prepared_by: row.prepared_by,
        submitted_by: row.submitted_by,
        accepted_by: row.accepted_by,
        accepted_on: row.accepted_on,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Rows with their answers, for all of them at once.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<Assessment>> {
    let mut items = answers::of(conn, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
    Ok(rows.into_iter().map(|row| (items.remove(&row.id).unwrap_or_default(), row)).map(|(items, row)| view(row, items)).collect())
}

/// The version of a standard that an assessment is bound to.
fn standard_of(conn: &mut AnyConnection, id: Id) -> Result<Standard> {
    standards::known(conn, vec![id])?.pop().ok_or_else(|| Error::internal("an assessment without its standard"))
}

/// The row's part of a draft, with what its answers come to.
fn row(id: Id, organization_id: Id, tx: &Tx<'_>, by: Id, draft: &AssessmentDraft, standard: &Standard, items: &[AssessmentItem]) -> Row {
    let total = totals::total(standard.items.iter().zip(items.iter().map(AssessmentItem::finding)));
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id,
        standard_id: standard.id,
        subject: standard.subject,
        workstation_id: draft.workstation_id,
        demonstration_unit_id: draft.demonstration_unit_id,
        volunteer_team_id: draft.volunteer_team_id,
        subject_organization_id: draft.subject_organization_id,
        assessed_on: draft.assessed_on,
        note: draft.note.clone(),
        state: AssessmentState::Draft,
        reason: None,
        total,
        maximum_total: totals::maximum(&standard.items),
        level: total.and_then(|total| totals::level(&standard.levels, total)).map(str::to_owned),
        expires_on: totals::expires_on(draft.assessed_on, standard.valid_months),
        prepared_by: by,
        submitted_by: None,
        accepted_by: None,
        accepted_on: None,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
    }
}

/// The organizations of the subjects: a query for each kind that there is.
fn organizations_of(conn: &mut AnyConnection, drafts: &[AssessmentDraft]) -> Result<HashMap<Id, Id>> {
    let mut found: HashMap<Id, Id> = drafts.iter().filter_map(|draft| draft.subject_organization_id).map(|id| (id, id)).collect();
    macro_rules! of {
        ($table:ident, $field:ident) => {
            let ids: Vec<Id> = drafts.iter().filter_map(|draft| draft.$field).collect();
            if !ids.is_empty() {
                let known = $table::table.filter($table::id.eq_any(ids));
                found.extend(known.select(($table::id, $table::organization_id)).load::<(Id, Id)>(conn)?);
            }
        };
    }
    of!(workstations, workstation_id);
    of!(demonstration_units, demonstration_unit_id);
    of!(volunteer_teams, volunteer_team_id);
    Ok(found)
}

/// Of new assessments: what each is bound to, seen to be in scope, published and for such a subject; and the organization of the subject.
fn bound(tx: &mut Tx<'_>, scope: &Scope, drafts: &[AssessmentDraft]) -> Result<Vec<(Standard, Id)>> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&AssessmentDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/{field}"), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("standards", "standard_id", |draft| Some(draft.standard_id))?;
    check("workstations", "workstation_id", |draft| draft.workstation_id)?;
    check("demonstration_units", "demonstration_unit_id", |draft| draft.demonstration_unit_id)?;
    check("volunteer_teams", "volunteer_team_id", |draft| draft.volunteer_team_id)?;
    check("organizations", "subject_organization_id", |draft| draft.subject_organization_id)?;
    faults.extend(
        drafts.iter().enumerate().filter_map(|(i, draft)| rules::not_ahead(Some(draft.assessed_on), tx.now, format!("/{i}/assessed_on"))),
    );
    Error::unless_empty(std::mem::take(&mut faults))?;

    let wanted: Vec<Id> = drafts.iter().map(|draft| draft.standard_id).collect();
    standards::hold(tx, wanted.clone())?;
    let known: HashMap<Id, Standard> = standards::known(tx.conn, wanted)?.into_iter().map(|standard| (standard.id, standard)).collect();
    let organizations = organizations_of(tx.conn, drafts)?;
    let owners: HashSet<Id> = known.values().map(|standard| standard.organization_id).collect();
    let holders: HashSet<Id> = organizations.values().copied().collect();
    let below: HashSet<(Id, Id)> = closure::table
        .filter(closure::ancestor_id.eq_any(owners))
        .filter(closure::descendant_id.eq_any(holders))
        .select((closure::ancestor_id, closure::descendant_id))
        .load::<(Id, Id)>(tx.conn)?
        .into_iter()
        .collect();
    let mut all = Vec::with_capacity(drafts.len());
    for (i, draft) in drafts.iter().enumerate() {
        let (field, subject, id) = draft.subject()?;
        let gone = || Error::internal("what is in scope is not there");
        let standard = known.get(&draft.standard_id).ok_or_else(gone)?;
        let organization_id = *organizations.get(&id).ok_or_else(gone)?;
        if standard.state != VersionState::Published {
            let (zh, en) = standard.state.label();
            let says = Says::new(
                format!("标准“{}”第 {} 版{zh}，请使用已发布的版本", standard.title, standard.number),
                format!("version {} of the standard '{}' is {en}; assess by the published one", standard.number, standard.key),
            );
            faults.push(Fault::new(format!("/{i}/standard_id"), "not_published", says));
        }
        if standard.subject != subject {
            let (zh, en) = standard.subject.label();
            let says = Says::new(format!("此标准用于评定{zh}"), format!("by this standard another thing is assessed: {en}"));
            faults.push(Fault::new(format!("/{i}/{field}"), "wrong_subject", says));
        }
        if !below.contains(&(standard.organization_id, organization_id)) {
            let says = Says::new("此标准属于另一协会，不适用于该对象", "the standard is another association's, and not for this subject");
            faults.push(Fault::new(format!("/{i}/standard_id"), "standard_of_another_organization", says));
        }
        // Nothing can be attached to what is not there yet.
        let told = draft.items.as_deref().unwrap_or_default();
        faults.extend(answers::faults_of(&standard.items, told, &[], &|below: &str| format!("/{i}/items/{below}")));
        all.push((standard.clone(), organization_id));
    }
    Error::unless_empty(faults)?;
    Ok(all)
}

impl Resource for Assessments {
    const NAME: &'static str = "assessments";
    const LABEL: (&'static str, &'static str) = ("达标评定", "assessment");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[
        Reference { field: "standard_id", column: "standard_code", of: "standards" },
        Reference { field: "workstation_id", column: "workstation_code", of: "workstations" },
        Reference { field: "demonstration_unit_id", column: "demonstration_unit_code", of: "demonstration_units" },
        Reference { field: "volunteer_team_id", column: "volunteer_team_code", of: "volunteer_teams" },
        Reference { field: "subject_organization_id", column: "subject_organization_code", of: "organizations" },
    ];
    // A list within a record stands in no row of a file.
    const IMPORTABLE: bool = false;

    type View = Assessment;
    type Draft = AssessmentDraft;
    type Filter = AssessmentFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let actor = tx.actor()?;
        let bound = bound(tx, scope, &drafts)?;
        let mut all: Vec<(Row, Vec<AssessmentItem>)> = Vec::with_capacity(drafts.len());
        for (mut draft, (standard, organization_id)) in drafts.into_iter().zip(bound) {
            let items = answers::in_order(&standard.items, draft.items.take());
            all.push((row(Id::new(), organization_id, tx, actor, &draft, &standard, &items), items));
        }
        let rows: Vec<Row> = all.iter().map(|(row, _)| row.clone()).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        answers::add(tx.conn, all.iter().map(|(row, items)| (row.id, items.as_slice())))?;
        Ok(all.into_iter().map(|(row, items)| view(row, items)).collect())
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let record = view.clone();
        Ok(AssessmentDraft {
            code: Some(record.code),
            standard_id: record.standard_id,
            workstation_id: record.workstation_id,
            demonstration_unit_id: record.demonstration_unit_id,
            volunteer_team_id: record.volunteer_team_id,
            subject_organization_id: record.subject_organization_id,
            assessed_on: record.assessed_on,
            items: Some(record.items.into_iter().map(AssessmentItemDraft::from).collect()),
            note: record.note,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, mut draft: Self::Draft) -> Result<Self::View> {
        let actor = tx.actor()?;
        let (field, _, id) = draft.subject()?;
        let subjects = [before.workstation_id, before.demonstration_unit_id, before.volunteer_team_id, before.subject_organization_id];
        let mut faults = Vec::new();
        if draft.standard_id != before.standard_id {
            let says = Says::new("评定所依据的标准不能更换；请另建评定", "an assessment keeps its standard; make another one");
            faults.push(Fault::new("/standard_id", "fixed", says));
        }
        if !subjects.contains(&Some(id)) {
            let says = Says::new("评定对象不能更换；请另建评定", "an assessment keeps its subject; make another one");
            faults.push(Fault::new(format!("/{field}"), "fixed", says));
        }
        faults.extend(rules::not_ahead(Some(draft.assessed_on), tx.now, "/assessed_on"));
        let standard = standard_of(tx.conn, before.standard_id)?;
        let told = draft.items.as_deref().unwrap_or_default();
        let named: Vec<Id> = told.iter().flat_map(|item| item.evidence.iter().flatten().copied()).collect();
        let attached = attachments::of_record(tx.conn, Self::NAME, before.id, &named)?;
        faults.extend(answers::faults_of(&standard.items, told, &attached, &|below: &str| format!("/items/{below}")));
        Error::unless_empty(faults)?;

        let items = answers::in_order(&standard.items, draft.items.take());
        let after = Row {
            version: before.version + 1,
            created_at: before.created_at,
            // Why it was sent back stays to be read until it is submitted again.
            reason: before.reason.clone(),
            ..row(before.id, before.organization_id, tx, actor, &draft, &standard, &items)
        };
        save!(tx, t, before, &after)?;
        answers::replace(tx.conn, before.id, &items)?;
        Self::find(tx.conn, scope, before.id)
    }

    // Its answers go with it (`ON DELETE CASCADE`), and its attachments are swept.
    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        steps::all()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            AssessmentState::Draft => vec![Action::Update, Action::Delete, Action::Submit],
            AssessmentState::Submitted => vec![Action::Accept, Action::Return, Action::Withdraw],
            AssessmentState::Accepted => vec![Action::Withdraw],
            AssessmentState::Withdrawn => Vec::new(),
        }
    }

    /// Who accepts an assessment has not written it.
    fn objections(conn: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let wrote = rules::wrote::<Self>(conn, actor, asked, &[Action::Accept])?;
        let objection = |view: &Assessment, action| {
            let own = view.prepared_by == actor.id || view.submitted_by == Some(actor.id) || wrote.contains(&view.id);
            (action == Action::Accept && own).then(|| {
                Error::because(
                    Code::Forbidden,
                    format!("评定 {} 由您编制或提交，须由另一人审核", view.code),
                    format!("you wrote or submitted the assessment {}, so somebody else has to accept it", view.code),
                )
            })
        };
        Ok(asked.iter().map(|(view, action)| objection(view, *action)).collect())
    }
}
