/* SPDX-License-Identifier: Apache-2.0
 *
 * A node that was restarted knows of a stream what it has recorded of it: the last session with the
 * stream's id in its tags. Packets of a recorded uplink carry their position now and then
 * (epb_packetid); the last such one and the number of packets behind it say where the stream ends.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/node.h"
#include "node/store_access.h"
#include "node/uplink_internal.h"
#include "node/work.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/packet/pcapng.h"
#include "shared/packet/pcapng_options.h"
#include "shared/store/scan.h"

/* Of packet time before the end of the session: there is a position in it as a rule. */
#define LAST_NS 2000000000ull

struct finding {
    struct node *node;
    char stream[ID_TEXT_MAX];
    uint64_t from;
    uint64_t position;
    bool found;
    void (*done)(void *arg, uint64_t position);
    void *arg;
};

static bool is_of_stream(const struct store_session *session, const char *stream)
{
    json_t *tags = json_loads(session->tags, 0, NULL);
    const char *id = json_string_value(json_object_get(tags, "stream"));
    bool is = id != NULL && strcmp(id, stream) == 0;

    json_decref(tags);
    return is;
}

static bool position_of(const struct packet_view *packet, uint64_t *position)
{
    struct bytes_reader in = bytes_reader(packet->options, packet->options_len);
    struct pcapng_option_view option;

    while (packet->options_len > 0 && pcapng_option_next(&in, false, &option) == 1) {
        if (option.code == EPB_PACKETID && option.len == 8) {
            *position = get_le64(option.value);
            return true;
        }
    }
    return false;
}

/* Reads the session from that time on. False when no packet there has a position. */
static bool read_end(struct store *store, const struct store_session *session, uint64_t from_ns,
                     uint64_t *position, struct err *err)
{
    const struct scan_spec spec = {
        .sessions = session, .n = 1, .from_ns = from_ns, .to_ns = UINT64_MAX};
    struct scan *scan = NULL;
    struct scan_packet packet;
    uint64_t at = 0;
    bool found = false;

    if (scan_new(store, &spec, &scan, err) < 0) {
        return false;
    }
    while (scan_next(scan, &packet, err) == 1) {
        uint64_t told;
        if (position_of(&packet.view, &told)) {
            at = told;
            found = true;
        }
        at++;
    }
    scan_free(scan);
    *position = at;
    return found;
}

static void find_in(struct finding *finding, struct store *store, struct err *err)
{
    struct store_session *sessions = NULL;
    size_t n = 0;

    if (store_sessions(store, &sessions, &n, err) < 0) {
        return;
    }
    for (size_t i = n; i-- > 0 && !finding->found;) {
        const struct store_session *session = &sessions[i];
        if (session->packets > 0 && is_of_stream(session, finding->stream)) {
            uint64_t from_ns = session->last_ns > LAST_NS ? session->last_ns - LAST_NS : 0;
            finding->found = read_end(store, session, from_ns, &finding->position, err) ||
                             read_end(store, session, 0, &finding->position, err);
        }
    }
    store_sessions_free(sessions, n);
}

static void run(void *arg)
{
    struct finding *finding = arg;
    struct store *store = NULL;
    struct err err = {0};

    int rc = node_store_borrow(finding->node->store, &store, &err);
    if (rc == 0) {
        find_in(finding, store, &err);
        node_store_return(finding->node->store, store, err.code);
    }
    if (err.code < 0 && err.code != ERR_NOT_FOUND) {
        log_warn("cannot look up where stream %s was recorded to: %s", finding->stream, err.text);
    }
}

static void on_done(void *arg, bool cancelled)
{
    struct finding *finding = arg;
    bool use = finding->found && !cancelled && finding->position > finding->from;

    if (use) {
        log_info("stream %s goes on at packet %" PRIu64 ", as recorded", finding->stream,
                 finding->position);
    }
    finding->done(finding->arg, use ? finding->position : finding->from);
    mem_free(finding);
}

void uplink_record_find(struct uplinks *uplinks, const char *stream, uint64_t from,
                        void (*done)(void *arg, uint64_t position), void *arg)
{
    struct finding *finding = x_alloc(sizeof *finding);

    *finding = (struct finding){.node = uplinks->node, .from = from, .done = done, .arg = arg};
    snprintf(finding->stream, sizeof finding->stream, "%s", stream);
    if (!work_run(uplinks->node, run, on_done, finding)) {
        mem_free(finding);
        done(arg, from);
    }
}
