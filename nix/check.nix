# A check that needs no network, for `nix flake check`: `npm-nixhash check` on `src`, with nothing but the tarballs that the
# `npmDeps` of `packages` hold. It is a proof: each tarball is held to the lockfile's integrity, and what the lockfile of `src`
# comes to is computed from them and compared with the hash that is written. So it fails where the output of an old hash is
# still in the store (the build would not notice), and where a hash was changed and its lockfile was not.
#
# Fetcher version 2 also stores what the registry says of packages, and lockfiles name no integrity for git dependencies:
# neither is there without network. Such derivations fail here; name them in `exclude`, and check them elsewhere.
{ lib, runCommand, npm-nixhash }:
{
  src,
  # Derivations with `npmDeps`, or sets that have one.
  packages,
  # Names or globs of derivations that are not looked at.
  exclude ? [ ],
  # What fails besides stale hashes.
  deny ? [ "undecided" ],
}:
let
  flags = flag: lib.concatMap (word: [ flag word ]);
  arguments = lib.escapeShellArgs (flags "--exclude" exclude ++ flags "--deny" deny ++ [ "--" "${src}" ]);
in
runCommand "npm-nixhash-check" { } ''
  mkdir -p npm/_cacache
  for deps in ${lib.concatMapStringsSep " " (package: "${package.npmDeps}") packages}; do
    cp -rf --no-preserve=mode "$deps/_cacache/." npm/_cacache/
  done
  export HOME=$PWD npm_config_cache=$PWD/npm
  ${npm-nixhash}/bin/npm-nixhash check --offline ${arguments}
  touch $out
''
