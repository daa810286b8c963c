//! Returns are made for all counties of a round: by a job, since there may be thousands. Each figure is computed for all of them at once.

use std::collections::HashMap;

use diesel::prelude::*;

use super::{CellRow, MonthlyReturn, MonthlyReturnDraft, MonthlyReturns, ReturnState, Row, cells, insert_rows};
use crate::db::{AnyConnection, Db, Tx};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::figures::{self, Definition, FigureOfOne, Span};
use crate::jobs::{self, Job, JobState, Progress, Rows};
use crate::policy::{Action, Purpose, Scope};
use crate::resources::organizations::{OrganizationKind, OrganizationStatus};
use crate::resources::return_forms::{self, ReturnForm};
use crate::resources::return_rounds::{self, RoundState};
use crate::resources::rules;
use crate::schema::{monthly_returns as t, organization_closure as closure, organizations};
use crate::types::{Id, Month, TextEnum, code_or_new};
use crate::web::Resource;

/// Returns that one transaction makes: others write between.
const AT_ONCE: usize = 100;

/// Figures of some organizations for a month. Whose return it is may be told these sums: they are its own.
pub fn figures_of(
    conn: &mut AnyConnection,
    scope: &Scope,
    root: Id,
    organizations: &[Id],
    definitions: &[&'static Definition],
    month: Month,
) -> Result<HashMap<Id, Vec<FigureOfOne>>> {
    figures::of_each(conn, scope, root, organizations, definitions, Span::Month(month))
}

/// The county associations below an organization that are there, in the order of their codes.
fn counties_below(conn: &mut AnyConnection, organization_id: Id) -> Result<Vec<(Id, String)>> {
    Ok(organizations::table
        .inner_join(closure::table.on(closure::descendant_id.eq(organizations::id)))
        .filter(closure::ancestor_id.eq(organization_id))
        .filter(organizations::kind.eq(OrganizationKind::CountyAssociation))
        .filter(organizations::status.eq(OrganizationStatus::Active))
        .order(organizations::code)
        .select((organizations::id, organizations::code))
        .load(conn)?)
}

/// Makes all returns of a round that aren't there yet: an attempt that was broken off is gone on with.
pub fn run(db: &Db, job: &Job, progress: &Progress, lease_seconds: i64) -> Result<()> {
    let (round, form, counties) = db.run(true, |conn| {
        let round = return_rounds::known(conn, &[job.record_id])?.remove(&job.record_id).ok_or_else(Error::not_found)?;
        let form = return_forms::known(conn, round.form_id)?;
        let there: Vec<Id> = t::table.filter(t::round_id.eq(round.id)).select(t::organization_id).load(conn)?;
        let there: std::collections::HashSet<Id> = there.into_iter().collect();
        let mut counties = counties_below(conn, round.organization_id)?;
        counties.retain(|(id, _)| !there.contains(id));
        Ok((round, form, counties))
    })?;
    let definitions = form.definitions();
    let ids: Vec<Id> = counties.iter().map(|(id, _)| *id).collect();
    let figures = db.run(true, |conn| {
        let scope = Scope::of_operator().fitted(conn, db.tree(), Some(round.organization_id), Purpose::Sum)?;
        figures_of(conn, &scope, round.organization_id, &ids, &definitions, round.month)
    })?;
    let mut done = 0;
    for chunk in counties.chunks(AT_ONCE) {
        progress.go_on()?;
        db.write_background(&job.deed(), |tx| {
            make(tx, &round, &form, chunk, &figures)?;
            jobs::hold(tx, job, lease_seconds)
        })?;
        done += chunk.len();
        let read = i64::try_from(done).unwrap_or(i64::MAX);
        #[expect(clippy::cast_precision_loss, reason = "a part of the whole, for people")]
        progress.tell(Rows { read, created: read, ..Rows::default() }, done as f64 / counties.len().max(1) as f64);
    }
    db.write_background(&job.deed(), |tx| {
        return_rounds::opened(tx, round.id)?;
        jobs::finish(tx, job, JobState::Done, None)
    })
}

/// A round that could not be opened to its end is open for those who have a return; the others' are made by hand.
pub fn failed(tx: &mut Tx<'_>, job: &Job, error: &Error) -> Result<()> {
    return_rounds::opened(tx, job.record_id)?;
    jobs::finish(tx, job, JobState::Failed, Some(error))
}

fn new_row(tx: &Tx<'_>, round: &return_rounds::Row, organization_id: Id, code: String) -> Row {
    Row {
        id: Id::new(),
        code,
        organization_id,
        round_id: round.id,
        form_id: round.form_id,
        form_key: round.form_key.clone(),
        month: round.month,
        due_on: round.due_on,
        state: ReturnState::Open,
        revision: 1,
        note: None,
        reason: None,
        computed_at: tx.now,
        first_submitted_on: None,
        submitted_at: None,
        submitted_by: None,
        accepted_at: None,
        accepted_by: None,
        reminded_on: None,
        version: 1,
        created_at: tx.now,
        updated_at: tx.now,
    }
}

fn prefilled(row: &Row, figures: &HashMap<Id, Vec<FigureOfOne>>) -> Vec<CellRow> {
    let own = figures.get(&row.organization_id).into_iter().flatten();
    own.zip(1..).map(|(of, position)| CellRow::prefilled(row.id, position, of)).collect()
}

fn make(
    tx: &mut Tx<'_>,
    round: &return_rounds::Row,
    form: &ReturnForm,
    counties: &[(Id, String)],
    figures: &HashMap<Id, Vec<FigureOfOne>>,
) -> Result<()> {
    let rows: Vec<Row> =
        counties.iter().map(|(id, code)| new_row(tx, round, *id, format!("{}-{}-{code}", form.key, round.month))).collect();
    insert_rows(tx.conn, &rows)?;
    let cells: Vec<CellRow> = rows.iter().flat_map(|row| prefilled(row, figures)).collect();
    cells::insert(tx.conn, &cells)?;
    for row in &rows {
        let detail = serde_json::json!({"round_id": row.round_id, "month": row.month, "due_on": row.due_on});
        tx.audit(Action::Create.code(), MonthlyReturns::NAME, Some(row.id), Some(row.organization_id), Some(&detail));
    }
    Ok(())
}

/// A return for a county that came after its round was opened.
pub fn by_hand(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<MonthlyReturnDraft>) -> Result<Vec<MonthlyReturn>> {
    let mut faults = Vec::new();
    let wanted = |field: &'static str, id: fn(&MonthlyReturnDraft) -> Id| -> Vec<(String, Option<Id>)> {
        drafts.iter().enumerate().map(|(i, draft)| (format!("/{i}/{field}"), Some(id(draft)))).collect()
    };
    rules::all_in_scope(tx.conn, scope, "organizations", wanted("organization_id", |draft| draft.organization_id), &mut faults)?;
    rules::all_in_scope(tx.conn, scope, "return_rounds", wanted("round_id", |draft| draft.round_id), &mut faults)?;
    Error::unless_empty(std::mem::take(&mut faults))?;
    let rounds = return_rounds::known(tx.conn, &drafts.iter().map(|draft| draft.round_id).collect::<Vec<_>>())?;
    let mut counties: HashMap<Id, Vec<(Id, String)>> = HashMap::new();
    for round in rounds.values() {
        counties.insert(round.id, counties_below(tx.conn, round.organization_id)?);
    }
    let mut made = Vec::new();
    for (i, draft) in drafts.into_iter().enumerate() {
        let round = rounds.get(&draft.round_id).ok_or_else(Error::not_found)?;
        let at = |field: &str| format!("/{i}/{field}");
        if round.state == RoundState::Closed {
            let says = Says::new(format!("{} 的上报已截止", round.month), format!("the round of {} is closed", round.month));
            faults.push(Fault::new(at("round_id"), "round_closed", says));
        }
        if !counties.get(&round.id).is_some_and(|below| below.iter().any(|(id, _)| *id == draft.organization_id)) {
            let says = Says::new(
                "只有下发单位所辖、在册的县市区协会需要上报",
                "returns are asked for of the county associations below who asks, those that are active",
            );
            faults.push(Fault::new(at("organization_id"), "not_asked", says));
            continue;
        }
        let definitions = return_forms::known(tx.conn, round.form_id)?.definitions();
        let one = [draft.organization_id];
        let figures = figures_of(tx.conn, &Scope::of_operator().of_little(), draft.organization_id, &one, &definitions, round.month)?;
        let row = Row { note: draft.note, ..new_row(tx, round, draft.organization_id, code_or_new(draft.code.as_deref())) };
        let mut own = prefilled(&row, &figures);
        cells::declare(&mut own, draft.cells.unwrap_or_default(), &at("cells"), &mut faults);
        made.push((row, own));
    }
    Error::unless_empty(faults)?;
    let rows: Vec<Row> = made.iter().map(|(row, _)| row.clone()).collect();
    insert_rows(tx.conn, &rows).map_err(there_already)?;
    let cells: Vec<CellRow> = made.into_iter().flat_map(|(_, cells)| cells).collect();
    cells::insert(tx.conn, &cells)?;
    rows.into_iter().map(|row| super::whole(tx.conn, row)).collect()
}

fn there_already(error: diesel::result::Error) -> Error {
    let mut error = Error::from(error);
    if error.code == Code::AlreadyExists && error.faults.is_empty() {
        error.detail = Some(Says::new("该单位在此批次中已有上报", "the county has a return in this round already"));
    }
    error
}
