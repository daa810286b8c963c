//! The demonstration (`yiyong demo`): the records of 2022 in a database of their own, loaded as any script would load
//! them, through the service's own import; one account per role.

mod files;
mod load;

pub use files::{FILES, Fixture};
pub use load::{Account, load};
