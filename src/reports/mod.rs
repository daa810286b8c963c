//! Reports: figures set into documents, in the association's own order of chapters.

pub mod annual;
mod api;
mod compliance;
mod declared;
mod docx;
mod markdown;
pub mod official;
pub mod vacancies;
mod words;
mod xlsx;

pub use annual::AnnualReport;
pub use api::{DOCX, ReportForm, annual_report, answer};
pub use compliance::{COUNTY_CAPACITY, compliance_report};
