/* SPDX-License-Identifier: Apache-2.0
 *
 * A node that is away must not keep Wireshark's start waiting, and looking up its name has no
 * deadline of its own. So a thread asks, and whoever waits for it stops in time.
 */
#include "cli/extcap_posix.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "cli/live_view_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/wire/api_key.h"

/* Shared by the one who asks and the one who waits; whoever is last frees it. */
struct question {
    pthread_mutex_t mutex;
    pthread_cond_t done_changed;
    struct extcap_node node; /* a copy of its own */
    char *ca_file;
    uint64_t deadline_ns;
    struct extcap_list list;
    int code;
    struct err err;
    bool done;
    bool left; /* nobody waits any more */
};

int extcap_node_open(const struct extcap_args *args, struct extcap_node *node, struct err *err)
{
    if (args->endpoint == NULL || args->endpoint[0] == '\0') {
        return err_set(err, ERR_USAGE,
                       "no node is named: set PACKETRECORDER_ENDPOINT, or Node in the options of "
                       "the interface");
    }
    int code = url_parse_endpoint(args->endpoint, &node->endpoint, err);
    const char *key_file =
        args->api_key_file != NULL && args->api_key_file[0] != '\0' ? args->api_key_file : NULL;

    code = code == 0 ? api_key_text(key_file, &node->api_key, err) : code;
    node->ca_file = args->ca_file != NULL && args->ca_file[0] != '\0' ? args->ca_file : NULL;
    return code;
}

void extcap_node_close(struct extcap_node *node)
{
    sodium_free(node->api_key);
    node->api_key = NULL;
}

static void free_question(struct question *question)
{
    extcap_node_close(&question->node);
    mem_free(question->ca_file);
    pthread_cond_destroy(&question->done_changed);
    pthread_mutex_destroy(&question->mutex);
    mem_free(question);
}

static void add(const struct live_view_interface *interface, void *arg)
{
    struct extcap_list *list = arg;

    if (list->n < EXTCAP_IFACES_MAX && strlen(interface->name) < sizeof list->items[0].name) {
        struct extcap_iface *one = &list->items[list->n++];
        snprintf(one->name, sizeof one->name, "%s", interface->name);
        snprintf(one->description, sizeof one->description, "%s", interface->description);
        snprintf(one->link_type, sizeof one->link_type, "%s", interface->link_type);
    }
}

static void *ask(void *arg)
{
    struct question *question = arg;
    const struct live_view_spec spec = {
        .endpoint = &question->node.endpoint,
        .api_key = question->node.api_key,
        .ca_file = question->ca_file,
        .all_nodes = true,
    };
    unsigned status;
    int code = live_view_interfaces(&spec, question->deadline_ns, add, &question->list, &status,
                                    &question->err);

    pthread_mutex_lock(&question->mutex);
    question->code = code;
    question->done = true;
    bool left = question->left;
    pthread_cond_signal(&question->done_changed);
    pthread_mutex_unlock(&question->mutex);
    if (left) {
        free_question(question);
    }
    return NULL;
}

static char *copy_secret(const char *text)
{
    char *copy = text == NULL ? NULL : sodium_malloc(strlen(text) + 1);

    if (copy != NULL) {
        memcpy(copy, text, strlen(text) + 1);
    }
    return copy;
}

static struct question *new_question(const struct extcap_node *node, uint64_t deadline_ns)
{
    struct question *question = x_alloc(sizeof *question);
    pthread_condattr_t attr;

    pthread_mutex_init(&question->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&question->done_changed, &attr);
    pthread_condattr_destroy(&attr);
    question->node.endpoint = node->endpoint;
    question->node.api_key = copy_secret(node->api_key);
    question->ca_file = node->ca_file == NULL ? NULL : x_strdup(node->ca_file);
    question->deadline_ns = deadline_ns;
    return question;
}

int extcap_ask(const struct extcap_node *node, unsigned limit_ms, struct extcap_list *out,
               struct err *err)
{
    uint64_t deadline_ns = clock_monotonic_ns() + limit_ms * 1000000ull;
    const struct timespec until = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                                   .tv_nsec = (long)(deadline_ns % 1000000000)};
    struct question *question = new_question(node, deadline_ns);
    pthread_t thread;

    int failed = pthread_create(&thread, NULL, ask, question);
    if (failed != 0) {
        free_question(question);
        return err_errno(err, failed, "cannot start a thread");
    }
    pthread_detach(thread);
    pthread_mutex_lock(&question->mutex);
    while (!question->done &&
           pthread_cond_timedwait(&question->done_changed, &question->mutex, &until) != ETIMEDOUT) {
    }
    bool done = question->done;
    question->left = !done;
    pthread_mutex_unlock(&question->mutex);
    if (!done) {
        return err_set(err, -ETIMEDOUT, "the node does not answer within %u ms", limit_ms);
    }
    int code = question->code;
    if (code == 0) {
        *out = question->list;
    } else if (err != NULL) {
        *err = question->err;
    }
    free_question(question);
    return code;
}
