//! Eligibility (享受条件): who may be given something out of a programme, on a day, by which rule and which fact.
//!
//! A programme's rules ([`crate::resources::eligibility_rules`]) each ask one fact that the records tell, and hold from a day on;
//! all that hold on the day have to be met. A fact that isn't recorded is unknown: it is neither met nor failed, and nothing is
//! given on it until it is recorded.
//!
//! Not recorded, and so not to be asked here: whether somebody goes to school, lives in the city, is poor, or to what degree they
//! are disabled. Who knows says so on paper, and whoever approves reads it.
//!
//! Judged when a disbursement is submitted ([`crate::resources::disbursements`]), and explained to who asks beforehand. A group
//! that is known only as a whole has no facts, and passes.

mod api;
mod facts;
mod judge;

pub use api::explained;
pub use facts::{Beneficiary, People};
pub use judge::{BeneficiaryKind, Bounds, Demand, EligibilityFact, Facts, HeroFacts, Judgement, Tie, all_met, judge};
