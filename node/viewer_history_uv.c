/* SPDX-License-Identifier: Apache-2.0
 *
 * history=: what the store has of the last moments, before the live packets. The two are joined at
 * one instant T0, the viewer's beginning: packets stamped before it come from the store, the others
 * from the stream, and since the kernel stamps each packet once (0004) none is in both or in
 * neither. The store's writer commits once a second, so a recording that runs is waited for until
 * it has reached T0. Read on workers, one run of packets ahead of the peer.
 */
#include "node/viewer_uv.h"

#include <stdio.h>
#include <string.h>

#include "node/captures.h"
#include "node/history_plan.h"
#include "node/relay_params.h"
#include "node/store_access.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/capture/session_posix.h"
#include "shared/store/scan.h"

/* Packets that are read in one piece. */
#define RUN_BYTES BLOCK_BYTES_MIN
/* How long a running recording is waited for: its commits and what lies before them. On a quiet
 * interface nothing tells that it has reached T0, so this is also what a viewer waits there. */
#define WAIT_MS 1600
/* The same for one that is known to have taken packets which it has not committed: a slow disk. */
#define WAIT_BEHIND_MS 6000
#define LOOK_AGAIN_MS  100
/* How often a job looks at the time: after so many packets, or frames without any. */
#define LOOK_PACKETS 256u
#define LOOK_FRAMES  8u

struct viewer_history {
    struct viewer *viewer; /* NULL once the viewer is gone */
    struct node *node;
    struct history_wish wish;
    char *interface;
    char *filter;
    uint32_t snaplen;
    uint64_t began_ms;
    uv_timer_t timer;
    bool is_out; /* a job has it */
    bool is_closing;
    atomic_bool dropped;

    /* the job's while it is out */
    struct store *store;
    struct store_session *sessions;
    size_t n_sessions;
    struct history_piece pieces[HISTORY_PIECES_MAX];
    size_t n_pieces;
    size_t at;
    struct scan *scan;
    bool may_wait; /* the time to wait is not over */
    bool waits;
    bool ended;
    struct block *run; /* read, to be sent */
    struct err err;
};

/* ---- on a worker -------------------------------------------------------------------------- */

static bool is_reached(const struct store_session *session, const struct history_wish *wish)
{
    return session->state != STORE_RUNNING ||
           (session->packets > 0 && session->last_ns > wish->to_ns);
}

static bool records(const struct store_session *session, const char *interface)
{
    for (uint32_t i = 0; i < session->n_ifaces; i++) {
        if (strcmp(session->ifaces[i].name, interface) == 0) {
            return true;
        }
    }
    return false;
}

/* Sessions and plan; waits is set when a recording has to come further first. */
static int prepare(struct viewer_history *h)
{
    int code = h->store != NULL ? 0 : node_store_take(h->node->store, &h->store, &h->err);

    if (code < 0) {
        return code;
    }
    store_sessions_free(h->sessions, h->n_sessions);
    h->sessions = NULL;
    h->n_sessions = 0;
    code = store_sessions(h->store, &h->sessions, &h->n_sessions, &h->err);
    if (code < 0) {
        return code;
    }
    h->waits = false;
    for (size_t i = 0; i < h->n_sessions && h->may_wait; i++) {
        h->waits = h->waits || (records(&h->sessions[i], h->interface) &&
                                !is_reached(&h->sessions[i], &h->wish));
    }
    if (!h->waits) {
        h->n_pieces = history_plan(h->sessions, h->n_sessions, &h->wish, h->pieces);
    }
    return 0;
}

static int next_piece(struct viewer_history *h)
{
    const struct history_piece *piece = &h->pieces[h->at];
    const struct scan_spec spec = {.sessions = &h->sessions[piece->session],
                                   .n = 1,
                                   .from_ns = piece->from_ns,
                                   .to_ns = piece->to_ns,
                                   .filter = h->filter};

    int code = scan_new(h->store, &spec, &h->scan, &h->err);

    if (code == 0) {
        scan_pause_after(h->scan, LOOK_FRAMES);
    }
    return code;
}

/* One packet more; false when the run is full. */
static bool put(struct viewer_history *h, const struct scan_packet *packet)
{
    uint32_t caplen = packet->view.caplen;

    if (strcmp(packet->iface->name, h->interface) != 0 ||
        packet->iface->link_type != h->wish.link_type) {
        return true;
    }
    caplen = h->snaplen != 0 && caplen > h->snaplen ? h->snaplen : caplen;
    if (!block_append_as(h->run, &packet->view, 0, caplen)) {
        struct block *larger =
            block_new(h->run->len + block_packet_bytes(caplen, packet->view.options_len));
        if (larger == NULL) {
            err_set(&h->err, ERR_NO_MEMORY, "no memory for a packet of %u bytes", caplen);
            h->ended = true;
            return false;
        }
        memcpy(larger->data, h->run->data, h->run->len);
        larger->len = h->run->len;
        larger->n_packets = h->run->n_packets;
        block_unref(h->run);
        h->run = larger;
        REQUIRE(block_append_as(h->run, &packet->view, 0, caplen));
    }
    return h->run->len < RUN_BYTES - RUN_BYTES / 8;
}

/* Ends with a run, the end, or its time on the worker, whatever it has by then: a filter that
 * nothing matches reads gigabytes. */
static int read_run(struct viewer_history *h)
{
    uint64_t until_ns = clock_monotonic_ns() + h->node->relay->history_job_ns;
    struct scan_packet packet;
    uint32_t n = 0;

    while (!atomic_load(&h->dropped)) {
        if (h->scan == NULL) {
            if (h->at == h->n_pieces) {
                h->ended = true;
                return 0;
            }
            int code = next_piece(h);
            if (code < 0) {
                return code;
            }
        }
        int got = scan_next(h->scan, &packet, &h->err);
        if (got < 0) {
            return got;
        }
        if (got == 0) {
            scan_free(h->scan);
            h->scan = NULL;
            h->at++;
        } else if (got != SCAN_PAUSED && !put(h, &packet)) {
            return 0;
        }
        if ((got == SCAN_PAUSED || ++n % LOOK_PACKETS == 0) && clock_monotonic_ns() >= until_ns) {
            return 0;
        }
    }
    h->ended = true;
    return 0;
}

static void let_go(struct viewer_history *h)
{
    scan_free(h->scan);
    h->scan = NULL;
    store_sessions_free(h->sessions, h->n_sessions);
    h->sessions = NULL;
    h->n_sessions = 0;
    if (h->store != NULL) {
        node_store_give(h->node->store, h->store);
    }
    h->store = NULL;
}

static void run(void *arg)
{
    struct viewer_history *h = arg;
    int code = 0;

    if (h->n_pieces == 0) {
        code = prepare(h);
        h->ended = code < 0 || (!h->waits && h->n_pieces == 0);
    }
    if (code == 0 && !h->waits && !h->ended) {
        h->run = block_new(RUN_BYTES);
        code = h->run == NULL ? err_set(&h->err, ERR_NO_MEMORY, "no memory") : read_run(h);
    }
    h->ended = h->ended || code < 0;
    if (h->ended) {
        let_go(h); /* may block, so here */
    }
}

/* ---- on the loop -------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct viewer_history *h = handle->data;
    struct relay *relay = h->node->relay;

    block_unref(h->run);
    mem_free(h->interface);
    mem_free(h->filter);
    mem_free(h);
    relay->n_histories--;
    relay_check_end(relay);
}

static void on_done(void *arg, bool cancelled);
static void on_timer(uv_timer_t *timer);

/* Whether a recording of the interface has packets that the last look at the store did not find. */
static bool is_behind(const struct viewer_history *h)
{
    struct session_counters now;

    for (size_t i = 0; i < h->n_sessions && h->node->captures != NULL; i++) {
        const struct store_session *session = &h->sessions[i];

        if (session->state == STORE_RUNNING && records(session, h->interface) &&
            captures_counters(h->node->captures, session->id, &now) &&
            now.total.captured != LEDGER_UNKNOWN && now.total.store != LEDGER_UNKNOWN &&
            now.total.captured > session->packets + now.total.store) {
            return true;
        }
    }
    return false;
}

static void start_job(struct viewer_history *h)
{
    uint64_t waited_ms = uv_now(h->node->loop) - h->began_ms;

    h->may_wait =
        h->viewer != NULL && (waited_ms < WAIT_MS || (waited_ms < WAIT_BEHIND_MS && is_behind(h)));
    h->is_out = true;
    if (!work_run(h->node, run, on_done, h)) {
        h->is_out = false;
        uv_timer_start(&h->timer, on_timer, LOOK_AGAIN_MS, 0); /* too much waits */
    }
}

static void on_timer(uv_timer_t *timer)
{
    start_job(timer->data);
}

/* A last job gives the reader back, which may block. */
static void close_history(struct viewer_history *h)
{
    if (h->is_out || h->is_closing) {
        return;
    }
    if (h->store != NULL) {
        block_unref(
            h->run); /* that nobody takes any more; the job would put another in its place */
        h->run = NULL;
        atomic_store(&h->dropped, true);
        uv_timer_start(&h->timer, on_timer, 0, 0);
        return;
    }
    h->is_closing = true;
    uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}

static void note_failure(struct viewer *viewer, const struct viewer_history *h)
{
    if (h->err.code < 0 && h->err.code != ERR_NOT_FOUND) {
        snprintf(viewer->note, sizeof viewer->note, "the history is not complete: %.200s",
                 h->err.text);
    }
}

static void finish(struct viewer *viewer, struct viewer_history *h)
{
    note_failure(viewer, h);
    viewer->history = NULL;
    if (h->n_pieces >
        0) { /* else nothing can come twice: all that an uplink has waiting is shown */
        viewer->live_from_ns = h->wish.to_ns + 1;
    }
    viewer->joined_ms = uv_now(h->node->loop);
    viewer->has_jumped = true; /* tells where the live part begins */
    h->viewer = NULL;
    close_history(h);
    relay_stream_poke(viewer->stream);
}

/* Sends the run that was read and has the next one read. */
void viewer_history_step(struct viewer *viewer)
{
    struct viewer_history *h = viewer->history;

    if (h->is_out || uv_is_active((uv_handle_t *)&h->timer)) {
        return;
    }
    if (h->run != NULL) {
        struct block *block = h->run;
        h->run = NULL;
        if (block->len > 0) {
            viewer_send_run(viewer, block);
        } else {
            block_unref(block);
        }
    }
    if (h->ended) {
        finish(viewer, h);
    } else {
        start_job(h);
    }
}

static void on_done(void *arg, bool cancelled)
{
    struct viewer_history *h = arg;

    h->is_out = false;
    if (cancelled) { /* the node is ending */
        h->ended = true;
        let_go(h);
    }
    if (h->viewer == NULL) {
        close_history(h);
    } else if (h->waits) {
        h->waits = false;
        uv_timer_start(&h->timer, on_timer, LOOK_AGAIN_MS, 0);
    } else {
        viewer_pump(h->viewer);
    }
}

void viewer_history_begin(struct viewer *viewer, uint64_t from_ns)
{
    struct relay_stream *stream = viewer->stream;
    struct viewer_history *h = x_alloc(sizeof *h);
    uint64_t t0_ns = viewer->live_from_ns != 0 ? viewer->live_from_ns : clock_wall_ns();
    uint64_t oldest_ns = t0_ns > RELAY_HISTORY_MAX_NS ? t0_ns - RELAY_HISTORY_MAX_NS : 0;

    from_ns = from_ns < oldest_ns ? oldest_ns : from_ns;
    h->viewer = viewer;
    h->node = stream->relay->node;
    h->interface = x_strdup(stream->interface);
    h->filter = x_strdup(stream->filter);
    h->snaplen = stream->snaplen;
    h->wish = (struct history_wish){.interface = h->interface,
                                    .link_type = stream->iface.link_type,
                                    .from_ns = from_ns < t0_ns ? from_ns : t0_ns - 1,
                                    .to_ns = t0_ns - 1};
    h->began_ms = uv_now(h->node->loop);
    REQUIRE(uv_timer_init(h->node->loop, &h->timer) == 0);
    h->timer.data = h;
    stream->relay->n_histories++;
    viewer->history = h;
}

void viewer_history_drop(struct viewer *viewer)
{
    struct viewer_history *h = viewer->history;

    viewer->history = NULL;
    h->viewer = NULL;
    atomic_store(&h->dropped, true);
    uv_timer_stop(&h->timer);
    close_history(h);
}
