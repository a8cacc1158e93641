//! The environment, read once. Only names that are known here are looked up: others may hold secrets.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Everything the program takes from its environment.
#[derive(Default)]
pub(super) struct Environment {
    values: BTreeMap<&'static str, OsString>,
    npm_settings: BTreeMap<&'static str, String>,
    /// `npm_config_//host/:_authToken` and the like, without `npm_config_`.
    npm_credentials: Vec<(String, String)>,
    /// The current folder.
    pub(super) here: PathBuf,
}

/// The variables that mean something to this program.
const NAMES: &[&str] = &[
    "ALL_PROXY",
    "AWS_ACCESS_KEY_ID",
    "AWS_CONFIG_FILE",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_DEFAULT_PROFILE",
    "AWS_DEFAULT_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_STORAGE_ACCOUNT",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_TENANT_ID",
    "CACHE_MAP_PATH",
    "CI_MERGE_REQUEST_DIFF_BASE_SHA",
    "CLOUDSDK_CONFIG",
    "COLUMNS",
    "FORCE_EMPTY_CACHE",
    "FORCE_GIT_DEPS",
    "GITHUB_ACTIONS",
    "GITHUB_BASE_REF",
    "GITHUB_SERVER_URL",
    "GITHUB_STEP_SUMMARY",
    "GITHUB_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NETRC",
    "NIX_BUILD_CORES",
    "NIX_BUILD_TOP",
    "NIX_CONFIG",
    "NIX_CONF_DIR",
    "NIX_DAEMON_SOCKET_PATH",
    "NIX_DATA_DIR",
    "NIX_GITHUB_PRIVATE_PASSWORD",
    "NIX_GITHUB_PRIVATE_USERNAME",
    "NIX_GITLAB_PRIVATE_PASSWORD",
    "NIX_LOG_DIR",
    "NIX_NPM_REGISTRY_OVERRIDES",
    "NIX_NPM_TOKENS",
    "NIX_REMOTE",
    "NIX_SSL_CERT_FILE",
    "NIX_STATE_DIR",
    "NIX_STORE_DIR",
    "NIX_USER_CONF_FILES",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "NPM_FETCHER_VERSION",
    "NPM_NIXHASH_CACHE",
    "NPM_NIXHASH_LOG",
    "NPM_NIXHASH_PRIVATE_SCOPES",
    "NPM_NIXHASH_REMOTE",
    "NPM_NIXHASH_REMOTE_MODE",
    "NPM_NIXHASH_REMOTE_TARBALLS",
    "PATH",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "USER",
    "USERPROFILE",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "npmDeps",
    "outputHash",
];

/// npm's settings that mean something here, as `npm_config_<name>` in either case.
pub(super) const NPM_SETTINGS: &[&str] = &[
    "ca",
    "cache",
    "cafile",
    "fetch_retries",
    "https_proxy",
    "maxsockets",
    "noproxy",
    "proxy",
    "registry",
    "replace_registry_host",
    "strict_ssl",
    "userconfig",
];

impl Environment {
    /// Reads it.
    pub(super) fn read() -> Self {
        let values = NAMES.iter().filter_map(|name| Some((*name, variable(name)?))).collect();
        let setting = |name: &&'static str| {
            let lower = format!("npm_config_{name}");
            let value = variable(&lower).or_else(|| variable(&lower.to_uppercase()))?;
            Some((*name, value.into_string().ok().filter(|text| !text.is_empty())?))
        };
        let npm_settings = NPM_SETTINGS.iter().filter_map(setting).collect();
        let here = env::current_dir().unwrap_or_default();
        Self { values, npm_settings, npm_credentials: npm_credentials(), here }
    }

    /// Settings of registries and scopes that npm also takes from the environment.
    pub(super) fn npm_credentials(&self) -> &[(String, String)] {
        &self.npm_credentials
    }

    /// One of [`NPM_SETTINGS`].
    pub(super) fn npm_config(&self, name: &str) -> Option<&str> {
        self.npm_settings.get(name).map(String::as_str)
    }

    /// A variable that is set and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name)?.to_str().filter(|text| !text.is_empty())
    }

    /// A variable that names a file or folder.
    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.values.get(name).filter(|text| !text.is_empty()).map(PathBuf::from)
    }

    /// Whether a variable is set, be it empty.
    pub(super) fn is_set(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    /// Whether this runs inside a Nix build, where nothing outlasts the build and only `$out` may be written.
    pub(super) fn in_nix_build(&self) -> bool {
        self.is_set("outputHash") || self.is_set("NIX_BUILD_TOP")
    }

    /// Whether this is a step of a GitHub workflow, whose runner reads both streams for its commands.
    pub(super) fn in_github_actions(&self) -> bool {
        self.text("GITHUB_ACTIONS") == Some("true")
    }

    /// The branch that a pull or merge request is for, as a revision of git's.
    pub(super) fn merge_target(&self) -> Option<String> {
        // A runner's checkout has the target as a branch of the remote, if at all.
        let of_github = self.text("GITHUB_BASE_REF").map(|branch| format!("refs/remotes/origin/{branch}"));
        of_github.or_else(|| self.text("CI_MERGE_REQUEST_DIFF_BASE_SHA").map(str::to_owned))
    }

    /// The user's folder.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.path("HOME").or_else(|| self.path("USERPROFILE"))
    }

    /// What `nix-store` has to know: which store, as whom. Nothing else of the environment is its business.
    pub(super) fn for_nix(&self) -> impl Iterator<Item = (&'static str, OsString)> {
        const PASSED: [&str; 12] = [
            "HOME",
            "NIX_CONF_DIR",
            "NIX_DAEMON_SOCKET_PATH",
            "NIX_DATA_DIR",
            "NIX_LOG_DIR",
            "NIX_REMOTE",
            "NIX_STATE_DIR",
            "NIX_STORE_DIR",
            "PATH",
            "TMPDIR",
            "USER",
            "XDG_CACHE_HOME",
        ];
        PASSED.into_iter().filter_map(|name| match name {
            "PATH" => Some((name, self.programs()?)),
            _ => Some((name, self.values.get(name)?.clone())),
        })
    }

    /// Where a program of this name is: never in a relative entry of `PATH`.
    pub(super) fn program(&self, name: &str) -> Option<PathBuf> {
        let folders = self.programs()?;
        env::split_paths(&folders).map(|folder| folder.join(name)).find(|file| file.is_file())
    }

    /// `PATH` without its relative entries, which would lead into the repository.
    pub(super) fn programs(&self) -> Option<OsString> {
        let folders = env::split_paths(self.values.get("PATH")?).filter(|folder| folder.is_absolute());
        env::join_paths(folders).ok()
    }

    /// Looks up what a user's own `.npmrc` refers to as `${NAME}`. Never used for files of a repository.
    #[expect(clippy::unused_self, reason = "a method, so that only a holder of the environment can ask")]
    pub(super) fn expand(&self, name: &str) -> Option<String> {
        variable(name)?.into_string().ok()
    }

    /// A path as seen from the current folder.
    pub(super) fn absolute(&self, path: &Path) -> PathBuf {
        // The components leave out `.`, which `hash .` would otherwise carry into its messages.
        self.here.join(path).components().collect()
    }

    /// A path as the user would write it here: relative if it lies below the working folder.
    pub(super) fn shown<'a>(&self, path: &'a Path) -> &'a Path {
        path.strip_prefix(&self.here).unwrap_or(path)
    }
}

/// Variables whose names begin with `npm_config_//` or `npm_config_@`: names of hosts and scopes are not known beforehand.
#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn npm_credentials() -> Vec<(String, String)> {
    let setting = |(name, value): (OsString, OsString)| {
        let name = name.into_string().ok()?;
        let (prefix, setting) = name.split_at_checked("npm_config_".len())?;
        let is_one = prefix.eq_ignore_ascii_case("npm_config_") && setting.starts_with(['/', '@']);
        is_one.then(|| Some((setting.to_owned(), value.into_string().ok()?)))?
    };
    env::vars_os().filter_map(setting).collect()
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}
