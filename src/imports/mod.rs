//! Imports: a file of rows becomes records through the same drafts, rules and scope as everything else.
//!
//! Each import is a job ([`crate::jobs`]): its file is kept first, sealed, and then its rows are read in transactions that [`job`]
//! makes. [`crate::files::read`] gives the rows, whatever the format; `layout` finds out how they are laid out, `cells` what a cell
//! means in its column, `people` who is registered already, and `run` writes what is right. A dry run is the real run rolled
//! back. What became of each row is kept (`outcomes`), so that it can be looked at, and undone ([`undo`]).
//!
//! What is known of files without one (columns, templates, mappings) has addresses beside `/imports` and not below it: there
//! `/imports/{id}/rows` and `/imports/templates/{resource}` would be the same to a tool that reads the contract.

mod api;
mod cells;
pub mod columns;
mod follow;
pub(crate) mod job;
mod labels;
mod layout;
mod lines;
mod mappings;
mod outcomes;
mod people;
mod returned;
mod run;
mod shown;
mod store;
mod template;
pub(crate) mod undo;

pub use api::{columns_of, create, list, one, template_of};
pub use follow::{cancel, events, rows, undo as undo_one};
pub use job::FAILED;
pub use mappings::{delete as delete_mapping, list as list_mappings, one as one_mapping, put as put_mapping};
pub use returned::file_back;
pub use run::{Fault, Mode, OnError, Outcome};
pub use shown::ShownImport;
pub use store::sweep;

/// Seals with the present data key what is kept of imports, wherever another has sealed it.
pub fn reseal(db: &crate::db::Db) -> crate::error::Result<crate::db::reseal::Resealed> {
    Ok(store::reseal(db)? + outcomes::reseal(db)?)
}
