# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The checks of docker/test.sh, which sources this and has the words that they are written in.
# shellcheck disable=SC2154  # id

# --- the image
runs_without_root() { [ "$(docker exec "${id[node1]}" id -u)" = 10001 ]; }
check "nobody is root in the image" runs_without_root
has_capabilities() {
    docker exec "${id[node1]}" getcap -r /usr/bin | grep -qx '/usr/bin/packetrecorderd cap_net_admin,cap_net_raw=ep'
}
check "the node alone has capabilities, the two it needs" has_capabilities
no_secrets() {
    ! docker run --rm --network none --user 0 --entrypoint grep "$PACKETRECORDER_IMAGE" -rlE --exclude-dir=proc \
        --exclude-dir=sys '^(pr_[a-z2-7]{8}_|prc_[A-Za-z0-9_-]{22}_)' /etc /usr/bin /var /root /home /run
}
check "no key is in the image" no_secrets
is_small() { [ "$(docker image inspect -f '{{.Size}}' "$PACKETRECORDER_IMAGE")" -lt 200000000 ]; }
check "the image has less than 200 MB" is_small

# --- they meet
check "all see all" wait_for 30 all_see_all
declare -A lan
for node in "${NODES[@]}"; do
    lan[$node]=$(lan_of "$node")
done

# --- a capture on one node, started from another's network
check "a capture starts on one node" manage node2 start-capture -i "${lan[node2]}" --name alone -c 10 -- udp port "$PORT"
check "it ends at its limit" wait_for 20 is_in_state node2 alone complete
has_all_numbers() { numbers "$1" "$2" >"$SCRATCH/numbers" && no_gap "$SCRATCH/numbers" "$3"; }
check "it holds what was sent, in order" has_all_numbers node2 alone 10
pulls_alone() {
    manage node2 download-pcap -s alone -o /tmp/alone.pcapng && docker exec "${id[cli]}" packetrecorder capture \
        -r /tmp/alone.pcapng -w - | grep -qa 'packet [0-9]'
}
check "and comes home as a file" pulls_alone

# --- one capture on all of them
status_of() { manage "$1" capture-status "$2" --json | field '[.nodes[] | "\(.node) \(.state)"] | sort | join(", ")'; }
has_status() { [ "$(status_of "$1" "$2")" = "$3" ]; }
starts_all() { manage node1 start-capture --all -i 'eth*' --name together --start-at +2s -t 6s -- udp port "$PORT"; }
check "a capture starts on all nodes" starts_all
all_run() { has_status "$1" together "node1 running, node2 running, node3 running"; }
check "any other node tells that all run" wait_for 15 all_run node3
all_done() { has_status "$1" together "node1 done, node2 done, node3 done"; }
check "they end by themselves" wait_for 30 all_done node2
# The same datagrams went to each node at once, 0.2 s apart: what one began with, the others began with.
same_on_all() {
    local node
    for node in "${NODES[@]}"; do
        numbers "$node" together >"$SCRATCH/all.$node"
        no_gap "$SCRATCH/all.$node" 20 || return 1
        [ "$(head -n 1 "$SCRATCH/all.$node")" -ge $(($(head -n 1 "$SCRATCH/all.node1") - 1)) ] &&
            [ "$(head -n 1 "$SCRATCH/all.$node")" -le $(($(head -n 1 "$SCRATCH/all.node1") + 1)) ] || return 1
    done
}
check "all began at the same datagram, or its neighbour" same_on_all

# --- what they recorded, as one file
pulls_together() { manage node3 download-pcap --capture-id together -o /tmp/together.pcapng; }
check "what all recorded comes home through any of them, as one file" pulls_together
check "other tools read it" read_merged /tmp/together.pcapng
check "its packets are in order of time" is_in_order /tmp/together.pcapng
has_what_they_have() {
    local node
    for node in "${NODES[@]}"; do
        numbers_from "$1" "$node" >"$SCRATCH/merged.$node"
        numbers "$node" "$2" | cmp - "$SCRATCH/merged.$node" && no_gap "$SCRATCH/merged.$node" "$3" || return 1
    done
}
check "each node's packets are all there, each once" has_what_they_have /tmp/together.pcapng together 20
manifest_agrees() {
    [ "$(docker exec "${id[cli]}" cat /tmp/together.pcapng.json |
        field '[.nodes[] | "\(.node) \([.sessions[].packets] | add)"] | sort | join(", ")')" = \
        "$(for node in "${NODES[@]}"; do echo "$node $(packets_of "$node" together)"; done | sort | paste -sd, | sed 's/,/, /g')" ]
}
check "the manifest beside it says from whom" manifest_agrees

# --- all of them live, as one stream
watches() { manage node2 watch --all -i 'eth*' -f "udp port $PORT" -t 6s -w /tmp/watched.pcapng; }
check "all are watched live through one of them" watches
check "it is a whole file" read_merged /tmp/watched.pcapng
check "in order of time" is_in_order /tmp/watched.pcapng
has_all_live() {
    local node
    for node in "${NODES[@]}"; do
        numbers_from /tmp/watched.pcapng "$node" >"$SCRATCH/live.$node"
        no_gap "$SCRATCH/live.$node" 15 || return 1
    done
}
check "with every datagram of each node's network" has_all_live

# --- a node is killed while it records: what it had stored stays
starts_long() { manage node3 start-capture -i "${lan[node3]}" --name killed -t 10m -- udp port "$PORT"; }
check "a long capture starts" starts_long
check "it stores" wait_for 20 has_packets node3 killed 15
stored=$(numbers node3 killed | tail -n 1)
check "a node is killed" docker kill -s KILL "${id[node3]}"
check "the others tell within ten seconds" wait_for 10 sees node1 "node1 node2"
docker start "${id[node3]}" >/dev/null
check "it is back as the same member" wait_for 30 all_see_all
check "its session is recovered" wait_for 10 is_in_state node3 killed recovered
kept_all() {
    numbers node3 killed >"$SCRATCH/numbers"
    no_gap "$SCRATCH/numbers" 15 && grep -qx "$stored" "$SCRATCH/numbers"
}
check "with all that was stored before" kept_all

# --- a network is cut, and heals: the node that is alone goes on recording
starts_cut() { manage node2 start-capture -i "${lan[node2]}" --name cut -t 10m -- udp port "$PORT"; }
check "a capture starts on a node" starts_cut
check "it stores" wait_for 20 has_packets node2 cut 5
backbone=${COMPOSE_PROJECT_NAME}_backbone
check "the node is cut off" docker network disconnect "$backbone" "${id[node2]}"
check "the others tell" wait_for 10 sees node1 "node1 node3"
inside() { docker exec "${id[node2]}" packetrecorder manage "$@"; }
sees_itself() { [ "$(inside members --json | field '[.[] | select(.state == "alive")] | length')" = 1 ]; }
check "it sees that it is alone" wait_for 10 sees_itself
grows() { [ "$(inside captures --json | field '.[0].packets')" -gt "$1" ]; }
check "and goes on recording" wait_for 10 grows "$(inside captures --json | field '.[0].packets')"
check "the network heals" docker network connect --alias node2 "$backbone" "${id[node2]}"
check "all see all again" wait_for 40 all_see_all
check "the capture is stopped over it" manage node2 stop-capture cut
check "it has no gap" has_all_numbers node2 cut 15

pulls_cut() {
    manage node1 download-pcap -s cut --nodes node2 -o /tmp/cut.pcapng && read_merged /tmp/cut.pcapng &&
        numbers_of_data <"$SCRATCH/cut.pcapng.lines" | cmp - <(numbers node2 cut)
}
check "and comes home whole through another" pulls_cut

# --- rolling restart
counts() {
    local node
    for node in "${NODES[@]}"; do
        manage "$node" sessions --json | field --arg node "$node" '.[] | "\($node) \(.name) \(.packets)"'
    done
}
before=$(counts)
for node in "${NODES[@]}"; do
    check "$node restarts while the others go on" docker restart -t 10 "${id[$node]}"
    check "and all see all" wait_for 30 all_see_all
done
keeps_all() { [ "$(counts)" = "$before" ]; }
check "nothing that a node had stored is lost" keeps_all
check "the nodes are healthy" wait_for 30 is_healthy node1
compose stop --timeout 10 >/dev/null 2>&1
ends_well() {
    local node
    for node in "${NODES[@]}"; do
        [ "$(docker inspect -f '{{.State.ExitCode}}' "${id[$node]}")" = 0 ] || return 1
    done
}
check "all end well when they are stopped" ends_well
