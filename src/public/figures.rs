//! What the public is told in numbers: the figures of the catalogue, but for those of welfare. Of people who were helped the
//! public learns by notices alone, in which a county's three children on a summer camp can't be counted out.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant as Clock};

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::{Datelike, NaiveDate};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::api::told;
use super::store;
use crate::db::Db;
use crate::error::{Code, Error, Fault, Result, Says};
use crate::figures::{self as computed, Definition, FIGURES, Figure, FigureKind, Ground, Holder, Period, Span};
use crate::policy::{Area, Scope};
use crate::types::{Id, Instant, Precision, business_today};
use crate::web::contract::filter_shape;
use crate::web::query::Pairs;
use crate::web::verbs::named;

/// Computed for anybody who asks, a figure is remembered for so long: as long as an answer may be kept on its way.
const REMEMBER: Duration = Duration::from_secs(60);
/// Years and organizations that are remembered.
const REMEMBERED: usize = 200;

/// A figure, for the public.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicFigure {
    #[schema(example = "four_ones.volunteer_teams")]
    pub code: Cow<'static, str>,
    pub label_zh: Cow<'static, str>,
    pub label_en: Cow<'static, str>,
    /// Null where nothing is known.
    pub value: Option<i64>,
    #[schema(example = "team")]
    pub unit: Cow<'static, str>,
    /// The unit as it is written after the number.
    #[schema(example = "支")]
    pub unit_zh: Cow<'static, str>,
    #[schema(example = "teams")]
    pub unit_en: Cow<'static, str>,
    pub precision: Precision,
    pub kind: FigureKind,
    /// The day, of a stock.
    pub as_at: Option<NaiveDate>,
    /// The days, of a flow.
    pub period: Option<Period>,
}

impl From<Figure> for PublicFigure {
    fn from(figure: Figure) -> Self {
        Self {
            code: figure.code,
            label_zh: figure.label_zh,
            label_en: figure.label_en,
            value: figure.value,
            unit_en: computed::unit(&figure.unit).1.into(),
            unit: figure.unit,
            unit_zh: figure.unit_zh,
            precision: figure.precision,
            kind: figure.kind,
            as_at: figure.as_at,
            period: figure.period,
        }
    }
}

/// Figures of an organization and all below it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicFigures {
    pub year: i32,
    /// Null as long as there is no organization at all.
    pub organization_code: Option<String>,
    pub organization_name: Option<String>,
    pub items: Vec<PublicFigure>,
}

/// Whose, and of which year.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PublicFigureFilter {
    /// The present year when absent; a stock is taken at its last day.
    #[param(minimum = 2000, maximum = 2100, example = 2022)]
    pub year: Option<i32>,
    /// The city association when absent.
    #[param(example = "zz")]
    pub organization_code: Option<String>,
}

/// What was computed a moment ago.
#[derive(Default)]
pub struct Remembered(Mutex<HashMap<PublicFigureFilter, (Clock, PublicFigures)>>);

impl Remembered {
    fn get(&self, filter: &PublicFigureFilter) -> Option<PublicFigures> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(filter).filter(|(at, _)| at.elapsed() < REMEMBER).map(|(_, known)| known.clone())
    }

    fn put(&self, filter: PublicFigureFilter, computed: PublicFigures) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.retain(|_, (at, _)| at.elapsed() < REMEMBER);
        }
        if known.len() < REMEMBERED {
            known.insert(filter, (Clock::now(), computed));
        }
    }
}

/// Numbers of an organization and all below it, computed from the records as they are.
#[utoipa::path(operation_id = "public_figures", tag = "public", summary = "公开数据 / Figures for the public", security(()),
    params(PublicFigureFilter, ("If-None-Match" = Option<String>, Header, description = "An ETag that the caller holds.")),
    responses((status = 200, description = "The figures, at most a minute old.", body = PublicFigures,
        headers(("ETag" = String, description = "Of these words."), ("Cache-Control" = String, description = "`public, max-age=60`."))),
        (status = 304, description = "The caller's copy is the present one.")))]
#[get("/public/figures")]
pub async fn figures(request: HttpRequest, db: web::Data<Db>, remembered: web::Data<Remembered>) -> Result<HttpResponse> {
    let filter = Pairs::parse(request.query_string())?.into_json(&filter_shape::<PublicFigureFilter>())?;
    let mut filter: PublicFigureFilter = serde_json::from_value(filter).map_err(Error::internal)?;
    let year = *filter.year.get_or_insert_with(|| business_today(Instant::now()).year());
    if let Some(known) = remembered.get(&filter) {
        return told(&request, &known);
    }
    let (tree, code) = (db.tree().clone(), filter.organization_code.clone());
    let fresh = db
        .read(move |conn| {
            let scope = Scope::of_public();
            let asked: Option<Id> = match &code {
                None => None,
                Some(code) => Some(store::organization_coded(conn, code)?.ok_or_else(|| unknown_organization(code))?),
            };
            let ground = match Ground::of(conn, &scope, &tree, asked) {
                Err(error) if error.code == Code::NotFound => {
                    return Ok(PublicFigures { year, organization_code: None, organization_name: None, items: Vec::new() });
                }
                ground => ground?,
            };
            let is_public = |definition: &&_| is_public(definition) && ground.reports(definition);
            let found = computed::figures(conn, &ground, FIGURES.iter().filter(is_public), Span::Year(year))?;
            Ok(PublicFigures {
                year,
                organization_code: Some(ground.organization.code.clone()),
                organization_name: Some(ground.organization.name.clone()),
                items: found.into_iter().map(PublicFigure::from).collect(),
            })
        })
        .await?;
    remembered.put(filter, fresh.clone());
    told(&request, &fresh)
}

fn unknown_organization(code: &str) -> Error {
    let says = Says::new(format!("没有编码为“{code}”的组织"), format!("there is no organization with the code '{code}'"));
    Error::with_faults(Code::InvalidParameter, vec![Fault::new("/organization_code", "unknown_reference", says)])
}

/// Whether the public is told a figure.
fn is_public(definition: &Definition) -> bool {
    definition.kind != FigureKind::Standard
        && !matches!(definition.holder, Holder::Part(_))
        && named(definition.resource).is_some_and(|verbs| verbs.area() != Area::Welfare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_those_who_were_helped() {
        let told: Vec<&str> = FIGURES.iter().filter(|definition| is_public(definition)).map(|definition| definition.code).collect();
        assert!(told.contains(&"four_ones.volunteers") && told.len() > 20, "{told:?}");
        assert!(told.iter().all(|code| !code.starts_with("welfare.")), "{told:?}");
    }
}
