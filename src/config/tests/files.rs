use std::path::{Path, PathBuf};

use crate::config::diagnostic::{Code, Severity};
use crate::config::model::SecretRef;
use crate::config::source::{Files, MAX_FILE};
use crate::config::tests::{NOW, codes, findings};
use crate::config::{Loaded, load_at};

struct Dir(tempfile::TempDir);

impl Dir {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            dir.write(name, text.as_bytes());
        }
        dir
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.0.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn read(&self) -> Files {
        Files::read(&self.0.path().join("agp.toml"))
    }

    fn load(&self) -> Loaded {
        load_at(&self.read(), std::iter::empty(), NOW)
    }
}

const ROOT: &str = "version = 1\ninclude = [\"d/*.toml\"]\n[upstreams.g]\nkind = \"gemini\"\n";
const ACCOUNT: &str = "upstream = \"g\"\napi_key = { file = \"key\" }\n";

#[test]
fn includes_are_merged_in_order_and_paths_are_their_own_folders() {
    let dir = Dir::new(&[
        ("agp.toml", ROOT),
        ("d/b.toml", &format!("[accounts.b]\n{ACCOUNT}")),
        (
            "d/a.toml",
            &format!("version = 1\n[accounts.a]\n{ACCOUNT}[server]\nlisten = \"127.0.0.1:1\"\n"),
        ),
        ("d/.hidden.toml", "nonsense"),
        ("d/note.txt", "nonsense"),
    ]);
    let files = dir.read();
    let names: Vec<_> = files
        .iter()
        .map(|f| f.path.file_name().unwrap().to_owned())
        .collect();
    assert_eq!(names, ["agp.toml", "a.toml", "b.toml"]);
    let loaded = dir.load();
    let config = loaded.config.unwrap();
    assert_eq!(config.accounts.len(), 2);
    assert_eq!(config.server.listen.port(), 1);
    assert_eq!(
        config.accounts["a"].credential,
        SecretRef::File(dir.0.path().join("d/key"))
    );
}

#[test]
fn a_key_in_two_files_names_both_places() {
    let dir = Dir::new(&[
        (
            "agp.toml",
            &format!("{ROOT}[accounts.a]\n{ACCOUNT}[log]\nlevel = \"info\"\n"),
        ),
        (
            "d/a.toml",
            &format!("[accounts.a]\n{ACCOUNT}[log]\nformat = \"json\"\nlevel = \"warn\"\n"),
        ),
    ]);
    let files = dir.read();
    let loaded = dir.load();
    let found: Vec<_> = findings(&loaded)
        .into_iter()
        .map(|d| {
            let at = files.position(d.span.as_ref().unwrap());
            let first = files.position(&d.labels[0].span);
            let file = d.span.as_ref().unwrap().file.index();
            (d.code, d.key.as_str(), file, at.line, first.line)
        })
        .collect();
    assert_eq!(
        found,
        [
            (Code::DefinedTwice, "accounts.a", 1, 1, 5),
            (Code::DefinedTwice, "log.level", 1, 6, 9),
        ]
    );
}

#[test]
fn errors_of_all_files_come_together() {
    let dir = Dir::new(&[
        ("agp.toml", &format!("{ROOT}[server]\nlisen = 1\n")),
        ("d/a.toml", "[accounts.a]\nupstream = 5\n"),
        ("d/b.toml", "include = []\nversion = 3\n[sevrer]\n"),
    ]);
    let loaded = dir.load();
    assert_eq!(
        codes(&loaded),
        [
            Code::UnknownKey,
            Code::WrongType,
            Code::Include,
            Code::Version,
            Code::UnknownKey,
        ]
    );
}

#[test]
fn what_can_not_be_read_is_a_finding() {
    let dir = Dir::new(&[]);
    assert_eq!(codes(&dir.load()), [Code::Unreadable]);
    dir.write("agp.toml", b"");
    assert_eq!(codes(&dir.load()), [Code::Version]);
    dir.write("agp.toml", b"version = 1\n[log]\nlevel = \"\xff\"\n");
    let files = dir.read();
    let loaded = dir.load();
    let [found] = findings(&loaded)[..] else {
        panic!("{:#?}", findings(&loaded));
    };
    let at = files.position(found.span.as_ref().unwrap());
    assert_eq!((found.code, at.line, at.column), (Code::NotUtf8, 3, 10));
    dir.write(
        "agp.toml",
        b"version = 1\ninclude = [\"none.toml\", \"a/**/b.toml\"]\n",
    );
    assert_eq!(codes(&dir.load()), [Code::Unreadable, Code::Include]);
    let big = vec![b'#'; usize::try_from(MAX_FILE).unwrap() + 1];
    dir.write("agp.toml", &big);
    assert_eq!(codes(&dir.load()), [Code::TooLarge]);
}

#[test]
fn patterns_that_match_nothing_are_fine_and_the_root_is_never_its_own_include() {
    let dir = Dir::new(&[(
        "agp.toml",
        "version = 1\ninclude = [\"*.toml\", \"none.d/*.toml\"]\n",
    )]);
    assert_eq!(dir.read().iter().count(), 1);
    assert!(dir.load().config.is_some());
}

#[test]
fn the_revision_is_of_names_and_bytes_and_not_of_the_place() {
    let one = Dir::new(&[("agp.toml", ROOT), ("d/a.toml", "# a")]);
    let two = Dir::new(&[("agp.toml", ROOT), ("d/a.toml", "# a")]);
    let revision = one.read().revision();
    assert_eq!(revision, two.read().revision());
    assert_eq!(revision.to_string().len(), 64);
    two.write("d/a.toml", b"# b");
    assert_ne!(revision, two.read().revision());
    let three = Dir::new(&[("agp.toml", ROOT), ("d/b.toml", "# a")]);
    assert_ne!(revision, three.read().revision());
}

#[test]
fn texts_load_like_the_files_they_were_read_from() {
    let dir = Dir::new(&[
        ("agp.toml", ROOT),
        ("d/a.toml", &format!("[accounts.a]\n{ACCOUNT}")),
    ]);
    let read = dir.read();
    let again = Files::from_texts(read.iter().map(|f| (f.path.clone(), f.text.to_string())));
    assert_eq!(again.revision(), read.revision());
    assert_eq!(again.patterns(), read.patterns());
    let loaded = load_at(&again, std::iter::empty(), NOW);
    assert_eq!(loaded.config, dir.load().config);
}

#[test]
fn two_thousand_accounts_load() {
    use std::fmt::Write as _;

    let mut text = ROOT.to_owned();
    for i in 0..2000 {
        write!(
            text,
            "[accounts.a{i}]\nemail = \"a{i}@example.com\"\n{ACCOUNT}tags = [\"t\"]\n"
        )
        .unwrap();
    }
    let files = Files::from_texts([(PathBuf::from("agp.toml"), text)]);
    let loaded = load_at(&files, std::iter::empty(), NOW);
    assert_eq!(loaded.config.unwrap().accounts.len(), 2000);
}

#[test]
fn every_example_is_fine_by_strict_rules() {
    let base = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = vec![base.join("agp.toml.example")];
    for entry in std::fs::read_dir(base.join("examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "toml") {
            paths.push(path);
        }
    }
    assert!(paths.len() >= 3);
    for path in paths {
        let loaded = load_at(&Files::read(&path), std::iter::empty(), NOW);
        let bad: Vec<_> = loaded
            .diagnostics
            .iter()
            .filter(|d| d.severity != Severity::Note)
            .collect();
        assert!(bad.is_empty(), "{}: {bad:#?}", path.display());
    }
}

#[test]
fn the_example_has_the_thirteen_models() {
    use crate::ir::{Effort, Family, ThinkingDefault};

    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("agp.toml.example");
    let config = load_at(&Files::read(&path), std::iter::empty(), NOW)
        .config
        .unwrap();
    assert_eq!(config.models.len(), 13);
    assert_eq!(
        config
            .models
            .values()
            .map(|m| m.aliases.len())
            .sum::<usize>(),
        8
    );
    // original.md 2: what thinks, and as what it is sent.
    let thinking = [
        "gemini-3-pro-high",
        "gemini-3-pro-low",
        "gemini-2.5-pro",
        "gemini-2.5-flash-thinking",
        "claude-opus-4-5-thinking",
        "claude-sonnet-4-5-thinking",
        "gpt-oss-120b-medium",
    ];
    for (name, model) in &config.models {
        let wanted = match (Family::of(name), thinking.contains(&name.as_str())) {
            (Some(Family::Gemini25 | Family::Claude), true) => Some(ThinkingDefault::Budget(4096)),
            (Some(Family::Gemini3), true) => Some(ThinkingDefault::Level(Effort::High)),
            (Some(Family::Claude), false) => Some(ThinkingDefault::Off),
            _ => None,
        };
        assert_eq!(model.thinking, wanted, "{name}");
        let sent = match name.as_str() {
            "gemini-2.5-flash-thinking" => "gemini-2.5-flash",
            "claude-opus-4-5" => "claude-opus-4-5-thinking",
            "claude-sonnet-4-5-thinking" => "claude-sonnet-4-5",
            name => name,
        };
        assert_eq!(model.route.len(), 1);
        assert_eq!(model.route[0].model, sent, "{name}");
    }
}
