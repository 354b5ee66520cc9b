use sha2::{Digest as _, Sha256};

use super::*;
use crate::base::id::hex;
use crate::config::load;
use crate::config::source::Files;

fn facts(text: &str, key: u8) -> Facts {
    let files = Files::from_texts([("/etc/agp/agp.toml".into(), text.to_owned())]);
    let loaded = load(&files, std::iter::empty());
    let config = loaded
        .config
        .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
    Facts::of(&config, Path::new("/etc/agp"), &MarkKey::new([key; 32]))
}

const TEXT: &str = r#"
version = 1
[admin]
password = "hunter2-hunter2-hunter2"
tokens.terraform = { sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", role = "write" }
[upstreams.g]
kind = "gemini"
proxy = "http://user:proxy-word@127.0.0.1:1"
headers = { X-Team = "header-word" }
[accounts.a]
upstream = "g"
api_key = "plain-account-word"
[accounts.b]
upstream = "g"
api_key = { file = "secrets/b" }
[accounts.c]
upstream = "g"
api_key = { env = "C_KEY" }
[groups.team]
rpm = 5
[keys.k]
key = "plain-client-key-word"
group = "team"
budget = { usd = 5.0, per = "day" }
[models.m]
route = ["g/m"]
"#;

#[test]
fn no_secret_is_in_what_leaves() {
    let sent = serde_json::to_string(&facts(TEXT, 1)).unwrap();
    for word in [
        "hunter2",
        "proxy-word",
        "header-word",
        "plain-account-word",
        "plain-client-key-word",
    ] {
        assert!(!sent.contains(word), "{word} in {sent}");
    }
    assert!(!sent.contains(&hex(&Sha256::digest("plain-client-key-word"))));
    let back: Facts = serde_json::from_str(&sent).unwrap();
    assert_eq!(back, facts(TEXT, 1));
}

#[test]
fn marks_are_equal_under_one_key_only() {
    assert_eq!(facts(TEXT, 1), facts(TEXT, 1));
    let (one, other) = (facts(TEXT, 1), facts(TEXT, 2));
    let mark = |facts: &Facts| match facts.tables(Section::Accounts)["a"].get("credential") {
        Some(Fact::Secret { mark, .. }) => mark.clone(),
        other => panic!("{other:?}"),
    };
    assert_ne!(mark(&one), mark(&other));
}

#[test]
fn files_are_told_from_the_root_files_folder() {
    let facts = facts(TEXT, 1);
    let accounts = facts.tables(Section::Accounts);
    let shown = |name: &str| accounts[name].get("credential").unwrap().shown();
    assert_eq!(shown("a"), "\"••••\"");
    assert_eq!(shown("b"), "{ file = \"secrets/b\" }");
    assert_eq!(shown("c"), "{ env = \"C_KEY\" }");
}

#[test]
fn what_nothing_uses_so_far_is_there_as_written() {
    let facts = facts(TEXT, 1);
    assert_eq!(
        facts.tables(Section::Groups)["team"].value("rpm"),
        Some(5.0)
    );
    let key = &facts.tables(Section::Keys)["k"];
    assert_eq!(key.word("group"), Some("team"));
    assert_eq!(key.value("budget.usd"), Some(5.0));
    assert_eq!(key.word("budget.per"), Some("day"));
    let admin = &facts.tables(Section::Settings)["admin"];
    assert_eq!(admin.word("tokens.terraform.role"), Some("write"));
    assert_eq!(admin.get("password").unwrap().shown(), "\"••••\"");
}

#[test]
fn what_the_environment_holds_stays() {
    let running = |level: &str| {
        let files = Files::from_texts([("agp.toml".into(), "version = 1\n".to_owned())]);
        let env = [("AGP__LOG__LEVEL".to_owned(), level.to_owned())];
        load(&files, env.into_iter()).config.unwrap()
    };
    let config = running("debug");
    assert_eq!(config.locked["log.level"], "AGP__LOG__LEVEL");
    let key = MarkKey::new([0; 32]);
    let here = Facts::of(&config, Path::new("."), &key);
    let files = Files::from_texts([(
        "agp.toml".into(),
        "version = 1\n[log]\nlevel = \"warn\"\nformat = \"json\"\n".to_owned(),
    )]);
    let wanted = load(&files, std::iter::empty()).config.unwrap();
    let mut wanted = Facts::of(&wanted, Path::new("."), &key);
    assert_eq!(wanted.hold(&here, config.locked.keys()), ["log.level"]);
    let log = &wanted.tables(Section::Settings)["log"];
    assert_eq!(
        (log.word("level"), log.word("format")),
        (Some("debug"), Some("json"))
    );
    assert_eq!(wanted.hold(&here, config.locked.keys()), [""; 0]);
}

#[test]
fn amounts_nobody_knows_the_type_of_are_still_amounts() {
    let value = |text: &str| match Fact::written(text) {
        Fact::Amount { value, .. } => Some(value),
        _ => None,
    };
    assert_eq!(value("60"), Some(60.0));
    assert_eq!(value("\"2m\""), Some(120.0));
    assert_eq!(value("\"1KiB\""), Some(1024.0));
    assert_eq!(value("\"none\""), None);
    assert_eq!(value("true"), None);
}
