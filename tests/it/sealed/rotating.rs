//! `agp rotate`: for other recipients, for another identity, and stopped anywhere.

use super::*;

/// A folder with two files and a store, all of it sealed: two accounts, the data key.
struct Vault {
    place: Place,
    included: PathBuf,
}

impl Vault {
    async fn new() -> Self {
        let setup = Setup::new(&["alice"]).include("conf.d/*.toml");
        let place = Place::new(setup, &json!({})).await;
        let folder = place.path().join("conf.d");
        std::fs::create_dir(&folder).unwrap();
        let included = folder.join("bob.toml");
        let text =
            "# bob\n[accounts.bob]\nupstream = \"sim\"\nrefresh_token = 'sim-refresh-bob' # his\n";
        std::fs::write(&included, text).unwrap();
        let keys = [TOKEN, "accounts.bob.refresh_token"];
        let left = run(
            agp(place.path(), &["seal", "--in-place", keys[0], keys[1]]),
            "",
        )
        .await;
        assert_eq!(left.code, 0, "{left:?}");
        let vault = Self { place, included };
        let serving = vault.serve().await;
        vault.keeps_a_token().await;
        assert_eq!(serving.terminate().await, 0);
        vault
    }

    fn path(&self) -> &Path {
        self.place.path()
    }

    fn identity(&self) -> Identity {
        identity(&identity_file(self.path()))
    }

    fn texts(&self) -> [String; 2] {
        [self.path().join("agp.toml"), self.included.clone()]
            .map(|file| std::fs::read_to_string(file).unwrap())
    }

    fn sealed(&self) -> [String; 2] {
        self.texts().map(|text| only(&text))
    }

    async fn serve(&self) -> Running {
        let serving = self.place.serve();
        self.place.ready().await;
        serving
    }

    async fn keeps_a_token(&self) {
        let got = Got::read(self.place.ask(BOTH[0], FLASH, "hi", false)).await;
        assert_eq!(got.status, 200, "{got:?}");
        crate::support::until("the data key", || named_by_gateway(self.path()).is_some()).await;
    }

    /// For whom the data key of the stopped gateway is wrapped, and that this identity opens it.
    fn wrapped_for(&self, identity: &Identity) -> Vec<String> {
        let wrapped = upkeep::wrapped_key(&self.path().join("data"))
            .unwrap()
            .unwrap();
        identity.unwrap(&wrapped).unwrap();
        named(&wrapped)
    }

    async fn rotate(&self, args: &[&str]) -> Left {
        let args: Vec<&str> = ["rotate"].iter().chain(args).copied().collect();
        run(agp(self.path(), &args), "").await
    }

    fn recipients(&self, recipients: &[String]) {
        let file = self.path().join("agp.toml");
        let text = std::fs::read_to_string(&file).unwrap();
        let text = text.split("[secrets]").next().unwrap();
        std::fs::write(
            file,
            format!("{text}[secrets]\nrecipients = {recipients:?}\n"),
        )
        .unwrap();
    }

    /// That everything opens for this identity, values and store.
    fn assert_opens(&self, identity: &Identity) {
        let opened = self.sealed().map(|sealed| {
            let opened = identity.open(&sealed);
            opened.unwrap().expose().to_owned()
        });
        assert_eq!(opened, ["sim-refresh-alice", "sim-refresh-bob"]);
        self.wrapped_for(identity);
    }

    /// That a gateway starts, opens its tokens, and serves.
    async fn assert_serves(&self) {
        let serving = self.serve().await;
        let got = Got::read(self.place.ask(BOTH[0], FLASH, "hi", false)).await;
        assert_eq!(got.status, 200, "{got:?}");
        assert_eq!(serving.terminate().await, 0);
    }

    /// The files beside the identity that hold old ones.
    fn asides(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.path().join("data")).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths
            .filter(|path| path.to_string_lossy().contains(".before-rotate-"))
            .collect()
    }
}

#[tokio::test]
async fn without_a_gateway_everything_is_sealed_for_the_present_recipients() {
    let vault = Vault::new().await;
    let (own, friend) = (vault.identity(), stranger());
    let before = vault.texts();
    let left = vault.rotate(&[]).await;
    assert_eq!(left.code, 0, "{left:?}");
    assert_eq!(
        vault.texts(),
        before,
        "all is for the present recipients already"
    );
    assert_eq!(vault.wrapped_for(&own), [own.recipient()]);

    vault.recipients(&[friend.recipient()]);
    let (before, was) = (vault.texts(), vault.sealed());
    let left = vault.rotate(&[]).await;
    assert_eq!(left.code, 0, "{left:?}");
    assert!(
        left.out.contains("2 values sealed anew") && left.out.contains(&friend.recipient()),
        "{left:?}"
    );
    for ((now, before), was) in vault.texts().iter().zip(&before).zip(&was) {
        assert_eq!(
            &now.replace(&only(now), was),
            before,
            "only the value changed"
        );
    }
    vault.assert_opens(&own);
    vault.assert_opens(&friend);
    vault.assert_serves().await;

    // Taken out again, the friend opens nothing that is written from now on.
    vault.recipients(&[]);
    assert_eq!(vault.rotate(&[]).await.code, 0);
    vault.assert_opens(&own);
    assert!(
        vault
            .sealed()
            .iter()
            .all(|sealed| friend.open(sealed).is_err())
    );
    assert_eq!(vault.wrapped_for(&own), [own.recipient()]);
}

#[tokio::test]
async fn a_running_gateway_takes_recipients_on_reload_and_wraps_for_them() {
    let vault = Vault::new().await;
    let (own, friend) = (vault.identity(), stranger());
    let serving = vault.serve().await;
    assert_eq!(named_by_gateway(vault.path()).unwrap(), [own.recipient()]);
    vault.recipients(&[friend.recipient()]);
    let reloaded = run(agp(vault.path(), &["reload"]), "").await;
    assert_eq!(reloaded.code, 0, "{reloaded:?}");
    let left = vault.rotate(&[]).await;
    assert_eq!(left.code, 0, "{left:?}");
    assert_eq!(
        named_by_gateway(vault.path()).unwrap(),
        [own.recipient(), friend.recipient()]
    );
    let got = Got::read(vault.place.ask(BOTH[1], FLASH, "hi", false)).await;
    assert_eq!(got.status, 200);
    assert_eq!(serving.terminate().await, 0);
    vault.assert_opens(&friend);
}

#[tokio::test]
async fn an_identity_is_replaced_under_a_running_gateway() {
    let vault = Vault::new().await;
    let old = vault.identity();
    let backup = vault.path().join("backup.redb");
    let serving = vault.serve().await;
    let left = run(agp(vault.path(), &["state", "backup", "backup.redb"]), "").await;
    assert_eq!(left.code, 0, "{left:?}");
    let left = vault.rotate(&["--new-identity"]).await;
    assert_eq!(left.code, 0, "{left:?}");
    let new = vault.identity();
    assert_ne!(new.recipient(), old.recipient());
    assert!(left.out.contains(&new.recipient()), "{left:?}");
    let got = Got::read(vault.place.ask(BOTH[0], FLASH, "hi", false)).await;
    assert_eq!(got.status, 200);
    assert_eq!(serving.terminate().await, 0);

    vault.assert_opens(&new);
    assert!(
        vault
            .sealed()
            .iter()
            .all(|sealed| old.open(sealed).is_err())
    );
    vault.assert_serves().await;
    // What was made before opens with the old one, which is kept.
    let asides = vault.asides();
    assert_eq!(asides.len(), 1);
    assert!(
        left.out.contains(asides[0].to_str().unwrap()) || left.out.contains("before-rotate"),
        "{left:?}"
    );
    assert_eq!(identity(&asides[0]).recipient(), old.recipient());
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::copy(backup, elsewhere.path().join("agp.redb")).unwrap();
    let wrapped = upkeep::wrapped_key(elsewhere.path()).unwrap().unwrap();
    assert!(old.unwrap(&wrapped).is_ok() && new.unwrap(&wrapped).is_err());
}

#[tokio::test]
async fn what_cannot_be_opened_is_told_before_anything_changes() {
    let vault = Vault::new().await;
    let text = vault.texts()[1].clone();
    let theirs = stranger().seal(&Secret::new("x")).unwrap();
    let broken = text.replace(&only(&text), &theirs);
    std::fs::write(&vault.included, &broken).unwrap();
    let before = (
        vault.texts(),
        std::fs::read(identity_file(vault.path())).unwrap(),
    );
    let left = vault.rotate(&["--new-identity"]).await;
    refused(
        &left,
        &["`accounts.bob.refresh_token`", &named_in(&theirs)[0]],
    );
    assert_eq!(
        (
            vault.texts(),
            std::fs::read(identity_file(vault.path())).unwrap()
        ),
        before
    );
}

#[tokio::test]
async fn stopped_after_any_step_everything_opens_and_the_next_one_goes_on() {
    // How many of these steps were taken: the identity, the first file, the second, the store, the old identity aside.
    for steps in 0..=5 {
        let vault = Vault::new().await;
        let old = vault.identity();
        let path = identity_file(vault.path());
        let data = vault.path().join("data");
        if steps >= 1 {
            let turn = Turn::begin(&path, &[]).unwrap();
            let recipients = turn.identity().recipients(&[]).unwrap();
            let files = [vault.path().join("agp.toml"), vault.included.clone()];
            for file in files.iter().take(steps - 1) {
                let text = std::fs::read_to_string(file).unwrap();
                let sealed = only(&text);
                let again = recipients
                    .seal(&turn.identity().open(&sealed).unwrap())
                    .unwrap();
                std::fs::write(file, text.replace(&sealed, &again)).unwrap();
            }
            if steps >= 4 {
                let keyring = Keyring::open(&path, true).unwrap();
                upkeep::rewrap(&data, &*keyring).unwrap().unwrap();
            }
            if steps >= 5 {
                std::fs::write(data.join("agp-identity.txt.before-rotate-1"), "x").unwrap();
            }
        }
        vault.assert_opens(&vault.identity());
        vault.assert_serves().await;
        // With and without the option it is ended, and no third identity made.
        let between = vault.identity().recipient();
        let args: &[&str] = if steps % 2 == 0 {
            &["--new-identity"]
        } else {
            &[]
        };
        let left = vault.rotate(args).await;
        assert_eq!(left.code, 0, "{steps}: {left:?}");
        let new = vault.identity();
        assert_ne!(new.recipient(), old.recipient(), "{steps}");
        if steps > 0 {
            assert_eq!(new.recipient(), between, "{steps}");
        }
        vault.assert_opens(&new);
        assert!(
            vault
                .sealed()
                .iter()
                .all(|sealed| old.open(sealed).is_err())
        );
        let kept = vault
            .asides()
            .into_iter()
            .filter_map(|path| Identity::load_or_none(&path).ok()?);
        assert!(
            kept.map(|i| i.recipient()).any(|r| r == old.recipient()),
            "{steps}"
        );
        vault.assert_serves().await;
    }
}

#[tokio::test]
async fn killed_at_any_moment_everything_opens() {
    let vault = Vault::new().await;
    let mut seen = std::collections::BTreeSet::from([vault.identity().recipient()]);
    let begun = std::time::Instant::now();
    assert_eq!(vault.rotate(&["--new-identity"]).await.code, 0);
    let whole = begun.elapsed();
    // Each is killed a little later than the one before; the last ones end by themselves.
    for n in 0..24_u32 {
        let mut rotating = Running::start(agp(vault.path(), &["rotate", "--new-identity"]));
        tokio::time::sleep(whole * n / 12).await;
        rotating.kill().await;
        vault.assert_opens(&vault.identity());
        seen.insert(vault.identity().recipient());
    }
    assert!(seen.len() > 2, "none of them came far enough");
    assert_eq!(vault.rotate(&[]).await.code, 0);
    vault.assert_opens(&vault.identity());
    vault.assert_serves().await;
}

#[tokio::test]
async fn another_identity_is_in_use_as_soon_as_the_file_names_one_that_opens_everything() {
    let vault = Vault::new().await;
    let serving = vault.serve().await;
    let own = vault.identity();
    let root = vault.path().join("agp.toml");
    let before = std::fs::read_to_string(&root).unwrap();
    let reload = async |place: &str| {
        let text = format!("{before}\n[secrets]\nidentity = {{ file = \"{place}\" }}\n");
        std::fs::write(&root, text).unwrap();
        run(agp(vault.path(), &["reload"]), "").await
    };
    let named = || named_by_gateway(vault.path());

    // None there, and one that opens nothing: what runs goes on.
    refused(
        &reload("elsewhere.txt").await,
        &["elsewhere.txt", &own.recipient()],
    );
    let other_file = vault.path().join("other.txt");
    let other = Identity::create(&other_file).unwrap();
    refused(&reload("other.txt").await, &[&own.recipient()]);
    assert_eq!(named(), Some(vec![own.recipient()]));
    vault.keeps_a_token().await;

    // One that opens the old one's too.
    let old_file = identity_file(vault.path());
    let both = [&other_file, &old_file].map(|file| std::fs::read_to_string(file).unwrap());
    std::fs::write(&other_file, both.concat()).unwrap();
    let left = reload("other.txt").await;
    assert_eq!(left.code, 0, "{left:?}");
    assert!(!left.out.contains("restart"), "{left:?}");
    crate::support::until("the key to be for the new one alone", || {
        named() == Some(vec![other.recipient()])
    })
    .await;
    std::fs::remove_file(&old_file).unwrap();
    vault.keeps_a_token().await;
    assert_eq!(serving.terminate().await, 0);
    let serving = vault.serve().await;
    vault.keeps_a_token().await;
    assert_eq!(serving.terminate().await, 0);
}
