//! Gemini's answers, whole and streamed, to what clients are sent.

use std::fmt::Write as _;

use agp::base::error::{Error, ErrorKind};
use agp::base::id::RequestId;
use agp::base::time::Timestamp;
use agp::ir::{Collector, Event, Family};
use agp::wire::front::Front;
use agp::wire::gemini::{Decode, StreamDecoder, decode_response};
use agp::wire::sse::SseParser;
use agp::wire::{Reply, ThinkingOutput};
use serde_json::{Value, json};

use super::compare::{fold_anthropic, fold_openai};

pub(super) fn openai_whole(input: &Value) -> Result<Vec<Value>, String> {
    whole(input, Front::OpenAiChat)
}

pub(super) fn anthropic_whole(input: &Value) -> Result<Vec<Value>, String> {
    whole(input, Front::Anthropic)
}

pub(super) fn openai_stream(input: &Value) -> Result<Vec<Value>, String> {
    streams(input, Front::OpenAiChat, fold_openai)
}

pub(super) fn anthropic_stream(input: &Value) -> Result<Vec<Value>, String> {
    streams(input, Front::Anthropic, fold_anthropic)
}

fn reply(input: &Value) -> Result<Reply, String> {
    let request = &input["client_request"];
    Ok(Reply {
        request_id: RequestId::from_u128(7),
        model: request["model"].as_str().ok_or("no model")?.to_owned(),
        created: Timestamp(1_790_000_000_000),
        include_usage: request["stream_options"]["include_usage"] == json!(true),
        thinking_output: ThinkingOutput::ReasoningContent,
    })
}

fn decode(input: &Value, front: Front) -> Result<Decode, String> {
    let model = input["model"].as_str().ok_or("no model")?;
    Ok(Decode::plain(front.dialect(), Family::of(model)))
}

fn whole(input: &Value, front: Front) -> Result<Vec<Value>, String> {
    let mut collector = Collector::new();
    let mut fault = None;
    decode_response(
        decode(input, front)?,
        &input["body"].to_string(),
        &mut |event| {
            if let Event::Fail(f) = &event {
                fault = Some(format!("{f:?}"));
            }
            collector.event(&event);
        },
    );
    if let Some(fault) = fault {
        return Err(fault);
    }
    let body = front.encode_response(&collector.into_response(), &reply(input)?);
    let response: Value = serde_json::from_slice(&body).map_err(|e| e.to_string())?;
    Ok(vec![json!({ "response": response })])
}

/// The stream as bytes: raw, or framed here from the chunks.
fn bytes(input: &Value) -> Result<String, String> {
    if let Some(text) = input["sse"].as_str() {
        return Ok(text.to_owned());
    }
    let chunks = input["chunks"].as_array().ok_or("no chunks")?;
    let mut text = String::new();
    for chunk in chunks {
        let _ = write!(text, "data: {chunk}\r\n\r\n");
    }
    Ok(text)
}

fn streams(
    input: &Value,
    front: Front,
    fold: fn(&str) -> Result<Value, String>,
) -> Result<Vec<Value>, String> {
    let upstream = bytes(input)?;
    [usize::MAX, 1, 7, 64]
        .into_iter()
        .map(|size| {
            let pieces: Vec<&[u8]> = if size == usize::MAX {
                vec![upstream.as_bytes()]
            } else {
                upstream.as_bytes().chunks(size).collect()
            };
            let text = stream(input, front, &pieces)?;
            fold(&text).map_err(|e| format!("{e} in\n{text}"))
        })
        .collect()
}

fn stream(input: &Value, front: Front, pieces: &[&[u8]]) -> Result<String, String> {
    let mut parser = SseParser::new(1 << 20);
    let mut decoder = StreamDecoder::new(decode(input, front)?);
    let mut encoder = front.stream_encoder(&reply(input)?);
    let mut out = Vec::new();
    let mut sink = |event: Event<'_>| {
        if let Event::Fail(_) = event {
            let error = Error::new(ErrorKind::UpstreamFailed, "the upstream failed");
            encoder.fail(&error, &mut out);
        } else {
            encoder.event(&event, &mut out);
        }
    };
    for piece in pieces {
        parser
            .push(piece, &mut |frame| decoder.frame(frame.data, &mut sink))
            .map_err(|e| e.to_string())?;
    }
    parser
        .finish(&mut |frame| decoder.frame(frame.data, &mut sink))
        .map_err(|e| e.to_string())?;
    decoder.end(&mut sink);
    String::from_utf8(out).map_err(|e| e.to_string())
}
