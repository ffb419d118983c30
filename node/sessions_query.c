/* SPDX-License-Identifier: Apache-2.0
 *
 * Packets as JSON, page by page, the objects of `query --json`. A page ends at its limit, at
 * PAGE_BYTES, or after PAGE_NS of searching, so that no question holds a worker or memory for long;
 * `next` then says where it goes on, also when nothing matched.
 */
#include "node/packet_cursor.h"
#include "node/sessions.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/packet_row.h"

#define PAGE_BYTES (4u * 1024u * 1024u)
#define PAGE_NS    (2u * 1000000000ull)
/* Frames without a match, and matches, between two looks at the clock. */
#define PAUSE_FRAMES     8u
#define PACKETS_PER_LOOK 64u

struct query_ask {
    struct ask base;
    struct sessions_query query; /* its texts are the next three */
    char *id;
    char *filter;
    char *cursor;
    struct packet_row row;
};

static struct query_ask *of(struct ask *base)
{
    return container_of(base, struct query_ask, base);
}

static void release(struct ask *base)
{
    struct query_ask *ask = of(base);

    mem_free(ask->id);
    mem_free(ask->filter);
    mem_free(ask->cursor);
    mem_free(ask);
}

static void put_packet(struct query_ask *ask, const struct scan_packet *packet, bool first)
{
    struct buf *text = &ask->base.answer.text;

    if (!first) {
        buf_put_u8(text, ',');
    }
    packet_row_make(&ask->row, packet);
    packet_row_json(text, &ask->row, ask->query.with_data);
    text->len--; /* the line feed of NDJSON */
}

/* 0 when all was looked at, 1 when the page ended before. */
static int put_page(struct query_ask *ask, struct scan *scan, struct err *err)
{
    uint64_t until = clock_monotonic_ns() + PAGE_NS;
    struct scan_packet packet;
    uint64_t n = 0;

    while (n < ask->query.limit && ask->base.answer.text.len < PAGE_BYTES) {
        int r = scan_next(scan, &packet, err);
        if (r <= 0) {
            return r;
        }
        if (r == 1) {
            put_packet(ask, &packet, n == 0);
            n++;
        }
        if ((r == SCAN_PAUSED || n % PACKETS_PER_LOOK == 0) && clock_monotonic_ns() >= until) {
            break;
        }
    }
    return 1;
}

static void put_end(struct buf *text, const char *id, uint64_t position, bool more)
{
    char cursor[PACKET_CURSOR_TEXT];

    packet_cursor_write(id, position, cursor);
    buf_put_str(text, "],\"next\":");
    if (more) {
        buf_printf(text, "\"%s\"", cursor);
    } else {
        buf_put_str(text, "null");
    }
    buf_printf(text, ",\"resume\":\"%s\"", cursor);
}

static void put_damage(struct buf *text, const struct scan_damage *damage)
{
    buf_printf(text, ",\"damaged_packets\":%llu,\"deleted_packets\":%llu}\n",
               (unsigned long long)damage->packets, (unsigned long long)damage->gone_packets);
}

static int read_page(struct query_ask *ask, struct store *store,
                     const struct store_session *session, struct err *err)
{
    const struct sessions_query *query = &ask->query;
    struct scan_spec spec = {
        .sessions = session,
        .n = 1,
        .from_ns = query->from_ns,
        .to_ns = query->to_ns,
        .filter = query->filter,
    };
    struct buf *text = &ask->base.answer.text;
    struct scan *scan = NULL;
    int r = query->cursor == NULL
                ? 0
                : packet_cursor_read(query->cursor, session->id, &spec.after, err);

    r = r < 0 ? r : scan_new(store, &spec, &scan, err);
    if (r < 0) {
        return r;
    }
    scan_pause_after(scan, PAUSE_FRAMES);
    buf_put_str(text, "{\"packets\":[");
    r = put_page(ask, scan, err);
    if (r >= 0) {
        put_end(text, session->id, scan_position(scan), r == 1);
        put_damage(text, scan_damage(scan));
    }
    scan_free(scan);
    return r < 0 ? r : 0;
}

static int read_packets(struct store *store, struct ask *base, struct err *err)
{
    struct store_session *session = NULL;
    int r = store_session_find(store, of(base)->id, &session, err);

    if (r == 0) {
        r = read_page(of(base), store, session, err);
        store_sessions_free(session, 1);
    }
    return r;
}

static void run(struct ask *base)
{
    ask_read(base, read_packets);
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : x_strdup(text);
}

void sessions_query(struct node *node, const struct sessions_query *query,
                    const struct asker *asker)
{
    struct query_ask *ask = x_alloc(sizeof *ask);

    ask->query = *query;
    ask->query.id = ask->id = copy(query->id);
    ask->query.filter = ask->filter = copy(query->filter);
    ask->query.cursor = ask->cursor = copy(query->cursor);
    ask->base.run = run;
    ask->base.release = release;
    ask_start(&ask->base, node, asker);
}
