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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use crate::base::task::Tasks;
    use crate::config::secret::Resolver;
    use crate::config::source::Files;
    use crate::runtime::build::{Context, build};
    use crate::runtime::registry::Registry;
    use crate::store::testing::NoKeys;
    use crate::store::{Learned, Store};

    #[test]
    fn an_accounts_models_are_told_once_each_in_order() {
        let account = |name: &str, more: &str| {
            format!(
                "[accounts.{name}]\nupstream = \"u\"\nrefresh_token = \"made-up-{name}\"\n{more}\n"
            )
        };
        let text = format!(
            "version = 1\n[upstreams.u]\nkind = \"antigravity\"\ndiscover = false\n\
             oauth = {{ client_id = \"id\", client_secret = \"made-up\" }}\n\
             [models.a]\nroute = [\"u/two\", \"u/one\"]\naliases = [\"z\"]\n\
             [models.b]\nroute = [\"u/one\", \"u/three\"]\n{}{}{}",
            account("all", ""),
            account("some", "models = [\"three\"]"),
            account("off", "enabled = false"),
        );
        let files = Files::from_texts([(PathBuf::from("agp.toml"), text)]);
        let loaded = crate::config::load(&files, std::iter::empty());
        let store = Store::in_memory(Arc::new(NoKeys));
        let registry = Registry::new(store, Tasks::new(), &mut Learned::default());
        let context = Context {
            secrets: &Resolver::new(|_| None, None, PathBuf::from("id")),
            registry: &registry,
            present: None,
            generation: 1,
            revision: [0; 32],
        };
        let config = loaded
            .config
            .unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics));
        let snapshot = build(Arc::new(config), &context).unwrap();
        let models = |number| -> Vec<(&str, &str)> {
            let seats = snapshot.seats(number);
            seats
                .map(|seat| (seat.account.id.as_str(), seat.lane.model.as_str()))
                .collect()
        };
        let number = |name: &str| {
            let found = snapshot
                .accounts
                .values()
                .find(|account| account.id.as_str() == name);
            found.map(|account| account.number)
        };
        assert_eq!(
            models(number("all").unwrap()),
            [("all", "one"), ("all", "three"), ("all", "two")]
        );
        assert_eq!(models(number("some").unwrap()), [("some", "three")]);
        assert_eq!(number("off"), None);
        assert!(models(u32::MAX).is_empty());
    }
}
