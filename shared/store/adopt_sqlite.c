/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/adopt.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/id.h"
#include "shared/base/mem.h"
#include "shared/packet/block.h"
#include "shared/store/frame_pool.h"
#include "shared/store/session_text.h"

static const struct ledger unknown_loss = {
    LEDGER_UNKNOWN, 0, LEDGER_UNKNOWN, LEDGER_UNKNOWN, LEDGER_UNKNOWN, LEDGER_UNKNOWN,
    LEDGER_UNKNOWN};

void adopt_init(struct adopt *a, struct store *store)
{
    *a = (struct adopt){
        .store = store, .decoder = frame_decoder_new(), .index = index_builder_new()};
}

void adopt_deinit(struct adopt *a)
{
    frame_decoder_free(a->decoder);
    index_builder_free(a->index);
    store_session_deinit(&a->session);
}

static uint32_t link_type_of(const struct adopt *a, uint32_t iface)
{
    return iface < a->session.n_ifaces ? a->session.ifaces[iface].link_type : UINT32_MAX;
}

bool adopt_read_run(struct adopt *a, const uint8_t *raw, const struct frame_header *h,
                    struct catalogue_frame *f, uint8_t **bloom)
{
    struct block_cursor cursor = block_cursor(raw, h->raw_len);
    struct packet_view packet;
    bool known = true;
    uint32_t n = 0;
    int r;

    index_builder_reset(a->index);
    f->min_ns = UINT64_MAX;
    while ((r = block_next(&cursor, &packet)) > 0) {
        known = known && packet.iface < a->session.n_ifaces;
        index_builder_add(a->index, &packet, link_type_of(a, packet.iface));
        f->packet_bytes += packet.caplen;
        f->min_ns = packet.time_ns < f->min_ns ? packet.time_ns : f->min_ns;
        f->max_ns = packet.time_ns > f->max_ns ? packet.time_ns : f->max_ns;
        n++;
    }
    size_t cap = (size_t)(f->packet_bytes / INDEX_SHARE);
    cap = cap < INDEX_FLOOR ? INDEX_FLOOR : cap;
    *bloom = x_alloc(cap);
    f->bloom = *bloom;
    f->bloom_n = known ? index_builder_finish(a->index, *bloom, cap) : 0;
    return r == 0 && n == h->n_packets;
}

static void id_text_of(const struct segment_header *h, char out[ID_TEXT_MAX])
{
    struct id id;

    memcpy(id.bytes, h->session_id, sizeof id.bytes);
    id_format(&id, out);
}

static void forget_description(struct adopt *a)
{
    store_session_deinit(&a->session);
    a->session = (struct store_session){0};
}

void adopt_take_description(struct adopt *a, const struct segment_header *header,
                            const uint8_t *raw, size_t n)
{
    struct store_session read;
    char id[ID_TEXT_MAX];

    id_text_of(header, id);
    if (session_text_read((const char *)raw, n, &read) < 0) {
        return;
    }
    if (strcmp(read.id, id) != 0) {
        store_session_deinit(&read);
        return;
    }
    if (read.clock_is_more && strcmp(a->session.id, id) == 0) {
        struct clock_samples all = a->session.clock;
        a->session.clock = (struct clock_samples){0};
        clock_samples_join(&all, &read.clock);
        clock_samples_deinit(&read.clock);
        read.clock = all;
    }
    read.clock_is_more = false;
    forget_description(a);
    a->session = read;
}

/* One segment being read. */
struct walk {
    struct adopt *a;
    struct segment_reader reader;
    struct catalogue_segment *row;
    uint64_t offset;      /* of the frame in hand */
    int64_t last;         /* number of the frame before; they only grow */
    uint64_t passed_over; /* packets in damaged frames: those behind keep their numbers */
    bool cut;
};

static void count_damage(struct walk *w, const struct frame_header *h)
{
    uint64_t packets = h->kind == FRAME_PACKETS ? h->n_packets : 0;

    w->a->damaged_frames++;
    w->a->damaged_packets += packets;
    w->passed_over += packets;
}

static int enter_frame(struct walk *w, const struct frame_header *h, const uint8_t *raw,
                       struct err *err)
{
    struct adopt *a = w->a;
    struct catalogue_segment *row = w->row;
    struct catalogue_frame f = {
        .number = h->number,
        .offset = w->offset,
        .stored_len = SEGMENT_FRAME_BYTES + h->stored_len,
        .raw_len = h->raw_len,
        .n_packets = h->n_packets,
        .first_number = row->first_number + row->packets + w->passed_over,
    };
    uint8_t *bloom = NULL;
    int r = 0;

    if (adopt_read_run(a, raw, h, &f, &bloom)) {
        r = catalogue_put_frame(&a->store->catalogue, row->row, &f, err);
        catalogue_count_frame(row, &f);
        a->frames++;
        a->packets += h->n_packets;
    } else {
        count_damage(w, h);
    }
    mem_free(bloom);
    return r;
}

static int cut_tail(struct adopt *a, const struct catalogue_segment *row, uint64_t at,
                    uint64_t size, struct err *err)
{
    char *path = store_file(a->store, row->file);
    int r = truncate(path, (off_t)at) < 0 ? err_errno(err, errno, "cannot cut '%s'", path) : 0;

    a->cut_bytes += r == 0 ? size - at : 0;
    mem_free(path);
    return r;
}

/* A crash leaves the beginning of a frame. h: as far as it was read. */
static bool is_torn(const struct walk *w, const struct frame_header *h)
{
    uint64_t left = w->reader.size - w->offset;

    return left < SEGMENT_FRAME_BYTES ||
           (h->kind != 0 && left < (uint64_t)SEGMENT_FRAME_BYTES + h->stored_len);
}

/* Past what is no frame (or, when it is intact, not the next one), with what is lost counted. A
 * header that holds tells where its frame ends; inside it packets may well have carried frames of
 * another store. */
static int step_over(struct walk *w, const struct frame_header *h, bool intact, struct err *err)
{
    uint64_t behind = w->offset + SEGMENT_FRAME_BYTES + h->stored_len;
    uint64_t next =
        intact ? behind : segment_reader_resync(&w->reader, h->kind != 0 ? behind : w->offset + 1);
    bool tail = !intact && next >= w->reader.size;
    int r = 0;

    if (tail && (w->cut || is_torn(w, h))) {
        r = w->cut ? cut_tail(w->a, w->row, w->offset, w->reader.size, err) : 0;
    } else {
        count_damage(w, h);
    }
    w->offset = next;
    return r;
}

static int walk(struct walk *w, struct err *err)
{
    struct frame_header h = {0};
    const uint8_t *raw;
    int r = 0;

    while (w->offset < w->reader.size && r == 0) {
        r = segment_reader_frame(&w->reader, w->a->decoder, w->offset, &h, &raw, err);
        w->cut = w->cut && r != ERR_IO; /* what the disk does not read may come back */
        if (r == ERR_DAMAGED || r == ERR_IO || (r == 0 && h.number <= w->last)) {
            r = step_over(w, &h, r == 0, err);
            continue;
        }
        if (r == 0 && h.kind == FRAME_SESSION) {
            adopt_take_description(w->a, &w->reader.header, raw, h.raw_len);
        } else if (r == 0) {
            r = enter_frame(w, &h, raw, err);
        }
        w->last = h.number;
        w->offset += SEGMENT_FRAME_BYTES + h.stored_len;
        w->row->bytes = w->offset;
    }
    return r;
}

static int last_number(struct store *store, int64_t segment, int64_t *last, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct catalogue_frame f;
    int r = catalogue_frames(&store->catalogue, segment, false, &stmt, err);

    while (r >= 0 && (r = catalogue_next_frame(&store->catalogue, stmt, &f, err)) > 0) {
        *last = f.number;
    }
    sqlite3_finalize(stmt);
    return r;
}

int adopt_segment(struct adopt *a, struct catalogue_segment *row, uint64_t offset, bool cut,
                  struct err *err)
{
    struct walk w = {.a = a, .row = row, .offset = offset, .last = -1, .cut = cut};
    int r = segment_reader_open(a->store, row->file, row->id, &w.reader, err);

    if (r < 0) {
        return r;
    }
    if (offset > SEGMENT_HEADER_BYTES) {
        /* The description stands at the head; without it the packets' link types are unknown. */
        struct frame_header h;
        const uint8_t *raw;
        if (segment_reader_frame(&w.reader, a->decoder, SEGMENT_HEADER_BYTES, &h, &raw, NULL) ==
                0 &&
            h.kind == FRAME_SESSION) {
            adopt_take_description(a, &w.reader.header, raw, h.raw_len);
        }
    } else {
        w.offset = SEGMENT_HEADER_BYTES;
    }
    r = last_number(a->store, row->row, &w.last, err);
    r = r < 0 ? r : walk(&w, err);
    segment_reader_close(&w.reader);
    return r;
}

uint64_t adopt_modified_ns(const struct store *store, const char *file)
{
    char *path = store_file(store, file);
    struct stat st;
    uint64_t ns = 0;

    if (stat(path, &st) == 0) {
        ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec;
    }
    mem_free(path);
    return ns;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int adopt_list_files(const struct store *store, char ***out, size_t *n, struct err *err)
{
    DIR *dir = opendir(store->dir);
    const struct dirent *entry;
    char **list = NULL;
    size_t count = 0;
    size_t cap = 0;

    if (dir == NULL) {
        return err_errno(err, errno, "'%s'", store->dir);
    }
    while ((entry = readdir(dir)) != NULL) {
        size_t len = strlen(entry->d_name);
        if (len < 5 || len >= SEGMENT_FILE_MAX || strcmp(entry->d_name + len - 4, ".seg") != 0) {
            continue;
        }
        if (count == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            list = x_realloc(list, cap * sizeof *list);
        }
        list[count++] = x_strdup(entry->d_name);
    }
    closedir(dir);
    if (count > 0) {
        qsort(list, count, sizeof *list, by_name);
    }
    *out = list;
    *n = count;
    return 0;
}

void adopt_free_files(char **files, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        mem_free(files[i]);
    }
    mem_free(files);
}

static int find_row(struct store *store, const char *sql, const char *text, int64_t *row,
                    struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int r = catalogue_query(&store->catalogue, &stmt, err, sql, "s", text);

    if (r == 0) {
        r = catalogue_step(&store->catalogue, stmt, err);
        *row = r > 0 ? sqlite3_column_int64(stmt, 0) : 0;
        sqlite3_finalize(stmt);
    }
    return r < 0 ? r : 0;
}

/* The session of an orphan: known, or made from the header and, after reading, from its
 * description. */
static int session_row(struct adopt *a, const char *id, uint64_t created_ns, int64_t *row,
                       struct err *err)
{
    int r = find_row(a->store, "SELECT row FROM session WHERE id=?", id, row, err);

    if (r == 0 && *row == 0) {
        struct store_session s = {
            .started_ns = created_ns, .state = STORE_RECOVERED, .tags = "{}", .loss = unknown_loss};
        snprintf(s.id, sizeof s.id, "%s", id);
        r = catalogue_put_session(&a->store->catalogue, &s, err);
        *row = a->made = s.row;
    }
    return r;
}

/* What the catalogue has of the clock, and behind it what only the segments know. */
static int join_clock(struct adopt *a, int64_t row, struct err *err)
{
    struct clock_samples all = {0};
    int r = catalogue_get_clock(&a->store->catalogue, row, &all, err);

    clock_samples_join(&all, &a->session.clock);
    r = r < 0 ? r : catalogue_put_clock(&a->store->catalogue, row, &all, err);
    clock_samples_deinit(&all);
    return r;
}

/* A session that the catalogue has knows better than the head of one of its segments, but not
 * better than the description at its end. */
static int describe_session(struct adopt *a, int64_t row, struct err *err)
{
    const struct store_session *s = &a->session;
    struct catalogue *c = &a->store->catalogue;

    if (s->id[0] == '\0') {
        return 0;
    }
    struct store_session known = *s;
    known.row = row;
    if (s->ended_ns == 0) {
        known.state = STORE_RECOVERED;
        known.ended_ns = a->modified_ns;
        known.loss = unknown_loss;
    }
    known.state = a->damaged_frames > a->damaged_before ? STORE_DAMAGED : known.state;
    int r = 0;
    if (row == a->made || s->ended_ns > 0) {
        r = catalogue_run(c, err,
                          "UPDATE session SET name=?, node=?, filter=?, tags=?, started=?"
                          " WHERE row=?",
                          "ssssti", s->name, s->node, s->filter, s->tags, s->started_ns, row);
        r = r < 0 ? r : catalogue_put_excluded(c, &known, err);
        r = r < 0 ? r : catalogue_update_session(c, &known, err);
    }
    r = r < 0 ? r : join_clock(a, row, err);
    return r < 0 ? r : catalogue_put_ifaces(c, row, s->ifaces, 0, s->n_ifaces, err);
}

static int adopt_orphan(struct adopt *a, const char *file, struct err *err)
{
    struct segment_reader reader;
    struct catalogue_segment row = {.closed = true, .min_ns = UINT64_MAX};
    char id[ID_TEXT_MAX];
    int r = segment_reader_open(a->store, file, NULL, &reader, err);

    if (r < 0) {
        return r;
    }
    id_text_of(&reader.header, id);
    memcpy(row.id, reader.header.segment_id, sizeof row.id);
    row.sequence = reader.header.sequence;
    row.first_number = reader.header.first_number;
    uint64_t created_ns = reader.header.created_ns;
    segment_reader_close(&reader);

    snprintf(row.file, sizeof row.file, "%s", file);
    if (strcmp(a->session.id, id) != 0) {
        forget_description(a);
        a->damaged_before = a->damaged_frames;
    }
    a->modified_ns = adopt_modified_ns(a->store, file);
    r = session_row(a, id, created_ns, &row.session, err);
    r = r < 0 ? r : catalogue_put_segment(&a->store->catalogue, &row, err);
    r = r < 0 ? r : adopt_segment(a, &row, 0, false, err);
    r = r < 0 ? r : catalogue_update_segment(&a->store->catalogue, &row, err);
    return r < 0 ? r : describe_session(a, row.session, err);
}

/* A segment that a crash left before its header was whole; nothing was ever in it. */
static bool was_stillborn(const struct store *store, const char *file)
{
    char *path = store_file(store, file);
    struct stat st;
    bool is = stat(path, &st) == 0 && st.st_size < (off_t)SEGMENT_HEADER_BYTES;

    if (is) {
        unlink(path);
    }
    mem_free(path);
    return is;
}

int adopt_orphans(struct adopt *a, uint64_t *adopted, struct err *err)
{
    char **files = NULL;
    size_t n = 0;
    int r = adopt_list_files(a->store, &files, &n, err);

    *adopted = 0;
    for (size_t i = 0; i < n && r == 0; i++) {
        int64_t known = 0;
        r = find_row(a->store, "SELECT row FROM segment WHERE file=?", files[i], &known, err);
        if (r < 0 || known != 0 || (a->after_crash && was_stillborn(a->store, files[i]))) {
            continue;
        }
        struct err why = {0};
        r = adopt_orphan(a, files[i], &why);
        *adopted += r == 0;
        if (r == ERR_DAMAGED || r == ERR_NOT_A_STORE || r == ERR_NOT_FOUND || r == ERR_VERSION ||
            r == ERR_IO) {
            a->damaged_frames++; /* no header: nothing in it can be read; verify names the file */
            r = 0;
        } else if (r < 0) {
            err_set(err, r, "%s", why.text);
        }
    }
    adopt_free_files(files, n);
    return r;
}
