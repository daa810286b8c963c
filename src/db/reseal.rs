//! After a change of the data key, what another has sealed is sealed anew: lot by lot, while the service runs. What an earlier run
//! has done is left alone. For the operator, so without a scope.

use std::ops::Add;

use serde::Serialize;
use serde_json::json;

use super::{Db, Deed, Tx};
use crate::error::Result;

/// Rows that one transaction looks through.
pub const LOT: i64 = 500;

/// What a reseal came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Those that hold something sealed.
    pub seen: usize,
    /// Those of which the present key had not sealed something, and now has.
    pub resealed: usize,
}

impl Add for Resealed {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { seen: self.seen + other.seen, resealed: self.resealed + other.resealed }
    }
}

/// Goes through rows in the order of their keys, a lot in a transaction. `lot` takes those after a key, and answers what it came to and
/// its last key; `None` where there was no more. Tried again when the database is busy, so it keeps nothing between.
pub fn in_lots<K: Copy, T>(
    db: &Db,
    mut lot: impl FnMut(&mut Tx<'_>, Option<K>) -> Result<(T, Option<K>)>,
    mut done: impl FnMut(T),
) -> Result<()> {
    let mut last = None;
    loop {
        let (part, next) = db.write_background(&Deed::of_operator("command line"), |tx| lot(tx, last))?;
        if next.is_none() {
            return Ok(());
        }
        done(part);
        last = next;
    }
}

/// Seals what a resource has sealed: `lot` takes the rows after a key as [`in_lots`] says, and its outcome is noted.
pub fn all<K: Copy + Serialize>(
    db: &Db,
    resource: &'static str,
    mut lot: impl FnMut(&mut Tx<'_>, Option<K>) -> Result<(Resealed, Option<K>)>,
) -> Result<Resealed> {
    let mut all = Resealed::default();
    let noted = |tx: &mut Tx<'_>, after| {
        let (part, last) = lot(tx, after)?;
        if part.resealed > 0 {
            tx.audit("reseal", resource, None, None, Some(&json!({(resource): part.resealed, "last": last})));
        }
        Ok((part, last))
    };
    in_lots(db, noted, |part| all = std::mem::take(&mut all) + part)?;
    Ok(all)
}
