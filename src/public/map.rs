//! What the public finds on the map: publicity assets that are finished, and workstations that work.

use actix_web::{HttpRequest, HttpResponse, get, web};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::api::told;
use super::store;
use crate::db::{Any, AnyConnection, Db, Tree};
use crate::error::{Error, Result};
use crate::policy::{Purpose, Scope};
use crate::resources::publicity_assets::AssetKind;
use crate::resources::workstations::HostKind;
use crate::schema::{publicity_assets as a, workstations as w};
use crate::types::{CoordinateSystem, Id, Place, text_enum};
use crate::web::contract::filter_shape;
use crate::web::query::Pairs;
use crate::web::{Window, page};

text_enum! {
    /// What is shown on the map.
    MapLayer {
        PublicityAssets = "publicity_assets", "宣传阵地", "publicity assets";
        Workstations = "workstations", "工作站", "workstations";
    }
}

text_enum! {
    /// GeoJSON's word for a list of features.
    CollectionType {
        FeatureCollection = "FeatureCollection", "要素集", "feature collection";
    }
}

text_enum! {
    /// GeoJSON's word for something with a place.
    FeatureType {
        Feature = "Feature", "要素", "feature";
    }
}

text_enum! {
    /// GeoJSON's word for a place of one position.
    PointType {
        Point = "Point", "点", "point";
    }
}

/// A place: longitude and latitude in degrees.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapPoint {
    #[serde(rename = "type")]
    kind: PointType,
    #[schema(min_items = 2, max_items = 2, example = json!([113.6861302, 34.7589225]))]
    coordinates: Vec<f64>,
}

/// What is told of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapProperties {
    layer: MapLayer,
    #[schema(example = "zijingshan-park")]
    code: String,
    name: Option<String>,
    /// Of a publicity asset.
    asset_kind: Option<AssetKind>,
    /// Of a workstation: where it is.
    host_kind: Option<HostKind>,
    address: Option<String>,
    organization_code: String,
    organization_name: String,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapFeature {
    #[serde(rename = "type")]
    kind: FeatureType,
    id: Id,
    geometry: MapPoint,
    properties: MapProperties,
}

/// A page of the map, as GeoJSON.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MapPage {
    #[serde(rename = "type")]
    kind: CollectionType,
    features: Vec<MapFeature>,
    /// Of what the coordinates are.
    coordinate_system: CoordinateSystem,
    /// Give it as `cursor` for the next page; null on the last.
    next_cursor: Option<String>,
}

/// What of the map.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct MapFilter {
    /// `publicity_assets` when absent.
    #[param(inline)]
    layer: Option<MapLayer>,
    /// The organization with this code, and all below it.
    #[param(example = "zz")]
    organization_code: Option<String>,
    /// `gcj02` when absent, which the usual maps of China use.
    #[param(inline)]
    coordinate_system: Option<CoordinateSystem>,
}

/// Where it is, and what; the same of either layer.
struct Found {
    id: Id,
    organization_id: Id,
    code: String,
    name: Option<String>,
    asset_kind: Option<AssetKind>,
    host_kind: Option<HostKind>,
    address: Option<String>,
    place: Place,
}

/// The columns of a place, none of them null: that is what the layers are narrowed by.
type Located = (Option<f64>, Option<f64>, Option<CoordinateSystem>);

fn place((longitude, latitude, system): Located) -> Result<Place> {
    let (longitude, latitude) = longitude.zip(latitude).ok_or_else(|| Error::internal("a place on the map without degrees"))?;
    Ok(Place { longitude, latitude, coordinate_system: system.unwrap_or(CoordinateSystem::Gcj02) })
}

// The conditions are written out as in the partial indexes of the map: a plan for all values could use these for none.

fn assets(conn: &mut AnyConnection, scope: &Scope, below: Option<Id>, window: &Window) -> Result<Vec<Found>> {
    type Row = (Id, Id, String, Option<String>, Option<AssetKind>, Option<String>, Located);
    let query = || {
        a::table
            .into_boxed::<Any>()
            .filter(sql::<Bool>("publicity_assets.longitude IS NOT NULL AND publicity_assets.stage = 'completed'"))
            .filter(scope.within(below, None).holds(a::organization_id))
    };
    let columns = (a::id, a::organization_id, a::code, a::name, a::kind, a::address, (a::longitude, a::latitude, a::coordinate_system));
    let rows: Vec<Row> = page!(in_time conn, scope, query(), a, window, rows => rows.select(columns));
    rows.into_iter()
        .map(|(id, organization_id, code, name, asset_kind, address, located)| {
            Ok(Found { id, organization_id, code, name, asset_kind, host_kind: None, address, place: place(located)? })
        })
        .collect()
}

fn stations(conn: &mut AnyConnection, scope: &Scope, below: Option<Id>, window: &Window) -> Result<Vec<Found>> {
    type Row = (Id, Id, String, String, HostKind, Option<String>, Located);
    let query = || {
        w::table
            .into_boxed::<Any>()
            .filter(sql::<Bool>("workstations.longitude IS NOT NULL AND workstations.status = 'active'"))
            .filter(scope.within(below, None).holds(w::organization_id))
    };
    let columns =
        (w::id, w::organization_id, w::code, w::name, w::host_kind, w::address, (w::longitude, w::latitude, w::coordinate_system));
    let rows: Vec<Row> = page!(in_time conn, scope, query(), w, window, rows => rows.select(columns));
    rows.into_iter()
        .map(|(id, organization_id, code, name, host_kind, address, located)| {
            let (name, host_kind) = (Some(name), Some(host_kind));
            Ok(Found { id, organization_id, code, name, asset_kind: None, host_kind, address, place: place(located)? })
        })
        .collect()
}

fn features(conn: &mut AnyConnection, tree: &Tree, filter: &MapFilter, window: &Window) -> Result<MapPage> {
    let system = filter.coordinate_system.unwrap_or(CoordinateSystem::Gcj02);
    let layer = filter.layer.unwrap_or(MapLayer::PublicityAssets);
    let empty = MapPage { kind: CollectionType::FeatureCollection, features: Vec::new(), coordinate_system: system, next_cursor: None };
    let below = match &filter.organization_code {
        None => None,
        Some(code) => match store::organization_coded(conn, code)? {
            None => return Ok(empty),
            found => found,
        },
    };
    let scope = Scope::of_public().fitted(conn, tree, below, Purpose::Page)?;
    let mut found = match layer {
        MapLayer::PublicityAssets => assets(conn, &scope, below, window)?,
        MapLayer::Workstations => stations(conn, &scope, below, window)?,
    };
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found.last().filter(|_| more).map(|last| window.cursor_after(last.id, ""));
    let names = store::organization_names(conn, found.iter().map(|found| found.organization_id).collect())?;
    let features = found
        .into_iter()
        .map(|found| {
            let place = found.place.converted(system);
            let (organization_code, organization_name) = names.get(&found.organization_id).cloned().unwrap_or_default();
            MapFeature {
                kind: FeatureType::Feature,
                id: found.id,
                geometry: MapPoint { kind: PointType::Point, coordinates: vec![place.longitude, place.latitude] },
                properties: MapProperties {
                    layer,
                    code: found.code,
                    name: found.name,
                    asset_kind: found.asset_kind,
                    host_kind: found.host_kind,
                    address: found.address,
                    organization_code,
                    organization_name,
                },
            }
        })
        .collect();
    Ok(MapPage { features, next_cursor, ..empty })
}

/// A page of what stands on the map, the newest first.
#[utoipa::path(operation_id = "public_map", tag = "public", summary = "公开地图（GeoJSON） / The map, as GeoJSON", security(()),
    params(MapFilter,
        ("limit" = Option<i64>, Query, description = "Features a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before, with the same filter."),
        ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses((status = 200, description = "A page.", body = MapPage,
        headers(("ETag" = String, description = "Of these words."), ("Cache-Control" = String, description = "`public, max-age=60`."))),
        (status = 304, description = "The caller's copy is the present one.")))]
#[get("/public/map")]
pub async fn map(request: HttpRequest, db: web::Data<Db>) -> Result<HttpResponse> {
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &[])?;
    let filter = pairs.into_json(&filter_shape::<MapFilter>())?;
    let filter: MapFilter = serde_json::from_value(filter).map_err(Error::internal)?;
    let tree = db.tree().clone();
    let page = db.read(move |conn| features(conn, &tree, &filter, &window)).await?;
    told(&request, &page)
}
