# shellcheck shell=bash
# What Cargo.toml, the one place, says of this project. To be sourced from the repository's root; sets `version` and
# `repository` (OWNER/NAME).
field() { sed -n '/^\[package\]/,/^\[/s/^'"$1"' = "\(.*\)"$/\1/p' Cargo.toml; }
# shellcheck disable=SC2034
version=$(field version)
repository=$(field repository)
# shellcheck disable=SC2034
repository=${repository#https://github.com/}
