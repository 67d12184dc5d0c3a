//! The person's linked Spotify accounts themselves: which there are, linking another, which is the primary one, and
//! the end of one. Asks nobody upstream.
//!
//! No secret passes through an argument or an answer: what links an account is typed on pages of ours and of Spotify's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::asking::Question;
use super::arguments::{Text, parse, schema_of};
use super::status::AccountStatus;
use super::{
    AccountName, Answer, Arguments, Context, Hints, ToolError, ToolSpec, agreeing, is_named, output_of,
    the_one_named, unknown_account,
};
use crate::domain::asking::Reply;
use crate::domain::linking::{Alias, MOST_ACCOUNTS};
use crate::store::Link;
use crate::vault::changes::Planned;

/// Where a person ends a permission at Spotify's side.
const REVOKE_AT: &str = "https://www.spotify.com/account/apps/";

/// The hints of a tool that changes our own table of accounts.
const TABLE: Hints = Hints { read_only: false, destructive: false, idempotent: true, open_world: false };

pub(super) const LIST_MY_ACCOUNTS: ToolSpec = ToolSpec {
    name: "list_my_accounts",
    title: "List my Spotify accounts",
    description: "Lists the Spotify accounts that the person has linked to this server, the default one first: the names that \
                  the argument 'account' of the other tools takes, which account is used where none is named, and whether \
                  one must be connected again.",
    hints: Hints { read_only: true, ..TABLE },
    input: schema_of::<Nothing>,
    output: output_of::<Accounts>,
    run: |context, arguments| Box::pin(list(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// The linked accounts.
#[derive(Serialize, JsonSchema)]
struct Accounts {
    /// The linked Spotify accounts, the primary one first.
    accounts: Vec<AccountStatus>,
    /// How many one person may link.
    most: usize,
}

async fn list(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let Nothing {} = parse(arguments)?;
    let links = context.links().await?;
    let accounts = AccountStatus::all(context, &links).await?;
    let lines: String = accounts.iter().map(|account| format!("\n- {}", account.line())).collect();
    let text = match accounts.len() {
        0 => ToolError::no_account(&context.server.reconnect_url).message,
        _ => format!("Linked Spotify accounts:{lines}"),
    };
    Answer::own(text, &Accounts { accounts, most: MOST_ACCOUNTS })
}

pub(super) const LINK_ACCOUNT: ToolSpec = ToolSpec {
    name: "link_account",
    title: "Link another Spotify account",
    description: "Starts linking one more Spotify account to the person, for example a second one for work or the family. It \
                  answers with the address of a one-time page, which the person, and nobody else, must open in their own \
                  browser within ten minutes: give them the address to click and say so. Nothing is linked until they have \
                  agreed at Spotify; list_my_accounts shows when they have. Never ask the person for a password or a client \
                  secret.",
    hints: Hints { idempotent: false, ..TABLE },
    input: schema_of::<LinkInput>,
    output: output_of::<LinkOutput>,
    run: |context, arguments| Box::pin(link(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LinkInput {
    /// What to call the account: 1 to 40 letters, digits, spaces or - _ . ' & +. Default: a name with a number.
    alias: Option<Text<1, 40>>,
}

#[derive(Serialize, JsonSchema)]
struct LinkOutput {
    /// The page that the person opens in their own browser. It works once, and for them alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Until when (RFC 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    /// Where the app showed the page itself: whether the person went there.
    #[serde(skip_serializing_if = "Option::is_none")]
    opened: Option<bool>,
}

async fn link(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: LinkInput = parse(arguments)?;
    if let Some(reply) = agreeing::of_the_page(context, LINK_ACCOUNT.name).await? {
        return shown(reply);
    }
    let alias = input.alias.as_ref().map(|alias| Alias::parse(alias.as_str())).transpose();
    let alias =
        alias.map_err(|why| ToolError::invalid(format!("The argument 'alias' is not valid: {why}.")))?;
    if context.caller.client.as_str() == crate::mcp::stdio::CLIENT {
        return Err(ToolError::new(
            "RESTRICTED",
            "This program runs for one local user, without the pages on which accounts are linked. The person ends it (closes \
             this app), runs `spotify-mcp serve` on the same data, logs in at /account in a browser, links the account there, \
             ends that and opens this app again. Two of them at once on the same data do not go.",
        ));
    }
    let links = context.links().await?;
    if links.len() >= MOST_ACCOUNTS {
        return Err(ToolError::new(
            "RESTRICTED",
            format!(
                "The person has linked {MOST_ACCOUNTS} accounts, which is as many as fit. One must be unlinked first."
            ),
        ));
    }
    if let Some(alias) = &alias
        && links.iter().any(|link| is_named(link, alias.as_str()))
    {
        return Err(ToolError::invalid(
            "The argument 'alias' is not valid: another linked account is called so.",
        ));
    }
    let lacks = lacks(context, &links).await?;
    let page = context.server.book.open_page(context.caller, alias.as_ref()).await;
    let page = page.map_err(|failure| ToolError::internal(&failure))?;
    let Some(page) = page else { return Err(ToolError::no_account(&context.server.reconnect_url)) };
    let url = format!("{}?page={}", context.server.link_url, page.id);
    if context.asking.offers().page {
        let message = format!(
            "Link another Spotify account: open this page in the browser in which you use this server, within ten minutes. \
             It works once, and for you alone; Spotify then asks there which account to link.{lacks}"
        );
        let id = page.id.as_str().to_owned();
        let state = agreeing::bound(context, LINK_ACCOUNT.name).await?;
        return Err(context.asking.ask(Question::Open { message, url, id, state }));
    }
    let text = format!(
        "Ask the person to open {url} in the browser in which they use this server, within ten minutes. The page works once \
         and for them alone; Spotify then asks there which account to link. They go on logging in to this server as before: \
         the new account does not log in. Nothing is linked yet.{lacks}"
    );
    let expires_at = Some(page.expires_at.rfc3339());
    Answer::own(text, &LinkOutput { url: Some(url), expires_at, opened: None })
}

/// What a new account needs beside the page, where none of the operator's apps takes one more.
///
/// # Errors
/// Where nothing would do.
async fn lacks(context: Context<'_>, links: &[Link]) -> Result<String, ToolError> {
    let room = context.server.book.room(links).await.map_err(|failure| ToolError::internal(&failure))?;
    match (room.lacks(), room.own) {
        (None, _) => Ok(String::new()),
        (Some(why), true) => Ok(format!(
            " A new account needs a Spotify app of the person's own, which the page asks for, or one of theirs is unlinked \
             first: {why}."
        )),
        (Some(why), false) => Err(ToolError::new(
            "RESTRICTED",
            format!(
                "One more account does not fit: {why}. One of the person's must be unlinked first, or the operator makes \
                 more room (spotify.seats_per_person, or another app)."
            ),
        )),
    }
}

/// The app showed the page itself, and this came back.
fn shown(reply: Reply) -> Result<Answer, ToolError> {
    let opened = matches!(reply, Reply::Accepted { .. });
    let text = if opened {
        "The person was shown the page and went there. Nothing is linked until they have agreed at Spotify; \
         list_my_accounts shows when they have. Where no page came up, call again: each call makes another one."
    } else {
        "The person was shown the page and did not go there: nothing is linked. Do not try again unless they ask for it."
    };
    Answer::own(text, &LinkOutput { url: None, expires_at: None, opened: Some(opened) })
}

pub(super) const SET_DEFAULT_ACCOUNT: ToolSpec = ToolSpec {
    name: "set_default_account",
    title: "Set the default Spotify account",
    description: "Makes one of the person's linked Spotify accounts the default one, which every tool uses where no account is \
                  named, in all of the person's apps. Changes nothing at Spotify.",
    hints: TABLE,
    input: schema_of::<DefaultInput>,
    output: output_of::<DefaultOutput>,
    run: |context, arguments| Box::pin(set_default(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultInput {
    /// Which linked Spotify account: its alias or id.
    account: AccountName,
}

#[derive(Serialize, JsonSchema)]
struct DefaultOutput {
    /// The account that is the primary one now.
    account: String,
    /// False where it was that before.
    changed: bool,
}

async fn set_default(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: DefaultInput = parse(arguments)?;
    let links = context.links().await?;
    let link = named(&links, &input.account)?;
    context.used.note(&link.id);
    let (account, changed) = (context.name_of(link), !link.primary);
    if changed {
        let made = context.server.book.make_primary(context.caller, &link.id).await;
        if !made.map_err(|failure| ToolError::internal(&failure))? {
            return Err(unknown_account(&links));
        }
    }
    let text = if changed { "is now" } else { "was already" };
    Answer::own(
        format!("The account {account} {text} the one that tools use where none is named."),
        &DefaultOutput { account, changed },
    )
}

pub(super) const UNLINK_ACCOUNT: ToolSpec = ToolSpec {
    name: "unlink_account",
    title: "Unlink a Spotify account",
    description: "Removes one of the person's linked Spotify accounts from this server: its tokens and everything kept of it \
                  here are erased at once and cannot be brought back, only linked anew. Music and playlists at Spotify stay as \
                  they are. Without confirm nothing is removed and the answer says what would be: show it to the person, and \
                  call again with confirm true only when they agree.",
    hints: Hints { destructive: true, ..TABLE },
    input: schema_of::<UnlinkInput>,
    output: output_of::<UnlinkOutput>,
    run: |context, arguments| Box::pin(unlink(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UnlinkInput {
    /// Which linked Spotify account: its alias or id.
    account: AccountName,
    /// True once the person has agreed.
    #[serde(default)]
    confirm: bool,
}

#[derive(Serialize, JsonSchema)]
struct UnlinkOutput {
    /// The account.
    account: String,
    /// Whether it is removed now.
    removed: bool,
    /// The accounts that stay, or would.
    remaining: Vec<String>,
    /// The one that tools use then where none is named; absent where none stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
    /// Whether the person logs in here with it: then only the same account, linked again by logging in, brings them back,
    /// and none of those that stay.
    logs_in: bool,
    /// Where the person ends the permission at Spotify's side too.
    revoke_at: &'static str,
}

async fn unlink(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: UnlinkInput = parse(arguments)?;
    let links = context.links().await?;
    let link = named(&links, &input.account)?;
    context.used.note(&link.id);
    if input.confirm {
        let question = format!(
            "Unlink the Spotify account {} from this server? Its tokens and everything kept of it here are erased for good.{}{}",
            context.name_of(link),
            if links.len() == 1 {
                " No account stays: the tools need one to be connected again."
            } else {
                ""
            },
            match (link.opens, links.len()) {
                (false, _) => "",
                (true, 1) => {
                    " You log in to this server with it: only that same Spotify account brings you back as who you are."
                }
                (true, _) => {
                    " You log in to this server with it: the others stay linked for your apps, but log in as nobody, and only \
                     that same Spotify account brings you back. To log in with another one from then on, disconnect it on \
                     your account page instead: it asks."
                }
            }
        );
        let planned = Planned { tool: UNLINK_ACCOUNT.name, asked: link.id.as_str(), state: "" };
        agreeing::agreed(context, &link.id, planned, question).await?;
        let gone = context.server.book.unlink(context.caller, &link.id).await;
        if !gone.map_err(|failure| ToolError::internal(&failure))? {
            return Err(unknown_account(&links));
        }
    }
    // Asked again: which one becomes the default is not decided here.
    let after = if input.confirm { context.links().await? } else { without(&links, link) };
    let output = UnlinkOutput {
        account: context.name_of(link),
        removed: input.confirm,
        remaining: after.iter().map(|left| context.name_of(left)).collect(),
        primary: after.first().map(|left| context.name_of(left)),
        logs_in: link.opens,
        revoke_at: REVOKE_AT,
    };
    Answer::own(output.told(&context.server.reconnect_url), &output)
}

/// The primary one first, as it would be.
fn without(links: &[Link], gone: &Link) -> Vec<Link> {
    let mut left: Vec<_> = links.iter().filter(|link| link.id != gone.id).cloned().collect();
    left.sort_by_key(|link| !link.primary);
    left
}

impl UnlinkOutput {
    fn told(&self, login_url: &str) -> String {
        let mut then = match &self.primary {
            Some(primary) => format!("{primary} is the account that tools use then where none is named."),
            None => "No account stays: the tools need one to be connected again.".to_owned(),
        };
        if self.logs_in {
            then.push_str(&format!(
                " {} the account that the person logs in to this server with: only that same Spotify account brings them \
                 back as who they are, at {login_url}.",
                if self.removed { "It was" } else { "It is" }
            ));
            if self.primary.is_some() {
                then.push_str(
                    " The accounts that stay serve the apps that are connected, and log in as nobody. To log in with one of \
                     them from then on, the person disconnects this one at /account instead, which asks.",
                );
            }
        }
        if self.removed {
            return format!(
                "The account {} is unlinked, and its tokens and data are erased here. {then} To end the permission at Spotify \
                 too, the person removes the app at {REVOKE_AT}.",
                self.account
            );
        }
        format!(
            "Nothing is removed yet. Unlinking {} erases its tokens and everything kept of it here, at once and for good. \
             {then} Ask the person, then call again with confirm true.",
            self.account
        )
    }
}

fn named<'a>(links: &'a [Link], account: &AccountName) -> Result<&'a Link, ToolError> {
    the_one_named(links, account.as_str())
}
