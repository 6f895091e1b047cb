# shellcheck shell=bash
# Named stages with their seconds. To be sourced.
#   larder_stage NAME COMMAND…   runs it, prints "== NAME: 12 s"; the command's status is the stage's

larder_stage() {
  local name=$1 begin=$SECONDS status=0
  shift
  echo "== $name"
  "$@" || status=$?
  if ((status == 0)); then
    echo "== $name: $((SECONDS - begin)) s"
  else
    echo "== $name: FAILED after $((SECONDS - begin)) s" >&2
  fi
  return "$status"
}

# The lines at the top of a script that begin with "# ", after its first line: its help.
larder_help() {
  sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p}' "$1"
}

larder_usage_error() {
  echo "larder: $(basename "$0"): $* (see --help)" >&2
  exit 2
}
