# What nixpkgs does between a source and its lockfile: unpack, sourceRoot, patch. The output is the lockfile that
# would be hashed.
set +e

# A remote source's output holds `.remote`; its content is unknown, so a lockfile that says so stands in for it.
remoteTree() {
    mkdir -p "$1"
    touch "$1/.remote"
    [ -e "$1/package-lock.json" ] || echo REMOTE >"$1/package-lock.json"
}

unpackOne() {
    local src=$1 name
    name=$(stripHash "$src")
    if [ -d "$src" ]; then
        cp -r -- "$src" "$name"
        chmod -R u+w -- "$name"
        [ -e "$name/.remote" ] && remoteTree "$name"
    elif [ -e "$src" ]; then
        name=package
        remoteTree "$name"
    else
        remoteTree "$name"
    fi
    dirs+=("$name")
}

# The stand-in lockfile of a remote source may be one that the real source does not have.
ln() { command ln -f "$@"; }

# A phase may make the folder $out, where the real fetcher puts its cache; here the output is one file.
lockfile=$out
out=$PWD/out

dirs=()
mkdir work && cd work
for one in $src $srcs; do unpackOne "$one"; done
if [ -n "$setSourceRoot" ]; then
    eval "$setSourceRoot"
elif [ -z "$sourceRoot" ]; then
    if [ ${#dirs[@]} -ne 1 ]; then
        echo "MISSING several folders and no sourceRoot" >"$lockfile"
        exit 0
    fi
    sourceRoot=${dirs[0]}
fi
eval "$postUnpack"

# The folder of a flake is called `source` in a real evaluation, and after its place on disk here.
if [ ! -d "$sourceRoot" ] && [ ${#dirs[@]} -eq 1 ] && [[ "$sourceRoot/" == source/* ]]; then
    sourceRoot="${dirs[0]}/${sourceRoot#source}"
fi
if [ ! -d "$sourceRoot" ] && [ -e "${dirs[0]}/.remote" ]; then remoteTree "$sourceRoot"; fi
if ! cd -- "$sourceRoot"; then
    echo "MISSING no folder $sourceRoot" >"$lockfile"
    exit 0
fi

# A failing command fails the build, as in nixpkgs; but of a remote source the files are not there, so there it does not.
if [ ! -e .remote ]; then
    trap 'echo "FAILED $BASH_COMMAND" >"$lockfile"; exit 0' EXIT
    set -e
fi
eval "$prePatch"
# shellcheck disable=SC2086 # several flags
for p in $patches; do patch ${patchFlags:--p1} --no-backup-if-mismatch <"$p"; done
eval "$postPatch"
eval "$preBuild"
set +e
trap - EXIT

if [ -f npm-shrinkwrap.json ]; then
    cp npm-shrinkwrap.json "$lockfile"
elif [ -f package-lock.json ]; then
    cp package-lock.json "$lockfile"
else
    echo "MISSING no lockfile" >"$lockfile"
fi
chmod -x "$lockfile"
exit 0
