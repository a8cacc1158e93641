# For people without flakes: nix-build, or `import ./. { inherit pkgs; }`. The package set is the one that flake.lock pins.
{
  pkgs ? import (
    let
      inherit ((builtins.fromJSON (builtins.readFile ./flake.lock)).nodes.nixpkgs) locked;
    in
    fetchTarball {
      url = "https://github.com/${locked.owner}/${locked.repo}/archive/${locked.rev}.tar.gz";
      sha256 = locked.narHash;
    }
  ) { },
}:
pkgs.callPackage ./nix/package.nix { }
