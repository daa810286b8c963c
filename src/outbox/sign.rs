//! How a delivery proves where it comes from: by the scheme of Standard Webhooks, which libraries in all languages can check.
//!
//! `webhook-signature` holds `v1,` and the HMAC-SHA256, in base64, of `webhook-id`, `webhook-timestamp` and the body, with dots between.
//! While a former secret still counts there are two, with a space between; one that fits is enough.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{KeyInit, Mac};
use rand::Rng;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::types::{Id, Instant};

const PREFIX: &str = "whsec_";
const LENGTH: usize = 32;

/// The bytes by which a webhook's deliveries are signed.
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    pub fn random() -> Self {
        let mut bytes = Zeroizing::new(vec![0; LENGTH]);
        rand::rng().fill(&mut bytes[..]);
        Self(bytes)
    }

    pub fn of_bytes(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As its owner gives it to a library.
    pub fn text(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }

    fn sign(&self, id: &str, at: i64, body: &[u8]) -> String {
        let hmac = <hmac::Hmac<Sha256> as KeyInit>::new_from_slice(&self.0).expect("HMAC takes a key of any length");
        let mac = hmac.chain_update(format!("{id}.{at}.")).chain_update(body).finalize();
        format!("v1,{}", STANDARD.encode(mac.into_bytes()))
    }
}

/// The three headers of a delivery.
pub fn headers(secrets: &[Secret], id: Id, at: Instant, body: &[u8]) -> [(&'static str, String); 3] {
    let (id, at) = (id.to_string(), at.0.timestamp());
    let signatures: Vec<String> = secrets.iter().map(|secret| secret.sign(&id, at, body)).collect();
    [("webhook-id", id), ("webhook-timestamp", at.to_string()), ("webhook-signature", signatures.join(" "))]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the scheme's own libraries.
    #[test]
    fn a_signature_is_what_others_expect() {
        let secret = Secret::of_bytes(STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("base64"));
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn two_secrets_sign_side_by_side() {
        let (one, other) = (Secret::random(), Secret::random());
        assert!(one.text().starts_with("whsec_") && one.text() != other.text());
        assert_eq!(STANDARD.decode(&one.text()[PREFIX.len()..]).expect("base64"), one.bytes());
        let (id, at) = (Id::new(), Instant::now());
        let both = headers(&[one.clone(), other.clone()], id, at, b"{}");
        let of = |secrets: &[Secret]| headers(secrets, id, at, b"{}")[2].1.clone();
        assert_eq!(both[2].1, format!("{} {}", of(std::slice::from_ref(&one)), of(&[other])));
        assert_ne!(of(std::slice::from_ref(&one)), headers(&[one], id, at, b"{ }")[2].1);
    }
}
