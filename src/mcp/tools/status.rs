//! The state of things for one person: linked accounts, what may be done, when to connect again. Asks nobody upstream.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::arguments::{WhichAccounts, parse, schema_of};
use super::items::to_the_second;
use super::standing::{AppStatus, Missing, missing, to_do};
use super::{Answer, Arguments, Context, Hints, ToolError, ToolSpec, output_of, the_one_named};
use crate::ambient::Timestamp;
use crate::app::AppStanding;
use crate::domain::Scope;
use crate::domain::permission::missing as lacking;
use crate::policy::Offer;
use crate::spotify::text::clean;
use crate::store::Link;

/// Spotify's refresh tokens die six months after each approval (spotify.md 1.5); the shortest six months have 181 days.
const APPROVAL: Duration = Duration::from_secs(181 * 86_400);

/// Longest account id told, which is the longest that the argument `account` takes.
const LONGEST_ID: usize = 256;

pub(in crate::mcp) const TOOL: ToolSpec = ToolSpec {
    name: "get_status",
    title: "Get the status",
    description: "Tells which Spotify accounts the person has linked to this server and through which Spotify app, what this \
                  client may do with them, what Spotify refuses for now, how many days remain until an account must be \
                  connected again, what there is to do, and the server's time and version. Use it \
                  when another tool answers RECONNECT_REQUIRED or SCOPE_MISSING, or to find account names.",
    hints: Hints { read_only: true, destructive: false, idempotent: true, open_world: false },
    input: schema_of::<Input>,
    output: output_of::<Status>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// Only this linked Spotify account, or these: by alias or id. Default: "all".
    account: Option<WhichAccounts>,
}

/// What the tool and the resource `spotify://status` answer.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp) struct Status {
    /// The linked Spotify accounts, the primary one first.
    accounts: Vec<AccountStatus>,
    /// What this client may do: read, write, player.
    scopes: Vec<&'static str>,
    /// Under which regime Spotify serves the app of every account here; left out where they differ or one is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_mode: Option<&'static str>,
    /// Where the person connects an account.
    connect_url: String,
    /// This server.
    server: ServerStatus,
}

#[derive(Serialize, JsonSchema)]
struct ServerStatus {
    name: &'static str,
    version: &'static str,
    /// RFC 3339, UTC.
    time: String,
}

#[derive(Serialize, JsonSchema)]
pub(super) struct AccountStatus {
    /// The account's id, to be given as account.
    account_id: String,
    /// The person's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    alias: Option<String>,
    /// Its name on Spotify.
    display_name: String,
    /// Used where no account is named.
    primary: bool,
    /// connected, reconnect_required, or not_allowlisted.
    state: &'static str,
    /// Which of read, write and player, as far as tools need them, Spotify granted in full.
    granted: Vec<&'static str>,
    /// Whole days until it must be connected again: Spotify ends every permission after six months.
    days_until_reconnect: u64,
    /// The Spotify app that it is linked through.
    app: AppStatus,
    /// What Spotify did not grant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing_permissions: Vec<Missing>,
    /// What to do about it, where there is something.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    to_do: Vec<String>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let mut links = context.links().await?;
    let all = links.len();
    if let Some(names) = input.account.as_ref().and_then(WhichAccounts::names) {
        let named = names.iter().map(|name| the_one_named(&links, name.as_str()).map(|link| link.id.clone()));
        let named = named.collect::<Result<Vec<_>, _>>()?;
        links.retain(|link| named.contains(&link.id));
    }
    let status = Status::of(context, &links).await?;
    Answer::own(status.told(all), &status)
}

impl Status {
    /// For the resource.
    pub(in crate::mcp) async fn read(context: Context<'_>) -> Result<Self, ToolError> {
        Self::of(context, &context.links().await?).await
    }

    async fn of(context: Context<'_>, links: &[Link]) -> Result<Self, ToolError> {
        let now = context.server.clock.now();
        let accounts = AccountStatus::all(context, links).await?;
        Ok(Self {
            quota_mode: of_all(&accounts),
            accounts,
            scopes: context.caller.scopes.iter().map(Scope::name).collect(),
            connect_url: context.server.reconnect_url.clone(),
            server: ServerStatus {
                name: super::super::NAME,
                version: env!("CARGO_PKG_VERSION"),
                time: now.rfc3339(),
            },
        })
    }

    /// As a text; `all` are linked.
    fn told(&self, all: usize) -> String {
        let mut text = match self.accounts.len() {
            some if some < all => format!("{some} of {all} linked Spotify accounts:"),
            0 => format!("No Spotify account is linked. Connect one at {}.", self.connect_url),
            1 => "One Spotify account is linked:".to_owned(),
            many => format!("{many} Spotify accounts are linked:"),
        };
        for account in &self.accounts {
            text.push_str(&format!("\n- {}", account.line()));
        }
        text.push_str(&format!(
            "\nThis client may: {}. {}Server time: {}.",
            self.scopes.join(", "),
            self.quota_mode.map(|mode| format!("Quota mode: {mode}. ")).unwrap_or_default(),
            to_the_second(&self.server.time)
        ));
        text
    }
}

/// The quota mode of every account's app, where they have one and it is known.
fn of_all(accounts: &[AccountStatus]) -> Option<&'static str> {
    let mode = accounts.first()?.app.quota_mode;
    mode.filter(|_| accounts.iter().all(|account| account.app.quota_mode == mode))
}

impl AccountStatus {
    /// Of each of these links.
    pub(super) async fn all(context: Context<'_>, links: &[Link]) -> Result<Vec<Self>, ToolError> {
        let now = context.server.clock.now();
        let apps = context.server.book.standings(links).await;
        let apps = apps.map_err(|failure| ToolError::internal(&failure))?;
        let url = &context.server.reconnect_url;
        let offer = &context.server.offer;
        Ok(links.iter().zip(&apps).map(|(link, app)| Self::of((link, app), now, (url, offer))).collect())
    }

    fn of(
        (link, app): (&Link, &AppStanding),
        now: Timestamp,
        (reconnect_url, offer): (&str, &Offer),
    ) -> Self {
        let left = link.authorized_at.plus(APPROVAL).since(now);
        let works = link.reconnect.is_none() && app.in_use && !left.is_zero();
        let days = works.then_some(left.as_secs() / 86_400);
        let missing_permissions = missing(link, offer);
        let in_full = |scope: &Scope| {
            offer.scopes().allows(*scope) && lacking(offer.required([*scope]), &link.scope).is_empty()
        };
        Self {
            account_id: clean(&link.identity, LONGEST_ID),
            alias: Some(clean(&link.alias, 60)).filter(|alias| !alias.is_empty()),
            display_name: clean(&link.display_name, 100),
            primary: link.primary,
            state: match (works, link.unlisted) {
                (false, _) => "reconnect_required",
                (true, Some(_)) => "not_allowlisted",
                (true, None) => "connected",
            },
            granted: Scope::ALL.iter().filter(|scope| in_full(scope)).map(|scope| scope.name()).collect(),
            days_until_reconnect: days.unwrap_or_default(),
            app: AppStatus::of(app),
            to_do: to_do((link, app), days, &missing_permissions, reconnect_url),
            missing_permissions,
        }
    }

    pub(super) fn line(&self) -> String {
        let alias = self.alias.as_ref().map(|alias| format!(" ({alias})")).unwrap_or_default();
        let primary = if self.primary { ", the default" } else { "" };
        let state = match self.state {
            "not_allowlisted" => "not on the list of its Spotify app".to_owned(),
            "connected" => format!("connected for {} more days", self.days_until_reconnect),
            _ => "must be connected again".to_owned(),
        };
        let granted = match self.granted.as_slice() {
            [] => "none of read, write and player in full".to_owned(),
            some => some.join(", "),
        };
        let to_do: String = self.to_do.iter().map(|sentence| format!("\n  {sentence}")).collect();
        format!(
            "{}{alias} [{}]{primary}: {state}; through {}; Spotify granted: {granted}{to_do}",
            self.display_name,
            self.account_id,
            self.app.line()
        )
    }
}
