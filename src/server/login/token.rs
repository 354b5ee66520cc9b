//! The text in a session's cookie: a JWT (RFC 7519) under HS256, and no other algorithm, whatever its header says.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, crypto};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::base::secret::Secret;
use crate::base::time::Timestamp;

const ALGORITHM: Algorithm = Algorithm::HS256;
const ISSUER: &str = "agp";
const AUDIENCE: &str = "agp-admin";
const SUBJECT: &str = "admin";
/// Tells it from whatever else may one day be signed with the same secret.
const KIND: &str = "session";

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    jti: String,
    iat: i64,
    exp: i64,
    kind: String,
}

/// A session's own name, which nobody can guess.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Id(String);

impl Id {
    /// A new one.
    ///
    /// # Errors
    /// The system gives no randomness.
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// By which it is kept: who reads that can't name the session.
    pub(super) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }
}

/// Signs and reads tokens.
pub(super) struct Signer<'a>(&'a Secret);

impl<'a> Signer<'a> {
    pub(super) fn new(secret: &'a Secret) -> Self {
        Self(secret)
    }

    /// The token of a session; `None` in the impossible case that it can't be signed.
    pub(super) fn token(&self, id: &Id, now: Timestamp, expires: Timestamp) -> Option<String> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: SUBJECT.to_owned(),
            jti: id.0.clone(),
            iat: now.as_secs(),
            // A whole second later than the session's own end, which is what counts.
            exp: expires.as_secs() + 1,
            kind: KIND.to_owned(),
        };
        jsonwebtoken::encode(&Header::new(ALGORITHM), &claims, &self.encoding()).ok()
    }

    /// The session that a token names; `None` where it was not signed here, for this, or where its time is over.
    pub(super) fn read(&self, token: &str, now: Timestamp) -> Option<Id> {
        let mut wanted = Validation::new(ALGORITHM);
        wanted.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        wanted.set_issuer(&[ISSUER]);
        wanted.set_audience(&[AUDIENCE]);
        wanted.sub = Some(SUBJECT.to_owned());
        // Judged below: the crate reads a clock of its own.
        wanted.validate_exp = false;
        let key = DecodingKey::from_secret(self.0.expose().as_bytes());
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &wanted)
            .ok()?
            .claims;
        (claims.kind == KIND && now.as_secs() < claims.exp).then_some(Id(claims.jti))
    }

    /// What a page must send back to show that it was read by the one who signed in.
    pub(super) fn csrf(&self, id: &Id) -> Option<Secret> {
        self.mark("csrf", &id.0).map(Secret::new)
    }

    /// Stands for a password: equal where the password is.
    pub(super) fn password(&self, material: &Secret) -> Option<String> {
        self.mark("password", material.expose())
    }

    /// A keyed hash. `what` keeps the uses apart, from tokens too: these begin with the base64 of a brace.
    fn mark(&self, what: &str, text: &str) -> Option<String> {
        let message = Zeroizing::new(format!("{what}:{text}"));
        crypto::sign(message.as_bytes(), &self.encoding(), ALGORITHM).ok()
    }

    fn encoding(&self) -> EncodingKey {
        EncodingKey::from_secret(self.0.expose().as_bytes())
    }
}

/// Compares marks in constant time.
pub(super) fn same(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// 32 random bytes to sign with, as text.
///
/// # Errors
/// The system gives no randomness.
pub(super) fn random_secret() -> Result<Secret, getrandom::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes)?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn secret() -> Secret {
        Secret::new("a secret of a test that protects nothing")
    }

    fn forged(header: &Value, claims: &Value, key: Option<(&str, Algorithm)>) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(header), part(claims));
        let signature = key.map_or_else(String::new, |(key, algorithm)| {
            let key = EncodingKey::from_secret(key.as_bytes());
            crypto::sign(message.as_bytes(), &key, algorithm).unwrap()
        });
        format!("{message}.{signature}")
    }

    fn claims() -> Value {
        json!({
            "iss": "agp", "aud": "agp-admin", "sub": "admin", "jti": "x", "kind": "session",
            "iat": NOW.as_secs(), "exp": NOW.as_secs() + 60,
        })
    }

    #[test]
    fn a_token_is_read_until_its_time_is_over() {
        let secret = secret();
        let signer = Signer::new(&secret);
        let id = Id::random().unwrap();
        let ends = NOW.plus(std::time::Duration::from_mins(1));
        let token = signer.token(&id, NOW, ends).unwrap();
        assert!(signer.read(&token, NOW).is_some_and(|read| read == id));
        let over = ends.plus(std::time::Duration::from_secs(1));
        assert!(signer.read(&token, over).is_none());
        let other = Secret::new("another secret of a test");
        assert!(Signer::new(&other).read(&token, NOW).is_none());
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let tampered = String::from_utf8(bytes).unwrap();
            let read = signer.read(&tampered, NOW);
            // The last character's lowest bits are none of the signature's.
            assert!(read.is_none() || at == token.len() - 1, "{at}");
        }
    }

    #[test]
    fn what_was_not_signed_for_this_is_none() {
        let secret = secret();
        let signer = Signer::new(&secret);
        let own = secret.expose();
        let hs256 = json!({"alg": "HS256", "typ": "JWT"});
        let good = forged(&hs256, &claims(), Some((own, Algorithm::HS256)));
        assert!(signer.read(&good, NOW).is_some());
        let key = |algorithm| Some((own, algorithm));
        for (alg, key) in [
            ("none", None),
            ("None", None),
            ("", None),
            ("HS256", None),
            ("RS256", key(Algorithm::HS256)),
            ("ES256", key(Algorithm::HS256)),
            ("HS384", key(Algorithm::HS384)),
            ("HS512", key(Algorithm::HS512)),
            ("HS256", key(Algorithm::HS512)),
            ("HS256", Some(("", Algorithm::HS256))),
        ] {
            let token = forged(&json!({"alg": alg, "typ": "JWT"}), &claims(), key);
            assert!(signer.read(&token, NOW).is_none(), "{alg} {key:?}");
        }
        for (claim, value) in [
            ("aud", json!("agp")),
            ("aud", Value::Null),
            ("iss", json!("other")),
            ("sub", json!("somebody")),
            ("kind", json!("refresh")),
            ("exp", json!(NOW.as_secs() - 1)),
            ("exp", json!("tomorrow")),
        ] {
            let mut changed = claims();
            changed[claim] = value.clone();
            let token = forged(&hs256, &changed, key(Algorithm::HS256));
            assert!(signer.read(&token, NOW).is_none(), "{claim} {value}");
            changed.as_object_mut().unwrap().remove(claim);
            let token = forged(&hs256, &changed, key(Algorithm::HS256));
            assert!(signer.read(&token, NOW).is_none(), "without {claim}");
        }
        for junk in ["", ".", "..", "a.b.c", "a.b", &"x".repeat(1000)] {
            assert!(signer.read(junk, NOW).is_none(), "{junk}");
        }
    }

    #[test]
    fn marks_of_different_uses_differ() {
        let secret = secret();
        let signer = Signer::new(&secret);
        let id = Id("x".to_owned());
        let csrf = signer.csrf(&id).unwrap();
        assert_ne!(csrf.expose(), signer.password(&Secret::new("x")).unwrap());
        assert_ne!(csrf, signer.csrf(&Id("y".to_owned())).unwrap());
        assert!(same("a", "a") && !same("a", "b") && !same("a", "aa"));
    }
}
