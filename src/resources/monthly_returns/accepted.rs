//! What was accepted: the numbers that circulars and reports tell. While a return is amended, those of its last accepted revision stand.

use std::collections::HashMap;

use diesel::prelude::*;

use super::cells::{self, KeptCell};
use super::{ReturnState, Timeliness, checks};
use crate::db::AnyConnection;
use crate::error::{Error, Result};
use crate::schema::{monthly_return_revisions as r, monthly_returns as t, organization_closure as closure};
use crate::types::{Id, Month};

/// A county's return of a month.
#[derive(Debug, Clone)]
pub struct Handed {
    pub organization_id: Id,
    pub month: Month,
    pub timeliness: Timeliness,
    pub state: ReturnState,
    /// What was accepted; empty where nothing was.
    pub cells: Vec<KeptCell>,
}

/// The returns of a form from the counties below an organization, in some months: three queries. Whoever asks has decided that they may.
pub fn handed_in(
    conn: &mut AnyConnection,
    root: Id,
    form_key: &str,
    from: Month,
    to: Month,
    today: chrono::NaiveDate,
) -> Result<Vec<Handed>> {
    type Found = (Id, Id, Month, ReturnState, i32, Option<chrono::NaiveDate>, chrono::NaiveDate);
    let found: Vec<Found> = t::table
        .inner_join(closure::table.on(closure::descendant_id.eq(t::organization_id)))
        .filter(closure::ancestor_id.eq(root))
        .filter(t::form_key.eq(form_key))
        .filter(t::month.between(from, to))
        .order((t::month, t::id))
        .select((t::id, t::organization_id, t::month, t::state, t::revision, t::first_submitted_on, t::due_on))
        .load(conn)?;
    let accepted: Vec<Id> = found.iter().filter(|one| one.3 == ReturnState::Accepted).map(|one| one.0).collect();
    let amended: Vec<Id> = found.iter().filter(|one| one.3 != ReturnState::Accepted && one.4 > 1).map(|one| one.0).collect();
    let mut now = cells::of_returns(conn, &accepted)?;
    let mut kept: HashMap<Id, Vec<KeptCell>> = HashMap::new();
    for chunk in amended.chunks(5_000) {
        // In their order, so that the last is what stays.
        let rows: Vec<(Id, String)> =
            r::table.filter(r::return_id.eq_any(chunk)).order((r::return_id, r::revision)).select((r::return_id, r::cells)).load(conn)?;
        for (id, cells) in rows {
            kept.insert(id, serde_json::from_str(&cells).map_err(Error::internal)?);
        }
    }
    let handed = |(id, organization_id, month, state, _, first_submitted_on, due_on): Found| Handed {
        organization_id,
        month,
        timeliness: checks::timeliness(first_submitted_on, due_on, today),
        state,
        cells: match now.remove(&id) {
            Some(cells) => cells.iter().map(KeptCell::from).collect(),
            None => kept.remove(&id).unwrap_or_default(),
        },
    };
    Ok(found.into_iter().map(handed).collect())
}
