//! Imports: a file of rows becomes records through the same drafts, rules and scope as everything else.
//!
//! Each import is a job ([`crate::jobs`]): its file is kept first, sealed, and then its rows are read ([`run`]) in transactions
//! that [`job`] makes. A dry run is the real run rolled back. What became of each row is kept ([`outcomes`]), so that it can
//! be looked at, and undone ([`undo`]).

mod api;
mod columns;
pub(crate) mod job;
mod labels;
mod outcomes;
mod people;
mod run;
mod shown;
mod store;
pub(crate) mod undo;

pub use api::{cancel, columns_of, create, events, list, one, rows, undo as undo_one};
pub use run::{Fault, Mode, OnError, Outcome};
pub use shown::ShownImport;
pub use store::sweep;
