/* SPDX-License-Identifier: Apache-2.0
 *
 * One table says what each frame holds; writing, measuring and reading walk it.
 */
#include "shared/swarm/swim_frame.h"

#include <string.h>

#include "shared/base/mem.h"

enum field_kind {
    FIELD_END, /* of the list */
    FIELD_U64,
    FIELD_U32,
    FIELD_U8,
    FIELD_SID,   /* of somebody: not 0 */
    FIELD_BOOT,  /* not 0 */
    FIELD_STATE, /* at most SWIM_LEFT */
    FIELD_I64,
    FIELD_STAMP,  /* an i64 that is put in late: measured at its widest */
    FIELD_TURN,   /* t3 − t2 as an u32 of ns: 4.2 s at the most; put in late */
    FIELD_KEY,    /* SWIM_KV_KEY_BYTES */
    FIELD_RECORD, /* bin, at most SWIM_RECORD_MAX */
    FIELD_VALUE,  /* bin, at most SWIM_KV_VALUE_MAX */
    FIELD_SIDS,   /* bin of whole sids */
    FIELD_DIGEST, /* bin whose size fits the part that stands before it */
};

struct field {
    uint8_t kind;
    uint8_t at; /* offset in the frame */
};

#define AT(member) ((uint8_t)offsetof(struct swim_frame, member))
#define INCARNATION                                                                                \
    {FIELD_BOOT, AT(incarnation.boot)},                                                            \
    {                                                                                              \
        FIELD_U32, AT(incarnation.seq)                                                             \
    }
#define FIELDS_MAX 9

_Static_assert(sizeof(struct swim_frame) <= UINT8_MAX, "offsets are bytes");

static const struct field layouts[][FIELDS_MAX + 1] = {
    [SWIM_PING] = {{FIELD_U64, AT(seq)},
                   {FIELD_U64, AT(sid)},
                   {FIELD_STAMP, AT(t1)},
                   {FIELD_U64, AT(vhash)},
                   {FIELD_U32, AT(khash)},
                   {FIELD_U32, AT(n_members)},
                   {FIELD_U8, AT(lh)}},
    [SWIM_ACK] = {{FIELD_U64, AT(seq)},
                  {FIELD_STAMP, AT(t2)},
                  {FIELD_TURN, AT(t3)},
                  {FIELD_U8, AT(lh)},
                  {FIELD_U8, AT(load)},
                  {FIELD_I64, AT(x_ns)},
                  {FIELD_U64, AT(x_bound_ns)},
                  {FIELD_U64, AT(root)},
                  {FIELD_I64, AT(wall_ns)}},
    [SWIM_PINGREQ] = {{FIELD_U64, AT(seq)}, {FIELD_SID, AT(sid)}, {FIELD_U32, AT(ttl_ms)}},
    [SWIM_NACK] = {{FIELD_U64, AT(seq)}},
    [SWIM_FACK] = {{FIELD_U64, AT(seq)}},
    [SWIM_ALIVE_FRAME] = {{FIELD_RECORD, 0}},
    [SWIM_SUSPECT_FRAME] = {{FIELD_SID, AT(sid)},
                            INCARNATION,
                            {FIELD_SID, AT(from)},
                            {FIELD_U8, AT(lh)}},
    [SWIM_DEAD_FRAME] = {{FIELD_SID, AT(sid)},
                         INCARNATION,
                         {FIELD_SID, AT(from)},
                         {FIELD_U8, AT(lh)}},
    [SWIM_LEFT_FRAME] = {{FIELD_RECORD, 0}},
    [SWIM_YOUARE] = {{FIELD_STATE, AT(state)}, INCARNATION},
    [SWIM_DIGEST] = {{FIELD_U8, AT(state)}, {FIELD_DIGEST, 0}},
    [SWIM_WANT] = {{FIELD_SIDS, 0}},
    [SWIM_KV] = {{FIELD_U64, AT(sid)},
                 {FIELD_KEY, 0},
                 {FIELD_U64, AT(version)},
                 {FIELD_U8, AT(state)},
                 {FIELD_VALUE, 0}},
    [SWIM_HELLO] = {{FIELD_U64, AT(seq)}, {FIELD_RECORD, 0}},
    [SWIM_SYNC] = {{FIELD_U8, AT(state)}},
    [SWIM_LEAVEACK] = {{FIELD_END, 0}},
    [SWIM_VIEW] = {{FIELD_U64, AT(vhash)}, {FIELD_U32, AT(khash)}, {FIELD_U32, AT(n_members)}},
};

static bool is_known(uint64_t type)
{
    return type >= SWIM_PING && type < sizeof layouts / sizeof layouts[0];
}

static uint32_t count_fields(const struct field *fields)
{
    uint32_t n = 0;

    while (fields[n].kind != FIELD_END) {
        n++;
    }
    return n;
}

/* ---- numbers in the frame ---- */

static uint64_t get_number(const struct swim_frame *frame, const struct field *field)
{
    const uint8_t *at = (const uint8_t *)frame + field->at;

    switch (field->kind) {
    case FIELD_U8:
    case FIELD_STATE:
        return *at;
    case FIELD_U32:
        return get_le32(at);
    default:
        return get_le64(at);
    }
}

static void set_number(struct swim_frame *frame, const struct field *field, uint64_t v)
{
    uint8_t *at = (uint8_t *)frame + field->at;

    switch (field->kind) {
    case FIELD_U8:
    case FIELD_STATE:
        *at = (uint8_t)v;
        break;
    case FIELD_U32:
        put_le32(at, (uint32_t)v);
        break;
    default:
        put_le64(at, v);
        break;
    }
}

/* What a clock that stepped meanwhile leaves is cut off: a t3 that is less than the true one makes
 * the round trip longer and its bound with it, so it stays true. */
static uint32_t turn_of(const struct swim_frame *frame)
{
    uint64_t turn = (uint64_t)frame->t3 - (uint64_t)frame->t2;

    if (frame->t3 < frame->t2) {
        return 0;
    }
    return turn > UINT32_MAX ? UINT32_MAX : (uint32_t)turn;
}

/* ---- writing ---- */

static void write_field(struct pack *pack, const struct swim_frame *frame,
                        const struct field *field)
{
    switch (field->kind) {
    case FIELD_I64:
    case FIELD_STAMP:
        pack_i64(pack, (int64_t)get_number(frame, field));
        break;
    case FIELD_TURN:
        pack_u64(pack, turn_of(frame));
        break;
    case FIELD_KEY:
        pack_bin(pack, frame->key, SWIM_KV_KEY_BYTES);
        break;
    case FIELD_RECORD:
    case FIELD_VALUE:
    case FIELD_SIDS:
    case FIELD_DIGEST:
        pack_bin(pack, frame->bin, frame->n_bin);
        break;
    default:
        pack_u64(pack, get_number(frame, field));
        break;
    }
}

void swim_frame_write(struct pack *pack, const struct swim_frame *frame)
{
    REQUIRE(is_known(frame->type));
    const struct field *fields = layouts[frame->type];

    pack_array(pack, 1 + count_fields(fields));
    pack_u64(pack, frame->type);
    for (; fields->kind != FIELD_END; fields++) {
        write_field(pack, frame, fields);
    }
}

static size_t size_of_u64(uint64_t v)
{
    return v < 0x80 ? 1 : v <= UINT8_MAX ? 2 : v <= UINT16_MAX ? 3 : v <= UINT32_MAX ? 5 : 9;
}

static size_t size_of_bin(size_t n)
{
    return n + (n <= UINT8_MAX ? 2 : n <= UINT16_MAX ? 3 : 5);
}

static size_t size_of_field(const struct swim_frame *frame, const struct field *field)
{
    switch (field->kind) {
    case FIELD_I64:
    case FIELD_STAMP:
        return 9;
    case FIELD_TURN:
        return 5;
    case FIELD_KEY:
        return size_of_bin(SWIM_KV_KEY_BYTES);
    case FIELD_RECORD:
    case FIELD_VALUE:
    case FIELD_SIDS:
    case FIELD_DIGEST:
        return size_of_bin(frame->n_bin);
    default:
        return size_of_u64(get_number(frame, field));
    }
}

size_t swim_frame_size(const struct swim_frame *frame)
{
    REQUIRE(is_known(frame->type));
    size_t n = 2; /* the array, the type */

    for (const struct field *f = layouts[frame->type]; f->kind != FIELD_END; f++) {
        n += size_of_field(frame, f);
    }
    return n;
}

/* ---- reading ---- */

static void read_bin(struct unpack *u, struct swim_frame *frame, size_t max)
{
    frame->bin = unpack_bin(u, max, &frame->n_bin);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static void read_turn(struct unpack *u, struct swim_frame *frame)
{
    uint64_t turn = unpack_u64_most(u, UINT32_MAX);

    if (__builtin_add_overflow(frame->t2, (int64_t)turn, &frame->t3)) {
        u->in.failed = true;
    }
}

static bool digest_is_whole(const struct swim_frame *frame)
{
    switch (frame->state) {
    case SWIM_DIGEST_SUMS:
        return frame->n_bin == 8u * SWIM_BUCKETS;
    case SWIM_DIGEST_LIST:
    case SWIM_DIGEST_MORE:
        return frame->n_bin >= 8 && (frame->n_bin - 8) % SWIM_DIGEST_ENTRY == 0;
    default:
        return true; /* who reads it knows its entries */
    }
}

static uint64_t most_of(uint8_t kind)
{
    switch (kind) {
    case FIELD_U8:
        return UINT8_MAX;
    case FIELD_U32:
        return UINT32_MAX;
    case FIELD_STATE:
        return SWIM_LEFT;
    default:
        return UINT64_MAX;
    }
}

static void read_number(struct unpack *u, struct swim_frame *frame, const struct field *field)
{
    uint64_t v = unpack_u64_most(u, most_of(field->kind));

    if (v == 0 && (field->kind == FIELD_SID || field->kind == FIELD_BOOT)) {
        u->in.failed = true;
    }
    set_number(frame, field, v);
}

static void read_field(struct unpack *u, struct swim_frame *frame, const struct field *field,
                       size_t max_bin)
{
    switch (field->kind) {
    case FIELD_I64:
    case FIELD_STAMP:
        set_number(frame, field, (uint64_t)unpack_i64(u));
        break;
    case FIELD_TURN:
        read_turn(u, frame);
        break;
    case FIELD_KEY:
        frame->key = unpack_bin_of(u, SWIM_KV_KEY_BYTES);
        break;
    case FIELD_RECORD:
        read_bin(u, frame, least(max_bin, SWIM_RECORD_MAX));
        break;
    case FIELD_VALUE:
        read_bin(u, frame, least(max_bin, SWIM_KV_VALUE_MAX));
        break;
    case FIELD_SIDS:
        read_bin(u, frame, max_bin);
        u->in.failed |= frame->n_bin % 8 != 0;
        break;
    case FIELD_DIGEST:
        read_bin(u, frame, max_bin);
        u->in.failed |= !digest_is_whole(frame);
        break;
    default:
        read_number(u, frame, field);
        break;
    }
}

enum swim_frame_read swim_frame_read(struct unpack *run, size_t max_bin, struct swim_frame *frame)
{
    struct swim_frame f = {0};

    if (!unpack_failed(run) && unpack_left(run) == 0) {
        return SWIM_FRAME_END;
    }
    uint32_t n = unpack_array(run, SWIM_FRAME_ELEMENTS_MAX);
    uint64_t type = unpack_u64(run);
    bool known = is_known(type);
    uint32_t n_read = 1;
    if (known) {
        const struct field *fields = layouts[type];
        f.type = (uint8_t)type;
        n_read += count_fields(fields);
        for (; fields->kind != FIELD_END && n >= n_read; fields++) {
            read_field(run, &f, fields, max_bin);
        }
    }
    if (n < n_read) {
        run->in.failed = true;
    }
    for (uint32_t i = n_read; i < n && !unpack_failed(run); i++) {
        unpack_skip(run, SWIM_FRAME_DEPTH - 1);
    }
    if (unpack_failed(run)) {
        return SWIM_FRAME_BAD;
    }
    if (known) {
        *frame = f;
    }
    return known ? SWIM_FRAME_OK : SWIM_FRAME_OTHER;
}
