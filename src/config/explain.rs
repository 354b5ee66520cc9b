//! The page about a code: a section of docs/diagnostics.md, which is the one text about all of them.

use crate::config::diagnostic::Code;

const PAGES: &str = include_str!("../../docs/diagnostics.md");

/// The page about a code: cause, example, fix. Markdown, with a newline at its end.
pub fn page(code: Code) -> &'static str {
    section(code.as_str()).unwrap_or_default()
}

/// What comes behind the code in its heading, such as `unknown key`.
pub fn title(code: Code) -> &'static str {
    let heading = page(code).lines().next().unwrap_or_default();
    heading.split_once(": ").map_or(heading, |(_, title)| title)
}

/// The first paragraph of the page, on one line: the cause.
pub fn cause(code: Code) -> String {
    let paragraph = page(code).split("\n\n").nth(1).unwrap_or_default();
    paragraph.replace('\n', " ")
}

/// The code that a person means by `AGP012`, `agp012` or `12`.
pub fn code(text: &str) -> Option<Code> {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_alphabetic());
    let prefix = &text[..text.len() - digits.len()];
    let n: u16 = digits.parse().ok()?;
    let known = prefix.is_empty() || prefix.eq_ignore_ascii_case("agp");
    let mut all = Code::ALL.iter().copied();
    all.find(|code| known && code.as_str() == format!("AGP{n:03}"))
}

fn section(code: &str) -> Option<&'static str> {
    let start = PAGES.find(&format!("## {code}:"))?;
    let rest = &PAGES[start..];
    Some(match rest[2..].find("\n## ") {
        Some(end) => &rest[..end + 2],
        None => rest,
    })
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::base::time::Timestamp;
    use crate::config::load_at;
    use crate::config::source::Files;

    #[test]
    fn the_document_has_a_page_for_each_code_and_no_other() {
        let headings: Vec<&str> = PAGES
            .lines()
            .filter_map(|line| line.strip_prefix("## ")?.split_once(':'))
            .map(|(code, _)| code)
            .collect();
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(headings, codes);
        for code in Code::ALL {
            let page = page(*code);
            assert!(page.starts_with(&format!("## {code}: {}\n\n", title(*code))));
            assert!(page.contains("\nExample:\n\n```"), "{page}");
            assert!(page.contains("\nFix:"), "{page}");
            assert_eq!(page.matches("\n## ").count(), 0, "{page}");
            assert!(cause(*code).ends_with('.'), "{}", cause(*code));
        }
    }

    #[test]
    fn each_example_is_what_it_says_and_each_fix_fixes_it() {
        let block = Regex::new("(?s)```toml\n(.*?)```").unwrap();
        let mut n = 0;
        for code in Code::ALL {
            let texts: Vec<&str> = block
                .captures_iter(page(*code))
                .map(|found| found.get(1).unwrap().as_str())
                .collect();
            // What is wrong with other things than the text has a console's lines.
            let [example, fix] = texts[..] else {
                assert!(page(*code).contains(&format!("[{code}]: ")), "{code}");
                continue;
            };
            let found = |text: &str| {
                let files = Files::from_texts([("agp.toml".into(), text.to_owned())]);
                let loaded = load_at(&files, std::iter::empty(), Timestamp(1_800_000_000_000));
                let found: Vec<Code> = loaded.diagnostics.iter().map(|d| d.code).collect();
                (loaded.config.is_some(), found)
            };
            let (_, wrong) = found(example);
            assert!(wrong.contains(code), "{code}: {wrong:?}");
            let (sound, left) = found(fix);
            let left: Vec<&Code> = left.iter().filter(|c| **c != Code::NotInEffect).collect();
            assert!(sound && left.is_empty(), "{code}: {left:?}");
            n += 1;
        }
        assert!(n >= 20, "{n}");
    }

    #[test]
    fn codes_are_understood_in_every_spelling() {
        for text in ["AGP012", "agp012", "12", "012", "agp12"] {
            assert_eq!(code(text), Some(Code::Missing), "{text}");
        }
        for text in ["", "AGP", "AGP999", "E012", "12x", "é12"] {
            assert_eq!(code(text), None, "{text}");
        }
    }
}
