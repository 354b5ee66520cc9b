//! Removes a Markdown code fence that a model put around an answer that should be bare JSON.

/// Most bytes that are held back while it is open whether they belong to a fence.
const HELD: usize = 256;

/// Works on a stream: what can't be part of a fence is let through at once.
#[derive(Debug, Default)]
pub(super) struct Fence {
    state: State,
    held: String,
}

#[derive(Debug, Default, PartialEq)]
enum State {
    /// The beginning of a text, not yet told apart.
    #[default]
    Start,
    /// Behind an opening fence.
    Inside,
    /// There is no fence.
    Plain,
}

impl Fence {
    /// Takes a piece of text and hands on what is certainly content.
    pub(super) fn push(&mut self, text: &str, out: &mut dyn FnMut(&str)) {
        match self.state {
            State::Plain => out(text),
            State::Start => {
                self.held.push_str(text);
                match opening(&self.held) {
                    Opening::Unknown if self.held.len() <= HELD => {}
                    Opening::Length(len) => {
                        self.state = State::Inside;
                        let rest = self.held.split_off(len);
                        self.held.clear();
                        self.inside(&rest, out);
                    }
                    Opening::Unknown | Opening::None => {
                        self.state = State::Plain;
                        let held = std::mem::take(&mut self.held);
                        out(&held);
                    }
                }
            }
            State::Inside => self.inside(text, out),
        }
    }

    /// The text is over: hands on what was held back and is no fence, and begins anew.
    pub(super) fn finish(&mut self, out: &mut dyn FnMut(&str)) {
        let held = std::mem::take(&mut self.held);
        let state = std::mem::take(&mut self.state);
        let closing = state == State::Inside && matches!(held.trim(), "" | "```");
        if !held.is_empty() && !closing {
            out(&held);
        }
    }

    fn inside(&mut self, text: &str, out: &mut dyn FnMut(&str)) {
        self.held.push_str(text);
        let cut = closing_start(&self.held);
        let cut = if self.held.len() - cut > HELD {
            self.held.len()
        } else {
            cut
        };
        if cut > 0 {
            let rest = self.held.split_off(cut);
            let sure = std::mem::replace(&mut self.held, rest);
            out(&sure);
        }
    }
}

enum Opening {
    /// More must come to tell.
    Unknown,
    /// There is none.
    None,
    /// There is one, of so many bytes with the white space around it.
    Length(usize),
}

fn opening(text: &str) -> Opening {
    let body = text.trim_start();
    let Some(after) = body.strip_prefix("```") else {
        return if "```".starts_with(body) {
            Opening::Unknown
        } else {
            Opening::None
        };
    };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
    let rest = rest.trim_start();
    if rest.is_empty() {
        Opening::Unknown
    } else if after.len() == rest.len() && !rest.starts_with(['{', '[', '"']) {
        Opening::None
    } else {
        Opening::Length(text.len() - rest.len())
    }
}

/// Where the end of `text` begins that could be a closing fence: white space, up to three backticks, white space.
fn closing_start(text: &str) -> usize {
    let body = text.trim_end();
    let bare = body.trim_end_matches('`');
    if body.len() - bare.len() > 3 {
        return body.len();
    }
    bare.trim_end().len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strip(pieces: &[&str]) -> String {
        let mut fence = Fence::default();
        let mut out = String::new();
        for piece in pieces {
            fence.push(piece, &mut |t| out.push_str(t));
        }
        fence.finish(&mut |t| out.push_str(t));
        out
    }

    #[test]
    fn a_fence_around_the_whole_is_removed() {
        assert_eq!(strip(&["```json\n{\"a\":1}\n```"]), "{\"a\":1}");
        assert_eq!(strip(&["\n```\n[1]\n```\n\n"]), "[1]");
        assert_eq!(strip(&["```json {\"a\":1}```"]), "{\"a\":1}");
    }

    #[test]
    fn other_text_is_left_alone() {
        for text in [
            "{\"a\":\"```\"}",
            "plain",
            "``x",
            "Here:\n```json\n{}\n```",
            "",
            " \n",
            "``",
        ] {
            assert_eq!(strip(&[text]), text);
        }
        assert_eq!(
            strip(&["```json\n{\"a\":\"``` \"}\n```"]),
            "{\"a\":\"``` \"}"
        );
    }

    #[test]
    fn content_is_not_held_back() {
        let mut fence = Fence::default();
        let mut out = String::new();
        fence.push("```json\n{\"a\":", &mut |t| out.push_str(t));
        assert_eq!(out, "{\"a\":");
        let mut endless = Fence::default();
        let mut len = 0;
        endless.push("```\n{", &mut |t| len += t.len());
        for _ in 0..2000 {
            endless.push(" ", &mut |t| len += t.len());
        }
        assert!(len > 1000);
    }

    proptest! {
        #[test]
        fn pieces_change_nothing(text in "(```(json)?\n)?[{}a` \n]{0,20}(\n```)?", cut in 0usize..30) {
            let cut = cut.min(text.len());
            prop_assert_eq!(strip(&[&text[..cut], &text[cut..]]), strip(&[&text]));
            let singles: Vec<&str> = text.split("").collect();
            prop_assert_eq!(strip(&singles), strip(&[&text]));
        }
    }
}
