# Stand-ins for the flakes that derivations of npm packages are written with.
{ stub }:
let
  lib = import (stub + "/lib");
  systems = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ];
  nixpkgs = {
    outPath = toString stub;
    inherit lib;
    legacyPackages = lib.genAttrs systems (system: import stub { inherit system; });
    rev = "0000000";
    shortRev = "0000000";
  };

  eachSystem = names: f:
    builtins.foldl'
      (acc: system: builtins.foldl'
        (acc': key: acc' // { ${key} = (acc'.${key} or { }) // { ${system} = (f system).${key}; }; })
        acc
        (builtins.attrNames (f system)))
      { }
      names;

  # A module is a set, a function or a file; imports are followed, packages of all modules are merged.
  mkFlake = { inputs, ... }@top: module:
    let
      inherit (inputs) self;
      load = m:
        let
          value = if builtins.isPath m || builtins.isString m then import m else m;
          applied = if lib.isFunction value then value args else value;
        in
        [ applied ] ++ builtins.concatMap load (applied.imports or [ ]);
      args = { inherit inputs self lib; config = { }; options = { }; withSystem = system: f: f (perSystemArgs system); getSystem = perSystem; flake-parts-lib = { importApply = file: a: import file a; }; } // (top.specialArgs or { });
      modules = load module;
      names = builtins.concatMap (m: m.systems or [ ]) modules;
      perSystemArgs = system: rec {
        inherit system lib self inputs;
        pkgs = nixpkgs.legacyPackages.${system};
        self' = lib.mapAttrs (_: v: v.${system} or { }) self;
        inputs' = lib.mapAttrs (_: input: lib.mapAttrs (_: v: v.${system} or { }) input) inputs;
        config = perSystem system;
        final = pkgs;
      };
      perSystem = system: builtins.foldl'
        (acc: m: lib.recursiveUpdate acc (removeAttrs (lib.toFunction (m.perSystem or { }) (perSystemArgs system)) [ "_module" ]))
        { }
        modules;
    in
    builtins.foldl' (acc: m: lib.recursiveUpdate acc (m.flake or { })) (eachSystem names perSystem) modules;

  # Names that .gitignore lists as they are; patterns do not matter to the tests.
  gitignoreSource = path:
    let
      file = path + "/.gitignore";
      names = if builtins.pathExists file then lib.splitString "\n" (builtins.readFile file) else [ ];
    in
    lib.cleanSourceWith { src = path; filter = p: _: !(builtins.elem (baseNameOf p) names); };

  # nix-filter: a name is a path relative to root, a function is a matcher.
  nixFilter = {
    __functor = self: { root, include ? [ (_: _: _: true) ], exclude ? [ ], name ? "source" }:
      let
        matcher = x:
          let named = if builtins.isPath x then toString x else "${toString root}/${x}"; in
          if lib.isFunction x then x root else path: _: lib.hasPrefix named path || lib.hasPrefix (path + "/") named;
        hit = xs: path: type: builtins.any (x: matcher x path type) xs;
      in
      { inherit name; outPath = builtins.path { path = root; inherit name; filter = path: type: hit include path type && !(exclude != [ ] && hit exclude path type); }; };
    filter = nixFilter.__functor nixFilter;
    inDirectory = dir: root: path: type: lib.hasPrefix (toString root + "/" + dir) path;
    isDirectory = _: _: type: type == "directory";
    matchExt = ext: _: path: _: lib.hasSuffix ".${ext}" path;
  };
in
{
  inherit nixpkgs;
  flake-utils = { lib = { inherit eachSystem; eachDefaultSystem = eachSystem systems; defaultSystems = systems; allSystems = systems; mkApp = { drv, ... }: { type = "app"; program = "${drv}/bin/x"; }; }; };
  flake-parts = { lib = { inherit mkFlake; importApply = file: a: import file a; }; };
  systems = { outPath = toString ./systems.nix; };
  nix-filter = { lib = nixFilter; outPath = "/nowhere"; } // nixFilter;
  gitignore = { lib = { inherit gitignoreSource; gitignoreFilter = _: _: _: true; gitignoreFilterWith = _: _: _: true; }; inherit gitignoreSource; };
}
