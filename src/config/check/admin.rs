//! `[admin]`: who may sign in, and that nobody is let in where other machines reach the panel and no password is set.

use std::collections::BTreeMap;

use crate::config::check::Cx;
use crate::config::diagnostic::Code;
use crate::config::model::{self, Password, SecretRef};
use crate::config::raw;
use crate::config::tree::KeyPath;
use crate::config::value::SecretText;
use crate::config::weak;

impl Cx<'_> {
    pub(super) fn admin(&mut self) -> model::Admin {
        let admin = &self.raw.admin;
        for name in admin.tokens.keys() {
            if name.is_empty() {
                self.bad(
                    &KeyPath::from(["admin", "tokens", name]),
                    "a token needs a name",
                );
            }
        }
        let password = self.password();
        self.guarded();
        let remember = admin.remember_ttl.0;
        model::Admin {
            enabled: admin.enabled,
            // At the clients' address it needs no listener of its own.
            listen: (admin.listen.as_ref().map(|at| at.0))
                .filter(|at| *at != self.raw.server.listen.0 || at.port() == 0),
            password,
            session_ttl: admin.session_ttl.0,
            remember_ttl: (!remember.is_zero()).then_some(remember),
            jwt_secret: self.strong(
                "jwt_secret",
                admin.jwt_secret.as_ref(),
                weak::signing_secret,
            ),
            password_as_bearer: admin.password_as_bearer,
            write_back: admin.write_back,
            patch_prefix: admin.patch_prefix.clone(),
            time_zone: admin.time_zone.0.clone(),
            tokens: self.tokens(),
        }
    }

    fn password(&mut self) -> Option<Password> {
        let admin = &self.raw.admin;
        if admin.password.is_some() && admin.password_hash.is_some() {
            let path = KeyPath::from(["admin", "password"]);
            let diagnostic = self
                .at(
                    Code::Conflict,
                    &path,
                    "`admin.password` and `admin.password_hash` can't both be given",
                )
                .with_help("keep `password_hash`".to_owned());
            self.report(diagnostic);
        }
        let plain = self.strong("password", admin.password.as_ref(), weak::password);
        let hash = admin.password_hash.as_ref();
        hash.map(|hash| Password::Hash(hash.0.clone()))
            .or(plain.map(Password::Plain))
    }

    /// The reference of a secret of `[admin]`; one in clear must not be weak. What is elsewhere is judged when it is read.
    fn strong(
        &mut self,
        key: &str,
        text: Option<&SecretText>,
        weakness: fn(&str) -> Option<String>,
    ) -> Option<SecretRef> {
        let text = text?;
        let path = KeyPath::from(["admin", key]);
        let secret = self.secret(&path, text);
        if let SecretText::Plain(plain) = text
            && let Some(why) = weakness(plain.expose())
        {
            let diagnostic = self.at(Code::WeakSecret, &path, format!("`{path}`: {why}"));
            self.report(diagnostic);
        }
        Some(secret)
    }

    /// There is no default password: whoever lets other machines reach the panel sets one, or serves none.
    fn guarded(&mut self) {
        let admin = &self.raw.admin;
        let (key, at) = match &admin.listen {
            Some(at) => (["admin", "listen"], at.0),
            None => (["server", "listen"], self.raw.server.listen.0),
        };
        let password = ["password", "password_hash"];
        // One that was blamed already is not missing besides.
        let given = password
            .into_iter()
            .any(|key| self.given(&KeyPath::from(["admin", key])));
        if !admin.enabled || given || at.ip().to_canonical().is_loopback() {
            return;
        }
        let path = KeyPath::from(key);
        let diagnostic = self
            .at(
                Code::Unguarded,
                &path,
                format!("`{path}`: other machines reach the admin panel at {at}, and no password is set"),
            )
            .with_help(
                "put the line that `agp hash-password` prints under `[admin]`, or set `enabled = false` there"
                    .to_owned(),
            );
        self.report(diagnostic);
    }

    fn tokens(&mut self) -> BTreeMap<String, model::AdminToken> {
        let tokens = &self.raw.admin.tokens;
        let mut holders = BTreeMap::new();
        for (name, token) in tokens {
            if let Some(other) = holders.insert(token.sha256.0, name) {
                let diagnostic = self
                    .at(
                        Code::Conflict,
                        &KeyPath::from(["admin", "tokens", name, "sha256"]),
                        format!("this is the token `{other}` too: nobody could tell the two apart"),
                    )
                    .with_help("`agp key new --admin ROLE NAME` makes another one".to_owned());
                self.report(diagnostic);
            }
        }
        let tokens = tokens.iter().map(|(name, token)| {
            let role = match token.role {
                raw::Role::Read => model::Role::Read,
                raw::Role::Write => model::Role::Write,
            };
            let sha256 = token.sha256.0;
            (name.clone(), model::AdminToken { sha256, role })
        });
        tokens.collect()
    }
}
