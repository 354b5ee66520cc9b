//! Where a table is mentioned by its name, when it goes: an element of a list goes, or a key.

use crate::config::edit::docs::Docs;
use crate::config::edit::layout::Kind;
use crate::config::edit::{Refused, Section, list, set};

/// Takes every mention of a table out.
pub(super) fn forget(docs: &mut Docs, section: Section, name: &str) -> Result<(), Refused> {
    let (holders, key) = match section {
        Section::Accounts => ("keys", "accounts"),
        Section::Groups => ("keys", "group"),
        Section::Models => ("keys", "models"),
        Section::Upstreams => ("models", "route"),
        Section::Keys => return Ok(()),
    };
    let names = |raw: &str| match raw.parse() {
        Ok(toml_edit::Value::String(text)) if section == Section::Upstreams => {
            let model = text.value().strip_prefix(name);
            model.is_some_and(|model| model.starts_with('/'))
        }
        Ok(toml_edit::Value::String(text)) => text.value() == name,
        _ => false,
    };
    for holder in docs.children(&[holders]) {
        forget_at(docs, &[holders, &holder, key], &names)?;
    }
    if section == Section::Models {
        forget_at(docs, &["routing", "default_model"], &names)?;
    }
    Ok(())
}

/// The same of the value at a path, if there is one.
fn forget_at(docs: &mut Docs, path: &[&str], names: &dyn Fn(&str) -> bool) -> Result<(), Refused> {
    let Some((file, place)) = docs.exact(path) else {
        return Ok(());
    };
    let doc = &docs.0[file];
    let Some(item) = doc.layout.item(&place) else {
        return Ok(());
    };
    if let Kind::Scalar = item.val.kind {
        return if names(doc.raw(item)) {
            set::remove(docs, path)
        } else {
            Ok(())
        };
    }
    let items = list::items(&item.val).iter().enumerate();
    let found: Vec<usize> = items
        .filter(|(_, item)| names(doc.raw(item)))
        .map(|(n, _)| n)
        .collect();
    for n in found.into_iter().rev() {
        set::take(docs, path, n)?;
    }
    Ok(())
}
