//! What keeps secrets inside this process: no core dumps, and no other process of the same user that reads its memory
//! or its environment. Never: a promise against root.

use crate::failure::{During as _, Failure};

/// From now on the process leaves no core dump, and on Linux neither a debugger nor `/proc/PID` shows its memory or
/// environment to anybody but root.
pub fn close_up() -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })
        .during("forbidding core dumps")?;
    set_dumpable(false)
}

/// Lets a debugger of the same user in again, for development. Core dumps stay off: what lies on a disk stays there.
pub fn open_up() -> Result<(), Failure> {
    set_dumpable(true)
}

#[cfg(target_os = "linux")]
fn set_dumpable(dumpable: bool) -> Result<(), Failure> {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    let behaviour = if dumpable { DumpableBehavior::Dumpable } else { DumpableBehavior::NotDumpable };
    set_dumpable_behavior(behaviour).during("keeping other processes out")
}

#[cfg(not(target_os = "linux"))]
fn set_dumpable(_dumpable: bool) -> Result<(), Failure> {
    Ok(())
}
