//! `spotify-mcp api-keys create`: a key for a person, printed once; its hash stays, and sealed what checks its signatures.

use serde_json::json;

use crate::ambient::Timestamp;
use crate::cli::administer::{Desk, Place, at_database, broken};
use crate::cli::output::{Exit, Refused};
use crate::cli::serve_start;
use crate::crypto::token::{Token, TokenKind};
use crate::domain::api_key::{self, KeyName, Unfit, Wanted};
use crate::domain::event::{Event, EventCode};
use crate::domain::{ApiKeyId, DataKeyId, ScopeSet, UserId};
use crate::store::{Added, NewApiKey};
use crate::vault::seal_signing_key;

/// What `api-keys create` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The key is printed on standard output, once; the rest goes to standard error. Without the master key at hand, the key
is made all the same and cannot sign requests.

Examples:
  spotify-mcp api-keys create --user ada --name 'kitchen radio' \\
      --scope read --scope player
  spotify-mcp api-keys create --name backup --scope read --expires 30d \\
      --user u_0123456789abcdef0123456789abcdef --format json")]
pub struct Args {
    /// Whose: our id (u_...), a Spotify user id or account id
    #[arg(long, value_name = "USER")]
    user: String,
    /// What the key is for, to know it again in lists
    #[arg(long, value_name = "NAME")]
    name: String,
    /// What it allows: read, write or player; repeat it for several. Without it: all three
    #[arg(long = "scope", value_name = "SCOPE", value_delimiter = ',')]
    scopes: Vec<String>,
    /// When it dies: 12h, 90d, or never
    #[arg(long, value_name = "AGE", default_value = "90d")]
    expires: String,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Accepted for scripts: nothing here needs to be confirmed
    #[arg(short, long)]
    yes: bool,
}

/// Makes the key.
pub fn run(args: &Args, place: &Place<'_>) -> Result<Exit, Refused> {
    let wanted = wanted(args)?;
    at_database(place, async |desk| {
        if !desk.config.auth.api_keys {
            let why = "auth.api_keys is false: servers with this configuration accept no API key";
            desk.output.warn("API_KEYS_OFF", why, "set auth.api_keys to true where the key is to be used");
        }
        let user = desk.person(&args.user).await?;
        let now = desk.clock.now();
        if args.dry_run {
            would_make(desk, &user, &wanted, wanted.life.map(|life| now.plus(life)));
            return Ok(Exit::Done);
        }
        make(desk, &user, &wanted, now).await
    })
}

fn wanted(args: &Args) -> Result<Wanted, Refused> {
    let unfit = |flag: &'static str| {
        move |unfit: Unfit| {
            Refused::usage("USAGE", format!("{flag}: {unfit}"), "see 'api-keys create --help'")
        }
    };
    let scopes = match args.scopes.as_slice() {
        [] => ScopeSet::ALL,
        named => api_key::scopes(named.iter().map(String::as_str)).map_err(unfit("--scope"))?,
    };
    let name = KeyName::parse(&args.name).map_err(unfit("--name"))?;
    Ok(Wanted { name, scopes, life: api_key::life(&args.expires).map_err(unfit("--expires"))? })
}

async fn make(desk: &Desk, user: &UserId, wanted: &Wanted, now: Timestamp) -> Result<Exit, Refused> {
    if desk.store.revocations().await.map_err(|failure| broken(&failure))?.frozen {
        return Err(Refused::incomplete(
            "ISSUANCE_FROZEN",
            "an emergency is dealt with, and nothing is issued until it is over",
            "end it first: rotate-keys --status says how it stands",
        ));
    }
    let token = Token::mint(TokenKind::ApiKey, &desk.dice.bytes());
    let id = ApiKeyId::mint(desk.dice.bytes());
    let signing = signing_key(desk, (user, &id), &token).await?;
    let made = NewApiKey::of(&token, wanted, (id.clone(), user.clone()), now);
    let key = NewApiKey { signing, most: most(desk), ..made };
    let event = Event::new(EventCode::ApiKeyCreated)
        .subject(id.as_str())
        .operation("api-keys create")
        .detail("owner", user.as_str())
        .detail("scope", wanted.scopes.to_string());
    let added = desk.store.add_api_key(&key, &[desk.stamp(event)]).await;
    match added.map_err(|failure| broken(&failure))? {
        Added::Done => {
            print(desk, &key, &token);
            Ok(Exit::Done)
        }
        Added::TooMany => Err(Refused::incomplete(
            "TOO_MANY_KEYS",
            format!("this person has {} living API keys, which is as many as allowed", key.most),
            "revoke one that is not used any more, or raise limits.api_keys_per_user",
        )),
        Added::KeyReplaced => Err(Refused::incomplete(
            "DATA_KEY_REPLACED",
            "this person's data key was replaced just now, by a rotation; no key was made",
            "run it again",
        )),
        Added::Nobody => Err(Refused::incomplete(
            "USER_DISABLED",
            "this person is disabled, or was deleted just now",
            "enable the person first",
        )),
    }
}

/// 0 switches a limit off.
fn most(desk: &Desk) -> i64 {
    match desk.config.limits.api_keys_per_user {
        0 => i64::MAX,
        most => i64::from(most),
    }
}

/// What the key's holder signs with, sealed; `None` where there is no master key here.
async fn signing_key(
    desk: &Desk,
    (user, id): (&UserId, &ApiKeyId),
    token: &Token,
) -> Result<Option<(DataKeyId, Vec<u8>)>, Refused> {
    let Some(roots) = serve_start::roots_at_hand(&desk.config, &desk.output)? else {
        let why = "there is no master key here, so the key cannot sign requests";
        let fix = "give this command the server's master key (SPOTIFY_MCP_MASTER_KEY_FILE), or make the key at /account";
        if desk.config.security.request_signing {
            return Err(Refused::usage("MASTER_KEY_MISSING", format!("{why}, which the servers want"), fix));
        }
        desk.output.warn("KEY_CANNOT_SIGN", why, fix);
        return Ok(None);
    };
    let (ring, _) = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await?;
    seal_signing_key(&desk.store, (&ring, &desk.dice), (user, id), token)
        .await
        .map_err(|failure| broken(&failure))
}

fn print(desk: &Desk, key: &NewApiKey, token: &Token) {
    let document = json!({
        "id": key.id,
        "key": token.expose(),
        "prefix": key.prefix,
        "scopes": super::list::names(key.scopes),
        "expires_at": key.expires_at.map(Timestamp::rfc3339),
    });
    desk.output.result(&format!("{}\n", token.expose()), &document);
    desk.output.note(&format!(
        "{} \"{}\" for {}: {}, {}. The key above is shown this once: keep it like a password.",
        key.id,
        key.name,
        key.user,
        key.scopes,
        until(key.expires_at),
    ));
}

fn would_make(desk: &Desk, user: &UserId, wanted: &Wanted, expires_at: Option<Timestamp>) {
    let document = json!({
        "dry_run": true,
        "user_id": user,
        "name": wanted.name.as_str(),
        "scopes": super::list::names(wanted.scopes),
        "expires_at": expires_at.map(Timestamp::rfc3339),
    });
    let text = format!(
        "Would make a key \"{}\" for {user}: {}, {}.\n",
        wanted.name.as_str(),
        wanted.scopes,
        until(expires_at),
    );
    desk.output.result(&text, &document);
}

fn until(expires_at: Option<Timestamp>) -> String {
    expires_at.map_or("until it is revoked".to_owned(), |end| format!("until {}", end.rfc3339()))
}
