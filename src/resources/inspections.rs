//! Inspections (检查督导): which association looked into the work of which, and what it found.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::{inspection_findings, inspection_plans, rules};
use crate::db::{Any, AnyConnection, Tx, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::inspections as t;
use crate::types::{Id, Instant, code_or_new};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

/// An inspection.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Inspection {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that was inspected.
    pub organization_id: Id,
    /// The association that inspected.
    pub inspector_id: Id,
    /// The year that it counts in.
    pub year: i32,
    pub inspected_on: Option<NaiveDate>,
    /// What was looked into.
    pub topics: String,
    /// In a few words; what has to be seen to stands in `/inspection-findings`.
    pub findings: Option<String>,
    /// The plan that the visit belongs to.
    pub plan_id: Option<Id>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Inspection);

/// What may be written of an inspection.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "inspector_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "topics": "四个一建设", "inspected_on": "2022-06-17"}))]
pub struct InspectionDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that was inspected.
    pub organization_id: Id,
    /// The association that inspected.
    pub inspector_id: Id,
    /// That of `inspected_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub inspected_on: Option<NaiveDate>,
    /// What was looked into.
    #[schema(min_length = 1, max_length = 1000)]
    pub topics: String,
    /// In a few words; what has to be seen to stands in `/inspection-findings`.
    #[schema(min_length = 1, max_length = 4000)]
    pub findings: Option<String>,
    /// A plan that is under way; it inspects this organization, or one above it.
    pub plan_id: Option<Id>,
}

fn whole(draft: &InspectionDraft) -> Result<(), ValidationError> {
    rules::year_known(draft.year, draft.inspected_on, "inspected_on")
}

/// Which inspections.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct InspectionFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub year: Option<i32>,
    pub inspector_id: Option<Id>,
    pub plan_id: Option<Id>,
    /// Inspected on this day or later.
    pub from: Option<NaiveDate>,
    /// Inspected on this day or earlier.
    pub to: Option<NaiveDate>,
}

pub struct Inspections;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &InspectionFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(inspector_id) = filter.inspector_id {
        query = query.filter(t::inspector_id.eq(inspector_id));
    }
    if let Some(plan_id) = filter.plan_id {
        query = query.filter(t::plan_id.eq(plan_id));
    }
    if let Some(from) = filter.from {
        query = query.filter(t::inspected_on.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(t::inspected_on.le(to));
    }

    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: InspectionDraft) -> Result<Inspection> {
    Ok(Inspection {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        inspector_id: draft.inspector_id,
        year: rules::year_of(draft.year, draft.inspected_on)?,
        inspected_on: draft.inspected_on,
        topics: draft.topics,
        findings: draft.findings,
        plan_id: draft.plan_id,
        version,
        created_at,
        updated_at: now,
    })
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field. What a visit counts for already it goes on counting
/// for, whatever has become of the plan.
fn check_references(
    tx: &mut Tx<'_>,
    scope: &Scope,
    drafts: &[InspectionDraft],
    before: Option<&Inspection>,
    at: impl Fn(usize, &str) -> String,
) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&InspectionDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("organizations", "inspector_id", |draft| Some(draft.inspector_id))?;
    check("inspection_plans", "plan_id", |draft| draft.plan_id)?;
    Error::unless_empty(std::mem::take(&mut faults))?;
    let counts = |draft: &InspectionDraft| {
        before.is_some_and(|before| (before.plan_id, before.organization_id) == (draft.plan_id, draft.organization_id))
    };
    let new = drafts.iter().enumerate().filter(|(_, draft)| !counts(draft));
    let visits: Vec<_> = new.filter_map(|(i, draft)| Some((at(i, "plan_id"), draft.plan_id?, draft.organization_id))).collect();
    inspection_plans::check_visits(tx, &visits, &mut faults)?;
    Error::unless_empty(faults)
}

impl Resource for Inspections {
    const NAME: &'static str = "inspections";
    const LABEL: (&'static str, &'static str) = ("检查督导", "inspection");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "inspector_id", column: "inspector_code", of: "organizations" },
        Reference { field: "plan_id", column: "plan_code", of: "inspection_plans" },
    ];

    type View = Inspection;
    type Draft = InspectionDraft;
    type Filter = InspectionFilter;

    reads!(t, Inspection);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, None, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Inspection> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let inspection = view.clone();
        Ok(InspectionDraft {
            code: Some(inspection.code),
            organization_id: inspection.organization_id,
            inspector_id: inspection.inspector_id,
            year: Some(inspection.year),
            inspected_on: inspection.inspected_on,
            topics: inspection.topics,
            findings: inspection.findings,
            plan_id: inspection.plan_id,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), Some(before), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        if before.organization_id != after.organization_id {
            inspection_findings::follow(tx, after.id, after.organization_id)?;
        }
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
