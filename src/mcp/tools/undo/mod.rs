//! Undoing a change: back to what was there before, only where nothing else happened since, or forced and then with
//! what happened since left in place as far as that can be told.
//!
//! An undo is a change itself: written down, proven, and to be undone in turn. Each change is undone once.

mod ending;
mod rows;
mod saved;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::ending::{begun_or_done, once};
use self::rows::Since;
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
use crate::ambient::Timestamp;
use crate::domain::ChangeId;
use crate::domain::change::{Details, PreImage, Summary, moved_back};
use crate::spotify::playlist_edits::{DetailsChange, Move};
use crate::spotify::uri::PlaylistId;
use crate::vault::changes::{Changes, Planned};

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
    summary: Summary,
    made_at: Timestamp,
    /// In the middle: the change, or undoing it.
    was_broken_off: bool,
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
    Details(DetailsChange),
    Follow(bool),
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let Some(journal) = context.server.upstream.changes() else { return Err(unknown()) };
    let id: ChangeId = input.change_id.as_str().parse().map_err(|_| unknown())?;
    let Found { session, summary, pre_image, made_at, undoing_broken_off } =
        found(context, (&journal, &id), &input).await?;
    let was_broken_off = undoing_broken_off || !summary.progress.is_whole();
    if was_broken_off {
        // What was left by breaking off is brought back, whatever was asked for since.
        context.going.mend();
    }
    if let Some(change) = saved::Change::of(&pre_image) {
        let case =
            saved::Case { context, session, id: &id, summary: &summary, undoing_broken_off, input: &input };
        return case.run(&journal, change).await;
    }
    let playlist: PlaylistId = summary.playlist.parse().map_err(|_| unknown())?;
    let case = Case { context, session, id: playlist, summary, made_at, was_broken_off, force: input.force };
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

/// A change as it is on record.
struct Found<'a> {
    session: Session<'a>,
    summary: Summary,
    pre_image: PreImage,
    made_at: Timestamp,
    undoing_broken_off: bool,
}

/// The change, where it is the caller's own and can be undone.
async fn found<'a>(
    context: Context<'a>,
    (journal, id): (&Changes, &ChangeId),
    input: &Input,
) -> Result<Found<'a>, ToolError> {
    let found = journal.find((&context.caller.user, id)).await;
    let found = found.map_err(|failure| ToolError::internal(&failure))?;
    let (change, pre_image) = found.ok_or_else(unknown)?;
    let session = context.session(Some(&named(change.link.as_str())?)).await?;
    if let Some(account) = &input.account
        && context.session(Some(account)).await?.link != session.link
    {
        return Err(unknown());
    }
    let (Some(summary), Some(pre_image)) = (change.summary, pre_image) else {
        return Err(ToolError::new(
            "RESTRICTED",
            "What was there before that change cannot be read any more, so that it cannot be undone.",
        ));
    };
    if change.undone_at.is_some() {
        return Err(ToolError::invalid(
            "That change was undone before. The undoing is a change of its own in list_changes.",
        ));
    }
    let (made_at, undoing_broken_off) = (change.created_at, change.undoing_broken_off);
    Ok(Found { session, summary, pre_image, made_at, undoing_broken_off })
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
            PreImage::Moved { start, length, before } => self.moved(*start, *length, *before).await,
            PreImage::Details { before, set } => self.details(before, set).await,
            PreImage::Made => self.library(false, true).await,
            PreImage::Followed => self.library(false, false).await,
            PreImage::Unfollowed => self.library(true, false).await,
            // Not of a playlist: done elsewhere.
            PreImage::Saved { .. } | PreImage::Unsaved { .. } => Err(unknown()),
        }
    }

    async fn rows(&self, pre_image: &PreImage) -> Result<Way, ToolError> {
        let contents = read(&self.session, &self.id).await?;
        let as_left = self.summary.after.as_ref() == Some(&contents.snapshot);
        let since = if as_left || rows::is_as_left(pre_image, &contents) {
            Since::Nothing
        } else if self.was_broken_off {
            Since::BrokenOff
        } else {
            Since::Others
        };
        let goes = match since {
            Since::Nothing => true,
            Since::BrokenOff => self.force || rows::only_of_before(pre_image, &contents),
            Since::Others => self.force,
        };
        if !goes {
            return Err(changed_since(&rows::told(pre_image, &contents, since)));
        }
        let title = contents.title();
        let plan = rows::plan((pre_image, self.made_at), contents, since)?;
        Ok(Way { title, effect: plan.effect(), requests: plan.requests(), act: Act::Rows(Box::new(plan)) })
    }

    async fn moved(&self, start: u32, length: u32, before: u32) -> Result<Way, ToolError> {
        let contents = read(&self.session, &self.id).await?;
        if self.summary.after.as_ref() != Some(&contents.snapshot) {
            return Err(ToolError::invalid(
                "Nothing was undone: the playlist has changed since, so that it is not known which rows were moved. Move \
                 them with reorder_playlist_tracks.",
            ));
        }
        let (from, to) = moved_back(start, length, before);
        Ok(Way {
            title: contents.title(),
            effect: format!(
                "{} {} back from position {from} to before position {to}.",
                amount(length as usize, "row"),
                if length == 1 { "goes" } else { "go" }
            ),
            requests: 1 + 2 * super::changing::contents::requests(contents.rows.len()),
            act: Act::Move(Box::new(contents), Move { start: from, length, before: to }),
        })
    }

    async fn details(&self, before: &Details, set: &Details) -> Result<Way, ToolError> {
        let (playlist, _) = head(&self.session, &self.id).await?;
        if !is_set(&details(&playlist), set) && !self.force {
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
            act: Act::Details(change),
        })
    }

    /// Into the library, or out of it.
    async fn library(&self, follow: bool, made: bool) -> Result<Way, ToolError> {
        let (playlist, snapshot) = head(&self.session, &self.id).await?;
        let other = made && self.summary.after.as_ref() != Some(&snapshot);
        if other && !self.force {
            return Err(changed_since("something was put into it or changed about it after it was made"));
        }
        if is_followed(&self.session, &self.id).await? == follow && !self.force {
            return Err(changed_since(if follow {
                "it is in the library again already"
            } else {
                "it is not in the library any more"
            }));
        }
        let effect = match (follow, made) {
            (true, _) => "it comes back into the library.",
            (false, true) => "the playlist that was made is deleted (it leaves the library).",
            (false, false) => "it leaves the library.",
        };
        Ok(Way { title: title(&playlist), effect: effect.to_owned(), requests: 5, act: Act::Follow(follow) })
    }

    async fn act(&self, act: Act) -> Result<Outcome, ToolError> {
        let (context, session, id) = (self.context, &self.session, &self.id);
        match act {
            Act::Rows(plan) => plan.act(context, session, id).await,
            Act::Move(contents, range) => move_rows(context, session, (id, &contents), (NAME, range)).await,
            Act::Details(change) => {
                let (before, _) = head(session, id).await?;
                Ok(set_details(context, session, (id, &before), (NAME, change)).await?.1)
            }
            Act::Follow(follow) => {
                let (playlist, _) = head(session, id).await?;
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

fn changed_since(how: &str) -> ToolError {
    ToolError::invalid(format!(
        "Nothing was undone: something has changed since that change: {how}. With force true it is undone nevertheless, \
         and what others did since stays."
    ))
}
