//! Files of rows, as offices and scripts have them.
//!
//! [`read`] is the reading half: whatever the format, a file is a [`read::Table`] that gives its rows one by one in constant
//! memory. What the rows mean is none of its business: that is for [`crate::imports`]. [`cells`] makes cells of records, and
//! a text stands in a cell as [`guarded`] says, and is read as [`unguarded`] does.

pub mod cells;
pub mod read;
mod write;

pub use write::{guarded, unguarded};

use actix_web::http::header::{Charset, ContentDisposition, DispositionParam, DispositionType, ExtendedValue};

/// Says of an answer that it is a file to be kept, under a name in any script.
pub fn attached(name: &str) -> ContentDisposition {
    let name = ExtendedValue { charset: Charset::Ext("UTF-8".into()), language_tag: None, value: name.as_bytes().to_vec() };
    ContentDisposition { disposition: DispositionType::Attachment, parameters: vec![DispositionParam::FilenameExt(name)] }
}
