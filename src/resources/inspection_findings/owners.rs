//! Who can see to a finding: somebody whose account is in use, and who may read of the year's work where it was found.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;

use crate::auth::{UserKind, UserStatus};
use crate::db::AnyConnection;
use crate::error::{Fault, Result, Says};
use crate::policy::{Action, Area, Grant, Role, may_in};
use crate::schema::{organization_closure as closure, role_grants as g, users as u};
use crate::types::Id;

/// The faults of owners: each with its pointer, the user, and the organization where there is something to see to. Three queries, whatever their
/// number. Whether a user is not there, not in use or elsewhere is not told: who asks may not see users.
pub fn check(conn: &mut AnyConnection, owned: &[(String, Id, Id)], today: NaiveDate, faults: &mut Vec<Fault>) -> Result<()> {
    if owned.is_empty() {
        return Ok(());
    }
    let active: Vec<Id> = u::table
        .filter(u::id.eq_any(owned.iter().map(|(_, user_id, _)| *user_id).collect::<Vec<_>>()))
        .filter(u::status.eq(UserStatus::Active))
        .filter(u::kind.eq(UserKind::Person))
        .select(u::id)
        .load(conn)?;
    type Held = (Id, Role, Option<Id>, NaiveDate, Option<NaiveDate>);
    let held: Vec<Held> =
        g::table.filter(g::user_id.eq_any(active)).select((g::user_id, g::role, g::organization_id, g::from_on, g::to_on)).load(conn)?;
    let mut grants: HashMap<Id, Vec<Grant>> = HashMap::new();
    for (user_id, role, organization_id, from_on, to_on) in held {
        let grant = Grant { role, organization_id, from_on, to_on };
        if grant.holds_on(today) {
            grants.entry(user_id).or_default().push(grant);
        }
    }
    let pairs: Vec<(Id, Id)> = closure::table
        .filter(closure::descendant_id.eq_any(owned.iter().map(|(.., organization_id)| *organization_id).collect::<Vec<_>>()))
        .select((closure::descendant_id, closure::ancestor_id))
        .load(conn)?;
    let mut above: HashMap<Id, Vec<Id>> = HashMap::new();
    for (below, ancestor) in pairs {
        above.entry(below).or_default().push(ancestor);
    }
    for (pointer, user_id, organization_id) in owned {
        let above = above.get(organization_id).map(Vec::as_slice).unwrap_or_default();
        if !grants.get(user_id).is_some_and(|grants| may_in(grants, above, Area::Work, Action::Read)) {
            let says = Says::new(
                "责任人应为在用的账号，且其角色管辖受检单位",
                "the owner is a user in use, with a role that reaches the inspected organization",
            );
            faults.push(Fault::new(pointer.clone(), "cannot_see_to_it", says));
        }
    }
    Ok(())
}
