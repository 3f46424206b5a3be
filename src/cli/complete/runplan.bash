# The program is asked with the line as it stands, since bash takes `keep=` and what follows for words of their own.
_runplan() {
    local word
    COMPREPLY=()
    while IFS= read -r word; do
        COMPREPLY+=("$word")
    done < <(RUNPLAN_COMPLETE=bash @PROGRAM@ -- "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    # What goes on is not followed by a blank.
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o nosort -F _runplan runplan 2>/dev/null || complete -F _runplan runplan
