//! Whether a password is the right one. Blocks for as long as the hash takes, which is meant to be long.

use argon2::{Argon2, PasswordHash, PasswordVerifier as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::runtime::signin::KnownPassword;

/// Longest password in bytes.
pub(in crate::server) const LONGEST: usize = 1024;

/// Whether `given` is the password. The same work is done whatever is known, so that the time it takes tells neither
/// whether a password is set nor how close the given one is.
pub(super) fn is_right(known: Option<&KnownPassword>, given: &str) -> bool {
    match known {
        Some(KnownPassword::Hash(hash)) => PasswordHash::new(hash.expose()).is_ok_and(|hash| {
            let argon = Argon2::default();
            argon.verify_password(given.as_bytes(), &hash).is_ok()
        }),
        Some(KnownPassword::Plain(password)) => {
            work(given);
            let digest = |text: &str| Sha256::digest(text.as_bytes());
            digest(password.expose()).ct_eq(&digest(given)).into()
        }
        None => {
            work(given);
            false
        }
    }
}

/// What hashing costs.
fn work(given: &str) {
    let mut hash = [0; 32];
    // It fails for salts of other lengths only; there is nothing to tell.
    let _ = Argon2::default().hash_password_into(given.as_bytes(), &[0; 16], &mut hash);
    std::hint::black_box(hash);
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use argon2::password_hash::{PasswordHasher as _, SaltString};

    use super::*;
    use crate::base::secret::Secret;

    fn known(password: &str) -> [KnownPassword; 2] {
        let salt = SaltString::encode_b64(&[7; 16]).unwrap();
        let hash = Argon2::default()
            .hash_password(password.as_bytes(), &salt)
            .unwrap();
        [
            KnownPassword::Hash(Secret::new(hash.to_string())),
            KnownPassword::Plain(Secret::new(password)),
        ]
    }

    #[test]
    fn only_the_whole_password_is_right() {
        for known in known("correct: horse") {
            assert!(is_right(Some(&known), "correct: horse"));
            for wrong in ["", "correct", "correct: horse ", "Correct: horse", " horse"] {
                assert!(!is_right(Some(&known), wrong), "{wrong}");
            }
        }
        assert!(!is_right(None, ""));
        let broken = KnownPassword::Hash(Secret::new("$argon2id$broken"));
        assert!(!is_right(Some(&broken), ""));
    }

    /// Medians of the times, within a wide margin: the hash is nearly all of it.
    #[test]
    fn a_wrong_password_takes_as_long_whatever_is_known() {
        let [hash, plain] = known("correct horse battery");
        let cases = [
            (Some(&hash), "correct horse batterx"),
            (Some(&hash), "nothing like it"),
            (Some(&plain), "correct horse batterx"),
            (Some(&plain), "nothing like it"),
            (None, "nothing like it"),
        ];
        let mut times = cases.map(|_| Vec::new());
        for _ in 0..7 {
            for (case, times) in cases.iter().zip(&mut times) {
                let begun = Instant::now();
                assert!(!is_right(case.0, case.1));
                times.push(begun.elapsed());
            }
        }
        let medians: Vec<Duration> = times
            .into_iter()
            .map(|mut times| {
                times.sort();
                times[3]
            })
            .collect();
        let (least, most) = (medians.iter().min().unwrap(), medians.iter().max().unwrap());
        assert!(*most < *least * 2, "{medians:?}");
        assert!(*least > Duration::from_millis(2), "{medians:?}");
    }
}
