//! The catalogue over HTTP, and one figure with the address of the records behind it.

use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::catalogue::{self, Definition, FigureKind, Span};
use super::compute::{self, Figure, Ground};
use crate::auth::Caller;
use crate::db::Db;
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Area};
use crate::types::{Id, Month};
use crate::web::Measure;
use crate::web::contract::filter_shape;
use crate::web::query::Pairs;
use crate::web::verbs::named;

/// A definition, as the catalogue shows it.
#[derive(Serialize, ToSchema)]
pub struct FigureDefinition {
    #[schema(example = "four_ones.volunteer_teams")]
    code: &'static str,
    /// Chapter of the annual report.
    section: u8,
    label_zh: &'static str,
    label_en: &'static str,
    #[schema(example = "team")]
    unit: &'static str,
    /// The unit as it is written after the number.
    #[schema(example = "支")]
    unit_zh: &'static str,
    kind: FigureKind,
    /// The resource whose records are behind it, as in its address.
    resource: String,
    measure: Measure,
}

/// The catalogue.
#[derive(Serialize, ToSchema)]
pub struct Catalogue {
    items: Vec<FigureDefinition>,
}

fn served() -> impl Iterator<Item = &'static Definition> {
    catalogue::FIGURES.iter().filter(|definition| named(definition.resource).is_some())
}

/// The figures that can be computed: those whose records this service holds.
#[utoipa::path(operation_id = "figures_list", tag = "figures", summary = "指标目录 / The catalogue of figures",
    responses((status = 200, description = "The catalogue.", body = Catalogue)))]
#[get("/figures")]
pub async fn catalogue_of(caller: Caller) -> Result<HttpResponse> {
    caller.actor.may(Area::Figures, Action::Read)?;
    let items = served()
        .map(|d| FigureDefinition {
            code: d.code,
            section: d.section,
            label_zh: d.label_zh,
            label_en: d.label_en,
            unit: d.unit,
            unit_zh: catalogue::unit(d.unit).0,
            kind: d.kind,
            resource: d.resource.replace('_', "-"),
            measure: d.measure,
        })
        .collect();
    Ok(HttpResponse::Ok().json(Catalogue { items }))
}

/// Which year and whose.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct FigureQuery {
    /// The year; a stock is taken at its last day.
    #[param(minimum = 2000, maximum = 2100, example = 2022)]
    pub year: i32,
    /// One month of it, from 1 to 12; a stock is then taken at its last day.
    #[param(minimum = 1, maximum = 12, example = 6)]
    pub month: Option<u32>,
    /// The city association in the caller's reach when absent, or else the highest organization.
    pub organization_id: Option<Id>,
}

/// One figure, with the address of its records.
#[utoipa::path(operation_id = "figures_get", tag = "figures", summary = "计算一项指标 / Compute one figure",
    params(("code" = String, Path, description = "Code of the figure.", example = "four_ones.volunteer_teams"), FigureQuery),
    responses((status = 200, description = "The figure.", body = Figure)))]
#[get("/figures/{code}")]
pub async fn one(request: HttpRequest, caller: Caller, db: web::Data<Db>, code: web::Path<String>) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Figures, Action::Read)?;
    let definition = served().find(|d| d.code == *code).ok_or_else(|| {
        Error::because(Code::NotFound, "没有此指标；目录见 /api/v1/figures", "there is no such figure; see /api/v1/figures")
    })?;
    let value = Pairs::parse(request.query_string())?.into_json(&filter_shape::<FigureQuery>())?;
    let query: FigureQuery = serde_json::from_value(value)
        .map_err(|_| Error::because(Code::InvalidParameter, "请给出年度，如 year=2022", "give the year, as in year=2022"))?;
    let span = match query.month {
        None => Span::Year(query.year),
        Some(number) => Span::Month(Month::new(query.year, number).ok_or_else(|| Error::new(Code::InvalidParameter))?),
    };
    let tree = db.tree().clone();
    let figure = db
        .read(move |conn| {
            let ground = Ground::of(conn, &scope, &tree, query.organization_id)?;
            Ok(compute::figures(conn, &ground, [definition], span)?.pop())
        })
        .await?;
    Ok(HttpResponse::Ok().json(figure.ok_or_else(|| Error::internal("a figure was not computed"))?))
}
