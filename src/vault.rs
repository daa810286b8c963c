//! Sealing of personal identifiers: AES-256-GCM with a random nonce, bound to table, column and row, so that a
//! sealed value can't be moved to another record; and a keyed hash that finds equals without opening any.
//!
//! One data key seals. Others may stand beside it: former ones, and the next before it takes its turn. They open what
//! they have sealed, and what is looked up by its hash is looked up under all. Sealed bytes are
//!
//! | format | then | |
//! |---|---|---|
//! | 1 | nonce (12), ciphertext | written before a key could be changed: whichever key opens it |
//! | 2 | key id (4), nonce (12), ciphertext | the key id is the beginning of the sealing key's SHA-256 |
//!
//! The data keys come from files as they are. Where a key service is to wrap them (an envelope), it opens them in
//! [`crate::config`], and nothing here changes.

use std::fmt;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use hmac::Mac;
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::types::Id;

type Hmac = hmac::Hmac<Sha256>;

/// Of values that name no key.
const NAMELESS: u8 = 1;
/// Of values that name their key.
const NAMED: u8 = 2;
const KEY_ID_LENGTH: usize = 4;
const NONCE_LENGTH: usize = 12;

/// The data keys at work.
pub struct Vault {
    /// Seals.
    present: Key,
    /// Only open, and find.
    others: Vec<Key>,
}

/// What is derived from one data key, for each purpose apart.
struct Key {
    id: [u8; KEY_ID_LENGTH],
    cipher: Aes256Gcm,
    index: Hmac,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

impl Vault {
    /// From the 32 bytes of the data key that seals, and of those that stand beside it.
    pub fn new<'k>(present: &[u8; 32], others: impl IntoIterator<Item = &'k [u8; 32]>) -> Self {
        Self { present: Key::new(present), others: others.into_iter().map(Key::new).collect() }
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.present).chain(&self.others)
    }

    /// Seals a value of one column of one row, under the present key.
    pub fn seal(&self, table: &str, column: &str, row: Id, plain: impl AsRef<[u8]>) -> Result<Vec<u8>> {
        let nonce: [u8; NONCE_LENGTH] = rand::rng().random();
        let aad = aad(table, column, row);
        let payload = Payload { msg: plain.as_ref(), aad: &aad };
        let sealed =
            self.present.cipher.encrypt(&Nonce::from(nonce), payload).map_err(|_| Error::internal("a value could not be sealed"))?;
        Ok([&[NAMED], self.present.id.as_slice(), &nonce, &sealed].concat())
    }

    /// Opens the text that was sealed for the same place, under whichever key.
    pub fn open(&self, table: &str, column: &str, row: Id, sealed: &[u8]) -> Result<String> {
        let plain = self.open_bytes(table, column, row, sealed)?;
        String::from_utf8(plain).map_err(|_| Error::internal(format_args!("a sealed value of {table}.{column} is no text")))
    }

    /// The same of bytes.
    pub fn open_bytes(&self, table: &str, column: &str, row: Id, sealed: &[u8]) -> Result<Vec<u8>> {
        let aad = aad(table, column, row);
        let (key_id, sealed) = split(sealed).unwrap_or_default();
        self.keys()
            .filter(|key| key_id.is_none_or(|id| *id == key.id))
            .find_map(|key| key.open(&aad, sealed))
            .ok_or_else(|| Error::internal(format_args!("a sealed value of {table}.{column} does not open with these data keys")))
    }

    /// Whether the present key has sealed it, by the name that it bears.
    pub fn is_present(&self, sealed: &[u8]) -> bool {
        split(sealed).is_some_and(|(key_id, _)| key_id == Some(&self.present.id))
    }

    /// The same for the same value of the same kind, and tells nothing else: what is written, under the present key.
    pub fn hash(&self, kind: &str, plain: impl AsRef<[u8]>) -> Vec<u8> {
        self.present.hash(kind, plain.as_ref())
    }

    /// What may have been written for a value, under each key; the present key's comes first.
    pub fn hashes(&self, kind: &str, plain: impl AsRef<[u8]>) -> Vec<Vec<u8>> {
        self.keys().map(|key| key.hash(kind, plain.as_ref())).collect()
    }
}

impl Key {
    fn new(data_key: &[u8; 32]) -> Self {
        let derive = |purpose: &[u8]| -> [u8; 32] { keyed(data_key).chain_update(purpose).finalize().into_bytes().into() };
        let sealing = derive(b"yiyong sealing 1");
        let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(sealing).into();
        Self { id: [a, b, c, d], cipher: Aes256Gcm::new(&sealing.into()), index: keyed(&derive(b"yiyong blind index 1")) }
    }

    /// From nonce and ciphertext.
    fn open(&self, aad: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        self.cipher.decrypt(&Nonce::from(*nonce), Payload { msg: body, aad }).ok()
    }

    fn hash(&self, kind: &str, plain: &[u8]) -> Vec<u8> {
        self.index.clone().chain_update(kind).chain_update([0]).chain_update(plain).finalize().into_bytes().to_vec()
    }
}

/// The name of the key, where the format has one, and the rest.
fn split(sealed: &[u8]) -> Option<(Option<&[u8; KEY_ID_LENGTH]>, &[u8])> {
    match sealed.split_first()? {
        (&NAMELESS, rest) => Some((None, rest)),
        (&NAMED, rest) => rest.split_first_chunk().map(|(id, rest)| (Some(id), rest)),
        _ => None,
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

    const PHONE: &str = "13800138000";

    #[test]
    fn a_sealed_value_opens_only_in_its_place() {
        let vault = Vault::new(&[7; 32], []);
        let (row, other) = (Id::new(), Id::new());
        let sealed = vault.seal("persons", "phone", row, PHONE).expect("sealed");
        assert!(!sealed.windows(11).any(|w| w == PHONE.as_bytes()));
        assert_eq!(vault.open("persons", "phone", row, &sealed).expect("opened"), PHONE);
        assert!(vault.open("persons", "phone", other, &sealed).is_err());
        assert!(vault.open("persons", "id_number", row, &sealed).is_err());
        assert!(Vault::new(&[8; 32], []).open("persons", "phone", row, &sealed).is_err());
        assert_ne!(sealed, vault.seal("persons", "phone", row, PHONE).expect("sealed"));
        assert_eq!(vault.hash("phone", "1"), vault.hash("phone", "1"));
        assert_ne!(vault.hash("phone", "1"), vault.hash("id_number", "1"));
    }

    #[test]
    fn a_value_names_the_key_that_opens_it() {
        let (former, next) = (Vault::new(&[7; 32], []), Vault::new(&[8; 32], [&[9; 32], &[7; 32]]));
        let row = Id::new();
        let sealed = former.seal("persons", "phone", row, PHONE).expect("sealed");
        assert_eq!((sealed[0], &sealed[1..5]), (2, &former.present.id[..]));
        assert!(former.is_present(&sealed) && !next.is_present(&sealed));
        assert_eq!(next.open("persons", "phone", row, &sealed).expect("opened"), PHONE);
        let resealed = next.seal("persons", "phone", row, PHONE).expect("sealed");
        assert!(next.is_present(&resealed));
        assert!(former.open("persons", "phone", row, &resealed).is_err());
        // The right key under another's name isn't tried, and what is no sealed value at all opens with none.
        let misnamed = [&sealed[..1], &next.present.id, &sealed[5..]].concat();
        for wrong in [&misnamed[..], &[3; 40], &sealed[..9], &sealed[..3], &[]] {
            assert!(next.open("persons", "phone", row, wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(next.hashes("phone", PHONE)[0], next.hash("phone", PHONE));
        assert!(next.hashes("phone", PHONE).contains(&former.hash("phone", PHONE)));
    }

    /// As the service wrote them before a value named its key: bytes that were kept, and the hash of then.
    #[test]
    fn what_was_sealed_before_keys_had_names_still_opens() {
        let row: Id = "01920000-0000-7000-8000-000000000001".parse().expect("an id");
        let key = Key::new(&[7; 32]);
        let payload = Payload { msg: PHONE.as_bytes(), aad: "persons\u{1F}phone\u{1F}01920000-0000-7000-8000-000000000001".as_bytes() };
        let body = key.cipher.encrypt(&Nonce::from([5; 12]), payload).expect("sealed");
        let sealed = [&[1][..], &[5; 12], &body].concat();
        let vault = Vault::new(&[8; 32], [&[7; 32]]);
        assert_eq!(vault.open("persons", "phone", row, &sealed).expect("opened"), PHONE);
        assert!(!vault.is_present(&sealed) && !Vault::new(&[7; 32], []).is_present(&sealed));
        assert!(Vault::new(&[8; 32], []).open("persons", "phone", row, &sealed).is_err());
    }
}
