/* SPDX-License-Identifier: Apache-2.0
 *
 * The segment is right and the catalogue follows: each intact frame gets the row that it should
 * have. Where the segment is damaged, the rows tell which packets stood there. A row for which
 * nothing stands in the segment, intact or not, never was.
 */
#include "shared/store/verify_state.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <xxhash.h>

#include "shared/base/id.h"
#include "shared/base/mem.h"

struct known_frame {
    struct catalogue_frame f; /* bloom NULL */
    uint64_t bloom_hash;
    bool seen;
};

struct check {
    struct verify *v;
    struct adopt *a;
    const struct store_session *session;
    struct segment_reader reader;
    struct catalogue_segment sum; /* the row that the segment should have */
    struct known_frame *known;    /* by number */
    size_t n_known;
    uint64_t offset;     /* of the frame in hand */
    int64_t last;        /* number of the frame before */
    uint64_t next_first; /* number of the next packet */
    bool unsure;         /* next_first is a lower bound: a lost frame did not tell its packets */
};

static int list_known(struct check *k, struct err *err)
{
    struct catalogue *c = &k->v->store->catalogue;
    struct catalogue_frame f;
    sqlite3_stmt *stmt = NULL;
    size_t cap = 0;
    int r = catalogue_frames(c, k->sum.row, true, &stmt, err);

    while (r >= 0 && (r = catalogue_next_frame(c, stmt, &f, err)) > 0) {
        if (k->n_known == cap) {
            cap = cap == 0 ? 64 : cap * 2;
            k->known = x_realloc(k->known, cap * sizeof *k->known);
        }
        struct known_frame *one = &k->known[k->n_known++];
        *one = (struct known_frame){.f = f, .bloom_hash = XXH3_64bits(f.bloom, f.bloom_n)};
        one->f.bloom = NULL;
    }
    sqlite3_finalize(stmt);
    return r;
}

static struct known_frame *find_known(const struct check *k, uint32_t number)
{
    size_t low = 0;
    size_t high = k->n_known;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (k->known[middle].f.number < number) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < k->n_known && k->known[low].f.number == number ? &k->known[low] : NULL;
}

/* Numbers only grow, and no frame stands where the catalogue has another while its own place is
 * elsewhere: frames that changed places are damage, though each of them is intact. */
static bool is_misplaced(const struct check *k, uint32_t number)
{
    const struct known_frame *mine = find_known(k, number);

    for (size_t i = 0; i < k->n_known && mine != NULL && mine->f.offset != k->offset; i++) {
        if (k->known[i].f.offset == k->offset) {
            return true;
        }
    }
    return number <= k->last;
}

static bool same(const struct known_frame *known, const struct catalogue_frame *f)
{
    const struct catalogue_frame *g = &known->f;
    /* A frame may go without an index; it is read then. */
    bool index =
        g->bloom_n == 0 || f->bloom_n == 0 ||
        (g->bloom_n == f->bloom_n && known->bloom_hash == XXH3_64bits(f->bloom, f->bloom_n));

    return index && g->offset == f->offset && g->stored_len == f->stored_len &&
           g->raw_len == f->raw_len && g->n_packets == f->n_packets &&
           g->first_number == f->first_number && g->packet_bytes == f->packet_bytes &&
           g->min_ns == f->min_ns && g->max_ns == f->max_ns;
}

static int accept_frame(struct check *k, struct catalogue_frame *f, struct err *err)
{
    struct known_frame *known = find_known(k, f->number);
    struct verify_report *report = k->v->report;
    int r = 0;

    f->first_number = k->unsure && known != NULL && known->f.first_number > k->next_first
                          ? known->f.first_number
                          : k->next_first;
    k->next_first = f->first_number + f->n_packets;
    report->packets += f->n_packets;
    if (known == NULL || !same(known, f)) {
        r = catalogue_put_frame(&k->v->store->catalogue, k->sum.row, f, err);
        report->repaired_frames++;
        verify_find(k->v, "session %s, frame %u of segment %u: its %u packets were %s",
                    k->session->id, f->number, k->sum.sequence, f->n_packets,
                    known == NULL ? "not in the catalogue and are now"
                                  : "described wrongly in the catalogue, which is mended");
    }
    if (known != NULL) {
        known->seen = true;
    }
    catalogue_count_frame(&k->sum, f);
    return r;
}

/* A frame whose bytes are right: a description, or packets. ERR_DAMAGED when they do not parse. */
static int read_frame(struct check *k, const struct frame_header *h, const uint8_t *raw,
                      struct err *err)
{
    struct catalogue_frame f = {
        .number = h->number,
        .offset = k->offset,
        .stored_len = SEGMENT_FRAME_BYTES + h->stored_len,
        .raw_len = h->raw_len,
        .n_packets = h->n_packets,
    };
    uint8_t *bloom = NULL;
    int r = 0;

    if (h->kind == FRAME_SESSION) {
        adopt_take_description(k->a, &k->reader.header, raw, h->raw_len);
        k->sum.bytes = f.offset + f.stored_len;
        return 0;
    }
    r = adopt_read_run(k->a, raw, h, &f, &bloom)
            ? accept_frame(k, &f, err)
            : err_set(err, ERR_DAMAGED, "its packets do not parse");
    mem_free(bloom);
    return r;
}

static void count_lost(struct check *k, uint64_t packets, const char *which, const char *why)
{
    k->v->report->damaged_frames++;
    k->v->report->damaged_packets += packets;
    verify_find(k->v, "session %s, %s of segment %u: %" PRIu64 " packets are lost (%s)",
                k->session->id, which, k->sum.sequence, packets, why);
}

/* The rows of frames that stood in [from, to). */
static bool lose_known(struct check *k, uint64_t from, uint64_t to, const char *why)
{
    bool any = false;

    for (size_t i = 0; i < k->n_known; i++) {
        struct known_frame *known = &k->known[i];
        char which[32];
        if (known->seen || known->f.offset < from || known->f.offset >= to) {
            continue;
        }
        snprintf(which, sizeof which, "frame %u", known->f.number);
        count_lost(k, known->f.n_packets, which, why);
        k->next_first += known->f.n_packets;
        known->seen = any = true;
        catalogue_count_frame(&k->sum, &known->f);
    }
    return any;
}

/* A crash leaves the beginning of a frame; nothing that was ever there is lost by that. */
static bool is_torn(const struct check *k, const struct frame_header *h)
{
    uint64_t left = k->reader.size - k->offset;

    return left < SEGMENT_FRAME_BYTES ||
           (h->kind != 0 && left < (uint64_t)SEGMENT_FRAME_BYTES + h->stored_len);
}

static uint64_t behind_damage(struct check *k, const struct frame_header *h, bool intact)
{
    uint64_t behind = k->offset + 1;

    if (h->kind != 0) {
        behind = k->offset + SEGMENT_FRAME_BYTES + h->stored_len;
        if (intact) {
            return behind;
        }
    }
    for (size_t i = 0; i < k->n_known && h->kind == 0; i++) {
        const struct catalogue_frame *f = &k->known[i].f;
        behind = f->offset == k->offset ? f->offset + f->stored_len : behind;
    }
    return behind < k->reader.size ? segment_reader_resync(&k->reader, behind) : k->reader.size;
}

/* intact: the frame's bytes are right, but it does not belong here. */
static void step_over(struct check *k, const struct frame_header *h, bool intact, const char *why)
{
    uint64_t next = behind_damage(k, h, intact);

    if (!lose_known(k, k->offset, next, why) && !(next >= k->reader.size && is_torn(k, h))) {
        uint64_t packets = h->kind == FRAME_PACKETS ? h->n_packets : 0;
        count_lost(k, packets, h->kind == FRAME_SESSION ? "a description" : "a frame", why);
        k->next_first += packets;
        k->unsure = k->unsure || h->kind == 0;
    }
    k->offset = next;
}

static int walk(struct check *k, struct err *err)
{
    struct frame_header h = {0};
    const uint8_t *raw = NULL;
    int r = 0;

    while (k->offset < k->reader.size && r == 0) {
        struct err why = {0};
        r = segment_reader_frame(&k->reader, k->a->decoder, k->offset, &h, &raw, &why);
        bool read = r == 0;
        k->v->report->frames++;
        if (read && is_misplaced(k, h.number)) {
            r = err_set(&why, ERR_DAMAGED, "it is not the frame that belongs here");
        }
        r = r < 0 ? r : read_frame(k, &h, raw, &why);
        uint64_t from = k->offset;
        if (r == ERR_DAMAGED || r == ERR_IO) {
            step_over(k, &h, read, why.text);
            r = 0;
        } else if (r == 0) {
            k->last = h.number;
            k->offset += SEGMENT_FRAME_BYTES + h.stored_len;
        } else {
            err_set(err, r, "%s", why.text);
        }
        k->v->report->bytes += k->offset - from;
        verify_progress(k->v);
    }
    return r;
}

/* Rows that are left: of what the file does not reach to any more, or of nothing. */
static int settle_rows(struct check *k, struct err *err)
{
    int r = 0;

    lose_known(k, k->reader.size, UINT64_MAX, "the segment is cut off");
    for (size_t i = 0; i < k->n_known && r == 0; i++) {
        if (!k->known[i].seen) {
            r = catalogue_delete_frame(&k->v->store->catalogue, k->sum.row, k->known[i].f.number,
                                       err);
            k->v->report->repaired_frames++;
            verify_find(k->v,
                        "session %s, segment %u: the catalogue named a frame %u that never was",
                        k->session->id, k->sum.sequence, k->known[i].f.number);
        }
    }
    return r;
}

static bool is_of_session(const struct segment_header *h, const struct store_session *s)
{
    struct id id;

    return id_parse(s->id, &id) && memcmp(id.bytes, h->session_id, sizeof h->session_id) == 0;
}

static int wrong_catalogue(const struct store_session *s, const struct catalogue_segment *g,
                           struct err *err)
{
    return err_set(err, ERR_DAMAGED,
                   "the catalogue is damaged: what it says of segment %u of session %s is not so",
                   g->sequence, s->id);
}

/* A segment that does not open: is it the file or the catalogue that is wrong? */
static int cannot_open(struct verify *v, const struct store_session *s,
                       const struct catalogue_segment *g, int code, const struct err *why,
                       struct err *err)
{
    struct segment_reader reader;
    char name[SEGMENT_FILE_MAX];

    snprintf(name, sizeof name, "%s-%06u.seg", s->id, g->sequence);
    bool wrong = strcmp(name, g->file) != 0;
    if (!wrong && segment_reader_open(v->store, g->file, NULL, &reader, NULL) == 0) {
        wrong = is_of_session(&reader.header, s) && reader.header.sequence == g->sequence;
        segment_reader_close(&reader);
    }
    if (wrong) {
        return wrong_catalogue(s, g, err);
    }
    if (code != ERR_NOT_FOUND && code != ERR_DAMAGED && code != ERR_IO && code != ERR_VERSION &&
        code != ERR_NOT_A_STORE) {
        return err_set(err, code, "%s", why->text);
    }
    v->report->missing_segments += code == ERR_NOT_FOUND;
    v->report->damaged_frames += code != ERR_NOT_FOUND;
    v->report->damaged_packets += g->packets;
    verify_find(v, "session %s, segment %u: %" PRIu64 " packets are lost (%s)", s->id, g->sequence,
                g->packets, why->text);
    return 0;
}

static int check_open_segment(struct check *k, struct catalogue_segment *g, struct err *err)
{
    const struct segment_header *h = &k->reader.header;

    if (!is_of_session(h, k->session) || h->sequence != g->sequence ||
        h->first_number != g->first_number) {
        return wrong_catalogue(k->session, g, err);
    }
    if (k->reader.mended) {
        int r = segment_file_mend(k->v->store, g->file, err);
        if (r < 0) {
            return r;
        }
        k->v->report->repaired_segments++;
        verify_find(k->v,
                    "session %s, segment %u: its header was damaged and is mended from its copy",
                    k->session->id, g->sequence);
    }
    k->sum.packets = k->sum.packet_bytes = k->sum.max_ns = 0;
    k->sum.min_ns = UINT64_MAX;
    k->sum.bytes = SEGMENT_HEADER_BYTES;
    k->sum.closed = true;
    int r = list_known(k, err);
    r = r < 0 ? r : walk(k, err);
    r = r < 0 ? r : settle_rows(k, err);
    r = r < 0 ? r : catalogue_update_segment(&k->v->store->catalogue, &k->sum, err);
    *g = r < 0 ? *g : k->sum;
    return r;
}

int verify_segment(struct verify *v, struct adopt *a, const struct store_session *s,
                   struct catalogue_segment *g, struct err *err)
{
    struct check k = {.v = v,
                      .a = a,
                      .session = s,
                      .sum = *g,
                      .offset = SEGMENT_HEADER_BYTES,
                      .last = -1,
                      .next_first = g->first_number};
    struct err why = {0};
    int r = segment_reader_open(v->store, g->file, g->id, &k.reader, &why);

    v->report->segments++;
    if (r < 0) {
        return cannot_open(v, s, g, r, &why, err);
    }
    r = check_open_segment(&k, g, err);
    segment_reader_close(&k.reader);
    mem_free(k.known);
    return r;
}
