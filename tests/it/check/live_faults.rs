//! `security-check network --live` before a server that is sound but for one thing: each fault that strangers can see, and
//! that a careless look takes for none.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::runtime::{Judged, judged};
use crate::support::server::{binary, folder};

/// The one thing.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    /// The credential is looked at, the origin is not.
    OriginUnseen,
    /// A second authorization server.
    SecondIssuer,
    /// Tokens in fragments.
    Implicit,
    /// Secrets are sent elsewhere to be revoked.
    ForeignRevocation,
    /// Calls can be read by whoever asks, with cookies.
    MirroredCalls,
    /// A cookie without any flag, with a byte that is no ASCII.
    OddCookie,
    /// A second line of a header tells the version.
    SecondBanner,
    /// A policy with the right words, and scripts from everywhere.
    OpenScripts,
    /// A body that tells where the program failed.
    Traceback,
    /// A body without end, so to speak.
    LongBody,
    /// A token that nobody signed is taken.
    Unsigned,
    /// Tokens of this server are told from others, and their signature is looked at by nobody.
    Foreign,
    /// Whatever a proxy would say is believed of anybody.
    Forwarded,
    /// When a token ends is not looked at, nor its signature.
    Expired,
    /// Anybody may listen.
    OpenStream,
    /// Anybody may end sessions.
    OpenEnd,
    /// A refusal tells of people and of the database.
    TellingRefusal,
    /// Caches before it may keep its answers.
    KeptByCaches,
    /// A policy that lets forms be sent anywhere.
    OpenForms,
    /// A second address for tokens, of another host.
    ForeignAlias,
}

async fn serve(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let Some(head) = head(&mut stream).await else { return };
                let reply = answer(&head, address, fault);
                let _ = stream.write_all(&reply).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

/// The head of a request, in lower case but for a credential; its body is read and forgotten.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head: Vec<String> = String::from_utf8_lossy(&bytes[..end])
        .split("\r\n")
        .map(|line| match line.split_once(' ') {
            Some((name, bearer)) if name.eq_ignore_ascii_case("authorization:") => {
                format!("authorization: {bearer}")
            }
            _ => line.to_ascii_lowercase(),
        })
        .collect();
    let head = head.join("\r\n");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.trim().parse().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            break;
        }
    }
    Some(head)
}

/// The headers of every answer.
fn always(fault: Fault) -> String {
    let scripts = match fault {
        Fault::OpenScripts => "; script-src * 'unsafe-inline'",
        Fault::OpenForms => "; form-action http: https:",
        _ => "",
    };
    let mut always = format!(
        "x-content-type-options: nosniff\r\ncache-control: no-store\r\nserver: sound\r\n\
         content-security-policy: default-src 'none'{scripts}; frame-ancestors 'none'\r\nconnection: close\r\n"
    );
    if fault == Fault::SecondBanner {
        always.push_str("server: nginx/1.2.3 PHP/5.3\r\n");
    }
    if fault == Fault::KeptByCaches {
        always.push_str("cdn-cache-control: public, max-age=3600\r\n");
    }
    always
}

fn answer(head: &str, address: SocketAddr, fault: Fault) -> Vec<u8> {
    let mut ours = format!("http://{address}");
    if fault == Fault::Forwarded && head.contains("\r\nx-forwarded-host: ") {
        ours = "http://foreign.invalid".to_owned();
    }
    let line = head.lines().next().unwrap_or_default();
    let has = |header: &str| head.contains(&format!("\r\n{header}: "));
    let has_origin = has("origin");
    let json = "content-type: application/json\r\naccess-control-allow-origin: *\r\n";
    let always = always(fault);
    let reply = |status: u16, more: &str, body: &str| {
        let length = body.len();
        format!("HTTP/1.1 {status} x\r\n{always}{more}content-length: {length}\r\n\r\n{body}").into_bytes()
    };
    let challenge = |error: &str| {
        let metadata = format!("{ours}/.well-known/oauth-protected-resource/mcp");
        format!("www-authenticate: Bearer {error}resource_metadata=\"{metadata}\"\r\n")
    };
    match line.split(' ').take(2).collect::<Vec<_>>()[..] {
        _ if head.lines().count() > 200 => reply(431, "", ""),
        _ if head.contains("\r\nhost: foreign.invalid") => reply(403, "", ""),
        ["get", "/"] if fault == Fault::Traceback => {
            reply(200, "", "Traceback (most recent call last): password = hunter2")
        }
        ["get", "/"] if fault == Fault::LongBody => reply(200, "", &"x".repeat(2 << 20)),
        ["get", "/"] => reply(200, "", "<html>"),
        ["get", "/.well-known/oauth-protected-resource"] => reply(200, json, &resource(&ours, fault)),
        ["get", "/.well-known/oauth-authorization-server"] => reply(200, json, &metadata(&ours, fault)),
        ["options", "/mcp"] => reply(204, "access-control-allow-origin: *\r\n", ""),
        ["post", "/mcp"] if has_origin => match fault {
            Fault::OriginUnseen => reply(401, &challenge(""), ""),
            Fault::MirroredCalls => reply(
                403,
                "access-control-allow-origin: https://foreign.invalid\r\naccess-control-allow-credentials: true\r\n",
                "",
            ),
            _ => reply(403, "access-control-allow-origin: *\r\n", ""),
        },
        ["get", "/mcp"] if fault == Fault::OpenStream => {
            // It goes on without an end.
            b"HTTP/1.1 200 x\r\ncontent-type: text/event-stream\r\ncontent-length: 1000\r\n\r\n:\n".to_vec()
        }
        ["delete", "/mcp"] if fault == Fault::OpenEnd => reply(204, "", ""),
        ["put", "/mcp"] => reply(405, "", ""),
        ["get" | "delete", "/mcp"] => reply(401, &challenge(""), ""),
        ["post", "/mcp"] if fault == Fault::TellingRefusal && has("authorization") => {
            let body = r#"{"users":["ada@example.org"],"db":"mysql://root:hunter2@db/x"}"#;
            reply(401, &challenge("error=\"invalid_token\", "), body)
        }
        ["post", "/mcp"] if takes(head, fault) => reply(200, "", "{}"),
        ["post", "/mcp"] if has("authorization") => reply(401, &challenge("error=\"invalid_token\", "), ""),
        ["post", "/mcp" | "/mcp?access_token=invented"] => reply(401, &challenge(""), ""),
        ["get", "/auth/login"] if fault == Fault::OddCookie => {
            let cookie = reply(302, "set-cookie: sid=secrEt; Domain=music.example\r\n", "");
            cookie.into_iter().map(|byte| if byte == b'E' { 0xe9 } else { byte }).collect()
        }
        ["get", "/auth/login"] => {
            reply(302, "set-cookie: smcp-login-0a1b2c3d=x; HttpOnly; SameSite=Lax; Path=/\r\n", "")
        }
        _ => reply(404, "", "not here"),
    }
}

/// Whether a token is taken that nobody issued.
fn takes(head: &str, fault: Fault) -> bool {
    let token = head.lines().find_map(|line| line.strip_prefix("authorization: Bearer "));
    let parts: Vec<&str> = token.unwrap_or_default().split('.').collect();
    let [_, claims, signature] = parts[..] else { return false };
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
    let is_ours = claims["aud"].as_str().unwrap().starts_with(claims["iss"].as_str().unwrap());
    let is_over = claims["exp"].as_i64().unwrap() < 1_800_000_000;
    match fault {
        Fault::Unsigned => signature.is_empty() && is_ours && !is_over,
        Fault::Foreign => !signature.is_empty() && !is_over && !is_ours,
        Fault::Expired => !signature.is_empty() && is_ours && is_over,
        _ => false,
    }
}

fn resource(ours: &str, fault: Fault) -> String {
    let more = if fault == Fault::SecondIssuer { ",\"https://evil.example\"" } else { "" };
    format!(r#"{{"resource":"{ours}/mcp","authorization_servers":["{ours}"{more}]}}"#)
}

fn metadata(ours: &str, fault: Fault) -> String {
    let types = if fault == Fault::Implicit { r#""code","token""# } else { r#""code""# };
    let there = if fault == Fault::ForeignRevocation { "http://evil.example" } else { ours };
    let aliases = match fault {
        Fault::ForeignAlias => r#""mtls_endpoint_aliases":{"token_endpoint":"http://evil.example/token"},"#,
        _ => "",
    };
    format!(
        r#"{{"issuer":"{ours}","authorization_endpoint":"{ours}/authorize","token_endpoint":"{ours}/token",
        "revocation_endpoint":"{there}/revoke",{aliases}"response_types_supported":[{types}],
        "response_modes_supported":["query"],"code_challenge_methods_supported":["S256"],
        "grant_types_supported":["authorization_code","refresh_token"]}}"#
    )
}

async fn looked(fault: Fault) -> Judged {
    let address = serve(fault).await;
    let data = folder();
    let mut command = binary();
    command.args([
        "security-check",
        "network",
        "--only",
        "server,SMC4009",
        "--fail-on",
        "low",
        "--live",
        &format!("http://{address}"),
    ]);
    command.env("DATA_DIR", data.join("data"));
    let judged = judged(command).await;
    let _ = std::fs::remove_dir_all(data);
    judged
}

/// Those that a stranger's look decides.
const SEEN: [&str; 7] = ["SMC3004", "SMC4009", "SMC4010", "SMC4012", "SMC4013", "SMC4014", "SMC4018"];

#[tokio::test]
async fn each_fault_that_a_stranger_can_see_is_found_and_only_it() {
    let sound = looked(Fault::None).await;
    for id in SEEN {
        assert_eq!(sound.state(id), "pass", "{id}: {:#?}", sound.findings(id));
    }
    for (fault, id, state) in [
        (Fault::OriginUnseen, "SMC4018", "fail"),
        (Fault::SecondIssuer, "SMC4012", "fail"),
        (Fault::Implicit, "SMC4012", "fail"),
        (Fault::ForeignRevocation, "SMC4012", "fail"),
        (Fault::MirroredCalls, "SMC4013", "fail"),
        (Fault::OddCookie, "SMC4014", "fail"),
        (Fault::SecondBanner, "SMC4010", "fail"),
        (Fault::OpenScripts, "SMC4010", "fail"),
        (Fault::Traceback, "SMC4010", "fail"),
        (Fault::LongBody, "SMC4010", "error"),
        (Fault::Unsigned, "SMC3004", "fail"),
        (Fault::Forwarded, "SMC4009", "fail"),
        (Fault::Foreign, "SMC3004", "fail"),
        (Fault::Expired, "SMC3004", "fail"),
        (Fault::OpenStream, "SMC3004", "fail"),
        (Fault::OpenEnd, "SMC3004", "fail"),
        (Fault::TellingRefusal, "SMC4010", "fail"),
        (Fault::KeptByCaches, "SMC4010", "fail"),
        (Fault::OpenForms, "SMC4010", "fail"),
        (Fault::ForeignAlias, "SMC4012", "fail"),
    ] {
        let judged = looked(fault).await;
        assert_eq!(judged.state(id), state, "{fault:?}: {:#?}", judged.findings(id));
        assert_ne!(judged.status, 0, "{fault:?}");
        // What cannot be read is unseen by whatever else reads it.
        let others = SEEN.iter().filter(|other| **other != id && fault != Fault::LongBody);
        for other in others {
            assert_eq!(judged.state(other), "pass", "{fault:?}: {:#?}", judged.findings(other));
        }
    }
}
