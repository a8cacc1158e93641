# shellcheck shell=bash disable=SC2317,SC2181 # functions for the phases that are evaluated here; the exit code of a subshell
# Runs the phases of all cases below the folder $1, each in a fresh copy of its tree, as stdenv would: `set -e`, `pipefail`.
set -u
root=$1
if [ "$(id -u)" = 0 ] && [ -z "${dropped-}" ]; then
    # Root without its capabilities cannot write to files and folders of the store either.
    mkdir -p "$root/store"
    for file in "$root"/in/l/*.json "$root"/in/f/*; do
        cp -r "$file" "$root/store/00000000000000000000000000000000-$(basename "$file")"
    done
    for tree in plain shrunk bare; do cp -r "$root/in/$tree" "$root/store/11111111111111111111111111111111-$tree"; done
    chmod -R a-w "$root/store"
    dropped=1 exec setpriv --bounding-set=-all --inh-caps=-all bash "$0" "$root"
elif [ -z "${dropped-}" ]; then
    mkdir -p "$root/store"
    for file in "$root"/in/l/*.json "$root"/in/f/*; do
        cp -r "$file" "$root/store/00000000000000000000000000000000-$(basename "$file")"
    done
    for tree in plain shrunk bare; do cp -r "$root/in/$tree" "$root/store/11111111111111111111111111111111-$tree"; done
    chmod -R a-w "$root/store"
fi

# nixpkgs' cp knows `--update=none`, which GNU coreutils have had since 9.3; it means what `-n` does in this one.
if ! cp --update=none /dev/null "$root/none" 2>/dev/null; then
    cp() {
        local words=() word
        for word; do
            [ "$word" = --update=none ] && word=-n
            words+=("$word")
        done
        command cp "${words[@]}"
    }
fi
rm -f "$root/none"

# A builder does not own the store: through a link it changes no mode there. Here both have one owner.
chmod() {
    local word
    for word; do
        case $(readlink -f -- "$word") in "$root"/store/*) return 1 ;; esac
    done
    command chmod "$@"
}

# As nixpkgs has it.
substituteInPlace() {
    local files=() file
    while [ $# -gt 0 ] && [[ $1 != --* ]]; do files+=("$1"); shift; done
    [ ${#files[@]} -gt 0 ] || return 1
    for file in "${files[@]}"; do substituteOne "$file" "$@" || return 1; done
}
substituteOne() {
    local file=$1 text
    shift
    [ -f "$file" ] || return 1
    text=$(cat "$file"; echo .)
    text=${text%.}
    while [ $# -gt 0 ]; do
        case $1 in
        --replace | --replace-warn | --replace-quiet) ;;
        --replace-fail) [[ $text == *"$2"* ]] || return 1 ;;
        --subst-var-by) set -- "$1" "@$2@" "${@:3}" ;;
        *) return 1 ;;
        esac
        text=${text//"$2"/"$3"}
        shift 3
    done
    chmod +w "$file"
    printf '%s' "$text" >"$file"
}

for case in "$root"/cases/*; do
    rm -rf "$root/build"
    mkdir "$root/build"
    tree=$(<"$case/tree")
    src=$root/store/11111111111111111111111111111111-$tree
    cp -r "$src" "$root/build/$tree"
    chmod -R u+w "$root/build"
    cd "$root/build/$tree/$(<"$case/below")" || exit 1
    (
        export TMPDIR=$root/build out=$root/build/out HOME=/homeless-shelter src
        exec >/dev/null 2>&1 </dev/null
        set +u
        set -e -o pipefail
        eval "$(<"$case/prePatch")"
        eval "$(<"$case/postPatch")"
        set +e
        unset -f cp cat chmod
        if [ -f npm-shrinkwrap.json ]; then
            command cp npm-shrinkwrap.json "$case/lockfile"
        elif [ -f package-lock.json ]; then
            command cp package-lock.json "$case/lockfile"
        fi
    )
    [ $? = 0 ] || touch "$case/failed"
done
exit 0
