/* SPDX-License-Identifier: Apache-2.0 */
#include "node/reading.h"

#include <string.h>

#include "node/store_access.h"
#include "shared/base/clock_posix.h"
#include "shared/base/crc32c.h"
#include "shared/base/mem.h"
#include "shared/wire/rpc.h"

/* A chunk of a filter that finds little ends after so long. */
#define SEARCH_NS UINT64_C(1000000000)

/* bin 32 of msgpack: the length is written when it is known. */
#define BIN_32       0xC6u
#define BIN_32_BYTES 5u
/* Of an answer, beside the bytes of the file. */
#define OTHER_BYTES 1024u

struct reading {
    struct node_store *access;
    struct store *store;
    struct store_session *session;
    struct export_spec spec;
    char *filter;
    struct read_cursor cursor; /* mark: after the last chunk */
    struct export_chunks *chunks;
};

static int check_cursor(const struct reading_spec *spec, const struct read_cursor *cursor,
                        struct err *err)
{
    if (cursor->what != read_cursor_sum(spec->format, spec->filter)) {
        return err_set(err, ERR_USAGE,
                       "the cursor is of a reading with another filter or format: begin again "
                       "without it, or ask for the same");
    }
    if (strlen(spec->id) == STORE_ID_TEXT - 1 && strcmp(spec->id, cursor->id) != 0) {
        return err_set(err, ERR_USAGE, "the cursor is of session %s", cursor->id);
    }
    return 0;
}

/* Which session, and from when to when: a cursor says it, so that "last" and "-10m" mean the same
 * from chunk to chunk. */
static int settle_cursor(struct reading *r, const struct reading_spec *spec, struct err *err)
{
    if (spec->cursor != NULL) {
        int code = read_cursor_read(spec->cursor, &r->cursor, err);
        return code < 0 ? code : check_cursor(spec, &r->cursor, err);
    }
    r->cursor.from_ns = spec->from_ns;
    r->cursor.to_ns = spec->to_ns;
    r->cursor.what = read_cursor_sum(spec->format, spec->filter);
    return 0;
}

static int open_chunks(struct reading *r, const struct reading_spec *spec, struct err *err)
{
    bool goes_on = spec->cursor != NULL;
    int code = settle_cursor(r, spec, err);

    code = code < 0 ? code : node_store_take(r->access, &r->store, err);
    code = code < 0
               ? code
               : store_session_find(r->store, goes_on ? r->cursor.id : spec->id, &r->session, err);
    if (code < 0) {
        return code;
    }
    memcpy(r->cursor.id, r->session->id, sizeof r->cursor.id);
    r->filter = spec->filter == NULL ? NULL : x_strdup(spec->filter);
    r->spec = (struct export_spec){
        .sessions = r->session,
        .n = 1,
        .from_ns = r->cursor.from_ns,
        .to_ns = r->cursor.to_ns,
        .filter = r->filter,
        .format = spec->format,
        .application = "packetrecorder " PR_VERSION,
    };
    return export_chunks_new(r->store, &r->spec, goes_on ? &r->cursor.mark : NULL, &r->chunks, err);
}

int reading_open(struct node_store *access, const struct reading_spec *spec, struct reading **out,
                 struct err *err)
{
    struct reading *r = x_alloc(sizeof *r);

    r->access = access;
    int code = open_chunks(r, spec, err);
    if (code < 0) {
        reading_close(r);
        return code;
    }
    *out = r;
    return 0;
}

void reading_close(struct reading *r)
{
    if (r == NULL) {
        return;
    }
    export_chunks_free(r->chunks);
    store_sessions_free(r->session, 1);
    if (r->store != NULL) {
        node_store_give(r->access, r->store);
    }
    mem_free(r->filter);
    mem_free(r);
}

/* Packets went missing: the file would be one with a hole, unless there is nothing left to read. */
static int check_session(struct reading *r, uint64_t missing_before, struct err *err)
{
    struct store_session *session = NULL;

    if (export_chunks_mark(r->chunks)->missing == missing_before) {
        return 0;
    }
    int code = store_session_find(r->store, r->cursor.id, &session, err);
    store_sessions_free(session, code < 0 ? 0 : 1);
    return code;
}

static void put_count(struct buf *out, const char *name, uint64_t n)
{
    rpc_put_text(out, name);
    rpc_put_u64(out, n);
}

/* Behind the bytes of the file, which begin at `at`. */
static void put_rest(struct reading *r, struct reading_chunk *chunk, size_t at, uint64_t offset)
{
    struct buf *out = &chunk->packed;
    const struct export_mark *mark = &r->cursor.mark;

    for (unsigned i = 0; i < 4; i++) { /* big-endian */
        out->data[at - 4 + i] = (uint8_t)(chunk->bytes >> (24 - 8 * i));
    }
    put_count(out, "checksum", crc32c(0, out->data + at, chunk->bytes));
    put_count(out, "offset", offset);
    put_count(out, "packets", mark->packets);
    put_count(out, "missing", mark->missing);
    put_count(out, "left_out", mark->left_out);
    rpc_put_text(out, "next");
    if (!chunk->is_last) {
        read_cursor_write(&r->cursor, chunk->next);
    }
    rpc_put_text(out, chunk->is_last ? NULL : chunk->next);
}

int reading_next(struct reading *r, size_t max_bytes, struct reading_chunk *chunk, struct err *err)
{
    uint64_t offset = export_chunks_mark(r->chunks)->offset;
    uint64_t missing = export_chunks_mark(r->chunks)->missing;
    struct buf *out = &chunk->packed;

    *chunk = (struct reading_chunk){0};
    buf_reserve(out, max_bytes + OTHER_BYTES);
    rpc_put_map(out, 7);
    rpc_put_text(out, "data");
    buf_put_u8(out, BIN_32);
    buf_put_zeros(out, BIN_32_BYTES - 1);
    size_t at = out->len;
    int code = export_chunks_next(r->chunks, max_bytes, clock_monotonic_ns() + SEARCH_NS, out, err);
    bool is_last = code == 0;
    code = code < 0 ? code : check_session(r, missing, err);
    if (code < 0) {
        buf_deinit(out);
        return code;
    }
    chunk->bytes = out->len - at;
    chunk->is_last = is_last;
    r->cursor.mark = *export_chunks_mark(r->chunks);
    put_rest(r, chunk, at, offset);
    return 0;
}
