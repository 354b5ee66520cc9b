//! The admin operations and `/metrics` on a Unix socket in the state folder, for the command line and for scrapers. Whoever may open the socket (mode
//! 0600: the gateway's own user) may use them.

use std::convert::Infallible;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};

use crate::base::metrics::Page;
use crate::base::task::Tasks;
use crate::config::model::Role;
use crate::server::admin::{self, Caller, How, remote, session};
use crate::server::{Gateway, metrics};

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
            let caller = caller(&stream);
            let force = own.force().clone();
            own.spawn(async move {
                let service = service_fn(move |request| {
                    answer(Arc::clone(&gateway), caller.clone(), request)
                });
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

/// Whoever may open the socket may do everything. The user is the one that its process runs as (`SO_PEERCRED` of unix(7)).
fn caller(stream: &UnixStream) -> Caller {
    let user = stream.peer_cred().map(|user| user.uid().to_string());
    Caller {
        name: format!("cli:{}", user.unwrap_or_else(|_| "unknown".to_owned())),
        from: None,
        role: Role::Write,
        how: How::Socket,
    }
}

async fn answer(
    gateway: Arc<Gateway>,
    caller: Caller,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    if (&method, uri.path()) == (&http::Method::GET, "/metrics") {
        return Ok(scraped(gateway).await);
    }
    if session::route(&uri) == Some(session::Route::Session) && method == http::Method::GET {
        let (status, body) = told(session::described(&caller));
        return Ok(answered(status, body));
    }
    let body = Limited::new(request.into_body(), remote::MAX_BODY)
        .collect()
        .await;
    let done = match body.map(Collected::to_bytes) {
        Ok(body) => {
            tokio::task::spawn_blocking(move || admin::run(&gateway, caller, &method, &uri, body))
                .await
        }
        Err(error) => Ok(Err(admin::Refusal::mistake(format!(
            "the request's body can't be read: {error}"
        )))),
    };
    let done = done.unwrap_or_else(|_| Err(admin::Refusal::failed()));
    let (status, body) = told(done.map(|value| value.to_string()));
    Ok(answered(status, body))
}

fn told(done: Result<String, admin::Refusal>) -> (StatusCode, String) {
    match done {
        Ok(body) => (StatusCode::OK, body),
        Err(refusal) => (refusal.status, refusal.body()),
    }
}

fn answered(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body));
    *response.status_mut() = status;
    response
}

/// The page of metrics, for a scraper that may open the socket.
async fn scraped(gateway: Arc<Gateway>) -> Response<Full<Bytes>> {
    let made = tokio::task::spawn_blocking(move || metrics::page(&gateway)).await;
    let mut response = Response::new(Full::from(made.unwrap_or_default()));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(Page::CONTENT_TYPE));
    response
}
