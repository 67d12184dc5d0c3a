//! `spotify-mcp revoke-sessions`: ends sessions and tokens now, on every server. Needs the database and no key.
//!
//! Never takes silence for "all": without a selection it is a wrong usage.

mod report;

pub(super) use report::{in_one_line, kinds};

use crate::app::administration::{Hands, Order};
use crate::crypto::token::{Token, TokenHash, TokenKind};
use crate::domain::event::clean;
use crate::domain::selection::{Parts, Selection, instant};
use crate::domain::{ClientId, SessionId};

use super::Global;
use super::administer::{Desk, Place, at_database, broken};
use super::output::{Exit, Refused};

/// What the trail says was asked.
const OPERATION: &str = "revoke-sessions";

/// What `revoke-sessions` takes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Ends browser sessions, what clients were given (grants) with their access and refresh tokens, codes and logins on their \
way, approvals (a client that comes again asks again), sessions of 2025-era clients, and the calls and streams that run \
by any of them. Selections combine: what is ended is what all of them apply to. A kind that a selection does not know is \
left out: no browser session belongs to a client, and a session is ended alone.

Every running server acts on it within a second, whether it hears of it or not; one that cannot ask the database answers \
503. Needs the database and no master key. With --dry-run the very same predicates count, and nothing is ended.

Spotify has no way to revoke what it granted: the output says who ends it where.

Examples:
  spotify-mcp revoke-sessions --user ada --reason 'lost laptop'
  spotify-mcp revoke-sessions --client https://client.example/id.json --dry-run
  spotify-mcp revoke-sessions --user ada \\
      --client c_0123456789abcdef0123456789abcdef
  spotify-mcp revoke-sessions --issued-before 2026-11-21T04:00:00Z --yes
  spotify-mcp revoke-sessions --all --api-keys --yes --format json")]
pub struct Args {
    /// Everything that anybody holds
    #[arg(long, conflicts_with_all = ["user", "client", "session", "issued_before"])]
    all: bool,
    /// What this person holds: our id (u_...), a Spotify user id or account id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// What this OAuth client holds
    #[arg(long, value_name = "CLIENT")]
    client: Option<String>,
    /// This session: our id (s_...) or an Mcp-Session-Id
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// What was issued before: RFC 3339, or an age such as 2h. What is renewed counts from its beginning
    #[arg(long, value_name = "TIME")]
    issued_before: Option<String>,
    /// Why, for the audit trail
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// API keys too
    #[arg(long)]
    api_keys: bool,
    /// Spotify's tokens too: they are forgotten here, and people log in with Spotify again
    #[arg(long)]
    spotify_links: bool,
    /// Count what would be ended, and end nothing
    #[arg(long)]
    dry_run: bool,
    /// Do not ask; needed where there is no terminal
    #[arg(short, long)]
    yes: bool,
    /// The database of 'serve --sandbox' instead
    #[arg(long)]
    sandbox: bool,
}

/// Ends what is selected.
pub fn run(args: &Args, global: &Global) -> Result<Exit, Refused> {
    let nothing =
        [&args.user, &args.client, &args.session, &args.issued_before].iter().all(|part| part.is_none());
    if nothing && !args.all {
        return Err(Refused::usage(
            "SELECTOR_MISSING",
            "nothing says what is to be ended; nothing was changed",
            "name it: --user, --client, --session, --issued-before, or --all for everything that anybody holds",
        ));
    }
    if (args.client.is_some() || args.session.is_some()) && (args.api_keys || args.spotify_links) {
        return Err(Refused::usage(
            "SELECTOR_CONTRADICTS",
            "an API key and a linked account belong to no client and to no session; nothing was changed",
            "leave out --api-keys and --spotify-links, or select by --user, --issued-before or --all",
        ));
    }
    at_database(&Place { global, sandbox: args.sandbox }, async |desk| {
        let order = order(args, desk).await?;
        let hands = Hands { store: &desk.store, clock: &desk.clock, dice: &desk.dice };
        if args.dry_run {
            let counts = hands.count(&order).await.map_err(|failure| broken(&failure))?;
            report::would(desk, &order, &counts);
            return Ok(Exit::Done);
        }
        if !args.yes {
            let counts = hands.count(&order).await.map_err(|failure| broken(&failure))?;
            desk.confirm(&report::question(desk, &order, &counts).await?, false)?;
        }
        let ended = hands.revoke(&order).await.map_err(|failure| broken(&failure))?;
        let Some((event, counts)) = ended else {
            return Err(Refused::incomplete(
                "USER_UNKNOWN",
                "this person was deleted just now",
                "nothing of theirs is left to end",
            ));
        };
        report::ended(desk, &order, (&event, &counts)).await?;
        Ok(Exit::Done)
    })
}

async fn order(args: &Args, desk: &Desk) -> Result<Order, Refused> {
    let selection = if args.all {
        Selection::everything()
    } else {
        let parts = Parts {
            user: match &args.user {
                Some(named) => Some(desk.person(named).await?),
                None => None,
            },
            client: match &args.client {
                Some(named) => Some(client(named, desk).await?),
                None => None,
            },
            session: match &args.session {
                Some(named) => Some(session(named, desk).await?),
                None => None,
            },
            issued_before: match &args.issued_before {
                Some(text) => Some(instant(text, desk.clock.now()).map_err(|unfit| {
                    Refused::usage(
                        "USAGE",
                        format!("--issued-before: {unfit}"),
                        "see 'revoke-sessions --help'",
                    )
                })?),
                None => None,
            },
        };
        Selection::narrowed(parts).ok_or_else(|| {
            Refused::usage(
                "SELECTOR_MISSING",
                "nothing says what is to be ended",
                "see 'revoke-sessions --help'",
            )
        })?
    };
    Ok(Order {
        selection,
        api_keys: args.api_keys,
        spotify_links: args.spotify_links,
        reason: args.reason.clone(),
        operation: OPERATION,
    })
}

/// What an incident selects; nothing given: everything.
pub(super) async fn selection(
    desk: &Desk,
    (user, client, issued_before): (Option<&str>, Option<&str>, Option<&str>),
) -> Result<Selection, Refused> {
    let args = Args {
        all: user.is_none() && client.is_none() && issued_before.is_none(),
        user: user.map(str::to_owned),
        client: client.map(str::to_owned),
        session: None,
        issued_before: issued_before.map(str::to_owned),
        reason: None,
        api_keys: false,
        spotify_links: false,
        dry_run: false,
        yes: true,
        sandbox: false,
    };
    order(&args, desk).await.map(|order| order.selection)
}

/// A client that is known here: a word with a typo must not end nothing and look like success.
async fn client(named: &str, desk: &Desk) -> Result<ClientId, Refused> {
    let unknown = || {
        Refused::incomplete(
            "CLIENT_UNKNOWN",
            format!("there is no client {}, and nothing of it; nothing was changed", clean(named)),
            "'spotify-mcp clients list' shows the ids",
        )
    };
    let id = ClientId::parse(named).ok_or_else(unknown)?;
    let is_configured = desk.config.auth.clients.iter().any(|client| client.id == id);
    let known = is_configured || desk.store.knows_client(&id).await.map_err(|failure| broken(&failure))?;
    if known { Ok(id) } else { Err(unknown()) }
}

async fn session(named: &str, desk: &Desk) -> Result<SessionId, Refused> {
    let id = named.parse::<SessionId>();
    let hash = Token::parse(TokenKind::McpSession, named).map(|token| token.hash());
    let called: Result<&SessionId, TokenHash> = match (&id, hash) {
        (Ok(id), _) => Ok(id),
        (Err(_), Some(hash)) => Err(hash),
        (Err(_), None) => {
            return Err(Refused::usage(
                "USAGE",
                "--session: neither our id of a session (s_...) nor an Mcp-Session-Id (smms_...)",
                "'spotify-mcp users show' lists a person's sessions",
            ));
        }
    };
    let found = desk.store.session_called(called).await.map_err(|failure| broken(&failure))?;
    found.ok_or_else(|| {
        Refused::incomplete(
            "SESSION_UNKNOWN",
            "there is no such session, or it has ended; nothing was changed",
            "'spotify-mcp users show' lists a person's sessions; --user ends all that they hold",
        )
    })
}
