# Evaluates a fixture with the stub nixpkgs and lists its derivations: { root, entry }: [ { attr; drv; } ].
{ root, entry }:
let
  lib = import ./lib;
  inherit (import ./stdenv.nix { inherit lib; system = builtins.currentSystem; }) mkDerivation;
  inherit (import ./remote.nix { inherit mkDerivation; }) remote;

  # Fetching builtins must not reach for the network, in whatever file they are called: every file is imported in a scope
  # that has others in their place. A tarball that is a nixpkgs is the stub.
  fetched = args:
    let url = if builtins.isAttrs args then args.url or "" else args; in
    if builtins.isPath url then "${builtins.path { path = url; name = "source"; }}"
    else if lib.hasInfix "nixpkgs" (toString url) then toString ./. else "${remote (if builtins.isAttrs args then removeAttrs args [ "name" "type" ] else { inherit url; })}";
  fetchedSet = args: { outPath = fetched args; rev = "0000000"; shortRev = "0000000"; lastModifiedDate = "20260101000000"; };
  fetchers = {
    fetchTarball = fetched;
    fetchGit = fetchedSet;
    fetchTree = fetchedSet;
    fetchMercurial = fetchedSet;
    fetchurl = fetched;
  };
  scope = fetchers // {
    import = scopedImport;
    builtins = builtins // fetchers // { import = scopedImport; };
    fetchurl = throw "not a global name";
  };
  scopedImport = builtins.scopedImport (removeAttrs scope [ "fetchurl" ]);

  flakes = scopedImport ./flakes { stub = ./.; };
  pkgs = scopedImport ./. { };
  pkgsFor = system: scopedImport ./. { inherit system; };

  unknownInput = name: { outPath = "${remote { name = "source"; }}"; rev = "0000000"; shortRev = "0000000"; lastModifiedDate = "20260101000000"; _type = "flake"; };
  input = dir: name: spec:
    let url = spec.url or name; in
    if lib.hasPrefix "path:./" url then callFlake (dir + "/${lib.removePrefix "path:./" url}")
    else if lib.hasPrefix "./" url then callFlake (dir + "/${url}")
    else if flakes ? ${name} then flakes.${name}
    else if lib.hasInfix "NixOS/nixpkgs" url || lib.hasPrefix "nixpkgs" url then flakes.nixpkgs
    else unknownInput name;

  callFlake = dir:
    let
      flake = scopedImport (dir + "/flake.nix");
      sourceInfo = {
        outPath = builtins.path { path = dir; name = "source"; };
        lastModified = 1767225600;
        lastModifiedDate = "20260101000000";
        narHash = lib.fakeHash;
      };
      declared = flake.inputs or { };
      wanted = removeAttrs (builtins.functionArgs flake.outputs) [ "self" ];
      inputs = builtins.mapAttrs (input dir) (builtins.mapAttrs (_: _: { }) wanted // declared);
      outputs = flake.outputs (inputs // { inherit self; });
      self = outputs // sourceInfo // { inherit inputs outputs sourceInfo; _type = "flake"; };
    in
    self;

  join = path: name: if path == "" then name else "${path}.${name}";
  walk = path: v:
    if lib.isDerivation v then [ { attr = path; drv = v.drvPath; } ]
    else if (v._type or null) == "flake" then walk path v.outputs
    else if builtins.isAttrs v && !(v ? __functor) then builtins.concatMap (n: walk (join path n) v.${n}) (builtins.attrNames v)
    else if builtins.isList v then builtins.concatMap (walk path) v
    # A program of an app is a string; what it refers to counts.
    else if builtins.isString v then map (drv: { attr = path; inherit drv; }) (builtins.filter (lib.hasSuffix ".drv") (builtins.attrNames (builtins.getContext v)))
    else [ ];
in
walk "" (if entry == "flake" then callFlake root else entry (scope // { inherit pkgs pkgsFor lib callFlake; }))
