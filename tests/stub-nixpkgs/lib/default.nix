# The part of nixpkgs' lib that derivations of npm packages are written with.
# Semantics as in nixpkgs; implementations are as short as evaluation in tests allows.
let
  b = builtins;
  lib = {
    inherit (b)
      add all any attrNames attrValues baseNameOf compareVersions concatLists concatMap concatStringsSep
      deepSeq dirOf elem elemAt filter foldl' fromJSON genList getAttr groupBy hasAttr head intersectAttrs
      isAttrs isBool isInt isList isPath isString length lessThan listToAttrs map mapAttrs match partition
      pathExists readDir readFile removeAttrs replaceStrings seq splitVersion stringLength sub substring tail toJSON
      trace typeOf;
    fromTOML = b.fromTOML;

    # trivial
    id = x: x;
    const = x: _: x;
    flip = f: x: y: f y x;
    pipe = b.foldl' (x: f: f x);
    fix = f: let x = f x; in x;
    fix' = f: let x = f x // { __unfix__ = f; }; in x;
    extends = overlay: f: final: let prev = f final; in prev // overlay final prev;
    composeExtensions = f: g: final: prev:
      let fApplied = f final prev; prev' = prev // fApplied; in fApplied // g final prev';
    composeManyExtensions = lib.foldr lib.composeExtensions (_: _: { });
    makeExtensible = rattrs: lib.fix' (self: rattrs self // {
      extend = f: lib.makeExtensible (lib.extends f rattrs);
    });
    toFunction = v: if lib.isFunction v then v else _: v;
    isFunction = f: b.isFunction f || (f ? __functor && lib.isFunction (f.__functor f));
    functionArgs = f: if f ? __functor then f.__functionArgs or (lib.functionArgs (f.__functor f)) else b.functionArgs f;
    setFunctionArgs = f: args: { __functor = _: f; __functionArgs = args; };
    warn = _: x: x;
    warnIf = _: _: x: x;
    warnIfNot = _: _: x: x;
    throwIf = c: msg: x: if c then throw msg else x;
    throwIfNot = c: msg: x: if c then x else throw msg;
    assertMsg = pred: msg: pred || throw msg;
    importJSON = path: b.fromJSON (b.readFile path);
    importTOML = path: b.fromTOML (b.readFile path);
    mergeAttrs = x: y: x // y;
    defaultTo = default: x: if x == null then default else x;
    boolToString = x: if x then "true" else "false";
    min = x: y: if x < y then x else y;
    max = x: y: if x > y then x else y;
    mod = x: y: x - y * (x / y);
    versionOlder = v1: v2: b.compareVersions v2 v1 == 1;
    versionAtLeast = v1: v2: !(lib.versionOlder v1 v2);
    versions = { major = v: b.elemAt (b.splitVersion v) 0; minor = v: b.elemAt (b.splitVersion v) 1; patch = v: b.elemAt (b.splitVersion v) 2; majorMinor = v: lib.concatStringsSep "." (lib.take 2 (b.splitVersion v)); };
    fakeHash = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    fakeSha256 = "0000000000000000000000000000000000000000000000000000000000000000";
    systems = { doubles.all = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ]; flakeExposed = [ "x86_64-linux" "aarch64-linux" "x86_64-darwin" "aarch64-darwin" ]; };
    licenses = b.listToAttrs (map (n: { name = n; value = { shortName = n; }; }) [ "mit" "asl20" "isc" "bsd3" "gpl3Only" "unfree" ]);
    platforms = { all = [ ]; linux = [ ]; unix = [ ]; darwin = [ ]; };
    maintainers = { };
    sourceTypes = { };
    types = { package = null; str = null; path = null; bool = null; };

    # lists
    singleton = x: [ x ];
    optional = c: x: if c then [ x ] else [ ];
    optionals = c: xs: if c then xs else [ ];
    toList = x: if b.isList x then x else [ x ];
    last = xs: b.elemAt xs (b.length xs - 1);
    init = xs: lib.take (b.length xs - 1) xs;
    take = n: xs: b.genList (b.elemAt xs) (lib.min n (b.length xs));
    drop = n: xs: b.genList (i: b.elemAt xs (i + n)) (lib.max 0 (b.length xs - n));
    flatten = x: if b.isList x then b.concatMap lib.flatten x else [ x ];
    foldr = op: nul: xs: let go = n: if n == b.length xs then nul else op (b.elemAt xs n) (go (n + 1)); in go 0;
    foldl = b.foldl';
    fold = lib.foldr;
    range = first: last: if first > last then [ ] else b.genList (n: first + n) (last - first + 1);
    imap0 = f: xs: b.genList (n: f n (b.elemAt xs n)) (b.length xs);
    imap1 = f: xs: b.genList (n: f (n + 1) (b.elemAt xs n)) (b.length xs);
    zipListsWith = f: xs: ys: b.genList (n: f (b.elemAt xs n) (b.elemAt ys n)) (lib.min (b.length xs) (b.length ys));
    zipLists = lib.zipListsWith (fst: snd: { inherit fst snd; });
    unique = b.foldl' (acc: e: if b.elem e acc then acc else acc ++ [ e ]) [ ];
    reverseList = xs: let n = b.length xs; in b.genList (i: b.elemAt xs (n - i - 1)) n;
    findFirst = pred: default: xs: let found = b.filter pred xs; in if found == [ ] then default else b.head found;
    remove = e: b.filter (x: x != e);
    subtractLists = e: b.filter (x: !(b.elem x e));
    crossLists = f: b.foldl' (fs: args: b.concatMap (f': map f' args) fs) [ f ];
    forEach = xs: f: map f xs;
    count = pred: b.foldl' (n: x: if pred x then n + 1 else n) 0;

    # attribute sets
    nameValuePair = name: value: { inherit name value; };
    optionalAttrs = c: as: if c then as else { };
    genAttrs = names: f: b.listToAttrs (map (n: lib.nameValuePair n (f n)) names);
    genAttrs' = xs: f: b.listToAttrs (map f xs);
    mapAttrs' = f: set: b.listToAttrs (map (a: f a set.${a}) (b.attrNames set));
    mapAttrsToList = f: set: map (a: f a set.${a}) (b.attrNames set);
    attrsToList = lib.mapAttrsToList lib.nameValuePair;
    filterAttrs = pred: set: b.removeAttrs set (b.filter (n: !(pred n set.${n})) (b.attrNames set));
    concatMapAttrs = f: set: b.foldl' (acc: n: acc // f n set.${n}) { } (b.attrNames set);
    mergeAttrsList = b.foldl' (x: y: x // y) { };
    attrByPath = path: default: set:
      if path == [ ] then set
      else if b.isAttrs set && set ? ${b.head path} then lib.attrByPath (b.tail path) default set.${b.head path}
      else default;
    hasAttrByPath = path: set:
      path == [ ] || (b.isAttrs set && set ? ${b.head path} && lib.hasAttrByPath (b.tail path) set.${b.head path});
    getAttrFromPath = path: lib.attrByPath path (throw "no such attribute");
    setAttrByPath = path: v: lib.foldr (n: acc: { ${n} = acc; }) v path;
    getAttrs = names: set: lib.genAttrs names (n: set.${n});
    catAttrs = b.catAttrs;
    attrVals = names: set: map (n: set.${n}) names;
    recursiveUpdate = x: y:
      x // b.mapAttrs (n: v: if b.isAttrs v && b.isAttrs (x.${n} or null) && !(v ? type && v.type == "derivation") then lib.recursiveUpdate x.${n} v else v) y;
    zipAttrsWith = b.zipAttrsWith;
    foldlAttrs = f: init: set: b.foldl' (acc: n: f acc n set.${n}) init (b.attrNames set);
    isDerivation = v: (v.type or null) == "derivation";
    recurseIntoAttrs = as: as // { recurseForDerivations = true; };
    getExe = x: "${x}/bin/${x.meta.mainProgram or x.pname or x.name}";
    getExe' = x: n: "${x}/bin/${n}";
    getBin = x: x;
    getLib = x: x;
    getDev = x: x;

    # strings
    concatStrings = b.concatStringsSep "";
    concatMapStrings = f: xs: lib.concatStrings (map f xs);
    concatMapStringsSep = sep: f: xs: b.concatStringsSep sep (map f xs);
    concatLines = lib.concatMapStrings (s: s + "\n");
    optionalString = c: s: if c then s else "";
    hasPrefix = p: s: b.substring 0 (b.stringLength p) (toString s) == p;
    hasSuffix = suffix: s':
      let s = toString s'; n = b.stringLength s; m = b.stringLength suffix; in n >= m && b.substring (n - m) n s == suffix;
    hasInfix = infix: s: b.length (b.split (lib.escapeRegex infix) (toString s)) > 1;
    removePrefix = p: s: if lib.hasPrefix p s then b.substring (b.stringLength p) (b.stringLength s) s else s;
    removeSuffix = x: s: if lib.hasSuffix x s then b.substring 0 (b.stringLength s - b.stringLength x) s else s;
    splitString = sep: s: b.filter b.isString (b.split (lib.escapeRegex sep) s);
    stringToCharacters = s: b.genList (p: b.substring p 1 s) (b.stringLength s);
    escapeRegex = b.replaceStrings (lib.stringToCharacters "\\[{()^$?*+|.") (map (c: "\\${c}") (lib.stringToCharacters "\\[{()^$?*+|."));
    lowerChars = lib.stringToCharacters "abcdefghijklmnopqrstuvwxyz";
    upperChars = lib.stringToCharacters "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    toLower = b.replaceStrings lib.upperChars lib.lowerChars;
    toUpper = b.replaceStrings lib.lowerChars lib.upperChars;
    trim = s: let m = b.match "[[:space:]]*(.*[^[:space:]])[[:space:]]*" s; in if m == null then "" else b.head m;
    fileContents = file: lib.removeSuffix "\n" (b.readFile file);
    escape = special: b.replaceStrings special (map (c: "\\${c}") special);
    escapeShellArg = arg:
      let s = toString arg; in
      if b.match "[[:alnum:],._+:@%/-]+" s != null then s else "'${b.replaceStrings [ "'" ] [ "'\\''" ] s}'";
    escapeNixString = s: lib.escape [ "$" ] (b.toJSON s);
    escapeXML = b.replaceStrings [ "\"" "'" "<" ">" "&" ] [ "&quot;" "&apos;" "&lt;" "&gt;" "&amp;" ];
    escapeURL = lib.concatMapStrings' (c:
      if b.match "[A-Za-z0-9_.~-]" c != null then c else "%${lib.hexadecimal.${c}}");
    concatMapStrings' = f: s: lib.concatMapStrings f (lib.stringToCharacters s);
    # Of the characters that the tests escape.
    hexadecimal = {
      " " = "20"; "$" = "24"; "%" = "25"; "&" = "26"; "'" = "27"; "(" = "28"; ")" = "29"; "*" = "2A"; "+" = "2B"; "," = "2C";
      "/" = "2F"; ":" = "3A"; "<" = "3C"; "=" = "3D"; ">" = "3E"; "?" = "3F"; "@" = "40"; "[" = "5B"; "\\" = "5C"; "]" = "5D";
      "{" = "7B"; "|" = "7C"; "}" = "7D"; "\n" = "0A"; "\t" = "09"; "#" = "23"; "!" = "21"; "\"" = "22"; ";" = "3B"; "^" = "5E"; "`" = "60";
    };
    sanitizeDerivationName = s:
      let
        parts = b.split "[^[:alnum:]+._?=-]+" (b.head (b.match "\\.*(.*)" (b.unsafeDiscardStringContext s)));
        joined = lib.concatMapStrings (part: if b.isList part then "-" else part) parts;
        short = b.substring (lib.max (b.stringLength joined - 207) 0) (-1) joined;
      in
      if short == "" then "unknown" else short;
    escapeShellArgs = lib.concatMapStringsSep " " lib.escapeShellArg;
    makeBinPath = xs: b.concatStringsSep ":" (map (x: "${x}/bin") xs);
    makeLibraryPath = xs: b.concatStringsSep ":" (map (x: "${x}/lib") xs);
    getName = x: if b.isString x then (b.parseDrvName x).name else x.pname or (b.parseDrvName x.name).name;
    getVersion = x: if b.isString x then (b.parseDrvName x).version else x.version or (b.parseDrvName x.name).version;
    toPath = b.toPath;

    # modules
    mkIf = condition: content: { _type = "if"; inherit condition content; };
    mkMerge = contents: { _type = "merge"; inherit contents; };
    mkDefault = content: content;
    mkForce = content: content;
    mkOverride = _: content: content;
    mkOption = as: as // { _type = "option"; };
    mkEnableOption = name: lib.mkOption { description = name; default = false; };
    mkPackageOption = pkgs: name: _: lib.mkOption { default = pkgs.${name}; };
    literalExpression = text: text;

    # customisation
    makeOverridable = f: lib.setFunctionArgs
      (args:
        let
          result = f args;
          override = new: lib.makeOverridable f (args // (if lib.isFunction new then new args else new));
        in
        if b.isAttrs result then result // {
          inherit override;
        } // lib.optionalAttrs (result ? overrideAttrs) {
          overrideAttrs = g: lib.makeOverridable (a: (f a).overrideAttrs g) args;
        }
        else if lib.isFunction result then lib.setFunctionArgs result (lib.functionArgs result) // { inherit override; }
        else result)
      (lib.functionArgs f);
    callPackageWith = auto: fn: args:
      let f = if lib.isFunction fn then fn else import fn;
      in lib.makeOverridable f (b.intersectAttrs (lib.functionArgs f) auto // args);
    callPackagesWith = auto: fn: args:
      let f = if lib.isFunction fn then fn else import fn;
      in b.mapAttrs (n: _: (lib.makeOverridable (a: (f a).${n}) (b.intersectAttrs (lib.functionArgs f) auto // args)))
        (f (b.intersectAttrs (lib.functionArgs f) auto // args));
    makeScope = newScope: f:
      let
        self = f self // {
          newScope = scope: newScope (self // scope);
          callPackage = self.newScope { };
          overrideScope = g: lib.makeScope newScope (lib.extends g f);
          packages = f;
        };
      in
      self;
    packagesFromDirectoryRecursive = { callPackage, directory, ... }@args:
      if b.pathExists (directory + "/package.nix") then callPackage (directory + "/package.nix") { }
      else lib.concatMapAttrs
        (name: type:
          let path = directory + "/${name}"; in
          if type == "directory" then { ${name} = lib.packagesFromDirectoryRecursive (args // { directory = path; }); }
          else if type == "regular" && lib.hasSuffix ".nix" name then { ${lib.removeSuffix ".nix" name} = callPackage path { }; }
          else { })
        (b.readDir directory);

    strings = lib;
    attrsets = lib;
    lists = lib;
    trivial = lib;
    customisation = lib;
    fixedPoints = lib;
    filesystem = lib;
    sources = import ./sources.nix lib;
    inherit (lib.sources) cleanSource cleanSourceWith cleanSourceFilter sourceByRegex sourceFilesBySuffices;
    fileset = import ./fileset.nix lib;
    extend = f: let self = lib // f self lib; in self;
    nixosSystem = args: { config = { }; inherit args; };
  };
in
lib
