//! The way of a circular on returns: generated, gone over by people, issued under a number, archived.

use chrono::NaiveDate;
use diesel::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::{Circular, CircularState, Circulars, Row, facts, text};
use crate::db::{Tx, held};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Scope};
use crate::resources::{return_forms, rules};
use crate::schema::circulars as t;
use crate::types::business_today;
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::{stale, step_body};
use crate::web::{Resource, save};

/// Under which number, and when.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct IssueBody {
    /// Document number, which the association has given to no other circular.
    #[schema(min_length = 1, max_length = 100, example = "郑义〔2022〕12号")]
    #[validate(custom(function = "rules::document_number"))]
    number: String,
    /// Today when absent.
    issued_on: Option<NaiveDate>,
}

pub fn all() -> Vec<Step<Circulars>> {
    type Taken = (Action, &'static str, Option<fn() -> Shape>, Run<Circulars>);
    let steps: [Taken; 3] = [
        (
            Action::Generate,
            "由上报生成事实，没有正文时同时生成正文 / Tell the facts from the returns, and a text where there is none",
            None,
            generate,
        ),
        (Action::Issue, "编号印发，此后不能修改 / Issue under a number: it changes no more", Some(Shape::of::<IssueBody>), issue),
        (Action::Archive, "归档 / Archive", None, archive),
    ];
    steps.into_iter().map(|(action, summary, body, run)| Step { action, summary, body, needs_key: false, run }).collect()
}

/// Takes a circular's row for this transaction, as it was when it was read.
pub fn take(tx: &mut Tx<'_>, before: &Circular) -> Result<Row> {
    let one = t::table.filter(t::id.eq(before.id));
    held!(tx.conn, one.select(t::id))?;
    let row: Row = one.select(Row::as_select()).first(tx.conn)?;
    if row.version == before.version { Ok(row) } else { Err(stale(row.version)) }
}

fn next(tx: &Tx<'_>, before: &Row) -> Row {
    Row { version: before.version + 1, updated_at: tx.now, ..before.clone() }
}

fn save(tx: &mut Tx<'_>, scope: &Scope, before: &Row, after: &Row) -> Result<Circular> {
    save!(tx, t, before, after)?;
    Circulars::find(tx.conn, scope, after.id)
}

fn generate(tx: &mut Tx<'_>, scope: &Scope, before: Circular, _: &Value) -> Result<Circular> {
    let row = take(tx, &before)?;
    let (Some(key), Some(from), Some(to)) = (&row.form_key, row.from_month, row.to_month) else {
        return Err(Error::internal("a draft without its months"));
    };
    let form = return_forms::latest(tx.conn, row.organization_id, key)?.ok_or_else(Error::not_found)?;
    let told = facts::read(tx.conn, row.organization_id, &form, from, to, business_today(tx.now))?;
    if told.counties == 0 {
        return Err(Error::because(
            Code::Conflict,
            format!("{from} 至 {to} 没有下发《{}》，无可通报", form.title),
            format!("the form was not asked for from {from} to {to}: there is nothing to tell"),
        ));
    }
    // What nobody has touched is written anew; what people have made of it stays.
    let untouched = match (&row.facts, &row.text) {
        (Some(facts), Some(written)) => text::write(&serde_json::from_str(facts).map_err(Error::internal)?) == *written,
        (_, written) => written.is_none(),
    };
    let after = Row {
        text: if untouched { Some(text::write(&told)) } else { row.text.clone() },
        facts: Some(serde_json::to_string(&told).map_err(Error::internal)?),
        generated_at: Some(tx.now),
        ..next(tx, &row)
    };
    save(tx, scope, &row, &after)
}

fn issue(tx: &mut Tx<'_>, scope: &Scope, before: Circular, body: &Value) -> Result<Circular> {
    let IssueBody { number, issued_on } = step_body(body)?;
    let actor = tx.actor()?;
    let row = take(tx, &before)?;
    let issued_on = issued_on.unwrap_or_else(|| business_today(tx.now));
    let mut faults: Vec<Fault> = rules::not_ahead(Some(issued_on), tx.now, "/issued_on").into_iter().collect();
    if row.to_month.is_some_and(|to| issued_on < to.first_day()) {
        let says = Says::new("印发日期不能早于所通报的月份", "it can't have been issued before the months that it is on");
        faults.push(Fault::new("/issued_on", "before_its_months", says));
    }
    let taken: i64 = t::table
        .filter(t::organization_id.eq(row.organization_id))
        .filter(t::number.eq(&number))
        .filter(t::id.ne(row.id))
        .count()
        .get_result(tx.conn)?;
    if taken > 0 {
        let says = Says::new(format!("文号 {number} 已用于另一份通报"), format!("another circular has the number {number}"));
        faults.push(Fault::new("/number", "number_taken", says));
    }
    Error::unless_empty(faults)?;
    let after =
        Row { number: Some(number), issued_on: Some(issued_on), state: CircularState::Issued, issued_by: Some(actor), ..next(tx, &row) };
    save(tx, scope, &row, &after)
}

fn archive(tx: &mut Tx<'_>, scope: &Scope, before: Circular, _: &Value) -> Result<Circular> {
    let row = take(tx, &before)?;
    let after = Row { state: CircularState::Archived, ..next(tx, &row) };
    save(tx, scope, &row, &after)
}
