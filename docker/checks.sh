# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# The checks of docker/test.sh, which sources this and has the words that they are written in.

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
apart() { ! docker exec "${id[node1]}" bash -c "exec 3<>/dev/tcp/$1/50051" 2>/dev/null; }
lan_address() {
    docker inspect -f "{{(index .NetworkSettings.Networks \"${COMPOSE_PROJECT_NAME}_lan$1\").IPAddress}}" "${id[node$1]}"
}
declare -A lan
for node in "${NODES[@]}"; do
    lan[$node]=$(lan_of "$node")
done

# --- a capture on one node, started from another's network
check "a capture starts on one node" manage node2 start-capture -i "${lan[node2]}" --name alone -c 10 -- udp port $PORT
check "it ends at its limit" wait_for 20 is_in_state node2 alone complete
has_all_numbers() { numbers "$1" "$2" >"$SCRATCH/numbers" && no_gap "$SCRATCH/numbers" "$3"; }
check "it holds what was sent, in order" has_all_numbers node2 alone 10
pulls_alone() {
    manage node2 download-pcap -s alone -o /tmp/alone.pcapng && docker exec "${id[cli]}" packetrecorder capture \
        -r /tmp/alone.pcapng -w - | grep -qa 'packet [0-9]'
}
check "and comes home as a file" pulls_alone
