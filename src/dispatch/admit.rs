//! What a key's limits say to a request: the reservation before it, and the words of a refusal.

use std::sync::Arc;
use std::time::Duration;

use crate::base::error::{Error, ErrorKind};
use crate::base::money::Dollars;
use crate::base::time::Timestamp;
use crate::dispatch::spent::{Spent, TOKENS_PER_PICTURE, tokens_of};
use crate::ir::{self, BlockBody, Media, ResultPart};
use crate::pool::limit::{Amount, Limit};
use crate::runtime::limits::{Limits, Permit, Refused, Whose};
use crate::runtime::snapshot::{KeyEntry, Route};

/// Output tokens that a request without `max_tokens` is reckoned to make at first.
const UNSAID_OUTPUT: u64 = 4096;
/// Tokens reckoned for a message, a call or a tool beside its texts.
const PER_BLOCK: u64 = 8;
/// Bytes of a document or a sound that are reckoned as a token: a page of text in a PDF, or a second of speech, has about so
/// many for each of its tokens.
const DOCUMENT_BYTES_PER_TOKEN: u64 = 20;

/// How many tokens a request's prompt has, rather too many than too few. Looks at lengths only, so that it costs nothing
/// even for a large body.
pub fn prompt(request: &ir::Request) -> u64 {
    let (mut bytes, mut tokens) = (0_usize, 0_u64);
    for block in request.turns.iter().flat_map(|turn| &turn.blocks) {
        tokens += PER_BLOCK;
        match &block.body {
            BlockBody::Text(text)
            | BlockBody::Refusal(text)
            | BlockBody::Thinking(text)
            | BlockBody::RedactedThinking(text) => bytes += text.len(),
            BlockBody::Media(found) => tokens += media(found),
            BlockBody::ToolCall { name, input, .. } => bytes += name.len() + input.len(),
            BlockBody::ToolResult { content, .. } => {
                for part in content {
                    match part {
                        ResultPart::Text(text) => bytes += text.len(),
                        ResultPart::Media(found) => tokens += media(found),
                    }
                }
            }
        }
    }
    for tool in &request.tools {
        tokens += PER_BLOCK;
        bytes += tool.name.len() + tool.description.as_ref().map_or(0, String::len);
        bytes += tool.parameters.as_ref().map_or(0, |p| p.get().len());
    }
    if let ir::OutputFormat::JsonSchema(schema) = &request.output {
        bytes += schema.get().len();
    }
    tokens.saturating_add(tokens_of(bytes as u64)).max(1)
}

fn media(media: &Media) -> u64 {
    if media.mime.starts_with("image/") {
        return TOKENS_PER_PICTURE;
    }
    let bytes = media.base64.len() as u64 / 4 * 3;
    (bytes / DOCUMENT_BYTES_PER_TOKEN).max(TOKENS_PER_PICTURE)
}

/// What a request is reckoned to use at most. Most output tokens are the client's `max_tokens` or [`UNSAID_OUTPUT`], and no
/// more than any target of the route makes.
pub fn spent(request: &ir::Request, route: &Route) -> (Spent, u64) {
    let targets = route.targets.iter();
    let models = targets
        .map(|target| target.max_output.map_or(u64::MAX, u64::from))
        .max()
        .unwrap_or(u64::MAX);
    let asked = request.sampling.max_output.map(u64::from);
    let most = asked.map(|asked| asked.min(models));
    let output = asked.unwrap_or(UNSAID_OUTPUT).min(models);
    (Spent::new(prompt(request), most, route.price), output)
}

/// Reserves what a request may use with its key's limits and its group's.
///
/// # Errors
/// 429 that names the limit and when it resets; 400 where money is limited and the model has no price.
pub fn reserve(
    limits: &Arc<Limits>,
    key: &KeyEntry,
    route: &Route,
    request: &ir::Request,
) -> Result<(Spent, Permit), Error> {
    if let Some(whose) = key.budget().filter(|_| route.price.is_none()) {
        let message = format!(
            "the model `{}` has no price, so it can't be used under the budget of {}",
            route.name,
            of(whose)
        );
        return Err(Error::bad_request("model", message));
    }
    let (spent, output) = spent(request, route);
    let amount = Amount {
        tokens: spent.prompt().saturating_add(output),
        nanos: route
            .price
            .map_or(0, |price| price.at_most(spent.prompt(), output)),
    };
    match Permit::reserve(limits, key, amount) {
        Ok(permit) => Ok((spent, permit)),
        Err(refused) => Err(told(&refused)),
    }
}

fn of(whose: &Whose) -> String {
    match whose {
        Whose::Key(id) => format!("key `{id}`"),
        Whose::Group(name) => format!("group `{name}`"),
    }
}

/// The client's error for a limit that has no room.
pub fn told(refused: &Refused) -> Error {
    let (limit, asked) = (refused.over.limit, refused.over.asked);
    let wait = limit.reset.since(refused.now);
    let wait = Duration::from_secs(
        wait.as_millis()
            .div_ceil(1000)
            .try_into()
            .unwrap_or(u64::MAX),
    )
    .max(Duration::from_secs(1));
    let (kind, what) = match limit.limit {
        Limit::Requests => (
            ErrorKind::RateLimited,
            format!("{} requests a minute", limit.bound),
        ),
        Limit::TokensPerMinute => (
            ErrorKind::RateLimited,
            format!("{} tokens a minute", limit.bound),
        ),
        Limit::TokensPerDay => (
            ErrorKind::QuotaExhausted,
            format!("{} tokens a day", limit.bound),
        ),
        Limit::Money(per) => (
            ErrorKind::QuotaExhausted,
            format!("a budget of {} a {}", Dollars(limit.bound), per.as_str()),
        ),
    };
    let amount = |n: u64| match limit.limit {
        Limit::Money(_) => Dollars(n).to_string(),
        _ => n.to_string(),
    };
    let need = match limit.limit {
        Limit::Requests => String::new(),
        _ if asked > limit.bound => format!(
            ", and this request alone may take {}: ask for a smaller `max_tokens`",
            amount(asked)
        ),
        _ => format!(
            ", this request may take {} and {} are left",
            amount(asked),
            amount(limit.bound.saturating_sub(limit.used))
        ),
    };
    let message = format!(
        "limit reached: {} has {what}{need}; it resets at {} (`{}`)",
        of(&refused.whose),
        Timestamp(limit.reset.as_secs() * 1000),
        limit.limit.as_str(),
    );
    Error::new(kind, message).with_retry_after(wait)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Dialect;
    use crate::base::money::Per;
    use crate::pool::limit::{Over, Use};

    fn refused(limit: Limit, used: u64, bound: u64, asked: u64) -> Error {
        told(&Refused {
            whose: Whose::Key("ci".into()),
            over: Over {
                limit: Use {
                    limit,
                    used,
                    bound,
                    reset: Timestamp(60_000),
                },
                asked,
            },
            now: Timestamp(30_500),
        })
    }

    #[test]
    fn a_refusal_names_the_limit_and_its_reset() {
        let error = refused(Limit::Requests, 60, 60, 1);
        assert_eq!(
            error.message,
            "limit reached: key `ci` has 60 requests a minute; it resets at 1970-01-01T00:01:00Z (`rpm`)"
        );
        assert_eq!(error.kind, ErrorKind::RateLimited);
        assert_eq!(error.retry_after, Some(Duration::from_secs(30)));
        let error = refused(
            Limit::Money(Per::Month),
            900_000_000,
            1_000_000_000,
            250_000_000,
        );
        assert_eq!(
            error.message,
            "limit reached: key `ci` has a budget of $1.00 a month, this request may take $0.25 and $0.10 are left; it resets at 1970-01-01T00:01:00Z (`budget`)"
        );
        assert_eq!(error.kind, ErrorKind::QuotaExhausted);
        let error = refused(Limit::TokensPerMinute, 0, 100, 4200);
        assert!(
            error
                .message
                .contains("this request alone may take 4200: ask for a smaller `max_tokens`"),
            "{}",
            error.message
        );
    }

    #[test]
    fn prompts_are_reckoned_by_the_length_of_all_their_parts() {
        let mut request = ir::Request::new(Dialect::OpenAiChat, "m");
        assert_eq!(prompt(&request), 1);
        let picture = |mime: &str, bytes: usize| Media {
            mime: mime.to_owned(),
            base64: vec![b'A'; bytes].into(),
            name: None,
        };
        request.turns.push(ir::Turn {
            role: ir::Role::User,
            blocks: vec![
                BlockBody::Text("x".repeat(300)).into(),
                BlockBody::Media(picture("image/png", 4_000_000)).into(),
                BlockBody::ToolResult {
                    call_id: "c".to_owned(),
                    name: None,
                    content: vec![
                        ResultPart::Text("y".repeat(30)),
                        ResultPart::Media(picture("application/pdf", 4_000_000)),
                    ],
                    is_error: false,
                }
                .into(),
            ],
        });
        assert_eq!(prompt(&request), 3 * 8 + 110 + 1600 + 150_000);
    }
}
