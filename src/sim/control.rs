//! The control endpoint: change the script, look at the calls, let paused streams go on. docs/simulator.md describes it.

use hyper::Method;
use serde_json::{Value, json};

use super::http::{Call, not_found};
use super::reply::{Reply, json as json_reply};
use super::script::Script;
use super::state::State;

/// Answers a call below `/control/`.
pub(super) fn answer(state: &State, call: &Call) -> Reply {
    match (&call.verb, call.path.as_str()) {
        (&Method::GET, "/control/script") => json_reply(200, state.live().script.source()),
        (&Method::PUT | &Method::POST, "/control/script") => set(state, call),
        (&Method::GET, "/control/requests") => json_reply(200, &json!({"requests": state.seen()})),
        (&Method::DELETE, "/control/requests") => {
            state.clear();
            json_reply(200, &json!({}))
        }
        (&Method::POST, "/control/release") => {
            let times = call.query().get("times").map_or(Ok(1), |t| t.parse());
            match times {
                Ok(times) => {
                    state.release(times);
                    json_reply(200, &json!({}))
                }
                Err(_) => bad("expected `times` to be a whole number"),
            }
        }
        (&Method::POST, "/control/revoke") => match call.query().get("account") {
            Some(account) => {
                state.oauth.lock().revoke(account);
                json_reply(200, &json!({}))
            }
            None => bad("expected `?account=`, whose access tokens are to be revoked"),
        },
        (&Method::GET, "/control/state") => json_reply(200, &loads(state)),
        _ => not_found(&call.path),
    }
}

fn bad(message: &str) -> Reply {
    json_reply(400, &json!({"error": message}))
}

fn set(state: &State, call: &Call) -> Reply {
    let text = String::from_utf8_lossy(&call.body);
    match Script::parse(&text) {
        Ok(script) => {
            state.set_script(script);
            json_reply(200, &json!({}))
        }
        Err(message) => bad(&message),
    }
}

fn loads(state: &State) -> Value {
    let all = state.flights.all();
    let all: Vec<Value> = all
        .into_iter()
        .map(|((account, model), load)| {
            json!({"account": account, "model": model, "current": load.current,
                "peak": load.peak, "total": load.total})
        })
        .collect();
    json!({"loads": all, "cancelled": state.flights.cancelled()})
}
