//! What clients are told when none of the pool's accounts can serve.

use std::ops::ControlFlow;

use agp::base::time::Timestamp;
use agp::dispatch::blocked::{Blocked, Refused};
use agp::dispatch::refusal;
use agp::pool::candidate::{Fixed, NEVER, Verdict};
use agp::pool::select::{Best, Draw, Pick, Pool, select};
use agp::runtime::snapshot::KeyEntry;
use agp::wire::front::Front;
use serde_json::{Value, json};

use super::upstream::{answer, moment, text};

/// When each account can be used.
struct Accounts(Vec<Timestamp>);

impl Pool for Accounts {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn fixed(&self, index: usize) -> Fixed {
        Fixed {
            hash: index as u64,
            weight: 1.0,
            tier: 1,
        }
    }

    fn best(&self) -> Best {
        Best::of((0..self.len()).map(|index| self.fixed(index)))
    }

    fn verdict(&self, index: usize, now: Timestamp) -> Verdict {
        let ready_at = self.0[index];
        if ready_at > now {
            Verdict::closed(ready_at, false)
        } else {
            Verdict::Usable
        }
    }

    fn share(&self, _: usize, _: Timestamp) -> f64 {
        1.0
    }

    fn in_flight(&self, _: usize) -> u32 {
        0
    }

    fn each<B>(
        &self,
        from: usize,
        now: Timestamp,
        mut told: impl FnMut(usize, Verdict, u32) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        (from..self.len()).try_for_each(|index| told(index, self.verdict(index, now), 0))
    }
}

fn ready_at(account: &Value) -> Result<Timestamp, String> {
    Ok(match text(account, "state")? {
        "active" => Timestamp(0),
        "cooldown" => Timestamp::parse_rfc3339(text(account, "until")?).ok_or("bad `until`")?,
        _ => NEVER,
    })
}

pub(super) fn response(input: &Value) -> Result<Vec<Value>, String> {
    let now = moment(input)?;
    let accounts = input["accounts"].as_array().ok_or("no accounts")?.iter();
    let pool = Accounts(accounts.map(ready_at).collect::<Result<_, _>>()?);
    let anybody = KeyEntry::anybody();
    let told = [
        Pick::Weighted,
        Pick::RoundRobin { turn: 0 },
        Pick::LeastBusy,
    ]
    .map(|pick| {
        let choice = select(&pool, pick, None, Draw::new(1), now);
        let error = refusal::told(Refused::Blocked(Blocked::of(choice)), &anybody, now);
        Ok(json!({
            "openai": answer(Front::OpenAiChat, &error)?,
            "anthropic": answer(Front::Anthropic, &error)?,
        }))
    });
    told.into_iter().collect()
}
