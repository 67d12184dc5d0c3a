//! Real TLS servers on loopback, with throw-away certificates: met as any server is. Never: a connection to elsewhere.

use super::{Proof, Stage, Trial, Tried};
use crate::ambient::Dice;
use crate::check::network::{self, Staged};
use crate::check::{Seen, Unseen, Verdict};

/// A check, what is wrong, and the server that shows it.
const CHANGED: [(&str, &str, Staged); 4] = [
    ("SMC4001", "a server speaks TLS 1.0", Staged::Tls10),
    ("SMC4002", "a server agrees to a suite without forward secrecy", Staged::WeakSuite),
    ("SMC4003", "a server's certificate has expired", Staged::Expired),
    ("SMC4017", "an upstream's certificate is for another name", Staged::OtherName),
];

/// Tries each, and says of its trial what it stands on.
pub(super) async fn try_all(stage: &Stage<'_>, dice: &Dice, trials: &mut [Trial]) {
    for (id, mutation, staged) in CHANGED {
        if let Some(trial) = trials.iter_mut().find(|trial| trial.id == id && !trial.is_off) {
            trial.take((mutation, Proof::Listeners), tried(stage, id, (staged, dice)).await);
        }
    }
}

async fn tried(stage: &Stage<'_>, id: &str, (staged, dice): (Staged, &Dice)) -> Tried {
    Ok((said(stage, id, (Staged::Sound, dice)).await?, said(stage, id, (staged, dice)).await?))
}

async fn said(stage: &Stage<'_>, id: &str, (staged, dice): (Staged, &Dice)) -> Seen<Vec<Verdict>> {
    let facts = network::staged(staged, dice).await?;
    let rule = network::RULES.iter().find(|rule| rule.id == id).zip(stage.catalogue.check(id));
    let (rule, check) = rule.ok_or_else(|| Unseen::because("there is no such rule"))?;
    Ok(stage.judged(check, rule, &facts))
}
