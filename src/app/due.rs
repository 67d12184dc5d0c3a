//! Which keys are due for rotation, said in the log when a server starts. `rotate-keys --status` shows all of them.

use crate::ambient::Timestamp;
use crate::config::KeyAges;
use crate::domain::KeyPurpose;
use crate::domain::rotation::Due;
use crate::failure::Failure;
use crate::store::Store;

/// Warns of every kind of key that is older than the configuration allows, or has sealed too much.
pub(super) async fn warn_of_due_keys(store: &Store, ages: &KeyAges, now: Timestamp) -> Result<(), Failure> {
    let warn = |kind: &str, since: i64, days: u32, seals: i64| {
        let age = now.since(Timestamp::from_secs(since)).as_secs();
        if let Some(due) = Due::of(age, days.into(), seals.unsigned_abs()).name() {
            tracing::warn!(
                kind,
                due,
                age_days = age / 86_400,
                "a key is due for rotation: see 'spotify-mcp rotate-keys --status'"
            );
        }
    };
    for row in store.master_keys().await?.iter().filter(|row| row.state == "active") {
        warn("master", row.created_at, ages.master, row.seal_count);
    }
    for row in store.count_data_keys().await?.iter().filter(|row| row.state == "active") {
        warn("data", row.oldest, ages.data, row.most_seals);
    }
    for row in store.purpose_keys().await?.iter().filter(|row| row.state == "active") {
        if let Some(purpose) = KeyPurpose::named(&row.purpose).filter(|purpose| purpose.rotates()) {
            warn(purpose.name(), row.created_at, ages.signing, 0);
        }
    }
    Ok(())
}
