//! Imports: a file of rows becomes records through the same drafts, rules and scope as everything else.
//!
//! A dry run is the real run rolled back. [`crate::files::read`] gives the rows, whatever the format; `layout` finds out how they are
//! laid out, `cells` what a cell means in its column, and `run` writes what is right.

mod api;
mod cells;
mod columns;
mod labels;
mod layout;
mod mappings;
mod run;
mod template;

pub use api::{columns_of, create, one, template_of};
pub use mappings::{delete as delete_mapping, list as list_mappings, one as one_mapping, put as put_mapping};
pub use run::{Fault, Mode, OnError, Outcome, Report};
