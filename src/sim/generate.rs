//! `generateContent` and `streamGenerateContent`: check, find the rule, wait, and answer or fail as it says.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer;
use super::api::{self, Stop};
use super::faults;
use super::http::{Call, Done};
use super::models::{self, Model};
use super::prepared::Frames;
use super::render::{self, Framing};
use super::reply::{Problem, SimBody, Step};
use super::script::{Behaviour, Form, Script, Switch};
use super::state::{Live, State};
use super::strict;
use crate::base::time::Timestamp;

/// What a request asks for.
struct Wanted {
    model: &'static Model,
    /// The model's id as the request wrote it.
    id: String,
    /// The inner request; null where a lenient script did not need it.
    request: Value,
}

/// The model of a body that is not otherwise looked at.
#[derive(Default, Deserialize)]
struct Peek {
    #[serde(default)]
    model: String,
}

/// Answers one call of a generation method.
pub(super) async fn answer(
    state: &Arc<State>,
    live: &Live,
    call: &Call,
    account: String,
    method: &str,
) -> Done {
    let lenient = live.script.settings.lenient;
    let mut done = Done {
        method: method.to_owned(),
        account,
        model: String::new(),
        rule: None,
        reply: None,
    };
    let wanted = if lenient {
        Ok(peek(&call.body))
    } else {
        check(&live.script, call, &done.account, method)
    };
    let wanted = match wanted {
        Ok(wanted) => wanted,
        Err((model, problem)) => {
            done.model = model;
            done.reply = Some(problem.reply());
            return done;
        }
    };
    done.model.clone_from(&wanted.id);
    done.rule = live.rule(&done.account, &done.model, &call.host, method);
    let b = live.behaviour(done.rule);
    let mut flight = state.flights.begin(&done.account, &done.model);
    match api::interfere(state, b, &done.account, &done.model).await {
        Stop::Go => {}
        Stop::Reply(reply) => {
            flight.end();
            done.reply = Some(*reply);
            return done;
        }
        Stop::Drop => {
            flight.end();
            return done;
        }
    }
    let framing = framing(call, method, b);
    let frames = frames(live, call, &wanted, done.rule, b, framing);
    let mut body = SimBody::steps(steps(state, call, &frames, b, framing, &wanted));
    body.carry(flight);
    let mut reply = hyper::Response::new(body);
    api::head(&mut reply, b, framing.content_type());
    done.reply = Some(reply);
    done
}

fn peek(body: &[u8]) -> Wanted {
    let id = serde_json::from_slice::<Peek>(body)
        .unwrap_or_default()
        .model;
    Wanted {
        // A lenient script takes every model; one that is unknown talks like Gemini 2.5 Flash.
        model: models::find(&id).unwrap_or(&models::MODELS[4]),
        id,
        request: Value::Null,
    }
}

/// The strict way: everything is checked. The error comes with the model, where the request has one.
fn check(
    script: &Script,
    call: &Call,
    account: &str,
    method: &str,
) -> Result<Wanted, (String, Problem)> {
    let checked = strict::generate(&call.body, method == "generateContent").map_err(|problem| {
        let model = serde_json::from_slice::<Peek>(&call.body).unwrap_or_default();
        (model.model, problem)
    })?;
    let id = checked.model.id.to_owned();
    if !api::may_use_project(script, account, &checked.project) {
        return Err((id, api::foreign_project(&checked.project)));
    }
    if !api::may_use_model(script, account, &id) {
        let problem = Problem::new(404, "Requested entity was not found.");
        return Err((id, problem));
    }
    Ok(Wanted {
        model: checked.model,
        id,
        request: checked.request,
    })
}

fn framing(call: &Call, method: &str, b: &Behaviour) -> Framing {
    if method == "generateContent" {
        Framing::Unary
    } else if call.query().get("alt").is_none_or(|alt| alt != "sse") {
        Framing::Array
    } else if b.odd_borders == Some(true) {
        Framing::OddSse
    } else {
        Framing::Sse
    }
}

fn frames(
    live: &Live,
    call: &Call,
    wanted: &Wanted,
    rule: Option<usize>,
    b: &Behaviour,
    framing: Framing,
) -> Frames {
    let make = |request: &Value| Arc::new(make(wanted, request, b, framing));
    if !live.script.settings.lenient {
        return make(&wanted.request);
    }
    if b.raw.is_some() || b.text.is_some() || b.answer_bytes.is_some() {
        let key = (rule, wanted.id.clone(), framing);
        return live.prepared.get(key, || make(&Value::Null));
    }
    let mut body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    make(&body["request"].take())
}

fn make(wanted: &Wanted, request: &Value, b: &Behaviour, framing: Framing) -> Vec<Vec<Bytes>> {
    if let Some(raw) = &b.raw {
        let size = b.chunk_bytes.unwrap_or(raw.len()).max(1);
        let pieces = raw.as_bytes().chunks(size);
        return pieces.map(|p| vec![Bytes::copy_from_slice(p)]).collect();
    }
    let answer = answer::make(wanted.model, request, b);
    if framing == Framing::Unary {
        let value = render::unary(&answer, &wanted.id);
        return render::frame(&[value], framing);
    }
    render::frame(&render::chunks(&answer, &wanted.id), framing)
}

/// The chunk after which a switch strikes. The last chunk, which holds the finish, is never sent before a fault.
fn place(switch: Option<Switch>, frames: usize) -> Option<usize> {
    let last = frames.saturating_sub(1);
    match switch? {
        Switch::On(true) => Some(1.min(last)),
        Switch::On(false) => None,
        Switch::After(n) => Some(n.min(last)),
    }
}

/// Whether the stream pauses before chunk `i`: before each one but the first, or before one only.
fn pauses(switch: Option<Switch>, i: usize) -> bool {
    match switch {
        Some(Switch::On(on)) => on && i > 0,
        Some(Switch::After(n)) => i == n,
        None => false,
    }
}

/// What the body does, chunk by chunk.
fn steps(
    state: &State,
    call: &Call,
    frames: &[Vec<Bytes>],
    b: &Behaviour,
    framing: Framing,
    wanted: &Wanted,
) -> VecDeque<Step> {
    let stall = place(b.stall, frames.len());
    let cut = place(b.cut, frames.len());
    let reset = place(b.reset, frames.len());
    let truncate = place(b.truncate, frames.len());
    let error = place(b.error_in_stream, frames.len());
    // Looked up only for a stream that pauses: each look-up subscribes.
    let mut releases = b.pause_until_released.map(|_| state.releases());
    let mut steps = VecDeque::with_capacity(frames.len() * 2);
    for (i, pieces) in frames.iter().enumerate() {
        if let Some(delay) = b.chunk_delay.as_ref().filter(|_| i > 0) {
            steps.push_back(Step::Wait(delay.value));
        }
        if let Some((releases, released)) = &mut releases
            && pauses(b.pause_until_released, i)
        {
            *released += 1;
            steps.push_back(Step::Release(releases.clone(), *released));
        }
        let at = Some(i);
        if stall == at || cut == at || reset == at {
            // What was sent so far must have left before the silence or the end.
            steps.push_back(Step::Flush);
            steps.push_back(if stall == at {
                Step::Stall
            } else if cut == at {
                Step::Cut
            } else {
                Step::Reset(call.hangup.clone())
            });
            return steps;
        }
        if error == at {
            steps.push_back(Step::Data(error_chunk(b, wanted, framing)));
            return steps;
        }
        if truncate == at {
            return steps;
        }
        for piece in pieces {
            steps.push_back(Step::Data(piece.clone()));
            if framing == Framing::OddSse {
                steps.push_back(Step::Flush);
            }
        }
    }
    while matches!(steps.back(), Some(Step::Flush)) {
        steps.pop_back();
    }
    steps
}

/// An error inside a stream that began with 200 (upstream-protocol.md 6.7).
fn error_chunk(b: &Behaviour, wanted: &Wanted, framing: Framing) -> Bytes {
    let problem = faults::problem(b, &wanted.id, Timestamp::now());
    let mut body = problem.body();
    if b.form == Some(Form::List) {
        body = json!([body]);
    }
    match framing {
        Framing::Sse | Framing::OddSse => Bytes::from(format!("data: {body}\n\n")),
        Framing::Unary | Framing::Array => Bytes::from(format!("{body}\n")),
    }
}
