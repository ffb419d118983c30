#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# make-secrets.sh [IMAGE]: makes what docker-compose.yml gives to the containers as secrets, in
# docker/secrets, once; what is there stays.
#   cluster.key   the key of the swarm: whoever has it is a member
#   api.key       a key of the role admin, for the command line
#   api-keys      what the nodes keep of it (a hash), so that they know it
# They belong to the user that the image runs as, and nobody else reads them: packetrecorder refuses
# key files that others can read. The image makes them, so nothing of ours is needed on the host.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
readonly IMAGE=${1:-packetrecorder} DIR=${PACKETRECORDER_SECRETS:-$PWD/secrets}

mkdir -p "$DIR"
docker run --rm --network none --user 0 -v "$DIR:/secrets" "$IMAGE" bash -eu -c '
    cd /secrets
    umask 077
    owner=10001
    [ -s cluster.key ] || packetrecorder keys cluster-new >cluster.key
    if [ ! -s api.key ] || [ ! -s api-keys ]; then
        packetrecorder keys add --role admin --name compose --database /tmp/new.db >api.key 2>/dev/null
        cp /tmp/new.db.d/api-keys api-keys
    fi
    chmod 400 cluster.key api.key api-keys
    chown $owner:$owner cluster.key api.key api-keys
'
