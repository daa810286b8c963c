//! Frozen reports (报告存档): an annual report as it was on a day, with what its figures were defined as, and marks of the records behind them.
//! Whatever happens to the records later doesn't touch it: it is told as changed since. The database refuses to change or delete one.

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::Datelike;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use crate::app::Facts;
use crate::auth::Caller;
use crate::db::{Any, AnyConnection, Db, Tree, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::figures::{self, FigureValue, Ground, RecordsMark, Span};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::reports::{ReportForm, annual};
use crate::schema::report_snapshots as t;
use crate::types::{Id, Instant, business_today, code_or_new};
use crate::web::contract::filter_shape;
use crate::web::handlers::{id_of, nothing_else};
use crate::web::query::Pairs;
use crate::web::{Measure, Measured, Reference, Resource, Window, measured, page, reads, viewed};

/// How often a report is read again while others write, before it is given up.
const TRIES: u32 = 3;

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    year: i32,
    note: Option<String>,
    report: String,
    marks: String,
    hash: String,
    frozen_by: Id,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A frozen report.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReportSnapshot {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    pub organization_id: Id,
    pub year: i32,
    pub note: Option<String>,
    /// The report as it was; in lists null.
    pub report: Option<annual::AnnualReport>,
    /// Marks of the records behind each figure; in lists null.
    pub marks: Option<Vec<RecordsMark>>,
    /// SHA-256 over the report and the marks as they are kept, in hexadecimal digits.
    #[schema(example = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08")]
    pub hash: String,
    pub frozen_by: Id,
    /// Always 1: it never changes.
    pub version: i32,
    /// When it was frozen.
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(ReportSnapshot);

/// Which report to freeze.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "year": 2022, "note": "年度总结会印发稿"}))]
pub struct ReportSnapshotDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    pub organization_id: Id,
    /// The present year or one that is over.
    #[schema(minimum = 2000, maximum = 2100)]
    pub year: i32,
    #[schema(min_length = 1, max_length = 500)]
    pub note: Option<String>,
}

/// Which frozen reports.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ReportSnapshotFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub year: Option<i32>,
}

pub struct ReportSnapshots;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &ReportSnapshotFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    query
}

fn view(row: Row, whole: bool) -> Result<ReportSnapshot> {
    let (report, marks) = match whole {
        true => (
            Some(serde_json::from_str(&row.report).map_err(Error::internal)?),
            Some(serde_json::from_str(&row.marks).map_err(Error::internal)?),
        ),
        false => (None, None),
    };
    Ok(ReportSnapshot {
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        year: row.year,
        note: row.note,
        report,
        marks,
        hash: row.hash,
        frozen_by: row.frozen_by,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

/// Marks of the records behind every figure of a report, in its order.
fn marks(conn: &mut AnyConnection, ground: &Ground, year: i32) -> Result<Vec<RecordsMark>> {
    let definitions = annual::definitions(conn, ground)?;
    definitions.into_iter().map(|definition| figures::mark(conn, ground, definition, Span::Year(year))).collect()
}

/// A report and the marks of its records, of one moment: read until nothing has changed between.
fn read(
    conn: &mut AnyConnection,
    scope: &Scope,
    tree: &Tree,
    organization_id: Id,
    year: i32,
) -> Result<(annual::AnnualReport, Vec<RecordsMark>)> {
    let ground = Ground::of(conn, scope, tree, Some(organization_id))?;
    let mut before = marks(conn, &ground, year)?;
    for _ in 0..TRIES {
        let report = annual::compute(conn, scope, tree, Some(organization_id), year, annual::Charts::With)?;
        let after = marks(conn, &ground, year)?;
        if before == after {
            return Ok((report, after));
        }
        before = after;
    }
    Err(Error::new(Code::Overloaded).retry_after(5))
}

fn hash_of(report: &str, marks: &str) -> String {
    let mut digest = Sha256::new();
    for part in [report, marks] {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Resource for ReportSnapshots {
    const NAME: &'static str = "report_snapshots";
    const LABEL: (&'static str, &'static str) = ("报告存档", "frozen report");
    const AREA: Area = Area::Figures;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    // A report isn't written by a file.
    const IMPORTABLE: bool = false;

    type View = ReportSnapshot;
    type Draft = ReportSnapshotDraft;
    type Filter = ReportSnapshotFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows: Vec<Row> = page!(conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        rows.into_iter().map(|row| view(row, false)).collect()
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        view(query(scope, &ReportSnapshotFilter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?, true)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let frozen_by = tx.actor()?;
        let this_year = business_today(tx.now).year();
        let mut faults = Vec::new();
        let wanted: Vec<_> =
            drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/organization_id"), Some(draft.organization_id))).collect();
        rules::all_in_scope(tx.conn, scope, "organizations", wanted, &mut faults)?;
        for (i, draft) in drafts.iter().enumerate().filter(|(_, draft)| draft.year > this_year) {
            let says = Says::new(format!("{} 年还没有到来", draft.year), format!("{} hasn't come yet", draft.year));
            faults.push(Fault::new(format!("/{i}/year"), "in_the_future", says));
        }
        if drafts.len() > 1 {
            let says = Says::new("一次存档一份报告", "one report is frozen at a time");
            faults.push(Fault::new("/1", "too_many", says));
        }
        Error::unless_empty(faults)?;
        let mut rows = Vec::with_capacity(1);
        for draft in drafts {
            let (report, marks) = read(tx.conn, scope, tx.tree, draft.organization_id, draft.year)?;
            let report = serde_json::to_string(&report).map_err(Error::internal)?;
            let marks = serde_json::to_string(&marks).map_err(Error::internal)?;
            rows.push(Row {
                id: Id::new(),
                code: code_or_new(draft.code.as_deref()),
                organization_id: draft.organization_id,
                year: draft.year,
                note: draft.note,
                hash: hash_of(&report, &marks),
                report,
                marks,
                frozen_by,
                version: 1,
                created_at: tx.now,
                updated_at: tx.now,
            });
        }
        insert_all!(&mut *tx.conn, t::table, rows)?;
        rows.into_iter().map(|row| view(row, true)).collect()
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        Ok(ReportSnapshotDraft {
            code: Some(view.code.clone()),
            organization_id: view.organization_id,
            year: view.year,
            note: view.note.clone(),
        })
    }

    fn update(_: &mut Tx<'_>, _: &Scope, _: &Self::View, _: Self::Draft) -> Result<Self::View> {
        Err(Error::new(Code::MethodNotAllowed))
    }

    fn delete(_: &mut Tx<'_>, _: &Scope, _: &Self::View) -> Result<()> {
        Err(Error::new(Code::MethodNotAllowed))
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn offers(_: &Self::View) -> Vec<Action> {
        Vec::new()
    }
}

/// In which form.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct SnapshotQuery {
    /// The form, where it isn't told by `Accept`: a link in a browser can't.
    #[param(inline)]
    pub format: Option<ReportForm>,
}

/// A frozen report as a document: what it was, whatever the records are now.
#[utoipa::path(operation_id = "report_snapshots_document", tag = "report-snapshots", summary = "存档报告的文件 / A frozen report as a document",
    params(("id" = Id, Path, description = "Id of the frozen report."), SnapshotQuery),
    responses((status = 200, description = "The report.",
        content((annual::AnnualReport = "application/json"), (String = "text/markdown"),
            (String = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
            (String = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), (String = "image/svg+xml"),
            (String = "image/png")))))]
#[get("/report-snapshots/{id}/document")]
pub async fn document(request: HttpRequest, caller: Caller, db: web::Data<Db>, facts: web::Data<Facts>) -> Result<HttpResponse> {
    let scope = caller.actor.may(ReportSnapshots::AREA, Action::Read)?;
    let id = id_of(&request)?;
    let query = Pairs::parse(request.query_string())?.into_json(&filter_shape::<SnapshotQuery>())?;
    let query: SnapshotQuery = serde_json::from_value(query).map_err(Error::internal)?;
    let form = query.format.map_or_else(|| ReportForm::of(&request), Ok)?;
    let frozen = db.read(move |conn| ReportSnapshots::find(conn, &scope, id)).await?;
    let report = frozen.report.ok_or_else(|| Error::internal("a frozen report without its text"))?;
    crate::reports::answer(&db, &facts, report, form, caller.language).await
}

/// A figure whose records, or number, are not what they were.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct FigureChanged {
    #[schema(example = "four_ones.volunteer_teams")]
    pub figure: String,
    pub label_zh: String,
    pub label_en: String,
    pub then: FigureValue,
    /// Null where the catalogue no longer has the figure.
    pub now: Option<FigureValue>,
    pub records_then: i64,
    pub records_now: Option<i64>,
    /// The records behind it as they are now.
    pub records_url: String,
    /// What was written since among all records of that kind: `?updated_since=` of their list.
    pub changes_url: String,
}

/// What has changed since a report was frozen.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ChangedSince {
    /// When it was frozen.
    pub frozen_at: Instant,
    /// The figures that are not what they were, in the order of the report; empty where all are.
    pub items: Vec<FigureChanged>,
}

/// What has changed in the records since a report was frozen: figure by figure, whether or not the number is another.
#[utoipa::path(operation_id = "report_snapshots_changes", tag = "report-snapshots",
    summary = "存档之后的变化 / What has changed since a report was frozen",
    params(("id" = Id, Path, description = "Id of the frozen report.")),
    responses((status = 200, description = "The figures that are not what they were.", body = ChangedSince)))]
#[get("/report-snapshots/{id}/changes")]
pub async fn changes(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let scope = caller.actor.may(ReportSnapshots::AREA, Action::Read)?;
    let id = id_of(&request)?;
    nothing_else(Pairs::parse(request.query_string())?)?;
    let tree = db.tree().clone();
    let changed = db
        .read(move |conn| {
            let frozen = ReportSnapshots::find(conn, &scope, id)?;
            changed_since(conn, &scope, &tree, frozen)
        })
        .await?;
    Ok(HttpResponse::Ok().json(changed))
}

fn changed_since(conn: &mut AnyConnection, scope: &Scope, tree: &Tree, frozen: ReportSnapshot) -> Result<ChangedSince> {
    let (Some(report), Some(marks)) = (frozen.report, frozen.marks) else {
        return Err(Error::internal("a frozen report without its text"));
    };
    let ground = Ground::of(conn, scope, tree, Some(frozen.organization_id))?;
    let span = Span::Year(frozen.year);
    let mut items = Vec::new();
    for (reported, was) in report.sections.into_iter().flat_map(|section| section.figures).zip(marks) {
        let figure = reported.figure;
        let then = FigureValue { value: figure.value, precision: figure.precision };
        let definition = figures::named(&figure.code).filter(|definition| ground.reports(definition));
        let now = match definition {
            Some(definition) => Some((figures::mark(conn, &ground, definition, span)?, definition)),
            None => None,
        };
        if now.as_ref().is_some_and(|(mark, _)| *mark == was) {
            continue;
        }
        let value = now.as_ref().map(|(_, definition)| figures::value(conn, &ground, definition, span)).transpose()?;
        let since = serde_urlencoded::to_string([("updated_since", frozen.created_at)]).map_err(Error::internal)?;
        let list = figure.records_url.split('?').next().unwrap_or_default().to_owned();
        items.push(FigureChanged {
            figure: figure.code.into_owned(),
            label_zh: figure.label_zh.into_owned(),
            label_en: figure.label_en.into_owned(),
            then,
            now: value,
            records_then: was.records,
            records_now: now.map(|(mark, _)| mark.records),
            records_url: figure.records_url,
            changes_url: format!("{list}?{since}"),
        });
    }
    Ok(ChangedSince { frozen_at: frozen.created_at, items })
}
