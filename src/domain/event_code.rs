//! The stable codes of security events: OWASP's logging vocabulary, the guide's two, and ours; each with its
//! OCSF 1.8 class, activity and severity.
//!
//! A code, once released, is never renamed and never given another meaning: alert rules are written on it.

use serde::{Deserialize, Serialize};

/// How grave an event is: OCSF's `severity_id`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing to do.
    Informational = 1,
    /// Worth a look when it repeats.
    Low = 2,
    /// Worth a look.
    Medium = 3,
    /// Look now.
    High = 4,
    /// Somebody must act now.
    Critical = 5,
}

/// The OCSF event class: `class_uid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Event Log Activity.
    EventLog = 1008,
    /// Account Change.
    AccountChange = 3001,
    /// Authentication.
    Authentication = 3002,
    /// Authorize Session.
    AuthorizeSession = 3003,
    /// Entity Management.
    EntityManagement = 3004,
    /// User Access Management.
    UserAccess = 3005,
    /// Network Activity.
    Network = 4001,
    /// Application Lifecycle.
    ApplicationLifecycle = 6002,
    /// API Activity.
    ApiActivity = 6003,
    /// Datastore Activity.
    Datastore = 6005,
}

impl Class {
    /// The `class_uid`.
    pub const fn uid(self) -> u16 {
        self as u16
    }

    /// The `category_uid`: the thousands of the class.
    pub const fn category(self) -> u16 {
        self.uid() / 1000
    }
}

macro_rules! codes {
    ($($name:ident, $code:literal, $class:ident / $activity:literal, $severity:ident, $meaning:literal;)*) => {
        /// What happened.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum EventCode {
            $(#[doc = $meaning] #[serde(rename = $code)] $name,)*
        }

        impl EventCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The stable code, as records, logs and alert rules write it.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// One line for people: what an event of this code says.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// The OCSF class.
            pub const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }

            /// The OCSF `activity_id` within the class.
            pub const fn activity(self) -> u8 {
                match self { $(Self::$name => $activity,)* }
            }

            /// How grave it is.
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

codes! {
    // Logging in, sessions, tokens.
    AuthenticationFailure, "authentication_failure", Authentication / 99, Medium, "A presented credential was not accepted";
    AuthnLoginSuccess, "authn_login_success", Authentication / 1, Informational, "A person logged in";
    AuthnLoginFail, "authn_login_fail", Authentication / 1, Medium, "A login did not succeed";
    AuthnLoginFailMax, "authn_login_fail_max", Authentication / 1, High, "Too many logins failed";
    AuthnLoginLock, "authn_login_lock", AccountChange / 9, High, "Logging in was locked";
    AuthnLoginExpired, "authn_login_expired", Authentication / 99, Low, "A login in progress ran out of time";
    AuthnLogout, "authn_logout", Authentication / 2, Informational, "A person logged out";
    AuthnTokenCreated, "authn_token_created", Authentication / 3, Informational, "Tokens were issued";
    AuthnTokenRefreshed, "authn_token_refreshed", Authentication / 5, Informational, "Tokens were renewed";
    AuthnTokenRevoked, "authn_token_revoked", Authentication / 99, Low, "Tokens were revoked";
    AuthnTokenReuse, "authn_token_reuse", Authentication / 99, High, "A token or code that was already used came again";
    AuthnTokenDelete, "authn_token_delete", Authentication / 99, Informational, "Tokens were deleted";
    SessionCreated, "session_created", Authentication / 1, Informational, "A session began";
    SessionRenewed, "session_renewed", Authentication / 5, Informational, "A session was renewed";
    SessionExpired, "session_expired", Authentication / 2, Informational, "A session ended by itself";
    SessionRevoked, "session_revoked", Authentication / 2, Low, "A session was ended";
    SessionsRevoked, "sessions_revoked", Authentication / 2, High, "An operator ended sessions and tokens";
    SessionUseAfterExpire, "session_use_after_expire", Authentication / 99, Medium, "A session was used after its end";
    ExcessSessionsExceeded, "excess_sessions_exceeded", Authentication / 2, Low, "The oldest session went because there were too many";

    // What clients may do.
    ConsentGranted, "consent_granted", AuthorizeSession / 1, Informational, "A person allowed a client";
    ConsentDenied, "consent_denied", AuthorizeSession / 1, Informational, "A person refused a client";
    ConsentWithdrawn, "consent_withdrawn", UserAccess / 2, Low, "A person withdrew a client's access";
    GrantCreated, "grant_created", AuthorizeSession / 1, Informational, "A client was granted access";
    GrantRevoked, "grant_revoked", UserAccess / 2, Low, "A client's access ended";
    ClientRegistered, "client_registered", EntityManagement / 1, Informational, "An OAuth client was registered";
    ClientUpdated, "client_updated", EntityManagement / 3, Informational, "An OAuth client was changed";
    ClientDeleted, "client_deleted", EntityManagement / 4, Low, "An OAuth client was deleted";
    ApiKeyCreated, "api_key_created", EntityManagement / 1, Low, "An API key was created";
    ApiKeyRevoked, "api_key_revoked", EntityManagement / 4, Low, "An API key was revoked";
    AuthzFail, "authz_fail", ApiActivity / 99, Medium, "Access was refused";
    AuthzChange, "authz_change", UserAccess / 1, Medium, "Rights were changed";
    AuthzAdmin, "authz_admin", ApiActivity / 99, Low, "An administrator acted";
    PrivilegePermissionsChanged, "privilege_permissions_changed", UserAccess / 1, Medium, "Permissions were changed";

    // People and their linked accounts.
    UserCreated, "user_created", AccountChange / 1, Informational, "A person was added";
    UserUpdated, "user_updated", AccountChange / 99, Informational, "A person's record was changed";
    UserDisabled, "user_disabled", AccountChange / 5, Medium, "A person was disabled";
    UserEnabled, "user_enabled", AccountChange / 2, Low, "A person was enabled";
    UserDeleted, "user_deleted", AccountChange / 6, Medium, "A person was deleted";
    UserDataDeleted, "user_data_deleted", AccountChange / 99, Low, "A person's Spotify data was deleted";
    UserDataExported, "user_data_exported", EntityManagement / 2, Low, "A person's data was exported";
    AccountLinked, "account_linked", AccountChange / 99, Informational, "A Spotify account was linked";
    AccountUnlinked, "account_unlinked", AccountChange / 99, Low, "A Spotify account was unlinked";
    AccountLinkRequested, "account_link_requested", AccountChange / 99, Informational, "A one-time page for linking another Spotify account was opened";
    AccountRenamed, "account_renamed", AccountChange / 99, Informational, "A linked Spotify account was given another name";
    AccountDefaultChanged, "account_default_changed", AccountChange / 99, Informational, "Another linked Spotify account became the default one";
    AccountMismatch, "account_mismatch", Authentication / 1, Medium, "Another Spotify account came back than was asked for";
    ReconnectRequired, "reconnect_required", AccountChange / 99, Low, "Spotify no longer accepts a link: its owner must reconnect";
    TokenRefreshedUpstream, "token_refreshed_upstream", Authentication / 5, Informational, "A Spotify token was refreshed";

    // Calls, input, limits.
    ToolCalled, "tool_called", ApiActivity / 99, Informational, "A tool was called";
    InputValidationFail, "input_validation_fail", ApiActivity / 99, Low, "Input was refused as malformed";
    ExcessRateLimitExceeded, "excess_rate_limit_exceeded", ApiActivity / 99, Medium, "A rate limit was exceeded";
    MaliciousExcess404, "malicious_excess_404", ApiActivity / 99, Medium, "Many unknown paths were asked for";
    MaliciousExtraneous, "malicious_extraneous", ApiActivity / 99, Medium, "A request carried what no honest client sends";
    MaliciousAttackTool, "malicious_attack_tool", ApiActivity / 99, High, "A request came from an attack tool";
    MaliciousCors, "malicious_cors", ApiActivity / 99, Medium, "A request came from a foreign origin";
    MaliciousDirectReference, "malicious_direct_reference", ApiActivity / 99, High, "Somebody asked for what belongs to another person";
    McpPromptInjection, "mcp_prompt_injection", ApiActivity / 99, Medium, "Content tried to instruct a model";
    McpResourceExhaustion, "mcp_resource_exhaustion", ApiActivity / 99, Medium, "A caller asked for more than a server can give";
    McpToolPoisoning, "mcp_tool_poisoning", ApiActivity / 99, High, "A tool's description was tampered with";
    BlockedHost, "blocked_host", Network / 5, Medium, "The egress gate refused a connection";
    TlsFailure, "tls_failure", Network / 4, Medium, "An outbound connection could not be secured";

    // Keys and stored values.
    CryptDecryptFail, "crypt_decrypt_fail", Datastore / 10, High, "A stored value could not be opened";
    CryptEncryptFail, "crypt_encrypt_fail", Datastore / 9, High, "A value could not be sealed";
    KeyCreated, "key_created", EntityManagement / 1, Low, "A key was created";
    KeyRotated, "key_rotated", EntityManagement / 3, Medium, "A key was rotated";
    KeyRetired, "key_retired", EntityManagement / 11, Medium, "A key was retired";

    // Backups.
    BackupCreated, "backup_created", EntityManagement / 1, Low, "A backup was made";
    BackupVerified, "backup_verified", EntityManagement / 2, Informational, "A backup was opened as a whole and checked";
    BackupForgotten, "backup_forgotten", EntityManagement / 4, Low, "Somebody said that a backup exists no longer";
    TombstonesSetAside, "tombstones_set_aside", Datastore / 99, High, "The deletions kept outside the database could not be believed and were written anew";
    BackupRestored, "backup_restored", Datastore / 99, High, "The database was replaced by one from a backup";

    // The server itself.
    SysStartup, "sys_startup", ApplicationLifecycle / 3, Informational, "The server started";
    SysShutdown, "sys_shutdown", ApplicationLifecycle / 4, Informational, "The server stopped in order";
    SysCrash, "sys_crash", ApplicationLifecycle / 99, Critical, "The server met a panic";
    SysMonitorDisabled, "sys_monitor_disabled", ApplicationLifecycle / 7, High, "Monitoring was switched off";
    ConfigLoaded, "config_loaded", ApplicationLifecycle / 8, Informational, "A configuration was taken over";
    ConfigRefused, "config_refused", ApplicationLifecycle / 8, Medium, "A configuration was refused";
    ConfigRolledBack, "config_rolled_back", ApplicationLifecycle / 8, High, "An older revision of a sealed configuration was used, because somebody said so";
    ConfigDecrypted, "config_decrypted", Datastore / 10, Medium, "Secrets of a sealed configuration were given out in the clear";
    ConfigPassedOn, "config_passed_on", Datastore / 10, Low, "Values of a sealed configuration were passed to a program";
    ConfigChanged, "config_changed", ApplicationLifecycle / 8, Medium, "A sealed configuration was changed";
    ConfigRekeyed, "config_rekeyed", ApplicationLifecycle / 8, Medium, "Other keys open a sealed configuration than before";
    ConfigMergeAccepted, "config_merge_accepted", ApplicationLifecycle / 8, High, "Somebody vouched for a sealed configuration after a merge";
    CertificateReplaced, "certificate_replaced", ApplicationLifecycle / 8, Informational, "A renewed TLS certificate was taken over";
    CertificateRefused, "certificate_refused", ApplicationLifecycle / 8, Medium, "A changed TLS certificate could not be used, and the one before stays";
    AdvisoryFound, "advisory_found", ApplicationLifecycle / 99, High, "A security advisory is about something in this program";
    CertificateExpires, "certificate_expires", ApplicationLifecycle / 99, High, "The server's TLS certificate ends soon";
    EmergencyContainment, "emergency_containment", Authentication / 2, Critical, "Everything that anybody held was ended at once";
    IssuanceFrozen, "issuance_frozen", ApplicationLifecycle / 99, Critical, "An emergency began: no server issues anything until it is over";
    IssuanceResumed, "issuance_resumed", ApplicationLifecycle / 99, High, "What an emergency had to end is ended, and servers issue again";
    EmergencyContained, "emergency_contained", ApplicationLifecycle / 99, High, "An emergency is over, with what was tried of what is dead";
    IncidentStarted, "incident_started", ApplicationLifecycle / 99, High, "An operator began to respond to an incident";
    IncidentStep, "incident_step", ApplicationLifecycle / 99, Medium, "A step of the response to an incident is done";
    IncidentEnded, "incident_ended", ApplicationLifecycle / 99, High, "The response to an incident came to its end";
    QuotaReopened, "quota_reopened", EntityManagement / 3, Low, "An operator had Spotify asked again before a quota's time was over";
    TaskAttested, "task_attested", EntityManagement / 3, Low, "Somebody attested that a task which no program can see was done";
    SecurityChecked, "security_checked", ApplicationLifecycle / 99, Low, "The evidence of a security check was written, with what it came to";
    LockdownBegan, "lockdown_began", ApplicationLifecycle / 7, Critical, "Every server was told to answer nothing but probes of its health";
    LockdownLifted, "lockdown_lifted", ApplicationLifecycle / 6, High, "Servers may answer again after a lockdown";
    MasterKeyTakenOver, "master_key_taken_over", EntityManagement / 3, Medium, "A running server took over the master key in use from its source";
    KeyRotationStarted, "key_rotation_started", EntityManagement / 3, Medium, "A rotation of keys began";
    KeyRotationStep, "key_rotation_step", EntityManagement / 3, Low, "A rotation of keys came to its next state";
    KeyRotationEnded, "key_rotation_ended", EntityManagement / 3, Medium, "A rotation of keys is complete";
    KeyRotationAborted, "key_rotation_aborted", EntityManagement / 3, Medium, "A rotation of keys was given up before it took effect";
    KeyRowQuarantined, "key_row_quarantined", Datastore / 99, High, "A stored value could not be opened by a rotation and stays as it was";
    KeyHandOverEnded, "key_hand_over_ended", EntityManagement / 3, Low, "A server started with the new master key: the one before leads nowhere now";
    SandboxEnabled, "sandbox_enabled", ApplicationLifecycle / 6, Medium, "The server runs against a simulated Spotify";
    AuditTailRepaired, "audit_tail_repaired", EventLog / 99, Medium, "A record torn by a crash was cut off the trail";
    AuditWriteFailed, "audit_write_failed", EventLog / 99, High, "The trail could not be written: what must be on record was refused from then on";
    AuditWriteRecovered, "audit_write_recovered", EventLog / 99, Medium, "The trail can be written again";
    AuditTrailMissing, "audit_trail_missing", EventLog / 99, High, "A new trail begins although the database knows one that is not here";
    AuditSegmentOpened, "audit_segment_opened", EventLog / 6, Informational, "The trail goes on in a new segment";
    AuditSegmentClosed, "audit_segment_closed", EventLog / 5, Informational, "A segment of the trail is complete";
    AuditAnchorFailed, "audit_anchor_failed", EventLog / 99, High, "A place outside cannot be told of the trail's checkpoints";
    AuditAnchorRecovered, "audit_anchor_recovered", EventLog / 99, Low, "A place outside hears of the trail's checkpoints again";
    AuditSegmentsRemoved, "audit_segments_removed", EventLog / 2, Medium, "Old segments of the trail were removed";
    AuditKeyChanged, "audit_key_changed", EventLog / 99, Medium, "Another key signs the trail from here on";
    AlertUndelivered, "alert_undelivered", ApplicationLifecycle / 99, High, "Somebody could not be told of an alert on a channel, and it was given up";
    AlertsResent, "alerts_resent", ApplicationLifecycle / 99, Low, "An operator had alerts told again that were given up";
    AuditPersonalRead, "audit_personal_read", EventLog / 99, Medium, "Somebody read who people in the trail are and where they came from";
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_lower_snake_case() {
        let names: HashSet<_> = EventCode::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), EventCode::ALL.len());
        for name in names {
            assert!(
                name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'),
                "{name}"
            );
        }
    }

    #[test]
    fn the_wire_form_is_the_stable_name() {
        for code in EventCode::ALL {
            assert_eq!(serde_json::to_string(code).unwrap(), format!("\"{}\"", code.name()));
        }
    }

    #[test]
    fn activities_exist_in_their_ocsf_class() {
        for code in EventCode::ALL {
            let last = match code.class() {
                Class::AuthorizeSession | Class::UserAccess => 2,
                Class::ApiActivity => 4,
                Class::Authentication | Class::Network => 7,
                Class::ApplicationLifecycle => 8,
                Class::EventLog | Class::Datastore => 10,
                Class::AccountChange => 12,
                Class::EntityManagement => 13,
            };
            assert!((1..=last).contains(&code.activity()) || code.activity() == 99, "{}", code.name());
        }
    }
}
