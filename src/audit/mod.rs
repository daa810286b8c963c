//! Who did what to which record, from where, and what came of it: one event per change, written in the transaction of
//! the deed. Sign-ins and sign-outs, readings of whole numbers and refusals have theirs, too.
//!
//! Details hold what the caller of the API sees of the record, so identifiers stand in them masked.
//!
//! # The chain
//!
//! Rows of the log are only added: triggers refuse everything else, to everybody who doesn't take them away. That
//! somebody did is found by a chain: each event has a link with a number and a hash over the link before and the whole
//! row ([`chain`]). Were a deed to hang its own event on the chain, all writers would wait for each other. So
//! events are only committed with their deed, and a sealer ([`seal`]) hangs on afterwards what has been committed: one at
//! a time over all servers, within a second or so, in an order that is then the order for good.
//!
//! Whoever can write to the database can write a whole chain anew. So each day ends with a checkpoint, signed with the
//! key that signs access tokens, which the database doesn't know. One that is kept elsewhere shows too that the end was
//! cut off. A later checkpoint vouches for all before it, so those of former keys need no key any more.
//!
//! [`verify`] walks along the chain and names what was changed, is missing, or stands in another's place.

pub mod api;
pub mod chain;
pub mod refusals;
pub mod seal;
pub mod verify;

use std::collections::HashSet;

use diesel::prelude::*;

use crate::db::{AnyConnection, insert_all};
use crate::policy::Action;
use crate::schema::audit_events;
use crate::types::{Id, Instant, TextEnum, text_enum};

text_enum! {
    /// What came of it.
    AuditOutcome {
        Done = "done", "已完成", "done";
        Refused = "refused", "已拒绝", "refused";
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Insertable, Queryable, Selectable)]
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
    /// Where the request came from, where that is known.
    pub address: Option<String>,
    pub outcome: AuditOutcome,
    /// Whom the record is about.
    pub person_id: Option<Id>,
}

impl Event {
    pub fn about(&mut self, person_id: Option<Id>) -> &mut Self {
        self.person_id = person_id;
        self
    }

    pub fn refused(&mut self) -> &mut Self {
        self.outcome = AuditOutcome::Refused;
        self
    }
}

/// Appends the events of one transaction.
pub fn append(conn: &mut AnyConnection, events: &[Event]) -> QueryResult<()> {
    insert_all!(&mut *conn, audit_events::table, events)
}

/// Those of the records that somebody has written a version of: a record names the last of several hands, and the first
/// must not decide over it either.
///
/// Asked by record alone, and picked out here: a record has a few events. Planned once for all values, a statement that names
/// the actor too is answered by going through all that the actor ever did, where few are known when it is planned.
pub fn written_by(conn: &mut AnyConnection, resource: &str, actor: Id, ids: &[Id]) -> QueryResult<HashSet<Id>> {
    type Deed = (Option<Id>, Option<Id>, String, String, AuditOutcome);
    let writes = [Action::Create.code(), Action::Update.code()];
    let mut found = HashSet::new();
    for chunk in ids.chunks(5_000) {
        let deeds: Vec<Deed> = audit_events::table
            .filter(audit_events::record_id.eq_any(chunk))
            .select((audit_events::record_id, audit_events::actor_id, audit_events::resource, audit_events::action, audit_events::outcome))
            .load(conn)?;
        found.extend(deeds.into_iter().filter_map(|(record_id, by, of, action, outcome)| {
            let wrote = by == Some(actor) && of == resource && writes.contains(&action.as_str()) && outcome == AuditOutcome::Done;
            record_id.filter(|_| wrote)
        }));
    }
    Ok(found)
}
