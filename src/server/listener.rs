//! The accept loop around warp's service: header timeout, graceful end, rebinding.
//!
//! Not `warp::serve`: that sets no header timeout, panics where it can't bind and can't move to another address.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::base::task::Tasks;
use crate::server::admin::remote::Peer;

/// A client that dribbles its headers is cut.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// Accepts at an address and serves these routes there.
pub struct Listener {
    /// The key of the file that says where.
    setting: &'static str,
    routes: BoxedFilter<(Response,)>,
    tasks: Tasks,
    door: Arc<Door>,
    /// With what HTTPS is spoken on connections from now on; empty: plain HTTP.
    tls: ArcSwapOption<ServerConfig>,
}

/// Where a listener is, and how many are in: for those who tell of it.
#[derive(Default)]
pub struct Door {
    present: Mutex<Option<Present>>,
    count: AtomicUsize,
    ended: Notify,
}

impl Door {
    /// The address in use; `None` where there is none.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.present.lock().as_ref().map(|p| p.addr)
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.count.load(Ordering::Acquire)
    }
}

impl Drop for OpenGuard {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

struct OpenGuard(Arc<Door>);

struct Present {
    addr: SocketAddr,
    /// What the file asks for; differs from `addr` where that says port 0.
    asked: SocketAddr,
    close: CancellationToken,
}

/// A bound socket that does not accept yet.
pub struct Bound {
    socket: TcpListener,
    asked: SocketAddr,
}

impl Listener {
    /// A listener that is not bound yet. `setting` is the key of the file that says where it is to be.
    pub fn new(
        setting: &'static str,
        routes: BoxedFilter<(Response,)>,
        door: Arc<Door>,
        tasks: Tasks,
    ) -> Arc<Self> {
        Arc::new(Self {
            setting,
            routes,
            tasks,
            door,
            tls: ArcSwapOption::empty(),
        })
    }

    /// Binds an address. `None` where that is the one in use already.
    ///
    /// # Errors
    /// Why it can't be had, with the address.
    pub fn bind(&self, addr: SocketAddr) -> Result<Option<Bound>, String> {
        if self
            .door
            .present
            .lock()
            .as_ref()
            .is_some_and(|p| p.asked == addr)
        {
            return Ok(None);
        }
        let bound = std::net::TcpListener::bind(addr).and_then(|socket| {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket)
        });
        bound
            .map(|socket| {
                Some(Bound {
                    socket,
                    asked: addr,
                })
            })
            .map_err(|error| format!("`{}`: {addr} can't be listened on: {error}", self.setting))
    }

    /// Speaks HTTPS with this on every new connection, or plain HTTP. Those that are open stay as they are.
    pub fn secure(&self, tls: Option<Arc<ServerConfig>>) {
        self.tls.store(tls);
    }

    /// Accepts on `bound` from now on. Connections of the address before finish what they are at, then close.
    pub fn serve(self: &Arc<Self>, bound: Bound) {
        let close = CancellationToken::new();
        let addr = bound.socket.local_addr().unwrap_or(bound.asked);
        let present = Present {
            addr,
            asked: bound.asked,
            close: close.clone(),
        };
        let before = self.door.present.lock().replace(present);
        if let Some(before) = before {
            before.close.cancel();
        }
        tracing::info!(%addr, setting = self.setting, "listening");
        self.tasks
            .spawn(Arc::clone(self).accept(bound.socket, close));
    }

    /// Where it is.
    pub fn door(&self) -> &Door {
        &self.door
    }

    /// Waits until a connection ends, or for a moment.
    pub async fn connection_ended(&self) {
        // The moment covers one that ended between the count and the wait.
        let _ = tokio::time::timeout(Duration::from_millis(50), self.door.ended.notified()).await;
    }

    /// Takes no new connections; those that are idle close.
    pub fn close(&self) {
        if let Some(present) = &*self.door.present.lock() {
            present.close.cancel();
        }
    }

    /// Leaves its address for good, or until it is bound again.
    pub fn leave(&self) {
        if let Some(present) = self.door.present.lock().take() {
            present.close.cancel();
            tracing::info!(addr = %present.addr, setting = self.setting, "no longer listening");
        }
    }

    async fn accept(self: Arc<Self>, socket: TcpListener, close: CancellationToken) {
        loop {
            let accepted = tokio::select! {
                () = close.cancelled() => return,
                accepted = socket.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    // Small chunks of a stream must not wait for more.
                    let _ = stream.set_nodelay(true);
                    self.door.count.fetch_add(1, Ordering::AcqRel);
                    let guard = OpenGuard(Arc::clone(&self.door));
                    let tls = self.tls.load_full();
                    let (routes, close) = (self.routes.clone(), close.clone());
                    let tasks = self.tasks.clone();
                    self.tasks.spawn(async move {
                        match tls {
                            None => {
                                let peer = Peer {
                                    addr: peer,
                                    tls: false,
                                };
                                connection(stream, peer, routes, close, tasks).await;
                            }
                            Some(tls) => {
                                Box::pin(encrypted(stream, tls, peer, routes, close, tasks)).await;
                            }
                        }
                        drop(guard);
                    });
                }
                Err(error) => {
                    // Out of file descriptors, or a client that was gone before it was taken: a pause, then on.
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// A connection after its handshake, which must be over as soon as a client's headers must.
async fn encrypted(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    peer: SocketAddr,
    routes: BoxedFilter<(Response,)>,
    close: CancellationToken,
    tasks: Tasks,
) {
    let handshake = tokio::time::timeout(HEADER_TIMEOUT, TlsAcceptor::from(tls).accept(stream));
    let shaken = tokio::select! {
        () = close.cancelled() => return,
        shaken = handshake => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => {
            let peer = Peer {
                addr: peer,
                tls: true,
            };
            connection(stream, peer, routes, close, tasks).await;
        }
        Ok(Err(error)) => tracing::debug!(%error, %peer, "no TLS handshake"),
        Err(_) => tracing::debug!(%peer, "no TLS handshake in time"),
    }
}

async fn connection(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: Peer,
    routes: BoxedFilter<(Response,)>,
    close: CancellationToken,
    tasks: Tasks,
) {
    let routes = TowerToHyperService::new(warp::service(routes));
    let service = service_fn(move |mut request: Request<Incoming>| {
        // Only the admin API tells who asks; the others' requests are spared the map.
        if request.uri().path().starts_with("/admin/") {
            request.extensions_mut().insert(peer);
        }
        routes.call(request)
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .max_buf_size(1 << 20);
    let mut connection = pin!(http.serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = close.cancelled() => {
            connection.as_mut().graceful_shutdown();
            // After the force token streams end by themselves within moments; what still hangs is cut.
            let forced = async {
                tasks.force().cancelled().await;
                tokio::time::sleep(Duration::from_secs(1)).await;
            };
            tokio::select! {
                ended = connection.as_mut() => ended,
                () = forced => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection ended");
    }
}
