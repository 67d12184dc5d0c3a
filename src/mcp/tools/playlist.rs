//! One playlist: what it says of itself, and changing that.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::arguments::{PlaylistName, Text, parse, schema_of};
use super::changing::SETS;
use super::changing::contents::{head, title};
use super::changing::journal::{About, Noted};
use super::changing::outcome::{Outcome, Status, contradicted};
use super::changing::timing::{Sent, seen, send};
use super::items::{Contents, PlaylistItem};
use super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::domain::ChangeId;
use crate::domain::change::{Details, PreImage, TOGETHER};
use crate::spotify::models::Playlist;
use crate::spotify::playlist_edits::DetailsChange;
use crate::spotify::text::unescaped;
use crate::spotify::uri::PlaylistId;
use crate::vault::changes::Change;

/// The name of the tool that changes details.
const UPDATE: &str = "update_playlist";
/// Among so many of the latest changes one is looked for that another one belongs to.
const LATELY: u32 = 20;

pub(super) const GET_PLAYLIST: ToolSpec = ToolSpec {
    name: "get_playlist",
    title: "Get a playlist",
    description: "Tells about one playlist without its tracks: name, description, owner, how many tracks, and whether this \
                  account can read them (contents: readable or forbidden; forbidden does not mean empty). Use \
                  get_playlist_tracks for the tracks. snapshot_id names the state of the playlist; it changes with every \
                  change.",
    hints: LOOKS,
    input: schema_of::<LookInput>,
    output: output_of::<LookOutput>,
    run: |context, arguments| Box::pin(look(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LookInput {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Serialize, JsonSchema)]
struct LookOutput {
    /// The playlist.
    playlist: PlaylistItem,
    /// Names its state.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot_id: Option<String>,
    /// Whether the account made it.
    owned: bool,
}

async fn look(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: LookInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let (api, id) = (session.api, &input.playlist_id.0);
    let found = session.call(|token| async move { api.playlist(&token, id).await }).await?;
    let playlist = PlaylistItem::from(&found).ok_or_else(|| {
        ToolError::new(
            "UPSTREAM_ERROR",
            "Spotify's answer does not name the playlist. Try again in a moment.",
        )
    })?;
    let links = context.links().await?;
    let mine = links.iter().find(|link| link.id == session.link).map(|link| &link.spotify_user_id);
    let owned = mine.is_some() && found.owner.as_ref().and_then(|owner| owner.id.as_ref()) == mine;
    let described =
        playlist.description.as_ref().map(|text| format!("\nDescription: {text}")).unwrap_or_default();
    let closed = match playlist.contents {
        Contents::Readable => "",
        Contents::Forbidden => {
            "\nIts tracks cannot be read with this account, because it is somebody else's."
        }
    };
    let text = format!("{}{described}{closed}\n{}", playlist.line(), playlist.url);
    let snapshot_id = found.snapshot_id.filter(|id| super::items::is_snapshot(id));
    Answer::of(text, &LookOutput { playlist, snapshot_id, owned })
}

pub(super) const UPDATE_PLAYLIST: ToolSpec = ToolSpec {
    name: "update_playlist",
    title: "Change a playlist's details",
    description: "Changes the name, the description or the visibility of a playlist that the person made; what is left out \
                  stays. The old values are overwritten and kept for undo_change. Spotify cannot empty a description. Does \
                  not touch the tracks.",
    hints: SETS,
    input: schema_of::<UpdateInput>,
    output: output_of::<UpdateOutput>,
    run: |context, arguments| Box::pin(update(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct UpdateInput {
    /// The playlist: its id, URI or link.
    playlist_id: PlaylistName,
    /// Its new name.
    name: Option<Text<1, 100>>,
    /// Its new description in one line.
    description: Option<Text<1, 300>>,
    /// Show it on the person's profile.
    public: Option<bool>,
    /// Let others change it; only together with public false.
    collaborative: Option<bool>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Serialize, JsonSchema)]
struct UpdateOutput {
    /// The playlist as it is now.
    playlist: PlaylistItem,
    #[serde(flatten)]
    outcome: Outcome,
}

/// What is wanted of a playlist's details, in words.
fn said(change: &DetailsChange) -> String {
    let words = [
        change.name.as_ref().map(|_| "the name"),
        change.description.as_ref().map(|_| "the description"),
        change.public.map(|public| if public { "public" } else { "private" }),
        change.collaborative.map(|open| if open { "open to others" } else { "closed to others" }),
    ];
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

async fn update(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: UpdateInput = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let words = |text: Option<Text<1, 100>>| text.map(|text| text.as_str().to_owned());
    let change = DetailsChange {
        name: words(input.name),
        description: input.description.map(|text| text.as_str().to_owned()),
        public: input.public,
        collaborative: input.collaborative,
    };
    if change.is_empty() {
        return Err(ToolError::invalid(
            "Nothing is to be changed: give a name, a description, public or collaborative.",
        ));
    }
    if change.public == Some(true) && change.collaborative == Some(true) {
        return Err(ToolError::invalid(
            "A playlist that others may change cannot be public: give collaborative true with public false.",
        ));
    }
    let id = &input.playlist_id.0;
    let (before, _) = head(&session, id).await?;
    let what = said(&change);
    let (now, outcome) = set_details(context, &session, (id, &before), (UPDATE, change)).await?;
    let playlist = PlaylistItem::from(&now).ok_or_else(contradicted)?;
    let did = match (outcome.status, outcome.change_id.is_none()) {
        (Status::Ambiguous, _) => "Tried to change",
        (Status::Verified, true) => "Nothing is to be changed of",
        _ => "Changed",
    };
    let text = format!("{did} the playlist \"{}\": {what}.{}\n{}", title(&now), outcome.told(), playlist.url);
    let code = outcome.code();
    let mut answer = Answer::of(text, &UpdateOutput { playlist, outcome })?;
    answer.code = code;
    Ok(answer)
}

/// Changes details, written down before and read again after. Says what the playlist is afterwards.
pub(super) async fn set_details(
    context: Context<'_>,
    session: &Session<'_>,
    (id, before): (&PlaylistId, &Playlist),
    (tool, change): (&'static str, DetailsChange),
) -> Result<(Playlist, Outcome), ToolError> {
    let set = Details {
        name: change.name.clone(),
        description: change.description.clone(),
        public: change.public,
        collaborative: change.collaborative,
    };
    let held = details(before);
    if is_set(&held, &set) {
        return Ok((before.clone(), Outcome::verified()));
    }
    let names: Vec<_> = [
        ("name", set.name.is_some()),
        ("description", set.description.is_some()),
        ("public", set.public.is_some()),
        ("collaborative", set.collaborative.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, changed)| changed.then_some(name))
    .collect();
    let earlier = Earlier::of(context, session, (tool, id, &held)).await;
    let together = earlier.as_ref().map(|earlier| earlier.id.clone());
    let pre_image = Earlier::with(earlier, (of_these(held, &set), set.clone()));
    let done = format!("{} changed", names.join(", "));
    let mut noted =
        Noted::begin(context, session, About { tool, id, playlist: before, done }, &pre_image).await?;
    if together.is_some() {
        context.going.remark(
            "It is one with the change of its details just before: undoing it undoes both.".to_owned(),
        );
    }
    noted.holds(together);
    let (api, wanted) = (session.api, &change);
    let sent = send(session, |token| async move { api.change_playlist(&token, id, wanted).await }).await;
    let mut failure = match sent {
        Sent::Confirmed(()) => None,
        Sent::Lost(failure) => Some(failure),
        Sent::Refused(failure) => {
            noted.forget().await;
            return Err(failure);
        }
    };
    let (status, now) = match seen(session, head(session, id)).await {
        Some((now, _)) if is_set(&details(&now), &set) => {
            failure = None;
            (Status::Verified, Some(now))
        }
        Some((now, _)) => {
            failure = failure.or_else(|| Some(contradicted()));
            (Status::Ambiguous, Some(now))
        }
        None if failure.is_none() => (Status::Accepted, None),
        None => (Status::Ambiguous, None),
    };
    let snapshot = now.as_ref().and_then(|now| now.snapshot_id.clone());
    let outcome = Outcome { status, change_id: noted.id(), snapshot_id: snapshot.clone(), failure };
    noted.finish(status, snapshot).await;
    Ok((now.unwrap_or_else(|| before.clone()), outcome))
}

/// A change of the same playlist's details a moment ago, with which one more is one.
struct Earlier {
    id: ChangeId,
    before: Details,
    set: Details,
}

impl Earlier {
    /// The one there is; none where somebody else has changed something since.
    async fn of(
        context: Context<'_>,
        session: &Session<'_>,
        (tool, id, held): (&'static str, &PlaylistId, &Details),
    ) -> Option<Self> {
        let changes = context.server.upstream.changes()?;
        let user = &context.caller.user;
        let (lately, _) = changes.list((user, Some(&session.link)), (0, LATELY)).await.ok()?;
        let from = context.server.clock.now().minus(TOGETHER);
        let is_it = |change: &&Change| {
            let summary = change.summary.as_ref();
            let is_whole = change.undone_at.is_none() && !change.undoing_broken_off;
            change.tool == tool
                && change.created_at >= from
                && is_whole
                && summary.is_some_and(|it| it.playlist == id.as_str() && it.progress.is_whole())
        };
        let earlier = lately.iter().find(is_it).filter(|_| tool == UPDATE)?;
        match changes.find((user, &earlier.id)).await.ok()?? {
            (change, Some(PreImage::Details { before, set })) if is_set(held, &set) => {
                Some(Self { id: change.id, before, set })
            }
            _ => None,
        }
    }

    /// What there was before both, and what both set.
    fn with(earlier: Option<Self>, (before, set): (Details, Details)) -> PreImage {
        match earlier {
            Some(earlier) => {
                PreImage::Details { before: earlier.before.or(before), set: set.or(earlier.set) }
            }
            None => PreImage::Details { before, set },
        }
    }
}

/// What a playlist says of itself, as it would be sent.
pub(super) fn details(playlist: &Playlist) -> Details {
    Details {
        name: playlist.name.as_ref().map(|name| name.raw().to_owned()),
        description: playlist.description.as_ref().map(|text| unescaped(text.raw())),
        public: playlist.public,
        collaborative: playlist.collaborative,
    }
}

/// Of these details, those that are set in `set`.
fn of_these(held: Details, set: &Details) -> Details {
    Details {
        name: held.name.filter(|_| set.name.is_some()),
        description: held.description.filter(|_| set.description.is_some()),
        public: held.public.filter(|_| set.public.is_some()),
        collaborative: held.collaborative.filter(|_| set.collaborative.is_some()),
    }
}

/// Whether everything that is set in `set` is so.
pub(super) fn is_set(held: &Details, set: &Details) -> bool {
    set.name.as_ref().is_none_or(|name| held.name.as_ref() == Some(name))
        && set.description.as_ref().is_none_or(|text| held.description.as_ref() == Some(text))
        && set.public.is_none_or(|public| held.public == Some(public))
        && set.collaborative.is_none_or(|open| held.collaborative == Some(open))
}
