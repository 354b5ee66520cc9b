use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::config::load_at;
use crate::config::render::{self, Style};
use crate::config::tests::{NOW, files, findings};

/// A file of a large pool: two upstreams, 2,000 accounts with tags and globs, 200 keys with rights and budgets, 100 models.
fn pool() -> String {
    let mut text = "version = 1\n[upstreams.up]\nkind = \"antigravity\"\noauth = { client_id = \"id\", client_secret = { env = \"S\" } }\n[upstreams.gem]\nkind = \"gemini\"\n".to_owned();
    for n in 0..2000 {
        let _ = write!(
            text,
            "\n# Account {n}.\n[accounts.account-{n}]\nupstream = \"{}\"\nemail = \"account-{n}@example.com\"\n{} = {{ env = \"T{n}\" }}\ntags = [\"team-{}\"]\nmodels = [\"model-{}*\", \"other-*\"]\n",
            if n % 2 == 0 { "up" } else { "gem" },
            if n % 2 == 0 {
                "refresh_token"
            } else {
                "api_key"
            },
            n % 20,
            n % 10,
        );
    }
    for n in 0..200 {
        let _ = write!(
            text,
            "\n[keys.key-{n}]\nkey = {{ env = \"K{n}\" }}\naccounts = [\"tag:team-{}\", \"account-{n}\"]\nmodels = [\"model-*\"]\nbudget = {{ usd = 5.0, per = \"day\" }}\n",
            n % 20
        );
    }
    for n in 0..100 {
        let _ = write!(
            text,
            "\n[models.model-{n}]\nroute = [\"up/model-{n}\", \"gem/model-{n}\"]\naliases = [\"alias-{n}\"]\nprice = {{ input = 1.0, output = 2.0 }}\n"
        );
    }
    text
}

#[test]
fn a_file_of_two_thousand_accounts_is_judged_in_no_time() {
    let text = pool();
    let start = Instant::now();
    let files = files(&text);
    let loaded = load_at(&files, std::iter::empty(), NOW);
    let shown = render::human(&files, &loaded.diagnostics, Style::Plain);
    let took = start.elapsed();
    assert!(findings(&loaded).is_empty(), "{:#?}", findings(&loaded));
    assert_eq!(loaded.config.unwrap().accounts.len(), 2000);
    // Each `kind = "gemini"` and budget may be noted.
    assert!(shown.len() < 1 << 20);
    // Without optimisation and beside other tests. What grows with the square of the accounts takes far longer.
    assert!(took < Duration::from_mins(1), "{took:?}");
}

#[test]
fn a_mistake_in_each_of_two_thousand_accounts_is_told_in_no_time() {
    let text = pool().replace("email = ", "emial = ");
    let start = Instant::now();
    let files = files(&text);
    let loaded = load_at(&files, std::iter::empty(), NOW);
    let shown = render::human(&files, &loaded.diagnostics, Style::Plain);
    let took = start.elapsed();
    assert_eq!(findings(&loaded).len(), 2000);
    assert!(shown.contains("2000 errors"));
    assert!(took < Duration::from_mins(2), "{took:?}");
}
