/* SPDX-License-Identifier: Apache-2.0 */
#include "node/gauges.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <uv.h>

#include "node/metrics.h"
#include "node/store_access.h"
#include "node/work.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"

#define LOOK_MS 1000  /* while somebody asks, or readers of the store stand idle */
#define REST_MS 60000 /* else */
/* As long as this after the last question somebody is still asking. */
#define ASKED_MS 15000
/* Nobody waits longer for a disk that hangs. */
#define WAIT_NS (2u * 1000000000ull)

/* When the catalogue was last written to. */
struct gauges_mark {
    uint64_t inode;
    struct timespec file;
    struct timespec log;
};

struct gauges_waiter {
    struct gauges_waiter *next;
    void (*done)(void *arg);
    void *arg;
};

struct gauges {
    struct node *node;
    uv_timer_t timer;
    uint64_t asked_ms; /* loop time of the last question */
    uint64_t began_ns; /* of the look that is under way, or was the last */
    struct gauges_waiter *waiters;
    struct gauges_sample newest;
    struct gauges_sample next; /* the worker's while is_looking */
    struct gauges_mark mark;   /* the same; of what newest says */
    bool is_looking;
    bool is_closing;
    void (*closed)(struct node *node);
};

static int count_sessions(struct store *store, void *arg, struct err *err)
{
    struct gauges_store *out = arg;

    out->exists = true;
    out->is_encrypted = store_is_encrypted(store);
    return store_count_sessions(store, &out->sessions, err);
}

static void mark_of(const char *path, struct gauges_mark *out)
{
    char *log = x_sprintf("%s-wal", path);
    struct stat st;

    *out = (struct gauges_mark){0};
    if (stat(path, &st) == 0) {
        out->inode = st.st_ino;
        out->file = st.st_mtim;
    }
    if (stat(log, &st) == 0) {
        out->log = st.st_mtim;
    }
    mem_free(log);
}

/* A catalogue that nobody wrote to is not opened again: it costs nothing, and a rekey, which wants
 * to be alone with it, does not meet us every second. */
static void look_at_store(struct gauges *g, struct gauges_store *out)
{
    struct node_store *access = g->node->store;
    struct gauges_mark mark;
    struct err err = {0};

    mark_of(node_store_path(access), &mark);
    node_store_space(access, &out->used_bytes, &out->free_bytes);
    int writable = node_store_check_writable(access, &err);
    snprintf(out->no_writing, sizeof out->no_writing, "%.250s", writable < 0 ? err.text : "");
    if (memcmp(&mark, &g->mark, sizeof mark) == 0 && g->newest.taken_ns != 0) {
        return;
    }
    out->exists = false;
    out->sessions = 0;
    int r = node_store_peek(access, count_sessions, out, &err);
    out->is_readable = r == 0 || r == ERR_NOT_FOUND;
    snprintf(out->why_not, sizeof out->why_not, "%.250s", out->is_readable ? "" : err.text);
    g->mark = out->is_readable ? mark : (struct gauges_mark){0};
}

static uint64_t count_fds(void)
{
    DIR *dir = opendir("/proc/self/fd");
    uint64_t n = 0;

    while (dir != NULL && readdir(dir) != NULL) {
        n++;
    }
    if (dir != NULL) {
        closedir(dir);
    }
    return n > 3 ? n - 3 : 0; /* ".", ".." and the one that reads */
}

/* proc(5), /proc/PID/stat: what follows the name in brackets, which may hold anything. */
static void look_at_stat(struct gauges_process *out)
{
    char text[1024];
    FILE *f = fopen("/proc/self/stat", "re");
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
    unsigned long utime = 0;
    unsigned long stime = 0;
    unsigned long vsize = 0;
    long threads = 0;
    long rss = 0;

    if (f != NULL) {
        fclose(f);
    }
    text[n] = '\0';
    const char *rest = strrchr(text, ')');
    if (rest != NULL && sscanf(rest + 1,
                               " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d "
                               "%*d %ld %*d %*u %lu %ld",
                               &utime, &stime, &threads, &vsize, &rss) == 5) {
        out->cpu_seconds = (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK);
        out->threads = (uint64_t)threads;
        out->virtual_bytes = vsize;
        out->resident_bytes = (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE);
    }
}

static void look_at_process(struct gauges_process *out)
{
    struct rlimit limit = {.rlim_cur = RLIM_INFINITY};

    *out = (struct gauges_process){0};
    look_at_stat(out);
    out->open_fds = count_fds();
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    out->max_fds = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

static void run_look(void *arg)
{
    struct gauges *g = arg;

    node_store_trim(g->node->store, clock_monotonic_ns());
    look_at_store(g, &g->next.store);
    look_at_process(&g->next.process);
    g->next.taken_ns = clock_monotonic_ns();
}

static void on_closed(uv_handle_t *handle)
{
    struct gauges *g = container_of(handle, struct gauges, timer);
    struct node *node = g->node;
    void (*closed)(struct node * node) = g->closed;

    mem_free(g);
    node->gauges = NULL;
    closed(node);
}

static void tell_waiters(struct gauges *g)
{
    struct gauges_waiter *waiters = g->waiters;

    g->waiters = NULL;
    while (waiters != NULL) {
        struct gauges_waiter *waiter = waiters;
        waiters = waiter->next;
        waiter->done(waiter->arg);
        mem_free(waiter);
    }
}

static void on_looked(void *arg, bool cancelled)
{
    struct gauges *g = arg;

    g->is_looking = false;
    if (!cancelled) {
        g->newest = g->next;
    }
    tell_waiters(g);
    if (g->is_closing) {
        uv_close((uv_handle_t *)&g->timer, on_closed);
    }
}

static void on_timer(uv_timer_t *timer);

static void look(struct gauges *g)
{
    if (!g->is_looking) {
        g->began_ns = clock_monotonic_ns();
        g->is_looking = work_run(g->node, run_look, on_looked, g);
    }
}

/* A node at rest wakes seldom. */
static void go_on(struct gauges *g)
{
    uint64_t repeat_ms = uv_timer_get_repeat(&g->timer);
    bool is_busy =
        node_store_has_idle(g->node->store) || uv_now(g->node->loop) - g->asked_ms < ASKED_MS;
    uint64_t wanted_ms = is_busy ? LOOK_MS : REST_MS;

    if (!g->is_closing && repeat_ms != wanted_ms) {
        uv_timer_start(&g->timer, on_timer, wanted_ms, wanted_ms);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct gauges *g = container_of(timer, struct gauges, timer);
    bool is_asked = uv_now(g->node->loop) - g->asked_ms < ASKED_MS;

    if (g->is_looking && clock_monotonic_ns() - g->began_ns > WAIT_NS) {
        tell_waiters(g);
    }
    if (is_asked || node_store_has_idle(g->node->store) ||
        clock_monotonic_ns() - g->began_ns >= (REST_MS - LOOK_MS) * 1000000ull) {
        look(g);
    }
    go_on(g);
}

void gauges_wake(struct node *node)
{
    struct gauges *g = node->gauges;

    if (g != NULL && uv_timer_get_repeat(&g->timer) == REST_MS) {
        go_on(g);
    }
}

void gauges_refresh(struct node *node, void (*done)(void *arg), void *arg)
{
    struct gauges *g = node->gauges;
    uint64_t now_ns = clock_monotonic_ns();
    bool is_new = now_ns - g->newest.taken_ns < LOOK_MS * 1000000ull;
    bool hangs = g->is_looking && now_ns - g->began_ns > WAIT_NS;

    g->asked_ms = uv_now(node->loop);
    gauges_wake(node);
    if (!is_new && !hangs && !g->is_closing) {
        look(g);
    }
    if (is_new || hangs || !g->is_looking || g->is_closing) {
        done(arg);
        return;
    }
    struct gauges_waiter *waiter = x_alloc(sizeof *waiter);
    *waiter = (struct gauges_waiter){.next = g->waiters, .done = done, .arg = arg};
    g->waiters = waiter;
}

bool gauges_hang(const struct gauges *g)
{
    return g->is_looking && clock_monotonic_ns() - g->began_ns > GAUGES_HANG_NS;
}

int gauges_open(struct node *node, struct err *err)
{
    struct gauges *g = x_alloc(sizeof *g);

    (void)err;
    g->node = node;
    node->gauges = g;
    run_look(g); /* nobody waits yet */
    g->newest = g->next;
    REQUIRE(uv_timer_init(node->loop, &g->timer) == 0);
    REQUIRE(uv_timer_start(&g->timer, on_timer, LOOK_MS, LOOK_MS) == 0);
    return 0;
}

void gauges_close(struct node *node, void (*closed)(struct node *node))
{
    struct gauges *g = node->gauges;

    g->closed = closed;
    g->is_closing = true;
    uv_timer_stop(&g->timer);
    tell_waiters(g);
    if (!g->is_looking) {
        uv_close((uv_handle_t *)&g->timer, on_closed);
    }
}

const struct gauges_sample *gauges_newest(const struct gauges *g)
{
    return &g->newest;
}

static void put_store(const struct node *node, const struct gauges_store *store, struct buf *out)
{
    metrics_family(out, "packetrecorder_store_bytes", "gauge",
                   "Bytes of the store on disk: segments, catalogue and its log.");
    metrics_count(out, "packetrecorder_store_bytes", "", store->used_bytes);
    metrics_family(out, "packetrecorder_store_sessions", "gauge", "Sessions in the store.");
    metrics_count(out, "packetrecorder_store_sessions", "", store->sessions);
    if (store->free_bytes != UINT64_MAX) {
        metrics_family(out, "packetrecorder_store_free_bytes", "gauge",
                       "Free bytes of the file system that the store is on.");
        metrics_count(out, "packetrecorder_store_free_bytes", "", store->free_bytes);
    }
    if (node->options->quota_bytes > 0) {
        metrics_family(out, "packetrecorder_store_quota_bytes", "gauge",
                       "What the store may take (--quota).");
        metrics_count(out, "packetrecorder_store_quota_bytes", "", node->options->quota_bytes);
    }
    metrics_family(out, "packetrecorder_store_readable", "gauge",
                   "1 while the store can be read, or there is none yet.");
    metrics_count(out, "packetrecorder_store_readable", "", store->is_readable);
}

static void put_process(const struct node *node, const struct gauges_process *process,
                        struct buf *out)
{
    metrics_family(out, "process_cpu_seconds_total", "counter",
                   "Time of the processor in user and kernel mode, in seconds.");
    metrics_value(out, "process_cpu_seconds_total", "", process->cpu_seconds);
    metrics_family(out, "process_resident_memory_bytes", "gauge", "Memory in use.");
    metrics_count(out, "process_resident_memory_bytes", "", process->resident_bytes);
    metrics_family(out, "process_virtual_memory_bytes", "gauge", "Address space in use.");
    metrics_count(out, "process_virtual_memory_bytes", "", process->virtual_bytes);
    metrics_family(out, "process_threads", "gauge", "Threads.");
    metrics_count(out, "process_threads", "", process->threads);
    metrics_family(out, "process_open_fds", "gauge", "Open file descriptors.");
    metrics_count(out, "process_open_fds", "", process->open_fds);
    if (process->max_fds != UINT64_MAX) {
        metrics_family(out, "process_max_fds", "gauge", "How many there may be.");
        metrics_count(out, "process_max_fds", "", process->max_fds);
    }
    metrics_family(out, "process_start_time_seconds", "gauge",
                   "When the node started, in seconds since 1970.");
    metrics_value(out, "process_start_time_seconds", "", (double)node->started_ns / 1e9);
}

void gauges_metrics(struct node *node, struct buf *out)
{
    put_store(node, &node->gauges->newest.store, out);
    put_process(node, &node->gauges->newest.process, out);
}
