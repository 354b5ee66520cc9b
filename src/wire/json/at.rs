//! Where in a request something stands, as a chain on the stack that becomes text only when an error needs it.

use std::fmt;

use crate::base::error::Error;

/// A path such as `messages[2].content`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'p> {
    parent: Option<&'p At<'p>>,
    step: Step,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Key(&'static str),
    Index(usize),
}

impl At<'static> {
    /// A field of the body.
    pub(crate) const fn field(key: &'static str) -> Self {
        Self {
            parent: None,
            step: Step::Key(key),
        }
    }
}

impl At<'_> {
    /// A field of what stands here.
    pub(crate) fn key(&self, key: &'static str) -> At<'_> {
        At {
            parent: Some(self),
            step: Step::Key(key),
        }
    }

    /// An element of what stands here.
    pub(crate) fn index(&self, index: usize) -> At<'_> {
        At {
            parent: Some(self),
            step: Step::Index(index),
        }
    }

    /// A 400 that names this place and says `problem` of it.
    pub(crate) fn bad(&self, problem: impl fmt::Display) -> Error {
        let path = self.to_string();
        let message = format!("`{path}`: {problem}");
        Error::bad_request(path, message)
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent {
            fmt::Display::fmt(parent, f)?;
        }
        match self.step {
            Step::Index(index) => write!(f, "[{index}]"),
            Step::Key(key) => {
                if self.parent.is_some() {
                    f.write_str(".")?;
                }
                f.write_str(key)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_read_as_in_code() {
        let messages = At::field("messages");
        let third = messages.index(2);
        assert_eq!(
            third.key("content").index(0).to_string(),
            "messages[2].content[0]"
        );
        let e = At::field("n").bad("expected 1");
        assert_eq!(
            (e.param.as_deref(), &*e.message),
            (Some("n"), "`n`: expected 1")
        );
    }
}
