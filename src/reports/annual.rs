//! The annual report (年度工作报告): the figures of a year by chapter, the year before beside each, what the counties have declared, and the
//! problems and plans that people have written down.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::charts::{self, Chart};
use super::declared;
use crate::db::{AnyConnection, Tree};
use crate::error::Result;
use crate::figures::{self, Definition, Figure, FigureKind, FigureValue, Ground, Holder, OrganizationBrief, SECTIONS, Span};
use crate::policy::Scope;
use crate::resources::report_outlines;
use crate::resources::work_items::{self, WorkItem, WorkItemKind};
use crate::types::{Id, Instant, Precision};
use crate::web::{Measure, verbs};

/// A year's work of one organization and all below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnnualReport {
    #[schema(example = "郑州市见义勇为协会 2022 年工作报告")]
    pub title_zh: String,
    pub title_en: String,
    pub year: i32,
    pub organization: OrganizationBrief,
    pub computed_at: Instant,
    /// The chapters of the association's outline, or those that the service comes with.
    pub sections: Vec<Section>,
    /// The problems that the year has shown.
    pub problems: Vec<ReportedItem>,
    /// What is planned for the next.
    pub plans: Vec<ReportedItem>,
    /// What each figure counts.
    pub definitions: Vec<FigureDefined>,
    /// In a frozen report, which its pictures are drawn from. Else each has an address of its own:
    /// `/reports/annual/{year}/charts/{chart}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charts: Vec<Chart>,
}

/// Whether the charts belong into it: it takes longer with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charts {
    With,
    Without,
}

/// What a figure counts, so that it can be told anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FigureDefined {
    #[schema(example = "four_ones.volunteer_teams")]
    pub code: String,
    pub label_zh: String,
    pub label_en: String,
    pub kind: FigureKind,
    /// The resource whose records are behind it, as in its address.
    #[schema(example = "volunteer-teams")]
    pub resource: String,
    pub resource_zh: String,
    pub resource_en: String,
    /// The filter that it is, without whose records.
    #[schema(example = "as_at=2022-12-31")]
    pub filter: String,
    pub measure: Measure,
    /// Whose records, in words.
    #[schema(example = "县市区协会")]
    pub holder_zh: String,
    #[schema(example = "the county associations")]
    pub holder_en: String,
}

impl FigureDefined {
    fn of(definition: &Definition, year: i32) -> Self {
        let (resource_zh, resource_en) =
            verbs::named(definition.resource).map_or((definition.resource, definition.resource), |verbs| verbs.label());
        let time = definition.time(Span::Year(year)).into_iter().map(|(name, value)| format!("{name}={value}"));
        let filter: Vec<String> = definition.filter.iter().map(|(name, value)| format!("{name}={value}")).chain(time).collect();
        let (holder_zh, holder_en) = match definition.holder {
            Holder::All => ("本级及全部下级", "the organization and all below it"),
            Holder::City => ("市协会本级", "the city association itself"),
            Holder::Counties => ("县市区协会", "the county associations"),
            Holder::Part(code) => (code, code),
        };
        Self {
            code: definition.code.to_owned(),
            label_zh: definition.label_zh.to_owned(),
            label_en: definition.label_en.to_owned(),
            kind: definition.kind,
            resource: definition.resource.replace('_', "-"),
            resource_zh: resource_zh.to_owned(),
            resource_en: resource_en.to_owned(),
            filter: filter.join("&"),
            measure: definition.measure,
            holder_zh: holder_zh.to_owned(),
            holder_en: holder_en.to_owned(),
        }
    }
}

/// A chapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Section {
    pub number: u8,
    #[schema(value_type = String)]
    pub title_zh: Cow<'static, str>,
    #[schema(value_type = String)]
    pub title_en: Cow<'static, str>,
    pub figures: Vec<ReportedFigure>,
}

/// A figure of the report, with what it was a year before, and what the counties have declared of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportedFigure {
    #[serde(flatten)]
    pub figure: Figure,
    pub year_before: FigureValue,
    /// Out of the accepted monthly returns: of a stock the last month's, of a flow the sum of all months. Null where none tells, and of
    /// figures that aren't the counties' alone.
    pub declared: Option<i64>,
    pub declared_precision: Option<Precision>,
    /// How many returns that is the sum of.
    pub declared_returns: i64,
    /// Why counties have declared another number than their records said, the latest first.
    #[schema(example = "登封市 2022-06：两支新队伍的档案下月补录")]
    pub difference_reason: Option<String>,
    /// The part of the chapter that it stands in; null where the chapter has none, or is of an association's own outline.
    #[serde(default)]
    #[schema(example = "志愿者队伍建设")]
    pub part_zh: Option<String>,
    #[serde(default)]
    #[schema(example = "Volunteer teams")]
    pub part_en: Option<String>,
}

impl ReportedFigure {
    /// Whether another number was declared than the records say.
    pub fn differs(&self) -> bool {
        self.declared.is_some() && self.declared != self.figure.value
    }
}

/// A problem or a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportedItem {
    pub id: Id,
    #[schema(example = "个别县市区协会专职人员配备不到位。")]
    pub content: String,
    /// The user who sees to it.
    pub owner_id: Option<Id>,
    pub due_on: Option<chrono::NaiveDate>,
    pub state: work_items::WorkItemState,
}

impl From<WorkItem> for ReportedItem {
    fn from(item: WorkItem) -> Self {
        Self { id: item.id, content: item.content, owner_id: item.owner_id, due_on: item.due_on, state: item.state }
    }
}

/// A chapter with what stands in it here.
type Chapter = (Cow<'static, str>, Cow<'static, str>, Vec<&'static Definition>);

/// The chapters, and whether they are those that the service comes with.
struct Outline {
    chapters: Vec<Chapter>,
    own: bool,
}

/// The chapters of a report, each with those of its figures that belong into one on this organization.
fn outline(conn: &mut AnyConnection, ground: &Ground) -> Result<Outline> {
    let reported = |definition: &&'static Definition| ground.reports(definition);
    let outline = report_outlines::of(conn, ground.organization.id)?;
    let own = outline.is_some();
    let mut chapters: Vec<Chapter> = match outline {
        Some(outline) => outline
            .into_iter()
            .map(|section| {
                let definitions = section.figures.iter().filter_map(|code| figures::named(code)).filter(reported).collect();
                (section.title_zh.into(), section.title_en.into(), definitions)
            })
            .collect(),
        None => SECTIONS
            .iter()
            .map(|(number, title_zh, title_en)| {
                let own = figures::FIGURES.iter().filter(|definition| definition.section == *number).filter(reported).collect();
                ((*title_zh).into(), (*title_en).into(), own)
            })
            .collect(),
    };
    chapters.retain(|(.., definitions)| !definitions.is_empty());
    Ok(Outline { chapters, own })
}

/// What a report on an organization tells: its figures, in the order of its chapters.
pub fn definitions(conn: &mut AnyConnection, ground: &Ground) -> Result<Vec<&'static Definition>> {
    Ok(outline(conn, ground)?.chapters.into_iter().flat_map(|(.., definitions)| definitions).collect())
}

/// Computes the report: two statements a figure, whatever the number of records.
pub fn compute(conn: &mut AnyConnection, scope: &Scope, tree: &Tree, asked: Option<Id>, year: i32, charts: Charts) -> Result<AnnualReport> {
    let ground = Ground::of(conn, scope, tree, asked)?;
    let Outline { chapters, own } = outline(conn, &ground)?;
    let reported: Vec<&'static Definition> = chapters.iter().flat_map(|(.., definitions)| definitions.iter().copied()).collect();
    let before: Vec<FigureValue> =
        reported.iter().map(|definition| figures::value(conn, &ground, definition, Span::Year(year - 1))).collect::<Result<_>>()?;
    let now = figures::figures(conn, &ground, reported.iter().copied(), Span::Year(year))?;
    let mut declared = declared::of_year(conn, ground.organization.id, &reported, year)?;
    let of_counties = |definition: &Definition| match definition.holder {
        Holder::Counties => true,
        // Of a county all that there is, and so all that it declares.
        Holder::All => ground.is_county(),
        Holder::City | Holder::Part(_) => false,
    };
    let mut all = reported.iter().zip(now).zip(before).map(|((definition, figure), year_before)| {
        let part = figures::part_of(definition).filter(|_| !own);
        let told = declared.remove(definition.code).filter(|_| of_counties(definition)).unwrap_or_default();
        ReportedFigure {
            figure,
            year_before,
            declared: told.value,
            declared_precision: told.precision,
            declared_returns: told.returns,
            difference_reason: Some(told.reasons.join("；")).filter(|reasons| !reasons.is_empty()),
            part_zh: part.map(|(zh, _)| zh.to_owned()),
            part_en: part.map(|(_, en)| en.to_owned()),
        }
    });
    let sections: Vec<Section> = chapters
        .iter()
        .zip(1_u8..)
        .map(|((title_zh, title_en, definitions), number)| Section {
            number,
            title_zh: title_zh.clone(),
            title_en: title_en.clone(),
            figures: all.by_ref().take(definitions.len()).collect(),
        })
        .collect();
    let mut items = |kind| -> Result<Vec<ReportedItem>> {
        let items = work_items::reported(conn, ground.organization.id, year, kind)?;
        Ok(items.into_iter().map(ReportedItem::from).collect())
    };
    let (problems, plans) = (items(WorkItemKind::Problem)?, items(WorkItemKind::Plan)?);
    let charts = if charts == Charts::With { charts::all(conn, &ground, year)? } else { Vec::new() };
    let organization = ground.organization;
    Ok(AnnualReport {
        title_zh: format!("{} {year} 年工作报告", organization.name),
        title_en: format!("{}: report on the work of {year}", organization.name),
        year,
        organization,
        computed_at: Instant::now(),
        sections,
        problems,
        plans,
        definitions: reported.iter().map(|definition| FigureDefined::of(definition, year)).collect(),
        charts,
    })
}
