//! What the days bring: on the first of a month the forms that open by themselves are asked for, and counties are reminded of what is due and
//! again of what is overdue.

use chrono::{Days, NaiveDate};
use diesel::prelude::*;

use super::{MonthlyReturns, ReturnState};
use crate::db::{Db, Deed};
use crate::error::{Code, Result};
use crate::resources::return_forms::{self, ReturnForm};
use crate::resources::return_rounds;
use crate::resources::versions::VersionState;
use crate::schema::monthly_returns as t;
use crate::types::{Id, Instant, Month, business_today};
use crate::web::Resource;

/// How a reminder stands in the audit log: nobody's deed, and told to those who can submit.
pub const REMINDED: &str = "remind";
/// Reminders that one transaction writes.
const AT_ONCE: i64 = 500;

/// What came of a look at the calendar.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Brought {
    pub rounds: usize,
    pub reminders: usize,
}

/// Does what is to be done on the day of `now`. Any server may, at any time: what was done is not done again.
pub fn turn(db: &Db, now: Instant) -> Result<Brought> {
    let today = business_today(now);
    let forms = db.run(true, return_forms::ever_published)?;
    let mut brought = Brought::default();
    if let Some(month) = Month::of(today).and_then(Month::before) {
        let asked = db.run(true, |conn| return_rounds::asked_for(conn, month))?;
        for form in &forms {
            let known = asked.iter().any(|(organization_id, key)| *organization_id == form.organization_id && *key == form.key);
            if !known && opens(form, month, today) {
                brought.rounds += usize::from(open(db, form, month)?);
            }
        }
    }
    for form in &forms {
        brought.reminders += remind(db, form, today)?;
    }
    Ok(brought)
}

/// Whether a form opens by itself for a month on a day. One that is published after the month's due day waits for the next.
fn opens(form: &ReturnForm, month: Month, today: NaiveDate) -> bool {
    form.opens_itself && form.state == VersionState::Published && form.due_on(month).is_some_and(|due_on| today <= due_on)
}

/// Whether this server was the first.
fn open(db: &Db, form: &ReturnForm, month: Month) -> Result<bool> {
    let Some(due_on) = form.due_on(month) else { return Ok(false) };
    // Whoever published the form has asked for it to open.
    let deed = Deed { actor_id: form.published_by, ..Deed::of_operator("calendar") };
    let opened = db.write_background(&deed, |tx| {
        let row = return_rounds::open(tx, form, month, due_on, None)?;
        let detail = serde_json::json!({"form_id": form.id, "month": month, "due_on": due_on});
        tx.audit("create", return_rounds::ReturnRounds::NAME, Some(row.id), Some(row.organization_id), Some(&detail));
        Ok(())
    });
    match opened {
        Ok(()) => Ok(true),
        Err(error) if error.code == Code::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reminds the counties of a form's returns: once before they are due, and once more when they are overdue.
fn remind(db: &Db, form: &ReturnForm, today: NaiveDate) -> Result<usize> {
    let days = Days::new(u64::try_from(form.remind_days).unwrap_or_default());
    let Some(horizon) = today.checked_add_days(days) else { return Ok(0) };
    let mut reminded = 0;
    loop {
        let due: Vec<(Id, Id)> = db.run(true, |conn| {
            let wanted = t::table
                .filter(t::form_id.eq(form.id))
                .filter(t::state.eq_any([ReturnState::Open, ReturnState::Returned]))
                .filter(t::due_on.le(horizon))
                .filter(t::reminded_on.is_null().or(t::due_on.lt(today).and(t::reminded_on.le(t::due_on.nullable()))));
            Ok(wanted.order(t::due_on).limit(AT_ONCE).select((t::id, t::organization_id)).load(conn)?)
        })?;
        if due.is_empty() {
            return Ok(reminded);
        }
        reminded += db.write_background(&Deed::of_operator("calendar"), |tx| {
            let mut reminded = 0;
            for (id, organization_id) in &due {
                // Another server may have been faster.
                let still = t::table
                    .filter(t::id.eq(id))
                    .filter(t::reminded_on.is_null().or(t::due_on.lt(today).and(t::reminded_on.le(t::due_on.nullable()))));
                if diesel::update(still).set(t::reminded_on.eq(today)).execute(tx.conn)? > 0 {
                    tx.audit(REMINDED, MonthlyReturns::NAME, Some(*id), Some(*organization_id), None);
                    reminded += 1;
                }
            }
            Ok(reminded)
        })?;
    }
}
