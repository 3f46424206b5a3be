#compdef runplan
_runplan() {
    local line word found=1 width=0
    local -a lines shown how
    lines=("${(@f)$(RUNPLAN_COMPLETE=zsh @PROGRAM@ -- "${(@Q)words[1,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    for line in $lines; do
        word=${line%%$'\t'*}
        (( $#word > width )) && width=$#word
    done
    for line in $lines; do
        word=${line%%$'\t'*} shown=("${(r:width:)word}  ${line#*$'\t'}") how=()
        # What goes on is not followed by a blank.
        [[ $word == *[=/:] ]] && how+=(-S '')
        # A tilde that was typed is the home folder.
        [[ $word == '~/'* && $PREFIX == '~/'* && -z $compstate[quote] ]] && how+=(-Q) word="~/${(q)word#\~/}"
        compadd -V runplan -l -d shown "${(@)how}" -- $word && found=0
    done
    return found
}
if [[ ${funcstack[1]} == _runplan ]]; then _runplan "$@"; else compdef _runplan runplan; fi
