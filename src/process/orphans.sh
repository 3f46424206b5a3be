# Waits for the end of the program that writes to it, and kills what that has started. Runs in any sh of POSIX.
#
# Lines: `?` a program is about to be started, `+ ID` it was, `!` it was not, `- ID` it has ended. An ID is a process, or
# with a minus a process group. $1 is the program that writes, $2 its process group.
trap '' HUP INT QUIT TERM
all=' '
starting=0
while read -r what id; do
  case $what in
    '?') starting=$((starting + 1)) ;;
    '!') starting=$((starting - 1)) ;;
    +) starting=$((starting - 1)) all="$all$id " ;;
    -) all="${all%%" $id "*} ${all#*" $id "}" ;;
  esac
done
for id in $all; do kill -s KILL -- "$id"; done

# One that was being started has a number that nobody could tell. On Linux it is found: since we were started, in our
# session, in a group of its own or in that of the program, and with the parent that we have got now.
[ "$starting" -gt 0 ] && [ -r /proc/self/stat ] || exit 0
fields() {
  read -r stat 2>/dev/null < "/proc/$1/stat" && stat=${stat##*) }
}
program=$1 group=$2
while fields $$ && set -- $stat && [ "$2" = "$program" ]; do sleep 0.05 || sleep 1; done
parent=$2 session=$4 since=${20}
for id in /proc/[0-9]*; do
  id=${id#/proc/}
  [ "$id" != $$ ] && fields "$id" && set -- $stat || continue
  [ "$2 $4" = "$parent $session" ] && [ "${20}" -ge "$since" ] || continue
  case $3 in "$id") kill -s KILL -- "-$id" ;; "$group") kill -s KILL "$id" ;; esac
done
