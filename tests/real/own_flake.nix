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
  # The flake-parts module of a flake with one npm package, as flake-parts would put it together: options by their defaults.
  module = own.flakeModules.default {
    self = { outPath = "/nowhere"; };
    lib = nixpkgs.lib // { mkOption = option: option; types = { package = null; raw = null; str = null; listOf = of: of; }; };
    flake-parts-lib.mkPerSystemOption = perSystem: perSystem;
  };
  web = plain.buildNpmPackage { pname = "web"; version = "1"; src = flake; npmDepsHash = ""; };
  perSystem = module.options.perSystem {
    pkgs = plain;
    system = "x86_64-linux";
    config = {
      packages = { inherit web; other = plain.jq; };
      npm-nixhash = nixpkgs.lib.mapAttrs (_: option: option.default) perSystem.options.npm-nixhash;
    };
  };
  forNixpkgs = plain.callPackage (flake + "/packaging/nixpkgs/package.nix") { };
in
{
  moduleChecks = drv perSystem.config.checks.npm-nixhash
    == drv (own.lib.check plain { src = "/nowhere"; packages = [ web ]; });
  moduleFetches = uses perSystem.config.checks.npm-nixhash web.npmDeps;
  moduleRuns = perSystem.config.apps.npm-nixhash.program == own.apps.x86_64-linux.default.program;
  defaultNix = drv (import (flake + "/default.nix") { pkgs = plain; }) == drv own.packages.x86_64-linux.default;
  nixpkgsExpression = {
    inherit (forNixpkgs) name;
    inherit (forNixpkgs.meta) mainProgram;
    checksTheVersion = builtins.elem (drv plain.versionCheckHook) (map drv forNixpkgs.nativeInstallCheckInputs);
    instantiates = builtins.isString forNixpkgs.drvPath;
  };
  plainHasIt = plain ? npm-nixhash;
  defaultHasIt = drv default.npm-nixhash == drv own.packages.x86_64-linux.default;
  defaultLeavesTheFetcher = drv (default.fetchNpmDeps { }) == drv (plain.fetchNpmDeps { });
  optInReplacesTheTool = drv optIn.prefetch-npm-deps != drv plain.prefetch-npm-deps;
  fetcherUsesIt = uses (optIn.fetchNpmDeps { }) optIn.prefetch-npm-deps;
  hookUsesIt = uses optIn.npmHooks.npmConfigHook optIn.prefetch-npm-deps;
  theToolIsOurs = uses optIn.prefetch-npm-deps optIn.npm-nixhash;
  bothAgree = drv both.prefetch-npm-deps == drv optIn.prefetch-npm-deps;
}
