//! The lines of a notice: whom it tells of, and how. They are made of the records while the notice is a draft, and kept as masked text
//! from its publication on, so that the public never comes near a table with a name in it.

use std::collections::HashMap;

use chrono::NaiveDate;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Date, Nullable, Text};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Amounts, PublicNotices, Row};
use crate::db::{AnyConnection, Part, Subset, Tx};
use crate::error::{Code, Error, Result};
use crate::policy::Action;
use crate::resources::heroes::HeroStatus;
use crate::resources::welfare_programmes::ProgrammeKind;
use crate::schema::{public_notice_lines as l, public_notices as t};
use crate::types::{Id, TextEnum, age, mask_name, sql, text_enum};
use crate::web::{Resource, Window};

/// From this age on a person is named, masked, without anybody's consent to it (民法典, article 17).
const OF_AGE: i32 = 18;

text_enum! {
    /// How a line tells whom it is about.
    NoticeNaming {
        Named = "named", "姓名隐去部分文字", "by their masked name";
        Collective = "collective", "集体", "a group";
        Protected = "protected", "未成年人或年龄不详，姓名不公开", "a minor or of unknown age: not named";
        Secret = "secret", "本人要求保密", "asked for secrecy: not named";
    }
}

/// A line of a notice, as it is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NoticeLine {
    /// The place in the notice, from 1 on. It stays with what it tells of, and isn't given again when a correction takes that out.
    #[schema(minimum = 1)]
    pub position: i32,
    pub naming: NoticeNaming,
    /// The masked name, or what stands in its place.
    #[schema(example = "张*明")]
    pub shown_as: String,
    /// Of whom it comes.
    pub organization_name: String,
    /// What is given: the benefit, the kind of programme, or the title of an honour.
    #[schema(example = "助学")]
    pub what: String,
    /// For how many people it is; null is unknown.
    pub people: Option<i64>,
    /// In fen (1/100 yuan); null where the notice doesn't tell the amount of each.
    pub amount_fen: Option<i64>,
}

/// A line as those see it who answer for the notice.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicNoticeLine {
    #[serde(flatten)]
    pub line: NoticeLine,
    /// What it stands for: this or an honour; neither where that record is gone.
    pub disbursement_id: Option<Id>,
    pub honour_id: Option<Id>,
}

/// A page of lines.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicNoticeLinePage {
    pub items: Vec<PublicNoticeLine>,
    /// Give it as `cursor` for the next page; null on the last.
    pub next_cursor: Option<String>,
}

/// A line as it is kept.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = l, treat_none_as_default_value = false)]
pub struct LineRow {
    pub notice_id: Id,
    pub position: i32,
    pub naming: NoticeNaming,
    pub shown_name: Option<String>,
    pub organization_name: String,
    pub what: String,
    pub people: Option<i64>,
    pub amount_fen: Option<i64>,
    pub disbursement_id: Option<Id>,
    pub honour_id: Option<Id>,
}

impl LineRow {
    pub fn told(&self) -> NoticeLine {
        NoticeLine {
            position: self.position,
            naming: self.naming,
            shown_as: self.shown_name.clone().unwrap_or_else(|| self.naming.label().0.to_owned()),
            organization_name: self.organization_name.clone(),
            what: self.what.clone(),
            people: self.people,
            amount_fen: self.amount_fen,
        }
    }

    /// The record that it stands for.
    pub fn source(&self) -> Option<Id> {
        self.disbursement_id.or(self.honour_id)
    }

    fn with_source(&self) -> PublicNoticeLine {
        PublicNoticeLine { line: self.told(), disbursement_id: self.disbursement_id, honour_id: self.honour_id }
    }
}

/// What a line is made of, with what only the service may know.
#[derive(Debug, QueryableByName)]
pub struct Source {
    #[diesel(sql_type = sql::Uuid)]
    pub id: Id,
    #[diesel(sql_type = Text)]
    pub code: String,
    #[diesel(sql_type = Text)]
    organization_name: String,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub people: Option<i64>,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub amount_fen: Option<i64>,
    /// The benefit, or the title; null of money out of a programme.
    #[diesel(sql_type = Nullable<Text>)]
    pub what: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    programme_kind: Option<ProgrammeKind>,
    /// Null of a group known only as a whole.
    #[diesel(sql_type = Nullable<Text>)]
    pub name: Option<String>,
    #[diesel(sql_type = Nullable<Date>)]
    born_on: Option<NaiveDate>,
    #[diesel(sql_type = Nullable<Text>)]
    pub hero_code: Option<String>,
    #[diesel(sql_type = Nullable<Text>)]
    hero_status: Option<HeroStatus>,
    /// Whether the person is a hero who fell by the deed: they were never older than on its day.
    #[diesel(sql_type = Bool)]
    fallen: bool,
    #[diesel(sql_type = Nullable<Date>)]
    deed_on: Option<NaiveDate>,
    /// Whether the person has withdrawn a consent to publication, and none holds.
    #[diesel(sql_type = Bool)]
    secret: bool,
}

impl Source {
    pub fn is_revoked(&self) -> bool {
        self.hero_status == Some(HeroStatus::Revoked)
    }

    fn naming(&self, day: NaiveDate) -> NoticeNaming {
        naming(self.name.is_some(), self.born_on, self.secret, if self.fallen { self.deed_on } else { Some(day) })
    }

    /// As the line of a notice that is, or would be, published on a day.
    pub fn line(&self, notice: &Row, position: i32, day: NaiveDate) -> LineRow {
        let naming = self.naming(day);
        let kind = self.programme_kind.map(|kind| kind.label().0.to_owned());
        let of_batch = notice.batch_id.is_some();
        LineRow {
            notice_id: notice.id,
            position,
            naming,
            shown_name: self.name.as_deref().filter(|_| naming == NoticeNaming::Named).map(mask_name),
            organization_name: self.organization_name.clone(),
            what: self.what.clone().or(kind).unwrap_or_default(),
            people: self.people,
            amount_fen: self.amount_fen.filter(|_| notice.amounts == Amounts::Each),
            disbursement_id: of_batch.then_some(self.id),
            honour_id: (!of_batch).then_some(self.id),
        }
    }
}

/// Who is not known to be of age is not named, and neither is who has asked for secrecy.
fn naming(is_person: bool, born_on: Option<NaiveDate>, secret: bool, day: Option<NaiveDate>) -> NoticeNaming {
    match born_on.zip(day) {
        _ if !is_person => NoticeNaming::Collective,
        Some((born_on, day)) if age(born_on, day) >= OF_AGE => {
            if secret {
                NoticeNaming::Secret
            } else {
                NoticeNaming::Named
            }
        }
        _ => NoticeNaming::Protected,
    }
}

macro_rules! selected {
    ($columns:literal, $from:literal) => {
        concat!(
            "SELECT ",
            $columns,
            ", o.name AS organization_name, p.name AS name, p.born_on AS born_on, h.code AS hero_code, h.status AS hero_status, \
             COALESCE(h.outcome = 'fallen' AND h.person_id = p.id, FALSE) AS fallen, h.deed_on AS deed_on, \
             EXISTS (SELECT 1 FROM consents c WHERE c.person_id = p.id AND c.purpose = 'publication' AND c.withdrawn_on IS NOT NULL) \
             AND NOT EXISTS (SELECT 1 FROM consents c WHERE c.person_id = p.id AND c.purpose = 'publication' AND c.withdrawn_on IS NULL) AS secret \
             FROM ",
            $from
        )
    };
}

/// What counts of a batch: to whom it goes, and whose family they are.
const OF_BATCH: &str = selected!(
    "d.id AS id, d.code AS code, d.people AS people, d.amount_fen AS amount_fen, d.benefit AS what, w.kind AS programme_kind",
    "disbursements d JOIN organizations o ON o.id = d.organization_id JOIN welfare_programmes w ON w.id = d.programme_id \
     LEFT JOIN dependants k ON k.id = d.dependant_id LEFT JOIN heroes h ON h.id = COALESCE(d.hero_id, k.hero_id) \
     LEFT JOIN persons p ON p.id = COALESCE(k.person_id, h.person_id) \
     WHERE d.batch_id = $1 AND d.state NOT IN ('rejected', 'cancelled', 'reversed') AND d.id > $2 ORDER BY d.id LIMIT $3"
);

/// The honours that a document gave, here and in the organizations below.
const OF_DOCUMENT: &str = selected!(
    "y.id AS id, y.code AS code, CAST(1 AS BIGINT) AS people, y.amount_fen AS amount_fen, y.title AS what, CAST(NULL AS TEXT) AS programme_kind",
    "honours y JOIN organizations o ON o.id = y.organization_id JOIN heroes h ON h.id = y.hero_id JOIN persons p ON p.id = h.person_id \
     WHERE y.document_number = $1 AND y.organization_id IN (SELECT descendant_id FROM organization_closure WHERE ancestor_id = $2) \
     AND y.id > $3 ORDER BY y.id LIMIT $4"
);

/// The records that a notice is made of, in the order of their making; `None` is from the first, or to the last.
pub fn sources(conn: &mut AnyConnection, notice: &Row, after: Option<Id>, limit: Option<i64>) -> Result<Vec<Source>> {
    let after = after.unwrap_or(Id(uuid::Uuid::nil()));
    let limit = limit.unwrap_or(i64::MAX);
    Ok(match (notice.batch_id, &notice.document_number) {
        (Some(batch_id), _) => {
            diesel::sql_query(OF_BATCH).bind::<sql::Uuid, _>(batch_id).bind::<sql::Uuid, _>(after).bind::<BigInt, _>(limit).load(conn)?
        }
        (None, Some(document_number)) => diesel::sql_query(OF_DOCUMENT)
            .bind::<Text, _>(document_number)
            .bind::<sql::Uuid, _>(notice.organization_id)
            .bind::<sql::Uuid, _>(after)
            .bind::<BigInt, _>(limit)
            .load(conn)?,
        (None, None) => Vec::new(),
    })
}

/// The kept lines of a notice, after a position.
pub fn kept(conn: &mut AnyConnection, notice_id: Id, after: i32, limit: Option<i64>) -> Result<Vec<LineRow>> {
    let lines = l::table.filter(l::notice_id.eq(notice_id)).filter(l::position.gt(after)).order(l::position.asc());
    Ok(lines.limit(limit.unwrap_or(i64::MAX)).select(LineRow::as_select()).load(conn)?)
}

/// The position after which a page begins, as its cursor tells it.
pub fn position_after(window: &Window) -> Result<i32> {
    let wrong = || Error::because(Code::InvalidCursor, "请使用上一页返回的 next_cursor", "use the next_cursor of the page before");
    window.after.as_ref().map_or(Ok(0), |after| after.code.parse().map_err(|_| wrong()))
}

/// A page of lines for those who answer for the notice: of a draft as they would be if it were published on `today`.
pub fn page(conn: &mut AnyConnection, notice: &Row, window: &Window, today: NaiveDate) -> Result<PublicNoticeLinePage> {
    let before = position_after(window)?;
    let mut rows = if notice.starts_on.is_some() {
        kept(conn, notice.id, before, Some(window.fetch()))?
    } else {
        let sources = sources(conn, notice, window.after.as_ref().map(|after| after.id), Some(window.fetch()))?;
        sources.iter().zip(before + 1..).map(|(source, position)| source.line(notice, position, today)).collect()
    };
    let limit = usize::try_from(window.limit).unwrap_or(usize::MAX);
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next_cursor =
        rows.last().filter(|_| more).map(|last| window.cursor_after(last.source().unwrap_or(notice.id), &last.position.to_string()));
    Ok(PublicNoticeLinePage { items: rows.iter().map(LineRow::with_source).collect(), next_cursor })
}

/// What a correction changed at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineChange {
    pub position: i32,
    /// Null where the line is new.
    pub before: Option<NoticeLine>,
    /// Null where the line was taken out.
    pub after: Option<NoticeLine>,
}

/// The lines as the records now are: whoever was told of keeps their place, who is new comes last.
pub fn taken_again(notice: &Row, was: &[LineRow], sources: &[Source], day: NaiveDate) -> Vec<LineRow> {
    let places: HashMap<Id, i32> = was.iter().filter_map(|line| Some((line.source()?, line.position))).collect();
    let mut next = was.iter().map(|line| line.position).max().unwrap_or_default();
    let mut lines: Vec<LineRow> = sources
        .iter()
        .map(|source| {
            let position = places.get(&source.id).copied().unwrap_or_else(|| {
                next += 1;
                next
            });
            source.line(notice, position, day)
        })
        .collect();
    lines.sort_unstable_by_key(|line| line.position);
    lines
}

/// What differs, by position.
pub fn changes(was: &[LineRow], now: &[LineRow]) -> Vec<LineChange> {
    let mut before: HashMap<i32, NoticeLine> = was.iter().map(|line| (line.position, line.told())).collect();
    let mut changes: Vec<LineChange> = Vec::new();
    for after in now.iter().map(LineRow::told) {
        let before = before.remove(&after.position);
        if before.as_ref() != Some(&after) {
            changes.push(LineChange { position: after.position, before, after: Some(after) });
        }
    }
    changes.extend(before.into_values().map(|line| LineChange { position: line.position, before: Some(line), after: None }));
    changes.sort_unstable_by_key(|change| change.position);
    changes
}

/// Takes the names out of changes at places where nobody is named any more: a correction must not go on telling what it took back.
pub fn without_lost_names(changes: &mut [LineChange], named: &[i32]) {
    for change in changes.iter_mut().filter(|change| !named.contains(&change.position)) {
        for line in [&mut change.before, &mut change.after].into_iter().flatten().filter(|line| line.naming == NoticeNaming::Named) {
            line.shown_as = "姓名不再公开".to_owned();
        }
    }
}

/// The places of a notice, among these, where somebody is named.
pub fn named_among(conn: &mut AnyConnection, notice_id: Id, positions: Vec<i32>) -> Result<Vec<i32>> {
    if positions.is_empty() {
        return Ok(Vec::new());
    }
    let lines = l::table.filter(l::notice_id.eq(notice_id)).filter(l::position.eq_any(positions));
    Ok(lines.filter(l::naming.eq(NoticeNaming::Named)).select(l::position).load(conn)?)
}

/// Takes the name of a person, who has withdrawn their consent, out of all notices that tell it.
pub fn take_back(tx: &mut Tx<'_>, person_id: Id) -> Result<()> {
    let of_person = |parts: &[&'static str]| {
        let each = parts.iter().flat_map(|select| [Part::Sql(select), Part::Id(person_id), Part::Sql(")")]);
        Subset(each.collect())
    };
    let disbursements = of_person(&[
        "SELECT id FROM disbursements WHERE hero_id IN (SELECT id FROM heroes WHERE person_id = ",
        " UNION ALL SELECT id FROM disbursements WHERE dependant_id IN (SELECT id FROM dependants WHERE person_id = ",
    ]);
    let honours = of_person(&["SELECT id FROM honours WHERE hero_id IN (SELECT id FROM heroes WHERE person_id = "]);
    // One after the other: joined by OR they would be looked for in every line there is.
    let named = || l::table.filter(l::naming.eq(NoticeNaming::Named)).select((l::notice_id, l::position));
    let mut lines: Vec<(Id, i32)> = named().filter(disbursements.holds(l::disbursement_id)).load(tx.conn)?;
    lines.extend(named().filter(honours.holds(l::honour_id)).load::<(Id, i32)>(tx.conn)?);
    let mut notices: HashMap<Id, Vec<i32>> = HashMap::new();
    for (notice_id, position) in lines {
        notices.entry(notice_id).or_default().push(position);
    }
    for (notice_id, positions) in notices {
        let those = l::table.filter(l::notice_id.eq(notice_id)).filter(l::position.eq_any(positions.clone()));
        diesel::update(those).set((l::naming.eq(NoticeNaming::Secret), l::shown_name.eq(None::<String>))).execute(tx.conn)?;
        let notice = t::table.filter(t::id.eq(notice_id));
        diesel::update(notice).set((t::version.eq(t::version + 1), t::updated_at.eq(tx.now))).execute(tx.conn)?;
        let organization_id: Id = notice.select(t::organization_id).first(tx.conn)?;
        let detail = json!({"naming": ["named", "secret"], "positions": positions});
        tx.audit(Action::Unpublish.code(), PublicNotices::NAME, Some(notice_id), Some(organization_id), Some(&detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_named() {
        let day = |text: &str| text.parse::<NaiveDate>().expect("a day");
        let (published, of_age, a_day_young) = (day("2026-11-25"), day("2008-11-25"), day("2008-11-26"));
        let of = |is_person, born_on, secret| naming(is_person, born_on, secret, Some(published));
        assert_eq!(of(true, Some(of_age), false), NoticeNaming::Named);
        assert_eq!(of(true, Some(a_day_young), false), NoticeNaming::Protected);
        assert_eq!(of(true, None, false), NoticeNaming::Protected, "who may be a minor is protected like one");
        assert_eq!(of(true, Some(of_age), true), NoticeNaming::Secret);
        assert_eq!(of(true, Some(a_day_young), true), NoticeNaming::Protected);
        assert_eq!(of(false, None, false), NoticeNaming::Collective);
        // Who fell on a day that isn't known may have been a child.
        assert_eq!(naming(true, Some(of_age), false, None), NoticeNaming::Protected);
    }

    #[test]
    fn places_stay_through_a_correction() {
        let line = |position, what: &str| LineRow {
            notice_id: Id::new(),
            position,
            naming: NoticeNaming::Named,
            shown_name: Some("张*".into()),
            organization_name: "郑州市见义勇为协会".into(),
            what: what.into(),
            people: Some(1),
            amount_fen: None,
            disbursement_id: Some(Id::new()),
            honour_id: None,
        };
        let was = [line(1, "助学"), line(2, "助学"), line(3, "助学")];
        let now = [line(1, "助学"), line(3, "慰问"), line(4, "助学")];
        let mut changes = changes(&was, &now);
        let told: Vec<_> = changes.iter().map(|c| (c.position, c.before.is_some(), c.after.is_some())).collect();
        assert_eq!(told, [(2, true, false), (3, true, true), (4, false, true)]);
        without_lost_names(&mut changes, &[3]);
        let names = |line: &Option<NoticeLine>| line.as_ref().map(|line| line.shown_as.clone());
        assert_eq!(names(&changes[0].before).as_deref(), Some("姓名不再公开"));
        assert_eq!((names(&changes[1].before).as_deref(), names(&changes[1].after).as_deref()), (Some("张*"), Some("张*")));
    }
}
