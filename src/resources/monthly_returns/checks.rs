//! The rules of returns: pure.

use chrono::NaiveDate;
use serde::Serialize;
use utoipa::ToSchema;

use super::{CellRow, Timeliness};
use crate::error::{Fault, Says};
use crate::figures;
use crate::resources::return_forms::FormSum;
use crate::types::{Precision, text_enum};

text_enum! {
    /// What a reader of a return should look at.
    ReturnWarningKind {
        SumDiffers = "sum_differs", "合计与分项之和不符", "a total is not the sum of its parts";
        Jump = "jump", "与上月相比变化较大", "much more or less than the month before";
    }
}

/// Something to look at: a return can be submitted all the same.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReturnWarning {
    pub kind: ReturnWarningKind,
    pub figure: String,
    /// What is declared.
    pub declared: i64,
    /// The sum of the parts, or what was declared the month before.
    pub compared: i64,
    pub message_zh: String,
    pub message_en: String,
}

/// When a return came, by the day on which it was first submitted.
pub fn timeliness(first_submitted_on: Option<NaiveDate>, due_on: NaiveDate, today: NaiveDate) -> Timeliness {
    match first_submitted_on {
        Some(day) if day <= due_on => Timeliness::OnTime,
        Some(_) => Timeliness::Late,
        None if today <= due_on => Timeliness::Pending,
        None => Timeliness::Missing,
    }
}

/// What stands in the way of submitting: where another number is declared than the records say, the reason why.
pub fn obstacles(cells: &[CellRow]) -> Vec<Fault> {
    let number = |value: Option<i64>, zh: bool| match (value, zh) {
        (Some(value), _) => value.to_string(),
        (None, true) => "未填报".to_owned(),
        (None, false) => "nothing".to_owned(),
    };
    let unexplained =
        cells.iter().enumerate().filter(|(_, cell)| cell.differs() && cell.reason.as_deref().is_none_or(|reason| reason.trim().is_empty()));
    unexplained
        .map(|(i, cell)| {
            let label = figures::named(&cell.figure).map_or((cell.figure.as_str(), cell.figure.as_str()), |d| (d.label_zh, d.label_en));
            let says = Says::new(
                format!(
                    "“{}”上报 {}，记录算得 {}：请说明原因，或改为记录算得的数",
                    label.0,
                    number(cell.declared, true),
                    number(cell.computed, true)
                ),
                format!(
                    "{}: {} is declared and the records say {}; say why, or declare what they say",
                    label.1,
                    number(cell.declared, false),
                    number(cell.computed, false)
                ),
            );
            Fault::new(format!("/cells/{i}/reason"), "reason_needed", says)
        })
        .collect()
}

/// What a reader should look at: totals that aren't the sum of their parts, and jumps against the month before.
pub fn warnings(cells: &[CellRow], before: &[CellRow], sums: &[FormSum], jump_percent: Option<i32>) -> Vec<ReturnWarning> {
    let named = |cells: &[CellRow], code: &str| cells.iter().find(|cell| cell.figure == code).cloned();
    let mut warnings = Vec::new();
    for sum in sums {
        let total = named(cells, &sum.total);
        let parts: Vec<CellRow> = sum.parts.iter().filter_map(|part| named(cells, part)).collect();
        // "Over 2,000" can't be held against a sum, and what isn't reported says nothing.
        let exact = total.iter().chain(&parts).all(|cell| cell.declared_precision == Precision::Exact);
        let told: Option<i64> = parts.iter().map(|cell| cell.declared).sum();
        if let (Some(declared), Some(compared), true) = (total.and_then(|cell| cell.declared), told, exact)
            && declared != compared
            && parts.len() == sum.parts.len()
        {
            warnings.push(ReturnWarning {
                kind: ReturnWarningKind::SumDiffers,
                figure: sum.total.clone(),
                declared,
                compared,
                message_zh: format!("上报 {declared}，分项之和为 {compared}"),
                message_en: format!("{declared} is declared, and the parts come to {compared}"),
            });
        }
    }
    let Some(percent) = jump_percent.map(i64::from) else { return warnings };
    for cell in cells {
        let compared = named(before, &cell.figure).and_then(|cell| cell.declared);
        let (Some(declared), Some(compared)) = (cell.declared, compared) else { continue };
        // Against nothing every number is a jump, which says nothing.
        if compared > 0 && declared.abs_diff(compared) as u128 * 100 > percent.unsigned_abs() as u128 * compared.unsigned_abs() as u128 {
            warnings.push(ReturnWarning {
                kind: ReturnWarningKind::Jump,
                figure: cell.figure.clone(),
                declared,
                compared,
                message_zh: format!("上月 {compared}，本月 {declared}，变化超过 {percent}%"),
                message_en: format!("{compared} the month before, {declared} now: more than {percent}% of change"),
            });
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Id;

    fn day(text: &str) -> NaiveDate {
        text.parse().expect("a day")
    }

    fn cell(figure: &str, computed: Option<i64>, declared: Option<i64>) -> CellRow {
        CellRow {
            return_id: Id::new(),
            position: 1,
            figure: figure.into(),
            computed,
            computed_precision: Precision::Exact,
            records: 1,
            declared,
            declared_precision: Precision::Exact,
            reason: None,
            objection: None,
        }
    }

    #[test]
    fn on_the_day_is_in_time() {
        let due = day("2022-07-05");
        assert_eq!(timeliness(Some(due), due, day("2022-08-01")), Timeliness::OnTime);
        assert_eq!(timeliness(Some(day("2022-07-06")), due, day("2022-08-01")), Timeliness::Late);
        assert_eq!(timeliness(None, due, due), Timeliness::Pending);
        assert_eq!(timeliness(None, due, day("2022-07-06")), Timeliness::Missing);
    }

    #[test]
    fn another_number_wants_a_reason() {
        let told = |cell: CellRow| obstacles(&[cell]).len();
        assert_eq!(told(cell("f", Some(1), Some(1))), 0);
        assert_eq!(told(cell("f", None, None)), 0);
        assert_eq!(told(cell("f", Some(1), Some(2))), 1);
        assert_eq!(told(cell("f", Some(1), None)), 1);
        assert_eq!(told(cell("f", None, Some(0))), 1);
        assert_eq!(told(CellRow { reason: Some("补录".into()), ..cell("f", Some(1), Some(2)) }), 0);
        assert_eq!(told(CellRow { reason: Some("  ".into()), ..cell("f", Some(1), Some(2)) }), 1);
    }

    #[test]
    fn sums_and_jumps_are_warned_of() {
        let sums = [FormSum { total: "a".into(), parts: vec!["b".into(), "c".into()] }];
        let of = |a, b, c| [cell("a", None, a), cell("b", None, b), cell("c", None, c)];
        let kinds = |cells: &[CellRow], before: &[CellRow]| -> Vec<(ReturnWarningKind, i64)> {
            warnings(cells, before, &sums, Some(50)).into_iter().map(|warning| (warning.kind, warning.compared)).collect()
        };
        use ReturnWarningKind::{Jump, SumDiffers};
        assert_eq!(kinds(&of(Some(5), Some(2), Some(3)), &[]), []);
        assert_eq!(kinds(&of(Some(6), Some(2), Some(3)), &[]), [(SumDiffers, 5)]);
        assert_eq!(kinds(&of(Some(6), Some(2), None), &[]), []);
        let mut rough = of(Some(6), Some(2), Some(3));
        rough[0].declared_precision = Precision::AtLeast;
        assert_eq!(kinds(&rough, &[]), []);
        // Half more is no jump yet, and from nothing there is none.
        assert_eq!(kinds(&of(Some(6), Some(3), Some(3)), &of(Some(4), Some(2), Some(0))), []);
        assert_eq!(kinds(&of(Some(7), Some(3), Some(4)), &of(Some(4), Some(7), Some(0))), [(Jump, 4), (Jump, 7)]);
    }
}
