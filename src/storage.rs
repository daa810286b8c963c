//! Where files that belong to records lie: a folder of this machine, or a bucket of an object store.
//!
//! What is handed over is sealed first, in pieces of one size, each for its place, so that whoever holds the bucket
//! holds nothing to read, and a part of a file can be had without the rest. A file has a name that says nothing of it.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use futures_util::TryStreamExt;
use opendal::layers::{RetryLayer, TimeoutLayer};
use opendal::{ErrorKind, Operator, services};
use zeroize::Zeroizing;

use crate::error::{Code, Error, Result};
use crate::types::{Id, Instant};
use crate::vault::Vault;

/// Bytes of a piece, before it is sealed.
const PIECE: u64 = 64 * 1024;
/// What sealing adds to a piece: see [`crate::vault`].
const SEAL: u64 = 1 + 4 + 12 + 16;
/// How long an object store may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// The table for which files are sealed.
const SEALED_FOR: &str = "attachments";

/// Where files are to lie.
#[derive(Clone)]
pub enum StorageConfig {
    Folder(PathBuf),
    Bucket {
        kind: BucketKind,
        bucket: String,
        /// The folder within it.
        root: String,
        endpoint: Option<String>,
        region: Option<String>,
        key_id: String,
        secret: Zeroizing<String>,
    },
}

/// Whose protocol an object store speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BucketKind {
    /// Amazon's, and what speaks it.
    S3,
    /// Alibaba Cloud's.
    Oss,
    /// Tencent Cloud's.
    Cos,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Storage(Operator);

/// A file of the storage: its name there, and for whom it is sealed.
#[derive(Debug, Clone)]
pub struct Place {
    pub key: String,
    pub row: Id,
    /// Which of the row's files.
    pub column: &'static str,
}

fn column(place: &Place, position: u64) -> String {
    format!("{}/{position}", place.column)
}

impl Storage {
    pub fn open(config: &StorageConfig) -> Result<Self, String> {
        let told = |error: opendal::Error| format!("YIYONG_STORAGE_URL: {error}");
        let operator = match config {
            StorageConfig::Folder(folder) => {
                let root = folder.to_str().ok_or_else(|| format!("YIYONG_STORAGE_URL: {} is no UTF-8", folder.display()))?;
                let mut private = std::fs::DirBuilder::new();
                private.recursive(true);
                #[cfg(unix)]
                std::os::unix::fs::DirBuilderExt::mode(&mut private, 0o700);
                private.create(folder).map_err(|error| format!("YIYONG_STORAGE_URL: {root} can't be made: {error}"))?;
                Operator::new(services::Fs::default().root(root)).map_err(told)?
            }
            StorageConfig::Bucket { kind, bucket, root, endpoint, region, key_id, secret } => {
                // Of the process; whoever was first has installed the same.
                let _ = rustls::crypto::ring::default_provider().install_default();
                opendal_http_transport_reqwest::install_default();
                let endpoint = endpoint.as_deref();
                match kind {
                    BucketKind::S3 => {
                        let mut s3 = services::S3::default()
                            .bucket(bucket)
                            .root(root)
                            .access_key_id(key_id)
                            .secret_access_key(secret)
                            .region(region.as_deref().unwrap_or("us-east-1"))
                            .disable_config_load()
                            .disable_ec2_metadata();
                        if let Some(endpoint) = endpoint {
                            s3 = s3.endpoint(endpoint);
                        }
                        Operator::new(s3)
                    }
                    BucketKind::Oss => Operator::new(
                        services::Oss::default()
                            .bucket(bucket)
                            .root(root)
                            .access_key_id(key_id)
                            .access_key_secret(secret)
                            .endpoint(endpoint.unwrap_or_default()),
                    ),
                    BucketKind::Cos => Operator::new(
                        services::Cos::default()
                            .bucket(bucket)
                            .root(root)
                            .secret_id(key_id)
                            .secret_key(secret)
                            .endpoint(endpoint.unwrap_or_default())
                            .disable_config_load(),
                    ),
                }
                .map_err(told)?
                .layer(RetryLayer::new().with_max_times(2))
                .layer(TimeoutLayer::new().with_timeout(PATIENCE).with_io_timeout(PATIENCE))
            }
        };
        Ok(Self(operator))
    }

    /// A name for a new file.
    pub fn new_key() -> String {
        let random: [u8; 16] = rand::random();
        let hex: String = random.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{}/{hex}", &hex[..2])
    }

    /// Seals bytes and puts them away.
    pub async fn write(&self, vault: &Vault, place: &Place, plain: &[u8]) -> Result<()> {
        let mut sealed = Vec::with_capacity(plain.len() + plain.len().div_ceil(PIECE as usize) * SEAL as usize);
        for (position, piece) in (0..).zip(plain.chunks(PIECE as usize)) {
            sealed.extend(vault.seal(SEALED_FOR, &column(place, position), place.row, piece)?);
        }
        self.0.write(&place.key, sealed).await.map(|_| ()).map_err(failed)
    }

    /// Some of a file's bytes, which has so many in all. The range lies in it and isn't empty.
    pub async fn read(&self, vault: &Vault, place: &Place, length: u64, range: Range<u64>) -> Result<Vec<u8>> {
        let (first, last) = (range.start / PIECE, (range.end - 1) / PIECE);
        let end = ((last + 1) * (PIECE + SEAL)).min(length + length.div_ceil(PIECE) * SEAL);
        let sealed = self.0.read_with(&place.key).range(first * (PIECE + SEAL)..end).await.map_err(failed)?.to_vec();
        let mut plain = Vec::with_capacity(sealed.len());
        for (position, piece) in (first..).zip(sealed.chunks((PIECE + SEAL) as usize)) {
            plain.extend(vault.open_bytes(SEALED_FOR, &column(place, position), place.row, piece)?);
        }
        let skipped = (range.start - first * PIECE) as usize;
        let wanted = skipped..skipped + (range.end - range.start) as usize;
        plain.get(wanted).map(<[u8]>::to_vec).ok_or_else(|| Error::internal(format_args!("{} is shorter than it was", place.key)))
    }

    /// Whether the present key has sealed a file, by the name that it bears.
    pub async fn is_present(&self, vault: &Vault, place: &Place) -> Result<bool> {
        let head = self.0.read_with(&place.key).range(0..SEAL).await.map_err(failed)?;
        Ok(vault.is_present(&head.to_vec()))
    }

    /// Takes a file away; one that isn't there is no fault.
    pub async fn delete(&self, key: &str) -> Result<()> {
        self.0.delete(key).await.map_err(failed)
    }

    /// The names of files that were written before an instant, handed on in lots.
    pub async fn older_than(&self, before: Instant, lot: usize, mut each: impl AsyncFnMut(Vec<String>) -> Result<()>) -> Result<()> {
        let mut all = self.0.lister_with("/").recursive(true).await.map_err(failed)?;
        let mut old = Vec::new();
        while let Some(entry) = all.try_next().await.map_err(failed)? {
            if !entry.metadata().is_file() {
                continue;
            }
            let mut written = entry.metadata().last_modified();
            if written.is_none() {
                match self.0.stat(entry.path()).await {
                    Ok(metadata) => written = metadata.last_modified(),
                    Err(error) if error.kind() == ErrorKind::NotFound => continue,
                    Err(error) => return Err(failed(error)),
                }
            }
            let is_old = written.is_some_and(|written| written.into_inner().as_microsecond() < before.0.timestamp_micros());
            if is_old {
                old.push(entry.path().to_owned());
            }
            if old.len() >= lot {
                each(std::mem::take(&mut old)).await?;
            }
        }
        if old.is_empty() { Ok(()) } else { each(old).await }
    }
}

fn failed(error: opendal::Error) -> Error {
    use std::error::Error as _;
    let full = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    if full.is_some_and(|error| error.kind() == std::io::ErrorKind::StorageFull) {
        log::error!("the disk for attachments is full");
        return Error::new(Code::StorageFull);
    }
    match error.kind() {
        // A row without its file: somebody took it away behind our back.
        ErrorKind::NotFound => Error::internal(format_args!("a file of the storage is missing: {error}")),
        _ => {
            log::error!("the storage of attachments does not answer: {error}");
            Error::new(Code::StorageUnavailable).retry_after(5)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A part of a file is that part, wherever it begins and ends, and what lies in the folder tells nothing.
    #[actix_web::test]
    async fn parts_of_a_sealed_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let storage = Storage::open(&StorageConfig::Folder(folder.path().to_owned())).expect("a storage");
        let vault = Vault::new(&[7; 32], []);
        for length in [1, 5, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17] {
            let place = Place { key: Storage::new_key(), row: Id::new(), column: "content" };
            let plain: Vec<u8> = (0..length).map(|n| (n * 31 % 251) as u8).collect();
            storage.write(&vault, &place, &plain).await.expect("written");
            for (from, to) in [(0, length), (0, 1), (length - 1, length), (length / 3, length / 2 + 1), (length.min(PIECE) - 1, length)] {
                let part = storage.read(&vault, &place, length, from..to).await.expect("a part");
                assert_eq!(part, plain[from as usize..to as usize], "{from}..{to} of {length}");
            }
            let kept = std::fs::read(folder.path().join(&place.key)).expect("the file");
            assert_eq!(kept.len() as u64, length + length.div_ceil(PIECE) * SEAL);
            let elsewhere = Place { row: Id::new(), ..place.clone() };
            assert!(storage.read(&vault, &elsewhere, length, 0..1).await.is_err(), "sealed for another row");
            storage.delete(&place.key).await.expect("deleted");
            storage.delete(&place.key).await.expect("deleted already");
            assert!(!folder.path().join(&place.key).exists());
        }
    }
}
