//! npm as a child: its folder, its environment, its time.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use url::Url;

use super::error::NpmOutput;
use super::npmrc::Selected;
use super::running::Registered;
use super::start::Start;
use super::{NpmClient, RelockError, words};

/// How often a running npm is looked at.
const LOOK: Duration = Duration::from_millis(25);

/// How much of what it says is read, in bytes, from the end.
const HEARD: u64 = 64 << 10;

/// npm's temporary folder; gone when this is dropped, or when a signal ends the program.
pub(super) struct NpmFolder {
    registered: Registered,
    folder: tempfile::TempDir,
    secrets: Vec<String>,
    variables: Vec<(String, String)>,
    lockfile: &'static str,
    package: String,
}

impl NpmFolder {
    pub(super) fn new(npm: &NpmClient, start: &Start) -> Result<Self, RelockError> {
        let folder = private_folder().map_err(RelockError::Run)?;
        // Before a token is in it: from here on a signal removes the folder.
        let registered = npm.running.register(folder.path()).map_err(RelockError::Run)?;
        let Selected { text, variables, secrets } = npm.npmrc.select(start, &npm.access);
        let (lockfile, package) = (start.name, start.package.clone());
        let place = Self { registered, folder, secrets, variables, lockfile, package };
        place.furnish(&text, start).map_err(RelockError::Run)?;
        Ok(place)
    }

    fn furnish(&self, npmrc: &str, start: &Start) -> io::Result<()> {
        for folder in ["project", "home", "tmp"] {
            fs::create_dir(self.path(folder))?;
        }
        fs::write(self.path("project/package.json"), &start.manifest)?;
        if let Some(lockfile) = &start.lockfile {
            fs::write(self.path("project").join(start.name), lockfile)?;
        }
        // The folder can be entered by its owner alone; the file would also be safe elsewhere.
        private(&self.path("npmrc"))?.write_all(npmrc.as_bytes())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of npm's cache.
    pub(super) fn cache(&self) -> PathBuf {
        self.path("home/.npm")
    }

    /// What npm wrote.
    pub(super) fn lockfile(&self) -> Result<Vec<u8>, RelockError> {
        fs::read(self.path("project").join(self.lockfile)).map_err(RelockError::Nothing)
    }
}

/// Has npm write the lockfile.
pub(super) fn run(npm: &NpmClient, place: &NpmFolder) -> Result<(), RelockError> {
    let stderr = place.path("stderr");
    let mut child = start(npm, place, &stderr)?;
    let status = wait(&mut child, npm.time());
    place.registered.ended();
    let status = status?;
    if status.success() {
        return Ok(());
    }
    let heard = heard(&stderr).map_err(RelockError::Run)?;
    let said = words::last_of(&heard, &place.secrets, place.folder.path());
    let said = if said.is_empty() { vec![status.to_string()] } else { said };
    Err(RelockError::Npm { package: place.package.clone(), said: NpmOutput(said) })
}

impl NpmClient {
    /// What is left of its own time, and of the run's.
    fn time(&self) -> Duration {
        let of_run = self.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        of_run.map_or(self.timeout, |of_run| self.timeout.min(of_run))
    }
}

fn start(npm: &NpmClient, place: &NpmFolder, stderr: &Path) -> Result<Child, RelockError> {
    // Not a pipe: nobody reads while npm runs, and once a pipe is full npm would wait for ever.
    let stderr = File::create(stderr).map_err(RelockError::Run)?;
    let mut command = Command::new(&npm.program);
    // An audit would send the names of all packages to the registry, and only to print something that nobody reads.
    command.args(["install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]);
    command.current_dir(place.path("project"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
    // In CI the environment holds tokens that have nothing to do with registries.
    command.env_clear().env("PATH", &npm.path).env("LANG", "C.UTF-8");
    command.env("HOME", place.path("home")).env("TMPDIR", place.path("tmp"));
    command.envs(npm.variables.iter().map(|(name, value)| (name, value)));
    command.envs(place.variables.iter().map(|(name, value)| (name, value)));
    command.env("npm_config_userconfig", place.path("npmrc"));
    // The machine's npmrc would come past the choice of credentials that was made for the user's.
    command.env("npm_config_globalconfig", place.path("no-global-npmrc"));
    // What is in its cache was put there a moment ago.
    command.env("npm_config_cache", place.cache()).env("npm_config_prefer_offline", "true");
    command.env("npm_config_strict_ssl", "true").env("npm_config_update_notifier", "false");
    // Not as a flag, which a npm that does not know it may refuse.
    command.env("npm_config_omit_lockfile_registry_resolved", "false");
    if let Some(mirror) = mirror(npm) {
        command.env("npm_config_registry", mirror.as_str());
    }
    own_group(&mut command);
    place.registered.spawn(&mut command).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => RelockError::NoNpm(npm.program.clone()),
        _ => RelockError::Run(error),
    })
}

/// A new folder that only its owner can enter: by default everybody can.
fn private_folder() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("npm-nixhash-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

/// A new file that only its owner can read.
fn private(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// What stands in for the public registry by an override.
fn mirror(npm: &NpmClient) -> Option<Url> {
    npm.access.mirror_of(&npm.access.registry_url(None, ""))
}

fn wait(child: &mut Child, timeout: Duration) -> Result<ExitStatus, RelockError> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().map_err(RelockError::Run)? {
            return Ok(status);
        }
        if begun.elapsed() >= timeout {
            kill(child);
            // What is left of a run is a number that nobody wrote: not to the nanosecond.
            let timeout = Duration::from_millis(u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX));
            return Err(RelockError::TooSlow(timeout));
        }
        thread::sleep(LOOK);
    }
}

/// npm has children of its own, which have to end with it.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn own_group(_: &mut Command) {}

fn kill(child: &mut Child) {
    #[cfg(unix)]
    let _ = rustix::process::kill_process_group(
        rustix::process::Pid::from_child(child),
        rustix::process::Signal::KILL,
    );
    let _ = child.kill();
    let _ = child.wait();
}

fn heard(path: &Path) -> io::Result<String> {
    use io::{Read as _, Seek as _};
    let mut file = File::open(path)?;
    let len = file.metadata()?.len();
    file.seek(io::SeekFrom::Start(len.saturating_sub(HEARD)))?;
    let mut bytes = Vec::new();
    file.take(HEARD).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
