//! The Spotify section of the configuration: one app in the simple form, several in the list.

use std::path::Path;

use url::Url;

use super::build::Build;
use super::gather::{Setting, one_line};
use super::problem::{Origin, Problem, Wrong};
use super::value::{RawApp, Value};
use super::{QuotaMode, SpotifyApp, SpotifyConfig, file};
use crate::crypto::SecretString;
use crate::domain::own_app::shortened;

impl Build<'_> {
    /// The section; the redirect URI is derived from the public URL unless it was said.
    pub(super) fn spotify(&mut self, public_url: &Url) -> SpotifyConfig {
        SpotifyConfig {
            apps: self.apps(),
            own_apps: self.flag("spotify.own_apps"),
            seats_per_person: match self.count("spotify.seats_per_person") {
                0 => None,
                most => u32::try_from(most).ok(),
            },
            daily_quota: self.count("spotify.daily_quota"),
            redirect_uri: self.redirect_uri(public_url),
            accounts_url: self.url("spotify.accounts_url"),
            api_url: self.url("spotify.api_url"),
            policy_acknowledged: self.flag("spotify.policy_acknowledged"),
        }
    }

    fn apps(&mut self) -> Vec<SpotifyApp> {
        let mut apps: Vec<SpotifyApp> = self.single_app().into_iter().collect();
        let more = match self.said("spotify.apps") {
            Some(Setting { value: Value::Apps(more), origin }) => {
                more.into_iter().map(|raw| (raw, origin.clone())).collect()
            }
            _ => Vec::new(),
        };
        for (raw, origin) in more {
            let app = self.app(raw, &origin);
            if apps.iter().any(|known| known.client_id == app.client_id) {
                let why = format!("client id {} is there twice", app.client_id);
                self.problem(
                    "spotify.apps",
                    Wrong::new(why, "name every app once, in spotify.apps or as spotify.client_id"),
                );
            }
            apps.push(app);
        }
        apps
    }

    fn single_app(&mut self) -> Option<SpotifyApp> {
        let secret = self.secret("spotify.client_secret");
        let quota_mode = quota_mode(&self.text("spotify.quota_mode"));
        let seats = match self.said("spotify.seats") {
            Some(Setting { value: Value::Count(seats), .. }) => Some(seats),
            _ => None,
        };
        match self.optional_text("spotify.client_id") {
            Some(client_id) => Some(SpotifyApp {
                name: unnamed(&client_id),
                client_id,
                client_secret: secret.map(|(secret, _)| secret),
                seats: room(seats, quota_mode),
                quota_mode,
                developer: None,
            }),
            None => {
                if secret.is_some() {
                    self.problem(
                        "spotify.client_secret",
                        Wrong::new("it has no client id beside it", "set SPOTIFY_CLIENT_ID"),
                    );
                }
                None
            }
        }
    }

    fn app(&mut self, raw: RawApp, origin: &Origin) -> SpotifyApp {
        let mode = quota_mode(raw.quota_mode.as_deref().unwrap_or("development"));
        let from_file = raw.client_secret_file.and_then(|file| self.app_secret(&file, origin));
        SpotifyApp {
            name: raw.name.unwrap_or_else(|| unnamed(&raw.client_id)),
            client_id: raw.client_id,
            client_secret: raw.client_secret.or(from_file),
            seats: room(raw.seats, mode),
            quota_mode: mode,
            developer: raw.developer,
        }
    }

    fn app_secret(&mut self, name: &str, origin: &Origin) -> Option<SecretString> {
        let base = match origin {
            Origin::File { path, .. } | Origin::Sealed { path, .. } => path.parent().unwrap_or(Path::new("")),
            _ => Path::new(""),
        };
        let path = base.join(name);
        match file::read_text(&path, 65_536) {
            Ok(text) => {
                self.gathered.secret_files.insert(path);
                Some(SecretString::new(one_line(&text)))
            }
            Err(wrong) => {
                let origin = Origin::SecretFile { path, named_by: "client_secret_file".to_owned() };
                let problem = Problem::new("CONFIG_FILE_UNREADABLE", "spotify.apps", origin, wrong);
                self.gathered.problems.push(problem);
                None
            }
        }
    }

    fn redirect_uri(&mut self, public_url: &Url) -> Url {
        if let Some(uri) = self.optional_text("spotify.redirect_uri").and_then(|text| Url::parse(&text).ok())
        {
            return uri;
        }
        let mut uri = public_url.clone();
        uri.set_path("/auth/callback");
        self.derived.insert("spotify.redirect_uri", uri.to_string());
        uri
    }
}

/// What an app is called that nobody named: the same, wherever it stands in the list.
fn unnamed(client_id: &str) -> String {
    format!("app {}", shortened(client_id).trim_start_matches('…'))
}

fn room(seats: Option<u64>, mode: QuotaMode) -> Option<u32> {
    match (seats, mode) {
        (None, QuotaMode::Extended) | (Some(0), _) => None,
        (None, _) => Some(5),
        (Some(seats), _) => u32::try_from(seats).ok(),
    }
}

fn quota_mode(name: &str) -> QuotaMode {
    match name {
        "extended" => QuotaMode::Extended,
        "development_legacy" => QuotaMode::DevelopmentLegacy,
        _ => QuotaMode::Development,
    }
}
