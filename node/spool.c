/* SPDX-License-Identifier: Apache-2.0 */
#include "node/spool.h"

#include "shared/base/mem.h"

struct spool_section *spool_section_new(const void *bytes, size_t n)
{
    struct spool_section *section = x_alloc(sizeof *section);

    atomic_init(&section->refs, 1);
    buf_append(&section->bytes, bytes, n);
    return section;
}

struct spool_section *spool_section_ref(struct spool_section *section)
{
    atomic_fetch_add(&section->refs, 1);
    return section;
}

void spool_section_unref(struct spool_section *section)
{
    if (section != NULL && atomic_fetch_sub(&section->refs, 1) == 1) {
        buf_deinit(&section->bytes);
        mem_free(section);
    }
}

void spool_piece_unref(struct spool_piece *piece)
{
    if (piece != NULL && atomic_fetch_sub(&piece->refs, 1) == 1) {
        spool_section_unref(piece->section);
        buf_deinit(&piece->data);
        mem_free(piece);
    }
}

void spool_init(struct spool *spool, const struct spool_opts *opts)
{
    *spool = (struct spool){.opts = *opts};
    if (spool->opts.files == NULL || spool->opts.disk_bytes == 0) {
        spool->opts.files = NULL;
        spool->opts.disk_bytes = 0;
    }
}

static uint64_t end_of(const struct spool_piece *piece)
{
    return piece->first + piece->n_packets;
}

static uint64_t memory_of(const struct spool_piece *piece)
{
    return piece->is_file ? 0 : piece->data.cap + SPOOL_PIECE_COST;
}

static uint64_t disk_of(const struct spool_piece *piece)
{
    return piece->is_file ? piece->bytes : 0;
}

/* Takes the piece out; its reference goes. */
static void unlink_piece(struct spool *spool, struct spool_piece *piece)
{
    if (spool->first_in_memory == piece) {
        spool->first_in_memory = piece->next;
    }
    *(piece->previous != NULL ? &piece->previous->next : &spool->head) = piece->next;
    *(piece->next != NULL ? &piece->next->previous : &spool->tail) = piece->previous;
    spool->memory_used -= memory_of(piece);
    spool->disk_used -= disk_of(piece);
    spool_piece_unref(piece);
}

static void remove_piece(struct spool *spool, struct spool_piece *piece)
{
    if (piece->is_file) {
        REQUIRE(spool->opts.files != NULL);
        spool->opts.files->remove(spool->opts.files_arg, piece->first);
    }
    unlink_piece(spool, piece);
}

/* Behind `after`, or in front of all. */
static void link_piece(struct spool *spool, struct spool_piece *piece, struct spool_piece *after)
{
    piece->previous = after;
    piece->next = after != NULL ? after->next : spool->head;
    *(after != NULL ? &after->next : &spool->head) = piece;
    *(piece->next != NULL ? &piece->next->previous : &spool->tail) = piece;
    spool->memory_used += memory_of(piece);
    spool->disk_used += disk_of(piece);
}

static struct spool_piece *new_piece(uint64_t first)
{
    struct spool_piece *piece = x_alloc(sizeof *piece);

    atomic_init(&piece->refs, 1);
    piece->first = first;
    return piece;
}

void spool_deinit(struct spool *spool)
{
    while (spool->head != NULL) {
        unlink_piece(spool, spool->head);
    }
}

uint64_t spool_first(const struct spool *spool)
{
    if (spool->head == NULL) {
        return spool->end;
    }
    return spool->head->first > spool->taken ? spool->head->first : spool->taken;
}

static void drop(struct spool *spool, struct spool_piece *piece)
{
    uint64_t from = piece->first > spool->taken ? piece->first : spool->taken;

    spool->dropped += end_of(piece) > from ? end_of(piece) - from : 0;
    remove_piece(spool, piece);
}

/* Drops the oldest piece of that kind that was not sent at all. False: there is none. */
static bool drop_unsent(struct spool *spool, bool is_file)
{
    struct spool_piece *piece = is_file ? spool->head : spool->first_in_memory;

    while (piece != NULL && piece->is_file == is_file && piece->first < spool->sent) {
        piece = piece->next;
    }
    if (piece == NULL || piece->is_file != is_file) {
        return false;
    }
    drop(spool, piece);
    return true;
}

static uint64_t file_size(const struct spool *spool)
{
    uint64_t size = spool->opts.disk_bytes / 8;

    size = size < SPOOL_FILE_MIN ? SPOOL_FILE_MIN : size;
    return size > SPOOL_FILE_MAX ? SPOOL_FILE_MAX : size;
}

static bool make_disk_room(struct spool *spool, uint64_t bytes)
{
    while (spool->disk_used + bytes > spool->opts.disk_bytes) {
        if (!drop_unsent(spool, true)) {
            return false;
        }
    }
    return true;
}

/* The file that the next piece goes to, or NULL: a new one. */
static struct spool_piece *open_file(const struct spool *spool, const struct spool_piece *piece)
{
    struct spool_piece *last = piece->previous;

    if (last == NULL || !last->is_file || last->is_closed || last->section != piece->section ||
        end_of(last) != piece->first || last->bytes + piece->data.len > file_size(spool)) {
        return NULL;
    }
    return last;
}

static int write_piece(struct spool *spool, struct spool_piece *piece)
{
    struct spool_piece *file = open_file(spool, piece);
    const struct spool_files *files = spool->opts.files;

    if (file != NULL) {
        int rc = files->append(spool->opts.files_arg, &piece->data, &spool->err);
        if (rc < 0) {
            file->is_closed = true;
            return rc;
        }
        file->n_packets += piece->n_packets;
        file->bytes += piece->data.len;
        spool->disk_used += piece->data.len;
        return 0;
    }
    int64_t bytes = files->create(spool->opts.files_arg, piece->first, &piece->section->bytes,
                                  &piece->data, &spool->err);
    if (bytes < 0) {
        return (int)bytes;
    }
    file = new_piece(piece->first);
    file->is_file = true;
    file->n_packets = piece->n_packets;
    file->bytes = (uint64_t)bytes;
    file->section = spool_section_ref(piece->section);
    link_piece(spool, file, piece->previous);
    return 0;
}

/* The oldest piece in memory goes to a file. One that cannot is dropped, even if it was sent: its
 * memory is needed. */
static void spill(struct spool *spool)
{
    struct spool_piece *piece = spool->first_in_memory;
    bool fits = make_disk_room(spool, piece->data.len + piece->section->bytes.len);
    int rc = fits ? write_piece(spool, piece) : ERR_FULL;

    if (rc == 0) {
        unlink_piece(spool, piece);
        return;
    }
    spool->failures += fits ? 1 : 0;
    drop(spool, piece);
}

static void make_memory_room(struct spool *spool)
{
    bool files = spool->opts.files != NULL;
    uint64_t limit = spool->opts.memory_bytes;

    if (spool->memory_used <= limit) {
        return;
    }
    /* to files in batches, so that not every packet writes once memory is full */
    while (spool->first_in_memory != NULL && spool->memory_used > (files ? limit / 4 * 3 : limit)) {
        if (files) {
            spill(spool);
        } else if (!drop_unsent(spool, false)) {
            break;
        }
    }
}

/* Of a small memory a piece is a small part: what is dropped is dropped by the piece. */
static size_t piece_bytes(const struct spool *spool)
{
    uint64_t part = spool->opts.memory_bytes / 8;

    part = part < SPOOL_PIECE_MIN ? SPOOL_PIECE_MIN : part;
    return part > SPOOL_PIECE_BYTES ? SPOOL_PIECE_BYTES : (size_t)part;
}

/* One run of packets at the end. */
static void append_run(struct spool *spool, const void *run, size_t n, uint64_t n_packets,
                       struct spool_section *section)
{
    struct spool_piece *tail = spool->tail;

    if (tail == NULL || tail->is_file || tail->is_closed || tail->section != section ||
        tail->data.len + n > piece_bytes(spool)) {
        tail = new_piece(spool->end);
        tail->section = spool_section_ref(section);
        link_piece(spool, tail, spool->tail);
        if (spool->first_in_memory == NULL) {
            spool->first_in_memory = tail;
        }
    }
    spool->memory_used -= memory_of(tail);
    buf_append(&tail->data, run, n);
    spool->memory_used += memory_of(tail);
    tail->bytes = tail->data.len;
    tail->n_packets += n_packets;
    spool->end += n_packets;
    make_memory_room(spool);
}

void spool_append(struct spool *spool, const struct block *block, struct spool_section *section)
{
    const uint8_t *at = block->data;
    size_t left = block->len;

    while (left > 0) {
        struct spool_slice slice = spool_slice(at, left, 0, piece_bytes(spool));
        REQUIRE(slice.n_packets > 0);
        append_run(spool, slice.data, slice.n, slice.n_packets, section);
        at += slice.n;
        left -= slice.n;
    }
}

void spool_adopt(struct spool *spool, uint64_t first, uint64_t n_packets, uint64_t bytes)
{
    struct spool_piece *piece = new_piece(first);

    REQUIRE(first >= spool->end && spool->first_in_memory == NULL);
    piece->is_file = true;
    piece->is_closed = true;
    piece->n_packets = n_packets;
    piece->bytes = bytes;
    link_piece(spool, piece, spool->tail);
    spool->end = end_of(piece);
}

struct spool_piece *spool_at(struct spool *spool, uint64_t position)
{
    for (struct spool_piece *piece = spool->head; piece != NULL; piece = piece->next) {
        if (end_of(piece) > position) {
            piece->is_closed = true;
            atomic_fetch_add(&piece->refs, 1);
            return piece;
        }
    }
    return NULL;
}

void spool_sent(struct spool *spool, uint64_t position)
{
    spool->sent = position > spool->sent ? position : spool->sent;
}

void spool_taken(struct spool *spool, uint64_t position)
{
    spool->taken = position > spool->taken ? position : spool->taken;
    spool_sent(spool, spool->taken);
    while (spool->head != NULL && end_of(spool->head) <= spool->taken) {
        remove_piece(spool, spool->head);
    }
}

void spool_discard(struct spool *spool, uint64_t first)
{
    for (struct spool_piece *piece = spool->head; piece != NULL; piece = piece->next) {
        if (piece->first == first) {
            drop(spool, piece);
            return;
        }
    }
}

void spool_put_away(struct spool *spool)
{
    while (spool->first_in_memory != NULL) {
        if (spool->opts.files != NULL) {
            spill(spool);
        } else {
            drop(spool, spool->first_in_memory);
        }
    }
}

void spool_shrink_disk(struct spool *spool, uint64_t bytes)
{
    while (spool->disk_used > bytes && spool->head != NULL && spool->head->is_file) {
        drop(spool, spool->head);
    }
}

struct spool_slice spool_slice(const void *run, size_t n, uint64_t skip, size_t max_bytes)
{
    struct block_cursor cursor = block_cursor(run, n);
    struct spool_slice slice = {0};
    struct packet_view view;

    for (; skip > 0 && block_next(&cursor, &view) == 1; skip--) {
    }
    slice.data = cursor.p;
    while (slice.n_packets < UINT32_MAX) {
        const uint8_t *before = cursor.p;
        if (block_next(&cursor, &view) != 1) {
            break;
        }
        size_t length = (size_t)(cursor.p - slice.data);
        if (length > max_bytes && slice.n_packets > 0) {
            cursor.p = before;
            break;
        }
        slice.n = length;
        slice.n_packets++;
    }
    return slice;
}
