# shellcheck shell=bash
# What the repositories are made of. To be sourced; DIR is where the repository goes.

# What a hash literal holds before the first update. Each script that sources this file uses it.
# shellcheck disable=SC2034
fake='sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA='

# service NAME DEPENDENCIES: services/NAME with a lockfile from the registry. DEPENDENCIES is JSON.
service() {
  mkdir -p "$DIR/services/$1"
  printf '{\n  "name": "service-%s",\n  "version": "0.1.0",\n  "private": true,\n  "dependencies": %s\n}\n' "$1" "$2" \
    >"$DIR/services/$1/package.json"
  lock "$DIR/services/$1"
}

lock() {
  (cd "$1" && npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error \
    --omit-lockfile-registry-resolved=false >/dev/null)
}

# derivation NAME HASH [ATTRIBUTES]: an attribute of the flake's packages. HASH is a Nix expression.
derivation() {
  cat <<N
        service-$1 = pkgs.buildNpmPackage {
          pname = "service-$1";
          version = "0.1.0";
          src = ./services/$1;
          npmDepsHash = $2;
          dontNpmBuild = true;${3:-}
        };
N
}

# flake: a flake.nix around the attributes on standard input.
flake() {
  cat <<'N'
{
  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      pkgs = nixpkgs.legacyPackages.x86_64-linux;
    in
    {
      packages.x86_64-linux = {
N
  cat
  printf '      };\n    };\n}\n'
}
