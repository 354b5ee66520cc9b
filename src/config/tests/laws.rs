use proptest::prelude::*;

use crate::config::load_at;
use crate::config::render::{self, Style};
use crate::config::tests::{NOW, files};

const SAMPLE: &str = include_str!("../../../tests/config/sample.toml");

/// Loads and shows: every span must fit its text. Gives whether there was a config.
fn survives(text: &str, env: Vec<(String, String)>) -> bool {
    let files = files(text);
    let loaded = load_at(&files, env.into_iter(), NOW);
    for d in &loaded.diagnostics {
        if let Some(span) = &d.span {
            let file = files.get(span.file).expect("a file in play");
            assert!(file.text.get(span.range.clone()).is_some(), "{d:?}");
        }
        assert!(!render::line(&files, d).is_empty());
    }
    let _ = render::human(&files, &loaded.diagnostics, Style::Plain);
    assert_eq!(loaded.config.is_none(), loaded.diagnostics.has_errors());
    loaded.config.is_some()
}

/// Lines that look like the real thing, in any order.
fn lines() -> impl Strategy<Value = String> {
    let all: Vec<&'static str> = SAMPLE.lines().collect();
    proptest::collection::vec(proptest::sample::select(all), 0..40).prop_map(|l| l.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_is_answered(text in "\\PC{0,200}") {
        survives(&text, Vec::new());
    }

    #[test]
    fn any_toml_like_text_is_answered(text in "[a-z0-9_.\"'=\\[\\]{},# \n\r\té•-]{0,300}") {
        survives(&text, Vec::new());
    }

    #[test]
    fn any_mixture_of_real_lines_is_answered(text in lines()) {
        survives(&format!("version = 1\n{text}"), Vec::new());
    }

    #[test]
    fn any_damage_to_the_sample_is_answered(at in 0..SAMPLE.len(), cut in 0usize..30, put in "[\"'=\\[\\]{}\n é]{0,3}") {
        let mut from = at;
        while !SAMPLE.is_char_boundary(from) { from -= 1; }
        let mut to = (from + cut).min(SAMPLE.len());
        while !SAMPLE.is_char_boundary(to) { to += 1; }
        survives(&format!("{}{put}{}", &SAMPLE[..from], &SAMPLE[to..]), Vec::new());
    }

    #[test]
    fn any_variable_is_answered(name in "AGP__[A-Za-z_]{0,20}", value in "\\PC{0,40}") {
        survives("version = 1", vec![(name, value)]);
    }
}
