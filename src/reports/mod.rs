//! Reports: figures set into documents, in the association's own order of chapters.

pub mod annual;
mod api;
pub mod charts;
mod compliance;
mod declared;
mod docx;
mod markdown;
pub mod official;
mod pictures;
pub mod vacancies;
mod words;
mod xlsx;

pub use annual::AnnualReport;
pub use api::{DOCX, ReportForm, annual_chart, annual_report, answer};
pub use compliance::{COUNTY_CAPACITY, compliance_report};
