//! `logs` and `request body`: the log's rows, and what was said in one of them.

use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use http::StatusCode;
use serde_json::Value;

use crate::base::id::RequestId;
use crate::base::time::Timestamp;
use crate::base::units::parse_duration;
use crate::server::Gateway;
use crate::server::admin::api::logs::{Bodies, KeptBody, LogPage};
use crate::server::admin::{Params, Refusal, explain, told};
use crate::store::{BodyPart, Cursor, Filter, StatusFilter, StoreError};

/// Rows where no number is asked for.
const ROWS: usize = 50;
/// After so long a page goes out as far as it is filled. One look into the log takes a few milliseconds.
const WORK: Duration = Duration::from_millis(500);
/// Characters of a request's id.
const ID: usize = 26;

/// Newest first; `next` is what to give as `before` for the rows that follow, null where there are none.
pub(super) fn logs(gateway: &Gateway, params: &Params) -> Result<Value, Refusal> {
    let filter = filter(params, Timestamp::now())?;
    let limit = params.number("limit").map(usize::try_from);
    let limit = limit.and_then(Result::ok).unwrap_or(ROWS);
    let mut cursor = match params.get("before") {
        Some(text) => Some(Cursor(text.parse().map_err(|_| {
            let message =
                format!("`before`: expected the `next` of another answer, found `{text}`");
            Refusal::field("before", message)
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
    told(&LogPage {
        rows: rows.iter().map(explain::row).collect(),
        next: cursor.map(|cursor| cursor.0.to_string()),
    })
}

pub(super) fn unavailable(error: &StoreError) -> Refusal {
    Refusal::of(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
}

/// The rows that the query wants.
pub(super) fn filter(params: &Params, now: Timestamp) -> Result<Filter, Refusal> {
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
        id: params.get("id").map(ids).transpose()?,
    })
}

/// The ids that begin so: they sort by time, so that they are a range.
fn ids(text: &str) -> Result<RangeInclusive<RequestId>, Refusal> {
    let begin = explain::bare(text).to_ascii_uppercase();
    let end = |with: char| {
        // A first character above 7 is more than the 128 bits of an id.
        let fits = begin.len() <= ID && begin.starts_with(|c| c <= '7');
        let rest = ID.saturating_sub(begin.len());
        let whole = format!("{begin}{}", with.to_string().repeat(rest));
        RequestId::parse(&whole).filter(|_| fits)
    };
    match (end('0'), end('Z')) {
        (Some(first), Some(last)) => Ok(first..=last),
        _ => Err(Refusal::field(
            "id",
            format!("`id`: expected a request id or the begin of one, found `{text}`"),
        )),
    }
}

/// A moment, or how long ago.
pub(super) fn time(name: &str, text: &str, now: Timestamp) -> Result<Timestamp, Refusal> {
    if let Some(at) = Timestamp::parse_rfc3339(text) {
        return Ok(at);
    }
    let ago = parse_duration(text).map_err(|_| {
        let message = format!(
            "`{name}`: expected how long ago, such as `2h`, or a time such as `2026-11-22T10:00:00Z`, found `{text}`"
        );
        Refusal::field(name, message)
    })?;
    Ok(now.minus(ago))
}

fn status(text: &str) -> Result<StatusFilter, Refusal> {
    let class = text.strip_suffix("xx").unwrap_or_default();
    match (class.parse(), text.parse()) {
        (Ok(digit @ 1..=5), _) => Ok(StatusFilter::Class(digit)),
        (_, Ok(status @ 100..=599)) => Ok(StatusFilter::Exactly(status)),
        _ => {
            let message = format!(
                "`status`: expected a status such as `429`, or `4xx` for all that begin with a 4, found `{text}`"
            );
            Err(Refusal::field("status", message))
        }
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
    let part = |part: BodyPart| KeptBody {
        text: part.text,
        bytes: part.bytes,
        cut: part.cut,
    };
    told(&Bodies {
        id: id.to_string(),
        request: part(found.request),
        answer: part(found.answer),
    })
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

    #[test]
    fn the_begin_of_an_id_is_a_range() {
        let whole = "01K9ZZZZZZABCDEFGHJKMNPQRS";
        let exact = ids(&format!("req_{}", whole.to_lowercase())).unwrap();
        assert_eq!(exact.start(), exact.end());
        assert_eq!(exact.start().to_string(), whole);
        let some = ids("01K9").unwrap();
        assert!(some.contains(exact.start()));
        assert!(!ids("01KA").unwrap().contains(exact.start()));
        for wrong in ["", "8", "01K9-", "é", &"0".repeat(27)] {
            let refused = ids(wrong).unwrap_err();
            assert_eq!(refused.fields[0].field, "id", "{wrong}");
        }
    }
}
