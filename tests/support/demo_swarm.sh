# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The last part of demo.sh, which sources this: three hosts behind one switch, all in namespaces, with a node
# each; a ping and a download go across them while one capture runs on all; what it got is one file.

HUB=pr-hub-$$ HOSTS=(n1 n2 n3)
on() {
    local host=$1
    shift
    ip netns exec "pr-$host-$$" "$@"
}

hosts_down() {
    local ns
    for ns in "$HUB" "pr-${HOSTS[0]}-$$" "pr-${HOSTS[1]}-$$" "pr-${HOSTS[2]}-$$"; do
        ip netns pids "$ns" 2>/dev/null | xargs -r kill -9
        ip netns del "$ns"
    done
}

hosts_up() {
    local i host ns
    at_exit hosts_down
    ip netns add "$HUB"
    ip -n "$HUB" link add switch type bridge
    ip -n "$HUB" link set switch up
    for i in 1 2 3; do
        host=${HOSTS[i - 1]} ns=pr-${HOSTS[i - 1]}-$$
        ip netns add "$ns"
        ip -n "$HUB" link add "port$i" type veth peer name eth0 netns "$ns"
        ip -n "$HUB" link set "port$i" master switch up
        ip -n "$ns" addr add "10.78.0.$i/24" dev eth0
        ip -n "$ns" link set lo up
        ip -n "$ns" link set eth0 up
    done
}

node_up() {
    local i=$1 host=${HOSTS[$1 - 1]}
    mkdir "$host"
    (umask 077 && cp -r swarm.db.d "$host/packets.db.d")
    start ip netns exec "pr-$host-$$" packetrecorder serve --node-name "$host" -d "$host/packets.db" \
        --cluster-key-file cluster.key --join 10.78.0.1 --join 10.78.0.2 --join 10.78.0.3 \
        --rpc-addr "10.78.0.$i:50051" --rpc-socket "$SCRATCH/$host/rpc.sock" 2>"$host/log"
    nodes+=("$STARTED")
}

all_there() { [ "$("${manage[@]}" members | grep -c ' alive .* ± ')" = 3 ]; }
is_over() { "${manage[@]}" capture-status tour | grep -q ' is done'; }

hosts_up
(
    umask 077
    printf '$ packetrecorder keys cluster-new > cluster.key\n'
    packetrecorder keys cluster-new >cluster.key
    packetrecorder keys add -d swarm.db --role capture >swarm.key 2>/dev/null
)
nodes=()
for i in 1 2 3; do
    printf 'n%d$ packetrecorder serve --cluster-key-file cluster.key --join 10.78.0.1 … &\n' "$i"
    node_up "$i"
done
export PACKETRECORDER_ENDPOINT=10.78.0.2:50051 PACKETRECORDER_API_KEY_FILE=swarm.key
manage=(ip netns exec "pr-n2-$$" packetrecorder manage)
tell() {
    printf 'n2$ packetrecorder manage'
    printf ' %s' "$@"
    printf '\n'
    "${manage[@]}" "$@"
}
wait_for 30 all_there || {
    cat n?/log >&2
    echo "demo.sh: the three nodes did not find each other" >&2
    exit 1
}
tell members
start ip netns exec "pr-n3-$$" python3 -m http.server --directory web 8000 >web3.log 2>&1
serves() { on n2 python3 -c 'import socket; socket.create_connection(("10.78.0.3", 8000), 1)'; }
wait_for 20 serves
tell start-capture --all -i eth0 --name tour --start-at +2s -t 5s -- icmp or tcp port 8000
on n1 ping -c 5 10.78.0.2 | tail -n 2
on n2 python3 -c 'import urllib.request
print(len(urllib.request.urlopen("http://10.78.0.3:8000/secret.bin", timeout=20).read()), "bytes from n3 to n2")'
wait_for 30 is_over
tell capture-status tour
tell download-pcap --capture-id tour -o tour.pcapng
show capinfos -TmQ -c -u -s tour.pcapng
if command -v tcpdump >/dev/null; then
    show tcpdump -nn -r tour.pcapng -c 6
fi
for i in "${nodes[@]}"; do
    stop "$i"
done
