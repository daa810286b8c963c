//! What was found of each item, and which attachments prove it. An assessment has a row for each item of its standard, in its order.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::totals::Finding;
use crate::db::{AnyConnection, insert_all};
use crate::error::{Fault, Result, Says};
use crate::resources::standards::{ItemKind, StandardItem};
use crate::schema::{assessment_evidence as e, assessment_items as i};
use crate::types::{Id, TextEnum};

/// How many attachments may prove one item.
const EVIDENCE: usize = 20;

/// What was found of an item of the standard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AssessmentItem {
    /// Of the standard's item.
    #[schema(example = "office")]
    pub key: String,
    /// Of what is answered by yes or no; null where unknown.
    pub met: Option<bool>,
    /// Of what is scored; null where unknown.
    pub score: Option<i32>,
    /// Of what is counted; null where unknown.
    pub count: Option<i32>,
    pub note: Option<String>,
    /// Attachments of this assessment that prove it.
    pub evidence: Vec<Id>,
}

impl AssessmentItem {
    pub fn finding(&self) -> Finding {
        Finding { met: self.met, score: self.score, count: self.count }
    }

    fn unanswered(key: &str) -> Self {
        Self { key: key.to_owned(), met: None, score: None, count: None, note: None, evidence: Vec::new() }
    }
}

/// What was found of an item of the standard. Of `met`, `score` and `count` one is for it: as its kind says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssessmentItemDraft {
    /// Of the standard's item.
    #[schema(min_length = 1, max_length = 50, example = "office")]
    pub key: String,
    /// Of what is answered by yes or no; null where unknown.
    pub met: Option<bool>,
    /// Of what is scored: up to the item's maximum.
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub score: Option<i32>,
    /// Of what is counted; more than is required gives no more.
    #[schema(minimum = 0, maximum = 1_000_000)]
    pub count: Option<i32>,
    #[schema(min_length = 1, max_length = 500)]
    pub note: Option<String>,
    /// Ids of attachments of this assessment: it is written first, then these are attached, then they are named here.
    #[schema(max_items = 20)]
    pub evidence: Option<Vec<Id>>,
}

impl From<AssessmentItem> for AssessmentItemDraft {
    fn from(item: AssessmentItem) -> Self {
        let AssessmentItem { key, met, score, count, note, evidence } = item;
        Self { key, met, score, count, note, evidence: Some(evidence) }
    }
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = i, treat_none_as_default_value = false)]
struct ItemRow {
    assessment_id: Id,
    position: i32,
    key: String,
    met: Option<bool>,
    score: Option<i32>,
    count: Option<i32>,
    note: Option<String>,
}

#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = e, treat_none_as_default_value = false)]
struct EvidenceRow {
    assessment_id: Id,
    position: i32,
    place: i32,
    attachment_id: Id,
}

/// The answers in the order of the standard's items, with one for each: what is not told is not answered.
pub fn in_order(items: &[StandardItem], drafts: Option<Vec<AssessmentItemDraft>>) -> Vec<AssessmentItem> {
    let mut told: HashMap<String, AssessmentItemDraft> =
        drafts.unwrap_or_default().into_iter().map(|draft| (draft.key.clone(), draft)).collect();
    let of = |item: &StandardItem| match told.remove(&item.key) {
        Some(AssessmentItemDraft { key, met, score, count, note, evidence }) => {
            AssessmentItem { key, met, score, count, note, evidence: evidence.unwrap_or_default() }
        }
        None => AssessmentItem::unanswered(&item.key),
    };
    items.iter().map(of).collect()
}

/// The faults of answers, by the standard's items and the attachments that there are: pure. `at` makes a pointer of what stands below
/// `/items`.
pub fn faults_of(items: &[StandardItem], drafts: &[AssessmentItemDraft], attached: &[Id], at: &impl Fn(&str) -> String) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut fault = |below: String, code, zh: String, en: String| faults.push(Fault::new(at(&below), code, Says::new(zh, en)));
    let mut seen = HashSet::new();
    for (n, draft) in drafts.iter().enumerate() {
        let key = &draft.key;
        let Some(item) = items.iter().find(|item| item.key == *key) else {
            fault(format!("{n}/key"), "not_in_the_standard", format!("标准中没有项目“{key}”"), format!("the standard has no item '{key}'"));
            continue;
        };
        if !seen.insert(key.as_str()) {
            fault(format!("{n}/key"), "twice", format!("项目“{key}”已在前面填写"), format!("the item '{key}' is answered before"));
        }
        let told = [
            ("met", ItemKind::YesNo, draft.met.is_some()),
            ("score", ItemKind::Score, draft.score.is_some()),
            ("count", ItemKind::Count, draft.count.is_some()),
        ];
        for (field, kind, _) in told.into_iter().filter(|(_, kind, told)| *told && *kind != item.kind) {
            let ((wants_zh, wants_en), (is_zh, is_en)) = (item.kind.label(), kind.label());
            fault(
                format!("{n}/{field}"),
                "wrong_kind",
                format!("“{}”以“{wants_zh}”作答，不是“{is_zh}”", item.name),
                format!("'{key}' is answered as '{wants_en}' and not as '{is_en}'"),
            );
        }
        if let (ItemKind::Score, Some(score), Some(maximum)) = (item.kind, draft.score, item.maximum)
            && score > maximum
        {
            fault(format!("{n}/score"), "too_great", format!("最高 {maximum} 分"), format!("{maximum} is the most that can be given"));
        }
        let evidence = draft.evidence.as_deref().unwrap_or_default();
        if evidence.len() > EVIDENCE {
            fault(format!("{n}/evidence"), "too_many", format!("最多 {EVIDENCE} 个附件"), format!("at most {EVIDENCE} attachments"));
        }
        for (m, id) in evidence.iter().enumerate() {
            let pointer = format!("{n}/evidence/{m}");
            if !attached.contains(id) {
                let zh = "不是本次评定的附件；请先上传到本次评定（resource=assessments），再填其 id";
                let en = "this is no attachment of this assessment; attach the file to it first (resource=assessments), then give its id";
                fault(pointer, "not_attached_here", zh.into(), en.into());
            } else if evidence[..m].contains(id) {
                fault(pointer, "twice", "此附件已列出".into(), "this attachment is listed already".into());
            }
        }
    }
    faults
}

/// What is still missing before an assessment can be submitted: pure.
pub fn missing(items: &[StandardItem], answers: &[AssessmentItem]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (n, (item, answer)) in items.iter().zip(answers).enumerate() {
        if super::totals::achieved(item, answer.finding()).is_none() {
            let field = match item.kind {
                ItemKind::YesNo => "met",
                ItemKind::Score => "score",
                ItemKind::Count => "count",
            };
            let says = Says::new(format!("“{}”尚未作答", item.name), format!("the item '{}' is not answered", item.key));
            faults.push(Fault::new(format!("/items/{n}/{field}"), "required", says));
        }
        if item.evidence_required && answer.evidence.is_empty() {
            let says = Says::new(
                format!("“{}”需要佐证材料；请上传附件并填入此项", item.name),
                format!("the item '{}' wants evidence: attach a file and name it here", item.key),
            );
            faults.push(Fault::new(format!("/items/{n}/evidence"), "evidence_required", says));
        }
    }
    faults
}

/// Writes the answers of new assessments.
pub fn add<'a>(conn: &mut AnyConnection, all: impl IntoIterator<Item = (Id, &'a [AssessmentItem])>) -> QueryResult<()> {
    let (mut items, mut evidence) = (Vec::new(), Vec::new());
    for (assessment_id, answers) in all {
        for (position, answer) in (1..).zip(answers) {
            let AssessmentItem { key, met, score, count, note, evidence: proofs } = answer.clone();
            items.push(ItemRow { assessment_id, position, key, met, score, count, note });
            evidence.extend((1..).zip(proofs).map(|(place, attachment_id)| EvidenceRow { assessment_id, position, place, attachment_id }));
        }
    }
    insert_all!(&mut *conn, i::table, items)?;
    insert_all!(&mut *conn, e::table, evidence)
}

/// Writes the answers of an assessment over those that it has.
pub fn replace(conn: &mut AnyConnection, assessment_id: Id, answers: &[AssessmentItem]) -> QueryResult<()> {
    diesel::delete(e::table.filter(e::assessment_id.eq(assessment_id))).execute(conn)?;
    diesel::delete(i::table.filter(i::assessment_id.eq(assessment_id))).execute(conn)?;
    add(conn, [(assessment_id, answers)])
}

/// The answers of each of some assessments: two queries, whatever their number.
pub fn of(conn: &mut AnyConnection, ids: &[Id]) -> Result<HashMap<Id, Vec<AssessmentItem>>> {
    let mut proofs: HashMap<(Id, i32), Vec<Id>> = HashMap::new();
    let rows: Vec<EvidenceRow> = e::table
        .filter(e::assessment_id.eq_any(ids))
        .order((e::assessment_id, e::position, e::place))
        .select(EvidenceRow::as_select())
        .load(conn)?;
    for row in rows {
        proofs.entry((row.assessment_id, row.position)).or_default().push(row.attachment_id);
    }
    let rows: Vec<ItemRow> =
        i::table.filter(i::assessment_id.eq_any(ids)).order((i::assessment_id, i::position)).select(ItemRow::as_select()).load(conn)?;
    let mut all: HashMap<Id, Vec<AssessmentItem>> = HashMap::new();
    for ItemRow { assessment_id, position, key, met, score, count, note } in rows {
        let evidence = proofs.remove(&(assessment_id, position)).unwrap_or_default();
        all.entry(assessment_id).or_default().push(AssessmentItem { key, met, score, count, note, evidence });
    }
    Ok(all)
}
