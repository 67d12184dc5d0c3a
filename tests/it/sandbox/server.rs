//! The simulator itself: faults, restarts, its control plane, and our own client against it.

use std::io::Read as _;

use super::*;

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
    b.inject("GET /v1/me", Fault::Compressed { bytes: 1 << 30 });
    let packed = send().await.unwrap();
    assert_eq!(packed.headers()["content-encoding"], "gzip");
    let packed = packed.bytes().await.unwrap();
    assert!(packed.len() < 2 << 20, "{}", packed.len());
    let mut unpacked = flate2::read::MultiGzDecoder::new(&packed[..]).take(3 << 20);
    assert_eq!(std::io::copy(&mut unpacked, &mut std::io::sink()).unwrap(), 3 << 20);
    b.inject("GET /v1/me", Fault::Drip { millis: 1 });
    assert_eq!(text(&send().await.unwrap().json().await.unwrap(), "/id"), "ada");
    assert_eq!(send().await.unwrap().status(), 200);
    let seen = b.sandbox.control.journal(&Filter { path: Some("/v1/me".to_owned()), ..Filter::default() });
    let faults: Vec<_> = seen.iter().filter_map(|entry| entry.fault).collect();
    assert_eq!(faults, ["drop", "status", "truncate", "garbage", "oversize", "compressed", "drip"]);
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
    let playing = json!({ "uris": [format!("spotify:track:{:022}", 5)], "position_ms": 1_000 });
    let url = format!("{}/me/player/play", b.sandbox.api_url);
    b.http.put(url).bearer_auth(&access).json(&playing).send().await.unwrap();
    drop(b);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&access));
    let b = with(options()).await;
    let lists = b.json(&access, "/me/playlists").await;
    assert_eq!(text(&lists, "/items/0/name"), "Kept");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let player = b.json(&access, "/me/player").await;
    assert_eq!(player["item"]["id"], format!("{:022}", 5));
    assert!(player["progress_ms"].as_u64().unwrap() >= 1_000);
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
    b.sandbox.control.create_playlist("mallory", PlaylistChange::default()).unwrap();
    let lists = b.json(&b.grant("mallory"), "/me/playlists").await;
    assert!(text(&lists, "/items/0/description").len() > 100_000);
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
