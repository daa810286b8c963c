//! The annual report over HTTP, in the form that the caller accepts.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, web};
use serde::Deserialize;
use utoipa::IntoParams;

use super::annual::{self, AnnualReport, Charts};
use super::charts::{self, Chart, ChartCode};
use super::{docx, markdown, pictures, xlsx};
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::Db;
use crate::error::{Code, Error, Language, Result};
use crate::figures::Ground;
use crate::files::attached;
use crate::policy::{Action, Area};
use crate::types::{Id, TextEnum, text_enum};
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
    /// The form, where it isn't told by `Accept`: a link in a browser can't.
    #[param(inline)]
    pub format: Option<ReportForm>,
}

text_enum! {
    /// The form of a report.
    ReportForm {
        Json = "json", "数据", "data";
        Markdown = "markdown", "Markdown 文本", "Markdown";
        Docx = "docx", "Word 文档", "Word document";
        Xlsx = "xlsx", "Excel 工作簿", "Excel workbook";
        Svg = "svg", "矢量图", "drawing";
        Png = "png", "图片", "picture";
    }
}

text_enum! {
    /// The form of a chart.
    ChartForm {
        Json = "json", "数据", "data";
        Svg = "svg", "矢量图", "drawing";
        Png = "png", "图片", "picture";
    }
}

/// Whose chart.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ChartQuery {
    /// The city association in the caller's reach when absent, or else the highest organization.
    pub organization_id: Option<Id>,
    /// The form, where it isn't told by `Accept`: a link in a browser can't.
    #[param(inline)]
    pub format: Option<ChartForm>,
}

const JSON: &str = "application/json";
const SVG: &str = "image/svg+xml";
const PNG: &str = "image/png";
const MARKDOWN: &str = "text/markdown";
pub const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

impl ReportForm {
    /// The form that a caller accepts.
    pub fn of(request: &HttpRequest) -> Result<Self> {
        Ok(match accept::preferred(request.headers(), &[JSON, MARKDOWN, DOCX, XLSX, SVG, PNG])? {
            MARKDOWN => Self::Markdown,
            DOCX => Self::Docx,
            XLSX => Self::Xlsx,
            SVG => Self::Svg,
            PNG => Self::Png,
            _ => Self::Json,
        })
    }

    /// Whether it shows the charts.
    fn charts(self) -> Charts {
        match self {
            Self::Docx | Self::Svg | Self::Png => Charts::With,
            Self::Json | Self::Markdown | Self::Xlsx => Charts::Without,
        }
    }
}

impl ChartForm {
    fn of(request: &HttpRequest) -> Result<Self> {
        Ok(match accept::preferred(request.headers(), &[JSON, SVG, PNG])? {
            SVG => Self::Svg,
            PNG => Self::Png,
            _ => Self::Json,
        })
    }
}

/// The year in a path.
pub fn year_of(text: &str) -> Result<i32> {
    text.parse().ok().filter(|year| (2000..=2100).contains(year)).ok_or_else(|| {
        Error::because(
            Code::InvalidParameter,
            "年度应为 2000 到 2100 的整数，如 2022",
            "the year is a whole number from 2000 to 2100, as 2022",
        )
    })
}

/// The annual report, computed from the records at this moment: JSON, or what `Accept` or `format` asks for. The document is laid out after
/// GB/T 9704-2012, its charts behind the text; the workbook has a sheet for each chapter and one of definitions; the picture has the charts
/// and every figure on one page.
#[utoipa::path(operation_id = "reports_annual", tag = "figures", summary = "年度工作报告 / The annual report",
    params(("year" = i32, Path, description = "The year, 2000 to 2100.", minimum = 2000, maximum = 2100, example = 2022), ReportQuery),
    responses((status = 200, description = "The report.", 
        content((AnnualReport = "application/json"), (String = "text/markdown"),
            (String = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), (String = "image/svg+xml"),
            (String = "image/png")))))]
#[get("/reports/annual/{year}")]
pub async fn annual_report(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    facts: web::Data<Facts>,
    year: web::Path<String>,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Figures, Action::Read)?;
    let year = year_of(&year)?;
    let query = Pairs::parse(request.query_string())?.into_json(&filter_shape::<ReportQuery>())?;
    let query: ReportQuery = serde_json::from_value(query).map_err(Error::internal)?;
    let form = query.format.map_or_else(|| ReportForm::of(&request), Ok)?;
    let tree = db.tree().clone();
    let report = db.read(move |conn| annual::compute(conn, &scope, &tree, query.organization_id, year, form.charts())).await?;
    answer(&db, &facts, report, form, caller.language).await
}

fn no_chart() -> Error {
    let known = |label: fn(&(&str, &str, &str)) -> String| ChartCode::ENTRIES.iter().map(label).collect::<Vec<_>>();
    Error::because(
        Code::NotFound,
        format!("没有这种图表；可用：{}", known(|(code, zh, _)| format!("{code}（{zh}）")).join("、")),
        format!("there is no such chart; there are: {}", known(|(code, _, en)| format!("{code} ({en})")).join(", ")),
    )
}

/// A chart of the year: its numbers, each with the address of the records behind it, or the drawing. `counties` shows the teams and the
/// volunteers of each organization right below at the year's end, those with the most volunteers first; `publicity` and `welfare` what was
/// published and paid in the year and in the one before; `trend` teams and volunteers at the end of each month that has begun.
#[utoipa::path(operation_id = "reports_annual_chart", tag = "figures", summary = "年度图表 / A chart of the year",
    params(("year" = i32, Path, description = "The year, 2000 to 2100.", minimum = 2000, maximum = 2100, example = 2022),
        ("chart" = inline(ChartCode), Path, description = "Which chart."), ChartQuery),
    responses((status = 200, description = "The chart.",
        content((Chart = "application/json"), (String = "image/svg+xml"), (String = "image/png")))))]
#[get("/reports/annual/{year}/charts/{chart}")]
pub async fn annual_chart(
    request: HttpRequest,
    caller: Caller,
    db: web::Data<Db>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse> {
    let scope = caller.actor.may(Area::Figures, Action::Read)?;
    let (year, chart) = path.into_inner();
    let year = year_of(&year)?;
    let chart = ChartCode::from_code(&chart).ok_or_else(no_chart)?;
    let query = Pairs::parse(request.query_string())?.into_json(&filter_shape::<ChartQuery>())?;
    let query: ChartQuery = serde_json::from_value(query).map_err(Error::internal)?;
    let form = query.format.map_or_else(|| ChartForm::of(&request), Ok)?;
    let tree = db.tree().clone();
    let chart = db
        .read(move |conn| {
            let ground = Ground::of(conn, &scope, &tree, query.organization_id)?;
            charts::compute(conn, &ground, chart, year)
        })
        .await?;
    let zh = caller.language == Language::Zh;
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "Accept, Accept-Language"));
    match form {
        ChartForm::Json => Ok(response.json(chart)),
        ChartForm::Svg => {
            let svg = db.block_long(move || pictures::chart(&chart, zh)).await?;
            Ok(response.content_type(SVG).body(pictures::for_browsers(&svg)))
        }
        ChartForm::Png => {
            let png = db.block_long(move || pictures::png(&pictures::chart(&chart, zh)?, pictures::WIDTH)).await?;
            Ok(response.content_type(PNG).body(png))
        }
    }
}

/// A report in the form that was asked for.
pub async fn answer(db: &Db, facts: &Facts, report: AnnualReport, form: ReportForm, language: Language) -> Result<HttpResponse> {
    let mut response = HttpResponse::Ok();
    response.insert_header((header::VARY, "Accept, Accept-Language"));
    let base = facts.public_url.clone();
    let zh = language == Language::Zh;
    let name = if zh { &report.title_zh } else { &report.title_en };
    let named = |ending: &str| attached(&format!("{name}.{ending}"));
    match form {
        ReportForm::Json => Ok(response.json(report)),
        ReportForm::Markdown => Ok(response.content_type("text/markdown; charset=utf-8").body(markdown::render(&report, &base, language))),
        ReportForm::Docx => {
            response.content_type(DOCX).insert_header(named("docx"));
            Ok(response.body(db.block_long(move || docx::render(&report, &base, language)).await?))
        }
        ReportForm::Xlsx => {
            response.content_type(XLSX).insert_header(named("xlsx"));
            Ok(response.body(db.block_long(move || xlsx::render(&report, &base, language)).await?))
        }
        ReportForm::Svg => {
            let svg = db.block_long(move || pictures::poster(&report, &base, zh)).await?;
            Ok(response.content_type(SVG).body(pictures::for_browsers(&svg)))
        }
        ReportForm::Png => {
            let drawn = db.block_long(move || pictures::png(&pictures::poster(&report, &base, zh)?, pictures::POSTER_WIDTH));
            Ok(response.content_type(PNG).body(drawn.await?))
        }
    }
}
