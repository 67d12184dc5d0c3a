//! The Web API's player: what plays and where, and the commands (all of them need Premium).
//!
//! A command is confirmed by its status alone, and its effect may come later: look again to be sure.

use http::Method;
use serde_json::json;

use super::api::Call;
use super::base::Address;
use super::models::{Device, Devices, Playback, Queue};
use super::uri::{ContextUri, ItemUri};
use super::{AccessToken, Api, ApiError};

/// Episodes are asked for, or Spotify shows them as nothing.
const KINDS: &str = "track,episode";
/// Most items of one [`Start`]: larger bodies have failed at Spotify (spotify.md 6, 10).
pub const MOST_PLAYED: usize = 200;

/// What to play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// What was paused.
    Resume,
    /// These, in this order.
    Items(Vec<ItemUri>),
    /// An album, artist, playlist, show or audiobook.
    Context(ContextUri),
}

/// A command to play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// What.
    pub what: What,
    /// With which item of it to begin, from 0.
    pub offset: Option<u32>,
    /// Where in the item to begin, in milliseconds.
    pub position_ms: Option<u32>,
}

/// Which way to skip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// To the next item.
    Next,
    /// To the one before.
    Previous,
}

/// What is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// Nothing.
    Off,
    /// The track.
    Track,
    /// The playlist, album or list that plays.
    Context,
}

impl Repeat {
    /// Spotify's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Track => "track",
            Self::Context => "context",
        }
    }
}

/// A setting of the player.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// The volume of the active device, 0 to 100 percent.
    Volume(u32),
    /// Whether the order is by chance.
    Shuffle(bool),
    /// What is repeated.
    Repeat(Repeat),
}

impl Api {
    /// What plays; `None` where nothing does (`GET /me/player/currently-playing`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn currently_playing(&self, token: &AccessToken) -> Result<Option<Playback>, ApiError> {
        let address = self.base.at(&["me", "player", "currently-playing"]).with("additional_types", KINDS);
        self.read_or_nothing(token, Call::get(address)).await
    }

    /// What plays, where and how; `None` where nothing does (`GET /me/player`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn playback_state(&self, token: &AccessToken) -> Result<Option<Playback>, ApiError> {
        let address = self.base.at(&["me", "player"]).with("additional_types", KINDS);
        self.read_or_nothing(token, Call::get(address)).await
    }

    /// What could play (`GET /me/player/devices`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn devices(&self, token: &AccessToken) -> Result<Vec<Device>, ApiError> {
        let address = self.base.at(&["me", "player", "devices"]);
        let found: Option<Devices> = self.read_or_nothing(token, Call::get(address)).await?;
        Ok(found.unwrap_or_default().devices)
    }

    /// What plays and what comes next, as far as Spotify shows it: about 20 items (`GET /me/player/queue`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn queue(&self, token: &AccessToken) -> Result<Queue, ApiError> {
        let address = self.base.at(&["me", "player", "queue"]);
        Ok(self.read_or_nothing(token, Call::get(address)).await?.unwrap_or_default())
    }

    /// Plays, on this device or on the active one (`PUT /me/player/play`).
    ///
    /// # Errors
    /// [`ApiError`]; more than [`MOST_PLAYED`] items are refused before they are sent.
    pub async fn play(
        &self,
        token: &AccessToken,
        device: Option<&str>,
        start: &Start,
    ) -> Result<(), ApiError> {
        let mut body = match &start.what {
            What::Resume => json!({}),
            What::Items(items) if !(1..=MOST_PLAYED).contains(&items.len()) => {
                return Err(ApiError::InvalidArgument(format!("between 1 and {MOST_PLAYED} items at once")));
            }
            What::Items(items) => {
                json!({"uris": items.iter().map(ToString::to_string).collect::<Vec<_>>()})
            }
            What::Context(context) => json!({"context_uri": context.to_string()}),
        };
        if let Some(offset) = start.offset {
            body["offset"] = json!({"position": offset});
        }
        if let Some(position) = start.position_ms {
            body["position_ms"] = json!(position);
        }
        let address = self.player("play");
        let address = match device {
            Some(device) => address.with("device_id", device),
            None => address,
        };
        self.order(token, Call::put(address, &body)).await
    }

    /// Pauses (`PUT /me/player/pause`).
    ///
    /// # Errors
    /// [`ApiError`]; [`ApiError::Restricted`] where it is paused already.
    pub async fn pause(&self, token: &AccessToken) -> Result<(), ApiError> {
        self.order(token, Call::bare(Method::PUT, self.player("pause"))).await
    }

    /// Skips (`POST /me/player/next`, `POST /me/player/previous`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn skip(&self, token: &AccessToken, skip: Skip) -> Result<(), ApiError> {
        let word = match skip {
            Skip::Next => "next",
            Skip::Previous => "previous",
        };
        self.order(token, Call::bare(Method::POST, self.player(word))).await
    }

    /// Goes to a position in what plays (`PUT /me/player/seek`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn seek(&self, token: &AccessToken, position_ms: u32) -> Result<(), ApiError> {
        let address = self.player("seek").with_number("position_ms", position_ms);
        self.order(token, Call::bare(Method::PUT, address)).await
    }

    /// Changes a setting (`PUT /me/player/volume`, `shuffle`, `repeat`).
    ///
    /// # Errors
    /// [`ApiError`]; [`ApiError::Restricted`] where the device's volume cannot be set.
    pub async fn set(&self, token: &AccessToken, setting: Setting) -> Result<(), ApiError> {
        let address = match setting {
            Setting::Volume(percent) => self.player("volume").with_number("volume_percent", percent),
            Setting::Shuffle(on) => self.player("shuffle").with("state", if on { "true" } else { "false" }),
            Setting::Repeat(repeat) => self.player("repeat").with("state", repeat.name()),
        };
        self.order(token, Call::bare(Method::PUT, address)).await
    }

    /// Puts one item behind what the person queued before (`POST /me/player/queue`).
    ///
    /// # Errors
    /// [`ApiError`]; after [`ApiError::AmbiguousWrite`] it may or may not be there.
    pub async fn enqueue(&self, token: &AccessToken, item: &ItemUri) -> Result<(), ApiError> {
        let address = self.player("queue").with("uri", &item.to_string());
        self.order(token, Call::bare(Method::POST, address)).await
    }

    /// Moves what plays to another device; `play`: and plays it there even where it was paused (`PUT /me/player`).
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn transfer(&self, token: &AccessToken, device: &str, play: bool) -> Result<(), ApiError> {
        let mut body = json!({"device_ids": [device]});
        if play {
            body["play"] = json!(true);
        }
        self.order(token, Call::put(self.base.at(&["me", "player"]), &body)).await
    }

    fn player(&self, command: &str) -> Address {
        self.base.at(&["me", "player", command])
    }
}
