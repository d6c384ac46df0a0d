# Made by `make docs` from the commands of hotpixeld; do not edit.
_hotpixeld() {
    local current="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"
    local command="" word words="" files=""
    for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
        case "$command:$word" in
            ":run") command="run" ;;
            ":scan") command="scan" ;;
            ":rebuild") command="rebuild" ;;
            ":status") command="status" ;;
            ":report") command="report" ;;
            ":pixels") command="pixels" ;;
            ":sensors") command="sensors" ;;
            ":photos") command="photos" ;;
            ":backfill") command="backfill" ;;
            ":find") command="find" ;;
            ":correct") command="correct" ;;
            ":doctor") command="doctor" ;;
            ":check-config") command="check-config" ;;
            ":config-schema") command="config-schema" ;;
            ":systemd-dropin") command="systemd-dropin" ;;
            "pixels:list") command="pixels list" ;;
            "pixels:confirm") command="pixels confirm" ;;
            "pixels:reject") command="pixels reject" ;;
            "pixels:forget") command="pixels forget" ;;
            "pixels:add") command="pixels add" ;;
            "pixels:export") command="pixels export" ;;
            "pixels:import") command="pixels import" ;;
            "sensors:list") command="sensors list" ;;
            "sensors:forget") command="sensors forget" ;;
            "photos:list") command="photos list" ;;
            "photos:retry") command="photos retry" ;;
        esac
    done
    case "$command $before" in
        "run -c"|"run --config") files=1 ;;
        "scan -c"|"scan --config") files=1 ;;
        "rebuild -c"|"rebuild --config") files=1 ;;
        "status -c"|"status --config") files=1 ;;
        "report -c"|"report --config") files=1 ;;
        "report -o"|"report --output") files=1 ;;
        "pixels list -c"|"pixels list --config") files=1 ;;
        "pixels list --sensor") words= ;;
        "pixels confirm -c"|"pixels confirm --config") files=1 ;;
        "pixels confirm --sensor") words= ;;
        "pixels reject -c"|"pixels reject --config") files=1 ;;
        "pixels reject --sensor") words= ;;
        "pixels forget -c"|"pixels forget --config") files=1 ;;
        "pixels forget --sensor") words= ;;
        "pixels add -c"|"pixels add --config") files=1 ;;
        "pixels add --sensor") words= ;;
        "pixels export -c"|"pixels export --config") files=1 ;;
        "pixels export --sensor") words= ;;
        "pixels export --format") words="dcraw rawtherapee jpegpixi siril pixinsight phd2 mask json" ;;
        "pixels export -o"|"pixels export --output") files=1 ;;
        "pixels import -c"|"pixels import --config") files=1 ;;
        "pixels import --sensor") words= ;;
        "pixels import --format") words="dcraw rawtherapee jpegpixi siril pixinsight phd2 mask json" ;;
        "sensors list -c"|"sensors list --config") files=1 ;;
        "sensors forget -c"|"sensors forget --config") files=1 ;;
        "photos list -c"|"photos list --config") files=1 ;;
        "photos list --state") words="waiting pending folded similar duplicate refused lost own-copy none written unaffected failed" ;;
        "photos retry -c"|"photos retry --config") files=1 ;;
        "backfill -c"|"backfill --config") files=1 ;;
        "backfill --jobs") words= ;;
        "backfill --scheduler") words= ;;
        "find --top") words= ;;
        "find --jobs") words= ;;
        "correct -o"|"correct --output") files=1 ;;
        "doctor -c"|"doctor --config") files=1 ;;
        "check-config -c"|"check-config --config") files=1 ;;
        "systemd-dropin -c"|"systemd-dropin --config") files=1 ;;
        *) case "$command" in
            "") words="run scan rebuild status report pixels sensors photos backfill find correct doctor check-config config-schema systemd-dropin -h --help --version" ;;
            "run") words="-h --help -c --config" ;;
            "scan") words="-h --help -c --config --dry-run" ;;
            "rebuild") words="-h --help -c --config" files=1 ;;
            "status") words="-h --help -c --config --json" ;;
            "report") words="-h --help -c --config -o --output" ;;
            "pixels") words="list confirm reject forget add export import -h --help" ;;
            "pixels list") words="-h --help -c --config --json --sensor" ;;
            "pixels confirm") words="-h --help -c --config --sensor --held" ;;
            "pixels reject") words="-h --help -c --config --sensor" ;;
            "pixels forget") words="-h --help -c --config --sensor" ;;
            "pixels add") words="-h --help -c --config --sensor" ;;
            "pixels export") words="-h --help -c --config --sensor --format -o --output" ;;
            "pixels import") words="-h --help -c --config --sensor --format" files=1 ;;
            "sensors") words="list forget -h --help" ;;
            "sensors list") words="-h --help -c --config --json" ;;
            "sensors forget") words="-h --help -c --config" ;;
            "photos") words="list retry -h --help" ;;
            "photos list") words="-h --help -c --config --json --state" ;;
            "photos retry") words="-h --help -c --config" files=1 ;;
            "backfill") words="-h --help -c --config --jobs --scheduler" files=1 ;;
            "find") words="-h --help --top --jobs --json" files=1 ;;
            "correct") words="-h --help -o --output --displayed --reencode --force" files=1 ;;
            "doctor") words="-h --help -c --config --json" ;;
            "check-config") words="-h --help -c --config" files=1 ;;
            "config-schema") words="-h --help" ;;
            "systemd-dropin") words="-h --help -c --config" ;;
        esac ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    if [[ -n $files && $current != -* ]]; then
        compopt -o filenames 2>/dev/null
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
    fi
}
complete -F _hotpixeld hotpixeld
