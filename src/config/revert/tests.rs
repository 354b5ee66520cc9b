use super::*;

/// Digests of keys, by the letter they are made of.
fn digest(letter: &str) -> String {
    letter.repeat(64)
}

fn files(keys: &str) -> Files {
    let text = format!("version = 1\n# kept as it is\n\n{keys}");
    Files::from_texts([("agp.toml".into(), text)])
}

fn config(keys: &str) -> Config {
    let loaded = load_at(&files(keys), std::iter::empty(), Timestamp(0));
    let found = loaded.diagnostics;
    loaded.config.unwrap_or_else(|| panic!("{found:?}"))
}

fn reverted(then: &str, now: &str, restore: &[&str]) -> Result<Reverted, NotReverted> {
    let restore = restore.iter().map(|name| (*name).to_owned()).collect();
    let (then, now) = (files(then), config(now));
    let env = BTreeMap::new();
    revert(&then, &[&now], &restore, &env, Timestamp(1_000))
}

fn text(reverted: &Reverted) -> &str {
    &reverted.edited.files.root().unwrap().text
}

fn key(name: &str, rest: &str) -> String {
    format!("# about {name}\n[keys.{name}]\n{rest}\n\n")
}

#[test]
fn a_deleted_key_stays_deleted_unless_it_is_named() {
    let a = key("a", &format!("sha256 = \"{}\"", digest("a")));
    let b = key("b", &format!("sha256 = \"{}\"", digest("b")));
    let both = format!("{a}{b}");
    let done = reverted(&both, &a, &[]).unwrap();
    assert_eq!(done.kept, [("b".to_owned(), Revoked::Deleted)]);
    assert!(text(&done).contains("[keys.a]") && !text(&done).contains("[keys.b]"));
    assert!(!done.edited.loaded.config.unwrap().keys.contains_key("b"));
    let done = reverted(&both, &a, &["b"]).unwrap();
    assert_eq!(
        (done.kept.len(), &done.restored[..]),
        (0, &["b".to_owned()][..])
    );
    assert_eq!(text(&done), &*files(&both).root().unwrap().text);
    for wrong in ["a", "c"] {
        let error = reverted(&both, &a, &["b", wrong]).unwrap_err().to_string();
        assert!(
            error.contains(&format!("`{wrong}` is no key and no token")),
            "{error}"
        );
    }
}

#[test]
fn a_disabled_or_expired_key_is_disabled() {
    let value = format!("sha256 = \"{}\"", digest("a"));
    let then = key("a", &value);
    for rest in ["enabled = false", "expires = 1969-12-01"] {
        let now = key("a", &format!("{value}\n{rest}"));
        let done = reverted(&then, &now, &[]).unwrap();
        assert_eq!(done.kept, [("a".to_owned(), Revoked::Disabled)]);
        assert!(
            text(&done).contains("# about a\n[keys.a]\n")
                && text(&done).contains("enabled = false")
        );
        assert_eq!(
            text(&reverted(&then, &now, &["a"]).unwrap())
                .matches("enabled")
                .count(),
            0
        );
        // The other way round there is nothing to be kept.
        assert!(reverted(&now, &then, &[]).unwrap().kept.is_empty());
    }
}

#[test]
fn a_key_is_known_by_its_value_not_its_name() {
    let a = key("a", &format!("sha256 = \"{}\"", digest("a")));
    let renamed = key("b", &format!("sha256 = \"{}\"", digest("a")));
    assert!(reverted(&a, &renamed, &[]).unwrap().kept.is_empty());
    let off = format!("{}enabled = false\n", renamed.trim_end().to_owned() + "\n");
    let done = reverted(&a, &off, &[]).unwrap();
    assert_eq!(done.kept[0].0, "a");
    assert!(!text(&done).contains(&digest("a")));
}

#[test]
fn a_replaced_key_keeps_its_present_value() {
    let old = [
        format!("sha256 = \"{}\"", digest("a")),
        "key = \"planted-old-value-of-a-client-key\"".to_owned(),
        "key = { env = \"OLD\" }".to_owned(),
    ];
    let new = [
        format!("sha256 = \"{}\"", digest("b")),
        "key = \"another-value-of-the-same-client-key\"".to_owned(),
        "key = { env = \"NEW\" }".to_owned(),
    ];
    for old in &old {
        for new in &new {
            let (then, now) = (key("a", &format!("{old}\nmodels = [\"x\"]")), key("a", new));
            let done = reverted(&then, &now, &[]).unwrap();
            assert_eq!(
                done.kept,
                [("a".to_owned(), Revoked::Replaced)],
                "{old} {new}"
            );
            assert!(text(&done).contains(new), "{}", text(&done));
            assert!(!text(&done).contains(old) && text(&done).contains("models = [\"x\"]"));
            let off = key("a", &format!("{new}\nenabled = false"));
            let done = reverted(&then, &off, &[]).unwrap();
            assert!(text(&done).contains(new) && text(&done).contains("enabled = false"));
            assert!(text(&reverted(&then, &now, &["a"]).unwrap()).contains(old));
        }
    }
    // A value in a file is not written down: the key is disabled.
    let now = key("a", "key = { file = \"new\" }");
    let done = reverted(&key("a", &old[0]), &now, &[]).unwrap();
    assert_eq!(done.kept, [("a".to_owned(), Revoked::Disabled)]);
    assert!(text(&done).contains("enabled = false"));
}

#[test]
fn texts_with_errors_are_refused() {
    let error = reverted("[keys.a]\nsha256 = 1\n", "", &[]).unwrap_err();
    assert!(matches!(
        error,
        NotReverted::Refused(Refused::Invalid { before: true, .. })
    ));
}

#[test]
fn a_token_stays_revoked_too() {
    let token = |name: &str, letter: &str, role: &str| {
        let digest = digest(letter);
        format!("[admin.tokens.{name}]\nsha256 = \"{digest}\"\nrole = \"{role}\"\n\n")
    };
    let (read, write) = (token("ci", "a", "read"), token("ci", "a", "write"));
    let other = token("ci", "b", "read");
    for (then, now, revoked, becomes) in [
        (&write, "", Revoked::Deleted, ""),
        (&write, &read, Revoked::Narrowed, &*read),
        (&write, &other, Revoked::Replaced, &other),
        (&read, &other, Revoked::Replaced, &other),
    ] {
        let done = reverted(then, now, &[]).unwrap();
        assert_eq!(done.kept, [("admin.tokens.ci".to_owned(), revoked)]);
        assert_eq!(
            text(&done).trim_end(),
            files(becomes).root().unwrap().text.trim_end()
        );
        let done = reverted(then, now, &["admin.tokens.ci"]).unwrap();
        assert_eq!(text(&done), &*files(then).root().unwrap().text);
    }
    // Nothing is revoked that has got another name, or more rights.
    for now in [&write, &token("renamed", "a", "write")] {
        assert!(reverted(&read, now, &[]).unwrap().kept.is_empty());
    }
}
