//! Undoing a change: back to what was there before, only where nothing else happened since, or forced and then with
//! what happened since left in place as far as that can be told.
//!
//! An undo is a change itself: written down, proven, and to be undone in turn. Each change is undone once.

mod ending;
mod record;
mod rows;
mod saved;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::ending::{begun_or_done, once};
use self::record::{Found, found};
use super::super::upstream::Session;
use super::amount::amount;
use super::arguments::{Text, parse, schema_of};
use super::changing::REPLACES;
use super::changing::contents::{head, read, title};
use super::changing::outcome::Outcome;
use super::following::{is_followed, set_followed};
use super::playlist::{details, is_set, set_details};
use super::reorder_tracks::move_rows;
use super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, agreeing, output_of};
use crate::domain::ChangeId;
use crate::domain::change::{Details, PreImage, Summary, moved_back};
use crate::domain::lists::print;
use crate::domain::undoing::{Moving, Rewriting};
use crate::spotify::models::Playlist;
use crate::spotify::playlist_edits::{DetailsChange, Move};
use crate::spotify::uri::PlaylistId;
use crate::vault::changes::Planned;

pub(super) const UNDO_CHANGE: ToolSpec = ToolSpec {
    name: "undo_change",
    title: "Undo a change",
    description: "Takes back one change that list_changes or a tool's change_id names. By default it only says what undoing \
                  would do (dry_run true); show that to the person, then call again with dry_run false. Where the playlist \
                  or library has changed since, it refuses and says how; force true undoes it nevertheless and leaves what others did \
                  since in place. Dates at which tracks were added do not come back. Covers cannot be undone.",
    hints: REPLACES,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

/// The tool's name in the journal.
const NAME: &str = "undo_change";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The change, as list_changes names it.
    change_id: Text<1, 64>,
    /// Only say what undoing would do; nothing is changed.
    #[serde(default = "yes")]
    dry_run: bool,
    /// Undo also where the playlist has changed since.
    #[serde(default)]
    force: bool,
    /// The linked Spotify account with which the change was made; not needed.
    account: Option<AccountName>,
}

const fn yes() -> bool {
    true
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The change that is undone.
    undoes: String,
    /// The playlist's id; absent where the change was one of the library.
    #[serde(skip_serializing_if = "Option::is_none")]
    playlist_id: Option<String>,
    /// Its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    playlist: Option<String>,
    /// Whether nothing was changed.
    dry_run: bool,
    /// What undoing does, or did.
    effect: String,
    /// About how many requests to Spotify it takes.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u32>,
    /// How it ended; absent in a dry run.
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

/// A change that is to be undone, and by which account.
struct Case<'a> {
    context: Context<'a>,
    session: Session<'a>,
    id: PlaylistId,
    change: &'a ChangeId,
    summary: Summary,
    /// Undoing it, which was broken off.
    attempt: Option<Rewriting>,
    force: bool,
}

/// What undoing comes to.
struct Way {
    /// The playlist's title.
    title: String,
    effect: String,
    requests: u32,
    act: Act,
}

impl Way {
    /// What undoing would do, to these.
    fn told(&self, names: &str, force: bool) -> String {
        format!(
            "Nothing changed yet. Undoing would do this to \"{}\"{names}: {} About {} to Spotify. To do it: dry_run \
             false{}, after the person agreed.",
            self.title,
            self.effect,
            amount(self.requests as usize, "request"),
            if force { " and force true" } else { "" }
        )
    }
}

enum Act {
    Rows(Box<rows::Plan>),
    Move(Box<super::changing::contents::Contents>, Move),
    Details(Box<Playlist>, DetailsChange),
    Follow(Box<Playlist>, bool),
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let Some(journal) = context.server.upstream.changes() else { return Err(unknown()) };
    let id: ChangeId = input.change_id.as_str().parse().map_err(|_| unknown())?;
    let found = found(context, (&journal, &id), &input).await?;
    let attempt = found.attempt(context, (&journal, &id), input.dry_run).await?;
    let Found { session, summary, pre_image, undoing_broken_off } = found;
    if let Some(change) = saved::Change::of(&pre_image) {
        let case =
            saved::Case { context, session, id: &id, summary: &summary, undoing_broken_off, input: &input };
        return case.run(&journal, change).await;
    }
    let playlist: PlaylistId = summary.playlist.parse().map_err(|_| unknown())?;
    let case = Case { context, session, id: playlist, change: &id, summary, attempt, force: input.force };
    let way = case.way(&pre_image).await?;
    let mut output = Output {
        undoes: id.as_str().to_owned(),
        playlist_id: Some(case.id.as_str().to_owned()),
        playlist: Some(way.title.clone()),
        dry_run: input.dry_run,
        effect: way.effect.clone(),
        requests: input.dry_run.then_some(way.requests),
        outcome: None,
    };
    let back = match &way.act {
        Act::Rows(plan) if input.dry_run || agreeing::is_due(context) => plan.back(),
        _ => &[],
    };
    let names = agreeing::names(&case.session, back).await;
    if input.dry_run {
        return Answer::of(way.told(&names, input.force), &output);
    }
    if agreeing::is_due(context) {
        let account = agreeing::account(context, &case.session).await?;
        let question = format!(
            "Undo a change of the playlist {} of the Spotify account {account}{names}? This happens: {}",
            agreeing::quoted(&way.title),
            way.effect
        );
        let asked = format!("{} {}", id.as_str(), input.force);
        let planned = Planned { tool: NAME, asked: &asked, state: "" };
        agreeing::agreed(context, &case.session.link, planned, question).await?;
    }
    let act = async { case.act(way.act).await.map(|outcome| (outcome.status, outcome)) };
    let outcome = once(context, (&journal, &id, undoing_broken_off), act).await?;
    let undone = begun_or_done(outcome.status);
    let text = format!("{undone} in \"{}\": {}{}", way.title, way.effect, outcome.told());
    let code = outcome.code();
    output.outcome = Some(outcome);
    let mut answer = Answer::of(text, &output)?;
    answer.code = code;
    Ok(answer)
}

/// Of whoever else's, long ago or never: one answer for all.
fn unknown() -> ToolError {
    ToolError::new(
        "NOT_FOUND",
        "No change of that id is on record; it may have been forgotten. list_changes tells those that can be undone.",
    )
}

fn named(link: &str) -> Result<AccountName, ToolError> {
    serde_json::from_value(serde_json::Value::from(link)).map_err(|_| unknown())
}

impl Case<'_> {
    async fn way(&self, pre_image: &PreImage) -> Result<Way, ToolError> {
        match pre_image {
            PreImage::Removed { .. } | PreImage::Restored { .. } | PreImage::Added { .. } => {
                self.rows(pre_image).await
            }
            PreImage::Moved { .. } => self.moved(pre_image).await,
            PreImage::Details { before, set } => self.details(before, set).await,
            PreImage::Made => self.library(false, Some(&Details::default())).await,
            PreImage::Created { set } => self.library(false, Some(set)).await,
            PreImage::Followed => self.library(false, None).await,
            PreImage::Unfollowed => self.library(true, None).await,
            // Not of a playlist: done elsewhere.
            PreImage::Saved { .. } | PreImage::Unsaved { .. } => Err(unknown()),
        }
    }

    async fn rows(&self, pre_image: &PreImage) -> Result<Way, ToolError> {
        let contents = read(&self.session, &self.id).await?;
        let title = contents.title();
        let change = rows::Change { pre_image, summary: &self.summary, attempt: self.attempt.as_ref() };
        let plan = change.plan(contents, self.force)?;
        Ok(Way { title, effect: plan.effect(), requests: plan.requests(), act: Act::Rows(Box::new(plan)) })
    }

    async fn moved(&self, pre_image: &PreImage) -> Result<Way, ToolError> {
        let PreImage::Moved { start, length, before, rows, neighbours } = pre_image else {
            return Err(unknown());
        };
        let contents = read(&self.session, &self.id).await?;
        let now = contents.uris();
        let (from, to) = moved_back(*start, *length, *before);
        let is_as_left = self.summary.after.as_ref() == Some(&contents.snapshot)
            || self.summary.known.left.as_ref() == Some(&print(&now));
        let (from, to) = if is_as_left {
            (from, to)
        } else if self.force {
            let moving = Moving { rows, at: from as usize, from: *start as usize, neighbours };
            let range =
                moving.back(&now).filter(|_| rows.len() == *length as usize).ok_or_else(moved_away)?;
            if !range.moves(rows.len()) {
                return Err(nothing("the rows that it moved stand where they stood before"));
            }
            let place = |at: usize| u32::try_from(at).map_err(|_| moved_away());
            (place(range.start)?, place(range.before)?)
        } else {
            return Err(changed_since("its rows are not those that the move left, or in another order"));
        };
        Ok(Way {
            title: contents.title(),
            effect: format!(
                "{} {} back from position {from} to before position {to}.",
                amount(*length as usize, "row"),
                if *length == 1 { "goes" } else { "go" }
            ),
            requests: 1 + 2 * super::changing::contents::requests(contents.rows.len()),
            act: Act::Move(Box::new(contents), Move { start: from, length: *length, before: to }),
        })
    }

    async fn details(&self, before: &Details, set: &Details) -> Result<Way, ToolError> {
        let (playlist, _) = head(&self.session, &self.id).await?;
        let held = details(&playlist);
        if is_set(&held, before) {
            return Err(nothing("name, description and visibility are what they were before"));
        }
        if !is_set(&held, set) && !self.force {
            return Err(changed_since("its name, description or visibility is not what that change made it"));
        }
        let blank = before.description.as_deref() == Some("");
        let change = DetailsChange {
            name: before.name.clone(),
            description: before.description.clone().filter(|text| !text.is_empty()),
            public: before.public,
            collaborative: before.collaborative,
        };
        if change.is_empty() {
            return Err(ToolError::new(
                "RESTRICTED",
                "It cannot be undone: there was no description before, and Spotify cannot empty one.",
            ));
        }
        let kept = if blank { " The description stays: Spotify cannot empty one." } else { "" };
        Ok(Way {
            title: title(&playlist),
            effect: format!("what was there before comes back: {}.{kept}", names(&change)),
            requests: 3,
            act: Act::Details(Box::new(playlist), change),
        })
    }

    /// Into the library, or out of it; `made`: the playlist was made so.
    async fn library(&self, follow: bool, made: Option<&Details>) -> Result<Way, ToolError> {
        let (playlist, snapshot) = head(&self.session, &self.id).await?;
        if is_followed(&self.session, &self.id).await? == follow {
            return Err(nothing(if follow { "it is in the library" } else { "it is not in the library" }));
        }
        if let Some(made) = made
            && !self.force
            && !self.is_as_made(made, (&playlist, &snapshot)).await?
        {
            return Err(changed_since("something was put into it or changed about it after it was made"));
        }
        let made = made.is_some();
        let effect = match (follow, made) {
            (true, _) => "it comes back into the library.",
            (false, true) => "the playlist that was made is deleted (it leaves the library).",
            (false, false) => "it leaves the library.",
        };
        Ok(Way {
            title: title(&playlist),
            effect: effect.to_owned(),
            requests: 5,
            act: Act::Follow(Box::new(playlist), follow),
        })
    }

    /// Whether a playlist that was made is what it was then, whatever happened meanwhile.
    async fn is_as_made(
        &self,
        made: &Details,
        (playlist, snapshot): (&Playlist, &str),
    ) -> Result<bool, ToolError> {
        if self.summary.after.as_deref() == Some(snapshot) {
            return Ok(true);
        }
        let Some(left) = &self.summary.known.left else { return Ok(false) };
        if !is_set(&details(playlist), made) {
            return Ok(false);
        }
        Ok(print(&read(&self.session, &self.id).await?.uris()) == *left)
    }

    async fn act(&self, act: Act) -> Result<Outcome, ToolError> {
        let (context, session, id) = (self.context, &self.session, &self.id);
        match act {
            Act::Rows(plan) => plan.act(context, session, (id, self.change)).await,
            Act::Move(contents, range) => move_rows(context, session, (id, &contents), (NAME, range)).await,
            Act::Details(before, change) => {
                Ok(set_details(context, session, (id, &before), (NAME, change)).await?.1)
            }
            Act::Follow(playlist, follow) => {
                set_followed(context, session, (id, &playlist), (NAME, follow)).await
            }
        }
    }
}

fn names(change: &DetailsChange) -> String {
    let names = [
        ("name", change.name.is_some()),
        ("description", change.description.is_some()),
        ("visibility", change.public.is_some()),
        ("openness to others", change.collaborative.is_some()),
    ];
    names.into_iter().filter_map(|(name, there)| there.then_some(name)).collect::<Vec<_>>().join(", ")
}

fn moved_away() -> ToolError {
    ToolError::invalid(
        "Nothing was undone: the playlist has changed since, so that it is not known which rows were moved. Move them with \
         reorder_playlist_tracks.",
    )
}

fn nothing(why: &str) -> ToolError {
    ToolError::invalid(format!("There is nothing to undo: {why}."))
}

fn changed_since(how: &str) -> ToolError {
    ToolError::invalid(format!(
        "Nothing was undone: something has changed since that change: {how}. With force true it is undone nevertheless, \
         and what others did since stays."
    ))
}
