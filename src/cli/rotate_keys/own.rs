//! `rotate-keys --what data` and `--what signing`: no new file is needed, the keys live wrapped in the database.

use std::sync::Arc;

use serde_json::json;

use super::Args;
use super::evidence::{self, Shown};
use super::runner::{Follow, Runner, bench, stalled, stopped};
use crate::cli::administer::{Desk, broken};
use crate::cli::output::Refused;
use crate::cli::serve_start;
use crate::domain::rotation::Kind;
use crate::store::Turn;
use crate::vault::KeyRing;
use crate::vault::rotation::{self, Data, Signing, Stopped};

/// Rotates people's data keys or the server's own.
pub(super) async fn run(args: &Args, desk: &Desk, kind: Kind) -> Result<Shown, Refused> {
    let roots = super::master::roots(args, desk)?;
    let (ring, _) = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await?;
    let ring = Arc::new(ring);
    let in_progress = desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
    if let Some(row) = &in_progress
        && row.kind != kind.name()
    {
        return Err(super::master::other_in_progress(row));
    }
    if args.dry_run {
        return would(desk, kind, in_progress.map(|row| row.id)).await;
    }
    let runner = Runner::take(desk)?;
    let id = match in_progress {
        Some(row) => row.id,
        None => plan(args, desk, &ring, kind).await?,
    };
    let turn = runner.turn(desk, &id).await?;
    work(args, desk, &ring, kind, &turn).await?;
    ring.learn().await.map_err(|failure| stalled(&failure))?;
    let row = desk.store.rotation(&id).await.map_err(|failure| stalled(&failure))?;
    let Some(row) = row else { return Err(stopped(Stopped::TurnLost)) };
    let notes =
        ["backups from before this rotation hold the old keys, under the master key of their time"
            .to_owned()];
    evidence::show(desk, &ring, &row, &notes).await
}

async fn plan(args: &Args, desk: &Desk, ring: &Arc<KeyRing>, kind: Kind) -> Result<String, Refused> {
    let at = (&desk.store, &desk.clock, &desk.dice);
    let planned = match kind {
        Kind::Signing => Signing { ring: ring.clone() }.plan(at, args.emergency).await,
        _ => Data { ring: ring.clone() }.plan(at, args.emergency).await,
    };
    planned.map_err(|failure| broken(&failure))?.ok_or_else(|| stopped(Stopped::TurnLost))
}

async fn work(args: &Args, desk: &Desk, ring: &Arc<KeyRing>, kind: Kind, turn: &Turn) -> Result<(), Refused> {
    let follow = Follow::new(desk.output);
    rotation::Witness::passed(&follow, "planned");
    let bench = bench(args, desk, turn, &follow);
    let done = match kind {
        Kind::Signing => rotation::run(&Signing { ring: ring.clone() }, &bench).await,
        _ => rotation::run(&Data { ring: ring.clone() }, &bench).await,
    };
    done.map_err(stopped)
}

async fn would(desk: &Desk, kind: Kind, goes_on: Option<String>) -> Result<Shown, Refused> {
    let counts = desk.store.count_data_keys().await.map_err(|failure| broken(&failure))?;
    let keys: i64 = match kind {
        Kind::Signing => 3,
        _ => counts.iter().map(|count| count.keys).sum(),
    };
    let what = if kind == Kind::Signing { "keys of the server's own" } else { "data keys" };
    let mut text = format!("Would replace {keys} {what}; servers may run meanwhile.\n");
    if let Some(id) = &goes_on {
        text += &format!("Rotation {id} would go on.\n");
    }
    let document = json!({ "dry_run": true, "kind": kind.name(), "keys": keys, "goes_on": goes_on });
    Ok(Shown::would(text, document))
}
