//! The running server through its front door: browsers, clients and listeners against the real binary.

mod account;
mod anchors;
mod api_keys;
mod asking;
mod authorizing;
mod caches;
mod changes;
mod client_documents;
mod configured_clients;
mod connections;
mod consents;
pub mod elsewhere;
mod floods;
mod forwarded;
mod http;
mod http2;
mod http2_heads;
mod incidents;
mod introspection;
mod isolation;
mod journeys;
mod kill;
mod leak;
mod limits;
mod linking;
mod login;
mod mcp_sessions;
mod oauth;
mod offered;
mod paced;
mod people;
mod programs;
mod quotas;
mod races;
mod raw_bytes;
mod records;
mod refresh;
mod registration;
mod revoking;
mod rotation;
mod security_headers;
mod signatures;
mod starting;
mod strict;
mod tls;
mod token_endpoint;
mod trail;
mod trail_full;
mod trail_refused;
mod upstream;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::support::browser::Browser;
use crate::support::database::Raw;

/// Who is logged in in this browser.
async fn status(browser: &Browser) -> Value {
    serde_json::from_str(&browser.open("/auth/status").await.text).unwrap()
}

/// Tells servers that something has ended, as every command that ends something does, and gives them the second
/// that they may take to hear of it.
async fn epoch_moves(raw: &Raw) {
    raw.run("UPDATE revocation SET epoch = epoch + 1").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
}

/// Every file under these folders.
fn files(folders: &[&Path]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        for entry in std::fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                found.extend(files(&[&path]));
            } else if path.is_file() {
                // Not a socket, which holds nothing.
                found.push(path);
            }
        }
    }
    found
}

/// Whether `text` stands somewhere in `bytes`.
fn contains(bytes: &[u8], text: &[u8]) -> bool {
    bytes.windows(text.len()).any(|window| window == text)
}
