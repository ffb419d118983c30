/* SPDX-License-Identifier: Apache-2.0
 *
 * One capture session after the other: when the interface goes down or vanishes the session ends,
 * and another begins once it is back. The counters of all of them add up.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "node/sniff_internal.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/capture/local_addresses_posix.h"
#include "shared/capture/own_filter.h"
#include "shared/capture/session_posix.h"
#include "shared/capture/source_pcap.h"
#include "shared/packet/pcapng.h"

#define LOOK_MS   500 /* counters and addresses are looked at so often */
#define REOPEN_MS 500 /* an interface that is away */

static struct sniff_uplink *uplink_of(struct consumer *c)
{
    return container_of(c, struct sniff_uplink, consumer);
}

static int on_ifaces(struct consumer *c, const struct iface *ifaces, uint32_t n, struct err *err)
{
    struct sniff_uplink *uplink = uplink_of(c);
    struct buf bytes = {0};

    (void)n;
    (void)err;
    pcapng_write_section(&bytes, &(struct pcapng_section){.application = "packetrecorder"});
    pcapng_write_interface(&bytes, &ifaces[0], NULL);
    pthread_mutex_lock(&uplink->mutex);
    struct spool_section *known = uplink->section;
    if (known == NULL || known->bytes.len != bytes.len ||
        memcmp(known->bytes.data, bytes.data, bytes.len) != 0) {
        spool_section_unref(known);
        uplink->section = spool_section_new(bytes.data, bytes.len);
    }
    pthread_mutex_unlock(&uplink->mutex);
    buf_deinit(&bytes);
    sniff_wake_sender(uplink);
    return 0;
}

static int on_block(struct consumer *c, struct block *block, const struct consumer_load *load,
                    struct err *err)
{
    struct sniff_uplink *uplink = uplink_of(c);

    (void)load;
    (void)err;
    pthread_mutex_lock(&uplink->mutex);
    struct spool *spool = &uplink->streams[uplink->n_streams - 1].spool;
    uint64_t failures = spool->failures;
    spool_append(spool, block, uplink->section);
    if (spool->failures > failures && failures == 0) {
        log_error("%s; packets that have no room are dropped and counted", spool->err.text);
    }
    pthread_mutex_unlock(&uplink->mutex);
    sniff_wake_sender(uplink);
    return 0;
}

/* No losses of its own: what the spool drops it counts itself, under positions. */
static const struct consumer_ops ops = {
    .name = "uplink",
    .begin = on_ifaces,
    .ifaces = on_ifaces,
    .block = on_block,
};

void sniff_capture_init(struct sniff_uplink *uplink)
{
    uplink->consumer.ops = &ops;
    uplink->counters.interface = LEDGER_UNKNOWN;
}

/* "not (own) and (user's)"; mem_free. */
static char *join_filter(const struct sniff_setup *setup)
{
    const struct own_endpoint endpoint = {.port_from = SNIFF_PORT_FROM, .port_to = SNIFF_PORT_TO};
    struct local_addresses addresses = {0};
    struct buf own = {0};

    bool known = local_addresses_read(&addresses, NULL) == 0 && addresses.left_out == 0;
    const struct own_traffic traffic = {.addresses = (const char *const *)addresses.items,
                                        .n_addresses = addresses.n,
                                        .endpoints = &endpoint,
                                        .n_endpoints = 1};
    own_filter_build(&traffic, known, &own);
    buf_put_u8(&own, 0);
    char *joined = own_filter_join((const char *)own.data, setup->options->filter);
    local_addresses_free(&addresses);
    buf_deinit(&own);
    return joined;
}

int sniff_open_source(const struct sniff_setup *setup, const char *iface, struct source **out,
                      struct err *err)
{
    char *filter = join_filter(setup);
    const struct source_pcap_opts opts = {
        .interface = iface,
        .filter = filter,
        .snaplen = (uint32_t)setup->options->snaplen,
        .promisc = setup->options->promisc,
        .buffer_bytes = setup->options->buffer_bytes,
    };
    int rc = source_pcap_open(&opts, out, err);

    if (rc == 0 && source_pcap_warning(*out)[0] != '\0') {
        log_warn("%s", source_pcap_warning(*out));
    }
    mem_free(filter);
    return rc;
}

/* True when the sniffer is to end, waiting at most so long. */
static bool wait_for_stop(struct sniff_uplink *uplink, int timeout_ms)
{
    struct pollfd fd = {.fd = uplink->stop_fds[0], .events = POLLIN};

    return poll(&fd, 1, timeout_ms) > 0;
}

/* Totals of the sessions before this one, and of this one. */
static void take_counters(struct sniff_uplink *uplink, const struct sniff_counters *before,
                          const struct ledger *now)
{
    pthread_mutex_lock(&uplink->mutex);
    uplink->counters = (struct sniff_counters){
        .received = ledger_add(before->received, now->received),
        .kernel = ledger_add(before->kernel, now->kernel),
        .interface =
            ledger_add(before->interface == LEDGER_UNKNOWN ? 0 : before->interface, now->interface),
        .queue = ledger_add(before->queue, now->store),
    };
    pthread_mutex_unlock(&uplink->mutex);
}

static void follow_addresses(struct sniff_uplink *uplink, struct source *source, int watch)
{
    struct pollfd fd = {.fd = watch, .events = POLLIN};
    struct err err = {0};

    if (watch < 0 || poll(&fd, 1, 0) <= 0) {
        return;
    }
    local_addresses_forget(watch);
    char *filter = join_filter(uplink->setup);
    if (source->ops->swap_filter != NULL && source->ops->swap_filter(source, filter, &err) < 0) {
        log_warn("the uplink's own traffic may be captured: %s", err.text);
    }
    mem_free(filter);
}

/* One session, from its start to its end. False: it could not start. */
static bool capture(struct sniff_uplink *uplink, struct source *source, struct err *err)
{
    const struct session_consumer consumer = {.consumer = &uplink->consumer};
    const struct session_spec spec = {
        .sources = &source,
        .n_sources = 1,
        .consumers = &consumer,
        .n_consumers = 1,
    };
    struct sniff_counters before = uplink->counters; /* written by this thread alone */
    struct session_counters counters;
    struct session *session = NULL;

    if (session_start(&spec, &session, err) < 0) {
        return false;
    }
    int watch = local_addresses_watch(NULL);
    log_info("capturing on '%s'", uplink->iface);
    while (!session_wait(session, 0)) {
        if (wait_for_stop(uplink, LOOK_MS)) {
            session_request_stop(session);
            session_wait(session, LOOK_MS);
            continue;
        }
        session_snapshot(session, &counters);
        take_counters(uplink, &before, &counters.total);
        follow_addresses(uplink, source, watch);
    }
    const struct session_result *result = session_result(session);
    take_counters(uplink, &before, &result->counters.total);
    *err = result->err;
    session_free(session);
    if (watch >= 0) {
        close(watch);
    }
    return true;
}

static void end(struct sniff_uplink *uplink)
{
    pthread_mutex_lock(&uplink->mutex);
    uplink->capture_ended = true;
    pthread_cond_signal(&uplink->ended);
    pthread_mutex_unlock(&uplink->mutex);
    sniff_wake_sender(uplink);
}

void *sniff_capture_main(void *arg)
{
    struct sniff_uplink *uplink = arg;
    struct source *source = uplink->first;
    bool told = false;

    uplink->first = NULL; /* ours now; by this thread, or it could be gone before we look */
    while (!wait_for_stop(uplink, 0)) {
        struct err err = {0};
        if (source == NULL && sniff_open_source(uplink->setup, uplink->iface, &source, &err) < 0) {
            source = NULL;
        }
        if (source != NULL) {
            told = capture(uplink, source, &err) ? false : told;
            source->ops->close(source);
            source = NULL;
        }
        if (!wait_for_stop(uplink, 0) && !told) {
            log_warn("%s; it is tried again until it is back", err.text);
            told = true;
        }
        (void)wait_for_stop(uplink, REOPEN_MS);
    }
    if (source != NULL) {
        source->ops->close(source);
    }
    end(uplink);
    return NULL;
}
