/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls that are for other nodes than the one asked. `node`: its answer is passed on as it is.
 * `nodes` and `select`: all of them are asked, so many at a time, and what they say becomes one
 * answer, {nodes: [{node, id, result} or {node, id, error: {code, message}}]}, in the order of
 * their names. One hop only: what a node asks of a node is answered there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "node/gossip.h"
#include "node/peers.h"
#include "node/rpc_internal_uv.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/unpack.h"

#define ANSWER_DEPTH   4 /* levels around a result: message, {nodes: [{result}]} */
#define IN_FLIGHT      64
#define TARGETS_MAX    4096
#define ANSWERS_MAX    (7u * 1024u * 1024u) /* together; a client takes RPC_RESPONSE_MAX */
#define MARGIN_MOST_NS 500000000ull         /* of the caller's time, to bring the answers home */

struct forward;

struct target {
    struct forward *forward;
    uint64_t sid;
    char id[GOSSIP_ID_TEXT];
    char name[GOSSIP_LABEL_TEXT];
    bool is_self;
    bool is_gone;          /* dead: not asked */
    uint64_t number;       /* of peers_call; 0: none */
    struct rpc_call *part; /* of this node */
    struct buf answer;     /* msgpack */
    bool failed;
};

struct forward {
    struct rpc_call *call;
    struct buf args;
    bool is_single;
    bool is_too_many; /* TARGETS_MAX would not do */
    bool is_starting;
    uint64_t deadline_ns;
    struct target *targets;
    size_t n;
    size_t next;
    size_t n_done;
    size_t bytes;
};

static void forward_free(struct forward *f)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->targets[i].part != NULL) {
            rpc_call_end_part(f->targets[i].part);
        }
        buf_deinit(&f->targets[i].answer);
    }
    buf_deinit(&f->args);
    mem_free(f->targets);
    rpc_call_unref(f->call);
    mem_free(f);
}

/* ---- answers ---- */

static void put_error(struct buf *out, const char *code, const char *message)
{
    rpc_put_map(out, 2);
    rpc_put_text(out, "code");
    rpc_put_text(out, code);
    rpc_put_text(out, "message");
    rpc_put_text(out, message);
}

static void reply_all(struct forward *f)
{
    struct buf out = {0};

    buf_reserve(&out, f->bytes + f->n * 128 + 16);
    rpc_put_map(&out, 1);
    rpc_put_text(&out, "nodes");
    rpc_put_array(&out, (uint32_t)f->n);
    for (size_t i = 0; i < f->n; i++) {
        struct target *t = &f->targets[i];
        rpc_put_map(&out, 3);
        rpc_put_text(&out, "node");
        rpc_put_text(&out, t->name);
        rpc_put_text(&out, "id");
        rpc_put_text(&out, t->id);
        rpc_put_text(&out, t->failed ? "error" : "result");
        buf_append(&out, t->answer.data, t->answer.len);
    }
    rpc_call_reply_packed(f->call, &out);
}

static void start_some(struct forward *f);

static void finish_if_done(struct forward *f)
{
    if (f->n_done < f->n || f->is_starting) {
        return;
    }
    if (!rpc_call_is_gone(f->call)) {
        rpc_call_on_gone(f->call, NULL, NULL);
        reply_all(f);
    }
    forward_free(f);
}

static void keep(struct target *t, struct rpc_span result, const struct rpc_error *error)
{
    struct forward *f = t->forward;

    t->failed = error != NULL;
    if (error != NULL) {
        bool fits = f->bytes + strlen(error->message) <= ANSWERS_MAX;
        put_error(&t->answer, error->code, fits ? error->message : "");
    } else if (!rpc_fits_depth(result, RPC_DEPTH_MAX - ANSWER_DEPTH)) {
        t->failed = true;
        put_error(&t->answer, err_name(ERR_DAMAGED), "its answer has too many levels");
    } else if (f->bytes + result.n > ANSWERS_MAX) {
        t->failed = true;
        put_error(&t->answer, err_name(ERR_LIMIT),
                  "all answers together are more than 7 MiB: ask fewer nodes at a time");
    } else if (result.bytes == NULL) {
        rpc_put_nil(&t->answer);
    } else {
        buf_append(&t->answer, result.bytes, result.n);
    }
    f->bytes += t->answer.len;
    f->n_done++;
}

static void on_peer_of_many(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    struct target *t = arg;
    struct forward *f = t->forward;

    t->number = 0;
    keep(t, result, error);
    start_some(f);
    finish_if_done(f);
}

/* May come while the part is handed to its handler. */
static void on_part(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    struct target *t = arg;
    struct forward *f = t->forward;

    keep(t, result, error);
    start_some(f);
    finish_if_done(f);
}

static void on_peer(void *arg, struct rpc_span result, const struct rpc_error *error)
{
    struct forward *f = arg;

    if (!rpc_call_is_gone(f->call)) {
        rpc_call_on_gone(f->call, NULL, NULL);
        if (error != NULL) {
            rpc_call_fail_of(f->call, f->targets[0].name, error->code, error->message);
        } else {
            rpc_call_reply_span(f->call, result);
        }
    }
    forward_free(f);
}

/* Nobody waits any more. */
static void on_gone(void *arg)
{
    struct forward *f = arg;

    for (size_t i = 0; i < f->n; i++) {
        struct target *t = &f->targets[i];
        if (t->number != 0) {
            peers_cancel(f->call->node, t->number);
        }
    }
    forward_free(f);
}

/* ---- asking ---- */

static uint64_t ask(struct target *t, peers_cb answered, void *arg)
{
    struct rpc_call *call = t->forward->call;
    const struct buf *args = &t->forward->args;

    return peers_call(call->node,
                      &(struct peers_call){.sid = t->sid,
                                           .method = call->method->name,
                                           .args = {.bytes = args->data, .n = args->len},
                                           .rights = call->rights,
                                           .who = call->who,
                                           .deadline_ns = t->forward->deadline_ns},
                      answered, arg);
}

static void start_one(struct forward *f, struct target *t)
{
    struct rpc_error error = {.code = "unreachable", .message = "the member is dead"};

    if (t->is_gone) {
        keep(t, (struct rpc_span){0}, &error);
    } else if (t->is_self) {
        t->part = rpc_call_part(f->call, on_part, t);
        if (f->call->deadline_ns != UINT64_MAX) { /* as of the others */
            t->part->deadline_ns = f->deadline_ns;
            rpc_server_watch_deadline(f->call->conn->server, f->deadline_ns);
        }
        rpc_call_handle(t->part);
    } else {
        t->number = ask(t, on_peer_of_many, t);
    }
}

static void start_some(struct forward *f)
{
    if (f->is_starting) {
        return;
    }
    f->is_starting = true;
    while (f->next < f->n && f->next - f->n_done < IN_FLIGHT) {
        start_one(f, &f->targets[f->next++]);
    }
    f->is_starting = false;
}

/* ---- whom ---- */

static void add_target(struct forward *f, const struct gossip_member *member)
{
    struct target *t;

    f->is_too_many = f->is_too_many || f->n == TARGETS_MAX;
    if (f->is_too_many) {
        return;
    }
    f->targets = x_realloc(f->targets, (f->n + 1) * sizeof *f->targets);
    t = &f->targets[f->n++];
    *t = (struct target){.forward = f,
                         .sid = member->sid,
                         .is_self = member->is_self,
                         .is_gone = member->state == GOSSIP_DEAD};
    snprintf(t->id, sizeof t->id, "%s", member->id);
    snprintf(t->name, sizeof t->name, "%s", member->label);
}

static void add_all(const struct gossip_member *member, void *arg)
{
    struct forward *f = arg;

    if (member->state != GOSSIP_LEFT && !member->is_banned) {
        add_target(f, member);
    }
}

static bool has_target(const struct forward *f, uint64_t sid)
{
    for (size_t i = 0; i < f->n; i++) {
        if (f->targets[i].sid == sid) {
            return true;
        }
    }
    return false;
}

static int by_name(const void *a, const void *b)
{
    const struct target *x = a;
    const struct target *y = b;
    int order = strcmp(x->name, y->name);

    return order != 0 ? order : strcmp(x->id, y->id);
}

/* Without a swarm the node is all that there is. */
static void add_self(struct forward *f)
{
    struct gossip_member self = {.is_self = true, .state = GOSSIP_ALIVE};

    snprintf(self.label, sizeof self.label, "%.*s", SWIM_META_NAME_MAX, f->call->node->name);
    add_target(f, &self);
}

/* roll: NULL without a swarm. */
static int add_named(struct forward *f, const struct gossip_roll *roll, const char *text,
                     struct err *err)
{
    struct node *node = f->call->node;
    struct gossip_member member;

    if (roll == NULL) {
        if (strcmp(text, node->name) != 0) {
            return err_set(err, ERR_NOT_FOUND,
                           "no member '%.64s': this node is in no swarm (--cluster-key-file)",
                           text);
        }
        if (f->n == 0) {
            add_self(f);
        }
        return 0;
    }
    int rc = gossip_roll_find(roll, text, &member, err);
    if (rc == 0 && !has_target(f, member.sid)) {
        add_target(f, &member);
    }
    return rc;
}

static int bad_option(struct err *err, const char *name, const char *form)
{
    return err_set(err, ERR_USAGE, "the option \"%s\" is %s", name, form);
}

static struct gossip_roll *roll_of(const struct forward *f)
{
    struct gossip *gossip = f->call->node->gossip;

    return gossip == NULL ? NULL : gossip_roll_new(gossip);
}

static int add_list(struct forward *f, const json_t *list, struct err *err)
{
    struct gossip_roll *roll = roll_of(f);
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        rc = text == NULL ? bad_option(err, "nodes", "\"all\" or an array of names or ids")
                          : add_named(f, roll, text, err);
    }
    gossip_roll_free(roll);
    return rc;
}

static int add_nodes(struct forward *f, struct rpc_span nodes, struct err *err)
{
    json_t *value = NULL;
    int rc = rpc_to_json(nodes, TARGETS_MAX + 1, &value, err);

    if (rc == 0 && json_is_string(value) && strcmp(json_string_value(value), "all") == 0) {
        if (f->call->node->gossip == NULL) {
            add_self(f);
        } else {
            gossip_members(f->call->node->gossip, add_all, f);
        }
    } else if (rc == 0 && json_array_size(value) == 0) {
        rc = bad_option(err, "nodes", "\"all\" or an array of names or ids");
    } else if (rc == 0) {
        rc = add_list(f, value, err);
    }
    json_decref(value);
    return rc;
}

static int add_one(struct forward *f, struct rpc_span node, struct err *err)
{
    struct unpack u = unpack_from(node.bytes, node.n);
    char text[256];

    unpack_string(&u, text, sizeof text - 1);
    if (text[0] == '\0') {
        return bad_option(err, "node", "the name or id of a member");
    }
    struct gossip_roll *roll = roll_of(f);
    int rc = add_named(f, roll, text, err);
    gossip_roll_free(roll);
    return rc;
}

/* ---- by tags ---- */

struct choosing {
    struct forward *forward;
    const char *wanted[TAGS_MAX];
    size_t n;
};

static void add_if_fits(const struct gossip_member *member, void *arg)
{
    const struct choosing *c = arg;
    struct tags tags;

    gossip_tags_of(c->forward->call->node->gossip, member, &tags);
    if (tags_have_all(&tags, c->wanted, c->n)) {
        add_all(member, c->forward);
    }
}

static int take_wanted(struct choosing *c, const json_t *list, struct err *err)
{
    int rc = json_array_size(list) == 0 || json_array_size(list) > TAGS_MAX
                 ? bad_option(err, "select", "an array of tags \"KEY=VALUE\"")
                 : 0;

    for (size_t i = 0; rc == 0 && i < json_array_size(list); i++) {
        const char *text = json_string_value(json_array_get(list, i));
        rc = text == NULL ? bad_option(err, "select", "an array of tags \"KEY=VALUE\"")
                          : tag_check(text, err);
        c->wanted[c->n++] = text;
    }
    return rc;
}

static int add_selected(struct forward *f, struct rpc_span select, struct err *err)
{
    struct node *node = f->call->node;
    struct choosing c = {.forward = f};
    json_t *list = NULL;
    int rc = rpc_to_json(select, TAGS_MAX + 1, &list, err);

    rc = rc < 0 ? rc : take_wanted(&c, list, err);
    if (rc == 0 && node->gossip != NULL) {
        gossip_members(node->gossip, add_if_fits, &c);
    } else if (rc == 0 && tags_have_all(&node->tags, c.wanted, c.n)) {
        add_self(f);
    }
    if (rc == 0 && f->n == 0 && !f->is_too_many) {
        rc =
            err_set(err, ERR_NOT_FOUND, "no node has %s%s: 'members' shows the tags that there are",
                    c.n == 1 ? "the tag " : "all of these tags, first ", c.wanted[0]);
    }
    json_decref(list);
    return rc;
}

static int find_targets(struct forward *f, const struct rpc_call_options *options, struct err *err)
{
    const struct rpc_method *method = f->call->method;
    unsigned n = (options->node.bytes != NULL) + (options->nodes.bytes != NULL) +
                 (options->select.bytes != NULL);

    if (f->call->conn->is_node) {
        return err_set(err, ERR_USAGE, "a call that a node has forwarded is not forwarded again");
    }
    if (n > 1) {
        return err_set(err, ERR_USAGE,
                       "the options \"node\", \"nodes\" and \"select\" exclude each other");
    }
    if (method->streams || (options->node.bytes == NULL && !method->fans_out)) {
        return err_set(err, ERR_UNSUPPORTED, "%s answers for one node at a time%s", method->name,
                       method->streams ? ", which must be asked itself" : ": use \"node\"");
    }
    int rc = options->node.bytes != NULL    ? add_one(f, options->node, err)
             : options->nodes.bytes != NULL ? add_nodes(f, options->nodes, err)
                                            : add_selected(f, options->select, err);
    if (rc == 0 && f->is_too_many) {
        rc = err_set(err, ERR_LIMIT, "more than %d nodes: name them in several calls", TARGETS_MAX);
    }
    return rc;
}

/* What is left for the others of the caller's time. */
static uint64_t deadline_of(const struct rpc_call *call)
{
    uint64_t now_ns = clock_monotonic_ns();

    if (call->deadline_ns == UINT64_MAX || call->deadline_ns <= now_ns) {
        return now_ns + PEERS_DEADLINE_MS * 1000000ull;
    }
    uint64_t margin_ns = (call->deadline_ns - now_ns) / 10;
    return call->deadline_ns - (margin_ns > MARGIN_MOST_NS ? MARGIN_MOST_NS : margin_ns);
}

bool rpc_forward(struct rpc_call *call, struct rpc_span args,
                 const struct rpc_call_options *options)
{
    struct err err = {0};

    if (options->node.bytes == NULL && options->nodes.bytes == NULL &&
        options->select.bytes == NULL) {
        return false;
    }
    struct forward *f = x_alloc(sizeof *f);
    f->call = rpc_call_ref(call);
    f->deadline_ns = deadline_of(call);
    f->is_single = options->node.bytes != NULL;
    if (find_targets(f, options, &err) < 0) {
        rpc_call_fail_err(call, &err);
        forward_free(f);
        return true;
    }
    if (f->is_single && f->targets[0].is_self) {
        forward_free(f);
        return false;
    }
    buf_append(&f->args, args.bytes, args.n);
    call->is_entered = true;
    rpc_call_on_gone(call, on_gone, f);
    if (f->is_single) {
        f->targets[0].number = ask(&f->targets[0], on_peer, f);
        return true;
    }
    qsort(f->targets, f->n, sizeof *f->targets, by_name);
    start_some(f);
    finish_if_done(f);
    return true;
}
