//! Which seats an account has: routes hold them by model, people ask for them by account.

use std::sync::Arc;

use crate::runtime::snapshot::{Route, Seat};

/// The seats of every account of a snapshot, one for each upstream model, in order of upstreams and models.
pub(super) struct Seats {
    /// Routes with the place of one of their targets.
    targets: Vec<(Arc<Route>, usize)>,
    /// By the accounts' numbers: the place among `targets`, and the place among the seats of that target.
    of: Vec<Vec<(u32, u32)>>,
}

impl Seats {
    /// Looks at every seat of every route: what is found is worth keeping as long as the routes.
    pub(super) fn of_routes<'a>(routes: impl Iterator<Item = &'a Arc<Route>>) -> Self {
        let places = routes.flat_map(|route| (0..route.targets.len()).map(move |at| (route, at)));
        let mut targets: Vec<(Arc<Route>, usize)> =
            places.map(|(route, at)| (Arc::clone(route), at)).collect();
        // Targets of one model are neighbours then, whatever the public names that lead to them.
        targets.sort_by(|a, b| model(a).cmp(&model(b)));
        let mut of: Vec<Vec<(u32, u32)>> = Vec::new();
        for (n, target) in (0u32..).zip(&targets) {
            for (place, seat) in (0u32..).zip(&target.0.targets[target.1].seats) {
                let number = seat.account.number as usize;
                if of.len() <= number {
                    of.resize_with(number + 1, Vec::new);
                }
                let known = of[number].last().map(|(n, _)| &targets[*n as usize]);
                if known.is_none_or(|known| model(known) != model(target)) {
                    of[number].push((n, place));
                }
            }
        }
        Self { targets, of }
    }

    /// Those of the account of this number.
    pub(super) fn of(&self, account: u32) -> impl Iterator<Item = &Seat> {
        let places = self.of.get(account as usize).map_or(&[][..], Vec::as_slice);
        places.iter().filter_map(|(target, seat)| {
            let (route, at) = self.targets.get(*target as usize)?;
            route.targets.get(*at)?.seats.get(*seat as usize)
        })
    }
}

/// The upstream model that a target leads to.
fn model((route, at): &(Arc<Route>, usize)) -> (&str, &str) {
    let target = &route.targets[*at];
    (target.upstream.id.as_str(), &target.model)
}
