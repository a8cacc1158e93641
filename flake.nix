{
  description = "npmDepsHash computed without Nix, and rewritten in place";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs = { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
      eachSystem = f: lib.genAttrs systems (system: f nixpkgs.legacyPackages.${system});
      package = pkgs: pkgs.callPackage ./nix/package.nix { };
    in
    {
      packages = eachSystem (pkgs: { default = package pkgs; npm-nixhash = package pkgs; });

      apps = eachSystem (pkgs: {
        default = { type = "app"; program = "${package pkgs}/bin/npm-nixhash"; };
      });

      overlays = {
        default = final: _: { npm-nixhash = package final; };

        # Opt-in: every fetchNpmDeps of the package set fetches with npm-nixhash, which downloads in parallel and verifies
        # each tarball. Hashes stay what they are.
        prefetch-npm-deps = final: _: {
          npm-nixhash = package final;
          prefetch-npm-deps = final.callPackage ./nix/prefetch-npm-deps.nix { };
        };
      };

      # `check pkgs { src = self; packages = [ ... ]; }` is a derivation that fails where a hash is stale: nix/check.nix.
      lib.check = pkgs: pkgs.callPackage ./nix/check.nix { npm-nixhash = package pkgs; };

      flakeModules.default = import ./nix/flake-module.nix self;

      devShells = eachSystem (pkgs: {
        default = pkgs.mkShell {
          inputsFrom = [ (package pkgs) ];
          packages = [ pkgs.cargo-deny pkgs.clippy pkgs.nodejs pkgs.rust-analyzer pkgs.rustfmt pkgs.shellcheck ];
        };
      });

      checks = eachSystem (pkgs:
        let
          # The package's build with another command in the place of `cargo build`, and nothing installed.
          instead = name: tools: command: (package pkgs).overrideAttrs (old: {
            pname = "npm-nixhash-${name}";
            nativeBuildInputs = (old.nativeBuildInputs or [ ]) ++ tools;
            buildPhase = command;
            installPhase = "touch $out";
            postInstall = "";
          });
        in
        {
          build = package pkgs;
          tests = (package pkgs).overrideAttrs (old: {
            pname = "npm-nixhash-tests";
            doCheck = true;
            # Patches are tried with git, which also makes the repositories of some tests.
            nativeBuildInputs = (old.nativeBuildInputs or [ ]) ++ [ pkgs.git ];
          });
          fmt = instead "fmt" [ pkgs.rustfmt ] "cargo fmt --check";
          clippy = instead "clippy" [ pkgs.clippy ] "cargo clippy --offline --workspace --all-targets --all-features -- -D warnings";
        });
    };
}
