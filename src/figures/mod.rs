//! Figures: each a filter with an aggregate, computed from the records.

mod api;
mod catalogue;
mod compute;

pub use api::{catalogue_of, one};
pub use catalogue::{Definition, FIGURES, FigureKind, Holder, SECTIONS, named, unit};
pub use compute::{Figure, FigureValue, Ground, OrganizationBrief, Period, figures, value};
