//! HTTPS at the clients' and the admin API's listener: `server.tls`.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use zeroize::Zeroizing;

use crate::config::model::Tls;
use crate::config::source::read_bounded;

/// Largest file in bytes: a chain of a few certificates has 10 KiB.
const MAX: u64 = 1 << 20;

/// Reads certificate chain and key. Blocks on the disk.
///
/// # Errors
/// A sentence for people that names the file: it can't be read, holds no PEM of that kind, or the two don't belong together.
/// Nothing of the key is in it.
pub fn load(tls: &Tls) -> Result<Arc<ServerConfig>, String> {
    let chain = read("cert", &tls.cert)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&chain).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty()).ok_or_else(|| {
        format!(
            "`server.tls.cert`: expected a PEM certificate chain in `{}`, the server's own first; found none",
            tls.cert.display()
        )
    })?;
    let key = read("key", &tls.key)?;
    let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| {
        format!(
            "`server.tls.key`: expected a PEM private key without a passphrase in `{}`, found none",
            tls.key.display()
        )
    })?;
    let unfit = |error: rustls::Error| {
        format!(
            "`server.tls`: `{}` and `{}` can't be used together: {error}",
            tls.cert.display(),
            tls.key.display()
        )
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unfit)?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(unfit)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn read(key: &str, path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let shown = path.display();
    match read_bounded(path, MAX) {
        Ok(Some(bytes)) => Ok(Zeroizing::new(bytes)),
        Ok(None) => Err(format!(
            "`server.tls.{key}`: `{shown}` is larger than {} KiB",
            MAX >> 10
        )),
        Err(error) => Err(format!("`server.tls.{key}`: can't read `{shown}`: {error}")),
    }
}
