//! The admin operations on a Unix socket in the state folder, for the command line. Whoever may open the socket (mode
//! 0600: the gateway's own user) may use them.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;

use crate::base::task::Tasks;
use crate::server::{Gateway, admin};

/// The socket's place in the state folder.
pub fn path(state: &Path) -> PathBuf {
    state.join("agp.sock")
}

/// Listens until the program drains. A socket left by a crash is replaced: the store's lock says that nobody else runs.
///
/// # Errors
/// Why it can't be listened on.
pub fn serve(gateway: Arc<Gateway>, state: &Path, tasks: &Tasks) -> std::io::Result<()> {
    let place = path(state);
    match std::fs::remove_file(&place) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&place)?;
    std::fs::set_permissions(&place, std::fs::Permissions::from_mode(0o600))?;
    let own = tasks.clone();
    tasks.spawn(async move {
        loop {
            let accepted = tokio::select! {
                () = own.force().cancelled() => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else { continue };
            let gateway = Arc::clone(&gateway);
            let force = own.force().clone();
            own.spawn(async move {
                let service = service_fn(move |request| answer(Arc::clone(&gateway), request));
                let connection =
                    http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    () = force.cancelled() => {}
                    _ = connection => {}
                }
            });
        }
        let _ = std::fs::remove_file(&place);
    });
    Ok(())
}

async fn answer(
    gateway: Arc<Gateway>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let done = tokio::task::spawn_blocking(move || admin::run(&gateway, &method, &uri)).await;
    let (status, body) = match done {
        Ok(Ok(value)) => (StatusCode::OK, value.to_string()),
        Ok(Err(refusal)) => (refusal.status, refusal.body()),
        Err(_) => {
            let refusal = admin::Refusal::failed();
            (refusal.status, refusal.body())
        }
    };
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    Ok(response)
}
