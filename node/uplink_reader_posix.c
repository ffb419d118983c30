/* SPDX-License-Identifier: Apache-2.0
 *
 * The descriptor of the source is an eventfd that is written when the queue gets its first block
 * and read when a read finds it empty, both under the lock, so that no wake-up is lost.
 */
#include "node/uplink_reader_posix.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/packet/filter.h"
#include "shared/packet/pcapng.h"

#define ID_OPTION_BYTES 16u /* epb_packetid and opt_endofopt */

struct item {
    struct item *next;
    struct block *block; /* a reference of ours */
    struct uplink_mark end;
};

/* When so many packets of this source are durable, all before `arrival` are. */
struct checkpoint {
    uint64_t packets;
    uint64_t arrival;
};

struct reader {
    struct source source;
    struct iface iface;
    struct filter *filter; /* NULL = everything */
    uint32_t snaplen;
    bool lossless;
    bool settled;
    uint64_t limit_bytes;
    void (*changed)(void *arg);
    void (*closed)(void *arg, struct source *source);
    void *arg;
    int fd;

    /* the capture thread's own */
    struct item *current;
    struct block_cursor cursor;
    uint64_t delivered;
    bool id_is_due;
    uint8_t id_option[ID_OPTION_BYTES];

    pthread_mutex_t mutex; /* guards what follows */
    struct item *first;
    struct item *last;
    uint64_t bytes;
    bool halted;
    char why[160]; /* it has ended: why; "" = it has not */
    struct uplink_mark pushed;
    uint64_t taken_cost;
    uint64_t dropped;
    uint64_t lost_kernel;
    uint64_t lost_interface;
    struct checkpoint *checkpoints; /* a ring; NULL unless settled */
    uint32_t head;
    uint32_t n_checkpoints;
    uint64_t n_settled; /* packets */
    uint64_t safe;
};

static struct reader *reader_of(struct source *source)
{
    return container_of(source, struct reader, source);
}

static void free_item(struct item *item)
{
    block_unref(item->block);
    mem_free(item);
}

static uint64_t item_bytes(const struct item *item)
{
    return item->block->cap + UPLINK_BLOCK_COST;
}

static struct item *pop(struct reader *r)
{
    struct item *item = r->first;

    if (item != NULL) {
        r->first = item->next;
        r->last = r->first == NULL ? NULL : r->last;
        r->bytes -= item_bytes(item);
    }
    return item;
}

static void wake(struct reader *r)
{
    (void)!write(r->fd, &(uint64_t){1}, sizeof(uint64_t));
}

/* The next block becomes the current one. False with the descriptor silent when there is none. */
static bool next_block(struct reader *r)
{
    uint64_t count;

    pthread_mutex_lock(&r->mutex);
    r->current = pop(r);
    if (r->current == NULL && r->why[0] == '\0') {
        (void)!read(r->fd, &count, sizeof count);
    }
    pthread_mutex_unlock(&r->mutex);
    if (r->current == NULL) {
        return false;
    }
    r->cursor = block_cursor(r->current->block->data, r->current->block->len);
    r->id_is_due = r->settled;
    return true;
}

static void add_checkpoint(struct reader *r, uint64_t arrival)
{
    const struct checkpoint point = {.packets = r->delivered, .arrival = arrival};

    if (r->n_checkpoints == UPLINK_CHECKPOINTS) {
        r->checkpoints[(r->head + r->n_checkpoints - 1) % UPLINK_CHECKPOINTS] = point;
        return;
    }
    r->checkpoints[(r->head + r->n_checkpoints) % UPLINK_CHECKPOINTS] = point;
    r->n_checkpoints++;
}

/* The capture has all of the current block. */
static void finish_block(struct reader *r)
{
    pthread_mutex_lock(&r->mutex);
    r->taken_cost = r->first == NULL ? r->pushed.cost : r->current->end.cost;
    if (r->settled) {
        add_checkpoint(r, r->current->end.arrival);
    } else {
        r->safe = r->current->end.arrival;
    }
    pthread_mutex_unlock(&r->mutex);
    free_item(r->current);
    r->current = NULL;
    if (r->lossless) {
        r->changed(r->arg);
    }
}

/* A recording's packets carry their position now and then (epb_packetid), so that it can be found
 * again where it was when the node dies. */
static void put_id(struct reader *r, struct packet_view *packet, uint32_t n_before)
{
    uint64_t left = r->current->block->n_packets - n_before;

    put_le16(r->id_option, EPB_PACKETID);
    put_le16(r->id_option + 2, 8);
    put_le64(r->id_option + 4, r->current->end.position - left);
    put_le32(r->id_option + 12, 0);
    packet->options = r->id_option;
    packet->options_len = ID_OPTION_BYTES;
    r->id_is_due = false;
}

static int end_of(struct reader *r, struct err *err)
{
    pthread_mutex_lock(&r->mutex);
    int rc = r->why[0] == '\0' ? SOURCE_IDLE : err_set(err, ERR_CAPTURE, "%s", r->why);
    pthread_mutex_unlock(&r->mutex);
    return rc;
}

static int reader_read(struct source *source, struct source_sink *sink, struct err *err)
{
    struct reader *r = reader_of(source);
    struct packet_view packet;
    uint32_t n = 0;

    if (r->current == NULL && !next_block(r)) {
        return end_of(r, err);
    }
    while (block_next(&r->cursor, &packet) == 1) {
        n++;
        if (r->filter != NULL && !filter_matches(r->filter, &packet)) {
            continue;
        }
        if (r->snaplen > 0 && packet.caplen > r->snaplen) {
            packet.caplen = r->snaplen;
        }
        if (r->id_is_due && packet.options_len == 0) {
            put_id(r, &packet, n - 1);
        }
        r->delivered++;
        if (!sink->packet(sink, &packet)) {
            r->id_is_due = false; /* n starts again */
            return SOURCE_STOPPED;
        }
    }
    finish_block(r);
    return SOURCE_MORE;
}

static int reader_fd(struct source *source)
{
    return reader_of(source)->fd;
}

static void reader_stats(struct source *source, struct source_stats *out)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    uint64_t lost = r->lost_kernel + r->dropped;
    *out = (struct source_stats){
        .received = r->delivered + lost,
        .kernel = lost,
        .interface = r->lost_interface,
    };
    pthread_mutex_unlock(&r->mutex);
}

static void reader_halt(struct source *source)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    r->halted = true;
    pthread_mutex_unlock(&r->mutex);
}

static void reader_close(struct source *source)
{
    struct reader *r = reader_of(source);
    struct item *item;

    if (r->closed != NULL) {
        r->closed(r->arg, source);
    }
    if (r->current != NULL) {
        free_item(r->current);
    }
    while ((item = pop(r)) != NULL) {
        free_item(item);
    }
    if (r->fd >= 0) {
        close(r->fd);
    }
    pthread_mutex_destroy(&r->mutex);
    filter_free(r->filter);
    mem_free(r->checkpoints);
    mem_free(r);
}

static const struct source_ops reader_ops = {
    .read = reader_read,
    .fd = reader_fd,
    .stats = reader_stats,
    .halt = reader_halt,
    .close = reader_close,
};

int uplink_reader_new(const struct uplink_reader_opts *opts, struct source **out, struct err *err)
{
    struct filter *filter = NULL;
    int rc = filter_new(opts->filter, opts->iface->link_type, &filter, err);

    if (rc < 0) {
        return rc;
    }
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        filter_free(filter);
        return err_errno(err, errno, "cannot watch '%s'", opts->iface->name);
    }
    if (filter_is_empty(filter)) {
        filter_free(filter);
        filter = NULL;
    }
    struct reader *r = x_alloc(sizeof *r);
    *r = (struct reader){
        .source = {.ops = &reader_ops, .n_ifaces = 1, .buffer_bytes = opts->limit_bytes},
        .iface = *opts->iface,
        .filter = filter,
        .snaplen = opts->snaplen,
        .lossless = opts->lossless,
        .settled = opts->lossless && opts->settled,
        .limit_bytes = opts->limit_bytes,
        .changed = opts->changed,
        .closed = opts->closed,
        .arg = opts->arg,
        .fd = fd,
        .lost_interface = SOURCE_UNKNOWN,
    };
    r->source.ifaces = &r->iface;
    if (opts->filter != NULL && opts->filter[0] != '\0') {
        snprintf(r->iface.filter, sizeof r->iface.filter, "%s", opts->filter);
    }
    if (opts->snaplen > 0 && (r->iface.snaplen == 0 || opts->snaplen < r->iface.snaplen)) {
        r->iface.snaplen = opts->snaplen;
    }
    if (r->settled) {
        r->checkpoints = x_alloc(UPLINK_CHECKPOINTS * sizeof *r->checkpoints);
    }
    pthread_mutex_init(&r->mutex, NULL);
    *out = &r->source;
    return 0;
}

void *uplink_reader_arg(const struct source *source)
{
    if (source->ops != &reader_ops) {
        return NULL;
    }
    return ((const struct reader *)(const void *)((const char *)source -
                                                  offsetof(struct reader, source)))
        ->arg;
}

void uplink_reader_begin(struct source *source, const struct uplink_mark *mark)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    r->pushed = *mark;
    r->safe = mark->arrival;
    r->taken_cost = mark->cost;
    pthread_mutex_unlock(&r->mutex);
}

static uint64_t count_matches(const struct reader *r, const struct block *block)
{
    struct block_cursor cursor = block_cursor(block->data, block->len);
    struct packet_view packet;
    uint64_t n = 0;

    if (r->filter == NULL) {
        return block->n_packets;
    }
    while (block_next(&cursor, &packet) == 1) {
        n += filter_matches(r->filter, &packet) ? 1 : 0;
    }
    return n;
}

static void drop_oldest(struct reader *r)
{
    while (r->bytes > r->limit_bytes && r->first != r->last) {
        struct item *item = pop(r);
        r->dropped += count_matches(r, item->block);
        free_item(item);
    }
}

static void append(struct reader *r, struct block *block, const struct uplink_mark *end)
{
    struct item *item = x_alloc(sizeof *item);

    *item = (struct item){.block = block_ref(block), .end = *end};
    if (r->last == NULL) {
        r->first = item;
        wake(r);
    } else {
        r->last->next = item;
    }
    r->last = item;
    r->bytes += item_bytes(item);
    if (!r->lossless) {
        drop_oldest(r);
    }
}

void uplink_reader_push(struct source *source, struct block *block, const struct uplink_mark *mark)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    bool is_idle = r->taken_cost == r->pushed.cost;
    r->pushed = *mark;
    if (block != NULL && !r->halted && r->why[0] == '\0') {
        append(r, block, mark);
    } else if (is_idle) {
        r->taken_cost = mark->cost;
    }
    pthread_mutex_unlock(&r->mutex);
}

void uplink_reader_lost(struct source *source, uint64_t kernel, uint64_t interface)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    r->lost_kernel = kernel;
    r->lost_interface = interface;
    pthread_mutex_unlock(&r->mutex);
}

void uplink_reader_end(struct source *source, const char *why)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    snprintf(r->why, sizeof r->why, "%s", why);
    wake(r);
    pthread_mutex_unlock(&r->mutex);
}

bool uplink_reader_is_lossless(const struct source *source)
{
    return ((const struct reader *)(const void *)((const char *)source -
                                                  offsetof(struct reader, source)))
        ->lossless;
}

uint64_t uplink_reader_taken(struct source *source)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    uint64_t taken = r->halted ? r->pushed.cost : r->taken_cost;
    pthread_mutex_unlock(&r->mutex);
    return taken;
}

/* One whose recording is over holds nobody back. */
uint64_t uplink_reader_safe(struct source *source)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    while (r->n_checkpoints > 0 && r->checkpoints[r->head].packets <= r->n_settled) {
        r->safe = r->checkpoints[r->head].arrival;
        r->head = (r->head + 1) % UPLINK_CHECKPOINTS;
        r->n_checkpoints--;
    }
    uint64_t safe = r->safe;
    if (r->n_checkpoints == 0 && r->taken_cost == r->pushed.cost) {
        safe = r->safe = r->pushed.arrival;
    }
    pthread_mutex_unlock(&r->mutex);
    return safe;
}

void uplink_reader_settle(struct source *source, uint64_t packets)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    r->n_settled = packets > r->n_settled ? packets : r->n_settled;
    pthread_mutex_unlock(&r->mutex);
}

uint64_t uplink_reader_dropped(struct source *source)
{
    struct reader *r = reader_of(source);

    pthread_mutex_lock(&r->mutex);
    uint64_t dropped = r->dropped;
    pthread_mutex_unlock(&r->mutex);
    return dropped;
}
