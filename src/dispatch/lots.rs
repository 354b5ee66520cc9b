//! Draws accounts as requests would and counts, for people who want to see what a configuration does.

use std::time::Instant;

use crate::base::time::Timestamp;
use crate::dispatch::blocked::Blocked;
use crate::dispatch::seat::{Excluded, Seating, draw, model_cools};
use crate::pool::select::{Choice, Pick, select};

/// What was drawn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lots {
    /// How often each seat of each target was picked.
    pub counts: Vec<Vec<u32>>,
    /// How many were drawn.
    pub drawn: u32,
    /// What stood in the way of the first that got nothing; nothing was drawn after it.
    pub blocked: Option<Blocked>,
}

impl Seating {
    /// Draws for so many requests, each as if it were the only one: no slot is taken, so nothing changes for those that
    /// are served. Ends early at `deadline`.
    pub fn lots(&self, requests: u32, deadline: Instant) -> Lots {
        let nobody = Excluded::default();
        let targets = &self.route.targets;
        let mut lots = Lots {
            counts: targets.iter().map(|t| vec![0; t.seats.len()]).collect(),
            drawn: 0,
            blocked: None,
        };
        let strategy = self.route.strategy;
        let mut picks: Vec<Pick> = targets.iter().map(|t| t.pick(strategy)).collect();
        'requests: while lots.drawn < requests && Instant::now() < deadline {
            let now = Timestamp::now();
            let mut blocked = Blocked::Exhausted;
            for (at, target) in targets.iter().enumerate() {
                if let Some(why) = model_cools(target, now) {
                    blocked = blocked.or(why);
                    continue;
                }
                let view = self.view(target, &nobody);
                match select(&view, picks[at], self.home, draw(), now) {
                    Choice::Use(slot) => {
                        if let Pick::RoundRobin { turn } = &mut picks[at] {
                            *turn = slot + 1;
                        }
                        lots.counts[at][slot] += 1;
                        lots.drawn += 1;
                        continue 'requests;
                    }
                    other => blocked = blocked.or(Blocked::of(other)),
                }
            }
            lots.blocked = Some(blocked);
            break;
        }
        lots
    }
}
