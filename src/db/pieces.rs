//! Files that lie in the database for some days, sealed in pieces: rows of an owner, a position and the sealed bytes.

/// The column that a piece is sealed for.
pub fn column(position: i32) -> String {
    format!("sealed/{position}")
}

/// A function `reseal` that seals the pieces of a table with the present data key, wherever another has sealed them.
macro_rules! reseals_pieces {
    ($table:ident, $owner:ident, of $resource:literal) => {
        /// Seals the pieces with the present data key, wherever another has sealed them.
        pub fn reseal(db: &$crate::db::Db) -> $crate::error::Result<$crate::db::reseal::Resealed> {
            use diesel::prelude::*;

            use $crate::schema::$table as pieces;
            /// What one transaction looks through: some megabytes.
            const LOT: i64 = 16;
            $crate::db::reseal::all(db, $resource, |tx, after: Option<($crate::types::Id, i32)>| {
                let mut next = pieces::table.order((pieces::$owner, pieces::position)).limit(LOT).into_boxed::<$crate::db::Any>();
                if let Some((owner, position)) = after {
                    let later = pieces::$owner.eq(owner).and(pieces::position.gt(position));
                    next = next.filter(pieces::$owner.gt(owner).or(later));
                }
                let seen: Vec<($crate::types::Id, i32, Vec<u8>)> =
                    next.select((pieces::$owner, pieces::position, pieces::sealed)).load(tx.conn)?;
                let mut resealed = 0;
                for (owner, position, sealed) in seen.iter().filter(|(_, _, sealed)| !tx.vault.is_present(sealed)) {
                    let column = $crate::db::pieces::column(*position);
                    let plain = tx.vault.open_bytes(stringify!($table), &column, *owner, sealed)?;
                    let anew = tx.vault.seal(stringify!($table), &column, *owner, plain)?;
                    resealed += diesel::update(pieces::table.find((*owner, *position))).set(pieces::sealed.eq(anew)).execute(tx.conn)?;
                }
                let last = seen.last().map(|(owner, position, _)| (*owner, *position));
                Ok(($crate::db::reseal::Resealed { seen: seen.len(), resealed }, last))
            })
        }
    };
}
pub(crate) use reseals_pieces;
