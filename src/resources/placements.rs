//! Placements (屏幕投放): what was shown on a network of screens, and on how many of them.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::campaigns::CampaignKind;
use super::publicity_assets::{AssetCategory, AssetKind, all_of_category};
use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::placements as t;
use crate::types::{Id, Instant, Precision, TextEnum, code_or_new};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

/// Content on a network of screens.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Placement {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    /// The network of screens.
    pub publicity_asset_id: Id,
    pub campaign_id: Option<Id>,
    /// What was shown.
    pub content: String,
    /// The year that it is counted in.
    pub year: i32,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
    /// On how many screens; null where unknown.
    pub quantity: Option<i64>,
    pub quantity_precision: Precision,
    /// Where the proof is kept.
    pub proof: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Placement);

/// What may be written of a placement.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "publicity_asset_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "content": "见义勇为宣传标语", "year": 2022}))]
pub struct PlacementDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    /// The network of screens.
    pub publicity_asset_id: Id,
    pub campaign_id: Option<Id>,
    /// What was shown.
    #[schema(min_length = 1, max_length = 1000)]
    pub content: String,
    /// That of `starts_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
    /// On how many screens; null where unknown.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub quantity: Option<i64>,
    /// `exact` when absent.
    pub quantity_precision: Option<Precision>,
    /// Where the proof is kept.
    #[schema(min_length = 1, max_length = 1000)]
    pub proof: Option<String>,
}

fn whole(draft: &PlacementDraft) -> Result<(), ValidationError> {
    rules::year_known(draft.year, draft.starts_on, "starts_on")?;
    rules::in_order(draft.starts_on, draft.ends_on, "ends_on")
}

/// Which placements.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PlacementFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub publicity_asset_id: Option<Id>,
    /// Those on networks of this kind.
    #[param(inline)]
    pub asset_kind: Option<AssetKind>,
    pub campaign_id: Option<Id>,
    /// Those of campaigns of this kind.
    #[param(inline)]
    pub campaign_kind: Option<CampaignKind>,
    /// Counted in this year.
    pub year: Option<i32>,
    /// Begun on this day or later; records without a day are left out.
    pub from: Option<NaiveDate>,
    /// Begun on this day or earlier; records without a day are left out.
    pub to: Option<NaiveDate>,
}

pub struct Placements;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &PlacementFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.publicity_asset_id {
        query = query.filter(t::publicity_asset_id.eq(id));
    }
    if let Some(kind) = filter.asset_kind {
        let of_kind = Subset(vec![Part::Sql("SELECT id FROM publicity_assets WHERE kind = "), Part::Text(kind.code().to_owned())]);
        query = query.filter(of_kind.holds(t::publicity_asset_id));
    }
    if let Some(id) = filter.campaign_id {
        query = query.filter(t::campaign_id.eq(id));
    }
    if let Some(kind) = filter.campaign_kind {
        let of_kind = Subset(vec![Part::Sql("SELECT id FROM campaigns WHERE kind = "), Part::Text(kind.code().to_owned())]);
        query = query.filter(of_kind.holds(t::campaign_id));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(day) = filter.from {
        query = query.filter(t::starts_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::starts_on.le(day));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: PlacementDraft) -> Result<Placement> {
    Ok(Placement {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        publicity_asset_id: draft.publicity_asset_id,
        campaign_id: draft.campaign_id,
        content: draft.content,
        year: rules::year_of(draft.year, draft.starts_on)?,
        starts_on: draft.starts_on,
        ends_on: draft.ends_on,
        quantity: draft.quantity,
        quantity_precision: draft.quantity_precision.unwrap_or(Precision::Exact),
        proof: draft.proof,
        version,
        created_at,
        updated_at: now,
    })
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[PlacementDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&PlacementDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("campaigns", "campaign_id", |draft| draft.campaign_id)?;
    let networks = drafts.iter().enumerate().map(|(i, draft)| (at(i, "publicity_asset_id"), Some(draft.publicity_asset_id)));
    all_of_category(tx.conn, scope, AssetCategory::ScreenNetwork, networks.collect(), &mut faults)?;
    Error::unless_empty(faults)
}

impl Resource for Placements {
    const NAME: &'static str = "placements";
    const LABEL: (&'static str, &'static str) = ("屏幕投放", "placement");
    const AREA: Area = Area::Publicity;
    const REFERENCES: &'static [Reference] = &[
        Reference::ORGANIZATION,
        Reference { field: "publicity_asset_id", column: "publicity_asset_code", of: "publicity_assets" },
        Reference { field: "campaign_id", column: "campaign_code", of: "campaigns" },
    ];

    type View = Placement;
    type Draft = PlacementDraft;
    type Filter = PlacementFilter;

    reads!(t, Placement);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Result<Vec<Placement>> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        let rows = rows?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let placement = view.clone();
        Ok(PlacementDraft {
            code: Some(placement.code),
            organization_id: placement.organization_id,
            publicity_asset_id: placement.publicity_asset_id,
            campaign_id: placement.campaign_id,
            content: placement.content,
            year: Some(placement.year),
            starts_on: placement.starts_on,
            ends_on: placement.ends_on,
            quantity: placement.quantity,
            quantity_precision: Some(placement.quantity_precision),
            proof: placement.proof,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Quantity => measured!(sum conn, query(scope, filter), t, quantity, quantity_precision),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
