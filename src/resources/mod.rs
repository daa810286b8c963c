//! One slice per URL segment.

pub mod accounts;
pub mod appointments;
pub mod assessments;
pub mod audit_events;
pub mod bank_transfer_lines;
pub mod bank_transfers;
pub mod budgets;
pub mod campaign_events;
pub mod campaigns;
pub mod certificates;
pub mod circulars;
pub mod commendation_rounds;
pub mod consents;
pub mod contact_changes;
pub mod demonstration_units;
pub mod dependants;
pub mod disbursements;
pub mod eligibility_rules;
pub mod goods;
pub mod goods_movements;
pub mod hero_groups;
pub mod heroes;
pub mod honours;
pub mod inspection_findings;
pub mod inspection_plans;
pub mod inspections;
pub mod ledger_transactions;
pub mod liaison_questionings;
pub mod media_items;
pub mod media_placements;
pub mod memberships;
pub mod monthly_returns;
pub mod nominations;
pub mod notice_objections;
pub mod notifications;
pub mod organizations;
pub mod payee_accounts;
pub mod person_duplicates;
pub mod person_merges;
pub mod persons;
pub mod placements;
pub mod policy_documents;
pub mod public_notices;
pub mod publicity_assets;
pub mod references;
pub mod report_outlines;
pub mod report_snapshots;
pub mod return_forms;
pub mod return_rounds;
pub mod role_grants;
pub mod rules;
pub mod service_records;
pub mod stages;
pub mod standards;
pub mod targets;
pub mod training_attendances;
pub mod trainings;
pub mod users;
pub mod versions;
pub mod volunteer_teams;
pub mod volunteers;
pub mod vouchers;
pub mod webhook_deliveries;
pub mod webhooks;
pub mod welfare_batches;
pub mod welfare_programmes;
pub mod work_items;
pub mod workstations;

use crate::web::verbs::{Of, Verbs};

/// Every resource with the standard verbs, in the order of the contract.
pub fn all() -> Vec<&'static dyn Verbs> {
    vec![
        Box::leak(Box::new(Of::<organizations::Organizations>::new())),
        Box::leak(Box::new(Of::<persons::Persons>::new())),
        Box::leak(Box::new(Of::<person_duplicates::PersonDuplicates>::new())),
        Box::leak(Box::new(Of::<person_merges::PersonMerges>::new())),
        Box::leak(Box::new(Of::<appointments::Appointments>::new())),
        Box::leak(Box::new(Of::<workstations::Workstations>::new())),
        Box::leak(Box::new(Of::<volunteer_teams::VolunteerTeams>::new())),
        Box::leak(Box::new(Of::<volunteers::Volunteers>::new())),
        Box::leak(Box::new(Of::<memberships::Memberships>::new())),
        Box::leak(Box::new(Of::<service_records::ServiceRecords>::new())),
        Box::leak(Box::new(Of::<certificates::Certificates>::new())),
        Box::leak(Box::new(Of::<contact_changes::ContactChanges>::new())),
        Box::leak(Box::new(Of::<demonstration_units::DemonstrationUnits>::new())),
        Box::leak(Box::new(Of::<standards::Standards>::new())),
        Box::leak(Box::new(Of::<assessments::Assessments>::new())),
        Box::leak(Box::new(Of::<publicity_assets::PublicityAssets>::new())),
        Box::leak(Box::new(Of::<campaigns::Campaigns>::new())),
        Box::leak(Box::new(Of::<campaign_events::CampaignEvents>::new())),
        Box::leak(Box::new(Of::<placements::Placements>::new())),
        Box::leak(Box::new(Of::<goods::AllGoods>::new())),
        Box::leak(Box::new(Of::<goods_movements::GoodsMovements>::new())),
        Box::leak(Box::new(Of::<media_items::MediaItems>::new())),
        Box::leak(Box::new(Of::<media_placements::MediaPlacements>::new())),
        Box::leak(Box::new(Of::<trainings::Trainings>::new())),
        Box::leak(Box::new(Of::<training_attendances::TrainingAttendances>::new())),
        Box::leak(Box::new(Of::<inspection_plans::InspectionPlans>::new())),
        Box::leak(Box::new(Of::<inspections::Inspections>::new())),
        Box::leak(Box::new(Of::<inspection_findings::InspectionFindings>::new())),
        Box::leak(Box::new(Of::<liaison_questionings::LiaisonQuestionings>::new())),
        Box::leak(Box::new(Of::<return_forms::ReturnForms>::new())),
        Box::leak(Box::new(Of::<return_rounds::ReturnRounds>::new())),
        Box::leak(Box::new(Of::<monthly_returns::MonthlyReturns>::new())),
        Box::leak(Box::new(Of::<circulars::Circulars>::new())),
        Box::leak(Box::new(Of::<work_items::WorkItems>::new())),
        Box::leak(Box::new(Of::<report_outlines::ReportOutlines>::new())),
        Box::leak(Box::new(Of::<report_snapshots::ReportSnapshots>::new())),
        Box::leak(Box::new(Of::<targets::Targets>::new())),
        Box::leak(Box::new(Of::<commendation_rounds::CommendationRounds>::new())),
        Box::leak(Box::new(Of::<nominations::Nominations>::new())),
        Box::leak(Box::new(Of::<policy_documents::PolicyDocuments>::new())),
        Box::leak(Box::new(Of::<hero_groups::HeroGroups>::new())),
        Box::leak(Box::new(Of::<heroes::Heroes>::new())),
        Box::leak(Box::new(Of::<honours::Honours>::new())),
        Box::leak(Box::new(Of::<consents::Consents>::new())),
        Box::leak(Box::new(Of::<dependants::Dependants>::new())),
        Box::leak(Box::new(Of::<payee_accounts::PayeeAccounts>::new())),
        Box::leak(Box::new(Of::<welfare_programmes::WelfareProgrammes>::new())),
        Box::leak(Box::new(Of::<eligibility_rules::EligibilityRules>::new())),
        Box::leak(Box::new(Of::<welfare_batches::WelfareBatches>::new())),
        Box::leak(Box::new(Of::<disbursements::Disbursements>::new())),
        Box::leak(Box::new(Of::<public_notices::PublicNotices>::new())),
        Box::leak(Box::new(Of::<notice_objections::NoticeObjections>::new())),
        Box::leak(Box::new(Of::<accounts::Accounts>::new())),
        Box::leak(Box::new(Of::<budgets::Budgets>::new())),
        Box::leak(Box::new(Of::<vouchers::Vouchers>::new())),
        Box::leak(Box::new(Of::<ledger_transactions::LedgerTransactions>::new())),
        Box::leak(Box::new(Of::<bank_transfers::BankTransfers>::new())),
        Box::leak(Box::new(Of::<bank_transfer_lines::BankTransferLines>::new())),
        Box::leak(Box::new(Of::<users::Users>::new())),
        Box::leak(Box::new(Of::<role_grants::RoleGrants>::new())),
        Box::leak(Box::new(Of::<webhooks::Webhooks>::new())),
        Box::leak(Box::new(Of::<webhook_deliveries::WebhookDeliveries>::new())),
        Box::leak(Box::new(Of::<audit_events::AuditEvents>::new())),
    ]
}
