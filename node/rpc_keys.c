/* SPDX-License-Identifier: Apache-2.0
 *
 * The node's own list of API keys, changed as `packetrecorder keys` changes it. The text of a new
 * key is packed once, from the stack into the answer, and wiped.
 */
#include "node/rpc_keys.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "node/auth.h"
#include "node/rpc_job.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"

struct keys_job {
    struct rpc_job job;
    char *path;
    char *word; /* of revoke */
    struct api_key key;
    char text[API_KEY_TEXT_MAX];
    struct api_keys keys; /* of list */
    size_t n_left;
};

static struct keys_job *new_job(struct node *node, void (*run)(struct ask *ask),
                                void (*reply)(struct rpc_job *job))
{
    struct keys_job *keys = x_alloc(sizeof *keys);

    keys->job.ask.run = run;
    keys->job.reply = reply;
    keys->path = api_keys_path(node->options->database);
    return keys;
}

static void release(struct ask *ask)
{
    struct keys_job *keys = container_of(ask, struct keys_job, job.ask);

    explicit_bzero(keys->text, sizeof keys->text);
    explicit_bzero(&keys->key, sizeof keys->key);
    api_keys_free(&keys->keys);
    mem_free(keys->path);
    mem_free(keys->word);
    mem_free(keys);
}

static void start(struct keys_job *keys, struct rpc_call *call, struct node *node)
{
    keys->job.ask.release = release;
    rpc_job_start(&keys->job, call, node);
}

/* What succeeds may have met an error on the way: no file yet is no key. */
static void settle(struct ask *ask, int rc)
{
    if (rc == 0) {
        ask->err = (struct err){0};
    }
}

/* ---- add ---- */

static int add_to_list(struct api_keys *keys, void *arg, struct err *err)
{
    return api_keys_add(keys, arg, err);
}

static void run_add(struct ask *ask)
{
    struct keys_job *keys = container_of(ask, struct keys_job, job.ask);

    api_key_make(&keys->key, keys->text);
    settle(ask, api_keys_change(keys->path, add_to_list, &keys->key, &ask->err));
}

static void reply_add(struct rpc_job *job)
{
    struct keys_job *keys = container_of(job, struct keys_job, job);
    json_t *entry = api_key_json(&keys->key, clock_wall_ns());
    struct buf result = {0};
    const char *name;
    json_t *value;

    json_object_del(entry, "state");
    rpc_put_map(&result, (uint32_t)json_object_size(entry) + 1);
    json_object_foreach(entry, name, value)
    {
        rpc_put_text(&result, name);
        rpc_put_json(&result, value);
    }
    rpc_put_text(&result, "key");
    rpc_put_text(&result, keys->text);
    json_decref(entry);
    auth_look_now(job->ask.node->auth);
    rpc_call_set_target(job->call, keys->key.id);
    rpc_call_reply_packed(job->call, &result);
}

static void add(struct rpc_call *call, struct node *node)
{
    const struct json_t *args = rpc_call_args(call);
    const char *name = rpc_arg_text(args, "name");
    struct api_key key = {.created_ns = clock_wall_ns()};
    struct err err = {0};

    if (name != NULL && !api_key_name_is_good(name)) {
        rpc_call_fail(call, err_name(ERR_USAGE),
                      "\"name\" is text of at most %d bytes without control characters",
                      API_KEY_NAME_MAX - 1);
        return;
    }
    if (api_key_parse_expiry(rpc_arg_text(args, "expires"), key.created_ns, &key.expires_ns, &err) <
        0) {
        err_wrap(&err, "\"expires\"");
        rpc_call_fail_err(call, &err);
        return;
    }
    (void)api_role_parse(rpc_arg_text(args, "role"), &key.role);
    snprintf(key.name, sizeof key.name, "%s", name == NULL ? "" : name);
    struct keys_job *keys = new_job(node, run_add, reply_add);
    keys->key = key;
    start(keys, call, node);
}

/* ---- list ---- */

static void run_list(struct ask *ask)
{
    struct keys_job *keys = container_of(ask, struct keys_job, job.ask);

    settle(ask, api_keys_load(keys->path, &keys->keys, &ask->err));
}

static void reply_list(struct rpc_job *job)
{
    struct keys_job *keys = container_of(job, struct keys_job, job);
    uint64_t now_ns = clock_wall_ns();
    json_t *list = json_array();

    for (size_t i = 0; i < keys->keys.n; i++) {
        json_array_append_new(list, api_key_json(&keys->keys.items[i], now_ns));
    }
    rpc_call_reply(job->call, list);
}

static void list(struct rpc_call *call, struct node *node)
{
    start(new_job(node, run_list, reply_list), call, node);
}

/* ---- revoke ---- */

static int remove_from_list(struct api_keys *list_, void *arg, struct err *err)
{
    struct keys_job *keys = arg;
    size_t index = 0;
    int rc = api_keys_find(list_, keys->word, &index, err);

    if (rc == 0) {
        keys->key = list_->items[index];
        api_keys_remove(list_, index);
        keys->n_left = list_->n;
    }
    return rc;
}

static void run_revoke(struct ask *ask)
{
    struct keys_job *keys = container_of(ask, struct keys_job, job.ask);

    settle(ask, api_keys_change(keys->path, remove_from_list, keys, &ask->err));
}

static void reply_revoke(struct rpc_job *job)
{
    struct keys_job *keys = container_of(job, struct keys_job, job);
    json_t *answer = api_key_json(&keys->key, clock_wall_ns());
    json_t *result = json_object();

    json_object_set(result, "id", json_object_get(answer, "id"));
    json_object_set(result, "name", json_object_get(answer, "name"));
    json_object_set_new(result, "left", json_integer((json_int_t)keys->n_left));
    json_decref(answer);
    auth_look_now(job->ask.node->auth);
    if (keys->n_left == 0) {
        log_warn("that was the last API key: every user of this host can watch its packets now");
    }
    rpc_call_set_target(job->call, keys->key.id);
    rpc_call_reply(job->call, result);
}

static void revoke(struct rpc_call *call, struct node *node)
{
    struct keys_job *keys = new_job(node, run_revoke, reply_revoke);

    keys->word = x_strdup(rpc_arg_text(rpc_call_args(call), "key_id"));
    start(keys, call, node);
}

static const struct rpc_handler handlers[] = {
    {"keys.add", add},
    {"keys.list", list},
    {"keys.revoke", revoke},
};

const struct rpc_handler_group rpc_keys_handlers = {handlers, ARRAY_LEN(handlers)};
