#!/usr/bin/env bash
# make-flat.sh DIR COUNT: writes so many packages into one file. Two of three share a hash or a lockfile with others, so
# that everything that compares derivations with each other has something to do.
set -euo pipefail

dir=$1
mkdir -p "$dir/.git"
{
    printf '{ pkgs }:\nlet\n  shared = "";\nin\n{\n'
    for n in $(seq "$2"); do
        mkdir -p "$dir/p$n"
        printf '{ "name": "p", "lockfileVersion": 3, "packages": {} }\n' >"$dir/p$n/package-lock.json"
        case $((n % 3)) in
        0) hash=shared folder=p$n ;;
        1) hash='""' folder=p1 ;;
        2) hash='""' folder=p$n ;;
        esac
        printf '  p%s = pkgs.buildNpmPackage { pname = "p%s"; version = "1"; src = ./%s; npmDepsHash = %s; meta.priority = 5; };\n' \
            "$n" "$n" "$folder" "$hash"
    done
    printf '}\n'
} >"$dir/default.nix"
