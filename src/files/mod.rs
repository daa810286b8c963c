//! What leaves as a file and comes back as one: how a text stands in a cell of a spreadsheet, and how records become cells.

pub mod cells;
mod write;

pub use write::{guarded, unguarded};
