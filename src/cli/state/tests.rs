use clap::Parser as _;

use super::*;
use crate::app::App;
use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::cli::{Cli, Command, MISTAKE};
use crate::store::{AccountRecord, Options, Store, TokenRecord};

const FILE: &str = "version = 1\n[server]\nlisten = \"127.0.0.1:0\"\n";

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::write(folder.path("agp.toml"), FILE).unwrap();
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    async fn agp(&self, words: &[&str]) -> (u8, String) {
        let config = self.path("agp.toml");
        let mut all = vec!["agp", "state", "--config", config.to_str().unwrap()];
        all.extend(words);
        let Some(Command::State(args)) = Cli::parse_from(all).command else {
            panic!("not `agp state`");
        };
        let mut out = Vec::new();
        match run(&args, &mut out).await {
            Ok(()) => (0, String::from_utf8(out).unwrap()),
            Err(failed) => {
                let out = String::from_utf8(out).unwrap();
                (failed.code, format!("{out}{}", failed.message))
            }
        }
    }

    fn store(&self) -> Store {
        let keys = Keyring::open(&self.path("data/agp-identity.txt"), false).unwrap();
        Store::open(&self.path("data"), keys, Options::default()).unwrap()
    }

    /// Keeps a token, and gives back the gateway's lock.
    async fn keep(&self, n: i64) {
        let store = self.store();
        store.put_token(token(n)).await.unwrap();
        store.close().await;
    }

    async fn kept(&self) -> Vec<TokenRecord> {
        let store = self.store();
        let tokens = store.load().unwrap().tokens;
        store.close().await;
        tokens
    }
}

fn token(n: i64) -> TokenRecord {
    TokenRecord {
        account: "main".into(),
        fingerprint: [7; 32],
        access_token: format!("made-up-{n}").into(),
        expires_at: Timestamp(n),
        refresh_token: None,
    }
}

#[tokio::test]
async fn a_backup_is_put_back_and_the_present_file_kept() {
    let folder = Folder::new();
    folder.keep(1).await;
    let copy = folder.path("copy.redb");
    let name = copy.to_str().unwrap();
    let (code, text) = folder.agp(&["backup", name]).await;
    assert_eq!(code, 0, "{text}");
    let (code, text) = folder.agp(&["backup", name]).await;
    assert_eq!(code, MISTAKE);
    assert!(text.contains("is there already"), "{text}");
    folder.keep(2).await;
    let (code, text) = folder.agp(&["restore", name]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("before-restore-"), "{text}");
    assert_eq!(folder.kept().await, [token(1)]);
    let (code, text) = folder.agp(&["check"]).await;
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("token"), "{text}");
    let (code, text) = folder.agp(&["compact"]).await;
    assert_eq!(code, 0, "{text}");
    assert_eq!(folder.kept().await, [token(1)]);
}

#[tokio::test]
async fn a_backup_that_can_not_be_served_changes_nothing() {
    let folder = Folder::new();
    folder.keep(1).await;
    let bad = folder.path("bad.redb");
    std::fs::write(&bad, b"no database".repeat(1000)).unwrap();
    let bad = bad.to_str().unwrap();
    let before = std::fs::read_dir(folder.path("data")).unwrap().count();
    let (code, text) = folder.agp(&["restore", bad]).await;
    assert_eq!(code, MISTAKE);
    assert!(text.contains("bad.redb"), "{text}");

    let other = Folder::new();
    other.keep(9).await;
    let copy = folder.path("other.redb");
    let copy = copy.to_str().unwrap();
    assert_eq!(other.agp(&["backup", copy]).await.0, 0);
    let (code, text) = folder.agp(&["restore", copy]).await;
    assert_eq!(code, MISTAKE, "another identity: {text}");
    assert_eq!(folder.agp(&["restore", "/nowhere"]).await.0, MISTAKE);
    let after = std::fs::read_dir(folder.path("data")).unwrap().count();
    assert_eq!(before, after);
    assert_eq!(folder.kept().await, [token(1)]);
}

#[tokio::test]
async fn damage_is_found_with_a_code_of_its_own() {
    let folder = Folder::new();
    assert_eq!(folder.agp(&["check"]).await.0, MISTAKE, "nothing is there");
    folder.keep(1).await;
    let file = folder.path("data/agp.redb");
    let mut bytes = std::fs::read(&file).unwrap();
    for page in bytes.chunks_mut(4096).skip(1) {
        page[0] ^= 0xff;
        page[2000] ^= 0xff;
    }
    std::fs::write(&file, bytes).unwrap();
    let (code, text) = folder.agp(&["check"]).await;
    assert_eq!(code, FAILED, "{text}");
    assert!(text.contains("agp state restore"), "{text}");
}

#[tokio::test]
async fn a_gateway_that_serves_is_backed_up_and_stands_in_the_way_of_the_rest() {
    let folder = Folder::new();
    let read = crate::runtime::controller::read(&folder.path("agp.toml"));
    let places = crate::runtime::controller::Places {
        root: folder.path("agp.toml"),
        state_dir: folder.0.path().to_owned(),
    };
    let read = read.ok().unwrap();
    let app = Box::pin(App::start(read, places, Tasks::new(), None))
        .await
        .unwrap();
    let store = app.gateway().dispatcher.runtime.store.clone();
    store.put_account(AccountRecord {
        account: "main".into(),
        fingerprint: [7; 32],
        project: None,
        tier: None,
        email: None,
        ineligible: None,
        at: Timestamp(3),
    });
    let copy = folder.path("copy.redb");
    let name = copy.to_str().unwrap();
    let (code, text) = folder.agp(&["backup", name]).await;
    assert_eq!(code, 0, "{text}");
    for action in [["check"].as_slice(), &["compact"], &["restore", name]] {
        let (code, text) = folder.agp(action).await;
        assert_eq!(code, MISTAKE, "{text}");
        assert!(text.contains("stop the gateway first"), "{text}");
    }
    std::fs::remove_file(folder.path("data/agp.sock")).unwrap();
    let again = folder.path("again.redb");
    let (code, text) = folder.agp(&["backup", again.to_str().unwrap()]).await;
    assert_eq!(code, UNREACHABLE, "{text}");
    app.stop(std::future::ready(())).await;
    let (code, text) = folder.agp(&["restore", name]).await;
    assert_eq!(code, 0, "{text}");
    let store = folder.store();
    assert_eq!(store.load().unwrap().accounts.len(), 1);
    store.close().await;
    let left: Vec<_> = std::fs::read_dir(folder.path("data"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("backup"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
