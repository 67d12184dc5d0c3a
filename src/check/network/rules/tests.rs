//! What every rule says in the cases between. That each passes and fails is the self-test's.

use http::{HeaderName, HeaderValue};

use super::*;
use crate::check::finding::{Severity, State};
use crate::check::network::cases::{challenge, live, looked, networks, passing, reply, shown, sound};
use crate::check::network::connecting::NoConnection;
use crate::check::network::hello::{self, Answer};
use crate::check::network::live::{FOREIGN, Plain};
use crate::check::network::proof::Proof;
use crate::check::network::tls::{Fault, Shown, Strict};
use crate::check::network::{At, Kind};
use crate::check::profile::Profile;
use crate::check::proving::{NOW, verdicts};

fn unseen<T>() -> Seen<T> {
    Err(Unseen::because("hidden"))
}

fn said(id: &str, facts: &Facts) -> Vec<Verdict> {
    verdicts(RULES, id, facts, Profile::Production)
}

/// On a sound server that was changed so.
fn on(id: &str, change: impl FnOnce(&mut Facts)) -> Verdict {
    let mut facts = passing();
    change(&mut facts);
    said(id, &facts).remove(0)
}

fn on_shown(id: &str, change: impl FnOnce(&mut Shown)) -> Verdict {
    on(id, |facts| {
        let mut shown = shown();
        change(&mut shown);
        facts.servers = looked(Ok(shown.clone()));
        facts.upstreams = looked(Ok(shown));
    })
}

fn on_live(id: &str, change: impl FnOnce(&mut Live)) -> Verdict {
    on(id, |facts| {
        let mut live = live();
        change(&mut live);
        facts.live = Some(Ok(live));
    })
}

#[test]
fn what_cannot_be_reached_is_an_error_and_never_a_pass() {
    let mut facts = passing();
    facts.servers = looked(unseen());
    facts.upstreams = looked(unseen());
    facts.skew = unseen();
    facts.proof = Proof { tls: unseen(), targets: unseen(), redirects: unseen() };
    facts.live = Some(unseen());
    for rule in RULES.iter().filter(|rule| rule.id != "SMC4007") {
        let verdicts = said(rule.id, &facts);
        let last = verdicts.last().unwrap();
        assert_eq!(last.state, State::Error, "{}", rule.id);
        assert!(last.observed.contains("hidden"), "{}", last.observed);
    }
    // A server that stops answering in the midst of it.
    let silent = |id| {
        on_live(id, |live| {
            for reply in [
                &mut live.page,
                &mut live.foreign_page,
                &mut live.missing,
                &mut live.resource,
                &mut live.metadata,
                &mut live.preflight,
                &mut live.anonymous,
                &mut live.invented,
                &mut live.unsigned,
                &mut live.foreign,
                &mut live.expired,
                &mut live.in_address,
                &mut live.stream,
                &mut live.ending,
                &mut live.put,
                &mut live.forwarded,
                &mut live.other_host,
                &mut live.other_origin,
                &mut live.login,
                &mut live.metrics,
            ] {
                *reply = unseen();
            }
            live.plain = unseen();
        })
    };
    for id in ["SMC3004", "SMC4018", "SMC4010", "SMC4012", "SMC4013", "SMC4014", "SMC4015", "SMC4016"] {
        assert_eq!(silent(id).state, State::Error, "{id}");
    }
}

#[test]
fn without_a_server_there_is_nothing_to_judge() {
    let mut facts = passing();
    facts.servers = Vec::new();
    facts.upstreams = Vec::new();
    facts.live = None;
    for id in ["SMC3004", "SMC4001", "SMC4002", "SMC4003", "SMC4010", "SMC4015", "SMC4016", "SMC4017"] {
        assert_eq!(said(id, &facts)[0].state, State::NotApplicable, "{id}");
    }
    facts.servers = looked(unseen());
    facts.servers[0].kind = Kind::PlainLoopback;
    assert_eq!(said("SMC4001", &facts)[0].state, State::NotApplicable);
    facts.servers[0].kind = Kind::Plain;
    let verdict = said("SMC4001", &facts).remove(0);
    assert_eq!((verdict.state, verdict.severity), (State::Fail, Some(Severity::Critical)));
}

#[test]
fn every_address_of_a_name_counts() {
    let at = |last: u8, shown: Seen<Shown>| At { address: Some(([192, 0, 2, last], 443).into()), shown };
    let expired = || {
        let mut shown = shown();
        shown.strict = Strict::Untrusted(Fault::Expired);
        Ok(shown)
    };
    let with = |all: Vec<At>| {
        let mut facts = passing();
        facts.servers[0].at = all;
        said("SMC4003", &facts)
    };
    let sound = with(vec![at(1, Ok(shown())), at(2, Ok(shown()))]);
    assert!(sound.len() == 1 && sound[0].state == State::Pass && sound[0].observed.contains("2 addresses"));
    let second = with(vec![at(1, Ok(shown())), at(2, expired())]);
    assert_eq!((second.len(), second[0].state), (1, State::Fail));
    assert!(second[0].observed.contains("at 1 of 2 addresses, 192.0.2.2:443"), "{}", second[0].observed);
    assert_eq!(second[0].subject, with(vec![at(1, expired())])[0].subject, "whichever address it is");
    let hidden = with(vec![at(1, Ok(shown())), at(2, unseen())]);
    assert_eq!((hidden.len(), hidden[0].state), (1, State::Error));
    let both = with(vec![at(1, unseen()), at(2, expired()), at(3, Ok(shown()))]);
    assert_eq!((both[0].state, both[1].state), (State::Fail, State::Error));
    // The graver of two faults is told.
    let mut ending = shown();
    ending.certificate.as_mut().unwrap().ends = Some(NOW.secs() + 86_400);
    assert_eq!(with(vec![at(1, Ok(ending)), at(2, expired())])[0].severity, None);
    let mut facts = passing();
    facts.servers[0].without_way = vec!["[2001:db8::1]:443".parse().unwrap()];
    facts.servers[0].more = 3;
    let words = said("SMC4003", &facts).remove(0).observed;
    assert!(words.contains("[2001:db8::1]:443") && words.contains("3 more"), "{words}");
}

#[test]
fn every_fault_of_a_certificate_is_told_with_its_remedy() {
    for (fault, word) in [
        (Fault::Expired, "expired"),
        (Fault::NotYetValid, "not valid yet"),
        (Fault::WrongName, "other names"),
        (Fault::SelfSigned, "signs itself"),
        (Fault::NoPath, "no trusted authority"),
        (Fault::SmallKey, "RSA key is too small"),
        (Fault::Other, "not in order"),
    ] {
        let verdict = on_shown("SMC4003", |shown| shown.strict = Strict::Untrusted(fault));
        assert!(verdict.state == State::Fail && verdict.observed.contains(word), "{}", verdict.observed);
        assert!(verdict.fix.is_some());
        assert_eq!(on_shown("SMC4017", |shown| shown.strict = Strict::Untrusted(fault)).state, State::Fail);
    }
    let alone = on_shown("SMC4003", |shown| {
        shown.strict = Strict::Untrusted(Fault::NoPath);
        shown.certificate.as_mut().unwrap().sent = 1;
    });
    assert!(alone.observed.contains("missing"), "{}", alone.observed);
    let soon =
        on_shown("SMC4003", |shown| shown.certificate.as_mut().unwrap().ends = Some(NOW.secs() + 5 * 86_400));
    assert!(
        soon.observed.contains("5 days left") && soon.severity == Some(Severity::High),
        "{}",
        soon.observed
    );
    for (days, profile, severity) in [
        (5, Profile::Bank, Severity::High),
        (5, Profile::Staging, Severity::Medium),
        (10, Profile::Production, Severity::Medium),
        (7, Profile::Production, Severity::Medium),
    ] {
        let mut facts = passing();
        let mut shown = shown();
        shown.certificate.as_mut().unwrap().ends = Some(NOW.secs() + days * 86_400);
        facts.servers = looked(Ok(shown));
        let verdict = verdicts(RULES, "SMC4003", &facts, profile).remove(0);
        assert_eq!((verdict.state, verdict.severity), (State::Fail, Some(severity)), "{days} {profile:?}");
    }
    assert_eq!(on_shown("SMC4003", |shown| shown.certificate = None).state, State::Error);
}

#[test]
fn a_server_that_speaks_nothing_of_ours_is_not_taken_for_a_safe_one() {
    let refused = |shown: &mut Shown| shown.strict = Strict::Refused("no version in common".into());
    for id in ["SMC4001", "SMC4002", "SMC4003", "SMC4017"] {
        assert_eq!(on_shown(id, refused).state, State::Error, "{id}");
    }
    let verdict = on_shown("SMC4001", |shown| {
        refused(shown);
        shown.legacy = Ok(Answer::Picked { version: hello::TLS11, suite: 0xc013, group: None });
    });
    assert!(verdict.state == State::Fail && verdict.observed.contains("TLS 1.1"), "{}", verdict.observed);
    assert_eq!(on_shown("SMC4001", |shown| shown.legacy = unseen()).state, State::Error);
    assert_eq!(on_shown("SMC4002", |shown| shown.weak = unseen()).state, State::Error);
    // Hanging up, or an alert about something else, is no refusal.
    for unsaid in [Answer::Other, Answer::Alert(112), Answer::Alert(80)] {
        assert_eq!(on_shown("SMC4001", |shown| shown.legacy = Ok(unsaid)).state, State::Error);
        assert_eq!(on_shown("SMC4002", |shown| shown.weak = Ok(unsaid)).state, State::Error);
        assert_eq!(on_shown("SMC4002", |shown| shown.unprotected = Ok(unsaid)).state, State::Error);
        assert_eq!(on_shown("SMC4002", |shown| shown.short = Ok(unsaid)).state, State::Error);
    }
    let short = on_shown("SMC4002", |shown| {
        let suite = hello::SHORT_TAGS;
        shown.short = Ok(Answer::Picked { version: hello::TLS13, suite, group: None });
    });
    assert!(short.state == State::Fail && short.observed.contains("0x1305"), "{}", short.observed);
    // A suite without protection is found though the others were not told of.
    for version in [hello::TLS10, hello::TLS12] {
        let bare = on_shown("SMC4002", |shown| {
            refused(shown);
            shown.weak = Ok(Answer::Other);
            shown.unprotected = Ok(Answer::Picked { version, suite: 0x0002, group: None });
        });
        assert!(
            bare.observed.contains("0x0002") && bare.severity == Some(Severity::Critical),
            "{}",
            bare.observed
        );
    }
    let classic = on_shown("SMC4002", |shown| shown.hybrid = Ok(Answer::Alert(40)));
    assert!(classic.state == State::Pass && classic.observed.contains("no key exchange against quantum"));
}

#[test]
fn proxies_are_judged_by_where_tls_ends() {
    let with = |proxies: &[&str], own_tls, public_tls| {
        on("SMC4009", |facts| {
            facts.declared.proxies = networks(proxies);
            (facts.declared.own_tls, facts.declared.public_tls) = (own_tls, public_tls);
        })
    };
    assert_eq!(with(&[], true, true).state, State::Pass);
    assert_eq!(with(&[], false, false).state, State::Pass);
    assert_eq!(
        (with(&[], false, true).state, with(&[], false, true).severity),
        (State::Fail, Some(Severity::Medium))
    );
    assert_eq!(with(&["10.0.0.0/8", "::/0"], true, true).state, State::Fail);
    let parts: Vec<String> = (0..=255).map(|part| format!("{part}.0.0.0/8")).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    for wide in [
        &["0.0.0.0/1", "128.0.0.0/1"][..],
        &["::/1", "8000::/1"],
        &["128.0.0.0/1"],
        &["2000::/3"],
        &["64:ff9b::/96"],
        &["64:ff9b:1::/48"],
        &["2002::/16"],
        &["2001::/32"],
        &["9.0.0.0/8", "8.0.0.0/8"],
        &parts,
    ] {
        assert_eq!(with(wide, true, true).state, State::Fail, "{wide:?}");
    }
    for known in [
        &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"][..],
        &["64:ff9b::cb00:7100/120", "2002:cb00:7100::/40"],
        &["104.16.0.0/13", "104.16.0.0/13", "172.64.0.0/13", "2606:4700::/32", "2a06:98c0::/29"],
        &["10.0.0.0/7"],
    ] {
        assert_eq!(with(known, true, true).state, State::Pass, "{known:?}");
    }
}

#[test]
fn forged_headers_change_nothing() {
    let with = |change: fn(&mut Live)| {
        let mut live = live();
        change(&mut live);
        said("SMC4009", &Facts { live: Some(Ok(live)), ..passing() }).remove(1)
    };
    assert_eq!(with(|_| {}).state, State::Pass);
    let host = with(|live| live.forwarded = sound(200, &[], "{\"issuer\":\"gopher://foreign.invalid\"}"));
    assert!(host.state == State::Fail && host.observed.contains("discovery answers otherwise"));
    let local = with(|live| live.forwarded_metrics = sound(200, &[], "up 1"));
    assert!(local.state == State::Fail && local.observed.contains("metrics"), "{}", local.observed);
    // Whoever shows them to everybody does so without forged headers too: that is another check's.
    let open =
        |live: &mut Live| (live.metrics, live.forwarded_metrics) = (sound(200, &[], ""), sound(200, &[], ""));
    assert_eq!(with(open).state, State::Pass);
    assert_eq!(said("SMC4009", &Facts { live: None, ..passing() }).len(), 1);
}

#[test]
fn a_waiver_for_one_fault_of_a_server_is_none_for_another() {
    let kinds = |id: &str, change: fn(&mut Shown)| on_shown(id, change).kinds().to_vec();
    let expired = kinds("SMC4003", |shown| shown.strict = Strict::Untrusted(Fault::Expired));
    let renamed = kinds("SMC4003", |shown| shown.strict = Strict::Untrusted(Fault::WrongName));
    let ending = kinds("SMC4003", |shown| {
        shown.certificate.iter_mut().for_each(|one| one.ends = Some(NOW.secs() + 5 * 86_400));
    });
    let all = [&expired, &renamed, &ending];
    assert!(all.iter().all(|kinds| kinds.len() == 1), "{all:?}");
    assert!(expired != renamed && renamed != ending && ending != expired, "{all:?}");
    let speaking = |version| {
        let answer = Ok(Answer::Picked { version, suite: 0xc013, group: None });
        on_shown("SMC4001", |shown| shown.legacy = answer).kinds().to_vec()
    };
    assert_ne!(speaking(hello::TLS10), speaking(hello::TLS11));
    let agreeing = |suite| {
        let answer = Ok(Answer::Picked { version: hello::TLS12, suite, group: None });
        on_shown("SMC4002", |shown| shown.weak = answer).kinds().to_vec()
    };
    assert_ne!(agreeing(0x002f), agreeing(0x0005));
    // The fault of a further address is another one to accept, and no fault's words are part of a subject.
    let at = |last: u8, fault| {
        let mut shown = shown();
        shown.strict = Strict::Untrusted(fault);
        At { address: Some(([192, 0, 2, last], 443).into()), shown: Ok(shown) }
    };
    let mut facts = passing();
    facts.servers[0].at = vec![at(1, Fault::Expired), at(2, Fault::WrongName)];
    let both = said("SMC4003", &facts).remove(0);
    assert_eq!((both.kinds().len(), both.identity[0].as_str()), (2, "music.example:443"));
}

#[test]
fn each_flaw_of_an_answer_is_named() {
    let flaw = |headers: &[(&str, &str)]| {
        on_live("SMC4010", |live| {
            let page = live.page.as_mut().unwrap();
            for (name, value) in headers {
                let name: HeaderName = name.parse().unwrap();
                match value.is_empty() {
                    true => drop(page.headers.remove(name)),
                    false => drop(page.headers.insert(name, HeaderValue::from_str(value).unwrap())),
                }
            }
        })
    };
    for (header, value, word) in [
        ("x-content-type-options", "", "nosniff"),
        ("cache-control", "public", "no-store"),
        ("content-security-policy", "default-src 'none'", "framed"),
        ("content-security-policy", "default-src *; frame-ancestors 'none'", "closed content"),
        ("strict-transport-security", "", "half a year"),
        ("strict-transport-security", "max-age=60", "half a year"),
        ("server", "nginx/1.18.0", "nginx/1.18.0"),
        ("cache-control", "no-store, public", "no-store"),
        ("cdn-cache-control", "public, max-age=3600", "cdn-cache-control"),
        ("surrogate-control", "max-age=3600", "surrogate-control"),
        (
            "content-security-policy",
            "default-src 'none'; style-src 'unsafe-inline' https:; connect-src https:; form-action http: https:; frame-ancestors 'none'",
            "closed content",
        ),
        (
            "content-security-policy",
            "default-src 'none'; script-src * 'unsafe-inline'; frame-ancestors 'none'",
            "closed content",
        ),
    ] {
        let verdict = flaw(&[(header, value)]);
        assert!(
            verdict.state == State::Fail && verdict.observed.contains(word),
            "{header}: {}",
            verdict.observed
        );
        assert_eq!(verdict.subject, "the landing page");
    }
    // A second line counts as the first does, and so does what is no UTF-8.
    for (name, second) in
        [("server", &b"nginx/1.2.3 PHP/5.3"[..]), ("server", b"nginx/1 \xe2"), ("cache-control", b"public")]
    {
        let verdict = on_live("SMC4010", |live| {
            let headers = &mut live.page.as_mut().unwrap().headers;
            headers.append(HeaderName::from_static(name), HeaderValue::from_bytes(second).unwrap());
        });
        assert_eq!(verdict.state, State::Fail, "{name}");
    }
    let traceback = on_live("SMC4010", |live| {
        live.page.as_mut().unwrap().body = "Traceback (most recent call last):".to_owned();
    });
    assert!(traceback.observed.contains("where the program failed"), "{}", traceback.observed);
    assert_eq!(flaw(&[("server", "Caddy")]).state, State::Pass, "a name without a version");
}

#[test]
fn cookies_are_named_without_what_differs_each_time() {
    let with = |cookie: &str, secured: bool| {
        on_live("SMC4014", |live| {
            live.secured = secured;
            live.login = reply(302, &[("set-cookie", cookie)], "");
        })
    };
    let verdict = with("smcp-login-0a1b2c3d=x; HttpOnly; SameSite=Lax", true);
    assert_eq!(verdict.observed, "smcp-login is without Secure; smcp-login is without the prefix __Host-");
    assert_eq!(with("smcp-login-0a1b2c3d=x; HttpOnly; SameSite=Lax", false).state, State::Pass);
    // A byte that is no ASCII hides no cookie.
    let verdict = on_live("SMC4014", |live| {
        let cookie = HeaderValue::from_bytes(b"sid=secr\xe9t; Domain=music.example").unwrap();
        live.login.as_mut().unwrap().headers.append("set-cookie", cookie);
    });
    assert!(verdict.observed.contains("sid is without HttpOnly"), "{}", verdict.observed);
    let verdict = on_live("SMC4014", |live| live.login = reply(200, &[], ""));
    assert_eq!(verdict.state, State::NotApplicable);
}

#[test]
fn plain_http_leads_to_https_or_nowhere() {
    let with = |plain: Seen<Plain>| on_live("SMC4015", |live| live.plain = plain).state;
    let answered = |status, headers: &[(&str, &str)]| with(reply(status, headers, "").map(Plain::Answered));
    for elsewhere in
        ["http://music.example/", "https://evil.example/", "https://music.example:8443/", "/", "x"]
    {
        assert_eq!(answered(301, &[("location", elsewhere)]), State::Fail, "{elsewhere}");
    }
    assert_eq!(answered(301, &[("location", "https://music.example/a")]), State::Pass);
    for (status, state) in [(200, State::Fail), (401, State::Fail), (403, State::Pass), (404, State::Pass)] {
        assert_eq!(answered(status, &[]), state, "{status}");
    }
    assert_eq!(with(Ok(Plain::Closed)), State::Pass);
    assert_eq!(with(Ok(Plain::Nowhere)), State::NotApplicable);
    // A filter that drops is no closed port.
    let late = NoConnection::Late("192.0.2.1:80".parse().unwrap());
    assert_eq!(with(Err(late.into())), State::Error);
    let clear = |loopback| on_live("SMC4015", |live| (live.secured, live.loopback) = (false, loopback)).state;
    assert_eq!((clear(true), clear(false)), (State::NotApplicable, State::Fail));
}

#[test]
fn a_challenge_is_held_to_its_words() {
    let anonymous = |status, challenge: &str| {
        on_live("SMC3004", |live| live.anonymous = reply(status, &[("www-authenticate", challenge)], ""))
    };
    assert!(anonymous(200, "").observed.contains("without a token: answered 200"));
    assert!(anonymous(401, "Bearer").observed.contains("no metadata"));
    assert!(anonymous(401, &challenge("error=\"invalid_token\", ")).observed.contains("missing token"));
    let elsewhere = challenge("").replace("music.example", "other.example");
    assert!(anonymous(401, &elsewhere).observed.contains("no metadata of this server"));
}

#[test]
fn every_method_is_refused_without_a_token() {
    let get =
        on_live("SMC3004", |live| live.stream = sound(200, &[("content-type", "text/event-stream")], ""));
    assert!(get.observed.contains("GET without a token: answered 200"), "{}", get.observed);
    let delete = on_live("SMC3004", |live| live.ending = sound(204, &[], ""));
    assert!(delete.observed.contains("DELETE without a token: answered 204"), "{}", delete.observed);
    let put = |status| on_live("SMC3004", |live| live.put = sound(status, &[], ""));
    assert!(put(200).observed.contains("PUT without a token: answered 200"), "{}", put(200).observed);
    assert_eq!((put(400).state, put(405).state, put(404).state), (State::Fail, State::Pass, State::Pass));
    assert_eq!(on_live("SMC3004", |live| live.anonymous = sound(405, &[], "")).state, State::Fail);
}

#[test]
fn whoever_is_refused_learns_nothing_of_others() {
    let told = |body: &str| {
        let mut live = live();
        live.invented.as_mut().unwrap().body = body.to_owned();
        let said = said("SMC4010", &Facts { live: Some(Ok(live)), ..passing() });
        said.into_iter().find(|verdict| verdict.subject.starts_with("what is said to whoever")).unwrap()
    };
    assert_eq!(told("{\"error\":\"invalid_token\"}").state, State::Pass);
    for body in
        ["{\"users\":[\"ada@example.org\"]}", "mysql://root:hunter2@db/x", "  File \"/x.py\", line 3, in f"]
    {
        let verdict = told(body);
        assert!(verdict.state == State::Fail && verdict.observed.contains("invented token: the body tells"));
    }
}

#[test]
fn discovery_is_held_to_this_origin() {
    for (from, to, word) in [
        (r#""issuer":"https://music"#, r#""issuer":"https://other"#, "issuer"),
        (r#""token_endpoint":"https://music"#, r#""token_endpoint":"http://music"#, "token_endpoint"),
        (r#"["S256"]"#, r#"["S256","plain"]"#, "S256 alone"),
        (r#""refresh_token""#, r#""implicit""#, "done away"),
        (r#""grant_types_supported""#, r#""grants""#, "done away"),
        (r#"["code"]"#, r#"["code","token"]"#, "response type"),
        (r#"["query"]"#, r#"["query","fragment"]"#, "response mode"),
        (
            r#""issuer""#,
            r#""revocation_endpoint":"https://evil.example/revoke","issuer""#,
            "revocation_endpoint",
        ),
        (
            r#""issuer""#,
            r#""mtls_endpoint_aliases":{"token_endpoint":"http://evil.example/token"},"issuer""#,
            "mtls_endpoint_aliases.token_endpoint",
        ),
        (r#""issuer""#, r#""x":{"y":[{"z":"https://evil.example"}]},"issuer""#, "x.y.z"),
        (r#""issuer""#, r#""signed_metadata":"a.b.c","issuer""#, "signed metadata"),
        (r#""issuer""#, r#""service_documentation":"javascript:alert(1)","issuer""#, "no address of the web"),
        (r#""issuer""#, r#""jwks_uri":"https://music.example.evil/keys","issuer""#, "jwks_uri"),
        ("{", "<", "no JSON"),
    ] {
        let verdict = on_live("SMC4012", |live| {
            let metadata = live.metadata.as_mut().unwrap();
            assert!(metadata.body.contains(from), "{from}");
            metadata.body = metadata.body.replace(from, to);
        });
        assert!(
            verdict.state == State::Fail && verdict.observed.contains(word),
            "{word}: {}",
            verdict.observed
        );
    }
    let verdict = on_live("SMC4012", |live| live.resource.as_mut().unwrap().body = "{}".to_owned());
    assert!(verdict.observed.contains("another origin") && verdict.observed.contains("authorization server"));
    let verdict = on_live("SMC4012", |live| {
        let resource = live.resource.as_mut().unwrap();
        resource.body = resource.body.replace("[\"https", "[\"https://evil.example\",\"https");
    });
    assert!(verdict.observed.contains("the one authorization server"), "{}", verdict.observed);
}

#[test]
fn pages_stay_closed_and_programs_answers_open() {
    let verdict = on_live("SMC4013", |live| {
        let page = live.foreign_page.as_mut().unwrap();
        page.headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    });
    assert!(verdict.observed.contains("pages for people"), "{}", verdict.observed);
    let verdict = on_live("SMC4013", |live| {
        let mirrored =
            [("access-control-allow-origin", FOREIGN), ("access-control-allow-credentials", "true")];
        live.other_origin = sound(401, &mirrored, "");
    });
    for words in ["from another origin may be read with cookies", "from another origin repeats"] {
        assert!(verdict.observed.contains(words), "{}", verdict.observed);
    }
    let verdict = on_live("SMC4013", |live| live.preflight = reply(405, &[], ""));
    assert!(verdict.observed.contains("clients in browsers"), "{}", verdict.observed);
}

#[test]
fn who_looks_at_the_credential_alone_does_not_look_at_the_origin() {
    let origin = |status| {
        let mut live = live();
        live.other_origin = sound(status, &[], "");
        let facts = Facts { live: Some(Ok(live)), ..passing() };
        said("SMC4018", &facts).remove(1).state
    };
    assert_eq!((origin(403), origin(401), origin(200)), (State::Pass, State::Fail, State::Fail));
    let unsigned = on_live("SMC3004", |live| live.unsigned = sound(200, &[], "{}"));
    assert!(unsigned.observed.contains("nobody signed: answered 200"), "{}", unsigned.observed);
    // Asked for by another name than its own: that is what is to be mended.
    let renamed = on_live("SMC3004", |live| live.origin = "http://127.0.0.1:8000".to_owned());
    assert!(renamed.fix.unwrap().contains("--live https://music.example"), "{}", renamed.observed);
    let open = on_live("SMC3004", |live| {
        live.origin = "http://127.0.0.1:8000".to_owned();
        live.invented = sound(200, &[], "{}");
    });
    assert_eq!(open.fix, None, "that is graver");
    let foreign = on_live("SMC3004", |live| live.foreign = sound(200, &[], "{}"));
    assert!(foreign.observed.contains("another server: answered 200"), "{}", foreign.observed);
    let expired = on_live("SMC3004", |live| live.expired = sound(200, &[], "{}"));
    assert!(expired.observed.contains("time is over: answered 200"), "{}", expired.observed);
}

#[test]
fn a_busy_server_is_no_evidence_of_a_limit() {
    let wide = |reply: Seen<Reply>| {
        let mut facts = passing();
        facts.live = Some(Ok(Live { wide: reply, ..live() }));
        said("SMC4011", &facts).remove(1).state
    };
    assert_eq!(wide(reply(429, &[], "")), State::Error);
    assert_eq!(wide(reply(200, &[], "")), State::Fail);
    assert_eq!(wide(Err(Unseen::because("no HTTP answer: connection closed"))), State::Pass);
    assert_eq!(wide(unseen()), State::Error);
}
