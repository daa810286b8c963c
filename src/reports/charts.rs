//! The charts of a year (图表): what is worth seeing at a glance, each number a figure like those of the report, with the address of the
//! records behind it. How they are drawn is told in [`super::pictures`].

use chrono::Datelike;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::db::AnyConnection;
use crate::error::Result;
use crate::figures::{self, Definition, FigureKind, FigureValue, Ground, Holder, Span};
use crate::resources::media_items::MediaItemKind;
use crate::resources::welfare_programmes::ProgrammeKind;
use crate::types::{Instant, Month, Precision, TextEnum, business_today, text_enum};
use crate::web::Measure;

text_enum! {
    /// A chart of the annual report.
    ChartCode {
        Counties = "counties", "各单位志愿者队伍与志愿者", "volunteer teams and volunteers by organization";
        Publicity = "publicity", "宣传报道（按渠道）", "publicity by channel";
        Welfare = "welfare", "福利支出（按类别）", "welfare by kind";
        Trend = "trend", "志愿者与队伍（按月）", "volunteers and teams by month";
    }
}

/// The most organizations that one chart shows; it tells how many there are.
const SHOWN: usize = 40;

/// A chart: for each category a value of each series.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Chart {
    pub chart: ChartCode,
    #[schema(example = "2022 年宣传报道（按渠道）")]
    pub title_zh: String,
    #[schema(example = "Publicity by channel, 2022")]
    pub title_en: String,
    pub categories: Vec<ChartCategory>,
    /// How many there are; more than are shown where organizations are many.
    pub categories_total: usize,
    pub series: Vec<ChartSeries>,
}

/// What stands at one place of the axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartCategory {
    #[schema(example = "抖音视频")]
    pub label_zh: String,
    #[schema(example = "Douyin video")]
    pub label_en: String,
}

/// Values of one kind, one for each category in its order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartSeries {
    #[schema(example = "2022 年")]
    pub name_zh: String,
    #[schema(example = "2022")]
    pub name_en: String,
    #[schema(example = "item")]
    pub unit: String,
    pub values: Vec<ChartValue>,
}

/// A value, and the records behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChartValue {
    /// Null where nothing is known.
    pub value: Option<i64>,
    pub precision: Precision,
    pub records_url: String,
}

impl From<(FigureValue, String)> for ChartValue {
    fn from((FigureValue { value, precision }, records_url): (FigureValue, String)) -> Self {
        Self { value, precision, records_url }
    }
}

/// What a chart sums up is in no catalogue where it is a part of a figure, or a figure of all organizations alike.
const fn charted(kind: FigureKind, resource: &'static str, unit: &'static str, measure: Measure) -> Definition {
    Definition { code: "", section: 0, label_zh: "", label_en: "", unit, kind, resource, filter: &[], measure, holder: Holder::All }
}

static TEAMS: Definition = charted(FigureKind::Stock, "volunteer_teams", "team", Measure::Count);
static VOLUNTEERS: Definition = charted(FigureKind::Stock, "volunteers", "person", Measure::Count);
static MEDIA: Definition = charted(FigureKind::Flow, "media_items", "item", Measure::Quantity);
static MONEY: Definition =
    Definition { filter: &[("state", "paid,delivered,acknowledged")], ..charted(FigureKind::Flow, "disbursements", "fen", Measure::Fen) };

/// Computes one chart; where it has no categories there is nothing to show.
pub fn compute(conn: &mut AnyConnection, ground: &Ground, chart: ChartCode, year: i32) -> Result<Chart> {
    match chart {
        ChartCode::Counties => by_organization(conn, ground, year),
        ChartCode::Publicity => by_kind::<MediaItemKind>(conn, ground, chart, &MEDIA, "kind", year),
        ChartCode::Welfare => by_kind::<ProgrammeKind>(conn, ground, chart, &MONEY, "programme_kind", year),
        ChartCode::Trend => by_month(conn, ground, year),
    }
}

/// All charts that show something.
pub fn all(conn: &mut AnyConnection, ground: &Ground, year: i32) -> Result<Vec<Chart>> {
    let mut charts = Vec::with_capacity(ChartCode::ENTRIES.len());
    for chart in ChartCode::all() {
        let chart = compute(conn, ground, chart, year)?;
        if !chart.categories.is_empty() {
            charts.push(chart);
        }
    }
    Ok(charts)
}

fn titled(chart: ChartCode, year: i32, categories: Vec<ChartCategory>, categories_total: usize, series: Vec<ChartSeries>) -> Chart {
    let (zh, en) = chart.label();
    let mut letters = en.chars();
    let capital = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    Chart {
        chart,
        title_zh: format!("{year} 年{zh}"),
        title_en: format!("{capital}{}, {year}", letters.as_str()),
        categories,
        categories_total,
        series,
    }
}

/// The organizations right below, those with the most volunteers first.
fn by_organization(conn: &mut AnyConnection, ground: &Ground, year: i32) -> Result<Chart> {
    let mut all = figures::of_those_below(conn, ground, &[&VOLUNTEERS, &TEAMS], Span::Year(year))?;
    let most = |figures: &[figures::FigureOfOne]| figures.first().and_then(|figure| figure.value.value);
    all.sort_by_key(|(_, figures)| std::cmp::Reverse(most(figures)));
    let total = all.len();
    all.truncate(SHOWN);
    let mut series = [(&VOLUNTEERS, "志愿者", "volunteers"), (&TEAMS, "志愿者队伍", "volunteer teams")].map(|(definition, zh, en)| {
        let (name_zh, name_en, unit) = (zh.to_owned(), en.to_owned(), definition.unit.to_owned());
        ChartSeries { name_zh, name_en, unit, values: Vec::with_capacity(all.len()) }
    });
    let mut categories = Vec::with_capacity(all.len());
    for (one, figures) in all {
        for (series, figure) in series.iter_mut().zip(figures) {
            let parameters = figures::parameters(figure.definition, one.id, Span::Year(year));
            series.values.push((figure.value, figures::records_url(figure.definition, &parameters)?).into());
        }
        let label = one.short_name.unwrap_or(one.name);
        categories.push(ChartCategory { label_zh: label.clone(), label_en: label });
    }
    Ok(titled(ChartCode::Counties, year, categories, total, series.into()))
}

/// The entries of a dictionary that something is known of in the year or in the one before, which stands beside it.
fn by_kind<K: TextEnum>(
    conn: &mut AnyConnection,
    ground: &Ground,
    chart: ChartCode,
    definition: &Definition,
    parameter: &str,
    year: i32,
) -> Result<Chart> {
    let mut rows = Vec::with_capacity(K::ENTRIES.len());
    for (code, zh, en) in K::ENTRIES {
        let mut of = |year| figures::of_part(conn, ground, definition, &[(parameter, code)], Span::Year(year)).map(ChartValue::from);
        let (now, before) = (of(year)?, of(year - 1)?);
        if now.value.or(before.value).is_some() {
            rows.push((ChartCategory { label_zh: (*zh).to_owned(), label_en: (*en).to_owned() }, now, before));
        }
    }
    rows.sort_by_key(|(_, now, _)| std::cmp::Reverse(now.value));
    let named = |year: i32| ChartSeries {
        name_zh: format!("{year} 年"),
        name_en: year.to_string(),
        unit: definition.unit.to_owned(),
        values: Vec::with_capacity(rows.len()),
    };
    let (mut categories, mut this, mut last) = (Vec::with_capacity(rows.len()), named(year), named(year - 1));
    for (category, now, before) in rows {
        categories.push(category);
        this.values.push(now);
        last.values.push(before);
    }
    let total = categories.len();
    Ok(titled(chart, year, categories, total, vec![this, last]))
}

/// At the end of each month that has begun.
fn by_month(conn: &mut AnyConnection, ground: &Ground, year: i32) -> Result<Chart> {
    let today = business_today(Instant::now());
    let months: Vec<Month> = (1..=12).filter_map(|month| Month::new(year, month)).filter(|month| month.first_day() <= today).collect();
    let mut series = Vec::with_capacity(2);
    for (definition, zh, en) in [(&VOLUNTEERS, "志愿者", "volunteers"), (&TEAMS, "志愿者队伍", "volunteer teams")] {
        let mut values = Vec::with_capacity(months.len());
        for month in &months {
            values.push(figures::of_part(conn, ground, definition, &[], Span::Month(*month))?.into());
        }
        series.push(ChartSeries { name_zh: zh.to_owned(), name_en: en.to_owned(), unit: definition.unit.to_owned(), values });
    }
    let category = |month: &Month| {
        let first = month.first_day();
        ChartCategory { label_zh: format!("{} 月", first.month()), label_en: first.format("%b").to_string() }
    };
    let categories: Vec<ChartCategory> = months.iter().map(category).collect();
    let total = categories.len();
    Ok(titled(ChartCode::Trend, year, categories, total, series))
}
