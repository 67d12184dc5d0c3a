//! Looking at the player: what plays, where and how; and what there is to play on.

use schemars::JsonSchema;
use serde::Serialize;

use super::super::amount::amount;
use super::super::arguments::{parse, schema_of};
use super::super::items::numbered;
use super::super::{Answer, Arguments, Context, LOOKS, ToolError, ToolSpec, output_of};
use super::current::{Input, NowPlaying};
use super::device::{DeviceItem, devices, listed};
use crate::spotify::models::Playback;

pub(in crate::mcp) const GET_PLAYBACK_STATE: ToolSpec = ToolSpec {
    name: "get_playback_state",
    title: "Get the playback state",
    description: "Tells what plays on Spotify, on which device, at what volume, and whether it is shuffled or repeated. \
                  When nothing is active, tells which devices could play.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<PlaybackState>,
    run: |context, arguments| Box::pin(state(context, arguments)),
};

#[derive(Serialize, JsonSchema)]
struct PlaybackState {
    #[serde(flatten)]
    now: NowPlaying,
    /// Where it plays.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceItem>,
    /// Whether the order is by chance.
    #[serde(skip_serializing_if = "Option::is_none")]
    shuffle: Option<bool>,
    /// off, track or context.
    #[serde(skip_serializing_if = "Option::is_none")]
    repeat: Option<&'static str>,
    /// What could play, where nothing does.
    #[serde(skip_serializing_if = "Option::is_none")]
    devices: Option<Vec<DeviceItem>>,
}

async fn state(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let api = session.api;
    let playback = session.call(|token| async move { api.playback_state(&token).await }).await?;
    let mut state = PlaybackState::of(playback.as_ref());
    if playback.is_none() {
        state.devices = Some(devices(&session).await?);
    }
    Answer::of(state.told(), &state)
}

impl PlaybackState {
    fn of(playback: Option<&Playback>) -> Self {
        let repeat = playback.and_then(|playback| playback.repeat_state.as_deref());
        Self {
            now: NowPlaying::of(playback),
            device: playback.and_then(|playback| playback.device.as_ref()).map(DeviceItem::of),
            shuffle: playback.and_then(|playback| playback.shuffle_state),
            repeat: repeat
                .and_then(|word| ["off", "track", "context"].into_iter().find(|known| *known == word)),
            devices: None,
        }
    }

    fn told(&self) -> String {
        let mut text = self.now.told();
        if let Some(device) = &self.device {
            text.push_str(&format!("\nOn: {}", device.line()));
        }
        if self.shuffle == Some(true) {
            text.push_str("\nShuffled.");
        }
        if let Some(what @ ("track" | "context")) = self.repeat {
            let what = if what == "track" { what } else { "playlist, album or show that it plays from" };
            text.push_str(&format!("\nRepeats the {what}."));
        }
        if let Some(devices) = &self.devices {
            text.push_str(&format!("\n{}", listed(devices)));
        }
        text
    }
}

pub(in crate::mcp) const LIST_DEVICES: ToolSpec = ToolSpec {
    name: "list_devices",
    title: "List devices",
    description: "Lists the devices on which the person has Spotify open, with the names and ids that play and \
                  transfer_playback take. A device that is asleep does not show until Spotify is opened there.",
    hints: LOOKS,
    input: schema_of::<Input>,
    output: output_of::<DeviceList>,
    run: |context, arguments| Box::pin(list(context, arguments)),
};

#[derive(Serialize, JsonSchema)]
struct DeviceList {
    /// The devices.
    devices: Vec<DeviceItem>,
}

async fn list(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: Input = parse(arguments)?;
    let session = context.session(input.account.as_ref()).await?;
    let devices = devices(&session).await?;
    let text = match devices.as_slice() {
        [] => listed(&devices),
        some => {
            format!("{}:{}", amount(some.len(), "device"), numbered(some.iter().map(DeviceItem::line), 0))
        }
    };
    Answer::of(text, &DeviceList { devices })
}
