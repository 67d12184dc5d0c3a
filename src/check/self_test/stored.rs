//! Real stores: a database, an audit trail and a sealed configuration as this program's own code writes them, looked at as a
//! server's would be, and the same with one thing wrong. Never: anything outside of the sandbox's folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::sandbox::{CONFIGURATION, Desk, judged, overwrite, unwritten};
use super::{NOW, Proof, Stage, Trial, Tried};
use crate::ambient::Clock;
use crate::app;
use crate::check::config::master;
use crate::check::{Request, Runs, Seen, Unseen, Verdict, data};
use crate::config::sealed::{self, Opener, Sealed};
use crate::config::unseal;
use crate::crypto::keys::RootKey;
use crate::domain::event::{Event, EventCode};
use crate::failure::Failure;
use crate::store::{AttestationRow, Damage, Recorded, Revision, Store};
use crate::vault::KeyRing;

/// What is wrong.
#[derive(Clone, Copy)]
enum Wrong {
    /// Pages of the database are overwritten.
    Pages,
    /// What no program of ours writes stands in it.
    Rows(Damage),
    /// The trail's newest record is cut off.
    Cut,
    /// A word in the trail's newest record is another.
    Word(&'static str, &'static str),
    /// A value of the sealed file was changed without its key.
    Tampered,
    /// The sealed file is another revision than servers use.
    Resealed,
}

/// A check, what is wrong, and what shows it.
type Changed = (&'static str, &'static str, Wrong);

const CHANGED: [Changed; 22] = [
    ("SMC1003", "a person's key stands in the database as it is", Wrong::Rows(Damage::UnsealedKey)),
    ("SMC1005", "the master key is older than anybody's", Wrong::Rows(Damage::OldMasterKey)),
    ("SMC1006", "the master key has sealed 2^32 values", Wrong::Rows(Damage::BusyMasterKey)),
    ("SMC1007", "a rotation began long ago and stands still", Wrong::Rows(Damage::StuckRotation)),
    ("SMC1009", "a person has two keys in use", Wrong::Rows(Damage::SecondKey)),
    ("SMC2001", "a sealed value was changed without the key", Wrong::Tampered),
    ("SMC2007", "servers use another revision of the sealed file", Wrong::Resealed),
    ("SMC3003", "a code is stored as it is", Wrong::Rows(Damage::UnhashedCode)),
    ("SMC5001", "pages of the database are overwritten", Wrong::Pages),
    ("SMC5005", "a migration is not the one that ran", Wrong::Rows(Damage::ForeignMigration)),
    ("SMC5007", "a code is kept long past its time", Wrong::Rows(Damage::OldCode)),
    ("SMC6001", "the trail's newest record is cut off", Wrong::Cut),
    ("SMC6003", "a record lacks its severity", Wrong::Word("\"severity_id\"", "\"severity__\"")),
    ("SMC9001", ATTESTED, Wrong::Rows(Damage::ChangedAttestations)),
    ("SMC9002", ATTESTED, Wrong::Rows(Damage::ChangedAttestations)),
    ("SMC9003", ATTESTED, Wrong::Rows(Damage::ChangedAttestations)),
    ("SMC9004", ATTESTED, Wrong::Rows(Damage::ChangedAttestations)),
    ("SMC9005", ATTESTED, Wrong::Rows(Damage::ChangedAttestations)),
    ("SMC9006", ATTESTED, Wrong::Rows(Damage::ChangedAttestations)),
    ("SMC9007", ATTESTED, Wrong::Rows(Damage::ChangedAttestations)),
    ("SMC9008", ATTESTED, Wrong::Rows(Damage::ChangedAttestations)),
    ("SMC9010", "the master key was never rotated", Wrong::Rows(Damage::OldMasterKey)),
];

const ATTESTED: &str = "who attested it was changed in the database";
const DATABASE: &str = "data/spotify-mcp.db";
const SEGMENT: &str = "data/audit/audit-1.ndjson";
const SEALED: &str = "server.encrypted.json";
const KEPT: &str = "kept";

/// Tries each, and says of its trial what it stands on.
pub(super) async fn try_all(stage: &Stage<'_>, desk: &Desk<'_>, trials: &mut [Trial]) {
    let founded = found(stage, desk).await;
    for (id, mutation, wrong) in CHANGED {
        let Some(trial) = trials.iter_mut().find(|trial| trial.id == id && !trial.is_off) else { continue };
        let tried = match &founded {
            Ok(founded) => founded.tried(stage, desk, (id, wrong)).await,
            Err(unseen) => Err(unseen.clone()),
        };
        trial.take((mutation, Proof::Files), desk.without_folder(tried));
    }
}

/// What was written, and what is seen of it.
struct Founded {
    text: String,
    root: RootKey,
    sound: data::Facts,
}

async fn found(stage: &Stage<'_>, desk: &Desk<'_>) -> Seen<Founded> {
    // The key that opens a sealed file stands outside of it.
    let plain = desk.filled(CONFIGURATION).replace("master_key_file", "# master_key_file");
    desk.set_out_sound()?;
    let root = root(&request(stage, desk, "server.toml"))?;
    let plain: serde_json::Map<String, serde_json::Value> =
        toml::from_str(&plain).map_err(|error| Unseen::because(error.to_string()))?;
    let text = sealed::seal(&plain, &[Opener::Master(&root)], NOW, desk.dice)
        .map_err(|refusal| Unseen::because(refusal.to_string()))?;
    desk.write(SEALED, &text).map_err(|error| unwritten(&error))?;
    let request = request(stage, desk, SEALED)?;
    fill(stage, &request, (&root, &text)).await?;
    let copied = copy(&desk.folder.join("data"), &desk.folder.join(KEPT));
    copied.map_err(|error| unwritten(&error))?;
    let sound = data::gather(&request, Runs { command: false }).await;
    Ok(Founded { text, root, sound })
}

fn root(request: &Seen<Request>) -> Seen<RootKey> {
    let request = request.as_ref().map_err(Clone::clone)?;
    let roots = master::roots(&request.loaded, Runs { command: false }).map_err(Unseen::because)?;
    roots.into_iter().next().ok_or_else(|| Unseen::because("there is no master key"))
}

fn request(stage: &Stage<'_>, desk: &Desk<'_>, file: &str) -> Seen<Request> {
    let at = |name: &str| desk.folder.join(name).into_os_string();
    // Where the file says nothing that is believed, the data directory is this one all the same.
    let env = match file == SEALED {
        true => BTreeMap::from([
            ("SPOTIFY_MCP_MASTER_KEY_FILE".to_owned(), at("master.key")),
            ("DATA_DIR".to_owned(), at("data")),
        ]),
        false => BTreeMap::new(),
    };
    desk.request(stage, file, env)
}

/// A database with its keys, every task attested an hour ago, and the trail of it, signed.
async fn fill(stage: &Stage<'_>, request: &Request, sealed: (&RootKey, &str)) -> Seen<()> {
    let refused = |words: String| Unseen::because(format!("its database cannot be made: {words}"));
    let url = request.loaded.as_far_as_valid().storage.url.expose();
    let store = Store::open(url).await.map_err(|error| refused(error.what.to_owned()))?;
    let filled = filled(stage, (request, &store), sealed).await;
    store.close().await;
    filled.map_err(|failure| refused(failure.to_string()))?.map_err(|why| refused(why.to_owned()))
}

async fn filled(
    stage: &Stage<'_>,
    (request, store): (&Request, &Store),
    (root, text): (&RootKey, &str),
) -> Result<Result<(), &'static str>, Failure> {
    let ago = NOW.minus(Duration::from_secs(3_600));
    let (clock, dice) = (Clock::moved_by_hand(ago).0, &request.dice);
    let opened = KeyRing::open(store, std::slice::from_ref(root), (&clock, dice)).await?;
    let Ok((ring, _)) = opened else { return Ok(Err("a new one knows another key")) };
    for task in &stage.catalogue.tasks {
        let row = AttestationRow {
            id: format!("att_{}", task.id),
            task: task.id.clone(),
            by_whom: "ada".to_owned(),
            evidence: "ticket 4711".to_owned(),
            at: ago.millis(),
        };
        store.attest(&row, &[Recorded::now(row.event(), &clock, dice)]).await?;
    }
    if let Ok(sealed) = Sealed::parse(text) {
        let digest = unseal::digest(text);
        let revision = Revision { lineage: &sealed.header().lineage, rev: 1, digest: &digest };
        let refused = Event::new(EventCode::ConfigRolledBack).failed();
        let _newest = store.use_revision(&revision, ago, &Recorded::now(refused, &clock, dice)).await?;
    }
    let config = request.loaded.as_far_as_valid();
    let drained = app::drain_if_alone(config, (store, &Arc::new(ring)), (&clock, dice)).await;
    Ok(drained.map(drop).map_err(|_| "its trail cannot be written"))
}

impl Founded {
    async fn tried(&self, stage: &Stage<'_>, desk: &Desk<'_>, (id, wrong): (&str, Wrong)) -> Tried {
        self.restore(desk).map_err(|error| unwritten(&error))?;
        self.spoil(desk, wrong).await?;
        let changed = data::gather(&request(stage, desk, SEALED)?, Runs { command: false }).await;
        let said = |facts: &data::Facts| -> Seen<Vec<Verdict>> { judged(stage, data::RULES, id, facts) };
        Ok((said(&self.sound)?, said(&changed)?))
    }

    fn restore(&self, desk: &Desk<'_>) -> io::Result<()> {
        fs::remove_dir_all(desk.folder.join("data"))?;
        copy(&desk.folder.join(KEPT), &desk.folder.join("data"))?;
        desk.write(SEALED, &self.text)
    }

    async fn spoil(&self, desk: &Desk<'_>, wrong: Wrong) -> Seen<()> {
        let done = match wrong {
            Wrong::Rows(damage) => {
                let written = damage.write(&desk.folder.join(DATABASE)).await;
                return written.map_err(|failure| Unseen::because(failure.chain()));
            }
            Wrong::Pages => overwrite(&desk.folder.join(DATABASE)),
            Wrong::Cut => fs::read_to_string(desk.folder.join(SEGMENT)).and_then(|text| {
                let whole = text.trim_end();
                let kept = whole.rfind('\n').map_or("", |end| &whole[..=end]);
                desk.write(SEGMENT, kept)
            }),
            Wrong::Word(from, to) => fs::read_to_string(desk.folder.join(SEGMENT)).and_then(|text| {
                let whole = text.trim_end();
                let (before, last) = whole.split_at(whole.rfind('\n').map_or(0, |end| end + 1));
                desk.write(SEGMENT, &format!("{before}{}\n", last.replace(from, to)))
            }),
            Wrong::Tampered => desk.write(SEALED, &self.text.replace("\"info\"", "\"warn\"")),
            Wrong::Resealed => {
                let opened =
                    Sealed::parse(&self.text).and_then(|text| text.open(&Opener::Master(&self.root)));
                let opened = opened.map_err(|refusal| Unseen::because(refusal.to_string()))?;
                desk.write(SEALED, &opened.reseal(&opened.plain, NOW, desk.dice))
            }
        };
        done.map_err(|error| unwritten(&error))
    }
}

/// A folder with all that is in it, each as readable as it was.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    fs::set_permissions(to, from.metadata()?.permissions())?;
    for entry in from.read_dir()? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to.join(entry.file_name()))?,
            false => drop(fs::copy(entry.path(), to.join(entry.file_name()))?),
        }
    }
    Ok(())
}
