//! Campaigns (宣传活动): the 99 charity day, the publicity month, a tour of the media. Events, placements and media items
//! belong to them.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::rules;
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::campaigns as t;
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What a campaign is.
    CampaignKind {
        CharityDay99 = "charity_day_99", "99公益日", "99 charity day";
        PublicityMonth = "publicity_month", "宣传月", "publicity month";
        MediaTour = "media_tour", "媒体采访", "media tour";
        Other = "other", "其他", "other";
    }
}

/// A campaign.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Campaign {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub name: String,
    pub kind: CampaignKind,
    /// The year that it is counted in.
    pub year: i32,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Campaign {
    fn searched(&self) -> Option<String> {
        Some(self.name.clone())
    }
});

/// What may be written of a campaign.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "name": "99 公益日", "kind": "charity_day_99", "year": 2022}))]
pub struct CampaignDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    pub kind: CampaignKind,
    /// That of `starts_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub starts_on: Option<NaiveDate>,
    pub ends_on: Option<NaiveDate>,
}

fn whole(draft: &CampaignDraft) -> Result<(), ValidationError> {
    rules::year_known(draft.year, draft.starts_on, "starts_on")?;
    rules::in_order(draft.starts_on, draft.ends_on, "ends_on")
}

/// Which campaigns.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CampaignFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<CampaignKind>>,
    /// Counted in this year.
    pub year: Option<i32>,
    /// Begun on this day or later; records without a day are left out.
    pub from: Option<NaiveDate>,
    /// Begun on this day or earlier; records without a day are left out.
    pub to: Option<NaiveDate>,
}

pub struct Campaigns;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &CampaignFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Campaigns::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
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

/// The years of those campaigns that may be named from a scope: one query.
pub fn years(conn: &mut AnyConnection, scope: &Scope, ids: Vec<Id>) -> Result<HashMap<Id, i32>> {
    let named = query(&scope.with_above(), &CampaignFilter::default());
    let found: Vec<(Id, i32)> = named.filter(t::id.eq_any(ids)).select((t::id, t::year)).load(conn)?;
    Ok(found.into_iter().collect())
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: CampaignDraft) -> Result<Campaign> {
    Ok(Campaign {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        kind: draft.kind,
        year: rules::year_of(draft.year, draft.starts_on)?,
        starts_on: draft.starts_on,
        ends_on: draft.ends_on,
        version,
        created_at,
        updated_at: now,
    })
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[CampaignDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&CampaignDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    Error::unless_empty(faults)
}

impl Resource for Campaigns {
    const NAME: &'static str = "campaigns";
    const LABEL: (&'static str, &'static str) = ("宣传活动", "campaign");
    const AREA: Area = Area::Publicity;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    const SHARED_BELOW: bool = true;

    type View = Campaign;
    type Draft = CampaignDraft;
    type Filter = CampaignFilter;

    reads!(t, Campaign);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Result<Vec<Campaign>> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        let rows = rows?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let campaign = view.clone();
        Ok(CampaignDraft {
            code: Some(campaign.code),
            organization_id: campaign.organization_id,
            name: campaign.name,
            kind: campaign.kind,
            year: Some(campaign.year),
            starts_on: campaign.starts_on,
            ends_on: campaign.ends_on,
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
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
