//! Targets (年度目标): the value that a figure should reach, for one association and one year. How far it has come is computed when asked
//! for ([`progress`]).

pub mod progress;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use crate::db::{Any, AnyConnection, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::targets as t;
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::verbs::stale;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, viewed};

text_enum! {
    /// A phase of the four-ones programme.
    TargetPhase {
        Pilot = "pilot", "试点", "pilot";
        RollOut = "roll_out", "全面铺开", "roll-out";
        Consolidation = "consolidation", "总结提升", "consolidation";
    }
}

/// What is to be reached in a year.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Target {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that should reach it.
    pub organization_id: Id,
    /// Code of the figure.
    pub indicator: String,
    pub year: i32,
    pub value: i64,
    /// What the value counts.
    #[schema(example = "个")]
    pub unit: String,
    /// The phase of the programme that it belongs to.
    pub phase: Option<TargetPhase>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Target);

/// What may be written of a target.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct TargetDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that should reach it.
    pub organization_id: Id,
    /// Code of the figure. One target for each association, figure and year.
    #[schema(min_length = 1, max_length = 64)]
    pub indicator: String,
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: i32,
    #[schema(minimum = 0, maximum = 1000000000000_i64)]
    pub value: i64,
    /// What the value counts.
    #[schema(min_length = 1, max_length = 20, example = "个")]
    pub unit: String,
    /// The phase of the programme that it belongs to.
    pub phase: Option<TargetPhase>,
}

/// Which targets.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TargetFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub year: Option<i32>,
    pub indicator: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub phase: Option<Vec<TargetPhase>>,
}

pub struct Targets;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &TargetFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(indicator) = &filter.indicator {
        query = query.filter(t::indicator.eq(indicator.clone()));
    }
    if let Some(phases) = &filter.phase {
        query = query.filter(t::phase.eq_any(phases.clone()));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: TargetDraft) -> Target {
    Target {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        indicator: draft.indicator,
        year: draft.year,
        value: draft.value,
        unit: draft.unit,
        phase: draft.phase,
        version,
        created_at,
        updated_at: now,
    }
}

/// Says what stands in the way when a second target for the same figure and year is refused.
fn one_each(error: diesel::result::Error) -> Error {
    let mut error = Error::from(error);
    if error.code == Code::AlreadyExists && error.faults.is_empty() {
        error.detail = Some(Says::new(
            "该单位该年度的这项指标已有目标，请修改原有目标",
            "the association has a target for this figure and year already; change that one",
        ));
    }
    error
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[TargetDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&TargetDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;

    Error::unless_empty(faults)
}

impl Resource for Targets {
    const NAME: &'static str = "targets";
    const LABEL: (&'static str, &'static str) = ("年度目标", "target");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Target;
    type Draft = TargetDraft;
    type Filter = TargetFilter;

    reads!(t, Target);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Target> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows).map_err(one_each)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let target = view.clone();
        Ok(TargetDraft {
            code: Some(target.code),
            organization_id: target.organization_id,
            indicator: target.indicator,
            year: target.year,
            value: target.value,
            unit: target.unit,
            phase: target.phase,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        let saved = diesel::update(t::table.filter(t::id.eq(before.id)).filter(t::version.eq(before.version)))
            .set(&after)
            .execute(tx.conn)
            .map_err(one_each)?;
        if saved == 0 {
            return Err(stale(before.version + 1));
        }
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        let counted = measured!(conn, query(scope, filter), t, measure);
        Ok(match measure {
            // What an association has set for itself and those below it, the newest year's; or what those below agree upon. Where none has
            // a target, or each another, nothing is known.
            Measure::Value => {
                let own = query(scope, filter).filter(t::organization_id.nullable().eq(filter.organization_id));
                let own: Option<i64> = own.order((t::year.desc(), t::id.desc())).select(t::value).first(conn).optional()?;
                let value = match own {
                    Some(value) => Some(value),
                    None => {
                        let values: Vec<i64> = query(scope, filter).select(t::value).distinct().limit(2).load(conn)?;
                        if let [value] = values[..] { Some(value) } else { None }
                    }
                };
                Measured { value, ..counted }
            }
            _ => counted,
        })
    }
}
