//! Media placements (媒体刊发): the outlets in which a media item appeared.
//!
//! A placement belongs to the organization of its item, and goes where the item goes.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::{media_items, rules};
use crate::db::{Any, AnyConnection, Tx, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::media_placements as t;
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// How far an outlet reaches.
    OutletLevel {
        National = "national", "国家级", "national";
        Provincial = "provincial", "省级", "provincial";
        Municipal = "municipal", "市级", "municipal";
        Own = "own", "自有平台", "own";
    }
}

/// A media item in one outlet.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct MediaPlacement {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub media_item_id: Id,
    /// Name of the newspaper, station, site or account.
    pub outlet: String,
    pub outlet_level: OutletLevel,
    pub published_on: Option<NaiveDate>,
    pub url: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(MediaPlacement);

/// What may be written of a media placement.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MediaPlacementDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub media_item_id: Id,
    /// Name of the newspaper, station, site or account.
    #[schema(min_length = 1, max_length = 100)]
    pub outlet: String,
    pub outlet_level: OutletLevel,
    pub published_on: Option<NaiveDate>,
    /// An address that begins with http:// or https://.
    #[schema(min_length = 1, max_length = 2000)]
    #[validate(custom(function = "web_address"))]
    pub url: Option<String>,
}

fn web_address(text: &str) -> Result<(), ValidationError> {
    let host = ["http://", "https://"].iter().find_map(|scheme| {
        let (begins, rest) = text.split_at_checked(scheme.len())?;
        begins.eq_ignore_ascii_case(scheme).then_some(rest)
    });
    if host.is_some_and(|host| !host.is_empty() && !host.starts_with(['/', '?', '#'])) && !text.chars().any(char::is_whitespace) {
        return Ok(());
    }
    Err(refusal(
        None,
        "invalid_url",
        &Says::new("链接应以 http:// 或 https:// 开头，且不含空格", "an address begins with http:// or https:// and has no spaces"),
    ))
}

/// Which media placements.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct MediaPlacementFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub media_item_id: Option<Id>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub outlet_level: Option<Vec<OutletLevel>>,
    /// Published on this day or later; records without a day are left out.
    pub from: Option<NaiveDate>,
    /// Published on this day or earlier; records without a day are left out.
    pub to: Option<NaiveDate>,
}

pub struct MediaPlacements;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &MediaPlacementFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.media_item_id {
        query = query.filter(t::media_item_id.eq(id));
    }
    if let Some(outlet_levels) = &filter.outlet_level {
        query = query.filter(t::outlet_level.eq_any(outlet_levels.clone()));
    }
    if let Some(day) = filter.from {
        query = query.filter(t::published_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::published_on.le(day));
    }
    query
}

/// The placements of an item that was given to another organization.
pub fn follow(tx: &mut Tx<'_>, media_item_id: Id, organization_id: Id) -> Result<()> {
    let those = t::table.filter(t::media_item_id.eq(media_item_id));
    let rows: Vec<(Id, Id)> = those.order(t::id).select((t::id, t::organization_id)).load(tx.conn)?;
    diesel::update(those)
        .set((t::organization_id.eq(organization_id), t::version.eq(t::version + 1), t::updated_at.eq(tx.now)))
        .execute(tx.conn)?;
    rules::followed(tx, MediaPlacements::NAME, rows, organization_id);
    Ok(())
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, organization_id: Id, draft: MediaPlacementDraft) -> MediaPlacement {
    MediaPlacement {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id,
        media_item_id: draft.media_item_id,
        outlet: draft.outlet,
        outlet_level: draft.outlet_level,
        published_on: draft.published_on,
        url: draft.url,
        version,
        created_at,
        updated_at: now,
    }
}

/// The organization of each draft's item, with pointers of faults that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[MediaPlacementDraft], at: impl Fn(usize, &str) -> String) -> Result<Vec<Id>> {
    let holders = media_items::holders(tx.conn, scope, drafts.iter().map(|draft| draft.media_item_id).collect())?;
    let mut faults: Vec<Fault> = Vec::new();
    let mut found = Vec::with_capacity(drafts.len());
    for (i, draft) in drafts.iter().enumerate() {
        match holders.get(&draft.media_item_id) {
            Some(holder) => found.push(*holder),
            None => faults.push(Fault::unknown_reference(at(i, "media_item_id"))),
        }
    }
    Error::unless_empty(faults)?;
    Ok(found)
}

impl Resource for MediaPlacements {
    const NAME: &'static str = "media_placements";
    const LABEL: (&'static str, &'static str) = ("媒体刊发", "media placement");
    const AREA: Area = Area::Publicity;
    const REFERENCES: &'static [Reference] = &[Reference { field: "media_item_id", column: "media_item_code", of: "media_items" }];

    type View = MediaPlacement;
    type Draft = MediaPlacementDraft;
    type Filter = MediaPlacementFilter;

    reads!(t, MediaPlacement);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let holders = check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<MediaPlacement> =
            drafts.into_iter().zip(holders).map(|(draft, holder)| row(Id::new(), 1, now, now, holder, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let placement = view.clone();
        Ok(MediaPlacementDraft {
            code: Some(placement.code),
            media_item_id: placement.media_item_id,
            outlet: placement.outlet,
            outlet_level: placement.outlet_level,
            published_on: placement.published_on,
            url: placement.url,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let holders = check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let holder = holders.first().copied().unwrap_or(before.organization_id);
        let after = row(before.id, before.version + 1, before.created_at, tx.now, holder, draft);
        save!(tx, t, before, &after)?;
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
