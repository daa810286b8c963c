//! Figures: each a filter with an aggregate, computed from the records.

mod api;
mod catalogue;

pub use api::{catalogue_of, compute, one};
pub use catalogue::{Definition, FIGURES, FigureKind, Holder, SECTIONS, named};
