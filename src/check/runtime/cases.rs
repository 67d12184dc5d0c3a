//! Made-up facts of this area: a confined server, and for each rule one thing wrong.
//!
//! The self-test and the tests judge them. Never: anything of this machine.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use super::cgroup::Bounds;
use super::isolation::{Label, Surroundings};
use super::key_source::{KeySource, Said};
use super::limits::CoreLimit;
use super::mounts::Mount;
use super::process::Who;
use super::sockets::{Listener, Listening};
use super::status::Status;
use super::{Declared, Facts, Linux, System};
use crate::check::finding::Seen;
use crate::check::self_test::Case;

fn mount(point: &str, kind: &str, writable: bool) -> Mount {
    Mount { point: point.into(), root: "/".into(), kind: kind.into(), writable, setuid: false }
}

/// As under the systemd unit or the Kubernetes manifest of `deploy/`, with an AppArmor profile.
pub(super) fn confined() -> Linux {
    let bounds = Bounds {
        memory: Some(512 << 20),
        swap: Some(0),
        processes: Some(512),
        processors: Some(2000),
        path: "/system.slice/spotify-mcp.service".to_owned(),
        ends_below_the_top: false,
    };
    Linux {
        status: Ok(Status {
            users: [65_532; 4],
            groups: [65_532; 4],
            parent: 1,
            depth: 1,
            no_new_privileges: Some(true),
            seccomp: Some(2),
            ..Status::default()
        }),
        mounts: Ok(vec![
            mount("/", "overlay", false),
            mount("/proc", "proc", true),
            mount("/var/lib/spotify-mcp", "ext4", true),
            mount("/tmp", "tmpfs", true),
        ]),
        core: Ok(CoreLimit { soft: Some(0), hard: Some(0) }),
        dumpable: Ok(false),
        core_pattern: Ok("core".to_owned()),
        ptrace_scope: Ok(Some(1)),
        swaps: Ok(Vec::new()),
        bounds: Ok(bounds),
        label: Ok(Label { text: Some("spotify-mcp (enforce)".to_owned()), ..Label::default() }),
        surroundings: Surroundings {
            container: None,
            kubernetes: false,
            shared: Ok(Vec::new()),
            machines_users: Some(false),
        },
        engine_sockets: Ok(Vec::new()),
        listeners: listening(HERE),
        key: KeySource { in_arguments: Ok(Vec::new()), in_environment: Ok(false), said: Said::Credential },
    }
}

/// Where the server listens and says so.
const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8000);

/// On this address alone, as its open files say.
pub(super) fn listening(address: SocketAddr) -> Seen<Listening> {
    let listener = Listener { address, user: 65_532, inode: 1 };
    Ok(Listening { listeners: vec![listener], not_its_own: None })
}

/// These facts about the running server, whose configuration is the default one.
pub(super) fn facts(linux: Linux) -> Facts {
    let declared = Declared {
        listen: vec![HERE],
        flag: None,
        metrics: None,
        writable: vec![Path::new("/var/lib/spotify-mcp").to_owned()],
        beside: vec![Path::new("/var/log/spotify-mcp").to_owned()],
    };
    Facts { who: Ok(Who::Server(4711)), program: None, system: System::Linux(Box::new(linux)), declared }
}

/// A case for every rule: a server in a container, so that its namespaces count.
pub fn cases() -> Vec<Case<Facts>> {
    let mut sound = confined();
    sound.surroundings.container = Some("control group of kubepods".to_owned());
    let case = |(id, mutation, change): &Change| {
        let mut changed = sound.clone();
        change(&mut changed);
        Case { id, mutation, sound: facts(sound.clone()), changed: facts(changed) }
    };
    CHANGES.iter().map(case).collect()
}

/// A check, what is wrong, and how the facts come to show it.
type Change = (&'static str, &'static str, fn(&mut Linux));

fn status(linux: &mut Linux, change: fn(&mut Status)) {
    linux.status.iter_mut().for_each(change);
}

const CHANGES: &[Change] = &[
    ("SMC4008", "it listens on every address, which nobody said", |linux| {
        linux.listeners = listening(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8000));
    }),
    ("SMC8001", "it runs as root", |linux| status(linux, |status| status.users = [0; 4])),
    ("SMC8002", "what it starts may gain rights", |linux| {
        status(linux, |status| status.no_new_privileges = Some(false));
    }),
    ("SMC8003", "it has every capability", |linux| {
        status(linux, |status| {
            let all = (1 << 41) - 1;
            let sets = &mut status.capabilities;
            (sets.permitted, sets.effective, sets.bounding) = (all, all, all);
        });
    }),
    ("SMC8004", "no system call is filtered", |linux| status(linux, |status| status.seccomp = Some(0))),
    ("SMC8005", "its root can be written", |linux| {
        linux.mounts = Ok(vec![mount("/", "ext4", true)]);
    }),
    ("SMC8006", "its memory may be dumped and debugged", |linux| {
        (linux.dumpable, linux.core) = (Ok(true), Ok(CoreLimit { soft: Some(0), hard: None }));
    }),
    ("SMC8007", "its memory may go to a disk", |linux| {
        linux.swaps = Ok(super::limits::swaps("Filename\n/dev/sda2 partition 8 0 -2\n"));
        linux.bounds.iter_mut().for_each(|bounds| bounds.swap = None);
    }),
    ("SMC8008", "its memory has no bound", |linux| {
        linux.bounds.iter_mut().for_each(|bounds| bounds.memory = None);
    }),
    ("SMC8009", "no security module confines it", |linux| {
        linux.label = Ok(Label { text: Some("unconfined".to_owned()), ..Label::default() });
    }),
    ("SMC8010", "the socket of a container engine is within reach", |linux| {
        linux.engine_sockets = Ok(vec!["/run/docker.sock".to_owned()]);
    }),
    ("SMC8011", "the master key stands in its arguments", |linux| {
        linux.key.in_arguments = Ok(vec!["its own arguments"]);
    }),
];
