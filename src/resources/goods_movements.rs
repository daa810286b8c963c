//! Movements of goods (宣传品出入库): what was made and what was issued.
//!
//! Each changes the stock of its goods in its own transaction; none takes more than there is.

use std::collections::{BTreeMap, HashMap};

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::goods::{self, GoodsKind, Stock};
use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::goods_movements as t;
use crate::types::{Id, Instant, Precision, TextEnum, code_or_new, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, measured, reads, remove, save, viewed};

text_enum! {
    /// Whether goods came in or went out.
    MovementDirection {
        Made = "made", "制作", "made";
        Issued = "issued", "发放", "issued";
    }
}

/// A movement of goods.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct GoodsMovement {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub goods_id: Id,
    pub direction: MovementDirection,
    pub quantity: i64,
    pub quantity_precision: Precision,
    /// The year that it is counted in.
    pub year: i32,
    pub moved_on: Option<NaiveDate>,
    pub note: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(GoodsMovement);

/// What may be written of a movement of goods.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"goods_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "direction": "made", "quantity": 500, "year": 2022}))]
pub struct GoodsMovementDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// That of the goods when absent.
    pub organization_id: Option<Id>,
    pub goods_id: Id,
    pub direction: MovementDirection,
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub quantity: i64,
    /// `exact` when absent.
    pub quantity_precision: Option<Precision>,
    /// That of `moved_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub moved_on: Option<NaiveDate>,
    #[schema(min_length = 1, max_length = 1000)]
    pub note: Option<String>,
}

fn whole(draft: &GoodsMovementDraft) -> Result<(), ValidationError> {
    rules::year_known(draft.year, draft.moved_on, "moved_on")
}

/// Which movements of goods.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct GoodsMovementFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub goods_id: Option<Id>,
    /// Those of goods of this kind.
    #[param(inline)]
    pub goods_kind: Option<GoodsKind>,
    #[param(inline)]
    pub direction: Option<MovementDirection>,
    /// Counted in this year.
    pub year: Option<i32>,
    /// Moved on this day or later; records without a day are left out.
    pub from: Option<NaiveDate>,
    /// Moved on this day or earlier; records without a day are left out.
    pub to: Option<NaiveDate>,
}

pub struct GoodsMovements;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &GoodsMovementFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.goods_id {
        query = query.filter(t::goods_id.eq(id));
    }
    if let Some(kind) = filter.goods_kind {
        let of_kind = Subset(vec![Part::Sql("SELECT id FROM goods WHERE kind = "), Part::Text(kind.code().to_owned())]);
        query = query.filter(of_kind.holds(t::goods_id));
    }
    if let Some(direction) = filter.direction {
        query = query.filter(t::direction.eq(direction));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(day) = filter.from {
        query = query.filter(t::moved_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::moved_on.le(day));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, organization_id: Id, draft: GoodsMovementDraft) -> Result<GoodsMovement> {
    Ok(GoodsMovement {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id,
        goods_id: draft.goods_id,
        direction: draft.direction,
        quantity: draft.quantity,
        quantity_precision: draft.quantity_precision.unwrap_or(Precision::Exact),
        year: rules::year_of(draft.year, draft.moved_on)?,
        moved_on: draft.moved_on,
        note: draft.note,
        version,
        created_at,
        updated_at: now,
    })
}

/// What a movement does to the stock.
fn change(direction: MovementDirection, quantity: i64) -> i64 {
    match direction {
        MovementDirection::Made => quantity,
        MovementDirection::Issued => -quantity,
    }
}

fn insufficient(pointer: String, stock: i64) -> Fault {
    Fault::new(
        pointer,
        "insufficient_stock",
        Says::new(
            format!("库存不足：现有 {stock}；请减少发放数量，或先登记制作"),
            format!("there is not enough in stock: {stock} now; issue less, or record first what was made"),
        ),
    )
}

/// Changes the stock of each of the goods once, by the sum of its changes, in the order of their ids, so that two
/// writers wait for each other and never in a circle. `at` makes the pointer of a refusal from the goods.
fn adjust_all(tx: &mut Tx<'_>, changes: &[(Id, i64)], at: impl Fn(Id) -> String) -> Result<()> {
    let mut sums: BTreeMap<Id, i64> = BTreeMap::new();
    for (goods_id, delta) in changes {
        *sums.entry(*goods_id).or_default() += delta;
    }
    let mut faults = Vec::new();
    for (goods_id, delta) in sums {
        if let Err(stock) = goods::adjust(tx, goods_id, delta)? {
            faults.push(insufficient(at(goods_id), stock));
        }
    }
    Error::unless_empty(faults)
}

/// The organization of each draft: that given, or else that of its goods; and the stock of all goods named. Faults have
/// pointers that `at` makes from a draft's index and a field.
fn check_references(
    tx: &mut Tx<'_>,
    scope: &Scope,
    drafts: &[GoodsMovementDraft],
    at: impl Fn(usize, &str) -> String,
) -> Result<(Vec<Id>, HashMap<Id, Stock>)> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), draft.organization_id));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    let stocks = goods::stocks(tx.conn, scope, drafts.iter().map(|draft| draft.goods_id).collect())?;
    let mut holders = Vec::with_capacity(drafts.len());
    for (i, draft) in drafts.iter().enumerate() {
        match stocks.get(&draft.goods_id) {
            Some(found) => holders.push(draft.organization_id.unwrap_or(found.organization_id)),
            None => faults.push(Fault::unknown_reference(at(i, "goods_id"))),
        }
    }
    Error::unless_empty(faults)?;
    Ok((holders, stocks))
}

/// The drafts that issue more than there is, with what is left for them. All that is made together with them counts as
/// made before, whatever their order.
fn too_much(drafts: &[GoodsMovementDraft], stocks: &HashMap<Id, Stock>) -> Vec<(usize, i64)> {
    let mut left: HashMap<Id, i64> = stocks.iter().map(|(id, found)| (*id, found.stock)).collect();
    for draft in drafts.iter().filter(|draft| draft.direction == MovementDirection::Made) {
        *left.entry(draft.goods_id).or_default() += draft.quantity;
    }
    let mut faulty = Vec::new();
    for (i, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.direction == MovementDirection::Issued) {
        let left = left.entry(draft.goods_id).or_default();
        if draft.quantity > *left {
            faulty.push((i, *left));
        } else {
            *left -= draft.quantity;
        }
    }
    faulty
}

impl Resource for GoodsMovements {
    const NAME: &'static str = "goods_movements";
    const LABEL: (&'static str, &'static str) = ("宣传品出入库", "goods movement");
    const AREA: Area = Area::Publicity;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION, Reference { field: "goods_id", column: "goods_code", of: "goods" }];

    type View = GoodsMovement;
    type Draft = GoodsMovementDraft;
    type Filter = GoodsMovementFilter;

    reads!(t, GoodsMovement);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let (holders, stocks) = check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let faulty = too_much(&drafts, &stocks);
        Error::unless_empty(faulty.into_iter().map(|(i, left)| insufficient(format!("/{i}/quantity"), left)).collect())?;
        // The stock as it was read may be gone by now: the statement that takes it decides.
        let changes: Vec<(Id, i64)> = drafts.iter().map(|draft| (draft.goods_id, change(draft.direction, draft.quantity))).collect();
        adjust_all(tx, &changes, |goods_id| {
            let issued = |draft: &GoodsMovementDraft| draft.goods_id == goods_id && draft.direction == MovementDirection::Issued;
            format!("/{}/quantity", drafts.iter().rposition(issued).unwrap_or_default())
        })?;
        let now = tx.now;
        let rows: Result<Vec<GoodsMovement>> =
            drafts.into_iter().zip(holders).map(|(draft, holder)| row(Id::new(), 1, now, now, holder, draft)).collect();
        let rows = rows?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let movement = view.clone();
        Ok(GoodsMovementDraft {
            code: Some(movement.code),
            organization_id: Some(movement.organization_id),
            goods_id: movement.goods_id,
            direction: movement.direction,
            quantity: movement.quantity,
            quantity_precision: Some(movement.quantity_precision),
            year: Some(movement.year),
            moved_on: movement.moved_on,
            note: movement.note,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let (holders, _) = check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let holder = holders.first().copied().unwrap_or(before.organization_id);
        let after = row(before.id, before.version + 1, before.created_at, tx.now, holder, draft)?;
        save!(tx, t, before, &after)?;
        let deltas =
            [(before.goods_id, -change(before.direction, before.quantity)), (after.goods_id, change(after.direction, after.quantity))];
        adjust_all(tx, &deltas, |_| "/quantity".to_owned())?;
        Ok(after)
    }

    fn delete(tx: &mut Tx<'_>, _: &Scope, before: &Self::View) -> Result<()> {
        // What is given back to the stock is what this version took: another may take another quantity, or be gone.
        remove!(tx, t, before)?;
        // Nothing that was sent is wrong: the state is in the way.
        adjust_all(tx, &[(before.goods_id, -change(before.direction, before.quantity))], |_| String::new()).map_err(|error| {
            if error.faults.is_empty() {
                return error;
            }
            Error::because(
                Code::Conflict,
                "这批宣传品已有部分发放，删除后库存将小于零；请先删除相应的发放记录",
                "part of these goods has been issued, and without this record the stock would fall below zero; delete what was issued first",
            )
        })
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Quantity => measured!(sum conn, query(scope, filter), t, quantity, quantity_precision),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
