//! The simulated Spotify over real HTTP: login, tokens, Web API, faults, restart.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use spotify_mcp::ambient::Clock;
use spotify_mcp::egress::{Gate, GatePolicy};
use spotify_mcp::spotify::playlists::NewPlaylist;
use spotify_mcp::spotify::sandbox::{
    CLIENT_ID, Fault, Filter, Injection, RunningSandbox, Sandbox, SandboxOptions, Scopes,
};
use spotify_mcp::spotify::{AccessToken, Api, BaseUrl, QuotaMode};

const REDIRECT: &str = "http://127.0.0.1:9/cb";
const VERIFIER: &str = "a-verifier-that-is-long-enough-to-be-one-0123456789";

struct Browser {
    sandbox: RunningSandbox,
    http: Client,
}

async fn browser() -> Browser {
    with(SandboxOptions::default()).await
}

async fn with(options: SandboxOptions) -> Browser {
    let sandbox = Sandbox::start(options).await.unwrap();
    let none = reqwest::redirect::Policy::none();
    Browser { sandbox, http: Client::builder().cookie_store(true).redirect(none).build().unwrap() }
}

impl Browser {
    fn query(&self, scope: &str, more: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
        format!(
            "client_id={CLIENT_ID}&response_type=code&redirect_uri={REDIRECT}&code_challenge={challenge}\
             &code_challenge_method=S256&scope={}&{more}",
            scope.replace(' ', "%20")
        )
    }

    async fn ask(&self, query: &str) -> Response {
        self.http.get(format!("{}/authorize?{query}", self.sandbox.accounts_url)).send().await.unwrap()
    }

    async fn decide(&self, query: &str, fields: &[(&str, &str)]) -> Response {
        let form: Vec<_> = [("request", query)].into_iter().chain(fields.iter().copied()).collect();
        let url = format!("{}/authorize", self.sandbox.accounts_url);
        self.http.post(url).form(&form).send().await.unwrap()
    }

    async fn token(&self, form: &[(&str, &str)]) -> (StatusCode, Value) {
        let url = format!("{}/api/token", self.sandbox.accounts_url);
        let reply = self.http.post(url).form(form).send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }

    async fn exchange(&self, code: &str, verifier: &str) -> (StatusCode, Value) {
        self.token(&[
            ("grant_type", "authorization_code"),
            ("client_id", CLIENT_ID),
            ("code", code),
            ("redirect_uri", REDIRECT),
            ("code_verifier", verifier),
        ])
        .await
    }

    async fn refresh(&self, token: &str) -> (StatusCode, Value) {
        self.token(&[("grant_type", "refresh_token"), ("client_id", CLIENT_ID), ("refresh_token", token)])
            .await
    }

    async fn log_in(&self, person: &str, scope: &str) -> Value {
        let reply = self.decide(&self.query(scope, ""), &[("person", person), ("decision", "approve")]).await;
        let (status, tokens) = self.exchange(&code(&reply), VERIFIER).await;
        assert_eq!(status, 200, "{tokens}");
        tokens
    }

    fn grant(&self, person: &str) -> String {
        self.sandbox.control.grant(CLIENT_ID, person, &Scopes::ALL.to_string()).unwrap().access_token
    }

    fn get(&self, token: &str, path: &str) -> RequestBuilder {
        self.http.get(format!("{}{path}", self.sandbox.api_url)).bearer_auth(token)
    }

    async fn json(&self, token: &str, path: &str) -> Value {
        let reply = self.get(token, path).send().await.unwrap();
        assert_eq!(reply.status(), 200, "{path}");
        reply.json().await.unwrap()
    }

    async fn status(&self, token: &str, path: &str) -> StatusCode {
        self.get(token, path).send().await.unwrap().status()
    }

    fn inject(&self, route: &str, fault: Fault) {
        assert!(self.sandbox.control.inject(Injection { route: route.to_owned(), skip: 0, times: 1, fault }));
    }
}

fn location(reply: &Response) -> &str {
    assert_eq!(reply.status(), 303);
    reply.headers()["location"].to_str().unwrap()
}

fn code(reply: &Response) -> String {
    let location = location(reply);
    location.split_once("code=").unwrap().1.split('&').next().unwrap().to_owned()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {value}"))
}

#[tokio::test]
async fn a_person_logs_in_and_only_they_are_seen() {
    let b = browser().await;
    let query = b.query("user-read-currently-playing playlist-read-private", "state=a%2Fb+c%20%3D");
    let page = b.ask(&query).await;
    assert_eq!(page.status(), 200);
    let page = page.text().await.unwrap();
    assert!(
        page.contains("not Spotify") && page.contains("value=\"ada\"") && page.contains("value=\"chiara\"")
    );
    let back = b.decide(&query, &[("person", "ben"), ("decision", "approve")]).await;
    assert!(location(&back).ends_with("&state=a%2Fb+c%20%3D"), "{}", location(&back));
    let (_, tokens) = b.exchange(&code(&back), VERIFIER).await;
    assert_eq!(tokens["expires_in"], 3600);
    assert_eq!(tokens["scope"], "playlist-read-private user-read-currently-playing");
    let access = text(&tokens, "/access_token");
    assert!((190..=300).contains(&access.len()));
    let me = b.json(access, "/me").await;
    assert_eq!((text(&me, "/id"), me.get("product")), ("ben", None));
    assert_eq!(text(&me, "/account_id").len(), 22);
    let playing = b.json(access, "/me/player/currently-playing").await;
    assert!(text(&playing, "/item/id").starts_with("benZ"));
    let lists = b.json(access, "/me/playlists").await;
    for list in lists["items"].as_array().unwrap() {
        assert!(text(list, "/id").starts_with("benZ"));
    }
    assert_eq!(b.status(access, "/me/tracks").await, 403);
}

#[tokio::test]
async fn the_browser_is_remembered_and_the_dialog_can_be_forced() {
    let b = browser().await;
    let query = b.query("user-top-read", "state=1");
    b.decide(&query, &[("person", "chiara"), ("decision", "approve")]).await;
    let silent = b.ask(&query).await;
    let (_, tokens) = b.exchange(&code(&silent), VERIFIER).await;
    assert_eq!(text(&b.json(text(&tokens, "/access_token"), "/me").await, "/id"), "chiara");
    assert_eq!(b.ask(&format!("{query}&show_dialog=true")).await.status(), 200);
    assert_eq!(b.ask(&b.query("user-top-read user-library-read", "")).await.status(), 200);
    b.sandbox.control.revoke("chiara", None);
    assert_eq!(b.ask(&query).await.status(), 200);
    assert_eq!(b.status(text(&tokens, "/access_token"), "/me").await, 401);
}

#[tokio::test]
async fn what_is_refused_at_the_door() {
    let b = browser().await;
    let good = b.query("", "state=s");
    let denied = b.decide(&good, &[("person", "ada"), ("decision", "deny")]).await;
    assert_eq!(location(&denied), format!("{REDIRECT}?error=access_denied&state=s"));
    for (from, to) in [("sandbox-client", "nobody"), ("127.0.0.1", "localhost"), ("http://127", "http://10")]
    {
        let reply = b.ask(&good.replace(from, to)).await;
        assert_eq!((reply.status().as_u16(), reply.headers().get("location")), (400, None));
        assert!(reply.text().await.unwrap().contains("INVALID_CLIENT"));
    }
    let implicit = b.ask(&good.replace("response_type=code", "response_type=token")).await;
    assert!(location(&implicit).contains("error=unsupported_response_type"));
    let no_pkce = b.ask(&good.replace("code_challenge=", "x=")).await;
    assert!(location(&no_pkce).contains("error=invalid_request"));
}

#[tokio::test]
async fn fewer_scopes_may_be_granted_than_asked() {
    let b = browser().await;
    let query = b.query("user-top-read user-library-read", "");
    let fields = [("person", "ada"), ("withhold", "user-top-read"), ("decision", "approve")];
    let (_, tokens) = b.exchange(&code(&b.decide(&query, &fields).await), VERIFIER).await;
    assert_eq!(tokens["scope"], "user-library-read");
}

#[tokio::test]
async fn codes_work_once_for_their_owner_only() {
    let b = browser().await;
    let approve = [("person", "ada"), ("decision", "approve")];
    let fresh = async || code(&b.decide(&b.query("", ""), &approve).await);
    let wrong = "another-verifier-that-is-long-enough-to-be-one-0123";
    let (status, body) = b.exchange(&fresh().await, wrong).await;
    assert_eq!((status.as_u16(), text(&body, "/error")), (400, "invalid_grant"));
    let once = fresh().await;
    assert_eq!(b.exchange(&once, VERIFIER).await.0, 200);
    assert_eq!(b.exchange(&once, VERIFIER).await.0, 400);
    let late = fresh().await;
    b.sandbox.control.advance(Duration::from_secs(600));
    assert_eq!(
        text(&b.exchange(&late, VERIFIER).await.1, "/error_description"),
        "Authorization code expired"
    );
    let (status, body) = b.token(&[("grant_type", "authorization_code"), ("client_id", "nobody")]).await;
    assert_eq!((status.as_u16(), text(&body, "/error")), (400, "invalid_client"));
    let (_, body) = b.token(&[("grant_type", "password"), ("client_id", CLIENT_ID)]).await;
    assert_eq!(text(&body, "/error"), "unsupported_grant_type");
}

#[tokio::test]
async fn refresh_tokens_rotate_are_left_out_or_stay() {
    let b = browser().await;
    let control = &b.sandbox.control;
    let tokens = b.log_in("ada", "user-top-read").await;
    let first = text(&tokens, "/refresh_token");
    let (_, rotated) = b.refresh(first).await;
    let second = text(&rotated, "/refresh_token");
    assert_ne!(first, second);
    assert_eq!(text(&b.refresh(first).await.1, "/error_description"), "Refresh token revoked");
    control.change_app(CLIENT_ID, &json!({ "refresh": "omit" })).unwrap();
    let (status, omitted) = b.refresh(second).await;
    assert_eq!((status.as_u16(), omitted.get("refresh_token")), (200, None));
    control.change_app(CLIENT_ID, &json!({ "refresh": "same" })).unwrap();
    assert_eq!(text(&b.refresh(second).await.1, "/refresh_token"), second);
    let ada = control.users().into_iter().find(|user| &*user.id == "ada").unwrap();
    assert_eq!((ada.exchanges, ada.refreshes), (1, 3));
    control.advance(Duration::from_secs(184 * 86_400));
    assert_eq!(text(&b.refresh(second).await.1, "/error_description"), "Refresh token expired");
}

#[tokio::test]
async fn an_access_token_lives_3600_seconds_of_virtual_time() {
    let b = browser().await;
    let token = b.grant("ada");
    b.sandbox.control.advance(Duration::from_secs(3590));
    assert_eq!(b.status(&token, "/me").await, 200);
    b.sandbox.control.advance(Duration::from_secs(10));
    let reply = b.get(&token, "/me").send().await.unwrap();
    assert_eq!(reply.status(), 401);
    let challenge = reply.headers()["www-authenticate"].to_str().unwrap().to_owned();
    assert!(challenge.contains("invalid_token") && challenge.contains("The access token expired"));
    let body: Value = reply.json().await.unwrap();
    assert_eq!(text(&body, "/error/message"), "Missing/invalid/expired access token");
}

#[tokio::test]
async fn search_takes_any_text_and_refuses_more_than_ten() {
    let b = browser().await;
    let token = b.grant("ada");
    let found = b.json(&token, "/search?type=track&q=Don%27t%20Stop").await;
    assert_eq!(text(&found, "/tracks/items/0/name"), "Don't Stop");
    assert!(text(&found, "/tracks/items/0/uri").starts_with("spotify:track:adaZ"));
    let odd = b.json(&token, "/search?type=track&limit=10&q=%22quantum%22%20marmalade").await;
    assert_eq!(text(&odd, "/tracks/items/0/name"), "\"quantum\" marmalade");
    let id = text(&odd, "/tracks/items/0/id");
    assert_eq!(text(&b.json(&token, &format!("/tracks/{id}")).await, "/name"), "\"quantum\" marmalade");
    let next = b.get(&token, "").build().unwrap().url().to_string();
    assert!(text(&odd, "/tracks/next").starts_with(&next));
    let reply = b.get(&token, "/search?type=track&q=x&limit=11").send().await.unwrap();
    assert_eq!(reply.status(), 400);
    assert_eq!(text(&reply.json().await.unwrap(), "/error/message"), "Invalid limit");
    b.sandbox.control.change_app(CLIENT_ID, &json!({ "mode": "extended" })).unwrap();
    let full = b.json(&token, "/search?type=track&q=x&limit=50").await;
    assert!(full.pointer("/tracks/items/0/popularity").is_some());
}

#[tokio::test]
async fn a_playlist_is_made_filled_changed_and_kept_from_others() {
    let b = browser().await;
    let (ada, ben) = (b.grant("ada"), b.grant("ben"));
    let url = |path: &str| format!("{}{path}", b.sandbox.api_url);
    let made =
        b.http.post(url("/me/playlists")).bearer_auth(&ada).json(&json!({ "name": "New", "public": false }));
    let made = made.send().await.unwrap();
    assert_eq!(made.status(), 201);
    let made: Value = made.json().await.unwrap();
    let items = format!("/playlists/{}/items", text(&made, "/id"));
    let uri = |n: usize| format!("spotify:track:{n:022}");
    let add = async |uris: Vec<String>, position: Option<usize>| {
        let body = json!({ "uris": uris, "position": position });
        let reply = b.http.post(url(&items)).bearer_auth(&ada).json(&body).send().await.unwrap();
        (reply.status().as_u16(), reply.json::<Value>().await.unwrap())
    };
    assert_eq!(add((0..101).map(uri).collect(), None).await.0, 400);
    let (status, first) = add((0..100).map(uri).collect(), None).await;
    assert_eq!(status, 201);
    let (_, second) = add(vec![uri(7)], Some(0)).await;
    assert_ne!(first["snapshot_id"], second["snapshot_id"]);
    let page = b.json(&ada, &format!("{items}?limit=2")).await;
    assert_eq!(page["total"], 101);
    assert_eq!(text(&page, "/items/0/item/uri"), uri(7));
    let gone = json!({ "items": [{ "uri": uri(7) }] });
    b.http.delete(url(&items)).bearer_auth(&ada).json(&gone).send().await.unwrap();
    assert_eq!(b.json(&ada, &items).await["total"], 99);
    b.http.put(url(&items)).bearer_auth(&ada).json(&json!({ "uris": [] })).send().await.unwrap();
    assert_eq!(b.json(&ada, &items).await["total"], 0);
    assert_eq!(b.status(&ben, &items).await, 404);
    let lists = b.json(&ada, "/me/playlists").await;
    let public = lists["items"].as_array().unwrap().iter().find(|list| list["public"] == true).unwrap();
    let public = format!("/playlists/{}", text(public, "/id"));
    assert!(b.json(&ben, &public).await.get("items").is_none());
    assert_eq!(b.status(&ben, &format!("{public}/items")).await, 403);
    assert_eq!(b.status(&ada, &format!("{public}/tracks")).await, 403);
}

#[tokio::test]
async fn the_families_of_403_429_and_411() {
    let b = browser().await;
    let control = &b.sandbox.control;
    let token = b.grant("ada");
    control.change_user("ada", &json!({ "allow_listed": false })).unwrap();
    let reply = b.get(&token, "/me").send().await.unwrap();
    assert_eq!(reply.status(), 403);
    assert!(reply.text().await.unwrap().contains("not registered"));
    control.change_app(CLIENT_ID, &json!({ "plain_text_refusals": true })).unwrap();
    let plain = b.get(&token, "/me").send().await.unwrap().text().await.unwrap();
    assert_eq!(plain, "User not approved for app");
    control.change_user("ada", &json!({ "allow_listed": true })).unwrap();
    control.change_app(CLIENT_ID, &json!({ "owner_premium": false })).unwrap();
    assert_eq!(b.status(&token, "/me").await, 403);
    control.change_app(CLIENT_ID, &json!({ "owner_premium": true, "rate_limit": 2 })).unwrap();
    assert_eq!(b.status(&token, "/me").await, 200);
    assert_eq!(b.status(&token, "/me").await, 200);
    let limited = b.get(&token, "/me").send().await.unwrap();
    assert_eq!(limited.status(), 429);
    let wait: u64 = limited.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=31).contains(&wait));
    control.advance(Duration::from_secs(wait + 30));
    control.change_app(CLIENT_ID, &json!({ "rate_limit": null, "daily_quota": 1 })).unwrap();
    assert_eq!(b.status(&token, "/search?type=track&q=a").await, 200);
    let spent = b.get(&token, "/search?type=track&q=a").send().await.unwrap();
    assert_eq!(text(&spent.json().await.unwrap(), "/error/reason"), "QUOTA_EXCEEDED");
    assert_eq!(b.status(&token, "/me").await, 200);
    let bare = b.http.post(format!("{}/me/playlists", b.sandbox.api_url)).bearer_auth(&token);
    assert_eq!(bare.send().await.unwrap().status(), 411);
}

#[tokio::test]
async fn nothing_an_episode_or_an_advertisement_may_be_playing() {
    let b = browser().await;
    let token = b.grant("ada");
    let path = "/me/player/currently-playing";
    for (playing, kind) in [("episode", "episode"), ("ad", "ad"), ("track", "track")] {
        b.sandbox.control.change_user("ada", &json!({ "playing": playing })).unwrap();
        let answer = b.json(&token, path).await;
        assert_eq!(text(&answer, "/currently_playing_type"), kind);
        assert_eq!(answer["item"].is_null(), kind == "ad");
    }
    b.sandbox.control.change_user("ada", &json!({ "playing": "nothing" })).unwrap();
    assert_eq!(b.status(&token, path).await, 204);
    assert_eq!(b.status(&token, "/me/player").await, 204);
}

#[tokio::test]
async fn faults_strike_once_and_are_in_the_journal() {
    let b = browser().await;
    let token = b.grant("ada");
    let send = async || b.get(&token, "/me").send().await;
    b.inject("GET /v1/me", Fault::Drop);
    assert!(send().await.is_err());
    let headers = [("retry-after".to_owned(), "-1".to_owned())].into();
    b.inject("GET /v1/me", Fault::Status { status: 503, body: "<h1>no</h1>".to_owned(), headers });
    let reply = send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["retry-after"].to_str().unwrap()), (503, "-1"));
    b.inject("GET /v1/me", Fault::Truncate);
    assert!(send().await.unwrap().bytes().await.is_err());
    b.inject("GET /v1/me", Fault::Garbage);
    assert!(send().await.unwrap().json::<Value>().await.is_err());
    b.inject("GET /v1/me", Fault::Oversize { bytes: 3_000_000 });
    assert_eq!(send().await.unwrap().bytes().await.unwrap().len(), 3_000_000);
    b.inject("GET /v1/me", Fault::Drip { millis: 1 });
    assert_eq!(text(&send().await.unwrap().json().await.unwrap(), "/id"), "ada");
    assert_eq!(send().await.unwrap().status(), 200);
    let seen = b.sandbox.control.journal(&Filter { path: Some("/v1/me".to_owned()), ..Filter::default() });
    let faults: Vec<_> = seen.iter().filter_map(|entry| entry.fault).collect();
    assert_eq!(faults, ["drop", "status", "truncate", "garbage", "oversize", "drip"]);
    assert!(!serde_json::to_string(&seen).unwrap().contains(&token));
}

#[tokio::test]
async fn a_lost_reply_leaves_the_write_done() {
    let b = browser().await;
    let token = b.grant("ada");
    let before = b.json(&token, "/me/playlists").await["total"].as_u64().unwrap();
    b.inject("POST /v1/me/playlists", Fault::LoseReply);
    let url = format!("{}/me/playlists", b.sandbox.api_url);
    assert!(b.http.post(url).bearer_auth(&token).json(&json!({ "name": "x" })).send().await.is_err());
    assert_eq!(b.json(&token, "/me/playlists").await["total"], before + 1);
}

#[tokio::test]
async fn everything_survives_a_restart_with_a_state_file() {
    let folder = std::env::temp_dir().join(format!("sandbox-test-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("state.json");
    let options = || SandboxOptions { state_file: Some(file.clone()), users: 2, ..SandboxOptions::default() };
    let b = with(options()).await;
    let tokens = b.log_in("user0002", &Scopes::ALL.to_string()).await;
    let access = text(&tokens, "/access_token").to_owned();
    let url = format!("{}/me/playlists", b.sandbox.api_url);
    b.http.post(url).bearer_auth(&access).json(&json!({ "name": "Kept" })).send().await.unwrap();
    drop(b);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&access));
    let b = with(options()).await;
    let lists = b.json(&access, "/me/playlists").await;
    assert_eq!(text(&lists, "/items/0/name"), "Kept");
    assert_eq!(b.refresh(text(&tokens, "/refresh_token")).await.0, 200);
    drop(b);
    std::fs::write(&file, "{ torn").unwrap();
    assert!(Sandbox::start(options()).await.is_err());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{ torn");
    std::fs::remove_dir_all(folder).unwrap();
}

#[tokio::test]
async fn the_control_plane_is_closed_to_web_pages() {
    let b = browser().await;
    let url = format!("{}/__sandbox/users", b.sandbox.accounts_url);
    assert_eq!(b.http.get(&url).send().await.unwrap().status(), 403);
    let control = |request: RequestBuilder| request.header("x-sandbox-control", "1");
    let made = control(b.http.post(&url)).json(&json!({ "count": 3 })).send().await.unwrap();
    assert_eq!(made.json::<Value>().await.unwrap()["added"], 3);
    let one = control(b.http.post(&url)).json(&json!({ "id": "mallory", "hostile_names": true }));
    assert_eq!(one.send().await.unwrap().status(), 201);
    let me = b.json(&b.grant("mallory"), "/me").await;
    assert!(text(&me, "/display_name").contains('\u{202e}'));
    let bad = control(b.http.patch(format!("{url}/mallory"))).json(&json!({ "premum": true }));
    assert_eq!(bad.send().await.unwrap().status(), 400);
    let apps = format!("{}/__sandbox/apps", b.sandbox.accounts_url);
    let app = json!({ "client_id": "secret-app", "client_secret": "s", "redirect_uris": [REDIRECT] });
    assert_eq!(control(b.http.post(apps)).json(&app).send().await.unwrap().status(), 201);
    let tokens = b.sandbox.control.grant("secret-app", "ada", "").unwrap();
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens.refresh_token.as_deref().unwrap())];
    let token = format!("{}/api/token", b.sandbox.accounts_url);
    let wrong = b.http.post(&token).basic_auth("secret-app", Some("t")).form(&form).send().await.unwrap();
    assert_eq!(wrong.status(), 400);
    let right = b.http.post(&token).basic_auth("secret-app", Some("s")).form(&form).send().await.unwrap();
    assert_eq!(right.status(), 200);
}

#[tokio::test]
async fn our_own_client_understands_it() {
    let b = browser().await;
    let gate =
        Gate::new(GatePolicy::new().with_loopback().allow(&b.sandbox.accounts_url).unwrap(), Clock::system());
    let base = BaseUrl::parse(&b.sandbox.api_url).unwrap();
    let api = Api::new(gate, Clock::system(), base, QuotaMode::Development, Duration::from_secs(5));
    let ada = AccessToken::parse(&b.grant("ada")).unwrap();
    assert_eq!(api.me(&ada).await.unwrap().id.as_deref(), Some("ada"));
    let playing = api.currently_playing(&ada).await.unwrap().unwrap().item.unwrap();
    assert_eq!(playing.name.unwrap().clean(100), "Don't Stop");
    assert!(playing.id.unwrap().starts_with("adaZ"));
    let found = api.search_tracks(&ada, "Don't Stop", 10, 0, None).await.unwrap();
    assert_eq!((found.items.len(), found.next_offset), (10, Some(10)));
    let name = "Mine".to_owned();
    let new = NewPlaylist { name, description: String::new(), public: false, collaborative: false };
    let made = api.create_playlist(&ada, &new).await.unwrap().id.unwrap().parse().unwrap();
    let uris: Vec<_> = found.items.iter().map(|track| track.uri.as_ref().unwrap().parse().unwrap()).collect();
    assert!(api.add_items(&ada, &made, &uris, None).await.unwrap().snapshot_id.is_some());
    let rows = api.playlist_items(&ada, &made, 50, 0, None).await.unwrap();
    assert_eq!((rows.items.len(), rows.total), (10, Some(10)));
    assert!(!api.saved_tracks(&ada, 50, 0).await.unwrap().items.is_empty());
    assert_eq!(api.my_playlists(&ada, 50, 0).await.unwrap().items[0].name.as_ref().unwrap().clean(9), "Mine");
}
