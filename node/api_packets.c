/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/sessions/{id}/packets: packets as JSON, page by page, the objects of `query --json`.
 * A page ends at its limit, at PAGE_BYTES, or after PAGE_NS of searching, so that no question holds
 * a worker or memory for long; `next` then says where it goes on, also when nothing matched.
 */
#include "node/api_packets.h"

#include <string.h>

#include "node/api_job.h"
#include "node/packet_cursor.h"
#include "shared/base/buf.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/packet_row.h"
#include "shared/wire/api_key.h"

#define LIMIT_DEFAULT 100
#define LIMIT_MAX     10000
#define PAGE_BYTES    (4u * 1024u * 1024u)
#define PAGE_NS       (2u * 1000000000ull)
#define PAUSE_FRAMES  8u

struct packets_job {
    struct api_job base;
    const char *id; /* borrowed from the exchange, as the next two */
    const char *filter;
    const char *cursor;
    uint64_t from_ns;
    uint64_t to_ns;
    uint64_t limit;
    bool with_data;
    struct buf answer;
    struct packet_row row;
};

static struct packets_job *job_of(struct api_job *base)
{
    return container_of(base, struct packets_job, base);
}

static void release(struct api_job *base)
{
    struct packets_job *job = job_of(base);

    buf_deinit(&job->answer);
    mem_free(job);
}

static void put_packet(struct packets_job *job, const struct scan_packet *packet, bool first)
{
    if (!first) {
        buf_put_u8(&job->answer, ',');
    }
    packet_row_make(&job->row, packet);
    packet_row_json(&job->answer, &job->row, job->with_data);
    job->answer.len--; /* the line feed of NDJSON */
}

/* 0 when all was looked at, 1 when the page ended before. */
static int put_page(struct packets_job *job, struct scan *scan, struct err *err)
{
    uint64_t until = clock_monotonic_ns() + PAGE_NS;
    struct scan_packet packet;
    uint64_t n = 0;

    while (n < job->limit && job->answer.len < PAGE_BYTES) {
        int r = scan_next(scan, &packet, err);
        if (r <= 0) {
            return r;
        }
        if (r == 1) {
            put_packet(job, &packet, n == 0);
            n++;
        } else if (clock_monotonic_ns() >= until) {
            break;
        }
    }
    return 1;
}

static void put_end(struct packets_job *job, const char *id, uint64_t position, bool more)
{
    char cursor[PACKET_CURSOR_TEXT];

    packet_cursor_write(id, position, cursor);
    buf_put_str(&job->answer, "],\"next\":");
    if (more) {
        buf_printf(&job->answer, "\"%s\"", cursor);
    } else {
        buf_put_str(&job->answer, "null");
    }
    buf_printf(&job->answer, ",\"resume\":\"%s\"", cursor);
}

static void put_damage(struct packets_job *job, const struct scan_damage *damage)
{
    buf_printf(&job->answer, ",\"damaged_packets\":%llu,\"deleted_packets\":%llu}\n",
               (unsigned long long)damage->packets, (unsigned long long)damage->gone_packets);
}

static int read_page(struct packets_job *job, struct store *store,
                     const struct store_session *session, struct err *err)
{
    struct scan_spec spec = {
        .sessions = session,
        .n = 1,
        .from_ns = job->from_ns,
        .to_ns = job->to_ns,
        .filter = job->filter,
    };
    struct scan *scan = NULL;
    int r =
        job->cursor == NULL ? 0 : packet_cursor_read(job->cursor, session->id, &spec.after, err);

    r = r < 0 ? r : scan_new(store, &spec, &scan, err);
    if (r < 0) {
        return r;
    }
    scan_pause_after(scan, PAUSE_FRAMES);
    buf_put_str(&job->answer, "{\"packets\":[");
    r = put_page(job, scan, err);
    if (r >= 0) {
        put_end(job, session->id, scan_position(scan), r == 1);
        put_damage(job, scan_damage(scan));
    }
    scan_free(scan);
    return r < 0 ? r : 0;
}

static int read_packets(struct store *store, struct api_job *base, struct err *err)
{
    struct packets_job *job = job_of(base);
    struct store_session *session = NULL;
    int r = store_session_find(store, job->id, &session, err);

    if (r == 0) {
        r = read_page(job, store, session, err);
        store_sessions_free(session, 1);
    }
    return r;
}

static void run(struct api_job *base)
{
    api_job_read(base, read_packets);
}

static void reply(struct api_job *base)
{
    struct buf *answer = &job_of(base)->answer;

    exchange_reply(base->ex, 200, "application/json", answer->data, answer->len);
}

static void get_packets(struct exchange *ex, struct node *node)
{
    uint64_t from_ns;
    uint64_t to_ns;
    uint64_t limit;
    bool with_data;
    const char *filter;

    if (!api_query_number(ex, "limit", 1, LIMIT_MAX, LIMIT_DEFAULT, &limit) ||
        !api_query_time(ex, "from", 0, &from_ns) || !api_query_time(ex, "to", UINT64_MAX, &to_ns) ||
        !api_query_flag(ex, "data", &with_data) || !api_query_filter(ex, &filter)) {
        return;
    }
    struct packets_job *job = x_alloc(sizeof *job);
    job->id = exchange_path(ex, "id");
    job->filter = filter;
    job->cursor = exchange_query(ex, "cursor");
    job->from_ns = from_ns;
    job->to_ns = to_ns;
    job->limit = limit;
    job->with_data = with_data;
    job->base.run = run;
    job->base.reply = reply;
    job->base.release = release;
    api_job_start(&job->base, ex, node);
}

static const struct route_param params[] = {
    {"filter", "string", "A filter expression of libpcap; only packets that match."},
    {"limit", "integer", "Packets of one page, 1 to 10000; 100 when absent."},
    {"cursor", "string", "'next' (or, to ask for what came since, 'resume') of another page."},
    {"from", "string", "First time stamp: RFC 3339, @SECONDS or -10m."},
    {"to", "string", "Last time stamp."},
    {"data", "boolean", "1: also the bytes of each packet, in hex."},
    {0},
};

static const struct route routes[] = {
    {.method = "GET",
     .path = "/api/v1/sessions/{id}/packets",
     .right = RIGHT_VIEW,
     .params = params,
     .summary = "Packets as {\"packets\":[…],\"next\":cursor|null,\"resume\":cursor}, in the order "
                "they were recorded; the objects of `query --json`. A page may be shorter than its "
                "limit, even empty, while 'next' is no null.",
     .answer = "application/json",
     .handle = get_packets},
};

const struct route_group api_packets_routes = {routes, ARRAY_LEN(routes)};
