# npm-nixhash with its completions and manual pages.
{ lib, stdenv, rustPlatform, installShellFiles }:
let
  manifest = (builtins.fromTOML (builtins.readFile ../Cargo.toml)).package;
in
rustPlatform.buildRustPackage {
  pname = manifest.name;
  inherit (manifest) version;

  src = lib.fileset.toSource {
    root = ../.;
    # What cargo wants to see, and what the tests read; not target/.
    fileset = lib.fileset.unions [
      ../.ci
      ../.pre-commit-hooks.yaml
      ../BENCHMARKS.md
      ../CHANGELOG.md
      ../CONTRIBUTING.md
      ../Cargo.lock
      ../Cargo.toml
      ../LICENSE
      ../README.md
      ../SECURITY.md
      ../.github
      ../action
      ../action.yml
      ../benches
      ../clippy.toml
      ../crates
      ../deny.toml
      ../docs
      ../examples
      ../fixtures
      ../flake.nix
      ../nix
      ../packaging
      ../renovate
      ../rustfmt.toml
      ../src
      ../templates
      ../tests
    ];
  };
  cargoLock.lockFile = ../Cargo.lock;

  nativeBuildInputs = [ installShellFiles ];
  # The tests are a check of the flake: a user who installs the program need not wait for them.
  doCheck = false;

  postInstall = lib.optionalString (stdenv.buildPlatform.canExecute stdenv.hostPlatform) ''
    for shell in bash fish zsh; do
      $out/bin/npm-nixhash completions $shell >completion.$shell
      installShellCompletion --cmd npm-nixhash --$shell completion.$shell
    done
    $out/bin/npm-nixhash man man
    installManPage man/*.1
  '';

  meta = {
    inherit (manifest) description;
    license = lib.licenses.mit;
    mainProgram = "npm-nixhash";
  };
}
