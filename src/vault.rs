//! Sealing of personal identifiers: AES-256-GCM with a random nonce, bound to table, column and row, so that a
//! sealed value can't be moved to another record; and a keyed hash that finds equals without opening any.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::Mac;
use rand::Rng;
use sha2::Sha256;

use crate::error::{Error, Result};
use crate::types::Id;

type Hmac = hmac::Hmac<Sha256>;

/// Names the key within the sealed bytes, so that values under an older key can be told apart.
const KEY_ID: u8 = 1;
const NONCE_LENGTH: usize = 12;

/// The data key at work.
pub struct Vault {
    cipher: Aes256Gcm,
    index: Hmac,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// From the 32 bytes of the data key; the keys for sealing and for the index are derived from it apart.
    pub fn new(data_key: &[u8; 32]) -> Self {
        let derive = |purpose: &[u8]| -> [u8; 32] { keyed(data_key).chain_update(purpose).finalize().into_bytes().into() };
        let index = <Hmac as hmac::KeyInit>::new_from_slice(&derive(b"yiyong blind index 1")).expect("HMAC takes a key of any length");
        Self { cipher: Aes256Gcm::new(&derive(b"yiyong sealing 1").into()), index }
    }

    /// Seals a value of one column of one row.
    pub fn seal(&self, table: &str, column: &str, row: Id, plain: &str) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LENGTH] = rand::rng().random();
        let aad = aad(table, column, row);
        let sealed = self
            .cipher
            .encrypt(&Nonce::from(nonce), Payload { msg: plain.as_bytes(), aad: &aad })
            .map_err(|_| Error::internal("a value could not be sealed"))?;
        Ok([&[KEY_ID], nonce.as_slice(), &sealed].concat())
    }

    /// Opens what was sealed for the same place.
    pub fn open(&self, table: &str, column: &str, row: Id, sealed: &[u8]) -> Result<String> {
        let failed = || Error::internal(format_args!("a sealed value of {table}.{column} does not open with this data key"));
        let (head, body) = sealed.split_at_checked(1 + NONCE_LENGTH).ok_or_else(failed)?;
        let nonce: [u8; NONCE_LENGTH] = head[1..].try_into().map_err(|_| failed())?;
        let aad = aad(table, column, row);
        let plain = self.cipher.decrypt(&Nonce::from(nonce), Payload { msg: body, aad: &aad }).map_err(|_| failed())?;
        String::from_utf8(plain).map_err(|_| failed())
    }

    /// The same for the same value of the same kind, and tells nothing else.
    pub fn hash(&self, kind: &str, plain: impl AsRef<[u8]>) -> Vec<u8> {
        self.index.clone().chain_update(kind).chain_update([0]).chain_update(plain).finalize().into_bytes().to_vec()
    }
}

fn keyed(key: &[u8]) -> Hmac {
    <Hmac as hmac::KeyInit>::new_from_slice(key).expect("HMAC takes a key of any length")
}

fn aad(table: &str, column: &str, row: Id) -> Vec<u8> {
    format!("{table}\u{1F}{column}\u{1F}{row}").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let vault = Vault::new(&[7; 32]);
        let (row, other) = (Id::new(), Id::new());
        let sealed = vault.seal("persons", "phone", row, "13800138000").expect("sealed");
        assert!(!sealed.windows(11).any(|w| w == b"13800138000"));
        assert_eq!(vault.open("persons", "phone", row, &sealed).expect("opened"), "13800138000");
        assert!(vault.open("persons", "phone", other, &sealed).is_err());
        assert!(vault.open("persons", "id_number", row, &sealed).is_err());
        assert!(Vault::new(&[8; 32]).open("persons", "phone", row, &sealed).is_err());
        assert_ne!(sealed, vault.seal("persons", "phone", row, "13800138000").expect("sealed"));
        assert_eq!(vault.hash("phone", "1"), vault.hash("phone", "1"));
        assert_ne!(vault.hash("phone", "1"), vault.hash("id_number", "1"));
    }
}
