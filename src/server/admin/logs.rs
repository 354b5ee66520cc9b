//! `logs` and `request body`: the log's rows, and what was said in one of them.

use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::{Value, json};

use crate::base::time::Timestamp;
use crate::base::units::parse_duration;
use crate::server::Gateway;
use crate::server::admin::{Params, Refusal, explain};
use crate::store::{BodyPart, Cursor, Filter, MAX_PAGE, StatusFilter, StoreError};

/// Rows where no number is asked for.
const ROWS: usize = 50;
/// After so long a page goes out as far as it is filled. One look into the log takes a few milliseconds.
const WORK: Duration = Duration::from_millis(500);

/// Newest first; `next` is what to give as `before` for the rows that follow, null where there are none.
pub(super) fn logs(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let filter = filter(params, Timestamp::now())?;
    let limit = match params.get("limit") {
        Some(text) => text
            .parse()
            .ok()
            .filter(|n| (1..=MAX_PAGE).contains(n))
            .ok_or_else(|| {
                Refusal::mistake(format!(
                    "`limit`: expected a number from 1 to {MAX_PAGE}, found `{text}`"
                ))
            })?,
        None => ROWS,
    };
    let mut cursor = match params.get("before") {
        Some(text) => Some(Cursor(text.parse().map_err(|_| {
            Refusal::mistake(format!(
                "`before`: expected the `next` of another answer, found `{text}`"
            ))
        })?)),
        None => None,
    };
    let store = &gateway.dispatcher.runtime.store;
    let (begun, mut rows) = (Instant::now(), Vec::new());
    loop {
        let page = store
            .query(&filter, cursor, limit - rows.len())
            .map_err(|e| unavailable(&e))?;
        rows.extend(page.rows);
        cursor = page.next;
        if cursor.is_none() || rows.len() >= limit || begun.elapsed() > WORK {
            break;
        }
    }
    Ok(json!({
        "rows": rows.iter().map(explain::row).collect::<Vec<_>>(),
        "next": cursor.map(|cursor| cursor.0.to_string()),
    }))
}

fn unavailable(error: &StoreError) -> Refusal {
    Refusal::of(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

fn filter(params: &Params, now: Timestamp) -> Result<Filter, Refusal> {
    let time = |name: &str| {
        params
            .get(name)
            .map(|text| time(name, text, now))
            .transpose()
    };
    Ok(Filter {
        from: time("since")?,
        to: time("until")?,
        model: params.get("model").map(Into::into),
        account: params.get("account").map(Into::into),
        key: params.get("key").map(Into::into),
        status: params.get("status").map(status).transpose()?,
        id: None,
    })
}

/// A moment, or how long ago.
fn time(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Ok(at);
    }
    let ago = parse_duration(text).map_err(|_| {
        Refusal::mistake(format!(
            "`{name}`: expected how long ago, such as `2h`, or a time such as `2026-11-22T10:00:00Z`, found `{text}`"
        ))
    })?;
    let ms = i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
    Ok(Timestamp(now.as_millis().saturating_sub(ms)))
}

fn status(text: &str) -> Result<StatusFilter, Refusal> {
    let class = text.strip_suffix("xx").unwrap_or_default();
    match (class.parse(), text.parse()) {
        (Ok(digit @ 1..=5), _) => Ok(StatusFilter::Class(digit)),
        (_, Ok(status @ 100..=599)) => Ok(StatusFilter::Exactly(status)),
        _ => Err(Refusal::mistake(format!(
            "`status`: expected a status such as `429`, or `4xx` for all that begin with a 4, found `{text}`"
        ))),
    }
}

/// What the client sent and was sent. Each look is logged.
pub(super) fn body(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let id = explain::id(params)?;
    let store = &gateway.dispatcher.runtime.store;
    let found = explain::queued_too(store, || store.body(id)).map_err(|e| unavailable(&e))?;
    let Some(found) = found else {
        return Err(Refusal::not_found(format!(
            "no bodies are kept of request `{id}`: `state.log_bodies` says whose are, `state.log_bodies_retention` for how long"
        )));
    };
    tracing::info!(request = %id, "bodies looked at");
    let part = |part: &BodyPart| json!({ "text": part.text, "bytes": part.bytes, "cut": part.cut });
    Ok(json!({
        "id": id.to_string(),
        "request": part(&found.request),
        "answer": part(&found.answer),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_moments_or_ages() {
        let now = Timestamp(1_790_000_000_000);
        assert_eq!(
            time("since", "1h30m", now).unwrap(),
            Timestamp(now.0 - 5_400_000)
        );
        let at = time("since", "2026-11-22T10:00:00Z", now).unwrap();
        assert_eq!(at.to_string(), "2026-11-22T10:00:00Z");
        let refused = time("since", "yesterday", now).unwrap_err();
        assert!(refused.message.contains("`yesterday`"), "{refused:?}");
    }

    #[test]
    fn statuses_are_exact_or_a_class() {
        assert_eq!(status("429").unwrap(), StatusFilter::Exactly(429));
        assert_eq!(status("5xx").unwrap(), StatusFilter::Class(5));
        for wrong in ["", "xx", "6xx", "99", "600", "4x", "12xx"] {
            assert!(status(wrong).is_err(), "{wrong}");
        }
    }
}
