# Filtered sources: a set with outPath, made by builtins.path, that remembers its origin.
lib:
let
  isFiltered = src: src ? _isLibCleanSourceWith;
  origin = src: if isFiltered src then src.origSrc else src;
  keep = src: if isFiltered src then src.filter else (_: _: true);
  cleanSourceWith = { filter ? (_: _: true), src, name ? null }:
    let
      orig = origin src;
      both = path: type: keep src path type && filter path type;
      label = if name != null then name else if isFiltered src then src.name else "source";
    in
    {
      _isLibCleanSourceWith = true;
      origSrc = orig;
      filter = both;
      name = label;
      outPath = builtins.path { path = orig; filter = both; name = label; };
    };
  cleanSourceFilter = name: type:
    let base = baseNameOf (toString name); in
    !((type == "directory" && builtins.elem base [ ".git" ".svn" "CVS" ".hg" ]) || lib.hasSuffix "~" base || base == "result" || lib.hasPrefix "result-" base);
in
{
  inherit cleanSourceWith cleanSourceFilter;
  cleanSource = src: cleanSourceWith { filter = cleanSourceFilter; inherit src; };
  sourceByRegex = src: regexes:
    let root = toString (origin src); in
    cleanSourceWith {
      inherit src;
      filter = path: type:
        let rel = lib.removePrefix (root + "/") (toString path);
        in builtins.any (re: builtins.match re rel != null) regexes;
    };
  sourceFilesBySuffices = src: suffixes: cleanSourceWith {
    inherit src;
    filter = path: type: type == "directory" || builtins.any (s: lib.hasSuffix s (baseNameOf path)) suffixes;
  };
  trace = src: src;
}
