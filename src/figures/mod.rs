//! Figures: each a filter with an aggregate, computed from the records.

mod api;
mod catalogue;
mod compute;

pub use api::{catalogue_of, one};
pub use catalogue::{Definition, FIGURES, FigureKind, Holder, SECTIONS, Span, named, part_of, unit};
pub use compute::{
    Figure, FigureOfOne, FigureValue, Ground, OrganizationBrief, Period, RecordsMark, figures, mark, of_each, of_part, of_those_below,
    parameters, records_url, value,
};
