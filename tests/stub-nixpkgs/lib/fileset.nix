# File sets as predicates over absolute paths; folders that hold nothing of the set may stay as empty folders.
lib:
let
  make = has: { _type = "fileset"; inherit has; };
  under = path: str: str == toString path || lib.hasPrefix (toString path + "/") str;
  coerce = x:
    if (x._type or null) == "fileset" then x
    else if x ? _isLibCleanSourceWith then make (str: under x.origSrc str && x.filter str "regular")
    else if builtins.isPath x then
      (if builtins.pathExists x then make (under x) else throw "lib.fileset: ${toString x} does not exist")
    else throw "lib.fileset: not a file set";
  union = a: b: make (str: (coerce a).has str || (coerce b).has str);
in
{
  inherit union;
  unions = xs: builtins.foldl' union (make (_: false)) xs;
  intersection = a: b: make (str: (coerce a).has str && (coerce b).has str);
  difference = a: b: make (str: (coerce a).has str && !((coerce b).has str));
  maybeMissing = path: make (under path);
  fileFilter = pred: path: make (str: under path str && pred {
    name = baseNameOf str;
    type = "regular";
    hasExt = ext: lib.hasSuffix ".${ext}" str;
  });
  gitTracked = path: make (under path);
  gitTrackedWith = _: path: make (under path);
  fromSource = src: coerce src;
  empty = make (_: false);
  toSource = { root, fileset }:
    let set = coerce fileset; in
    lib.cleanSourceWith {
      src = root;
      filter = path: type: type == "directory" || set.has path;
    };
  toList = _: throw "lib.fileset.toList is not modelled";
  trace = _: x: x;
}
