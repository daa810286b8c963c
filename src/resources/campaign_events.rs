//! Events of campaigns (活动场次): ceremonies, interviews, activities, with how many took part.

use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::campaigns::{self, CampaignKind};
use super::rules;
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::campaign_events as t;
use crate::types::{Id, Instant, Precision, TextEnum, code_or_new, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What an event is.
    CampaignEventKind {
        LaunchCeremony = "launch_ceremony", "启动仪式", "launch ceremony";
        Interview = "interview", "采访", "interview";
        Activity = "activity", "活动", "activity";
        Other = "other", "其他", "other";
    }
}

/// An event of a campaign.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct CampaignEvent {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub campaign_id: Id,
    pub name: Option<String>,
    pub kind: CampaignEventKind,
    /// The year that it is counted in.
    pub year: i32,
    pub held_on: Option<NaiveDate>,
    pub place: Option<String>,
    /// How many took part; null where unknown.
    pub participants: Option<i64>,
    pub participants_precision: Precision,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(CampaignEvent {
    fn searched(&self) -> Option<String> {
        self.name.clone()
    }
});

/// What may be written of a campaign's event.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct CampaignEventDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    pub campaign_id: Id,
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    pub kind: CampaignEventKind,
    /// That of `held_on` when absent, or else the campaign's.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub held_on: Option<NaiveDate>,
    #[schema(min_length = 1, max_length = 200)]
    pub place: Option<String>,
    /// How many took part; null where unknown.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub participants: Option<i64>,
    /// `exact` when absent.
    pub participants_precision: Option<Precision>,
}

fn whole(draft: &CampaignEventDraft) -> Result<(), ValidationError> {
    draft.year.map_or(Ok(()), |year| rules::in_year(year, draft.held_on, "held_on"))
}

/// Which events of campaigns.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CampaignEventFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub campaign_id: Option<Id>,
    /// Those of campaigns of this kind.
    #[param(inline)]
    pub campaign_kind: Option<CampaignKind>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<CampaignEventKind>>,
    /// Counted in this year.
    pub year: Option<i32>,
    /// Held on this day or later; records without a day are left out.
    pub from: Option<NaiveDate>,
    /// Held on this day or earlier; records without a day are left out.
    pub to: Option<NaiveDate>,
}

pub struct CampaignEvents;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &CampaignEventFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(CampaignEvents::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(id) = filter.campaign_id {
        query = query.filter(t::campaign_id.eq(id));
    }
    if let Some(kind) = filter.campaign_kind {
        let of_kind = Subset(vec![Part::Sql("SELECT id FROM campaigns WHERE kind = "), Part::Text(kind.code().to_owned())]);
        query = query.filter(of_kind.holds(t::campaign_id));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(day) = filter.from {
        query = query.filter(t::held_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::held_on.le(day));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, year: i32, draft: CampaignEventDraft) -> CampaignEvent {
    CampaignEvent {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        campaign_id: draft.campaign_id,
        name: draft.name,
        kind: draft.kind,
        year,
        held_on: draft.held_on,
        place: draft.place,
        participants: draft.participants,
        participants_precision: draft.participants_precision.unwrap_or(Precision::Exact),
        version,
        created_at,
        updated_at: now,
    }
}

/// The year of each draft: that given, that of its day, or else its campaign's. Faults of references have pointers that
/// `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[CampaignEventDraft], at: impl Fn(usize, &str) -> String) -> Result<Vec<i32>> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    let campaigns = campaigns::years(tx.conn, scope, drafts.iter().map(|draft| draft.campaign_id).collect())?;
    let mut years = Vec::with_capacity(drafts.len());
    for (i, draft) in drafts.iter().enumerate() {
        match campaigns.get(&draft.campaign_id) {
            Some(year) => years.push(draft.year.or(draft.held_on.map(|day| day.year())).unwrap_or(*year)),
            None => faults.push(Fault::unknown_reference(at(i, "campaign_id"))),
        }
    }
    Error::unless_empty(faults)?;
    Ok(years)
}

impl Resource for CampaignEvents {
    const NAME: &'static str = "campaign_events";
    const LABEL: (&'static str, &'static str) = ("活动场次", "campaign event");
    const AREA: Area = Area::Publicity;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "campaign_id", column: "campaign_code", of: "campaigns" }];

    type View = CampaignEvent;
    type Draft = CampaignEventDraft;
    type Filter = CampaignEventFilter;

    reads!(t, CampaignEvent);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let years = check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<CampaignEvent> =
            drafts.into_iter().zip(years).map(|(draft, year)| row(Id::new(), 1, now, now, year, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let event = view.clone();
        Ok(CampaignEventDraft {
            code: Some(event.code),
            organization_id: event.organization_id,
            campaign_id: event.campaign_id,
            name: event.name,
            kind: event.kind,
            year: Some(event.year),
            held_on: event.held_on,
            place: event.place,
            participants: event.participants,
            participants_precision: Some(event.participants_precision),
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let years = check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let year = years.first().copied().unwrap_or(before.year);
        let after = row(before.id, before.version + 1, before.created_at, tx.now, year, draft);
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::People => measured!(sum conn, query(scope, filter), t, participants, participants_precision),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }
}
