//! What a running server takes over from a changed configuration, and which keys differ.
//!
//! A key is live where the table says so, and then everything that uses it reads it here, or where `take_over` put it.

use std::collections::BTreeMap;

use super::keys::{KeySpec, Role};
use super::table::TABLE;
use super::value::{self, Value};
use super::{Config, KeyAges, LimitsConfig, Loaded, LogLevel, Signup};

/// The values of live keys that something reads while the server runs.
#[derive(Clone, Debug)]
pub struct Live {
    /// Who may sign up.
    pub signup: Signup,
    /// Whether the operator said so.
    pub signup_is_said: bool,
    /// Spotify user ids that may sign up under [`Signup::Allowlist`].
    pub allowlist: Vec<String>,
    /// Where to report a vulnerability.
    pub security_contact: Option<String>,
    /// What one caller, address or server may use; those of its keys that need a restart are not read here.
    pub limits: LimitsConfig,
    /// The least severe level that is written.
    pub log_level: LogLevel,
    /// How old each key may become before rotation is due.
    pub max_key_age: KeyAges,
}

impl Live {
    /// The live part of a configuration.
    pub fn of(config: &Config) -> Self {
        Self {
            signup: config.auth.signup,
            signup_is_said: config.auth.signup_is_said,
            allowlist: config.auth.allowlist.clone(),
            security_contact: config.server.security_contact.clone(),
            limits: config.limits,
            log_level: config.telemetry.log_level,
            max_key_age: config.security.max_key_age,
        }
    }
}

/// The value of every key, said or by default; nothing else knows it where it is derived.
#[derive(Clone)]
pub struct Effective(BTreeMap<&'static str, Option<Value>>);

/// Which keys differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Differences {
    /// A running server takes these over.
    pub live: Vec<&'static str>,
    /// These wait for a restart.
    pub restart: Vec<&'static str>,
}

impl Loaded {
    /// The value of every key.
    pub fn effective(&self) -> Effective {
        let settings = TABLE.iter().filter(|spec| spec.role == Role::Setting);
        let one = |spec: &'static KeySpec| {
            let said = self.gathered.values.get(spec.path).map(|setting| setting.value.clone());
            let default = || spec.default.and_then(|text| value::from_text(spec, text).ok());
            (spec.path, said.or_else(default))
        };
        Effective(settings.map(one).collect())
    }
}

impl Effective {
    /// What differs in `new`.
    pub fn differences(&self, new: &Self) -> Differences {
        let mut found = Differences::default();
        for spec in TABLE.iter().filter(|spec| spec.role == Role::Setting) {
            if self.0.get(spec.path) != new.0.get(spec.path) {
                let list = if spec.restart { &mut found.restart } else { &mut found.live };
                list.push(spec.path);
            }
        }
        found
    }

    /// Takes the live values over, and leaves those that wait for a restart.
    pub fn take_over(&mut self, new: &Self) {
        for spec in TABLE.iter().filter(|spec| spec.role == Role::Setting && !spec.restart) {
            self.0.insert(spec.path, new.0.get(spec.path).cloned().flatten());
        }
    }
}
