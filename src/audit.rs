//! Who did what to which record: one event per change, written in the transaction of the deed.
//!
//! Details hold what the caller of the API sees of the record, so identifiers stand in them masked.

use std::collections::HashSet;

use diesel::prelude::*;

use crate::db::{AnyConnection, insert_all};
use crate::policy::Action;
use crate::schema::audit_events;
use crate::types::{Id, Instant, TextEnum};

#[derive(Debug, Clone, Insertable, Queryable)]
#[diesel(table_name = audit_events)]
#[diesel(treat_none_as_default_value = false)]
pub struct Event {
    pub id: Id,
    pub at: Instant,
    pub actor_id: Option<Id>,
    pub action: String,
    pub resource: String,
    pub record_id: Option<Id>,
    pub organization_id: Option<Id>,
    pub request_id: String,
    pub detail: Option<String>,
}

/// Appends the events of one transaction.
pub fn append(conn: &mut AnyConnection, events: &[Event]) -> QueryResult<()> {
    insert_all!(&mut *conn, audit_events::table, events)
}

/// Those of the records that somebody has written a version of: a record names the last of several hands, and the first
/// must not decide over it either.
pub fn written_by(conn: &mut AnyConnection, resource: &str, actor: Id, ids: &[Id]) -> QueryResult<HashSet<Id>> {
    let mut found = HashSet::new();
    for chunk in ids.chunks(5_000) {
        let written: Vec<Option<Id>> = audit_events::table
            .filter(audit_events::record_id.eq_any(chunk))
            .filter(audit_events::actor_id.eq(actor))
            .filter(audit_events::resource.eq(resource))
            .filter(audit_events::action.eq_any([Action::Create.code(), Action::Update.code()]))
            .select(audit_events::record_id)
            .load(conn)?;
        found.extend(written.into_iter().flatten());
    }
    Ok(found)
}
