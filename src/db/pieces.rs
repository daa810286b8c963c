//! Files that lie in the database for some days, sealed in pieces: rows of an owner, a position and the sealed bytes.

/// The column that a piece is sealed for.
pub fn column(position: i32) -> String {
    format!("sealed/{position}")
}

/// A function `reseal(db) -> Result<usize>` that seals the pieces of a table with the present data key, wherever another has
/// sealed them, and answers of how many. For the operator, so without a scope.
macro_rules! reseals_pieces {
    ($table:ident, $owner:ident, of $resource:literal) => {
        /// Seals the pieces with the present data key, wherever another has sealed them; how many these were.
        pub fn reseal(db: &$crate::db::Db) -> $crate::error::Result<usize> {
            use diesel::prelude::*;

            use $crate::schema::$table as pieces;
            /// What one transaction looks through: some megabytes.
            const LOT: i64 = 16;
            let (mut resealed, mut last) = (0, None::<($crate::types::Id, i32)>);
            loop {
                let (more, next) = db.write_background(&$crate::db::Deed::of_operator("command line"), |tx| {
                    let mut lot = pieces::table.order((pieces::$owner, pieces::position)).limit(LOT).into_boxed::<$crate::db::Any>();
                    if let Some((owner, position)) = last {
                        let later = pieces::$owner.eq(owner).and(pieces::position.gt(position));
                        lot = lot.filter(pieces::$owner.gt(owner).or(later));
                    }
                    let lot: Vec<($crate::types::Id, i32, Vec<u8>)> =
                        lot.select((pieces::$owner, pieces::position, pieces::sealed)).load(tx.conn)?;
                    let mut more = 0;
                    for (owner, position, sealed) in lot.iter().filter(|(_, _, sealed)| !tx.vault.is_present(sealed)) {
                        let column = $crate::db::pieces::column(*position);
                        let plain = tx.vault.open_bytes(stringify!($table), &column, *owner, sealed)?;
                        let anew = tx.vault.seal(stringify!($table), &column, *owner, plain)?;
                        more += diesel::update(pieces::table.find((*owner, *position))).set(pieces::sealed.eq(anew)).execute(tx.conn)?;
                    }
                    if more > 0 {
                        tx.audit("reseal", $resource, None, None, Some(&serde_json::json!({ stringify!($table): more })));
                    }
                    Ok((more, lot.last().map(|(owner, position, _)| (*owner, *position))))
                })?;
                resealed += more;
                last = next;
                if last.is_none() {
                    return Ok(resealed);
                }
            }
        }
    };
}
pub(crate) use reseals_pieces;
