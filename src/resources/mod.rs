//! One slice per URL segment.

pub mod circulars;
pub mod disbursements;
pub mod inspections;
pub mod organizations;
pub mod persons;
pub mod references;
pub mod rules;
pub mod targets;
pub mod trainings;
pub mod volunteer_teams;
pub mod welfare_batches;
pub mod welfare_programmes;
pub mod workstations;

use crate::web::verbs::{Of, Verbs};

/// Every resource with the standard verbs, in the order of the contract.
pub fn all() -> Vec<&'static dyn Verbs> {
    vec![
        Box::leak(Box::new(Of::<organizations::Organizations>::new())),
        Box::leak(Box::new(Of::<persons::Persons>::new())),
        Box::leak(Box::new(Of::<workstations::Workstations>::new())),
        Box::leak(Box::new(Of::<volunteer_teams::VolunteerTeams>::new())),
        Box::leak(Box::new(Of::<trainings::Trainings>::new())),
        Box::leak(Box::new(Of::<inspections::Inspections>::new())),
        Box::leak(Box::new(Of::<circulars::Circulars>::new())),
        Box::leak(Box::new(Of::<targets::Targets>::new())),
        Box::leak(Box::new(Of::<welfare_programmes::WelfareProgrammes>::new())),
        Box::leak(Box::new(Of::<welfare_batches::WelfareBatches>::new())),
        Box::leak(Box::new(Of::<disbursements::Disbursements>::new())),
    ]
}
