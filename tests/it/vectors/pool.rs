//! What clients are told when none of the pool's accounts can serve.

use agp::base::time::Timestamp;
use agp::dispatch::queue::{Blocked, Refused};
use agp::dispatch::refusal;
use agp::pool::candidate::{Candidate, Fixed, NEVER};
use agp::pool::select::{Best, Draw, Pick, Pool, select};
use agp::wire::front::Front;
use serde_json::{Value, json};

use super::upstream::{answer, moment, text};

struct Accounts(Vec<Candidate>);

impl Pool for Accounts {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn fixed(&self, index: usize) -> Fixed {
        self.0[index].fixed()
    }

    fn at(&self, index: usize) -> Candidate {
        self.0[index]
    }

    fn best(&self) -> Best {
        Best::of(self.0.iter().map(Candidate::fixed))
    }
}

fn candidate((slot, account): (usize, &Value)) -> Result<Candidate, String> {
    let ready_at = match text(account, "state")? {
        "active" => Timestamp(0),
        "cooldown" => Timestamp::parse_rfc3339(text(account, "until")?).ok_or("bad `until`")?,
        _ => NEVER,
    };
    Ok(Candidate {
        slot,
        tier: 1,
        weight: 1.0,
        remaining: None,
        health: 1.0,
        ready_at,
        exhausted: false,
        in_flight: 0,
        limit: None,
        excluded: false,
        hash: slot as u64,
    })
}

pub(super) fn response(input: &Value) -> Result<Vec<Value>, String> {
    let now = moment(input)?;
    let accounts = input["accounts"].as_array().ok_or("no accounts")?.iter();
    let pool = Accounts(
        accounts
            .enumerate()
            .map(candidate)
            .collect::<Result<_, _>>()?,
    );
    let told = [
        Pick::Weighted,
        Pick::RoundRobin { turn: 0 },
        Pick::LeastBusy,
    ]
    .map(|pick| {
        let choice = select(&pool, pick, None, Draw::new(1), now);
        let error = refusal::told(Refused::Blocked(Blocked::of(choice)), now);
        Ok(json!({
            "openai": answer(Front::OpenAiChat, &error)?,
            "anthropic": answer(Front::Anthropic, &error)?,
        }))
    });
    told.into_iter().collect()
}
