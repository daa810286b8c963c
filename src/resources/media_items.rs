//! Media items (媒体稿件): a story, a video, an article. One item counts once, in however many outlets it appeared
//! ([`super::media_placements`]).

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::campaigns::CampaignKind;
use super::{media_placements, rules};
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result};
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::media_items as t;
use crate::types::{Id, Instant, Precision, TextEnum, code_or_new, text_enum};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// What a media item is.
    MediaItemKind {
        NewsStory = "news_story", "新闻报道", "news story";
        FeatureStory = "feature_story", "专题报道", "feature story";
        DouyinVideo = "douyin_video", "抖音视频", "Douyin video";
        WechatArticle = "wechat_article", "微信公众号文章", "WeChat article";
        WebsiteItem = "website_item", "网站动态", "website item";
    }
}

/// A media item, or several of one kind that are counted together.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct MediaItem {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub campaign_id: Option<Id>,
    pub title: Option<String>,
    pub kind: MediaItemKind,
    /// The year that it is counted in.
    pub year: i32,
    pub published_on: Option<NaiveDate>,
    /// How many items this record stands for.
    pub quantity: i64,
    pub quantity_precision: Precision,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(MediaItem {
    fn searched(&self) -> Option<String> {
        self.title.clone()
    }
});

/// What may be written of a media item.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "kind": "news_story", "title": "金水河边的救援", "year": 2022}))]
pub struct MediaItemDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    pub campaign_id: Option<Id>,
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    pub kind: MediaItemKind,
    /// That of `published_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub published_on: Option<NaiveDate>,
    /// How many items this record stands for; 1 when absent.
    #[schema(minimum = 1, maximum = 1_000_000_000)]
    pub quantity: Option<i64>,
    /// `exact` when absent.
    pub quantity_precision: Option<Precision>,
}

fn whole(draft: &MediaItemDraft) -> Result<(), ValidationError> {
    rules::year_known(draft.year, draft.published_on, "published_on")
}

/// Which media items.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct MediaItemFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the title, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<MediaItemKind>>,
    pub campaign_id: Option<Id>,
    /// Those of campaigns of this kind.
    #[param(inline)]
    pub campaign_kind: Option<CampaignKind>,
    /// Counted in this year.
    pub year: Option<i32>,
    /// Published on this day or later; records without a day are left out.
    pub from: Option<NaiveDate>,
    /// Published on this day or earlier; records without a day are left out.
    pub to: Option<NaiveDate>,
}

pub struct MediaItems;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &MediaItemFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(MediaItems::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
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
        query = query.filter(t::published_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::published_on.le(day));
    }
    query
}

/// The organizations of those items that are in scope: one query.
pub fn holders(conn: &mut AnyConnection, scope: &Scope, ids: Vec<Id>) -> Result<HashMap<Id, Id>> {
    let found: Vec<(Id, Id)> =
        query(scope, &MediaItemFilter::default()).filter(t::id.eq_any(ids)).select((t::id, t::organization_id)).load(conn)?;
    Ok(found.into_iter().collect())
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: MediaItemDraft) -> Result<MediaItem> {
    Ok(MediaItem {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        campaign_id: draft.campaign_id,
        title: draft.title,
        kind: draft.kind,
        year: rules::year_of(draft.year, draft.published_on)?,
        published_on: draft.published_on,
        quantity: draft.quantity.unwrap_or(1),
        quantity_precision: draft.quantity_precision.unwrap_or(Precision::Exact),
        version,
        created_at,
        updated_at: now,
    })
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[MediaItemDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&MediaItemDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    check("campaigns", "campaign_id", |draft| draft.campaign_id)?;
    Error::unless_empty(faults)
}

impl Resource for MediaItems {
    const NAME: &'static str = "media_items";
    const LABEL: (&'static str, &'static str) = ("媒体稿件", "media item");
    const AREA: Area = Area::Publicity;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "campaign_id", column: "campaign_code", of: "campaigns" }];

    type View = MediaItem;
    type Draft = MediaItemDraft;
    type Filter = MediaItemFilter;

    reads!(t, MediaItem);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Result<Vec<MediaItem>> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        let rows = rows?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let item = view.clone();
        Ok(MediaItemDraft {
            code: Some(item.code),
            organization_id: item.organization_id,
            campaign_id: item.campaign_id,
            title: item.title,
            kind: item.kind,
            year: Some(item.year),
            published_on: item.published_on,
            quantity: Some(item.quantity),
            quantity_precision: Some(item.quantity_precision),
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        if before.organization_id != after.organization_id {
            media_placements::follow(tx, after.id, after.organization_id)?;
        }
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
