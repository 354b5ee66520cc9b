//! What a person pastes after consenting: the address of the page that did not load, or the code alone.

use percent_encoding::percent_decode_str;
use reqwest::Url;

use crate::base::secret::Secret;

/// Why a pasted text gives no code.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallbackError {
    /// It is neither an address nor a code.
    #[error(
        "expected the whole callback address or the code, found neither; copy the address bar of the page that the consent led to"
    )]
    Unreadable,
    /// The address has no code.
    #[error(
        "the address holds no `code`; copy the address of the page that opens after the consent"
    )]
    NoCode,
    /// The consent page said no.
    #[error("the consent page answered `{0}`; sign in again")]
    Refused(String),
    /// The address belongs to another sign-in.
    #[error(
        "the address belongs to another sign-in (its `state` is not the one given out); use the newest consent address"
    )]
    WrongState,
}

/// Reads the code out of what was pasted: a whole address, its query, or the bare code, which may be percent-encoded. An
/// address pasted twice is cut to one (original.md 6). A bare code brings no state; PKCE alone protects it then.
///
/// # Errors
/// See [`CallbackError`].
pub fn parse_callback(pasted: &str, state: &str) -> Result<Secret, CallbackError> {
    let text = pasted.trim().trim_matches(['"', '\'', '<', '>', '`']);
    let mut words = text.split_whitespace();
    let text = words.next().unwrap_or_default();
    match query_of(text) {
        Some(query) => code_of_query(query, state),
        // A code is one word: several are a sentence.
        None if words.next().is_some() => Err(CallbackError::Unreadable),
        None => bare_code(text),
    }
}

/// The query of an address, also of one that begins at its path or its query; `None` for what is no address.
fn query_of(text: &str) -> Option<&str> {
    let query = if let Some((address, query)) = text.split_once('?') {
        // The provider puts addresses into `scope`, so only the callback's own address begins the second copy.
        match address {
            "" => query,
            _ => query.split(address).next().unwrap_or(query),
        }
    } else if text.contains("://") {
        ""
    } else if text.starts_with("code=") || text.contains("&code=") || text.starts_with("error=") {
        text
    } else {
        return None;
    };
    Some(query.split('#').next().unwrap_or(query))
}

fn code_of_query(query: &str, state: &str) -> Result<Secret, CallbackError> {
    // The base is there to have the query read by the rules of addresses; it goes nowhere.
    let mut url = Url::parse("http://localhost/").map_err(|_| CallbackError::Unreadable)?;
    url.set_query(Some(query));
    let field = |name: &str| {
        url.query_pairs()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    };
    if let Some(error) = field("error") {
        let shown = error
            .chars()
            .filter(|c| !c.is_control())
            .take(100)
            .collect();
        return Err(CallbackError::Refused(shown));
    }
    let code = field("code")
        .filter(|code| !code.is_empty())
        .ok_or(CallbackError::NoCode)?;
    if field("state").as_deref() != Some(state) {
        return Err(CallbackError::WrongState);
    }
    Ok(Secret::new(code))
}

fn bare_code(text: &str) -> Result<Secret, CallbackError> {
    let code = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| CallbackError::Unreadable)?;
    let is_code = !code.is_empty()
        && code
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"/-_.~+=".contains(&b));
    if is_code {
        Ok(Secret::new(code.into_owned()))
    } else {
        Err(CallbackError::Unreadable)
    }
}
