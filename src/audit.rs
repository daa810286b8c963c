//! Who did what to which record: one event per change, written in the transaction of the deed.
//!
//! Details hold what the caller of the API sees of the record, so identifiers stand in them masked.

use diesel::prelude::*;

use crate::db::{AnyConnection, insert_all};
use crate::schema::audit_events;
use crate::types::{Id, Instant};

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
