//! Files of environment variables, as the `dotenv` package of Node reads them: `NAME=value`, `export` before it, quotes of
//! three kinds around the value and lines within them, comments.

use zeroize::Zeroizing;

use crate::config::import::names::is_variable;

/// Most lines of a value in quotes.
const MAX_LINES: usize = 200;

/// What was read.
pub(super) struct Env {
    /// Names and values, in order; of a name that is set twice the last value counts, and stands where the first stood.
    pub(super) values: Vec<(String, Zeroizing<String>)>,
    /// Lines that set no variable, counted from 1. What stands there is not told: it may be half a secret.
    pub(super) unread: Vec<usize>,
}

/// Reads the text.
pub(super) fn parse(text: &str) -> Env {
    let text = text.trim_start_matches('\u{feff}');
    let mut env = Env {
        values: Vec::new(),
        unread: Vec::new(),
    };
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let assignment = line.strip_prefix("export ").unwrap_or(line);
        let Some((name, value)) = assignment.split_once('=') else {
            env.unread.push(number + 1);
            continue;
        };
        let name = name.trim();
        if !is_variable(name) {
            env.unread.push(number + 1);
            continue;
        }
        let value = value.trim_start();
        let quote = value
            .chars()
            .next()
            .filter(|c| matches!(c, '"' | '\'' | '`'));
        let value = match quote {
            None => Zeroizing::new(bare(value).to_owned()),
            Some(quote) => {
                let mut whole = Zeroizing::new(value[1..].to_owned());
                // A quote that is never closed is part of the value, as the package has it.
                let mut ahead = lines.clone();
                let mut left = MAX_LINES;
                while end(&whole, quote).is_none() && left > 0 {
                    let Some((_, next)) = ahead.next() else { break };
                    left -= 1;
                    whole.push('\n');
                    whole.push_str(next);
                }
                match end(&whole, quote) {
                    Some(at) => {
                        lines = ahead;
                        Zeroizing::new(unquote(&whole[..at], quote))
                    }
                    None => Zeroizing::new(bare(value).to_owned()),
                }
            }
        };
        match env.values.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => env.values.push((name.to_owned(), value)),
        }
    }
    env
}

/// A value without quotes ends at a comment.
fn bare(value: &str) -> &str {
    value.split('#').next().unwrap_or_default().trim()
}

/// Where the closing quote is.
fn end(text: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if c == quote && !escaped {
            return Some(at);
        }
        escaped = c == '\\' && !escaped;
    }
    None
}

/// In double quotes, `\n` and `\r` are line ends; nothing else is special.
fn unquote(text: &str, quote: char) -> String {
    if quote == '"' {
        text.replace("\\n", "\n").replace("\\r", "\r")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let env = parse(text);
        env.values
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect()
    }

    #[test]
    fn every_form_of_a_value() {
        let text = "\u{feff}# head\nA=1\nexport B = two words # not this\nC=\"x # y\\nz\"\r\nD='it''\nE=`a\"b`\nF=\n\
                    G=\"two\nlines\"\nA=2\nH=\"open\nI=last\n";
        let expected = [
            ("A", "2"),
            ("B", "two words"),
            ("C", "x # y\nz"),
            ("D", "it"),
            ("E", "a\"b"),
            ("F", ""),
            ("G", "two\nlines"),
            ("H", "\"open"),
            ("I", "last"),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        assert_eq!(pairs(text), expected);
    }

    #[test]
    fn what_sets_nothing_is_told_by_line_only() {
        let env = parse("A=1\nsk-secret\n\nsk-secret=x\nB=2\n");
        assert_eq!(env.unread, [2, 4]);
        assert_eq!(env.values.len(), 2);
    }
}
