//! OAuth clients: `auth.clients`, those that the operator registers by hand, and what holds of metadata documents.
//!
//! A client's secret is held in memory alone; nothing here shows one or writes it down.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node};

use super::build::Build;
use super::gather::{Setting, one_line};
use super::problem::{Origin, Problem, Wrong};
use super::quoting::{quoted, shown};
use super::value::{Value, type_of};
use super::{ServerConfig, file};
use crate::crypto::SecretString;
use crate::domain::ClientId;
use crate::domain::client::clean_name;
use crate::domain::client_document::DocumentUrl;
use crate::domain::ids::DynamicClientId;
use crate::domain::redirect::RedirectUri;
use crate::policy::{DocumentHosts, DocumentMode};

const KEY: &str = "auth.clients";

/// Fewest and most characters of a client's secret: visible ASCII, as RFC 6749 appendix A.2 has it.
const SECRET: std::ops::RangeInclusive<usize> = 24..=256;

/// What to write for `auth.clients`.
pub const FIX: &str = "write a list of tables with id, name, redirect_uris, and secret (or secret_file) for a confidential client";

/// A client that the operator registered by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredClient {
    /// Its id, which may be the URL of a metadata document: this entry then stands in its place.
    pub id: ClientId,
    /// The name people see.
    pub name: String,
    /// Where codes may go; at least one.
    pub redirect_uris: Vec<RedirectUri>,
    /// Its secret; `None`: a public client.
    pub secret: Option<SecretString>,
}

/// What holds of metadata documents.
#[derive(Clone, Debug, Default)]
pub struct DocumentsConfig {
    /// Whether clients may introduce themselves so.
    pub mode: DocumentMode,
    /// Whose documents are believed.
    pub hosts: DocumentHosts,
    /// Authorities that are trusted for documents on loopback, outside production only; `None`: none there.
    pub loopback_ca: Option<PathBuf>,
}

/// One entry of `auth.clients`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawClient {
    /// Everything but a secret in a file.
    pub client: ConfiguredClient,
    /// A file that holds the secret instead.
    pub secret_file: Option<String>,
}

/// Reads the list.
pub fn read(node: &Node) -> Result<Vec<RawClient>, Wrong> {
    let nodes = node.as_array().ok_or_else(|| Wrong::new(format!("it is {}", type_of(node)), FIX))?;
    if nodes.len() > 100 {
        return Err(Wrong::new("it has more than 100 clients", FIX));
    }
    let mut clients: Vec<RawClient> = Vec::with_capacity(nodes.len());
    let mut wrongs = Vec::new();
    for (at, node) in nodes.iter().enumerate() {
        let here = |wrong: Wrong| Wrong::new(format!("client {}: {}", at + 1, wrong.why), wrong.fix);
        match one(node) {
            Ok(read) if clients.iter().any(|known| known.client.id == read.client.id) => {
                wrongs.push(here(Wrong::new("its id is there twice", "list every client once")));
            }
            Ok(read) => clients.push(read),
            Err(all) => wrongs.extend(all.into_iter().map(here)),
        }
    }
    Wrong::all(wrongs).map_or(Ok(clients), Err)
}

/// One entry, or everything that is wrong with it.
fn one(node: &Node) -> Result<RawClient, Vec<Wrong>> {
    let fields = node.as_object().ok_or_else(|| vec![Wrong::new(format!("it is {}", type_of(node)), FIX)])?;
    let known = ["id", "name", "redirect_uris", "secret", "secret_file"];
    let unknown = fields.keys().filter(|name| !known.contains(&name.as_str()));
    let mut wrongs: Vec<_> =
        unknown.map(|name| Wrong::new(format!("{} is not known", quoted(name)), FIX)).collect();
    let id = text(fields, "id").and_then(|text| id(&text.unwrap_or_default()));
    let name = text(fields, "name").and_then(|name| {
        let name = name.and_then(|name| clean_name(&name));
        name.ok_or_else(|| Wrong::new("name is missing", "write the name that people shall see"))
    });
    let redirect_uris = redirect_uris(fields.get("redirect_uris"));
    match (id, name, redirect_uris, secret(fields)) {
        (Ok(id), Ok(name), Ok(redirect_uris), Ok((secret, secret_file))) if wrongs.is_empty() => {
            Ok(RawClient { client: ConfiguredClient { id, name, redirect_uris, secret }, secret_file })
        }
        (id, name, redirect_uris, secret) => {
            wrongs.extend([id.err(), name.err(), secret.err()].into_iter().flatten());
            wrongs.extend(redirect_uris.err().unwrap_or_default());
            Err(wrongs)
        }
    }
}

/// The secret, or the file that holds it.
fn secret(fields: &Map<String, Node>) -> Result<(Option<SecretString>, Option<String>), Wrong> {
    let (secret, file) = (text(fields, "secret")?, text(fields, "secret_file")?);
    if secret.is_some() && file.is_some() {
        return Err(Wrong::new("it has both secret and secret_file", "remove one of the two"));
    }
    if let Some(secret) = &secret {
        judge_secret(secret)?;
    }
    Ok((secret.map(SecretString::new), file))
}

fn text(fields: &Map<String, Node>, name: &str) -> Result<Option<String>, Wrong> {
    match fields.get(name) {
        None => Ok(None),
        Some(Node::String(text)) => Ok(Some(text.clone())),
        Some(other) => Err(Wrong::new(format!("{name} is {}", type_of(other)), FIX)),
    }
}

fn id(text: &str) -> Result<ClientId, Wrong> {
    let fix =
        "write a name such as my-client, or the https URL of the metadata document that this entry replaces";
    let id = ClientId::parse(text)
        .ok_or_else(|| Wrong::new("id is missing, or not 1 to 512 visible ASCII characters", fix))?;
    if text.parse::<DynamicClientId>().is_ok() {
        return Err(Wrong::new("its id is one of a client that registered by itself", fix));
    }
    if id.is_url() {
        DocumentUrl::parse(&id)
            .map_err(|why| Wrong::new(format!("its id is no document's URL: {why}"), fix))?;
    }
    Ok(id)
}

fn redirect_uris(node: Option<&Node>) -> Result<Vec<RedirectUri>, Vec<Wrong>> {
    let fix = "write a list of 1 to 16 redirect URIs";
    let exact = "write the client's exact address: https://..., http:// on 127.0.0.1, [::1] or localhost, or a private scheme such as com.example.app:/callback";
    let items = node.and_then(Node::as_array).filter(|items| (1..=16).contains(&items.len()));
    let items = items.ok_or_else(|| vec![Wrong::new("redirect_uris is missing or no such list", fix)])?;
    let parse = |(at, item): (usize, &Node)| {
        let text = item.as_str().ok_or_else(|| Wrong::new("a redirect URI is not text", fix))?;
        RedirectUri::parse(text)
            .map_err(|why| Wrong::new(format!("redirect URI {} ({}): {why}", at + 1, shown(text)), exact))
    };
    let (good, wrong): (Vec<_>, Vec<_>) = items.iter().enumerate().map(parse).partition(Result::is_ok);
    if wrong.is_empty() {
        return Ok(good.into_iter().flatten().collect());
    }
    Err(wrong.into_iter().filter_map(Result::err).collect())
}

fn judge_secret(text: &str) -> Result<(), Wrong> {
    if SECRET.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Wrong::new(
        "its secret is not 24 to 256 visible ASCII characters",
        "make one with 'openssl rand -base64 32', or leave it out for a public client",
    ))
}

impl Build<'_> {
    /// The configured clients, their secrets read.
    pub(super) fn clients(&mut self) -> Vec<ConfiguredClient> {
        let Some(Setting { value: Value::Clients(raw), origin }) = self.said(KEY) else { return Vec::new() };
        raw.into_iter().map(|raw| self.client(raw, &origin)).collect()
    }

    fn client(&mut self, raw: RawClient, origin: &Origin) -> ConfiguredClient {
        let mut client = raw.client;
        if let Some(name) = raw.secret_file {
            client.secret = self.client_secret(&name, origin);
        }
        client
    }

    fn client_secret(&mut self, name: &str, origin: &Origin) -> Option<SecretString> {
        let base = match origin {
            Origin::File { path, .. } | Origin::Sealed { path, .. } => path.parent().unwrap_or(Path::new("")),
            _ => Path::new(""),
        };
        let path = base.join(name);
        let text = match file::read_text(&path, 65_536) {
            Ok(text) => text,
            Err(wrong) => {
                let origin = Origin::SecretFile { path, named_by: "secret_file".to_owned() };
                self.gathered.problems.push(Problem::new("CONFIG_FILE_UNREADABLE", KEY, origin, wrong));
                return None;
            }
        };
        match judge_secret(one_line(&text)) {
            Ok(()) => {
                self.gathered.secret_files.insert(path);
                Some(SecretString::new(one_line(&text)))
            }
            Err(wrong) => {
                self.problem(KEY, wrong);
                None
            }
        }
    }

    /// What holds of metadata documents. Loopback is a place for one only where nobody else can reach us either.
    pub(super) fn documents(&mut self, server: &ServerConfig) -> DocumentsConfig {
        let loopback_ca = self.optional_text("auth.client_document_ca").map(PathBuf::from);
        let local = server.host.is_loopback() && self.text("security.environment") != "production";
        if loopback_ca.is_some() && !local {
            let wrong = Wrong::new(
                "it is for documents on loopback, while developing with the listener on loopback",
                "remove it: documents of the web are checked against the web's certificate authorities",
            );
            self.problem("auth.client_document_ca", wrong);
        }
        DocumentsConfig {
            mode: match self.text("auth.client_documents").as_str() {
                "builtin_only" => DocumentMode::BuiltinOnly,
                "off" => DocumentMode::Off,
                _ => DocumentMode::On,
            },
            hosts: DocumentHosts {
                allowed: self.lower_list("auth.client_document_hosts"),
                denied: self.lower_list("auth.client_document_hosts_denied"),
            },
            loopback_ca,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(name: &str, value: Node) -> Result<Vec<RawClient>, Wrong> {
        let mut client =
            json!({"id": "my-client", "name": "Mine", "redirect_uris": ["https://a.example/cb"]});
        client[name] = value;
        read(&json!([client]))
    }

    #[test]
    fn good_clients_are_read() {
        let secret = "0123456789abcdef01234567";
        let read = entry("secret", json!(secret)).unwrap();
        assert_eq!(read[0].client.secret, Some(SecretString::new(secret)));
        assert_eq!(entry("name", json!("A\u{202e}B")).unwrap()[0].client.name, "AB");
        assert!(entry("id", json!("https://claude.ai/oauth/mcp-oauth-client-metadata")).is_ok());
        assert_eq!(read_two("a", "b"), Ok(2));
    }

    fn read_two(one: &str, other: &str) -> Result<usize, Wrong> {
        let client = |id: &str| json!({"id": id, "name": "n", "redirect_uris": ["https://a.example/cb"]});
        read(&json!([client(one), client(other)])).map(|clients| clients.len())
    }

    #[test]
    fn mistakes_name_the_client_and_never_a_secret() {
        let dynamic = format!("c_{}", "a".repeat(32));
        let wrong = [
            entry("id", json!("")),
            entry("id", json!(dynamic)),
            entry("id", json!("https://a.example/")),
            entry("id", json!("http://a.example/c")),
            entry("name", json!("\u{200b}")),
            entry("redirect_uris", json!([])),
            entry("redirect_uris", json!(["http://a.example/cb"])),
            entry("redirect_uris", json!("https://a.example/cb")),
            entry("secret", json!("hunter2")),
            entry("secret", json!("hunter2 with spaces is long enough")),
            entry("secret_file", json!(1)),
            entry("more", json!(1)),
        ];
        for wrong in wrong {
            let wrong = wrong.unwrap_err();
            assert!(wrong.why.starts_with("client 1: "), "{}", wrong.why);
            assert!(!format!("{} {}", wrong.why, wrong.fix).contains("hunter2"));
        }
        assert_eq!(read_two("a", "a").unwrap_err().why, "client 2: its id is there twice");
        assert!(read(&json!({})).is_err() && read(&json!([1])).is_err());
    }
}
