//! Signals that end the program: what runs for it ends first, and the terminal is left as it was.

use std::io;

use npm_nixhash::relock::Running;

/// What is to be done before a signal ends the program.
#[cfg(unix)]
type Hook = Box<dyn Fn() + Send>;

/// Ends npm, and with it the folder that holds its configuration, when a signal ends the program.
pub(super) fn end_with_signals(running: &Running) -> io::Result<()> {
    let running = running.clone();
    before_the_end(move || running.end())
}

/// Does this when a signal ends the program, after what was asked for earlier. For all else the system's default is right, so
/// nothing is caught before this is called.
#[cfg(unix)]
pub(super) fn before_the_end(hook: impl Fn() + Send + 'static) -> io::Result<()> {
    use std::sync::{Mutex, PoisonError};

    use signal_hook::consts;
    use signal_hook::iterator::Signals;
    use signal_hook::low_level::emulate_default_handler;
    static HOOKS: Mutex<Vec<Hook>> = Mutex::new(Vec::new());
    let mut hooks = HOOKS.lock().unwrap_or_else(PoisonError::into_inner);
    hooks.push(Box::new(hook));
    // One thread runs all hooks: a second one could end the program while the first one's are running.
    if hooks.len() > 1 {
        return Ok(());
    }
    let ignored = ignored();
    let ours = [consts::SIGINT, consts::SIGTERM, consts::SIGHUP];
    let mut signals = Signals::new(ours.into_iter().filter(|signal| !is_in(ignored, *signal)))?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            for hook in HOOKS.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                hook();
            }
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

/// The signals that the parent process has it ignore, as `nohup` does with SIGHUP: a handler would undo that. Nothing
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
pub(super) fn before_the_end(_: impl Fn() + Send + 'static) -> io::Result<()> {
    Ok(())
}
