//! Copying a playlist, also from one linked account to another. What cannot be written elsewhere is counted, not lost
//! silently; a copy that stops half way says where to go on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::upstream::Session;
use super::add_tracks::{Added, Plan, Status, add_in_order, there};
use super::amount::{amount, share, were};
use super::arguments::{Count, PlaylistName, Text, parse, schema_of};
use super::changing::adding::add_noted;
use super::changing::contents::{Contents, read, title};
use super::create_playlist::{Made, begin_made, finish_made, make};
use super::{ADDS, AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use crate::spotify::models::Playlist;
use crate::spotify::playlists::NewPlaylist;
use crate::spotify::quota::LIST_OFFSET;
use crate::spotify::rows::Row;
use crate::spotify::text::unescaped;
use crate::spotify::uri::{ItemUri, PlaylistId};

pub(super) const TOOL: ToolSpec = ToolSpec {
    name: "copy_playlist",
    title: "Copy a playlist",
    description: "Makes a new playlist with the tracks of another one, in the same order: in the same account, or from one \
                  linked account (from_account) to another (to_account). The copy is private unless public is true. Local \
                  files and tracks that are no longer available are left out and counted. Each call makes another playlist; \
                  to go on with a copy that stopped half way, give into_playlist_id and from_index as the answer says.",
    hints: ADDS,
    input: schema_of::<Input>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Input {
    /// The playlist to copy: its id, its URI (spotify:playlist:...) or its link.
    playlist_id: PlaylistName,
    /// The linked Spotify account that can read it: its alias or id. Default: the primary one.
    from_account: Option<AccountName>,
    /// The linked Spotify account that gets the copy: its alias or id. Default: the same.
    to_account: Option<AccountName>,
    /// The copy's name. Default: the same name.
    name: Option<Text<1, 100>>,
    /// Show the copy on the profile.
    public: Option<bool>,
    /// Go on with this copy.
    into_playlist_id: Option<PlaylistName>,
    /// The first track to copy, counted from 0 among those that can be copied.
    #[serde(default = "start")]
    from_index: Count<0, LIST_OFFSET>,
}

const fn start() -> Count<0, LIST_OFFSET> {
    Count::of(0)
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// The playlist that was copied.
    from_playlist_id: String,
    /// The copy's id.
    playlist_id: String,
    /// The copy's name.
    playlist: String,
    /// The copy's page at open.spotify.com.
    url: String,
    /// How many tracks were to be copied by this call.
    requested: usize,
    /// How many were left out: local files, and what is no longer available.
    left_out: usize,
    #[serde(flatten)]
    added: Added,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let source = context.session(input.from_account.as_ref()).await?;
    let to = match &input.to_account {
        Some(account) => context.session(Some(account)).await?,
        None => context.session(input.from_account.as_ref()).await?,
    };
    let contents = read(&source, &input.playlist_id.0).await?;
    let all = writable(&contents);
    let left_out = contents.rows.len() - all.len();
    let first = input.from_index.get() as usize;
    if first > all.len() {
        return Err(ToolError::invalid(format!("from_index is beyond the {}.", amount(all.len(), "track"))));
    }
    let work = Work { context, to: &to, source: &input.playlist_id.0, contents: &contents, all: &all };
    let Copied { copy, id, requested, added } = match &input.into_playlist_id {
        Some(_) if input.name.is_some() || input.public.is_some() => {
            return Err(ToolError::invalid(
                "The arguments 'name' and 'public' are for a new copy: leave them out with 'into_playlist_id'.",
            ));
        }
        Some(into) => work.go_on(&into.0, first).await?,
        None => {
            let public = input.public.unwrap_or_default();
            work.begin(&new_playlist(&contents, input.name.as_ref(), public), first).await?
        }
    };
    answer(
        &copy,
        Output {
            from_playlist_id: input.playlist_id.0.as_str().to_owned(),
            playlist_id: id.as_str().to_owned(),
            playlist: title(&copy),
            url: id.link(),
            requested,
            left_out,
            added,
        },
    )
}

/// A copy to be made.
struct Work<'a> {
    context: Context<'a>,
    to: &'a Session<'a>,
    source: &'a PlaylistId,
    contents: &'a Contents,
    /// What of it can be written.
    all: &'a [ItemUri],
}

/// What became of it.
struct Copied {
    copy: Playlist,
    id: PlaylistId,
    requested: usize,
    added: Added,
}

impl Work<'_> {
    fn from(&self, first: usize) -> Vec<(usize, ItemUri)> {
        self.all.iter().cloned().enumerate().skip(first).collect()
    }

    /// Goes on with a copy that stopped half way.
    async fn go_on(&self, id: &PlaylistId, first: usize) -> Result<Copied, ToolError> {
        let Contents { playlist: copy, rows: begun, .. } = read(self.to, id).await?;
        if id == self.source || !is_begun(&begun, self.all, first) {
            return Err(not_begun(&title(&copy), first));
        }
        // What a lost confirmation had left open is there.
        let items = self.from(begun.len());
        let requested = items.len();
        let added = match requested {
            0 => Added::nothing(Status::Verified),
            _ => {
                let there = there(self.to, (id, &copy), &items).await;
                let plan = Plan { items, position: None, rows_before: copy.total(), there };
                add_noted(self.context, self.to, (id, &copy), (TOOL.name, &plan)).await?
            }
        };
        Ok(Copied { copy, id: id.clone(), requested, added })
    }

    /// Makes a new one.
    async fn begin(&self, new: &NewPlaylist, first: usize) -> Result<Copied, ToolError> {
        let items = self.from(first);
        let requested = items.len();
        let (copy, is_certain) = match make(self.to, new).await? {
            Made::Confirmed(made) => (made, true),
            Made::Perhaps(made) => (made, false),
        };
        let done = copied(self.contents, if is_certain { requested } else { 0 });
        let noted = begin_made(self.context, self.to, (TOOL.name, new, &copy), done).await;
        if !is_certain {
            finish_made(noted, &copy, (&Added::nothing(Status::Ambiguous), &[])).await;
            return Err(super::create_playlist::lost());
        }
        let id = copy.id.as_deref().and_then(|id| id.parse::<PlaylistId>().ok());
        let id = id.ok_or_else(super::create_playlist::lost)?;
        let rows: Vec<_> = items.iter().map(|(_, uri)| uri.to_string()).collect();
        let plan = Plan { items, position: None, rows_before: Some(0), there: None };
        let mut added = add_in_order(self.to, &id, &plan).await;
        added.change_id = finish_made(noted, &copy, (&added, &rows)).await;
        if requested == 0 && added.status == Status::Verified {
            added.status = Status::Accepted;
        }
        Ok(Copied { copy, id, requested, added })
    }
}

fn answer(copy: &Playlist, output: Output) -> Result<Answer, ToolError> {
    let left = match output.left_out {
        0 => String::new(),
        some => format!(" {} left out (local files, or no longer available).", were(some)),
    };
    let resume = match &output.added.resume {
        Some(resume) => format!(
            " To go on: copy_playlist with the same playlist_id and accounts, into_playlist_id {} and from_index {}.",
            output.playlist_id, resume.from_index
        ),
        None => String::new(),
    };
    let why = output.added.failure.as_ref().map(|failure| format!(" {}", failure.told())).unwrap_or_default();
    let did = match output.requested {
        0 => "Nothing is left to copy".to_owned(),
        requested => format!("Copied {}", share(output.added.added, Some(requested as u64), "track")),
    };
    let text = format!(
        "{did} into \"{}\" [{}].{left}{why}{resume}{}\n{}",
        title(copy),
        output.playlist_id,
        output.added.undo_told(),
        output.url
    );
    let code = output.added.code();
    let mut answer = Answer::of(text, &output)?;
    answer.code = code;
    Ok(answer)
}

/// For the journal.
fn copied(contents: &Contents, tracks: usize) -> String {
    format!("made as a copy of {} of \"{}\"", amount(tracks, "track"), contents.title())
}

/// Whether a playlist is what a copy that stopped before the track `first` has: all before it, in order, and no more
/// than what a lost confirmation leaves open.
fn is_begun(begun: &[Row], all: &[ItemUri], first: usize) -> bool {
    begun.len() >= first
        && begun.len() <= all.len()
        && begun.iter().zip(all).all(|(row, item)| row.uri == item.to_string())
}

fn not_begun(playlist: &str, first: usize) -> ToolError {
    ToolError::invalid(format!(
        "\"{playlist}\" is no copy of that playlist which stopped after {}: it holds something else. Nothing was \
         copied. To put tracks into another playlist, take add_tracks_to_playlist, which leaves out what is there.",
        amount(first, "track")
    ))
}

fn writable(contents: &Contents) -> Vec<ItemUri> {
    let item = |uri: &String| crate::domain::edits::is_writable(uri).then(|| uri.parse().ok()).flatten();
    contents.uris().iter().filter_map(item).collect()
}

fn new_playlist(contents: &Contents, name: Option<&Text<1, 100>>, public: bool) -> NewPlaylist {
    let cut = |text: &str, most: usize| text.chars().take(most).collect::<String>();
    let described = contents.playlist.description.as_ref().map(|text| unescaped(text.raw()));
    NewPlaylist {
        name: match name {
            Some(name) => name.as_str().to_owned(),
            None => contents.title(),
        },
        // In one line, as Spotify wants it.
        description: cut(&described.unwrap_or_default().replace(['\r', '\n'], " "), 300),
        public,
        collaborative: false,
    }
}
