//! Everything that is counted, as one text for a monitor (docs/monitoring.md says what each means).
//!
//! What needs the database is asked at most once a second however many ask, and is left out where the database does
//! not answer: a number that is not known is not said.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::alerts::{CHANNELS, raised};
use crate::ambient::Timestamp;
use crate::config::KeyAges;
use crate::domain::KeyPurpose;
use crate::domain::event::EventCode;
use crate::egress::{Counters, Gate};
use crate::failure::Failure;
use crate::store::{Gauges, Store};
use crate::telemetry::exposition::{Exposition, Kind};
use crate::telemetry::metrics::{Figure, events};
use crate::{mcp, spotify, telemetry};

use super::{Http, connections, measured, tls};

/// How long what the database said holds.
const FRESH: Duration = Duration::from_secs(1);

/// How long the database may take.
const DATABASE: Duration = Duration::from_secs(2);

/// What the database said last.
#[derive(Default)]
pub(super) struct Known(tokio::sync::Mutex<Option<(Instant, Option<Arc<Stored>>)>>);

/// What only the database knows.
struct Stored {
    gauges: Gauges,
    ages: Vec<Age>,
    /// Deliveries by channel and state.
    deliveries: Vec<(&'static str, &'static str, i64)>,
}

/// The oldest key in use of a kind.
struct Age {
    kind: &'static str,
    since: Timestamp,
    /// In days; `None`: it is never due by its age.
    most: Option<u32>,
}

/// The text.
pub(super) async fn text(http: &Http) -> String {
    let mut out = Exposition::new();
    let stored = known(http).await;
    out.family("spotify_mcp_build_info", Kind::Gauge, "1; the version is in the label.")
        .sample(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    let since = http.started.millis() as f64 / 1e3;
    out.one(("process_start_time_seconds", Kind::Gauge), "When the server started, in Unix seconds.", since);
    security(&mut out, http);
    measured::expose(&mut out);
    mcp::measured::expose(&mut out);
    spotify::measured::expose(&mut out);
    egress(&mut out, http);
    trail(&mut out, http, stored.as_deref());
    standing(&mut out, http, stored.as_deref());
    told(&mut out, stored.as_deref());
    if let Some(stored) = &stored {
        ages(&mut out, &stored.ages, http.app.now());
    }
    out.finish()
}

/// The figures that product.md 4 asks for. Those of scans are absent: nothing stores a scan yet.
fn security(out: &mut Exposition, http: &Http) {
    let gates = all_gates(http);
    let sum = |of: fn(&Counters) -> u64| gates.iter().map(of).sum::<u64>();
    let mut one = |name, help, value: u64| out.one((name, Kind::Counter), help, value);
    one("spotify_mcp_failed_logins_total", "Logins that did not succeed.", Figure::FailedLogin.get());
    one(
        "spotify_mcp_invalid_tokens_total",
        "Presented tokens, codes, keys and signatures that were not accepted.",
        Figure::InvalidToken.get(),
    );
    one(
        "spotify_mcp_session_timeouts_total",
        "Sessions, and logins in progress, whose time was over.",
        Figure::SessionTimeout.get(),
    );
    one(
        "spotify_mcp_malformed_requests_total",
        "Requests whose head, size or syntax was not in order.",
        Figure::MalformedRequest.get(),
    );
    one(
        "spotify_mcp_injection_attempts_total",
        "Requests with what is written only to be read as something else.",
        Figure::InjectionAttempt.get(),
    );
    one(
        "spotify_mcp_validation_errors_total",
        "Well-formed requests whose values were refused.",
        Figure::ValidationError.get(),
    );
    one(
        "spotify_mcp_blocked_hosts_total",
        "Outgoing requests and connections that the egress gate refused.",
        sum(|gate| gate.hosts_refused + gate.addresses_refused),
    );
    let sides = |inbound, outbound| [("inbound", inbound), ("outbound", outbound)];
    let help = "TLS handshakes that failed, with clients and with other servers; certificates that were not trusted \
        are counted by themselves.";
    let mut family = out.family("spotify_mcp_tls_failures_total", Kind::Counter, help);
    for (side, value) in sides(Figure::TlsFailure.get(), sum(|gate| gate.tls_failures)) {
        family.sample(&[("side", side)], value);
    }
    let help = "Trouble with certificates: our own could not be used or ends soon; another server's was not trusted.";
    let own = events(EventCode::CertificateRefused) + events(EventCode::CertificateExpires);
    let mut family = out.family("spotify_mcp_certificate_trouble_total", Kind::Counter, help);
    for (side, value) in sides(own, sum(|gate| gate.certificate_failures)) {
        family.sample(&[("side", side)], value);
    }
    let help = "Answers of status 429.";
    out.one(("spotify_mcp_rate_limited_total", Kind::Counter), help, Figure::RateLimited.get());
    let mut family = out.family(
        "spotify_mcp_security_events_total",
        Kind::Counter,
        "Events that this server wrote to its audit trail, by code. Of a flood, only its beginning is written.",
    );
    for code in EventCode::ALL {
        family.sample(&[("event", code.name())], events(*code));
    }
}

fn all_gates(http: &Http) -> Vec<Counters> {
    let app = &http.app;
    let gates = std::iter::once(&app.gate).chain(app.clients.gates());
    gates.map(Gate::counters).chain([app.alerts.counters()]).collect()
}

/// What passed the gates and what did not.
fn egress(out: &mut Exposition, http: &Http) {
    let clients = http.app.clients.gates().map(Gate::counters).fold(Counters::default(), Counters::with);
    let alerts = http.app.alerts.counters();
    let gates = [("spotify", http.app.gate.counters()), ("client_documents", clients), ("alerts", alerts)];
    let help =
        "Outgoing requests by the gate that they went through, and how they ended. An answer has any status.";
    let mut family = out.family("spotify_mcp_egress_requests_total", Kind::Counter, help);
    for (gate, seen) in gates {
        for (outcome, value) in [
            ("answered", seen.answers),
            ("host_refused", seen.hosts_refused),
            ("address_refused", seen.addresses_refused),
            ("connect_failed", seen.connect_failures),
            ("tls_failed", seen.tls_failures),
            ("certificate_not_trusted", seen.certificate_failures),
            ("timeout", seen.timeouts),
            ("too_large", seen.too_large),
            ("broken", seen.broken),
        ] {
            family.sample(&[("gate", gate), ("outcome", outcome)], value);
        }
    }
    let mut family =
        out.family("spotify_mcp_egress_connections_total", Kind::Counter, "Connections opened by the gates.");
    for (gate, seen) in gates {
        family.sample(&[("gate", gate)], seen.connections);
    }
}

/// The audit trail and the log.
fn trail(out: &mut Exposition, http: &Http, stored: Option<&Stored>) {
    let audit = &http.app.audit;
    out.one(
        ("spotify_mcp_audit_writable", Kind::Gauge),
        "1 while the audit trail can be written; at 0 the server is not ready and refuses calls.",
        u8::from(audit.is_writable()),
    );
    out.one(
        ("spotify_mcp_audit_queued_records", Kind::Gauge),
        "Records that are queued for the trail or not yet on disk.",
        audit.waiting(),
    );
    if let Some(stored) = stored {
        out.one(
            ("spotify_mcp_audit_outbox_records", Kind::Gauge),
            "Events in the database that are not yet in the trail.",
            stored.gauges.outbox,
        );
        let waits = stored.gauges.outbox_since.map_or(Duration::ZERO, |since| http.app.now().since(since));
        out.one(
            ("spotify_mcp_audit_outbox_oldest_seconds", Kind::Gauge),
            "How long the oldest of them has waited.",
            waits.as_secs_f64(),
        );
    }
    if let Some(lines) = telemetry::dropped_lines() {
        let help = "Lines of the log that were dropped because its file or standard error did not keep up.";
        out.one(("spotify_mcp_log_dropped_lines_total", Kind::Counter), help, lines);
    }
}

/// What is open, and the database.
fn standing(out: &mut Exposition, http: &Http, stored: Option<&Stored>) {
    let open = connections::OPEN.get();
    out.one(("spotify_mcp_open_connections", Kind::Gauge), "Open connections of all listeners.", open);
    out.one(
        ("spotify_mcp_shed_connections_total", Kind::Counter),
        "Connections that were closed for newcomers because all places were taken.",
        Figure::ConnectionShed.get(),
    );
    let (all, idle) = http.app.store.connections();
    let mut family = out.family(
        "spotify_mcp_database_connections",
        Kind::Gauge,
        "Connections to the database, by what they do.",
    );
    family.sample(&[("state", "idle")], idle);
    family.sample(&[("state", "used")], all.saturating_sub(idle));
    out.one(
        ("spotify_mcp_database_up", Kind::Gauge),
        "1 where the database answered; at 0, what only it knows is absent.",
        u8::from(stored.is_some()),
    );
    if let Some(stored) = stored {
        let mut family =
            out.family("spotify_mcp_sessions", Kind::Gauge, "Living sessions, of all servers together.");
        family.sample(&[("kind", "browser")], stored.gauges.browser_sessions);
        family.sample(&[("kind", "mcp")], stored.gauges.mcp_sessions);
    }
    out.one(
        ("spotify_mcp_locked_down", Kind::Gauge),
        "1 while the operator has locked every server down: only probes are answered.",
        u8::from(http.app.revocation.last_closed().locked),
    );
    if let Some(ends) = tls::ends() {
        let help = "When the TLS certificate in use ends, in Unix seconds.";
        out.one(("spotify_mcp_certificate_expiry_timestamp_seconds", Kind::Gauge), help, ends.secs());
    }
}

/// What somebody was told, or could not be.
fn told(out: &mut Exposition, stored: Option<&Stored>) {
    let help = "Alerts that this server raised.";
    out.one(("spotify_mcp_alerts_raised_total", Kind::Counter), help, raised());
    if let Some(stored) = stored {
        let help = "Deliveries of alerts that wait, and that were given up, of all servers together.";
        let mut family = out.family("spotify_mcp_alert_deliveries", Kind::Gauge, help);
        for (channel, state, count) in &stored.deliveries {
            family.sample(&[("channel", channel), ("state", state)], count);
        }
    }
}

fn ages(out: &mut Exposition, ages: &[Age], now: Timestamp) {
    let help = "Age of the oldest key in use of its kind.";
    let mut family = out.family("spotify_mcp_key_age_seconds", Kind::Gauge, help);
    for age in ages {
        family.sample(&[("kind", age.kind)], now.since(age.since).as_secs());
    }
    let help = "At which age a key of this kind is due for rotation; absent where it never is.";
    let mut family = out.family("spotify_mcp_key_due_age_seconds", Kind::Gauge, help);
    for (age, days) in ages.iter().filter_map(|age| Some((age, age.most?))) {
        family.sample(&[("kind", age.kind)], u64::from(days) * 86_400);
    }
}

/// What the database says, asked again where it was asked long ago. One asks, the others wait for the same answer.
async fn known(http: &Http) -> Option<Arc<Stored>> {
    let mut known = http.known.0.lock().await;
    if let Some((asked, stored)) = &*known
        && asked.elapsed() < FRESH
    {
        return stored.clone();
    }
    let policy = http.app.live().max_key_age;
    let asked = tokio::time::timeout(DATABASE, ask(&http.app.store, &policy, http.app.now())).await;
    let stored = match asked {
        Ok(Ok(stored)) => Some(Arc::new(stored)),
        Ok(Err(failure)) => {
            tracing::warn!(cause = failure.chain(), "metrics without what the database knows");
            None
        }
        Err(_) => None,
    };
    *known = Some((Instant::now(), stored.clone()));
    stored
}

async fn ask(store: &Store, policy: &KeyAges, now: Timestamp) -> Result<Stored, Failure> {
    let mut ages: Vec<Age> = Vec::new();
    let mut note = |kind, since: i64, most| {
        let since = Timestamp::from_secs(since);
        match ages.iter_mut().find(|age| age.kind == kind) {
            Some(age) => age.since = age.since.min(since),
            None => ages.push(Age { kind, since, most }),
        }
    };
    for row in store.master_keys().await?.iter().filter(|row| row.state == "active") {
        note("master", row.created_at, Some(policy.master));
    }
    for row in store.count_data_keys().await?.iter().filter(|row| row.state == "active") {
        note("data", row.oldest, Some(policy.data));
    }
    for row in store.purpose_keys().await?.iter().filter(|row| row.state == "active") {
        if let Some(purpose) = KeyPurpose::named(&row.purpose) {
            note(purpose.name(), row.created_at, purpose.rotates().then_some(policy.signing));
        }
    }
    for row in store.operators_apps().await?.iter().filter(|row| row.retired_at.is_none()) {
        if let Some(since) = row.secret_since {
            note("spotify-client", since, Some(policy.spotify_client));
        }
    }
    let counted = store.count_deliveries().await?;
    let count = |channel: &str, state: &str| {
        let found = counted.iter().find(|(of, is, _)| of == channel && is == state);
        found.map_or(0, |(.., count)| *count)
    };
    let each = CHANNELS
        .iter()
        .flat_map(|channel| ["due", "dead"].map(|state| (*channel, state, count(channel, state))));
    let deliveries = each.collect();
    Ok(Stored { gauges: store.gauges(now).await?, ages, deliveries })
}
