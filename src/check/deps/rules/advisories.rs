//! Known vulnerabilities (SMC7002), and whether the database that knows them is young enough (SMC7003).

use std::time::Duration;

use super::{all, packages, seen_at, some};
use crate::ambient::Timestamp;
use crate::check::deps::{Advisory, Database, Evidence, Facts, Inventory, Kind, Origin, Package, Use};
use crate::check::finding::{Severity, Source, Verdict, counted};
use crate::check::rule::Ground;

/// SMC7002: one verdict for each advisory and version of a package.
pub(super) fn no_known_vulnerability(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let inventory = match packages(facts) {
        Ok(inventory) => inventory,
        Err(verdicts) => return verdicts,
    };
    let database = match database(facts) {
        Ok(database) => database,
        Err(verdicts) => return verdicts,
    };
    let mut verdicts: Vec<_> = matches(inventory, database, |kind| *kind == Kind::Vulnerability)
        .map(|found| told(found, inventory))
        .collect();
    verdicts.extend(not_trusted(database, ground));
    verdicts.extend(unread(database));
    verdicts.extend(not_audited(inventory, database));
    if verdicts.is_empty() {
        let observed = format!("none, by {}; {}", database.summary(), inventory.summary());
        verdicts.push(Verdict::pass(seen_at(inventory, None), observed));
    }
    verdicts
}

/// The database, or the one verdict that there is none.
pub(super) fn database(facts: &Facts) -> Result<&Database, Vec<Verdict>> {
    let none = match &facts.database {
        Some(Ok(database)) => return Ok(database),
        Some(Err(unseen)) => Verdict::error(Source::Program, unseen.why.clone()),
        None if facts.offline => Verdict::not_applicable(
            Source::Program,
            "there is no advisory database here, and --offline takes what would be fetched out of what was asked",
        ),
        None => Verdict::error(Source::Program, "there is no advisory database").mended_by(
            "give one with --advisory-db (a folder or tar.gz of https://github.com/rustsec/advisory-db), or fetch it \
             with --fetch-advisories",
        ),
    };
    Err(vec![none])
}

/// An advisory and the package in the version that it concerns.
pub(in crate::check::deps) type Match<'a> = (&'a Advisory, &'a Package);

/// Every advisory of these kinds that concerns a package in its version. Those taken back do not.
pub(in crate::check::deps) fn matches<'a>(
    inventory: &'a Inventory,
    database: &'a Database,
    wanted: impl Fn(&Kind) -> bool,
) -> impl Iterator<Item = Match<'a>> {
    let standing =
        database.advisories.iter().filter(move |advisory| !advisory.withdrawn && wanted(&advisory.kind));
    standing.flat_map(|advisory| {
        let concerned = inventory
            .audited()
            .filter(|package| package.name == advisory.package && advisory.concerns(&package.version));
        concerned.map(move |package| (advisory, package))
    })
}

/// The verdict of one match.
pub(super) fn told((advisory, package): Match<'_>, inventory: &Inventory) -> Verdict {
    let source = seen_at(inventory, Some(package));
    let subject = format!("{} {}", advisory.id, package.label());
    let own = !matches!(source, Source::File { .. });
    if let (true, Some(elsewhere)) = (own, advisory.elsewhere()) {
        return Verdict::not_applicable(source, format!("{} is about {elsewhere} alone", advisory.id))
            .about(subject);
    }
    let mut verdict = Verdict::fail(source, observed(advisory, package))
        .about(subject)
        .because(reason(advisory, inventory))
        .mended_by(advisory.remedy());
    if let Some(severity) = severity(advisory) {
        verdict = verdict.severe(severity);
    }
    for url in [Some(advisory.page()), advisory.url.clone()].into_iter().flatten() {
        verdict = verdict.see(url);
    }
    verdict
}

/// `None`: what the check says of itself, because RustSec says nothing.
fn severity(advisory: &Advisory) -> Option<Severity> {
    match (&advisory.rating, &advisory.kind) {
        (Some(rating), _) => Some(rating.severity),
        (None, Kind::Vulnerability) => None,
        (None, Kind::Unsound) => Some(Severity::Medium),
        (None, Kind::Unmaintained | Kind::Notice(_)) => Some(Severity::Low),
    }
}

fn observed(advisory: &Advisory, package: &Package) -> String {
    let rating = match &advisory.rating {
        Some(rating) => format!("CVSS {:.1}", rating.score),
        None => "no CVSS".to_owned(),
    };
    let built = if package.used == Use::Build { ", used only while building" } else { "" };
    format!("{} is {}{built}: {} ({rating})", package.label(), word(&advisory.kind), advisory.title)
}

fn word(kind: &Kind) -> &str {
    match kind {
        Kind::Vulnerability => "vulnerable",
        Kind::Unmaintained => "unmaintained",
        Kind::Unsound => "unsound",
        Kind::Notice(_) => "the subject of a notice",
    }
}

/// What the advisory is called elsewhere, how its severity comes about, and whose text it is.
fn reason(advisory: &Advisory, inventory: &Inventory) -> String {
    let names: Vec<_> =
        [advisory.id.as_str()].into_iter().chain(advisory.aliases.iter().map(String::as_str)).collect();
    let rating = match (&advisory.rating, &advisory.kind) {
        (Some(rating), _) => format!("Its severity is by {}.", rating.vector),
        (None, Kind::Vulnerability) => {
            "RustSec states no severity: it counts as grave until somebody has read it.".to_owned()
        }
        (None, _) => "RustSec states no severity.".to_owned(),
    };
    let superset = match inventory.evidence {
        Evidence::Embedded => "",
        _ => " The package is in a lock file, which does not mean that it is linked.",
    };
    let credit = advisory.attribution().map(|credit| format!(" Text: {credit}.")).unwrap_or_default();
    format!("{} of {}. {rating}{superset}{credit}", all(&names), advisory.date)
}

/// Advisories that nobody could read may be about anything.
fn unread(database: &Database) -> Option<Verdict> {
    let (named, count) = &database.unreadable;
    (*count > 0).then(|| {
        let why = format!("{} cannot be read: {}", counted(count, "advisory", "advisories"), some(named));
        Verdict::error(place(database), why).about("unreadable advisories").because(all(named))
    })
}

/// Why a database that finds nothing means nothing.
pub(super) fn not_trusted(database: &Database, ground: &Ground<'_>) -> Option<Verdict> {
    let limit = |name: &str| u64::try_from(ground.parameters.number(name)).unwrap_or(0);
    let unknown = |why: String| Verdict::error(place(database), why).about("the database");
    if let Some(why) = not_whole(database, limit("fewest_advisories")) {
        return Some(unknown(why).mended_by(ANEW));
    }
    let dated = match &database.dated {
        None => return Some(unknown("the age of the database cannot be told".to_owned()).mended_by(ANEW)),
        Some(dated) => dated.at,
    };
    let (days, most) = (days_since(dated, ground), limit("fail_days"));
    if dated > ground.now.plus(DAY) {
        return Some(
            unknown("the database is from the future, or this clock is wrong".to_owned()).on_stale(),
        );
    }
    (days > most).then(|| {
        let why = format!(
            "the database is {} old: what was published since nobody can tell by it",
            counted(days, "day", "days")
        );
        unknown(why)
            .expecting(format!("a database of at most {}", counted(most, "day", "days")))
            .mended_by(ANEW)
            .on_stale()
    })
}

const ANEW: &str = "fetch it anew with --fetch-advisories, or copy https://github.com/rustsec/advisory-db";
const DAY: Duration = Duration::from_secs(86_400);

fn days_since(at: Timestamp, ground: &Ground<'_>) -> u64 {
    ground.now.since(at).as_secs() / DAY.as_secs()
}

fn not_whole(database: &Database, fewest: u64) -> Option<String> {
    let count = u64::try_from(database.count).unwrap_or(u64::MAX);
    (count < fewest).then(|| {
        format!(
            "the database has {}, and a whole one at least {fewest}",
            counted(database.count, "advisory", "advisories")
        )
    })
}

/// Packages that RustSec's advisories do not speak of. Where there are advisories about one of this name, a package
/// without a source may be a copy of what they are about.
fn not_audited(inventory: &Inventory, database: &Database) -> Vec<Verdict> {
    let is_copy =
        |package: &Package| database.advisories.iter().any(|advisory| advisory.package == package.name);
    let labels = |wanted: &dyn Fn(&Package) -> bool| -> Vec<String> {
        let skipped = inventory.skipped().filter(|package| wanted(package));
        skipped.map(|package| format!("{} ({})", package.label(), package.origin)).collect()
    };
    let source = || seen_at(inventory, None);
    let is_folder = |package: &Package| package.origin == Origin::Path;
    let folders = labels(&|package| is_folder(package) && !is_copy(package));
    let copies = labels(&|package| is_folder(package) && is_copy(package));
    let others = labels(&|package| !is_folder(package));
    let mut verdicts = Vec::new();
    if inventory.audited().next().is_none() {
        let why = "no package is one that advisories speak of: none is from crates.io";
        verdicts.push(Verdict::error(source(), why).about("nothing audited"));
    }
    if !others.is_empty() {
        let count = counted(others.len(), "package", "packages");
        let why = format!("{count} not audited: not from crates.io: {}", some(&others));
        let because = format!("Advisories are about crates.io alone: {}", all(&others));
        verdicts.push(Verdict::error(source(), why).about("packages from elsewhere").because(because));
    }
    if !copies.is_empty() {
        let count = counted(copies.len(), "package", "packages");
        let why = format!(
            "{count} not audited, and there are advisories about others of that name: {}",
            some(&copies)
        );
        let because = format!(
            "A copy of a published package has its holes, and says nothing of its origin: {}",
            all(&copies)
        );
        let fix = "take the package from crates.io, or read the advisories and write a waiver for the copy";
        verdicts
            .push(Verdict::error(source(), why).about("copies of packages").because(because).mended_by(fix));
    }
    if !folders.is_empty() {
        let count = counted(folders.len(), "package", "packages");
        let why = format!("{count} not audited: not published: {}", some(&folders));
        let because = format!("Advisories are about crates.io alone: {}", all(&folders));
        verdicts.push(Verdict::manual(source(), why).about("packages from folders").because(because));
    }
    verdicts
}

/// SMC7003: which database, and how old.
pub(super) fn database_is_young(facts: &Facts, ground: &Ground<'_>) -> Vec<Verdict> {
    let database = match database(facts) {
        Ok(database) => database,
        Err(verdicts) => return verdicts,
    };
    let source = place(database);
    let what = format!("{}, {}", database.summary(), database.digest);
    let Some(dated) = database.dated else {
        return vec![Verdict::error(source, format!("its age cannot be told: {what}"))];
    };
    let days = days_since(dated.at, ground);
    let limit = |name: &str| u64::try_from(ground.parameters.number(name)).unwrap_or(0);
    let (warn, fail) = (limit("warn_days"), limit("fail_days"));
    let observed = format!("{} old: {what}", counted(days, "day", "days"));
    let expected =
        format!("at most {} old; from {fail} on, a clean answer means little", counted(warn, "day", "days"));
    // An advisory carries a day without an hour: it may be tomorrow's where the clock is in another zone.
    let verdict = if let Some(why) = not_whole(database, limit("fewest_advisories")) {
        Verdict::error(source, format!("{why}: {what}")).mended_by(ANEW)
    } else if dated.at > ground.now.plus(DAY) {
        Verdict::fail(source, format!("from the future, or this clock is wrong: {what}"))
    } else if days > fail {
        Verdict::fail(source, observed)
    } else if days > warn {
        Verdict::fail(source, observed).severe(Severity::Low)
    } else {
        Verdict::pass(source, observed)
    };
    let kept = facts.kept.as_ref().map(|kept| match kept {
        Ok(path) => Verdict::pass(Source::file(path), "the fetched database is kept here for later runs"),
        Err(why) => Verdict::manual(Source::Program, format!("the fetched database is not kept: {why}")),
    });
    [verdict.expecting(expected)].into_iter().chain(kept.map(|kept| kept.about("kept"))).collect()
}

fn place(database: &Database) -> Source {
    match database.place.starts_with("http") {
        true => Source::Address(database.place.clone()),
        false => Source::file(&database.place),
    }
}
