/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_packets.h"

#include <string.h>

#include "shared/base/mem.h"

static const uint32_t pool_bytes[SIM_POOLS] = {128, 256, 576, 1536};

void sim_packets_deinit(struct sim_packets *packets)
{
    for (unsigned i = 0; i < SIM_POOLS; i++) {
        while (packets->pools[i] != NULL) {
            struct sim_packet *next = packets->pools[i]->next;

            mem_free(packets->pools[i]);
            packets->pools[i] = next;
        }
    }
}

struct sim_packet *sim_packet_new(struct sim_packets *packets, const void *bytes, size_t n)
{
    struct sim_packet *packet = NULL;
    uint8_t pool = 0;

    while (pool < SIM_POOLS && pool_bytes[pool] < n) {
        pool++;
    }
    if (pool < SIM_POOLS && packets->pools[pool] != NULL) {
        packet = packets->pools[pool];
        packets->pools[pool] = packet->next;
        memset(packet, 0, sizeof *packet);
    } else {
        packet = x_alloc(sizeof *packet + (pool < SIM_POOLS ? pool_bytes[pool] : n));
    }
    packet->pool = pool;
    packet->n = (uint32_t)n;
    if (n > 0) {
        memcpy(packet->bytes, bytes, n);
    }
    packets->n_live++;
    return packet;
}

void sim_packet_free(struct sim_packets *packets, struct sim_packet *packet)
{
    packets->n_live--;
    if (packet->pool == SIM_POOLS) {
        mem_free(packet);
        return;
    }
    packet->next = packets->pools[packet->pool];
    packets->pools[packet->pool] = packet;
}

void sim_queue_put(struct sim_queue *queue, struct sim_packet *packet)
{
    packet->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = packet;
    } else {
        queue->first = packet;
    }
    queue->last = packet;
    queue->n_bytes += packet->n + SIM_PACKET_OVERHEAD;
}

struct sim_packet *sim_queue_take(struct sim_queue *queue)
{
    struct sim_packet *packet = queue->first;

    if (packet == NULL) {
        return NULL;
    }
    queue->first = packet->next;
    if (queue->first == NULL) {
        queue->last = NULL;
    }
    queue->n_bytes -= packet->n + SIM_PACKET_OVERHEAD;
    return packet;
}

void sim_queue_clear(struct sim_queue *queue, struct sim_packets *packets)
{
    struct sim_packet *packet;

    while ((packet = sim_queue_take(queue)) != NULL) {
        sim_packet_free(packets, packet);
    }
}
