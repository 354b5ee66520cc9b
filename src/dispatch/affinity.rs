//! Which conversation a request belongs to, as a number: so that it can stay on one account, whose provider has its
//! beginning cached.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::base::id::KeyId;
use crate::ir::{BlockBody, Request, ResultPart, Role};

/// As much of a picture or document as is looked at: its beginning tells it from others.
const MEDIA_PREFIX: usize = 256;

/// Stands for the conversation of this key that a client gave this name.
pub fn named(key: &KeyId, name: &str) -> u64 {
    // Fixed keys: the same conversation has the same number after a restart.
    let mut hasher = DefaultHasher::new();
    (key.as_str(), name).hash(&mut hasher);
    hasher.finish()
}

/// Stands for the conversation among those of this key: by the name that the client gave it, else by what does not change
/// while it grows, its system prompt and first user turn.
pub fn home(key: &KeyId, request: &Request) -> u64 {
    if let Some(name) = &request.conversation {
        return named(key, name);
    }
    let mut hasher = DefaultHasher::new();
    key.as_str().hash(&mut hasher);
    for turn in &request.turns {
        match turn.role {
            Role::System | Role::User => {}
            Role::Assistant => continue,
        }
        for block in &turn.blocks {
            body(&block.body, &mut hasher);
        }
        if turn.role == Role::User {
            break;
        }
    }
    hasher.finish()
}

fn body(body: &BlockBody, hasher: &mut DefaultHasher) {
    match body {
        BlockBody::Text(text)
        | BlockBody::Refusal(text)
        | BlockBody::Thinking(text)
        | BlockBody::RedactedThinking(text) => text.hash(hasher),
        BlockBody::Media(media) => beginning(&media.base64, hasher),
        BlockBody::ToolCall { name, input, .. } => (name, input).hash(hasher),
        BlockBody::ToolResult { content, .. } => {
            for part in content {
                match part {
                    ResultPart::Text(text) => text.hash(hasher),
                    ResultPart::Media(media) => beginning(&media.base64, hasher),
                }
            }
        }
    }
}

fn beginning(bytes: &[u8], hasher: &mut DefaultHasher) {
    bytes.len().hash(hasher);
    bytes[..bytes.len().min(MEDIA_PREFIX)].hash(hasher);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Dialect;
    use crate::ir::Turn;

    fn request(turns: &[(Role, &str)]) -> Request {
        let mut request = Request::new(Dialect::OpenAiChat, "m");
        request.turns = turns
            .iter()
            .map(|(role, text)| Turn {
                role: *role,
                blocks: vec![BlockBody::Text((*text).to_owned()).into()],
            })
            .collect();
        request
    }

    #[test]
    fn a_conversation_stays_the_same_while_it_grows() {
        let key = KeyId::from("k");
        let short = request(&[(Role::System, "s"), (Role::User, "hi")]);
        let long = request(&[
            (Role::System, "s"),
            (Role::User, "hi"),
            (Role::Assistant, "hello"),
            (Role::User, "and now?"),
        ]);
        assert_eq!(home(&key, &short), home(&key, &long));
        let other = request(&[(Role::System, "s"), (Role::User, "ho")]);
        let elsewhere = request(&[(Role::System, "t"), (Role::User, "hi")]);
        for different in [other, elsewhere] {
            assert_ne!(home(&key, &short), home(&key, &different));
        }
        assert_ne!(home(&key, &short), home(&"l".into(), &short));
    }

    #[test]
    fn the_clients_own_name_for_it_decides() {
        let key = KeyId::from("k");
        let named = |text: &str, name: &str| Request {
            conversation: Some(name.to_owned()),
            ..request(&[(Role::User, text)])
        };
        assert_eq!(home(&key, &named("a", "c1")), home(&key, &named("b", "c1")));
        assert_ne!(home(&key, &named("a", "c1")), home(&key, &named("a", "c2")));
    }
}
