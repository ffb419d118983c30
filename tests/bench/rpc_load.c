/* SPDX-License-Identifier: Apache-2.0
 *
 * rpc_load ENDPOINT KEY-FILE|- calls|clients|cold N [NODE]: calls a node, or NODE through it.
 *   calls    N calls of node.info at once, 50 on a connection that is there already
 *   clients  N clients at once, each connects, calls once and leaves
 *   cold     the same one after the other
 * Prints a line of words NAME=VALUE; times in ms from the common beginning (cold: of each).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/rpc_client.h"

#define OF_CONNECTION 50
#define LIMIT_NS      60000000000ULL

static struct rpc_endpoint endpoint;
static char key[256];
static uint64_t *took_ns;
static size_t n_failed;
static struct buf through; /* msgpack: the node to ask; empty: the one that is connected */
static pthread_barrier_t start;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

struct job {
    pthread_t thread;
    size_t first, n;
    bool is_late; /* connects after the beginning */
};

static void fail(const struct err *err)
{
    pthread_mutex_lock(&lock);
    if (n_failed++ == 0) {
        fprintf(stderr, "rpc_load: %s\n", err->text);
    }
    pthread_mutex_unlock(&lock);
}

static struct rpc_client *dial(void)
{
    const struct rpc_client_opts opts = {.endpoint = &endpoint,
                                         .api_key = endpoint.is_unix ? NULL : key};
    struct rpc_client *client = NULL;
    struct err err = {0};

    if (rpc_client_open(&opts, clock_monotonic_ns() + LIMIT_NS, &client, &err) < 0) {
        fail(&err);
    }
    return client;
}

static void call(struct rpc_client *client, const struct job *job, uint64_t began_ns)
{
    uint64_t until_ns = clock_monotonic_ns() + LIMIT_NS;
    uint32_t ids[OF_CONNECTION];
    const struct rpc_call_options options = {.node = {.bytes = through.data, .n = through.len}};
    struct rpc_span result;
    struct err err = {0};

    for (size_t i = 0; i < job->n; i++) {
        if (rpc_client_send_with(client, "node.info", (struct rpc_span){0}, &options, until_ns,
                                 &ids[i], &err) < 0) {
            fail(&err);
            return;
        }
    }
    for (size_t i = 0; i < job->n; i++) {
        if (rpc_client_wait(client, ids[i], until_ns, &result, &err) < 0) {
            fail(&err);
        }
        took_ns[job->first + i] = clock_monotonic_ns() - began_ns;
    }
}

static void *run(void *arg)
{
    struct job *job = arg;
    struct rpc_client *client = job->is_late ? NULL : dial();

    pthread_barrier_wait(&start);
    uint64_t began_ns = clock_monotonic_ns();
    client = job->is_late ? dial() : client;
    if (client != NULL) {
        call(client, job, began_ns);
    }
    rpc_client_close(client);
    return NULL;
}

static void at_once(size_t n, size_t each, bool is_late)
{
    size_t n_jobs = (n + each - 1) / each;
    struct job *jobs = x_alloc(n_jobs * sizeof *jobs);

    pthread_barrier_init(&start, NULL, (unsigned)n_jobs);
    for (size_t i = 0; i < n_jobs; i++) {
        size_t left = n - i * each;
        jobs[i] =
            (struct job){.first = i * each, .n = left < each ? left : each, .is_late = is_late};
        if (pthread_create(&jobs[i].thread, NULL, run, &jobs[i]) != 0) {
            fprintf(stderr, "rpc_load: no more threads\n");
            exit(1);
        }
    }
    for (size_t i = 0; i < n_jobs; i++) {
        pthread_join(jobs[i].thread, NULL);
    }
    mem_free(jobs);
}

static void one_by_one(size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t began_ns = clock_monotonic_ns();
        struct rpc_client *client = dial();
        if (client != NULL) {
            call(client, &(struct job){.first = i, .n = 1}, began_ns);
        }
        rpc_client_close(client);
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static void read_key(const char *path)
{
    FILE *file = fopen(path, "re");

    if (file == NULL || fgets(key, sizeof key, file) == NULL) {
        fprintf(stderr, "rpc_load: no key in '%s'\n", path);
        exit(1);
    }
    key[strcspn(key, "\n")] = '\0';
    fclose(file);
}

int main(int argc, char **argv)
{
    struct err err = {0};
    size_t n = argc == 5 || argc == 6 ? (size_t)strtoul(argv[4], NULL, 10) : 0;

    if (n == 0 || rpc_endpoint_parse(argv[1], &endpoint, &err) < 0) {
        fprintf(stderr, "usage: rpc_load ENDPOINT KEY-FILE|- calls|clients|cold N [NODE]\n%s\n",
                err.text);
        return 2;
    }
    if (argc == 6) {
        rpc_put_text(&through, argv[5]);
    }
    if (!endpoint.is_unix) {
        read_key(argv[2]);
    }
    took_ns = x_alloc(n * sizeof *took_ns);
    if (strcmp(argv[3], "cold") == 0) {
        one_by_one(n);
    } else {
        bool is_late = strcmp(argv[3], "clients") == 0;
        at_once(n, is_late ? 1 : OF_CONNECTION, is_late);
    }
    qsort(took_ns, n, sizeof *took_ns, compare);
    size_t median = n / 2;
    size_t p99 = (n - 1) * 99 / 100;
    printf("answered=%zu failed=%zu p50_ms=%.2f p99_ms=%.2f max_ms=%.2f\n", n - n_failed, n_failed,
           (double)took_ns[median] / 1e6, (double)took_ns[p99] / 1e6, (double)took_ns[n - 1] / 1e6);
    mem_free(took_ns);
    buf_deinit(&through);
    return n_failed > 0;
}
