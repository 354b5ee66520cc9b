//! `agp login UPSTREAM`: from a consent address to the `[accounts.NAME]` table to paste.

use std::io::{BufRead, Read as _, Write};

use crate::base::secret::Secret;
use crate::config::model::{Kind, Upstream};
use crate::pool::failure::{Class, Failure};
use crate::upstream::oauth::{self, CallbackError, OAuthClient, Pkce};

/// Longest line that is read: many times a callback address.
const MAX_LINE: u64 = 64 << 10;

/// Makes the sealed text (`agp1:…`) of a secret.
pub type Seal<'a> = &'a dyn Fn(&Secret) -> Result<String, String>;

/// Leads a person through signing in to `upstream`: prints the consent address, reads the callback address or the code
/// from `input`, trades it for a refresh token and prints the account's table. Without `seal` the token is printed in
/// clear, with a comment that says so.
///
/// # Errors
/// A sentence for people: what was refused and what to do.
pub async fn login(
    upstream_name: &str,
    upstream: &Upstream,
    client: OAuthClient,
    http: &reqwest::Client,
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    seal: Option<Seal<'_>>,
) -> Result<(), String> {
    if upstream.kind != Kind::Antigravity {
        return Err(format!(
            "upstream `{upstream_name}` is not of a kind that people sign in to; `agp login` is for kind `antigravity`"
        ));
    }
    let (state, pkce) = (oauth::new_state()?, Pkce::new()?);
    let url = oauth::authorize_url(&client, &state, &pkce.challenge)?;
    let intro = format!(
        "Open this address and consent:\n\n  {url}\n\nThe browser then goes to {}, where nothing needs to answer.\nPaste the \
         address of that page, or the code alone, and press Enter:\n",
        client.redirect_uri
    );
    say(output, &intro)?;
    let code = read_code(input, output, &state)?;
    let grant = oauth::exchange(http, &client, &code, &pkce.verifier)
        .await
        .map_err(|failure| explain(&failure))?;
    let refresh_token = grant.refresh_token.ok_or(
        "the provider gave no refresh token; remove agp's access in the account's settings, then sign in again",
    )?;
    // The table is good without the address, so that this failure is only told.
    let email = match oauth::userinfo(http, &client, &grant.access_token).await {
        Ok(who) => who.email,
        Err(failure) => {
            say(
                output,
                &format!("\n(who signed in could not be read: {})\n", failure.message),
            )?;
            None
        }
    };
    let credential = match seal {
        Some(seal) => format!("{{ sealed = {} }}", toml_text(&seal(&refresh_token)?)),
        None => toml_text(refresh_token.expose()),
    };
    let table = account_table(upstream_name, email.as_deref(), &credential, seal.is_some());
    say(output, &format!("\nPaste this into agp.toml:\n\n{table}"))
}

fn say(output: &mut dyn Write, text: &str) -> Result<(), String> {
    output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
        .map_err(|error| format!("can't write: {error}"))
}

/// Reads lines until one holds a code. What can't be read is asked for again; what the provider refused ends it.
fn read_code(
    input: &mut dyn BufRead,
    output: &mut dyn Write,
    state: &str,
) -> Result<Secret, String> {
    loop {
        let mut line = Vec::new();
        let read = input
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|error| format!("can't read the callback address: {error}"))?;
        if read == 0 {
            return Err(
                "expected the callback address or the code, found the end of the input".to_owned(),
            );
        }
        let line = String::from_utf8_lossy(&line);
        if line.trim().is_empty() {
            continue;
        }
        match oauth::parse_callback(&line, state) {
            Ok(code) => return Ok(code),
            Err(error @ CallbackError::Refused(_)) => return Err(error.to_string()),
            Err(error) => say(output, &format!("{error}; try again:\n"))?,
        }
    }
}

/// What a failed exchange means here. At the exchange a dead grant is a code that was used or has grown old
/// (upstream-protocol.md 1.2), and no account is at fault.
fn explain(failure: &Failure) -> String {
    match failure.class {
        Class::AccountInvalid => {
            "the code is used up or too old; run `agp login` again and paste the new one at once"
                .to_owned()
        }
        Class::OauthConfig => format!(
            "the provider refuses the OAuth client ({}); check `oauth` of this upstream",
            failure.detail
        ),
        _ => format!("{} ({}); try again", failure.message, failure.detail),
    }
}

fn account_table(
    upstream_name: &str,
    email: Option<&str>,
    credential: &str,
    sealed: bool,
) -> String {
    let mut lines = vec![
        format!("[accounts.{}]", account_name(email)),
        format!("upstream = {}", toml_text(upstream_name)),
    ];
    lines.extend(email.map(|email| format!("email = {}", toml_text(email))));
    if !sealed {
        lines.push(
            "# In clear: keep it out of git. Better { env = \"NAME\" }, { file = \"path\" } or a sealed value."
                .to_owned(),
        );
    }
    lines.push(format!("refresh_token = {credential}\n"));
    lines.join("\n")
}

/// A name for the table: the e-mail's local part in characters that need no quotes.
fn account_name(email: Option<&str>) -> String {
    let local = email
        .and_then(|email| email.split('@').next())
        .unwrap_or_default();
    let name: String = local
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '_' {
                c.to_ascii_lowercase()
            } else {
                '-'
            }
        })
        .collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "account" } else { name }.to_owned()
}

/// The text as a TOML string.
fn toml_text(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests;
