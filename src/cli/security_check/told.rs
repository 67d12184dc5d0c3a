//! Advisories about this program go on record where it has a database, each once: alerts follow what is on record. Never: a database
//! that is not there or is of another version made or changed for that, or advisories about another program's packages.

use crate::check::Request;
use crate::check::State;
use crate::check::outcome::{Judged, Weight};
use crate::cli::administer::runtime;
use crate::cli::output::Output;
use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;
use crate::store::{FoundAdvisory, Recorded, Store};

/// The check that finds them.
const CHECK: &str = "SMC7002";

/// So many are recorded one by one.
const MOST: usize = 20;

/// Records what was found and nobody accepts. Whatever becomes of that, the run's own report has it.
pub(super) fn tell(judged: &[Judged], request: &Request, output: &Output) {
    let is_found = |one: &&Judged| {
        one.finding.id == CHECK && one.finding.state == State::Fail && one.weight != Weight::Waived
    };
    let found: Vec<&str> = judged.iter().filter(is_found).map(|one| one.finding.subject.as_str()).collect();
    let config = request.loaded.as_far_as_valid();
    let url = config.storage.url.expose();
    if found.is_empty() || request.lockfile.is_some() || !Store::may_be_at(url) {
        return;
    }
    let told: Vec<FoundAdvisory<'_>> = found
        .iter()
        .take(MOST)
        .map(|subject| {
            let (advisory, package) = subject.split_once(' ').unwrap_or((subject, ""));
            let event = Event::new(EventCode::AdvisoryFound).operation("security-check deps");
            let event = event.subject(advisory).detail("package", package);
            let event = event.detail("found", found.len().to_string());
            FoundAdvisory { advisory, package, event: Recorded::now(event, &request.clock, &request.dice) }
        })
        .collect();
    let recorded = runtime().map(|runtime| runtime.block_on(record(url, &told)));
    if !matches!(recorded, Ok(Ok(()))) {
        let why = "the advisories could not be recorded in the database, and no alert tells of them";
        output.warn("NOT_RECORDED", why, "see that the database is reachable and of this version");
    }
}

async fn record(url: &str, found: &[FoundAdvisory<'_>]) -> Result<(), Failure> {
    let store = Store::open_unchanged(url).await.map_err(|error| error.cause)?;
    let told = store.tell_advisories(found).await;
    store.close().await;
    told.map(|_count| ())
}
