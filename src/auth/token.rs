//! Access tokens: JWTs signed with Ed25519, ten minutes long. They name the user and the session; what the user may
//! do is read from the database.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::config::SigningKeyFiles;
use crate::error::{Code, Error, Result};
use crate::types::{Id, Instant};

pub const LIFETIME_SECONDS: i64 = 600;
const LEEWAY_SECONDS: u64 = 30;
const TYPE: &str = "at+jwt";
/// Verified tokens that are remembered; checking a signature costs more than the rest of a small request.
const REMEMBERED: usize = 4_096;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: Id,
    pub client_id: String,
    /// The session, which a logout ends.
    pub sid: Id,
    pub iat: i64,
    pub exp: i64,
    pub jti: Id,
}

struct Verifier {
    kid: String,
    x: String,
    key: DecodingKey,
    public: VerifyingKey,
}

/// The signing key, and the older ones whose tokens still count.
pub struct Keys {
    kid: String,
    signing: EncodingKey,
    /// The same key, for what isn't a token: checkpoints of the audit log.
    seal: SigningKey,
    verifiers: Vec<Verifier>,
    issuer: String,
    audience: String,
    seen: Mutex<HashMap<[u8; 32], Claims>>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.kid)
    }
}

fn verifier(pem: &str) -> Result<Verifier, String> {
    let key = SigningKey::from_pkcs8_pem(pem).map_err(|_| "the key is not an Ed25519 private key in PKCS#8 PEM".to_owned())?;
    let public = key.verifying_key();
    let x = URL_SAFE_NO_PAD.encode(public.as_bytes());
    // RFC 7638: the thumbprint of the members that make the key, in the order of their names.
    let kid = URL_SAFE_NO_PAD.encode(Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)));
    let key = DecodingKey::from_ed_components(&x).map_err(|e| e.to_string())?;
    Ok(Verifier { kid, x, key, public })
}

impl Keys {
    /// From their files.
    pub fn read(files: &SigningKeyFiles, issuer: &str, audience: &str) -> Result<Self, String> {
        let (signing, others) = files.read()?;
        Self::new(&signing, &others, issuer.to_owned(), audience.to_owned())
    }

    /// Whether the same key signs, and the same ones are accepted.
    pub fn are_those_of(&self, other: &Self) -> bool {
        self.verifiers.iter().map(|v| &v.kid).eq(other.verifiers.iter().map(|v| &v.kid))
    }

    pub fn new(signing_pem: &str, others: &[Zeroizing<String>], issuer: String, audience: String) -> Result<Self, String> {
        let current = verifier(signing_pem).map_err(|e| format!("YIYONG_SIGNING_KEY_FILE: {e}"))?;
        let kid = current.kid.clone();
        let mut verifiers = vec![current];
        for pem in others {
            verifiers.push(verifier(pem).map_err(|e| format!("YIYONG_OTHER_SIGNING_KEY_FILES: {e}"))?);
        }
        let signing = EncodingKey::from_ed_pem(signing_pem.as_bytes()).map_err(|e| e.to_string())?;
        let seal = SigningKey::from_pkcs8_pem(signing_pem).map_err(|e| e.to_string())?;
        Ok(Self { kid, signing, seal, verifiers, issuer, audience, seen: Mutex::default() })
    }

    /// A new signing key.
    pub fn generate_pem() -> String {
        let secret: [u8; 32] = rand::random();
        SigningKey::from_bytes(&secret).to_pkcs8_pem(LineEnding::LF).map(|pem| pem.to_string()).unwrap_or_default()
    }

    /// The public keys, for those who verify our tokens.
    pub fn jwks(&self) -> Value {
        let keys: Vec<Value> = self
            .verifiers
            .iter()
            .map(|v| json!({"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": v.kid, "x": v.x}))
            .collect();
        json!({ "keys": keys })
    }

    /// Of the key that signs.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// A signature in base64url. No token reads like what is signed here, which begins with a name of its own.
    pub fn sign(&self, message: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.seal.sign(message).to_bytes())
    }

    /// Whether a key has signed this; `None` when it isn't one of ours.
    pub fn has_signed(&self, kid: &str, message: &[u8], signature: &str) -> Option<bool> {
        let verifier = self.verifiers.iter().find(|v| v.kid == kid)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
        Some(signature.is_some_and(|signature| verifier.public.verify_strict(message, &signature).is_ok()))
    }

    pub fn issue(&self, user_id: Id, username: &str, session_id: Id, now: Instant) -> Result<String> {
        let iat = now.0.timestamp();
        let claims = Claims {
            iss: self.issuer.clone(),
            aud: self.audience.clone(),
            sub: user_id,
            client_id: username.to_owned(),
            sid: session_id,
            iat,
            exp: iat + LIFETIME_SECONDS,
            jti: Id::new(),
        };
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some(TYPE.to_owned());
        header.kid = Some(self.kid.clone());
        encode(&header, &claims, &self.signing).map_err(Error::internal)
    }

    pub fn verify(&self, token: &str, now: Instant) -> Result<Claims> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let now = now.0.timestamp();
        let known = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some(claims) = known {
            return if claims.exp + LEEWAY_SECONDS as i64 > now { Ok(claims) } else { Err(Error::new(Code::InvalidToken)) };
        }
        let claims = self.verify_signature(token).ok_or_else(|| Error::new(Code::InvalidToken))?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED {
            seen.retain(|_, claims| claims.exp > now);
            if seen.len() >= REMEMBERED {
                seen.clear();
            }
        }
        seen.insert(digest, claims.clone());
        Ok(claims)
    }

    fn verify_signature(&self, token: &str) -> Option<Claims> {
        if !plain_header(token) {
            return None;
        }
        let header = decode_header(token).ok()?;
        if header.typ.as_deref() != Some(TYPE) || header.alg != Algorithm::EdDSA {
            return None;
        }
        let verifier = self.verifiers.iter().find(|v| Some(&v.kid) == header.kid.as_ref())?;
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.leeway = LEEWAY_SECONDS;
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Some(decode::<Claims>(token, &verifier.key, &validation).ok()?.claims)
    }
}

/// Whether a token's header holds nothing that would point to a key of the caller's choice.
fn plain_header(token: &str) -> bool {
    token
        .split('.')
        .next()
        .and_then(|head| URL_SAFE_NO_PAD.decode(head).ok())
        .and_then(|bytes| serde_json::from_slice::<serde_json::Map<String, Value>>(&bytes).ok())
        .is_some_and(|head| !["jku", "x5u", "jwk", "x5c", "crit"].iter().any(|name| head.contains_key(*name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(pem: &str) -> Keys {
        Keys::new(pem, &[], "https://issuer".into(), "yiyong".into()).expect("keys")
    }

    #[test]
    fn only_our_own_living_tokens_count() {
        let pem = Keys::generate_pem();
        let ours = keys(&pem);
        let now = Instant::now();
        let (user, session) = (Id::new(), Id::new());
        let token = ours.issue(user, "someone", session, now).expect("a token");
        let claims = ours.verify(&token, now).expect("verified");
        assert_eq!((claims.sub, claims.sid), (user, session));
        // From memory it ends as well.
        assert!(ours.verify(&token, now.plus_seconds(LIFETIME_SECONDS + 31)).is_err());

        let old = ours.issue(user, "someone", session, now.plus_seconds(-700)).expect("a token");
        let foreign = keys(&Keys::generate_pem()).issue(user, "someone", session, now).expect("a token");
        let elsewhere =
            Keys::new(&pem, &[], "https://other".into(), "yiyong".into()).expect("keys").issue(user, "x", session, now).expect("a token");
        let mut header = Header::new(Algorithm::EdDSA);
        header.kid = Some(ours.kid.clone());
        let untyped = encode(&header, &claims, &ours.signing).expect("a token");
        header.typ = Some(TYPE.into());
        header.jku = Some("https://elsewhere/keys".into());
        let pointing = encode(&header, &claims, &ours.signing).expect("a token");
        let unsigned =
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"at+jwt"}"#), token.split('.').nth(1).expect("claims"));
        for wrong in [old, foreign, elsewhere, untyped, pointing, unsigned, "x".into(), String::new()] {
            assert_eq!(ours.verify(&wrong, now).map(|_| ()).map_err(|e| e.code), Err(Code::InvalidToken), "{wrong}");
        }
    }
}
