//! What limits the calls of people, as plain numbers from the configuration. Counts nothing itself.

use crate::config::LimitsConfig;
use crate::domain::limit::Quota;
use crate::policy::ToolClass;

/// The limits; 0 switches one off.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallLimits {
    /// Calls of one person in a minute.
    pub per_minute: u32,
    /// Of these, calls of tools that look.
    pub reads_per_minute: u32,
    /// Of these, calls of tools that change playlists or the library.
    pub writes_per_minute: u32,
    /// Of these, calls of tools that control playback.
    pub player_calls_per_minute: u32,
    /// Calls through one OAuth client in a minute, of all its people together.
    pub per_client: u32,
    /// Calls of one person at once.
    pub concurrent: u32,
    /// Calls at once in this process.
    pub concurrent_in_all: u32,
}

impl From<&LimitsConfig> for CallLimits {
    fn from(config: &LimitsConfig) -> Self {
        Self {
            per_minute: config.calls_per_user_per_minute,
            reads_per_minute: config.reads_per_user_per_minute,
            writes_per_minute: config.writes_per_user_per_minute,
            player_calls_per_minute: config.player_calls_per_user_per_minute,
            per_client: config.calls_per_client_per_minute,
            concurrent: config.concurrent_calls_per_user,
            concurrent_in_all: config.concurrent_calls,
        }
    }
}

impl From<CallLimits> for LimitsConfig {
    /// Everything else is off.
    fn from(calls: CallLimits) -> Self {
        Self {
            calls_per_user_per_minute: calls.per_minute,
            reads_per_user_per_minute: calls.reads_per_minute,
            writes_per_user_per_minute: calls.writes_per_minute,
            player_calls_per_user_per_minute: calls.player_calls_per_minute,
            calls_per_client_per_minute: calls.per_client,
            concurrent_calls_per_user: calls.concurrent,
            concurrent_calls: calls.concurrent_in_all,
            ..Self::default()
        }
    }
}

impl CallLimits {
    pub(super) fn of_class(&self, class: ToolClass) -> (&'static str, Quota) {
        match class {
            ToolClass::Look => ("reads", Quota::per_minute(self.reads_per_minute)),
            ToolClass::Change => ("writes", Quota::per_minute(self.writes_per_minute)),
            ToolClass::Control => ("player", Quota::per_minute(self.player_calls_per_minute)),
        }
    }
}
