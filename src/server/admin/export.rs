//! `log export`: the log's rows as a file, page by page as the client takes them.

mod csv;

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE};
use sync_wrapper::SyncStream;
use warp::reply::{Reply as _, Response};

use crate::base::time::Timestamp;
use crate::server::Gateway;
use crate::server::admin::logs::{filter, unavailable};
use crate::server::admin::{Params, Responding, explain};
use crate::store::{Cursor, Filter, LogRecord, Store, StoreError};

/// Rows where no number is asked for.
const ROWS: usize = 100_000;
/// Rows that are read at a time.
const PAGE: usize = 500;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    JsonLines,
    Csv,
}

impl Form {
    /// What stands before the first row.
    fn head(self) -> Vec<u8> {
        match self {
            Self::JsonLines => Vec::new(),
            Self::Csv => csv::HEAD.to_vec(),
        }
    }

    fn write(self, record: &LogRecord, out: &mut Vec<u8>) {
        let row = explain::row(record);
        match self {
            Self::JsonLines => {
                // A row is plain data, which can always be written.
                if let Ok(line) = serde_json::to_vec(&row) {
                    out.extend(line);
                    out.push(b'\n');
                }
            }
            Self::Csv => csv::write(&row, out),
        }
    }
}

pub(super) fn export(gateway: Arc<Gateway>, params: Params) -> Responding {
    Box::pin(async move {
        let now = Timestamp::now();
        let form = match params.get("format") {
            Some("csv") => Form::Csv,
            _ => Form::JsonLines,
        };
        let left = params.number("limit").map(usize::try_from);
        let reading = Reading {
            store: gateway.dispatcher.runtime.store.clone(),
            filter: filter(&params, now)?,
            form,
            left: left.and_then(Result::ok).unwrap_or(ROWS),
            next: Next::First,
        };
        // What is wrong from the start is told by the status.
        let first = reading.page().await.map_err(|e| unavailable(&e))?;
        Ok(response(form, now, pages(first)))
    })
}

/// How far it is.
struct Reading {
    store: Store,
    filter: Filter,
    form: Form,
    /// Rows that may still come.
    left: usize,
    next: Next,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    First,
    From(Cursor),
    End,
}

impl Reading {
    /// One piece of the file, read on a thread that may block.
    async fn page(self) -> Result<(Bytes, Self), StoreError> {
        let read = tokio::task::spawn_blocking(move || self.read());
        read.await.unwrap_or(Err(StoreError::Closed))
    }

    fn read(mut self) -> Result<(Bytes, Self), StoreError> {
        let mut out = Vec::new();
        let cursor = match self.next {
            Next::First => {
                out = self.form.head();
                None
            }
            Next::From(cursor) => Some(cursor),
            Next::End => return Ok((Bytes::new(), self)),
        };
        let page = self
            .store
            .query(&self.filter, cursor, PAGE.min(self.left))?;
        for record in &page.rows {
            self.form.write(record, &mut out);
        }
        self.left = self.left.saturating_sub(page.rows.len());
        self.next = match page.next {
            Some(cursor) if self.left > 0 => Next::From(cursor),
            _ => Next::End,
        };
        Ok((out.into(), self))
    }
}

/// The pieces, the first of which is there. Nothing is read before the one before it was taken. Where the log can't be read
/// on, the answer breaks off, so that a part is not taken for the whole.
fn pages(first: (Bytes, Reading)) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    let (first, reading) = first;
    let rest = stream::unfold(Some(reading), |reading| async {
        let reading = reading.filter(|reading| reading.next != Next::End)?;
        match reading.page().await {
            Ok((bytes, reading)) => Some((Ok(bytes), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    });
    // A look at the log may find nothing: an empty piece would end the answer.
    let rest = rest.filter(|piece| {
        let empty = piece.as_ref().is_ok_and(Bytes::is_empty);
        std::future::ready(!empty)
    });
    stream::iter((!first.is_empty()).then_some(Ok(first))).chain(rest)
}

fn response(
    form: Form,
    now: Timestamp,
    pages: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
) -> Response {
    let body = SyncStream::new(Box::pin(pages));
    let mut response = warp::reply::stream(body).into_response();
    let (media, ending) = match form {
        Form::JsonLines => ("application/jsonl", "jsonl"),
        Form::Csv => ("text/csv; charset=utf-8", "csv"),
    };
    let day: String = now.to_string().chars().take(10).collect();
    let name = format!("attachment; filename=\"agp-requests-{day}.{ending}\"");
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(
        "x-content-type-options",
        HeaderValue::from_static("nosniff"),
    );
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    response
}
