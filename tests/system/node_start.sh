#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How a node starts and what it is then: rights of every thread, low ports, secrets out of sight,
# what a reload takes, what the installation puts where; and doctor with faults planted.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place node-start
log=$SCRATCH/log
said() { grep -q -- "$1" "$log"; }
# caps FIELD: the values of all threads of the node, each once.
caps() { awk -v f="$1:" '$1 == f { print $2 }' /proc/"$NODE_PID"/task/*/status | sort -u | tr '\n' ' '; }
answers() { in_b curl -s -o /dev/null --max-time 5 "http://$1/"; }

# ---- rights ----
mkdir -m 700 "$SCRATCH/own"
chmod 711 "$SCRATCH"
chown nobody "$SCRATCH/own"
: >"$log"
start_in "$NS_B" "$PR_NODE" --user nobody --http-addr 127.0.0.1:80 --database "$SCRATCH/own/p.db" 2>"$log"
NODE_PID=$STARTED
if wait_for 15 said "is ready"; then
    check "a user listens on a port that is root's" answers 127.0.0.1:80
    # A request for sessions goes to the worker threads.
    in_b curl -s -o /dev/null http://127.0.0.1/api/v1/sessions
    check "there is more than one thread by then" test -n "$(find "/proc/$NODE_PID/task" -mindepth 1 -maxdepth 1 ! -name "$NODE_PID")"
    check_equal "every thread may capture and transmit, nothing else" "0000000000003000 " "$(caps CapEff)"
    check_equal "nor can it take more" "0000000000003000 " "$(caps CapPrm)"
    check_equal "nor a child" "0000000000000000 " "$(caps CapAmb)"
    check_equal "nor by a program with capabilities" "1 " "$(caps NoNewPrivs)"
    check_equal "the bounding set is as small" "0000000000003000 " "$(caps CapBnd)"
    check_equal "it is nobody in every thread" "65534 " "$(caps Uid)"
    check_equal "its memory is nobody's to read" 0:0 "$(stat -c %u:%g "/proc/$NODE_PID/environ")"
    stop "$NODE_PID"
    check_equal "it ends with 0" 0 $?
else
    not_ok "a node starts with --user and a low port"
    sed 's/^/# /' "$log"
fi

plain_user() { in_b setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all "$@"; }
check "without rights a low port is refused, with the way out" bash -c 'grep -q "take a higher one" <<<"$1"' _ \
    "$(plain_user "$PR_NODE" --http-addr 127.0.0.1:80 --database "$SCRATCH/own/p.db" 2>&1)"
check "only root becomes somebody else" bash -c 'grep -q "only root can become" <<<"$1"' _ \
    "$(plain_user "$PR_NODE" --user root --database "$SCRATCH/own/p.db" 2>&1)"

mkdir -m 755 "$SCRATCH/other"
chown 12345 "$SCRATCH/other"
start_node "$log" --database "$SCRATCH/other/p.db" || not_ok "a node starts in somebody else's place"
check "root without the right to write there is told so at the start" said "no right to write into"
stop "$NODE_PID"

# ---- secrets ----
: >"$log"
PACKETRECORDER_DB_KEY=hunter2-environment start_in "$NS_B" "$PR_BIN" serve --http-addr 127.0.0.1:0 \
    --database "$SCRATCH/secret.db" 2>"$log"
wait_for 15 said "is ready" || not_ok "a node with a key starts"
seen() { tr '\0' '\n' <"/proc/$STARTED/$1" | grep -q hunter2; }
check_exit "a key of the environment is in no argv" 1 seen cmdline
check_exit "and no longer in the environment" 1 seen environ
stop "$STARTED"
: >"$log"
start_in "$NS_B" "$PR_BIN" serve --http-addr 127.0.0.1:0 --database "$SCRATCH/secret.db" \
    --encryption-key hunter2-flag 2>"$log"
wait_for 15 said "is ready" || not_ok "a node with a key of the command line starts"
check_exit "a key of the command line is not handed on in argv" 1 seen cmdline
check_exit "nor left in the environment" 1 seen environ
check "and it is warned of" said "can be seen by other users"
check_exit "no log line holds a key" 1 said hunter2
stop "$STARTED"

# ---- reload ----
conf=$SCRATCH/node.conf
printf '[node]\nlog-level = info\n[http]\nmax-connections = 5\n' >"$conf"
start_node "$log" --config "$conf" || not_ok "a node with a file starts"
printf '[node]\nlog-level = debug\n[http]\nmax-connections = 6\n' >"$conf"
kill -HUP "$NODE_PID"
check "a reload names what needs a restart" wait_for 5 said "'max-connections' is another one"
printf '[node]\nbananas = 1\n' >"$conf"
kill -HUP "$NODE_PID"
check "a bad file changes nothing, and is named" wait_for 5 said "unknown name 'bananas'"
kill -TERM "$NODE_PID"
check "the new log level is in force" wait_for 5 said "debug: closing"
wait "$NODE_PID"

# ---- config ----
printf '[node]\nbananas = 1\nlog-level = x\n[htp]\n[http]\nhttp-addr = 0.0.0.0:1\n' >"$conf"
check_equal "config check tells every problem with its line" "2 3 4 6 " \
    "$("$PR_BIN" config check "$conf" 2>/dev/null | sed 's/^[^:]*:\([0-9]*\):.*/\1/' | tr '\n' ' ')"
check_exit "and ends with 1" 1 "$PR_BIN" config check "$conf"
printf '[node]\nlog-level = debug\n' >"$conf"
check_exit "a good file with 0" 0 "$PR_BIN" config check "$conf"
PACKETRECORDER_DB_KEY=hunter2 "$PR_BIN" config show "$conf" >"$SCRATCH/shown"
check "config show tells where a value comes from" grep -q '^log-level = debug *; file, line 2' "$SCRATCH/shown"
check "and what no value means" grep -q '^quota = 0 *; default: none$' "$SCRATCH/shown"
check_exit "and hides secrets" 1 grep -q hunter2 "$SCRATCH/shown"
check_exit "what it shows is a file again" 0 "$PR_BIN" config check "$SCRATCH/shown"

# ---- doctor ----
# finding CHECK: "STATE MEND" of what it found, in namespace B.
finding() {
    local check=$1
    shift
    # shellcheck disable=SC2086 # several words
    in_b "$@" doctor --json --database "${DOCTOR_DB:-$SCRATCH/p.db}" ${DOCTOR_ARGS:-} 2>/dev/null |
        python3 -c '
import json, sys
worst = max((f for f in json.load(sys.stdin) if f["check"] == sys.argv[1]),
            key=lambda f: ["ok", "note", "problem"].index(f["state"]))
print(worst["state"], worst["mend"] or "-")' "$check"
}
check_equal "doctor: root may capture" "ok -" "$(finding rights "$PR_BIN")"
mkdir -m 755 "$SCRATCH/bin"
cp "$PR_BIN" "$PR_NODE" "$SCRATCH/bin"
chmod 755 "$SCRATCH" "$SCRATCH/bin"/*
check_equal "doctor: somebody else may not, and setcap mends it" \
    "problem sudo setcap cap_net_raw,cap_net_admin+ep $SCRATCH/bin/packetrecorderd" \
    "$(PACKETRECORDERD=$SCRATCH/bin/packetrecorderd finding rights setpriv --reuid=65534 --regid=65534 \
        --clear-groups --inh-caps=-all "$SCRATCH/bin/packetrecorder")"
in_b ethtool -K "$IF_B" gro off tso off gso off >/dev/null
check_equal "doctor: no offload" "ok -" "$(finding offloads "$PR_BIN")"
in_b ethtool -K "$IF_B" gro on >/dev/null
check_equal "doctor: an offload, and ethtool mends it" "problem ethtool -K $IF_B gro off" \
    "$(finding offloads "$PR_BIN")"
in_b bash -c "$(finding offloads "$PR_BIN" | cut -d' ' -f2-)" >/dev/null
check_equal "doctor: the command does mend it" "ok -" "$(finding offloads "$PR_BIN")"
mkdir "$SCRATCH/full"
mount -t tmpfs -o size=1m none "$SCRATCH/full" && at_exit umount "$SCRATCH/full"
head -c 1000000 /dev/zero >"$SCRATCH/full/x"
check_equal "doctor: a full disk, and prune mends it" \
    "problem packetrecorder prune -d $SCRATCH/full/p.db --max-age 7d" \
    "$(DOCTOR_DB=$SCRATCH/full/p.db finding disk "$PR_BIN")"
mount -o remount,ro "$SCRATCH/full"
check "doctor: a read-only disk" grep -q "^problem mount -o remount,rw" <<<"$(
    DOCTOR_DB=$SCRATCH/full/p.db finding disk "$PR_BIN")"
check_equal "doctor: no such place" "problem mkdir -p $SCRATCH/nowhere" \
    "$(DOCTOR_DB=$SCRATCH/nowhere/p.db finding disk "$PR_BIN")"
port=$(in_b python3 -c '
import socket
s = socket.create_server(("127.0.0.1", 0))
print(s.getsockname()[1])')
start_in "$NS_B" python3 -c "
import socket, time
s = socket.create_server(('127.0.0.1', $port))
time.sleep(600)"
wait_for 10 in_b bash -c "ss -ltn | grep -q :$port"
check_equal "doctor: a port that another has" "problem ss -ltnp 'sport = :$port'" \
    "$(DOCTOR_ARGS="--http-addr 127.0.0.1:$port" finding ports "$PR_BIN")"
kill -9 "$STARTED"
start_node "$log" || not_ok "a node starts"
check_equal "doctor: a port that a node has is well" "ok -" \
    "$(DOCTOR_ARGS="--http-addr 127.0.0.1:$NODE_PORT" finding ports "$PR_BIN")"
stop "$NODE_PID"
"$PR_BIN" keys db-new >"$SCRATCH/store.key"
chmod 644 "$SCRATCH/store.key"
check_equal "doctor: a key that others can read" "problem chmod 600 $SCRATCH/store.key" \
    "$(DOCTOR_ARGS="--encryption-key-file $SCRATCH/store.key" finding encryption "$PR_BIN")"
chmod 600 "$SCRATCH/store.key"
check_equal "doctor: a key that is well kept" "ok -" \
    "$(DOCTOR_ARGS="--encryption-key-file $SCRATCH/store.key" finding encryption "$PR_BIN")"
PACKETRECORDER_DB_KEY=another in_b timeout 20 "$PR_BIN" capture -i lo -t 0.1 \
    -d "$SCRATCH/other.db" >/dev/null 2>&1
check "doctor: a key that does not open the store" grep -q "^problem" <<<"$(
    DOCTOR_DB=$SCRATCH/other.db DOCTOR_ARGS="--encryption-key-file $SCRATCH/store.key" \
        finding store "$PR_BIN")"
check "doctor: other hosts without an API key" grep -q "^problem packetrecorder keys add" <<<"$(
    DOCTOR_ARGS="--insecure --http-addr 0.0.0.0:1" finding keys "$PR_BIN")"
certificate() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$SCRATCH/node.key" \
        -out "$SCRATCH/node.crt" -days "$1" -subj /CN=node >/dev/null 2>&1
    chmod 600 "$SCRATCH/node.key"
}
if command -v openssl >/dev/null; then
    tls="--tls-cert $SCRATCH/node.crt --tls-key $SCRATCH/node.key"
    certificate 90
    check_equal "doctor: a good certificate" "ok -" "$(DOCTOR_ARGS=$tls finding tls "$PR_BIN")"
    chmod 640 "$SCRATCH/node.key"
    check_equal "doctor: its key can be read by others" "problem chmod 600 $SCRATCH/node.key" \
        "$(DOCTOR_ARGS=$tls finding tls "$PR_BIN")"
    certificate 3
    check "doctor: a certificate that expires soon" grep -q "^problem openssl" <<<"$(
        DOCTOR_ARGS=$tls finding tls "$PR_BIN")"
else
    skip "doctor: certificates" "openssl is not installed"
fi
check_exit "doctor ends with 1 when something is wrong" 1 in_b "$PR_BIN" doctor --http-addr 203.0.113.1:1

# ---- the installation ----
DESTDIR=$SCRATCH/root cmake --install "$PR_BUILD" --prefix /usr >"$SCRATCH/install" 2>&1
unit=$SCRATCH/root/usr/lib/systemd/system/packetrecorderd.service
if [ -f "$unit" ]; then
    for file in bin/packetrecorder bin/packetrecorderd share/man/man8/packetrecorderd.8 \
        lib/sysusers.d/packetrecorder.conf lib/tmpfiles.d/packetrecorder.conf; do
        check "installed: $file" test -s "$SCRATCH/root/usr/$file"
    done
    installed=$(find "$SCRATCH/root" -name packetrecorder.conf -path '*/etc/packetrecorder/*')
    check "the unit names the program that was installed" \
        grep -qx 'ExecStart=/usr/bin/packetrecorderd serve' "$unit"
    check "and the configuration" grep -q "^Environment=.*=${installed#"$SCRATCH/root"}\$" "$unit"
    check "the installed configuration is good" "$PR_BIN" config check "$installed"
    echo '# mine' >>"$installed"
    DESTDIR=$SCRATCH/root cmake --install "$PR_BUILD" --prefix /usr >/dev/null 2>&1
    check "and is kept by the next installation" grep -q '^# mine' "$installed"
    if command -v systemd-analyze >/dev/null; then
        check "the service is locked up: exposure of 2.5 at most" bash -c '
            systemd-analyze security --offline=true --no-pager "$1" |
                sed -n "s/.*Overall exposure level.*: \([0-9.]*\).*/\1/p" |
                awk "{ ok = \$1 > 0 && \$1 <= 2.5 } END { exit !ok }"' _ "$unit"
    else
        skip "the service is locked up" "systemd-analyze is not installed"
    fi
else
    skip "the installation" "the build tree is not complete: $(grep -v '^$' "$SCRATCH/install" | tail -n 1)"
fi
tap_done
