#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# demo.sh: the main job on real packets of this machine, on a fresh Debian 12 or 13. Installs what
# building needs, builds, makes two network namespaces joined by a wire, lets them talk, records the
# talk into an encrypted store, shows what can be done with it, watches a node live, and in the end
# captures on three hosts at once. Leaves only the build behind. Where namespaces are not allowed, one
# host does what it can on its loopback interface.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
ROOT=$PWD
export LC_ALL=C.UTF-8

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }

# Shows a command as one would type it, and runs it.
show() {
    local word quoted
    printf '$'
    for word in "$@"; do
        quoted=$word
        [[ "$word" =~ ^[A-Za-z0-9_./:=@-]+$ ]] || quoted="'$word'"
        printf ' %s' "$quoted"
    done
    printf '\n'
    "$@"
}

if [ "$(id -u)" != 0 ]; then
    cat >&2 <<'TEXT'
demo.sh needs root: it installs packages with apt, makes two network namespaces and a pair of
virtual interfaces between them (CAP_SYS_ADMIN, CAP_NET_ADMIN), and captures there (CAP_NET_RAW).
It touches no interface of this machine and removes all of it at the end. Run:
    sudo ./demo.sh
To build alone, where `./setup.sh build` has installed the packages:
    cmake --preset release -DBUILD_TESTING=OFF && cmake --build --preset release
TEXT
    exit 1
fi

say "1. Install what building needs, and build"
./setup.sh demo
mkdir -p build
if ! { cmake --preset release -DBUILD_TESTING=OFF -DPR_WERROR=OFF &&
    cmake --build --preset release; } >build/demo.log 2>&1 </dev/null; then
    tail -n 40 build/demo.log
    echo "demo.sh: the build failed; all of it is in build/demo.log" >&2
    exit 1
fi
PATH=$PWD/build/release/cli:$PWD/build/release/node:$PATH
show packetrecorder --version

# shellcheck source=tests/support/netns.sh
. tests/support/netns.sh

say "2. Two network namespaces, one wire: $NS_A 10.77.0.1 and $NS_B 10.77.0.2"
at_a=(ip netns exec "$NS_A") at_b=(ip netns exec "$NS_B") host_b=10.77.0.2 namespaces=1
# shellcheck disable=SC2119
if ! net_up; then
    echo "demo.sh: network namespaces are not allowed here (in a container: --privileged):"
    echo "one host on its loopback interface has to do"
    at_a=() at_b=() host_b=127.0.0.1 IF_B=lo namespaces=0
fi
# start COMMAND…: in the background; $STARTED is its process id.
start() {
    "$@" &
    STARTED=$!
    at_exit kill -9 "$STARTED"
}
scratch_dir demo
cd "$SCRATCH"
show "${at_b[@]}" packetrecorder list-interfaces

say "3. Make a key, and record what arrives there into an encrypted store"
(
    umask 077
    printf '$ packetrecorder keys db-new > store.key\n'
    packetrecorder keys db-new >store.key
)
printf '$ packetrecorder capture -i %s -d demo.db --encryption-key-file store.key --name demo &\n' \
    "$IF_B"
start "${at_b[@]}" packetrecorder capture -i "$IF_B" -d demo.db --encryption-key-file store.key \
    --name demo 2>capture.log
capture=$STARTED
if ! wait_for 20 is_capturing capture.log; then
    cat capture.log >&2
    echo "demo.sh: the capture did not start" >&2
    exit 1
fi

say "4. Real traffic: ping, a web server that sends 4 MB, and 200 UDP datagrams"
mkdir web
{ printf 'the secret of the demo\n' && head -c 4000000 /dev/urandom; } >web/secret.bin
start "${at_b[@]}" python3 -m http.server --directory web 8080 >web.log 2>&1
"${at_a[@]}" ping -c 5 -i 0.2 "$host_b" | tail -n 2
is_served() { "${at_a[@]}" python3 -c 'import socket; socket.create_connection(("'"$host_b"'", 8080), 1)'; }
wait_for 20 is_served
"${at_a[@]}" python3 - "$host_b" <<'PYTHON'
import socket, sys, urllib.request
data = urllib.request.urlopen(f"http://{sys.argv[1]}:8080/secret.bin", timeout=20).read()
print(f"{len(data)} bytes over HTTP")
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(200):
    udp.sendto(b"datagram %d" % i, (sys.argv[1], 5353))
print("200 datagrams over UDP")
PYTHON

say "5. Stop the capture: the counters say what was lost, and where"
code=0
stop "$capture" || code=$?
cat capture.log
[ "$code" = 0 ] || exit 1
show ls -l demo.db demo.db.d

key=(-d demo.db --encryption-key-file store.key)
say "6. Sessions in the store"
show packetrecorder sessions "${key[@]}"

say "7. Query: libpcap's filter language, narrowed by the index"
show packetrecorder query "${key[@]}" -s demo -l 6 -f icmp
show packetrecorder query "${key[@]}" -s demo -l 4 -f \
    'tcp port 8080 and tcp[tcpflags] & tcp-syn != 0'
show packetrecorder query "${key[@]}" -s demo -l 1 --show-data -f 'udp port 5353'
show packetrecorder query "${key[@]}" -s demo --count -f 'udp port 5353'

say "8. Without the key there is nothing to read"
if grep -qr 'the secret of the demo' demo.db demo.db.d; then
    echo "demo.sh: plain text of a packet stands in the store" >&2
    exit 1
fi
echo "no file of the store holds the text that went over the wire"
if packetrecorder sessions -d demo.db </dev/null; then
    echo "demo.sh: the store opened without its key" >&2
    exit 1
fi

say "9. Export, and read it with the tools you know"
show packetrecorder export "${key[@]}" -s demo -o demo.pcapng
if command -v capinfos >/dev/null; then
    show capinfos -TmQ -c -u -s demo.pcapng
fi
if command -v tcpdump >/dev/null; then
    show tcpdump -nn -r demo.pcapng -c 5
fi

say "10. The same from elsewhere: a node there, watched over HTTP and a WebSocket"
node=$host_b:8090
rpc=$host_b:50051
(umask 077 && packetrecorder keys add -d node.db --role view >view.key 2>/dev/null &&
    packetrecorder keys add -d node.db --role capture >capture.key 2>/dev/null)
printf '$ packetrecorder serve --http-addr %s --insecure --rpc-addr %s -d node.db &\n' "$node" "$rpc"
start "${at_b[@]}" packetrecorder serve --http-addr "$node" --insecure --rpc-addr "$rpc" \
    --rpc-socket "$SCRATCH/rpc.sock" -d node.db 2>node.log
serving=$STARTED
is_ready() { grep -q 'is ready' node.log; }
if ! wait_for 20 is_ready; then
    cat node.log >&2
    exit 1
fi
printf '$ curl -H "Authorization: Bearer $(cat view.key)" http://%s/interfaces\n' "$node"
"${at_a[@]}" curl -sf -K <(printf 'header = "Authorization: Bearer %s"' "$(cat view.key)") "http://$node/interfaces"
echo
start "${at_a[@]}" ping -q -i 0.1 "$host_b" >/dev/null
show "${at_a[@]}" packetrecorder view "$node" --api-key-file view.key -i "$IF_B" -c 4 -- icmp

say "11. Manage the node: record there, bring it home; no certificate, and nobody reads along"
manage=("${at_a[@]}" packetrecorder manage --endpoint "$rpc" --api-key-file capture.key)
show "${manage[@]}" start-capture -i "$IF_B" --name remote --max-packets 10 -- icmp
is_recorded() { "${manage[@]}" captures remote | grep -q complete; }
wait_for 20 is_recorded
show "${manage[@]}" sessions
show "${manage[@]}" query -s remote -l 2
show "${manage[@]}" download-pcap -s remote -o remote.pcapng
code=0
stop "$serving" || code=$?
tail -n 1 node.log
[ "$code" = 0 ] || exit 1

say "12. Three hosts, one swarm: one capture on all of them at the same instant"
if [ "$namespaces" = 0 ]; then
    echo "left out: it takes network namespaces, which are not allowed here"
else
    # shellcheck source=tests/support/demo_swarm.sh
    . "$ROOT/tests/support/demo_swarm.sh"
fi

say "Done. The programs are in build/release/cli and build/release/node; start with: packetrecorder help"
