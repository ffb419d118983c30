/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/sim/sim_streams.h"

#include "tests/sim/sim_internal.h"

#define SIM_CONNECT_RTO_MS 1000u /* RFC 6298: before a round trip was measured */
#define SIM_RTO_MS         200u  /* Linux' least */
#define SIM_ACCEPTED       0x80000000u

void sim_streams_deinit(struct sim_streams *streams)
{
    mem_free(streams->streams);
    mem_free(streams->free);
    *streams = (struct sim_streams){0};
}

static uint32_t make(struct sim_streams *streams)
{
    uint32_t generation;
    uint32_t i;

    if (streams->n_free > 0) {
        i = streams->free[--streams->n_free];
    } else {
        if (streams->n == streams->cap) {
            streams->cap = streams->cap == 0 ? 64 : streams->cap * 2;
            streams->streams = x_realloc(streams->streams, streams->cap * sizeof *streams->streams);
            streams->free = x_realloc(streams->free, streams->cap * sizeof *streams->free);
        }
        i = streams->n++;
        streams->streams[i].generation = 0;
    }
    generation = streams->streams[i].generation + 1;
    streams->streams[i] = (struct sim_stream){.generation = generation, .used = true};
    return i;
}

static void give_back(struct sim_streams *streams, uint32_t i)
{
    struct sim_stream *s = &streams->streams[i];

    if (s->used && !s->ends[0].open && !s->ends[1].open) {
        s->used = false;
        s->generation++;
        streams->free[streams->n_free++] = i;
    }
}

static bool lives(const struct swim_sim *sim, const struct sim_end *end)
{
    return sim->nodes[end->node].swim != NULL && sim->nodes[end->node].life == end->life;
}

/* The stream that a core means; its own end of it in *side. */
static uint32_t find(const struct swim_sim *sim, uint32_t node, uint32_t conn, unsigned *side)
{
    for (uint32_t i = 0; i < sim->streams.n; i++) {
        const struct sim_stream *s = &sim->streams.streams[i];

        for (unsigned e = 0; s->used && e < 2; e++) {
            if (s->ends[e].open && s->ends[e].node == node && s->ends[e].conn == conn &&
                s->ends[e].life == sim->nodes[node].life) {
                *side = e;
                return i;
            }
        }
    }
    return UINT32_MAX;
}

/* ---- the way ---- */

static bool is_blocked(const struct swim_sim *sim, uint32_t a, uint32_t b)
{
    return sim_net_is_cut(&sim->net, a, b) || sim_net_is_cut(&sim->net, b, a);
}

/* One way for n bytes, with what lost segments cost; SWIM_NEVER: it does not get through. */
static uint64_t way_ns(struct swim_sim *sim, uint32_t from, uint32_t to, uint8_t what, size_t n)
{
    uint64_t rto_ms = what == SIM_STREAM_CONNECT ? SIM_CONNECT_RTO_MS : SIM_RTO_MS;
    uint64_t ns = sim_net_delay_ns(&sim->net, from, to);
    uint64_t waited_ms = 0;
    /* Connecting takes three ways: SYN, SYN-ACK, then the first message of the handshake. */
    unsigned ways = what == SIM_STREAM_CONNECT ? 3 : 1;

    for (unsigned i = 1; i < ways; i++) {
        ns += sim_net_delay_ns(&sim->net, from, to);
    }
    for (size_t left = n + 1;; left = left > SWIM_MTU ? left - SWIM_MTU : 0) {
        while (sim_net_loses(&sim->net, from, to) || sim_net_loses(&sim->net, to, from)) {
            waited_ms += rto_ms;
            rto_ms *= 2;
            if (waited_ms > SIM_STREAM_GIVE_UP_MS) {
                return SWIM_NEVER;
            }
        }
        if (left <= SWIM_MTU) {
            return ns + waited_ms * SWIM_MS;
        }
    }
}

/* Both ends hear that it is closed; what is under way is void. */
static void break_stream(struct swim_sim *sim, uint32_t i)
{
    struct sim_stream *s = &sim->streams.streams[i];
    struct sim_end ends[2] = {s->ends[0], s->ends[1]};

    s->ends[0].open = s->ends[1].open = false;
    give_back(&sim->streams, i);
    sim_tell(sim, SIM_TRACE_BROKEN, ends[0].node, ends[1].node);
    for (unsigned e = 0; e < 2; e++) {
        if (ends[e].open && lives(sim, &ends[e])) {
            struct swim_addr from = sim_node_addr(sim->nodes[ends[!e].node].slot);

            swim_on_stream(sim->nodes[ends[e].node].swim, sim_node_now(sim, ends[e].node),
                           ends[e].conn, SWIM_STREAM_CLOSED, &from, NULL, 0);
            sim_node_drain(sim, ends[e].node);
        }
    }
}

static void put(struct swim_sim *sim, uint32_t i, unsigned side, enum sim_stream_what what,
                const void *bytes, size_t n)
{
    struct sim_stream *s = &sim->streams.streams[i];
    struct sim_packet *packet = sim_packet_new(&sim->packets, bytes, n);
    uint64_t way = way_ns(sim, s->ends[side].node, s->ends[!side].node, (uint8_t)what, n);
    uint64_t due_ns;

    packet->event.kind = SIM_STREAM;
    packet->what = (uint8_t)what;
    packet->from = s->ends[side].node;
    packet->to = s->ends[!side].node;
    packet->from_slot = sim->nodes[packet->from].slot;
    packet->stream = i;
    packet->generation = s->generation;
    packet->side = (uint8_t)side;
    packet->number = s->n_put[side]++;
    packet->is_lost = way == SWIM_NEVER;
    due_ns = sim->now_ns + sim_node_link_ns(sim, packet->from, n) +
             (packet->is_lost ? SIM_STREAM_GIVE_UP_MS * SWIM_MS : way);
    sim_cost_message(n);
    s->last_due_ns[side] = due_ns > s->last_due_ns[side] ? due_ns : s->last_due_ns[side];
    sim_events_put(&sim->events, &packet->event, s->last_due_ns[side]);
}

/* Again when the sender's timer says so, which doubles; true: given up. */
static bool try_again(struct swim_sim *sim, struct sim_packet *packet)
{
    struct sim_stream *s = &sim->streams.streams[packet->stream];
    uint64_t rto_ms = packet->what == SIM_STREAM_CONNECT ? SIM_CONNECT_RTO_MS : SIM_RTO_MS;
    uint64_t *last_ns = &s->last_due_ns[packet->side];
    uint64_t due_ns;

    packet->waited_ms += rto_ms << packet->tries;
    if (packet->waited_ms > SIM_STREAM_GIVE_UP_MS) {
        return true;
    }
    due_ns = sim->now_ns + (rto_ms << packet->tries++) * SWIM_MS;
    /* One behind it may be lost and due much later: those behind that wait for its end. */
    *last_ns = due_ns > *last_ns ? due_ns : *last_ns;
    sim_events_put(&sim->events, &packet->event, due_ns);
    return false;
}

bool sim_stream_arrives(struct swim_sim *sim, struct sim_packet *packet)
{
    struct sim_stream *s = &sim->streams.streams[packet->stream];
    bool is_given_up = packet->is_lost;

    if (!s->used || s->generation != packet->generation) {
        sim_packet_free(&sim->packets, packet);
        return false;
    }
    if (!is_given_up && packet->number != s->n_taken[packet->side]) {
        /* One before it is being tried again. */
        sim_events_put(&sim->events, &packet->event, s->last_due_ns[packet->side] + 1);
        return false;
    }
    if (!is_given_up &&
        (is_blocked(sim, packet->from, packet->to) || sim->nodes[packet->from].dark ||
         (packet->what == SIM_STREAM_CONNECT && sim->nodes[packet->to].silent &&
          sim->nodes[packet->to].swim == NULL))) {
        is_given_up = try_again(sim, packet);
        if (!is_given_up) {
            return false;
        }
    }
    if (is_given_up) {
        uint32_t i = packet->stream;

        sim_packet_free(&sim->packets, packet);
        break_stream(sim, i);
        return false;
    }
    s->n_taken[packet->side]++;
    return true;
}

/* ---- what the core does ---- */

void sim_stream_open(struct swim_sim *sim, uint32_t node, uint32_t conn, uint32_t to)
{
    uint32_t i = make(&sim->streams);
    struct sim_stream *s = &sim->streams.streams[i];

    sim->totals.n_streams++;
    s->ends[0] = (struct sim_end){node, sim->nodes[node].life, conn, true};
    /* Nobody has the address: one's own host answers that it does not know the way. */
    s->ends[1] = (struct sim_end){.node = to == SIM_NOBODY ? node : to};
    sim_tell(sim, SIM_TRACE_OPEN, node, to);
    if (to == SIM_NOBODY) {
        put(sim, i, 1, SIM_STREAM_REFUSED, NULL, 0);
    } else {
        put(sim, i, 0, SIM_STREAM_CONNECT, NULL, 0);
    }
}

void sim_stream_write(struct swim_sim *sim, uint32_t node, uint32_t conn, const void *bytes,
                      size_t n)
{
    unsigned side;
    uint32_t i = find(sim, node, conn, &side);

    if (i != UINT32_MAX) {
        sim->totals.stream_bytes += n;
        put(sim, i, side, SIM_STREAM_BYTES, bytes, n);
    }
}

static void close_end(struct swim_sim *sim, uint32_t i, unsigned side, bool silent)
{
    struct sim_stream *s = &sim->streams.streams[i];

    s->ends[side].open = false;
    if (!silent && s->ends[!side].open) {
        put(sim, i, side, SIM_STREAM_END, NULL, 0);
    }
    give_back(&sim->streams, i);
}

void sim_stream_close(struct swim_sim *sim, uint32_t node, uint32_t conn)
{
    unsigned side;
    uint32_t i = find(sim, node, conn, &side);

    if (i != UINT32_MAX) {
        close_end(sim, i, side, false);
    }
}

void sim_stream_close_all(struct swim_sim *sim, uint32_t node, bool silent)
{
    for (uint32_t i = 0; i < sim->streams.n; i++) {
        for (unsigned e = 0; e < 2; e++) {
            struct sim_stream *s = &sim->streams.streams[i];

            if (s->used && s->ends[e].open && s->ends[e].node == node) {
                close_end(sim, i, e, silent);
            }
        }
    }
}

/* ---- what arrives ---- */

/* At the one that accepts: the last message of the handshake is on its way back. */
static void accept_stream(struct swim_sim *sim, struct sim_packet *packet)
{
    struct sim_stream *s = &sim->streams.streams[packet->stream];
    struct sim_node *n = &sim->nodes[packet->to];
    uint32_t conn = SIM_ACCEPTED | (uint32_t)(n->n_conns++ & 0x7fffffff);

    s->ends[1] = (struct sim_end){packet->to, n->life, conn, true};
    put(sim, packet->stream, 1, SIM_STREAM_CONNECTED, NULL, 0);
}

static const enum swim_stream_event events[] = {
    [SIM_STREAM_CONNECT] = SWIM_STREAM_ACCEPTED, [SIM_STREAM_CONNECTED] = SWIM_STREAM_OPENED,
    [SIM_STREAM_REFUSED] = SWIM_STREAM_CLOSED,   [SIM_STREAM_BYTES] = SWIM_STREAM_MESSAGE,
    [SIM_STREAM_END] = SWIM_STREAM_CLOSED,
};

void sim_stream_deliver(struct swim_sim *sim, struct sim_packet *packet)
{
    struct sim_stream *s = &sim->streams.streams[packet->stream];
    struct swim_addr from = sim_node_addr(packet->from_slot);
    struct sim_end *end = &s->ends[!packet->side];
    uint32_t conn;

    if (!s->used || s->generation != packet->generation) {
        return;
    }
    if (packet->what == SIM_STREAM_CONNECT) {
        accept_stream(sim, packet);
        s = &sim->streams.streams[packet->stream];
        end = &s->ends[1];
    }
    if (!end->open || !lives(sim, end)) {
        return;
    }
    conn = end->conn;
    sim_cost_message(packet->n);
    if (events[packet->what] == SWIM_STREAM_CLOSED) {
        end->open = false;
        s->ends[packet->side].open = false;
        give_back(&sim->streams, packet->stream);
    }
    swim_on_stream(sim->nodes[packet->to].swim, sim_node_now(sim, packet->to), conn,
                   events[packet->what], &from, packet->n > 0 ? packet->bytes : NULL, packet->n);
    sim_node_drain(sim, packet->to);
}

void sim_stream_refuse(struct swim_sim *sim, struct sim_packet *packet)
{
    struct sim_stream *s = &sim->streams.streams[packet->stream];

    if (packet->what == SIM_STREAM_CONNECT && s->used && s->generation == packet->generation) {
        put(sim, packet->stream, 1, SIM_STREAM_REFUSED, NULL, 0);
    }
    sim_packet_free(&sim->packets, packet);
}
