//! One slice per URL segment.

pub mod demonstration_units;
pub mod organizations;
pub mod persons;
pub mod publicity_assets;
pub mod references;
pub mod rules;
pub mod stages;
pub mod volunteer_teams;
pub mod workstations;

use crate::web::verbs::{Of, Verbs};

/// Every resource with the standard verbs, in the order of the contract.
pub fn all() -> Vec<&'static dyn Verbs> {
    vec![
        Box::leak(Box::new(Of::<organizations::Organizations>::new())),
        Box::leak(Box::new(Of::<persons::Persons>::new())),
        Box::leak(Box::new(Of::<workstations::Workstations>::new())),
        Box::leak(Box::new(Of::<volunteer_teams::VolunteerTeams>::new())),
        Box::leak(Box::new(Of::<demonstration_units::DemonstrationUnits>::new())),
        Box::leak(Box::new(Of::<publicity_assets::PublicityAssets>::new())),
    ]
}
