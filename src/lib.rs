//! 义勇.
pub mod audit;
pub mod auth;
pub mod db;
pub mod error;
pub mod policy;
pub mod resources;
pub mod schema;
pub mod types;
pub mod vault;
pub mod web;
