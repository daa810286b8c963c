//! Publicity assets (宣传阵地): one register of venues, of the fixtures that stand in them, and of networks of screens.
//!
//! How far each has come is kept as dated facts ([`super::stages`]), so that a list or a figure can be taken as at a day.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::stages::{self, AdvanceBody, DatedStage, RetractBody, Stage, dated_stages, latest, with, without};
use super::{references, rules};
use crate::db::{Any, AnyConnection, Part, Subset, Tx, grams, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::publicity_assets as t;
use crate::types::{CoordinateSystem, DatePrecision, Id, Instant, Place, Precision, TextEnum, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, Window, deletes, measured, page, reads, save, viewed};

dated_stages!(publicity_asset_stages, publicity_asset_id);

text_enum! {
    /// What an asset is in the large.
    AssetCategory {
        Venue = "venue", "场所", "venue";
        Fixture = "fixture", "设施", "fixture";
        ScreenNetwork = "screen_network", "屏幕网络", "screen network";
    }
}

text_enum! {
    /// What an asset is; each kind belongs to one category.
    AssetKind {
        Park = "park", "主题公园", "park";
        Corridor = "corridor", "文化长廊", "corridor";
        Square = "square", "文化广场", "square";
        Garden = "garden", "游园", "garden";
        MetroStation = "metro_station", "地铁站", "metro station";
        ArtRack = "art_rack", "艺术展架", "art rack";
        BoardSite = "board_site", "宣传展板点", "board site";
        BoardColumn = "board_column", "宣传专栏", "board column";
        ThemeStone = "theme_stone", "主题景石", "theme stone";
        FlagSlogan = "flag_slogan", "道旗标语", "flag slogan";
        NoticeBoard = "notice_board", "展板宣传栏", "notice board";
        CorridorWall = "corridor_wall", "宣传长廊", "corridor wall";
        Bus = "bus", "公交车尾屏", "rear screens of buses";
        Taxi = "taxi", "出租车顶屏", "roof screens of taxis";
        Metro = "metro", "地铁屏", "metro screens";
        StationHall = "station_hall", "车站大厅屏", "screens in station halls";
    }
}

impl AssetKind {
    pub fn category(self) -> AssetCategory {
        match self {
            Self::Park | Self::Corridor | Self::Square | Self::Garden | Self::MetroStation => AssetCategory::Venue,
            Self::ArtRack
            | Self::BoardSite
            | Self::BoardColumn
            | Self::ThemeStone
            | Self::FlagSlogan
            | Self::NoticeBoard
            | Self::CorridorWall => AssetCategory::Fixture,
            Self::Bus | Self::Taxi | Self::Metro | Self::StationHall => AssetCategory::ScreenNetwork,
        }
    }
}

text_enum! {
    /// Who built an asset, and with whose money.
    FundingRoute {
        Government = "government", "政府主导", "government";
        Department = "department", "部门共建", "department";
        Enterprise = "enterprise", "企业出资", "enterprise";
        Association = "association", "协会自建", "association";
    }
}

/// The table's row; a view adds the dated stages and joins the coordinates to a place.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    name: Option<String>,
    category: AssetCategory,
    kind: Option<AssetKind>,
    parent_id: Option<Id>,
    quantity: Option<i64>,
    quantity_precision: Precision,
    unit: Option<String>,
    stage: Stage,
    stage_on: NaiveDate,
    funding_route: Option<FundingRoute>,
    address: Option<String>,
    longitude: Option<f64>,
    latitude: Option<f64>,
    coordinate_system: Option<CoordinateSystem>,
    note: Option<String>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A publicity asset.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicityAsset {
    pub id: Id,
    /// Unique code that people use.
    #[schema(example = "zijingshan-park")]
    pub code: String,
    /// The association that keeps it.
    pub organization_id: Id,
    pub name: Option<String>,
    pub category: AssetCategory,
    /// Null where unknown.
    pub kind: Option<AssetKind>,
    /// The venue that a fixture stands in.
    pub parent_id: Option<Id>,
    /// How many of them this record stands for; null where unknown.
    pub quantity: Option<i64>,
    pub quantity_precision: Precision,
    /// What the quantity counts.
    pub unit: Option<String>,
    /// The latest of `stages`.
    pub stage: Stage,
    /// Since when it has this stage.
    pub stage_on: NaiveDate,
    /// How exactly that day is known.
    pub stage_on_precision: Option<DatePrecision>,
    /// Every stage that is known, in the order of their days.
    pub stages: Vec<DatedStage>,
    pub funding_route: Option<FundingRoute>,
    pub address: Option<String>,
    pub place: Option<Place>,
    pub note: Option<String>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(PublicityAsset {
    fn searched(&self) -> Option<String> {
        self.name.clone()
    }
});

/// What may be written of a publicity asset.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct PublicityAssetDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    #[schema(min_length = 1, max_length = 100)]
    pub name: Option<String>,
    pub category: AssetCategory,
    /// One of the category's kinds; null where unknown.
    pub kind: Option<AssetKind>,
    /// The venue that a fixture stands in; only fixtures have one.
    pub parent_id: Option<Id>,
    /// 1 for a venue when absent; for others null, which is unknown.
    #[schema(minimum = 0, maximum = 1_000_000_000)]
    pub quantity: Option<i64>,
    /// `exact` when absent.
    pub quantity_precision: Option<Precision>,
    #[schema(min_length = 1, max_length = 20)]
    pub unit: Option<String>,
    /// A patch that changes the stage gives `stage_on` as well: on the same day the recorded stage is corrected.
    pub stage: Stage,
    /// Since when it has this stage. Another day adds a dated stage; what is shown as present is the latest.
    pub stage_on: NaiveDate,
    /// `exact` when absent.
    pub stage_on_precision: Option<DatePrecision>,
    pub funding_route: Option<FundingRoute>,
    #[schema(min_length = 1, max_length = 200)]
    pub address: Option<String>,
    pub place: Option<Place>,
    #[schema(min_length = 1, max_length = 1000)]
    pub note: Option<String>,
}

fn whole(draft: &PublicityAssetDraft) -> Result<(), ValidationError> {
    if let Some(kind) = draft.kind.filter(|kind| kind.category() != draft.category) {
        let (kind_zh, kind_en) = kind.label();
        let (zh, en) = kind.category().label();
        return Err(refusal(
            Some("kind"),
            "kind_outside_category",
            &Says::new(
                format!("“{kind_zh}”属于大类“{zh}”；请改种类或大类"),
                format!("'{kind_en}' belongs to the category '{en}'; change the one or the other"),
            ),
        ));
    }
    if draft.parent_id.is_some() && draft.category != AssetCategory::Fixture {
        return Err(refusal(
            Some("parent_id"),
            "parent_of_no_fixture",
            &Says::new("只有设施才填写所在场所；场所和屏幕网络请留空", "only a fixture stands in a venue; leave this empty for others"),
        ));
    }
    Ok(())
}

/// Which publicity assets.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PublicityAssetFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the name, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    #[param(inline)]
    pub category: Option<AssetCategory>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub kind: Option<Vec<AssetKind>>,
    /// One or several, separated by commas: the present stage, or that on the day of `as_at`.
    #[param(inline)]
    pub stage: Option<Vec<Stage>>,
    /// Stages are taken as at this day; without `stage`, those that had any by then.
    pub as_at: Option<NaiveDate>,
    /// The fixtures of this venue.
    pub parent_id: Option<Id>,
    /// The fixtures of the venue with this code.
    pub parent_code: Option<String>,
    #[param(inline)]
    pub funding_route: Option<FundingRoute>,
    /// Narrows nothing: shows the places of this list in this system, and not as they were written.
    #[param(inline)]
    pub coordinate_system: Option<CoordinateSystem>,
}

pub struct PublicityAssets;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &PublicityAssetFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(PublicityAssets::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(category) = filter.category {
        query = query.filter(t::category.eq(category));
    }
    if let Some(kinds) = &filter.kind {
        query = query.filter(t::kind.eq_any(kinds.clone()));
    }
    match (&filter.stage, filter.as_at) {
        (stages, Some(day)) => query = query.filter(dated::as_at(stages.as_deref(), day).holds(t::id)),
        (Some(stages), None) => query = query.filter(t::stage.eq_any(stages.clone())),
        (None, None) => {}
    }
    if let Some(id) = filter.parent_id {
        query = query.filter(t::parent_id.eq(id));
    }
    if let Some(code) = &filter.parent_code {
        let venue = Subset(vec![Part::Sql("SELECT id FROM publicity_assets WHERE code = "), Part::Text(code.clone())]);
        query = query.filter(venue.holds(t::parent_id));
    }
    if let Some(route) = filter.funding_route {
        query = query.filter(t::funding_route.eq(route));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, stage: DatedStage, draft: PublicityAssetDraft) -> Row {
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        name: draft.name,
        category: draft.category,
        kind: draft.kind,
        parent_id: draft.parent_id,
        quantity: draft.quantity.or((draft.category == AssetCategory::Venue).then_some(1)),
        quantity_precision: draft.quantity_precision.unwrap_or(Precision::Exact),
        unit: draft.unit,
        stage: stage.stage,
        stage_on: stage.effective_on,
        funding_route: draft.funding_route,
        address: draft.address,
        longitude: draft.place.map(|place| place.longitude),
        latitude: draft.place.map(|place| place.latitude),
        coordinate_system: draft.place.map(|place| place.coordinate_system),
        note: draft.note,
        version,
        created_at,
        updated_at: now,
    }
}

fn view(row: Row, stages: Vec<DatedStage>) -> PublicityAsset {
    let place = row.longitude.zip(row.latitude).map(|(longitude, latitude)| Place {
        longitude,
        latitude,
        coordinate_system: row.coordinate_system.unwrap_or(CoordinateSystem::Gcj02),
    });
    PublicityAsset {
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        name: row.name,
        category: row.category,
        kind: row.kind,
        parent_id: row.parent_id,
        quantity: row.quantity,
        quantity_precision: row.quantity_precision,
        unit: row.unit,
        stage: row.stage,
        stage_on: row.stage_on,
        stage_on_precision: stages.last().map(|dated| dated.effective_on_precision),
        stages,
        funding_route: row.funding_route,
        address: row.address,
        place,
        note: row.note,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// Rows with their stages: one query for all of them.
fn views(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<PublicityAsset>> {
    let mut stages = dated::of(conn, rows.iter().map(|row| row.id).collect())?;
    Ok(rows.into_iter().map(|row| (stages.remove(&row.id).unwrap_or_default(), row)).map(|(stages, row)| view(row, stages)).collect())
}

fn first_stage(draft: &PublicityAssetDraft) -> DatedStage {
    DatedStage::new(draft.stage, draft.stage_on, draft.stage_on_precision)
}

/// That every asset referred to is in scope and of one category: one query, whatever their number.
pub fn all_of_category(
    conn: &mut AnyConnection,
    scope: &Scope,
    category: AssetCategory,
    wanted: Vec<(String, Option<Id>)>,
    faults: &mut Vec<Fault>,
) -> Result<()> {
    let ids: Vec<Id> = wanted.iter().filter_map(|(_, id)| *id).collect();
    if ids.is_empty() {
        return Ok(());
    }
    let known: Vec<(Id, AssetCategory)> =
        query(scope, &PublicityAssetFilter::default()).filter(t::id.eq_any(ids)).select((t::id, t::category)).load(conn)?;
    let known: std::collections::HashMap<Id, AssetCategory> = known.into_iter().collect();
    for (pointer, id) in wanted.into_iter().filter_map(|(pointer, id)| Some((pointer, id?))) {
        match known.get(&id) {
            None => faults.push(Fault::unknown_reference(pointer)),
            Some(found) if *found != category => {
                let (zh, en) = category.label();
                let says = Says::new(format!("此处应引用大类为“{zh}”的阵地"), format!("this should be an asset of the category '{en}'"));
                faults.push(Fault::new(pointer, "wrong_category", says));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[PublicityAssetDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id)));
    rules::all_in_scope(tx.conn, scope, "organizations", wanted.collect::<Vec<_>>(), &mut faults)?;
    let venues = drafts.iter().enumerate().map(|(i, draft)| (at(i, "parent_id"), draft.parent_id));
    all_of_category(tx.conn, scope, AssetCategory::Venue, venues.collect(), &mut faults)?;
    let dated = drafts.iter().enumerate();
    faults.extend(dated.filter_map(|(i, draft)| stages::ahead(first_stage(draft), tx.now, at(i, "stage_on"))));
    Error::unless_empty(faults)
}

/// Writes the row over itself at its version.
fn save(tx: &mut Tx<'_>, before: &PublicityAsset, after: &Row) -> Result<()> {
    save!(tx, t, before, after)
}

/// `advance`: one more dated stage. Whoever adds a past one leaves the present stage as it is.
fn advance(tx: &mut Tx<'_>, _: &Scope, before: PublicityAsset, body: &Value) -> Result<PublicityAsset> {
    let new: DatedStage = serde_json::from_value::<AdvanceBody>(body.clone()).map_err(Error::internal)?.into();
    Error::unless_empty(stages::ahead(new, tx.now, "/effective_on").into_iter().collect())?;
    let draft = PublicityAssets::draft(tx, &before)?;
    let after = row(before.id, before.version + 1, before.created_at, tx.now, latest(&before.stages, new), draft);
    save(tx, &before, &after)?;
    dated::put(tx.conn, before.id, new)?;
    Ok(view(after, with(&before.stages, new)))
}

/// `retract`: one dated stage less.
fn retract(tx: &mut Tx<'_>, _: &Scope, before: PublicityAsset, body: &Value) -> Result<PublicityAsset> {
    let day = serde_json::from_value::<RetractBody>(body.clone()).map_err(Error::internal)?.effective_on;
    let (rest, present) = without(&before.stages, day)?;
    let draft = PublicityAssets::draft(tx, &before)?;
    let after = row(before.id, before.version + 1, before.created_at, tx.now, present, draft);
    save(tx, &before, &after)?;
    dated::take(tx.conn, before.id, day)?;
    Ok(view(after, rest))
}

impl Resource for PublicityAssets {
    const NAME: &'static str = "publicity_assets";
    const LABEL: (&'static str, &'static str) = ("宣传阵地", "publicity asset");
    const AREA: Area = Area::Publicity;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "parent_id", column: "parent_code", of: "publicity_assets" }];

    type View = PublicityAsset;
    type Draft = PublicityAssetDraft;
    type Filter = PublicityAssetFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows = page!(conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        let mut found = views(conn, rows)?;
        if let Some(system) = filter.coordinate_system {
            found.iter_mut().for_each(|asset| asset.place = asset.place.map(|place| place.converted(system)));
        }
        Ok(found)
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        let row = query(scope, &Self::Filter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?;
        views(conn, vec![row])?.pop().ok_or_else(Error::not_found)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let new: Vec<(Row, DatedStage)> = drafts
            .into_iter()
            .map(|draft| {
                let stage = first_stage(&draft);
                (row(Id::new(), 1, now, now, stage, draft), stage)
            })
            .collect();
        let rows: Vec<Row> = new.iter().map(|(row, _)| row.clone()).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        dated::begin(tx.conn, new.iter().map(|(row, stage)| (row.id, *stage)))?;
        Ok(new.into_iter().map(|(row, stage)| view(row, vec![stage])).collect())
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let asset = view.clone();
        Ok(PublicityAssetDraft {
            code: Some(asset.code),
            organization_id: asset.organization_id,
            name: asset.name,
            category: asset.category,
            kind: asset.kind,
            parent_id: asset.parent_id,
            quantity: asset.quantity,
            quantity_precision: Some(asset.quantity_precision),
            unit: asset.unit,
            stage: asset.stage,
            stage_on: asset.stage_on,
            stage_on_precision: asset.stage_on_precision,
            funding_route: asset.funding_route,
            address: asset.address,
            place: asset.place,
            note: asset.note,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        if draft.parent_id == Some(before.id) {
            return Err(Error::field("/parent_id", "own_parent", "设施不能以自己为所在场所", "a fixture can't stand in itself"));
        }
        // What stands in a venue or is shown on a network relies on its being one.
        if draft.category != before.category && !references::to(tx.conn, Self::NAME, before.id)?.is_empty() {
            return Err(Error::because(
                Code::StillReferenced,
                "仍有设施或投放引用此阵地，不能更改大类；请先处理这些记录",
                "fixtures or placements refer to this asset, so its category can't change; deal with those first",
            ));
        }
        let new = first_stage(&draft);
        let after = row(before.id, before.version + 1, before.created_at, tx.now, latest(&before.stages, new), draft);
        save(tx, before, &after)?;
        if !before.stages.contains(&new) {
            dated::put(tx.conn, before.id, new)?;
        }
        Ok(view(after, with(&before.stages, new)))
    }

    // Its dated stages go with it (`ON DELETE CASCADE`).
    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(match measure {
            Measure::Quantity => measured!(sum conn, query(scope, filter), t, quantity, quantity_precision),
            _ => measured!(conn, query(scope, filter), t, measure),
        })
    }

    fn steps() -> Vec<Step<Self>> {
        vec![
            Step {
                action: Action::Advance,
                summary: "登记阶段（可补登以往阶段） / Record a dated stage, a past one as well",
                body: Some(Shape::of::<AdvanceBody>),
                needs_key: false,
                run: advance,
            },
            Step {
                action: Action::Retract,
                summary: "撤销登记有误的阶段 / Take back a dated stage that proved wrong",
                body: Some(Shape::of::<RetractBody>),
                needs_key: false,
                run: retract,
            },
        ]
    }

    /// Of a single stage nothing can be taken back.
    fn offers(view: &Self::View) -> Vec<Action> {
        let mut offered = vec![Action::Update, Action::Delete, Action::Advance];
        offered.extend((view.stages.len() > 1).then_some(Action::Retract));
        offered
    }
}
