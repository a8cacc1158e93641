#!/usr/bin/env bash
# make-flake.sh DIR: a flake of 3,000 lines with ten services behind a wrapper, three of them behind features that are off.
# shellcheck disable=SC2016 # what is written is Nix, whose ${...} the shell must not see
set -euo pipefail

dir=$1
mkdir -p "$dir/.git" "$dir/lib"
printf '{ pkgs }:\n{ name, src, npmDepsHash }:\npkgs.buildNpmPackage { pname = name; version = "1.0.0"; inherit src npmDepsHash; }\n' \
    >"$dir/lib/npm-service.nix"
{
    printf '[features]\n'
    for i in $(seq 0 9); do printf 's%s = false\n' "$i"; done
} >"$dir/manifest.toml"
{
    printf '{\n  inputs.nixpkgs.url = "github:NixOS/nixpkgs";\n  outputs = { self, nixpkgs }:\n    let\n'
    printf '      cfg = builtins.fromTOML (builtins.readFile ./manifest.toml);\n'
    printf '      each = f: nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-darwin" ] (system: f nixpkgs.legacyPackages.${system});\n'
    printf '    in\n    {\n      packages = each (pkgs: let mk = import ./lib/npm-service.nix { inherit pkgs; }; in {\n'
    for i in $(seq 0 9); do
        mkdir -p "$dir/s$i"
        printf '{ "name": "s%s", "lockfileVersion": 3, "packages": {} }\n' "$i" >"$dir/s$i/package-lock.json"
        call="mk { name = \"s$i\"; src = ./s$i; npmDepsHash = \"\"; }"
        if ((i % 3 == 2)); then call="if cfg.features.s$i or false then $call else pkgs.hello"; fi
        printf '        s%s = %s;\n' "$i" "$call"
    done
    printf '      });\n      nixosModules.default = { config, lib, pkgs, ... }: {\n'
    for n in $(seq 594); do
        printf '        options.services.x%s.enable = lib.mkEnableOption "x%s";\n' "$n" "$n"
        printf '        config.systemd.services.x%s = lib.mkIf config.services.x%s.enable {\n' "$n" "$n"
        printf '          environment.SETTING = "${config.services.x%s.stateDir}/%s";\n' "$n" "$n"
        printf '          serviceConfig.ExecStart = "${pkgs.hello}/bin/hello --port %s";\n        };\n' "$n"
    done
    printf '      };\n    };\n}\n'
} >"$dir/flake.nix"
