//! Exports: what a list shows as a file, streamed from one snapshot in memory that doesn't grow with the number of records.
//!
//! The columns are those of an import, so that a file goes out and comes back; after them stand those that only show
//! something. Who wants an export without a caller who waits for it, such as a job, decides on it with [`Asked::of`], records it
//! with [`record_begin`] and [`record_end`], and gives [`Export::write`] a file.

mod api;
mod layout;
mod objects;
mod pipe;
mod run;
mod tables;

pub use api::{Asked, as_file, record_begin, record_end};
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
