//! Logs a panic by its place. A formatted payload can quote data, so only literal ones are shown.

use std::panic::{self, PanicHookInfo};

use crate::domain::event::EventCode;

/// From now on a panic is one line of the log instead of text on standard error.
pub(super) fn log_panics() {
    panic::set_hook(Box::new(log));
}

fn log(info: &PanicHookInfo<'_>) {
    let place = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    tracing::error!(
        target: "security",
        event = EventCode::SysCrash.name(),
        thread = thread.name().unwrap_or("unnamed"),
        place,
        "panic: {}",
        shown(info)
    );
}

/// `panic!("literal")` carries a `&'static str`; `panic!("{value}")` carries a `String`, which stays untold.
fn shown(info: &PanicHookInfo<'_>) -> &'static str {
    info.payload().downcast_ref::<&'static str>().copied().unwrap_or("(formatted text withheld)")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_formatted_payload_is_withheld() {
        static SHOWN: Mutex<Vec<&str>> = Mutex::new(Vec::new());
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if std::thread::current().name() == Some("panics on purpose") {
                SHOWN.lock().unwrap().push(shown(info));
            } else {
                before(info);
            }
        }));
        let throw = |panicking: fn()| {
            let thread = std::thread::Builder::new().name("panics on purpose".to_owned());
            thread.spawn(panicking).unwrap().join().unwrap_err();
        };
        throw(|| panic!("a literal"));
        throw(|| panic!("token {}", std::process::id()));
        let _ = panic::take_hook();
        assert_eq!(*SHOWN.lock().unwrap(), ["a literal", "(formatted text withheld)"]);
    }
}
