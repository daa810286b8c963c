//! The catalogue over HTTP, and one figure with the address of the records behind it.

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::catalogue::{self, Definition, FigureKind, Holder};
use crate::auth::Caller;
use crate::db::{AnyConnection, Db};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Area, Scope};
use crate::schema::{organization_closure, organizations};
use crate::types::{Id, Precision};
use crate::web::contract::filter_shape;
use crate::web::query::Pairs;
use crate::web::verbs::named;
use crate::web::{Measure, Measured};

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
    /// The city association in the caller's reach when absent, or else the highest organization.
    pub organization_id: Option<Id>,
}

/// An organization, in short.
#[derive(Debug, Clone, Serialize, Queryable, ToSchema)]
pub struct OrganizationBrief {
    pub id: Id,
    pub code: String,
    pub name: String,
    pub short_name: Option<String>,
}

/// A figure, computed now.
#[derive(Serialize, ToSchema)]
pub struct Figure {
    code: &'static str,
    label_zh: &'static str,
    label_en: &'static str,
    /// Null where nothing is known.
    value: Option<i64>,
    unit: &'static str,
    precision: Precision,
    kind: FigureKind,
    /// The day, of a stock.
    as_at: Option<NaiveDate>,
    year: i32,
    /// For which organization and all below it.
    organization: OrganizationBrief,
    /// The organizations that hold the records.
    holders: Vec<OrganizationBrief>,
    /// How many records are behind it.
    records: i64,
    /// The list of these records: the very filter that was computed over.
    records_url: String,
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
    let figure = db.read(move |conn| compute(conn, &scope, definition, query.year, query.organization_id)).await?;
    Ok(HttpResponse::Ok().json(figure))
}

/// Computes a figure in scope.
pub fn compute(conn: &mut AnyConnection, scope: &Scope, definition: &'static Definition, year: i32, asked: Option<Id>) -> Result<Figure> {
    let brief = (organizations::id, organizations::code, organizations::name, organizations::short_name);
    let in_reach = || organizations::table.filter(scope.organizations().holds(organizations::id));
    let mut organization: OrganizationBrief = match (asked, definition.holder) {
        (Some(id), _) => in_reach().filter(organizations::id.eq(id)).select(brief).first(conn)?,
        (None, _) => {
            let city = in_reach().filter(organizations::kind.eq("city_association")).order(organizations::code).select(brief).first(conn);
            match city.optional()? {
                Some(city) => city,
                None => in_reach().order(organizations::id).select(brief).first(conn)?,
            }
        }
    };
    if let Holder::Part(code) = definition.holder {
        // A part is of one organization, which must lie below the one asked for.
        organization = in_reach()
            .inner_join(organization_closure::table.on(organization_closure::descendant_id.eq(organizations::id)))
            .filter(organization_closure::ancestor_id.eq(organization.id))
            .filter(organizations::code.eq(code))
            .select(brief)
            .first(conn)?;
    }
    let mut parameters: Vec<(String, String)> = definition.filter.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    parameters.push(("organization_id".into(), organization.id.to_string()));
    match definition.holder {
        Holder::City => parameters.push(("organization_level".into(), "city".into())),
        Holder::Counties => parameters.push(("organization_level".into(), "county".into())),
        Holder::All | Holder::Part(_) => {}
    }
    parameters.extend(definition.time(year).map(|(name, value)| (name.to_owned(), value)));
    let verbs = named(definition.resource).ok_or_else(|| Error::internal("a figure without a resource"))?;
    let filter = Pairs(parameters.clone()).into_json(verbs.filter_shape())?;
    let Measured { value, precision, records, holders } = verbs.measure(conn, scope, filter, definition.measure)?;
    let holders = organizations::table.filter(organizations::id.eq_any(holders)).order(organizations::code).select(brief).load(conn)?;
    let query = serde_urlencoded::to_string(&parameters).map_err(Error::internal)?;
    Ok(Figure {
        code: definition.code,
        label_zh: definition.label_zh,
        label_en: definition.label_en,
        value,
        unit: definition.unit,
        precision,
        kind: definition.kind,
        as_at: (definition.kind == FigureKind::Stock).then(|| NaiveDate::from_ymd_opt(year, 12, 31)).flatten(),
        year,
        organization,
        holders,
        records,
        records_url: format!("/api/v1/{}?{query}", definition.resource.replace('_', "-")),
    })
}
