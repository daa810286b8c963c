//! The way of a disbursement, and the rules of its money: pure, with what they judge passed in.
//!
//! `draft → submitted → approved → paid → acknowledged`, in kind `delivered` for `paid`; from some amount on
//! `first_approved` before `approved`, and by another. No amount is one person's
//! act: who prepared it can't approve it, and neither of the two can pay it out.

use crate::error::{Code, Error, Fault, Says};
use crate::ledger::yuan;
use crate::policy::Action;
use crate::resources::welfare_programmes::BenefitForm;
use crate::types::{Id, TextEnum, text_enum};

text_enum! {
    /// Where a disbursement stands.
    DisbursementState {
        Draft = "draft", "草稿", "draft";
        Submitted = "submitted", "已提交", "submitted";
        FirstApproved = "first_approved", "已初审", "approved by one of two";
        Approved = "approved", "已批准", "approved";
        Paid = "paid", "已支付", "paid";
        Delivered = "delivered", "已交付", "delivered";
        Acknowledged = "acknowledged", "已签收", "acknowledged";
        Rejected = "rejected", "已驳回", "rejected";
        Cancelled = "cancelled", "已取消", "cancelled";
        Reversed = "reversed", "已冲销", "reversed";
    }
}

use DisbursementState as State;

/// Every step that there is.
pub const STEPS: [Action; 9] = [
    Action::Submit,
    Action::Return,
    Action::Approve,
    Action::Reject,
    Action::Pay,
    Action::Deliver,
    Action::Acknowledge,
    Action::Cancel,
    Action::Reverse,
];

/// Where a step leads from a state; `None` where it can't be taken. `two` says whether two approve.
pub fn next(state: State, action: Action, form: BenefitForm, two: bool) -> Option<State> {
    match (state, action, form) {
        (State::Draft, Action::Submit, _) => Some(State::Submitted),
        (State::Submitted | State::FirstApproved, Action::Return, _) => Some(State::Draft),
        (State::Submitted, Action::Approve, _) if two => Some(State::FirstApproved),
        (State::Submitted | State::FirstApproved, Action::Approve, _) => Some(State::Approved),
        (State::Submitted | State::FirstApproved, Action::Reject, _) => Some(State::Rejected),
        (State::Approved, Action::Pay, BenefitForm::Cash) => Some(State::Paid),
        (State::Approved, Action::Deliver, BenefitForm::InKind) => Some(State::Delivered),
        (State::Paid | State::Delivered, Action::Acknowledge, _) => Some(State::Acknowledged),
        (State::Draft | State::Submitted | State::FirstApproved | State::Approved, Action::Cancel, _) => Some(State::Cancelled),
        (State::Paid | State::Acknowledged, Action::Reverse, BenefitForm::Cash) => Some(State::Reversed),
        _ => None,
    }
}

/// What may be done to a disbursement: only a draft is written and deleted.
pub fn offered(state: State, form: BenefitForm) -> Vec<Action> {
    let written = [Action::Update, Action::Delete];
    let written = written.into_iter().filter(|_| state == State::Draft);
    written.chain(STEPS.into_iter().filter(|action| next(state, *action, form, false).is_some())).collect()
}

/// The states that a batch takes its disbursements out of with a step: the first of them that any stands in. None for a
/// step that isn't a batch's.
pub fn batch_sources(action: Action) -> &'static [State] {
    match action {
        Action::Submit => &[State::Draft],
        Action::Return | Action::Approve => &[State::Submitted, State::FirstApproved],
        Action::Pay | Action::Deliver => &[State::Approved],
        _ => &[],
    }
}

/// Whether a state still counts: what was rejected, cancelled or reversed is given to nobody.
pub fn counts(state: State) -> bool {
    !matches!(state, State::Rejected | State::Cancelled | State::Reversed)
}

/// Which earlier hand on a disbursement forbids a further one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hand {
    Prepared,
    Approved,
    Paid,
}

/// Whose hands a disbursement has passed through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hands {
    pub prepared_by: Id,
    pub approved_by: Option<Id>,
    pub second_approved_by: Option<Id>,
    pub paid_by: Option<Id>,
}

/// The hand that `actor` has had on it already, where the step needs another person's.
pub fn earlier_hand(action: Action, actor: Id, hands: Hands) -> Option<Hand> {
    match action {
        Action::Approve if actor == hands.prepared_by => Some(Hand::Prepared),
        Action::Approve if Some(actor) == hands.approved_by => Some(Hand::Approved),
        Action::Pay | Action::Deliver if actor == hands.prepared_by => Some(Hand::Prepared),
        Action::Pay | Action::Deliver if [hands.approved_by, hands.second_approved_by].contains(&Some(actor)) => Some(Hand::Approved),
        Action::Reverse if Some(actor) == hands.paid_by => Some(Hand::Paid),
        _ => None,
    }
}

/// The refusal to let one person act twice on the same money; `codes` are the disbursements that they acted on.
pub fn needs_another_person(action: Action, hand: Hand, codes: &[String]) -> Error {
    let (did_zh, did_en, role_zh) = match hand {
        Hand::Prepared => ("编制", "prepared", "编制人"),
        Hand::Approved => ("批准", "approved", "批准人"),
        Hand::Paid => ("支付", "paid", "支付人"),
    };
    let (act_zh, act_en) = action.label();
    let named = codes.iter().take(5).map(String::as_str).collect::<Vec<_>>();
    let more = codes.len() > named.len();
    Error::because(
        Code::Forbidden,
        format!(
            "发放 {}{}由您{did_zh}，{role_zh}不能再{act_zh}；编制、批准、支付（交付）须由三个不同的人办理，冲销须由支付人以外的人办理，请由他人{act_zh}",
            named.join("、"),
            if more { format!(" 等 {} 笔", codes.len()) } else { String::new() },
        ),
        format!(
            "you {did_en} {}{}, so you can't {act_en} it: preparing, approving and paying (or delivering) are done by three \
             different people, and who paid doesn't reverse; ask somebody else to {act_en}",
            named.join(", "),
            if more { format!(" and {} more", codes.len() - named.len()) } else { String::new() },
        ),
    )
    .with("disbursement_codes", codes.to_vec())
}

/// What the disbursements of a batch that still count come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sums {
    pub records: i64,
    /// Of those that tell how many people they are for.
    pub people: i64,
    /// How many of them don't.
    pub people_unknown: i64,
    pub fen: i64,
}

/// A batch goes on when it comes to what its control totals say, to the person and to the fen.
pub fn agrees(control_people: Option<i64>, control_fen: Option<i64>, sums: Sums) -> Result<(), Error> {
    let mut faults = Vec::new();
    if let Some(control) = control_people {
        if sums.people_unknown > 0 {
            faults.push(Fault::new(
                "/control_people",
                "people_unknown",
                Says::new(
                    format!("控制人数为 {control} 人，但有 {} 笔发放未填写人数（已填合计 {} 人），无法核对", sums.people_unknown, sums.people),
                    format!(
                        "the control total is {control} people, but {} disbursements don't say how many people they are for (the others come to {})",
                        sums.people_unknown, sums.people
                    ),
                ),
            ));
        } else if control != sums.people {
            faults.push(Fault::new(
                "/control_people",
                "control_people_disagrees",
                Says::new(
                    format!("控制人数为 {control} 人，发放合计为 {} 人，相差 {} 人", sums.people, (sums.people - control).abs()),
                    format!("the control total is {control} people, the disbursements come to {}", sums.people),
                ),
            ));
        }
    }
    if let Some(control) = control_fen.filter(|control| *control != sums.fen) {
        faults.push(Fault::new(
            "/control_fen",
            "control_fen_disagrees",
            Says::new(
                format!(
                    "控制金额为 {} 元（{control} 分），发放合计为 {} 元（{} 分），相差 {} 元",
                    yuan(control),
                    yuan(sums.fen),
                    sums.fen,
                    yuan((sums.fen - control).abs())
                ),
                format!(
                    "the control total is {} yuan ({control} fen), the disbursements come to {} yuan ({} fen)",
                    yuan(control),
                    yuan(sums.fen),
                    sums.fen
                ),
            ),
        ));
    }
    if faults.is_empty() {
        return Ok(());
    }
    let says = |english: bool| {
        faults.iter().map(|f| if english { f.message.en.as_str() } else { f.message.zh.as_str() }).collect::<Vec<_>>().join(if english {
            "; "
        } else {
            "；"
        })
    };
    let mut error = Error::because(
        Code::Conflict,
        format!("批次与控制数不符：{}。请核对名单，或更正控制数", says(false)),
        format!("the batch disagrees with its control totals: {}; check the roster, or correct the control totals", says(true)),
    );
    error.faults = faults;
    Err(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FORMS: [BenefitForm; 2] = [BenefitForm::Cash, BenefitForm::InKind];

    /// The whole table, said the other way round: what is not here is not allowed.
    #[test]
    fn the_table() {
        let mut found: Vec<String> = Vec::new();
        for form in FORMS {
            for state in State::all() {
                for action in STEPS {
                    let to = [false, true].map(|two| next(state, action, form, two));
                    found.extend(to[0].map(|to| format!("{} {} {} {}", form.code(), state.code(), action.code(), to.code())));
                    found.extend(
                        to[1]
                            .filter(|_| to[1] != to[0])
                            .map(|to| format!("two {} {} {} {}", form.code(), state.code(), action.code(), to.code())),
                    );
                }
            }
        }
        let mut expected = Vec::new();
        for (form, give, given) in [("cash", "pay", "paid"), ("in_kind", "deliver", "delivered")] {
            expected.extend([
                format!("{form} draft submit submitted"),
                format!("{form} draft cancel cancelled"),
                format!("{form} submitted return draft"),
                format!("{form} submitted approve approved"),
                format!("{form} submitted reject rejected"),
                format!("{form} submitted cancel cancelled"),
                format!("two {form} submitted approve first_approved"),
                format!("{form} first_approved return draft"),
                format!("{form} first_approved approve approved"),
                format!("{form} first_approved reject rejected"),
                format!("{form} first_approved cancel cancelled"),
                format!("{form} approved {give} {given}"),
                format!("{form} approved cancel cancelled"),
                // A row that says it was given in the other form can't come to be, and would not be lost.
                format!("{form} paid acknowledge acknowledged"),
                format!("{form} delivered acknowledge acknowledged"),
            ]);
        }
        expected.extend(["cash paid reverse reversed".to_owned(), "cash acknowledged reverse reversed".to_owned()]);
        found.sort();
        expected.sort();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_batch_takes_the_steps_of_its_disbursements() {
        for form in FORMS {
            for action in STEPS {
                for from in batch_sources(action) {
                    let wrong_form =
                        (action == Action::Pay && form == BenefitForm::InKind) || (action == Action::Deliver && form == BenefitForm::Cash);
                    assert_eq!(next(*from, action, form, false).is_none(), wrong_form, "{action:?} {form:?}");
                }
            }
        }
    }

    #[test]
    fn only_a_draft_is_written() {
        for form in FORMS {
            for state in State::all() {
                let offered = offered(state, form);
                assert_eq!(offered.contains(&Action::Update), state == State::Draft);
                assert_eq!(offered.contains(&Action::Delete), state == State::Draft);
            }
        }
    }

    #[test]
    fn control_totals() {
        let sums = Sums { records: 2, people: 3, people_unknown: 0, fen: 123_450 };
        assert!(agrees(None, None, sums).is_ok());
        assert!(agrees(Some(3), Some(123_450), sums).is_ok());
        let error = agrees(Some(4), Some(123_451), sums).expect_err("both disagree");
        assert_eq!(error.code, Code::Conflict);
        let detail = error.detail.expect("a detail").zh;
        for number in ["4 人", "3 人", "1234.51", "1234.50", "123451", "123450", "0.01"] {
            assert!(detail.contains(number), "{number} is not in {detail}");
        }
        assert!(agrees(Some(3), None, Sums { people_unknown: 1, ..sums }).is_err());
    }

    proptest! {
        /// However people try, money that is out has passed every state before it, by three different people, and
        /// nothing leaves the states that end the way.
        #[test]
        fn no_way_round(cash in any::<bool>(), two in any::<bool>(), tries in proptest::collection::vec((0..STEPS.len(), 0..5_usize), 0..60)) {
            let form = if cash { BenefitForm::Cash } else { BenefitForm::InKind };
            let people: Vec<Id> = (0..5).map(|_| Id::new()).collect();
            let (mut state, prepared_by, mut approved_by, mut second_approved_by, mut paid_by) = (State::Draft, people[0], None, None, None);
            let mut passed = vec![State::Draft];
            for (step, person) in tries {
                let (action, actor) = (STEPS[step], people[person]);
                if earlier_hand(action, actor, Hands { prepared_by, approved_by, second_approved_by, paid_by }).is_some() {
                    continue;
                }
                let Some(to) = next(state, action, form, two) else { continue };
                match to {
                    State::Draft => approved_by = None,
                    State::Approved if state == State::FirstApproved => second_approved_by = Some(actor),
                    State::FirstApproved | State::Approved => approved_by = Some(actor),
                    State::Paid | State::Delivered => paid_by = Some(actor),
                    _ => {}
                }
                prop_assert!(!matches!(state, State::Rejected | State::Cancelled | State::Reversed));
                prop_assert!(state != State::Acknowledged || to == State::Reversed);
                prop_assert!(to != State::Reversed || Some(actor) != paid_by);
                prop_assert!(!(matches!(state, State::Paid | State::Delivered) && to == State::Cancelled));
                state = to;
                passed.push(to);
            }
            if passed.contains(&State::Paid) || passed.contains(&State::Delivered) {
                prop_assert!(passed.contains(&State::Submitted) && passed.contains(&State::Approved));
                prop_assert_eq!(passed.contains(&State::Paid), cash);
                let hands: std::collections::HashSet<Id> = [Some(prepared_by), approved_by, second_approved_by, paid_by].into_iter().flatten().collect();
                prop_assert_eq!(hands.len(), if two { 4 } else { 3 });
            }
        }
    }
}
