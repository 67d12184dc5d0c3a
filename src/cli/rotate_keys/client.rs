//! `rotate-keys --what spotify-client`: another secret of a Spotify app, or another app in its place. Spotify is asked
//! about it before anything changes; then it is written where the configuration has it, taken over by the running
//! server, and proven there.

use std::cell::RefCell;

use serde_json::json;

use super::Args;
use super::client_places::Edits;
use super::client_steps::{ACCEPTED, ClientSteps, says};
use super::evidence::{self, Shown};
use super::runner::{Follow, Runner, bench, stalled, stopped};
use crate::app;
use crate::cli::administer::{Desk, broken};
use crate::cli::output::Refused;
use crate::cli::{Global, configured, secret_input, serve_refused, serve_start};
use crate::config::{Loaded, Purpose};
use crate::crypto::SecretString;
use crate::domain::rotation::{Kind, State};
use crate::spotify::{Accounts, AppCredentials};
use crate::store::{AppRow, RotationRow};
use crate::vault::rotation::{self, Client, Facts, Plan, Stopped, Witness as _};
use crate::vault::{KeyRing, credentials_id};

/// What is at hand.
struct AtHand<'a> {
    desk: &'a Desk,
    global: &'a Global,
    loaded: Loaded,
    ring: KeyRing,
    accounts: Accounts,
    /// As the configuration has it.
    configured: AppCredentials,
    in_progress: Option<RotationRow>,
}

/// Rotates an app's credentials.
pub(super) async fn run(args: &Args, desk: &Desk, global: &Global) -> Result<Shown, Refused> {
    let at_hand = at_hand(args, desk, global).await?;
    let present = at_hand.name(&at_hand.configured)?;
    // Killed after they were written: nothing has to be given once more.
    let goes_on = at_hand.in_progress.as_ref().is_some_and(|row| row.new_key == present);
    let Some(new) = at_hand.wanted(args, goes_on)? else { return would(args, &at_hand, None).await };
    let name = at_hand.name(&new)?;
    if name == present
        && at_hand.in_progress.is_none()
        && let Some(row) = finished(desk, &name).await?
    {
        return end(&at_hand, &row).await;
    }
    match says(&at_hand.accounts, &new).await {
        says if says == ACCEPTED => {}
        says => return Err(not_accepted(&says)),
    }
    if args.dry_run {
        return would(args, &at_hand, Some(&new)).await;
    }
    let edits = Edits::between((&at_hand.loaded, global), &at_hand.configured, &new)?;
    let by_hand = edits.by_hand();
    if !by_hand.is_empty() {
        return Err(elsewhere(&by_hand));
    }
    let runner = Runner::take(desk)?;
    let id = match at_hand.resumed(args, &runner, &name).await? {
        Some(id) => id,
        None => at_hand.plan(args, &new, (&present, &name), &edits).await?,
    };
    let turn = runner.turn(desk, &id).await?;
    let follow = Follow::new(desk.output);
    follow.passed("planned");
    let old = (name != present).then(|| at_hand.configured.clone());
    let (accounts, refused) = (&at_hand.accounts, RefCell::new(None));
    let steps = ClientSteps { desk, global, edits, accounts, old, refused };
    let done = rotation::run(&steps, &bench(args, desk, &turn, &follow)).await;
    done.map_err(|why| steps.refused.take().unwrap_or_else(|| stopped(why)))?;
    let row = desk.store.rotation(&id).await.map_err(|failure| stalled(&failure))?;
    let Some(row) = row else { return Err(stopped(Stopped::TurnLost)) };
    end(&at_hand, &row).await
}

/// Another kind has come, and this one was killed on its way: it is given up. What it wrote stays written; the same
/// command again finds it so, and ends with evidence of its own.
pub(super) async fn give_way(args: &Args, desk: &Desk) -> Result<(), Refused> {
    let in_progress = desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
    let Some(row) = in_progress.filter(|row| row.kind == Kind::SpotifyClient.name() && !args.dry_run) else {
        return Ok(());
    };
    give_up(args, desk, (&Runner::take(desk)?, &row)).await
}

async fn give_up(args: &Args, desk: &Desk, (runner, row): (&Runner, &RotationRow)) -> Result<(), Refused> {
    let turn = runner.turn(desk, &row.id).await?;
    bench(args, desk, &turn, &Follow::new(desk.output)).abort(row).await.map_err(stopped)
}

async fn at_hand<'a>(args: &Args, desk: &'a Desk, global: &'a Global) -> Result<AtHand<'a>, Refused> {
    if args.sandbox {
        return Err(Refused::usage("USAGE", "the sandbox's app has no secret", "leave --sandbox out"));
    }
    let roots = super::master::roots(args, desk)?;
    let (ring, _) = serve_start::ring(&desk.store, &roots, (&desk.clock, &desk.dice)).await?;
    let in_progress = desk.store.rotation_in_progress().await.map_err(|failure| broken(&failure))?;
    if let Some(row) = in_progress.as_ref().filter(|row| row.kind != Kind::SpotifyClient.name()) {
        return Err(super::master::other_in_progress(row));
    }
    let accounts = app::accounts(&desk.config, &desk.clock)
        .map_err(|error| serve_refused::refused_build(error, desk.config.storage.url.expose()))?;
    let loaded = configured::load_any(global, Vec::new(), Purpose::Inspect)?;
    let configured = configured_app(args, desk)?;
    Ok(AtHand { desk, global, loaded, ring, accounts, configured, in_progress })
}

/// The app that is meant: the only one, or the one that was named, also where it has taken the other's place already.
fn configured_app(args: &Args, desk: &Desk) -> Result<AppCredentials, Refused> {
    let all: Vec<AppCredentials> =
        app::credentials(&desk.config).into_iter().map(|app| app.credentials).collect();
    let ids: Vec<&str> = all.iter().map(|app| app.client_id.as_str()).collect();
    let known = || format!("the configuration has {}", ids.join(", "));
    let found = match (&args.client_id, all.as_slice()) {
        (None, [one]) => Some(one),
        (None, []) => {
            return Err(Refused::usage(
                "SPOTIFY_APP_MISSING",
                "the configuration has no Spotify app",
                "name the server's configuration: --config, --env-file",
            ));
        }
        (None, _) => {
            return Err(Refused::usage("SPOTIFY_APP_AMBIGUOUS", known(), "name one: --client-id ID"));
        }
        (Some(id), all) => {
            let named = |id: &String| all.iter().find(|app| app.client_id == *id);
            named(id).or_else(|| args.new_client_id.as_ref().and_then(named))
        }
    };
    found
        .cloned()
        .ok_or_else(|| Refused::usage("SPOTIFY_APP_UNKNOWN", known(), "give one of these with --client-id"))
}

impl AtHand<'_> {
    fn name(&self, credentials: &AppCredentials) -> Result<String, Refused> {
        credentials_id(&self.ring, credentials).map_err(|failure| stalled(&failure))
    }

    /// The credentials that are to come; `None`: a dry run that was given none.
    fn wanted(&self, args: &Args, goes_on: bool) -> Result<Option<AppCredentials>, Refused> {
        let client_id = args.new_client_id.clone().unwrap_or_else(|| self.configured.client_id.clone());
        if let Err(wrong) = crate::config::check_client_id(&client_id) {
            return Err(Refused::usage("CLIENT_ID_INVALID", wrong.why, wrong.fix));
        }
        let same_app = client_id == self.configured.client_id;
        let secret = match &args.new_client_secret_file {
            Some(path) => Some(secret_input::from_file(path)?),
            None if goes_on && same_app => return Ok(Some(self.configured.clone())),
            // Another app that is to have no secret either.
            None if !same_app && self.configured.client_secret.is_none() => None,
            None if args.dry_run => return Ok(None),
            None => Some(secret_input::given("New client secret", &self.desk.output)?),
        };
        if let Some(secret) = &secret {
            check(secret)?;
        }
        Ok(Some(AppCredentials { client_id, client_secret: secret }))
    }

    /// The id of the rotation that goes on; `None` where there is none, or it led elsewhere and could be given up.
    async fn resumed(&self, args: &Args, runner: &Runner, new: &str) -> Result<Option<String>, Refused> {
        let Some(row) = &self.in_progress else { return Ok(None) };
        if row.new_key == new {
            return Ok(Some(row.id.clone()));
        }
        if State::named(&row.state).is_some_and(State::can_be_aborted) {
            return give_up(args, self.desk, (runner, row)).await.map(|()| None);
        }
        Err(Refused::usage(
            "ROTATION_OTHER_KEY",
            "a rotation to other credentials has been written to the configuration and is not at its end",
            "run it without a new secret first: it goes on with what is in the configuration",
        ))
    }

    /// Asks where somebody has to log in again, and plans it.
    async fn plan(
        &self,
        args: &Args,
        new: &AppCredentials,
        (present, name): (&str, &str),
        edits: &Edits,
    ) -> Result<String, Refused> {
        let before = self.app_before(args).await?;
        let ends = self.ends(before.as_ref(), new).await?;
        if ends.0 > 0 {
            self.desk.confirm(&format!("{} Go on?", ending(ends)), args.yes)?;
        }
        let old_key = match &before {
            _ if present != name => present.to_owned(),
            Some(row) => changed_by_hand(row, name).ok_or_else(unchanged)?,
            None => return Err(unchanged()),
        };
        let old_credentials = match present == name {
            true => "not known: it was not in the configuration any more".to_owned(),
            false => says(&self.accounts, &self.configured).await,
        };
        let client = Client {
            app: before.map(|row| row.id).unwrap_or_default(),
            places: edits.places(),
            links_ended: ends.0,
            people_concerned: ends.1,
            old_credentials,
            server: String::new(),
        };
        let before = Facts { client: Some(client), ..Facts::default() };
        let plan =
            Plan { kind: Kind::SpotifyClient, emergency: false, old_key: &old_key, new_key: name, before };
        let planned = rotation::plan(plan, (&self.desk.store, &self.desk.clock, &self.desk.dice)).await;
        planned.map_err(|failure| broken(&failure))?.ok_or_else(|| stopped(Stopped::TurnLost))
    }

    /// The app that goes, as servers have registered it.
    async fn app_before(&self, args: &Args) -> Result<Option<AppRow>, Refused> {
        let id = args.client_id.as_ref().unwrap_or(&self.configured.client_id);
        let url = app::accounts_url(&self.desk.config);
        let rows = self.desk.store.operators_apps().await.map_err(|failure| broken(&failure))?;
        Ok(rows.into_iter().find(|row| row.client_id == *id && row.accounts_url == url))
    }

    /// How many links of how many people end: all of the app's, where another takes its place.
    async fn ends(&self, before: Option<&AppRow>, new: &AppCredentials) -> Result<(i64, i64), Refused> {
        match before.filter(|row| row.client_id != new.client_id) {
            Some(row) => {
                let links = self.desk.store.links_through(&row.accounts_url, &row.client_id).await;
                links.map_err(|failure| broken(&failure))
            }
            None => Ok((0, 0)),
        }
    }
}

/// What Spotify's dashboard shows has letters and digits alone; anything else was not copied well.
fn check(secret: &SecretString) -> Result<(), Refused> {
    let text = secret.expose();
    if text.is_empty() {
        let next = "--new-client-secret-file FILE, or standard input; a terminal asks for it";
        return Err(Refused::usage("CLIENT_SECRET_NEEDED", "no new client secret was given", next));
    }
    let well =
        text.len() <= 512 && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-._~+/=".contains(&c));
    if well {
        return Ok(());
    }
    let text = "the new client secret has characters that none has, or is too long";
    Err(Refused::usage(
        "CLIENT_SECRET_INVALID",
        text,
        "copy it once more from the app's page at developer.spotify.com/dashboard",
    ))
}

/// The name of the credentials that were there, where somebody has changed the configuration since.
fn changed_by_hand(row: &AppRow, new: &str) -> Option<String> {
    [row.secret_id.as_ref(), row.former_secret_id.as_ref()]
        .into_iter()
        .flatten()
        .find(|id| *id != new)
        .cloned()
}

/// The rotation that led to what is in use.
async fn finished(desk: &Desk, name: &str) -> Result<Option<RotationRow>, Refused> {
    let rotations = desk.store.rotations(1_000).await.map_err(|failure| broken(&failure))?;
    let ended =
        |row: &RotationRow| row.state == State::Retired.name() && row.kind == Kind::SpotifyClient.name();
    Ok(rotations.into_iter().find(ended).filter(|row| row.new_key == name))
}

async fn end(at_hand: &AtHand<'_>, row: &RotationRow) -> Result<Shown, Refused> {
    let client = Facts::parse(&row.facts).client.unwrap_or_default();
    let mut notes = vec![
        "servers on other machines take it over with a 'config reload' of their own, or a start".to_owned(),
    ];
    if client.old_credentials == ACCEPTED {
        notes.push(
            "Spotify still accepted the old credentials at the end: end them in Spotify's dashboard"
                .to_owned(),
        );
    }
    if client.links_ended > 0 {
        notes.push("the links of the old client id end with their next refresh; their people log in with Spotify again".to_owned());
    }
    evidence::show(at_hand.desk, &at_hand.ring, row, &notes).await
}

async fn would(args: &Args, at_hand: &AtHand<'_>, new: Option<&AppCredentials>) -> Result<Shown, Refused> {
    let (desk, configured) = (at_hand.desk, &at_hand.configured);
    // Without a new secret, the places are those of any other.
    let other = || {
        let client_id = args.new_client_id.clone().unwrap_or_else(|| configured.client_id.clone());
        AppCredentials { client_id, client_secret: Some(SecretString::new("another")) }
    };
    let to = new.cloned().unwrap_or_else(other);
    let edits = Edits::between((&at_hand.loaded, at_hand.global), configured, &to)?;
    let before = at_hand.app_before(args).await?;
    let ends = at_hand.ends(before.as_ref(), &to).await?;
    let (places, by_hand) = (edits.places(), edits.by_hand());
    let mut text = match new {
        Some(_) => "Spotify accepts the new credentials.\n".to_owned(),
        None => "No new secret was given, so Spotify was not asked.\n".to_owned(),
    };
    text += &format!("Would change {}.\n", places.join(" and "));
    if !by_hand.is_empty() {
        text += &format!("Cannot write {}: that is for you to do.\n", by_hand.join(" and "));
    }
    if ends.0 > 0 {
        text += &format!("{}\n", ending(ends));
    }
    let goes_on = at_hand.in_progress.as_ref().map(|row| row.id.clone());
    let document = json!({
        "dry_run": true, "kind": Kind::SpotifyClient.name(), "app": before.map(|row| row.id),
        "spotify": new.map(|_| ACCEPTED), "old_key": at_hand.name(configured)?,
        "new_key": new.map(|new| at_hand.name(new)).transpose()?, "places": places, "by_hand": by_hand,
        "links_ended": ends.0, "people_concerned": ends.1, "goes_on": goes_on,
    });
    desk.output.note("Nothing was changed.");
    Ok(Shown::would(text, document))
}

fn ending((links, people): (i64, i64)) -> String {
    format!(
        "Another client id ends {links} linked account{} of {people} {}: each has to be connected again.",
        if links == 1 { "" } else { "s" },
        if people == 1 { "person" } else { "people" },
    )
}

fn not_accepted(says: &str) -> Refused {
    match says {
        "refused" => Refused::usage(
            "CLIENT_SECRET_REFUSED",
            "Spotify does not accept the new credentials; nothing was changed",
            "copy client id and secret once more from the app's page at developer.spotify.com/dashboard",
        ),
        other => Refused::incomplete(
            "SPOTIFY_NO_ANSWER",
            format!(
                "Spotify does not say whether it accepts the new credentials ({other}); nothing was changed"
            ),
            "run the same command again in a while",
        ),
    }
}

fn elsewhere(by_hand: &[String]) -> Refused {
    Refused::incomplete(
        "CLIENT_SECRET_ELSEWHERE",
        format!(
            "Spotify accepts the new credentials; this command cannot write {}; nothing was changed",
            by_hand.join(" and ")
        ),
        "put them there where the server's environment is made, start the server again, and run the same command again \
         with that environment: it sees that the server uses them, and ends with the evidence",
    )
}

fn unchanged() -> Refused {
    Refused::usage(
        "CLIENT_SECRET_UNCHANGED",
        "these credentials are in use already, and servers have known no others",
        "make another secret in Spotify's dashboard: the app's page, 'Rotate client secret'",
    )
}
