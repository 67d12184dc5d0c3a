//! The text form of metrics that Prometheus reads (exposition format 0.0.4).
//!
//! Names and labels are texts of this program's own (`&'static str`): what came from outside cannot become one.

use std::fmt::{Display, Write as _};

use super::metrics::Histogram;

/// What is told of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Labels of a series: names and values.
pub type Labels<'a> = &'a [(&'static str, &'static str)];

/// What a family of series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows; the name ends in `_total`.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A text under construction.
#[derive(Debug, Default)]
pub struct Exposition(String);

impl Exposition {
    /// With nothing in it.
    pub fn new() -> Self {
        Self(String::with_capacity(64 * 1024))
    }

    /// Begins a family: its series follow, and no other family's between them.
    pub fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Family<'_> {
        let _ = writeln!(self.0, "# HELP {name} {}", help.replace('\\', "\\\\").replace('\n', "\\n"));
        let _ = writeln!(self.0, "# TYPE {name} {}", kind.word());
        Family { text: &mut self.0, name }
    }

    /// A family that is one series without labels.
    pub fn one(&mut self, (name, kind): (&'static str, Kind), help: &'static str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    /// The text.
    pub fn finish(self) -> String {
        self.0
    }
}

/// A family to which series are added.
pub struct Family<'a> {
    text: &'a mut String,
    name: &'static str,
}

impl Family<'_> {
    /// A series.
    pub fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        self.line("", labels, None, value);
    }

    /// The series of one histogram.
    pub fn histogram(&mut self, labels: Labels<'_>, histogram: &Histogram) {
        let read = histogram.read();
        for (bound, count) in &read.at_most {
            self.line("_bucket", labels, Some(bound), count);
        }
        self.line("_bucket", labels, Some("+Inf"), read.count);
        self.line("_sum", labels, None, read.seconds);
        self.line("_count", labels, None, read.count);
    }

    fn line(&mut self, end: &str, labels: Labels<'_>, bound: Option<&'static str>, value: impl Display) {
        // Memory does not refuse.
        let _ = write!(self.text, "{}{end}", self.name);
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        for (at, (label, value)) in all.enumerate() {
            let open = if at == 0 { '{' } else { ',' };
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.text, "{open}{label}=\"{value}\"");
        }
        let close = if labels.is_empty() && bound.is_none() { "" } else { "}" };
        let _ = writeln!(self.text, "{close} {value}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn families_stand_together_and_values_are_escaped() {
        let mut out = Exposition::new();
        out.one(("up", Kind::Gauge), "Lives.\nStill.", 1);
        let mut family = out.family("said_total", Kind::Counter, "a \\ b");
        family.sample(&[("what", "a\"b\\c\nd"), ("who", "x")], 7);
        let histogram = Histogram::new();
        histogram.observe(Duration::from_millis(500));
        out.family("took_seconds", Kind::Histogram, "t").histogram(&[("r", "/")], &histogram);
        let text = out.finish();
        assert!(text.starts_with("# HELP up Lives.\\nStill.\n# TYPE up gauge\nup 1\n"), "{text}");
        assert!(text.contains("said_total{what=\"a\\\"b\\\\c\\nd\",who=\"x\"} 7\n"), "{text}");
        assert!(text.contains("took_seconds_bucket{r=\"/\",le=\"0.25\"} 0\n"), "{text}");
        assert!(text.contains("took_seconds_bucket{r=\"/\",le=\"+Inf\"} 1\ntook_seconds_sum{r=\"/\"} 0.5\n"));
        assert!(text.ends_with("took_seconds_count{r=\"/\"} 1\n"), "{text}");
    }
}
