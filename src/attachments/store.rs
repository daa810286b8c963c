//! The rows of attachments, each read through the record that it belongs to.

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use serde_json::json;

use crate::db::{Any, AnyConnection};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Actor, Area, Scope};
use crate::schema::{assessment_evidence, attachments as t};
use crate::storage::Place;
use crate::types::{Id, Instant};
use crate::web::verbs::{self, Verbs};
use crate::web::{Sort, Window};

#[derive(Debug, Clone, Insertable, Queryable, Selectable)]
#[diesel(table_name = t, treat_none_as_default_value = false)]
pub struct Row {
    pub id: Id,
    /// The record's when it was attached: whose room it takes.
    pub organization_id: Option<Id>,
    pub resource: String,
    pub record_id: Id,
    pub file_name: String,
    pub caption: Option<String>,
    pub media_type: String,
    pub bytes: i64,
    pub sha256: String,
    pub width: Option<i32>,
    pub height: Option<i32>,
    pub storage_key: String,
    pub thumbnail_bytes: Option<i64>,
    pub uploaded_by: Id,
    pub created_at: Instant,
}

/// Which of an attachment's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    Content,
    Thumbnail,
}

/// What the name of a thumbnail ends in, after that of its picture.
pub const THUMBNAIL: &str = ".t";

impl Row {
    pub fn place(&self, variant: Variant) -> Place {
        match variant {
            Variant::Content => Place { key: self.storage_key.clone(), row: self.id, column: "content" },
            Variant::Thumbnail => Place { key: format!("{}{THUMBNAIL}", self.storage_key), row: self.id, column: "thumbnail" },
        }
    }

    /// Bytes of a file, where there is one.
    pub fn length(&self, variant: Variant) -> Option<u64> {
        let bytes = if variant == Variant::Content { Some(self.bytes) } else { self.thumbnail_bytes };
        bytes.and_then(|bytes| u64::try_from(bytes).ok())
    }

    pub fn verbs(&self) -> Result<&'static dyn Verbs> {
        holder_named(&self.resource).ok_or_else(Error::not_found)
    }

    /// Whether somebody read of persons, so that the audit log is told.
    pub fn is_sensitive(&self) -> bool {
        self.verbs().is_ok_and(|verbs| matches!(verbs.area(), Area::People | Area::Heroes | Area::Welfare | Area::Ledger))
    }
}

/// A resource whose records may have attachments, by its name in the code or in an address.
pub fn holder_named(name: &str) -> Option<&'static dyn Verbs> {
    let holds = |verbs: &&'static dyn Verbs| verbs.writable() && verbs.area() != Area::Access;
    verbs::named(&name.replace('-', "_")).filter(holds)
}

/// An attachment of a record that the caller may act on so.
pub fn find(conn: &mut AnyConnection, actor: &Actor, id: Id, action: Action) -> Result<Row> {
    let row: Row = t::table.find(id).select(Row::as_select()).first(conn)?;
    let verbs = row.verbs()?;
    // Who may not see the record is told what they would be told of an id that isn't there.
    let scope = actor.may(verbs.area(), Action::Read).map_err(|_| Error::not_found())?;
    if verbs.known_ids(conn, &scope, &[row.record_id])?.is_empty() {
        return Err(Error::not_found());
    }
    if action != Action::Read {
        let scope = actor.may(verbs.area(), action)?;
        verbs.holder(conn, &scope, row.record_id)?;
    }
    Ok(row)
}

/// The attachment that a link was given for: it was decided then who may.
pub fn linked(conn: &mut AnyConnection, id: Id) -> Result<Row> {
    Ok(t::table.find(id).select(Row::as_select()).first(conn)?)
}

/// A page of a record's attachments, one more where there are more. The record is in scope.
pub fn page(conn: &mut AnyConnection, scope: &Scope, verbs: &dyn Verbs, record_id: Id, window: &Window) -> Result<Vec<Row>> {
    if verbs.known_ids(conn, scope, &[record_id])?.is_empty() {
        return Err(Error::not_found());
    }
    let mut query =
        t::table.filter(t::resource.eq(verbs.name())).filter(t::record_id.eq(record_id)).select(Row::as_select()).into_boxed::<Any>();
    let newest = window.sort == Sort::Newest;
    if let Some(after) = &window.after {
        query = if newest { query.filter(t::id.lt(after.id)) } else { query.filter(t::id.gt(after.id)) };
    }
    query = if newest { query.order(t::id.desc()) } else { query.order(t::id.asc()) };
    Ok(query.limit(window.fetch()).load(conn)?)
}

/// How many files a record has.
pub fn count_of(conn: &mut AnyConnection, resource: &str, record_id: Id) -> Result<i64> {
    Ok(t::table.filter(t::resource.eq(resource)).filter(t::record_id.eq(record_id)).count().get_result(conn)?)
}

/// Those of the ids that are attachments of a record.
pub fn of_record(conn: &mut AnyConnection, resource: &str, record_id: Id, ids: &[Id]) -> Result<Vec<Id>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let of = t::table.filter(t::resource.eq(resource)).filter(t::record_id.eq(record_id)).filter(t::id.eq_any(ids));
    Ok(of.select(t::id).load(conn)?)
}

/// Bytes of all files of an organization.
pub fn bytes_of(conn: &mut AnyConnection, organization_id: Id) -> Result<i64> {
    let sum = sql::<Nullable<BigInt>>("CAST(SUM(bytes) AS BIGINT)");
    let sum: Option<i64> = t::table.filter(t::organization_id.eq(organization_id)).select(sum).first(conn)?;
    Ok(sum.unwrap_or_default())
}

/// Takes an attachment's row away, where it is nobody's evidence.
pub fn delete(conn: &mut AnyConnection, id: Id) -> Result<usize> {
    let proved: i64 = assessment_evidence::table.filter(assessment_evidence::attachment_id.eq(id)).count().get_result(conn)?;
    if proved > 0 {
        return Err(Error::because(
            Code::StillReferenced,
            "此附件是达标评定中某项的佐证，不能删除；评定为草稿时，请先从该项中移除",
            "this is the evidence of an item of an assessment; take it from there first, while the assessment is a draft",
        )
        .with("referrers", vec![json!({"resource": "assessments", "count": proved})]));
    }
    Ok(diesel::delete(t::table.find(id)).execute(conn)?)
}

/// The first attachments after one, made before an instant: what a sweep walks along.
pub fn after(conn: &mut AnyConnection, id: Option<Id>, before: Instant, most: i64) -> Result<Vec<Row>> {
    let mut query = t::table.filter(t::created_at.lt(before)).select(Row::as_select()).order(t::id.asc()).limit(most).into_boxed::<Any>();
    if let Some(id) = id {
        query = query.filter(t::id.gt(id));
    }
    Ok(query.load(conn)?)
}

/// Those of the ids that are attachments, in their order.
pub fn known(conn: &mut AnyConnection, ids: &[Id]) -> Result<Vec<Id>> {
    Ok(t::table.filter(t::id.eq_any(ids)).order(t::id).select(t::id).load(conn)?)
}

/// Those of the names that rows have.
pub fn known_keys(conn: &mut AnyConnection, keys: Vec<String>) -> Result<Vec<String>> {
    Ok(t::table.filter(t::storage_key.eq_any(keys)).select(t::storage_key).load(conn)?)
}
