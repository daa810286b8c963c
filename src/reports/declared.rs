//! What the counties have declared of a year, to be held against what the records say: out of the returns that were accepted.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::db::{AnyConnection, Part, Rows};
use crate::error::Result;
use crate::figures::{Definition, FigureKind};
use crate::schema::{monthly_return_cells as c, monthly_returns as t, organization_closure as closure, organizations};
use crate::types::{Id, Month, Precision, TextEnum};

/// Reasons that are told in all, and of one figure.
const REASONS: i64 = 500;
const REASONS_OF_FIGURE: usize = 10;

/// What was declared of a figure.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Declared {
    /// A stock: the sum of the last month with a return; a flow: the sum of the months. Null where no return tells.
    pub value: Option<i64>,
    pub precision: Option<Precision>,
    /// How many returns it is the sum of.
    pub returns: i64,
    /// Why counties have declared another number than their records said, as `登封市 2022-06：…`.
    pub reasons: Vec<String>,
}

/// By figure, of the counties below an organization: two queries. A return that is being amended tells nothing until it is accepted again.
pub fn of_year(conn: &mut AnyConnection, root: Id, definitions: &[&'static Definition], year: i32) -> Result<HashMap<String, Declared>> {
    let Some((first, last)) = Month::new(year, 1).zip(Month::new(year, 12)) else { return Ok(HashMap::new()) };
    type Group = (Text, Text, Text, Nullable<BigInt>, BigInt);
    let groups: Vec<(String, String, String, Option<i64>, i64)> = Rows::<Group>::of(vec![
        Part::Sql(
            "SELECT c.figure, r.month, c.declared_precision, CAST(SUM(c.declared) AS BIGINT), COUNT(c.declared) \
             FROM monthly_returns AS r INNER JOIN monthly_return_cells AS c ON c.return_id = r.id \
             WHERE r.state = 'accepted' AND r.organization_id IN (SELECT descendant_id FROM organization_closure WHERE ancestor_id = ",
        ),
        Part::Id(root),
        Part::Sql(") AND r.month BETWEEN "),
        Part::Text(first.to_string()),
        Part::Sql(" AND "),
        Part::Text(last.to_string()),
        Part::Sql(" GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"),
    ])
    .load(conn)?;
    let mut all: HashMap<String, Declared> = HashMap::new();
    if groups.is_empty() {
        return Ok(all);
    }
    // Of a stock the last month stands for the year, of a flow each adds to it.
    let mut last_months: HashMap<&str, &str> = HashMap::new();
    for (figure, month, ..) in groups.iter().filter(|(.., told)| *told > 0) {
        let known = last_months.entry(figure).or_insert(month);
        if *known < month.as_str() {
            *known = month;
        }
    }
    for (figure, month, precision, sum, told) in &groups {
        let Some(definition) = definitions.iter().find(|definition| definition.code == figure) else { continue };
        if definition.kind == FigureKind::Stock && last_months.get(figure.as_str()) != Some(&month.as_str()) {
            continue;
        }
        let declared = all.entry(figure.clone()).or_default();
        let (Some(sum), Some(precision)) = (sum, Precision::from_code(precision)) else { continue };
        declared.value = Some(declared.value.unwrap_or_default().saturating_add(*sum));
        declared.precision = Some(declared.precision.map_or(precision, |known| known.weakest(precision)));
        declared.returns += told;
    }
    type Reason = (String, Month, String, Option<String>, Option<String>);
    let reasons: Vec<Reason> = t::table
        .inner_join(c::table.on(c::return_id.eq(t::id)))
        .inner_join(closure::table.on(closure::descendant_id.eq(t::organization_id)))
        .inner_join(organizations::table.on(organizations::id.eq(t::organization_id)))
        .filter(closure::ancestor_id.eq(root))
        .filter(t::state.eq("accepted"))
        .filter(t::month.between(first, last))
        .filter(c::reason.is_not_null())
        .order((t::month.desc(), organizations::code, c::position))
        .limit(REASONS)
        .select((c::figure, t::month, organizations::name, organizations::short_name, c::reason))
        .load(conn)?;
    for (figure, month, name, short_name, reason) in reasons {
        let last_month = last_months.get(figure.as_str()).is_some_and(|last| *last == month.to_string());
        let stock = definitions.iter().any(|definition| definition.code == figure && definition.kind == FigureKind::Stock);
        if let Some(declared) = all.get_mut(&figure).filter(|declared| declared.reasons.len() < REASONS_OF_FIGURE && (last_month || !stock))
        {
            let name = short_name.unwrap_or(name);
            declared.reasons.push(format!("{name} {month}：{}", reason.unwrap_or_default()));
        }
    }
    Ok(all)
}
