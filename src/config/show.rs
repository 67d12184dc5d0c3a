//! Effective values for `config show`: what holds, where it came from, secrets behind a fixed mask.

use url::Url;

use super::clients::RawClient;
use super::keys::{KeySpec, Role, Secrecy};
use super::table::TABLE;
use super::value::{RawApp, Value, spell};
use super::{Loaded, Origin};
use crate::crypto::SecretString;

/// Stands for a secret, whatever its length.
pub const MASK: &str = "********";

/// One line of `config show`.
#[derive(Debug)]
pub struct Row {
    /// The key.
    pub key: &'static str,
    /// The value; `None`: not set.
    pub value: Option<String>,
    /// Where it came from.
    pub origin: String,
    /// Whether the value is masked.
    pub secret: bool,
}

impl Loaded {
    /// Every key with the value that holds, in the table's order.
    pub fn rows(&self) -> Vec<Row> {
        TABLE.iter().filter(|spec| spec.role == Role::Setting).map(|spec| self.row(spec)).collect()
    }

    fn row(&self, spec: &'static KeySpec) -> Row {
        let said = self.gathered.values.get(spec.path);
        let value = said.map(|setting| display(spec, &setting.value));
        let derived = || self.derived.get(spec.path).cloned();
        let origin = said.map_or(Origin::Default, |setting| setting.origin.clone());
        Row {
            key: spec.path,
            value: value.or_else(derived).or_else(|| spec.default.map(str::to_owned)),
            origin: origin.to_string(),
            secret: spec.secrecy == Secrecy::Secret,
        }
    }
}

fn display(spec: &KeySpec, value: &Value) -> String {
    match value {
        // Whoever knows the address of such a receiver may often write there.
        Value::Text(text) if spec.path == "audit.anchors.webhook" => without_path(text),
        Value::Text(text) => text.clone(),
        Value::Secret(secret) if spec.secrecy == Secrecy::Password => without_password(secret),
        Value::Secret(_) => MASK.to_owned(),
        Value::Flag(on) => on.to_string(),
        Value::Count(count) => count.to_string(),
        Value::Span(span) => spell(*span),
        // Arguments of a program can hold what should not be seen.
        Value::List(items) if matches!(spec.path, "security.master_key_command" | "alerts.command") => {
            items.first().map(|program| format!("{program} ...")).unwrap_or_default()
        }
        Value::List(items) => items.join(", "),
        Value::Clients(clients) => clients.iter().map(client).collect::<Vec<_>>().join("; "),
        Value::Apps(apps) => apps.iter().map(app).collect::<Vec<_>>().join("; "),
    }
}

fn app(app: &RawApp) -> String {
    let secret = app.client_secret.is_some() || app.client_secret_file.is_some();
    let secret = if secret { format!(" secret {MASK}") } else { String::new() };
    let mode = app.quota_mode.as_deref().unwrap_or("development");
    let developer = app.developer.as_ref().map(|name| format!(" of {name}")).unwrap_or_default();
    let name = app.name.as_ref().map(|name| format!("'{name}' ")).unwrap_or_default();
    let seats = app.seats.map(|seats| format!(", seats {seats}")).unwrap_or_default();
    format!("{name}{} ({mode}{seats}){developer}{secret}", app.client_id)
}

fn client(raw: &RawClient) -> String {
    let secret = raw.client.secret.is_some() || raw.secret_file.is_some();
    format!("{}{}", raw.client.id, if secret { format!(" secret {MASK}") } else { String::new() })
}

/// An address up to its host, with a mask for what names the place there.
fn without_path(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return MASK.to_owned() };
    let origin = url.origin().ascii_serialization();
    let is_bare = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    if is_bare { origin } else { format!("{origin}/{MASK}") }
}

/// A database URL without password and query (PostgreSQL takes a password there too).
fn without_password(secret: &SecretString) -> String {
    if secret.expose().starts_with("sqlite:") {
        return secret.expose().to_owned();
    }
    let Ok(mut url) = Url::parse(secret.expose()) else { return MASK.to_owned() };
    if url.password().is_some() && url.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_shown_with_its_name_and_places_and_without_its_secret() {
        let spec = TABLE.iter().find(|spec| spec.path == "spotify.apps").unwrap();
        let app = RawApp {
            client_id: "0123456789abcdef".to_owned(),
            client_secret: Some(SecretString::new("hush")),
            client_secret_file: None,
            seats: Some(2),
            quota_mode: None,
            name: Some("House app".to_owned()),
            developer: Some("me".to_owned()),
        };
        let shown = display(spec, &Value::Apps(vec![app]));
        assert_eq!(shown, format!("'House app' 0123456789abcdef (development, seats 2) of me secret {MASK}"));
    }

    #[test]
    fn a_receiver_of_checkpoints_is_named_by_its_host_alone() {
        let spec = TABLE.iter().find(|spec| spec.path == "audit.anchors.webhook").unwrap();
        let shown = |url: &str| display(spec, &Value::Text(url.to_owned()));
        assert_eq!(shown("https://hooks.example/services/T0/secret?t=x"), "https://hooks.example/********");
        assert_eq!(shown("https://u:p@hooks.example:8443/"), "https://hooks.example:8443/********");
        assert_eq!(shown("https://hooks.example/"), "https://hooks.example");
        assert_eq!(shown("no address"), MASK);
    }

    #[test]
    fn database_urls_lose_their_password_alone() {
        let shown = |url: &str| without_password(&SecretString::new(url));
        assert_eq!(shown("sqlite:///a.db"), "sqlite:///a.db");
        assert_eq!(shown("postgres://u:p@h:5/n?password=q"), "postgres://u:********@h:5/n");
        assert_eq!(shown("postgres://[bad"), MASK);
    }
}
