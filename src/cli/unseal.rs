//! `agp unseal`: the secret in a sealed value.

use std::io::{BufRead, IsTerminal as _, Write};

use crate::base::secret::Secret;
use crate::cli::sealing::Shop;
use crate::cli::{Failed, prompt, seal, serve};
use crate::config::model::SecretRef;
use crate::config::seal::find;

/// Longest input in bytes: a sealed value of the longest secret, with room around it.
const MAX_INPUT: u64 = 128 << 10;

/// Arguments of `agp unseal`.
#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "Without KEY the sealed value is read from standard input. The secret goes to standard output: with a line break behind it at a terminal, else exactly as it is.\n\nExample:\n  agp unseal accounts.alice.refresh_token\n  echo '{ sealed = \"agp1:...\" }' | agp unseal"
)]
pub struct Args {
    /// The key whose sealed value is opened, such as `accounts.alice.refresh_token`
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
    /// Where the configuration and the identity are
    #[command(flatten)]
    pub serve: serve::Args,
}

/// Prints the secret.
///
/// # Errors
/// A sentence for people.
pub fn run(args: &Args, out: &mut dyn Write) -> Result<(), Failed> {
    let shop = Shop::open(&args.serve)?;
    let sealed = match &args.key {
        Some(key) => of_key(&shop, key)?,
        None => of_input(&mut std::io::stdin().lock())?,
    };
    let secret = shop.identity()?.open(&sealed).map_err(|e| e.to_string())?;
    let end = if std::io::stdout().is_terminal() {
        "\n"
    } else {
        ""
    };
    print(&secret, end, out).map_err(|e| format!("standard output: {e}").into())
}

fn print(secret: &Secret, end: &str, out: &mut dyn Write) -> std::io::Result<()> {
    out.write_all(secret.expose().as_bytes())?;
    out.write_all(end.as_bytes())?;
    out.flush()
}

fn of_key(shop: &Shop, key: &str) -> Result<String, String> {
    let reference = seal::named(&shop.loaded.secrets, key)?;
    let where_else = match &reference.secret {
        SecretRef::Sealed(text) => return Ok(text.clone()),
        SecretRef::Plain(_) => "it stands there in clear".to_owned(),
        SecretRef::Env(name) => format!("it is read from the environment variable `{name}`"),
        SecretRef::File(path) => format!("it is read from `{}`", path.display()),
    };
    Err(format!("`{}` is not sealed: {where_else}", reference.key))
}

/// The sealed value in the input, which may be a whole line of a file.
fn of_input(input: &mut dyn BufRead) -> Result<String, String> {
    let text = prompt::all(input, MAX_INPUT).map_err(|e| format!("standard input: {e}"))?;
    let mut found = find(&text);
    match (found.next(), found.next()) {
        (Some((_, sealed)), None) => Ok(sealed.to_owned()),
        (Some(_), Some(_)) => {
            Err("expected one sealed value on standard input, found several".to_owned())
        }
        (None, _) => Err(
            "expected a sealed value on standard input, `agp1:...` whole as `agp seal` prints it"
                .to_owned(),
        ),
    }
}
