#!/usr/bin/env bash
# Writes a tree of repositories side by side, as a company's checkout or nixpkgs itself has them.
#
# make-tree.sh DIR [REPOSITORIES]: each has 53 Nix files of 10 to 110 lines; twelve of them are npm packages with a lockfile,
# and eight more speak of npm without a hash.
# shellcheck disable=SC2016 # what is written is Nix, whose ${...} the shell must not see
set -euo pipefail

dir=$1
repositories=${2:-150}

module() { # name: a file that has nothing to do with npm
    printf '{ config, lib, pkgs, ... }:\n\nlet\n  cfg = config.services.%s;\nin\n{\n' "$1"
    printf '  options.services.%s.enable = lib.mkEnableOption "%s";\n\n' "$1" "$1"
    printf '  config = lib.mkIf cfg.enable {\n    environment.systemPackages = [ pkgs.hello ];\n'
    for line in $(seq "$((8 + $2 % 90))"); do
        printf '    systemd.services.%s.environment.SETTING_%s = "${cfg.stateDir}/%s";\n' "$1" "$line" "$line"
    done
    printf '  };\n}\n'
}

package() { # name
    printf '{ lib, buildNpmPackage, nodejs }:\n\nbuildNpmPackage {\n  pname = "%s";\n  version = "1.0.0";\n' "$1"
    printf '  src = ./.;\n  npmDepsHash = "";\n  meta.license = lib.licenses.mit;\n}\n'
}

flake() { # names of packages
    printf '{\n  inputs.nixpkgs.url = "github:NixOS/nixpkgs";\n\n  outputs = { self, nixpkgs }:\n    let\n'
    printf '      systems = [ "x86_64-linux" "aarch64-darwin" ];\n      each = nixpkgs.lib.genAttrs systems;\n    in\n    {\n'
    printf '      packages = each (system: let pkgs = nixpkgs.legacyPackages.${system}; in {\n'
    for name in "$@"; do printf '        %s = pkgs.callPackage ./pkgs/%s { };\n' "$name" "$name"; done
    printf '      });\n      nixosModules.default = ./modules;\n      nixosConfigurations.host = nixpkgs.lib.nixosSystem { modules = [ ./modules ]; };\n    };\n}\n'
}

repository() { # folder
    mkdir -p "$1/.git" "$1/modules" "$1/pkgs"
    local n name imports=
    for n in $(seq 31); do
        module "service$n" "$n" >"$1/modules/m$n.nix"
        imports+=" ./m$n.nix"
    done
    printf '{ imports = [%s ]; }\n' "$imports" >"$1/modules/default.nix"
    for n in $(seq 8); do
        { printf '# npm run build, npm ci: see nodejs and npmHooks.\n'; module "web$n" "$n"; } >"$1/modules/npm$n.nix"
    done
    for name in web api admin docs shop blog mail chat jobs feed auth edge; do
        mkdir -p "$1/pkgs/$name"
        package "$name" >"$1/pkgs/$name/default.nix"
        printf '{\n  "name": "%s",\n  "lockfileVersion": 3,\n  "packages": { "": { "name": "%s" } }\n}\n' "$name" "$name" \
            >"$1/pkgs/$name/package-lock.json"
    done
    flake web api admin docs shop blog mail chat jobs feed auth edge >"$1/flake.nix"
}

mkdir -p "$dir"
repository "$dir/r1"
for n in $(seq 2 "$repositories"); do
    cp -r "$dir/r1" "$dir/r$n"
done
