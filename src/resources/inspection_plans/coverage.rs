//! Which of those that a plan inspects have been visited.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use serde::Serialize;
use utoipa::ToSchema;

use crate::db::{AnyConnection, Part, Rows};
use crate::error::Result;
use crate::figures::OrganizationBrief;
use crate::types::{Id, sql};

/// The most organizations that are named as not visited yet.
const MISSING_NAMED: usize = 50;

/// How far a plan has come.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct PlanCoverage {
    /// How many organizations are to be inspected.
    pub planned: i64,
    /// How many of these have been, themselves or an organization below them.
    pub visited: i64,
    /// Those that have not, in the order of their codes: the first fifty.
    pub missing: Vec<OrganizationBrief>,
    /// Another one where others have been visited: part of the ETag.
    #[serde(skip)]
    pub mark: u32,
}

/// The subjects of some plans, with how far each has come by a day: one query.
pub fn of(conn: &mut AnyConnection, plans: &[Id], today: NaiveDate) -> Result<HashMap<Id, (Vec<Id>, PlanCoverage)>> {
    type Found = (Id, Id, String, String, Option<String>, i64);
    let parts = vec![
        Part::Sql(
            "SELECT s.plan_id, o.id, o.code, o.name, o.short_name, (SELECT COUNT(*) FROM organization_closure AS c \
             INNER JOIN inspections AS i ON i.organization_id = c.descendant_id WHERE c.ancestor_id = s.organization_id \
             AND i.plan_id = s.plan_id AND (i.inspected_on IS NULL OR i.inspected_on <= ",
        ),
        Part::Date(today),
        Part::Sql(
            ")) FROM inspection_plan_subjects AS s INNER JOIN organizations AS o ON o.id = s.organization_id \
             WHERE s.plan_id IN ",
        ),
        Part::Ids(plans.to_vec()),
        Part::Sql(" ORDER BY s.plan_id, s.organization_id"),
    ];
    let found: Vec<Found> = Rows::<(sql::Uuid, sql::Uuid, Text, Text, Nullable<Text>, BigInt)>::of(parts).load(conn)?;
    let mut all: HashMap<Id, (Vec<Id>, PlanCoverage)> = HashMap::new();
    for (plan_id, id, code, name, short_name, visits) in found {
        let (subjects, coverage) = all.entry(plan_id).or_default();
        coverage.planned += 1;
        coverage.mark = coverage.mark.wrapping_mul(31).wrapping_add(u32::from(visits > 0));
        subjects.push(id);
        if visits > 0 {
            coverage.visited += 1;
        } else {
            coverage.missing.push(OrganizationBrief { id, code, name, short_name });
        }
    }
    for (_, coverage) in all.values_mut() {
        coverage.missing.sort_unstable_by(|one, other| one.code.cmp(&other.code));
        coverage.missing.truncate(MISSING_NAMED);
    }
    Ok(all)
}
