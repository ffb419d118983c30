/* SPDX-License-Identifier: Apache-2.0 */
#include "node/rpc_door_uv.h"

#include <sys/queue.h>
#include <unistd.h>

#include "node/unproven.h"
#include "shared/base/mem.h"
#include "shared/wire/channel.h"

#define LOOK_MS 250

struct waiting {
    TAILQ_ENTRY(waiting) link;
    int fd;
    struct sockaddr_storage peer;
    uint64_t since_ms;
    bool has_head;
    struct buf head;
};

struct rpc_door {
    rpc_door_enter_cb enter;
    void *arg;
    struct unproven *strangers;
    TAILQ_HEAD(, waiting) waiting; /* the longest first */
    size_t n_waiting;
    uint64_t n_turned_away;
    bool is_letting_in;
    uv_timer_t look;
    void (*closed)(void *arg);
};

void rpc_door_turn_away(int fd)
{
    const uint8_t busy = CHANNEL_BUSY;
    ssize_t ignored = send(fd, &busy, 1, MSG_DONTWAIT | MSG_NOSIGNAL);

    (void)ignored;
    close(fd);
}

static void turn_away(struct rpc_door *door, int fd)
{
    door->n_turned_away++;
    rpc_door_turn_away(fd);
}

static void forget(struct rpc_door *door, struct waiting *waiting)
{
    TAILQ_REMOVE(&door->waiting, waiting, link);
    door->n_waiting--;
    buf_deinit(&waiting->head);
    mem_free(waiting);
}

static bool may_enter(struct rpc_door *door, const struct sockaddr_storage *peer)
{
    return unproven_total(door->strangers) < CHANNEL_STRANGERS_MAX &&
           unproven_add(door->strangers, peer);
}

/* The oldest who may; one whose address has its most already waits on. */
static struct waiting *find_next(struct rpc_door *door)
{
    struct waiting *waiting;

    TAILQ_FOREACH (waiting, &door->waiting, link) {
        if (unproven_total(door->strangers) >= CHANNEL_STRANGERS_MAX) {
            return NULL;
        }
        if (may_enter(door, &waiting->peer)) {
            return waiting;
        }
    }
    return NULL;
}

/* Who enters may be gone before this returns, which is no reason to begin again from inside. */
static void let_in(struct rpc_door *door)
{
    struct waiting *next;

    if (door->is_letting_in) {
        return;
    }
    door->is_letting_in = true;
    while ((next = find_next(door)) != NULL) {
        struct waiting one = *next;
        next->head = (struct buf){0};
        forget(door, next);
        door->enter(door->arg, one.fd, &one.peer, one.has_head ? &one.head : NULL);
        buf_deinit(&one.head);
    }
    door->is_letting_in = false;
}

static void on_look(uv_timer_t *timer)
{
    struct rpc_door *door = container_of(timer, struct rpc_door, look);
    uint64_t now_ms = uv_now(timer->loop);

    while (!TAILQ_EMPTY(&door->waiting) &&
           now_ms - TAILQ_FIRST(&door->waiting)->since_ms >= CHANNEL_STRANGER_MS) {
        struct waiting *waiting = TAILQ_FIRST(&door->waiting);
        turn_away(door, waiting->fd);
        forget(door, waiting);
    }
    let_in(door);
    if (door->n_waiting == 0) {
        uv_timer_stop(timer);
    }
}

struct rpc_door *rpc_door_open(uv_loop_t *loop, rpc_door_enter_cb enter, void *arg)
{
    struct rpc_door *door = x_alloc(sizeof *door);

    door->enter = enter;
    door->arg = arg;
    door->strangers = unproven_new(CHANNEL_STRANGERS_OF_ADDRESS_MAX);
    TAILQ_INIT(&door->waiting);
    uv_timer_init(loop, &door->look);
    uv_unref((uv_handle_t *)&door->look);
    return door;
}

static void on_closed(uv_handle_t *handle)
{
    struct rpc_door *door = container_of((uv_timer_t *)handle, struct rpc_door, look);
    void (*closed)(void *) = door->closed;
    void *arg = door->arg;

    unproven_free(door->strangers);
    mem_free(door);
    closed(arg);
}

void rpc_door_close(struct rpc_door *door, void (*closed)(void *arg))
{
    while (!TAILQ_EMPTY(&door->waiting)) {
        close(TAILQ_FIRST(&door->waiting)->fd);
        forget(door, TAILQ_FIRST(&door->waiting));
    }
    door->closed = closed;
    uv_close((uv_handle_t *)&door->look, on_closed);
}

void rpc_door_knock(struct rpc_door *door, int fd, const struct sockaddr_storage *peer,
                    const struct buf *head)
{
    if (may_enter(door, peer)) {
        door->enter(door->arg, fd, peer, head);
        return;
    }
    if (door->n_waiting == RPC_DOOR_WAITING_MAX) {
        turn_away(door, fd);
        return;
    }
    struct waiting *waiting = x_alloc(sizeof *waiting);
    waiting->fd = fd;
    waiting->peer = *peer;
    waiting->since_ms = uv_now(door->look.loop);
    if (head != NULL) {
        waiting->has_head = true;
        buf_append(&waiting->head, head->data, head->len);
    }
    TAILQ_INSERT_TAIL(&door->waiting, waiting, link);
    if (door->n_waiting++ == 0) {
        uv_timer_start(&door->look, on_look, LOOK_MS, LOOK_MS);
    }
}

void rpc_door_left(struct rpc_door *door, const struct sockaddr_storage *peer)
{
    unproven_remove(door->strangers, peer);
    let_in(door);
}

size_t rpc_door_strangers(const struct rpc_door *door)
{
    return unproven_total(door->strangers);
}

size_t rpc_door_waiting(const struct rpc_door *door)
{
    return door->n_waiting;
}

uint64_t rpc_door_turned_away(const struct rpc_door *door)
{
    return door->n_turned_away;
}
