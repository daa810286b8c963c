//! Who refers to whom: asked before a record is deleted, so that the refusal can say what stands in the way; and when two
//! persons turn out to be one, so that whatever refers to the one refers to the other.
//!
//! A test compares this list with the foreign keys of the database.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use crate::db::{AnyConnection, Part, Rows};
use crate::error::{Error, Result};
use crate::types::{Id, Instant, sql};

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// A record that refers to another.
#[derive(Debug, Clone, QueryableByName)]
pub struct Referrer {
    #[diesel(sql_type = sql::Uuid)]
    pub id: Id,
    #[diesel(sql_type = Text)]
    pub code: String,
    #[diesel(sql_type = Nullable<sql::Uuid>)]
    pub organization_id: Option<Id>,
    #[diesel(sql_type = sql::Instant)]
    pub updated_at: Instant,
}

pub struct ForeignKey {
    pub table: &'static str,
    pub column: &'static str,
    pub of: &'static str,
    statement: &'static str,
    /// Selects `id` of what is referred to and isn't there, a hundred at most.
    pub orphans: &'static str,
    referrers: &'static str,
    repoint: &'static str,
    restore: &'static str,
}

macro_rules! foreign_keys {
    ($($table:literal . $column:literal -> $of:literal),+ $(,)?) => {
        pub const FOREIGN_KEYS: &[ForeignKey] = &[$(ForeignKey {
            table: $table,
            column: $column,
            of: $of,
            statement: concat!("SELECT count(*) AS count FROM ", $table, " WHERE ", $column, " = $1"),
            orphans: concat!(
                "SELECT DISTINCT ", $column, " AS id FROM ", $table, " WHERE ", $column, " IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ",
                $of, " AS referred WHERE referred.id = ", $table, ".", $column, ") LIMIT 100"
            ),
            referrers: concat!("SELECT id, code, organization_id, updated_at FROM ", $table, " WHERE ", $column, " = $1 ORDER BY id"),
            repoint: concat!(
                "UPDATE ", $table, " SET ", $column, " = $1, version = version + 1, updated_at = $2 WHERE ", $column, " = $3"
            ),
            restore: concat!(
                "UPDATE ", $table, " SET ", $column, " = $1, version = version + 1, updated_at = $2 WHERE ", $column,
                " = $3 AND updated_at = $4"
            ),
        }),+];
    };
}

foreign_keys! {
    "organizations"."parent_id" -> "organizations",
    "persons"."organization_id" -> "organizations",
    "persons"."merged_into_id" -> "persons",
    "person_merges"."organization_id" -> "organizations",
    "person_merges"."person_id" -> "persons",
    "person_merges"."into_id" -> "persons",
    "person_merges"."merged_by" -> "users",
    "users"."organization_id" -> "organizations",
    "users"."person_id" -> "persons",
    "role_grants"."user_id" -> "users",
    "role_grants"."organization_id" -> "organizations",
    "sessions"."user_id" -> "users",
    "wechat_bindings"."user_id" -> "users",
    "sessions"."wechat_binding_id" -> "wechat_bindings",
    "wechat_tickets"."binding_id" -> "wechat_bindings",
    "wechat_binding_codes"."user_id" -> "users",
    "wechat_binding_codes"."issued_by" -> "users",
    "wechat_credits"."binding_id" -> "wechat_bindings",
    "wechat_messages"."binding_id" -> "wechat_bindings",
    "audit_events"."actor_id" -> "users",
    "idempotency_keys"."actor_id" -> "users",
    "imports"."actor_id" -> "users",
    "imports"."repeats_id" -> "imports",
    "import_files"."import_id" -> "imports",
    "import_outcomes"."import_id" -> "imports",
    "attachments"."uploaded_by" -> "users",
    "export_files"."actor_id" -> "users",
    "export_file_pieces"."export_file_id" -> "export_files",
    "jobs"."actor_id" -> "users",
    "jobs"."cancelled_by" -> "users",
    "import_mappings"."user_id" -> "users",
    "workstations"."organization_id" -> "organizations",
    "appointments"."organization_id" -> "organizations",
    "appointments"."person_id" -> "persons",
    "appointments"."workstation_id" -> "workstations",
    "volunteer_teams"."organization_id" -> "organizations",
    "volunteer_teams"."parent_id" -> "volunteer_teams",
    "volunteer_teams"."workstation_id" -> "workstations",
    "volunteer_teams"."leader_id" -> "persons",
    "volunteers"."organization_id" -> "organizations",
    "volunteers"."person_id" -> "persons",
    "memberships"."organization_id" -> "organizations",
    "memberships"."volunteer_id" -> "volunteers",
    "memberships"."team_id" -> "volunteer_teams",
    "service_records"."organization_id" -> "organizations",
    "service_records"."volunteer_id" -> "volunteers",
    "service_records"."team_id" -> "volunteer_teams",
    "service_records"."campaign_event_id" -> "campaign_events",
    "service_records"."confirmed_by" -> "users",
    "certificates"."organization_id" -> "organizations",
    "certificates"."volunteer_id" -> "volunteers",
    "certificates"."issued_by" -> "users",
    "contact_changes"."organization_id" -> "organizations",
    "contact_changes"."person_id" -> "persons",
    "contact_changes"."requested_by" -> "users",
    "contact_changes"."decided_by" -> "users",
    "trainings"."organization_id" -> "organizations",
    "training_attendances"."organization_id" -> "organizations",
    "training_attendances"."training_id" -> "trainings",
    "training_attendances"."person_id" -> "persons",
    "inspection_plans"."organization_id" -> "organizations",
    "inspections"."organization_id" -> "organizations",
    "inspections"."inspector_id" -> "organizations",
    "inspections"."plan_id" -> "inspection_plans",
    "inspection_findings"."organization_id" -> "organizations",
    "inspection_findings"."inspection_id" -> "inspections",
    "inspection_findings"."owner_id" -> "users",
    "inspection_findings"."remedied_by" -> "users",
    "inspection_findings"."closed_by" -> "users",
    "liaison_questionings"."organization_id" -> "organizations",
    "liaison_questionings"."inspection_id" -> "inspections",
    "liaison_questionings"."appointment_id" -> "appointments",
    "circulars"."organization_id" -> "organizations",
    "circulars"."issued_by" -> "users",
    "targets"."organization_id" -> "organizations",
    "work_items"."organization_id" -> "organizations",
    "work_items"."owner_id" -> "users",
    "report_outlines"."organization_id" -> "organizations",
    "report_snapshots"."organization_id" -> "organizations",
    "report_snapshots"."frozen_by" -> "users",
    "commendation_rounds"."organization_id" -> "organizations",
    "nominations"."organization_id" -> "organizations",
    "nominations"."round_id" -> "commendation_rounds",
    "nominations"."workstation_id" -> "workstations",
    "nominations"."appointment_id" -> "appointments",
    "nominations"."submitted_by" -> "users",
    "nominations"."decided_by" -> "users",
    "policy_documents"."organization_id" -> "organizations",
    "policy_documents"."superseded_by_id" -> "policy_documents",
    "return_forms"."organization_id" -> "organizations",
    "return_forms"."published_by" -> "users",
    "return_rounds"."organization_id" -> "organizations",
    "return_rounds"."form_id" -> "return_forms",
    "monthly_returns"."organization_id" -> "organizations",
    "monthly_returns"."round_id" -> "return_rounds",
    "monthly_returns"."form_id" -> "return_forms",
    "monthly_returns"."submitted_by" -> "users",
    "monthly_returns"."accepted_by" -> "users",
    "monthly_return_cells"."return_id" -> "monthly_returns",
    "monthly_return_revisions"."return_id" -> "monthly_returns",
    "monthly_return_revisions"."submitted_by" -> "users",
    "monthly_return_revisions"."accepted_by" -> "users",
    "monthly_return_revisions"."amended_by" -> "users",
    "standards"."organization_id" -> "organizations",
    "standards"."published_by" -> "users",
    "assessments"."organization_id" -> "organizations",
    "assessments"."standard_id" -> "standards",
    "assessments"."workstation_id" -> "workstations",
    "assessments"."demonstration_unit_id" -> "demonstration_units",
    "assessments"."volunteer_team_id" -> "volunteer_teams",
    "assessments"."subject_organization_id" -> "organizations",
    "assessments"."prepared_by" -> "users",
    "assessments"."submitted_by" -> "users",
    "assessments"."accepted_by" -> "users",
    "publicity_assets"."organization_id" -> "organizations",
    "publicity_assets"."parent_id" -> "publicity_assets",
    "campaigns"."organization_id" -> "organizations",
    "campaign_events"."organization_id" -> "organizations",
    "campaign_events"."campaign_id" -> "campaigns",
    "placements"."organization_id" -> "organizations",
    "placements"."publicity_asset_id" -> "publicity_assets",
    "placements"."campaign_id" -> "campaigns",
    "goods"."organization_id" -> "organizations",
    "goods_movements"."organization_id" -> "organizations",
    "goods_movements"."goods_id" -> "goods",
    "media_items"."organization_id" -> "organizations",
    "media_items"."campaign_id" -> "campaigns",
    "media_placements"."organization_id" -> "organizations",
    "media_placements"."media_item_id" -> "media_items",
    "demonstration_units"."organization_id" -> "organizations",
    "demonstration_units"."workstation_id" -> "workstations",
    "hero_groups"."organization_id" -> "organizations",
    "heroes"."organization_id" -> "organizations",
    "heroes"."person_id" -> "persons",
    "heroes"."group_id" -> "hero_groups",
    "honours"."organization_id" -> "organizations",
    "honours"."hero_id" -> "heroes",
    "consents"."organization_id" -> "organizations",
    "consents"."person_id" -> "persons",
    "dependants"."organization_id" -> "organizations",
    "dependants"."person_id" -> "persons",
    "dependants"."hero_id" -> "heroes",
    "welfare_programmes"."organization_id" -> "organizations",
    "eligibility_rules"."organization_id" -> "organizations",
    "eligibility_rules"."programme_id" -> "welfare_programmes",
    "welfare_batches"."organization_id" -> "organizations",
    "welfare_batches"."programme_id" -> "welfare_programmes",
    "disbursements"."organization_id" -> "organizations",
    "disbursements"."programme_id" -> "welfare_programmes",
    "disbursements"."batch_id" -> "welfare_batches",
    "disbursements"."hero_id" -> "heroes",
    "disbursements"."dependant_id" -> "dependants",
    "disbursements"."prepared_by" -> "users",
    "disbursements"."approved_by" -> "users",
    "disbursements"."paid_by" -> "users",
    "disbursements"."second_approved_by" -> "users",
    "disbursements"."reversed_by" -> "users",
    "accounts"."organization_id" -> "organizations",
    "budgets"."organization_id" -> "organizations",
    "vouchers"."organization_id" -> "organizations",
    "vouchers"."debit_account_id" -> "accounts",
    "vouchers"."credit_account_id" -> "accounts",
    "vouchers"."prepared_by" -> "users",
    "vouchers"."posted_by" -> "users",
    "vouchers"."reversed_by" -> "users",
    "ledger_transactions"."organization_id" -> "organizations",
    "ledger_transactions"."voucher_id" -> "vouchers",
    "ledger_transactions"."disbursement_id" -> "disbursements",
    "ledger_transactions"."reverses_id" -> "ledger_transactions",
    "ledger_transactions"."posted_by" -> "users",
    "ledger_entries"."transaction_id" -> "ledger_transactions",
    "ledger_entries"."account_id" -> "accounts",
    "payee_accounts"."organization_id" -> "organizations",
    "payee_accounts"."person_id" -> "persons",
    "bank_transfers"."organization_id" -> "organizations",
    "bank_transfers"."account_id" -> "accounts",
    "bank_transfers"."batch_id" -> "welfare_batches",
    "bank_transfers"."prepared_by" -> "users",
    "bank_transfer_lines"."organization_id" -> "organizations",
    "bank_transfer_lines"."transfer_id" -> "bank_transfers",
    "bank_transfer_lines"."disbursement_id" -> "disbursements",
    "bank_transfer_lines"."payee_account_id" -> "payee_accounts",
    "bank_result_mismatches"."transfer_id" -> "bank_transfers",
    "public_notices"."organization_id" -> "organizations",
    "public_notices"."batch_id" -> "welfare_batches",
    "public_notices"."prepared_by" -> "users",
    "public_notices"."published_by" -> "users",
    "public_notice_corrections"."notice_id" -> "public_notices",
    "public_notice_corrections"."corrected_by" -> "users",
    "notice_objections"."organization_id" -> "organizations",
    "notice_objections"."notice_id" -> "public_notices",
    "notice_objections"."answered_by" -> "users",
    "webhooks"."organization_id" -> "organizations",
}

/// The resource that a field of another refers to.
pub fn of(table: &str, column: &str) -> Option<&'static str> {
    let key = FOREIGN_KEYS.iter().find(|key| key.table == table && key.column == column);
    // Records that stand in no table of their own belong to an organization as all others do.
    key.map(|key| key.of).or_else(|| (column == "organization_id").then_some("organizations"))
}

/// The keys by which records are about a person: not those that tell what became of persons.
pub fn about_persons() -> impl Iterator<Item = &'static ForeignKey> {
    FOREIGN_KEYS.iter().filter(|key| key.of == "persons" && !["persons", "person_merges"].contains(&key.table))
}

impl ForeignKey {
    /// The records that refer to one by this key.
    pub fn referrers(&self, conn: &mut AnyConnection, id: Id) -> Result<Vec<Referrer>> {
        Ok(diesel::sql_query(self.referrers).bind::<sql::Uuid, _>(id).load(conn)?)
    }

    /// Lets all that refer to one refer to another; how many these are.
    pub fn repoint(&self, conn: &mut AnyConnection, from: Id, to: Id, now: Instant) -> Result<usize> {
        let statement = diesel::sql_query(self.repoint).bind::<sql::Uuid, _>(to).bind::<sql::Instant, _>(now);
        Ok(statement.bind::<sql::Uuid, _>(from).execute(conn)?)
    }

    /// The same for those alone that were last changed at an instant.
    pub fn restore(&self, conn: &mut AnyConnection, from: Id, to: Id, now: Instant, changed_at: Instant) -> Result<usize> {
        let statement = diesel::sql_query(self.restore).bind::<sql::Uuid, _>(to).bind::<sql::Instant, _>(now);
        Ok(statement.bind::<sql::Uuid, _>(from).bind::<sql::Instant, _>(changed_at).execute(conn)?)
    }
}

/// Selects `id` and `code` of a resource's records by one of them.
fn coded(of: &str, by: &'static str) -> Result<Vec<Part>> {
    // Only what the list above names gets into a statement.
    let table = FOREIGN_KEYS.iter().find(|key| key.of == of).map(|key| key.of);
    let table = table.ok_or_else(|| Error::internal(format_args!("nothing refers to {of}")))?;
    Ok(vec![Part::Sql("SELECT id, code FROM "), Part::Sql(table), Part::Sql(" WHERE "), Part::Sql(by), Part::Sql(" IN ")])
}

/// The codes of records to which others refer, whoever asks: who may see a record may see what it refers to, as its id and
/// so as its code, and nothing else of it.
pub fn codes(conn: &mut AnyConnection, of: &str, ids: &[Id]) -> Result<Vec<(Id, String)>> {
    let mut found = Vec::with_capacity(ids.len());
    for some in ids.chunks(BOUND_AT_ONCE) {
        let mut parts = coded(of, "id")?;
        parts.push(Part::Ids(some.to_vec()));
        found.extend(Rows::<(sql::Uuid, Text)>::of(parts).load::<(Id, String)>(conn)?);
    }
    Ok(found)
}

/// The other way round, and as little a permission: whoever asks decides upon it, and tells nothing of what is out of reach.
pub fn ids(conn: &mut AnyConnection, of: &str, codes: &[String]) -> Result<Vec<(Id, String)>> {
    let mut found = Vec::with_capacity(codes.len());
    for some in codes.chunks(BOUND_AT_ONCE) {
        let mut parts = coded(of, "code")?;
        for (i, code) in some.iter().enumerate() {
            parts.push(Part::Sql(if i == 0 { "(" } else { ", " }));
            parts.push(Part::Text(code.clone()));
        }
        parts.push(Part::Sql(if some.is_empty() { "(NULL)" } else { ")" }));
        found.extend(Rows::<(sql::Uuid, Text)>::of(parts).load::<(Id, String)>(conn)?);
    }
    Ok(found)
}

/// Values that one statement binds at most.
const BOUND_AT_ONCE: usize = 5_000;

/// The tables that refer to a record, with how often.
pub fn to(conn: &mut AnyConnection, table: &str, id: Id) -> Result<Vec<(&'static str, i64)>> {
    let mut found: Vec<(&'static str, i64)> = Vec::new();
    for key in FOREIGN_KEYS.iter().filter(|key| key.of == table) {
        let count = diesel::sql_query(key.statement).bind::<sql::Uuid, _>(id).get_result::<Count>(conn)?.count;
        match found.iter_mut().find(|(name, _)| *name == key.table) {
            _ if count == 0 => {}
            Some((_, sum)) => *sum += count,
            None => found.push((key.table, count)),
        }
    }
    Ok(found)
}
