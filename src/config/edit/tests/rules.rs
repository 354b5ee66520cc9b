//! The rules, one by one.

use super::*;

const BASE: &str = "version = 1\n\n[upstreams.u]\nkind = \"openai\"\nbase_urls = [\"https://example.invalid\"]\n\n";

/// The text after the edit, without what stands in every one of these files.
fn after(text: &str, intents: &[Intent]) -> String {
    let whole = format!("{BASE}{text}");
    match done(&file(&whole), intents) {
        Ok(edited) => match edited.changes.as_slice() {
            [change] => change.after.strip_prefix(BASE).unwrap().to_owned(),
            _ => panic!("nothing changed"),
        },
        Err(refused) => panic!("{refused}: {}", told(&refused)),
    }
}

fn told(refused: &Refused) -> String {
    match refused {
        Refused::Invalid {
            files, diagnostics, ..
        } => diagnostics
            .iter()
            .filter(|d| d.severity == crate::config::diagnostic::Severity::Error)
            .map(|d| crate::config::render::line(files, d))
            .collect::<Vec<_>>()
            .join("\n"),
        other => other.to_string(),
    }
}

const ALICE: &str = "# of alice\n[accounts.alice]\nupstream = \"u\"\napi_key = { env = \"A\" } # hers\nenabled   =  true   # for now\n";

#[test]
fn a_replaced_value_keeps_what_stands_around_it() {
    assert_eq!(
        after(ALICE, &[set("accounts.alice.enabled", "false")]),
        ALICE.replace("true", "false")
    );
    assert_eq!(
        after(ALICE, &[set("accounts.alice.api_key.env", "'B'")]),
        ALICE.replace("\"A\"", "'B'")
    );
    let crlf = ALICE.replace('\n', "\r\n");
    assert_eq!(
        after(&crlf, &[set("accounts.alice.enabled", "false")]),
        crlf.replace("true", "false")
    );
}

#[test]
fn a_new_value_goes_below_the_others_in_their_manner() {
    assert_eq!(
        after(ALICE, &[set("accounts.alice.tier", "2")]),
        format!("{ALICE}tier   =  2\n")
    );
    let indented =
        "[accounts.alice]\r\n  upstream=\"u\"\r\n  api_key={ env = \"A\" }\r\n  # tier = 1\r\n";
    assert_eq!(
        after(indented, &[set("accounts.alice.tier", "2")]),
        indented.replace("  # tier", "  tier=2\r\n  # tier")
    );
    let dotted = "[accounts]\n\"alice\" . upstream = \"u\"\n\"alice\" . api_key.env = \"A\"\n";
    assert_eq!(
        after(dotted, &[set("accounts.alice.tier", "2")]),
        format!("{dotted}\"alice\".tier = 2\n")
    );
    let inline = "[accounts]\nalice = { upstream = \"u\", api_key = { env = \"A\" } } # x\n";
    assert_eq!(
        after(inline, &[set("accounts.alice.tier", "2")]),
        inline.replace(" } }", " }, tier = 2 }")
    );
}

#[test]
fn a_value_in_a_table_that_is_not_there_makes_the_table() {
    let key = "[keys.k]\nkey = { env = \"K\" }\n";
    assert_eq!(
        after(
            key,
            &[
                set("keys.k.expires", "2030-01-01"),
                set("keys.k.budget", "{ usd = 5.0, per = 'day' }")
            ]
        ),
        format!("{key}expires = 2030-01-01\nbudget = {{ usd = 5.0, per = 'day' }}\n")
    );
    // In the order of the sample file: [server] before [upstreams].
    let whole = file(BASE);
    let tls = [("cert", "'c'"), ("key", "'k'")]
        .map(|(key, value)| set(&format!("server.tls.{key}"), value));
    let refused = done(&whole, &tls[..1]).unwrap_err();
    assert!(told(&refused).contains("AGP012"), "both are needed");
    assert_eq!(
        done(&whole, &tls).unwrap().changes[0].after,
        BASE.replace("1\n", "1\n\n[server]\ntls = { cert = 'c', key = 'k' }\n")
    );
    // The same holds for the first of many: an upstream stands before the keys.
    let keys = file("version = 1\n\n[keys.k]\nkey = { env = \"K\" }\n");
    let upstream = add(
        Section::Upstreams,
        "u",
        &[("kind", "'openai'"), ("base_urls", "['https://u.example']")],
    );
    assert_eq!(
        done(&keys, &[upstream]).unwrap().changes[0].after,
        "version = 1\n\n[upstreams.u]\nkind = 'openai'\nbase_urls = ['https://u.example']\n\n[keys.k]\nkey = { env = \"K\" }\n"
    );
}

#[test]
fn a_new_table_follows_its_siblings() {
    let text = format!("{ALICE}# tier = 2\n\n# The keys.\n\n[keys.k]\nkey = {{ env = \"K\" }}\n");
    let bob = add(
        Section::Accounts,
        "bob.b",
        &[("upstream", "'u'"), ("api_key", "{ env = 'B' }")],
    );
    assert_eq!(
        after(&text, &[bob]),
        text.replace(
            "# tier = 2\n",
            "# tier = 2\n\n[accounts.\"bob.b\"]\nupstream = 'u'\napi_key = { env = 'B' }\n"
        )
    );
}

#[test]
fn what_goes_takes_the_comments_directly_above_and_no_others() {
    let text = "[accounts.a]\nupstream = \"u\"\napi_key = { env = \"A\" }\n# tier = 2\n\n# --- more ---\n\n# of b\n# still\n[accounts.b]\nupstream = \"u\"\n# secret\napi_key = { env = \"B\" }\n# enabled = true\n\n# of k\n[keys.k]\nkey = { env = \"K\" }\n";
    let gone = "# of b\n# still\n[accounts.b]\nupstream = \"u\"\n# secret\napi_key = { env = \"B\" }\n# enabled = true\n\n";
    assert_eq!(
        after(text, &[delete(Section::Accounts, "b")]),
        text.replace(gone, "")
    );
    let tier = text.replace("# tier = 2", "# why\ntier = 2");
    assert_eq!(
        after(&tier, &[remove("accounts.a.tier")]),
        text.replace("# tier = 2\n", "")
    );
    let under = text.replace("# tier = 2", "# tier = 2\nweight = 2.0");
    assert_eq!(after(&under, &[remove("accounts.a.weight")]), text);
}

#[test]
fn a_rename_takes_all_that_refers_to_it_along() {
    let text = "[accounts.a]\nupstream = \"u\" # u\napi_key = { env = \"A\" }\n\n[accounts.'b']\nupstream = 'u'\napi_key.env = \"B\"\ntags = ['a']\n\n[groups]\ng.rpm = 1\n\n[keys.k]\nkey = { env = \"K\" }\ngroup = \"g\"\naccounts = [\"a\", # a\n  'b', \"tag:a\"]\nmodels = [\"m\", \"m*\"]\n\n[models.m]\nroute = [\"u/a\", \"u/u\"]\n\n[routing]\ndefault_model = \"m\"\n";
    assert_eq!(
        after(text, &[rename(Section::Accounts, "a", "x")]),
        text.replace("[accounts.a]", "[accounts.x]")
            .replace("[\"a\",", "[\"x\",")
    );
    assert_eq!(
        after(text, &[rename(Section::Accounts, "b", "x")]),
        text.replace("'b'", "'x'")
    );
    assert_eq!(
        after(text, &[rename(Section::Groups, "g", "x y")]),
        text.replace("g.rpm", "\"x y\".rpm")
            .replace("\"g\"", "\"x y\"")
    );
    assert_eq!(
        after(text, &[rename(Section::Models, "m", "n")]),
        text.replace("models.m", "models.n")
            .replace("\"m\"", "\"n\"")
    );
    let whole = done(
        &file(&format!("{BASE}{text}")),
        &[rename(Section::Upstreams, "u", "v")],
    );
    let change = &whole.unwrap().changes[0].after;
    assert_eq!(
        *change,
        format!("{BASE}{text}")
            .replace("[upstreams.u]", "[upstreams.v]")
            .replace("upstream = \"u\"", "upstream = \"v\"")
            .replace("upstream = 'u'", "upstream = 'v'")
            .replace("\"u/", "\"v/")
    );
}

#[test]
fn an_edit_goes_to_the_file_that_has_the_table() {
    let texts = corpus::all().pop().unwrap();
    let files = Files::from_texts(texts.iter().map(|(p, t)| ((*p).into(), t.clone())));
    let only = |intent: Intent| {
        let changes = done(&files, &[intent]).unwrap().changes;
        let paths: Vec<String> = changes
            .iter()
            .map(|c| c.path.display().to_string())
            .collect();
        paths.join(" ")
    };
    assert_eq!(
        only(set("accounts.a1.enabled", "false")),
        "conf/more.d/a.toml"
    );
    assert_eq!(only(set("accounts.p1.enabled", "false")), "conf/agp.toml");
    assert_eq!(
        only(set("routing.strategy", "'random'")),
        "conf/more.d/a.toml"
    );
    assert_eq!(only(set("server.max_body", "'1MiB'")), "conf/agp.toml");
    let new = [("upstream", "'u'"), ("api_key", "{ env = 'X' }")];
    assert_eq!(
        only(add(Section::Accounts, "a3", &new)),
        "conf/more.d/a.toml"
    );
    assert_eq!(only(add(Section::Groups, "c", &[])), "conf/more.d/c.toml");
    assert_eq!(
        only(rename(Section::Accounts, "p1", "p2")),
        "conf/agp.toml conf/more.d/a.toml"
    );
}

#[test]
fn what_can_not_be_done_is_refused_and_says_why() {
    let files = file(&format!("{BASE}{ALICE}"));
    let refused = |intent: Intent| told(&done(&files, &[intent]).unwrap_err());
    assert_eq!(
        refused(remove("accounts.bob.tier")),
        "there is no `accounts.bob.tier`"
    );
    assert_eq!(
        refused(set("accounts.bob.tier", "2")),
        "there is no `accounts.bob`"
    );
    assert_eq!(refused(delete(Section::Keys, "k")), "there is no `keys.k`");
    assert_eq!(
        refused(rename(Section::Accounts, "bob", "x")),
        "there is no `accounts.bob`"
    );
    assert_eq!(
        refused(add(Section::Accounts, "alice", &[])),
        "there is a `accounts.alice` already"
    );
    assert_eq!(
        refused(take("accounts.alice.tags", 0)),
        "there is no `accounts.alice.tags`"
    );
    assert_eq!(
        refused(insert("accounts.alice.enabled", None, "1")),
        "`accounts.alice.enabled` is no list"
    );
    assert!(refused(set("include", "['x']")).starts_with("`include` is written in a way"));
    assert_eq!(
        refused(set("accounts.alice.tier", "'x'")),
        "agp.toml:12:11: error[AGP011]: `accounts.alice.tier`: expected a whole number from 0 to 4294967295, found a string (key: accounts.alice.tier)"
    );
    assert!(refused(delete(Section::Upstreams, "u")).contains("AGP020"));
    let broken = file(&format!("{BASE}{ALICE}x = = 1\n"));
    let refused = done(&broken, &[set("accounts.alice.tier", "1")]).unwrap_err();
    assert!(matches!(refused, Refused::Invalid { before: true, .. }));
    assert!(told(&refused).contains("AGP004"));
}

#[test]
fn a_value_of_the_environment_is_locked() {
    let files = file(&format!(
        "{BASE}[server]\ntls = {{ cert = \"c\", key = \"k\" }}\n"
    ));
    let try_with = |name: &str, value: &str, intent: Intent| {
        let env = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        edit(&files, &env, files.revision(), &[intent], Timestamp(0)).map(|e| e.changes.len())
    };
    let variable = "AGP__ROUTING__STRATEGY";
    let refused = try_with(variable, "random", set("routing.strategy", "'weighted'"));
    assert_eq!(
        refused.unwrap_err().to_string(),
        "`routing.strategy` is locked: environment variable `AGP__ROUTING__STRATEGY` gives it for this run"
    );
    assert_eq!(
        try_with(variable, "random", set("routing.max_queue", "7")).unwrap(),
        1
    );
    let cert = "AGP__SERVER__TLS__CERT";
    for intent in [
        remove("server.tls"),
        set("server.tls.cert", "'x'"),
        set("server.tls", "{ cert = 'x', key = 'y' }"),
    ] {
        assert!(matches!(
            try_with(cert, "d", intent),
            Err(Refused::Locked { .. })
        ));
    }
    let whole = ("AGP__SERVER__TLS", "{ cert = 'a', key = 'b' }");
    assert!(matches!(
        try_with(whole.0, whole.1, set("server.tls.cert", "'x'")),
        Err(Refused::Locked { .. })
    ));
}

#[test]
fn files_that_have_moved_on_are_not_edited() {
    let seen = file(&format!("{BASE}{ALICE}")).revision();
    let now = file(&format!("{BASE}{ALICE}\n"));
    let refused = edit(
        &now,
        &BTreeMap::new(),
        seen,
        &[set("accounts.alice.tier", "2")],
        Timestamp(0),
    );
    assert!(matches!(refused, Err(Refused::Moved { now: n }) if n == now.revision()));
}

#[test]
fn what_the_files_say_already_touches_nothing() {
    let files = file(&format!("{BASE}{ALICE}"));
    let edited = done(
        &files,
        &[
            set("accounts.alice.enabled", "true"),
            set("accounts.alice.api_key", "{ env = 'A' }"),
        ],
    );
    assert!(edited.unwrap().changes.is_empty());
}

#[test]
fn a_list_keeps_the_elements_that_stay_and_their_comments() {
    let text = "[accounts.a]\nupstream = \"u\"\napi_key = { env = \"A\" }\ntags = [\n  \"a\", # of a\n  # of b\n  \"b\",\n  \"c\" # of c\n]\n";
    let tags = |list: &str| after(text, &[set("accounts.a.tags", list)]);
    assert_eq!(
        tags("['a', 'b']"),
        text.replace("  \"b\",\n  \"c\" # of c\n", "  \"b\"\n")
    );
    assert_eq!(tags("['a', 'x', 'c']"), text.replace("\"b\"", "'x'"));
    assert_eq!(
        tags("['a', 'b', 'x', 'c']"),
        text.replace("  \"c\"", "  'x',\n  \"c\"")
    );
    assert_eq!(tags("['b', 'c']"), text.replace("  \"a\", # of a\n", ""));
    assert_eq!(
        after(text, &[insert("accounts.a.tags", None, "'d'")]),
        text.replace("\"c\" # of c\n", "\"c\", # of c\n  'd'\n")
    );
    assert_eq!(
        after(text, &[take("accounts.a.tags", 1)]),
        text.replace("  # of b\n  \"b\",\n", "")
    );
}

#[test]
fn intentions_are_told_without_their_values() {
    let intent = set("accounts.a%b.api_key", "'planted'");
    assert_eq!(intent.to_string(), "set `accounts.\"a.b\".api_key`");
    assert!(!format!("{intent:?}").contains("planted"));
    let edited = done(
        &file(&format!("{BASE}{ALICE}")),
        &[set("accounts.alice.api_key", "'planted'")],
    )
    .unwrap();
    assert!(!format!("{:?}", edited.changes).contains("planted"));
}
