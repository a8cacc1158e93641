# Derivations that Nix really instantiates (and, where they are the source of an npm dependency, really builds).
{ lib, system }:
let
  # What a derivation's environment takes from its arguments: everything but notes and functions, as one JSON text.
  # The text keeps the string context, so whatever an argument refers to is an input of the derivation.
  environment = args:
    let
      plain = lib.filterAttrs (_: v: !(lib.isFunction v)) (removeAttrs args [ "meta" "passthru" "stdenv" "override" "overrideAttrs" ]);
    in
    builtins.toJSON plain;

  nameOf = args: args.name or (if args ? pname then "${args.pname}-${args.version or "0"}" else "unnamed");
  cleanName = builtins.replaceStrings [ "@" "/" " " "\n" ] [ "-" "-" "-" "-" ];

  # The builder interprets `script`; everything else that it needs stands in the environment.
  simple = overrideAttrs: args:
    let
      drv = derivation ({
        name = cleanName (nameOf args);
        system = builtins.currentSystem;
        builder = "/bin/bash";
        args = [ "-e" ./builder.sh ];
        nominalSystem = system;
        arguments = environment args;
        script = args.script or "mkdir -p $out";
        PATH = "/usr/local/bin:/usr/bin:/bin";
      } // (args.stubEnv or { }));
    in
    args // drv // (args.passthru or { }) // {
      name = nameOf args;
      meta = args.meta or { };
      passthru = args.passthru or { };
      inherit overrideAttrs;
    };

  extensible = rattrs:
    let
      args = rattrs (args // { inherit finalPackage overrideAttrs; });
      overrideAttrs = f0:
        let
          overlay = final: prev:
            let once = lib.toFunction f0 prev;
            in if lib.isFunction once then f0 final prev else once;
        in
        extensible (lib.extends overlay rattrs);
      finalPackage = simple overrideAttrs args;
    in
    finalPackage;
in
{
  mkDerivation = fnOrAttrs: extensible (lib.toFunction fnOrAttrs);
}
