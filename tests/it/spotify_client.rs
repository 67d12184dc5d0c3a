//! The Spotify client against an upstream that answers in every way spotify.md 1.7 and 6 know.

mod accounts;
mod editing;
mod reading;
mod refusals;
mod writing;

use std::time::{Duration, Instant};

use spotify_mcp::ambient::Clock;
use spotify_mcp::crypto::SecretString;
use spotify_mcp::domain::pkce::CodeVerifier;
use spotify_mcp::egress::{Gate, GatePolicy};
use spotify_mcp::spotify::playlists::NewPlaylist;
use spotify_mcp::spotify::token::Holder;
use spotify_mcp::spotify::uri::{ItemUri, PlaylistId};
use spotify_mcp::spotify::{
    AccessToken, Accounts, AccountsError, Api, ApiError, AppCredentials, AuthorizeRequest, BaseUrl,
    GrantFault, QuotaMode,
};

use crate::fake::{Answer, Fake};

const TOKEN: &str = "BQ-sentinel-token";
const ID: &str = "37i9dQZF1DXcBWIGoYBM5M";

fn gate(fake: &Fake) -> Gate {
    Gate::new(GatePolicy::new().with_loopback().allow(&fake.origin).unwrap(), Clock::system())
}

fn api_in(fake: &Fake, mode: QuotaMode, timeout: Duration) -> Api {
    let base = BaseUrl::parse(&format!("{}/v1", fake.origin)).unwrap();
    Api::new(gate(fake), Clock::system(), base, mode, timeout)
}

fn api(fake: &Fake) -> Api {
    api_in(fake, QuotaMode::Development, Duration::from_secs(3))
}

fn token() -> AccessToken {
    AccessToken::parse(TOKEN).unwrap()
}

async fn add_one(api: &Api) -> Result<Option<String>, ApiError> {
    let list: PlaylistId = ID.parse().unwrap();
    let items: Vec<ItemUri> = vec![ID.parse().unwrap()];
    api.add_items(&token(), &list, &items, Some(0)).await.map(|snapshot| snapshot.snapshot_id)
}
