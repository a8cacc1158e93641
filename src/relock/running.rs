//! The npm processes that are under way and their folders, which end with this program whatever ends it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io, thread};

/// What a signal has to end: Ctrl-C reaches this program alone, for npm is in a process group of its own.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<RunningChildren>>);

#[derive(Debug, Default)]
struct RunningChildren {
    /// Nothing begins any more.
    over: bool,
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    folder: PathBuf,
    /// The process group, while its leader runs.
    group: Option<u32>,
}

/// One run; it is forgotten when this is dropped.
pub(super) struct Registered {
    running: Running,
    folder: PathBuf,
}

impl Running {
    fn lock(&self) -> MutexGuard<'_, RunningChildren> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all processes with all their children, removes the folders, and lets nothing begin any more.
    pub fn end(&self) {
        // Several times, because what is being killed may write a last file into a folder that was just emptied.
        const TRIES: usize = 20;
        const PAUSE: Duration = Duration::from_millis(10);
        let mut state = self.lock();
        state.over = true;
        state.runs.iter().filter_map(|run| run.group).for_each(kill_group);
        for _ in 0..TRIES {
            state.runs.retain(|run| fs::remove_dir_all(&run.folder).is_err() && run.folder.exists());
            if state.runs.is_empty() {
                break;
            }
            thread::sleep(PAUSE);
        }
    }

    pub(super) fn register(&self, folder: &Path) -> io::Result<Registered> {
        let mut state = self.lock();
        if state.over {
            return Err(io::ErrorKind::Interrupted.into());
        }
        state.runs.push(Run { folder: folder.to_owned(), group: None });
        Ok(Registered { running: self.clone(), folder: folder.to_owned() })
    }
}

impl Registered {
    /// Starts the process, unless everything was ended meanwhile.
    pub(super) fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut state = self.running.lock();
        if state.over {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = command.spawn()?;
        state.runs.iter_mut().filter(|run| run.folder == self.folder).for_each(|run| {
            run.group = Some(child.id());
        });
        Ok(child)
    }

    /// The process was waited for: its number may be another's from now on.
    ///
    /// Where a signal ended it, the program is about to end by that signal, too. What follows here would otherwise race it
    /// to the end with an exit code of its own, as if npm had failed.
    pub(super) fn ended(&self) {
        const LONGEST: Duration = Duration::from_secs(5);
        let mut state = self.running.lock();
        state.runs.iter_mut().filter(|run| run.folder == self.folder).for_each(|run| run.group = None);
        let over = state.over;
        drop(state);
        if over {
            thread::sleep(LONGEST);
        }
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.running.lock().runs.retain(|run| run.folder != self.folder);
    }
}

#[cfg(unix)]
fn kill_group(leader: u32) {
    let group = i32::try_from(leader).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
}

#[cfg(not(unix))]
fn kill_group(_: u32) {}
