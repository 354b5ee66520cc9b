//! The models of the original, which it had by heart: original.md, section 2.

use crate::config::import::draft::{Model, Thinking};

/// Its thinking budget where a model thinks and nobody says how much: original.md, section 5.
const BUDGET: Option<Thinking> = Some(Thinking::Budget(4096));

/// Public name, what it is sent as, thinking, context and most output, name for people, aliases.
type Row = (
    &'static str,
    &'static str,
    Option<Thinking>,
    Option<(u64, u64)>,
    &'static str,
    &'static [&'static str],
);

const GEMINI: Option<(u64, u64)> = Some((1_048_576, 65_535));
const CLAUDE: Option<(u64, u64)> = Some((200_000, 64_000));

const ROWS: [Row; 13] = [
    (
        "gemini-3-flash",
        "gemini-3-flash",
        None,
        Some((1_048_576, 65_536)),
        "Gemini 3 Flash",
        &[],
    ),
    (
        "gemini-3-pro-high",
        "gemini-3-pro-high",
        Some(Thinking::High),
        GEMINI,
        "Gemini 3 Pro (high)",
        &[],
    ),
    (
        "gemini-3-pro-low",
        "gemini-3-pro-low",
        Some(Thinking::High),
        GEMINI,
        "Gemini 3 Pro (low)",
        &[],
    ),
    (
        "gemini-2.5-pro",
        "gemini-2.5-pro",
        BUDGET,
        GEMINI,
        "Gemini 2.5 Pro",
        &["gemini-2.0-pro", "gemini-1.5-pro", "gemini-pro"],
    ),
    (
        "gemini-2.5-flash",
        "gemini-2.5-flash",
        None,
        GEMINI,
        "Gemini 2.5 Flash",
        &[
            "gemini-2.0-flash",
            "gemini-2.0-flash-thinking",
            "gemini-1.5-flash",
            "gemini-flash",
        ],
    ),
    (
        "gemini-2.5-flash-thinking",
        "gemini-2.5-flash",
        BUDGET,
        GEMINI,
        "Gemini 2.5 Flash (thinking)",
        &[],
    ),
    (
        "gemini-2.5-flash-lite",
        "gemini-2.5-flash-lite",
        None,
        GEMINI,
        "Gemini 2.5 Flash Lite",
        &[],
    ),
    (
        "gemini-3-pro-image",
        "gemini-3-pro-image",
        None,
        None,
        "Gemini 3 Pro Image",
        &[],
    ),
    (
        "claude-opus-4-5",
        "claude-opus-4-5-thinking",
        Some(Thinking::Off),
        CLAUDE,
        "Claude Opus 4.5",
        &[],
    ),
    (
        "claude-opus-4-5-thinking",
        "claude-opus-4-5-thinking",
        BUDGET,
        CLAUDE,
        "Claude Opus 4.5 (thinking)",
        &["claude-haiku-4-5-20251001"],
    ),
    (
        "claude-sonnet-4-5",
        "claude-sonnet-4-5",
        Some(Thinking::Off),
        CLAUDE,
        "Claude Sonnet 4.5",
        &[],
    ),
    (
        "claude-sonnet-4-5-thinking",
        "claude-sonnet-4-5",
        BUDGET,
        CLAUDE,
        "Claude Sonnet 4.5 (thinking)",
        &[],
    ),
    (
        "gpt-oss-120b-medium",
        "gpt-oss-120b-medium",
        None,
        Some((131_072, 32_768)),
        "GPT-OSS 120B (medium)",
        &[],
    ),
];

/// The models, served by this upstream.
pub(super) fn of(upstream: &str) -> Vec<Model> {
    ROWS.iter()
        .map(
            |(name, sent_as, thinking, sizes, display_name, aliases)| Model {
                name: (*name).to_owned(),
                route: vec![(upstream.to_owned(), (*sent_as).to_owned())],
                aliases: aliases.iter().map(|&alias| alias.to_owned()).collect(),
                thinking: *thinking,
                display_name: Some((*display_name).to_owned()),
                context: sizes.map(|(context, _)| context),
                max_output: sizes.map(|(_, most)| most),
                price: None,
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::import::draft::{ANTIGRAVITY, Account, Credential, Draft, Upstream, Value};
    use crate::config::source::Files;

    #[test]
    fn they_are_those_of_the_example_file() {
        let mut draft = Draft::default();
        let upstream = Upstream {
            kind: ANTIGRAVITY,
            ..Upstream::default()
        };
        let name = draft.upstream(ANTIGRAVITY, upstream);
        draft.models = of(&name);
        let credential = Credential::Env("TOKEN".to_owned());
        let account = Account::new("a".to_owned(), name, "refresh_token", credential);
        draft.accounts.push(account);
        draft.set("log", "format", Value::text("json"));
        let text = draft.text("original", &|_| Err("nothing to seal".to_owned()));
        let models = |text: String| {
            let files = Files::from_texts([("agp.toml".into(), text)]);
            let loaded = crate::config::load(&files, std::iter::empty());
            loaded.config.unwrap().models
        };
        let example = include_str!("../../../../agp.toml.example");
        assert_eq!(models(text.unwrap()), models(example.to_owned()));
    }
}
