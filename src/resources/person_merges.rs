//! Merges (人员合并): two registered persons who turned out to be one, and what was moved from the one to the other.
//!
//! Whatever was about the person who is merged is about the other from then on; the person stays, and says who they turned
//! out to be. A merge keeps which records it has moved, so it can be undone as long as nobody has changed one of them.

use std::collections::HashSet;

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use validator::Validate;

use super::persons::{self, Person, Persons};
use super::references::{ForeignKey, Referrer, about_persons};
use super::volunteers::Volunteers;
use super::{consents, heroes, payee_accounts, rules};
use crate::auth;
use crate::db::{Any, AnyConnection, Tx, held, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Area, OrganizationLevel, Scope};
use crate::schema::{person_merges as t, persons as p};
use crate::types::{Id, Instant, TextEnum, new_code};
use crate::web::resource::Step;
use crate::web::verbs::{named, stale, step_body};
use crate::web::{Measure, Measured, Reference, Resource, Window, measured, page, read_only, reads, viewed};

/// What a person can be once only: where both are one, somebody has to decide which record is right.
const ONCE: [&str; 2] = ["volunteers", "heroes"];

/// The records of one kind that a merge has moved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moved {
    /// The resource, as its table is called.
    #[schema(example = "dependants")]
    pub resource: String,
    /// The field that named the one person and names the other.
    #[schema(example = "person_id")]
    pub field: String,
    pub ids: Vec<Id>,
}

/// A merge's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
struct Row {
    id: Id,
    code: String,
    organization_id: Id,
    person_id: Id,
    into_id: Id,
    reason: String,
    /// JSON of [`Moved`].
    moved: String,
    merged_by: Id,
    undone_at: Option<Instant>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A merge.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PersonMerge {
    pub id: Id,
    pub code: String,
    /// The association that keeps the person who was merged.
    pub organization_id: Id,
    /// Who was merged.
    pub person_id: Id,
    /// Who they turned out to be.
    pub into_id: Id,
    pub reason: String,
    pub moved: Vec<Moved>,
    /// The user who did it.
    pub merged_by: Id,
    /// When it was undone.
    pub undone_at: Option<Instant>,
    /// Counts the changes; the ETag.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(PersonMerge);

fn view(row: Row) -> Result<PersonMerge> {
    Ok(PersonMerge {
        id: row.id,
        code: row.code,
        organization_id: row.organization_id,
        person_id: row.person_id,
        into_id: row.into_id,
        reason: row.reason,
        moved: serde_json::from_str(&row.moved).map_err(Error::internal)?,
        merged_by: row.merged_by,
        undone_at: row.undone_at,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

/// Into whom a person is merged, and how one knows that they are the same.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct MergeBody {
    /// The person who stays: of the two, the one whose ID number is known.
    into_id: Id,
    #[schema(min_length = 1, max_length = 500, example = "本人到场核对，两条登记为同一人")]
    #[validate(custom(function = "rules::reason"))]
    reason: String,
}

/// Which merges.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PersonMergeFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    /// Who was merged.
    pub person_id: Option<Id>,
    /// Who they turned out to be.
    pub into_id: Option<Id>,
    /// Whether it was undone.
    pub undone: Option<bool>,
}

pub struct PersonMerges;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &PersonMergeFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.person_id {
        query = query.filter(t::person_id.eq(id));
    }
    if let Some(id) = filter.into_id {
        query = query.filter(t::into_id.eq(id));
    }
    match filter.undone {
        Some(true) => query = query.filter(t::undone_at.is_not_null()),
        Some(false) => query = query.filter(t::undone_at.is_null()),
        None => {}
    }
    query
}

/// Holds both persons: nobody lets a record refer to one of them meanwhile.
fn hold(tx: &mut Tx<'_>, one: Id, other: Id) -> Result<()> {
    // Accounts may be among what moves, and with them who sees what.
    auth::take_turn(tx)?;
    // In the order of their ids, so that no two writers hold what the other waits for.
    held!(tx.conn, p::table.filter(p::id.eq_any([one, other])).order(p::id).select(p::id))?;
    Ok(())
}

fn conflict(pointer: &str, code: &'static str, says: Says) -> Error {
    let mut error = Error::because(Code::Conflict, says.zh.clone(), says.en.clone());
    error.faults = vec![Fault::new(pointer, code, says)];
    error
}

/// Two ID numbers are two people; and whose number is known stays, since they are found by it.
fn numbers_agree(tx: &mut Tx<'_>, person: Id, into: Id) -> Result<()> {
    let (number, _) = persons::opened(tx, None, person)?;
    let (of_into, _) = persons::opened(tx, None, into)?;
    match (number, of_into) {
        (Some(one), Some(other)) if one != other => Err(conflict(
            "/into_id",
            "different_people",
            Says::new(
                "两人的身份证号不同，不能合并；若其中一个有误，请先更正或清空",
                "their ID numbers differ, so they are two people; if one number is wrong, mend or clear it first",
            ),
        )),
        (Some(_), None) => Err(conflict(
            "/into_id",
            "wrong_direction",
            Says::new(
                "被合并的人有身份证号而保留的人没有；请反过来合并，保留有身份证号的一条",
                "the one to be merged has an ID number and the other has none: merge the other way round",
            ),
        )),
        _ => Ok(()),
    }
}

/// Records that lie outside the caller's reach are not theirs to move.
fn all_in_reach(tx: &mut Tx<'_>, scope: &Scope, found: &[(&ForeignKey, Vec<Referrer>)]) -> Result<()> {
    let all = || found.iter().flat_map(|(_, referrers)| referrers);
    let homeless = all().filter(|referrer| referrer.organization_id.is_none() && !scope.is_whole()).count();
    let outside = scope.lacks(tx.conn, all().filter_map(|referrer| referrer.organization_id).collect())?;
    let foreign = homeless + all().filter(|referrer| referrer.organization_id.is_some_and(|id| outside.contains(&id))).count();
    if foreign == 0 {
        return Ok(());
    }
    Err(Error::because(
        Code::Forbidden,
        format!("此人有 {foreign} 条记录属于您管辖范围以外的单位；请由上级协会办理"),
        format!("{foreign} records about this person belong to organizations outside your reach; ask who is above them"),
    ))
}

/// What both are once, and a person can be once only.
fn refuse_twice(tx: &mut Tx<'_>, into: Id, found: &[(&ForeignKey, Vec<Referrer>)]) -> Result<()> {
    let mut ways: Vec<(&'static str, String, String)> = Vec::new();
    for (key, own) in found.iter().filter(|(key, own)| ONCE.contains(&key.table) && !own.is_empty()) {
        let theirs = key.referrers(tx.conn, into)?;
        let codes = |referrers: &[Referrer]| referrers.iter().map(|r| r.code.clone()).collect::<Vec<_>>().join("、");
        if !theirs.is_empty() {
            ways.push((key.table, codes(own), codes(&theirs)));
        }
    }
    if ways.is_empty() {
        return Ok(());
    }
    let label = |table: &str| named(table).map_or(("", ""), |verbs| verbs.label());
    let zh: Vec<String> = ways.iter().map(|(table, own, theirs)| format!("{}（{own} 与 {theirs}）", label(table).0)).collect();
    let en: Vec<String> =
        ways.iter().map(|(table, own, theirs)| format!("{} ({own} and {theirs})", label(table).1).replace('、', ", ")).collect();
    let says = Says::new(
        format!("两人都已登记为{}；请先核对并删除多余的一条，再合并", zh.join("、")),
        format!("both are registered as a {}; decide which is right, delete the other, and merge then", en.join(" and a ")),
    );
    let records: Vec<Value> = ways.iter().map(|(table, own, theirs)| json!({"resource": table, "codes": [own, theirs]})).collect();
    Err(conflict("/into_id", "registered_twice", says).with("records", records))
}

/// A moved record's own trail tells of the move.
fn note(tx: &mut Tx<'_>, action: Action, key: &ForeignKey, referrers: &[Referrer], from: Id, to: Id) {
    let detail = json!({key.column: [from, to]});
    for referrer in referrers {
        tx.audit(action.code(), key.table, Some(referrer.id), referrer.organization_id, Some(&detail));
    }
}

/// A moved volunteer is found by the name of whom it is about now.
fn rename_volunteers(tx: &mut Tx<'_>, found: &[(&ForeignKey, Vec<Referrer>)], from: &Person, to: &Person) {
    let volunteers = found.iter().filter(|(key, _)| key.table == Volunteers::NAME).flat_map(|(_, referrers)| referrers);
    for volunteer in volunteers {
        tx.index(Volunteers::NAME, volunteer.id, Some(from.name.clone()), Some(to.name.clone()));
    }
}

/// Nothing is published of those whose records have moved without a consent.
fn settle(tx: &mut Tx<'_>, persons: &[&Person]) -> Result<()> {
    for person in persons {
        if !consents::publication_holds(tx, person.id)? {
            heroes::take_back(tx, person.id)?;
        }
    }
    Ok(())
}

/// A record was written between being seen and being moved; the whole is tried again.
fn moved_meanwhile() -> Error {
    Error::new(Code::Overloaded).retry_after(1)
}

/// The step `merge` of a person.
pub fn merge(tx: &mut Tx<'_>, scope: &Scope, before: Person, body: &Value) -> Result<Person> {
    let MergeBody { into_id, reason } = step_body(body)?;
    let actor = tx.actor()?;
    if into_id == before.id {
        return Err(Error::field("/into_id", "same_person", "不能把一个人合并到自己", "a person can't be merged into themself"));
    }
    hold(tx, before.id, into_id)?;
    let into = Persons::find(tx.conn, scope, into_id).map_err(|error| match error.code {
        Code::NotFound => Error::invalid(vec![Fault::unknown_reference("/into_id")]),
        _ => error,
    })?;
    if let Some(third) = into.merged_into_id {
        return Err(conflict(
            "/into_id",
            "merged_already",
            Says::new(
                format!("此人已合并到 {third}，请合并到后者"),
                format!("this person has been merged into {third}: merge into that one"),
            ),
        ));
    }
    numbers_agree(tx, before.id, into.id)?;
    let mut found: Vec<(&ForeignKey, Vec<Referrer>)> = Vec::new();
    for key in about_persons() {
        found.push((key, key.referrers(tx.conn, before.id)?));
    }
    found.retain(|(_, referrers)| !referrers.is_empty());
    all_in_reach(tx, scope, &found)?;
    refuse_twice(tx, into.id, &found)?;

    payee_accounts::give_way(tx, before.id, into.id)?;
    let now = tx.now;
    for (key, referrers) in &found {
        if key.repoint(tx.conn, before.id, into.id, now)? != referrers.len() {
            return Err(moved_meanwhile());
        }
        note(tx, Action::Merge, key, referrers, before.id, into.id);
    }
    let saved = diesel::update(p::table.filter(p::id.eq(before.id)).filter(p::version.eq(before.version)))
        .set((p::merged_into_id.eq(Some(into.id)), p::version.eq(p::version + 1), p::updated_at.eq(now)))
        .execute(tx.conn)?;
    if saved == 0 {
        return Err(stale(before.version + 1));
    }
    let moved: Vec<Moved> = found
        .iter()
        .map(|(key, referrers)| Moved {
            resource: key.table.to_owned(),
            field: key.column.to_owned(),
            ids: referrers.iter().map(|referrer| referrer.id).collect(),
        })
        .collect();
    let rows = [Row {
        id: Id::new(),
        code: new_code(),
        organization_id: before.organization_id,
        person_id: before.id,
        into_id: into.id,
        reason: reason.trim().to_owned(),
        moved: serde_json::to_string(&moved).map_err(Error::internal)?,
        merged_by: actor,
        undone_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }];
    insert_all!(&mut *tx.conn, t::table, rows)?;
    rename_volunteers(tx, &found, &before, &into);
    settle(tx, &[&into])?;
    Ok(Person { merged_into_id: Some(into.id), version: before.version + 1, updated_at: now, ..before })
}

/// The step `undo`: what was moved goes back, if it still is as the merge has left it.
fn undo(tx: &mut Tx<'_>, scope: &Scope, before: PersonMerge, _: &Value) -> Result<PersonMerge> {
    hold(tx, before.person_id, before.into_id)?;
    let person = Persons::find(tx.conn, scope, before.person_id)?;
    let into = Persons::find(tx.conn, scope, before.into_id)?;
    let mut found: Vec<(&ForeignKey, Vec<Referrer>)> = Vec::new();
    let mut changed: Vec<(&'static str, Id)> = Vec::new();
    for key in about_persons() {
        let Some(moved) = before.moved.iter().find(|moved| moved.resource == key.table && moved.field == key.column) else { continue };
        let mut untouched = key.referrers(tx.conn, before.into_id)?;
        untouched.retain(|referrer| referrer.updated_at == before.created_at);
        let there: HashSet<Id> = untouched.iter().map(|referrer| referrer.id).collect();
        changed.extend(moved.ids.iter().filter(|id| !there.contains(id)).map(|id| (key.table, *id)));
        found.push((key, untouched));
    }
    if !changed.is_empty() {
        let label = |table: &str| named(table).map_or(("", ""), |verbs| verbs.label());
        let zh: Vec<String> = changed.iter().map(|(table, id)| format!("{} {id}", label(table).0)).collect();
        let en: Vec<String> = changed.iter().map(|(table, id)| format!("{} {id}", label(table).1)).collect();
        return Err(Error::because(
            Code::Conflict,
            format!("合并后有记录被修改或删除，不能撤销合并：{}", zh.join("、")),
            format!("records have been changed or deleted since, so the merge can't be undone: {}", en.join(", ")),
        )
        .with("changed", changed.iter().map(|(table, id)| json!({"resource": table, "id": id})).collect::<Vec<_>>()));
    }
    all_in_reach(tx, scope, &found)?;

    let now = tx.now;
    for (key, referrers) in &found {
        if key.restore(tx.conn, before.into_id, before.person_id, now, before.created_at)? != referrers.len() {
            return Err(moved_meanwhile());
        }
        note(tx, Action::Undo, key, referrers, before.into_id, before.person_id);
    }
    diesel::update(p::table.filter(p::id.eq(person.id)))
        .set((p::merged_into_id.eq(None::<Id>), p::version.eq(p::version + 1), p::updated_at.eq(now)))
        .execute(tx.conn)?;
    let apart = json!({"merged_into_id": [into.id, null]});
    tx.audit(Action::Undo.code(), Persons::NAME, Some(person.id), Some(person.organization_id), Some(&apart));
    let saved = diesel::update(t::table.filter(t::id.eq(before.id)).filter(t::version.eq(before.version)))
        .set((t::undone_at.eq(Some(now)), t::version.eq(t::version + 1), t::updated_at.eq(now)))
        .execute(tx.conn)?;
    if saved == 0 {
        return Err(stale(before.version + 1));
    }
    rename_volunteers(tx, &found, &into, &person);
    settle(tx, &[&person, &into])?;
    Ok(PersonMerge { undone_at: Some(now), version: before.version + 1, updated_at: now, ..before })
}

impl Resource for PersonMerges {
    const NAME: &'static str = "person_merges";
    const LABEL: (&'static str, &'static str) = ("人员合并", "person merge");
    const AREA: Area = Area::People;
    const REFERENCES: &'static [Reference] = &[];

    type View = PersonMerge;
    type Filter = PersonMergeFilter;
    read_only!();

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows: Vec<Row> = page!(conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        rows.into_iter().map(view).collect()
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        view(query(scope, &Self::Filter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?)
    }

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        vec![Step { action: Action::Undo, summary: "撤销合并 / Undo the merge", body: None, needs_key: false, run: undo }]
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        if view.undone_at.is_none() { vec![Action::Undo] } else { Vec::new() }
    }
}
