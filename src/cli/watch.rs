//! Waits for a person or a program, and for the signals that end this command: each of them leaves by the same way as
//! everything else, so that what has to be removed is.

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::administer::runtime;
use super::output::Refused;

/// The signals that end a command, from now on received and not fatal.
pub struct Watch {
    runtime: Runtime,
    signals: Vec<(&'static str, Signal)>,
}

/// The signal that came.
#[derive(Debug)]
pub struct Told(pub &'static str);

impl Watch {
    /// Begins to receive them.
    pub fn start() -> Result<Self, Refused> {
        let runtime = runtime()?;
        let inside = runtime.enter();
        let kinds = [
            ("SIGINT", SignalKind::interrupt()),
            ("SIGTERM", SignalKind::terminate()),
            ("SIGHUP", SignalKind::hangup()),
            ("SIGQUIT", SignalKind::quit()),
        ];
        let received = kinds.into_iter().map(|(name, kind)| Ok((name, signal(kind)?)));
        let signals = received.collect::<std::io::Result<_>>().map_err(|error| {
            Refused::unexpected("RUNTIME", &error.into(), "check the limits on open files of this user")
        })?;
        drop(inside);
        Ok(Self { runtime, signals })
    }

    /// Does what needs the runtime to be there.
    pub fn inside<T>(&self, work: impl FnOnce() -> T) -> T {
        let _inside = self.runtime.enter();
        work()
    }

    /// Waits for `work`, or a signal. Those of the keyboard can be left to a program that has the terminal.
    pub fn during<T>(&mut self, keyboard_counts: bool, work: impl Future<Output = T>) -> Result<T, Told> {
        let [interrupt, terminate, hang_up, quit] = self.signals.as_mut_slice() else {
            return Err(Told("?"));
        };
        self.runtime.block_on(async {
            tokio::pin!(work);
            loop {
                let (name, is_keyboard) = tokio::select! {
                    biased;
                    done = &mut work => return Ok(done),
                    _ = terminate.1.recv() => (terminate.0, false),
                    _ = hang_up.1.recv() => (hang_up.0, false),
                    _ = interrupt.1.recv() => (interrupt.0, true),
                    _ = quit.1.recv() => (quit.0, true),
                };
                if keyboard_counts || !is_keyboard {
                    return Err(Told(name));
                }
            }
        })
    }

    /// Waits for work that blocks, such as reading an answer. After a signal it is left behind.
    pub fn during_blocking<T: Send + 'static>(
        &mut self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<Option<T>, Told> {
        let (send, receive) = tokio::sync::oneshot::channel();
        let _left_behind = std::thread::spawn(move || {
            let _nobody_waits = send.send(work());
        });
        self.during(true, receive).map(Result::ok)
    }
}
