//! Reports: figures set into documents, in the association's own order of chapters.

mod annual;
mod api;
mod docx;
mod markdown;
mod words;
mod xlsx;

pub use annual::AnnualReport;
pub use api::annual_report;
