//! `agp demo`: the gateway in front of the simulator, with accounts and a key made for this run.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use crate::app::{App, log};
use crate::base::key::generate;
use crate::base::task::Tasks;
use crate::cli::{hash_password, serve, simulate};
use crate::runtime::controller::Places;
use crate::sim::{Script, Sim};

/// The models that the original served, as the example file declares them.
const EXAMPLE: &str = include_str!("../../agp.toml.example");

/// Arguments of `agp demo`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp demo --listen 127.0.0.1:8088")]
pub struct Args {
    /// Where to listen; another port is taken where the default one is in use
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// Serves until it is told to stop. Everything it writes is in a temporary folder that goes with it.
///
/// # Errors
/// A sentence for people.
pub async fn run(args: Args, tasks: &Tasks, out: &mut dyn Write) -> Result<(), String> {
    let script = Script::parse(r#"{"chunk_delay": "30ms"}"#)?;
    let (id, secret) = (
        script.client_id().to_owned(),
        script.client_secret().to_owned(),
    );
    // Tasks of its own: the gateway's shutdown waits for its own only, and the upstream must outlive its streams.
    let sim_tasks = Tasks::new();
    let sim = Sim::start(
        SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        script,
        &sim_tasks,
    )
    .await
    .map_err(|e| format!("the simulated upstream can't listen: {e}"))?;
    let folder = tempfile::Builder::new()
        .prefix("agp-demo")
        .tempdir()
        .map_err(|e| format!("a temporary folder can't be made: {e}"))?;
    let client_key = generate().map_err(|e| format!("a key can't be made: {e}"))?;
    let upstream = simulate::upstream_table("antigravity", &sim.url(), &id, &secret);
    let key = client_key.expose();
    // For this run only, as the key is.
    let password = generate().map_err(|e| format!("a password can't be made: {e}"))?;
    let password: String = password
        .expose()
        .chars()
        .skip("sk-".len())
        .take(16)
        .collect();
    let hash =
        hash_password::hash(&password).map_err(|e| format!("a password can't be made: {e}"))?;
    let root = folder.path().join("agp.toml");
    let places = Places {
        root: root.clone(),
        state_dir: folder.path().to_owned(),
    };
    let listen = args.listen.unwrap_or_else(free_address);
    let app = match start(&places, &config(listen, &hash, &upstream, key), tasks).await {
        // Somebody else may have taken the address between the look and the bind.
        Err(_) if args.listen.is_none() && TcpListener::bind(listen).is_err() => {
            let any = free_port().map_err(|e| format!("no port is free: {e}"))?;
            start(&places, &config(any, &hash, &upstream, key), tasks).await?
        }
        started => started?,
    };
    let addr = app.addr().unwrap_or(listen);
    // Nobody may be reading: the gateway works without.
    let _ = out.write_all(greeting(addr, &password, key, &root, &sim.url()).as_bytes());
    let _ = out.flush();
    let served = app.run().await;
    sim.stop().await;
    served
}

async fn start(places: &Places, text: &str, tasks: &Tasks) -> Result<App, String> {
    let root = &places.root;
    write_private(root, text).map_err(|e| format!("`{}` can't be written: {e}", root.display()))?;
    let log = log::start(&serve::quiet())?;
    let read = serve::read(places)?;
    drop(log);
    Box::pin(App::start(read, places.clone(), tasks.clone(), None)).await
}

/// The usual address, else one that is free.
fn free_address() -> SocketAddr {
    let usual = SocketAddr::from((Ipv4Addr::LOCALHOST, 8088));
    if TcpListener::bind(usual).is_ok() {
        usual
    } else {
        free_port().unwrap_or(usual)
    }
}

/// A port by its number: what a provider leads back to holds it.
fn free_port() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())
}

fn config(listen: SocketAddr, hash: &str, upstream: &str, key: &str) -> String {
    let models = EXAMPLE.find("\n[models.").map_or("", |at| &EXAMPLE[at..]);
    format!(
        "# made by `agp demo` for this run\n\
         version = 1\n\n\
         [server]\nlisten = \"{listen}\"\n\n\
         [admin]\npassword_hash = \"{hash}\"\n\n\
         [log]\nlevel = \"error\"\n\n\
         [routing]\ndefault_model = \"gemini-2.5-flash\"\nmax_concurrent_per_account = 4\nmax_concurrent_per_model = 0\n\n\
         {upstream}\n\
         [accounts.alice]\nupstream = \"antigravity\"\nrefresh_token = \"sim-refresh-alice\"\n\n\
         [accounts.bob]\nupstream = \"antigravity\"\nrefresh_token = \"sim-refresh-bob\"\n\n\
         [keys.demo]\nkey = \"{key}\"\nmodels = [\"*\"]\n\
         {models}"
    )
}

/// Where the panel is opened: by the name that providers lead back to, where that is this address.
fn panel(addr: SocketAddr) -> String {
    if addr.ip() == Ipv4Addr::LOCALHOST {
        format!("localhost:{}", addr.port())
    } else {
        addr.to_string()
    }
}

fn greeting(addr: SocketAddr, password: &str, key: &str, file: &Path, sim: &str) -> String {
    format!(
        r#"
agp demo: a gateway in front of a simulated upstream. Nothing leaves this machine.

  panel      http://{panel}/   password: {password}
  API        http://{addr}/v1
  key        {key}
  file       {file}   (edit it: changes apply at once)
  upstream   {sim}/control/requests   (what the upstream saw)

OpenAI, streamed:
  curl -N http://{addr}/v1/chat/completions -H "Authorization: Bearer {key}" -H "Content-Type: application/json" -d '{{"model":"gemini-2.5-flash","stream":true,"messages":[{{"role":"user","content":"Say good morning."}}]}}'

Anthropic, streamed:
  curl -N http://{addr}/v1/messages -H "x-api-key: {key}" -H "anthropic-version: 2023-06-01" -H "Content-Type: application/json" -d '{{"model":"claude-sonnet-4-5","max_tokens":256,"stream":true,"messages":[{{"role":"user","content":"Say good morning."}}]}}'

An SDK (npm install openai, then):
  node --input-type=module -e 'import OpenAI from "openai"; const c = new OpenAI({{baseURL:"http://{addr}/v1",apiKey:"{key}"}}); for await (const e of await c.chat.completions.create({{model:"gemini-2.5-flash",stream:true,messages:[{{role:"user",content:"Say good morning."}}]}})) process.stdout.write(e.choices[0]?.delta?.content ?? "")'

Ctrl-C ends it.
"#,
        panel = panel(addr),
        file = file.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self as agp_config, source::Files};

    #[test]
    fn the_file_it_writes_is_valid_and_has_the_thirteen_models() {
        let upstream =
            simulate::upstream_table("antigravity", "http://127.0.0.1:1", "id", "secret");
        let text = config(
            ([127, 0, 0, 1], 8088).into(),
            &hash_password::hash("a long password of a test").unwrap(),
            &upstream,
            "sk-demo-key-that-is-long-enough",
        );
        let files = Files::from_texts([("agp.toml".into(), text)]);
        let loaded = agp_config::load(&files, std::iter::empty());
        let config = loaded
            .config
            .unwrap_or_else(|| panic!("{:?}", loaded.diagnostics));
        assert_eq!(config.models.len(), 13);
    }
}
