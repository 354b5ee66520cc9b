//! `agp healthcheck`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::TcpStream;

use crate::cli::{Failed, UNREACHABLE, ask, running, serve};

/// Arguments of `agp healthcheck`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "Example:\n  agp healthcheck --listen 127.0.0.1:8088")]
pub struct Args {
    /// The gateway's address; without it `server.listen` of the configuration file
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
    /// HTTPS is spoken at `--listen`
    #[arg(long, requires = "listen")]
    pub tls: bool,
    /// Where the configuration is
    #[command(flatten)]
    pub serve: serve::Args,
}

/// Asks `/healthz`.
///
/// # Errors
/// Code 4 where the gateway does not answer, 1 where there is no file to tell its address.
pub async fn run(args: &Args) -> Result<(), Failed> {
    let (listen, tls) = if let Some(listen) = args.listen {
        (listen, args.tls)
    } else {
        let running = running::find(&args.serve.places()?);
        (running.listen, running.tls)
    };
    let addr = reachable(listen);
    let unreachable = |why: String| Failed {
        message: format!("{addr} does not answer: {why}"),
        code: UNREACHABLE,
    };
    let status = if tls {
        ask::status_over_tls(addr, "/healthz").await
    } else {
        let stream = TcpStream::connect(addr)
            .await
            .map_err(|e| unreachable(e.to_string()))?;
        ask::get(stream, "/healthz").await.map(|(status, _)| status)
    };
    match status.map_err(unreachable)? {
        200 => Ok(()),
        status => Err(unreachable(format!("status {status}"))),
    }
}

/// An address to connect to: listening on all of them, a gateway answers on loopback too.
fn reachable(mut listen: SocketAddr) -> SocketAddr {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    listen
}
