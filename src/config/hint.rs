//! Help lines: of a key by what the schema says of it, of a line that is not TOML by what the parser says of it, else of a
//! finding by its code.

use crate::config::diagnostic::Code;
use crate::config::schema::Shape;
use crate::config::tree::{KeyPath, Seg, quote_key};

/// How a key is written: with its default, else with an example. `None` for what the file's form does not have.
pub(crate) fn of_key(path: &KeyPath) -> Option<String> {
    // An entry of a list is shown with its list, a part of a value of several forms with the whole.
    let mut path = path.clone();
    let mut part = String::new();
    let shape = loop {
        match (path.0.last()?, Shape::at(&path)) {
            (Seg::Key(_), Some(shape)) => break shape,
            (Seg::Key(key), None) => part.clone_from(key),
            (Seg::Index(_), _) => {}
        }
        path.0.pop();
    };
    let Some(Seg::Key(key)) = path.0.last() else {
        return None;
    };
    let key = quote_key(key);
    match (shape.default_text(), shape.example_with(&part)) {
        (Some(default), _) if default != "[]" => {
            Some(format!("the default is `{key} = {default}`"))
        }
        (_, Some(example)) => Some(format!("for example `{key} = {example}`")),
        _ if shape.is_table() || shape.is_named() => Some(format!("write a table: `[{path}]`")),
        // Nothing that could be copied makes sense: hashes, recipients.
        _ => Some(format!("`{key}`: {}", shape.description()?)),
    }
}

/// How a key that is not there is written.
pub(crate) fn of_missing(path: &KeyPath) -> Option<String> {
    let Some(Seg::Key(key)) = path.0.last() else {
        return None;
    };
    let example = Shape::at(path)?.example()?;
    Some(format!(
        "add it, for example `{} = {example}`",
        quote_key(key)
    ))
}

/// What to do about a line that is not TOML, by the parser's message.
pub(crate) fn of_syntax(message: &str) -> &'static str {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if says(&[
        "must be quoted",
        "invalid float",
        "invalid integer",
        "invalid datetime",
    ]) {
        "put quotes around a text: `key = \"text\"`"
    } else if says(&["expected newline"]) {
        "a line has one `key = value`; a text that has quotes in it stands in other quotes: '...'"
    } else if says(&["expected `=`"]) {
        "a line is `key = value`, `[table]`, or a `# comment`"
    } else if says(&["unclosed array"]) {
        "close the list with `]`"
    } else if says(&["inline table"]) {
        "write `{ key = \"value\", other = 1 }`"
    } else if says(&["comma"]) {
        "put a comma between the entries of a list"
    } else if says(&["string"]) {
        "close a text with the quote that it began with"
    } else if says(&["value"]) {
        "write a value behind the `=`: a \"text\", a number, `true`, a `[list]`, a `{ table }`"
    } else {
        "a line is `key = value`, `[table]`, or a `# comment`"
    }
}

/// What to do about a finding that has no help of its own.
pub(crate) fn of_code(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::Unreadable => "check the path, and that agp may read it",
        Code::TooLarge => "leave out what is no configuration",
        Code::Include => "write patterns of files, such as `include = [\"accounts.d/*.toml\"]`",
        Code::DefinedTwice | Code::Duplicate | Code::Credential | Code::Conflict => {
            "keep one of them"
        }
        Code::Version => "write `version = 1`: this release reads no other form",
        Code::Name => "choose another name",
        Code::WeakSecret => "choose a long one that stands nowhere else",
        Code::Unguarded => "set a password, or serve no panel",
        Code::Unresolved => "set it where agp runs, or name another place for it",
        Code::NotInEffect => "it does no harm, and nothing so far",
        Code::NotUtf8
        | Code::Syntax
        | Code::UnknownKey
        | Code::WrongType
        | Code::Missing
        | Code::UnknownChoice
        | Code::Value
        | Code::Overlay
        | Code::Reference
        | Code::PlainSecret
        | Code::NoAccount
        | Code::Expired
        | Code::UselessKey
        | Code::Shadowed
        | Code::Unpriced => return None,
    })
}
