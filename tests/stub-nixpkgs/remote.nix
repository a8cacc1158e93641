# Sources that are not in the repository. Their output says so; nothing is downloaded. What would be, and the hash that Nix would
# want of it, stand in the derivation.
{ mkDerivation }:
let
  asked = args: {
    remote = "1";
    fetchedUrl = args.url or (if args ? urls then builtins.head args.urls else "");
    fetchedHash = args.hash or (args.narHash or (args.outputHash or (args.sha256 or (args.sha512 or (args.sha1 or "")))));
  };
  remote = { name ? "source", ... }@args: mkDerivation {
    inherit name;
    stubEnv = asked args;
    script = "mkdir $out; touch $out/.remote";
    passthru = removeAttrs args [ "name" "passthru" "postFetch" "extraPostFetch" ];
  };
  remoteFile = { url ? "file", name ? baseNameOf url, ... }@args: mkDerivation {
    name = builtins.replaceStrings [ "?" "=" "&" "%" ] [ "-" "-" "-" "-" ] name;
    stubEnv = asked args;
    script = "echo REMOTE >$out";
    passthru = removeAttrs args [ "name" "passthru" "postFetch" ];
  };
in
{
  inherit remote remoteFile;
}
