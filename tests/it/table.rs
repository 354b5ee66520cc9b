//! Table 9.3 of upstream-protocol.md, row by row: from what the upstream answered to the class, its scope, what becomes of
//! the account, the next try, and what clients of both dialects are told when nothing is left.

use std::collections::BTreeSet;
use std::time::Duration;

use agp::base::id::RequestId;
use agp::base::time::Timestamp;
use agp::dispatch::plan::{Bounds, Facts, Next, Plan};
use agp::pool::cooldown::Limits;
use agp::pool::failure::{Class, Failure, Scope};
use agp::pool::report::{Offer, report};
use agp::pool::state::{Machine, ModelMachine};
use agp::upstream::classify::{self, Endpoint, Refusal, classify, classify_in_stream};
use agp::wire::front::Front;
use serde_json::{Value, json};

const LIMITS: Limits = Limits {
    first: Duration::from_secs(3),
    max: Duration::from_mins(2),
};

fn now() -> Timestamp {
    Timestamp::parse_rfc3339("2026-11-22T12:00:00Z").unwrap()
}

/// What the upstream did.
enum Did {
    /// An HTTP answer with this body.
    Answered(u16, String),
    /// The same with a `Retry-After`.
    Delayed(u16, &'static str, String),
    /// An error object in a stream that had begun: the first frame, or a later one.
    Frame(String),
    /// The token endpoint's answer.
    Token(u16, &'static str),
    /// No answer that could be read: classed where it happens.
    Broke(Class),
}

use Did::{Answered, Broke, Delayed, Frame, Token};

fn failure(did: &Did) -> Failure {
    let at = |status, retry_after, body: &str, endpoint| {
        classify(&Refusal {
            status,
            retry_after,
            body: body.as_bytes(),
            endpoint,
            now: now(),
        })
    };
    match did {
        Answered(status, body) => at(*status, None, body, Endpoint::Generate),
        Delayed(status, after, body) => at(*status, Some(after), body, Endpoint::Generate),
        Token(status, body) => at(*status, None, body, Endpoint::Token),
        Frame(body) => classify_in_stream(body, now()),
        Broke(class) => Failure::new(*class, "broke"),
    }
}

/// Google's error object.
fn error(code: u16, status: &str, message: &str, details: &[Value]) -> String {
    json!({"error": {"code": code, "status": status, "message": message, "details": details}})
        .to_string()
}

/// The same error as text in another's message: what is inside decides.
fn nested(inner: &str) -> String {
    error(400, "INVALID_ARGUMENT", inner, &[])
}

/// The same error as the one element of a list.
fn listed(error: &str) -> String {
    format!("[{error}]")
}

fn reason(reason: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason})
}

fn retry(delay: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay})
}

fn quota(id: &str) -> Value {
    json!({"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [{"quotaId": id}]})
}

/// The account's state after this happened so often, as far as `model` goes, and the seconds to its end.
fn consequence(failure: &Failure, times: u32, model: &str) -> String {
    let mut machine = Machine::default();
    for _ in 0..times {
        machine.failure("m", failure, now(), &LIMITS);
    }
    let offer = Offer {
        model,
        empty_until: None,
    };
    let report = report(&machine, std::iter::once(offer), now());
    match report.state.until() {
        Some(until) => format!("{} {}", report.state, until.since(now()).as_secs()),
        None => report.state.to_string(),
    }
}

/// What follows on the first failure of a request: without another host, and with one.
fn next(failure: &Failure) -> (String, String) {
    let after = |another_host| {
        let mut plan = Plan::new(Bounds {
            max_attempts: 12,
            retry_within: Duration::from_secs(30),
        });
        plan.begin();
        let now = now();
        match plan.after(failure, Facts { now, another_host }) {
            Next::NextHost => "next host".to_owned(),
            Next::Refresh => "refresh".to_owned(),
            Next::Repair => "repair".to_owned(),
            Next::Budget => "budget".to_owned(),
            Next::Same(delay) => format!("same after {} ms", delay.as_millis()),
            Next::Other { or_same, .. } => match or_same {
                Some(delay) => format!("other, else same after {} ms", delay.as_millis()),
                None => "other".to_owned(),
            },
            Next::GiveUp => "give up".to_owned(),
        }
    };
    (after(false), after(true))
}

/// Status, type and code in a dialect.
fn told(front: Front, failure: &Failure) -> (u16, String, Option<String>) {
    let (status, body) = front.render_error(&failure.to_error(), RequestId::from_u128(1));
    let body: Value = serde_json::from_slice(&body).unwrap();
    let text = |name: &str| body["error"][name].as_str().map(str::to_owned);
    assert!(!text("message").unwrap().is_empty());
    (status, text("type").unwrap(), text("code"))
}

/// What a case's class was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum By {
    /// The HTTP status alone.
    Status,
    /// The body, against what the status alone would say.
    Details,
    /// The body, which says what the status says.
    Both,
    /// An error object in a stream.
    Frame,
    /// The token endpoint's own codes.
    Token,
    /// What became of the connection or the answer.
    Wire,
}

use By::{Both, Details, Status, Wire};

fn read_from(did: &Did, class: Class) -> By {
    let (status, body) = match did {
        Answered(status, body) | Delayed(status, _, body) => (*status, body),
        Frame(_) => return By::Frame,
        Token(..) => return By::Token,
        Broke(_) => return Wire,
    };
    let alone = failure(&Answered(status, String::new()));
    match (body.is_empty(), alone.class == class) {
        (true, _) => Status,
        (false, true) => Both,
        (false, false) => Details,
    }
}

/// One row: what holds for all its cases.
struct Row {
    class: Class,
    /// The ways by which its class is read, each with a case.
    by: &'static [By],
    scope: Scope,
    /// The account after one of them, where no case says otherwise.
    account: &'static str,
    next: &'static str,
    next_host: bool,
    openai: (u16, &'static str, Option<&'static str>),
    anthropic: (u16, &'static str),
}

/// A case: what happened, and where it differs from its row the state and the next try.
struct Case(Did, Option<&'static str>, Option<&'static str>);

fn plain(did: Did) -> Case {
    Case(did, None, None)
}

fn check(row: &Row, cases: Vec<Case>) {
    assert!(cases.len() >= 3, "{:?}", row.class);
    let ways: BTreeSet<By> = cases.iter().map(|c| read_from(&c.0, row.class)).collect();
    let wanted: BTreeSet<By> = row.by.iter().copied().collect();
    assert_eq!(ways, wanted, "{:?}", row.class);
    for (n, Case(did, account, next_try)) in cases.into_iter().enumerate() {
        let failure = failure(&did);
        let what = format!("{:?}, case {n}: {failure:?}", row.class);
        assert_eq!(failure.class, row.class, "{what}");
        assert_eq!(failure.class.scope(), row.scope, "{what}");
        let account = account.unwrap_or(row.account);
        assert_eq!(consequence(&failure, 1, "m"), account, "{what}");
        let elsewhere = match row.scope {
            Scope::AccountModel => "active",
            _ => account,
        };
        assert_eq!(consequence(&failure, 1, "other"), elsewhere, "{what}");
        let (without, with) = next(&failure);
        let expected = next_try.unwrap_or(row.next);
        assert_eq!(without, expected, "{what}");
        let expected = if row.next_host { "next host" } else { expected };
        assert_eq!(with, expected, "{what}");
        let (status, kind, code) = told(Front::OpenAiChat, &failure);
        assert_eq!(
            (status, kind.as_str(), code.as_deref()),
            row.openai,
            "{what}"
        );
        let (status, kind, _) = told(Front::Anthropic, &failure);
        assert_eq!((status, kind.as_str()), row.anthropic, "{what}");
        let waits = failure.to_error().retry_after;
        let told = row.openai.0 == 429 || row.anthropic.0 == 529;
        assert_eq!(waits, failure.delay.filter(|_| told), "{what}");
    }
}

const UNAVAILABLE: (u16, &str, Option<&str>) = (503, "server_error", Some("service_unavailable"));
const BAD_GATEWAY: (u16, &str, Option<&str>) = (502, "server_error", Some("upstream_error"));

/// A row of accounts that can't be used: the client's key was good, so it is told of the service.
fn unusable(class: Class, by: &'static [By], scope: Scope, account: &'static str) -> Row {
    Row {
        class,
        by,
        scope,
        account,
        next: "other",
        next_host: false,
        openai: UNAVAILABLE,
        anthropic: (503, "api_error"),
    }
}

#[test]
fn auth_expired() {
    // The machine hears of it only once a fresh token was refused too.
    let row = Row {
        next: "refresh",
        ..unusable(
            Class::AuthExpired,
            &[Status, Both, Details, By::Frame],
            Scope::None,
            "needs_login",
        )
    };
    let stale = |details: &[Value]| error(401, "UNAUTHENTICATED", "m", details);
    check(
        &row,
        vec![
            plain(Answered(401, String::new())),
            plain(Answered(401, stale(&[]))),
            plain(Answered(401, stale(&[reason("ACCESS_TOKEN_EXPIRED")]))),
            plain(Answered(401, listed(&stale(&[])))),
            plain(Answered(400, nested(&stale(&[])))),
            plain(Frame(stale(&[]))),
        ],
    );
}

#[test]
fn account_invalid() {
    let tos = "This service has been disabled in this account for violation of Terms of Service.";
    let key = error(400, "INVALID_ARGUMENT", "m", &[reason("API_KEY_INVALID")]);
    check(
        &unusable(
            Class::AccountInvalid,
            &[Details, By::Frame, By::Token],
            Scope::Account,
            "disabled",
        ),
        vec![
            plain(Answered(403, error(403, "PERMISSION_DENIED", tos, &[]))),
            plain(Answered(
                403,
                error(403, "", "m", &[reason("ACCOUNT_DISABLED")]),
            )),
            plain(Answered(
                401,
                error(401, "", "m", &[reason("USER_DISABLED")]),
            )),
            plain(Answered(400, key)),
            plain(Frame(error(403, "PERMISSION_DENIED", tos, &[]))),
            Case(
                Token(400, r#"{"error":"invalid_grant"}"#),
                Some("needs_login"),
                None,
            ),
            Case(
                Token(
                    401,
                    r#"{"error":"invalid_grant","error_description":"Bad Request"}"#,
                ),
                Some("needs_login"),
                None,
            ),
            plain(Answered(
                400,
                nested(&error(403, "PERMISSION_DENIED", tos, &[])),
            )),
        ],
    );
}

#[test]
fn needs_validation() {
    let help = json!({"links": [{"url": "https://accounts.example.com/verify"}]});
    let verify = |details: &[Value]| error(403, "PERMISSION_DENIED", "Verify.", details);
    let reason = reason("VALIDATION_REQUIRED");
    check(
        &unusable(
            Class::NeedsValidation,
            &[Details, By::Frame],
            Scope::Account,
            "needs_verification",
        ),
        vec![
            plain(Answered(403, verify(std::slice::from_ref(&reason)))),
            plain(Answered(403, verify(&[reason.clone(), help.clone()]))),
            plain(Answered(
                403,
                listed(&verify(std::slice::from_ref(&reason))),
            )),
            plain(Frame(verify(&[help, reason]))),
        ],
    );
}

#[test]
fn forbidden() {
    let denied = |details: &[Value]| error(403, "PERMISSION_DENIED", "no", details);
    let place = "User location is not supported";
    check(
        &unusable(
            Class::Forbidden,
            &[Status, Both, Details, By::Frame],
            Scope::Account,
            "cooling 3600",
        ),
        vec![
            plain(Answered(403, String::new())),
            plain(Answered(403, denied(&[reason("SERVICE_DISABLED")]))),
            plain(Answered(
                403,
                denied(&[reason("IAM_PERMISSION_DENIED"), retry("5s")]),
            )),
            plain(Answered(400, error(400, "FAILED_PRECONDITION", place, &[]))),
            plain(Answered(403, denied(&[]))),
            plain(Frame(denied(&[reason("CONSUMER_INVALID")]))),
        ],
    );
    let failure = failure(&Answered(403, denied(&[])));
    assert_eq!(consequence(&failure, 2, "m"), "cooling 3600");
    assert_eq!(consequence(&failure, 3, "m"), "disabled");
}

#[test]
fn rate_limited() {
    let row = Row {
        class: Class::RateLimited,
        by: &[Status, Both, Details, By::Frame],
        scope: Scope::AccountModel,
        account: "cooling 34",
        next: "other",
        next_host: false,
        openai: (429, "rate_limit_error", Some("rate_limit_exceeded")),
        anthropic: (429, "rate_limit_error"),
    };
    let too_fast = |details: &[Value]| error(429, "RESOURCE_EXHAUSTED", "slow down", details);
    let limit = reason("RATE_LIMIT_EXCEEDED");
    let words = "Resource has been exhausted (e.g. check quota).";
    let burst = error(429, "RESOURCE_EXHAUSTED", words, &[]);
    let cooling = |did, account| Case(did, Some(account), None);
    check(
        &row,
        vec![
            plain(Answered(429, too_fast(&[limit.clone(), retry("34.07s")]))),
            plain(Delayed(429, "34", too_fast(&[]))),
            plain(Delayed(429, "34", String::new())),
            plain(Answered(429, listed(&too_fast(&[retry("34s")])))),
            plain(Answered(400, nested(&too_fast(&[retry("34s")])))),
            cooling(Answered(429, burst), "cooling 3"),
            plain(Frame(too_fast(&[retry("34.5s")]))),
            cooling(
                Answered(429, too_fast(&[quota("RequestsPerMinute")])),
                "cooling 60",
            ),
            cooling(Answered(429, too_fast(&[retry("300s")])), "cooling 300"),
            cooling(Answered(429, String::new()), "cooling 3"),
            cooling(Frame(too_fast(&[])), "cooling 3"),
            Case(
                Answered(429, too_fast(&[limit, retry("0.754s")])),
                Some("cooling 0"),
                Some("same after 754 ms"),
            ),
        ],
    );
    let bare = failure(&Answered(429, String::new()));
    assert_eq!(consequence(&bare, 4, "m"), "cooling 24");
    assert_eq!(consequence(&bare, 40, "m"), "cooling 120");
}

#[test]
fn quota_exhausted() {
    let row = Row {
        class: Class::QuotaExhausted,
        by: &[Details, By::Frame],
        scope: Scope::AccountModel,
        account: "exhausted 3600",
        next: "other",
        next_host: false,
        openai: (429, "rate_limit_error", Some("insufficient_quota")),
        anthropic: (429, "rate_limit_error"),
    };
    let spent =
        |message: &str, details: &[Value]| error(429, "RESOURCE_EXHAUSTED", message, details);
    let exhausted = reason("QUOTA_EXHAUSTED");
    let credits = reason("INSUFFICIENT_G1_CREDITS_BALANCE");
    let stated = |did| Case(did, Some("exhausted 4560"), None);
    check(
        &row,
        vec![
            plain(Answered(429, spent("m", std::slice::from_ref(&exhausted)))),
            plain(Answered(
                429,
                spent("m", &[quota("GenerateRequestsPerDay")]),
            )),
            plain(Answered(429, spent("quota exceeded, limit: 0", &[]))),
            plain(Answered(429, spent("m", &[credits]))),
            stated(Answered(429, spent("m", &[exhausted, retry("4560.6s")]))),
            stated(Delayed(429, "4560", spent("m", &[]))),
            stated(Frame(spent("Your quota will reset after 1h16m0s.", &[]))),
        ],
    );
}

#[test]
fn capacity() {
    let row = Row {
        class: Class::Capacity,
        by: &[Status, Both, Details, By::Frame],
        scope: Scope::Model,
        account: "active",
        next: "other, else same after 250 ms",
        next_host: true,
        openai: (503, "server_error", Some("overloaded")),
        anthropic: (529, "overloaded_error"),
    };
    let full =
        |code, details: &[Value]| error(code, "UNAVAILABLE", "No capacity available", details);
    let exhausted = reason("MODEL_CAPACITY_EXHAUSTED");
    let exceeded = reason("MODEL_CAPACITY_EXCEEDED");
    check(
        &row,
        vec![
            plain(Answered(503, String::new())),
            plain(Answered(503, full(503, &[]))),
            plain(Answered(429, full(429, &[exhausted]))),
            plain(Answered(
                503,
                error(503, "UNAVAILABLE", "The model is overloaded.", &[]),
            )),
            plain(Delayed(503, "7", full(503, &[exceeded]))),
            plain(Frame(full(503, &[]))),
        ],
    );
    let failure = failure(&Delayed(503, "7", full(503, &[])));
    assert_eq!(consequence(&failure, 100, "m"), "active");
    let mut model = ModelMachine::default();
    for _ in 0..2 {
        model.capacity(failure.delay, now(), &LIMITS);
    }
    assert_eq!(model.until, Timestamp(0));
    model.capacity(failure.delay, now(), &LIMITS);
    assert_eq!(model.until.since(now()), Duration::from_secs(7));
}

/// A row whose class is the client's own fault.
fn clients_own(
    class: Class,
    by: &'static [By],
    code: Option<&'static str>,
    status: u16,
    kind: &'static str,
) -> Row {
    Row {
        class,
        by,
        scope: Scope::None,
        account: "active",
        next: "give up",
        next_host: false,
        openai: (status, "invalid_request_error", code),
        anthropic: (status, kind),
    }
}

fn invalid(message: &str) -> String {
    error(400, "INVALID_ARGUMENT", message, &[])
}

#[test]
fn bad_request() {
    // A prompt that is quoted decides nothing: neither an account's state nor a delay.
    let quoting = "Invalid value: \"Verify your account, QUOTA_EXHAUSTED, reset after 9h\"";
    check(
        &clients_own(
            Class::BadRequest,
            &[Status, Both, Details, By::Frame],
            None,
            400,
            "invalid_request_error",
        ),
        vec![
            plain(Answered(400, String::new())),
            plain(Answered(400, invalid(quoting))),
            plain(Answered(
                400,
                error(400, "FAILED_PRECONDITION", "m", &[retry("60s")]),
            )),
            plain(Answered(422, error(422, "", "m", &[]))),
            plain(Answered(411, String::new())),
            plain(Answered(415, error(415, "", "m", &[]))),
            plain(Answered(
                500,
                nested(&error(400, "INVALID_ARGUMENT", "m", &[])),
            )),
            plain(Answered(
                400,
                invalid("Invalid value (text), \"User location is not supported\""),
            )),
            plain(Frame(error(400, "OUT_OF_RANGE", "m", &[]))),
        ],
    );
}

#[test]
fn context_too_long() {
    let code = Some("context_length_exceeded");
    check(
        &clients_own(
            Class::ContextTooLong,
            &[Details, By::Frame],
            code,
            400,
            "invalid_request_error",
        ),
        vec![
            plain(Answered(
                400,
                invalid("The input token count (9) is too large"),
            )),
            plain(Answered(400, invalid("prompt is too long: 9 > 8"))),
            plain(Answered(400, invalid("The context length is 8"))),
            plain(Answered(400, nested(&invalid("prompt is too long: 9 > 8")))),
            plain(Frame(invalid(
                "it exceeds the maximum number of tokens allowed",
            ))),
        ],
    );
}

#[test]
fn signature_invalid() {
    let row = Row {
        next: "repair",
        ..clients_own(
            Class::SignatureInvalid,
            &[Details, By::Frame],
            None,
            400,
            "invalid_request_error",
        )
    };
    check(
        &row,
        vec![
            plain(Answered(
                400,
                invalid("messages.1: Invalid `signature` in `thinking` block"),
            )),
            plain(Answered(400, invalid("Corrupted thought signature."))),
            plain(Answered(
                400,
                invalid("messages.1.thinking.signature: Field required"),
            )),
            plain(Answered(
                400,
                nested(&invalid("Expected `thinking`, but found `text`")),
            )),
            plain(Frame(invalid(
                "Function call is missing a thought_signature",
            ))),
        ],
    );
}

#[test]
fn model_not_found() {
    let row = Row {
        class: Class::ModelNotFound,
        by: &[Status, Both, Details, By::Frame],
        scope: Scope::AccountModel,
        account: "cooling 600",
        next: "other",
        next_host: true,
        openai: (404, "invalid_request_error", Some("model_not_found")),
        anthropic: (404, "not_found_error"),
    };
    let unknown = |details: &[Value]| error(404, "NOT_FOUND", "m", details);
    check(
        &row,
        vec![
            plain(Answered(404, String::new())),
            plain(Answered(404, unknown(&[]))),
            plain(Answered(404, unknown(&[retry("60s")]))),
            plain(Answered(400, nested(&unknown(&[])))),
            plain(Frame(unknown(&[]))),
        ],
    );
}

#[test]
fn too_large() {
    let code = Some("request_too_large");
    check(
        &clients_own(
            Class::TooLarge,
            &[Status, Both, Details, By::Frame],
            code,
            413,
            "request_too_large",
        ),
        vec![
            plain(Answered(413, String::new())),
            plain(Answered(413, error(413, "", "m", &[]))),
            plain(Answered(400, nested(&error(413, "", "m", &[])))),
            plain(Frame(error(413, "", "m", &[]))),
        ],
    );
}

#[test]
fn server_error() {
    let row = Row {
        class: Class::ServerError,
        by: &[Status, Both, Details, By::Frame, By::Token],
        scope: Scope::None,
        account: "active",
        next: "other, else same after 500 ms",
        next_host: true,
        openai: BAD_GATEWAY,
        anthropic: (502, "api_error"),
    };
    check(
        &row,
        vec![
            plain(Answered(500, String::new())),
            plain(Answered(502, error(502, "", "m", &[]))),
            plain(Answered(499, error(499, "CANCELLED", "m", &[]))),
            plain(Answered(408, String::new())),
            plain(Answered(501, error(501, "UNIMPLEMENTED", "m", &[]))),
            plain(Answered(599, String::new())),
            plain(Answered(400, nested(&error(13, "INTERNAL", "m", &[])))),
            plain(Token(400, r#"{"error":"slow_down"}"#)),
            plain(Token(404, "<html>")),
            plain(Frame(error(500, "INTERNAL", "m", &[]))),
            plain(Token(500, "")),
        ],
    );
}

#[test]
fn timeout() {
    let row = Row {
        class: Class::Timeout,
        by: &[Status, Both, Details, By::Frame, Wire],
        scope: Scope::None,
        account: "active",
        next: "other",
        next_host: false,
        openai: (504, "server_error", Some("timeout")),
        anthropic: (504, "timeout_error"),
    };
    check(
        &row,
        vec![
            plain(Answered(504, String::new())),
            plain(Answered(504, error(504, "DEADLINE_EXCEEDED", "m", &[]))),
            plain(Answered(
                400,
                nested(&error(4, "DEADLINE_EXCEEDED", "m", &[])),
            )),
            plain(Frame(error(504, "DEADLINE_EXCEEDED", "m", &[]))),
            plain(Broke(Class::Timeout)),
        ],
    );
}

#[test]
fn upstream_garbage() {
    let row = Row {
        class: Class::UpstreamGarbage,
        by: &[Both, Details, By::Frame, Wire],
        scope: Scope::Account,
        account: "active",
        next: "other",
        next_host: false,
        openai: BAD_GATEWAY,
        anthropic: (502, "api_error"),
    };
    check(
        &row,
        vec![
            plain(Answered(200, "<html>sign in</html>".to_owned())),
            plain(Answered(503, "<html>busy</html>".to_owned())),
            plain(Answered(403, "Forbidden".to_owned())),
            plain(Answered(429, "{\"error\":{\"code\":4".to_owned())),
            plain(Frame("{\"what\":1}".to_owned())),
            plain(Broke(Class::UpstreamGarbage)),
        ],
    );
    let failure = failure(&Answered(200, "<html>".to_owned()));
    assert_eq!(consequence(&failure, 2, "m"), "active");
    assert_eq!(consequence(&failure, 3, "m"), "cooling 60");
    assert_eq!(consequence(&failure, 3, "other"), "cooling 60");
}

#[test]
fn network() {
    let row = Row {
        class: Class::Network,
        by: &[Status, Both, Wire],
        scope: Scope::None,
        account: "active",
        next: "other",
        next_host: true,
        openai: BAD_GATEWAY,
        anthropic: (502, "api_error"),
    };
    // That refused, reset and broken connections become this class is tested where sockets are read.
    check(
        &row,
        vec![
            plain(Broke(Class::Network)),
            plain(Answered(407, String::new())),
            plain(Answered(407, "{}".to_owned())),
        ],
    );
}

/// A request to an address where this happens to each connection, and how its failure is classed.
async fn on_the_wire(secure: bool, does: impl Fn(std::net::TcpStream) + Send + 'static) -> Failure {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    // Not waited for: it may read until this runtime, which must go on, closes the connection.
    std::thread::spawn(move || {
        if let Ok((stream, _)) = socket.accept() {
            does(stream);
        }
    });
    let client = reqwest::Client::builder().no_proxy();
    let client = client
        .read_timeout(Duration::from_millis(200))
        .build()
        .unwrap();
    let scheme = if secure { "https" } else { "http" };
    let sent = client.get(format!("{scheme}://{at}/")).send().await;
    let error = match sent {
        Ok(response) => response.bytes().await.unwrap_err(),
        Err(error) => error,
    };
    classify::classify_transport(&error)
}

#[tokio::test]
async fn connections_that_fail_are_of_the_network_and_silence_is_a_timeout() {
    use std::io::{Read as _, Write as _};
    let read = |stream: &mut std::net::TcpStream| {
        let _ = stream.read(&mut [0; 4096]);
    };
    let refused = {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = socket.local_addr().unwrap();
        drop(socket);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client
            .get(format!("http://{at}/"))
            .send()
            .await
            .unwrap_err()
    };
    let refused = classify::classify_transport(&refused);
    let no_tls = on_the_wire(true, |mut stream| {
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    })
    .await;
    let closed = on_the_wire(false, move |mut stream| read(&mut stream)).await;
    let cut = on_the_wire(false, move |mut stream| {
        read(&mut stream);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc");
    })
    .await;
    for failure in [refused, no_tls, closed, cut] {
        assert_eq!(failure.class, Class::Network, "{failure:?}");
    }
    let silent = on_the_wire(false, move |mut stream| {
        read(&mut stream);
        // Until the other side has given up.
        read(&mut stream);
    })
    .await;
    assert_eq!(silent.class, Class::Timeout, "{silent:?}");
}

#[test]
fn oauth_config() {
    check(
        &unusable(Class::OauthConfig, &[By::Token], Scope::Upstream, "active"),
        vec![
            plain(Token(401, r#"{"error":"invalid_client"}"#)),
            plain(Token(400, r#"{"error":"unauthorized_client"}"#)),
            plain(Token(400, r#"{"error":"invalid_scope"}"#)),
            plain(Token(400, r#"{"error":"invalid_request"}"#)),
        ],
    );
}

#[test]
fn empty_answer() {
    // Its forms on the wire become this one class where streams are read; passed on at last, it is a 200.
    let failure = failure(&Broke(Class::EmptyAnswer));
    assert_eq!(failure.class.scope(), Scope::None);
    for times in [1, 3, 100] {
        assert_eq!(consequence(&failure, times, "m"), "active");
    }
    let (without, with) = next(&failure);
    assert_eq!(without, "other, else same after 500 ms");
    assert_eq!(with, without);
}

/// Each row has a test of its name, which `check` holds to three cases and to each way its class is read.
#[test]
fn every_row_of_the_table_is_here() {
    let source = include_str!("table.rs");
    for class in Class::ALL {
        let name = format!("#[test]\nfn {}() {{\n", class.as_str());
        let from = source
            .find(&name)
            .unwrap_or_else(|| panic!("no row {class:?}"));
        let row = &source[from..];
        let row = &row[..row.find("\n}\n").unwrap()];
        assert!(row.contains(&format!("Class::{class:?}")), "{class:?}");
        assert!(row.contains("check(") || class == Class::EmptyAnswer);
    }
}

#[test]
fn a_hundred_of_a_clients_own_mistakes_touch_no_account() {
    for did in [
        Answered(400, error(400, "INVALID_ARGUMENT", "m", &[retry("9s")])),
        Answered(400, invalid("prompt is too long")),
        Answered(400, invalid("Invalid `signature`")),
        Answered(413, String::new()),
        Frame(invalid("m")),
    ] {
        let failure = failure(&did);
        let mut machine = Machine::default();
        for _ in 0..100 {
            machine.failure("m", &failure, now(), &LIMITS);
        }
        assert_eq!(machine, Machine::default(), "{failure:?}");
    }
}

#[test]
fn the_machine_does_what_the_vectors_call_it() {
    for class in Class::ALL {
        let failure = Failure::new(class, "");
        let state = consequence(&failure, 1, "m");
        let state = state.split(' ').next().unwrap();
        let expected = match classify::decision(&failure).account {
            "cooldown" if class == Class::QuotaExhausted => "exhausted",
            "cooldown" => "cooling",
            "disable" => "disabled",
            "needs_operator" => "needs_verification",
            // The machine is told of an expired token only when the fresh one was refused too.
            "refresh" => "needs_login",
            "keep" => "active",
            other => panic!("{other}"),
        };
        assert_eq!(state, expected, "{class:?}");
    }
}
