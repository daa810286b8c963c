//! The steps of a disbursement, alone and with all others of its batch.
//!
//! Whoever writes to a batch's disbursements takes the batch's own row first: so a batch step sees and moves the very
//! records that its sums were made of, and two writers never wait for each other. The new version that this gives to
//! the batch also keeps its ETag true, since its view shows the sums.

use std::collections::HashSet;

use chrono::{Datelike, NaiveDate};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use validator::Validate;

use super::delivery::{self, BatchDeliveredBody, DeliveredBody, InsurancePolicy, Told};
use super::eligible::refuse_ineligible;
use super::payment::{self, Purse};
use super::states::{self, DisbursementState, Hand};
use super::{Channel, Disbursement, t};
use crate::audit;
use crate::db::{AnyConnection, Tx};
use crate::error::{Code, Error, Result};
use crate::policy::{Action, Scope};
use crate::resources::bank_transfer_lines;
use crate::resources::budgets;
use crate::resources::disbursements::{Disbursements, sums};
use crate::resources::heroes;
use crate::resources::organizations::OrganizationKind;
use crate::resources::rules::{self, ReasonBody};
use crate::resources::welfare_batches::WelfareBatches;
use crate::schema::{insurance_policies, organizations, welfare_batches};
use crate::types::{DatePrecision, Id, Instant, TextEnum, business_today, sql};
use crate::web::Resource;
use crate::web::resource::{Step, sum_of};
use crate::web::shape::Shape;
use crate::web::verbs::{difference, stale, step_body};

/// When money went out.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PaidBody {
    /// Not later than today.
    paid_on: NaiveDate,
    /// `exact` when absent; `at_latest` where old papers only tell by when it was paid.
    paid_on_precision: Option<DatePrecision>,
    /// The fund that it is spent from: required, except of what an enterprise pays directly.
    fund_id: Option<Id>,
    /// The bank or cash account that it leaves: required, except of what an enterprise pays directly.
    account_id: Option<Id>,
}

/// Why and when a payment was undone.
#[derive(Debug, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
pub struct ReversedBody {
    #[schema(min_length = 1, max_length = 500)]
    #[validate(custom(function = "rules::reason"))]
    reason: String,
    /// Not later than today.
    reversed_on: NaiveDate,
}

/// What a step's body says.
#[derive(Debug, Default)]
struct Note {
    reason: Option<String>,
    on: Option<NaiveDate>,
    precision: Option<DatePrecision>,
    purse: Purse,
    told: Told,
}

/// `many` of a batch, whose steps may say more.
fn note(action: Action, body: &Value, many: bool, now: Instant) -> Result<Note> {
    fn read<T: serde::de::DeserializeOwned>(body: &Value) -> Result<T> {
        serde_json::from_value(body.clone()).map_err(Error::internal)
    }
    let (note, field) = match action {
        Action::Return | Action::Reject | Action::Cancel => {
            (Note { reason: Some(step_body::<ReasonBody>(body)?.reason), ..Note::default() }, "")
        }
        Action::Pay => {
            let paid = read::<PaidBody>(body)?;
            let purse = Purse { fund_id: paid.fund_id, account_id: paid.account_id };
            let on = Some(paid.paid_on);
            (Note { on, precision: paid.paid_on_precision, purse, ..Note::default() }, "/paid_on")
        }
        Action::Reverse => {
            let reversed = step_body::<ReversedBody>(body)?;
            (Note { reason: Some(reversed.reason), on: Some(reversed.reversed_on), ..Note::default() }, "/reversed_on")
        }
        Action::Deliver => {
            let (on, told) = if many { step_body::<BatchDeliveredBody>(body)?.told() } else { step_body::<DeliveredBody>(body)?.told() };
            (Note { on, told, ..Note::default() }, "/delivered_on")
        }
        _ => (Note::default(), ""),
    };
    let today = business_today(now);
    match note.on {
        Some(day) if day > today => Err(Error::field(
            field,
            "in_the_future",
            format!("日期不能晚于今天（{today}）"),
            format!("the day must not be later than today ({today})"),
        )),
        _ => Ok(note),
    }
}

/// The columns that a step writes; `None` leaves a column as it is.
#[derive(AsChangeset)]
#[diesel(table_name = t)]
struct Moved {
    state: DisbursementState,
    reason: Option<Option<String>>,
    approved_by: Option<Option<Id>>,
    second_approved_by: Option<Id>,
    paid_by: Option<Id>,
    paid_on: Option<Option<NaiveDate>>,
    paid_on_precision: Option<DatePrecision>,
    reversed_by: Option<Id>,
    reversed_on: Option<NaiveDate>,
    attended_days: Option<i32>,
    /// Of those who have none yet.
    #[diesel(skip_update)]
    insurance: Option<InsurancePolicy>,
    updated_at: Instant,
}

impl Moved {
    fn by(action: Action, (from, to): (DisbursementState, DisbursementState), note: Note, actor: Id, now: Instant) -> Self {
        let second = action == Action::Approve && from == DisbursementState::FirstApproved;
        let given = matches!(action, Action::Pay | Action::Deliver);
        let undone = action == Action::Reverse;
        Self {
            state: to,
            reason: match action {
                Action::Return | Action::Reject | Action::Cancel | Action::Reverse => Some(note.reason),
                // Why it was once sent back is settled.
                Action::Submit => Some(None),
                _ => None,
            },
            approved_by: match action {
                Action::Approve if !second => Some(Some(actor)),
                // What is sent back is approved anew.
                Action::Return => Some(None),
                _ => None,
            },
            second_approved_by: second.then_some(actor),
            paid_by: given.then_some(actor),
            paid_on: given.then_some(note.on),
            paid_on_precision: note.precision,
            reversed_by: undone.then_some(actor),
            reversed_on: note.on.filter(|_| undone),
            attended_days: note.told.attended_days,
            insurance: note.told.insurance,
            updated_at: now,
        }
    }

    /// The record as the database has it after the step.
    fn applied(&self, before: &Disbursement) -> Disbursement {
        let mut after = before.clone();
        after.state = self.state;
        if let Some(reason) = &self.reason {
            after.reason.clone_from(reason);
        }
        after.approved_by = self.approved_by.unwrap_or(before.approved_by);
        after.second_approved_by = self.second_approved_by.or(before.second_approved_by);
        after.paid_by = self.paid_by.or(before.paid_by);
        after.paid_on = self.paid_on.unwrap_or(before.paid_on);
        after.paid_on_precision = self.paid_on_precision.unwrap_or(before.paid_on_precision);
        after.reversed_by = self.reversed_by.or(before.reversed_by);
        after.reversed_on = self.reversed_on.or(before.reversed_on);
        after.attended_days = self.attended_days.or(before.attended_days);
        after.insurance = before.insurance.clone().or_else(|| self.insurance.clone());
        after.version += 1;
        after.updated_at = self.updated_at;
        after
    }
}

fn lost_race() -> Error {
    Error::because(
        Code::StepNotAllowed,
        "这笔发放刚刚被他人处理，请重新读取后再操作",
        "somebody else has just dealt with this disbursement; read it again",
    )
}

/// Takes the rows of batches for this transaction, and tells their readers that something in them changes.
pub fn take_batches(tx: &mut Tx<'_>, ids: impl IntoIterator<Item = Option<Id>>) -> Result<()> {
    let mut ids: Vec<Id> = ids.into_iter().flatten().collect();
    ids.sort_unstable();
    ids.dedup();
    // One by one in the order of their ids, so that no two writers hold what the other waits for.
    for id in ids {
        diesel::update(welfare_batches::table.filter(welfare_batches::id.eq(id)))
            .set((welfare_batches::version.eq(welfare_batches::version + 1), welfare_batches::updated_at.eq(tx.now)))
            .execute(tx.conn)?;
        if !tx.is_touched(id) {
            let batch = welfare_batches::table.find(id).select(welfare_batches::organization_id);
            let organization_id: Option<Id> = batch.first(tx.conn).optional()?;
            tx.touch(WelfareBatches::NAME, id, organization_id);
        }
    }
    Ok(())
}

/// One step of one disbursement.
fn take(tx: &mut Tx<'_>, scope: &Scope, before: &Disbursement, action: Action, body: &Value) -> Result<Disbursement> {
    let actor = tx.actor()?;
    let note = note(action, body, false, tx.now)?;
    take_batches(tx, [before.batch_id])?;
    if let AnyConnection::Pg(c) = &mut *tx.conn {
        t::table.filter(t::id.eq(before.id)).select(t::id).for_update().load::<Id>(c)?;
    }
    let present = Disbursements::find(tx.conn, scope, before.id)?;
    if present.version != before.version {
        return Err(lost_race());
    }
    let two = two_approve(tx, action, std::slice::from_ref(&present))?;
    let to = states::next(present.state, action, present.form, two).ok_or_else(lost_race)?;
    refuse_revoked(tx, action, std::slice::from_ref(&present))?;
    if action == Action::Reverse {
        bank_transfer_lines::refuse_waiting(tx, present.id)?;
    }
    if let (Action::Submit, Some(batch_id)) = (action, present.batch_id) {
        agrees(tx, batch_id)?;
        each_once(tx, batch_id)?;
    }
    if action == Action::Submit {
        refuse_ineligible(tx, std::slice::from_ref(&present))?;
    }
    if action == Action::Deliver {
        delivery::check(tx, std::slice::from_ref(&present), &note.told)?;
    }
    if action == Action::Approve {
        budgets::refuse_beyond(tx, std::slice::from_ref(&present))?;
    }
    settle(tx, scope, action, std::slice::from_ref(&present), &note)?;
    let moved = Moved::by(action, (present.state, to), note, actor, tx.now);
    let one = t::table.filter(t::id.eq(present.id)).filter(t::version.eq(present.version)).filter(t::state.eq(present.state));
    let saved = diesel::update(one).set((&moved, t::version.eq(t::version + 1))).execute(tx.conn)?;
    if saved == 0 {
        return Err(lost_race());
    }
    insure(tx, &moved, std::slice::from_ref(&present))?;
    Ok(moved.applied(&present))
}

/// Keeps the policy that a step tells for those who had none.
fn insure(tx: &mut Tx<'_>, moved: &Moved, before: &[Disbursement]) -> Result<()> {
    let lacking = before.iter().filter(|one| one.insurance.is_none());
    delivery::insure(tx, lacking.filter_map(|one| Some((one.id, moved.insurance.clone()?))))
}

/// Nothing more is given to whose title is revoked, nor to their family; what waits can be sent back or cancelled.
fn refuse_revoked(tx: &mut Tx<'_>, action: Action, given: &[Disbursement]) -> Result<()> {
    if !matches!(action, Action::Submit | Action::Approve | Action::Pay | Action::Deliver) {
        return Ok(());
    }
    let revoked = heroes::revoked(tx.conn, given.iter().map(|d| (d.hero_id, d.dependant_id)))?;
    let hit = |d: &&Disbursement| [d.hero_id, d.dependant_id].into_iter().flatten().any(|id| revoked.contains_key(&id));
    let codes: Vec<&str> = given.iter().filter(hit).map(|d| d.code.as_str()).collect();
    if codes.is_empty() {
        return Ok(());
    }
    let named = codes.iter().take(5).copied().collect::<Vec<_>>();
    Err(Error::because(
        Code::Conflict,
        format!("发放 {} 的受益人（或其亲属）称号已被撤销，不能再办理；请退回修改或取消", named.join("、")),
        format!("the title behind {} is revoked, so nothing more can be given; return or cancel it", named.join(", ")),
    )
    .with("disbursement_codes", codes))
}

#[derive(QueryableByName)]
struct Twice {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = BigInt)]
    times: i64,
}

/// A roster names nobody twice.
fn each_once(tx: &mut Tx<'_>, batch_id: Id) -> Result<()> {
    let twice: Vec<Twice> = diesel::sql_query(
        "SELECT p.name AS name, count(*) AS times FROM disbursements d LEFT JOIN heroes h ON h.id = d.hero_id \
         LEFT JOIN dependants n ON n.id = d.dependant_id JOIN persons p ON p.id = COALESCE(h.person_id, n.person_id) \
         WHERE d.batch_id = $1 AND d.state NOT IN ('rejected', 'cancelled', 'reversed') \
         GROUP BY p.id, p.name HAVING count(*) > 1 ORDER BY p.id LIMIT 20",
    )
    .bind::<sql::Uuid, _>(batch_id)
    .load(tx.conn)?;
    if twice.is_empty() {
        return Ok(());
    }
    let said = |times: &str| twice.iter().map(|one| format!("{}{times}{}", one.name, one.times)).collect::<Vec<_>>();
    Err(Error::because(
        Code::Conflict,
        format!("名单中有人重复：{}；请删去多余的发放，或另建批次", said(" ×").join("、")),
        format!("the roster names somebody more than once: {}; delete what is too many, or make another batch", said(" ×").join(", ")),
    ))
}

/// Whether two must approve: of money that is the association's own from an amount on, on which a batch counts as one, so
/// that it isn't cut into pieces below it.
fn two_approve(tx: &mut Tx<'_>, action: Action, given: &[Disbursement]) -> Result<bool> {
    let Some(first) = given.first().filter(|_| action == Action::Approve) else { return Ok(false) };
    let holds = |d: &&Disbursement| d.channel != Channel::EnterpriseDirect;
    let own: i64 = given.iter().filter(holds).filter_map(|d| d.amount_fen).sum();
    let together: Option<i64> = match first.batch_id {
        None => None,
        Some(batch_id) => t::table
            .filter(t::batch_id.eq(batch_id))
            .filter(t::channel.ne(Channel::EnterpriseDirect))
            .filter(t::state.ne_all([DisbursementState::Rejected, DisbursementState::Cancelled, DisbursementState::Reversed]))
            .select(sum_of!(amount_fen))
            .first(tx.conn)?,
    };
    let kinds: Vec<OrganizationKind> = organizations::table
        .filter(organizations::id.eq_any(given.iter().map(|d| d.organization_id).collect::<HashSet<_>>()))
        .select(organizations::kind)
        .distinct()
        .load(tx.conn)?;
    let limits = tx.second_approval;
    // Of several organizations the strictest rule.
    let limit = kinds
        .into_iter()
        .map(|kind| if kind == OrganizationKind::CountyAssociation { limits.county_fen } else { limits.city_fen })
        .min()
        .unwrap_or(limits.county_fen);
    Ok(own > 0 && together.unwrap_or(own).max(own) >= limit)
}

/// Money of a year's budget goes out in that year, and what is given counts where it was given.
fn in_their_year(given: &[Disbursement], action: Action, on: Option<NaiveDate>) -> Result<()> {
    let field = if action == Action::Pay { "/paid_on" } else { "/delivered_on" };
    let (Some(on), true) = (on, matches!(action, Action::Pay | Action::Deliver)) else { return Ok(()) };
    match given.iter().find(|d| d.year != on.year()) {
        None => Ok(()),
        Some(other) => Err(Error::field(
            field,
            "outside_the_year",
            format!("发放 {} 列在 {} 年，日期应在该年内；如属其他年度，请退回修改年度", other.code, other.year),
            format!("the disbursement {} counts in {}, so the day should lie in it; or have its year mended", other.code, other.year),
        )),
    }
}

/// What a step does to money.
fn settle(tx: &mut Tx<'_>, scope: &Scope, action: Action, given: &[Disbursement], note: &Note) -> Result<()> {
    in_their_year(given, action, note.on)?;
    match (action, note.on) {
        (Action::Pay, Some(on)) => payment::post(tx, scope, given, note.purse, on),
        (Action::Reverse, Some(on)) => {
            given.iter().try_for_each(|one| payment::undo(tx, one, on, note.reason.as_deref().unwrap_or_default()))
        }
        _ => Ok(()),
    }
}

/// What is not for those to do who have written a version of it.
pub const OF_ANOTHER: [Action; 3] = [Action::Approve, Action::Pay, Action::Deliver];

/// Those of the disbursements that an actor has written a version of, where the step is not theirs for it.
fn wrote_any(tx: &mut Tx<'_>, action: Action, actor: Id, ids: &[Id]) -> Result<HashSet<Id>> {
    if !OF_ANOTHER.contains(&action) {
        return Ok(HashSet::new());
    }
    Ok(audit::written_by(tx.conn, Disbursements::NAME, actor, ids)?)
}

/// What a batch comes to is what its control totals say.
fn agrees(tx: &mut Tx<'_>, batch_id: Id) -> Result<()> {
    let (people, fen): (Option<i64>, Option<i64>) = welfare_batches::table
        .filter(welfare_batches::id.eq(batch_id))
        .select((welfare_batches::control_people, welfare_batches::control_fen))
        .first(tx.conn)?;
    if people.is_none() && fen.is_none() {
        return Ok(());
    }
    let all = sums(tx.conn, &[batch_id])?;
    states::agrees(people, fen, all.get(&batch_id).map(super::BatchTotals::sums).unwrap_or_default())
}

/// One step of all disbursements of a batch that stand in `from`: all of them or none.
///
/// The batch is at `version` still, or the caller decides over something that they haven't seen.
pub fn take_all(
    tx: &mut Tx<'_>,
    scope: &Scope,
    (batch_id, version): (Id, i32),
    (action, from): (Action, DisbursementState),
    body: &Value,
) -> Result<()> {
    let actor = tx.actor()?;
    let note = note(action, body, true, tx.now)?;
    let now = tx.now;
    let held = diesel::update(welfare_batches::table.filter(welfare_batches::id.eq(batch_id)).filter(welfare_batches::version.eq(version)))
        .set((welfare_batches::version.eq(version + 1), welfare_batches::updated_at.eq(now)))
        .execute(tx.conn)?;
    if held == 0 {
        return Err(stale(version + 1));
    }
    if let AnyConnection::Pg(c) = &mut *tx.conn {
        t::table.filter(t::batch_id.eq(batch_id)).filter(t::state.eq(from)).order(t::id).select(t::id).for_update().load::<Id>(c)?;
    }
    let before: Vec<Disbursement> = t::table
        .filter(t::batch_id.eq(batch_id))
        .filter(t::state.eq(from))
        .filter(scope.organizations().holds(t::organization_id))
        .left_join(insurance_policies::table)
        .order(t::id)
        .select(Disbursement::as_select())
        .load(tx.conn)?;
    let all: i64 = t::table.filter(t::batch_id.eq(batch_id)).filter(t::state.eq(from)).count().get_result(tx.conn)?;
    let outside = all - i64::try_from(before.len()).map_err(Error::internal)?;
    if outside > 0 {
        return Err(Error::because(
            Code::Forbidden,
            format!("本批次中有 {outside} 笔发放属于您管辖范围以外的单位，不能整批办理；请由上级单位办理，或逐笔办理"),
            format!(
                "{outside} disbursements of the batch belong to organizations outside your reach; ask who is above them, or take the others one by one"
            ),
        ));
    }
    let absent: HashSet<Id> = note.told.absent_ids.iter().copied().collect();
    if action == Action::Deliver {
        delivery::check(tx, &before, &note.told)?;
    }
    let (absent, before): (Vec<Disbursement>, Vec<Disbursement>) = before.into_iter().partition(|one| absent.contains(&one.id));
    let two = two_approve(tx, action, &before)?;
    let to = before.first().and_then(|first| states::next(from, action, first.form, two)).ok_or_else(lost_race)?;
    let wrote = wrote_any(tx, action, actor, &before.iter().map(|d| d.id).collect::<Vec<_>>())?;
    for hand in [Hand::Prepared, Hand::Approved] {
        let touched = before
            .iter()
            .filter(|d| states::earlier_hand(action, actor, d.hands()) == Some(hand) || hand == Hand::Prepared && wrote.contains(&d.id));
        let codes: Vec<String> = touched.map(|d| d.code.clone()).collect();
        if !codes.is_empty() {
            return Err(states::needs_another_person(action, hand, &codes));
        }
    }
    refuse_revoked(tx, action, &before)?;
    if action == Action::Submit {
        agrees(tx, batch_id)?;
        each_once(tx, batch_id)?;
        refuse_ineligible(tx, &before)?;
    }
    if action == Action::Approve {
        budgets::refuse_beyond(tx, &before)?;
    }
    settle(tx, scope, action, &before, &note)?;
    if !absent.is_empty() {
        let note = Note { reason: Some(delivery::DID_NOT_COME.to_owned()), ..Note::default() };
        let moved = Moved::by(Action::Cancel, (from, DisbursementState::Cancelled), note, actor, now);
        let those = t::table.filter(t::id.eq_any(absent.iter().map(|one| one.id).collect::<Vec<_>>())).filter(t::state.eq(from));
        let saved = diesel::update(those).set((&moved, t::version.eq(t::version + 1))).execute(tx.conn)?;
        moved_all(tx, Action::Cancel, &moved, &absent, saved)?;
    }
    let moved = Moved::by(action, (from, to), note, actor, now);
    let saved = diesel::update(t::table.filter(t::batch_id.eq(batch_id)).filter(t::state.eq(from)))
        .set((&moved, t::version.eq(t::version + 1)))
        .execute(tx.conn)?;
    moved_all(tx, action, &moved, &before, saved)?;
    insure(tx, &moved, &before)
}

/// That as many were written as stood there, each of which is audited.
fn moved_all(tx: &mut Tx<'_>, action: Action, moved: &Moved, before: &[Disbursement], saved: usize) -> Result<()> {
    if saved != before.len() {
        return Err(lost_race());
    }
    for disbursement in before {
        let detail = difference(disbursement, &moved.applied(disbursement))?;
        tx.audit(action.code(), Disbursements::NAME, Some(disbursement.id), Some(disbursement.organization_id), Some(&detail));
    }
    Ok(())
}

/// The shape of the body of a batch's step.
pub fn batch_body_of(action: Action) -> Option<fn() -> Shape> {
    if action == Action::Deliver { Some(Shape::of::<BatchDeliveredBody>) } else { body_of(action) }
}

/// The shape of the body of a step of one, and of many where these have nothing more to say.
fn body_of(action: Action) -> Option<fn() -> Shape> {
    match action {
        Action::Return | Action::Reject | Action::Cancel => Some(Shape::of::<ReasonBody>),
        Action::Pay => Some(Shape::of::<PaidBody>),
        Action::Reverse => Some(Shape::of::<ReversedBody>),
        Action::Deliver => Some(Shape::of::<DeliveredBody>),
        _ => None,
    }
}

/// The steps of one disbursement.
pub fn all() -> Vec<Step<Disbursements>> {
    type Run = crate::web::resource::Run<Disbursements>;
    let steps: [(Action, &'static str, bool, Run); 9] = [
        (Action::Submit, "提交审批 / Submit for approval", true, |tx, scope, before, body| {
            take(tx, scope, &before, Action::Submit, body)
        }),
        (Action::Return, "退回修改 / Return to be mended", false, |tx, scope, before, body| {
            take(tx, scope, &before, Action::Return, body)
        }),
        (Action::Approve, "批准（不得为编制人） / Approve: by another than who prepared it", true, |tx, scope, before, body| {
            take(tx, scope, &before, Action::Approve, body)
        }),
        (Action::Reject, "驳回 / Reject", false, |tx, scope, before, body| take(tx, scope, &before, Action::Reject, body)),
        (
            Action::Pay,
            "支付（不得为编制人或批准人） / Pay: by another than who prepared or approved it",
            true,
            |tx, scope, before, body| take(tx, scope, &before, Action::Pay, body),
        ),
        (
            Action::Deliver,
            "交付实物或服务（不得为编制人或批准人） / Deliver in kind: by another than who prepared or approved it",
            true,
            |tx, scope, before, body| take(tx, scope, &before, Action::Deliver, body),
        ),
        (Action::Acknowledge, "确认收讫 / Acknowledge the receipt", false, |tx, scope, before, body| {
            take(tx, scope, &before, Action::Acknowledge, body)
        }),
        (
            Action::Reverse,
            "冲销已支付的款项（不得为支付人） / Reverse a payment: by another than who paid it",
            true,
            |tx, scope, before, body| take(tx, scope, &before, Action::Reverse, body),
        ),
        (Action::Cancel, "取消（支付前） / Cancel before payment", true, |tx, scope, before, body| {
            take(tx, scope, &before, Action::Cancel, body)
        }),
    ];
    steps.into_iter().map(|(action, summary, needs_key, run)| Step { action, summary, body: body_of(action), needs_key, run }).collect()
}
