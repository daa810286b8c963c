//! The annual report over HTTP, in the form that the caller accepts.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::annual::{self, AnnualReport};
use super::markdown;
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::Db;
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Area};
use crate::types::Id;
use crate::web::accept;
use crate::web::contract::filter_shape;
use crate::web::query::Pairs;

/// Whose report.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportQuery {
    /// The city association in the caller's reach when absent, or else the highest organization.
    pub organization_id: Option<Id>,
}

const MARKDOWN: &str = "text/markdown";

/// The annual report, computed from the records at this moment: JSON, or Markdown where `Accept` asks for it.
#[utoipa::path(operation_id = "reports_annual", tag = "figures", summary = "年度工作报告 / The annual report",
    params(("year" = i32, Path, description = "The year, 2000 to 2100.", minimum = 2000, maximum = 2100, example = 2022), ReportQuery),
    responses((status = 200, description = "The report.", content((AnnualReport = "application/json"), (String = "text/markdown")))))]
#[get("/reports/annual/{year}")]
pub async fn annual_report(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    facts: web::Data<Facts>,
    year: web::Path<String>,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Figures, Action::Read)?;
    let year: i32 = year.parse().ok().filter(|year| (2000..=2100).contains(year)).ok_or_else(|| {
        Error::because(
            Code::InvalidParameter,
            "年度应为 2000 到 2100 的整数，如 2022",
            "the year is a whole number from 2000 to 2100, as 2022",
        )
    })?;
    let query = Pairs::parse(request.query_string())?.into_json(&filter_shape::<ReportQuery>())?;
    let query: ReportQuery = serde_json::from_value(query).map_err(Error::internal)?;
    let form = accept::preferred(request.headers(), &["application/json", MARKDOWN])?;
    let tree = db.tree().clone();
    let report = db.read(move |conn| annual::compute(conn, &scope, &tree, query.organization_id, year)).await?;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "Accept, Accept-Language"));
    if form == MARKDOWN {
        return Ok(response.content_type("text/markdown; charset=utf-8").body(markdown::render(
            &report,
            &facts.public_url,
            caller.language,
        )));
    }
    Ok(response.json(report))
}
