//! Demonstration units (标准化示范单位): at which host they are built, and how far they have come.
//!
//! How far each has come is kept as dated facts ([`super::stages`]), so that a list or a figure can be taken as at a day.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::assessments::{self, Assessed};
use super::rules;
use super::stages::{self, AdvanceBody, DatedStage, RetractBody, Stage, dated_stages, latest, with, without};
use super::standards::Subject;
use crate::db::{Any, AnyConnection, Subset, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::demonstration_units as t;
use crate::types::{DatePrecision, Id, Instant, business_today, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

dated_stages!(demonstration_unit_stages, demonstration_unit_id);

text_enum! {
    /// What a demonstration unit is built at.
    UnitHostKind {
        School = "school", "学校", "school";
        Hospital = "hospital", "医院", "hospital";
        Community = "community", "社区", "community";
        Workstation = "workstation", "工作站", "workstation";
        Enterprise = "enterprise", "企业", "enterprise";
        Other = "other", "其他", "other";
    }
}

/// The table's row; a view adds the dated stages.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    name: Option<String>,
    host_kind: Option<UnitHostKind>,
    workstation_id: Option<Id>,
    stage: Stage,
    stage_on: NaiveDate,
    note: Option<String>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A demonstration unit.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DemonstrationUnit {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that builds it.
    pub organization_id: Id,
    pub name: Option<String>,
    /// Null where unknown.
    pub host_kind: Option<UnitHostKind>,
    /// The workstation that it is built at.
    pub workstation_id: Option<Id>,
    /// The latest of `stages`.
    pub stage: Stage,
    /// Since when it has this stage.
    pub stage_on: NaiveDate,
    /// How exactly that day is known.
    pub stage_on_precision: Option<DatePrecision>,
    /// Every stage that is known, in the order of their days.
    pub stages: Vec<DatedStage>,
    pub note: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(DemonstrationUnit {
    fn searched(&self) -> Option<String> {
        self.name.clone()
    }
});

/// What may be written of a demonstration unit.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct DemonstrationUnitDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    /// Null where unknown.
    pub host_kind: Option<UnitHostKind>,
    pub workstation_id: Option<Id>,
    /// A patch that changes the stage gives `stage_on` as well: on the same day the recorded stage is corrected.
    pub stage: Stage,
    /// Since when it has this stage. Another day adds a dated stage; what is shown as present is the latest.
    pub stage_on: NaiveDate,
    /// `exact` when absent.
    pub stage_on_precision: Option<DatePrecision>,
    #[schema(min_length = 1, max_length = 1000)]
    pub note: Option<String>,
}

/// Which demonstration units.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct DemonstrationUnitFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub host_kind: Option<Vec<UnitHostKind>>,
    pub workstation_id: Option<Id>,
    /// One or several, separated by commas: the present stage, or that on the day of `as_at`.
    #[param(inline)]
    pub stage: Option<Vec<Stage>>,
    /// Stages are taken as at this day; without `stage`, those that had any by then.
    pub as_at: Option<NaiveDate>,
    /// Whether it is assessed by a standard, as of today in China.
    #[param(inline)]
    pub assessed: Option<Assessed>,
}

pub struct DemonstrationUnits;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &DemonstrationUnitFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(DemonstrationUnits::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(kinds) = &filter.host_kind {
        query = query.filter(t::host_kind.eq_any(kinds.clone()));
    }
    if let Some(id) = filter.workstation_id {
        query = query.filter(t::workstation_id.eq(id));
    }
    match (&filter.stage, filter.as_at) {
        (stages, Some(day)) => query = query.filter(dated::as_at(stages.as_deref(), day).holds(t::id)),
        (Some(stages), None) => query = query.filter(t::stage.eq_any(stages.clone())),
        (None, None) => {}
    }
    if let Some(assessed) = filter.assessed {
        query = query.filter(assessments::standing(Subject::DemonstrationUnit, assessed, business_today(Instant::now())).holds(t::id));
    }
    query
}

/// Those that were completed on a day.
pub fn completed_on(day: NaiveDate) -> Subset {
    dated::as_at(Some(&[Stage::Completed]), day)
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, stage: DatedStage, draft: DemonstrationUnitDraft) -> Row {
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        host_kind: draft.host_kind,
        workstation_id: draft.workstation_id,
        stage: stage.stage,
        stage_on: stage.effective_on,
        note: draft.note,
        version,
        created_at,
        updated_at: now,
    }
}

fn view(row: Row, stages: Vec<DatedStage>) -> DemonstrationUnit {
    DemonstrationUnit {
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        name: row.name,
        host_kind: row.host_kind,
        workstation_id: row.workstation_id,
        stage: row.stage,
        stage_on: row.stage_on,
        stage_on_precision: stages.last().map(|dated| dated.effective_on_precision),
        stages,
        note: row.note,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Rows with their stages: one query for all of them.
fn views(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<DemonstrationUnit>> {
    let mut stages = dated::of(conn, rows.iter().map(|row| row.id).collect())?;
    Ok(rows.into_iter().map(|row| (stages.remove(&row.id).unwrap_or_default(), row)).map(|(stages, row)| view(row, stages)).collect())
}

fn first_stage(draft: &DemonstrationUnitDraft) -> DatedStage {
    DatedStage::new(draft.stage, draft.stage_on, draft.stage_on_precision)
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[DemonstrationUnitDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&DemonstrationUnitDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("workstations", "workstation_id", |draft| draft.workstation_id)?;
    let dated = drafts.iter().enumerate();
    faults.extend(dated.filter_map(|(i, draft)| stages::ahead(first_stage(draft), tx.now, at(i, "stage_on"))));
    Error::unless_empty(faults)
}

/// Writes the row over itself at its version.
fn save(tx: &mut Tx<'_>, before: &DemonstrationUnit, after: &Row) -> Result<()> {
    save!(tx, t, before, after)
}

/// `advance`: one more dated stage. Whoever adds a past one leaves the present stage as it is.
fn advance(tx: &mut Tx<'_>, _: &Scope, before: DemonstrationUnit, body: &Value) -> Result<DemonstrationUnit> {
    let new: DatedStage = serde_json::from_value::<AdvanceBody>(body.clone()).map_err(Error::internal)?.into();
    Error::unless_empty(stages::ahead(new, tx.now, "/effective_on").into_iter().collect())?;
    let draft = DemonstrationUnits::draft(tx, &before)?;
    let after = row(before.id, before.version + 1, before.created_at, tx.now, latest(&before.stages, new), draft);
    save(tx, &before, &after)?;
    dated::put(tx.conn, before.id, new)?;
    Ok(view(after, with(&before.stages, new)))
}

/// `retract`: one dated stage less.
fn retract(tx: &mut Tx<'_>, _: &Scope, before: DemonstrationUnit, body: &Value) -> Result<DemonstrationUnit> {
    let day = serde_json::from_value::<RetractBody>(body.clone()).map_err(Error::internal)?.effective_on;
    let (rest, present) = without(&before.stages, day)?;
    let draft = DemonstrationUnits::draft(tx, &before)?;
    let after = row(before.id, before.version + 1, before.created_at, tx.now, present, draft);
    save(tx, &before, &after)?;
    dated::take(tx.conn, before.id, day)?;
    Ok(view(after, rest))
}

impl Resource for DemonstrationUnits {
    const NAME: &'static str = "demonstration_units";
    const LABEL: (&'static str, &'static str) = ("标准化示范单位", "demonstration unit");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "workstation_id", column: "workstation_code", of: "workstations" }];

    type View = DemonstrationUnit;
    type Draft = DemonstrationUnitDraft;
    type Filter = DemonstrationUnitFilter;

    reads!(t, Row => views);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let new: Vec<(Row, DatedStage)> = drafts
            .into_iter()
            .map(|draft| {
                let stage = first_stage(&draft);
                (row(Id::new(), 1, now, now, stage, draft), stage)
            })
            .collect();
        let rows: Vec<Row> = new.iter().map(|(row, _)| row.clone()).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        dated::begin(tx.conn, new.iter().map(|(row, stage)| (row.id, *stage)))?;
        Ok(new.into_iter().map(|(row, stage)| view(row, vec![stage])).collect())
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let unit = view.clone();
        Ok(DemonstrationUnitDraft {
            code: Some(unit.code),
            organization_id: unit.organization_id,
            name: unit.name,
            host_kind: unit.host_kind,
            workstation_id: unit.workstation_id,
            stage: unit.stage,
            stage_on: unit.stage_on,
            stage_on_precision: unit.stage_on_precision,
            note: unit.note,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let new = first_stage(&draft);
        let after = row(before.id, before.version + 1, before.created_at, tx.now, latest(&before.stages, new), draft);
        save(tx, before, &after)?;
        if !before.stages.contains(&new) {
            dated::put(tx.conn, before.id, new)?;
        }
        if before.organization_id != after.organization_id {
            assessments::follow(tx, Subject::DemonstrationUnit, after.id, after.organization_id)?;
        }
        Ok(view(after, with(&before.stages, new)))
    }

    // Its dated stages go with it (`ON DELETE CASCADE`).
    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Advance,
                summary: "登记阶段（可补登以往阶段） / Record a dated stage, a past one as well",
                body: Some(Shape::of::<AdvanceBody>),
                needs_key: false,
                run: advance,
            },
            Step {
                action: Action::Retract,
                summary: "撤销登记有误的阶段 / Take back a dated stage that proved wrong",
                body: Some(Shape::of::<RetractBody>),
                needs_key: false,
                run: retract,
            },
        ]
    }

    /// Of a single stage nothing can be taken back.
    fn offers(view: &Self::View) -> Vec<Action> {
        let mut offered = vec![Action::Update, Action::Delete, Action::Advance];
        offered.extend((view.stages.len() > 1).then_some(Action::Retract));
        offered
    }
}
