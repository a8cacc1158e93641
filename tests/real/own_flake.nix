# What our overlays do to a package set. The stub's fetchNpmDeps and npm hooks do not name their tool, so here they are
# given nixpkgs' shape: both take `prefetch-npm-deps` from the final package set.
{ flake, stub }:
let
  nixpkgs = (import (stub + "/flakes") { inherit stub; }).nixpkgs;
  own = (import (flake + "/flake.nix")).outputs { self = own; inherit nixpkgs; };
  shape = final: prev: {
    fetchNpmDeps = args: prev.stdenv.mkDerivation { name = "npm-deps"; script = "prefetch-npm-deps $srcLockfile $out"; nativeBuildInputs = [ final.prefetch-npm-deps ]; };
    npmHooks = { npmConfigHook = prev.runCommand "npm-config-hook" { prefetchNpmDeps = "${final.prefetch-npm-deps}/bin/prefetch-npm-deps"; } "touch $out"; };
  };
  set = overlays: import stub { system = "x86_64-linux"; overlays = [ shape ] ++ overlays; };
  plain = set [ ];
  default = set [ own.overlays.default ];
  optIn = set [ own.overlays.prefetch-npm-deps ];
  both = set [ own.overlays.default own.overlays.prefetch-npm-deps ];
  drv = x: builtins.unsafeDiscardStringContext x.drvPath;
  # What a derivation is made of mentions the other's output.
  uses = whole: part: builtins.elem (drv part) (builtins.attrNames (builtins.getContext "${whole.drvPath}" // builtins.getContext whole.arguments));
in
{
  plainHasIt = plain ? npm-nixhash;
  defaultHasIt = drv default.npm-nixhash == drv own.packages.x86_64-linux.default;
  defaultLeavesTheFetcher = drv (default.fetchNpmDeps { }) == drv (plain.fetchNpmDeps { });
  optInReplacesTheTool = drv optIn.prefetch-npm-deps != drv plain.prefetch-npm-deps;
  fetcherUsesIt = uses (optIn.fetchNpmDeps { }) optIn.prefetch-npm-deps;
  hookUsesIt = uses optIn.npmHooks.npmConfigHook optIn.prefetch-npm-deps;
  theToolIsOurs = uses optIn.prefetch-npm-deps optIn.npm-nixhash;
  bothAgree = drv both.prefetch-npm-deps == drv optIn.prefetch-npm-deps;
}
