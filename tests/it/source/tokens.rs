//! Private sources, and the tokens that open them: from where users of Nix have them, for their hosts alone.

use super::*;

/// What is called, and where the archive of its commit is.
fn forges(domain: &str) -> [(String, &'static str); 3] {
    let call = |fetcher: &str, host: &str| {
        format!(
            "pkgs.{fetcher} {{ {host} = \"{domain}\"; owner = \"acme\"; repo = \"tool\"; rev = \"v1\"; private = true; hash = \"\"; }}"
        )
    };
    [
        (call("fetchFromGitea", "domain"), "/api/v1/repos/acme/tool/archive/v1.tar.gz"),
        (call("fetchFromGitHub", "githubBase"), "/api/v3/repos/acme/tool/tarball/v1"),
        (call("fetchFromGitLab", "domain"), "/api/v4/projects/acme%2Ftool/repository/archive.tar.gz"),
    ]
}

/// The headers that a private source is asked for with, given these variables.
fn asked(variables: &[(&str, &str)], files: &[(&str, &str)], arguments: &[&str]) -> Vec<[Option<String>; 2]> {
    let project = Project::new();
    let (items, _) = package(&project);
    let domain = project.registry.tls_url().replace("https://", "");
    let mut headers = Vec::new();
    let home = project.path("../home").display().to_string();
    let fill = |text: &str| text.replace("{HOST}", &domain).replace("{HOME}", &home);
    for (name, text) in files {
        project.write(name, fill(text));
    }
    for (call, path) in forges(&domain) {
        project.registry.serve(path, tar_gz("r/", &items));
        project.write("tool.nix", derivation(&call, ""));
        let mut command = project.command(&["check", "--no-cache"]);
        command.args(arguments).env("SSL_CERT_FILE", project.registry.ca_file());
        for (name, value) in variables {
            command.env(name, fill(value));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let last = |name: &str| project.registry.headers(path, name).pop().unwrap();
        headers.push([last("authorization"), last("private-token")]);
    }
    headers
}

fn all(authorization: Option<&str>, private_token: Option<&str>) -> Vec<[Option<String>; 2]> {
    vec![[authorization.map(str::to_owned), private_token.map(str::to_owned)]; 3]
}

const NETRC: &str = "machine other.invalid login u password no\nmachine {HOST} login u password p\n";
const OTHER_NETRC: &str = "default login u password no\nmachine {HOST} login u password no\n";

#[test]
fn tokens_of_nix_open_private_sources() {
    for (variables, files, expected) in [
        (
            vec![("NIX_CONFIG", "access-tokens = {HOST}=t other.invalid=no")],
            vec![],
            all(Some("Bearer t"), None),
        ),
        (vec![("NIX_CONFIG", "extra-access-tokens = {HOST}/acme=PAT:t")], vec![], all(None, Some("t"))),
        (
            vec![("NIX_CONFIG", "access-tokens = {HOST}=no {HOST}/acme=OAuth2:t")],
            vec![],
            all(Some("Bearer t"), None),
        ),
        (
            vec![],
            vec![
                ("../home/.config/nix/nix.conf", "!include more.conf"),
                ("../home/.config/nix/more.conf", "access-tokens = {HOST}=t"),
            ],
            all(Some("Bearer t"), None),
        ),
        (vec![("NIX_CONFIG", "access-tokens = {HOST}/elsewhere=no")], vec![], all(None, None)),
        (vec![("NIX_NPM_TOKENS", "{\"{HOST}\": \"t\"}")], vec![], all(Some("Bearer t"), None)),
        (vec![("NIX_NPM_TOKENS", "{\"https://{HOST}\": \"u:p\"}")], vec![], all(Some("Basic dTpw"), None)),
        (
            vec![
                ("NIX_GITHUB_PRIVATE_PASSWORD", "no"),
                ("NIX_GITLAB_PRIVATE_PASSWORD", "no"),
                ("GITHUB_TOKEN", "no"),
            ],
            vec![],
            all(None, None),
        ),
        (vec![("GITHUB_TOKEN", "no"), ("GITHUB_SERVER_URL", "https://{HOST}")], vec![], all(None, None)),
        (vec![], vec![("../home/.netrc", NETRC)], all(Some("Basic dTpw"), None)),
        (
            vec![("NETRC", "{HOME}/mine")],
            vec![("../home/mine", NETRC), ("../home/.netrc", OTHER_NETRC)],
            all(Some("Basic dTpw"), None),
        ),
        (vec![("NIX_CONF_DIR", "{HOME}")], vec![("../home/netrc", NETRC)], all(Some("Basic dTpw"), None)),
        (
            vec![("NIX_CONFIG", "netrc-file = {HOME}/of-nix")],
            vec![("../home/of-nix", NETRC)],
            all(Some("Basic dTpw"), None),
        ),
        // Of several the first of the table that fits.
        (
            vec![("NIX_CONFIG", "access-tokens = {HOST}=t"), ("NIX_NPM_TOKENS", "{\"{HOST}\": \"no\"}")],
            vec![("../home/.netrc", OTHER_NETRC)],
            all(Some("Bearer t"), None),
        ),
        (
            vec![("NIX_NPM_TOKENS", "{\"{HOST}\": \"t\"}")],
            vec![("../home/.netrc", OTHER_NETRC)],
            all(Some("Bearer t"), None),
        ),
        (
            vec![],
            vec![("../home/.npmrc", "//{HOST}/:_authToken=t\n"), ("../home/.netrc", OTHER_NETRC)],
            all(Some("Bearer t"), None),
        ),
    ] {
        assert_eq!(asked(&variables, &files, &[]), expected, "{variables:?}");
    }
}

#[test]
fn the_token_of_a_workflow_goes_to_its_server_if_asked_for() {
    let variables = [("GITHUB_TOKEN", "t"), ("GITHUB_SERVER_URL", "https://{HOST}")];
    assert_eq!(asked(&variables, &[], &["--github-token"]), all(Some("Bearer t"), None));
    let variables = [("GITHUB_TOKEN", "no")];
    assert_eq!(asked(&variables, &[], &["--github-token"]), all(None, None));
    // It is more than what a file says of the same host, and less than what one says of the owner.
    let more = |text| [("GITHUB_TOKEN", "t"), ("GITHUB_SERVER_URL", "https://{HOST}"), ("NIX_CONFIG", text)];
    let of_host = more("access-tokens = {HOST}=no");
    assert_eq!(asked(&of_host, &[], &["--github-token"]), all(Some("Bearer t"), None));
    let of_owner = more("access-tokens = {HOST}/acme=PAT:owner");
    assert_eq!(asked(&of_owner, &[], &["--github-token"]), all(None, Some("owner")));
}
