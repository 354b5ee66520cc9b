//! `agp rotate`: what is sealed, for the present recipients, and for another identity where one is asked for.
//!
//! The order is what makes a crash harmless. A new identity is put in front of the old one in one file, so that both open
//! what they opened; then the files' values are sealed anew, then the store's data key; only then the old identity leaves
//! the file, into one beside it. Stopped anywhere, everything opens, and the next `agp rotate` goes on.

use std::io::Write;
use std::path::Path;

use http::Method;
use serde::Deserialize;

use crate::cli::sealing::{Shop, store_failed};
use crate::cli::{Failed, reload, serve};
use crate::config::seal::{Identity, Renewed, Turn, named, renew};
use crate::runtime::keyring::Keyring;
use crate::store::upkeep;

/// Arguments of `agp rotate`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Run it after a change of `secrets.recipients`, and with --new-identity where the identity may have leaked. Stopped anywhere, nothing is lost: run it again.\n\nExample:\n  agp rotate\n  agp rotate --new-identity"
)]
pub struct Args {
    /// Make a new identity, and seal everything for it; the old one is kept in a file beside
    #[arg(long)]
    pub new_identity: bool,
    /// Where the configuration and the state are
    #[command(flatten)]
    pub serve: serve::Args,
}

/// What the gateway answers.
#[derive(Deserialize)]
struct Wrapped {
    recipients: Option<Vec<String>>,
}

/// Seals everything anew that is not for the present recipients.
///
/// # Errors
/// Code 1 where something can't be opened or written, 4 where a gateway runs that does not answer. What was done stays, and
/// everything opens.
pub async fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let shop = Shop::sound(&args.serve)?;
    let path = shop.identity_path();
    let secrets = &shop.loaded.secrets;
    let more = &shop.sealing.secrets.recipients;
    // With the identity as it is, before anything changes: what can't be opened is told now.
    let identity = shop.identity()?;
    renewed(&shop, &identity)?;
    openable(&shop, &identity)?;

    let turn = if args.new_identity {
        Some(Turn::begin(&path, &shop.expected()))
    } else {
        Turn::resume(&path).transpose()
    };
    let turn = turn.transpose().map_err(|e| e.to_string())?;
    let identity = turn.as_ref().map_or(&identity, Turn::identity);
    if let Some(turn) = &turn {
        let how = if turn.is_resumed() {
            "goes on with an earlier rotation, whose new identity is of"
        } else {
            "made a new identity, of"
        };
        let _ = writeln!(out, "{how} recipient {}", identity.recipient());
    }
    let recipients = identity.recipients(more).map_err(|e| e.to_string())?;
    let done = renew(&shop.files, secrets, identity, &recipients);
    let done = done.map_err(|errors| Failed::from(errors.join("\n")))?;
    shop.save(&done.changes)?;
    tell_files(&done, out);

    let names = recipients.names();
    let wrapped = wrap(&shop, more).await?;
    match &wrapped {
        None => {
            let _ = writeln!(out, "the store holds nothing encrypted");
        }
        Some(found) if *found == names => {
            let _ = writeln!(out, "wrapped the store's key anew");
        }
        Some(found) => {
            return Err(format!(
                "the gateway wrapped the store's key for {}, expected {}: it runs with other `secrets` than the files say",
                found.join(", "),
                names.join(", ")
            )
            .into());
        }
    }
    let _ = writeln!(out, "for {}", names.join(", "));
    if let Some(turn) = turn {
        let aside = turn.end().map_err(|e| e.to_string())?;
        tell_old(&aside, out);
    }
    Ok(())
}

fn renewed(shop: &Shop, identity: &Identity) -> Result<Renewed, Failed> {
    let recipients = identity.recipients(&shop.sealing.secrets.recipients);
    let recipients = recipients.map_err(|e| e.to_string())?;
    renew(&shop.files, &shop.loaded.secrets, identity, &recipients)
        .map_err(|errors| errors.join("\n").into())
}

/// That the store's data key opens, where no gateway has it open: a wrong identity must be told before the files change.
fn openable(shop: &Shop, identity: &Identity) -> Result<(), Failed> {
    if shop.has_gateway() {
        return Ok(());
    }
    let wrapped = upkeep::wrapped_key(&shop.state()).map_err(|e| store_failed(&e, shop))?;
    if let Some(wrapped) = wrapped {
        let opened = identity.unwrap(&wrapped);
        opened.map_err(|e| format!("the key of what is stored encrypted: {e}"))?;
    }
    Ok(())
}

/// Has the store's data key wrapped anew, by the gateway where one answers. Gives whom it is for.
async fn wrap(shop: &Shop, more: &[String]) -> Result<Option<Vec<String>>, Failed> {
    if shop.has_gateway() {
        // First the files: for whom it wraps is what they say.
        reload::reload(&shop.at).await?;
        let wrapped: Wrapped = shop.ask(Method::POST, "/rotate").await?;
        return Ok(wrapped.recipients);
    }
    let keyring = Keyring::open(&shop.identity_path(), true)?;
    keyring.set_recipients(more);
    let wrapped = upkeep::rewrap(&shop.state(), &*keyring).map_err(|e| store_failed(&e, shop))?;
    Ok(wrapped.map(|wrapped| named(&wrapped)))
}

fn tell_files(done: &Renewed, out: &mut dyn Write) {
    for change in &done.changes {
        let _ = writeln!(out, "sealed anew in {}", change.path.display());
    }
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let (n, fresh) = (done.values, done.fresh);
    let _ = match (n, fresh) {
        (0, 0) => writeln!(out, "no sealed value in the files"),
        (0, _) => writeln!(
            out,
            "{fresh} sealed value{} as they should be",
            plural(fresh)
        ),
        (_, 0) => writeln!(out, "{n} value{} sealed anew", plural(n)),
        _ => writeln!(
            out,
            "{n} value{} sealed anew, {fresh} as they should be",
            plural(n)
        ),
    };
    for left in &done.left {
        let (path, at) = (left.path.display(), left.at);
        let _ = writeln!(
            out,
            "left as it is: a sealed value in the comment at {path}:{}:{}: {}",
            at.line, at.column, left.why
        );
    }
}

fn tell_old(aside: &Path, out: &mut dyn Write) {
    let _ = writeln!(
        out,
        "the old identity is in {}: backups and git's history from before open with nothing else; delete it once you need none of them",
        aside.display()
    );
}
