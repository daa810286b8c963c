//! What stands between HTTP and the slices: shapes, pages, versions, idempotency, the verbs that every resource has.

pub mod accept;
pub mod asked;
pub mod body;
pub mod changes;
pub mod contract;
pub mod form;
pub mod frame;
pub mod handlers;
pub mod page;
pub mod query;
pub mod rates;
pub mod resource;
pub mod samples;
pub mod shape;
pub mod verbs;

pub use page::{Cursor, Sort, Window};
pub(crate) use page::{page, windowed};
pub use resource::{Measure, Measured, Reference, Resource, Step, Viewed};
pub(crate) use resource::{deletes, measured, read_only, reads, remove, save, viewed};
