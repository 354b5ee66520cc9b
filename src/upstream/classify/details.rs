//! Reading `google.rpc.Status` in all the wrappings in which it arrives (upstream-protocol.md 9.1).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::delay::{delay_in_text, parse_delay};
use crate::base::time::Timestamp;
use crate::upstream::lenient;

/// What an error body says, as far as it matters here.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Details {
    /// `error.code`, where it is an HTTP status or a gRPC code.
    pub(crate) code: Option<u16>,
    /// Whether `code` comes from an error that stood as text in the outer one's message.
    pub(crate) nested: bool,
    /// `error.message`; for the token endpoint `error_description`.
    pub(crate) message: String,
    /// `error.status`, such as `RESOURCE_EXHAUSTED`; for the token endpoint `error`.
    pub(crate) status: String,
    /// `ErrorInfo.reason`, each.
    pub(crate) reasons: Vec<String>,
    /// `QuotaFailure.violations[].quotaId`, each.
    pub(crate) quota_ids: Vec<String>,
    /// `Help.links[0].url`, else the metadata's link: `http` and `https` only.
    pub(crate) link: Option<String>,
    retry_delay: Option<Duration>,
    reset_delay: Option<Duration>,
    reset_at: Option<Timestamp>,
}

/// What a body is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Body {
    /// JSON; the details are empty where it holds no error object.
    Json(Box<Details>),
    /// Nothing, or white space.
    Empty,
    /// HTML, plain text, cut JSON.
    Other,
}

#[derive(Deserialize)]
struct Outer {
    #[serde(default)]
    error: Option<Box<RawValue>>,
    #[serde(default, deserialize_with = "lenient::field")]
    error_description: Option<String>,
}

#[derive(Deserialize)]
struct ErrorObject {
    #[serde(default, deserialize_with = "lenient::field")]
    code: Option<lenient::Number>,
    #[serde(default, deserialize_with = "lenient::field")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    details: Vec<Detail>,
}

/// `ErrorInfo`, `RetryInfo`, `QuotaFailure` and `Help` have no field name in common, so that one struct reads them all
/// and a missing `@type` does no harm.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default, deserialize_with = "lenient::field")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "lenient::field")]
    metadata: Option<BTreeMap<String, Box<RawValue>>>,
    #[serde(default, deserialize_with = "lenient::field")]
    retry_delay: Option<String>,
    #[serde(default, deserialize_with = "lenient::list")]
    violations: Vec<Violation>,
    #[serde(default, deserialize_with = "lenient::list")]
    links: Vec<Link>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Violation {
    #[serde(default, deserialize_with = "lenient::field")]
    quota_id: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    #[serde(default, deserialize_with = "lenient::field")]
    url: Option<String>,
}

/// Reads an error body, whatever it is.
pub(crate) fn read(body: &[u8]) -> Body {
    let text = String::from_utf8_lossy(body);
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Body::Empty;
    }
    if serde_json::from_str::<&RawValue>(text).is_err() {
        return Body::Other;
    }
    Body::Json(Box::new(read_json(text, true).unwrap_or_default()))
}

/// Reads `{"error":…}`, also as the one element of a list. `None` where there is no error in it.
fn read_json(text: &str, unwrap_message: bool) -> Option<Details> {
    let outer: Outer = if text.starts_with('[') {
        let list: Vec<Box<RawValue>> = serde_json::from_str(text).ok()?;
        serde_json::from_str(list.first()?.get()).ok()?
    } else {
        serde_json::from_str(text).ok()?
    };
    let error = outer.error?;
    if let Ok(code) = serde_json::from_str::<String>(error.get()) {
        return Some(Details {
            status: code,
            message: outer.error_description.unwrap_or_default(),
            ..Details::default()
        });
    }
    let error: ErrorObject = serde_json::from_str(error.get()).ok()?;
    let mut details = gather(error);
    if unwrap_message {
        let inner = details.message.trim_start();
        if inner.starts_with(['{', '['])
            && let Some(inner) = read_json(inner, false)
        {
            details = merge(details, inner);
        }
    }
    Some(details)
}

/// An error that stood in another's message knows more than that one; what it leaves out is taken from outside.
fn merge(outer: Details, inner: Details) -> Details {
    Details {
        nested: inner.code.is_some(),
        code: inner.code.or(outer.code),
        message: if inner.message.is_empty() {
            outer.message
        } else {
            inner.message
        },
        status: if inner.status.is_empty() {
            outer.status
        } else {
            inner.status
        },
        reasons: [inner.reasons, outer.reasons].concat(),
        quota_ids: [inner.quota_ids, outer.quota_ids].concat(),
        link: inner.link.or(outer.link),
        retry_delay: inner.retry_delay.or(outer.retry_delay),
        reset_delay: inner.reset_delay.or(outer.reset_delay),
        reset_at: inner.reset_at.or(outer.reset_at),
    }
}

fn gather(error: ErrorObject) -> Details {
    let mut found = Details {
        code: error.code.and_then(|code| u16::try_from(code.0).ok()),
        message: error.message.unwrap_or_default(),
        status: error.status.unwrap_or_default(),
        ..Details::default()
    };
    let mut metadata_link = None;
    for detail in error.details {
        found.reasons.extend(detail.reason);
        found
            .quota_ids
            .extend(detail.violations.into_iter().filter_map(|v| v.quota_id));
        if found.retry_delay.is_none() {
            found.retry_delay = detail.retry_delay.as_deref().and_then(parse_delay);
        }
        if found.link.is_none() {
            found.link = detail
                .links
                .into_iter()
                .next()
                .and_then(|link| link.url)
                .filter(|url| is_link(url));
        }
        let metadata = detail.metadata.unwrap_or_default();
        let text =
            |name: &str| -> Option<String> { serde_json::from_str(metadata.get(name)?.get()).ok() };
        if found.reset_delay.is_none() {
            found.reset_delay = text("quotaResetDelay").as_deref().and_then(parse_delay);
        }
        if found.reset_at.is_none() {
            found.reset_at = text("quotaResetTimeStamp")
                .as_deref()
                .and_then(Timestamp::parse_rfc3339);
        }
        metadata_link = metadata_link.or_else(|| {
            text("validation_url")
                .or_else(|| text("validation_link"))
                .filter(|url| is_link(url))
        });
    }
    found.link = found.link.or(metadata_link);
    found
}

/// A link is shown to a person as something to click: only web addresses of a sane length.
pub(crate) fn is_link(url: &str) -> bool {
    url.len() <= 4096
        && (url.starts_with("https://") || url.starts_with("http://"))
        && !url.contains(|c: char| c.is_whitespace() || c.is_control())
}

impl Details {
    /// The stated delay, first hit of 9.2's points 1 to 5; `retry_after` is the header's, read already.
    pub(crate) fn delay(&self, retry_after: Option<Duration>, now: Timestamp) -> Option<Duration> {
        self.retry_delay
            .or(self.reset_delay)
            .or_else(|| self.reset_at.map(|at| at.since(now)))
            .or(retry_after)
            .or_else(|| delay_in_text(&self.message))
    }

    /// Whether one of the reasons is among these.
    pub(crate) fn has_reason(&self, any: &[&str]) -> bool {
        self.reasons.iter().any(|r| any.contains(&r.as_str()))
    }

    /// Whether one of the quota ids contains one of these.
    pub(crate) fn has_quota(&self, any: &[&str]) -> bool {
        self.quota_ids
            .iter()
            .any(|id| any.iter().any(|part| id.contains(part)))
    }

    /// Whether the body held an error at all.
    pub(crate) fn is_error(&self) -> bool {
        *self != Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(text: &str) -> Details {
        match read(text.as_bytes()) {
            Body::Json(details) => *details,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bodies_that_are_no_json() {
        assert_eq!(read(b""), Body::Empty);
        assert_eq!(read(b" \r\n"), Body::Empty);
        for other in ["<html>", "Not Found", "{\"error\":", "data: {}", "{} {}"] {
            assert_eq!(read(other.as_bytes()), Body::Other, "{other}");
        }
        assert_eq!(read(&[0xff, 0xfe, b'{', b'}']), Body::Other);
        for none in [
            "{}",
            "[]",
            "null",
            "7",
            "\"text\"",
            "{\"error\":null}",
            "[1]",
        ] {
            assert!(!details(none).is_error(), "{none}");
        }
    }

    #[test]
    fn wrappings() {
        let plain =
            details(r#"{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}"#);
        assert_eq!(plain.code, Some(429));
        assert_eq!(plain.status, "RESOURCE_EXHAUSTED");
        let listed =
            details(r#"[{"error":{"code":"429","message":"m","status":"RESOURCE_EXHAUSTED"}}]"#);
        assert_eq!(plain, listed);
        let oauth = details(r#"{"error":"invalid_grant","error_description":"d"}"#);
        assert_eq!(
            (oauth.status.as_str(), oauth.message.as_str()),
            ("invalid_grant", "d")
        );
    }

    #[test]
    fn an_error_inside_the_message_is_read_once() {
        let inner = r#"{"error":{"code":429,"message":"{\"error\":{\"code\":1}}","details":[{"reason":"R"}]}}"#;
        let text = serde_json::json!({"error": {"code": 400, "message": inner, "status": "S"}});
        let read = details(&text.to_string());
        assert_eq!((read.code, read.nested), (Some(429), true));
        assert_eq!(read.status, "S");
        assert_eq!(read.message, r#"{"error":{"code":1}}"#);
        assert!(read.has_reason(&["R"]));
        let text = serde_json::json!({"error": {"code": 400, "message": "{not json"}});
        assert_eq!(details(&text.to_string()).message, "{not json");
    }

    #[test]
    fn odd_details_do_not_hide_the_others() {
        let read = details(
            r#"{"error":{"code":true,"message":7,"details":[1,"x",{"reason":5},
                {"reason":"A","metadata":{"n":1,"quotaResetDelay":"2s"}},
                {"violations":[3,{"quotaId":"PerDayX"},{}]},{"links":[{"url":"javascript:alert(1)"}]},
                {"metadata":{"validation_link":"https://example.com/v"}}]}}"#,
        );
        assert!(read.has_reason(&["A"]) && read.has_quota(&["PerDay"]));
        assert_eq!(read.link.as_deref(), Some("https://example.com/v"));
        assert_eq!(read.delay(None, Timestamp(0)), Some(Duration::from_secs(2)));
        assert_eq!(read.code, None);
    }

    #[test]
    fn the_first_delay_of_9_2_wins() {
        let now = Timestamp(1_000_000_000_000);
        let at = now.plus(Duration::from_secs(3)).to_string();
        let mut retry = serde_json::json!({"retryDelay": "1s"});
        let mut info = serde_json::json!({"metadata":
            {"quotaResetDelay": "2s", "quotaResetTimeStamp": at}});
        let header = Some(Duration::from_secs(4));
        let mut seen = Vec::new();
        for step in 0..5 {
            if step == 1 {
                retry["retryDelay"] = "nonsense".into();
            }
            if step == 2 {
                info["metadata"]["quotaResetDelay"] = 7.into();
            }
            if step == 3 {
                info["metadata"]["quotaResetTimeStamp"] = "later".into();
            }
            let body = serde_json::json!({"error": {"message": "reset after 5s", "details": [info, retry]}});
            let header = header.filter(|_| step < 4);
            seen.push(
                details(&body.to_string())
                    .delay(header, now)
                    .unwrap()
                    .as_secs(),
            );
        }
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    }
}
