//! Signals that end the program while npm runs: npm ends with it, and the folder with its configuration goes.

use std::io;

use npm_nixhash::relock::Running;

/// Ends what runs when a signal ends the program. For the other parts the system's default is right, so this is called
/// only where npm may be run.
#[cfg(unix)]
pub(super) fn end_with_signals(running: &Running) -> io::Result<()> {
    use signal_hook::{consts, iterator::Signals, low_level::emulate_default_handler};
    let mut signals = Signals::new([consts::SIGINT, consts::SIGTERM, consts::SIGHUP])?;
    let running = running.clone();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            running.end();
            let _ = emulate_default_handler(signal);
        }
    })?;
    Ok(())
}

#[cfg(not(unix))]
pub(super) fn end_with_signals(_: &Running) -> io::Result<()> {
    Ok(())
}
