//! Scripted errors in all their forms.

use super::behaviours::{doing, hi};
use super::*;

/// A behaviour, the status it leads to, and what the body says at some place.
const REFUSALS: &[(&str, u16, &str, &str)] = &[
    (
        r#"{"status":429,"form":"retry_info","delay":"34.5s"}"#,
        429,
        "/error/details/1/retryDelay",
        r#""34.5s""#,
    ),
    (
        r#"{"form":"retry_info","delay":"1m"}"#,
        429,
        "/error/details/1/retryDelay",
        r#""60s""#,
    ),
    (
        r#"{"form":"metadata_delay","delay":"1h16m0.6s"}"#,
        429,
        "/error/details/0/metadata/quotaResetDelay",
        r#""1h16m0.6s""#,
    ),
    (
        r#"{"form":"timestamp"}"#,
        429,
        "/error/details/0/reason",
        r#""RATE_LIMIT_EXCEEDED""#,
    ),
    (
        r#"{"form":"text","delay":"45s"}"#,
        429,
        "/error/message",
        r#""Quota exceeded. Please retry in 45s.""#,
    ),
    (
        r#"{"status":429}"#,
        429,
        "/error/message",
        r#""Resource has been exhausted (e.g. check quota).""#,
    ),
    (
        r#"{"form":"bare"}"#,
        429,
        "/error/status",
        r#""RESOURCE_EXHAUSTED""#,
    ),
    (
        r#"{"form":"quota_exhausted","delay":"2h"}"#,
        429,
        "/error/details/0/reason",
        r#""QUOTA_EXHAUSTED""#,
    ),
    (
        r#"{"form":"per_minute"}"#,
        429,
        "/error/details/0/violations/0/quotaId",
        r#""GenerateRequestsPerMinutePerProjectPerModel""#,
    ),
    (
        r#"{"form":"per_day"}"#,
        429,
        "/error/details/0/violations/0/quotaId",
        r#""GenerateRequestsPerDayPerProjectPerModel-FreeTier""#,
    ),
    (
        r#"{"form":"credits"}"#,
        429,
        "/error/details/0/reason",
        r#""INSUFFICIENT_G1_CREDITS_BALANCE""#,
    ),
    (
        r#"{"form":"capacity"}"#,
        503,
        "/error/details/0/reason",
        r#""MODEL_CAPACITY_EXHAUSTED""#,
    ),
    (
        r#"{"form":"capacity","status":429}"#,
        429,
        "/error/status",
        r#""RESOURCE_EXHAUSTED""#,
    ),
    (
        r#"{"status":503}"#,
        503,
        "/error/status",
        r#""UNAVAILABLE""#,
    ),
    (
        r#"{"status":401}"#,
        401,
        "/error/status",
        r#""UNAUTHENTICATED""#,
    ),
    (
        r#"{"form":"validation","link":"https://example.com/v"}"#,
        403,
        "/error/details/1/links/0/url",
        r#""https://example.com/v""#,
    ),
    (
        r#"{"form":"service_disabled"}"#,
        403,
        "/error/details/0/reason",
        r#""SERVICE_DISABLED""#,
    ),
    (
        r#"{"status":403}"#,
        403,
        "/error/status",
        r#""PERMISSION_DENIED""#,
    ),
    (
        r#"{"status":403,"reason":"ACCOUNT_DISABLED"}"#,
        403,
        "/error/details/0/reason",
        r#""ACCOUNT_DISABLED""#,
    ),
    (
        r#"{"status":400,"message":"no"}"#,
        400,
        "/error/message",
        r#""no""#,
    ),
    (r#"{"status":404}"#, 404, "/error/status", r#""NOT_FOUND""#),
    (r#"{"status":413}"#, 413, "/error/code", "413"),
    (
        r#"{"status":500}"#,
        500,
        "/error/message",
        r#""Internal error encountered.""#,
    ),
    (r#"{"status":502}"#, 502, "/error/status", r#""INTERNAL""#),
    (
        r#"{"status":504}"#,
        504,
        "/error/status",
        r#""DEADLINE_EXCEEDED""#,
    ),
    (r#"{"form":"list"}"#, 429, "/0/error/code", "429"),
    (r#"{"body":"{\"a\":1}","status":418}"#, 418, "/a", "1"),
];

#[tokio::test]
async fn refusals_in_all_forms() {
    for (behaviour, status, pointer, value) in REFUSALS {
        let got = hi(&doing(behaviour).await).await;
        let value: Value = serde_json::from_str(value).unwrap();
        assert_eq!(got.status, *status, "{behaviour}");
        assert_eq!(
            got.json().pointer(pointer),
            Some(&value),
            "{behaviour}: {}",
            got.text
        );
    }
}

#[tokio::test]
async fn refusals_that_are_no_json() {
    let html = hi(&doing(r#"{"form":"html"}"#).await).await;
    assert!(html.status == 200 && html.text.contains("Sorry"));
    let forbidden = hi(&doing(r#"{"form":"html","status":403}"#).await).await;
    assert!(forbidden.status == 403 && forbidden.text.starts_with("<html>"));
    let plain = hi(&doing(r#"{"form":"plain"}"#).await).await;
    assert!(plain.status == 200 && plain.text.contains("no longer supported"));
    let nothing = hi(&doing(r#"{"form":"no_body","status":502}"#).await).await;
    assert_eq!((nothing.status, nothing.text.as_str()), (502, ""));
    let nested = hi(&doing(r#"{"form":"nested"}"#).await).await;
    let inner: Value = serde_json::from_str(&nested.message()).unwrap();
    assert_eq!(inner["error"]["code"], 429);
    let after =
        hi(&doing(r#"{"form":"retry_after","delay":"1.5s","headers":{"x-more":"yes"}}"#).await)
            .await;
    assert_eq!(
        (&after.headers["retry-after"], &after.headers["x-more"]),
        (&"2".parse().unwrap(), &"yes".parse().unwrap())
    );
    let terms = hi(&doing(r#"{"form":"terms_of_service"}"#).await).await;
    assert!(
        terms
            .message()
            .contains("has been disabled in this account for violation of Terms of Service")
    );
    let zero = hi(&doing(r#"{"form":"limit_zero"}"#).await).await;
    assert!(zero.message().contains("limit: 0"));
}
