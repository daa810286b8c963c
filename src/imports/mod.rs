//! Imports: a file of rows becomes records through the same drafts, rules and scope as everything else.
//!
//! A dry run is the real run rolled back. CSV and NDJSON; another format needs another reader of rows, and nothing else.

mod api;
pub mod columns;
mod labels;
mod lines;
mod run;

pub use api::{columns_of, create, one};
pub use run::{Fault, Mode, OnError, Outcome, Report};
