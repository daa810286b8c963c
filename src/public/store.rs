//! The queries of the public: each begins with [`told`].

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;

use super::api::{NoticeAnswer, PublicStatus, PublishedNotice, PublishedNoticeBrief, PublishedNoticeLinePage, PublishedNoticePage};
use crate::db::{Any, AnyConnection, Tree};
use crate::error::{Error, Result};
use crate::policy::{Purpose, Scope};
use crate::resources::public_notices::{self, NoticeState};
use crate::schema::{notice_objections, organizations, public_notices as t};
use crate::types::Id;
use crate::web::{Window, page};

/// How many answers to objections are shown.
const ANSWERS_SHOWN: i64 = 100;

/// Of a notice what the public may know.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = t)]
struct Row {
    id: Id,
    organization_id: Id,
    title: String,
    introduction: Option<String>,
    state: NoticeState,
    starts_on: Option<NaiveDate>,
    ends_on: Option<NaiveDate>,
    line_count: Option<i64>,
    people: Option<i64>,
    total_fen: Option<i64>,
}

/// The notices that are for the public: in force, or archived.
///
/// The states are written out: planned once for all values, the few that are in force would be looked for among all that ever were.
fn told(status: Option<PublicStatus>) -> t::BoxedQuery<'static, Any> {
    t::table.into_boxed::<Any>().filter(sql::<Bool>(match status {
        Some(PublicStatus::InForce) => "public_notices.state = 'published'",
        Some(PublicStatus::Archived) => "public_notices.state = 'concluded'",
        None => "public_notices.state IN ('published', 'concluded')",
    }))
}

/// The organization with a code.
pub fn organization_coded(conn: &mut AnyConnection, code: &str) -> Result<Option<Id>> {
    Ok(organizations::table.filter(organizations::code.eq(code)).select(organizations::id).first(conn).optional()?)
}

/// Codes and names of organizations.
pub fn organization_names(conn: &mut AnyConnection, ids: Vec<Id>) -> Result<HashMap<Id, (String, String)>> {
    let names: Vec<(Id, String, String)> = organizations::table
        .filter(organizations::id.eq_any(ids))
        .select((organizations::id, organizations::code, organizations::name))
        .load(conn)?;
    Ok(names.into_iter().map(|(id, code, name)| (id, (code, name))).collect())
}

/// Rows as they are listed: one query for the names of all their organizations.
fn briefs(conn: &mut AnyConnection, rows: &[Row], today: NaiveDate) -> Result<Vec<PublishedNoticeBrief>> {
    let names = organization_names(conn, rows.iter().map(|row| row.organization_id).collect())?;
    let incomplete = || Error::internal("a published notice without its days or its organization");
    rows.iter()
        .map(|row| {
            let (organization_code, organization_name) = names.get(&row.organization_id).cloned().ok_or_else(incomplete)?;
            let ends_on = row.ends_on.ok_or_else(incomplete)?;
            Ok(PublishedNoticeBrief {
                id: row.id,
                title: row.title.clone(),
                organization_code,
                organization_name,
                starts_on: row.starts_on.ok_or_else(incomplete)?,
                ends_on,
                status: if row.state == NoticeState::Concluded { PublicStatus::Archived } else { PublicStatus::InForce },
                period_over: today > ends_on,
            })
        })
        .collect()
}

/// A page of notices, the newest first; of an organization and all below it, where its code is given.
pub fn page(
    conn: &mut AnyConnection,
    tree: &Tree,
    organization_code: Option<&str>,
    status: Option<PublicStatus>,
    window: &Window,
    today: NaiveDate,
) -> Result<PublishedNoticePage> {
    let mut below: Option<Id> = None;
    if let Some(code) = organization_code {
        below = organization_coded(conn, code)?;
        if below.is_none() {
            return Ok(PublishedNoticePage { items: Vec::new(), next_cursor: None });
        }
    }
    let scope = Scope::of_public().fitted(conn, tree, below, Purpose::Page)?;
    let query = || told(status).filter(scope.within(below, None).holds(t::organization_id));
    let mut rows: Vec<Row> = page!(in_time conn, scope, query(), t, window, rows => rows.select(Row::as_select()));
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|last| window.cursor_after(last.id, ""));
    Ok(PublishedNoticePage { items: briefs(conn, &rows, today)?, next_cursor })
}

fn one(conn: &mut AnyConnection, id: Id) -> Result<Row> {
    Ok(told(None).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?)
}

/// A notice.
pub fn find(conn: &mut AnyConnection, id: Id, today: NaiveDate) -> Result<PublishedNotice> {
    let row = one(conn, id)?;
    let notice = briefs(conn, std::slice::from_ref(&row), today)?.pop().ok_or_else(Error::not_found)?;
    // Of an objection its answer: neither who made it nor what they said.
    let answers: Vec<NoticeAnswer> = notice_objections::table
        .filter(notice_objections::notice_id.eq(id))
        .filter(notice_objections::answered_on.is_not_null())
        .order(notice_objections::id.desc())
        .limit(ANSWERS_SHOWN)
        .select(NoticeAnswer::as_select())
        .load(conn)?;
    Ok(PublishedNotice {
        notice,
        introduction: row.introduction,
        line_count: row.line_count.unwrap_or_default(),
        people: row.people,
        total_fen: row.total_fen,
        objections: public_notices::objection_counts(conn, &[id])?.remove(&id).unwrap_or_default(),
        answers,
        corrections: public_notices::corrections(conn, id)?,
    })
}

/// A page of a notice's lines. Its cursor tells a position and no record.
pub fn lines(conn: &mut AnyConnection, id: Id, window: &Window) -> Result<PublishedNoticeLinePage> {
    let notice = one(conn, id)?;
    let mut rows = public_notices::kept(conn, notice.id, public_notices::position_after(window)?, Some(window.fetch()))?;
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor = rows.last().filter(|_| more).map(|last| window.cursor_after(notice.id, &last.position.to_string()));
    Ok(PublishedNoticeLinePage { items: rows.iter().map(|row| row.told()).collect(), next_cursor })
}
