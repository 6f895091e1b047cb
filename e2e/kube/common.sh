# shellcheck shell=bash disable=SC2034
# Paths, addresses, processes and waits of the test cluster. To be sourced by the programs of this folder.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
# shellcheck source=scripts/lib/stages.sh
source "$HERE/../../scripts/lib/stages.sh"

# A CI may start us without it, and go needs it, too.
HOME=${HOME:-$(getent passwd "$EUID" | cut -d: -f6)}
export HOME
KUBE_DIR=${KUBE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/larder-kube} # everything that is made
BIN=$KUBE_DIR/bin
IMAGES=$KUBE_DIR/images
RUN=$KUBE_DIR/run # state of the running cluster, removed by down
LOG=$KUBE_DIR/log # kept by down, emptied by the next up
PKI=$RUN/pki

# The first octets of the nodes' /24, the pods' /16 and the services' /16. A running cluster keeps those it began with.
if [[ -f $RUN/net ]]; then read -r KUBE_NET KUBE_PODS KUBE_SERVICES <"$RUN/net"; fi
KUBE_NET=${KUBE_NET:-10.200.0}
KUBE_PODS=${KUBE_PODS:-10.244}
KUBE_SERVICES=${KUBE_SERVICES:-10.96}
ETCD_PORT=${ETCD_PORT:-12379} # and the next one, on the host's loopback
export KUBE_DIR KUBE_NET KUBE_PODS KUBE_SERVICES

GATEWAY=$KUBE_NET.1 # the host on the bridge: API server, registry, DNS
REGISTRY=$GATEWAY:5000
BRIDGE=larder0
MAX_NODES=9
DOCKER_DIR=$KUBE_DIR/docker
DOCKER_SOCK=$DOCKER_DIR/docker.sock

export KUBECONFIG=$PKI/admin.kubeconfig KUBECACHEDIR=$RUN/kubectl
export HELM_CACHE_HOME=$KUBE_DIR/helm/cache HELM_CONFIG_HOME=$KUBE_DIR/helm/config HELM_DATA_HOME=$KUBE_DIR/helm/data

log() { echo "[$(date +%H:%M:%S)] $*" >&2; }
die() {
  echo "larder: ${0##*/}: $*" >&2
  exit 1
}
help_if_asked() {
  case ${1:-} in -h | --help) larder_help "$0" && exit 0 ;; esac
}

[[ $KUBE_DIR =~ ^/[A-Za-z0-9._/+-]+$ ]] ||
  die "KUBE_DIR must be an absolute path of letters, digits and ._/+-, not '$KUBE_DIR'"
case $KUBE_DIR/ in
  /run/* | /var/run/* | /var/log/* | /var/lib/*) die "KUBE_DIR=$KUBE_DIR is hidden by the nodes' own mounts (choose another)" ;;
esac
[[ $KUBE_NET =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] || die "KUBE_NET must be three octets such as 10.200.0, not '$KUBE_NET'"
for octets in "$KUBE_PODS" "$KUBE_SERVICES"; do
  [[ $octets =~ ^[0-9]+\.[0-9]+$ ]] || die "KUBE_PODS and KUBE_SERVICES must be two octets such as 10.244, not '$octets'"
done

need_root() { ((EUID == 0)) || die "must run as root (namespaces, mounts, network)"; }
need_binaries() { [[ -x $BIN/hyper ]] || die "no binaries in $BIN (run $HERE/build)"; }
need_cluster() { alive "$RUN/pids/apiserver" || die "no cluster in $KUBE_DIR (run $HERE/up)"; }

# What makes or ends a cluster holds the lock of KUBE_DIR, once for all that it calls. Descriptor 9, which start_in closes.
hold_lock() {
  if [[ ${LARDER_KUBE_LOCK:-} == "$KUBE_DIR" ]]; then return 0; fi
  mkdir -p "$KUBE_DIR"
  exec 9>>"$KUBE_DIR/lock"
  flock -n 9 || die "process $(<"$KUBE_DIR/lock") works in $KUBE_DIR (wait for it, or choose another KUBE_DIR)"
  echo $$ >"$KUBE_DIR/lock"
  export LARDER_KUBE_LOCK=$KUBE_DIR
}

# A process is recorded as "PID STARTTIME", so that a number which the kernel gave out again is never taken for it.
# Prints the record of PID; fails when that is dead or a zombie.
process_record() {
  local stat fields
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  read -ra fields <<<"${stat##*) }"
  [[ ${fields[0]} != Z ]] && echo "$1 ${fields[19]}"
}
# Whether the process that FILE records still runs.
alive() {
  local record
  record=$(cat "$1" 2>/dev/null) && [[ -n $record && $(process_record "${record% *}") == "$record" ]]
}
recorded_pid() { cut -d' ' -f1 "$1"; }

# start_in PIDFILE LOGFILE COMMAND…: a process of its own session, unless it runs already.
start_in() {
  local pidfile=$1 logfile=$2
  shift 2
  if alive "$pidfile"; then return 0; fi
  setsid "$@" >>"$logfile" 2>&1 </dev/null 9>&- &
  process_record $! >"$pidfile" || die "$1 ended at once: $(tail -n 1 "$logfile")"
}
start() {
  local name=$1
  shift
  start_in "$RUN/pids/$name" "$LOG/$name.log" "$@"
}
# stop_recorded SECONDS PIDFILE…: SIGTERM to all, SIGKILL to those that are left after SECONDS.
stop_recorded() {
  local end=$((SECONDS + $1)) file
  shift
  for file; do
    if alive "$file"; then kill "$(recorded_pid "$file")" 2>/dev/null || true; fi
  done
  for file; do
    while alive "$file" && ((SECONDS < end)); do sleep 0.1; done
    if alive "$file"; then kill -KILL "$(recorded_pid "$file")" 2>/dev/null || true; fi
    rm -f "$file"
  done
}
# poll SECONDS COMMAND…: until it succeeds; fails after SECONDS.
poll() {
  local end=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    ((SECONDS < end)) || return 1
    sleep 0.2
  done
}
# wait_for SECONDS WHAT COMMAND…
wait_for() {
  local seconds=$1 what=$2
  shift 2
  poll "$seconds" "$@" || die "no $what after $seconds s (logs are in $LOG)"
}

node_ready() { "$BIN/kubectl" get node "$1" --request-timeout=10s --no-headers 2>/dev/null | grep -qw Ready; }
node_ip() { echo "$KUBE_NET.1${1#n}"; } # n1 is 10.200.0.11
node_pods() { echo "$KUBE_PODS.${1#n}.0/24"; }

# The network's number of a.b.c.d/LENGTH, of its first BITS bits.
leading_bits() {
  local a b c d
  IFS=. read -r a b c d <<<"${1%/*}"
  echo $((((a << 24) + (b << 16) + (c << 8) + d) >> (32 - $2)))
}
# Whether two networks have addresses in common. A route without a length is to one address.
overlap() {
  local one=$1 two=$2 shorter
  [[ $one == */* ]] || one=$one/32
  [[ $two == */* ]] || two=$two/32
  shorter=$((${one#*/} < ${two#*/} ? ${one#*/} : ${two#*/}))
  ((shorter == 0)) || (($(leading_bits "$one" $shorter) == $(leading_bits "$two" $shorter)))
}

cgroup_mounts() { awk '$3 == "cgroup" || $3 == "cgroup2" {print $2}' /proc/mounts | sort -u; }
# Removes the cgroup NAME from every hierarchy; fails while a process is left in it.
cgroup_remove() {
  local mount left=0
  for mount in $(cgroup_mounts); do
    [[ -d $mount/$1 ]] || continue
    find "$mount/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
    [[ ! -d $mount/$1 ]] || left=1
  done
  return $left
}
# What the cluster changes of the kernel's settings: saved by up, put back by down.
SYSCTLS=(
  net.ipv4.ip_forward fs.inotify.max_user_instances fs.inotify.max_user_watches
  kernel.panic kernel.panic_on_oops vm.overcommit_memory
)

# The docker client on our own daemon. The legacy builder, as Debian has no buildx.
docker_client() {
  local client
  client=$(type -aP docker | grep -vxF "$HERE/docker" | head -n 1) || true
  [[ -n $client ]] || die "no docker client (run $HERE/install)"
  DOCKER_HOST=unix://$DOCKER_SOCK DOCKER_BUILDKIT=${DOCKER_BUILDKIT:-0} "$client" "$@"
}
