use crate::config::render::{self, Style};
use crate::config::secret::{self, Resolver};
use crate::config::tests::{NOW, files, findings, loaded};
use crate::config::{load_at, pending};

fn shown(text: &str) -> String {
    let files = files(text);
    let loaded = load_at(&files, std::iter::empty(), NOW);
    render::human(&files, &loaded.diagnostics, Style::Plain)
}

#[test]
fn a_finding_looks_as_rustcs_do() {
    let text = "version = 1\n\n[server]\nlisen = \"127.0.0.1:80\"\n";
    let wanted = "\
error[AGP010]: unknown key `lisen`
 --> agp.toml:4:1
  |
4 | lisen = ••••
  | ^^^^^
  |
  = key: server.lisen
  = help: did you mean `listen`?

1 error
";
    assert_eq!(shown(text), wanted);
    let files = files(text);
    let loaded = loaded(text);
    assert_eq!(
        render::line(&files, loaded.diagnostics.iter().next().unwrap()),
        "agp.toml:4:1: error[AGP010]: unknown key `lisen` (key: server.lisen)"
    );
}

#[test]
fn two_places_are_shown_together() {
    let text = "version = 1\n[models.a]\nroute = [\"u/x\"]\naliases = [\"b\"]\n[models.b]\nroute = [\"u/x\"]\n[upstreams.u]\nkind = \"gemini\"\n[accounts.x]\nupstream = \"u\"\napi_key = { env = \"X\" }\n";
    let shown = shown(text);
    assert!(
        shown.contains("agp.toml:4:12") && shown.contains("a model here"),
        "{shown}"
    );
}

#[test]
fn a_key_and_a_header_that_stand_twice_are_shown_twice() {
    for (text, first) in [
        (
            "[server]\nmax_body = \"1MiB\"\n[log]\nlevel = \"info\"\nlevel = \"warn\"\n",
            "5:1",
        ),
        (
            "[log] # x\nlevel = \"info\"\n[server]\n[log]\nformat = \"json\"\n",
            "2:2",
        ),
    ] {
        let files = files(&format!("version = 1\n{text}"));
        let loaded = load_at(&files, std::iter::empty(), NOW);
        let found = findings(&loaded);
        assert_eq!(found.len(), 1, "{found:#?}");
        let at = files.position(&found[0].labels[0].span);
        assert_eq!(format!("{}:{}", at.line, at.column), first, "{text}");
    }
}

#[test]
fn columns_are_true_where_a_secret_stands_before_them() {
    let text = "version = 1\n[upstreams.u]\nkind = \"antigravity\"\noauth = { client_secret = \"a-long-secret-text\", client_idd = \"x\" }\n";
    let shown = shown(text);
    assert!(shown.contains("agp.toml:4:49"), "{shown}");
    assert!(!shown.contains("a-long"), "{shown}");
}

/// Ways to put a secret into a file, sound and broken. The secret is `hunter2-and-more`.
const PLANTED: &[&str] = &[
    "[accounts.a]\nrefresh_token = \"hunter2-and-more\"",
    "[accounts.a]\nrefresh_tokn = \"hunter2-and-more\"",
    "[accounts.a]\nrefresh_token = \"hunter2-and-more",
    "[accounts.a]\nrefresh_token = hunter2-and-more\"",
    "[accounts.a]\nrefresh_token = hunter2-and-more",
    "[accounts.a]\nrefresh_token hunter2-and-more",
    "[accounts.a]\nrefresh_token = { env = \"hunter2-and-more\" }",
    "[accounts.a]\nrefresh_token = { evn = \"hunter2-and-more\" }",
    "[accounts.a]\nrefresh_token = { sealed = \"agp1:hunter2-and-more\" }",
    "[accounts.a]\nrefresh_token = { sealed = \"agp1:hunter2-and-more }",
    "[accounts.a]\nrefresh_token = [\"hunter2-and-more\"]",
    "[accounts.a]\nrefresh_token = \"\"\"\nhunter2-and-more\n\"\"\"\nweight = \"x\"",
    "[accounts.a]\nrefresh_token = \"\"\"\nhunter2-and-more\nweight = 1",
    "[accounts.a.refresh_token]\nenv = \"x\"\nvalue = \"hunter2-and-more\"",
    "[accounts.a]\nservice_account = '{ \"private_key\": \"hunter2-and-more\" }' weight = 1",
    "[keys.k]\nkey = \"hunter2-and-more\"\nsha256 = \"x\"",
    "[admin]\npassword = \"hunter2-and-more\"\npassword_hash = \"hunter2-and-more\"\njwt_secret = \"hunter2-and-more\"",
    "[upstreams.u]\nkind = \"gemini\"\nproxy = \"ftp://u:hunter2-and-more@h\"",
    "[upstreams.u]\nkind = \"gemini\"\nbase_urls = [\"https://u:hunter2-and-more@h\"]",
    "[upstreams.u]\nkind = \"gemini\"\nheaders = { x-key = \"hunter2-and-more\\n\" }",
    "[upstreams.u]\nkind = \"antigravity\"\noauth = { client_secret = \"hunter2-and-more\", x = 1 }",
];

#[test]
fn no_secret_is_shown_whatever_is_wrong_with_its_line() {
    for planted in PLANTED {
        let shown = shown(&format!("version = 1\n{planted}\n"));
        assert!(shown.contains("AGP"), "nothing found in:\n{planted}");
        assert!(!shown.contains("hunter2"), "{planted}\n{shown}");
    }
}

#[test]
fn control_characters_of_a_file_do_not_reach_the_terminal() {
    let shown = shown("version = 1\n[server]\n\"a\\u001b[31m\" = 1\n");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
    let text = "version = 1\n[models.\"x\\u001b]0;y\"]\nroute = []\n";
    assert!(!super::shown::shown(text).contains('\u{1b}'));
}

#[test]
fn what_waits_is_noted_and_passes_strict() {
    let text = "version = 1\n[fetch]\nenabled = false\n[routing]\naffinity = \"none\"\nstrategy = \"least_busy\"\n";
    let loaded = loaded(text);
    assert!(findings(&loaded).is_empty());
    let notes: Vec<_> = loaded.diagnostics.iter().map(|d| d.key.as_str()).collect();
    assert_eq!(notes, ["fetch.enabled"]);
    assert!(!loaded.diagnostics.strict().has_errors());
}

#[test]
fn the_list_of_what_waits_names_only_keys_that_exist() {
    // A key that no struct has would make an unknown key of it.
    for key in pending::keys() {
        let parts: Vec<&str> = key.split('.').collect();
        let table = parts[..parts.len() - 1].join(".").replace('*', "x");
        let text = format!(
            "version = 1\n[{table}]\n{} = 1979-05-27\n",
            parts[parts.len() - 1]
        );
        let loaded = loaded(&text);
        let unknown: Vec<_> = findings(&loaded)
            .into_iter()
            .filter(|d| d.code == crate::config::diagnostic::Code::UnknownKey)
            .collect();
        assert!(unknown.is_empty(), "{key}: {unknown:#?}");
    }
}

#[test]
fn secrets_that_can_not_be_read_are_shown_in_their_place() {
    let text =
        "version = 1\n[admin]\npassword = { env = \"WEAK\" }\n[keys.k]\nkey = { env = \"NONE\" }\n";
    let files = files(text);
    let loaded = loaded(text);
    let env = |name: &str| (name == "WEAK").then(|| "short".to_owned());
    let found = secret::check(&loaded.secrets, &Resolver::new(env, None, "id".into()));
    let shown: Vec<String> = found.iter().map(|d| render::line(&files, d)).collect();
    assert_eq!(
        shown,
        [
            "agp.toml:3:12: error[AGP024]: `admin.password`: expected a password of at least 12 characters (key: admin.password)",
            "agp.toml:5:7: error[AGP025]: `keys.k.key`: environment variable `NONE` is not set (key: keys.k.key)",
        ]
    );
}
