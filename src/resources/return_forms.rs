//! Return forms (上报表): what the counties are asked for every month. A form is a list of figures in versions, so that a return keeps the
//! meaning it was written with.
//!
//! A form that `opens_itself` is asked for of every county on the first day of the month after, for the month that is over: see
//! [`super::monthly_returns::calendar`].

use std::collections::HashSet;

use chrono::{Days, NaiveDate};
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use super::versions::{self, VersionState, Versioned};
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::figures::{self, Definition};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::return_forms as t;
use crate::types::{Id, Instant, Month, code_or_new};
use crate::web::resource::Step;
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

/// How many figures a form may have.
const FIGURES: usize = 60;
/// How many sums it may check.
const SUMS: usize = 20;
const DUE_DAY: i32 = 5;
const REMIND_DAYS: i32 = 2;

/// A figure that is the sum of others: where a return says otherwise, it is warned of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FormSum {
    #[schema(min_length = 1, max_length = 100, example = "four_ones.venues.park.completed")]
    pub total: String,
    /// Codes of figures of the form.
    #[schema(max_items = 60)]
    pub parts: Vec<String>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    key: String,
    number: i32,
    title: String,
    figures: String,
    sums: String,
    jump_percent: Option<i32>,
    due_day: i32,
    remind_days: i32,
    opens_itself: bool,
    state: VersionState,
    published_by: Option<Id>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A version of a form.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ReturnForm {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that asks for it; the counties below it see it.
    pub organization_id: Id,
    /// What stays the same through all versions.
    #[schema(example = "four-ones")]
    pub key: String,
    /// Number of this version, from 1 on.
    pub number: i32,
    pub title: String,
    /// Codes of figures, in the order in which they are asked for.
    pub figures: Vec<String>,
    pub sums: Vec<FormSum>,
    /// From how many per cent of change against the month before on it is warned; null: never.
    pub jump_percent: Option<i32>,
    /// Returns are due on this day of the month after.
    pub due_day: i32,
    /// How many days before that counties are reminded.
    pub remind_days: i32,
    /// Whether it is asked for by itself, on the first day of the month after.
    pub opens_itself: bool,
    pub state: VersionState,
    pub published_by: Option<Id>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(ReturnForm {
    fn searched(&self) -> Option<String> {
        Some(self.title.clone())
    }
});

impl ReturnForm {
    /// What its figures count, in their order. One that the catalogue no longer has is left out: it can't be computed.
    pub fn definitions(&self) -> Vec<&'static Definition> {
        self.figures.iter().filter_map(|code| figures::named(code)).collect()
    }

    /// The day on which the return for a month is due.
    pub fn due_on(&self, month: Month) -> Option<NaiveDate> {
        let days = u64::try_from(self.due_day).ok()?;
        month.last_day().checked_add_days(Days::new(days))
    }
}

/// What may be written of a form, while it is a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "key": "four-ones", "title": "“四个一工程”推进情况月报表",
    "figures": ["four_ones.volunteer_teams", "four_ones.volunteers"], "jump_percent": 50, "due_day": 5, "opens_itself": true}))]
pub struct ReturnFormDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that asks for it: one with counties below it.
    pub organization_id: Id,
    /// What stays the same through all versions. One version is a draft, and one published, at a time.
    #[schema(min_length = 1, max_length = 50, example = "four-ones")]
    #[validate(custom(function = "rules::code"))]
    pub key: String,
    #[schema(min_length = 1, max_length = 100)]
    pub title: String,
    /// Codes of figures that each county has of its own, in the order in which they are asked for.
    #[schema(min_items = 1, max_items = 60)]
    pub figures: Vec<String>,
    #[schema(max_items = 20)]
    pub sums: Option<Vec<FormSum>>,
    /// From how many per cent of change against the month before on it is warned.
    #[schema(minimum = 1, maximum = 10000)]
    pub jump_percent: Option<i32>,
    /// 5 when absent.
    #[schema(minimum = 1, maximum = 28)]
    pub due_day: Option<i32>,
    /// 2 when absent.
    #[schema(minimum = 0, maximum = 27)]
    pub remind_days: Option<i32>,
    /// `false` when absent.
    pub opens_itself: Option<bool>,
}

/// Which forms.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ReturnFormFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the title, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub key: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<VersionState>>,
}

pub struct ReturnForms;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &ReturnFormFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(ReturnForms::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(key) = &filter.key {
        query = query.filter(t::key.eq(key.clone()));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    query
}

fn shown(_: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<ReturnForm>> {
    rows.into_iter()
        .map(|row| {
            Ok(ReturnForm {
                id: row.id,
                code: row.code,
                organization_id: row.organization_id,
                key: row.key,
                number: row.number,
                title: row.title,
                figures: serde_json::from_str(&row.figures).map_err(Error::internal)?,
                sums: serde_json::from_str(&row.sums).map_err(Error::internal)?,
                jump_percent: row.jump_percent,
                due_day: row.due_day,
                remind_days: row.remind_days,
                opens_itself: row.opens_itself,
                state: row.state,
                published_by: row.published_by,
                version: row.version,
                created_at: row.created_at,
                updated_at: row.updated_at,
            })
        })
        .collect()
}

/// A form, for what is made of it: whoever asks has decided that.
pub fn known(conn: &mut AnyConnection, id: Id) -> Result<ReturnForm> {
    let row = t::table.find(id).select(Row::as_select()).first(conn)?;
    shown(conn, vec![row])?.pop().ok_or_else(Error::not_found)
}

/// The version of a form that was last published, retired since or not.
pub fn latest(conn: &mut AnyConnection, organization_id: Id, key: &str) -> Result<Option<ReturnForm>> {
    let of = t::table.filter(t::organization_id.eq(organization_id)).filter(t::key.eq(key.to_owned()));
    let row = of.filter(t::state.ne(VersionState::Draft)).order(t::number.desc()).select(Row::as_select()).first(conn).optional()?;
    Ok(shown(conn, row.into_iter().collect())?.pop())
}

/// The published forms, and those that were: of their rounds some may still be open.
pub fn ever_published(conn: &mut AnyConnection) -> Result<Vec<ReturnForm>> {
    let rows = t::table.filter(t::state.ne(VersionState::Draft)).order(t::id).select(Row::as_select()).load(conn)?;
    shown(conn, rows)
}

fn row(id: Id, number: i32, version: i32, created_at: Instant, now: Instant, draft: ReturnFormDraft) -> Result<Row> {
    Ok(Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        key: draft.key,
        number,
        title: draft.title,
        figures: serde_json::to_string(&draft.figures).map_err(Error::internal)?,
        sums: serde_json::to_string(&draft.sums.unwrap_or_default()).map_err(Error::internal)?,
        jump_percent: draft.jump_percent,
        due_day: draft.due_day.unwrap_or(DUE_DAY),
        remind_days: draft.remind_days.unwrap_or(REMIND_DAYS),
        opens_itself: draft.opens_itself.unwrap_or(false),
        state: VersionState::Draft,
        published_by: None,
        version,
        created_at,
        updated_at: now,
    })
}

/// The faults of a draft's figures: pure.
fn faults_of(draft: &ReturnFormDraft, at: &impl Fn(&str) -> String) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |pointer: String, code, zh: String, en: String| faults.push(Fault::new(at(&pointer), code, Says::new(zh, en)));
    if draft.figures.is_empty() || draft.figures.len() > FIGURES {
        let (zh, en) = (format!("指标应有 1 至 {FIGURES} 项"), format!("a form asks for 1 to {FIGURES} figures"));
        fault("figures".into(), "wrong_number", zh, en);
    }
    let mut seen = HashSet::new();
    for (i, code) in draft.figures.iter().enumerate() {
        let pointer = format!("figures/{i}");
        match figures::named(code) {
            None => fault(
                pointer,
                "unknown_figure",
                format!("没有指标“{code}”；目录见 /api/v1/figures"),
                format!("there is no figure '{code}'; see /api/v1/figures"),
            ),
            Some(definition) if !definition.is_of_counties() => fault(
                pointer,
                "not_of_counties",
                format!("指标“{}”不由各县市区分别统计，不能上报", definition.label_zh),
                format!("the figure '{code}' is not one that each county has of its own"),
            ),
            Some(_) if !seen.insert(code) => fault(pointer, "twice", "此指标已列出".into(), "this figure is listed already".into()),
            Some(_) => {}
        }
    }
    let sums = draft.sums.as_deref().unwrap_or_default();
    if sums.len() > SUMS {
        fault("sums".into(), "too_many", format!("最多 {SUMS} 项"), format!("at most {SUMS}"));
    }
    for (i, sum) in sums.iter().enumerate() {
        let parts = sum.parts.iter().enumerate().map(|(j, part)| (format!("sums/{i}/parts/{j}"), part));
        let named = std::iter::once((format!("sums/{i}/total"), &sum.total)).chain(parts);
        for (pointer, code) in named.filter(|(_, code)| !draft.figures.contains(code)) {
            fault(
                pointer,
                "not_in_the_form",
                format!("“{code}”不在本表所列指标中"),
                format!("'{code}' is not among the figures of this form"),
            );
        }
        if sum.parts.is_empty() || sum.parts.contains(&sum.total) {
            fault(
                format!("sums/{i}/parts"),
                "no_parts",
                "分项至少一项，且不含合计自身".into(),
                "a sum has one part or more, and isn't its own part".into(),
            );
        }
    }
    faults
}

fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[ReturnFormDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = drafts.iter().enumerate().flat_map(|(i, draft)| faults_of(draft, &|field: &str| at(i, field))).collect();
    let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id))).collect();
    rules::all_in_scope(tx.conn, scope, "organizations", wanted, &mut faults)?;
    Error::unless_empty(faults)
}

versions::versioned!(ReturnForms, t);

impl Resource for ReturnForms {
    const NAME: &'static str = "return_forms";
    const LABEL: (&'static str, &'static str) = ("上报表", "return form");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    // A list within a record stands in no row of a file.
    const IMPORTABLE: bool = false;
    const SHARED_BELOW: bool = true;

    type View = ReturnForm;
    type Draft = ReturnFormDraft;
    type Filter = ReturnFormFilter;

    reads!(t, Row => shown);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let numbers = Self::numbers(tx, drafts.iter().map(|draft| draft.key.clone()).collect())?;
        let rows: Vec<Row> = drafts
            .into_iter()
            .map(|draft| row(Id::new(), numbers.next(draft.organization_id, &draft.key), 1, now, now, draft))
            .collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows).map_err(versions::one_draft::<Self>)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let form = view.clone();
        Ok(ReturnFormDraft {
            code: Some(form.code),
            organization_id: form.organization_id,
            key: form.key,
            title: form.title,
            figures: form.figures,
            sums: Some(form.sums),
            jump_percent: form.jump_percent,
            due_day: Some(form.due_day),
            remind_days: Some(form.remind_days),
            opens_itself: Some(form.opens_itself),
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        versions::stays::<Self>((before.organization_id, &before.key), (draft.organization_id, &draft.key))?;
        let after = row(before.id, before.number, before.version + 1, before.created_at, tx.now, draft)?;
        save!(tx, t, before, &after)?;
        Self::find(tx.conn, scope, before.id)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        versions::steps("本版本启用，同一标识的上一版本随即废止 / Publish: the version before it is retired")
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        versions::offered(view.state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(figures: &[&str], sums: Vec<FormSum>) -> ReturnFormDraft {
        ReturnFormDraft {
            code: None,
            organization_id: Id::new(),
            key: "k".into(),
            title: "月报".into(),
            figures: figures.iter().map(|code| (*code).to_owned()).collect(),
            sums: Some(sums),
            jump_percent: None,
            due_day: None,
            remind_days: None,
            opens_itself: None,
        }
    }

    #[test]
    fn a_form_asks_for_what_counties_have() {
        let told = |draft: &ReturnFormDraft| -> Vec<(String, &str)> {
            faults_of(draft, &|field: &str| format!("/{field}")).into_iter().map(|fault| (fault.pointer, fault.code)).collect()
        };
        let fine = ["four_ones.volunteers", "four_ones.volunteer_teams"];
        assert_eq!(told(&draft(&fine, vec![FormSum { total: fine[0].into(), parts: vec![fine[1].into()] }])), vec![]);
        let wrong = draft(
            &["nothing", "publicity.goods.hat", "four_ones.volunteers", "four_ones.volunteers"],
            vec![FormSum { total: "four_ones.volunteer_teams".into(), parts: vec![] }],
        );
        let found = told(&wrong);
        let found: Vec<(&str, &str)> = found.iter().map(|(pointer, code)| (pointer.as_str(), *code)).collect();
        assert_eq!(
            found,
            [
                ("/figures/0", "unknown_figure"),
                ("/figures/1", "not_of_counties"),
                ("/figures/3", "twice"),
                ("/sums/0/total", "not_in_the_form"),
                ("/sums/0/parts", "no_parts"),
            ]
        );
        assert_eq!(told(&draft(&[], vec![])), vec![("/figures".to_owned(), "wrong_number")]);
    }

    #[test]
    fn a_return_is_due_in_the_month_after() {
        let month: Month = "2024-01".parse().expect("a month");
        let form = ReturnForm {
            id: Id::new(),
            code: "f".into(),
            organization_id: Id::new(),
            key: "k".into(),
            number: 1,
            title: String::new(),
            figures: vec![],
            sums: vec![],
            jump_percent: None,
            due_day: 28,
            remind_days: 2,
            opens_itself: false,
            state: VersionState::Published,
            published_by: None,
            version: 1,
            created_at: Instant::now(),
            updated_at: Instant::now(),
        };
        assert_eq!(form.due_on(month).map(|day| day.to_string()).as_deref(), Some("2024-02-28"));
    }
}
