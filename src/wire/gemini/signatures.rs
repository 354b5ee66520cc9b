//! Thinking signatures: their forms on either side. upstream-protocol.md 8.1, 8.2, 13.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::ir::{Losses, Signature, SignatureFamily, SignatureLookup};
use crate::wire::gemini::contents::{Content, Part};

/// Stands in for a signature that history never had; Google documents it for Gemini 3 (upstream-protocol.md 8.2).
pub(super) const SENTINEL: &str = "skip_thought_signature_validator";

/// The form that clients are given. Claude's signatures come base64-encoded once more (they begin with `R`) and go out
/// in Anthropic's own form (which begins with `E`); all others are passed on as they are.
pub(super) fn to_client(family: SignatureFamily, value: &str) -> Cow<'_, str> {
    match family {
        SignatureFamily::Claude => claude_native(value).map_or(Cow::Borrowed(value), Cow::Owned),
        SignatureFamily::Gemini => Cow::Borrowed(value),
    }
}

/// Claude's signature in the form that upstream 1 takes, from either form; `None` where the text is neither.
pub(super) fn claude_upstream(value: &str) -> Option<Cow<'_, str>> {
    if is_native(value) {
        Some(Cow::Owned(STANDARD.encode(value)))
    } else {
        claude_native(value).map(|_| Cow::Borrowed(value))
    }
}

/// Anthropic's own form of a signature in the upstream's form; `None` where it is not in that form.
pub(super) fn claude_native(value: &str) -> Option<String> {
    if !value.starts_with('R') {
        return None;
    }
    let text = String::from_utf8(STANDARD.decode(value).ok()?).ok()?;
    is_native(&text).then_some(text)
}

fn is_native(value: &str) -> bool {
    value.starts_with('E')
        && value.len() >= 8
        && value
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))
}

/// Puts back into the history what the upstream signed (upstream-protocol.md 13.3), and takes out what it must not see.
pub(super) struct Replay<'k> {
    /// What earlier answers left behind.
    pub(super) known: &'k dyn SignatureLookup,
    /// The second try after a refused signature (13.4): nothing of the history's signatures is used.
    pub(super) repair: bool,
    /// The signatures that went out, in the form in which the answers gave them.
    pub(super) used: Vec<String>,
}

impl Replay<'_> {
    /// Claude: signed thinking stays where the answer shall think. Gives `false` where it can't: then the running turn
    /// lacks a thinking block that nobody knows, all thinking is gone from the history, and this request must go
    /// without.
    pub(super) fn claude(
        &mut self,
        contents: &mut [Content<'_>],
        thinking: bool,
        losses: &mut Losses,
    ) -> bool {
        if !thinking || self.repair {
            let running = running_turn(contents);
            let needs = contents[running..]
                .iter()
                .any(|c| c.model && c.parts.iter().any(Part::is_call));
            drop_thoughts(contents, losses);
            return thinking && !needs;
        }
        for content in contents.iter_mut() {
            for part in &mut content.parts {
                if let Part::Thought {
                    text,
                    given,
                    signature,
                } = part
                {
                    *signature = self.claude_thought(text, *given).map(Cow::Owned);
                }
            }
            let before = content.parts.len();
            content.parts.retain(|p| {
                !matches!(
                    p,
                    Part::Thought {
                        signature: None,
                        ..
                    }
                )
            });
            if content.parts.len() < before {
                losses.note("thinking (history, unsigned)");
            }
        }
        let running = running_turn(contents);
        for content in contents[running..].iter_mut().filter(|c| c.model) {
            let bare = content.parts.iter().any(Part::is_call)
                && !matches!(content.parts.first(), Some(Part::Thought { .. }));
            if !bare {
                continue;
            }
            let Some(thought) = self.thought_before(content) else {
                self.used.clear();
                drop_thoughts(contents, losses);
                return false;
            };
            // It may stand further back, behind text that a client put first.
            if let Part::Thought { text: found, .. } = &thought {
                content
                    .parts
                    .retain(|p| !matches!(p, Part::Thought { text, .. } if text == found));
            }
            content.parts.insert(0, thought);
        }
        true
    }

    /// The upstream form of a thinking block's signature: the client's where it is Claude's and not known to belong
    /// elsewhere, else the stored one for this text.
    fn claude_thought(&mut self, text: &str, given: Option<&Signature>) -> Option<String> {
        let own = given
            .filter(|s| s.family != Some(SignatureFamily::Gemini))
            .and_then(|s| claude_upstream(&s.value))
            .filter(|up| {
                let native = to_client(SignatureFamily::Claude, up);
                self.known
                    .owner(&native)
                    .or_else(|| self.known.owner(up))
                    .is_none_or(|(family, of)| {
                        family == SignatureFamily::Claude && of.is_none_or(|of| of == text)
                    })
            })
            .map(Cow::into_owned);
        let upstream = own.or_else(|| {
            let stored = self.known.by_text(SignatureFamily::Claude, text)?;
            claude_upstream(&stored).map(Cow::into_owned)
        })?;
        self.used
            .push(to_client(SignatureFamily::Claude, &upstream).into_owned());
        Some(upstream)
    }

    /// The thinking that stood before one of these calls, as an earlier answer left it.
    fn thought_before<'a>(&mut self, content: &Content<'a>) -> Option<Part<'a>> {
        content.parts.iter().find_map(|part| {
            let Part::Call { id, .. } = part else {
                return None;
            };
            let found = self
                .known
                .by_call(id)
                .filter(|k| k.family == SignatureFamily::Claude)?;
            let text = found.thinking.filter(|t| !t.is_empty())?;
            let upstream = claude_upstream(&found.signature)?.into_owned();
            self.used
                .push(to_client(SignatureFamily::Claude, &upstream).into_owned());
            Some(Part::Thought {
                text: Cow::Owned(text),
                given: None,
                signature: Some(Cow::Owned(upstream)),
            })
        })
    }

    /// Gemini: signatures sit on calls; the thinking itself is not sent back. With `mandatory` (Gemini 3) the first call
    /// of a step gets the documented stand-in where no signature is known.
    pub(super) fn gemini(
        &mut self,
        contents: &mut [Content<'_>],
        mandatory: bool,
        losses: &mut Losses,
    ) {
        for content in contents.iter_mut().filter(|c| c.model) {
            let from_thinking = content.parts.iter().find_map(|p| match p {
                Part::Thought { given, .. } => given.filter(|g| self.is_surely_geminis(g)),
                _ => None,
            });
            let mut first = true;
            for part in &mut content.parts {
                match part {
                    Part::Call {
                        id,
                        given,
                        signature,
                        ..
                    } => {
                        let found = if self.repair {
                            None
                        } else {
                            self.gemini_call(id, *given).or_else(|| {
                                from_thinking.filter(|_| first).map(|s| s.value.clone())
                            })
                        };
                        self.used.extend(found.clone());
                        *signature = found
                            .map(Cow::Owned)
                            .or_else(|| (first && mandatory).then_some(Cow::Borrowed(SENTINEL)));
                        first = false;
                    }
                    Part::Text { signature, .. } if self.repair => *signature = None,
                    _ => {}
                }
            }
        }
        drop_thoughts(contents, losses);
    }

    fn gemini_call(&self, id: &str, given: Option<&Signature>) -> Option<String> {
        given
            .filter(|s| !s.value.is_empty() && s.family != Some(SignatureFamily::Claude))
            .filter(|s| {
                self.owner(s)
                    .is_none_or(|family| family == SignatureFamily::Gemini)
            })
            .map(|s| s.value.clone())
            .or_else(|| {
                self.known
                    .by_call(id)
                    .filter(|k| k.family == SignatureFamily::Gemini)
                    .map(|k| k.signature)
            })
    }

    /// A signature on a thinking block counts as Gemini's only where a mark or the store says so.
    fn is_surely_geminis(&self, signature: &Signature) -> bool {
        !signature.value.is_empty()
            && self.owner(signature).or(signature.family) == Some(SignatureFamily::Gemini)
    }

    fn owner(&self, signature: &Signature) -> Option<SignatureFamily> {
        self.known.owner(&signature.value).map(|(family, _)| family)
    }
}

/// Takes all thinking out of the history.
pub(super) fn drop_thoughts(contents: &mut [Content<'_>], losses: &mut Losses) {
    for content in contents {
        let before = content.parts.len();
        content.parts.retain(|p| !matches!(p, Part::Thought { .. }));
        if content.parts.len() < before {
            losses.note("thinking (history)");
        }
    }
}

/// Where the running turn begins: behind the last message that a user wrote.
fn running_turn(contents: &[Content<'_>]) -> usize {
    contents
        .iter()
        .rposition(Content::is_ordinary)
        .map_or(0, |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claude_forms_convert_both_ways() {
        let native = "EjwKAgkQFx4lLDM6QUhPVl1ka3J5";
        let upstream = claude_upstream(native).unwrap().into_owned();
        assert!(upstream.starts_with('R'));
        assert_eq!(claude_native(&upstream).as_deref(), Some(native));
        assert_eq!(claude_upstream(&upstream).unwrap(), upstream);
        assert_eq!(to_client(SignatureFamily::Claude, &upstream), native);
        assert_eq!(to_client(SignatureFamily::Gemini, &upstream), upstream);
    }

    #[test]
    fn what_is_not_claudes_is_known() {
        for value in ["", "E", "CpQBAAAA", "Rubbish", "E with space", SENTINEL] {
            assert_eq!(claude_upstream(value), None, "{value}");
        }
    }
}
