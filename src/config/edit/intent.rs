//! What somebody wants changed, before anything is known of how the files are written.

use std::fmt;

use crate::config::edit::literal::Literal;
use crate::config::edit::meaning::segments;
use crate::config::tree::KeyPath;

/// The sections of named tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// `[upstreams.*]`.
    Upstreams,
    /// `[accounts.*]`.
    Accounts,
    /// `[groups.*]`.
    Groups,
    /// `[keys.*]`.
    Keys,
    /// `[models.*]`.
    Models,
}

impl Section {
    /// All of them, in the order of the sample file.
    pub const ALL: [Self; 5] = [
        Self::Upstreams,
        Self::Accounts,
        Self::Groups,
        Self::Keys,
        Self::Models,
    ];

    /// Its name in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upstreams => "upstreams",
            Self::Accounts => "accounts",
            Self::Groups => "groups",
            Self::Keys => "keys",
            Self::Models => "models",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == name)
    }
}

/// What somebody wants changed. Paths are key segments from the root, such as `["accounts", "alice", "enabled"]`.
#[derive(Debug, Clone)]
pub enum Intent {
    /// A value, where there is one or none. Of a list or a table that is there the parts that stay the same stay as they
    /// are written.
    Set {
        /// Where.
        path: Vec<String>,
        /// What.
        value: Literal,
    },
    /// No value, so that the default holds.
    Remove {
        /// Where.
        path: Vec<String>,
    },
    /// A new table.
    Add {
        /// Among which.
        section: Section,
        /// Its name.
        name: String,
        /// Its values in order.
        values: Vec<(String, Literal)>,
    },
    /// Another name for a table, everywhere where it is referred to by its name.
    Rename {
        /// Among which.
        section: Section,
        /// Its name so far.
        from: String,
        /// Its new name.
        to: String,
    },
    /// A table gone.
    Delete {
        /// Among which.
        section: Section,
        /// Its name.
        name: String,
        /// Whether its name goes from the lists and keys that mention it. Else they stay, and the edit is refused where
        /// there are any. A list is never emptied so: an empty one would mean something else.
        mentions: bool,
    },
    /// One more element in a list, which is made where there is none.
    Insert {
        /// The list.
        path: Vec<String>,
        /// Before which element; behind the last where none is given or there are not so many.
        at: Option<usize>,
        /// The element.
        value: Literal,
    },
    /// One element less in a list.
    Take {
        /// The list.
        path: Vec<String>,
        /// Which, counted from 0.
        at: usize,
    },
}

impl Intent {
    /// Sets the value at a path.
    pub fn set<const N: usize>(path: [&str; N], value: impl Into<Literal>) -> Self {
        Self::Set {
            path: path.map(str::to_owned).into(),
            value: value.into(),
        }
    }

    /// Sets `enabled` of an account or a key.
    pub fn switch(section: Section, name: &str, on: bool) -> Self {
        Self::set([section.as_str(), name, "enabled"], on)
    }

    /// Removes the value at a path.
    pub fn remove<const N: usize>(path: [&str; N]) -> Self {
        Self::Remove {
            path: path.map(str::to_owned).into(),
        }
    }

    /// What it touches.
    pub(super) fn path(&self) -> Vec<&str> {
        match self {
            Self::Set { path, .. }
            | Self::Remove { path }
            | Self::Insert { path, .. }
            | Self::Take { path, .. } => segments(path),
            Self::Add { section, name, .. } | Self::Delete { section, name, .. } => {
                vec![section.as_str(), name]
            }
            Self::Rename { section, from, .. } => vec![section.as_str(), from],
        }
    }
}

impl fmt::Display for Intent {
    /// In words, without any value: for the history and the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = shown(&self.path());
        match self {
            Self::Set { .. } => write!(f, "set `{path}`"),
            Self::Remove { .. } => write!(f, "remove `{path}`"),
            Self::Add { .. } => write!(f, "add `{path}`"),
            Self::Rename { to, .. } => write!(f, "rename `{path}` to `{to}`"),
            Self::Delete { .. } => write!(f, "delete `{path}`"),
            Self::Insert { .. } => write!(f, "add an element to `{path}`"),
            Self::Take { .. } => write!(f, "take an element out of `{path}`"),
        }
    }
}

/// A path as the file would write it.
pub(super) fn shown(path: &[&str]) -> String {
    KeyPath(path.iter().map(|key| (*key).into()).collect()).to_string()
}
