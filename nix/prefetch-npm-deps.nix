# nixpkgs' prefetch-npm-deps, played by npm-nixhash: the program looks at the name it is called by.
#
# nixpkgs takes it from the package set in two places: `fetchNpmDeps` runs `prefetch-npm-deps LOCKFILE OUT` in the
# fixed-output build, and npmConfigHook runs `--map-cache` and `--fixup-lockfile` in the build of the package.
{ runCommandLocal, npm-nixhash }:
runCommandLocal "prefetch-npm-deps-${npm-nixhash.version}"
{
  inherit (npm-nixhash) version;
  meta = {
    inherit (npm-nixhash.meta) license;
    description = "Fetch the dependencies of a lockfile, in parallel and verified; drop-in for nixpkgs' tool";
    mainProgram = "prefetch-npm-deps";
  };
} ''
  mkdir -p $out/bin
  ln -s ${npm-nixhash}/bin/npm-nixhash $out/bin/prefetch-npm-deps
''
