//! Exports: what a list shows as a file, streamed from one snapshot in memory that doesn't grow with the number of records.
//!
//! The columns are those of an import, so that a file goes out and comes back; after them stand those that only show
//! something. `GET /exports/{resource}` streams it; `POST` makes a [`job`] of the same, whose file is [`kept`] for a while
//! and has an address among [`files`].

mod api;
pub mod files;
pub(crate) mod job;
mod kept;
mod layout;
mod objects;
mod pipe;
mod run;
mod tables;

pub use api::{Asked, as_file};
pub use kept::{reseal, sweep};
pub use run::Export;

use crate::types::text_enum;

text_enum! {
    /// What an export is written as.
    Format {
        Csv = "csv", "CSV", "CSV in UTF-8";
        Xlsx = "xlsx", "Excel 工作簿", "a workbook for spreadsheets";
        Ndjson = "ndjson", "逐行 JSON", "one JSON object a line";
        Geojson = "geojson", "GeoJSON 地图数据", "GeoJSON of places";
    }
}

impl Format {
    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Self::Ndjson => "application/x-ndjson",
            Self::Geojson => "application/geo+json",
        }
    }
}
