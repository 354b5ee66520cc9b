//! L8: starts every part in order, stops in reverse. The one file that knows them all.

pub mod log;
mod opening;

pub use opening::mend;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::app::log::LogHandle;
use crate::base::task::Tasks;
use crate::base::time::Timestamp;
use crate::config::diagnostic::Severity;
use crate::config::model::Config;
use crate::dispatch::Dispatcher;
use crate::dispatch::replay::Replay;
use crate::runtime::controller::{self, Controller, Message, Places, Read, Surroundings};
use crate::runtime::registry::Registry;
use crate::runtime::{Runtime, jobs};
use crate::server::listener::{Bound, Listener};
use crate::server::login::Login;
use crate::server::{Gateway, admin_listener_routes, metrics_route, routes, socket, tls};
use crate::store::{Retention, Store};

/// How long the end waits for the disk.
const CLOSE: Duration = Duration::from_secs(10);

/// A running gateway.
pub struct App {
    gateway: Arc<Gateway>,
    listener: Arc<Listener>,
    metrics: Arc<Listener>,
    admin: Arc<Listener>,
    tasks: Tasks,
    messages: mpsc::Sender<Message>,
}

/// What a config decides beside the snapshot.
struct Outside {
    listener: Arc<Listener>,
    metrics: Arc<Listener>,
    admin: Arc<Listener>,
    log: Option<LogHandle>,
    store: Store,
}

impl Surroundings for Outside {
    fn prepare(&self, config: &Config) -> Result<Box<dyn FnOnce() + Send>, String> {
        let layer = match &self.log {
            Some(log) => Some((log.clone(), log::layer(&config.log)?)),
            None => None,
        };
        let bound: Option<Bound> = self.listener.bind(config.server.listen)?;
        let listener = Arc::clone(&self.listener);
        let tls = config.server.tls.as_ref().map(tls::load).transpose()?;
        let metrics = moved(&self.metrics, config.server.metrics)?;
        let admin = config.admin.listen.filter(|_| config.admin.enabled);
        let secured = [Arc::clone(&self.listener), Arc::clone(&self.admin)];
        let admin = moved(&self.admin, admin)?;
        let store = self.store.clone();
        let retention = retention(config);
        let accounts = config.accounts.keys().cloned().collect();
        Ok(Box::new(move || {
            store.set_retention(retention);
            store.set_present(accounts, Timestamp::now());
            if let Some((log, layer)) = layer {
                log.put(layer);
            }
            for listener in secured {
                listener.secure(tls.clone());
            }
            if let Some(bound) = bound {
                listener.serve(bound);
            }
            metrics();
            admin();
        }))
    }
}

/// What moves a listener that may be nowhere to where it is wanted.
fn moved(
    listener: &Arc<Listener>,
    wanted: Option<SocketAddr>,
) -> Result<impl FnOnce() + Send + use<>, String> {
    let bound = wanted.map(|at| listener.bind(at)).transpose()?.flatten();
    let listener = Arc::clone(listener);
    Ok(move || match (wanted, bound) {
        (_, Some(bound)) => listener.serve(bound),
        (None, None) => listener.leave(),
        (Some(_), None) => {}
    })
}

impl App {
    /// Starts the gateway with the files as read. `log` follows the file's `[log]`.
    ///
    /// # Errors
    /// A sentence for people: the state can't be opened, a secret can't be read, the address can't be listened on.
    pub async fn start(
        read: Read,
        places: Places,
        tasks: Tasks,
        log: Option<LogHandle>,
    ) -> Result<Self, String> {
        let state = places.state_dir.join(&read.config.state.path);
        let keyring = opening::keyring(&read, &places)?;
        let store = opening::open(
            &state,
            Arc::clone(&keyring),
            retention(&read.config),
            read.config.server.drain_timeout,
        )
        .await?;
        let read = opening::whole(read, &places, &store).await?;
        keyring.set_recipients(&read.config.secrets.recipients);
        tell(&read.remarks);
        let mut learned = store.load().map_err(|e| e.to_string())?;
        let registry = Registry::new(store.clone(), tasks.clone(), &mut learned);
        let beginning = controller::begin(&store, &read, &places);
        let (first, begun) = beginning.wired(&store, &read, &registry, &keyring).await?;
        registry.limits.retain(
            |owner| first.names(owner),
            read.config.state.orphan_retention,
        );
        let (ask, asked) = mpsc::channel(256);
        let runtime = Arc::new(Runtime::new(
            first,
            registry,
            store.clone(),
            tasks.clone(),
            ask,
        ));
        runtime.reload.lock().applied = Some(Arc::new(begun));
        let login = Login::new(store.clone(), &mut learned);
        let replay = Replay::new(store.clone(), learned.signatures);
        let dispatcher = Arc::new(Dispatcher::new(Arc::clone(&runtime), replay));
        let (messages, inbox) = mpsc::channel(16);
        let gateway = Gateway::new(dispatcher, messages.clone(), Arc::clone(&keyring), login);
        let gateway = Arc::new(gateway);
        let [listener, metrics, admin] = listeners(&gateway, &tasks);
        let outside = Outside {
            listener: Arc::clone(&listener),
            metrics: Arc::clone(&metrics),
            admin: Arc::clone(&admin),
            log,
            store: store.clone(),
        };
        outside.prepare(&read.config)?();
        open_socket(&gateway, &state, &tasks)?;
        let controller = Controller::new(
            Arc::clone(&runtime),
            keyring,
            places,
            Arc::new(outside),
            read,
        );
        tasks.spawn(controller.run(inbox));
        tasks.spawn(jobs::run(runtime, asked, messages.clone()));
        gateway.ready.store(true, Ordering::Release);
        Ok(Self {
            gateway,
            listener,
            metrics,
            admin,
            tasks,
            messages,
        })
    }

    /// Where clients connect now.
    pub fn addr(&self) -> Option<SocketAddr> {
        self.listener.door().addr()
    }

    /// Where metrics are asked for now; `None` where only the admin socket tells them.
    pub fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics.door().addr()
    }

    /// Where the admin API is now, if not where clients connect.
    pub fn admin_addr(&self) -> Option<SocketAddr> {
        self.admin.door().addr()
    }

    /// What handlers use; for tests.
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Serves until SIGTERM or SIGINT, then drains; a second signal skips to the end. SIGHUP reads the files again.
    ///
    /// # Errors
    /// Signals can't be waited for.
    pub async fn run(self) -> Result<(), String> {
        let listen = |kind| signal(kind).map_err(|e| format!("signals can't be waited for: {e}"));
        let mut term = listen(SignalKind::terminate())?;
        let mut interrupt = listen(SignalKind::interrupt())?;
        let mut hangup = listen(SignalKind::hangup())?;
        loop {
            tokio::select! {
                _ = hangup.recv() => {
                    let _ = self.messages.send(Message::Files).await;
                }
                () = stop_signal(&mut term, &mut interrupt) => break,
            }
        }
        self.stop(stop_signal(&mut term, &mut interrupt)).await;
        Ok(())
    }

    /// Drains: not ready, after `drain_delay` no new connections, `drain_timeout` for what runs, then the end. `hurry`
    /// skips to the end.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        let config = Arc::clone(&self.gateway.dispatcher.runtime.snapshot().config);
        tracing::info!(timeout = ?config.server.drain_timeout, "stopping");
        self.gateway.ready.store(false, Ordering::Release);
        let store = self.gateway.dispatcher.runtime.store.clone();
        let calm = async {
            tokio::time::sleep(config.server.drain_delay).await;
            self.listener.close();
            self.tasks.drain().cancel();
            // The admin socket stays until the end, so what counts is the requests.
            let idle = async {
                while self.listener.door().connections() > 0 {
                    self.listener.connection_ended().await;
                }
            };
            tokio::time::timeout(config.server.drain_timeout, idle)
                .await
                .is_ok()
        };
        let finished = tokio::select! {
            finished = calm => finished,
            () = hurry => false,
        };
        if !finished {
            tracing::warn!("requests were still running: they are cut with an error event");
        }
        self.listener.close();
        self.metrics.close();
        self.admin.close();
        self.tasks.drain().cancel();
        self.tasks.force().cancel();
        if tokio::time::timeout(Duration::from_secs(3), self.tasks.wait())
            .await
            .is_err()
        {
            tracing::warn!(tasks = self.tasks.len(), "some tasks did not end in time");
        }
        // What nobody uses any more is not booked at the next start.
        self.gateway.dispatcher.runtime.registry.limits.close();
        if tokio::time::timeout(CLOSE, store.close()).await.is_err() {
            tracing::warn!("the store could not write everything in time");
        }
        tracing::info!("stopped");
    }
}

/// Warnings and notes about the files go to the log.
fn tell(remarks: &[(Severity, String)]) {
    for (severity, line) in remarks {
        if severity == &Severity::Warning {
            tracing::warn!("{line}");
        } else {
            tracing::info!("{line}");
        }
    }
}

/// The door of the command line.
fn open_socket(gateway: &Arc<Gateway>, state: &Path, tasks: &Tasks) -> Result<(), String> {
    socket::serve(Arc::clone(gateway), state, tasks).map_err(|e| {
        let place = socket::path(state);
        format!("the socket `{}` can't be listened on: {e}", place.display())
    })
}

/// The three listeners, none of them bound: for clients, of the metrics, of the admin API.
fn listeners(gateway: &Arc<Gateway>, tasks: &Tasks) -> [Arc<Listener>; 3] {
    let public = Listener::new(
        "server.listen",
        routes(gateway),
        Arc::clone(&gateway.public),
        tasks.clone(),
    );
    let metrics = Listener::new(
        "server.metrics.listen",
        metrics_route(gateway),
        Arc::clone(&gateway.metrics),
        tasks.clone(),
    );
    let admin = Listener::new(
        "admin.listen",
        admin_listener_routes(gateway),
        Arc::clone(&gateway.admin),
        tasks.clone(),
    );
    [public, metrics, admin]
}

async fn stop_signal(term: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = interrupt.recv() => {}
    }
}

/// How long and how much the store keeps.
fn retention(config: &Config) -> Retention {
    let state = &config.state;
    Retention {
        log_age: state.log_retention,
        log_rows: state.log_max_rows,
        log_bytes: state.log_max_size,
        body_age: state.log_bodies_retention,
        orphan_age: state.orphan_retention,
        history: state.history,
    }
}
