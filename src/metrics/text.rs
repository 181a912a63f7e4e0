//! The text form that Prometheus reads, version 0.0.4.

use std::fmt::Write as _;

use super::Snapshot;

/// What a figure does as time goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It only grows.
    Counter,
    Gauge,
}

/// The text, figure by figure.
#[derive(Debug, Default)]
pub(crate) struct Text(String);

impl Text {
    /// Begins a figure; its values follow.
    pub(crate) fn figure(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.head(name, kind, help);
    }

    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// A value of the figure; labels are told apart by what they say.
    pub(crate) fn value(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        if !labels.is_empty() {
            self.0.push('{');
            for (index, (label, said)) in labels.iter().enumerate() {
                if index > 0 {
                    self.0.push(',');
                }
                let _ = write!(self.0, "{label}=\"{}\"", escape(said));
            }
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    /// A figure with one value.
    pub(crate) fn one(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.figure(name, kind, help);
        self.value(name, &[], value);
    }

    /// A figure of times.
    pub(crate) fn times(&mut self, name: &str, help: &str, held: &Snapshot) {
        self.head(name, "histogram", help);
        let bucket = format!("{name}_bucket");
        for (bound, count) in &held.up_to {
            self.value(&bucket, &[("le", &bound.to_string())], exact(*count));
        }
        self.value(&bucket, &[("le", "+Inf")], exact(held.count));
        self.value(&format!("{name}_sum"), &[], held.sum);
        self.value(&format!("{name}_count"), &[], exact(held.count));
    }

    pub(crate) fn finish(self) -> String {
        self.0
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
fn exact(count: u64) -> f64 {
    count as f64
}

/// A label's value may hold anything but these as they are.
fn escape(said: &str) -> String {
    said.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::metrics::Histogram;

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let mut text = Text::default();
        text.figure("builds_total", Kind::Counter, "Builds that have ended.");
        text.value(
            "builds_total",
            &[("builder", "a\"b\\c\nd"), ("result", "success")],
            3.0,
        );
        text.one("up", Kind::Gauge, "Whether\nit is.", 0.5);
        let histogram = Histogram::default();
        histogram.note(Duration::from_hours(2));
        text.times("took_seconds", "How long.", &histogram.snapshot());
        let text = text.finish();
        let head = text.lines().take(6).collect::<Vec<_>>().join("\n");
        insta::assert_snapshot!(head, @r#"
        # HELP builds_total Builds that have ended.
        # TYPE builds_total counter
        builds_total{builder="a\"b\\c\nd",result="success"} 3
        # HELP up Whether\nit is.
        # TYPE up gauge
        up 0.5
        "#);
        assert!(
            text.contains("took_seconds_bucket{le=\"0.001\"} 0\n"),
            "{text}"
        );
        assert!(text.ends_with(
            "took_seconds_bucket{le=\"3600\"} 0\ntook_seconds_bucket{le=\"+Inf\"} 1\n\
             took_seconds_sum 7200\ntook_seconds_count 1\n"
        ));
    }
}
