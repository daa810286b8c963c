//! Charts as pictures, and the whole report as one (一图读懂): its charts above, every figure with the year before beside it below, each
//! number a link to its records.
//!
//! A picture is drawn once, as SVG. Browsers set its text in their own fonts, and PNG is made of the same drawing with the typeface that
//! the program carries.

use std::fmt::Write;
use std::sync::OnceLock;

use charts_rs::{BarChart, HorizontalBarChart};
use quick_xml::escape::escape;
use serde_json::{Value, json};

use super::annual::{AnnualReport, ReportedFigure, Section};
use super::charts::{Chart, ChartCode, ChartSeries};
use super::words;
use crate::error::{Error, Result};
use crate::figures::{self, FigureValue};
use crate::font;
use crate::types::{Precision, business_today};

/// Of a chart, in pixels.
pub const WIDTH: u32 = 960;
const HEIGHT: u32 = 420;
/// A bar of a chart that lies, with what keeps it apart from the next.
const BAR: u32 = 28;
/// What stands above and below the bars.
const AROUND: u32 = 110;
/// Parts of an axis.
const AXIS: f64 = 6.0;
/// PNG has so many pixels for one of the drawing's: it is looked at on dense screens, and printed.
const DENSITY: u32 = 2;

/// Of a year, of what stands beside it, and of what is drawn on.
const RED: &str = "#9C2A2A";
const SAND: &str = "#D6C7A1";
const GOLD: &str = "#C08A1E";
const INK: &str = "#333333";
const FAINT: &str = "#8A8478";
const LINE: &str = "#E6E3DC";

/// What a browser looks for, in this order: it needn't have the font that the drawing was measured with.
const FONTS: &str = "'Noto Sans CJK SC','Noto Sans SC','Source Han Sans SC','PingFang SC','Microsoft YaHei',sans-serif";

/// The typeface, known to what draws and to what makes pixels.
fn typeface() -> Result<()> {
    static ADDED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
    ADDED.get_or_init(|| charts_rs::add_fonts(&[font::BYTES]).map_err(|why| why.to_string())).clone().map_err(Error::internal)
}

/// A drawing for whoever has fonts of their own.
pub fn for_browsers(svg: &str) -> String {
    svg.replace(&format!("font-family=\"{}\"", font::FAMILY), &format!("font-family=\"{FONTS}\""))
}

/// A drawing in pixels.
pub fn png(svg: &str, width: u32) -> Result<Vec<u8>> {
    typeface()?;
    charts_rs::svg_to_png_with_size(svg, Some(width * DENSITY), None).map_err(Error::internal)
}

/// The height of a chart's drawing, in pixels.
pub fn height(chart: &Chart) -> u32 {
    match chart.chart {
        ChartCode::Counties | ChartCode::Trend => HEIGHT,
        ChartCode::Publicity | ChartCode::Welfare => {
            let bars = chart.categories.len().max(2) * chart.series.len();
            AROUND + BAR * u32::try_from(bars).unwrap_or(1)
        }
    }
}

/// A number as it is drawn: money by ten thousand yuan in Chinese, by the thousand in English.
fn drawn(value: Option<i64>, unit: &str, zh: bool) -> Option<f64> {
    // Whole numbers below 2^53 are held by a float; a drawing has fewer digits anyway.
    let by = match (unit, zh) {
        ("fen", true) => 1_000_000.0,
        ("fen", false) => 100_000.0,
        _ => 1.0,
    };
    value.map(|value| value as f64 / by)
}

fn unit(code: &str, zh: bool) -> &'static str {
    match (code, zh) {
        ("fen", true) => "万元",
        ("fen", false) => "thousand yuan",
        (code, true) => figures::unit(code).0,
        (code, false) => figures::unit(code).1,
    }
}

/// A chart's drawing.
pub fn chart(chart: &Chart, zh: bool) -> Result<String> {
    typeface()?;
    let title = if zh { &chart.title_zh } else { &chart.title_en };
    let name = |series: &ChartSeries| if zh { series.name_zh.clone() } else { series.name_en.clone() };
    let axis = |series: &ChartSeries| match zh {
        true => format!("{}（{}）", name(series), unit(&series.unit, zh)),
        false => format!("{} ({})", name(series), unit(&series.unit, zh)),
    };
    let data = |series: &ChartSeries| -> Vec<Option<f64>> { series.values.iter().map(|one| drawn(one.value, &series.unit, zh)).collect() };
    let mut options = json!({
        "width": WIDTH, "height": height(chart), "font_family": font::FAMILY,
        "margin": {"left": 16, "top": 12, "right": 24, "bottom": 12},
        "title_text": font::drawable(title), "title_align": "left", "title_font_size": 18, "title_font_weight": "normal",
        "sub_title_align": "left", "sub_title_font_size": 12, "sub_title_font_color": FAINT,
        "legend_align": "right", "legend_category": "rect",
        "series_label_font_size": 12, "series_label_formatter": "{t}",
        "x_axis_font_size": 13, "grid_stroke_color": LINE,
    });
    let mut set = |name: &str, value: Value| options[name] = value;
    let notes = notes(chart, zh);
    if !notes.is_empty() {
        set("sub_title_text", json!(notes));
    }
    let mut labels = labels(chart, zh);
    match chart.chart {
        // Two measures of the same places: bars side by side, each by an axis of its own; over time, lines.
        ChartCode::Counties | ChartCode::Trend => {
            let kind = if chart.chart == ChartCode::Trend { "line" } else { "bar" };
            let series: Vec<Value> = (0..)
                .zip(&chart.series)
                .map(|(i, one)| json!({"name": name(one), "category": kind, "y_axis_index": i, "label_show": true, "data": data(one)}))
                .collect();
            let axes: Vec<Value> = (0..)
                .zip(&chart.series)
                .map(|(i, one)| {
                    let mut axis = json!({"axis_title": axis(one), "axis_formatter": "{t}", "axis_font_size": 12, "axis_min": 0, "axis_split_number": AXIS as u32});
                    // Room above the second line, so that it doesn't lie upon the first.
                    let most = data(one).into_iter().flatten().fold(0.0, f64::max);
                    if chart.chart == ChartCode::Trend && i == 1 && most > 0.0 {
                        axis["axis_max"] = json!((most * 1.6 / AXIS).ceil() * AXIS);
                    }
                    axis
                })
                .collect();
            set("series_colors", json!([RED, GOLD]));
            set("x_axis_label_overflow", json!("rotate"));
            set("x_axis_data", json!(labels));
            set("y_axis_configs", json!(axes));
            set("series_list", json!(series));
            BarChart::from_json(&options.to_string()).and_then(|chart| chart.svg()).map_err(Error::internal)
        }
        // From the top: what lies is drawn from below.
        ChartCode::Publicity | ChartCode::Welfare => {
            labels.reverse();
            let series: Vec<Value> = chart
                .series
                .iter()
                .map(|one| {
                    let mut data = data(one);
                    data.reverse();
                    json!({"name": name(one), "label_show": true, "data": data})
                })
                .collect();
            set("series_colors", json!([RED, SAND]));
            set("x_axis_data", json!(labels));
            set("series_list", json!(series));
            HorizontalBarChart::from_json(&options.to_string()).and_then(|chart| chart.svg()).map_err(Error::internal)
        }
    }
}

/// The categories, each with how well this year's number is known where that isn't exactly.
fn labels(chart: &Chart, zh: bool) -> Vec<String> {
    let of_kinds = matches!(chart.chart, ChartCode::Publicity | ChartCode::Welfare);
    let known = |i: usize| chart.series.first().and_then(|series| series.values.get(i)).filter(|_| of_kinds);
    let labels = chart.categories.iter().enumerate().map(|(i, category)| {
        let label = font::drawable(if zh { &category.label_zh } else { &category.label_en });
        let mark = match (known(i).map(|one| (one.value, one.precision)), zh) {
            (Some((None, _)), true) => "（未填报）",
            (Some((None, _)), false) => " (not reported)",
            (Some((_, Precision::AtLeast)), true) => "（余）",
            (Some((_, Precision::AtLeast)), false) => " (at least)",
            (Some((_, Precision::About)), true) => "（约）",
            (Some((_, Precision::About)), false) => " (about)",
            (Some((_, Precision::Exact)) | None, _) => "",
        };
        format!("{label}{mark}")
    });
    labels.collect()
}

/// What has to be known to read a chart.
fn notes(chart: &Chart, zh: bool) -> String {
    let mut notes = Vec::new();
    if matches!(chart.chart, ChartCode::Publicity | ChartCode::Welfare) {
        let unit = chart.series.first().map_or("", |series| unit(&series.unit, zh));
        notes.push(if zh { format!("单位：{unit}") } else { format!("in {unit}") });
    }
    if chart.chart == ChartCode::Trend {
        let told =
            if zh { "只知年份的记录自年末计入" } else { "records of which only the year is known count from its last day" };
        notes.push(told.to_owned());
    }
    if chart.categories.is_empty() {
        notes.push(if zh { "没有记录".to_owned() } else { "no records".to_owned() });
    }
    let (shown, total) = (chart.categories.len(), chart.categories_total);
    if shown < total {
        notes.push(if zh { format!("前 {shown} 个，共 {total} 个") } else { format!("the first {shown} of {total}") });
    }
    notes.join(if zh { "；" } else { "; " })
}

/// Of the whole report's picture, in pixels.
const PAGE: u32 = 1_600;
const MARGIN: u32 = 40;
const GAP: u32 = 24;
const ROW: u32 = 30;
const COLUMN: u32 = (PAGE - 2 * MARGIN - GAP) / 2;

/// A drawing that grows downwards.
struct Drawing {
    svg: String,
    y: [u32; 2],
}

impl Drawing {
    fn left(column: usize) -> u32 {
        if column == 0 { MARGIN } else { MARGIN + COLUMN + GAP }
    }

    /// The column that ends higher.
    fn shorter(&self) -> usize {
        usize::from(self.y[1] < self.y[0])
    }

    fn text(&mut self, x: u32, y: u32, size: u32, colour: &str, anchor: &str, text: &str) {
        let text = font::drawable(text);
        let text = escape(&*text);
        let family = font::FAMILY;
        let _ = write!(
            self.svg,
            r#"<text x="{x}" y="{y}" font-family="{family}" font-size="{size}" fill="{colour}" text-anchor="{anchor}">{text}</text>"#
        );
    }

    fn rule(&mut self, x: u32, y: u32, width: u32, colour: &str) {
        let _ = write!(self.svg, r#"<rect x="{x}" y="{y}" width="{width}" height="1" fill="{colour}"/>"#);
    }
}

/// The size of the whole report's picture is told by itself; it is this wide.
pub const POSTER_WIDTH: u32 = PAGE;

/// The whole report as one picture. `base` is the address that callers use, so that links work wherever it is looked at.
pub fn poster(report: &AnnualReport, base: &str, zh: bool) -> Result<String> {
    let mut drawing = Drawing { svg: String::with_capacity(200_000), y: [0, 0] };
    let title = if zh { &report.title_zh } else { &report.title_en };
    drawing.text(MARGIN, 66, 34, RED, "start", title);
    drawing.text(MARGIN, 100, 15, FAINT, "start", &words::preface(None, business_today(report.computed_at), zh));
    drawing.y = [128, 128];
    for one in &report.charts {
        let column = drawing.shorter();
        let (x, y) = (Drawing::left(column), drawing.y[column]);
        let high = height(one) * COLUMN / WIDTH;
        let svg = chart(one, zh)?;
        // The same drawing, as a picture in the picture.
        let inner = svg.split_once('>').and_then(|(_, rest)| rest.rsplit_once("</svg>")).map_or("", |(inner, _)| inner);
        let _ = write!(
            drawing.svg,
            r#"<svg x="{x}" y="{y}" width="{COLUMN}" height="{high}" viewBox="0 0 {WIDTH} {}">{inner}</svg>"#,
            height(one)
        );
        drawing.y[column] += high + GAP;
    }
    let below = drawing.y[0].max(drawing.y[1]);
    drawing.y = [below, below];
    for section in &report.sections {
        let column = drawing.shorter();
        chapter(&mut drawing, column, section, report.year, base, zh);
    }
    let high = drawing.y[0].max(drawing.y[1]) + MARGIN;
    Ok(format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="{PAGE}" height="{high}" viewBox="0 0 {PAGE} {high}" role="img"><title>{}</title><rect width="{PAGE}" height="{high}" fill="white"/>{}</svg>"#,
        escape(title.as_str()),
        drawing.svg
    ))
}

/// A chapter: its figures, each with its number, a link, and that of the year before.
fn chapter(drawing: &mut Drawing, column: usize, section: &Section, year: i32, base: &str, zh: bool) {
    let (x, end) = (Drawing::left(column), Drawing::left(column) + COLUMN);
    let mut y = drawing.y[column] + ROW;
    let title = format!("{}{}", words::numbered(section.number, zh), if zh { &section.title_zh } else { &section.title_en });
    drawing.text(x, y, 20, RED, "start", &title);
    drawing.text(end - 150, y, 14, FAINT, "end", &if zh { format!("{year} 年") } else { year.to_string() });
    let before = year - 1;
    drawing.text(end, y, 14, FAINT, "end", &if zh { format!("{before} 年") } else { before.to_string() });
    for reported in &section.figures {
        y += ROW;
        drawing.rule(x, y - ROW + 9, COLUMN, LINE);
        figure(drawing, x, end, y, reported, base, zh);
    }
    drawing.y[column] = y + GAP;
}

fn figure(drawing: &mut Drawing, x: u32, end: u32, y: u32, reported: &ReportedFigure, base: &str, zh: bool) {
    let figure = &reported.figure;
    let now = FigureValue { value: figure.value, precision: figure.precision };
    drawing.text(x, y, 15, INK, "start", if zh { &figure.label_zh } else { &figure.label_en });
    let address = format!("{base}{}", figure.records_url);
    let _ = write!(drawing.svg, r#"<a href="{}">"#, escape(address.as_str()));
    drawing.text(end - 150, y, 15, RED, "end", &words::written(now, figure, zh));
    drawing.svg.push_str("</a>");
    drawing.text(end, y, 15, FAINT, "end", &words::written(reported.year_before, figure, zh));
}
