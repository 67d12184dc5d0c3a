//! Renders every page with sample data, to look at while working on templates or the stylesheet:
//!
//! ```text
//! cargo run --example pages -- /tmp/pages && (cd /tmp/pages && python3 -m http.server 8090)
//! ```

#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, reason = "a tool for contributors")]

use std::path::{Path, PathBuf};
use std::{env, fs, process};

use spotify_mcp::ambient::Timestamp;
use spotify_mcp::domain::ids::{ApiKeyId, GrantId, LinkId, RequestId, SessionId, UserId};
use spotify_mcp::domain::own_app::{BadOwnApp, Bring};
use spotify_mcp::domain::redirect::RedirectUri;
use spotify_mcp::domain::{ClientId, ScopeSet};
use spotify_mcp::policy::Offer;
use spotify_mcp::web::{
    self, Account, ApiKeyRow, ApiKeys, ApprovalRow, BadName, ClientRow, Consent, Disconnecting, Done,
    LinkAnother, LinkRow, LinkState, MadeKey, McpSessionRow, NoPlace, Other, OwnAppFields, Page, SessionRow,
    Site, Untrusted,
};

const NOW: Timestamp = Timestamp::from_secs(1_795_233_600);

fn main() {
    let Some(folder) = env::args().nth(1).map(PathBuf::from) else {
        println!("usage: pages FOLDER");
        process::exit(2);
    };
    fs::create_dir_all(folder.join("assets")).expect("the folder can be made");
    for asset in web::assets::all() {
        fs::write(folder.join(&asset.path()[1..]), asset.body()).expect("the folder can be written to");
    }
    let real =
        Site::new(&"https://music.example.org".parse().unwrap(), false, Some("mailto:operator@example.org"));
    let sandbox = Site::new(&"http://127.0.0.1:8000".parse().unwrap(), true, None);

    write(&folder, "index", &web::landing(&real, None, (&Offer::default(), 7)));
    write(
        &folder,
        "landing-sandbox",
        &web::landing(&sandbox, Some(&Untrusted::new("Ada")), (&Offer::default(), 7)),
    );
    consents(&folder, &real);
    write(&folder, "account", &web::account(&real, &full_account()));
    write(&folder, "account-empty", &web::account(&sandbox, &empty_account()));
    write(&folder, "link", &web::link_another(&real, &link_view(None)));
    write(&folder, "link-refused", &web::link_another(&real, &link_view(Some(BadName::Taken))));
    let own = LinkAnother { own: Some(own_fields(Some(BadOwnApp::SecretWrong))), ..link_view(None) };
    write(&folder, "link-own-refused", &web::link_another(&real, &own));
    write(&folder, "own-app", &web::own_app(&real, "csrf", (&own_fields(None), true)));
    let refused = own_fields(Some(BadOwnApp::IdForm));
    write(&folder, "own-app-refused", &web::own_app(&real, "csrf", (&refused, false)));
    let again = Some((LinkId::mint([1; 16]), "family".into()));
    let again = LinkAnother { again, ..link_view(None) };
    write(&folder, "link-again", &web::link_another(&real, &again));
    let first = web::First::Again(&LinkId::mint([1; 16]));
    write(&folder, "link-first", &web::link_first(&real, first));
    write(&folder, "not-renamed", &web::not_renamed(&real, BadName::Form));
    let id = ApiKeyId::mint([4; 16]);
    write(&folder, "key-made", &web::key_made(&real, &made_key(&id, false)));
    write(&folder, "key-made-signing", &web::key_made(&real, &made_key(&id, true)));
    write(&folder, "key-refused", &web::no_key(&real, web::NoKey::TooMany));
    for others in 0..2 {
        write(&folder, &format!("disconnect-{others}"), &web::disconnecting(&real, &leaving(others)));
    }
    write(&folder, "delete", &web::delete_data(&real, "csrf", false));
    write(&folder, "delete-mistyped", &web::delete_data(&real, "csrf", true));
    for notice in web::Notice::ALL {
        write(&folder, &format!("notice-{notice:?}"), &web::notice(&real, notice));
    }
    let request = RequestId::mint([0x5a; 16]);
    for problem in [web::Problem::NoSeat, web::Problem::NotAllowlisted] {
        let place = NoPlace { app: Some("Kitchen"), own: Bring::One, ..NoPlace::default() };
        write(&folder, &format!("no-place-{problem:?}"), &web::no_place(&real, problem, place, &request));
    }
    for problem in web::Problem::ALL {
        write(&folder, &format!("problem-{problem:?}"), &web::problem(&real, problem, &request));
    }
    println!("{}", folder.display());
}

fn write(folder: &Path, name: &str, page: &Page) {
    fs::write(folder.join(format!("{name}.html")), &page.html).expect("the folder can be written to");
}

fn consents(folder: &Path, site: &Site) {
    let cases = [
        (
            "consent-site",
            "Claude",
            "https://claude.ai/oauth/mcp-oauth-client-metadata",
            "https://claude.ai/api/mcp/auth_callback",
            None,
        ),
        (
            "consent-loopback",
            "Claude Code",
            "c_00112233445566778899aabbccddeeff",
            "http://localhost:53211/callback",
            Some("Ada Lovelace"),
        ),
        (
            "consent-scheme",
            "Cursor",
            "c_00112233445566778899aabbccddeeff",
            "cursor://anysphere.cursor-mcp/oauth/callback",
            None,
        ),
        ("consent-operator", "The house radio", "house-radio", "https://radio.example.org/callback", None),
        (
            "consent-hostile",
            "\u{202e}Spotify (official)\u{202c} <b>verified</b> שלום approve this app now, it is entirely safe, trust it, trust it",
            "c_00112233445566778899aabbccddeeff",
            "https://claude.ai.login.evil-callback-collector.example/very/long/path/that/goes/on/and/on?with=query&and=more",
            None,
        ),
    ];
    for (file, name, id, redirect_uri, logged_in_as) in cases {
        let client_id = ClientId::parse(id).unwrap();
        let redirect_uri = RedirectUri::parse(redirect_uri).unwrap();
        let view = Consent {
            client_name: Untrusted::new(name),
            by_operator: file == "consent-operator",
            client_id: &client_id,
            redirect_uri: &redirect_uri,
            scopes: if file == "consent-scheme" { ScopeSet::known("read") } else { ScopeSet::ALL },
            offer: &Offer::default(),
            logged_in_as: logged_in_as.map(Untrusted::new),
            ticket: "ticket",
            csrf: "csrf",
        };
        write(folder, file, &web::consent(site, &view));
    }
}

fn days(count: i64) -> Timestamp {
    Timestamp::from_secs(NOW.secs() + count * 86_400)
}

fn approval(name: &str, hosts: &[&str], scopes: ScopeSet) -> ApprovalRow {
    ApprovalRow {
        client: ClientId::parse("c_00112233445566778899aabbccddeeff").unwrap(),
        name: Untrusted::new(name),
        hosts: hosts.iter().map(|host| Untrusted::new(host)).collect(),
        scopes,
        approved: days(-40),
    }
}

fn full_account() -> Account<'static> {
    Account {
        csrf: "csrf",
        user_id: Box::leak(Box::new(UserId::mint([7; 16]))),
        display_name: Untrusted::new("Ada Lovelace"),
        now: NOW,
        links: vec![
            link("personal", "Ada Lovelace", true, LinkState::Connected { until: days(120) }),
            link("family", "Lovelace Family", false, LinkState::Connected { until: days(12) }),
            link("old", "ada.1815", false, LinkState::ReconnectNeeded),
        ],
        clients: vec![
            client("Claude", "claude.ai", ScopeSet::ALL, Some(Timestamp::from_secs(NOW.secs() - 3_000))),
            client("Cursor", "anysphere.cursor-mcp", ScopeSet::known("read"), None),
        ],
        keys: keys(),
        approvals: vec![
            approval("Claude", &["claude.ai", "claude.com"], ScopeSet::ALL),
            approval("My editor", &["127.0.0.1"], ScopeSet::known("read")),
        ],
        sessions: vec![session("Firefox on Linux", true), session("Safari on iPhone", false)],
        mcp_sessions: vec![McpSessionRow {
            id: SessionId::mint([9; 16]),
            client: Untrusted::new("Old client"),
            since: NOW,
            last_used: NOW,
        }],
        done: Some(Done::Revoked),
    }
}

fn link_view(refused: Option<BadName>) -> LinkAnother<'static> {
    LinkAnother {
        csrf: "csrf",
        page: None,
        again: None,
        display_name: "Ada Lovelace".into(),
        linked: vec!["personal".into(), "family".into()],
        lacks: refused
            .map(|_| "one person has 2 places of a Spotify app here, and they are taken".to_owned()),
        alias: Untrusted::field("family", 40),
        refused,
        own: Some(own_fields(None)),
    }
}

fn own_fields(refused: Option<BadOwnApp>) -> OwnAppFields<'static> {
    OwnAppFields {
        redirect_uri: "https://music.example.org/auth/callback",
        client_id: Untrusted::field(if refused.is_some() { "0123456789abcdef" } else { "" }, 64),
        refused,
        alone: false,
        open: false,
    }
}

fn leaving(others: usize) -> Disconnecting<'static> {
    let other = |_| Other {
        id: LinkId::mint([7; 16]),
        alias: Untrusted::new("family"),
        display_name: Untrusted::new("Lovelace Family"),
    };
    Disconnecting {
        csrf: "csrf",
        link: LinkId::mint([6; 16]),
        display_name: Untrusted::new("Ada Lovelace"),
        opens: true,
        others: (0..others).map(other).collect(),
        held: [2, 1, 3],
    }
}

fn empty_account() -> Account<'static> {
    Account {
        links: Vec::new(),
        clients: Vec::new(),
        keys: ApiKeys { on: true, signing: false, rows: Vec::new() },
        approvals: Vec::new(),
        sessions: vec![session("Chromium on Linux", true)],
        mcp_sessions: Vec::new(),
        done: None,
        ..full_account()
    }
}

fn keys() -> ApiKeys {
    let key = |name: &str, until, expired| ApiKeyRow {
        id: ApiKeyId::mint([4; 16]),
        name: name.into(),
        prefix: "smcp_Ab3dE9".into(),
        scopes: ScopeSet::known("read player"),
        since: days(-20),
        until,
        expired,
        last_used: (!expired).then_some(NOW),
    };
    let rows = vec![
        key("Kitchen radio", Some(days(70)), false),
        key("Backup of my playlists", None, false),
        key("Old script", Some(days(-1)), true),
    ];
    ApiKeys { on: true, signing: false, rows }
}

fn made_key(id: &ApiKeyId, signing: bool) -> MadeKey<'_> {
    MadeKey {
        key: "smcp_WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpgvwfE",
        id,
        name: "Kitchen radio".into(),
        scopes: ScopeSet::known("read player"),
        until: Some(days(90)),
        signing,
    }
}

fn link(alias: &str, name: &str, primary: bool, state: LinkState) -> LinkRow {
    let own_app = (!primary).then(|| "…cdef".into());
    LinkRow {
        id: LinkId::mint([1; 16]),
        alias: alias.into(),
        display_name: name.into(),
        primary,
        opens: primary,
        own_app,
        missing: if alias == "family" { vec!["playlist-read-private"] } else { vec![] },
        state,
    }
}

fn client(name: &str, host: &str, scopes: ScopeSet, last_used: Option<Timestamp>) -> ClientRow {
    let grant = GrantId::mint([2; 16]);
    ClientRow { grant, name: name.into(), host: Some(host.into()), scopes, since: days(-40), last_used }
}

fn session(browser: &str, current: bool) -> SessionRow {
    SessionRow {
        id: SessionId::mint([3; 16]),
        browser: browser.into(),
        since: days(-9),
        last_seen: NOW,
        current,
    }
}
