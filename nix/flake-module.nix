# For flake-parts: `imports = [ inputs.npm-nixhash.flakeModules.default ];` brings `checks.npm-nixhash` (check.nix tells what
# it proves) and `apps.npm-nixhash`, for `nix run .#npm-nixhash -- update`. `own` is this project's flake.
own:
{ self, lib, flake-parts-lib, ... }:
{
  options.perSystem = flake-parts-lib.mkPerSystemOption ({ config, pkgs, system, ... }:
    let
      cfg = config.npm-nixhash;
    in
    {
      options.npm-nixhash = {
        package = lib.mkOption {
          description = "The npm-nixhash to use.";
          type = lib.types.package;
          default = own.packages.${system}.default;
        };
        packages = lib.mkOption {
          description = "Derivations whose npmDeps hold what the check needs.";
          type = lib.types.listOf lib.types.raw;
          default = lib.filter (package: package ? npmDeps) (lib.attrValues config.packages);
        };
        exclude = lib.mkOption {
          description = "Names or globs of derivations that the check leaves out: those with npmDepsFetcherVersion 2 or git dependencies.";
          type = lib.types.listOf lib.types.str;
          default = [ ];
        };
        deny = lib.mkOption {
          description = "What fails besides stale hashes, as for `npm-nixhash check --deny`.";
          type = lib.types.listOf lib.types.str;
          default = [ "undecided" ];
        };
      };

      config = {
        checks.npm-nixhash = pkgs.callPackage ./check.nix { npm-nixhash = cfg.package; } {
          src = self;
          inherit (cfg) packages exclude deny;
        };
        apps.npm-nixhash = {
          type = "app";
          program = "${cfg.package}/bin/npm-nixhash";
        };
      };
    });
}
