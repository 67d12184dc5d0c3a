//! What a configuration says in secret, and where each secret stands: for whoever judges how secrets are kept. Never: a
//! secret's value in a message, or reading the file that holds a sealed one.

use std::path::Path;

use serde_json::Value as Node;
use url::Url;

use super::gather::Setting;
use super::sealed::is_reference;
use super::value::Value;
use super::{Loaded, Origin, file, keys};
use crate::crypto::SecretString;

/// A secret that was said.
#[derive(Clone, Debug)]
pub struct SaidSecret {
    /// Its key, for example `spotify.apps.0.client_secret`; the password of a database URL stands under `storage.url`.
    pub key: String,
    /// The secret.
    pub value: SecretString,
    /// Where it was said.
    pub origin: Origin,
    /// A configuration file only names the variable that holds it.
    pub by_reference: bool,
    /// What counts in its place, where this counts for nothing.
    pub outranked_by: Option<Origin>,
}

impl SaidSecret {
    /// The file in which it can be read in the clear among other things: a plain configuration or a dotenv file.
    pub fn in_the_clear(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File { path, .. } if !self.by_reference => Some(path),
            Origin::EnvFile { path, .. } => Some(path),
            _ => None,
        }
    }
}

impl Loaded {
    /// Every secret that was said, by key, and after those that count those that others outrank.
    pub fn secrets(&self) -> Vec<SaidSecret> {
        let raw = self.raw();
        let by_reference = |key: &str| raw.as_ref().and_then(|root| at(root, key)).is_some_and(is_reference);
        let one = |key: &str, setting: &Setting, outranked_by: Option<Origin>| {
            let secret = |(key, value): (String, SecretString)| SaidSecret {
                by_reference: by_reference(&key),
                origin: setting.origin.clone(),
                key,
                value,
                outranked_by: outranked_by.clone(),
            };
            within(key, &setting.value).into_iter().map(secret).collect::<Vec<SaidSecret>>()
        };
        let values = &self.gathered.values;
        let counting = values.iter().flat_map(|(key, setting)| one(key, setting, None));
        let outranked = self.gathered.outranked.iter();
        let outranked = outranked.flat_map(|(key, setting)| one(key, setting, Some(self.origin_of(key))));
        counting.chain(outranked).collect()
    }

    /// The contents of a plain file, variables as they stand.
    fn raw(&self) -> Option<Node> {
        let path = self.gathered.file.as_deref().filter(|_| self.gathered.sealed.is_none())?;
        file::read_plain(path).ok().map(|tree| Node::Object(tree.root))
    }
}

/// The secrets in a value, each with the key that it has in a file.
fn within(key: &str, value: &Value) -> Vec<(String, SecretString)> {
    let field = |index: usize, name: &str| format!("{key}.{index}.{name}");
    match value {
        Value::Secret(url) if keys::find(key).is_some_and(is_password_url) => {
            password(url).map(|password| (key.to_owned(), password)).into_iter().collect()
        }
        Value::Secret(secret) => vec![(key.to_owned(), secret.clone())],
        Value::Apps(apps) => {
            let secrets = apps.iter().enumerate().map(|(at, app)| (at, app.client_secret.clone()));
            secrets.filter_map(|(at, secret)| Some((field(at, "client_secret"), secret?))).collect()
        }
        Value::Clients(clients) => {
            let secrets = clients.iter().enumerate().map(|(at, raw)| (at, raw.client.secret.clone()));
            secrets.filter_map(|(at, secret)| Some((field(at, "secret"), secret?))).collect()
        }
        _ => Vec::new(),
    }
}

fn is_password_url(spec: &keys::KeySpec) -> bool {
    spec.secrecy == keys::Secrecy::Password
}

/// The password of a URL, in the authority or, as PostgreSQL takes it too, in the query.
fn password(url: &SecretString) -> Option<SecretString> {
    let url = Url::parse(url.expose()).ok()?;
    let queried =
        || url.query_pairs().find(|(name, _)| name == "password").map(|(_, value)| value.into_owned());
    let authority = url.password().map(|text| {
        let pair = format!("p={}", text.replace('+', "%2B").replace('&', "%26"));
        url::form_urlencoded::parse(pair.as_bytes()).map(|(_, value)| value.into_owned()).collect::<String>()
    });
    authority.or_else(queried).filter(|text| !text.is_empty()).map(SecretString::new)
}

/// The node at a dotted path.
fn at<'a>(root: &'a Node, path: &str) -> Option<&'a Node> {
    path.split('.').try_fold(root, |node, name| match node {
        Node::Array(items) => items.get(name.parse::<usize>().ok()?),
        other => other.get(name),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_url_is_found_wherever_it_stands() {
        let of = |url: &str| password(&SecretString::new(url)).map(|secret| secret.expose().to_owned());
        assert_eq!(of("postgres://u:p%40s%2Bs+@h/n").as_deref(), Some("p@s+s+"));
        assert_eq!(of("postgres:///n?host=/run&password=q").as_deref(), Some("q"));
        assert_eq!(of("postgres://u@h/n"), None);
        assert_eq!(of("sqlite:///a.db"), None);
    }
}
