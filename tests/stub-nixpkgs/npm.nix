# fetchNpmDeps and buildNpmPackage: which arguments reach the derivation that holds the hash, as nixpkgs has it.
{ lib, mkDerivation, finalFetchNpmDeps }:
let
  flag = x: if x then "1" else "0";
  text = x: if x == null then "" else toString x;

  fetchNpmDeps =
    { name ? if args ? pname && args ? version then "${args.pname}-${args.version}-npm-deps" else "npm-deps"
    , hash ? ""
    , forceGitDeps ? false
    , forceEmptyCache ? false
    , fetcherVersion ? 1
    , ...
    }@args:
    let
      given = finalAttrs: name: stored (finalAttrs.${name} or null);
    in
    # The arguments are those of a derivation: overrideAttrs of the source or of outputHash counts.
    mkDerivation (finalAttrs: removeAttrs args [ "hash" ] // {
      inherit name;
      outputHash = hash;
      script = "source ${./npm-deps.sh}";
      # Everything that moves the lockfile or the hash. `npmRoot` does not.
      stubEnv = {
        npmDepsOf = "1";
        depsHash = text finalAttrs.outputHash;
        depsFetcherVersion = toString fetcherVersion;
        depsForceGitDeps = flag forceGitDeps;
        depsForceEmptyCache = flag forceEmptyCache;
        src = text (given finalAttrs "src");
        srcs = text (given finalAttrs "srcs");
        sourceRoot = text (given finalAttrs "sourceRoot");
        setSourceRoot = text (given finalAttrs "setSourceRoot");
        postUnpack = text (given finalAttrs "postUnpack");
        prePatch = text (given finalAttrs "prePatch");
        patches = text (given finalAttrs "patches");
        patchFlags = text (finalAttrs.patchFlags or null);
        postPatch = text (given finalAttrs "postPatch");
        preBuild = text (given finalAttrs "preBuild");
      };
    });

  # A path must be copied to the store before it stands in a string, so `toString` will not do for sources.
  stored = x: if builtins.isList x then map stored x else if x == null then null else "${x}";

  build = { nodejs ? null }: fpargs: mkDerivation (finalAttrs:
    let
      args = lib.toFunction fpargs finalAttrs;
      name = args.name or "${args.pname}-${args.version}";
      forwarded = lib.getAttrs
        (builtins.filter (n: args ? ${n}) [ "forceGitDeps" "forceEmptyCache" "src" "srcs" "sourceRoot" "prePatch" "patches" "patchFlags" "postPatch" ])
        args;
    in
    args // {
      npmDeps = args.npmDeps or (finalFetchNpmDeps (forwarded // {
        name = "${name}-npm-deps";
        hash = args.npmDepsHash or "";
        fetcherVersion = args.npmDepsFetcherVersion or 1;
      }));
      npmBuildScript = args.npmBuildScript or "build";
    });
in
{
  inherit fetchNpmDeps;
  buildNpmPackage = lib.makeOverridable build { };
}
