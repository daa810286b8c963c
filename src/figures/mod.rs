//! Figures: each a filter with an aggregate, computed from the records.

mod catalogue;

pub use catalogue::{Definition, FIGURES, FigureKind, Holder, SECTIONS, named};
