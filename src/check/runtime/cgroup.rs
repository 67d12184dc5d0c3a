//! What a process may use at most: the limits of its control group and of all above it (cgroup v2).

use std::path::Path;

use crate::check::finding::{Seen, Unseen};

use super::mounts::Mount;
use super::system::{Root, unseen};

/// No control group lies deeper.
const DEEPEST: usize = 64;

/// The narrowest limits on the way from a process's control group to the root; `None`: there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// Memory, in bytes.
    pub memory: Option<u64>,
    /// Swap, in bytes.
    pub swap: Option<u64>,
    /// Processes and threads.
    pub processes: Option<u64>,
    /// Processors, in thousandths.
    pub processors: Option<u64>,
    /// Where the group is, as it is seen from here.
    pub path: String,
    /// The view ends at a group that is not the system's first: what bounds the groups above cannot be seen.
    pub ends_below_the_top: bool,
}

/// The path of a process in the v2 hierarchy, from `/proc/PID/cgroup`.
pub fn path(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("0::")).filter(|path| path.starts_with('/'))
}

/// Reads the limits of a control group. `mounts` are those of this process, which reads.
///
/// # Errors
/// Where the group cannot be seen: no v2 hierarchy, one without the controllers of memory, or outside of the view.
pub fn bounds(root: &Root, mounts: &[Mount], groups: &str) -> Seen<Bounds> {
    let path = path(groups).ok_or_else(|| not_v2("the process is in no group of it"))?;
    if path.split('/').any(|part| part == "..") {
        return Err(unseen("the control group", "it lies outside of what this process sees"));
    }
    let mount = mounts.iter().rev().find(|mount| mount.kind == "cgroup2");
    let top = mount.map(|mount| mount.point.clone()).ok_or_else(|| not_v2("it is not mounted"))?;
    let top_text = top.to_str().ok_or_else(|| not_v2("its place is no text"))?;
    let controllers = root.text(&format!("{top_text}/cgroup.controllers"))?;
    if !controllers.split_whitespace().any(|name| name == "memory") {
        return Err(not_v2("its controllers are used by version 1, which is not read here"));
    }
    let mut bounds = Bounds {
        path: crate::domain::event::clean(path),
        // The system's first group has no type.
        ends_below_the_top: root.exists(&format!("{top_text}/cgroup.type")),
        ..Bounds::default()
    };
    let relative = Path::new(path.trim_start_matches('/'));
    for group in relative.ancestors().take(DEEPEST) {
        let folder = top.join(group);
        bounds.narrow(root, &folder.to_string_lossy())?;
    }
    Ok(bounds)
}

fn not_v2(why: &str) -> Unseen {
    unseen("control groups of version 2", why)
}

impl Bounds {
    fn narrow(&mut self, root: &Root, folder: &str) -> Seen<()> {
        let read = |file: &str| root.text_if_there(&format!("{folder}/{file}"));
        self.memory = lower(self.memory, read("memory.max")?.as_deref().and_then(number));
        self.swap = lower(self.swap, read("memory.swap.max")?.as_deref().and_then(number));
        self.processes = lower(self.processes, read("pids.max")?.as_deref().and_then(number));
        self.processors = lower(self.processors, read("cpu.max")?.as_deref().and_then(thousandths));
        Ok(())
    }
}

fn lower(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

/// A number, or `max`.
fn number(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `quota period`, both in microseconds; a quota of `max` is none.
fn thousandths(text: &str) -> Option<u64> {
    let (quota, period) = text.trim().split_once(' ')?;
    let (quota, period): (u64, u64) = (quota.parse().ok()?, period.parse().ok()?);
    quota.saturating_mul(1000).checked_div(period)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::runtime::fixtures::Tree;
    use crate::check::runtime::mounts;

    const MOUNTS: &str =
        "1 0 0:1 / / ro - overlay overlay ro\n2 1 0:2 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";

    fn seen(tree: &Tree, groups: &str) -> Seen<Bounds> {
        bounds(&tree.root(), &mounts::parse(MOUNTS).unwrap(), groups)
    }

    #[test]
    fn the_narrowest_limit_on_the_way_up_counts() {
        let tree = Tree::new("cgroup-narrow");
        tree.file("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        tree.file("sys/fs/cgroup/system.slice/memory.max", "1000\n");
        tree.file("sys/fs/cgroup/system.slice/pids.max", "max\n");
        tree.file("sys/fs/cgroup/system.slice/a.service/memory.max", "2000\n");
        tree.file("sys/fs/cgroup/system.slice/a.service/memory.swap.max", "0\n");
        tree.file("sys/fs/cgroup/system.slice/a.service/pids.max", "512\n");
        tree.file("sys/fs/cgroup/system.slice/a.service/cpu.max", "150000 100000\n");
        let bounds = seen(&tree, "0::/system.slice/a.service\n").unwrap();
        assert_eq!((bounds.memory, bounds.swap), (Some(1000), Some(0)));
        assert_eq!((bounds.processes, bounds.processors), (Some(512), Some(1500)));
        assert!(!bounds.ends_below_the_top);
    }

    #[test]
    fn inside_a_container_the_view_ends_below_the_top() {
        let tree = Tree::new("cgroup-container");
        tree.file("sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
        tree.file("sys/fs/cgroup/cgroup.type", "domain\n");
        tree.file("sys/fs/cgroup/memory.max", "max\n");
        tree.file("sys/fs/cgroup/cpu.max", "max 100000\n");
        let bounds = seen(&tree, "0::/\n").unwrap();
        assert!(bounds.ends_below_the_top);
        assert_eq!((bounds.memory, bounds.processors), (None, None));
    }

    #[test]
    fn what_is_not_version_2_or_out_of_view_is_unseen() {
        let tree = Tree::new("cgroup-v1");
        tree.file("sys/fs/cgroup/cgroup.controllers", "\n");
        assert!(seen(&tree, "0::/\n").unwrap_err().why.contains("version 1"));
        assert!(seen(&tree, "0::/../x\n").unwrap_err().why.contains("outside"));
        for none in ["", "4:memory:/x\n", "0::x\n"] {
            assert!(seen(&tree, none).is_err(), "{none}");
        }
        let unmounted = mounts::parse("1 0 0:1 / / ro - overlay overlay ro\n").unwrap();
        assert!(bounds(&tree.root(), &unmounted, "0::/\n").unwrap_err().why.contains("not mounted"));
        assert_eq!((thousandths("100 0"), thousandths("x"), number("max")), (None, None, None));
    }
}
