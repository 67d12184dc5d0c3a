//! What commands to the player have in common: they are sent once, looked after, and never repeated blindly.
//!
//! Spotify confirms a command before it takes effect, and sometimes with a lost or garbled answer. What counts is
//! what the player shows afterwards.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::super::super::upstream::Session;
use super::super::add_tracks::{Status, is_ambiguous};
use super::super::{Answer, Hints, ToolError};
use super::current::NowPlaying;
use super::device::{DeviceItem, devices, listed};
use crate::spotify::ApiError;
use crate::spotify::models::Playback;
use crate::vault::CallError;

/// The waits before each look at the player after a command.
const LOOKS_AFTER: [Duration; 2] = [Duration::from_millis(250), Duration::from_millis(700)];

/// The hints of a command that does something else each time.
pub(super) const COMMANDS: Hints =
    Hints { read_only: false, destructive: false, idempotent: false, open_world: true };
/// The hints of a command that comes to the same however often it is given.
pub(super) const SETTLES: Hints =
    Hints { read_only: false, destructive: false, idempotent: true, open_world: true };

/// What came of a command.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Commanded {
    /// verified: seen in effect; accepted: confirmed, not seen in effect yet; partial; ambiguous: not certain.
    pub(super) status: Status,
    /// What the player shows now.
    #[serde(skip_serializing_if = "Option::is_none")]
    now: Option<NowPlaying>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<DeviceItem>,
    /// What went wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) failure: Option<ToolError>,
}

/// What the player shows after a command.
pub(super) struct Seen {
    playback: Option<Playback>,
    /// Whether it is as it was told to be.
    pub(super) fits: bool,
}

/// Judges what was sent: by what the player shows then, and where that is not enough, by what Spotify said.
///
/// # Errors
/// What Spotify refused, unless the player is already as it was told to be.
pub(super) async fn look_after(
    session: &Session<'_>,
    sent: Result<(), CallError>,
    wanted: impl Fn(&Playback) -> bool,
) -> Result<Commanded, ToolError> {
    match sent {
        Ok(()) => Ok(Commanded::of(see(session, &wanted, &LOOKS_AFTER).await, Status::Accepted, None)),
        Err(lost) if is_ambiguous(&lost) => {
            let seen = see(session, &wanted, &LOOKS_AFTER).await;
            Ok(Commanded::of(seen, Status::Ambiguous, Some(session.told(lost))))
        }
        // Spotify refuses to pause what is paused: the person has what they wanted.
        Err(refused @ CallError::Api(ApiError::Restricted)) => {
            let seen = see(session, &wanted, &[Duration::ZERO]).await;
            match seen.fits {
                true => Ok(Commanded::of(seen, Status::Verified, None)),
                false => Err(refusal(session, refused).await),
            }
        }
        Err(refused) => Err(refusal(session, refused).await),
    }
}

/// Looks at the player until it is as it should be, or often enough, or time is short.
pub(super) async fn see(
    session: &Session<'_>,
    wanted: &impl Fn(&Playback) -> bool,
    waits: &[Duration],
) -> Seen {
    let api = session.api;
    let mut seen = Seen { playback: None, fits: false };
    for wait in waits {
        if session.time_left() < session.longest_call + *wait {
            break;
        }
        tokio::time::sleep(*wait).await;
        let Ok(playback) = session.attempt(|token| async move { api.playback_state(&token).await }).await
        else {
            break;
        };
        seen.fits = playback.as_ref().is_some_and(wanted);
        seen.playback = playback;
        if seen.fits {
            break;
        }
    }
    seen
}

/// An error that Spotify answered. Where it wants a device, the devices that there are.
pub(super) async fn refusal(session: &Session<'_>, error: CallError) -> ToolError {
    let idle = matches!(error, CallError::Api(ApiError::NoActiveDevice));
    let mut refusal = session.told(error);
    if idle
        && session.time_left() > session.longest_call
        && let Ok(devices) = devices(session).await
    {
        refusal.message = match devices.as_slice() {
            [] => listed(&devices),
            some => format!(
                "No Spotify device is active. {} To start on one of them, give it as device to play or \
                 transfer_playback.",
                listed(some)
            ),
        };
    }
    refusal
}

impl Commanded {
    /// `otherwise`: what it is where the effect was not seen.
    pub(super) fn of(seen: Seen, otherwise: Status, failure: Option<ToolError>) -> Self {
        let status = if seen.fits { Status::Verified } else { otherwise };
        Self {
            status,
            device: seen.playback.as_ref().and_then(|playback| playback.device.as_ref()).map(DeviceItem::of),
            now: seen.playback.as_ref().map(|playback| NowPlaying::of(Some(playback))),
            failure: failure.filter(|_| status != Status::Verified),
        }
    }

    /// Whether what plays now has no such position.
    pub(super) fn is_shorter_than(&self, position: u64) -> bool {
        self.now.as_ref().and_then(NowPlaying::duration).is_some_and(|duration| duration < position)
    }

    /// `done`: what was done, as a sentence.
    pub(super) fn answer(self, done: &str) -> Result<Answer, ToolError> {
        let text = self.told(done);
        let code = self.failure.as_ref().map(|failure| failure.code);
        let mut answer = Answer::of(text, &self)?;
        answer.code = code;
        Ok(answer)
    }

    /// The same as text alone.
    pub(super) fn told(&self, done: &str) -> String {
        let why = self.failure.as_ref().map(|failure| failure.message.as_str()).unwrap_or_default();
        let mut text = match self.status {
            Status::Verified => done.to_owned(),
            Status::Accepted => format!("{done} Spotify confirmed it; the effect did not show yet."),
            Status::Partial => format!("{done} {why}"),
            Status::Ambiguous => format!("It is not certain whether this took effect: {done} {why}"),
        };
        if let Some(now) = &self.now {
            text.push_str(&format!("\n{}", now.told()));
        }
        if let Some(device) = &self.device {
            text.push_str(&format!("\nOn: {}", device.line()));
        }
        text
    }
}

/// The URI of what plays.
pub(super) fn playing(playback: &Playback) -> Option<&str> {
    playback.item.as_ref().and_then(|item| item.uri.as_deref())
}
