function __runplan_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l raw (commandline --current-token --cut-at-cursor)
    set -l word (string unescape -- "$raw")
    or set word "$raw"
    RUNPLAN_COMPLETE=fish @PROGRAM@ -- $words "$word" 2>/dev/null
end
complete --command runplan --no-files --keep-order --arguments '(__runplan_complete)'
