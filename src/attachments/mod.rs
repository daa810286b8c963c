//! Files that belong to records: photos, scans, plans.
//!
//! An attachment is its record's: who may read the record may read it, who may change the record may add to it and take from it,
//! and both are asked of the record's own slice each time, in the same statement as everything else. So a record that moves takes its
//! files along, and nothing about who may do what is kept here.
//!
//! What a file is, is told by its bytes ([`content`]); where it lies, and how it is sealed, by [`crate::storage`]. What a picture tag
//! can show without a token, is a link that ends soon ([`links`]). The file is put away before its row is written, and taken away after
//! its row is gone, so that a row never lacks its file; what is left over by a crash, and what belonged to records that are no more, is
//! swept ([`mod@sweep`]). After a change of the data key the files are sealed anew ([`mod@reseal`]).

mod api;
mod content;
mod links;
mod reseal;
mod store;
mod sweep;

use utoipa_actix_web::service_config::ServiceConfig;

pub use reseal::{Resealed, reseal};
pub use store::of_record;
pub use sweep::{keep_clean, sweep};

/// How much may be attached.
#[derive(Debug, Clone, Copy)]
pub struct AttachmentLimits {
    /// Bytes of one file.
    pub file: u64,
    pub pixels: u64,
    /// Files of one record.
    pub of_record: i64,
    /// Bytes of all files of one organization.
    pub of_organization: i64,
    /// How long a link is good, in seconds.
    pub link_seconds: i64,
}

pub fn mount(config: &mut ServiceConfig<'_>) {
    config
        .service(api::create)
        .service(api::list)
        .service(api::content)
        .service(api::thumbnail)
        .service(api::one)
        .service(api::delete)
        .service(links::linked);
}
