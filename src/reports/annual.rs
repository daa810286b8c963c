//! The annual report (年度工作报告): the figures of a year by chapter, the year before beside each.

use serde::Serialize;
use utoipa::ToSchema;

use crate::db::{AnyConnection, Tree};
use crate::error::Result;
use crate::figures::{self, Figure, FigureValue, Ground, OrganizationBrief, SECTIONS, Span};
use crate::policy::Scope;
use crate::types::{Id, Instant};

/// A year's work of one organization and all below it, computed now.
#[derive(Debug, Serialize, ToSchema)]
pub struct AnnualReport {
    #[schema(example = "郑州市见义勇为协会 2022 年工作报告")]
    pub title_zh: String,
    pub title_en: String,
    pub year: i32,
    pub organization: OrganizationBrief,
    pub computed_at: Instant,
    pub sections: Vec<Section>,
}

/// A chapter.
#[derive(Debug, Serialize, ToSchema)]
pub struct Section {
    pub number: u8,
    pub title_zh: &'static str,
    pub title_en: &'static str,
    pub figures: Vec<ReportedFigure>,
}

/// A figure of the report, with what it was a year before.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportedFigure {
    #[serde(flatten)]
    pub figure: Figure,
    pub year_before: FigureValue,
}

/// Computes the report: two statements a figure, whatever the number of records.
pub fn compute(conn: &mut AnyConnection, scope: &Scope, tree: &Tree, asked: Option<Id>, year: i32) -> Result<AnnualReport> {
    let ground = Ground::of(conn, scope, tree, asked)?;
    let reported: Vec<_> = figures::FIGURES.iter().filter(|definition| ground.reports(definition)).collect();
    let before: Vec<FigureValue> =
        reported.iter().map(|definition| figures::value(conn, &ground, definition, Span::Year(year - 1))).collect::<Result<_>>()?;
    let now = figures::figures(conn, &ground, reported.iter().copied(), Span::Year(year))?;
    let mut sections: Vec<Section> =
        SECTIONS.iter().map(|(number, title_zh, title_en)| Section { number: *number, title_zh, title_en, figures: Vec::new() }).collect();
    for ((definition, figure), year_before) in reported.into_iter().zip(now).zip(before) {
        if let Some(section) = sections.iter_mut().find(|section| section.number == definition.section) {
            section.figures.push(ReportedFigure { figure, year_before });
        }
    }
    sections.retain(|section| !section.figures.is_empty());
    let organization = ground.organization;
    Ok(AnnualReport {
        title_zh: format!("{} {year} 年工作报告", organization.name),
        title_en: format!("{}: report on the work of {year}", organization.name),
        year,
        organization,
        computed_at: Instant::now(),
        sections,
    })
}
