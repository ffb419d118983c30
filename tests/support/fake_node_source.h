/* SPDX-License-Identifier: Apache-2.0
 *
 * Takes the place of node/sources in tests of the relay: every interface exists but "missing", and
 * gives numbered packets when the test asks for them. Header only; include it in one test.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "node/captures.h"
#include "node/sources.h"
#include "shared/base/bytes.h"
#include "shared/base/mem.h"

struct fake_interface {
    atomic_uint_fast64_t wanted; /* packets that it should have given */
    atomic_uint_fast64_t given;
    atomic_bool broken; /* a read fails, and so does an open */
    atomic_bool breaks; /* a read fails, an open does not */
    atomic_uint opens;
    uint32_t caplen; /* 0 = 100 */
    uint32_t link_type;
    uint64_t time_ns; /* of packet 0; each is 1 us later */
    _Atomic(struct fake_live *) live;
};

static struct fake_interface fake_interface;
/* While a test holds it no interface of another node opens. */
static pthread_mutex_t fake_far = PTHREAD_MUTEX_INITIALIZER;

struct fake_live {
    struct source source;
    struct iface iface;
    int fds[2];
    atomic_bool halted;
};

static int fake_live_read(struct source *source, struct source_sink *sink, struct err *err)
{
    struct fake_live *live = container_of(source, struct fake_live, source);
    struct fake_interface *fake = &fake_interface;
    uint32_t caplen = fake->caplen == 0 ? 100 : fake->caplen;
    static uint8_t bytes[300000];
    char drop[256];

    if (atomic_load(&fake->broken) || atomic_load(&fake->breaks)) {
        return err_set(err, ERR_CAPTURE, "the fake interface went down");
    }
    (void)!read(live->fds[0], drop, sizeof drop);
    while (!atomic_load(&live->halted) && atomic_load(&fake->given) < atomic_load(&fake->wanted)) {
        uint64_t number = atomic_fetch_add(&fake->given, 1);
        put_le64(bytes, number);
        const struct packet_view packet = {.time_ns = fake->time_ns + number * 1000,
                                           .caplen = caplen,
                                           .len = caplen,
                                           .data = bytes};
        if (!sink->packet(sink, &packet)) {
            return SOURCE_STOPPED;
        }
    }
    return SOURCE_IDLE;
}

static int fake_live_fd(struct source *source)
{
    return container_of(source, struct fake_live, source)->fds[0];
}

static void fake_live_stats(struct source *source, struct source_stats *out)
{
    (void)source;
    *out = (struct source_stats){atomic_load(&fake_interface.given), 0, 0};
}

static void fake_live_halt(struct source *source)
{
    atomic_store(&container_of(source, struct fake_live, source)->halted, true);
}

static void fake_live_close(struct source *source)
{
    struct fake_live *live = container_of(source, struct fake_live, source);

    atomic_store(&fake_interface.live, NULL);
    close(live->fds[0]);
    close(live->fds[1]);
    mem_free(live);
}

static const struct source_ops fake_live_ops = {.read = fake_live_read,
                                                .fd = fake_live_fd,
                                                .stats = fake_live_stats,
                                                .halt = fake_live_halt,
                                                .close = fake_live_close};

int node_source_find(struct node *node, const char *interface, struct err *err)
{
    (void)node;
    return strcmp(interface, "missing") != 0
               ? 0
               : err_set(err, ERR_NOT_FOUND, "no such interface: 'missing'");
}

int node_source_open(struct node *node, const struct source_request *request, struct source **out,
                     char **excluded, struct err *err)
{
    int code = node_source_find(node, request->interface, err);

    atomic_fetch_add(&fake_interface.opens, 1);
    if (strchr(request->interface, '/') != NULL) {
        pthread_mutex_lock(&fake_far);
        pthread_mutex_unlock(&fake_far);
    }
    if (code == 0 && atomic_load(&fake_interface.broken)) {
        code = err_set(err, ERR_CAPTURE, "the fake interface is down");
    }
    if (code < 0) {
        return code;
    }
    struct fake_live *live = x_alloc(sizeof *live);
    snprintf(live->iface.name, sizeof live->iface.name, "%s", request->interface);
    live->iface.link_type =
        fake_interface.link_type == 0 ? LINK_ETHERNET : fake_interface.link_type;
    live->source = (struct source){.ops = &fake_live_ops, .ifaces = &live->iface, .n_ifaces = 1};
    REQUIRE(pipe2(live->fds, 0x800 /* O_NONBLOCK */) == 0);
    atomic_store(&fake_interface.live, live);
    *out = &live->source;
    *excluded = x_strdup("tcp port 1");
    return 0;
}

static void (*fake_swapped)(struct node *node);
static const char *fake_excluded = "tcp port 1";

char *node_source_excluded(struct source *source)
{
    (void)source;
    return x_strdup(fake_excluded);
}

void node_sources_watch_swaps(struct node *node, void (*swapped)(struct node *node))
{
    (void)node;
    fake_swapped = swapped;
}

/* n more packets, at once. Not while a capture is being closed. */
static void fake_give(uint64_t n)
{
    struct fake_live *live = atomic_load(&fake_interface.live);

    atomic_fetch_add(&fake_interface.wanted, n);
    if (live != NULL) {
        (void)!write(live->fds[1], "", 1);
    }
}

/* Nothing is recorded here. */
bool captures_counters(struct captures *captures, const char *id, struct session_counters *out)
{
    (void)captures;
    (void)id;
    (void)out;
    return false;
}
