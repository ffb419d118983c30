/* SPDX-License-Identifier: Apache-2.0
 *
 * How a sniffer comes to its node, and waits before it tries again. Its end cuts both short.
 */
#include <poll.h>
#include <sys/random.h>

#include "node/sniff_internal.h"
#include "shared/base/backoff.h"
#include "shared/base/clock_posix.h"
#include "shared/wire/ws_client.h"

#define MS_NS      1000000ull
#define CONNECT_NS (15000 * MS_NS)

uint64_t sniff_deadline_ns(struct sniff_uplink *uplink)
{
    pthread_mutex_lock(&uplink->mutex);
    uint64_t deadline = uplink->stopping ? uplink->deadline_ns : UINT64_MAX;
    pthread_mutex_unlock(&uplink->mutex);
    return deadline;
}

struct ws_client *sniff_dial(struct sniff_uplink *uplink, const struct sniff_stream *stream,
                             struct err *err)
{
    const struct sniff_setup *setup = uplink->setup;
    struct buf target = {0};
    struct ws_client *client = NULL;
    unsigned status = 0;
    uint64_t end_ns = sniff_deadline_ns(uplink);
    uint64_t until_ns = clock_monotonic_ns() + CONNECT_NS;

    pthread_mutex_lock(&uplink->mutex);
    uint64_t taken = stream->spool.taken;
    pthread_mutex_unlock(&uplink->mutex);
    sniff_target(uplink, stream, taken, &target);
    buf_put_u8(&target, 0);
    const struct ws_client_opts opts = {
        .endpoint = &setup->endpoint,
        .target = (const char *)target.data,
        .api_key = setup->api_key,
        .ca_file = setup->options->ca_file,
        .max_message = INGEST_MESSAGE_MAX,
        .local_port_from = SNIFF_PORT_FROM,
        .local_port_to = SNIFF_PORT_TO,
        /* once the end has come, what is left is sent in the time that is left */
        .stop_fd = end_ns == UINT64_MAX ? uplink->stop_fds[0] : 0,
    };
    int rc = ws_client_open(&opts, end_ns < until_ns ? end_ns : until_ns, &client, &status, err);
    buf_deinit(&target);
    if (rc < 0 && status != 0) {
        err_wrap(err, "the node answered %u", status);
    }
    return rc < 0 ? NULL : client;
}

void sniff_back_off(struct sniff_uplink *uplink, struct backoff *backoff)
{
    uint64_t random = 0;

    (void)!getrandom(&random, sizeof random, 0);
    uint64_t now_ns = clock_monotonic_ns();
    uint64_t until_ns = now_ns + backoff_next_ns(backoff, random);
    uint64_t end_ns = sniff_deadline_ns(uplink);
    bool ends = end_ns != UINT64_MAX;
    struct pollfd stop = {.fd = ends ? -1 : uplink->stop_fds[0], .events = POLLIN};

    until_ns = end_ns < until_ns ? end_ns : until_ns;
    if (until_ns > now_ns) {
        (void)poll(&stop, 1, (int)((until_ns - now_ns) / MS_NS) + 1);
    }
}
