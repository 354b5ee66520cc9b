//! The log: one subscriber whose level and form follow the file.

use tracing::Subscriber;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::format;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use crate::config::model::{Log, LogFormat};

type Lines = Box<dyn Layer<Registry> + Send + Sync>;
type Written = tracing_subscriber::layer::Layered<reload::Layer<Lines, Registry>, Registry>;

/// Puts another form or level in force.
#[derive(Clone)]
pub struct LogHandle {
    lines: reload::Handle<Lines, Registry>,
    filter: reload::Handle<EnvFilter, Written>,
}

impl LogHandle {
    /// From now on log by this layer.
    pub fn put(&self, layer: LogLayer) {
        let _ = self.lines.reload(layer.lines);
        let _ = self.filter.reload(layer.filter);
    }
}

/// A form and level that are known to be good. They are two layers: one that carries its own filter gets its id when the
/// subscriber is built, and a replacement would never have one.
pub struct LogLayer {
    lines: Lines,
    filter: EnvFilter,
}

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
    let lines = match log.format {
        LogFormat::Text if ansi => lines.boxed(),
        LogFormat::Text => {
            // The same text as with colours, for half the work: a line is written for each request.
            let fields = format::debug_fn(|out, field, value| match field.name() {
                "message" => write!(out, "{value:?}"),
                name => write!(out, "{name}={value:?}"),
            });
            lines
                .with_ansi(false)
                .fmt_fields(fields.delimited(" "))
                .boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Ok(LogLayer { lines, filter })
}

/// Begins to log.
///
/// # Errors
/// As [`layer`].
pub fn start(log: &Log) -> Result<LogHandle, String> {
    let (subscriber, handle) = subscriber(layer(log)?);
    // A second start (tests) keeps the first subscriber.
    let _ = subscriber.try_init();
    Ok(handle)
}

fn subscriber(layer: LogLayer) -> (impl Subscriber + Send + Sync, LogHandle) {
    let (lines, lines_handle) = reload::Layer::new(layer.lines);
    let (filter, filter_handle) = reload::Layer::new(layer.filter);
    let handle = LogHandle {
        lines: lines_handle,
        filter: filter_handle,
    };
    let subscriber = tracing_subscriber::registry().with(lines).with(filter);
    (subscriber, handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(level: &str, format: LogFormat) -> LogLayer {
        let level = level.to_owned();
        layer(&Log { level, format }).unwrap()
    }

    #[test]
    fn form_and_level_change_while_it_logs() {
        let (subscriber, handle) = subscriber(log("warn", LogFormat::Text));
        tracing::subscriber::with_default(subscriber, || {
            assert!(!tracing::enabled!(tracing::Level::INFO));
            tracing::warn!("told as text");
            handle.put(log("debug", LogFormat::Json));
            assert!(tracing::enabled!(tracing::Level::DEBUG));
            assert!(!tracing::enabled!(tracing::Level::TRACE));
            tracing::debug!("told as JSON");
            handle.put(log("error", LogFormat::Text));
            assert!(!tracing::enabled!(tracing::Level::WARN));
            tracing::error!("told as text again");
        });
    }
}
