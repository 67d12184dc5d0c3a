//! The configuration that `config init` writes, as TOML with comments or as JSON.

use std::path::PathBuf;

use serde_json::{Value, json};
use url::Url;

/// What is known about the server to configure.
#[derive(Debug, Default)]
pub struct Draft {
    /// Client id of the Spotify app.
    pub client_id: Option<String>,
    /// Where its secret lies; relative to the configuration.
    pub client_secret_file: Option<PathBuf>,
    /// The origin that clients see.
    pub public_url: Option<String>,
    /// Spotify's Developer Policy is acknowledged.
    pub policy_acknowledged: bool,
}

impl Draft {
    /// The file's text.
    pub fn text(&self, as_json: bool) -> String {
        if as_json { format!("{:#}", self.document()) } else { self.toml() }
    }

    fn document(&self) -> Value {
        let mut document = json!({
            "spotify": { "policy_acknowledged": self.policy_acknowledged },
            "security": { "environment": self.environment(), "master_key_file": "master.key" },
        });
        if let Some(id) = &self.client_id {
            document["spotify"]["client_id"] = json!(id);
        }
        if let Some(file) = &self.client_secret_file {
            document["spotify"]["client_secret_file"] = json!(file);
        }
        if let Some(url) = &self.public_url {
            document["server"] = json!({ "public_url": url });
        }
        document
    }

    fn toml(&self) -> String {
        let mut text = String::from(
            "# spotify-mcp. Every key: 'spotify-mcp config show'. A secret may come from a file: key_file.\n\n[spotify]\n",
        );
        text += &entry("client_id", self.client_id.as_deref(), "0123456789abcdef0123456789abcdef");
        let secret_file = self.client_secret_file.as_ref().map(|path| path.display().to_string());
        text += &entry("client_secret_file", secret_file.as_deref(), "client-secret");
        text += "# You have read https://developer.spotify.com/policy (III.13, III.14).\n";
        text += &format!("policy_acknowledged = {}\n\n[server]\n", self.policy_acknowledged);
        text += "# The origin that clients see. TLS ends at a proxy in front of host and port, or here with server.tls.\n";
        text += &entry("public_url", self.public_url.as_deref(), "https://music.example.org");
        text += &format!("\n[security]\nenvironment = {}\n", quoted(self.environment()));
        text += "# Relative to this file. Without this key nothing that is stored can be opened.\n";
        text + "master_key_file = \"master.key\"\n"
    }

    /// What others can reach is production, unless its operator changes this line.
    fn environment(&self) -> &'static str {
        let url = self.public_url.as_deref().and_then(|text| Url::parse(text).ok());
        let is_local = url.is_none_or(|url| crate::config::is_on_loopback(&url));
        if is_local { "development" } else { "production" }
    }
}

/// A line with the value, or a comment with an example where there is none.
fn entry(key: &str, value: Option<&str>, example: &str) -> String {
    match value {
        Some(value) => format!("{key} = {}\n", quoted(value)),
        None => format!("# {key} = {}\n", quoted(example)),
    }
}

fn quoted(text: &str) -> String {
    toml::Value::from(text.replace("${", "$${")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_say_the_same() {
        let draft = Draft {
            client_id: Some("0123456789abcdef".into()),
            client_secret_file: Some("/a \"b\"/secret".into()),
            public_url: Some("https://a.example".into()),
            policy_acknowledged: true,
        };
        let from_toml: Value = toml::from_str(&draft.text(false)).unwrap();
        let from_json: Value = serde_json::from_str(&draft.text(true)).unwrap();
        assert_eq!(from_toml, from_json);
        assert_eq!(from_json["security"]["environment"], "production");
    }

    #[test]
    fn what_is_unknown_is_an_example_in_a_comment() {
        let text = Draft::default().text(false);
        assert!(text.contains("# client_id = ") && text.contains("environment = \"development\""), "{text}");
    }
}
