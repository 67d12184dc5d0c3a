//! Taking rows out of a playlist, whoever chose them: planned with all its effects, applied as planned, proven.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::super::upstream::Session;
use super::super::add_tracks::Status;
use super::super::amount::amount;
use super::super::items::by_position;
use super::super::{Answer, Context, ToolError, agreeing};
use super::contents::{Contents, is_own, requests, somebody_elses};
use super::journal::{About, Noted};
use super::outcome::Outcome;
use super::planned::Use;
use super::{no_way, planned, steps};
use crate::domain::change::PreImage;
use crate::domain::edits::{self, Edit};
use crate::spotify::rows::Row;
use crate::spotify::uri::PlaylistId;
use crate::vault::changes::Planned;

/// So many of the rows that go are named.
const NAMED: usize = 20;

/// So many of them where the person is asked.
const ASKED: usize = 5;

/// What is asked.
pub(in crate::mcp::tools) struct Wanted<'a> {
    pub(in crate::mcp::tools) tool: &'static str,
    pub(in crate::mcp::tools) id: &'a PlaylistId,
    /// The arguments in one text that says the same for the same.
    pub(in crate::mcp::tools) asked: String,
    pub(in crate::mcp::tools) dry_run: bool,
    pub(in crate::mcp::tools) plan_id: Option<&'a str>,
    /// Of each row the one that stays in its place, where rows go because others are the same.
    pub(in crate::mcp::tools) same_as: &'a [Option<usize>],
}

/// What goes, or went.
#[derive(Serialize, JsonSchema)]
pub(in crate::mcp::tools) struct Removal {
    /// The playlist's id.
    playlist_id: String,
    /// Its name.
    playlist: String,
    /// Only planned.
    dry_run: bool,
    /// How many rows go.
    removes: usize,
    /// Rows of the playlist before.
    rows_before: usize,
    /// Rows after; in a change that was broken off, those that are there.
    rows_after: usize,
    /// The first rows that go.
    rows: Vec<GoingRow>,
    /// How many rows that stay will count as added now.
    loses_added_at: usize,
    /// How many of them undo_change cannot bring back.
    gone_for_good: usize,
    /// To apply this plan, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    plan_id: Option<String>,
    /// How long the plan lives.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_in_seconds: Option<u64>,
    /// How many requests to Spotify applying takes at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<u32>,
    /// How it ended; absent in a plan.
    #[serde(flatten)]
    outcome: Option<Outcome>,
}

/// A row that goes.
#[derive(Serialize, JsonSchema)]
struct GoingRow {
    /// Its position, counted from 0.
    position: usize,
    /// spotify:track:..., spotify:episode:... or spotify:local:...
    uri: String,
    /// Title.
    name: String,
    /// Artists.
    artists: String,
    /// What stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    same_as: Option<usize>,
    /// That one, in words.
    #[serde(skip)]
    stays: String,
}

/// Plans or does it.
pub(in crate::mcp::tools) async fn run(
    context: Context<'_>,
    session: &Session<'_>,
    wanted: Wanted<'_>,
    (contents, goes): (&Contents, &[bool]),
) -> Result<Answer, ToolError> {
    let playlist = &contents.playlist;
    if playlist.collaborative != Some(true) && is_own(context, session, playlist).await? == Some(false) {
        return Err(somebody_elses());
    }
    let rows = contents.uris();
    let edit = edits::removal(&rows, goes).map_err(no_way)?;
    let mut removal = Removal::of(&wanted, contents, goes, &edit);
    if removal.removes == 0 {
        removal.outcome = Some(Outcome::verified());
        let text = format!("Nothing to remove: \"{}\" stays as it is.", removal.playlist);
        return removal.answer(text);
    }
    let planned = Planned { tool: wanted.tool, asked: &wanted.asked, state: &contents.snapshot };
    if wanted.dry_run {
        return removal.planned(context, session, planned, edit.steps.len()).await;
    }
    steps::check(session, (&rows, &edit.steps)).await?;
    let plan = (wanted.plan_id, planned);
    if agreeing::is_due(context) {
        if !agreeing::was_asked(context) {
            // Used up by the reply alone: a question that never came to the person costs no plan.
            planned::take(context, session, plan, Use::LookAt).await?;
        }
        let question = removal.question(&agreeing::account(context, session).await?);
        if let Err(no) = agreeing::agreed(context, &session.link, planned, question).await {
            if agreeing::is_no(context, &no) {
                planned::take(context, session, plan, Use::Take).await.ok();
            }
            return Err(no);
        }
    }
    planned::take(context, session, plan, Use::Take).await?;
    let gone = (0..).zip(goes).filter(|(_, goes)| **goes).map(|(at, _)| at).collect();
    let done = format!("{} removed by {}", amount(removal.removes, "row"), wanted.tool);
    let about = About { tool: wanted.tool, id: wanted.id, playlist: &contents.playlist, done };
    let mut noted = Noted::begin(context, session, about, &PreImage::Removed { before: rows, gone }).await?;
    let applied = steps::apply(session, wanted.id, (contents, &edit.steps)).await;
    if applied.is_nothing()
        && let Some(failure) = applied.failure
    {
        noted.forget().await;
        return Err(failure);
    }
    let (status, snapshot) = (applied.status, applied.snapshot);
    let outcome =
        Outcome { status, change_id: noted.id(), snapshot_id: snapshot.clone(), failure: applied.failure };
    noted.misses(applied.missing);
    noted.finish(status, snapshot).await;
    if matches!(status, Status::Partial | Status::Ambiguous) {
        removal.rows_after = applied.rows;
    }
    let text = removal.done_told(status, &outcome, applied.missing);
    removal.outcome = Some(outcome);
    removal.answer(text)
}

/// What stays in a row's place, as far as it is called otherwise.
fn stands_for(row: &Row, (at, twin): (usize, &Row)) -> String {
    match (row.name == twin.name, row.artists == twin.artists) {
        (true, true) => format!(", the same as {at}"),
        (_, true) => format!(", the same as {at}: {}", twin.told_name()),
        _ => format!(", the same as {at}: {} - {}", twin.told_name(), twin.artists),
    }
}

/// So many that stay.
fn stay(some: usize, what: &str) -> String {
    format!("{} that {}", amount(some, what), if some == 1 { "stays" } else { "stay" })
}

/// What is to be said where rows that should stay are away.
fn half_written(missing: usize) -> String {
    match missing {
        0 => String::new(),
        missing => format!(
            " The playlist is half written now: {} that should stay {} missing. Do not repeat the call; undo_change brings \
             everything back.",
            amount(missing, "row"),
            if missing == 1 { "is" } else { "are" }
        ),
    }
}

impl Removal {
    fn of(wanted: &Wanted<'_>, contents: &Contents, goes: &[bool], edit: &Edit) -> Self {
        let going = || contents.rows.iter().zip(goes).enumerate().filter(|(_, (_, goes))| **goes);
        let removes = going().count();
        let gone_for_good = going().filter(|(_, (row, _))| !edits::is_writable(&row.uri)).count();
        let named = going().take(NAMED).map(|(position, (row, _))| {
            let same_as = wanted.same_as.get(position).copied().flatten();
            let twin = same_as.and_then(|at| Some((at, contents.rows.get(at)?)));
            GoingRow {
                position,
                uri: row.shown_uri(),
                name: row.told_name(),
                artists: row.artists.to_string(),
                same_as,
                stays: twin.map(|(at, twin)| stands_for(row, (at, twin))).unwrap_or_default(),
            }
        });
        Self {
            playlist_id: wanted.id.as_str().to_owned(),
            playlist: contents.title(),
            dry_run: wanted.dry_run,
            removes,
            rows_before: contents.rows.len(),
            rows_after: contents.rows.len() - removes,
            rows: named.collect(),
            loses_added_at: edit.rewritten,
            gone_for_good,
            plan_id: None,
            expires_in_seconds: None,
            requests: None,
            outcome: None,
        }
    }

    /// Only says what would be done.
    async fn planned(
        mut self,
        context: Context<'_>,
        session: &Session<'_>,
        planned: Planned<'_>,
        steps: usize,
    ) -> Result<Answer, ToolError> {
        self.plan_id = planned::keep(context, session, planned).await?;
        self.expires_in_seconds = self.plan_id.is_some().then_some(planned::SECONDS);
        // Besides the steps: reading before them, and afterwards twice where Spotify takes a moment.
        let reading = requests(self.rows_before).saturating_add(2 * requests(self.rows_after));
        self.requests = Some(reading.saturating_add(u32::try_from(steps).unwrap_or(u32::MAX)));
        let mut text = self.plan_told();
        if !Noted::is_kept(context) {
            text.push_str("\nIt cannot be undone: this server writes no changes down.");
        }
        self.answer(text)
    }

    /// What nobody can put back, in a sentence.
    fn for_good(&self) -> String {
        let who = match (self.gone_for_good, self.removes) {
            (0, _) => return String::new(),
            (some, all) if some == all && all > 1 => format!("All {some}"),
            (some, all) if some == all => "It".to_owned(),
            (some, _) => format!("{some} of them"),
        };
        format!(" {who} cannot be brought back by undo_change (local files, or no longer available).")
    }

    /// What the person is asked before it is done.
    fn question(&self, account: &str) -> String {
        let one = |row: &GoingRow| format!("{} (position {})", agreeing::quoted(&row.name), row.position);
        let named: Vec<_> = self.rows.iter().take(ASKED).map(one).collect();
        let more = if self.removes > named.len() { ", ..." } else { "" };
        let dates = match self.loses_added_at {
            0 => String::new(),
            some => format!(" {} will count as added now.", stay(some, "track")),
        };
        let for_good = self.for_good();
        format!(
            "Remove {} of {} from the playlist {} of the Spotify account {account}: {}{more}?{for_good}{dates}",
            self.removes,
            amount(self.rows_before, "track"),
            agreeing::quoted(&self.playlist),
            named.join(", "),
        )
    }

    fn done_told(&self, status: Status, outcome: &Outcome, missing: usize) -> String {
        let what = match status {
            Status::Partial => "Began to remove",
            Status::Ambiguous => "Asked Spotify to remove",
            Status::Verified | Status::Accepted => "Removed",
        };
        let (rows, missing) = (amount(self.removes, "row"), half_written(missing));
        let dates = match (self.loses_added_at, status) {
            (0, _) | (_, Status::Partial | Status::Ambiguous) => String::new(),
            (some, _) => format!(
                " {} now.",
                if some == 1 {
                    "1 row that stays counts as added".to_owned()
                } else {
                    format!("{some} rows that stay count as added")
                }
            ),
        };
        let told = if self.gone_for_good == self.removes { outcome.state_told() } else { outcome.told() };
        format!("{what} {rows} from \"{}\".{told}{}{dates}{missing}", self.playlist, self.for_good())
    }

    fn plan_told(&self) -> String {
        let line = |row: &GoingRow| match row.uri.is_empty() {
            true => row.name.clone(),
            false => format!("{} - {} [{}]{}", row.name, row.artists, row.uri, row.stays),
        };
        let list = by_position(self.rows.iter().map(|row| (row.position as u64, line(row))));
        let more = match self.removes - self.rows.len() {
            0 => String::new(),
            more => format!("\n... and {more} more"),
        };
        let dates = match self.loses_added_at {
            0 => String::new(),
            some => format!(
                " {} must be written anew and will count as added now, which cannot be undone.",
                stay(some, "row")
            ),
        };
        let apply = match &self.plan_id {
            Some(id) => format!(
                " To apply: the same arguments with dry_run false and plan_id {id}, within {} minutes, after the person agreed.",
                planned::SECONDS / 60
            ),
            None => String::new(),
        };
        let for_good = self.for_good();
        format!(
            "Plan, nothing changed yet: {} of {} of \"{}\" would go.{for_good}{dates} At most {} to Spotify.{apply} By position, counted \
             from 0:{list}{more}",
            self.removes,
            amount(self.rows_before, "row"),
            self.playlist,
            amount(self.requests.unwrap_or_default() as usize, "request"),
        )
    }

    fn answer(self, text: String) -> Result<Answer, ToolError> {
        let code = self.outcome.as_ref().and_then(Outcome::code);
        let mut answer = Answer::of(text, &self)?;
        answer.code = code;
        Ok(answer)
    }
}
