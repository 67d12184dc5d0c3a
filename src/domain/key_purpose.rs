//! What the server's own keys are for. The names stand in the database and never change.

/// What one of the server's own keys is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyPurpose {
    /// Seals what belongs to nobody yet: logins in progress.
    PendingLogins,
    /// Authenticates what travels through a browser: consent tickets, CSRF tokens.
    BrowserTickets,
    /// Recognises a disconnected Spotify account that comes back.
    FormerIdentities,
    /// Names who is counted by a limit that servers share, without saying it.
    LimitBuckets,
    /// Signs evidence.
    Evidence,
    /// Names client secrets without saying them.
    ClientSecrets,
    /// Authenticates the deletions that are kept outside the database.
    Tombstones,
    /// Wraps the keys under which the audit trail's personal fields are sealed.
    AuditPeople,
}

impl KeyPurpose {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::PendingLogins,
        Self::BrowserTickets,
        Self::FormerIdentities,
        Self::LimitBuckets,
        Self::Evidence,
        Self::ClientSecrets,
        Self::Tombstones,
        Self::AuditPeople,
    ];

    /// Its stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::PendingLogins => "pending-logins",
            Self::BrowserTickets => "browser-tickets",
            Self::FormerIdentities => "former-identities",
            Self::LimitBuckets => "limit-buckets",
            Self::Evidence => "evidence",
            Self::ClientSecrets => "client-secrets",
            Self::Tombstones => "tombstones",
            Self::AuditPeople => "audit-people",
        }
    }

    /// The purpose of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|purpose| purpose.name() == name)
    }

    /// Whether `rotate-keys --what signing` replaces it. What it made before stays good for an hour at most; of the
    /// others it would be worth nothing without the key (an identity that was remembered under it, a tombstone that is
    /// read beside a backup from before).
    pub const fn rotates(self) -> bool {
        matches!(self, Self::PendingLogins | Self::BrowserTickets | Self::Evidence)
    }
}
