# nix/check.nix, built for real with the stub's runCommand: `deps` are trees as fetchNpmDeps makes them.
{ flake, stub, program, src, deps, exclude }:
let
  pkgs = import stub { };
  npm-nixhash = pkgs.runCommand "npm-nixhash" { } "mkdir -p $out/bin; ln -s ${program} $out/bin/npm-nixhash";
in
pkgs.callPackage (flake + "/nix/check.nix") { inherit npm-nixhash; } {
  src = builtins.path { path = src; name = "source"; };
  packages = map (path: { npmDeps = builtins.path { inherit path; name = "npm-deps"; }; }) deps;
  inherit exclude;
}
