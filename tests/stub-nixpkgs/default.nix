# A nixpkgs small enough for tests: { system, overlays, config }: pkgs.
{ system ? builtins.currentSystem, overlays ? [ ], config ? { }, ... }:
let
  lib = import ./lib;
  inherit (import ./stdenv.nix { inherit lib system; }) mkDerivation;
  inherit (import ./remote.nix { inherit mkDerivation; }) remote remoteFile;

  isDarwin = lib.hasSuffix "-darwin" system;
  platform = {
    inherit system isDarwin;
    isLinux = !isDarwin;
    isx86_64 = lib.hasPrefix "x86_64" system;
    isAarch64 = lib.hasPrefix "aarch64" system;
    parsed.cpu.name = builtins.head (lib.splitString "-" system);
    parsed.kernel.name = if isDarwin then "darwin" else "linux";
    config = system;
    canExecute = other: other.system == system;
  };

  # A program of the test machine under the name that packages call it by.
  tool = name: mkDerivation {
    inherit name;
    pname = name;
    script = ''
      mkdir -p $out/bin
      if type -P ${name} >/dev/null; then ln -s "$(type -P ${name})" $out/bin/${name}; fi
    '';
  };
  tools = lib.genAttrs [
    "nodejs" "nodejs_18" "nodejs_20" "nodejs_22" "nodejs_24" "makeWrapper" "jq" "python3" "pkg-config" "git" "cacert"
    "electron" "typescript" "moreutils" "npm-lockfile-fix" "nixfmt-rfc-style" "nginx" "esbuild" "ripgrep" "vips" "chromium"
    "cargo-deny" "clippy" "installShellFiles" "gitMinimal" "prefetch-npm-deps" "rust-analyzer" "rustfmt" "shellcheck" "versionCheckHook"
  ] tool;

  package = fn: mkDerivation fn;
  bare = final: tools // rec {
    # fetchNpmDeps is looked up in the final set: an overlay that replaces it moves every package.
    inherit (import ./npm.nix { inherit lib mkDerivation; finalFetchNpmDeps = final.fetchNpmDeps; }) fetchNpmDeps buildNpmPackage;


    inherit lib system config;
    stdenv = { inherit mkDerivation system; hostPlatform = platform; buildPlatform = platform; targetPlatform = platform; inherit (platform) isDarwin isLinux isAarch64 isx86_64; cc = tools.jq; };
    stdenvNoCC = stdenv;
    pkgs = final;
    callPackage = lib.callPackageWith final;
    callPackages = lib.callPackagesWith final;
    newScope = extra: lib.callPackageWith (final // extra);
    extend = overlay: build (overlays ++ [ overlay ]);
    appendOverlays = more: build (overlays ++ more);

    importNpmLock = { __functor = _: args: mkDerivation { name = "npm-lock"; }; npmConfigHook = tools.nodejs; };
    npmHooks = { npmConfigHook = tools.nodejs; npmBuildHook = tools.nodejs; npmInstallHook = tools.nodejs; };

    fetchFromGitHub = remote;
    fetchFromGitLab = remote;
    fetchFromGitea = remote;
    fetchFromForgejo = remote;
    fetchFromCodeberg = remote;
    fetchFromSourcehut = remote;
    fetchFromBitbucket = remote;
    fetchgit = remote;
    fetchzip = remote;
    fetchtarball = remote;
    fetchurl = remoteFile;
    fetchpatch = remoteFile;
    fetchpatch2 = remoteFile;
    fetchYarnDeps = args: mkDerivation { name = "yarn-deps"; };
    fetchPnpmDeps = args: mkDerivation { name = "pnpm-deps"; };

    runCommand = name: env: cmd: mkDerivation ({ inherit name; script = cmd; } // env // { script = cmd; });
    runCommandLocal = runCommand;
    runCommandNoCC = runCommand;
    emptyDirectory = runCommand "empty-directory" { } "mkdir $out";
    writeTextFile = { name, text, destination ? "", ... }: runCommand name { passAsText = text; } ''
      target="$out${destination}"
      mkdir -p "$(dirname "$target")"
      cat >"$target" <<'end of the text'
      ${text}
      end of the text
    '';
    writeText = name: text: mkDerivation { inherit name; stubEnv = { inherit text; }; script = ''printf '%s' "$text" >$out''; };
    writeShellScript = writeText;
    writeShellScriptBin = writeText;
    writeShellApplication = { name, text, ... }: writeText name text;
    writers = { };
    symlinkJoin = { name, paths, ... }: mkDerivation { inherit name paths; script = "mkdir $out"; };
    buildEnv = symlinkJoin;
    linkFarm = name: entries: mkDerivation { inherit name entries; script = "mkdir $out"; };
    mkShell = args: mkDerivation ({ name = "shell"; } // args);
    mkShellNoCC = mkShell;
    # The source of a derivation, unpacked and patched.
    srcOnly = args: applyPatches ({ name = "source"; } // { inherit (args) src; } // lib.filterAttrs (name: _: builtins.elem name [ "patches" "prePatch" "postPatch" ]) args);
    applyPatches = { src, name ? "${src.name or (baseNameOf src)}-patched", patches ? [ ], prePatch ? "", postPatch ? "", ... }@args: mkDerivation {
      inherit name;
      stubEnv = {
        tree = "${src}";
        patches = map (p: "${p}") patches;
        inherit prePatch postPatch;
      };
      script = ''
        cp -r "$tree" $out; chmod -R u+w $out; cd $out
        eval "$prePatch"
        for p in $patches; do patch -p1 --no-backup-if-mismatch <"$p"; done
        eval "$postPatch"
      '';
    };
    nix-gitignore = {
      gitignoreSource = _: path: lib.cleanSource path;
      gitignoreSourcePure = _: path: lib.cleanSource path;
      gitignoreFilterSource = filter: _: path: lib.cleanSourceWith { inherit filter; src = path; };
    };

    copyPathToStore = path: builtins.path { inherit path; };
    buildNextcloudApp = { npmDepsHash, ... }@args: mkDerivation (args // { npmDeps = final.fetchNpmDeps { inherit (args) src; hash = npmDepsHash; }; });
    buildGoModule = package;
    buildGo124Module = package;
    rustPlatform = { buildRustPackage = package; cargoSetupHook = tools.jq; };
    python3Packages = { buildPythonApplication = package; buildPythonPackage = package; };
    python3Packages' = python3Packages;
    php = { buildComposerProject2 = package; };
    beamPackages = { mixRelease = package; };
    dockerTools = { buildLayeredImage = args: mkDerivation { name = "image"; contents = args.contents or [ ]; }; };
    nix-update-script = args: [ "nix-update" ];
    testers = { testVersion = args: mkDerivation { name = "test-version"; }; };

    # A package that nixpkgs builds from a remote source.
    prettier = buildNpmPackage {
      pname = "prettier";
      version = "3.0.0";
      src = remote { owner = "prettier"; repo = "prettier"; rev = "3.0.0"; };
      npmDepsHash = "of nixpkgs";
    };
  };

  build = overlays: lib.fix (lib.foldl (f: overlay: lib.extends overlay f) bare overlays);
in
build overlays
