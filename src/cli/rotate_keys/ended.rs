//! For whoever deals with an incident: rotations that answer for themselves since a moment, and credentials that were ended
//! as all others are, tried where the server is. A run that was killed finds what it had done.

use std::path::Path;

use serde_json::{Value, json};

use super::emergency::{At, Canary, Name, Trial};
use super::evidence::{self, Shown};
use super::{Args, What, emergency, own};
use crate::ambient::Timestamp;
use crate::app::administration::{Hands, Order};
use crate::cli::administer::{Desk, broken};
use crate::cli::output::Refused;
use crate::cli::serve_start;
use crate::crypto::keys::RootKey;
use crate::domain::rotation::{Kind, State};
use crate::domain::selection::Selection;
use crate::domain::{ClientId, UserId};
use crate::failure::Failure;

/// What came of trying.
pub(in crate::cli) struct Proof {
    /// Whether something that was ended is still good.
    pub(in crate::cli) is_wrong: bool,
    /// In words.
    pub(in crate::cli) said: String,
    /// Each probe.
    pub(in crate::cli) evidence: Value,
}

/// Two people who exist only to be tried; to be noted before they are stored, so that whoever comes after a kill removes
/// them.
pub(in crate::cli) struct Tried {
    old: Name,
    fresh: Name,
}

impl Tried {
    /// Two new ones.
    pub(in crate::cli) fn mint(desk: &Desk) -> Self {
        Self { old: Name::mint(desk), fresh: Name::mint(desk) }
    }

    /// Their ids: person and client.
    pub(in crate::cli) fn names(&self) -> Vec<(String, String)> {
        [&self.old, &self.fresh]
            .map(|name| (name.user.as_str().to_owned(), name.client.as_str().to_owned()))
            .to_vec()
    }

    /// Issues credentials of every kind, ends them as `revoke-sessions` does, and tries them: at the running server where
    /// it serves this database, else at the same code in this process.
    pub(in crate::cli) async fn run(self, desk: &Desk, root: RootKey) -> Result<Proof, Refused> {
        let at = (&desk.clock, &desk.dice);
        let (ring, _) = serve_start::ring(&desk.store, std::slice::from_ref(&root), at).await?;
        let failed = |failure: Failure| broken(&failure);
        let old = Canary::plant(desk, &ring, &self.old).await.map_err(failed)?;
        let (server, mut place) = (At::server(desk), "the running server");
        let mut asked = server;
        if (Trial { desk, at: &asked }).serves(&old).await != "200" {
            (asked, place) =
                (At::here(desk, &root).await.map_err(failed)?, "the server's code in this program");
        }
        let before = Trial { desk, at: &asked }.before(&old).await;
        let order = Order {
            selection: Selection::of(self.old.user.clone()),
            api_keys: true,
            spotify_links: false,
            reason: None,
            operation: "incident probe",
        };
        let hands = Hands { store: &desk.store, clock: &desk.clock, dice: &desk.dice };
        hands.revoke(&order).await.map_err(failed)?;
        tokio::time::sleep(emergency::HEARD).await;
        let fresh = Canary::plant(desk, &ring, &self.fresh).await.map_err(failed)?;
        let probes = Trial { desk, at: &asked }.after(&old, &fresh, &before).await;
        asked.close().await;
        let wrong: Vec<String> = probes
            .iter()
            .filter(|probe| !probe.is_good())
            .map(|probe| format!("{} found {}, not {}", probe.probe, probe.found, probe.expected))
            .collect();
        let said = match wrong.as_slice() {
            [] => {
                format!("{place}: every kind of credential that was ended is refused, and new ones are not")
            }
            some => format!("{place}: NOT ENDED: {}", some.join("; ")),
        };
        Ok(Proof { is_wrong: !wrong.is_empty(), said, evidence: json!({ "place": place, "probes": probes }) })
    }
}

/// Removes people who existed only to be tried.
pub(in crate::cli) async fn remove_tried(desk: &Desk, names: &[(String, String)]) -> Result<(), Refused> {
    let parsed =
        |(user, client): &(String, String)| Some((user.parse::<UserId>().ok()?, ClientId::parse(client)?));
    let names: Vec<_> = names.iter().filter_map(parsed).collect();
    desk.store.remove_canaries(&names).await.map_err(|failure| broken(&failure))
}

/// Rotates the keys of tickets, pending logins and evidence; shows the evidence of a rotation that was done since.
pub(in crate::cli) async fn signing_since(desk: &Desk, since: Timestamp) -> Result<Shown, Refused> {
    let args = Args::for_incident(What::Signing, None, false);
    let rows = desk.store.rotations(100).await.map_err(|failure| broken(&failure))?;
    let done = rows.into_iter().find(|row| {
        row.kind == Kind::Signing.name()
            && row.state == State::Retired.name()
            && row.started_at >= since.millis()
    });
    let Some(row) = done else { return own::run(&args, desk, Kind::Signing).await };
    let roots = super::master::roots(&args, desk)?;
    let (ring, _) = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await?;
    evidence::show(desk, &ring, &row, &[]).await
}

/// The master key at hand, and the one that takes its place where it is there already.
pub(in crate::cli) fn roots(
    desk: &Desk,
    new_master_key_file: Option<&Path>,
) -> Result<Vec<RootKey>, Refused> {
    super::master::roots(&Args::for_incident(What::Master, new_master_key_file, false), desk)
}

/// Whatever could refuse an emergency is asked; the new master key is made where there is none.
pub(in crate::cli) async fn make_ready(
    desk: &Desk,
    new_master_key_file: Option<&Path>,
) -> Result<(), Refused> {
    super::master::make_ready(&Args::for_incident(What::Master, new_master_key_file, true), desk).await
}

/// Whether the file of the new key holds one that was in use. Asked without making anything.
///
/// # Errors
/// What `make_ready` would refuse for: no key at hand, no place for a new one.
pub(in crate::cli) async fn is_new_key_used(
    desk: &Desk,
    new_master_key_file: Option<&Path>,
) -> Result<bool, Refused> {
    super::master::is_new_key_used(&Args::for_incident(What::Master, new_master_key_file, true), desk).await
}

/// Contains what leaked keys can do, as `rotate-keys --emergency`; shows the evidence of an emergency that was over since.
pub(in crate::cli) async fn emergency_since(
    desk: &Desk,
    new_master_key_file: Option<&Path>,
    since: Timestamp,
) -> Result<Shown, Refused> {
    let last = desk.store.last_emergency().await.map_err(|failure| broken(&failure))?;
    let done = last.is_some_and(|row| row.began_at >= since.millis() && row.ended_at.is_some());
    let args = Args::for_incident(What::Master, new_master_key_file, !done);
    if done { emergency::show_last(&args, desk).await } else { emergency::contained(&args, desk).await }
}
