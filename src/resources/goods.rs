//! Goods (宣传品): umbrellas, hats, brochures, and how many of them are in stock.
//!
//! The stock is changed by [`super::goods_movements`] alone, in the transaction of the movement, and never goes below zero.

use std::collections::HashMap;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::goods as t;
use crate::types::{Id, Instant, TextEnum, code_or_new, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What goods are.
    GoodsKind {
        Umbrella = "umbrella", "雨伞", "umbrella";
        Hat = "hat", "帽子", "hat";
        Brochure = "brochure", "宣传手册", "brochure";
        Assorted = "assorted", "综合宣传品", "assorted";
        Other = "other", "其他", "other";
    }
}

/// Goods of one kind, with their stock.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Goods {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub name: String,
    pub kind: GoodsKind,
    /// What is counted: 把, 顶, 册.
    pub unit: String,
    /// How many there are: what was made less what was issued. Changed by movements only.
    pub stock: i64,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Goods {
    fn searched(&self) -> Option<String> {
        Some(self.name.clone())
    }
});

/// What may be written of goods.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct GoodsDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    pub kind: GoodsKind,
    /// What is counted: 把, 顶, 册.
    #[schema(min_length = 1, max_length = 20)]
    pub unit: String,
}

/// Which goods.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct GoodsFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<GoodsKind>>,
}

pub struct AllGoods;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &GoodsFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(AllGoods::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
    }
    query
}

/// Whose goods they are, and how many there are.
#[derive(Debug, Clone, Copy, Queryable)]
pub struct Stock {
    pub goods_id: Id,
    pub organization_id: Id,
    pub stock: i64,
}

/// The stock of those goods that are in scope: one query.
pub fn stocks(conn: &mut AnyConnection, scope: &Scope, ids: Vec<Id>) -> Result<HashMap<Id, Stock>> {
    let found: Vec<Stock> =
        query(scope, &GoodsFilter::default()).filter(t::id.eq_any(ids)).select((t::id, t::organization_id, t::stock)).load(conn)?;
    Ok(found.into_iter().map(|stock| (stock.goods_id, stock)).collect())
}

/// Adds to the stock, or takes from it where that much is there; otherwise tells how much is.
///
/// The version counts this as a change: the stock is shown under its ETag, and a patch that read an older stock must not
/// write it back.
pub fn adjust(tx: &mut Tx<'_>, id: Id, delta: i64) -> Result<std::result::Result<(), i64>> {
    if delta == 0 {
        return Ok(Ok(()));
    }
    let saved = diesel::update(t::table.filter(t::id.eq(id)).filter((t::stock + delta).ge(0)))
        .set((t::stock.eq(t::stock + delta), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    if saved == 1 {
        let (organization_id, stock): (Id, i64) = t::table.find(id).select((t::organization_id, t::stock)).first(tx.conn)?;
        let detail = json!({"stock": [stock - delta, stock]});
        tx.audit(Action::Update.code(), AllGoods::NAME, Some(id), Some(organization_id), Some(&detail));
        return Ok(Ok(()));
    }
    Ok(Err(t::table.filter(t::id.eq(id)).select(t::stock).first(tx.conn)?))
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, stock: i64, draft: GoodsDraft) -> Goods {
    Goods {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        kind: draft.kind,
        unit: draft.unit,
        stock,
        version,
        created_at,
        updated_at: now,
    }
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[GoodsDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&GoodsDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    Error::unless_empty(faults)
}

impl Resource for AllGoods {
    const NAME: &'static str = "goods";
    const LABEL: (&'static str, &'static str) = ("宣传品", "publicity item");
    const AREA: Area = Area::Publicity;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Goods;
    type Draft = GoodsDraft;
    type Filter = GoodsFilter;

    reads!(t, Goods);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Goods> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, 0, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let goods = view.clone();
        Ok(GoodsDraft {
            code: Some(goods.code),
            organization_id: goods.organization_id,
            name: goods.name,
            kind: goods.kind,
            unit: goods.unit,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        // A movement in between has made another version, so this stock is written back only where it still holds.
        let after = row(before.id, before.version + 1, before.created_at, tx.now, before.stock, draft);
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
