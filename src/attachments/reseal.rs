//! The files are sealed anew after the data key was changed.
//!
//! A file is written again under another name, and then its row takes that name: whoever reads meanwhile reads one or the other
//! whole, and what is interrupted has changed nothing. The former files have no row any more and are swept like all such.

use diesel::prelude::*;
use serde_json::json;

use super::store::{self, Row, Variant};
use super::sweep::take_away;
use crate::db::{Db, Deed};
use crate::error::{Code, Result};
use crate::schema::attachments as t;
use crate::storage::Storage;
use crate::types::{Id, Instant};

/// Attachments whose rows one transaction changes.
const LOT: i64 = 50;

/// What a reseal came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Resealed {
    /// Attachments that were there.
    pub seen: usize,
    /// Those of which the present key had not sealed a file, and now has.
    pub resealed: usize,
    /// Those with a file that is gone, or opens with none of the keys.
    pub unreadable: Vec<Id>,
}

/// Seals the files of all attachments with the present data key, wherever another has sealed them. For the operator, so without a scope.
pub async fn reseal(db: &Db, storage: &Storage) -> Result<Resealed> {
    let mut all = Resealed::default();
    let mut last: Option<Id> = None;
    loop {
        let rows = db.read(move |conn| store::after(conn, last, Instant::now(), LOT)).await?;
        let Some(end) = rows.last() else { return Ok(all) };
        last = Some(end.id);
        all.seen += rows.len();
        let (mut renamed, mut unreadable) = (Vec::new(), Vec::new());
        for row in rows {
            match written_anew(db, storage, &row).await {
                Ok(fresh) => renamed.extend(fresh.map(|fresh| (row, fresh))),
                // Of this file; of a storage or a database that doesn't answer, none can be read.
                Err(error) if error.code == Code::Internal => unreadable.push(row.id),
                Err(error) => return Err(error),
            }
        }
        all.resealed += keep(db, storage, renamed).await?;
        // What was taken away in between took its files along.
        if !unreadable.is_empty() {
            all.unreadable.extend(db.read(move |conn| store::known(conn, &unreadable)).await?);
        }
    }
}

/// Writes the files of an attachment again, under a new name; `None` where the present key has sealed them.
async fn written_anew(db: &Db, storage: &Storage, row: &Row) -> Result<Option<Row>> {
    let vault = db.vault();
    let files = || [Variant::Content, Variant::Thumbnail].into_iter().filter_map(|variant| Some((variant, row.length(variant)?)));
    let mut present = true;
    for (variant, _) in files() {
        present &= storage.is_present(vault, &row.place(variant)).await?;
    }
    if present {
        return Ok(None);
    }
    let fresh = Row { storage_key: Storage::new_key(), ..row.clone() };
    for (variant, length) in files() {
        let plain = storage.read(vault, &row.place(variant), length, 0..length).await?;
        storage.write(vault, &fresh.place(variant), &plain).await?;
    }
    Ok(Some(fresh))
}

/// Lets the rows take their new names; an attachment that was taken away in between takes the new files along.
async fn keep(db: &Db, storage: &Storage, renamed: Vec<(Row, Row)>) -> Result<usize> {
    let names: Vec<(Id, String, String)> =
        renamed.iter().map(|(row, fresh)| (row.id, row.storage_key.clone(), fresh.storage_key.clone())).collect();
    let gone = db
        .write_value(Deed::of_operator("command line"), move |tx| {
            let mut gone = Vec::new();
            for (id, former, next) in &names {
                let one = t::table.find(id).filter(t::storage_key.eq(former));
                if diesel::update(one).set(t::storage_key.eq(next)).execute(tx.conn)? == 0 {
                    gone.push(*id);
                }
            }
            let resealed = names.len() - gone.len();
            if resealed > 0 {
                let last = names.last().map(|(id, ..)| id);
                tx.audit("reseal", "attachments", None, None, Some(&json!({"attachments": resealed, "last": last})));
            }
            Ok(gone)
        })
        .await?;
    for (_, fresh) in renamed.iter().filter(|(row, _)| gone.contains(&row.id)) {
        take_away(storage, fresh).await?;
    }
    Ok(renamed.len() - gone.len())
}
