//! What stands in versions: a standard, a form. A published version never changes, so whatever refers to it keeps its meaning; who wants
//! another one revises it, which makes the next version, a draft.

use serde_json::{Value, json};

use crate::db::Tx;
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Scope};
use crate::types::{Id, TextEnum, text_enum};
use crate::web::resource::{Run, Step};
use crate::web::verbs::note_created;
use crate::web::{Resource, Viewed};

text_enum! {
    /// Where a version stands.
    VersionState {
        Draft = "draft", "草稿", "draft";
        Published = "published", "已发布", "published";
        Retired = "retired", "已废止", "retired";
    }
}

/// What stands in versions, as far as only its own table can tell: see [`versioned`]. All else is the functions of this module.
pub trait Versioned: Resource {
    /// The versions that there are of some keys.
    fn numbers(tx: &mut Tx<'_>, keys: Vec<String>) -> Result<Numbers>;
    /// What is published under a version's key: ids and versions.
    fn published(tx: &mut Tx<'_>, of: &Self::View) -> Result<Vec<(Id, i32)>>;
    /// Moves a version on, at its version; who published it stays.
    fn set(tx: &mut Tx<'_>, id: Id, version: i32, state: VersionState, published_by: Option<Id>) -> Result<()>;
    /// The same content, under a code that is yet to be made.
    fn anew(draft: Self::Draft) -> Self::Draft;
}

/// [`Versioned`] of a resource over its table: diesel's tables are types, and what it takes to write over any of them is longer than this.
macro_rules! versioned {
    ($resource:ident, $table:ident) => {
        impl $crate::resources::versions::Versioned for $resource {
            fn numbers(tx: &mut $crate::db::Tx<'_>, keys: Vec<String>) -> $crate::error::Result<$crate::resources::versions::Numbers> {
                let known = $table::table.filter($table::key.eq_any(keys)).select(($table::organization_id, $table::key, $table::number));
                Ok($crate::resources::versions::Numbers(known.load(tx.conn)?))
            }

            fn published(tx: &mut $crate::db::Tx<'_>, of: &Self::View) -> $crate::error::Result<Vec<($crate::types::Id, i32)>> {
                let of_its_key = $table::table.filter($table::organization_id.eq(of.organization_id)).filter($table::key.eq(&of.key));
                let published = of_its_key.filter($table::state.eq($crate::resources::versions::VersionState::Published));
                Ok(published.select(($table::id, $table::version)).load(tx.conn)?)
            }

            fn set(
                tx: &mut $crate::db::Tx<'_>,
                id: $crate::types::Id,
                version: i32,
                state: $crate::resources::versions::VersionState,
                published_by: Option<$crate::types::Id>,
            ) -> $crate::error::Result<()> {
                let at_its_version = $table::table.filter($table::id.eq(id)).filter($table::version.eq(version));
                let moved = ($table::state.eq(state), $table::version.eq(version + 1), $table::updated_at.eq(tx.now));
                let saved = match published_by {
                    Some(by) => diesel::update(at_its_version).set((moved, $table::published_by.eq(by))).execute(tx.conn),
                    None => diesel::update(at_its_version).set(moved).execute(tx.conn),
                };
                if saved? == 0 { Err($crate::web::verbs::stale(version + 1)) } else { Ok(()) }
            }

            fn anew(mut draft: Self::Draft) -> Self::Draft {
                draft.code = None;
                draft
            }
        }
    };
}
pub(crate) use versioned;

/// Owner, key and number of versions.
pub struct Numbers(pub Vec<(Id, String, i32)>);

impl Numbers {
    /// The number of the version after those of a key that there are.
    pub fn next(&self, organization_id: Id, key: &str) -> i32 {
        let of_its_key = self.0.iter().filter(|(owner, known, _)| *owner == organization_id && known == key);
        of_its_key.map(|(.., number)| *number).max().unwrap_or_default() + 1
    }
}

/// What a version's state allows.
pub fn offered(state: VersionState) -> Vec<Action> {
    match state {
        VersionState::Draft => vec![Action::Update, Action::Delete, Action::Publish],
        VersionState::Published => vec![Action::Revise, Action::Retire],
        VersionState::Retired => vec![Action::Revise],
    }
}

/// Says what stands in the way of a second draft under one key.
pub fn one_draft<R: Resource>(error: diesel::result::Error) -> Error {
    let mut error = Error::from(error);
    if error.code == Code::AlreadyExists && error.faults.is_empty() {
        let (zh, en) = R::LABEL;
        error.detail = Some(Says::new(
            format!("该{zh}已有一个草稿版本，请修改该草稿"),
            format!("the {en} has a version that is a draft already; change that one"),
        ));
    }
    error
}

/// A version stays its owner's, and one of its key.
pub fn stays<R: Resource>(before: (Id, &str), after: (Id, &str)) -> Result<()> {
    if before == after {
        return Ok(());
    }
    let (zh, en) = R::LABEL;
    let says =
        Says::new(format!("版本的标识和所属单位不能修改；请另建{zh}"), format!("a version keeps its key and its owner; make another {en}"));
    let field = if before.1 == after.1 { "/organization_id" } else { "/key" };
    Err(Error::invalid(vec![Fault::new(field, "fixed", says)]))
}

/// The steps of whatever stands in versions; what `publish` brings about is told by the slice.
pub fn steps<R: Versioned>(published: &'static str) -> Vec<Step<R>> {
    let step = |action, summary, run: Run<R>| Step { action, summary, body: None, needs_key: false, run };
    vec![
        step(Action::Publish, published, publish::<R>),
        step(
            Action::Revise,
            "修订：以相同内容建立下一版本（草稿）并返回之 / Revise: make the next version, a draft with the same content, and answer it",
            revise::<R>,
        ),
        step(Action::Retire, "废止，不再使用 / Retire: it is used no more", retire::<R>),
    ]
}

/// One version of a key is published at a time: the one before is retired in the same transaction.
fn publish<R: Versioned>(tx: &mut Tx<'_>, scope: &Scope, before: R::View, _: &Value) -> Result<R::View> {
    let actor = tx.actor()?;
    for (id, version) in R::published(tx, &before)? {
        R::set(tx, id, version, VersionState::Retired, None)?;
        let changes = json!({"state": [VersionState::Published.code(), VersionState::Retired.code()]});
        tx.audit(Action::Retire.code(), R::NAME, Some(id), before.organization_id(), Some(&changes));
    }
    R::set(tx, before.id(), before.version(), VersionState::Published, Some(actor))?;
    R::find(tx.conn, scope, before.id())
}

fn retire<R: Versioned>(tx: &mut Tx<'_>, scope: &Scope, before: R::View, _: &Value) -> Result<R::View> {
    R::set(tx, before.id(), before.version(), VersionState::Retired, None)?;
    R::find(tx.conn, scope, before.id())
}

/// The next version, a draft with the same content: it is what is answered.
fn revise<R: Versioned>(tx: &mut Tx<'_>, scope: &Scope, before: R::View, _: &Value) -> Result<R::View> {
    let draft = R::anew(R::draft(tx, &before)?);
    let next = R::insert(tx, scope, vec![draft])?.pop().ok_or_else(|| Error::internal("an insert returned nothing"))?;
    note_created::<R>(tx, &next)?;
    Ok(next)
}
