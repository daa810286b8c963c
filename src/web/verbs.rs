//! The verbs that every resource has, written once: permit → load in scope → decide → save at its version →
//! audit → show.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use actix_web::http::StatusCode;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};
use validator::Validate;

use super::contract;
use super::page::Window;
use super::resource::{Measure, Measured, Reference, Resource, Step, Viewed};
use super::shape::Shape;
use crate::db::{AnyConnection, Reply, Tx};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::files::cells::Records;
use crate::policy::{Action, Actor, Area, Scope};
use crate::types::{Id, TextEnum};

pub const BATCH_LIMIT: usize = 1_000;

/// A page as it goes out.
pub struct Listed {
    pub body: Vec<u8>,
    pub next_cursor: Option<String>,
}

/// A page for a file.
pub struct RecordPage {
    pub records: Box<dyn Records>,
    /// Where the next page begins; `None` of the last.
    pub next: Option<Window>,
}

/// A record as it goes out.
pub struct Shown {
    /// Quoted.
    pub etag: String,
    pub body: Vec<u8>,
    /// What a retry is answered, where that is less.
    pub kept: Option<Vec<u8>>,
}

/// What became of one row of an import.
#[derive(Debug, Clone, PartialEq)]
pub enum Written {
    /// With the draft that would make it what it was, and its version since.
    Updated {
        before: Value,
        version: i32,
    },
    Unchanged,
}

/// A resource without its types, so that handlers, imports and figures are compiled once and not once per resource.
pub trait Verbs: Send + Sync {
    fn name(&self) -> &'static str;
    fn label(&self) -> (&'static str, &'static str);
    fn area(&self) -> Area;
    fn writable(&self) -> bool;
    fn importable(&self) -> bool;
    fn sorts(&self) -> &'static [&'static str];
    fn references(&self) -> &'static [Reference];
    fn draft_shape(&self) -> &Shape;
    fn filter_shape(&self) -> &Shape;
    fn view_shape(&self) -> &Shape;
    fn step_list(&self) -> Vec<StepFacts>;

    /// A page, with the scope as it is best looked for in the page and, where it is asked for, in the count.
    fn list(&self, conn: &mut AnyConnection, actor: &Actor, scope: (&Scope, &Scope), filter: Value, window: &Window) -> Result<Listed>;
    /// Those of the records that are in scope, as they go out, by their ids: at most a page of them.
    fn among(&self, conn: &mut AnyConnection, actor: &Actor, scope: &Scope, ids: Vec<Id>) -> Result<HashMap<Id, Box<RawValue>>>;
    /// The scope to read these records in.
    fn readable_in(&self, scope: &Scope) -> Scope;
    /// The records of a window whole, for a file: one more than its limit where there are so many.
    fn records(&self, conn: &mut AnyConnection, scope: &Scope, filter: &Value, window: &Window) -> Result<RecordPage>;
    fn get(&self, conn: &mut AnyConnection, actor: &Actor, scope: &Scope, id: Id) -> Result<Shown>;
    fn create(&self, tx: &mut Tx<'_>, actor: &Actor, scope: &Scope, draft: &Value) -> Result<(Id, Shown)>;
    /// What is answered, and what a retry is, where that is less.
    fn batch(&self, tx: &mut Tx<'_>, actor: &Actor, scope: &Scope, drafts: &[Value]) -> Result<(Vec<u8>, Option<Vec<u8>>)>;
    fn patch(&self, tx: &mut Tx<'_>, actor: &Actor, scope: &Scope, id: Id, version: i32, patch: &Value) -> Result<Shown>;
    fn delete(&self, tx: &mut Tx<'_>, scope: &Scope, id: Id, version: Option<i32>) -> Result<()>;
    fn step(&self, tx: &mut Tx<'_>, actor: &Actor, scope: &Scope, call: &StepCall) -> Result<Shown>;
    fn measure(&self, conn: &mut AnyConnection, scope: &Scope, filter: Value, measure: Measure) -> Result<Measured>;
    /// Ids and versions of all records of a filter.
    fn marks(&self, conn: &mut AnyConnection, scope: &Scope, filter: Value) -> Result<Vec<(Id, i32)>>;
    /// Those in scope, and those that organizations above share with it.
    fn ids_by_code(&self, conn: &mut AnyConnection, scope: &Scope, codes: &[String]) -> Result<Vec<(String, Id)>>;
    /// Those in scope, and those that organizations above share with it.
    fn known_ids(&self, conn: &mut AnyConnection, scope: &Scope, ids: &[Id]) -> Result<Vec<Id>>;
    /// Where a record in scope belongs, for what is to be added to it: one that is shared from above is not the caller's.
    fn holder(&self, conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Holder>;
    /// What a record in scope refers to by a field.
    fn refers(&self, conn: &mut AnyConnection, scope: &Scope, id: Id, field: &str) -> Result<Option<Id>>;
    /// What is wrong with a draft as it stands, by itself; pointers begin with `/0`.
    fn faults(&self, draft: &Value) -> Vec<Fault>;
    /// New records of an import: all of these, or the faults with pointers that begin with the row's place here.
    fn import_new(&self, tx: &mut Tx<'_>, scope: &Scope, drafts: &[Value]) -> Result<Vec<Id>>;
    /// One row of an import over the record that has its code.
    fn import_over(&self, tx: &mut Tx<'_>, scope: &Scope, id: Id, row: &Value) -> Result<Written>;
    /// The versions of those of the records that there are, for who knows their ids already.
    fn versions(&self, conn: &mut AnyConnection, ids: &[Id]) -> Result<Vec<(Id, i32)>>;
    /// Makes a record again what a draft of it said.
    fn restore(&self, tx: &mut Tx<'_>, scope: &Scope, id: Id, draft: &Value) -> Result<()>;
    fn describe(&self, document: &mut Value);
}

/// Where a record belongs, and whom it is about.
#[derive(Debug, Clone, Copy)]
pub struct Holder {
    pub organization_id: Option<Id>,
    pub person_id: Option<Id>,
}

/// What the outside needs to know of a step.
#[derive(Debug, Clone)]
pub struct StepFacts {
    pub action: Action,
    pub summary: &'static str,
    pub body: Option<Shape>,
    pub needs_key: bool,
}

/// A step that is asked for.
#[derive(Debug, Clone)]
pub struct StepCall {
    pub id: Id,
    pub action: Action,
    /// From `If-Match`, where it was given.
    pub version: Option<i32>,
    pub body: Value,
}

/// A resource's verbs.
pub struct Of<R: Resource> {
    draft: Shape,
    filter: Shape,
    /// Made when a file is first written or read.
    view: OnceLock<Shape>,
    steps: Vec<Step<R>>,
}

impl<R: Resource> Of<R> {
    pub fn new() -> Self {
        Self { draft: Shape::of::<R::Draft>(), filter: contract::filter_shape::<R::Filter>(), view: OnceLock::new(), steps: R::steps() }
    }

    fn read_draft(&self, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<R::Draft> {
        understood(&self.draft, value, at, faults)
    }

    fn read_drafts(&self, values: &[Value]) -> Result<Vec<R::Draft>> {
        let mut faults = Vec::new();
        let drafts: Vec<R::Draft> =
            values.iter().enumerate().filter_map(|(i, value)| self.read_draft(value, &format!("/{i}"), &mut faults)).collect();
        Error::unless_empty(faults)?;
        Ok(drafts)
    }

    /// The scope to read and name records in; all else is done in the caller's own.
    fn readable(scope: &Scope) -> Cow<'_, Scope> {
        if R::SHARED_BELOW { Cow::Owned(scope.with_above()) } else { Cow::Borrowed(scope) }
    }

    /// The organizations above the caller's own that some of these records belong to.
    fn above(conn: &mut AnyConnection, scope: &Scope, views: &[R::View]) -> Result<Vec<Id>> {
        if !R::SHARED_BELOW {
            return Ok(Vec::new());
        }
        scope.lacks(conn, views.iter().filter_map(Viewed::organization_id).collect())
    }

    /// A record with what the caller may do to it.
    fn show(conn: &mut AnyConnection, actor: &Actor, view: &R::View, above: &[Id]) -> Result<Shown> {
        let shown = with_actions::<R>(conn, actor, std::slice::from_ref(view), above)?;
        let (body, kept) = Self::bodies(&shown.first())?;
        Ok(Shown { etag: format!("\"{}\"", view.shown_version()), body, kept })
    }

    /// What is answered, and what is kept of it where that is less.
    fn bodies(answer: &impl Serialize) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
        let body = serde_json::to_vec(answer).map_err(Error::internal)?;
        if R::TOLD_ONCE.is_none() {
            return Ok((body, None));
        }
        let mut kept = serde_json::to_value(answer).map_err(Error::internal)?;
        match kept.get_mut("items").and_then(Value::as_array_mut) {
            Some(items) => items.iter_mut().for_each(forget::<R>),
            None => forget::<R>(&mut kept),
        }
        Ok((body, Some(serde_json::to_vec(&kept).map_err(Error::internal)?)))
    }

    /// A row of an import without the masks that the record itself shows: a number that nobody may read is not written
    /// over by what stands for it. Another mask belongs to another number, which it doesn't tell: that is a fault.
    fn without_masks<'a>(before: &R::View, row: &'a Value) -> Result<Cow<'a, Value>> {
        let mut masked = Vec::new();
        find_masks(row, "", &mut masked);
        if masked.is_empty() {
            return Ok(Cow::Borrowed(row));
        }
        let shown = serde_json::to_value(before).map_err(Error::internal)?;
        let mut row = row.clone();
        let mut faults = Vec::new();
        for (pointer, mask) in masked {
            if shown.pointer(&format!("{pointer}_masked")).and_then(Value::as_str) == Some(&mask) {
                let (above, name) = pointer.rsplit_once('/').unwrap_or_default();
                if let Some(members) = row.pointer_mut(above).and_then(Value::as_object_mut) {
                    members.remove(name);
                }
            } else if shown.pointer(&format!("{pointer}_masked")).is_some() {
                faults.push(Fault::new(pointer, "masked_number", masked_number()));
            }
        }
        Error::unless_empty(faults)?;
        Ok(Cow::Owned(row))
    }

    fn insert(&self, tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<R::Draft>) -> Result<Vec<R::View>> {
        let views = R::insert(tx, scope, drafts)?;
        for view in &views {
            note_created::<R>(tx, view)?;
        }
        Ok(views)
    }

    /// The draft that a patch makes of a record, and the one that it is; `None` where these are the same.
    fn changed(&self, tx: &mut Tx<'_>, before: &R::View, patch: &Value) -> Result<Option<(R::Draft, Value)>> {
        let present = R::draft(tx, before)?;
        let present = serde_json::to_value(&present).map_err(Error::internal)?;
        let mut wanted = present.clone();
        merge_patch(&mut wanted, patch);
        if wanted == present {
            return Ok(None);
        }
        let mut faults = Vec::new();
        let draft = self.read_draft(&wanted, "", &mut faults);
        Error::unless_empty(faults)?;
        let draft = R::settled(draft.ok_or_else(|| Error::internal("a draft without faults was not read"))?);
        let settled = serde_json::to_value(&draft).map_err(Error::internal)?;
        Ok((settled != present).then_some((draft, present)))
    }

    /// Merges into the present record and saves; `None` when that changes nothing. With it the draft that it was.
    fn merge(&self, tx: &mut Tx<'_>, scope: &Scope, before: &R::View, patch: &Value) -> Result<Option<(R::View, Value)>> {
        let Some((draft, was)) = self.changed(tx, before, patch)? else { return Ok(None) };
        Ok(Some((self.update(tx, scope, before, draft)?, was)))
    }

    fn update(&self, tx: &mut Tx<'_>, scope: &Scope, before: &R::View, draft: R::Draft) -> Result<R::View> {
        let after = R::update(tx, scope, before, draft)?;
        note_changed::<R>(tx, before, &after)?;
        Ok(after)
    }
}

/// What goes with a new record: its event in the audit log, and its name in the index.
pub fn note_created<R: Resource>(tx: &mut Tx<'_>, view: &R::View) -> Result<()> {
    let mut detail = serde_json::to_value(view).map_err(Error::internal)?;
    forget::<R>(&mut detail);
    tx.audit(Action::Create.code(), R::NAME, Some(view.id()), view.organization_id(), Some(&detail)).about(view.person_id());
    tx.index(R::NAME, view.id(), None, view.searched());
    Ok(())
}

/// What goes with a record that was written over.
pub fn note_changed<R: Resource>(tx: &mut Tx<'_>, before: &R::View, after: &R::View) -> Result<()> {
    let mut changes = difference(before, after)?;
    forget::<R>(&mut changes);
    tx.audit(Action::Update.code(), R::NAME, Some(after.id()), after.organization_id(), Some(&changes)).about(after.person_id());
    tx.index(R::NAME, after.id(), before.searched(), after.searched());
    Ok(())
}

/// Leaves out of a record, or of what has changed of it, what is told once.
fn forget<R: Resource>(value: &mut Value) {
    if let Some(member) = R::TOLD_ONCE.and_then(|name| value.get_mut(name)) {
        *member = Value::Null;
    }
}

impl<R: Resource> Default for Of<R> {
    fn default() -> Self {
        Self::new()
    }
}

/// A record as it is shown to somebody.
#[derive(Serialize)]
pub struct WithActions<'a, V> {
    #[serde(flatten)]
    view: &'a V,
    allowed_actions: Vec<&'static str>,
}

/// The answer to a record that its caller has made by another way than the verb `create`.
pub fn created<R: Resource>(tx: &mut Tx<'_>, actor: &Actor, view: &R::View) -> Result<Reply> {
    let Shown { etag, body, kept } = Of::<R>::show(tx.conn, actor, view, &[])?;
    let location = format!("/api/v1/{}/{}", R::NAME.replace('_', "-"), view.id());
    Ok(Reply { status: 201, location: Some(location), etag: Some(etag), body, kept, replayed: false })
}

/// Records with what a caller may do to each: what its state offers, their roles allow where it belongs, and nothing stands against.
/// Nothing may be done to a record of those above.
pub fn with_actions<'a, R: Resource>(
    conn: &mut AnyConnection,
    actor: &Actor,
    views: &'a [R::View],
    above: &[Id],
) -> Result<Vec<WithActions<'a, R::View>>> {
    let own = |view: &&R::View| !view.organization_id().is_some_and(|id| above.contains(&id));
    let offered = views.iter().filter(own).flat_map(|view| R::offers(view).into_iter().map(move |action| (view, action)));
    let mut asked: Vec<(&R::View, Action)> = offered.filter(|(_, action)| actor.can(R::AREA, *action)).collect();
    // Who holds one role, or all of them in one place, may do in all of it what they may do at all; and what is about themselves is
    // theirs wherever it belongs.
    let mut beyond = HashSet::new();
    if !actor.is_of_one_place() {
        let of_own = |action| actor.may(R::AREA, action).is_ok_and(|scope| scope.own().is_some());
        let asked = asked.iter().filter_map(|(view, action)| Some((*action, view.organization_id()?)));
        beyond = actor.lacks(conn, R::AREA, asked.filter(|(action, _)| !of_own(*action)))?;
    }
    asked.retain(|(view, action)| !view.organization_id().is_some_and(|id| beyond.contains(&(*action, id))));
    let objections = R::objections(conn, actor, &asked)?;
    let mut asked = asked.iter().zip(objections.iter().map(Option::is_some).chain(std::iter::repeat(false))).peekable();
    let shown = views.iter().map(|view| {
        let mut allowed_actions = Vec::new();
        while let Some(((_, action), refused)) = asked.next_if(|((of, _), _)| std::ptr::eq(*of, view)) {
            allowed_actions.extend((!refused).then(|| action.code()));
        }
        WithActions { view, allowed_actions }
    });
    Ok(shown.collect())
}

/// A value as its type, or all its faults: those of its shape and, where it can be read all the same, those of its rules.
pub fn understood<T: DeserializeOwned + Validate>(shape: &Shape, value: &Value, at: &str, faults: &mut Vec<Fault>) -> Option<T> {
    let before = faults.len();
    shape.check(value, at, faults);
    match serde_json::from_value::<T>(value.clone()) {
        Ok(typed) => {
            let mut ruled = Vec::new();
            judge(&typed, at, &mut ruled);
            // What the shape has found wrong somewhere isn't said twice.
            ruled.retain(|fault| faults[before..].iter().all(|told| told.pointer != fault.pointer));
            faults.extend(ruled);
            (faults.len() == before).then_some(typed)
        }
        Err(error) => {
            if faults.len() == before {
                faults.push(Fault::new(at, "invalid_value", Says::new("此项的值无法理解", error.to_string())));
            }
            None
        }
    }
}

/// The rules of a draft that its schema can't say; `validator` tells them all.
pub fn judge(draft: &impl Validate, at: &str, faults: &mut Vec<Fault>) {
    fn collect(errors: &validator::ValidationErrors, at: &str, faults: &mut Vec<Fault>) {
        for (field, kind) in errors.errors() {
            let pointer = if field == "__all__" { at.to_owned() } else { format!("{at}/{field}") };
            match kind {
                validator::ValidationErrorsKind::Struct(inner) => collect(inner, &pointer, faults),
                validator::ValidationErrorsKind::List(items) => {
                    for (i, inner) in items {
                        collect(inner, &format!("{pointer}/{i}"), faults);
                    }
                }
                validator::ValidationErrorsKind::Field(all) => faults.extend(all.iter().map(|error| {
                    let text = |language: &str| error.params.get(language).and_then(Value::as_str).unwrap_or(&error.code).to_owned();
                    let pointer =
                        error.params.get("field").and_then(Value::as_str).map_or(pointer.clone(), |field| format!("{at}/{field}"));
                    Fault::new(
                        pointer,
                        if let std::borrow::Cow::Borrowed(code) = error.code { code } else { "invalid_value" },
                        Says::new(text("zh"), text("en")),
                    )
                })),
            }
        }
    }
    if let Err(errors) = draft.validate() {
        collect(&errors, at, faults);
    }
}

/// A step's body, whose shape has been checked, judged by its own rules as well.
pub fn step_body<T: DeserializeOwned + Validate>(body: &Value) -> Result<T> {
    let typed: T = serde_json::from_value(body.clone()).map_err(Error::internal)?;
    let mut faults = Vec::new();
    judge(&typed, "", &mut faults);
    Error::unless_empty(faults)?;
    Ok(typed)
}

/// A rule's refusal, for `validator`'s functions: on the field, or on `field` when the rule looks at several.
pub fn refusal(field: Option<&'static str>, code: &'static str, says: &Says) -> validator::ValidationError {
    let mut error = validator::ValidationError::new(code);
    error.add_param("zh".into(), &says.zh);
    error.add_param("en".into(), &says.en);
    if let Some(field) = field {
        error.add_param("field".into(), &field);
    }
    error
}

/// RFC 7396.
fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(members) = target {
        for (key, value) in changes {
            if value.is_null() {
                // Null is "unknown" here, and every member has a place of its own.
                members.insert(key.clone(), Value::Null);
            } else {
                merge_patch(members.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// What changed between two views: `{"field": [before, after]}`.
pub fn difference(before: &impl Serialize, after: &impl Serialize) -> Result<Value> {
    let (before, after) = (serde_json::to_value(before).map_err(Error::internal)?, serde_json::to_value(after).map_err(Error::internal)?);
    let (Value::Object(before), Value::Object(after)) = (before, after) else { return Ok(Value::Null) };
    Ok(after
        .into_iter()
        .filter(|(key, value)| key != "updated_at" && before.get(key) != Some(value))
        .map(|(key, value)| {
            let was = before.get(&key).cloned().unwrap_or_default();
            (key, json!([was, value]))
        })
        .collect())
}

/// What is said of a mask where a number should stand.
pub fn masked_number() -> Says {
    Says::new(
        "此处是掩码，不是完整号码：请填写完整号码，或留空以保持不变",
        "this is a mask and no whole number: give the whole number, or leave it empty to keep what is there",
    )
}

/// Texts with an asterisk, and where they stand.
fn find_masks(value: &Value, at: &str, found: &mut Vec<(String, String)>) {
    for (name, value) in value.as_object().into_iter().flatten() {
        match value {
            Value::String(text) if text.contains('*') => found.push((format!("{at}/{name}"), text.clone())),
            Value::Object(_) => find_masks(value, &format!("{at}/{name}"), found),
            _ => {}
        }
    }
}

/// A record has changed since its reader read it.
pub fn stale(current: i32) -> Error {
    Error::because(
        Code::StaleVersion,
        format!("当前版本为 {current}，请重新读取后再修改"),
        format!("the version is now {current}; read the record again"),
    )
    .with("current_version", current)
}

impl<R: Resource> Verbs for Of<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }
    fn label(&self) -> (&'static str, &'static str) {
        R::LABEL
    }
    fn area(&self) -> Area {
        R::AREA
    }
    fn writable(&self) -> bool {
        R::WRITABLE
    }
    fn importable(&self) -> bool {
        R::IMPORTABLE
    }
    fn sorts(&self) -> &'static [&'static str] {
        R::SORTS
    }
    fn references(&self) -> &'static [Reference] {
        R::REFERENCES
    }
    fn draft_shape(&self) -> &Shape {
        &self.draft
    }
    fn filter_shape(&self) -> &Shape {
        &self.filter
    }
    fn view_shape(&self) -> &Shape {
        self.view.get_or_init(Shape::of::<R::View>)
    }
    fn step_list(&self) -> Vec<StepFacts> {
        self.steps
            .iter()
            .map(|step| StepFacts {
                action: step.action,
                summary: step.summary,
                body: step.body.map(|shape| shape()),
                needs_key: step.needs_key,
            })
            .collect()
    }

    fn readable_in(&self, scope: &Scope) -> Scope {
        Self::readable(scope).into_owned()
    }

    fn among(&self, conn: &mut AnyConnection, actor: &Actor, scope: &Scope, ids: Vec<Id>) -> Result<HashMap<Id, Box<RawValue>>> {
        let views = R::page(conn, &Self::readable(scope), &R::Filter::default(), &Window::among(ids))?;
        let above = Self::above(conn, scope, &views)?;
        let shown = with_actions::<R>(conn, actor, &views, &above)?;
        shown.iter().map(|shown| Ok((shown.view.id(), to_raw_value(shown).map_err(Error::internal)?))).collect()
    }

    fn list(&self, conn: &mut AnyConnection, actor: &Actor, scope: (&Scope, &Scope), filter: Value, window: &Window) -> Result<Listed> {
        let filter: R::Filter = serde_json::from_value(filter).map_err(Error::internal)?;
        let mut views = R::page(conn, &Self::readable(scope.0), &filter, window)?;
        let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
        let more = views.len() > limit;
        views.truncate(limit);
        let next_cursor = views.last().filter(|_| more).map(|last| window.cursor_after(last.id(), last.code()));
        let total = if window.count { Some(R::count(conn, &Self::readable(scope.1), &filter)?) } else { None };
        let above = Self::above(conn, scope.0, &views)?;
        let items = with_actions::<R>(conn, actor, &views, &above)?;
        let body = serde_json::to_vec(&Page { items, next_cursor: next_cursor.as_deref(), total }).map_err(Error::internal)?;
        Ok(Listed { body, next_cursor })
    }

    fn records(&self, conn: &mut AnyConnection, scope: &Scope, filter: &Value, window: &Window) -> Result<RecordPage> {
        let filter = R::Filter::deserialize(filter).map_err(Error::internal)?;
        let views = R::page(conn, &Self::readable(scope), &filter, window)?;
        let full = i64::try_from(views.len()).is_ok_and(|found| found >= window.fetch());
        let next = views.last().filter(|_| full).map(|last| window.after(last.id(), last.code()));
        Ok(RecordPage { records: Box::new(views), next })
    }

    fn get(&self, conn: &mut AnyConnection, actor: &Actor, scope: &Scope, id: Id) -> Result<Shown> {
        let view = R::find(conn, &Self::readable(scope), id)?;
        let above = Self::above(conn, scope, std::slice::from_ref(&view))?;
        Self::show(conn, actor, &view, &above)
    }

    fn create(&self, tx: &mut Tx<'_>, actor: &Actor, scope: &Scope, draft: &Value) -> Result<(Id, Shown)> {
        let mut faults = Vec::new();
        let draft = self.read_draft(draft, "", &mut faults);
        Error::unless_empty(faults)?;
        let views = self.insert(tx, scope, draft.into_iter().collect()).map_err(without_index)?;
        let view = views.first().ok_or_else(|| Error::internal("an insert returned nothing"))?;
        Ok((view.id(), Self::show(tx.conn, actor, view, &[])?))
    }

    fn batch(&self, tx: &mut Tx<'_>, actor: &Actor, scope: &Scope, drafts: &[Value]) -> Result<(Vec<u8>, Option<Vec<u8>>)> {
        let drafts = self.read_drafts(drafts)?;
        let views = self.insert(tx, scope, drafts).map_err(among_many)?;
        let items = with_actions::<R>(tx.conn, actor, &views, &[])?;
        Self::bodies(&json!({ "items": items }))
    }

    fn patch(&self, tx: &mut Tx<'_>, actor: &Actor, scope: &Scope, id: Id, version: i32, patch: &Value) -> Result<Shown> {
        let before = R::find(tx.conn, scope, id)?;
        if before.version() != version {
            return Err(stale(before.version()));
        }
        if !R::offers(&before).contains(&Action::Update) {
            return Err(not_offered::<R>(&before, Action::Update));
        }
        let after = self.merge(tx, scope, &before, patch)?.map_or(before, |(after, _)| after);
        Self::show(tx.conn, actor, &after, &[])
    }

    fn delete(&self, tx: &mut Tx<'_>, scope: &Scope, id: Id, version: Option<i32>) -> Result<()> {
        let before = R::find(tx.conn, scope, id)?;
        if version.is_some_and(|version| version != before.version()) {
            return Err(stale(before.version()));
        }
        if !R::offers(&before).contains(&Action::Delete) {
            return Err(not_offered::<R>(&before, Action::Delete));
        }
        let referrers = crate::resources::references::to(tx.conn, R::NAME, id)?;
        if !referrers.is_empty() {
            let names: Vec<String> = referrers.iter().map(|(name, count)| format!("{name} ×{count}")).collect();
            return Err(Error::because(
                Code::StillReferenced,
                format!("仍被引用：{}；请先处理这些记录", names.join("、")),
                format!("still referred to by {}; deal with those first", names.join(", ")),
            )
            .with("referrers", referrers.iter().map(|(name, count)| json!({"resource": name, "count": count})).collect::<Vec<_>>()));
        }
        R::delete(tx, scope, &before)?;
        let detail = serde_json::to_value(&before).map_err(Error::internal)?;
        tx.audit(Action::Delete.code(), R::NAME, Some(id), before.organization_id(), Some(&detail)).about(before.person_id());
        tx.index(R::NAME, id, before.searched(), None);
        Ok(())
    }

    fn step(&self, tx: &mut Tx<'_>, actor: &Actor, scope: &Scope, call: &StepCall) -> Result<Shown> {
        let StepCall { id, action, version, body } = call;
        let (id, action) = (*id, *action);
        let step = self.steps.iter().find(|step| step.action == action).ok_or_else(Error::not_found)?;
        if let Some(shape) = step.body {
            let mut faults = Vec::new();
            shape().check(body, "", &mut faults);
            Error::unless_empty(faults)?;
        }
        let before = R::find(tx.conn, scope, id)?;
        if version.is_some_and(|version| version != before.version()) {
            return Err(stale(before.version()));
        }
        if !R::offers(&before).contains(&action) {
            return Err(not_offered::<R>(&before, action));
        }
        if let Some(objection) = R::objections(tx.conn, actor, &[(&before, action)])?.into_iter().flatten().next() {
            return Err(objection);
        }
        let earlier = serde_json::to_value(&before).map_err(Error::internal)?;
        let after = (step.run)(tx, scope, before, body)?;
        let mut changes = difference(&earlier, &after)?;
        forget::<R>(&mut changes);
        tx.audit(action.code(), R::NAME, Some(id), after.organization_id(), Some(&changes)).about(after.person_id());
        Self::show(tx.conn, actor, &after, &[])
    }

    fn measure(&self, conn: &mut AnyConnection, scope: &Scope, filter: Value, measure: Measure) -> Result<Measured> {
        let filter: R::Filter = serde_json::from_value(filter).map_err(Error::internal)?;
        R::measure(conn, scope, &filter, measure)
    }

    fn marks(&self, conn: &mut AnyConnection, scope: &Scope, filter: Value) -> Result<Vec<(Id, i32)>> {
        let filter: R::Filter = serde_json::from_value(filter).map_err(Error::internal)?;
        R::marks(conn, scope, &filter)
    }

    fn ids_by_code(&self, conn: &mut AnyConnection, scope: &Scope, codes: &[String]) -> Result<Vec<(String, Id)>> {
        R::ids_by_code(conn, &Self::readable(scope), codes)
    }

    fn known_ids(&self, conn: &mut AnyConnection, scope: &Scope, ids: &[Id]) -> Result<Vec<Id>> {
        R::known_ids(conn, &Self::readable(scope), ids)
    }

    fn holder(&self, conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Holder> {
        let view = R::find(conn, scope, id)?;
        Ok(Holder { organization_id: view.organization_id(), person_id: view.person_id() })
    }

    fn refers(&self, conn: &mut AnyConnection, scope: &Scope, id: Id, field: &str) -> Result<Option<Id>> {
        let view = R::find(conn, &Self::readable(scope), id)?;
        let shown = serde_json::to_value(&view).map_err(Error::internal)?;
        Ok(shown.get(field).and_then(Value::as_str).and_then(|text| text.parse().ok()))
    }

    fn faults(&self, draft: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.read_draft(draft, "/0", &mut faults);
        faults
    }

    fn import_new(&self, tx: &mut Tx<'_>, scope: &Scope, drafts: &[Value]) -> Result<Vec<Id>> {
        let drafts = self.read_drafts(drafts)?;
        Ok(self.insert(tx, scope, drafts)?.iter().map(Viewed::id).collect())
    }

    fn versions(&self, conn: &mut AnyConnection, ids: &[Id]) -> Result<Vec<(Id, i32)>> {
        R::versions(conn, ids)
    }

    fn restore(&self, tx: &mut Tx<'_>, scope: &Scope, id: Id, draft: &Value) -> Result<()> {
        let before = R::find(tx.conn, scope, id)?;
        if !R::offers(&before).contains(&Action::Update) {
            return Err(not_offered::<R>(&before, Action::Update));
        }
        let mut faults = Vec::new();
        let draft = self.read_draft(draft, "", &mut faults);
        Error::unless_empty(faults)?;
        let draft = draft.ok_or_else(|| Error::internal("a draft without faults was not read"))?;
        self.update(tx, scope, &before, draft)?;
        Ok(())
    }

    fn import_over(&self, tx: &mut Tx<'_>, scope: &Scope, id: Id, row: &Value) -> Result<Written> {
        let before = match R::find(tx.conn, scope, id) {
            Err(error) if error.code == Code::NotFound && R::SHARED_BELOW => {
                // It was found by its code, so it is there to be named, but not to be written.
                let above = R::find(tx.conn, &Self::readable(scope), id)?;
                let row = Self::without_masks(&above, row)?;
                return if self.changed(tx, &above, &row)?.is_none() { Ok(Written::Unchanged) } else { Err(belongs_above::<R>()) };
            }
            found => found?,
        };
        let row = &Self::without_masks(&before, row)?;
        if !R::offers(&before).contains(&Action::Update) {
            // A record that its state has closed may be named again by a file that says nothing new of it.
            let changed = self.changed(tx, &before, row)?;
            return if changed.is_none() { Ok(Written::Unchanged) } else { Err(not_offered::<R>(&before, Action::Update)) };
        }
        Ok(match self.merge(tx, scope, &before, row)? {
            Some((after, before)) => Written::Updated { before, version: after.version() },
            None => Written::Unchanged,
        })
    }

    fn describe(&self, document: &mut Value) {
        contract::describe::<R>(self.step_list(), document);
    }
}

#[derive(Serialize)]
struct Page<'a, T> {
    items: Vec<T>,
    next_cursor: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<i64>,
}

fn belongs_above<R: Resource>() -> Error {
    Error::field(
        "/code",
        "belongs_above",
        format!("此编码的{}属于上级单位，可以引用，不能修改；如需新建请换一个编码", R::LABEL.0),
        format!("the {} with this code belongs to an organization above: refer to it, or choose another code", R::LABEL.1),
    )
}

fn not_offered<R: Resource>(view: &R::View, action: Action) -> Error {
    let allowed = R::offers(view);
    let labels = |english: bool| {
        let label = |action: &Action| if english { action.label().1 } else { action.label().0 };
        allowed.iter().map(label).collect::<Vec<_>>()
    };
    let label = action.label();
    Error::because(
        Code::StepNotAllowed,
        format!("当前状态不能{}；可以：{}", label.0, labels(false).join("、")),
        format!("the state does not allow '{}'; it allows: {}", label.1, labels(true).join(", ")),
    )
    .with("allowed_actions", allowed.iter().map(|a| a.code()).collect::<Vec<_>>())
}

/// Faults of a single record need no index.
/// Among many, what stands in the way of one is a fault of that one: 422, with a pointer that begins with its place.
fn among_many(error: Error) -> Error {
    let names_one = |fault: &Fault| fault.pointer.split('/').nth(1).is_some_and(|first| first.parse::<usize>().is_ok());
    let all_name_one = !error.faults.is_empty() && error.faults.iter().all(names_one);
    if all_name_one && error.code.status() == StatusCode::CONFLICT { Error::invalid(error.faults) } else { error }
}

fn without_index(mut error: Error) -> Error {
    for fault in &mut error.faults {
        if let Some(rest) = fault.pointer.strip_prefix("/0") {
            fault.pointer = rest.to_owned();
        }
    }
    error
}

// ---- the handlers ----

/// All resources, made once.
pub fn registry() -> &'static [&'static dyn Verbs] {
    static REGISTRY: OnceLock<Vec<&'static dyn Verbs>> = OnceLock::new();
    REGISTRY.get_or_init(crate::resources::all)
}

/// A resource by the name of its table.
pub fn named(name: &str) -> Option<&'static dyn Verbs> {
    registry().iter().copied().find(|verbs| verbs.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A parameter that only points at its dictionary would go unchecked: filters hold theirs inline.
    #[test]
    fn filters_are_whole() {
        for verbs in registry() {
            let shape = verbs.filter_shape().schema().to_string();
            assert!(!shape.contains("$ref"), "{}: a parameter needs #[param(inline)]", verbs.name());
        }
    }

    /// What an import refers to can be found.
    #[test]
    fn references_are_to_resources() {
        for verbs in registry() {
            for reference in verbs.references() {
                assert!(
                    named(reference.of).is_some(),
                    "{}.{} refers to {}, which is no resource",
                    verbs.name(),
                    reference.field,
                    reference.of
                );
            }
        }
    }
}
