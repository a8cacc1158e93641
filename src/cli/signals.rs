//! Signals that end the program while npm runs: npm ends with it, and the folder with its configuration goes.

use std::io;

use npm_nixhash::relock::Running;

/// Ends what runs when a signal ends the program. For the other parts the system's default is right, so this is called
/// only where npm may be run.
#[cfg(unix)]
pub(super) fn end_with_signals(running: &Running) -> io::Result<()> {
    use signal_hook::{consts, iterator::Signals, low_level::emulate_default_handler};
    let ignored = ignored();
    let ours = [consts::SIGINT, consts::SIGTERM, consts::SIGHUP];
    let mut signals = Signals::new(ours.into_iter().filter(|signal| !is_in(ignored, *signal)))?;
    let running = running.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            running.end();
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// The signals that whoever started this has it ignore, as `nohup` does with SIGHUP: a handler would undo that. Nothing
/// tells where there is no `/proc`; there a handler it is.
#[cfg(unix)]
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

/// Whether a mask as the kernel prints it has a signal, of which the first one is 1.
#[cfg(unix)]
fn is_in(mask: u64, signal: i32) -> bool {
    u32::try_from(signal - 1).is_ok_and(|bit| mask.checked_shr(bit).is_some_and(|rest| rest & 1 == 1))
}

#[cfg(not(unix))]
pub(super) fn end_with_signals(_: &Running) -> io::Result<()> {
    Ok(())
}
