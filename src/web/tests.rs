//! Every page, rendered with hostile names, is held to the same rules: well-formed, no inline code, nothing from
//! elsewhere, a CSRF field in each form, and no name that escapes its place.

use std::collections::HashSet;

use super::*;
use crate::ambient::Timestamp;
use crate::domain::ids::{ApiKeyId, GrantId, LinkId, RequestId, SessionId, UserId};
use crate::domain::redirect::RedirectUri;
use crate::domain::{ClientId, ScopeSet};

const HOSTILE: &str = "<script>alert(1)</script>\"' onload=x \u{202e}\u{2066}evil\u{200b} {{ 7*7 }} &amp; ";

fn hostile() -> Untrusted {
    Untrusted::new(&format!("{HOSTILE}{}", "A".repeat(10_000)))
}

fn site(sandbox: bool) -> Site {
    let url = if sandbox { "http://127.0.0.1:8000" } else { "https://music.example" };
    Site::new(&url.parse().unwrap(), sandbox, (!sandbox).then_some("mailto:operator@music.example"))
}

fn a_consent(redirect_uri: &str, scopes: ScopeSet, logged_in: bool) -> Page {
    let redirect_uri = RedirectUri::parse(redirect_uri).unwrap();
    let client_id = ClientId::parse("https://client.example/\"><script>x</script>").unwrap();
    let view = Consent {
        client_name: hostile(),
        by_operator: false,
        client_id: &client_id,
        redirect_uri: &redirect_uri,
        scopes,
        logged_in_as: logged_in.then(hostile),
        ticket: "\"><b>ticket",
        csrf: "the-csrf",
    };
    consent(&site(false), &view)
}

fn an_mcp_session(now: Timestamp) -> McpSessionRow {
    McpSessionRow { id: SessionId::mint([4; 16]), client: hostile(), since: now, last_used: now }
}

fn an_account(user_id: &UserId) -> Account<'_> {
    let now = Timestamp::from_secs(1_795_233_600);
    let soon = Timestamp::from_secs(now.secs() + 86_400);
    let far = Timestamp::from_secs(now.secs() + 100 * 86_400);
    let states = [
        LinkState::Connected { until: far },
        LinkState::Connected { until: soon },
        LinkState::ReconnectNeeded,
    ];
    let link = |state| LinkRow {
        id: LinkId::mint([1; 16]),
        alias: hostile(),
        display_name: hostile(),
        primary: true,
        state,
    };
    let client = ClientRow {
        grant: GrantId::mint([2; 16]),
        name: hostile(),
        host: Some(hostile()),
        scopes: ScopeSet::ALL,
        since: now,
        last_used: None,
    };
    let session = |current| SessionRow {
        id: SessionId::mint([3; 16]),
        browser: hostile(),
        since: now,
        last_seen: now,
        current,
    };
    let key = |until| ApiKeyRow {
        id: ApiKeyId::mint([4; 16]),
        name: hostile(),
        prefix: hostile(),
        scopes: ScopeSet::ALL,
        since: now,
        until,
        expired: until.is_some(),
        last_used: Some(now),
    };
    let approval = ApprovalRow {
        client: ClientId::parse("\"><script>&'").unwrap(),
        name: hostile(),
        hosts: vec![hostile(), hostile()],
        scopes: ScopeSet::ALL,
        approved: now,
    };
    Account {
        csrf: "the-csrf",
        user_id,
        display_name: hostile(),
        now,
        links: states.map(link).into(),
        clients: vec![client],
        keys: ApiKeys { on: true, signing: true, rows: [None, Some(soon)].map(key).into() },
        approvals: vec![approval],
        sessions: vec![session(true), session(false)],
        mcp_sessions: vec![an_mcp_session(now)],
        done: Some(Done::Revoked),
    }
}

fn a_key(signing: bool) -> Page {
    let made = MadeKey {
        key: "smcp_the-only-copy",
        id: &ApiKeyId::mint([4; 16]),
        name: hostile(),
        scopes: ScopeSet::ALL,
        until: None,
        signing,
    };
    key_made(&site(false), &made)
}

fn pages() -> Vec<(String, Page)> {
    let user = UserId::mint([7; 16]);
    let keys = ApiKeys { on: true, signing: false, rows: vec![] };
    let empty = Account {
        links: vec![],
        clients: vec![],
        keys,
        approvals: vec![],
        sessions: vec![],
        mcp_sessions: vec![],
        done: None,
        ..an_account(&user)
    };
    let mut pages = vec![
        ("landing".to_owned(), landing(&site(false), Some(&hostile()))),
        ("landing in the sandbox".to_owned(), landing(&site(true), None)),
        ("consent".to_owned(), a_consent("https://client.example/it's?a&amp;b=%3Cb%3E", ScopeSet::ALL, true)),
        ("consent on loopback".to_owned(), a_consent("http://127.0.0.1:1/", ScopeSet::ALL, false)),
        (
            "consent of an app".to_owned(),
            a_consent("com.example.app:/x?'&quot;", ScopeSet::known("read"), false),
        ),
        ("account".to_owned(), account(&site(false), &an_account(&user))),
        ("empty account".to_owned(), account(&site(true), &empty)),
        ("a key".to_owned(), a_key(true)),
        ("a key that signs".to_owned(), a_key(false)),
        ("delete".to_owned(), delete_data(&site(false), "the-csrf", false)),
        ("delete, mistyped".to_owned(), delete_data(&site(false), "the-csrf", true)),
    ];
    pages.extend(NoKey::ALL.map(|why| (format!("{why:?}"), no_key(&site(false), why))));
    pages.extend(Notice::ALL.map(|n| (format!("{n:?}"), notice(&site(false), n))));
    let request = RequestId::mint([9; 16]);
    pages.extend(Problem::ALL.map(|p| (format!("{p:?}"), problem(&site(false), p, &request))));
    pages
}

/// A start tag with its attributes, as the browser would read them.
struct Tag {
    name: String,
    attributes: Vec<(String, String)>,
}

impl Tag {
    fn get(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

const VOID: &[&str] = &["br", "input", "link", "meta", "rect", "circle", "path"];

/// Reads the tags of a document, in order; fails on an unbalanced tag, a stray `<` or an unquoted attribute.
fn tags(name: &str, html: &str) -> Vec<Tag> {
    let body = html.strip_prefix("<!doctype html>").unwrap_or_else(|| panic!("{name}: no doctype"));
    let (mut open, mut found) = (Vec::new(), Vec::new());
    for part in body.split('<').skip(1) {
        let (inside, text) = part.split_once('>').unwrap_or_else(|| panic!("{name}: stray < in {part}"));
        assert!(!text.contains('>'), "{name}: stray > after {inside}");
        if let Some(closed) = inside.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(closed), "{name}: unbalanced");
            continue;
        }
        let tag = parse_tag(name, inside.trim_end_matches('/'));
        if !VOID.contains(&tag.name.as_str()) {
            open.push(tag.name.clone());
        }
        found.push(tag);
    }
    assert!(open.is_empty(), "{name}: never closed: {open:?}");
    found
}

fn parse_tag(page: &str, inside: &str) -> Tag {
    let (name, mut rest) = inside.split_once([' ', '\n']).unwrap_or((inside, ""));
    let mut attributes = Vec::new();
    rest = rest.trim();
    while !rest.is_empty() {
        let end = rest.find(['=', ' ', '\n']).unwrap_or(rest.len());
        let (key, after) = rest.split_at(end);
        let value = match after.strip_prefix('=') {
            None => {
                rest = after.trim_start();
                ""
            }
            Some(quoted) => {
                let quoted = quoted.strip_prefix('"').unwrap_or_else(|| panic!("{page}: unquoted {key}"));
                let (value, after) =
                    quoted.split_once('"').unwrap_or_else(|| panic!("{page}: unclosed {key}"));
                rest = after.trim_start();
                value
            }
        };
        assert!(!attributes.iter().any(|(other, _)| other == key), "{page}: {key} twice in {inside}");
        attributes.push((key.to_owned(), value.to_owned()));
    }
    Tag { name: name.to_owned(), attributes }
}

#[test]
fn pages_are_well_formed_and_names_stay_in_their_place() {
    for (name, page) in pages() {
        let found = tags(&name, &page.html);
        assert!(!page.html.contains("alert(1)</script>") && !page.html.contains("<script>"), "{name}");
        assert!(
            !page.html.contains(
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
            ),
            "{name}"
        );
        for c in ['\u{202e}', '\u{2066}', '\u{200b}'] {
            assert!(!page.html.contains(c), "{name}: direction or zero-width character");
        }
        assert_eq!(found.iter().filter(|tag| tag.name == "h1").count(), 1, "{name}");
        assert!(page.html.len() < 64 * 1024, "{name}: {} bytes", page.html.len());
    }
}

#[test]
fn pages_hold_to_their_content_security_policy() {
    for (name, page) in pages() {
        for tag in tags(&name, &page.html) {
            assert!(!matches!(tag.name.as_str(), "style" | "iframe" | "object" | "base" | "img"), "{name}");
            for (key, _) in &tag.attributes {
                assert!(!key.starts_with("on") && key != "style" && key != "formaction", "{name}: {key}");
            }
            if tag.name == "script" {
                assert!(tag.get("src").is_some_and(|src| src.starts_with("/assets/")), "{name}");
            }
            if tag.name == "link" {
                assert!(tag.get("href").is_some_and(|href| href.starts_with("/assets/")), "{name}");
            }
            if let Some(href) = tag.get("href").filter(|_| tag.name == "a") {
                let ours = href.starts_with('/') || href.starts_with('#') || href.starts_with("mailto:");
                let spotifys = [
                    "https://open.spotify.com/",
                    "https://www.spotify.com/",
                    "https://developer.spotify.com/",
                ];
                assert!(ours || spotifys.iter().any(|site| href.starts_with(site)), "{name}: {href}");
            }
        }
    }
}

#[test]
fn every_form_is_a_post_with_a_csrf_field() {
    let mut forms = 0;
    for (name, page) in pages() {
        for form in page.html.split("<form ").skip(1) {
            let form = form.split("</form>").next().unwrap();
            assert!(form.starts_with("method=\"post\" action=\"/"), "{name}");
            assert!(form.contains("name=\"csrf\" value=\"the-csrf\""), "{name}");
            forms += 1;
        }
    }
    assert!(forms > 10, "the pages have lost their forms: {forms}");
}

#[test]
fn references_within_a_page_lead_somewhere() {
    for (name, page) in pages() {
        let found = tags(&name, &page.html);
        let ids: Vec<_> = found.iter().filter_map(|tag| tag.get("id")).collect();
        let unique: HashSet<_> = ids.iter().collect();
        assert_eq!(ids.len(), unique.len(), "{name}: an id twice");
        for tag in &found {
            let fragment = tag.get("href").and_then(|href| href.strip_prefix('#'));
            let named = ["for", "aria-labelledby", "aria-describedby", "data-copy"];
            for wanted in named.iter().filter_map(|key| tag.get(key)).chain(fragment) {
                assert!(unique.contains(&wanted), "{name}: nothing has the id {wanted}");
            }
            if tag.name == "input" && tag.get("type") != Some("hidden") {
                let labelled =
                    found.iter().any(|other| other.name == "label" && other.get("for") == tag.get("id"));
                assert!(labelled, "{name}: an input without label");
            }
        }
    }
}

#[test]
fn the_consent_page_says_who_where_and_what() {
    let html = a_consent("https://client.example:8443/cb?x=1", ScopeSet::ALL, false).html;
    for scope in ScopeSet::ALL.iter().flat_map(|scope| scope.spotify()) {
        assert!(html.contains(&format!("<code>{scope}</code>")), "{scope}");
    }
    assert!(html.contains("<strong><bdi>client.example:8443</bdi></strong><bdi>/cb?x=1</bdi>"));
    assert!(html.contains("not verified") && html.contains("log in with Spotify"));
    assert!(!html.contains("class=\"warning\""));
    assert!(html.contains("name=\"ticket\" value=\"&#34;&#62;&#60;b&#62;ticket\""));

    let narrow = a_consent("http://[::1]:9/cb", ScopeSet::known("read"), true).html;
    assert!(narrow.contains("a program on this computer") && !narrow.contains("playlist-modify-public"));
    let unproven = "<bdi>client.example</bdi> describes such an app, which does not prove";
    assert!(narrow.contains(unproven) && !html.contains(unproven));
    assert!(
        html.contains("Published by") && html.contains("<strong><bdi>client.example</bdi></strong></dd>")
    );
    assert!(
        a_consent("com.example.app:/y", ScopeSet::ALL, true)
            .html
            .contains("any installed app could have claimed")
    );
}

#[test]
fn the_account_page_offers_an_end_to_everything_but_this_session_twice() {
    let user = UserId::mint([7; 16]);
    let html = account(&site(false), &an_account(&user)).html;
    let count = |text: &str| html.matches(text).count();
    assert_eq!(count("action=\"/account/links/disconnect\""), 3);
    assert_eq!(count("action=\"/account/clients/revoke\""), 1);
    assert_eq!(count("action=\"/account/sessions/end\""), 1);
    assert_eq!(count("action=\"/account/api-keys/revoke\""), 2);
    assert_eq!(count("action=\"/account/mcp-sessions/end\""), 1);
    assert_eq!(count("action=\"/auth/logout\""), 1);
    assert_eq!(count(&format!("/auth/login?link={}", LinkId::mint([1; 16]))), 2, "renew and reconnect");
    assert!(html.contains("href=\"/account/delete\"") && html.contains("1 March 2027"));
}

#[test]
fn deletion_wants_the_words() {
    assert!(deletion_confirmed(" Delete my data\n"));
    for typed in ["", "delete", "delete my  data", "yes"] {
        assert!(!deletion_confirmed(typed), "{typed}");
    }
}

#[test]
fn problems_have_codes_of_their_own_and_the_request_id() {
    let request = RequestId::mint([9; 16]);
    let mut codes = HashSet::new();
    for kind in Problem::ALL {
        let page = problem(&site(false), kind, &request);
        assert!(codes.insert(kind.code()), "{} twice", kind.code());
        assert!(page.html.contains(kind.code()) && page.html.contains(request.as_str()));
        assert!(page.status.is_client_error() || page.status.is_server_error());
    }
}

/// The README's troubleshooting table is by code: it names each of them.
#[test]
fn the_readme_explains_every_code() {
    let readme = include_str!("../../README.md");
    for kind in Problem::ALL {
        assert!(readme.contains(&format!("| `{}` | page |", kind.code())), "{}", kind.code());
    }
}

#[test]
fn done_words_round_trip_and_nothing_else_is_shown() {
    assert_eq!(Done::parse(Done::Disconnected.word()), Some(Done::Disconnected));
    assert_eq!(Done::parse("<b>"), None);
}

/// WCAG 2.2, 1.4.3 and 1.4.11: 4.5:1 for text, 3:1 for what a control is known by; both palettes.
#[test]
fn both_palettes_have_contrast() {
    let css = assets::all()[0].body();
    let (light, rest) = css.split_once("@media (prefers-color-scheme: dark)").unwrap();
    let dark = rest.split_once("*, *::before").unwrap().0;
    let text = [
        ("ink", "ground"),
        ("ink", "surface"),
        ("ink", "sunken"),
        ("muted", "ground"),
        ("muted", "surface"),
        ("muted", "sunken"),
        ("link", "ground"),
        ("link", "surface"),
        ("on-accent", "accent"),
        ("on-accent", "accent-deep"),
        ("warn-ink", "warn-ground"),
        ("warn-ink", "surface"),
        ("bad", "surface"),
        ("bad", "bad-ground"),
        ("surface", "bad"),
    ];
    let controls = [
        ("line-strong", "surface"),
        ("line-strong", "ground"),
        ("focus", "ground"),
        ("focus", "surface"),
        ("good", "surface"),
    ];
    for palette in [light, dark] {
        for (pairs, least) in [(&text[..], 4.5), (&controls[..], 3.0)] {
            for (front, back) in pairs {
                let ratio = contrast(luminance(palette, front), luminance(palette, back));
                assert!(ratio >= least, "--{front} on --{back}: {ratio:.2}");
            }
        }
    }
}

fn contrast(one: f64, other: f64) -> f64 {
    (one.max(other) + 0.05) / (one.min(other) + 0.05)
}

fn luminance(palette: &str, name: &str) -> f64 {
    let hex = palette.split_once(&format!("--{name}: #")).unwrap_or_else(|| panic!("no --{name}")).1;
    let part = |at: usize| {
        let value = f64::from(u8::from_str_radix(&hex[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(0) + 0.7152 * part(2) + 0.0722 * part(4)
}
