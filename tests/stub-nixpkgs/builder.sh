# Runs a stub derivation's script, with the few helpers of stdenv that phases of npm packages call.
# Root without its capabilities: a phase must not be able to write to the store, nor over a read-only copy.
if [ "$(id -u)" = 0 ] && [ -z "$dropped" ] && type -P setpriv >/dev/null; then
    export dropped=1
    exec setpriv --bounding-set=-all --inh-caps=-all "$BASH" -e "$0"
fi

stripHash() {
    local base
    base=$(basename "$1")
    [[ $base =~ ^[a-z0-9]{32}- ]] && base=${base:33}
    echo "$base"
}

substituteInPlace() {
    local file=$1 text
    shift
    text=$(cat "$file"; echo .)
    text=${text%.}
    while [ $# -gt 0 ]; do
        case $1 in
        --replace | --replace-fail | --replace-warn | --replace-quiet)
            text=${text//"$2"/"$3"}
            shift 3
            ;;
        *) shift ;;
        esac
    done
    printf '%s' "$text" >"$file"
}

runHook() { :; }

eval "$script"
