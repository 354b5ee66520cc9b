use std::collections::BTreeMap;

use super::*;
use crate::wire::gemini::Api;

/// A change to a request, whether a tool is forced, and the field that is then refused.
type Case<'c> = (&'c dyn Fn(&mut Request), bool, &'static str);

/// `thinkingConfig` as text; `-` where there is none.
fn config(model: &str, reasoning: Option<Reasoning>, with: impl FnOnce(&mut Target<'_>)) -> String {
    config_of(Dialect::OpenAiChat, model, reasoning, with).unwrap()
}

fn config_of(
    dialect: Dialect,
    model: &str,
    reasoning: Option<Reasoning>,
    with: impl FnOnce(&mut Target<'_>),
) -> Result<String, Error> {
    let mut req = Request::new(dialect, model);
    req.reasoning = reasoning;
    let safety = BTreeMap::new();
    let mut target = Target {
        model,
        family: Family::of(model),
        api: Api::Antigravity,
        max_output: None,
        thinking: None,
        safety_settings: &safety,
        session_id: None,
        level_as_budget: false,
        repair: false,
    };
    with(&mut target);
    let max = target.max_output;
    let plan = plan(&req, &target, max, false, &mut Losses::default())?;
    Ok(plan.map_or_else(
        || "-".to_owned(),
        |p| {
            let mut out = Vec::new();
            p.write(&mut out);
            String::from_utf8(out).unwrap()
        },
    ))
}

#[test]
fn efforts_follow_the_table() {
    use Effort::{High, Low, Max, Medium, Minimal, None as Off};
    let on = |rest: &str| format!("{{\"includeThoughts\":true,{rest}}}");
    let budget = |n: i64| on(&format!("\"thinkingBudget\":{n}"));
    let level = |l: &str| on(&format!("\"thinkingLevel\":\"{l}\""));
    for (model, effort, want) in [
        ("gemini-2.5-flash", Off, "{\"thinkingBudget\":0}".to_owned()),
        ("gemini-2.5-pro", Off, "{\"thinkingBudget\":128}".to_owned()),
        ("gemini-2.5-flash", Minimal, budget(1024)),
        ("gemini-2.5-flash", Medium, budget(8192)),
        ("gemini-2.5-flash", High, budget(24576)),
        ("gemini-2.5-flash", Max, budget(24576)),
        ("gemini-2.5-pro", Max, budget(32768)),
        (
            "gemini-3-flash",
            Off,
            "{\"thinkingLevel\":\"MINIMAL\"}".to_owned(),
        ),
        ("gemini-3-flash", Minimal, level("MINIMAL")),
        ("gemini-3-flash", Low, level("LOW")),
        ("gemini-3-flash", Medium, level("MEDIUM")),
        ("gemini-3-flash", Max, level("HIGH")),
        ("gemini-3.1-pro-low", Minimal, level("LOW")),
        ("gemini-3.1-pro-low", Medium, level("MEDIUM")),
        (
            "gemini-3-pro-high",
            Off,
            "{\"thinkingLevel\":\"LOW\"}".to_owned(),
        ),
        ("gemini-3-pro-high", Medium, level("HIGH")),
        ("gemini-pro-agent", Medium, level("MEDIUM")),
        ("claude-sonnet-4-6", Off, "-".to_owned()),
        ("claude-sonnet-4-6", Low, budget(1024)),
        ("claude-sonnet-4-6", Max, budget(32768)),
        ("gpt-oss-120b-medium", High, "-".to_owned()),
        ("gemini-3-pro-image", High, "-".to_owned()),
        ("something", High, "-".to_owned()),
    ] {
        let got = config(model, Some(Reasoning::Effort(effort)), |_| {});
        assert_eq!(got, want, "{model} {effort:?}");
    }
}

#[test]
fn budgets_are_brought_into_range() {
    for (model, tokens, want) in [
        ("gemini-2.5-pro", 1, "\"thinkingBudget\":128"),
        ("gemini-2.5-flash", 99_999, "\"thinkingBudget\":24576"),
        ("gemini-2.5-flash-lite", 3, "\"thinkingBudget\":512"),
        ("gemini-2.5-flash-lite", 0, "{\"thinkingBudget\":0}"),
        ("gemini-3-flash", 1024, "LOW"),
        ("gemini-3-flash", 6000, "MEDIUM"),
        ("gemini-3-pro-low", 6000, "HIGH"),
        ("gemini-3-flash", 9000, "HIGH"),
        ("claude-sonnet-4-6", 10, "\"thinkingBudget\":1024"),
        ("claude-sonnet-4-6", 8000, "\"thinkingBudget\":8000"),
        ("claude-sonnet-4-6", 99_999, "\"thinkingBudget\":64000"),
    ] {
        let got = config(model, Some(Reasoning::Budget(tokens)), |_| {});
        assert!(got.contains(want), "{model} {tokens}: {got}");
    }
}

#[test]
fn adaptive_follows_the_family() {
    let of = |model, effort| config(model, Some(Reasoning::Adaptive(effort)), |_| {});
    assert!(of("gemini-2.5-flash", None).contains("\"thinkingBudget\":-1"));
    assert_eq!(of("gemini-3-flash", None), "{\"includeThoughts\":true}");
    assert!(of("gemini-3-flash", Some(Effort::Low)).contains("LOW"));
    assert!(of("claude-sonnet-4-6", None).contains("24576"));
    assert!(of("claude-sonnet-4-6", Some(Effort::Low)).contains("1024"));
}

#[test]
fn an_effort_alone_asks_for_no_thinking() {
    let effort = Some(Reasoning::EffortOnly(Effort::Low));
    assert_eq!(
        config("gemini-3-flash", effort, |_| {}),
        "{\"thinkingLevel\":\"LOW\"}"
    );
    assert_eq!(
        config("gemini-3-flash", effort, |t| t.thinking =
            Some(ThinkingDefault::Level(Effort::High))),
        "{\"includeThoughts\":true,\"thinkingLevel\":\"LOW\"}"
    );
    assert_eq!(config("claude-sonnet-4-6", effort, |_| {}), "-");
    assert!(
        config("claude-sonnet-4-6", effort, |t| t.thinking =
            Some(ThinkingDefault::Budget(4096)))
        .contains("4096")
    );
}

#[test]
fn the_models_entry_speaks_where_the_client_is_silent() {
    let budget = |t: &mut Target<'_>| t.thinking = Some(ThinkingDefault::Budget(4096));
    assert!(config("claude-sonnet-4-6", None, budget).contains("4096"));
    assert_eq!(
        config("claude-sonnet-4-6", Some(Reasoning::Off), budget),
        "-"
    );
    assert_eq!(config("gemini-3-flash", None, |_| {}), "-");
}

#[test]
fn claudes_budget_stays_below_the_limit() {
    let of = |max| {
        config("claude-sonnet-4-6", Some(Reasoning::Budget(8000)), |t| {
            t.max_output = Some(max);
        })
    };
    assert!(of(8001).contains("8000"));
    assert!(of(8000).contains("6976"));
    assert!(of(2048).contains("1024"));
    assert_eq!(of(2047), "-");
}

#[test]
fn a_refused_level_becomes_a_budget() {
    for (effort, want) in [
        (Effort::Minimal, "1024"),
        (Effort::Medium, "8192"),
        (Effort::High, "24576"),
    ] {
        let got = config("gemini-3-flash", Some(Reasoning::Effort(effort)), |t| {
            t.level_as_budget = true;
        });
        assert!(got.contains(want) && !got.contains("Level"), "{got}");
    }
}

#[test]
fn anthropics_clients_get_anthropics_refusals() {
    let run = |dialect, change: &dyn Fn(&mut Request), forced| {
        let mut req = Request::new(dialect, "m");
        req.reasoning = Some(Reasoning::Budget(2000));
        change(&mut req);
        let safety = BTreeMap::new();
        let target = Target {
            model: "claude-x",
            family: Some(Family::Claude),
            api: Api::Antigravity,
            max_output: None,
            thinking: None,
            safety_settings: &safety,
            session_id: None,
            level_as_budget: false,
            repair: false,
        };
        plan(&req, &target, None, forced, &mut Losses::default())
    };
    let hot = |r: &mut Request| r.sampling.temperature = Some(0.2);
    let picky = |r: &mut Request| r.sampling.top_k = Some(3);
    let narrow = |r: &mut Request| r.sampling.top_p = Some(0.5);
    let none = |_: &mut Request| {};
    let all: [Case<'_>; 4] = [
        (&hot, false, "temperature"),
        (&picky, false, "top_k"),
        (&narrow, false, "top_p"),
        (&none, true, "tool_choice"),
    ];
    for (change, forced, param) in all {
        let error = run(Dialect::Anthropic, change, forced).unwrap_err();
        assert_eq!(error.param.as_deref(), Some(param));
        assert_eq!(
            run(Dialect::OpenAiChat, change, forced).unwrap().is_some(),
            !forced
        );
    }
}
