//! Policy documents (政策文件): the documents that the work rests on, shared with all associations below. The text is an attachment.
//!
//! A document is in force until another supersedes it, and then stays as it was.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::rules;
use crate::db::{Any, AnyConnection, Tx, grams, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::policy_documents as t;
use crate::types::{Id, Instant, code_or_new, text_enum};
use crate::web::resource::Step;
use crate::web::shape::Shape;
use crate::web::verbs::{stale, step_body};
use crate::web::{Measure, Measured, Reference, Resource, deletes, measured, reads, save, viewed};

text_enum! {
    /// Whether a document is still in force.
    DocumentState {
        InForce = "in_force", "现行有效", "in force";
        Superseded = "superseded", "已被替代", "superseded";
    }
}

/// A policy document.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset, Serialize, ToSchema)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct PolicyDocument {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that keeps it; those below it see it.
    pub organization_id: Id,
    /// Document number.
    #[schema(example = "豫政办〔2013〕90号")]
    pub number: String,
    #[schema(example = "关于加强见义勇为人员权益保护的意见")]
    pub title: String,
    /// Who issued it.
    #[schema(example = "河南省人民政府办公厅")]
    pub issuer: String,
    pub issued_on: NaiveDate,
    pub state: DocumentState,
    /// The document that took its place.
    pub superseded_by_id: Option<Id>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(PolicyDocument {
    fn searched(&self) -> Option<String> {
        Some(self.title.clone())
    }
});

/// What may be written of a document, while it is in force.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"organization_id": "01936a3c-5b7e-7d21-9c55-3f2a9e4b1c08", "number": "豫政办〔2013〕90号",
    "title": "关于加强见义勇为人员权益保护的意见", "issuer": "河南省人民政府办公厅", "issued_on": "2013-11-04"}))]
pub struct PolicyDocumentDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that keeps it.
    pub organization_id: Id,
    /// Document number; one document of an issuer has it.
    #[schema(min_length = 1, max_length = 50)]
    #[validate(custom(function = "rules::document_number"))]
    pub number: String,
    #[schema(min_length = 1, max_length = 200)]
    pub title: String,
    /// Who issued it.
    #[schema(min_length = 1, max_length = 100)]
    pub issuer: String,
    /// Not later than today.
    pub issued_on: NaiveDate,
}

/// Which documents.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PolicyDocumentFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Part of the title, its pinyin or its initials, as in `登封`, `dengfeng` or `df`.
    pub q: Option<String>,
    pub number: Option<String>,
    pub issuer: Option<String>,
    #[param(inline)]
    pub state: Option<DocumentState>,
    /// Issued on this day or later.
    pub from: Option<NaiveDate>,
    /// Issued on this day or earlier.
    pub to: Option<NaiveDate>,
}

pub struct PolicyDocuments;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &PolicyDocumentFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    for found in filter.q.iter().flat_map(|q| grams::matching(PolicyDocuments::NAME, q)) {
        query = query.filter(found.holds(t::id));
    }
    if let Some(number) = &filter.number {
        query = query.filter(t::number.eq(number.clone()));
    }
    if let Some(issuer) = &filter.issuer {
        query = query.filter(t::issuer.eq(issuer.clone()));
    }
    if let Some(state) = filter.state {
        query = query.filter(t::state.eq(state));
    }
    if let Some(day) = filter.from {
        query = query.filter(t::issued_on.ge(day));
    }
    if let Some(day) = filter.to {
        query = query.filter(t::issued_on.le(day));
    }
    query
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, draft: PolicyDocumentDraft) -> PolicyDocument {
    PolicyDocument {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        number: draft.number,
        title: draft.title,
        issuer: draft.issuer,
        issued_on: draft.issued_on,
        state: DocumentState::InForce,
        superseded_by_id: None,
        version,
        created_at,
        updated_at: now,
    }
}

/// Faults of drafts, with pointers that `at` makes from a draft's index and a field.
fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[PolicyDocumentDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let wanted: Vec<_> = drafts.iter().enumerate().map(|(i, draft)| (at(i, "organization_id"), Some(draft.organization_id))).collect();
    rules::all_in_scope(tx.conn, scope, "organizations", wanted, &mut faults)?;
    faults.extend(drafts.iter().enumerate().filter_map(|(i, draft)| rules::not_ahead(Some(draft.issued_on), tx.now, at(i, "issued_on"))));
    Error::unless_empty(faults)
}

/// Says what stands in the way of a second document with a number.
fn once(error: diesel::result::Error) -> Error {
    let mut error = Error::from(error);
    if error.code == Code::AlreadyExists && error.faults.is_empty() {
        let says = Says::new("该发文机关的这个文号已登记", "a document of this issuer with this number is kept already");
        error.detail = Some(says.clone());
        error.faults.push(Fault::new("/number", "number_taken", says));
    }
    error
}

/// Which document takes the place of this one.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct SupersedeBody {
    /// Another one that is in force.
    superseded_by_id: Id,
}

/// `retire`: another document takes its place. That one is in force, so nothing is superseded in a circle.
fn supersede(tx: &mut Tx<'_>, scope: &Scope, before: PolicyDocument, body: &Value) -> Result<PolicyDocument> {
    let by = step_body::<SupersedeBody>(body)?.superseded_by_id;
    let mut faults = Vec::new();
    rules::all_in_scope(tx.conn, scope, PolicyDocuments::NAME, [("/superseded_by_id".to_owned(), Some(by))], &mut faults)?;
    Error::unless_empty(faults)?;
    // In one order, whichever of two supersedes the other.
    held!(tx.conn, t::table.filter(t::id.eq_any([before.id, by])).order(t::id).select(t::id))?;
    let rows: Vec<(Id, (i32, DocumentState))> =
        t::table.filter(t::id.eq_any([before.id, by])).select((t::id, (t::version, t::state))).load(tx.conn)?;
    let rows: HashMap<Id, (i32, DocumentState)> = rows.into_iter().collect();
    match rows.get(&before.id) {
        Some((version, _)) if *version == before.version => {}
        Some((version, _)) => return Err(stale(*version)),
        None => return Err(Error::not_found()),
    }
    if by == before.id || rows.get(&by).is_none_or(|(_, state)| *state != DocumentState::InForce) {
        return Err(Error::field(
            "/superseded_by_id",
            "not_in_force",
            "应为另一份现行有效的文件",
            "this should be another document, which is in force",
        ));
    }
    let after = PolicyDocument {
        state: DocumentState::Superseded,
        superseded_by_id: Some(by),
        version: before.version + 1,
        updated_at: tx.now,
        ..before.clone()
    };
    save!(tx, t, before, &after)?;
    Ok(after)
}

impl Resource for PolicyDocuments {
    const NAME: &'static str = "policy_documents";
    const LABEL: (&'static str, &'static str) = ("政策文件", "policy document");
    const AREA: Area = Area::Work;
    const REFERENCES: &'static [Reference] = &[Reference::ORGANIZATION];
    const SHARED_BELOW: bool = true;

    type View = PolicyDocument;
    type Draft = PolicyDocumentDraft;
    type Filter = PolicyDocumentFilter;

    reads!(t, PolicyDocument);

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<PolicyDocument> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows).map_err(once)?;
        Ok(rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let document = view.clone();
        Ok(PolicyDocumentDraft {
            code: Some(document.code),
            organization_id: document.organization_id,
            number: document.number,
            title: document.title,
            issuer: document.issuer,
            issued_on: document.issued_on,
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, draft);
        let at_its_version = t::table.filter(t::id.eq(before.id)).filter(t::version.eq(before.version));
        if diesel::update(at_its_version).set(&after).execute(tx.conn).map_err(once)? == 0 {
            return Err(stale(before.version + 1));
        }
        Ok(after)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step {
            action: Action::Retire,
            summary: "被另一份文件替代 / Another document takes its place",
            body: Some(Shape::of::<SupersedeBody>),
            needs_key: false,
            run: supersede,
        }]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            DocumentState::InForce => vec![Action::Update, Action::Delete, Action::Retire],
            DocumentState::Superseded => Vec::new(),
        }
    }
}
