//! Bounded reading of request bodies.

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};

use crate::base::error::{Error, ErrorKind};

/// Reads a body of at most `limit` bytes. What comes in one piece is not copied.
///
/// # Errors
/// 413 for a larger one; `Cancelled` where the client went away in the middle of it.
pub async fn read<B: Buf>(
    body: impl Stream<Item = Result<B, warp::Error>>,
    length: Option<u64>,
    limit: u64,
) -> Result<Bytes, Error> {
    let mut body = std::pin::pin!(body);
    if length.is_some_and(|length| length > limit) {
        discard(body, limit).await;
        return Err(too_large(limit));
    }
    let Some(first) = next(&mut body).await? else {
        return Ok(Bytes::new());
    };
    if first.len() as u64 > limit {
        discard(body, limit).await;
        return Err(too_large(limit));
    }
    let Some(second) = next(&mut body).await? else {
        return Ok(first);
    };
    let expected = length
        .and_then(|length| usize::try_from(length).ok())
        .unwrap_or(0);
    let mut whole = BytesMut::with_capacity(expected.max(first.len() + second.len()));
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while (whole.len() as u64) <= limit {
        match next(&mut body).await? {
            Some(piece) => whole.extend_from_slice(&piece),
            None => return Ok(whole.freeze()),
        }
    }
    drop(whole);
    discard(body, limit).await;
    Err(too_large(limit))
}

async fn next<B: Buf>(
    body: &mut (impl Stream<Item = Result<B, warp::Error>> + Unpin),
) -> Result<Option<Bytes>, Error> {
    match body.next().await {
        Some(Ok(mut piece)) => Ok(Some(piece.copy_to_bytes(piece.remaining()))),
        Some(Err(error)) => Err(Error::new(
            ErrorKind::BadRequest,
            "the body ended before it was complete",
        )
        .with_detail(error.to_string())),
        None => Ok(None),
    }
}

/// Reads on for a moment without keeping anything, so that a client that is still sending gets to read the refusal
/// instead of a reset connection.
async fn discard<B: Buf>(mut body: impl Stream<Item = Result<B, warp::Error>> + Unpin, limit: u64) {
    let rest = async {
        let mut seen = 0;
        while let Some(Ok(piece)) = body.next().await {
            seen += piece.remaining() as u64;
            if seen > limit {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(std::time::Duration::from_secs(5), rest).await;
}

fn too_large(limit: u64) -> Error {
    Error::new(
        ErrorKind::TooLarge,
        format!("the body is larger than {limit} bytes, the gateway's `server.max_body`"),
    )
}
