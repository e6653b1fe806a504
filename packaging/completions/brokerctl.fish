# Completion for fish. What can stand where, brokerctl knows itself: also the names of the objects that there are.
function __brokerctl_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l candidates (brokerctl --complete $words[2..] "$current" 2>/dev/null)
    if set -q candidates[1]
        printf '%s\n' $candidates
    else
        __fish_complete_path "$current"
    end
end
complete -c brokerctl -f -a '(__brokerctl_complete)'
