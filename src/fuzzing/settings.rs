//! What the operator writes: configuration files, values, ranges, hosts that may be reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use serde_json::Value;
use url::{Host, Url};

use super::json::is_once;
use crate::config::table::TABLE;
use crate::config::{Network, dotenv, file, master_key, value};
use crate::egress::{AddressClass, GatePolicy, classify};

/// Stands in for a secret: nobody writes it by chance.
const SECRET: &str = "kX9~wQ7~zV3";

/// Files and single values: a key that is there twice is found, lines exist, durations and ranges survive being
/// written, and no reason repeats a secret.
pub fn config(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    hold_json(&text);
    if let Ok(tree) = file::parse_toml(&text) {
        assert!(tree.lines.values().all(|line| (1..=lines_of(&text)).contains(line)));
        assert!(tree.root.keys().all(|key| tree.lines.contains_key(key.as_str())));
    }
    let expanded = file::expand(&text, &|name| (name == "A").then(|| "${A}".to_owned()), &mut |_| {});
    assert!(text.contains("${") || expanded == text);
    match dotenv::parse(&text) {
        Ok(values) => {
            let named = |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            assert!(values.keys().all(|name| !name.is_empty() && named(name)));
            let line = |(name, value): (&String, &String)| format!("{name}=\"{value}\"\n");
            assert_eq!(dotenv::parse(&values.iter().map(line).collect::<String>()), Ok(values));
        }
        Err(lines) => {
            assert!(lines.is_sorted() && lines.iter().all(|at| (1..=lines_of(&text)).contains(at)));
            // What is wrong is those lines alone.
            let good = |(at, line): (usize, &str)| {
                if lines.contains(&(at + 1)) { String::new() } else { format!("{line}\n") }
            };
            let rest: String = text.lines().enumerate().map(good).collect();
            assert!(dotenv::parse(&rest).is_ok(), "{rest}");
        }
    }
    if let Some(span) = value::duration(&text) {
        assert_eq!(value::duration(&value::spell(span)), Some(span));
    }
    if let Ok(network) = text.parse::<Network>() {
        assert_eq!(network.to_string().parse(), Ok(network));
        let own = text.split('/').next().unwrap().parse::<IpAddr>().unwrap();
        assert!(network.contains(own) || own != own.to_canonical());
    }
    if let Ok(key) = master_key::decode(&text) {
        assert_eq!(STANDARD.encode(key.expose()), text);
    }
    hold_values(&text, data.len());
}

fn lines_of(text: &str) -> usize {
    text.split('\n').count()
}

fn hold_json(text: &str) {
    let once = is_once(text.as_bytes());
    match file::parse_json(text) {
        Ok(tree) => {
            assert_eq!(serde_json::from_str::<Value>(text).unwrap(), Value::Object(tree.root));
            assert!(once, "a key is there twice: {text}");
            assert!(tree.lines.values().all(|line| (1..=lines_of(text)).contains(line)));
        }
        Err((line, why)) => {
            let is_object = serde_json::from_str::<Value>(text).is_ok_and(|json| json.is_object());
            assert!(!is_object || !once, "{why}: {text}");
            assert!(line.is_none_or(|line| line <= lines_of(text)));
        }
    }
}

/// Every key of the table in turn, once with the text and once with a secret in it.
fn hold_values(text: &str, choice: usize) {
    let spec = &TABLE[choice % TABLE.len()];
    let _ = value::from_text(spec, text);
    if let Ok(node) = serde_json::from_str::<Value>(text) {
        let _ = value::from_node(spec, &node);
    }
    if let Err(wrong) = value::from_text(spec, &format!("{text}{SECRET}")) {
        assert!(!spec.is_secret() || !format!("{}{}", wrong.why, wrong.fix).contains(SECRET), "{wrong:?}");
        assert!(wrong.why.chars().count() < 500 && !wrong.why.chars().any(char::is_control), "{wrong:?}");
    }
}

/// Where requests may go: only to what is listed as another parser of URLs reads it, and never to a special address.
pub fn egress(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let policy = GatePolicy::new()
        .allow("https://api.spotify.com/v1")
        .and_then(|policy| policy.allow("b.example:8443"));
    let policy = policy.unwrap();
    if let Ok(uri) = text.parse::<Uri>()
        && policy.judge(&uri).is_ok()
    {
        let url = Url::parse(&text).unwrap();
        let target = (url.scheme(), url.host_str().unwrap(), url.port_or_known_default());
        assert!(
            [("https", "api.spotify.com", Some(443)), ("https", "b.example", Some(8443))].contains(&target),
            "{text}"
        );
        assert!(url.username().is_empty() && url.password().is_none());
    }
    let written = if text.contains("://") { text.to_string() } else { format!("https://{text}/") };
    if let (Ok(_), Ok(url)) = (GatePolicy::new().allow(&text), Url::parse(&written)) {
        assert!(url.scheme() == "https" && matches!(url.host(), Some(Host::Domain(_))), "{text}");
    }
    if let Some(bits) = data.first_chunk::<16>() {
        hold_addresses(u128::from_be_bytes(*bits));
    }
}

fn hold_addresses(bits: u128) {
    let v6 = Ipv6Addr::from_bits(bits);
    if classify(v6.into()) == AddressClass::Global {
        assert!(v6.segments()[0] >> 13 == 1 && v6.to_ipv4().is_none() && !v6.is_multicast());
    }
    let v4 = Ipv4Addr::from_bits(u32::try_from(bits >> 96).unwrap());
    if classify(v4.into()) == AddressClass::Global {
        assert!(!(v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()));
        assert!(!(v4.is_documentation() || v4.is_multicast() || v4.is_unspecified()));
    }
    assert_ne!(classify(v4.to_ipv6_mapped().into()), AddressClass::Global);
}
