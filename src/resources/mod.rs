//! One slice per URL segment.

pub mod campaign_events;
pub mod campaigns;
pub mod demonstration_units;
pub mod goods;
pub mod goods_movements;
pub mod media_items;
pub mod media_placements;
pub mod organizations;
pub mod persons;
pub mod placements;
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
        Box::leak(Box::new(Of::<campaigns::Campaigns>::new())),
        Box::leak(Box::new(Of::<campaign_events::CampaignEvents>::new())),
        Box::leak(Box::new(Of::<placements::Placements>::new())),
        Box::leak(Box::new(Of::<goods::AllGoods>::new())),
        Box::leak(Box::new(Of::<goods_movements::GoodsMovements>::new())),
        Box::leak(Box::new(Of::<media_items::MediaItems>::new())),
        Box::leak(Box::new(Of::<media_placements::MediaPlacements>::new())),
    ]
}
