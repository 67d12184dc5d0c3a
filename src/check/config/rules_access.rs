//! Rules about who gets in: SMC2015, 2017, 3008.

use super::Facts;
use crate::check::{Ground, Profile, Severity, Source, Verdict};
use crate::config::{QuotaMode, Signup};
use crate::domain::client::RegistrationMode;
use crate::policy::DocumentMode;

/// SMC2015.
pub fn signup_decided(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let auth = &facts.config.auth;
    let at = Source::key("auth.signup");
    let name = match auth.signup {
        Signup::Open => "open",
        Signup::Allowlist => "allowlist",
        Signup::Invite => "invite",
    };
    let extended = facts.config.spotify.apps.iter().any(|app| app.quota_mode == QuotaMode::Extended);
    let guarded = !extended || facts.signup_is_said;
    let allowed = ground.parameters.list("allowed").iter().any(|known| known == name);
    let fix = format!("set auth.signup to {}", ground.parameters.list("allowed").join(" or "));
    vec![if !guarded {
        let seen = "nobody said who may sign up, and an app with extended quota lets every Spotify user in";
        let verdict = Verdict::fail(at, seen).mended_by(fix);
        // Its environment's policy refuses to start.
        if ground.profile == Profile::Development { verdict } else { verdict.severe(Severity::High) }
    } else if !allowed {
        Verdict::fail(at, format!("signup is {name}"))
            .expecting(format!("one of {}", ground.parameters.list("allowed").join(", ")))
            .mended_by(fix)
            .severe(Severity::Medium)
    } else if extended {
        Verdict::pass(at, format!("signup is {name}, as it was said"))
    } else {
        Verdict::pass(
            at,
            format!("signup is {name}; Spotify's own list of people guards the door of a development app"),
        )
    }]
}

/// SMC2017.
pub fn credential_always(facts: &Facts, _ground: &Ground<'_>) -> Vec<Verdict> {
    let auth = &facts.config.auth;
    let on_loopback = facts.asked.listener_on_loopback && facts.asked.public_url_on_loopback;
    vec![if auth.local_without_credential && !auth.multi_user {
        let seen = "requests need no credential: every program on this machine may use the linked account";
        Verdict::fail(Source::key("auth.local_without_credential"), seen)
    } else if !auth.multi_user && !on_loopback {
        Verdict::fail(Source::key("auth.multi_user"), "one local user, yet others can reach the server")
    } else {
        Verdict::pass(Source::key("auth.multi_user"), "every request needs a credential")
    }]
}

/// SMC3008: the configuration's half.
pub fn registration_constrained(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let (auth, limits) = (&facts.config.auth, &facts.config.limits);
    let at = || Source::key("auth.registration");
    let name = match auth.registration {
        RegistrationMode::Open => "open",
        RegistrationMode::LocalOnly => "local_only",
        RegistrationMode::Off => "off",
    };
    let mut found = Vec::new();
    let allowed = ground.parameters.list("modes");
    if !allowed.iter().any(|mode| mode == name) {
        let expected = format!("one of {}", allowed.join(", "));
        found.push(Verdict::fail(at(), format!("registration is {name}")).about("mode").expecting(expected));
    }
    let bounds = [
        ("registrations_per_address_per_hour", limits.registrations_per_address_per_hour),
        ("unused_clients_per_address_per_day", limits.unused_clients_per_address_per_day),
        ("unused_clients", limits.unused_clients),
    ];
    if auth.registration != RegistrationMode::Off {
        found.extend(bounds.into_iter().filter_map(|(name, value)| unbounded(name, value, ground)));
    }
    if auth.documents.mode == DocumentMode::On {
        let value = limits.client_documents_per_address_per_minute;
        found.extend(unbounded("client_documents_per_address_per_minute", value, ground));
    }
    if auth.documents.loopback_ca.is_some() {
        let seen = "clients' documents on loopback are believed by an authority of your own";
        let verdict = Verdict::fail(Source::key("auth.client_document_ca"), seen).severe(Severity::Medium);
        found.push(verdict.about("auth.client_document_ca"));
    }
    if found.is_empty() {
        found.push(Verdict::pass(at(), format!("registration is {name}, bounded by address and in all")));
    }
    found
}

/// A limit that is off, or above what the policy takes.
fn unbounded(name: &str, value: u32, ground: &Ground<'_>) -> Option<Verdict> {
    let most = ground.parameters.number(name);
    if (1..=most).contains(&i64::from(value)) {
        return None;
    }
    let seen = if value == 0 { format!("{name} is off") } else { format!("{name} is {value}") };
    let key = format!("limits.{name}");
    let verdict = Verdict::fail(Source::key(key.clone()), seen).about(name).expecting(format!("1 to {most}"));
    Some(verdict.mended_by(format!("set {key} to {most} or less, not 0")))
}
