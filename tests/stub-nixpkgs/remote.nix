# Sources that are not in the repository. Their output says so; nothing is downloaded.
{ mkDerivation }:
let
  remote = { name ? "source", ... }@args: mkDerivation {
    inherit name;
    stubEnv.remote = "1";
    script = "mkdir $out; touch $out/.remote";
    passthru = removeAttrs args [ "name" "passthru" "postFetch" "extraPostFetch" ];
  };
  remoteFile = { url ? "file", name ? baseNameOf url, ... }@args: mkDerivation {
    name = builtins.replaceStrings [ "?" "=" "&" "%" ] [ "-" "-" "-" "-" ] name;
    stubEnv.remote = "1";
    script = "echo REMOTE >$out";
    passthru = removeAttrs args [ "name" "passthru" "postFetch" ];
  };
in
{
  inherit remote remoteFile;
}
