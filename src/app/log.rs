//! The log: one subscriber whose level and form follow the file.

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::model::{Log, LogFormat};

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

/// Puts another form or level in force.
#[derive(Clone)]
pub struct LogHandle(reload::Handle<Boxed, Registry>);

impl LogHandle {
    /// From now on log by this layer.
    pub fn put(&self, layer: LogLayer) {
        let _ = self.0.reload(layer.0);
    }
}

/// A form and level that are known to be good.
pub struct LogLayer(Boxed);

/// The layer that `[log]` asks for. Lines go to standard error.
///
/// # Errors
/// A level that is not of `RUST_LOG`'s syntax.
pub fn layer(log: &Log) -> Result<LogLayer, String> {
    let filter = EnvFilter::try_new(&log.level).map_err(|e| {
        format!("`log.level`: expected RUST_LOG's syntax, such as \"info\" or \"agp=debug\": {e}")
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_target(false);
    let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
    Ok(LogLayer(match log.format {
        LogFormat::Text => lines.with_ansi(ansi).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
    }))
}

/// Begins to log.
///
/// # Errors
/// As [`layer`].
pub fn start(log: &Log) -> Result<LogHandle, String> {
    let (reloadable, handle) = reload::Layer::new(layer(log)?.0);
    // A second start (tests) keeps the first subscriber.
    let _ = tracing_subscriber::registry().with(reloadable).try_init();
    Ok(LogHandle(handle))
}
