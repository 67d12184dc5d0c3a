//! The one table of configuration keys (product.md 3 and 7). Parsing, `config show`, suggestions,
//! `deploy/env.example` and `deploy/configuration.md` are all made from it.

use super::keys::Kind::{Apps, Choice, Clients, Command, Count, Flag, List, Span, Text};
use super::keys::Secrecy::{Password, Secret};
use super::keys::{KeySpec, Role};
use super::{alerts, checks, mail};

const DAY: u64 = 86_400;
const MANY: u64 = 1_000_000;

const fn key(path: &'static str, kind: super::keys::Kind, doc: &'static str) -> KeySpec {
    KeySpec::new(path, kind, doc)
}

/// Every key, in the order in which people meet them.
#[rustfmt::skip]
pub static TABLE: &[KeySpec] = &[
    key("spotify.client_id", Text(checks::client_id), "Client id of your app at developer.spotify.com.").env(&["SPOTIFY_CLIENT_ID"]).live(),
    key("spotify.client_secret", Text(checks::plain), "Its client secret. Optional: PKCE is used with and without it.").env(&["SPOTIFY_CLIENT_SECRET"]).secret(Secret).live(),
    key("spotify.redirect_uri", Text(checks::redirect_uri), "The redirect URI registered at Spotify; its path is where the callback is mounted. Default: <public_url>/auth/callback.").env(&["SPOTIFY_REDIRECT_URI"]),
    key("spotify.quota_mode", Choice(checks::QUOTA_MODES), "What Spotify allows your app.").env(&["SPOTIFY_QUOTA_MODE"]).or("development").live(),
    key("spotify.seats", Count(0, MANY), "How many people the app of spotify.client_id takes; 0: no limit. Default: 5 in a development mode, no limit with extended quota.").live(),
    key("spotify.apps", Apps, "Several apps instead of one: a list of {client_id, client_secret or client_secret_file, seats, quota_mode, name, developer}. People who are to be added at Spotify are told the name; default: app and the end of its client id. Quotas are counted per developer account; apps that name none are of one.").live(),
    key("spotify.seats_per_person", Count(0, MANY), "How many places of an app with limited places the accounts of one person take; what goes beyond needs an app of their own. Does not hold where auth.multi_user is false. 0: as many as there are.").or("2").live(),
    key("spotify.own_apps", Flag, "Whether people may bring a Spotify app of their own, which takes no seat. With false, accounts that were linked through one have to be connected again.").or("true").live(),
    key("spotify.daily_quota", Count(0, MANY), "How many calls of one kind (playlists; searches; albums of artists; others) Spotify takes in a day from a developer account without extended quota, as far as you know: shared out equally from the first call. 0: not known; until it is learned, one of several people who share it makes no more than 200 searches, 50 requests for albums of artists, 1,000 about playlists and 2,000 others in 24 hours while others have not had theirs (one alone is not held back). A number that nobody reaches: no shares before a quota has run out.").or("0"),
    key("spotify.accounts_url", Text(checks::upstream), "Spotify's accounts service.").env(&["SPOTIFY_ACCOUNTS_URL"]).or("https://accounts.spotify.com"),
    key("spotify.api_url", Text(checks::upstream), "Spotify's Web API.").env(&["SPOTIFY_API_URL"]).or("https://api.spotify.com/v1"),
    key("spotify.policy_acknowledged", Flag, "You have read Spotify's Developer Policy: III.14 restricts feeding Spotify content to AI models, III.13 deriving metrics from it.").env(&["SPOTIFY_POLICY_ACKNOWLEDGED"]).or("false").live(),

    key("server.host", Text(checks::ip), "The address to listen on.").env(&["SERVER_HOST"]).or("127.0.0.1"),
    key("server.port", Count(0, 65_535), "The port to listen on; 0 lets the system choose.").env(&["PORT", "SERVER_PORT"]).or("8000"),
    key("server.public_url", Text(checks::origin), "The origin that clients see, without a path. Default: http://<host>:<port> while the listener is on loopback.").env(&["PUBLIC_URL"]),
    key("server.transports", List(checks::transport), "Transports of MCP that are served.").or("http"),
    key("server.toolsets", List(checks::toolset), "Groups of tools that are offered: accounts, catalog, player, playlists, library, history. Default: all.").or("accounts,catalog,player,playlists,library,history"),
    key("server.read_only", Flag, "Only tools are offered that change nothing.").or("false"),
    key("server.allowed_origins", List(checks::origin), "Origins of browser-based clients that may call /mcp, beside the public URL's own."),
    key("server.trusted_proxies", List(checks::network), "Addresses or ranges of the proxies whose forwarded headers count."),
    key("server.tls.certificate", Text(checks::plain), "PEM file with this server's certificate and its chain: https without a proxy. A renewed file is taken over without a restart.").env(&["SERVER_TLS_CERTIFICATE"]),
    key("server.tls.key", Text(checks::plain), "PEM file with the certificate's private key, not encrypted.").env(&["SERVER_TLS_KEY"]),
    key("server.drain_seconds", Count(0, 600), "How long readiness is down before a stopping server closes connections.").or("0"),
    key("server.security_contact", Text(checks::contact), "Where to report a vulnerability, for /.well-known/security.txt: mailto:, https: or tel:.").live(),
    key("server.log_level", Choice(checks::LOG_LEVELS), "Older name of telemetry.log_level.").role(Role::Alias("telemetry.log_level")).live(),

    key("storage.url", Text(checks::database), "sqlite://PATH or postgres://USER:PASSWORD@HOST/NAME. Default: spotify-mcp.db in the data directory.").env(&["DATABASE_URL"]).secret(Password),
    key("storage.data_dir", Text(checks::plain), "Where the database, the generated master key and the audit trail live. Default: the platform's data directory.").env(&["DATA_DIR"]),

    key("auth.multi_user", Flag, "false: one local user, on loopback only.").env(&["MCP_ENABLE_MULTI_USER"]).or("true"),
    key("auth.local_without_credential", Flag, "With multi_user = false over HTTP: requests need no credential.").or("false"),
    key("auth.signup", Choice(&["open", "allowlist", "invite"]), "Who may sign up. Default: open, which an app with extended quota must say in production.").live(),
    key("auth.allowlist", List(checks::plain), "Spotify user ids that may sign up with signup = allowlist.").live(),
    key("auth.api_keys", Flag, "Whether API keys (smcp_...) are accepted and can be made.").or("true"),
    key("auth.administrators", List(checks::plain), "User ids (u_...) or Spotify user ids of administrators.").role(Role::Unused("this version has no pages for administrators")),
    key("auth.registration", Choice(&["open", "local_only", "off"]), "Which clients may register by themselves (RFC 7591): any; only those on a person's own computer, by loopback and private-use redirect URIs; none.").or("open"),
    key("auth.clients", Clients, "OAuth clients that you register by hand: a list of {id, name, redirect_uris, secret or secret_file}; without a secret the client is public. They come before every other description of the same id."),
    key("auth.client_documents", Choice(&["on", "builtin_only", "off"]), "Clients whose id is the https URL of their metadata: on: the document is fetched, and built-in descriptions stand in for those of well-known clients that cannot be; builtin_only: nothing is fetched, any other such client is refused; off: all are.").or("on"),
    key("auth.client_document_hosts", List(checks::document_host), "Hosts whose metadata documents are believed; *.host means all below it. Default: any."),
    key("auth.client_document_hosts_denied", List(checks::document_host), "Hosts whose metadata documents are never believed; this outranks auth.client_document_hosts."),
    key("auth.client_document_ca", Text(checks::plain), "A PEM file of certificate authorities for documents on loopback, for developing clients; refused in production and where the listener is not on loopback."),
    key("auth.lifetimes.browser_session", Span(300, 365 * DAY), "How long a browser stays logged in.").or("30d"),
    key("auth.lifetimes.code", Span(10, 600), "How long an authorization code can be redeemed.").or("60s"),
    key("auth.lifetimes.access_token", Span(60, DAY), "How long an access token works.").or("1h"),
    key("auth.lifetimes.refresh_token", Span(3_600, 365 * DAY), "How long an unused refresh token works; each use starts anew.").or("30d"),
    key("auth.lifetimes.refresh_family", Span(3_600, 3_650 * DAY), "How long a client can go on refreshing before its user logs in again.").or("90d"),
    key("auth.lifetimes.mcp_session", Span(60, 365 * DAY), "How long a 2025-era MCP session lives at most, whatever its use.").or("7d"),
    key("auth.lifetimes.unused_client", Span(3_600, 365 * DAY), "When a registered client that was never used is removed.").or("7d"),
    key("auth.lifetimes.idle_client", Span(DAY, 3_650 * DAY), "When a registered client is removed after its last use.").or("90d"),
    key("auth.supabase.url", Text(checks::origin), "The Supabase project whose tokens are accepted.").env(&["SUPABASE_URL"]).role(Role::Unused("this version does not accept Supabase tokens")),
    key("auth.supabase.jwt_secret", Text(checks::plain), "The signing secret of a legacy Supabase project.").env(&["SUPABASE_JWT_SECRET"]).secret(Secret).role(Role::Unused("this version does not accept Supabase tokens")),
    key("auth.supabase.client_ids", List(checks::plain), "The Supabase clients whose tokens are accepted.").role(Role::Unused("this version does not accept Supabase tokens")),

    key("security.environment", Choice(checks::ENVIRONMENTS), "Whose rules hold. Default: development, while listener and public URL are on loopback.").env(&["DEPLOYMENT_ENVIRONMENT"]),
    key("security.master_key", Text(super::master_key::check), "Base64 of 32 random bytes: everything at rest is encrypted under it. Make one with 'spotify-mcp config keygen'.").env(&["SPOTIFY_MCP_MASTER_KEY"]).secret(Secret),
    key("security.master_key_command", Command, "A program and its arguments that print the master key; no shell."),
    key("security.passphrase", Text(checks::passphrase), "A passphrase of at least 14 bytes instead of a master key.").secret(Secret),
    key("security.kdf", Choice(&["argon2id", "pbkdf2-sha256"]), "How a key is derived from the passphrase.").or("argon2id"),
    key("security.login_timeout_minutes", Count(1, 60), "A login in progress dies after this.").env(&["SECURITY_SESSION_TIMEOUT_MINUTES"]).or("5"),
    key("security.max_sessions_per_user", Count(0, 1_000), "Browser sessions per user; the oldest goes. 0: no limit.").env(&["SECURITY_MAX_SESSIONS_PER_USER"]).or("3"),
    key("security.request_signing", Flag, "API-key callers must sign their requests (RFC 9421, docs/request-signing.md) and never send the key itself.").env(&["SECURITY_ENABLE_REQUEST_SIGNING"]).or("false"),
    key("security.max_key_age_days.master", Count(1, 3_650), "When rotation of the master key is due.").or("30").live(),
    key("security.max_key_age_days.data", Count(1, 3_650), "When rotation of data keys is due.").or("365").live(),
    key("security.max_key_age_days.signing", Count(1, 3_650), "When rotation of signing keys is due.").or("90").live(),
    key("security.max_key_age_days.spotify_client", Count(1, 3_650), "When rotation of the Spotify client secret is due.").or("180").live(),

    key("limits.calls_per_user_per_minute", Count(0, MANY), "Tool calls per user in a minute. For every limit, 0 switches it off.").or("600").live(),
    key("limits.reads_per_user_per_minute", Count(0, MANY), "Of these, calls of tools that only look.").or("0").live(),
    key("limits.writes_per_user_per_minute", Count(0, MANY), "Of these, calls of tools that change playlists or the library.").or("120").live(),
    key("limits.player_calls_per_user_per_minute", Count(0, MANY), "Of these, calls of tools that control playback.").or("120").live(),
    key("limits.calls_per_client_per_minute", Count(0, MANY), "Tool calls through one OAuth client in a minute, of all its users together; off, because users of one program may share a client.").or("0").live(),
    key("limits.concurrent_calls_per_user", Count(0, MANY), "Tool calls per user at once.").or("32").live(),
    key("limits.concurrent_calls", Count(0, MANY), "Tool calls at once in this process; the fuller it is, the fewer one user may run.").or("1024").live(),
    key("limits.registrations_per_address_per_hour", Count(0, MANY), "Client registrations per address (IPv6: /64) in an hour.").or("30").live(),
    key("limits.unused_clients_per_address_per_day", Count(0, MANY), "Clients registered from one address in a day and never used.").or("50").live(),
    key("limits.unused_clients", Count(0, MANY), "Clients registered from anywhere and never used, a twentieth of them from one network (IPv4 /24, IPv6 /48) and a fifth from a region (/16, /32); for a new one the oldest goes of the network that has the most.").or("10000").live(),
    key("limits.client_documents_per_address_per_minute", Count(0, MANY), "Clients' metadata documents that are fetched because of one address (IPv6: /64) in a minute.").or("20"),
    key("limits.failed_attempts_per_address_per_minute", Count(0, MANY), "Wrong codes, tokens or keys from one address in a minute; valid credentials always pass.").or("100").live(),
    key("limits.api_keys_per_user", Count(0, 10_000), "Living API keys per user.").or("20"),
    key("limits.logins_per_address_per_minute", Count(0, MANY), "Logins that begin from one address (IPv6: /64) in a minute.").or("60").live(),
    key("limits.logins_in_progress", Count(0, MANY), "Logins that have begun and not ended, in all, a twentieth of them from one network (IPv4 /24, IPv6 /48) and a fifth from a region (/16, /32); for a new one the oldest goes of the network that has the most.").or("20000").live(),
    key("limits.connections", Count(0, MANY), "Open connections; the longest idle is shed first.").or("10000"),
    key("limits.mcp_body_bytes", Count(0, 67_108_864), "Size of a request to /mcp.").or("1048576"),
    key("limits.body_bytes", Count(0, 67_108_864), "Size of any other request.").or("65536"),
    key("limits.mcp_session_idle_seconds", Count(0, 30 * DAY), "A 2025-era session ends after this long without use.").env(&["MCP_SESSION_TIMEOUT"]).or("3600").live(),
    key("limits.mcp_connections_per_user", Count(0, 10_000), "2025-era sessions and open streams per user; the least recently used goes.").env(&["MCP_MAX_CONNECTIONS_PER_USER"]).or("20").live(),
    key("limits.undo_days", Count(0, 30), "For so many days a change that a tool made can be undone: what was there before is kept sealed. 0: nothing is kept.").or("7"),

    key("network.allowed_hosts", List(checks::host), "Hosts, exact and with an optional :port, that may be reached beside Spotify."),

    key("api.timeout", Span(1, 120), "For one call to Spotify; a tool call may take 10 s more.").or("15s"),
    key("api.rate_limit", Count(0, 10_000), "Most requests that a server sends to Spotify for one app in 30 s, everybody who asks an equal share of them, one alone three quarters; 0: as many as Spotify takes.").or("0"),

    key("cache.enabled", Flag, "Whether equal questions of one linked account go to Spotify once while they are asked, and playlists are kept in memory for a minute, for the account that has read them alone.").or("true"),
    key("cache.db_path", Text(checks::plain), "Accepted and ignored.").role(Role::Unused("caches stay in memory, nothing is written there")),

    key("audit.dir", Text(checks::plain), "The folder of the audit trail. Default: audit in the data directory."),
    key("audit.segment_megabytes", Count(1, 1_024), "The size at which the trail goes on in a new segment.").or("64"),
    key("audit.checkpoint_records", Count(1, MANY), "After how many records the trail is signed.").or("10000"),
    key("audit.checkpoint_seconds", Count(1, DAY), "After how long it is signed, where there are any.").or("30"),
    key("audit.keep_days", Count(0, 36_500), "How long complete segments of the trail are kept; 0: for ever.").or("0"),
    key("audit.keep_addresses_days", Count(0, 36_500), "How long addresses in the trail of people who were not known can be read; 0: for ever.").or("90"),
    key("audit.anchors.file", Text(checks::plain), "A file that every checkpoint of the trail is appended to, best on another machine's disk."),
    key("audit.anchors.syslog", Text(checks::syslog), "A syslog server that is sent every checkpoint: unix:/dev/log, udp://ADDRESS:PORT or tcp://ADDRESS:PORT."),
    key("audit.anchors.webhook", Text(checks::receiver), "An https URL that every checkpoint is posted to."),
    key("audit.anchors.webhook_token", Text(checks::plain), "A bearer token for it.").secret(Secret),

    key("alerts.webhook_url", Text(alerts::webhook_url), "Who is told what happened, by Standard Webhooks (docs/monitoring.md): an https URL that the egress gate may reach. A secret, because many receivers know their senders by it.").secret(Secret).live(),
    key("alerts.webhook_secret", Text(alerts::webhook_secret), "What webhooks are signed with: whsec_ and base64 of 24 to 64 bytes.").secret(Secret).live(),
    key("alerts.mail.host", Text(mail::host), "The mail server through which somebody is told by e-mail, by name.").live(),
    key("alerts.mail.port", Count(1, 65_535), "Its port. Default: 465; 587 with starttls, 25 with none.").live(),
    key("alerts.mail.tls", Choice(&["implicit", "starttls", "none"]), "implicit: TLS from the first byte; starttls: TLS before anything is told, or nothing is; none: to loopback alone, and not in production.").or("implicit").live(),
    key("alerts.mail.username", Text(checks::plain), "Who logs in to the mail server. Default: nobody.").live(),
    key("alerts.mail.password", Text(checks::plain), "With this password.").secret(Secret).live(),
    key("alerts.mail.from", Text(mail::address), "The address that mails come from.").live(),
    key("alerts.mail.to", List(mail::address), "The addresses of those who are told, ten at most.").live(),
    key("alerts.mail.timeout", Span(1, 50), "For one mail, connecting included.").or("30s").live(),
    key("alerts.command", Command, "A program and its arguments that is told: no shell, an empty environment, the alert as JSON on its standard input, 20 s.").live(),
    key("alerts.allow_private", Flag, "The webhook's receiver and the mail server may be in your own network: at private and shared addresses and on loopback, over TLS.").or("false").live(),
    key("alerts.ca", Text(checks::plain), "A PEM file of certificate authorities that vouch for the webhook's receiver and the mail server, beside those of the web.").live(),
    key("alerts.rules", List(alerts::rule), "Other thresholds and windows than those of 'spotify-mcp alerts rules': NAME=COUNT/WINDOW, for example failed_logins=50/10m, or NAME=off.").live(),
    key("alerts.max_attempts", Count(1, 20), "How often telling is tried, over some eight hours with the default, before an alert is given up.").or("8").live(),

    key("telemetry.log_level", Choice(checks::LOG_LEVELS), "The least severe level that is written.").env(&["LOG_LEVEL"]).or("info").live(),
    key("telemetry.log_file", Text(checks::plain), "Where the log goes; the day, or the hour, of each file is added to the name. Default: standard error."),
    key("telemetry.log_format", Choice(&["text", "json"]), "How a log line looks.").or("text"),
    key("telemetry.log_rotation", Choice(&["daily", "hourly", "never"]), "When a new log file begins.").or("daily"),
    key("telemetry.log_keep", Count(1, 10_000), "How many log files stay.").or("14"),
    key("telemetry.metrics_listen", Text(checks::socket), "Address and port of a listener of its own for metrics (docs/monitoring.md), for example 127.0.0.1:9464; beyond loopback it wants telemetry.metrics_token. Default: none."),
    key("telemetry.metrics_token", Text(checks::bearer), "What whoever reads metrics presents as a bearer token; it also opens /metrics on the server's own address, which is not there without it.").secret(Secret),
];

/// What is done with a variable that belongs to a neighbouring system (product.md 3, last rows).
pub enum Neighbour {
    /// It is not needed here.
    Unneeded,
    /// It must not be here.
    Forbidden,
}

/// Variables that are recognised and are no keys: name, what is done, why, what to do. `TOKEN_ENCRYPTION_KEY` and
/// `TOKEN_DB_PATH` belong to `import` alone and pass in silence.
pub static NEIGHBOURS: &[(&str, Neighbour, &str, &str)] = &[
    (
        "SUPABASE_ANON_KEY",
        Neighbour::Unneeded,
        "tokens are checked without an anon key",
        "remove it from this server's environment",
    ),
    (
        "SUPABASE_SERVICE_ROLE_KEY",
        Neighbour::Forbidden,
        "a service-role key passes every row-level rule of the Supabase project; this server never needs it, and would only leak it",
        "remove it from this server's environment, and rotate it if it lay in a file",
    ),
];
