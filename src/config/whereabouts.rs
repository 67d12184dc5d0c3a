//! Where the configuration says a Spotify app, so that a command can put another secret there; and the change of one
//! value in a plain text, everything else as it was. Never: reading or writing a file.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Node};

use super::Loaded;
use super::dotenv;
use super::file::{parse_json, parse_toml};
use super::problem::Origin;
use super::value::Value;

/// Where one value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Under a key of a configuration file.
    Key {
        /// The file.
        file: PathBuf,
        /// Whether it is sealed.
        sealed: bool,
        /// The key, for example `spotify.apps.0.client_secret`.
        key: String,
    },
    /// Alone in a file of its own.
    OwnFile {
        /// The file.
        path: PathBuf,
        /// The variable or key that names it.
        named_by: String,
    },
    /// In a line of a dotenv file.
    Line {
        /// The file.
        file: PathBuf,
        /// The variable.
        name: String,
    },
    /// In a variable of the environment.
    Variable(String),
    /// Somewhere else, in words.
    Elsewhere(String),
}

/// Where an app's values stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppPlaces {
    /// Its client id.
    pub client_id: Place,
    /// Its secret, where it has one.
    pub client_secret: Option<Place>,
}

/// Texts with more places that a value could stand in are not gone through.
const MOST_PLACES: usize = 100;

impl Loaded {
    /// Where the app with this client id stands; `None` where the configuration does not name it.
    pub fn places_of_app(&self, client_id: &str) -> Option<AppPlaces> {
        let values = &self.gathered.values;
        let single =
            values.get("spotify.client_id").filter(|said| said.value == Value::Text(client_id.to_owned()));
        if let Some(said) = single {
            let secret = values.get("spotify.client_secret");
            return Some(AppPlaces {
                client_id: place(&said.origin, "spotify.client_id"),
                client_secret: secret.map(|secret| place(&secret.origin, "spotify.client_secret")),
            });
        }
        let said = values.get("spotify.apps")?;
        let Value::Apps(apps) = &said.value else { return None };
        let at = apps.iter().position(|app| app.client_id == client_id)?;
        let field = |name: &str| match place(&said.origin, &format!("spotify.apps.{at}.{name}")) {
            place @ Place::Key { .. } => place,
            _ => Place::Elsewhere(format!("spotify.apps ({}), entry {at}, {name}", said.origin)),
        };
        let client_secret = match (&apps[at].client_secret, &apps[at].client_secret_file) {
            (Some(_), _) => Some(field("client_secret")),
            (None, Some(name)) => {
                let named_by = format!("spotify.apps.{at}.client_secret_file");
                Some(Place::OwnFile { path: beside(&said.origin).join(name), named_by })
            }
            (None, None) => None,
        };
        Some(AppPlaces { client_id: field("client_id"), client_secret })
    }
}

fn place(origin: &Origin, key: &str) -> Place {
    let in_file = |path: &Path, sealed| Place::Key { file: path.to_owned(), sealed, key: key.to_owned() };
    match origin {
        Origin::File { path, .. } => in_file(path, false),
        Origin::Sealed { path, .. } => in_file(path, true),
        Origin::SecretFile { path, named_by } => {
            Place::OwnFile { path: path.clone(), named_by: named_by.clone() }
        }
        Origin::EnvFile { name, path } => Place::Line { file: path.clone(), name: name.clone() },
        Origin::Env(name) => Place::Variable(name.clone()),
        Origin::Default | Origin::Flag(_) => Place::Elsewhere(format!("{key} ({origin})")),
    }
}

/// The folder that names in a configuration file are relative to.
fn beside(origin: &Origin) -> &Path {
    match origin {
        Origin::File { path, .. } | Origin::Sealed { path, .. } => path.parent().unwrap_or(Path::new("")),
        _ => Path::new(""),
    }
}

/// The variable that a raw value of a configuration file stands for, where it is nothing else.
pub fn variable(raw: &str) -> Option<&str> {
    let name = raw.strip_prefix("${")?.strip_suffix('}')?;
    (!name.is_empty() && !name.contains(['$', '{', '}'])).then_some(name)
}

/// A plain configuration text (TOML or JSON by the extension of `path`) in which `old` has become `new` so that
/// its contents are exactly `wanted`; `None` where no single replacement does that.
pub fn with_contents(
    path: &Path,
    text: &str,
    (old, new): (&str, &str),
    wanted: &Map<String, Node>,
) -> Option<String> {
    let is_toml = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("toml"));
    let parse = if is_toml { parse_toml } else { parse_json };
    replaced(text, (old, new), |candidate| parse(candidate).is_ok_and(|tree| tree.root == *wanted))
}

/// A dotenv text in which the variable has become `new`, and nothing else.
pub fn with_line(text: &str, name: &str, (old, new): (&str, &str)) -> Option<String> {
    let mut wanted = dotenv::parse(text).ok()?;
    let value = wanted.get_mut(name).filter(|value| *value == old)?;
    new.clone_into(value);
    replaced(text, (old, new), |candidate| dotenv::parse(candidate).is_ok_and(|values| values == wanted))
}

fn replaced(text: &str, (old, new): (&str, &str), fits: impl Fn(&str) -> bool) -> Option<String> {
    if old.is_empty() {
        return None;
    }
    let candidate = |at: usize| [&text[..at], new, &text[at + old.len()..]].concat();
    text.match_indices(old).take(MOST_PLACES).map(|(at, _)| candidate(at)).find(|text| fits(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_value_changes_and_every_other_byte_stays() {
        let text = "# the old one was s3cret\n[spotify]\nclient_id = \"s3cretid\" # s3cret\nclient_secret = 's3cret'\n";
        let mut wanted = parse_toml(text).unwrap().root;
        wanted["spotify"]["client_secret"] = "n3w".into();
        let after = with_contents(Path::new("a.toml"), text, ("s3cret", "n3w"), &wanted).unwrap();
        assert_eq!(after, text.replace("'s3cret'", "'n3w'"));

        let text = "{\"spotify\": {\"client_id\": \"s\",\r\n \"client_secret\":\"s\"}}";
        let mut wanted = parse_json(text).unwrap().root;
        wanted["spotify"]["client_secret"] = "n3w".into();
        let after = with_contents(Path::new("a.JSON"), text, ("s", "n3w"), &wanted).unwrap();
        assert_eq!(after, text.replace(":\"s\"}", ":\"n3w\"}"));
        // Written with an escape: nobody guesses.
        let escaped = "{\"spotify\": {\"client_secret\":\"s\\u0033cret\"}}";
        let mut wanted = parse_json(escaped).unwrap().root;
        wanted["spotify"]["client_secret"] = "n3w".into();
        assert_eq!(with_contents(Path::new("a.json"), escaped, ("s3cret", "n3w"), &wanted), None);
    }

    #[test]
    fn one_line_changes_in_a_dotenv_file() {
        let text = "A=one\nexport SECRET=\"one\"\n# one\nB='one'\n";
        let after = with_line(text, "SECRET", ("one", "two")).unwrap();
        assert_eq!(after, text.replace("\"one\"", "\"two\""));
        assert_eq!(with_line(text, "C", ("one", "two")), None);
        assert_eq!(with_line(text, "A", ("three", "two")), None);
    }

    #[test]
    fn a_variable_is_one_where_the_value_is_nothing_else() {
        assert_eq!(variable("${SECRET}"), Some("SECRET"));
        for other in ["$${SECRET}", "${SECRET}x", "${}", "SECRET", "${A}${B}"] {
            assert_eq!(variable(other), None, "{other}");
        }
    }
}
