/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/commit.h"

#include <pthread.h>
#include <string.h>
#include <time.h>

#include "shared/base/mem.h"
#include "shared/store/retention.h"

enum op_kind { OP_OPEN, OP_FRAME, OP_CLOSE, OP_IFACES, OP_CLOCK };

/* One thing to enter. A list, in the order of the writer's calls. */
struct op {
    struct op *next;
    enum op_kind kind;
    struct open_segment *segment;
    struct catalogue_frame frame; /* bloom points behind this struct */
    struct iface *ifaces;         /* owned */
    uint32_t first_iface;         /* number of ifaces[0] */
    uint32_t n_ifaces;
    struct clock_samples clock; /* owned */
};

struct commit {
    struct store *store;
    struct store_session
        session; /* its row, state and ledger as last entered; owned by the thread */
    uint64_t quota_bytes;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* for the thread: hurry, room wanted, stop */
    pthread_cond_t told; /* for the writer: fewer pending, room made */
    struct op *first;
    struct op **last;
    uint32_t pending;
    uint64_t durable;          /* packets that are entered */
    struct open_segment *open; /* the one segment being written; the thread's */
    enum store_state state;    /* as the writer wants it shown */
    bool hurry;
    bool failing; /* the last try did not succeed: the next one waits its time */
    bool stop;
    bool room_wanted;
    uint64_t room_bytes;
    int room_result;
    struct err failed;
    struct err last_try; /* why failing */
};

static struct op *op_new(enum op_kind kind, struct open_segment *segment, size_t more)
{
    struct op *op = x_alloc(sizeof *op + more);

    op->kind = kind;
    op->segment = segment;
    return op;
}

static void op_free(struct op *op)
{
    mem_free(op->ifaces);
    clock_samples_deinit(&op->clock);
    mem_free(op);
}

static void tell(struct commit *c, struct op *op)
{
    pthread_mutex_lock(&c->lock);
    while (c->pending >= COMMIT_PENDING_MAX && c->failed.code == 0) {
        c->hurry = true;
        pthread_cond_signal(&c->wake);
        pthread_cond_wait(&c->told, &c->lock);
    }
    *c->last = op;
    c->last = &op->next;
    c->pending++;
    pthread_mutex_unlock(&c->lock);
}

static int enter(struct commit *c, struct op *op, struct err *err)
{
    struct catalogue *cat = &c->store->catalogue;
    struct catalogue_segment *row = op->segment == NULL ? NULL : &op->segment->row;

    switch (op->kind) {
    case OP_OPEN:
        return catalogue_put_segment(cat, row, err);
    case OP_FRAME:
        REQUIRE(row != NULL);
        /* One without packets only says where the segment ends. */
        return op->frame.n_packets == 0 ? 0 : catalogue_put_frame(cat, row->row, &op->frame, err);
    case OP_CLOSE:
        return 0;
    case OP_IFACES:
        return catalogue_put_ifaces(cat, c->session.row, op->ifaces, op->first_iface, op->n_ifaces,
                                    err);
    case OP_CLOCK:
        return catalogue_put_clock(cat, c->session.row, &op->clock, err);
    }
    return 0;
}

/* One transaction. On failure the rows in memory are put back by the caller, or by OP_OPEN when it
 * is tried again. */
static int enter_all(struct commit *c, struct op *first, struct err *err)
{
    struct catalogue *cat = &c->store->catalogue;
    struct open_segment *open = c->open;
    int r = catalogue_begin(cat, err);

    for (struct op *op = first; op != NULL && r == 0; op = op->next) {
        if (op->kind == OP_OPEN) {
            open = op->segment;
            open->row = open->file.row;
            open->row.session = c->session.row;
        }
        r = enter(c, op, err);
        if (op->kind == OP_FRAME) {
            catalogue_count_frame(&op->segment->row, &op->frame);
        }
        if (op->kind == OP_CLOSE) {
            op->segment->row.closed = true;
            r = r < 0 ? r : catalogue_update_segment(cat, &op->segment->row, err);
            open = NULL;
        }
    }
    if (r == 0 && open != NULL) {
        r = catalogue_update_segment(cat, &open->row, err);
    }
    r = r < 0 ? r : catalogue_update_session(cat, &c->session, err);
    r = r < 0 ? r : catalogue_commit(cat, err);
    if (r < 0) {
        catalogue_rollback(cat);
    } else {
        c->open = open;
    }
    return r;
}

static int sync_all(const struct op *first, const struct open_segment *open, struct err *err)
{
    int r = open == NULL ? 0 : segment_file_sync(&open->file, err);

    for (const struct op *op = first; op != NULL && r == 0; op = op->next) {
        if (op->kind == OP_CLOSE || (op->kind == OP_OPEN && op->segment != open)) {
            r = segment_file_sync(&op->segment->file, err);
        }
    }
    return r;
}

static uint64_t packets_in(const struct op *first)
{
    uint64_t n = 0;

    for (const struct op *op = first; op != NULL; op = op->next) {
        n += op->kind == OP_FRAME ? op->frame.n_packets : 0;
    }
    return n;
}

static void forget_all(struct op *first)
{
    while (first != NULL) {
        struct op *op = first;
        first = op->next;
        if (op->kind == OP_CLOSE) {
            segment_file_close(&op->segment->file);
            mem_free(op->segment);
        }
        op_free(op);
    }
}

/* Takes what is pending, makes it durable and enters it. Called and returns with the lock held. A
 * full disk keeps it pending, with the reserve given up so that the next try can succeed. */
static void run_once(struct commit *c)
{
    struct op *first = c->first;
    struct err err = {0};
    bool restate = c->state != c->session.state;

    if ((first == NULL && !restate) || c->failed.code != 0) {
        return;
    }
    struct op **last = c->last;
    uint32_t n = c->pending;
    struct catalogue_segment before =
        c->open == NULL ? (struct catalogue_segment){0} : c->open->row;
    struct open_segment *was_open = c->open;
    enum store_state was_state = c->session.state;
    c->first = NULL;
    c->last = &c->first;
    c->session.state = c->state;
    pthread_mutex_unlock(&c->lock);
    int r = sync_all(first, was_open, &err);
    r = r < 0 ? r : enter_all(c, first, &err);
    uint64_t n_packets = packets_in(first);
    if (r == 0) {
        forget_all(first);
    } else {
        if (was_open != NULL) {
            was_open->row = before;
        }
        store_reserve_drop(c->store);
    }
    pthread_mutex_lock(&c->lock);
    if (r == 0) {
        c->pending -= n;
        c->durable += n_packets;
    } else {
        if (first != NULL) {
            *last = c->first;
            c->last = c->first == NULL ? last : c->last;
            c->first = first;
        }
        c->session.state = was_state;
        if (r != ERR_FULL && r != ERR_IN_USE) {
            c->failed = err;
        }
    }
    c->failing = r < 0;
    c->last_try = err;
    pthread_cond_broadcast(&c->told);
}

/* What was told before the wish comes first: only segments that are entered as closed can go. */
static void make_room(struct commit *c)
{
    struct err err = {0};
    uint64_t bytes = c->room_bytes;

    run_once(c);
    pthread_mutex_unlock(&c->lock);
    int r = retention_make_room(c->store, c->quota_bytes, bytes, c->session.row, &err);
    pthread_mutex_lock(&c->lock);
    c->room_result = r;
    c->room_wanted = false;
    pthread_cond_broadcast(&c->told);
}

static void wait_ms(struct commit *c, long ms)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += ms * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    while ((!c->hurry || c->failing) && !c->stop && !c->room_wanted &&
           pthread_cond_timedwait(&c->wake, &c->lock, &until) == 0) {
    }
}

static void *run(void *arg)
{
    struct commit *c = arg;

    pthread_mutex_lock(&c->lock);
    while (!c->stop) {
        wait_ms(c, COMMIT_MS);
        c->hurry = false;
        run_once(c);
        if (c->room_wanted) {
            make_room(c);
        }
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static void start(struct commit *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, &attr);
    pthread_cond_init(&c->told, &attr);
    pthread_condattr_destroy(&attr);
    REQUIRE(pthread_create(&c->thread, NULL, run, c) == 0);
}

uint64_t commit_durable(struct commit *c)
{
    pthread_mutex_lock(&c->lock);
    uint64_t durable = c->durable;
    pthread_mutex_unlock(&c->lock);
    return durable;
}

static struct commit *begin(struct store *store, const struct store_session *session,
                            uint64_t quota_bytes)
{
    struct commit *c = x_alloc(sizeof *c);
    c->store = store;
    c->session = *session;
    c->session.ifaces = NULL;
    c->session.n_ifaces = 0;
    c->session.clock = (struct clock_samples){0};
    c->quota_bytes = quota_bytes;
    c->state = session->state;
    c->last = &c->first;
    start(c);
    return c;
}

int commit_new(struct store *store, struct store_session *session, uint64_t quota_bytes,
               struct commit **out, struct err *err)
{
    int r = catalogue_put_session(&store->catalogue, session, err);

    if (r == 0) {
        *out = begin(store, session, quota_bytes);
    }
    return r;
}

int commit_resume(struct store *store, struct store_session *session, uint64_t quota_bytes,
                  struct commit **out, struct err *err)
{
    int r = catalogue_update_session(&store->catalogue, session, err);

    if (r == 0) {
        *out = begin(store, session, quota_bytes);
        (*out)->durable = session->packets;
    }
    return r;
}

static void stop(struct commit *c)
{
    pthread_mutex_lock(&c->lock);
    bool running = !c->stop;
    c->stop = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    if (running) {
        pthread_join(c->thread, NULL);
    }
}

void commit_free(struct commit *c)
{
    if (c == NULL) {
        return;
    }
    stop(c);
    struct open_segment *open = c->open;
    for (struct op *op = c->first; op != NULL; op = op->next) {
        open = op->kind == OP_OPEN ? op->segment : op->kind == OP_CLOSE ? NULL : open;
    }
    forget_all(c->first);
    if (open != NULL) {
        segment_file_close(&open->file);
        mem_free(open);
    }
    pthread_cond_destroy(&c->wake);
    pthread_cond_destroy(&c->told);
    pthread_mutex_destroy(&c->lock);
    mem_free(c);
}

void commit_open_segment(struct commit *c, struct open_segment *segment)
{
    tell(c, op_new(OP_OPEN, segment, 0));
}

void commit_frame(struct commit *c, struct open_segment *segment,
                  const struct catalogue_frame *frame)
{
    struct op *op = op_new(OP_FRAME, segment, frame->bloom_n);

    op->frame = *frame;
    op->frame.bloom = (const uint8_t *)(op + 1);
    if (frame->bloom_n > 0) {
        memcpy(op + 1, frame->bloom, frame->bloom_n);
    }
    tell(c, op);
}

void commit_close_segment(struct commit *c, struct open_segment *segment)
{
    tell(c, op_new(OP_CLOSE, segment, 0));
}

void commit_ifaces(struct commit *c, const struct iface *ifaces, uint32_t from, uint32_t n)
{
    REQUIRE(from <= n);
    struct op *op = op_new(OP_IFACES, NULL, 0);

    op->ifaces = x_alloc((n - from) * sizeof *ifaces);
    op->first_iface = from;
    op->n_ifaces = n - from;
    memcpy(op->ifaces, ifaces + from, (n - from) * sizeof *ifaces);
    tell(c, op);
}

void commit_clock(struct commit *c, const struct clock_samples *clock)
{
    struct op *op = op_new(OP_CLOCK, NULL, 0);

    clock_samples_join(&op->clock, clock);
    tell(c, op);
}

void commit_state(struct commit *c, enum store_state state)
{
    pthread_mutex_lock(&c->lock);
    c->state = state;
    c->hurry = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}

int commit_make_room(struct commit *c, uint64_t bytes, struct err *err)
{
    pthread_mutex_lock(&c->lock);
    c->room_wanted = true;
    c->room_bytes = bytes;
    pthread_cond_signal(&c->wake);
    while (c->room_wanted && c->failed.code == 0) {
        pthread_cond_wait(&c->told, &c->lock);
    }
    int r = c->failed.code != 0 ? c->failed.code : c->room_result;
    c->room_wanted = false;
    pthread_mutex_unlock(&c->lock);
    return r < 0 ? err_set(err, r, "no room can be made in '%s'", c->store->path) : 0;
}

int commit_error(struct commit *c, struct err *err)
{
    pthread_mutex_lock(&c->lock);
    int r = c->failed.code;
    if (r < 0 && err != NULL) {
        *err = c->failed;
    }
    pthread_mutex_unlock(&c->lock);
    return r;
}

int commit_finish(struct commit *c, const struct store_session *session, struct err *err)
{
    stop(c);
    pthread_mutex_lock(&c->lock);
    c->state = session->state;
    c->session.ended_ns = session->ended_ns;
    c->session.loss = session->loss;
    c->session.state = STORE_RUNNING;
    if (c->state == STORE_RUNNING) {
        c->state = STORE_COMPLETE;
    }
    run_once(c);
    if (c->failing) {
        run_once(c); /* now without the reserve */
    }
    bool left = c->failing;
    int r = c->failed.code;
    pthread_mutex_unlock(&c->lock);
    if (r < 0) {
        return commit_error(c, err);
    }
    return left ? err_set(err, c->last_try.code,
                          "%s; the packets are in the segments of '%s' and come back when it is "
                          "opened again",
                          c->last_try.text, c->store->path)
                : 0;
}
