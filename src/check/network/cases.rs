//! Made-up facts of this area: what a sound server shows, and for each rule one thing wrong.
//!
//! The self-test and the tests judge them. Never: asking anybody.

use http::{HeaderMap, HeaderName, HeaderValue};

use super::hello::{self, Answer};
use super::live::{FOREIGN, Live, Plain};
use super::proof::{Outcome, Proof};
use super::tls::{Certificate, Fault, Shown, Strict};
use super::web::Reply;
use super::{At, Declared, Facts, Kind, Looked};
use crate::check::finding::Seen;
use crate::check::self_test::{Case, NOW};
use crate::config::Network;

const ORIGIN: &str = "https://music.example";
const CSP: &str = "default-src 'none'; frame-ancestors 'none'";

pub(super) fn reply(status: u16, headers: &[(&str, &str)], body: &str) -> Seen<Reply> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            map.append(name, value);
        }
    }
    Ok(Reply { status, headers: map, body: body.to_owned() })
}

/// With the security headers of every answer of ours.
pub(super) fn sound(status: u16, more: &[(&str, &str)], body: &str) -> Seen<Reply> {
    let always = [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", CSP),
        ("strict-transport-security", "max-age=31536000"),
    ];
    reply(status, &[&always[..], more].concat(), body)
}

pub(super) fn challenge(error: &str) -> String {
    format!(
        "Bearer {error}resource_metadata=\"{ORIGIN}/.well-known/oauth-protected-resource/mcp\", scope=\"read\""
    )
}

pub(super) fn live() -> Live {
    let json = ("content-type", "application/json");
    let open = ("access-control-allow-origin", "*");
    let resource = format!(r#"{{"resource":"{ORIGIN}/mcp","authorization_servers":["{ORIGIN}"]}}"#);
    let metadata = format!(
        r#"{{"issuer":"{ORIGIN}","authorization_endpoint":"{ORIGIN}/authorize","token_endpoint":"{ORIGIN}/token",
        "response_types_supported":["code"],"response_modes_supported":["query"],
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
        foreign_page: sound(200, &[], "<html>"),
        missing: sound(404, &[], "not here"),
        resource: sound(200, &[json, open], &resource),
        metadata: sound(200, &[json, open], &metadata),
        preflight: reply(204, &[open], ""),
        anonymous: sound(401, &[("www-authenticate", &missing)], ""),
        invented: sound(401, &[("www-authenticate", &invalid)], ""),
        unsigned: sound(401, &[("www-authenticate", &invalid)], ""),
        foreign: sound(401, &[("www-authenticate", &invalid)], ""),
        expired: sound(401, &[("www-authenticate", &invalid)], ""),
        in_address: sound(401, &[("www-authenticate", &missing)], ""),
        stream: sound(401, &[("www-authenticate", &missing)], ""),
        ending: sound(401, &[("www-authenticate", &missing)], ""),
        put: sound(401, &[("www-authenticate", &missing)], ""),
        forwarded: sound(200, &[json, open], &metadata),
        forwarded_metrics: reply(401, &[], ""),
        other_host: reply(403, &[], ""),
        other_origin: sound(403, &[open], ""),
        login: sound(302, &[cookie], ""),
        metrics: reply(404, &[], ""),
        wide: reply(431, &[], ""),
        plain: reply(308, &[("location", "https://music.example/")], "").map(Plain::Answered),
    }
}

pub(super) fn shown() -> Shown {
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
        unprotected: Ok(Answer::Alert(40)),
        short: Ok(Answer::Alert(40)),
        hybrid: Ok(Answer::Picked { version: hello::TLS13, suite: 0x1301, group: Some(0x11ec) }),
    }
}

pub(super) fn looked(shown: Seen<Shown>) -> Vec<Looked> {
    let at = vec![At { address: None, shown }];
    let (without_way, more) = (Vec::new(), 0);
    vec![Looked { name: "music.example:443".to_owned(), kind: Kind::Secured, at, without_way, more }]
}

/// Those that are well formed.
pub(super) fn networks(texts: &[&str]) -> Vec<Network> {
    texts.iter().filter_map(|text| text.parse().ok()).collect()
}

fn outcomes(as_expected: bool) -> Vec<Outcome> {
    vec![Outcome { what: "a probe", as_expected, said: "answered 200".to_owned() }]
}

/// A server with nothing against it.
pub(super) fn passing() -> Facts {
    Facts {
        servers: looked(Ok(shown())),
        no_server: "none",
        upstreams: looked(Ok(shown())),
        skew: Ok(-1),
        proof: Proof { tls: Ok(outcomes(true)), targets: Ok(outcomes(true)), redirects: Ok(outcomes(true)) },
        signing: outcomes(true),
        live: Some(Ok(live())),
        declared: Declared {
            public_tls: true,
            listens_on_loopback: true,
            proxies: networks(&["127.0.0.1/32"]),
            ..Declared::default()
        },
    }
}

/// A case for every rule.
pub fn cases() -> Vec<Case<Facts>> {
    let case = |(id, mutation, change): &Change| {
        let mut changed = passing();
        match change {
            Changed::Facts(change) => change(&mut changed),
            Changed::Shown(change) => {
                let all = changed.servers.iter_mut().chain(&mut changed.upstreams);
                all.flat_map(|looked| &mut looked.at)
                    .filter_map(|at| at.shown.as_mut().ok())
                    .for_each(change);
            }
            Changed::Live(change) => changed.live.iter_mut().flatten().for_each(change),
        }
        Case { id, mutation, sound: passing(), changed }
    };
    CHANGES.iter().map(case).collect()
}

/// A check, what is wrong, and how the facts come to show it.
type Change = (&'static str, &'static str, Changed);

enum Changed {
    Facts(fn(&mut Facts)),
    Shown(fn(&mut Shown)),
    Live(fn(&mut Live)),
}

fn without(reply: &mut Seen<Reply>, header: &str) {
    reply.iter_mut().for_each(|reply| drop(reply.headers.remove(header)));
}

const CHANGES: &[Change] = &[
    (
        "SMC3004",
        "a call with an invented token is answered 200",
        Changed::Live(|live| live.invented = sound(200, &[], "{}")),
    ),
    (
        "SMC4001",
        "the server still speaks TLS 1.0",
        Changed::Shown(|shown| {
            shown.legacy = Ok(Answer::Picked { version: hello::TLS10, suite: 0xc013, group: None });
        }),
    ),
    (
        "SMC4002",
        "it agrees to a suite without forward secrecy",
        Changed::Shown(|shown| {
            shown.weak = Ok(Answer::Picked { version: hello::TLS12, suite: 0x002f, group: None });
        }),
    ),
    (
        "SMC4003",
        "its certificate has expired",
        Changed::Shown(|shown| shown.strict = Strict::Untrusted(Fault::Expired)),
    ),
    (
        "SMC4004",
        "a certificate that must be refused is not",
        Changed::Facts(|facts| facts.proof.tls = Ok(outcomes(false))),
    ),
    (
        "SMC4005",
        "an address that must be refused is not",
        Changed::Facts(|facts| facts.proof.targets = Ok(outcomes(false))),
    ),
    (
        "SMC4006",
        "a redirect is followed",
        Changed::Facts(|facts| facts.proof.redirects = Ok(outcomes(false))),
    ),
    (
        "SMC4007",
        "a part of a signed request can be changed",
        Changed::Facts(|facts| facts.signing = outcomes(false)),
    ),
    (
        "SMC4009",
        "everybody is a trusted proxy",
        Changed::Facts(|facts| facts.declared.proxies = networks(&["0.0.0.0/0"])),
    ),
    (
        "SMC4010",
        "the landing page may be sniffed",
        Changed::Live(|live| without(&mut live.page, "x-content-type-options")),
    ),
    (
        "SMC4011",
        "a limit is switched off",
        Changed::Facts(|facts| facts.declared.unlimited = vec!["limits.connections"]),
    ),
    ("SMC4012", "discovery is not there", Changed::Live(|live| live.metadata = sound(404, &[], "not here"))),
    (
        "SMC4013",
        "the preflight repeats whatever origin asks",
        Changed::Live(|live| live.preflight = reply(204, &[("access-control-allow-origin", FOREIGN)], "")),
    ),
    (
        "SMC4014",
        "a cookie is within reach of scripts",
        Changed::Live(|live| {
            let cookie = "__Host-smcp-login-0a1b2c3d=x; Path=/; Secure; SameSite=Lax";
            live.login = sound(302, &[("set-cookie", cookie)], "");
        }),
    ),
    (
        "SMC4015",
        "plain HTTP is answered",
        Changed::Live(|live| live.plain = reply(200, &[], "<html>").map(Plain::Answered)),
    ),
    ("SMC4016", "strangers read metrics", Changed::Live(|live| live.metrics = reply(200, &[], "up 1"))),
    (
        "SMC4017",
        "an upstream's certificate is for another name",
        Changed::Shown(|shown| shown.strict = Strict::Untrusted(Fault::WrongName)),
    ),
    (
        "SMC4018",
        "another host's name is answered 200",
        Changed::Live(|live| live.other_host = reply(200, &[], "<html>")),
    ),
    ("SMC6004", "the clock is an hour off", Changed::Facts(|facts| facts.skew = Ok(3_600))),
];
