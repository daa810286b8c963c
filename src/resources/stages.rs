//! Stages of things that are built (规划, 在建, 建成, 停用), kept as dated facts so that "as at" works.
//!
//! A thing has at most one fact a day. Its present stage is that of its latest fact, which its own row repeats, so that
//! lists of today need no second table. With precision `at_latest` a stage was reached on that day or before it.
//!
//! A plan, or a beginning, may lie ahead; what is completed or retired is so by today. A fact that proves wrong is taken
//! back, but for the last one: a thing has a stage.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::error::{Error, Fault, Result, Says};
use crate::types::{DatePrecision, Instant, business_today, text_enum};

text_enum! {
    /// How far something that is built has come.
    Stage {
        Planned = "planned", "规划", "planned";
        UnderConstruction = "under_construction", "在建", "under construction";
        Completed = "completed", "建成", "completed";
        Retired = "retired", "停用", "retired";
    }
}

/// A stage, and the day from which it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DatedStage {
    pub stage: Stage,
    pub effective_on: NaiveDate,
    pub effective_on_precision: DatePrecision,
}

/// A stage to be recorded; a past one as well.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdvanceBody {
    pub stage: Stage,
    /// Takes the place of what was recorded for the same day.
    pub effective_on: NaiveDate,
    /// `exact` when absent.
    pub effective_on_precision: Option<DatePrecision>,
}

impl DatedStage {
    pub fn new(stage: Stage, effective_on: NaiveDate, precision: Option<DatePrecision>) -> Self {
        Self { stage, effective_on, effective_on_precision: precision.unwrap_or(DatePrecision::Exact) }
    }
}

impl From<AdvanceBody> for DatedStage {
    fn from(body: AdvanceBody) -> Self {
        Self::new(body.stage, body.effective_on, body.effective_on_precision)
    }
}

/// A stage to be taken back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetractBody {
    /// The day that the stage was recorded for.
    pub effective_on: NaiveDate,
}

/// The fault of a stage that can't have been reached yet.
pub fn ahead(dated: DatedStage, now: Instant, pointer: impl Into<String>) -> Option<Fault> {
    let today = business_today(now);
    let reached = matches!(dated.stage, Stage::Completed | Stage::Retired);
    (reached && dated.effective_on > today).then(|| {
        let says = Says::new(
            format!("建成或停用的日期不能晚于今天（{today}）；将来的安排请登记为规划"),
            format!("nothing is completed or retired later than today ({today}); record what lies ahead as planned"),
        );
        Fault::new(pointer, "in_the_future", says)
    })
}

/// The stages without that of a day, and the present one among them.
pub fn without(stages: &[DatedStage], day: NaiveDate) -> Result<(Vec<DatedStage>, DatedStage)> {
    let rest: Vec<DatedStage> = stages.iter().filter(|known| known.effective_on != day).copied().collect();
    if rest.len() == stages.len() {
        let days: Vec<String> = stages.iter().map(|known| known.effective_on.to_string()).collect();
        return Err(Error::field(
            "/effective_on",
            "no_such_stage",
            format!("这一天没有登记阶段；已登记：{}", days.join("、")),
            format!("no stage is recorded for this day; recorded are: {}", days.join(", ")),
        ));
    }
    // A record with one stage doesn't offer the step.
    let present = rest.last().copied().ok_or_else(|| Error::internal("the only stage was to be taken back"))?;
    Ok((rest, present))
}

/// The stages with one more, or with the same day's corrected, in the order of their days.
pub fn with(stages: &[DatedStage], new: DatedStage) -> Vec<DatedStage> {
    let mut all: Vec<DatedStage> = stages.iter().filter(|known| known.effective_on != new.effective_on).copied().collect();
    all.push(new);
    all.sort_by_key(|dated| dated.effective_on);
    all
}

/// The latest of the stages and of a new one that may be older than they are.
pub fn latest(stages: &[DatedStage], new: DatedStage) -> DatedStage {
    with(stages, new).last().copied().unwrap_or(new)
}

/// The store of one table of dated stages: a module `dated` over `table`, whose column `owner` says whose they are.
macro_rules! dated_stages {
    ($table:ident, $owner:ident) => {
        mod dated {
            use std::collections::HashMap;

            use chrono::NaiveDate;
            use diesel::prelude::*;

            use crate::db::{AnyConnection, Part, Subset, insert_all};
            use crate::resources::stages::{DatedStage, Stage};
            use crate::schema::$table;
            use crate::types::{DatePrecision, Id, TextEnum};

            #[derive(Queryable, Selectable, Insertable)]
            #[diesel(table_name = $table, treat_none_as_default_value = false)]
            struct Row {
                $owner: Id,
                effective_on: NaiveDate,
                effective_on_precision: DatePrecision,
                stage: Stage,
            }

            /// The stages of all of these, each in the order of its days: one query.
            pub fn of(conn: &mut AnyConnection, ids: Vec<Id>) -> QueryResult<HashMap<Id, Vec<DatedStage>>> {
                let rows: Vec<Row> = $table::table
                    .filter($table::$owner.eq_any(ids))
                    .order(($table::$owner, $table::effective_on))
                    .select(Row::as_select())
                    .load(conn)?;
                let mut found: HashMap<Id, Vec<DatedStage>> = HashMap::new();
                for row in rows {
                    let dated = DatedStage::new(row.stage, row.effective_on, Some(row.effective_on_precision));
                    found.entry(row.$owner).or_default().push(dated);
                }
                Ok(found)
            }

            /// The first stage of each of these new records.
            pub fn begin(conn: &mut AnyConnection, first: impl Iterator<Item = (Id, DatedStage)>) -> QueryResult<()> {
                let rows: Vec<Row> = first
                    .map(|(id, dated)| Row {
                        $owner: id,
                        effective_on: dated.effective_on,
                        effective_on_precision: dated.effective_on_precision,
                        stage: dated.stage,
                    })
                    .collect();
                insert_all!(&mut *conn, $table::table, rows)
            }

            /// One more stage, in the place of what was recorded for its day.
            pub fn put(conn: &mut AnyConnection, id: Id, dated: DatedStage) -> QueryResult<()> {
                take(conn, id, dated.effective_on)?;
                begin(conn, std::iter::once((id, dated)))
            }

            /// One stage less: that of a day.
            pub fn take(conn: &mut AnyConnection, id: Id, day: NaiveDate) -> QueryResult<usize> {
                diesel::delete($table::table.filter($table::$owner.eq(id)).filter($table::effective_on.eq(day))).execute(conn)
            }

            /// Those that had one of these stages on a day: whose latest fact until then is one of them. Any stage when
            /// none is named.
            pub fn as_at(stages: Option<&[Stage]>, day: NaiveDate) -> Subset {
                let mut parts = vec![
                    Part::Sql(concat!("SELECT s.", stringify!($owner), " FROM ", stringify!($table), " s WHERE s.effective_on <= ")),
                    Part::Date(day),
                ];
                let Some(stages) = stages.filter(|stages| !stages.is_empty()) else { return Subset(parts) };
                for (i, stage) in stages.iter().enumerate() {
                    parts.extend([Part::Sql(if i == 0 { " AND s.stage IN (" } else { ", " }), Part::Text(stage.code().to_owned())]);
                }
                parts.extend([
                    Part::Sql(concat!(
                        ") AND NOT EXISTS (SELECT 1 FROM ",
                        stringify!($table),
                        " later WHERE later.",
                        stringify!($owner),
                        " = s.",
                        stringify!($owner),
                        " AND later.effective_on > s.effective_on AND later.effective_on <= "
                    )),
                    Part::Date(day),
                    Part::Sql(")"),
                ]);
                Subset(parts)
            }
        }
    };
}
pub(crate) use dated_stages;

#[cfg(test)]
mod tests {
    use super::*;

    fn dated(stage: Stage, day: &str) -> DatedStage {
        DatedStage::new(stage, day.parse().expect("a day"), None)
    }

    #[test]
    fn the_latest_day_is_the_present_whatever_the_order_of_writing() {
        let built = dated(Stage::Completed, "2022-10-01");
        let begun = dated(Stage::UnderConstruction, "2022-03-01");
        assert_eq!(with(&[built], begun), [begun, built]);
        assert_eq!(latest(&[built], begun), built);
        assert_eq!(latest(&[begun], built), built);
    }

    #[test]
    fn what_is_taken_back_leaves_a_present_stage() {
        let begun = dated(Stage::UnderConstruction, "2022-03-01");
        let built = dated(Stage::Completed, "2022-10-01");
        assert_eq!(without(&[begun, built], built.effective_on).expect("one is left"), (vec![begun], begun));
        assert_eq!(without(&[begun, built], begun.effective_on).expect("one is left"), (vec![built], built));
        assert_eq!(without(&[begun], built.effective_on).expect_err("refused").faults[0].code, "no_such_stage");
        assert!(without(&[begun], begun.effective_on).is_err());
    }

    #[test]
    fn the_same_day_is_corrected() {
        let wrong = dated(Stage::Planned, "2022-03-01");
        let right = dated(Stage::UnderConstruction, "2022-03-01");
        assert_eq!(with(&[wrong], right), [right]);
        assert_eq!(latest(&[], right), right);
    }
}
