use std::path::Path;

use serde_json::{Value, json};

use super::*;
use crate::base::error::ErrorKind;

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T12:00:00Z").unwrap()
}

fn refuse(status: u16, body: &str) -> Failure {
    classify(&Refusal {
        status,
        retry_after: None,
        body: body.as_bytes(),
        endpoint: Endpoint::Generate,
        now: now(),
    })
}

/// An error of this status, message and reason, in Google's shape.
fn google(status: u16, message: &str, reason: Option<&str>) -> Failure {
    let details: Vec<Value> = reason.iter().map(|r| json!({ "reason": r })).collect();
    let body = json!({"error": {"code": status, "message": message, "details": details}});
    refuse(status, &body.to_string())
}

fn quota(message: &str, ids: &[&str]) -> Failure {
    let violations: Vec<Value> = ids.iter().map(|id| json!({ "quotaId": id })).collect();
    let body = json!({"error": {"message": message, "details": [{ "violations": violations }]}});
    refuse(429, &body.to_string())
}

fn token(status: u16, body: &str) -> Class {
    at(Endpoint::Token, status, body).class
}

fn at(endpoint: Endpoint, status: u16, body: &str) -> Failure {
    classify(&Refusal {
        status,
        retry_after: None,
        body: body.as_bytes(),
        endpoint,
        now: now(),
    })
}

#[test]
fn row_auth_expired() {
    for body in [
        "",
        "{}",
        r#"{"error":{"code":401,"status":"UNAUTHENTICATED","message":"m"}}"#,
        r#"{"error":{"code":401,"message":"has been disabled, Terms of Service"}}"#,
    ] {
        let failure = refuse(401, body);
        assert_eq!(failure.class, Class::AuthExpired, "{body}");
        assert_eq!(failure.status, Some(401));
    }
}

#[test]
fn row_account_invalid() {
    let tos = "This service has been disabled in this account for violation of Terms of Service.";
    assert_eq!(google(403, tos, None).class, Class::AccountInvalid);
    for reason in ["ACCOUNT_DISABLED", "USER_DISABLED"] {
        assert_eq!(google(403, "m", Some(reason)).class, Class::AccountInvalid);
    }
    assert_eq!(
        google(401, "m", Some("USER_DISABLED")).class,
        Class::AccountInvalid
    );
    assert_eq!(
        google(400, "m", Some("API_KEY_INVALID")).class,
        Class::AccountInvalid
    );
    for status in [400, 401, 403] {
        assert_eq!(
            token(status, r#"{"error":"invalid_grant"}"#),
            Class::AccountInvalid
        );
    }
    let failure = google(403, tos, None);
    assert!(!failure.message.contains("Terms"), "{}", failure.message);
    assert_eq!(
        google(403, "it has been disabled", None).class,
        Class::Forbidden
    );
    assert_eq!(google(500, tos, None).class, Class::ServerError);
}

#[test]
fn row_needs_validation() {
    let read = |details: Value| {
        let body = json!({"error": {"message": "m", "details": details}});
        refuse(403, &body.to_string())
    };
    let reason = json!({"reason": "VALIDATION_REQUIRED", "metadata": {"validation_url": "https://a.example/u"}});
    let help = json!({"links": [{"url": "https://a.example/h"}, {"url": "https://a.example/2"}]});
    let failure = read(json!([reason, help]));
    assert_eq!(failure.class, Class::NeedsValidation);
    assert_eq!(failure.link.as_deref(), Some("https://a.example/h"));
    assert_eq!(
        read(json!([reason])).link.as_deref(),
        Some("https://a.example/u")
    );
    let link = json!({"reason": "VALIDATION_REQUIRED", "metadata": {"validation_link": "https://a.example/l"}});
    assert_eq!(
        read(json!([link])).link.as_deref(),
        Some("https://a.example/l")
    );
    let bare = google(403, "m", Some("VALIDATION_REQUIRED"));
    assert_eq!((bare.class, bare.link), (Class::NeedsValidation, None));
    assert_eq!(read(json!([help])).class, Class::Forbidden);
    assert_eq!(read(json!([help])).link, None);
}

#[test]
fn row_forbidden() {
    for reason in [
        "SERVICE_DISABLED",
        "CONSUMER_INVALID",
        "IAM_PERMISSION_DENIED",
        "NEW",
    ] {
        assert_eq!(google(403, "m", Some(reason)).class, Class::Forbidden);
    }
    assert_eq!(google(403, "m", None).class, Class::Forbidden);
    assert_eq!(refuse(403, "").class, Class::Forbidden);
    let place = google(400, "User location is not supported for the API use.", None);
    assert_eq!(place.class, Class::Forbidden);
    assert!(!place.message.contains("location"));
}

#[test]
fn row_rate_limited() {
    let failure = google(429, "m", Some("RATE_LIMIT_EXCEEDED"));
    assert_eq!((failure.class, failure.delay), (Class::RateLimited, None));
    let minute = quota("m", &["GenerateRequestsPerMinutePerProjectPerModel"]);
    assert_eq!(minute.class, Class::RateLimited);
    assert_eq!(minute.delay, Some(Duration::from_mins(1)));
    let stated = quota("retry in 7s", &["RequestsPerMinute"]);
    assert_eq!(stated.delay, Some(Duration::from_secs(7)));
    let short = google(429, "reset after 5m", None);
    assert_eq!(
        (short.class, short.delay),
        (Class::RateLimited, Some(Duration::from_mins(5)))
    );
    for body in [
        "",
        "{}",
        r#"{"error":{"message":"Resource has been exhausted (e.g. check quota)."}}"#,
    ] {
        let failure = refuse(429, body);
        assert_eq!(
            (failure.class, failure.delay),
            (Class::RateLimited, None),
            "{body}"
        );
    }
    // The reason is asked before the length of the delay.
    let long = google(429, "reset after 2h", Some("RATE_LIMIT_EXCEEDED"));
    assert_eq!(
        (long.class, long.delay),
        (Class::RateLimited, Some(Duration::from_hours(2)))
    );
}

#[test]
fn row_quota_exhausted() {
    assert_eq!(
        google(429, "m", Some("QUOTA_EXHAUSTED")).class,
        Class::QuotaExhausted
    );
    for ids in [
        &["RequestsPerDay-FreeTier"][..],
        &["DailyTokens"],
        &["PerMinute", "PerDay"],
    ] {
        assert_eq!(quota("m", ids).class, Class::QuotaExhausted, "{ids:?}");
    }
    for text in [
        "quota exceeded, limit: 0",
        "limit: 0, model: x",
        "limit: 0.",
    ] {
        assert_eq!(
            google(429, text, None).class,
            Class::QuotaExhausted,
            "{text}"
        );
    }
    for text in ["limit: 0.5", "limit: 05", "limit: 10"] {
        assert_eq!(google(429, text, None).class, Class::RateLimited, "{text}");
    }
    let long = google(429, "reset after 5m1s", None);
    assert_eq!(
        (long.class, long.delay),
        (Class::QuotaExhausted, Some(Duration::from_secs(301)))
    );
    let credits = "INSUFFICIENT_G1_CREDITS_BALANCE";
    for status in [400, 403, 429] {
        assert_eq!(
            google(status, "m", Some(credits)).class,
            Class::QuotaExhausted
        );
    }
    let week = google(429, "reset after 150h", Some("QUOTA_EXHAUSTED"));
    assert_eq!(week.delay, Some(Duration::from_hours(150)));
}

#[test]
fn row_capacity() {
    for reason in ["MODEL_CAPACITY_EXHAUSTED", "MODEL_CAPACITY_EXCEEDED"] {
        for status in [429, 503] {
            assert_eq!(google(status, "m", Some(reason)).class, Class::Capacity);
        }
        assert_eq!(google(500, "m", Some(reason)).class, Class::ServerError);
    }
    for text in [
        "No capacity available for model x",
        "The model is overloaded",
        "m",
    ] {
        assert_eq!(google(503, text, None).class, Class::Capacity);
    }
    assert_eq!(refuse(503, "").class, Class::Capacity);
    let stated = google(503, "retry in 4s", None);
    assert_eq!(stated.delay, Some(Duration::from_secs(4)));
    assert_eq!(google(500, "overloaded", None).class, Class::ServerError);
    assert_eq!(
        google(429, "No capacity available", None).class,
        Class::RateLimited
    );
}

#[test]
fn row_bad_request() {
    for text in [
        "topP of 3",
        "Unknown name \"x\" at 'y': Cannot find field.",
        "FAILED_PRECONDITION",
    ] {
        let failure = google(400, text, None);
        assert_eq!(failure.class, Class::BadRequest);
        assert_eq!(failure.message, text);
        assert!(!failure.level_refused);
    }
    for status in [411, 415, 422, 405, 402] {
        assert_eq!(
            google(status, "m", None).class,
            Class::BadRequest,
            "{status}"
        );
    }
    assert_eq!(refuse(400, "").message, "the upstream refused the request");
    let long = google(400, &"é".repeat(5000), None);
    assert_eq!(long.message.chars().count(), MAX_MESSAGE);
    assert!(long.detail.chars().count() <= 500);
    for text in [
        "Thinking level is not supported for this model.",
        "Invalid value at 'generation_config.thinking_config.thinking_level'",
        "Unknown name \"thinkingLevel\"",
    ] {
        let failure = google(400, text, None);
        assert_eq!(
            (failure.class, failure.level_refused),
            (Class::BadRequest, true),
            "{text}"
        );
    }
    assert!(!google(500, "thinking level", None).level_refused);
}

#[test]
fn what_a_refusal_quotes_decides_nothing() {
    for quoted in [
        "User location is not supported for the API use.",
        "the prompt is too long, says \"agp\", and so on",
        "Corrupted thought signature.",
    ] {
        let text = format!("Invalid value at 'contents[0].parts[0]' (text), \"{quoted}\"");
        let failure = google(400, &text, None);
        assert_eq!(failure.class, Class::BadRequest, "{text}");
        assert_eq!(failure.message, text);
    }
    let text = "denied: \"it has been disabled by the Terms of Service\"";
    assert_eq!(google(403, text, None).class, Class::Forbidden);
    let text = "too fast for \"limit: 0\"";
    assert_eq!(google(429, text, None).class, Class::RateLimited);
    // What stands beside the quotes still does.
    let text = "Prompt is too long for \"gemini-3\"";
    assert_eq!(google(400, text, None).class, Class::ContextTooLong);
    let cut = "{\"type\":\"error\",\"error\":{\"message\":\"prompt is too long: 9 tok";
    assert_eq!(google(400, cut, None).class, Class::ContextTooLong);
}

#[test]
fn row_context_too_long() {
    for text in [
        "The input token count (9) exceeds the maximum number of tokens allowed (8).",
        "Input token count is 9",
        "Prompt is too long: 9 tokens > 8 maximum",
        "This model's maximum context length is 8",
    ] {
        let failure = google(400, text, None);
        assert_eq!(failure.class, Class::ContextTooLong, "{text}");
        assert!(
            failure
                .message
                .to_lowercase()
                .starts_with("prompt is too long")
        );
        assert!(failure.message.ends_with(text), "{}", failure.message);
    }
    assert_eq!(
        google(500, "prompt is too long", None).class,
        Class::ServerError
    );
    assert_eq!(
        google(429, "input token count", None).class,
        Class::RateLimited
    );
}

#[test]
fn row_signature_invalid() {
    for text in [
        "messages.1.content.0: Invalid `signature` in `thinking` block",
        "Function call is missing a thought_signature in functionCall parts",
        "Corrupted thought signature.",
        "messages.1.content.0.thinking.signature: Field required",
        "Expected `thinking` or `redacted_thinking`, but found `text`",
    ] {
        let failure = google(400, text, None);
        assert_eq!(failure.class, Class::SignatureInvalid, "{text}");
        assert_eq!(failure.message, text);
    }
    assert_eq!(
        google(500, "Corrupted thought signature.", None).class,
        Class::ServerError
    );
}

#[test]
fn row_model_not_found() {
    for body in [
        "",
        "{}",
        r#"{"error":{"code":404,"message":"projects/secret-project-1 not found"}}"#,
    ] {
        let failure = refuse(404, body);
        assert_eq!(failure.class, Class::ModelNotFound);
        assert!(!failure.message.contains("secret"));
    }
    assert_eq!(at(Endpoint::Count, 404, "{}").class, Class::ModelNotFound);
    assert_eq!(at(Endpoint::Models, 404, "{}").class, Class::ServerError);
    assert_eq!(at(Endpoint::Setup, 404, "{}").class, Class::ServerError);
}

#[test]
fn row_too_large() {
    for body in [
        "",
        "{}",
        r#"{"error":{"message":"Request payload size exceeds the limit"}}"#,
    ] {
        assert_eq!(refuse(413, body).class, Class::TooLarge);
    }
}

#[test]
fn row_server_error() {
    for status in [500, 501, 502, 408, 499, 409, 520, 529, 599] {
        assert_eq!(
            google(status, "m", None).class,
            Class::ServerError,
            "{status}"
        );
        assert_eq!(refuse(status, "").class, Class::ServerError, "{status}");
    }
    for (status, body) in [
        (500, r#"{"error":"invalid_grant"}"#),
        (429, "{}"),
        (400, "<html>"),
        (400, r#"{"error":"slow_down"}"#),
        (403, ""),
        (400, r#"{"error":{"code":400}}"#),
    ] {
        assert_eq!(token(status, body), Class::ServerError, "{status} {body}");
    }
}

#[test]
fn row_timeout() {
    for body in [
        "",
        "{}",
        r#"{"error":{"code":504,"status":"DEADLINE_EXCEEDED"}}"#,
    ] {
        assert_eq!(refuse(504, body).class, Class::Timeout);
    }
    let chunk = r#"{"error":{"status":"DEADLINE_EXCEEDED","message":"m"}}"#;
    assert_eq!(classify_in_stream(chunk, now()).class, Class::Timeout);
}

#[test]
fn row_upstream_garbage() {
    for status in [200, 302, 400, 401, 403, 404, 429, 500, 502, 503] {
        for body in [
            "<html><title>Sorry...</title></html>",
            "your client is too old",
            "{\"error\":",
        ] {
            let failure = refuse(status, body);
            assert_eq!(failure.class, Class::UpstreamGarbage, "{status} {body}");
            assert_eq!(failure.status, Some(status));
        }
    }
    for (status, body) in [(200, "{}"), (200, ""), (302, "")] {
        assert_eq!(refuse(status, body).class, Class::UpstreamGarbage);
    }
    assert!(
        refuse(500, "<p>\n  a@b.example\n</p>")
            .detail
            .ends_with("<p> a@b.example </p>")
    );
    assert!(!refuse(500, "a@b.example").message.contains('@'));
}

#[test]
fn row_network() {
    assert_eq!(refuse(407, "").class, Class::Network);
    assert!(next_host(&Failure::new(Class::Network, "")));
}

#[test]
fn row_oauth_config() {
    for code in [
        "invalid_client",
        "unauthorized_client",
        "invalid_scope",
        "invalid_request",
    ] {
        for status in [400, 401] {
            let body = format!(r#"{{"error":"{code}","error_description":"d"}}"#);
            let failure = at(Endpoint::Token, status, &body);
            assert_eq!(failure.class, Class::OauthConfig);
            assert!(failure.detail.contains(code) && failure.detail.contains('d'));
        }
    }
}

#[test]
fn own_requests_are_never_the_clients_mistake() {
    for endpoint in [Endpoint::Models, Endpoint::Setup, Endpoint::Userinfo] {
        for status in [400, 413, 404, 503, 422] {
            assert_eq!(at(endpoint, status, "{}").class, Class::ServerError);
        }
        assert_eq!(at(endpoint, 401, "{}").class, Class::AuthExpired);
        assert_eq!(at(endpoint, 403, "{}").class, Class::Forbidden);
    }
}

#[test]
fn hosts_are_changed_on_404_408_and_5xx_only() {
    for status in [404, 408, 500, 502, 503, 504, 599] {
        assert!(next_host(&refuse(status, "")), "{status}");
        assert!(next_host(&refuse(status, "<html>")), "{status}");
    }
    for status in [400, 401, 403, 407, 429, 413, 200] {
        assert!(!next_host(&refuse(status, "")), "{status}");
        assert!(!next_host(&at(Endpoint::Setup, status, "")), "{status}");
    }
    assert!(next_host(&google(
        429,
        "m",
        Some("MODEL_CAPACITY_EXHAUSTED")
    )));
    assert!(!next_host(&Failure::new(Class::Timeout, "")));
}

#[test]
fn an_error_in_the_message_decides() {
    let inner = json!({"error": {"code": 429, "message": "reset after 2s", "details": [{"reason": "RATE_LIMIT_EXCEEDED"}]}});
    let body = json!({"error": {"code": 500, "message": inner.to_string()}});
    let failure = refuse(500, &body.to_string());
    assert_eq!(
        (failure.class, failure.status),
        (Class::RateLimited, Some(429))
    );
    assert_eq!(failure.delay, Some(Duration::from_secs(2)));
}

#[test]
fn the_status_line_outranks_the_bodys_code() {
    assert_eq!(
        refuse(500, r#"{"error":{"code":400}}"#).class,
        Class::ServerError
    );
    assert_eq!(
        refuse(200, r#"{"error":{"code":429}}"#).class,
        Class::RateLimited
    );
}

#[test]
fn errors_inside_a_stream() {
    let read = |text: &str| classify_in_stream(text, now());
    let chunk = r#"{"error":{"code":503,"message":"m","status":"UNAVAILABLE"}}"#;
    assert_eq!(
        (read(chunk).class, read(chunk).status),
        (Class::Capacity, Some(503))
    );
    assert_eq!(read(&format!("[{chunk}]")), read(chunk));
    assert_eq!(
        read(r#"{"error":{"code":8,"message":"m"}}"#).class,
        Class::RateLimited
    );
    assert_eq!(
        read(r#"{"error":{"status":"UNAUTHENTICATED"}}"#).class,
        Class::AuthExpired
    );
    assert_eq!(
        read(r#"{"error":{"message":"m"}}"#).class,
        Class::ServerError
    );
    for bad in ["", "{}", "[]", "nonsense"] {
        assert_eq!(read(bad).class, Class::UpstreamGarbage, "{bad}");
    }
}

#[test]
fn the_header_is_asked_before_the_text() {
    let failure = classify(&Refusal {
        status: 429,
        retry_after: Some("9"),
        body: br#"{"error":{"message":"reset after 5s"}}"#,
        endpoint: Endpoint::Generate,
        now: now(),
    });
    assert_eq!(failure.delay, Some(Duration::from_secs(9)));
}

// The shared vectors, with the parts of reference compare.py's language that they use.

fn matches(expect: &Value, actual: &Value) -> bool {
    match expect {
        Value::String(s) if s == "<any>" => true,
        Value::Object(map) if map.contains_key("$oneOf") => map["$oneOf"]
            .as_array()
            .unwrap()
            .iter()
            .any(|e| matches(e, actual)),
        Value::Object(map) if map.contains_key("$num") => {
            let range = &map["$num"];
            let number = actual.as_f64().unwrap_or(f64::NAN);
            number >= range["min"].as_f64().unwrap() && number <= range["max"].as_f64().unwrap()
        }
        other => other == actual,
    }
}

fn endpoint_named(name: &str) -> Endpoint {
    match name {
        "streamGenerateContent" | "generateContent" => Endpoint::Generate,
        "countTokens" => Endpoint::Count,
        "fetchAvailableModels" => Endpoint::Models,
        "loadCodeAssist" | "onboardUser" => Endpoint::Setup,
        "token" => Endpoint::Token,
        other => panic!("{other}"),
    }
}

fn status_of(kind: ErrorKind) -> u16 {
    match kind {
        ErrorKind::BadRequest | ErrorKind::ContextTooLong => 400,
        ErrorKind::UnknownModel => 404,
        ErrorKind::TooLarge => 413,
        ErrorKind::RateLimited | ErrorKind::QuotaExhausted => 429,
        ErrorKind::UpstreamFailed => 502,
        ErrorKind::Overloaded | ErrorKind::Unavailable => 503,
        ErrorKind::TimedOut => 504,
        other => panic!("{other:?}"),
    }
}

#[test]
fn shared_error_vectors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/shared/errors");
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let case: Value = serde_json::from_str(&text).unwrap();
        let (name, input, expect) = (&case["name"], &case["input"], &case["expect"]);
        match case["direction"].as_str().unwrap() {
            "duration_to_ms" => {
                let texts = input["texts"].as_array().unwrap();
                for (text, expect) in texts.iter().zip(expect["ms"].as_array().unwrap()) {
                    let delay = parse_delay(text.as_str().unwrap()).unwrap();
                    let ms = json!(u64::try_from(delay.as_millis()).unwrap());
                    assert!(matches(expect, &ms), "{name} {text}: {ms}");
                }
            }
            "upstream_error_to_decision" => {
                let http = &input["http"];
                let body = match &http["body"] {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                };
                let failure = classify(&Refusal {
                    status: u16::try_from(http["status"].as_u64().unwrap()).unwrap(),
                    retry_after: http["headers"]["retry-after"].as_str(),
                    body: body.as_bytes(),
                    endpoint: endpoint_named(input["endpoint"].as_str().unwrap()),
                    now: Timestamp::parse_rfc3339(input["now"].as_str().unwrap()).unwrap(),
                });
                let row = decision(&failure);
                let actual = json!({
                    "class": failure.class.as_str(),
                    "account": row.account,
                    "scope": row.scope,
                    "delay_ms": row.delay.map(|d| u64::try_from(d.as_millis()).unwrap()),
                    "retry_same_account": row.retry_same,
                    "retry_other_account": row.retry_other,
                });
                for (key, actual) in actual.as_object().unwrap() {
                    assert!(matches(&expect[key], actual), "{name} {key}: {actual}");
                }
                let status = json!(status_of(failure.to_error().kind));
                let told = &expect["when_nothing_left"]["openai"]["status"];
                assert!(matches(told, &status), "{name}: {status}");
            }
            "pool_to_response" => continue,
            other => panic!("{other}"),
        }
        seen += 1;
    }
    assert_eq!(seen, 13);
}
