//! L7: HTTP in and out. A route is path, method, thin extractors and a plain async function.

pub mod admin;
mod assets;
pub mod auth;
pub mod body;
pub mod front;
pub mod listener;
pub mod login;
pub mod metrics;
pub mod oauth;
pub mod probe;
pub mod reply;
mod session;
pub mod socket;
mod survey;
pub mod tls;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::HeaderMap;
use tokio::sync::mpsc;
use warp::filters::BoxedFilter;
use warp::path::FullPath;
use warp::reply::Response;
use warp::{Filter, Rejection};

use crate::base::error::{Error, ErrorKind};
use crate::base::id::RequestId;
use crate::dispatch::Dispatcher;
use crate::runtime::controller::Message;
use crate::runtime::keyring::Keyring;
use crate::server::admin::remote::{self, Asked, At};
use crate::server::listener::Door;
use crate::server::login::Login;
use crate::wire::front::Front;

/// What handlers need.
pub struct Gateway {
    /// Serves requests.
    pub dispatcher: Arc<Dispatcher>,
    /// Reads the configuration anew when it is asked to, and edits it.
    pub controller: mpsc::Sender<Message>,
    /// Seals what goes into the files.
    pub keyring: Arc<Keyring>,
    /// Whether store, snapshot and listener are up and no shutdown has begun.
    pub ready: AtomicBool,
    /// Where clients connect.
    pub public: Arc<Door>,
    /// Where metrics are asked for.
    pub metrics: Arc<Door>,
    /// Where the admin API is, if not where clients connect.
    pub admin: Arc<Door>,
    /// What admin operations share.
    pub shared: admin::Shared,
    /// Accounts that are being signed in at their provider.
    pub sign_ins: oauth::SignIns,
    /// Signing in at the panel.
    pub login: Login,
}

impl Gateway {
    /// One that listens nowhere yet.
    pub fn new(
        dispatcher: Arc<Dispatcher>,
        controller: mpsc::Sender<Message>,
        keyring: Arc<Keyring>,
        login: Login,
    ) -> Self {
        Self {
            dispatcher,
            controller,
            keyring,
            ready: AtomicBool::new(false),
            public: Arc::default(),
            metrics: Arc::default(),
            admin: Arc::default(),
            shared: admin::Shared::default(),
            sign_ins: oauth::SignIns::default(),
            login,
        }
    }
}

/// The one route of the listener of `server.metrics`: open to whoever connects, which is why it has an address of its own.
pub fn metrics_route(gateway: &Arc<Gateway>) -> BoxedFilter<(Response,)> {
    let page = warp::path!("metrics")
        .and(warp::get())
        .and(with(gateway))
        .then(metrics::scrape);
    let nothing = warp::any().map(reply::no_metrics);
    page.or(nothing).unify().boxed()
}

/// Every route of the listener of `admin.listen`.
pub fn admin_listener_routes(gateway: &Arc<Gateway>) -> BoxedFilter<(Response,)> {
    admin_routes(gateway, At::Admin)
        .or(probes(gateway))
        .unify()
        .or(panel(gateway, At::Admin))
        .unify()
        .or(warp::any().map(reply::no_admin))
        .unify()
        .boxed()
}

/// The gateway, where the admin API and the panel are at this listener.
fn served(gateway: &Arc<Gateway>, at: At) -> BoxedFilter<(Arc<Gateway>,)> {
    with(gateway)
        .and_then(move |gateway: Arc<Gateway>| {
            let config = &gateway.dispatcher.runtime.snapshot().config;
            let served = remote::served(&config.admin, at);
            std::future::ready(if served {
                Ok(gateway)
            } else {
                Err(warp::reject::not_found())
            })
        })
        .boxed()
}

/// The request, without its body.
fn asked(at: At) -> BoxedFilter<(Asked,)> {
    warp::method()
        .and(warp::path::full())
        .and(warp::query::raw().or(warp::any().map(String::new)).unify())
        .and(warp::header::headers_cloned())
        .and(warp::ext::optional())
        .map(
            move |method, path: FullPath, query: String, headers, peer| {
                let uri = format!("{}?{query}", path.as_str());
                Asked {
                    at,
                    method,
                    uri: uri.parse().unwrap_or_default(),
                    headers,
                    peer,
                }
            },
        )
        .boxed()
}

/// The admin operations and the metrics, as far as they are at this listener.
fn admin_routes(gateway: &Arc<Gateway>, at: At) -> BoxedFilter<(Response,)> {
    let (served, asked) = (served(gateway, at), asked(at));
    let operations = warp::path("admin")
        .and(warp::path("api"))
        .and(warp::path("v1"))
        .and(served.clone())
        .and(asked.clone())
        .and(warp::body::stream())
        .then(remote::operation);
    let metrics = warp::path!("metrics")
        .and(warp::get())
        .and(served)
        .and(asked)
        .then(remote::scrape);
    operations.or(metrics).unify().boxed()
}

/// Every route of the public listener.
pub fn routes(gateway: &Arc<Gateway>) -> BoxedFilter<(Response,)> {
    let v1 = warp::path("v1").and(
        chat(
            gateway,
            Front::OpenAiChat,
            warp::path!("chat" / "completions").boxed(),
        )
        .or(chat(
            gateway,
            Front::Anthropic,
            warp::path!("messages").boxed(),
        ))
        .unify()
        .or(count(gateway))
        .unify()
        .or(models(gateway))
        .unify()
        .boxed(),
    );
    let admin = admin_routes(gateway, At::Clients);
    // For clients that leave out `/v1` (original.md section 3).
    let bare = chat(gateway, Front::Anthropic, warp::path!("messages").boxed());
    v1.or(bare)
        .unify()
        .or(probes(gateway))
        .unify()
        .or(admin)
        .unify()
        .or(panel(gateway, At::Clients))
        .unify()
        .or(nothing())
        .unify()
        .recover(refused)
        .unify()
        .boxed()
}

fn with(
    gateway: &Arc<Gateway>,
) -> impl Filter<Extract = (Arc<Gateway>,), Error = Infallible> + Clone + use<> {
    let gateway = Arc::clone(gateway);
    warp::any().map(move || Arc::clone(&gateway))
}

fn chat(gateway: &Arc<Gateway>, front: Front, path: BoxedFilter<()>) -> BoxedFilter<(Response,)> {
    path.and(warp::post())
        .and(with(gateway))
        .and(warp::any().map(move || front))
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(front::chat)
        .boxed()
}

fn count(gateway: &Arc<Gateway>) -> BoxedFilter<(Response,)> {
    warp::path!("messages" / "count_tokens")
        .and(warp::post())
        .and(with(gateway))
        .and(warp::header::headers_cloned())
        .and(warp::body::stream())
        .then(front::count)
        .boxed()
}

fn models(gateway: &Arc<Gateway>) -> BoxedFilter<(Response,)> {
    let list = warp::path!("models")
        .and(warp::get())
        .and(with(gateway))
        .and(warp::header::headers_cloned());
    // A model's name may hold slashes: everything behind `models/` is the name.
    let one = warp::path("models")
        .and(warp::path::tail())
        .and(warp::get())
        .and(with(gateway))
        .and(warp::header::headers_cloned());
    list.then(front::models)
        .or(one.then(front::model))
        .unify()
        .boxed()
}

fn probes(gateway: &Arc<Gateway>) -> BoxedFilter<(Response,)> {
    let health = warp::path!("healthz")
        .and(warp::get())
        .and(with(gateway))
        .map(|g: Arc<Gateway>| probe::health(&g));
    let ready = warp::path!("readyz")
        .and(warp::get())
        .and(with(gateway))
        .map(|g: Arc<Gateway>| probe::ready(&g));
    health.or(ready).unify().boxed()
}

/// The panel for browsers, at any path that is no route, where it is at this listener.
fn panel(gateway: &Arc<Gateway>, at: At) -> BoxedFilter<(Response,)> {
    warp::get()
        .and(served(gateway, at))
        .and(asked(at))
        .and_then(|gateway: Arc<Gateway>, asked: Asked| {
            let wanted = assets::wanted(&asked).map(|wanted| (gateway, asked, wanted));
            std::future::ready(wanted.ok_or_else(warp::reject::not_found))
        })
        .untuple_one()
        .then(assets::answer)
        .boxed()
}

/// The paths of [`routes`] that take POST only.
const POSTED: [&str; 4] = [
    "/v1/chat/completions",
    "/v1/messages",
    "/messages",
    "/v1/messages/count_tokens",
];

/// What no route took: 405 where the path exists, else 404, in the dialect that the path speaks.
fn nothing() -> BoxedFilter<(Response,)> {
    warp::path::full()
        .map(|path: warp::path::FullPath| {
            let path = path.as_str().trim_end_matches('/');
            let front = if path.contains("/messages") {
                Front::Anthropic
            } else {
                Front::OpenAiChat
            };
            let known = POSTED.contains(&path) || path == "/v1/models";
            let error = if known {
                let takes = if POSTED.contains(&path) {
                    "POST"
                } else {
                    "GET"
                };
                Error::new(
                    ErrorKind::MethodNotAllowed,
                    format!("`{path}` takes {takes} only"),
                )
            } else {
                Error::new(
                    ErrorKind::NotFound,
                    "there is nothing at this path: the API is under `/v1`",
                )
            };
            reply::error(front, &error, RequestId::generate())
        })
        .boxed()
}

/// A request that a route began to take and could not read.
async fn refused(rejection: Rejection) -> Result<Response, Infallible> {
    std::future::ready(()).await;
    let error = Error::new(ErrorKind::BadRequest, "the request could not be read")
        .with_detail(format!("{rejection:?}"));
    Ok(reply::error(
        Front::OpenAiChat,
        &error,
        RequestId::generate(),
    ))
}

/// The dialect of a list of models: Anthropic's clients always name their API's version.
fn front_of(headers: &HeaderMap) -> Front {
    if headers.contains_key("anthropic-version") {
        Front::Anthropic
    } else {
        Front::OpenAiChat
    }
}
