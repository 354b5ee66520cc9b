//! The secrets of `[admin]`.

use crate::base::secret::Secret;
use crate::config::model::{Config, Password, SecretRef};
use crate::config::weak;
use crate::runtime::build::Context;
use crate::runtime::signin::{KnownPassword, SignIn};

/// Reads them. A weak one is refused wherever it was kept. Where no panel is served, none is looked for.
pub(super) fn sign_in(config: &Config, context: &Context<'_>, errors: &mut Vec<String>) -> SignIn {
    let admin = &config.admin;
    if !admin.enabled {
        return SignIn::default();
    }
    let mut read = |key: &str, secret: &SecretRef, weakness: fn(&str) -> Option<String>| {
        let secret = match context.secrets.resolve(secret) {
            Ok(secret) => secret,
            Err(error) => {
                errors.push(format!("admin.{key}: {error}"));
                return None::<Secret>;
            }
        };
        match weakness(secret.expose()) {
            None => Some(secret),
            Some(why) => {
                errors.push(format!("admin.{key}: {why}"));
                None
            }
        }
    };
    let signing = admin
        .jwt_secret
        .as_ref()
        .and_then(|secret| read("jwt_secret", secret, weak::signing_secret));
    let password = match &admin.password {
        Some(Password::Hash(hash)) => Some(KnownPassword::Hash(hash.clone())),
        Some(Password::Plain(secret)) => {
            read("password", secret, weak::password).map(KnownPassword::Plain)
        }
        None => None,
    };
    SignIn { password, signing }
}
