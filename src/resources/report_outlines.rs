//! Report outlines (报告提纲): which chapters an association's annual report has, and which figures stand in each. It counts for the association and
//! for all below it that have none of their own; without one a report has the chapters of [`figures::SECTIONS`].

use std::collections::HashSet;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use crate::db::{Any, AnyConnection, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::figures;
use crate::policy::{Area, OrganizationLevel, Scope};
use crate::schema::{organization_closure as closure, report_outlines as t};
use crate::types::{Id, Instant, code_or_new};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

const SECTIONS: usize = 20;

/// A chapter as an outline has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutlineSection {
    #[schema(min_length = 1, max_length = 100, example = "“四个一工程”")]
    pub title_zh: String,
    #[schema(min_length = 1, max_length = 100, example = "The four-ones programme")]
    pub title_en: String,
    /// Codes of figures, in the order in which they stand there.
    #[schema(max_items = 100)]
    pub figures: Vec<String>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    sections: String,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// An outline.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReportOutline {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association whose report it is of; those below it see it.
    pub organization_id: Id,
    pub sections: Vec<OutlineSection>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(ReportOutline);

/// What may be written of an outline.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08",
    "sections": [{"title_zh": "队伍建设", "title_en": "Teams", "figures": ["four_ones.volunteer_teams", "four_ones.volunteers"]}]}))]
pub struct ReportOutlineDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association whose report it is of: one outline for each.
    pub organization_id: Id,
    /// The chapters in their order.
    #[schema(min_items = 1, max_items = 20)]
    pub sections: Vec<OutlineSection>,
}

/// Which outlines.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ReportOutlineFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
}

pub struct ReportOutlines;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &ReportOutlineFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    query
}

fn shown(_: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<ReportOutline>> {
    rows.into_iter()
        .map(|row| {
            Ok(ReportOutline {
                id: row.id,
                code: row.code,
                organization_id: row.organization_id,
                sections: serde_json::from_str(&row.sections).map_err(Error::internal)?,
                version: row.version,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        })
        .collect()
}

/// The outline that counts for an organization: its own, or that of the nearest above.
pub fn of(conn: &mut AnyConnection, organization_id: Id) -> Result<Option<Vec<OutlineSection>>> {
    let row: Option<Row> = t::table
        .inner_join(closure::table.on(closure::ancestor_id.eq(t::organization_id)))
        .filter(closure::descendant_id.eq(organization_id))
        .order(closure::depth)
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    Ok(shown(conn, row.into_iter().collect())?.pop().map(|outline| outline.sections))
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: ReportOutlineDraft) -> Result<Row> {
    Ok(Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        sections: serde_json::to_string(&draft.sections).map_err(Error::internal)?,
        version,
        created_at,
        updated_at: now,
    })
}

fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[ReportOutlineDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id))).collect();
    rules::all_in_scope(tx.conn, scope, "organizations", wanted, &mut faults)?;
    for (i, draft) in drafts.iter().enumerate() {
        if draft.sections.is_empty() || draft.sections.len() > SECTIONS {
            let says = Says::new(format!("报告应有 1 至 {SECTIONS} 章"), format!("a report has 1 to {SECTIONS} chapters"));
            faults.push(Fault::new(at(i, "sections"), "wrong_number", says));
        }
        let mut seen = HashSet::new();
        let listed =
            draft.sections.iter().enumerate().flat_map(|(n, section)| {
                section.figures.iter().enumerate().map(move |(m, code)| (format!("sections/{n}/figures/{m}"), code))
            });
        for (pointer, code) in listed {
            if figures::named(code).is_none() {
                let says = Says::new(
                    format!("没有指标“{code}”；目录见 /api/v1/figures"),
                    format!("there is no figure '{code}'; see /api/v1/figures"),
                );
                faults.push(Fault::new(at(i, &pointer), "unknown_figure", says));
            } else if !seen.insert(code) {
                let says = Says::new("此指标已列出", "this figure is listed already");
                faults.push(Fault::new(at(i, &pointer), "twice", says));
            }
        }
    }
    Error::unless_empty(faults)
}

/// Says what stands in the way of a second outline.
fn one_each(error: diesel::result::Error) -> Error {
    let mut error = Error::from(error);
    if error.code == Code::AlreadyExists && error.faults.is_empty() {
        error.detail = Some(Says::new("该单位已有报告提纲，请修改原有提纲", "the association has an outline already; change that one"));
    }
    error
}

impl Resource for ReportOutlines {
    const NAME: &'static str = "report_outlines";
    const LABEL: (&'static str, &'static str) = ("报告提纲", "report outline");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    // A list within a record stands in no row of a file.
    const IMPORTABLE: bool = false;
    const SHARED_BELOW: bool = true;

    type View = ReportOutline;
    type Draft = ReportOutlineDraft;
    type Filter = ReportOutlineFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Row> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows).map_err(one_each)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let outline = view.clone();
        Ok(ReportOutlineDraft { code: Some(outline.code), organization_id: outline.organization_id, sections: outline.sections })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        Self::find(tx.conn, scope, before.id)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }
}
