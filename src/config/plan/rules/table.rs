//! The rules themselves, those of the named tables here. What no rule is about is of low risk.

pub(super) mod settings;

use crate::config::plan::Risk::{self, High, Medium};
use crate::config::plan::rules::{Rule, When};

pub(super) const fn rule(
    paths: &'static [&'static str],
    when: When,
    risk: Risk,
    why: &'static str,
) -> Rule {
    Rule {
        paths,
        when,
        risk,
        why,
    }
}

pub(super) const NAMED: &[Rule] = &[
    // Client keys.
    rule(
        &["keys.*"],
        When::Removed,
        High,
        "clients that hold it are refused",
    ),
    rule(
        &["keys.*.enabled"],
        When::Off,
        High,
        "clients that hold it are refused",
    ),
    rule(
        &["keys.*.sha256", "keys.*.key"],
        When::Identity,
        High,
        "clients that hold the present key are refused",
    ),
    rule(
        &["keys.*.expires"],
        When::Past,
        High,
        "clients that hold it are refused",
    ),
    rule(&["keys.*.expires"], When::Lowered, Medium, "it ends sooner"),
    rule(
        &["keys.*.models"],
        When::Lost,
        Medium,
        "some models are refused to it",
    ),
    rule(
        &["keys.*.models"],
        When::Gained,
        Medium,
        "it may use more models",
    ),
    rule(
        &["keys.*.accounts"],
        When::Changed,
        Medium,
        "its requests use other accounts",
    ),
    rule(
        &["keys.*.group"],
        When::Changed,
        Medium,
        "it shares other limits",
    ),
    rule(
        &[
            "keys.*.rpm",
            "keys.*.tokens_per_minute",
            "keys.*.tokens_per_day",
            "keys.*.max_concurrent",
            "keys.*.budget.usd",
            "groups.*.rpm",
            "groups.*.tokens_per_minute",
            "groups.*.tokens_per_day",
            "groups.*.max_concurrent",
            "groups.*.budget.usd",
        ],
        When::Lowered,
        Medium,
        "requests above it are refused",
    ),
    rule(
        &["keys.*.budget.per", "groups.*.budget.per"],
        When::Changed,
        Medium,
        "the budget is counted anew",
    ),
    rule(
        &["groups.*"],
        When::Removed,
        Medium,
        "its keys share limits no more",
    ),
    // Accounts.
    rule(&["accounts.*"], When::Removed, High, "the account is lost"),
    rule(
        &["accounts.*.enabled"],
        When::Off,
        High,
        "the account is lost",
    ),
    rule(
        &["accounts.*.credential"],
        When::Identity,
        High,
        "the account is lost unless the new one works",
    ),
    rule(
        &["accounts.*.upstream"],
        When::Changed,
        High,
        "the upstream before loses it",
    ),
    rule(
        &["accounts.*.models"],
        When::Lost,
        Medium,
        "it serves fewer models",
    ),
    rule(
        &["accounts.*.max_concurrent"],
        When::Lowered,
        Medium,
        "fewer requests run at once",
    ),
    rule(
        &["accounts.*.weight"],
        When::Zero,
        Medium,
        "it serves only where no other can",
    ),
    rule(
        &["accounts.*.tier"],
        When::Raised,
        Medium,
        "it serves after others",
    ),
    rule(
        &["accounts.*.project"],
        When::Changed,
        Medium,
        "calls count for another project",
    ),
    rule(
        &["accounts.*.credits"],
        When::On,
        Medium,
        "it goes on past the quota at a cost",
    ),
    // Models.
    rule(
        &["models.*"],
        When::NameLost,
        High,
        "clients that ask for it get 404",
    ),
    rule(
        &["models.*"],
        When::Removed,
        Medium,
        "another entry answers for its name",
    ),
    rule(
        &["models.*.aliases"],
        When::NameLost,
        High,
        "clients that ask by that name get 404",
    ),
    rule(
        &["models.*.route"],
        When::Changed,
        Medium,
        "requests go elsewhere",
    ),
    rule(
        &["models.*.family"],
        When::Changed,
        Medium,
        "requests are written differently",
    ),
    rule(
        &["models.*.max_output"],
        When::Lowered,
        Medium,
        "long answers are cut",
    ),
    // Upstreams.
    rule(
        &["upstreams.*"],
        When::Removed,
        High,
        "nothing is sent there any more",
    ),
    rule(
        &["upstreams.*.kind"],
        When::Changed,
        High,
        "another protocol is spoken",
    ),
    rule(
        &["upstreams.*.base_urls", "upstreams.*.setup_urls"],
        When::Gained,
        High,
        "prompts and tokens go to another host",
    ),
    rule(
        &["upstreams.*.base_urls", "upstreams.*.setup_urls"],
        When::Changed,
        Medium,
        "hosts are tried in another order",
    ),
    rule(
        &["upstreams.*.oauth.token_url"],
        When::Changed,
        High,
        "refresh tokens go to another host",
    ),
    rule(
        &[
            "upstreams.*.oauth.client_id",
            "upstreams.*.oauth.client_secret",
        ],
        When::Changed,
        High,
        "tokens of another client are refused: every account may have to sign in again",
    ),
    rule(
        &[
            "upstreams.*.oauth.auth_url",
            "upstreams.*.oauth.userinfo_url",
            "upstreams.*.oauth.scopes",
        ],
        When::Changed,
        Medium,
        "people sign in differently",
    ),
    rule(
        &["upstreams.*.proxy", "upstreams.*.ca_file"],
        When::Changed,
        Medium,
        "calls go another way, or are trusted by other authorities",
    ),
    rule(
        &[
            "upstreams.*.headers.*",
            "upstreams.*.safety_settings.*",
            "upstreams.*.location",
        ],
        When::Changed,
        Medium,
        "every call is different",
    ),
    rule(
        &[
            "upstreams.*.connect_timeout",
            "upstreams.*.first_byte_timeout",
            "upstreams.*.idle_timeout",
        ],
        When::Lowered,
        Medium,
        "slow answers are given up sooner",
    ),
    rule(
        &["upstreams.*.discover"],
        When::Off,
        Medium,
        "models that only it lists are served no more",
    ),
];
