//! Circulars (讲评通报): what an association made known to those below it, and on which subject.
//!
//! One that was issued elsewhere is recorded as it is. One on monthly returns is prepared here: `draft → issued → archived`. `generate` tells the
//! facts of its months from what the counties handed in ([`facts`]) and from what inspections found there ([`findings`]), and puts them into words
//! ([`text`]); people go on with the text, and the facts stay beside it as they were. Issued, it has its number, and neither changes any more.

pub mod document;
pub mod facts;
pub mod findings;
mod steps;
mod text;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::{return_forms, rules};
use crate::db::{Any, AnyConnection, Tx, grams, insert_all};
use crate::error::{Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::circulars as t;
use crate::types::{Id, Instant, Month, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, Window, deletes, measured, page, reads, save, viewed};

text_enum! {
    /// Where a circular stands.
    CircularState {
        Draft = "draft", "草稿", "draft";
        Issued = "issued", "已印发", "issued";
        Archived = "archived", "已归档", "archived";
    }
}

/// The most months that one circular is on.
const MONTHS: usize = 12;

/// A circular's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    number: Option<String>,
    title: Option<String>,
    subject: String,
    year: i32,
    issued_on: Option<NaiveDate>,
    state: CircularState,
    form_key: Option<String>,
    from_month: Option<Month>,
    to_month: Option<Month>,
    facts: Option<String>,
    generated_at: Option<Instant>,
    text: Option<String>,
    issued_by: Option<Id>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A circular.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Circular {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that issued it.
    pub organization_id: Id,
    /// Document number.
    pub number: Option<String>,
    pub title: Option<String>,
    /// What it is about, as a short key.
    #[schema(example = "four_ones")]
    pub subject: String,
    /// The year that it counts in.
    pub year: i32,
    pub issued_on: Option<NaiveDate>,
    pub state: CircularState,
    /// The form whose returns it is on, where it is on returns.
    #[schema(example = "four-ones")]
    pub form_key: Option<String>,
    /// The first of the months that it is on.
    pub from_month: Option<Month>,
    /// The last of them.
    pub to_month: Option<Month>,
    /// What the service tells of these months; in lists null, and until it is generated.
    pub facts: Option<facts::CircularFacts>,
    pub generated_at: Option<Instant>,
    /// What people have written, paragraph by paragraph.
    pub text: Option<String>,
    /// The user who issued it here.
    pub issued_by: Option<Id>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(Circular {
    fn searched(&self) -> Option<String> {
        self.title.clone()
    }
});

/// What may be written of a circular.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "subject": "four_ones", "title": "关于四个一建设情况的通报", "issued_on": "2022-06-17"}))]
pub struct CircularDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that issued it.
    pub organization_id: Id,
    /// Document number.
    #[schema(min_length = 1, max_length = 100)]
    pub number: Option<String>,
    #[schema(min_length = 1, max_length = 200)]
    pub title: Option<String>,
    /// What it is about, as a short key by which circulars are counted.
    #[schema(min_length = 1, max_length = 50, example = "four_ones")]
    pub subject: String,
    /// That of `issued_on` when absent.
    #[schema(minimum = 1949, maximum = 2100)]
    pub year: Option<i32>,
    pub issued_on: Option<NaiveDate>,
    /// Of a form of this association: the circular is then a draft, to be generated from its returns. Number and day come with `issue`.
    #[schema(min_length = 1, max_length = 50, example = "four-ones")]
    pub form_key: Option<String>,
    /// The first of the months that it is on: `to_month` when absent.
    pub from_month: Option<Month>,
    /// The last of them: 12 months at most.
    pub to_month: Option<Month>,
    /// What people write, paragraph by paragraph. `generate` makes one where there is none.
    #[schema(min_length = 1, max_length = 20000)]
    pub text: Option<String>,
}

fn whole(draft: &CircularDraft) -> Result<(), ValidationError> {
    let refused = |field, code, zh: &str, en: &str| Err(refusal(Some(field), code, &Says::new(zh, en)));
    match (&draft.form_key, draft.to_month) {
        (None, None) => {
            if draft.from_month.is_some() {
                return refused("to_month", "required", "请填写截止月份", "give the last month");
            }
            rules::year_known(draft.year, draft.issued_on, "issued_on")
        }
        (None, Some(_)) => refused("form_key", "required", "请填写上报表的标识", "give the key of the form"),
        (Some(_), None) => refused("to_month", "required", "请填写截止月份", "give the last month"),
        (Some(_), Some(to)) => {
            let from = draft.from_month.unwrap_or(to);
            let months = std::iter::successors(Some(from), |month| month.after().filter(|next| *next <= to)).take(MONTHS + 1).count();
            if from > to || months > MONTHS {
                return refused(
                    "from_month",
                    "wrong_months",
                    "起始月份不晚于截止月份，最多 12 个月",
                    "from the first month to the last: 12 at most",
                );
            }
            if draft.issued_on.is_some() || draft.number.is_some() {
                return refused("number", "given_when_issued", "文号和日期在印发时填写", "number and day are given when it is issued");
            }
            Ok(())
        }
    }
}

/// Which circulars.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CircularFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the title, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub year: Option<i32>,
    pub subject: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<CircularState>>,
    /// Of the form whose returns it is on.
    pub form_key: Option<String>,
    /// Issued on this day or later.
    pub from: Option<NaiveDate>,
    /// Issued on this day or earlier.
    pub to: Option<NaiveDate>,
}

pub struct Circulars;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &CircularFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(Circulars::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(year) = filter.year {
        query = query.filter(t::year.eq(year));
    }
    if let Some(subject) = &filter.subject {
        query = query.filter(t::subject.eq(subject.clone()));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(key) = &filter.form_key {
        query = query.filter(t::form_key.eq(key.clone()));
    }
    if let Some(from) = filter.from {
        query = query.filter(t::issued_on.ge(from));
    }
    if let Some(to) = filter.to {
        query = query.filter(t::issued_on.le(to));
    }

    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: CircularDraft) -> Result<Row> {
    let year = draft.year.or(draft.to_month.map(Month::year));
    Ok(Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        number: draft.number,
        title: draft.title,
        subject: draft.subject,
        year: rules::year_of(year, draft.issued_on)?,
        issued_on: draft.issued_on,
        state: if draft.form_key.is_some() { CircularState::Draft } else { CircularState::Issued },
        from_month: draft.from_month.or(draft.to_month),
        form_key: draft.form_key,
        to_month: draft.to_month,
        facts: None,
        generated_at: None,
        text: draft.text,
        issued_by: None,
        version,
        created_at,
        updated_at: now,
    })
}

/// A row with all that is told of a single one, or as lists show it.
fn view(row: Row, whole: bool) -> Result<Circular> {
    let facts = row.facts.as_deref().filter(|_| whole).map(serde_json::from_str).transpose().map_err(Error::internal)?;
    Ok(Circular {
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        number: row.number,
        title: row.title,
        subject: row.subject,
        year: row.year,
        issued_on: row.issued_on,
        state: row.state,
        form_key: row.form_key,
        from_month: row.from_month,
        to_month: row.to_month,
        facts,
        generated_at: row.generated_at,
        text: row.text,
        issued_by: row.issued_by,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

/// Faults of references, with pointers that `at` makes from a draft's index and a field.
fn check_references(tx: &mut Tx<'_>, scope: &Scope, drafts: &[CircularDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut check = |of, field: &str, id: fn(&CircularDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    check("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    for (i, draft) in drafts.iter().enumerate() {
        let Some(key) = &draft.form_key else { continue };
        if return_forms::latest(tx.conn, draft.organization_id, key)?.is_none() {
            let says = Says::new(
                format!("本单位没有标识为“{key}”的已发布上报表"),
                format!("this association has published no form with the key '{key}'"),
            );
            faults.push(Fault::new(at(i, "form_key"), "unknown_form", says));
        }
    }
    Error::unless_empty(faults)
}

impl Resource for Circulars {
    const NAME: &'static str = "circulars";
    const LABEL: (&'static str, &'static str) = ("通报", "circular");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];

    type View = Circular;
    type Draft = CircularDraft;
    type Filter = CircularFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows: Vec<Row> = page!(conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        rows.into_iter().map(|row| view(row, false)).collect()
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        view(query(scope, &CircularFilter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?, true)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check_references(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Row> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect::<Result<_>>()?;
        insert_all!(&mut *tx.conn, t::table, rows)?;
        rows.into_iter().map(|row| view(row, true)).collect()
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let circular = view.clone();
        Ok(CircularDraft {
            code: Some(circular.code),
            organization_id: circular.organization_id,
            number: circular.number,
            title: circular.title,
            subject: circular.subject,
            year: Some(circular.year),
            issued_on: circular.issued_on,
            form_key: circular.form_key,
            from_month: circular.from_month,
            to_month: circular.to_month,
            text: circular.text,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check_references(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let was = steps::take(tx, before)?;
        let asked = (&draft.form_key, draft.from_month.or(draft.to_month), draft.to_month, draft.organization_id);
        // Of other months there are other facts.
        let same = asked == (&was.form_key, was.from_month, was.to_month, was.organization_id);
        let mut after = row(before.id, before.version + 1, before.created_at, tx.now, draft)?;
        if same {
            (after.facts, after.generated_at) = (was.facts.clone(), was.generated_at);
        }
        save!(tx, t, before, &after)?;
        view(after, true)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        steps::all()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match (view.state, view.issued_by) {
            (CircularState::Draft, _) => {
                let mut offered = vec![Action::Update, Action::Delete, Action::Generate];
                offered.extend(view.generated_at.map(|_| Action::Issue));
                offered
            }
            // What was issued elsewhere, and is only recorded, can be recorded better.
            (CircularState::Issued, None) => vec![Action::Update, Action::Delete],
            (CircularState::Issued, Some(_)) => vec![Action::Archive],
            (CircularState::Archived, _) => Vec::new(),
        }
    }
}
