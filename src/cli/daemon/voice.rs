//! What a daemon says of itself: lines for people or objects for programs, from a level on, into a
//! file that rotates or to whoever started it. The configuration may change its mind while it runs.

use std::env;
use std::fmt;
use std::io;
use std::io::IsTerminal as _;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::OnceLock;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use serde_json::Map;
use serde_json::Value;
use tracing::Event;
use tracing::Subscriber;
use tracing::field::Field;
use tracing::field::Visit;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Registry;
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::FormatEvent;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::FormattedFields;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Format;
use tracing_subscriber::fmt::format::Full;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::cli::exit::Done;
use crate::cli::exit::Failure;
use crate::clock;
use crate::config::LogFormat;
use crate::config::LogLevel;
use crate::config::LogPlan;
use crate::logs::rotating::LogFile;
use crate::logs::rotating::Rotation;

/// What can be changed while the process runs.
struct Voice {
    level: reload::Handle<LevelFilter, Registry>,
    is_json: Arc<AtomicBool>,
    file: Option<LogWriter>,
}

/// A process has one.
static VOICE: OnceLock<Voice> = OnceLock::new();

/// Logs to a file; with `carries_stdio`, what a panic prints is in it too.
pub(super) fn into_file(path: &Path, carries_stdio: bool) -> Done {
    let log = LogFile::open(path, carries_stdio).map_err(|error| {
        Failure::because(format!("failed to open `{}`", path.display()), &error)
    })?;
    let log = LogWriter(Arc::new(Mutex::new(log)));
    begin(log.clone(), false, Some(log))
}

/// Logs to whoever started this process.
pub(in crate::cli) fn log_to_stderr() -> Done {
    let ansi = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    begin(io::stderr, ansi, None)
}

fn begin<W>(writer: W, ansi: bool, file: Option<LogWriter>) -> Done
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let is_json = Arc::new(AtomicBool::new(false));
    let (filter, level) = reload::Layer::new(said_level().unwrap_or(LevelFilter::INFO));
    let form = Form {
        text: Format::default().with_timer(LocalTime),
        is_json: Arc::clone(&is_json),
    };
    let lines = tracing_subscriber::fmt::layer()
        .event_format(form)
        .with_ansi(ansi)
        .with_writer(writer)
        .log_internal_errors(false);
    let begun = tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .try_init();
    begun.map_err(|error| Failure::new(format!("failed to open the log: {error}")))?;
    // The first is the only one: `try_init` has said so.
    drop(VOICE.set(Voice {
        level,
        is_json,
        file,
    }));
    Ok(())
}

/// From now on the log is as the configuration says; `$AUTOBOT_LOG` goes over it.
pub(in crate::cli) fn heed(plan: &LogPlan) {
    let Some(voice) = VOICE.get() else { return };
    let level = match plan.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    drop(voice.level.reload(said_level().unwrap_or(level)));
    let is_json = plan.format == LogFormat::Json;
    voice.is_json.store(is_json, Ordering::Relaxed);
    if let Some(file) = &voice.file {
        file.lock().set_rotation(Rotation {
            largest: plan.rotate_length,
            kept: plan.max_rotated_files,
        });
    }
}

/// `$AUTOBOT_LOG`: `error`, `warn`, `info`, `debug` or `trace`.
fn said_level() -> Option<LevelFilter> {
    env::var("AUTOBOT_LOG").ok()?.parse().ok()
}

/// A log that several threads write to, a line at a time.
#[derive(Clone)]
struct LogWriter(Arc<Mutex<LogFile>>);

impl LogWriter {
    fn lock(&self) -> std::sync::MutexGuard<'_, LogFile> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.lock().write(line)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().flush()
    }
}

impl MakeWriter<'_> for LogWriter {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// A line, or an object in a line.
struct Form {
    text: Format<Full, LocalTime>,
    is_json: Arc<AtomicBool>,
}

impl<S, N> FormatEvent<S, N> for Form
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if !self.is_json.load(Ordering::Relaxed) {
            return self.text.format_event(context, writer, event);
        }
        let meta = event.metadata();
        let mut object = Map::new();
        object.insert("time".into(), clock::iso(clock::now()).into());
        object.insert("level".into(), meta.level().as_str().into());
        object.insert("target".into(), meta.target().into());
        let mut fields = Fields(Map::new());
        event.record(&mut fields);
        // The words first, and no field in the place of what every line has.
        for (name, value) in fields.0 {
            let name = match object.contains_key(&name) {
                true => format!("field_{name}"),
                false => name,
            };
            object.insert(name, value);
        }
        let scope = context.event_scope().into_iter();
        let spans = scope.flat_map(|it| it.from_root()).map(|span| {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<N>>();
            match fields
                .map(|it| it.fields.as_str())
                .filter(|it| !it.is_empty())
            {
                Some(fields) => format!("{}{{{fields}}}", span.name()),
                None => span.name().to_owned(),
            }
        });
        let spans: Vec<Value> = spans.map(Value::from).collect();
        if !spans.is_empty() {
            object.insert("spans".into(), spans.into());
        }
        writeln!(writer, "{}", Value::Object(object))
    }
}

/// The fields of a line, each of its type.
struct Fields(Map<String, Value>);

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }
}

/// Times in the log, as everywhere else.
struct LocalTime;

impl FormatTime for LocalTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        writer.write_str(&clock::iso(clock::now()))
    }
}

#[cfg(test)]
mod tests {
    use tracing::info;
    use tracing::info_span;

    use super::*;

    #[test]
    fn a_line_for_programs_is_an_object_with_typed_fields() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("autobot.log");
        let log = LogFile::with_rotation(&path, Rotation::default()).unwrap();
        let is_json = Arc::new(AtomicBool::new(true));
        let form = Form {
            text: Format::default().with_timer(LocalTime),
            is_json: Arc::clone(&is_json),
        };
        let lines = tracing_subscriber::fmt::layer()
            .event_format(form)
            .with_ansi(false)
            .with_writer(LogWriter(Arc::new(Mutex::new(log))));
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            let span = info_span!("build", number = 7);
            let _in = span.enter();
            info!(slave = %"linux-1", level = 3, "a \"line\"\nbreak");
            is_json.store(false, Ordering::Relaxed);
            info!("for people");
        });
        let text = std::fs::read_to_string(&path).unwrap();
        let (first, second) = text.split_once('\n').unwrap();
        let mut object: Value = serde_json::from_str(first).unwrap();
        assert!(object["time"].is_string());
        object["time"] = "TIME".into();
        object["target"] = "TARGET".into();
        insta::assert_snapshot!(object.to_string(),
            @r#"{"time":"TIME","level":"INFO","target":"TARGET","message":"a \"line\"\nbreak","slave":"linux-1","field_level":3,"spans":["build{number=7}"]}"#);
        assert!(
            second.contains(" INFO ") && second.ends_with("for people\n"),
            "{second}"
        );
    }
}
