//! `/proc/PID/status`: who a process is and which rights it has. Pure: text in, facts out (proc_pid_status(5)).

use crate::check::finding::Seen;

use super::system::unseen;

/// What the status of a process says, as far as it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Real, effective, saved and file system user.
    pub users: [u32; 4],
    /// The same of the group.
    pub groups: [u32; 4],
    /// Further groups.
    pub supplementary: Vec<u32>,
    /// The process that started it.
    pub parent: u32,
    /// The process that debugs it; 0: none.
    pub tracer: u32,
    /// How many process id namespaces deep it is, seen from here.
    pub depth: usize,
    /// Capabilities, one bit each.
    pub capabilities: Capabilities,
    /// Whether no program that it starts can have more rights; `None`: the kernel does not say.
    pub no_new_privileges: Option<bool>,
    /// 0: no system call filter, 1: strict, 2: a filter; `None`: the kernel does not say.
    pub seccomp: Option<u8>,
    /// Locked memory, in KiB.
    pub locked_kib: u64,
    /// Memory that is in use, in KiB.
    pub resident_kib: u64,
    /// Swapped-out memory, in KiB.
    pub swapped_kib: u64,
}

/// The five sets of capabilities(7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Kept by programs that it starts, with the file's consent.
    pub inheritable: u64,
    /// What it may make effective.
    pub permitted: u64,
    /// What it can do now.
    pub effective: u64,
    /// What it, or a program that it starts, could ever get.
    pub bounding: u64,
    /// Kept by every program that it starts.
    pub ambient: u64,
}

/// Bit numbers are positions (linux/capability.h).
const NAMES: [&str; 41] = [
    "chown",
    "dac_override",
    "dac_read_search",
    "fowner",
    "fsetid",
    "kill",
    "setgid",
    "setuid",
    "setpcap",
    "linux_immutable",
    "net_bind_service",
    "net_broadcast",
    "net_admin",
    "net_raw",
    "ipc_lock",
    "ipc_owner",
    "sys_module",
    "sys_rawio",
    "sys_chroot",
    "sys_ptrace",
    "sys_pacct",
    "sys_admin",
    "sys_boot",
    "sys_nice",
    "sys_resource",
    "sys_time",
    "sys_tty_config",
    "mknod",
    "lease",
    "audit_write",
    "audit_control",
    "setfcap",
    "mac_override",
    "mac_admin",
    "syslog",
    "wake_alarm",
    "block_suspend",
    "audit_read",
    "perfmon",
    "bpf",
    "checkpoint_restore",
];

/// The names of a set without those that are allowed; a bit without a name is its number.
pub fn names(set: u64, allowed: &[String]) -> Vec<String> {
    let bits = (0..64_usize).filter(|bit| set >> bit & 1 == 1);
    let named = bits.map(|bit| NAMES.get(bit).map_or_else(|| bit.to_string(), |name| (*name).to_owned()));
    named.filter(|name| !allowed.contains(name)).collect()
}

/// Reads it.
///
/// # Errors
/// Where it does not say who the process is and what it may do, which every kernel says.
pub fn parse(text: &str) -> Seen<Status> {
    let field =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim));
    let needed = |name: &str| {
        field(name).ok_or_else(|| unseen("the status of the process", &format!("it has no line {name}")))
    };
    let set = |name: &str| {
        let bits = needed(name)?;
        u64::from_str_radix(bits, 16).map_err(|_| malformed(name))
    };
    let kib =
        |name: &str| field(name).and_then(|value| value.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    let number = |name: &str| field(name).and_then(|value| value.parse().ok());
    Ok(Status {
        users: four(needed("Uid")?).ok_or_else(|| malformed("Uid"))?,
        groups: four(needed("Gid")?).ok_or_else(|| malformed("Gid"))?,
        supplementary: numbers(field("Groups").unwrap_or_default()),
        parent: number("PPid").unwrap_or(0),
        tracer: number("TracerPid").unwrap_or(0),
        depth: field("NSpid").map_or(1, |pids| pids.split_whitespace().count()),
        capabilities: Capabilities {
            inheritable: set("CapInh")?,
            permitted: set("CapPrm")?,
            effective: set("CapEff")?,
            bounding: set("CapBnd")?,
            // Since Linux 4.3.
            ambient: field("CapAmb").map_or(Ok(0), |_| set("CapAmb"))?,
        },
        no_new_privileges: field("NoNewPrivs").map(|value| value == "1"),
        seccomp: field("Seccomp").and_then(|value| value.parse().ok()),
        locked_kib: kib("VmLck"),
        resident_kib: kib("VmRSS"),
        swapped_kib: kib("VmSwap"),
    })
}

fn malformed(name: &str) -> crate::check::finding::Unseen {
    unseen("the status of the process", &format!("its line {name} is malformed"))
}

fn four(text: &str) -> Option<[u32; 4]> {
    numbers(text).try_into().ok()
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace().filter_map(|number| number.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "Name:\tspotify-mcp\nUmask:\t0077\nState:\tS (sleeping)\nTgid:\t7\nPid:\t7\nPPid:\t1\n\
        TracerPid:\t9\nUid:\t65532\t65532\t65532\t65532\nGid:\t65532\t65532\t65532\t0\nGroups:\t5 65532 \n\
        NSpid:\t4711\t7\nVmLck:\t      12 kB\nVmSwap:\t       3 kB\nCapInh:\t0000000000000000\n\
        CapPrm:\t0000000000000400\nCapEff:\t0000000000000400\nCapBnd:\t000001ffffffffff\n\
        CapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t1\n";

    #[test]
    fn every_line_that_counts_is_read() {
        let status = parse(TEXT).unwrap();
        assert_eq!((status.users, status.groups[3]), ([65_532; 4], 0));
        assert_eq!((status.supplementary, status.parent, status.tracer), (vec![5, 65_532], 1, 9));
        assert_eq!((status.depth, status.no_new_privileges, status.seccomp), (2, Some(true), Some(2)));
        assert_eq!((status.locked_kib, status.swapped_kib), (12, 3));
        let none: [String; 0] = [];
        assert_eq!(names(status.capabilities.effective, &none), ["net_bind_service"]);
        assert_eq!(names(status.capabilities.effective, &["net_bind_service".to_owned()]), none);
        assert_eq!(names(status.capabilities.bounding, &none).len(), NAMES.len());
        assert_eq!(names(1 << 63, &none), ["63"]);
    }

    #[test]
    fn an_old_kernel_says_less_and_a_broken_file_nothing() {
        let older: String = TEXT
            .lines()
            .filter(|line| {
                !["CapAmb", "NoNewPrivs", "Seccomp", "NSpid"].iter().any(|new| line.starts_with(new))
            })
            .map(|line| format!("{line}\n"))
            .collect();
        let status = parse(&older).unwrap();
        assert_eq!((status.no_new_privileges, status.seccomp, status.depth), (None, None, 1));
        for (from, to) in [("Uid:\t65532", "Uid:\tx"), ("CapBnd:\t0", "CapBnd:\tg"), ("Gid:", "Gib:")] {
            assert!(parse(&TEXT.replace(from, to)).is_err(), "{from}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,400}", at in 0..TEXT.len(), byte: u8) {
            let _ = parse(&text);
            let mut bytes = TEXT.as_bytes().to_vec();
            bytes[at] = byte;
            let _ = parse(&String::from_utf8_lossy(&bytes));
        }
    }
}
