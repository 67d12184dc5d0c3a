//! Every page, rendered with hostile names, is held to the same rules: well-formed, no inline code, nothing from
//! elsewhere, a CSRF field in each form, and no name that escapes its place.

mod markup;
mod palette;

use std::collections::HashSet;

use super::*;
use crate::ambient::Timestamp;
use crate::domain::ids::{ApiKeyId, GrantId, LinkId, LinkPageId, RequestId, SessionId, UserId};
use crate::domain::own_app::{BadOwnApp, Bring};
use crate::domain::redirect::RedirectUri;
use crate::domain::{ClientId, ScopeSet};
use crate::policy::Offer;

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
        offer: &Offer::default(),
        logged_in_as: logged_in.then(hostile),
        ticket: "\"><b>ticket",
        csrf: "the-csrf",
    };
    consent(&site(false), &view)
}

fn an_mcp_session(now: Timestamp) -> McpSessionRow {
    McpSessionRow { id: SessionId::mint([4; 16]), client: hostile(), since: now, last_used: now }
}

fn a_session(now: Timestamp, current: bool) -> SessionRow {
    SessionRow { id: SessionId::mint([3; 16]), browser: hostile(), since: now, last_seen: now, current }
}

fn an_account(user_id: &UserId) -> Account<'_> {
    let now = Timestamp::from_secs(1_795_233_600);
    let soon = Timestamp::from_secs(now.secs() + 86_400);
    let far = Timestamp::from_secs(now.secs() + 100 * 86_400);
    let states = [
        LinkState::Connected { until: far },
        LinkState::Connected { until: soon },
        LinkState::ReconnectNeeded,
        LinkState::NotListed,
        LinkState::NotListedAtOwn,
    ];
    let link = |state| LinkRow {
        id: LinkId::mint([1; 16]),
        alias: hostile(),
        display_name: hostile(),
        primary: true,
        opens: true,
        own_app: Some(hostile()),
        missing: if state == states[0] { vec!["user-top-read"] } else { vec![] },
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
        sessions: vec![a_session(now, true), a_session(now, false)],
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

fn a_link((refused, again): (Option<BadName>, bool)) -> Page {
    let view = LinkAnother {
        csrf: "the-csrf",
        page: Some(&LinkPageId::mint([5; 16])),
        again: again.then(|| (LinkId::mint([6; 16]), hostile())),
        display_name: hostile(),
        linked: vec![hostile(), hostile()],
        lacks: again.then(|| "no place is left".to_owned()),
        alias: Untrusted::field(HOSTILE, 40),
        refused,
        own: Some(own_fields(None)),
    };
    link_another(&site(false), &view)
}

fn a_disconnecting(others: usize) -> Page {
    let other = |_| Other { id: LinkId::mint([9; 16]), alias: hostile(), display_name: hostile() };
    let view = Disconnecting {
        csrf: "the-csrf",
        link: LinkId::mint([8; 16]),
        display_name: hostile(),
        opens: true,
        others: (0..others).map(other).collect(),
        held: [0, 1, 2],
    };
    disconnecting(&site(false), &view)
}

fn own_fields(refused: Option<BadOwnApp>) -> OwnAppFields<'static> {
    let redirect_uri = "https://music.example/auth/callback";
    OwnAppFields {
        redirect_uri,
        client_id: Untrusted::field(HOSTILE, 64),
        refused,
        alone: false,
        open: false,
    }
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
        ("landing".to_owned(), landing(&site(false), Some(&hostile()), (&Offer::default(), 7))),
        ("landing in the sandbox".to_owned(), landing(&site(true), None, (&Offer::default(), 7))),
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
        ("disconnect".to_owned(), a_disconnecting(1)),
        ("disconnect the last".to_owned(), a_disconnecting(0)),
        ("delete".to_owned(), delete_data(&site(false), "the-csrf", false)),
        ("delete, mistyped".to_owned(), delete_data(&site(false), "the-csrf", true)),
    ];
    let links = [(None, false), (Some(BadName::Taken), false), (None, true)];
    pages.extend(links.map(|how| (format!("linking {how:?}"), a_link(how))));
    pages.extend(BadName::ALL.map(|why| (format!("not renamed {why:?}"), not_renamed(&site(false), why))));
    pages.extend(NoKey::ALL.map(|why| (format!("{why:?}"), no_key(&site(false), why))));
    let first = First::Page(&LinkPageId::mint([6; 16]));
    pages.push(("link_first".to_owned(), link_first(&site(false), first)));
    let first = First::Again(&LinkId::mint([6; 16]));
    pages.push(("link_first_again".to_owned(), link_first(&site(false), first)));
    pages.extend(Notice::ALL.map(|n| (format!("{n:?}"), notice(&site(false), n))));
    let request = RequestId::mint([9; 16]);
    pages.extend(pages_of_apps(&request));
    pages.extend(Problem::ALL.map(|p| (format!("{p:?}"), problem(&site(false), p, &request))));
    pages
}

/// Those about apps of people's own, and about places.
fn pages_of_apps(request: &RequestId) -> Vec<(String, Page)> {
    let apps = [None].into_iter().chain(BadOwnApp::ALL.map(Some));
    let own = apps.map(|why| {
        (format!("own app {why:?}"), own_app(&site(false), "the-csrf", (&own_fields(why), why.is_none())))
    });
    let mut pages: Vec<_> = own.collect();
    for (problem, linking) in [(Problem::OwnAppRefused, true), (Problem::NotListedAtOwn, false)] {
        let again = OwnAppAgain {
            csrf: "the-csrf",
            action: if linking { "/account/link" } else { "/auth/own-app" },
            alias: linking.then(|| Untrusted::field(HOSTILE, 40)),
            client_id: Untrusted::field(HOSTILE, 64),
        };
        pages.push((format!("again {problem:?}"), own_app_again(&site(false), problem, &again, request)));
    }
    for (app, own) in [(Some(HOSTILE), Bring::One), (None, Bring::LogInBy), (None, Bring::Nothing)] {
        let one = own == Bring::One;
        for problem in [Problem::NoSeat, Problem::NotAllowlisted] {
            let page = no_place(
                &site(false),
                problem,
                NoPlace {
                    app,
                    own,
                    again: one.then_some("/account/link"),
                    moved: one,
                    unlisted: !one,
                    places: one.then_some(5),
                    each: one.then_some(2),
                },
                request,
            );
            pages.push((format!("no place {problem:?} {own:?}"), page));
        }
    }
    pages
}

#[test]
fn the_consent_page_says_who_where_and_what() {
    let html = a_consent("https://client.example:8443/cb?x=1", ScopeSet::ALL, false).html;
    for scope in ScopeSet::ALL.iter().flat_map(|scope| scope.asked()) {
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
    assert_eq!(count("action=\"/account/links/disconnect\""), 5);
    assert_eq!(count("action=\"/account/clients/revoke\""), 1);
    assert_eq!(count("action=\"/account/sessions/end\""), 1);
    assert_eq!(count("action=\"/account/api-keys/revoke\""), 2);
    assert_eq!(count("action=\"/account/mcp-sessions/end\""), 1);
    assert_eq!(count("action=\"/auth/logout\""), 1);
    assert_eq!(count(&format!("/auth/login?link={}", LinkId::mint([1; 16]))), 3, "give, renew and reconnect");
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
