//! Profiles: whose thresholds and severities hold. What each is called and stands on is `policies/profiles.toml`.

use serde::{Deserialize, Serialize};

use crate::policy::Environment;

/// Whose thresholds and severities hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// One's own machine.
    Development,
    /// Like production, with room for a trial.
    Staging,
    /// Other people's data.
    Production,
    /// Production under supervision: shorter deadlines, nothing waived for long.
    Bank,
}

impl Profile {
    /// Every profile, the mildest first.
    pub const ALL: [Self; 4] = [Self::Development, Self::Staging, Self::Production, Self::Bank];

    /// The stable name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
            Self::Bank => "bank",
        }
    }

    /// The profile of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// The one that holds where none is named.
    pub const fn of(environment: Environment) -> Self {
        match environment {
            Environment::Development => Self::Development,
            Environment::Staging => Self::Staging,
            Environment::Production => Self::Production,
        }
    }
}

/// What a profile is, for people, and which one it stands on.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileEntry {
    /// Which.
    pub id: Profile,
    /// For people.
    pub title: String,
    /// What it does not say itself it takes from this one; else from the check's own entry.
    #[serde(default)]
    pub based_on: Option<Profile>,
}

/// The profiles' entries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profiles(Vec<ProfileEntry>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Vec<ProfileEntry>,
}

impl Profiles {
    /// Reads `profiles.toml`.
    ///
    /// # Errors
    /// In words: what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.to_string())?;
        let ids: Vec<Profile> = file.profile.iter().map(|entry| entry.id).collect();
        if ids != Profile::ALL {
            return Err(
                "each of development, staging, production and bank must be there once, in this order".into(),
            );
        }
        for (at, entry) in file.profile.iter().enumerate() {
            // So a chain has an end.
            if entry.based_on.is_some_and(|base| !ids[..at].contains(&base)) {
                return Err(format!("{} must be based on one that stands before it", entry.id.name()));
            }
        }
        Ok(Self(file.profile))
    }

    /// The entry of one.
    pub fn entry(&self, profile: Profile) -> Option<&ProfileEntry> {
        self.0.iter().find(|entry| entry.id == profile)
    }

    /// The profile, then those that it stands on.
    pub fn chain(&self, profile: Profile) -> Vec<Profile> {
        let mut chain = vec![profile];
        while let Some(base) =
            chain.last().and_then(|last| self.entry(*last)).and_then(|entry| entry.based_on)
        {
            chain.push(base);
        }
        chain
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT_IN: &str = include_str!("../../policies/profiles.toml");

    #[test]
    fn a_bank_stands_on_production() {
        let profiles = Profiles::parse(BUILT_IN).unwrap();
        assert_eq!(profiles.chain(Profile::Bank), [Profile::Bank, Profile::Production]);
        assert_eq!(profiles.chain(Profile::Development), [Profile::Development]);
        for profile in Profile::ALL {
            assert_eq!(Profile::named(profile.name()), Some(profile));
            assert!(!profiles.entry(profile).unwrap().title.is_empty());
        }
    }

    #[test]
    fn profiles_that_stand_on_each_other_or_are_missing_are_refused() {
        let circle = BUILT_IN.replacen("id = \"staging\"", "id = \"staging\"\nbased_on = \"bank\"", 1);
        assert!(Profiles::parse(&circle).unwrap_err().contains("before it"));
        assert!(Profiles::parse("profile = []").is_err());
        assert!(Profiles::parse(&BUILT_IN.replacen("title", "titel", 1)).is_err());
    }
}
