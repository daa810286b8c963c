//! The figures of a return: what the records say beside what the county declares.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::ReturnCellDraft;
use crate::db::{AnyConnection, Part, Rows, insert_all};
use crate::error::{Fault, Result, Says};
use crate::figures::{self, FigureOfOne, Span};
use crate::schema::monthly_return_cells as t;
use crate::types::{Id, Month, Precision, sql};

/// A figure as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct CellRow {
    pub return_id: Id,
    pub position: i32,
    pub figure: String,
    pub computed: Option<i64>,
    pub computed_precision: Precision,
    pub records: i64,
    pub declared: Option<i64>,
    pub declared_precision: Precision,
    pub reason: Option<String>,
    pub objection: Option<String>,
}

impl CellRow {
    /// A figure that is declared as the records say it.
    pub fn prefilled(return_id: Id, position: i32, of: &FigureOfOne) -> Self {
        Self {
            return_id,
            position,
            figure: of.definition.code.to_owned(),
            computed: of.value.value,
            computed_precision: of.value.precision,
            records: of.records,
            declared: of.value.value,
            declared_precision: of.value.precision,
            reason: None,
            objection: None,
        }
    }

    /// Whether another number is declared than the records say. A number that is known as roughly is the same.
    pub fn differs(&self) -> bool {
        self.declared != self.computed
    }

    /// What the records now say. What was declared because they said so follows them; what the county declared of its own stays.
    pub fn compute_again(&mut self, of: &FigureOfOne) {
        if !self.differs() {
            self.declared = of.value.value;
            self.declared_precision = of.value.precision;
        }
        self.computed = of.value.value;
        self.computed_precision = of.value.precision;
        self.records = of.records;
        // There is nothing left to explain.
        if !self.differs() {
            self.reason = None;
        }
    }
}

/// A figure of a return.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReturnCell {
    #[schema(example = "four_ones.volunteers")]
    pub figure: String,
    pub label_zh: String,
    pub label_en: String,
    #[schema(example = "person")]
    pub unit: String,
    /// The unit as it is written after the number.
    #[schema(example = "人")]
    pub unit_zh: String,
    /// What the records say as of the month's end; null where none tells.
    pub computed: Option<i64>,
    pub computed_precision: Precision,
    /// How many records are behind it.
    pub records: i64,
    /// The list of these records as they are now.
    pub records_url: String,
    /// What the county declares; null: not reported (未填报).
    pub declared: Option<i64>,
    pub declared_precision: Precision,
    /// Whether these are two numbers.
    pub differs: bool,
    /// Why.
    pub reason: Option<String>,
    /// What whoever sent it back has to say of it.
    pub objection: Option<String>,
}

/// A figure of an accepted revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeptCell {
    pub figure: String,
    pub computed: Option<i64>,
    pub computed_precision: Precision,
    pub declared: Option<i64>,
    pub declared_precision: Precision,
    pub reason: Option<String>,
}

impl From<&CellRow> for KeptCell {
    fn from(cell: &CellRow) -> Self {
        Self {
            figure: cell.figure.clone(),
            computed: cell.computed,
            computed_precision: cell.computed_precision,
            declared: cell.declared,
            declared_precision: cell.declared_precision,
            reason: cell.reason.clone(),
        }
    }
}

pub fn view(cell: CellRow, organization_id: Id, month: Month) -> Result<ReturnCell> {
    let definition = figures::named(&cell.figure);
    let records_url = match definition {
        Some(definition) => figures::records_url(definition, &figures::parameters(definition, organization_id, Span::Month(month)))?,
        None => String::new(),
    };
    Ok(ReturnCell {
        label_zh: definition.map_or(cell.figure.as_str(), |d| d.label_zh).to_owned(),
        label_en: definition.map_or(cell.figure.as_str(), |d| d.label_en).to_owned(),
        unit: definition.map_or("", |d| d.unit).to_owned(),
        unit_zh: definition.map_or("", |d| figures::unit(d.unit).0).to_owned(),
        differs: cell.differs(),
        figure: cell.figure,
        computed: cell.computed,
        computed_precision: cell.computed_precision,
        records: cell.records,
        records_url,
        declared: cell.declared,
        declared_precision: cell.declared_precision,
        reason: cell.reason,
        objection: cell.objection,
    })
}

/// The figures of some returns, each in the order of its form.
pub fn of_returns(conn: &mut AnyConnection, ids: &[Id]) -> Result<HashMap<Id, Vec<CellRow>>> {
    let mut all: HashMap<Id, Vec<CellRow>> = HashMap::with_capacity(ids.len());
    for chunk in ids.chunks(5_000) {
        let cells: Vec<CellRow> =
            t::table.filter(t::return_id.eq_any(chunk)).order((t::return_id, t::position)).select(CellRow::as_select()).load(conn)?;
        for cell in cells {
            all.entry(cell.return_id).or_default().push(cell);
        }
    }
    Ok(all)
}

/// What the figures of a return come to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counts {
    pub figures: i64,
    pub declared: i64,
    pub differing: i64,
}

/// Of some returns: one query.
pub fn counts(conn: &mut AnyConnection, ids: &[Id]) -> Result<HashMap<Id, Counts>> {
    // What is null is no number, and so another one than any.
    let parts = vec![
        Part::Sql(
            "SELECT return_id, COUNT(*), COUNT(declared), \
             COUNT(CASE WHEN declared = computed OR (declared IS NULL AND computed IS NULL) THEN NULL ELSE 1 END) \
             FROM monthly_return_cells WHERE return_id IN ",
        ),
        Part::Ids(ids.to_vec()),
        Part::Sql(" GROUP BY return_id"),
    ];
    let groups: Vec<(Id, i64, i64, i64)> = Rows::<(sql::Uuid, BigInt, BigInt, BigInt)>::of(parts).load(conn)?;
    Ok(groups.into_iter().map(|(id, figures, declared, differing)| (id, Counts { figures, declared, differing })).collect())
}

/// Writes what a county declares into the figures of its return; `at` is where the drafts stand.
pub fn declare(cells: &mut [CellRow], drafts: Vec<ReturnCellDraft>, at: &str, faults: &mut Vec<Fault>) {
    let mut seen = std::collections::HashSet::new();
    for (i, draft) in drafts.into_iter().enumerate() {
        let pointer = format!("{at}/{i}/figure");
        let Some(cell) = cells.iter_mut().find(|cell| cell.figure == draft.figure) else {
            let says =
                Says::new(format!("本表没有指标“{}”", draft.figure), format!("the form doesn't ask for a figure '{}'", draft.figure));
            faults.push(Fault::new(pointer, "not_in_the_form", says));
            continue;
        };
        if !seen.insert(draft.figure) {
            faults.push(Fault::new(pointer, "twice", Says::new("此指标已填写", "this figure is declared already")));
            continue;
        }
        cell.declared = draft.declared;
        cell.declared_precision = draft.declared_precision.unwrap_or(Precision::Exact);
        cell.reason = draft.reason;
    }
}

/// Writes the figures of a return anew.
pub fn replace(conn: &mut AnyConnection, return_id: Id, cells: Vec<CellRow>) -> QueryResult<()> {
    diesel::delete(t::table.filter(t::return_id.eq(return_id))).execute(conn)?;
    insert(conn, &cells)
}

pub fn insert(conn: &mut AnyConnection, cells: &[CellRow]) -> QueryResult<()> {
    insert_all!(&mut *conn, t::table, cells)
}
