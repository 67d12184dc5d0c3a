//! `rotate-keys --what all`: the three kinds, one after the other.

use super::evidence::Shown;
use super::{Args, master, own};
use crate::cli::administer::{Desk, broken};
use crate::cli::output::Refused;
use crate::domain::rotation::Kind;

/// Rotates all three kinds; goes on with the one in progress.
pub(super) async fn all(args: &Args, desk: &Desk) -> Result<Vec<Shown>, Refused> {
    let kinds = [Kind::Master, Kind::Signing, Kind::Data];
    let in_progress = desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
    let at = in_progress.and_then(|row| kinds.iter().position(|kind| kind.name() == row.kind));
    let mut shown = Vec::new();
    for kind in kinds.into_iter().skip(at.unwrap_or_default()) {
        shown.push(match kind {
            Kind::Master => master::run(args, desk).await?,
            other => own::run(args, desk, other).await?,
        });
    }
    Ok(shown)
}
