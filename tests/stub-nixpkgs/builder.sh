# Runs a stub derivation's script, with the few helpers of stdenv that phases of npm packages call.
# Root without its capabilities: a phase must not be able to write to the store, nor over a read-only copy.
if [ "$(id -u)" = 0 ] && [ -z "$dropped" ] && type -P setpriv >/dev/null; then
    export dropped=1
    exec setpriv --bounding-set=-all --inh-caps=-all "$BASH" -e "$0"
fi

stripHash() {
    local base
    base=$(basename -- "$1")
    [[ $base =~ ^[a-z0-9]{32}- ]] && base=${base:33}
    echo "$base"
}

# As nixpkgs has it: any number of files, and a text that is missing fails where `--replace-fail` asks for it.
substituteInPlace() {
    local files=() file
    while [ $# -gt 0 ] && [[ $1 != --* ]]; do
        files+=("$1")
        shift
    done
    [ ${#files[@]} -gt 0 ] || return 1
    for file in "${files[@]}"; do
        substituteOne "$file" "$@" || return 1
    done
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

runHook() { :; }

eval "$script"
