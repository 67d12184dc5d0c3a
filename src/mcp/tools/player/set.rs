//! Volume, shuffle and repeat, each a command of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::super::super::upstream::Session;
use super::super::add_tracks::{Status, is_ambiguous};
use super::super::arguments::{Count, Word, parse, schema_of};
use super::super::{AccountName, Answer, Arguments, Context, ToolError, ToolSpec, output_of};
use super::command::{Commanded, SETTLES, look_after, refusal};
use super::device::devices;
use crate::spotify::ApiError;
use crate::spotify::models::Playback;
use crate::spotify::player::{Repeat, Setting};
use crate::vault::CallError;

pub(in crate::mcp) const SET_PLAYER: ToolSpec = ToolSpec {
    name: "set_player",
    title: "Set volume, shuffle and repeat",
    description: "Sets the volume of the active device, shuffle, or repeat on the person's Spotify; give at least one. \
                  applied tells which were set. Some devices, such as phones, let nobody set their volume from elsewhere \
                  (RESTRICTED). Needs Spotify Premium.",
    hints: SETTLES,
    input: schema_of::<SetInput>,
    output: output_of::<Output>,
    run: |context, arguments| Box::pin(set(context, arguments)),
};

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::mcp) struct SetInput {
    /// Volume in percent.
    volume: Option<Count<0, 100>>,
    /// Whether to play in an order by chance.
    shuffle: Option<bool>,
    /// What to repeat: nothing, the track, or the playlist or album that plays.
    repeat: Option<Word<Mode>>,
    /// Alias or id of a linked account; else the default one.
    account: Option<AccountName>,
}

#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Mode {
    Off,
    Track,
    Context,
}

#[derive(Serialize, JsonSchema)]
struct Output {
    /// Which settings Spotify took: volume, shuffle, repeat.
    applied: Vec<&'static str>,
    #[serde(flatten)]
    commanded: Commanded,
}

impl SetInput {
    fn settings(&self) -> Vec<(&'static str, Setting)> {
        let repeat = self.repeat.map(|mode| match mode.0 {
            Mode::Off => Repeat::Off,
            Mode::Track => Repeat::Track,
            Mode::Context => Repeat::Context,
        });
        let all = [
            self.volume.map(|percent| ("volume", Setting::Volume(percent.get()))),
            self.shuffle.map(|on| ("shuffle", Setting::Shuffle(on))),
            repeat.map(|repeat| ("repeat", Setting::Repeat(repeat))),
        ];
        all.into_iter().flatten().collect()
    }
}

async fn set(context: Context<'_>, arguments: Arguments) -> Result<Answer, ToolError> {
    let input: SetInput = parse(arguments)?;
    let settings = input.settings();
    if settings.is_empty() {
        return Err(ToolError::invalid("Give at least one of volume, shuffle and repeat."));
    }
    let session = context.session(input.account.as_ref()).await?;
    let output = apply(&session, &settings).await?;
    let code = output.commanded.failure.as_ref().map(|failure| failure.code);
    let set =
        if output.applied.is_empty() { "nothing for sure".to_owned() } else { output.applied.join(", ") };
    let mut answer = Answer::of(output.commanded.told(&format!("Set: {set}.")), &output)?;
    answer.code = code;
    Ok(answer)
}

/// One setting after the other. A lost confirmation stops none of the others, which do not depend on it; a refusal does.
async fn apply(session: &Session<'_>, settings: &[(&'static str, Setting)]) -> Result<Output, ToolError> {
    let (mut applied, mut lost, mut refused) = (Vec::new(), None, None);
    for (name, setting) in settings {
        let (api, setting) = (session.api, *setting);
        match session.attempt(|token| async move { api.set(&token, setting).await }).await {
            Ok(()) => applied.push(*name),
            Err(error) if is_ambiguous(&error) => lost = Some(error),
            Err(error) => {
                let why = refused_setting(session, setting, error).await;
                if applied.is_empty() && lost.is_none() {
                    return Err(why);
                }
                refused = Some(why);
                break;
            }
        }
    }
    let sent = lost.map_or(Ok(()), Err);
    let everything = |playback: &Playback| settings.iter().all(|(_, setting)| holds(playback, *setting));
    let mut commanded = look_after(session, sent, everything).await?;
    if commanded.status == Status::Verified {
        applied = settings.iter().map(|(name, _)| *name).collect();
    } else if let Some(refused) = refused {
        (commanded.status, commanded.failure) = (Status::Partial, Some(refused));
    }
    Ok(Output { applied, commanded })
}

/// Why a setting was refused: of a volume, whether the device lets it be set from elsewhere.
async fn refused_setting(session: &Session<'_>, setting: Setting, error: CallError) -> ToolError {
    let of_volume = matches!(setting, Setting::Volume(_));
    let is_restricted = matches!(error, CallError::Api(ApiError::Restricted));
    let mut refusal = refusal(session, error).await;
    if of_volume
        && is_restricted
        && session.time_left() > session.longest_call
        && let Ok(devices) = devices(session).await
        && let Some(active) = devices.iter().find(|device| device.active && device.keeps_its_volume())
    {
        refusal.message = format!(
            "The device \"{}\", which is active, does not let its volume be set from elsewhere: the person sets it there.",
            active.name
        );
    }
    refusal
}

fn holds(playback: &Playback, setting: Setting) -> bool {
    match setting {
        Setting::Volume(percent) => {
            let volume = playback.device.as_ref().and_then(|device| device.volume_percent);
            volume == Some(u64::from(percent))
        }
        Setting::Shuffle(on) => playback.shuffle_state == Some(on),
        Setting::Repeat(repeat) => playback.repeat_state.as_deref() == Some(repeat.name()),
    }
}
