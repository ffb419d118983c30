/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/segment.h"

#include <string.h>
#include <xxhash.h>
#include <zstd.h>

#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "shared/packet/block.h"

#define SEGMENT_MAGIC "PRSEGMNT"
#define HEAD_BYTES    80u /* of a header, before its slots */
#define COPY_AT       288u
#define COPY_SLOT_AT  (COPY_AT + HEAD_BYTES)
#define COPY_HASH_AT  (COPY_SLOT_AT + SEAL_SLOT_BYTES)
#define SLOTS_HASH_AT (COPY_HASH_AT + 8u)
#define FRAME_MAGIC   0x52465250u /* "PRFR" */
#define AAD_BYTES     24u
#define ZSTD_LEVEL    1
/* The fast level takes two thirds of the time. It serves where it costs nearly no room: every
 * TRIAL_FRAMES-th frame is compressed both ways, and decides for the next ones. */
#define ZSTD_LEVEL_FAST         (-1)
#define TRIAL_FRAMES            32u
#define IS_AS_SMALL(fast, best) ((fast) <= (best) + (best) / 50)
/* After a frame that shrank to less than an eighth: floods and scans repeat themselves so much that
 * a faster level still makes them tiny, just when there is the least time. */
#define ZSTD_LEVEL_REPETITIVE (-2)
#define IS_REPETITIVE(got, n) ((got) < (n) / 8)
/* A frame that does not shrink by a sixteenth is stored raw: reading it back is then free. */
#define WORTH(n) ((n) - (n) / 16)

struct frame_encoder {
    ZSTD_CCtx *zstd;
    int level;         /* for the next frame */
    uint32_t to_trial; /* frames until both levels are compared again */
    uint8_t *scratch;  /* compressed bytes on their way to being sealed */
    size_t scratch_cap;
};

struct frame_decoder {
    ZSTD_DCtx *zstd;
    uint8_t *opened;
    size_t opened_cap;
    uint8_t *raw;
    size_t raw_cap;
};

void segment_header_write(uint8_t out[SEGMENT_HEADER_BYTES], const struct segment_header *h)
{
    memset(out, 0, SEGMENT_HEADER_BYTES);
    memcpy(out, SEGMENT_MAGIC, 8);
    put_le16(out + 8, SEGMENT_FORMAT);
    put_le16(out + 10, SEGMENT_HEADER_BYTES);
    out[12] = h->sealed ? 1 : 0;
    out[13] = (uint8_t)h->algorithm;
    memcpy(out + 16, h->session_id, 16);
    memcpy(out + 32, h->segment_id, 16);
    put_le32(out + 48, h->sequence);
    put_le64(out + 56, h->created_ns);
    put_le64(out + 64, h->first_number);
    put_le64(out + 72, XXH3_64bits(out, 72));
}

int segment_header_read(const uint8_t *in, struct segment_header *h)
{
    if (memcmp(in, SEGMENT_MAGIC, 8) != 0) {
        return ERR_NOT_A_STORE;
    }
    /* The sum stands where it is in every format: damage is not taken for a newer one. */
    if (get_le64(in + 72) != XXH3_64bits(in, 72)) {
        return ERR_DAMAGED;
    }
    if (get_le16(in + 8) != SEGMENT_FORMAT) {
        return ERR_VERSION;
    }
    if (get_le16(in + 10) != SEGMENT_HEADER_BYTES) {
        return ERR_DAMAGED;
    }
    *h = (struct segment_header){
        .sealed = (in[12] & 1) != 0,
        .algorithm = in[13],
        .sequence = get_le32(in + 48),
        .created_ns = get_le64(in + 56),
        .first_number = get_le64(in + 64),
    };
    memcpy(h->session_id, in + 16, 16);
    memcpy(h->segment_id, in + 32, 16);
    return 0;
}

static uint64_t slots_hash(const uint8_t *bytes)
{
    return XXH3_64bits(bytes + HEAD_BYTES, COPY_AT - HEAD_BYTES);
}

static uint64_t copy_hash(const uint8_t *bytes)
{
    return XXH3_64bits(bytes + COPY_AT, COPY_HASH_AT - COPY_AT);
}

void segment_header_finish(uint8_t *bytes, uint32_t slot_at)
{
    memcpy(bytes + COPY_AT, bytes, HEAD_BYTES);
    memcpy(bytes + COPY_SLOT_AT, bytes + slot_at, SEAL_SLOT_BYTES);
    put_le64(bytes + COPY_HASH_AT, copy_hash(bytes));
    put_le64(bytes + SLOTS_HASH_AT, slots_hash(bytes));
}

bool segment_header_mend(uint8_t *bytes)
{
    uint8_t before[SEGMENT_HEADER_BYTES];
    struct segment_header h;
    int head = segment_header_read(bytes, &h);
    bool slots = get_le64(bytes + SLOTS_HASH_AT) == slots_hash(bytes);
    bool copy = get_le64(bytes + COPY_HASH_AT) == copy_hash(bytes);

    if (head == ERR_VERSION || (head == 0 && slots && copy)) {
        return false;
    }
    memcpy(before, bytes, sizeof before);
    if (copy && segment_header_read(bytes + COPY_AT, &h) == 0) {
        memcpy(bytes, bytes + COPY_AT, HEAD_BYTES);
        if (!slots) {
            memcpy(bytes + SEGMENT_SLOT_A, bytes + COPY_SLOT_AT, SEAL_SLOT_BYTES);
            memset(bytes + SEGMENT_SLOT_B, 0, SEAL_SLOT_BYTES);
            put_le64(bytes + SLOTS_HASH_AT, slots_hash(bytes));
        }
    } else if (head == 0 && slots) {
        segment_header_finish(bytes, seal_slot_used(bytes + SEGMENT_SLOT_A) ? SEGMENT_SLOT_A
                                                                            : SEGMENT_SLOT_B);
    }
    return memcmp(before, bytes, sizeof before) != 0;
}

void frame_header_start(uint8_t *out, const struct frame_header *h)
{
    put_le32(out, FRAME_MAGIC);
    out[4] = (uint8_t)h->kind;
    out[5] = (uint8_t)((h->compressed ? 1 : 0) | (h->sealed ? 2 : 0));
    put_le16(out + 6, 0);
    put_le32(out + 8, h->number);
    put_le32(out + 12, h->n_packets);
    put_le32(out + 16, h->raw_len);
    put_le32(out + 20, h->stored_len);
}

void frame_header_finish(uint8_t *out, const struct frame_header *h, const uint8_t *payload)
{
    frame_header_start(out, h);
    put_le64(out + 24, XXH3_64bits(payload, h->stored_len));
    put_le64(out + 32, XXH3_64bits(out, 32));
}

int frame_header_read(const uint8_t *in, struct frame_header *h)
{
    if (get_le32(in) != FRAME_MAGIC || get_le64(in + 32) != XXH3_64bits(in, 32)) {
        return ERR_DAMAGED;
    }
    *h = (struct frame_header){
        .kind = in[4],
        .compressed = (in[5] & 1) != 0,
        .sealed = (in[5] & 2) != 0,
        .number = get_le32(in + 8),
        .n_packets = get_le32(in + 12),
        .raw_len = get_le32(in + 16),
        .stored_len = get_le32(in + 20),
        .payload_hash = get_le64(in + 24),
    };
    /* The packet count too: readers make room for that many before they read any. */
    bool sane = h->raw_len <= FRAME_RAW_MAX && h->stored_len <= h->raw_len + SEAL_TAG_BYTES &&
                h->n_packets <= h->raw_len / EPB_OVERHEAD &&
                (h->kind == FRAME_SESSION || h->kind == FRAME_PACKETS);
    return sane ? 0 : ERR_DAMAGED;
}

struct frame_encoder *frame_encoder_new(void)
{
    struct frame_encoder *e = x_alloc(sizeof *e);

    e->zstd = ZSTD_createCCtx();
    e->level = ZSTD_LEVEL;
    REQUIRE(e->zstd != NULL);
    return e;
}

void frame_encoder_free(struct frame_encoder *e)
{
    if (e != NULL) {
        ZSTD_freeCCtx(e->zstd);
        mem_free(e->scratch);
        mem_free(e);
    }
}

size_t frame_bound(size_t n)
{
    return SEGMENT_FRAME_BYTES + n + SEAL_TAG_BYTES;
}

/* 0 when the level does not get it below WORTH(n). */
static size_t compress_at(struct frame_encoder *e, int level, const uint8_t *raw, size_t n,
                          uint8_t *out)
{
    size_t got = ZSTD_compressCCtx(e->zstd, out, WORTH(n), raw, n, level);

    return ZSTD_isError(got) ? 0 : got;
}

/* The compressed length, or 0 when it does not pay. `out` has n bytes. */
static size_t try_compress(struct frame_encoder *e, const uint8_t *raw, size_t n, uint8_t *out)
{
    bool trial = e->to_trial == 0 && e->level != ZSTD_LEVEL_REPETITIVE;
    size_t fast = trial ? compress_at(e, ZSTD_LEVEL_FAST, raw, n, out) : 0;
    size_t got = compress_at(e, trial ? ZSTD_LEVEL : e->level, raw, n, out);

    e->to_trial = e->to_trial == 0 ? TRIAL_FRAMES - 1 : e->to_trial - 1;
    if (got > 0 && IS_REPETITIVE(got, n)) {
        e->level = ZSTD_LEVEL_REPETITIVE;
    } else if (trial) {
        e->level = fast > 0 && IS_AS_SMALL(fast, got) ? ZSTD_LEVEL_FAST : ZSTD_LEVEL;
    } else if (e->level == ZSTD_LEVEL_REPETITIVE) {
        e->level = ZSTD_LEVEL;
        e->to_trial = 0;
    }
    return got;
}

static uint8_t *grow(uint8_t **p, size_t *cap, size_t n)
{
    if (*cap < n) {
        uint8_t *more = try_realloc(*p, n);
        if (more == NULL) {
            return NULL;
        }
        *p = more;
        *cap = n;
    }
    return *p;
}

size_t frame_encode(struct frame_encoder *e, struct frame_header *h, const uint8_t *raw, size_t n,
                    bool compress, const struct seal *seal, uint8_t *out, const uint8_t **body)
{
    uint8_t *payload = out + SEGMENT_FRAME_BYTES;
    const uint8_t *in = raw;
    size_t len = n;

    REQUIRE(n <= FRAME_RAW_MAX);
    h->compressed = false;
    h->sealed = seal != NULL;
    h->raw_len = (uint32_t)n;
    if (compress && n > 0) {
        uint8_t *to = seal == NULL ? payload : grow(&e->scratch, &e->scratch_cap, n);
        REQUIRE(to != NULL);
        size_t got = try_compress(e, raw, n, to);
        if (got > 0) {
            h->compressed = true;
            in = to;
            len = got;
        }
    }
    h->stored_len = (uint32_t)(len + (seal != NULL ? SEAL_TAG_BYTES : 0));
    if (seal != NULL) {
        frame_header_start(out, h);
        seal_frame(seal, h->number, out, AAD_BYTES, in, len, payload);
        in = payload;
    }
    frame_header_finish(out, h, in);
    *body = in == payload ? NULL : raw;
    return SEGMENT_FRAME_BYTES + (*body == NULL ? h->stored_len : 0);
}

struct frame_decoder *frame_decoder_new(void)
{
    struct frame_decoder *d = x_alloc(sizeof *d);

    d->zstd = ZSTD_createDCtx();
    REQUIRE(d->zstd != NULL);
    return d;
}

void frame_decoder_free(struct frame_decoder *d)
{
    if (d != NULL) {
        ZSTD_freeDCtx(d->zstd);
        mem_free(d->opened);
        mem_free(d->raw);
        mem_free(d);
    }
}

static int decompress(struct frame_decoder *d, const struct frame_header *h, const uint8_t *in,
                      size_t n, const uint8_t **raw)
{
    if (grow(&d->raw, &d->raw_cap, h->raw_len) == NULL) {
        return ERR_NO_MEMORY;
    }
    size_t got = ZSTD_decompressDCtx(d->zstd, d->raw, h->raw_len, in, n);
    if (ZSTD_isError(got) || got != h->raw_len) {
        return ERR_DAMAGED;
    }
    *raw = d->raw;
    return 0;
}

int frame_decode(struct frame_decoder *d, const struct frame_header *h, const uint8_t *frame,
                 const struct seal *seal, const uint8_t **raw)
{
    const uint8_t *in = frame + SEGMENT_FRAME_BYTES;
    size_t n = h->stored_len;

    if (XXH3_64bits(in, n) != h->payload_hash) {
        return ERR_DAMAGED;
    }
    /* A header that claims "not sealed" in a sealed segment is a forgery, and the other way round.
     */
    if (h->sealed != (seal != NULL)) {
        return ERR_DAMAGED;
    }
    if ((h->compressed && h->raw_len == 0) || (h->sealed && n < SEAL_TAG_BYTES)) {
        return ERR_DAMAGED;
    }
    if (seal != NULL) {
        if (grow(&d->opened, &d->opened_cap, n) == NULL) {
            return ERR_NO_MEMORY;
        }
        int r = seal_open(seal, h->number, frame, AAD_BYTES, in, n, d->opened);
        if (r < 0) {
            return r;
        }
        in = d->opened;
        n -= SEAL_TAG_BYTES;
    }
    if (h->compressed) {
        return decompress(d, h, in, n, raw);
    }
    if (n != h->raw_len) {
        return ERR_DAMAGED;
    }
    *raw = in;
    return 0;
}
