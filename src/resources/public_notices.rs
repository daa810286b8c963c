//! Public notices (公示): who was given what out of a batch, or by an award, told to the public for some days.
//!
//! `draft → published → concluded`, or `withdrawn` where it should not have been published. Seven days unless it says otherwise
//! (Henan regulation on rewarding and protecting such people, article 13); the day of publication doesn't count (民法典, article 201).
//! Who wrote any version of a notice doesn't publish it.
//!
//! A notice is made of one source: a batch, or an award. An award is what a document gave: all honours with its number, here and in
//! the organizations below. That is how a clerk knows it; a single honour is an award of one.
//!
//! Whoever is not known to be of age, and whoever has taken back their consent to publication, is not named (个人信息保护法, articles 25
//! and 31; article 23 of the regulation); all others by a masked name. What the public reads is a snapshot of masked text, which a
//! correction takes anew from the records and tells what changed. Who withdraws their consent later is taken out at once.
//!
//! `lines` says what is told of whom, `steps` walks the way.

mod lines;
mod steps;

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, get, web};
use chrono::NaiveDate;
use diesel::dsl::count_star;
use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use validator::{Validate, ValidationError};

use super::notice_objections::ObjectionOutcome;
use super::rules::{self, ReasonBody};
use super::welfare_batches;
use crate::auth::Caller;
use crate::db::{Any, AnyConnection, Db, Tx, insert_all};
use crate::error::{Code, Error, Fault, Result, Says};
use crate::policy::{Action, Actor, Area, OrganizationLevel, Scope};
use crate::schema::{notice_objections, public_notice_corrections as c, public_notices as t};
use crate::types::{Id, Instant, business_today, code_or_new, text_enum};
use crate::web::handlers::{id_of, nothing_else};
use crate::web::query::Pairs;
use crate::web::resource::{Run, Step};
use crate::web::shape::Shape;
use crate::web::verbs::refusal;
use crate::web::{Measure, Measured, Reference, Resource, Window, deletes, measured, page, reads, save, viewed};

pub use lines::{LineChange, NoticeLine, PublicNoticeLinePage, kept, position_after, take_back};

/// How often a notice can be corrected.
const CORRECTIONS: i32 = 100;
/// How many changes of a correction are shown.
const CHANGES_SHOWN: usize = 50;
const DEFAULT_DAYS: i32 = 7;

text_enum! {
    /// Where a notice stands.
    NoticeState {
        Draft = "draft", "草稿", "draft";
        Published = "published", "公示中", "published";
        Concluded = "concluded", "已办结", "concluded";
        Withdrawn = "withdrawn", "已撤回", "withdrawn";
    }
}

text_enum! {
    /// Which amounts a notice tells.
    Amounts {
        Each = "each", "公开每笔金额和合计", "of each, and in all";
        Total = "total", "只公开合计", "in all";
        None = "none", "不公开金额", "none";
    }
}

/// A notice's own row.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = t, treat_none_as_default_value = false, treat_none_as_null = true)]
pub struct Row {
    pub id: Id,
    code: String,
    organization_id: Id,
    batch_id: Option<Id>,
    document_number: Option<String>,
    title: String,
    introduction: Option<String>,
    amounts: Amounts,
    days: i32,
    state: NoticeState,
    reason: Option<String>,
    starts_on: Option<NaiveDate>,
    ends_on: Option<NaiveDate>,
    line_count: Option<i64>,
    people: Option<i64>,
    total_fen: Option<i64>,
    prepared_by: Id,
    published_by: Option<Id>,
    version: i32,
    created_at: Instant,
    updated_at: Instant,
}

/// A correction as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = c, treat_none_as_default_value = false)]
pub struct CorrectionRow {
    notice_id: Id,
    number: i32,
    note: String,
    corrected_on: NaiveDate,
    corrected_by: Id,
    changed_lines: i64,
    changes: String,
    total_fen_before: Option<i64>,
    total_fen_after: Option<i64>,
}

/// What was put right in a notice after its publication.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NoticeCorrection {
    /// From 1 on.
    pub number: i32,
    pub note: String,
    pub corrected_on: NaiveDate,
    /// How many lines changed.
    pub changed_lines: i64,
    /// The first fifty of them, masked, before and after.
    pub changes: Vec<LineChange>,
    /// The sum before, in fen; null where none was told.
    pub total_fen_before: Option<i64>,
    /// The sum after, in fen; null where none is told.
    pub total_fen_after: Option<i64>,
}

/// How many objections came to a notice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct ObjectionCounts {
    /// All of them.
    pub received: i64,
    pub answered: i64,
    /// Of those answered.
    pub upheld: i64,
}

/// A public notice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicNotice {
    pub id: Id,
    /// Unique code that people use.
    pub code: String,
    /// The association that gives notice.
    pub organization_id: Id,
    /// The batch that it tells of: this or a document.
    pub batch_id: Option<Id>,
    /// The document of the award that it tells of: all honours with this number, here and in the organizations below.
    #[schema(example = "郑义〔2022〕8号")]
    pub document_number: Option<String>,
    pub title: String,
    pub introduction: Option<String>,
    pub amounts: Amounts,
    /// For how many days, the day of publication not counted.
    pub days: i32,
    pub state: NoticeState,
    /// Why it was withdrawn.
    pub reason: Option<String>,
    /// The day of its publication.
    pub starts_on: Option<NaiveDate>,
    /// Its last day.
    pub ends_on: Option<NaiveDate>,
    /// How many lines it has; null before it is published.
    pub line_count: Option<i64>,
    /// For how many people they are; null before it is published, and where one of them doesn't say.
    pub people: Option<i64>,
    /// Their sum, in fen; null before it is published, and where no amount is told.
    pub total_fen: Option<i64>,
    pub objections: ObjectionCounts,
    /// What was put right; in lists null.
    pub corrections: Option<Vec<NoticeCorrection>>,
    /// The user who wrote the draft last; nobody who wrote a version of it publishes it.
    pub prepared_by: Id,
    /// Another user, who published it.
    pub published_by: Option<Id>,
    /// Counts the changes; the ETag begins with it.
    pub version: i32,
    pub created_at: Instant,
    pub updated_at: Instant,
}

viewed!(PublicNotice {
    fn shown_version(&self) -> String {
        format!("{}-{}-{}", self.version, self.objections.received, self.objections.answered)
    }
});

/// What may be written of a notice, while it is a draft.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema, Validate)]
#[serde(deny_unknown_fields)]
#[validate(schema(function = "whole", skip_on_field_errors = false))]
pub struct PublicNoticeDraft {
    /// Made by the service when absent.
    #[schema(min_length = 1, max_length = 64)]
    #[validate(custom(function = "rules::code"))]
    pub code: Option<String>,
    /// The association that gives notice.
    pub organization_id: Id,
    /// A batch of this association: this or a document.
    pub batch_id: Option<Id>,
    /// The document of an award: all honours with this number, of this association and those below it.
    #[schema(min_length = 1, max_length = 50, example = "郑义〔2022〕8号")]
    #[validate(custom(function = "rules::document_number"))]
    pub document_number: Option<String>,
    #[schema(min_length = 1, max_length = 100, example = "2022 年度助学金发放公示")]
    #[validate(custom(function = "rules::public_text"))]
    pub title: String,
    /// What the public should know, without the number of a paper, a mobile phone or a bank card, and without whole names.
    #[schema(min_length = 1, max_length = 5000)]
    #[validate(custom(function = "rules::public_text"))]
    pub introduction: Option<String>,
    /// `total` when absent.
    pub amounts: Option<Amounts>,
    /// For how many days, the day of publication not counted: 7 when absent.
    #[schema(minimum = 1, maximum = 365)]
    pub days: Option<i32>,
}

fn whole(draft: &PublicNoticeDraft) -> Result<(), ValidationError> {
    match (draft.batch_id, &draft.document_number) {
        (None, None) => Err(refusal(
            Some("batch_id"),
            "required",
            &Says::new("请填写所公示的发放批次，或授奖文号", "name the batch that it tells of, or the document of the award"),
        )),
        (Some(_), Some(_)) => Err(refusal(
            Some("document_number"),
            "two_sources",
            &Says::new("发放批次与授奖文号只能填写一个", "a notice tells of a batch or of an award, not of both"),
        )),
        _ => Ok(()),
    }
}

/// Which notices.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PublicNoticeFilter {
    /// This organization and all below it.
    pub organization_id: Option<Id>,
    #[param(inline)]
    pub organization_level: Option<OrganizationLevel>,
    pub code: Option<String>,
    pub batch_id: Option<Id>,
    pub document_number: Option<String>,
    /// One or several, separated by commas.
    #[param(inline)]
    pub state: Option<Vec<NoticeState>>,
    /// Published on this day or later.
    pub published_from: Option<NaiveDate>,
    /// Published on this day or earlier.
    pub published_to: Option<NaiveDate>,
}

pub struct PublicNotices;

/// Scope and filter as a query: list, count and figure all start here.
fn query(scope: &Scope, filter: &PublicNoticeFilter) -> t::BoxedQuery<'static, Any> {
    let mut query =
        t::table.filter(scope.within(filter.organization_id, filter.organization_level).holds(t::organization_id)).into_boxed::<Any>();
    if let Some(code) = &filter.code {
        query = query.filter(t::code.eq(code.clone()));
    }
    if let Some(id) = filter.batch_id {
        query = query.filter(t::batch_id.eq(id));
    }
    if let Some(number) = &filter.document_number {
        query = query.filter(t::document_number.eq(number.clone()));
    }
    if let Some(states) = &filter.state {
        query = query.filter(t::state.eq_any(states.clone()));
    }
    if let Some(day) = filter.published_from {
        query = query.filter(t::starts_on.ge(day));
    }
    if let Some(day) = filter.published_to {
        query = query.filter(t::starts_on.le(day));
    }
    query
}

/// How many objections came to each of some notices: one query; none has no entry.
pub fn objection_counts(conn: &mut AnyConnection, notices: &[Id]) -> Result<HashMap<Id, ObjectionCounts>> {
    let groups: Vec<(Id, Option<ObjectionOutcome>, i64)> = notice_objections::table
        .filter(notice_objections::notice_id.eq_any(notices.to_vec()))
        .group_by((notice_objections::notice_id, notice_objections::outcome))
        .select((notice_objections::notice_id, notice_objections::outcome, count_star()))
        .load(conn)?;
    let mut all: HashMap<Id, ObjectionCounts> = HashMap::new();
    for (notice_id, outcome, n) in groups {
        let counts = all.entry(notice_id).or_default();
        counts.received += n;
        counts.answered += outcome.map_or(0, |_| n);
        counts.upheld += if outcome == Some(ObjectionOutcome::Upheld) { n } else { 0 };
    }
    Ok(all)
}

/// The corrections of a notice as anybody may see them: at most a hundred, of each the first changes.
pub fn corrections(conn: &mut AnyConnection, notice_id: Id) -> Result<Vec<NoticeCorrection>> {
    let rows: Vec<CorrectionRow> =
        c::table.filter(c::notice_id.eq(notice_id)).order(c::number.asc()).select(CorrectionRow::as_select()).load(conn)?;
    let mut corrections: Vec<NoticeCorrection> = rows
        .into_iter()
        .map(|row| {
            let mut changes: Vec<LineChange> = serde_json::from_str(&row.changes).map_err(Error::internal)?;
            changes.truncate(CHANGES_SHOWN);
            Ok(NoticeCorrection {
                number: row.number,
                note: row.note,
                corrected_on: row.corrected_on,
                changed_lines: row.changed_lines,
                changes,
                total_fen_before: row.total_fen_before,
                total_fen_after: row.total_fen_after,
            })
        })
        .collect::<Result<_>>()?;
    let mut positions: Vec<i32> = corrections.iter().flat_map(|correction| &correction.changes).map(|change| change.position).collect();
    positions.sort_unstable();
    positions.dedup();
    let named = lines::named_among(conn, notice_id, positions)?;
    corrections.iter_mut().for_each(|correction| lines::without_lost_names(&mut correction.changes, &named));
    Ok(corrections)
}

/// Rows as they are shown: one query for the objections to all of them.
fn shown(conn: &mut AnyConnection, rows: Vec<Row>) -> Result<Vec<PublicNotice>> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let counts = objection_counts(conn, &rows.iter().map(|row| row.id).collect::<Vec<_>>())?;
    Ok(rows
        .into_iter()
        .map(|row| PublicNotice {
            id: row.id,
            code: row.code,
            organization_id: row.organization_id,
            batch_id: row.batch_id,
            document_number: row.document_number,
            title: row.title,
            introduction: row.introduction,
            amounts: row.amounts,
            days: row.days,
            state: row.state,
            reason: row.reason,
            starts_on: row.starts_on,
            ends_on: row.ends_on,
            line_count: row.line_count,
            people: row.people,
            total_fen: row.total_fen,
            objections: counts.get(&row.id).copied().unwrap_or_default(),
            corrections: None,
            prepared_by: row.prepared_by,
            published_by: row.published_by,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
        .collect())
}

/// The fault of a text for the public that tells the whole name of somebody on a notice's list.
pub fn whole_names(conn: &mut AnyConnection, notice_id: Id, pointer: &str, text: &str) -> Result<Option<Fault>> {
    let notice = t::table.filter(t::id.eq(notice_id)).select(Row::as_select()).first(conn)?;
    Ok(steps::names_in(&lines::sources(conn, &notice, None, None)?, pointer, text))
}

fn one(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Row> {
    Ok(query(scope, &PublicNoticeFilter::default()).filter(t::id.eq(id)).select(Row::as_select()).first(conn)?)
}

fn row(id: Id, version: i32, created_at: Instant, now: Instant, by: Id, draft: PublicNoticeDraft) -> Row {
    Row {
        id,
        code: code_or_new(draft.code.as_deref()),
        organization_id: draft.organization_id,
        batch_id: draft.batch_id,
        document_number: draft.document_number,
        title: draft.title,
        introduction: draft.introduction,
        amounts: draft.amounts.unwrap_or(Amounts::Total),
        days: draft.days.unwrap_or(DEFAULT_DAYS),
        state: NoticeState::Draft,
        reason: None,
        starts_on: None,
        ends_on: None,
        line_count: None,
        people: None,
        total_fen: None,
        prepared_by: by,
        published_by: None,
        version,
        created_at,
        updated_at: now,
    }
}

fn check(tx: &mut Tx<'_>, scope: &Scope, drafts: &[PublicNoticeDraft], at: impl Fn(usize, &str) -> String) -> Result<()> {
    let mut faults: Vec<Fault> = Vec::new();
    let mut known = |of, field: &str, id: fn(&PublicNoticeDraft) -> Option<Id>| {
        let wanted = drafts.iter().enumerate().map(|(i, draft)| (at(i, field), id(draft)));
        rules::all_in_scope(tx.conn, scope, of, wanted.collect::<Vec<_>>(), &mut faults)
    };
    known("organizations", "organization_id", |draft| Some(draft.organization_id))?;
    known("welfare_batches", "batch_id", |draft| draft.batch_id)?;
    Error::unless_empty(std::mem::take(&mut faults))?;
    let batches = welfare_batches::briefs(tx.conn, drafts.iter().filter_map(|draft| draft.batch_id))?;
    for (i, draft) in drafts.iter().enumerate() {
        let batch = draft.batch_id.and_then(|id| batches.get(&id));
        if batch.is_some_and(|batch| batch.organization_id != draft.organization_id) {
            let says = Says::new("批次属于另一单位；由批次所属单位公示", "the batch is another organization's, and so is its notice");
            faults.push(Fault::new(at(i, "batch_id"), "batch_of_another_organization", says));
        }
    }
    Error::unless_empty(faults)
}

impl Resource for PublicNotices {
    const NAME: &'static str = "public_notices";
    const LABEL: (&'static str, &'static str) = ("公示", "public notice");
    const AREA: Area = Area::Welfare;
    const REFERENCES: &'static [Reference] =
        &[Reference::ORGANIZATION, Reference { field: "batch_id", column: "batch_code", of: "welfare_batches" }];

    type View = PublicNotice;
    type Draft = PublicNoticeDraft;
    type Filter = PublicNoticeFilter;

    fn page(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, window: &Window) -> Result<Vec<Self::View>> {
        let rows = page!(conn, scope, query(scope, filter), t, window, rows => rows.select(Row::as_select()));
        shown(conn, rows)
    }

    reads!(t);

    fn find(conn: &mut AnyConnection, scope: &Scope, id: Id) -> Result<Self::View> {
        let row = one(conn, scope, id)?;
        let mut notice = shown(conn, vec![row])?.pop().ok_or_else(Error::not_found)?;
        notice.corrections = Some(corrections(conn, id)?);
        Ok(notice)
    }

    fn insert(tx: &mut Tx<'_>, scope: &Scope, drafts: Vec<Self::Draft>) -> Result<Vec<Self::View>> {
        let actor = tx.actor()?;
        check(tx, scope, &drafts, |i, field| format!("/{i}/{field}"))?;
        let now = tx.now;
        let rows: Vec<Row> = drafts.into_iter().map(|draft| row(Id::new(), 1, now, now, actor, draft)).collect();
        insert_all!(&mut *tx.conn, t::table, rows)?;
        shown(tx.conn, rows)
    }

    fn draft(_: &mut Tx<'_>, view: &Self::View) -> Result<Self::Draft> {
        let notice = view.clone();
        Ok(PublicNoticeDraft {
            code: Some(notice.code),
            organization_id: notice.organization_id,
            batch_id: notice.batch_id,
            document_number: notice.document_number,
            title: notice.title,
            introduction: notice.introduction,
            amounts: Some(notice.amounts),
            days: Some(notice.days),
        })
    }

    fn update(tx: &mut Tx<'_>, scope: &Scope, before: &Self::View, draft: Self::Draft) -> Result<Self::View> {
        let actor = tx.actor()?;
        check(tx, scope, std::slice::from_ref(&draft), |_, field| format!("/{field}"))?;
        let after = row(before.id, before.version + 1, before.created_at, tx.now, actor, draft);
        save!(tx, t, before, &after)?;
        Self::find(tx.conn, scope, before.id)
    }

    deletes!(t);

    fn measure(conn: &mut AnyConnection, scope: &Scope, filter: &Self::Filter, measure: Measure) -> Result<Measured> {
        Ok(measured!(conn, query(scope, filter), t, measure))
    }

    fn steps() -> Vec<Step<Self>> {
        type Taken = (Action, &'static str, Option<fn() -> Shape>, Run<PublicNotices>);
        let steps: [Taken; 4] = [
            (
                Action::Publish,
                "公开（不得为编制人），公示期自次日起算 / Publish: by another than who prepared it; its days begin with the next",
                None,
                steps::publish,
            ),
            (Action::Withdraw, "撤回，公众不再可见 / Withdraw: the public sees it no more", Some(Shape::of::<ReasonBody>), steps::withdraw),
            (
                Action::Conclude,
                "办结（期满且异议均已答复） / Conclude: after its last day, with every objection answered",
                None,
                steps::conclude,
            ),
            (
                Action::Correct,
                "更正：按现有记录重新生成名单，并说明更正内容 / Correct: take the lines again from the records, and say what changed",
                Some(Shape::of::<steps::CorrectBody>),
                steps::correct,
            ),
        ];
        steps.into_iter().map(|(action, summary, body, run)| Step { action, summary, body, needs_key: false, run }).collect()
    }

    fn offers(view: &Self::View) -> Vec<Action> {
        match view.state {
            NoticeState::Draft => vec![Action::Update, Action::Delete, Action::Publish],
            NoticeState::Published => vec![Action::Withdraw, Action::Conclude, Action::Correct],
            NoticeState::Concluded => vec![Action::Correct],
            NoticeState::Withdrawn => Vec::new(),
        }
    }

    /// Who publishes a notice has not prepared it.
    fn objections(conn: &mut AnyConnection, actor: &Actor, asked: &[(&Self::View, Action)]) -> Result<Vec<Option<Error>>> {
        let wrote = rules::wrote::<Self>(conn, actor, asked, &[Action::Publish])?;
        let objection = |view: &PublicNotice, action| {
            (action == Action::Publish && (view.prepared_by == actor.id || wrote.contains(&view.id))).then(|| {
                Error::because(
                    Code::Forbidden,
                    format!("公示 {} 由您编制，须由另一人公开", view.code),
                    format!("you prepared the notice {}, so somebody else has to publish it", view.code),
                )
            })
        };
        Ok(asked.iter().map(|(view, action)| objection(view, *action)).collect())
    }
}

/// The lines of a notice with the records that they stand for: of a draft as they would be if it were published today.
#[utoipa::path(operation_id = "public_notices_lines", tag = "public-notices", summary = "公示名单（草稿为预览） / The lines of a notice; of a draft a preview",
    params(("id" = Id, Path, description = "Id of the public notice."),
        ("limit" = Option<i64>, Query, description = "Lines a page.", minimum = 1, maximum = 200),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.")),
    responses((status = 200, description = "A page, in the order of the notice.", body = PublicNoticeLinePage)))]
#[get("/public-notices/{id}/lines")]
pub async fn lines_of(request: HttpRequest, caller: Caller, db: web::Data<Db>) -> Result<HttpResponse> {
    let scope = caller.actor.may(PublicNotices::AREA, Action::Read)?;
    let id = id_of(&request)?;
    let mut pairs = Pairs::parse(request.query_string())?;
    let window = Window::take(&mut pairs, &[])?;
    nothing_else(pairs)?;
    let page = db
        .read(move |conn| {
            let notice = one(conn, &scope, id)?;
            lines::page(conn, &notice, &window, business_today(Instant::now()))
        })
        .await?;
    Ok(HttpResponse::Ok().json(page))
}
