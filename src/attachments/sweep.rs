//! What nobody can reach any more is taken away: attachments of records that are gone, and files without a row.

use std::collections::HashMap;
use std::time::Duration;

use super::store::{self, Row, THUMBNAIL, Variant};
use crate::app::Service;
use crate::db::{Db, Deed};
use crate::error::Result;
use crate::policy::{Action, Scope};
use crate::storage::Storage;
use crate::types::{Id, Instant, TextEnum};

const EVERY: Duration = Duration::from_secs(3600);
/// A file is put away before its row is written: one that has none after this long never will.
const ROWLESS_SECONDS: i64 = 24 * 3600;
/// The same of a row whose record may be of a transaction that is not kept yet.
const RECORDLESS_SECONDS: i64 = 600;
const LOT: usize = 500;

/// Sweeps from time to time, as long as the server runs.
pub async fn keep_clean(service: Service) {
    loop {
        tokio::time::sleep(EVERY).await;
        match sweep(&service.db, service.storage(), Instant::now()).await {
            Ok(0) => {}
            Ok(swept) => log::info!("{swept} attachments that belonged to nothing were swept"),
            Err(error) => log::warn!("attachments that belong to nothing can't be swept: {error}"),
        }
    }
}

/// Answers how many rows and files went.
pub async fn sweep(db: &Db, storage: &Storage, now: Instant) -> Result<usize> {
    let mut swept = 0;
    let mut last: Option<Id> = None;
    loop {
        let before = now.plus_seconds(-RECORDLESS_SECONDS);
        let rows: Vec<Row> = db.read(move |conn| store::after(conn, last, before, LOT as i64)).await?;
        let Some(end) = rows.last() else { break };
        last = Some(end.id);
        let gone = db.read(move |conn| without_record(conn, &rows)).await?;
        for row in gone {
            let (id, resource, record_id) = (row.id, row.resource.clone(), row.record_id);
            let organization_id = row.organization_id;
            db.write_value(Deed::of_operator("sweep"), move |tx| {
                store::delete(tx.conn, id)?;
                let detail = serde_json::json!({"resource": resource, "record_id": record_id, "because": "the record is gone"});
                tx.audit(Action::Delete.code(), "attachments", Some(id), organization_id, Some(&detail));
                Ok(())
            })
            .await?;
            take_away(storage, &row).await?;
            swept += 1;
        }
    }
    let files = &mut swept;
    let before = now.plus_seconds(-ROWLESS_SECONDS);
    storage
        .older_than(before, LOT, async |names: Vec<String>| {
            let keys: Vec<String> = names.iter().map(|name| name.trim_end_matches(THUMBNAIL).to_owned()).collect();
            let known = db.read(move |conn| store::known_keys(conn, keys.clone())).await?;
            for name in names {
                if !known.iter().any(|key| key == name.trim_end_matches(THUMBNAIL)) {
                    storage.delete(&name).await?;
                    *files += 1;
                }
            }
            Ok(())
        })
        .await?;
    Ok(swept)
}

/// Those whose record is gone: one query for each resource among them.
fn without_record(conn: &mut crate::db::AnyConnection, rows: &[Row]) -> Result<Vec<Row>> {
    let mut by_resource: HashMap<&str, Vec<&Row>> = HashMap::new();
    for row in rows {
        by_resource.entry(&row.resource).or_default().push(row);
    }
    let mut gone = Vec::new();
    for rows in by_resource.into_values() {
        let ids: Vec<Id> = rows.iter().map(|row| row.record_id).collect();
        let Ok(verbs) = rows[0].verbs() else { continue };
        let known = verbs.known_ids(conn, &Scope::of_operator(), &ids)?;
        gone.extend(rows.into_iter().filter(|row| !known.contains(&row.record_id)).cloned());
    }
    Ok(gone)
}

/// Takes the files of a row away that is gone.
pub async fn take_away(storage: &Storage, row: &Row) -> Result<()> {
    storage.delete(&row.place(Variant::Content).key).await?;
    if row.thumbnail_bytes.is_some() {
        storage.delete(&row.place(Variant::Thumbnail).key).await?;
    }
    Ok(())
}
