//! The service as its callers see it: every test starts a server with a database of its own and speaks HTTP.
//!
//! Every test runs on SQLite, and on PostgreSQL too where one is found or `TEST_DATABASE_URL` names one.

mod appointments;
mod audit;
mod bad_input;
mod bank_transfers;
mod benefits;
mod campaigns;
mod cluster;
mod consents;
mod contract;
mod crash;
mod data_key;
mod database;
mod doubles;
mod eligibility;
mod exports;
mod figures;
mod headers;
mod heroes;
mod hosts;
mod imports;
mod jobs;
mod ledger;
mod limits;
mod memberships;
mod notices;
mod organizations;
mod persons;
mod process;
mod publicity;
mod races;
mod resilience;
mod role_grants;
mod role_matrix;
mod secrecy;
mod session;
mod starting;
mod stopping;
mod users;
mod volunteer_teams;
mod volunteers;
mod welfare;
mod workstations;
mod year;
mod zhengzhou_2022;
