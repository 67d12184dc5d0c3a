//! What plays, as it is told by every tool that looks at the player.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::arguments::{parse, schema_of};
use super::super::items::{TrackItem, item_uri};
use super::super::{AccountName, Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use crate::spotify::models::Playback;

pub(in crate::mcp) const GET_CURRENT_TRACK: ToolSpec = ToolSpec {
    name: "get_current_track",
    title: "Get the current track",
    description: "Tells what the person is listening to on Spotify right now: the track or podcast episode, whether it is \
                  playing or paused, and the position. Answers state \"nothing\" when nothing is playing, which is not \
                  an error.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<NowPlaying>,
    run: |context, arguments| Box::pin(run(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct Input {
    /// Alias or id of a linked account; else the default one.
    pub(super) account: Option<AccountName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Playing,
    Paused,
    Nothing,
}

#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Track,
    Episode,
    Ad,
    Unknown,
}

/// What plays.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct NowPlaying {
    /// Whether something plays, is paused, or nothing is there.
    pub(super) state: State,
    /// What kind of thing it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    /// The track or episode; absent for advertisements, private sessions and when nothing plays.
    #[serde(skip_serializing_if = "Option::is_none")]
    track: Option<TrackItem>,
    /// Position in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    progress_ms: Option<u64>,
    /// The playlist, album, artist or show that it plays from.
    #[serde(skip_serializing_if = "Option::is_none")]
    context_uri: Option<String>,
}

async fn run(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let api = session.api;
    let playback = session.call(|token| async move { api.currently_playing(&token).await }).await?;
    let now = NowPlaying::of(playback.as_ref());
    Answer::of(now.told(), &now)
}

impl NowPlaying {
    const NOTHING: Self =
        Self { state: State::Nothing, kind: None, track: None, progress_ms: None, context_uri: None };

    /// How long it is, in milliseconds.
    pub(super) fn duration(&self) -> Option<u64> {
        self.track.as_ref()?.duration_ms
    }

    pub(super) fn of(playback: Option<&Playback>) -> Self {
        playback.map_or(Self::NOTHING, seen)
    }

    /// One line.
    pub(super) fn told(&self) -> String {
        told(self)
    }
}

fn seen(playback: &Playback) -> NowPlaying {
    let kind = match playback.currently_playing_type.as_deref() {
        Some("track") => Kind::Track,
        Some("episode") => Kind::Episode,
        Some("ad") => Kind::Ad,
        _ => Kind::Unknown,
    };
    let playing = playback.is_playing.unwrap_or(false);
    NowPlaying {
        state: if playing { State::Playing } else { State::Paused },
        kind: Some(kind),
        track: playback.item.as_ref().and_then(TrackItem::from),
        progress_ms: playback.progress_ms,
        context_uri: playback.context.as_ref().and_then(|context| item_uri(context.uri.as_deref()?)),
    }
}

fn told(now: &NowPlaying) -> String {
    let state = match now.state {
        State::Playing => "Playing",
        State::Paused => "Paused",
        State::Nothing => return "Nothing is playing.".to_owned(),
    };
    match (&now.track, now.kind) {
        (Some(track), _) => {
            let position = now.progress_ms.map(|at| format!(", at {}", clock(at))).unwrap_or_default();
            let length = track.duration_ms.map(|all| format!(" of {}", clock(all))).unwrap_or_default();
            format!("{state}: {}{position}{length}", track.line())
        }
        (None, Some(Kind::Ad)) => format!("{state}: an advertisement."),
        (None, _) => format!("{state}: something that Spotify does not tell (a private session, perhaps)."),
    }
}

/// `m:ss`
pub(super) fn clock(millis: u64) -> String {
    format!("{}:{:02}", millis / 60_000, millis / 1_000 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tell(json: &str) -> String {
        told(&seen(&serde_json::from_str(json).unwrap()))
    }

    #[test]
    fn tracks_advertisements_and_private_sessions_are_told_apart() {
        let track = r#"{"is_playing":true,"progress_ms":61500,"currently_playing_type":"track",
            "item":{"uri":"spotify:track:4uLU6hMCjMI75M1A2tKUQC","name":"N","duration_ms":200000}}"#;
        assert_eq!(tell(track), "Playing: N [spotify:track:4uLU6hMCjMI75M1A2tKUQC], at 1:01 of 3:20");
        assert_eq!(
            tell(r#"{"is_playing":true,"currently_playing_type":"ad"}"#),
            "Playing: an advertisement."
        );
        assert!(tell(r#"{"is_playing":false,"item":null}"#).starts_with("Paused: something"));
        assert_eq!(told(&NowPlaying::of(None)), "Nothing is playing.");
    }

    #[test]
    fn only_what_has_an_id_is_a_context() {
        let context = |uri: &str| {
            seen(&serde_json::from_str(&format!(r#"{{"context":{{"uri":"{uri}"}}}}"#)).unwrap()).context_uri
        };
        let album = "spotify:album:4uLU6hMCjMI75M1A2tKUQC";
        assert_eq!(context(album).as_deref(), Some(album));
        let owned = context("spotify:user:some.one:playlist:37i9dQZF1DXcBWIGoYBM5M");
        assert_eq!(owned.as_deref(), Some("spotify:playlist:37i9dQZF1DXcBWIGoYBM5M"));
        for other in
            ["javascript:alert(1)", "spotify:user:obey-me", "spotify:local:a:b:c:1", "spotify:album:../x"]
        {
            assert_eq!(context(other), None, "{other}");
        }
    }
}
