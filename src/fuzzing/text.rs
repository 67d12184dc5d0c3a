//! Text that strangers wrote, on its way to people, models and logs.

use std::io::Write as _;

use serde_json::{Map, Value};

use super::is_deceptive;
use crate::config::LogFormat;
use crate::spotify::text::{clean, is_hidden};
use crate::telemetry::escape::{Escaping, LONGEST_LINE};
use crate::web::untrusted::{Untrusted, is_invisible};

/// Cleaned text hides nothing and is bounded, on a page it cannot become markup, and in a log it cannot become a line.
pub fn text(data: &[u8]) {
    let most = data.first().map_or(0, |byte| usize::from(*byte % 64));
    let text = String::from_utf8_lossy(data);
    let once = clean(&text, most);
    assert!(
        once.chars().count() <= most && !once.chars().any(|c| is_hidden(c) || is_deceptive(c)),
        "{once:?}"
    );
    assert_eq!(clean(&once, most), once);

    let shown = Untrusted::new(&text);
    assert!(shown.text().chars().count() <= Untrusted::MOST + 1 && !shown.text().chars().any(is_invisible));
    assert!(!shown.text().chars().any(is_deceptive), "{:?}", shown.text());
    let markup = shown.to_string();
    let inside = markup.strip_prefix("<bdi>").and_then(|rest| rest.strip_suffix("</bdi>")).unwrap();
    assert!(!inside.contains(['<', '>', '"', '\'']), "{inside}");

    hold_line(&text, LogFormat::Text);
    let fields = text.split('\0').enumerate().map(|(at, part)| (format!("field{at}"), Value::from(part)));
    let own = ["timestamp", "level", "target", "message", "event"]
        .map(|name| (name.to_owned(), Value::from(&*text)));
    let event: Map<String, Value> = fields.chain(own).collect();
    let line = hold_line(&Value::Object(event).to_string(), LogFormat::Json);
    assert!(serde_json::from_str::<Value>(&line).unwrap().is_object());
}

fn hold_line(event: &str, format: LogFormat) -> String {
    let mut escaping = Escaping { writer: Vec::new(), format };
    escaping.write_all(format!("{event}\n").as_bytes()).unwrap();
    let line = String::from_utf8(escaping.writer).unwrap();
    assert!(line.len() <= LONGEST_LINE, "{} bytes", line.len());
    let line = line.strip_suffix('\n').unwrap();
    assert!(!line.chars().any(is_deceptive), "{line:?}");
    line.to_owned()
}
