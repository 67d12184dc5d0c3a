//! What a sound server and an unsound one show.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::check::finding::{Seen, Unseen};
use crate::check::network::hello::{self, Answer};
use crate::check::network::live::Live;
use crate::check::network::proof::{Outcome, Proof};
use crate::check::network::tls::{Certificate, Fault, Shown, Strict};
use crate::check::network::web::Reply;
use crate::check::network::{Declared, Facts, Kind, Looked};
use crate::check::proving::NOW;

pub const ORIGIN: &str = "https://music.example";
const CSP: &str = "default-src 'none'; frame-ancestors 'none'";

pub fn unseen<T>() -> Seen<T> {
    Err(Unseen::because("hidden"))
}

pub fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Seen<Reply> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Ok(Reply { status, headers: map, body: body.to_owned() })
}

/// With the security headers of every answer of ours.
pub fn sound(status: u16, more: &[(&str, &str)], body: &str) -> Seen<Reply> {
    let always = [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", CSP),
        ("strict-transport-security", "max-age=31536000"),
    ];
    reply(status, &[&always[..], more].concat(), body)
}

pub fn challenge(error: &str) -> String {
    format!(
        "Bearer {error}resource_metadata=\"{ORIGIN}/.well-known/oauth-protected-resource/mcp\", scope=\"read\""
    )
}

pub fn live() -> Live {
    let json = ("content-type", "application/json");
    let open = ("access-control-allow-origin", "*");
    let resource = format!(r#"{{"resource":"{ORIGIN}/mcp","authorization_servers":["{ORIGIN}"]}}"#);
    let metadata = format!(
        r#"{{"issuer":"{ORIGIN}","authorization_endpoint":"{ORIGIN}/authorize","token_endpoint":"{ORIGIN}/token",
        "code_challenge_methods_supported":["S256"],"grant_types_supported":["authorization_code","refresh_token"]}}"#
    );
    let missing = challenge("");
    let invalid = challenge("error=\"invalid_token\", ");
    let cookie = ("set-cookie", "__Host-smcp-login-0a1b2c3d=x; Path=/; HttpOnly; Secure; SameSite=Lax");
    Live {
        origin: ORIGIN.to_owned(),
        secured: true,
        loopback: false,
        page: sound(200, &[], "<html>"),
        missing: sound(404, &[], "not here"),
        resource: sound(200, &[json, open], &resource),
        metadata: sound(200, &[json, open], &metadata),
        preflight: reply(204, &[open], ""),
        anonymous: sound(401, &[("www-authenticate", &missing)], ""),
        invented: sound(401, &[("www-authenticate", &invalid)], ""),
        in_address: sound(401, &[("www-authenticate", &missing)], ""),
        other_host: reply(403, &[], ""),
        other_origin: sound(401, &[("www-authenticate", &missing), open], ""),
        login: sound(302, &[cookie], ""),
        metrics: reply(404, &[], ""),
        wide: reply(431, &[], ""),
        plain: reply(308, &[("location", "https://music.example/")], ""),
    }
}

/// As a server with a mistake in each of these places answers.
pub fn unsound_live() -> Live {
    let echo = ("access-control-allow-origin", crate::check::network::live::FOREIGN);
    let bare = || {
        reply(200, &[("server", "nginx/1.18.0"), echo, ("access-control-allow-credentials", "true")], "{}")
    };
    Live {
        page: reply(
            200,
            &[("set-cookie", "session=x; Path=/"), echo],
            "thread 'main' panicked at src/main.rs",
        ),
        missing: bare(),
        resource: bare(),
        metadata: bare(),
        preflight: bare(),
        anonymous: bare(),
        invented: bare(),
        in_address: bare(),
        other_host: bare(),
        other_origin: bare(),
        login: bare(),
        metrics: bare(),
        wide: bare(),
        plain: bare(),
        ..live()
    }
}

pub fn shown() -> Shown {
    Shown {
        strict: Strict::Trusted {
            version: "TLS 1.3",
            suite: "TLS13_AES_256_GCM_SHA384".into(),
            group: "X25519".into(),
        },
        certificate: Some(Certificate {
            ends: Some(NOW.secs() + 60 * 86_400),
            names_host: true,
            sent: 2,
            key: "P-256".into(),
        }),
        legacy: Ok(Answer::Alert(70)),
        weak: Ok(Answer::Alert(40)),
        hybrid: Ok(Answer::Picked { version: hello::TLS13, suite: 0x1301, group: Some(0x11ec) }),
    }
}

pub fn unsound_shown() -> Shown {
    Shown {
        strict: Strict::Untrusted(Fault::Expired),
        certificate: shown().certificate.map(|certificate| Certificate { ends: Some(0), ..certificate }),
        legacy: Ok(Answer::Picked { version: hello::TLS10, suite: 0xc013, group: None }),
        weak: Ok(Answer::Picked { version: hello::TLS12, suite: 0x002f, group: None }),
        hybrid: Ok(Answer::Other),
    }
}

pub fn looked(shown: Seen<Shown>) -> Vec<Looked> {
    vec![Looked { name: "music.example:443".to_owned(), kind: Kind::Secured, shown }]
}

pub fn proof(as_expected: bool) -> Proof {
    let outcomes = || Ok(vec![Outcome { what: "a probe", as_expected, said: "answered 200".to_owned() }]);
    Proof { tls: outcomes(), targets: outcomes(), redirects: outcomes() }
}

pub fn facts(shown: Seen<Shown>, live: Live, as_expected: bool) -> Facts {
    Facts {
        servers: looked(shown.clone()),
        no_server: "none",
        upstreams: looked(shown),
        skew: Ok(if as_expected { -1 } else { 3600 }),
        proof: proof(as_expected),
        signing: proof(as_expected).tls.unwrap(),
        live: Some(Ok(live)),
        declared: Declared {
            public_tls: true,
            listens_on_loopback: true,
            proxies: vec![if as_expected { "127.0.0.1/32" } else { "0.0.0.0/0" }.to_owned()],
            unlimited: if as_expected { Vec::new() } else { vec!["limits.connections"] },
            ..Declared::default()
        },
    }
}

pub fn passing() -> Facts {
    facts(Ok(shown()), live(), true)
}
