/* SPDX-License-Identifier: Apache-2.0
 *
 * The swarm that a node is in: its members and its keyring.
 */
#include "cli/manage.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/admin_order.h"
#include "cli/answer_fields.h"
#include "cli/manage_nodes.h"
#include "cli/output.h"
#include "shared/base/buf.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/wire/cluster_key.h"

/* What every command of a node has. */
#define OF_NODE .uses_endpoint = true, .uses_api_key = true, .group = &cmd_manage

#define US_NS 1000.0

/* ---- members ---- */

static const char *const member_actions[] = {"list", "forget", "ban", "unban", NULL};

static const struct command_word member_words[] = {
    {.name = "ACTION",
     .help = "What to do: 'list', 'forget' a member that is dead or left, 'ban' one for good, or "
             "'unban' it.",
     .optional = true,
     .words = member_actions},
    {.name = "ID",
     .help = "Not for 'list': the member's id, at least 8 digits of it, or its name.",
     .optional = true},
};

/* "+12.3 us ± 40 us"; NULL while it is not known. */
static const char *format_clock(const json_t *member, char *out, size_t n)
{
    const json_t *offset = json_object_get(member, "offset_ns");
    uint64_t bound_ns = field_count(member, "bound_ns");

    if (!json_is_integer(offset) || bound_ns == UINT64_MAX) {
        return NULL;
    }
    snprintf(out, n, "%+.1f us \xC2\xB1 %.1f us", (double)json_integer_value(offset) / US_NS,
             (double)bound_ns / US_NS);
    return out;
}

/* 255 is all that fits on the wire: that or more. */
static const char *format_load(const json_t *member, char *out, size_t n)
{
    uint64_t load = field_count(member, "load");

    if (load == UINT64_MAX) {
        return NULL;
    }
    snprintf(out, n, "%s%" PRIu64 "%%", load >= UINT8_MAX ? "\xE2\x89\xA5" : "", load);
    return out;
}

static const char *format_keys(const json_t *member, struct buf *out)
{
    const json_t *keys = json_object_get(member, "keys");

    buf_reset(out);
    for (size_t i = 0; i < json_array_size(keys); i++) {
        const char *key = json_string_value(json_array_get(keys, i));
        buf_put_str(out, i > 0 ? "," : "");
        buf_put_str(out, key == NULL ? "-" : key);
    }
    if (out->len == 0) {
        return NULL;
    }
    buf_put_u8(out, '\0');
    return (const char *)out->data;
}

static const char *format_tags(const json_t *member, struct buf *out)
{
    const char *key;
    json_t *value;

    buf_reset(out);
    json_object_foreach(json_object_get(member, "tags"), key, value)
    {
        buf_put_str(out, out->len > 0 ? "," : "");
        buf_put_str(out, key);
        buf_put_str(out, "=");
        buf_put_str(out, json_string_value(value) == NULL ? "?" : json_string_value(value));
    }
    if (out->len == 0) {
        return NULL;
    }
    buf_put_u8(out, '\0');
    return (const char *)out->data;
}

static void print_members(const json_t *members, bool with_node)
{
    static const struct output_column columns[] = {
        {"NODE", 0}, {"NAME", 0},    {"ID", 0},    {"STATE", 0}, {"SINCE", 0}, {"ADDRESS", 0},
        {"SITE", 0}, {"VERSION", 0}, {"CLOCK", 1}, {"LOAD", 1},  {"KEYS", 0},  {"TAGS", 0},
    };
    struct output_table *table =
        output_table_new(columns + !with_node, ARRAY_LEN(columns) - !with_node);
    struct buf keys = {0};
    struct buf tags = {0};

    for (size_t i = 0; i < json_array_size(members); i++) {
        const json_t *member = json_array_get(members, i);
        char clock[64];
        char load[32];
        const char *cells[] = {
            field_text(member, "node"),
            field_text(member, "name"),
            field_text(member, "id"),
            field_is_true(member, "banned") ? "banned" : field_text(member, "state"),
            field_text(member, "since"),
            field_text(member, "address"),
            field_text(member, "site"),
            field_text(member, "version"),
            format_clock(member, clock, sizeof clock),
            format_load(member, load, sizeof load),
            format_keys(member, &keys),
            format_tags(member, &tags),
        };
        output_table_add(table, cells + !with_node);
    }
    output_table_print(table, stdout);
    output_table_free(table);
    buf_deinit(&keys);
    buf_deinit(&tags);
}

static int list_members(struct command_context *ctx)
{
    struct manage_rows rows;
    int rc = manage_ask_rows(ctx, "swarm.members", NULL, &rows);

    if (rc < 0 || ctx->global.json) {
        return rc < 0 ? rc : manage_rows_json(ctx, &rows);
    }
    print_members(rows.list, rows.of_nodes);
    return manage_rows_end(&rows);
}

/* Calls, and says on standard error what was done; with --json the answer on standard output. */
static int do_and_say(struct command_context *ctx, const char *method, json_t *call,
                      const char *said)
{
    json_t *answer = NULL;
    int rc = manage_ask(ctx, method, call, &answer);

    rc = rc < 0 ? rc : manage_check_object(ctx, method, &answer);
    if (rc < 0) {
        return rc;
    }
    if (!ctx->global.quiet) {
        fprintf(stderr, "%s\n", said);
    }
    if (ctx->global.json) {
        return output_json(stdout, answer, &ctx->err);
    }
    json_decref(answer);
    return 0;
}

struct members_args {
    const char *admin_key_file;
};

static const struct command_option member_options[] = {
    {.name = "admin-key-file",
     .kind = OPT_STRING,
     .placeholder = "FILE",
     .help = "For 'forget', 'ban' and 'unban': the key of 'packetrecorder keys admin-new', where "
             "the nodes have --swarm-admin. The order is signed here; no node sees the key.",
     .note = "the node signs",
     .complete = COMPLETE_FILE,
     .offset = offsetof(struct members_args, admin_key_file)},
};

/* Lets the node say what is to be signed; the order then stands in the call. */
static int sign(struct command_context *ctx, const struct cluster_key *admin,
                enum swim_order_kind kind, json_t *call)
{
    struct admin_order wanted = {.kind = kind, .now_ms = clock_wall_ns() / 1000000u};
    uint8_t public_key[ADMIN_PUBLIC_BYTES];
    char text[ADMIN_PUBLIC_TEXT_MAX];
    char order[SWIM_ORDER_TEXT];
    json_t *draft = json_deep_copy(call);
    json_t *answer = NULL;

    admin_key_public(admin, public_key);
    admin_public_print(public_key, text);
    manage_set_text(draft, "admin", text);
    int rc = manage_ask(ctx, "swarm.forget", draft, &answer);
    rc = rc < 0 ? rc : manage_check_object(ctx, "swarm.forget", &answer);
    if (rc < 0) {
        return rc;
    }
    const char *to_sign = field_text(answer, "to_sign");
    wanted.id = field_text(answer, "node_id");
    if (to_sign == NULL || wanted.id == NULL) {
        rc = err_set(&ctx->err, ERR_VERSION, "the node knows nothing of admin keys: it is older");
    } else {
        rc = admin_order_sign(admin, &wanted, to_sign, order, &ctx->err);
    }
    if (rc == 0) {
        /* The very one that was signed for, whatever bears that name by then. */
        manage_set_text(call, "node_id", wanted.id);
        manage_set_text(call, "order", order);
    }
    json_decref(answer);
    return rc;
}

static int order(struct command_context *ctx, const struct members_args *args)
{
    bool bans = strcmp(ctx->words[0], "ban") == 0;
    bool lifts = strcmp(ctx->words[0], "unban") == 0;
    struct cluster_key *admin = NULL;
    json_t *call = json_object();
    int rc = 0;

    manage_set_text(call, "node_id", ctx->words[1]);
    json_object_set_new(call, "ban", json_boolean(bans));
    json_object_set_new(call, "unban", json_boolean(lifts));
    if (args->admin_key_file != NULL) {
        rc = admin_key_load(args->admin_key_file, &admin, &ctx->err);
        rc = rc < 0 ? rc
                    : sign(ctx, admin,
                           bans    ? SWIM_BAN
                           : lifts ? SWIM_UNBAN
                                   : SWIM_FORGET,
                           call);
        cluster_key_free(admin);
    }
    if (rc < 0) {
        json_decref(call);
        return rc;
    }
    return do_and_say(ctx, "swarm.forget", call,
                      bans    ? "banned: it may not come back"
                      : lifts ? "not banned any more: it may come back"
                              : "forgotten: it may come back");
}

static int run_members(struct command_context *ctx, void *args_)
{
    const struct members_args *args = args_;
    bool lists = ctx->n_words == 0 || strcmp(ctx->words[0], "list") == 0;

    if (lists && ctx->n_words > 1) {
        return err_set(&ctx->err, ERR_USAGE, "'manage members list' takes no ID");
    }
    if (lists && args->admin_key_file != NULL) {
        return err_set(&ctx->err, ERR_USAGE,
                       "--admin-key-file goes with 'forget', 'ban' and 'unban'");
    }
    if (lists) {
        return list_members(ctx);
    }
    if (ctx->n_words < 2) {
        return err_set(&ctx->err, ERR_USAGE,
                       "'manage members %s' needs the ID: 'manage members' shows it",
                       ctx->words[0]);
    }
    return order(ctx, args);
}

const struct command cmd_manage_members = {
    .name = "members",
    .summary = "list the members of the swarm, forget or ban one",
    .words = member_words,
    .n_words = ARRAY_LEN(member_words),
    .options = member_options,
    .n_options = ARRAY_LEN(member_options),
    .args_size = sizeof(struct members_args),
    OF_NODE,
    .description =
        (const char *const[]){
            "Lists the members of the swarm that the node is in, itself among them: name, id, "
            "state and since when, address, version, how far its clock is from this node's and "
            "within which bound, load, the ids of the cluster keys that it holds, and its tags "
            "('serve --tag').",
            "States: alive; suspect, when it stopped answering; degraded, when it answers over TCP "
            "alone; isolated, when the node asked hears nobody; dead; left.",
            "'manage members forget' takes a member that is dead or left off the lists of all. "
            "'manage members ban' does so for good, alive or not, until 'manage members unban'. "
            "All three need a key of the role admin, and where the nodes have --swarm-admin also "
            "--admin-key-file.",
            "Who is banned has the cluster key still, and could come as somebody else: 'manage "
            "cluster-keys' gives the others a new one, which shuts it out.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage members", "a table"},
            {"manage members --json | jq -r '.[] | select(.state != \"alive\") | .name'",
             "who is not well"},
            {"manage members forget 3f9a01c2", "the one whose id begins so"},
            {"manage members ban 3f9a01c2 --admin-key-file admin.key", "signed on this host"},
            {NULL, NULL},
        },
    .run = run_members,
};

/* ---- join, leave ---- */

static const struct command_word join_words[] = {
    {.name = "ADDRESS", .help = "HOST or HOST:PORT of a member, as for --join.", .many = true},
};

static int run_join(struct command_context *ctx, void *args)
{
    const struct option_list list = {.items = ctx->words, .n = ctx->n_words};
    json_t *call = json_object();

    (void)args;
    manage_set_list(call, "addresses", &list);
    return do_and_say(ctx, "swarm.join", call,
                      "the node joins, and tries until it is answered: 'manage members' shows how "
                      "far it is");
}

const struct command cmd_manage_join = {
    .name = "join",
    .summary = "let the node join a swarm",
    .words = join_words,
    .n_words = ARRAY_LEN(join_words),
    OF_NODE,
    .description =
        (const char *const[]){
            "Lets the node join the swarm that these members are in, until it is started again; "
            "--join of 'packetrecorder serve' makes it last. The node needs the cluster key "
            "(--cluster-key-file). Needs a key of the role admin.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage join 10.0.0.7", "the swarm of that host, at the usual port"},
            {NULL, NULL},
        },
    .run = run_join,
};

static int run_leave(struct command_context *ctx, void *args)
{
    (void)args;
    return do_and_say(ctx, "swarm.leave", NULL, "the node has left the swarm and goes on alone");
}

const struct command cmd_manage_leave = {
    .name = "leave",
    .summary = "let the node leave its swarm",
    OF_NODE,
    .description =
        (const char *const[]){
            "Lets the node leave its swarm in order: the others show it as left and do not look "
            "for it. It goes on alone, with its captures, until a new start. "
            "Needs a key of the role admin.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"manage leave", "before a host goes away for long"},
            {NULL, NULL},
        },
    .run = run_leave,
};

/* ---- cluster-keys ---- */

static const char *const ring_actions[] = {"list", "add", "use", "retire", NULL};

static const struct command_word ring_words[] = {
    {.name = "ACTION",
     .help = "What to do: 'list', 'add' a key to the ring of all, 'use' it from now on, or "
             "'retire' an old one.",
     .words = ring_actions},
    {.name = "KEY",
     .help = "For 'add': a file with the line that 'packetrecorder keys cluster-new' printed. For "
             "'use' and 'retire': the id of the key, as 'list' shows it.",
     .optional = true,
     .complete = COMPLETE_FILE},
};

struct ring_args {
    bool force;
};

static const struct command_option ring_options[] = {
    {.name = "force",
     .kind = OPT_FLAG,
     .help = "For 'use' and 'retire': also where a live member is left out; it is on its own then.",
     .offset = offsetof(struct ring_args, force)},
};

static void print_ring(const json_t *ring)
{
    static const struct output_column columns[] = {
        {"KEY", 0}, {"STATE", 0}, {"HELD BY", 1}, {"LACKING", 0}};
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));
    struct buf names = {0};

    for (size_t i = 0; i < json_array_size(ring); i++) {
        const json_t *key = json_array_get(ring, i);
        const json_t *lacking = json_object_get(key, "lacking");
        const json_t *held = json_object_get(key, "held_by");
        char count[TEXT_NUMBER_MAX];
        buf_reset(&names);
        for (size_t k = 0; k < json_array_size(lacking); k++) {
            const char *name = json_string_value(json_array_get(lacking, k));
            buf_put_str(&names, k > 0 ? "," : "");
            buf_put_str(&names, name == NULL ? "-" : name);
        }
        buf_put_u8(&names, '\0');
        snprintf(count, sizeof count, "%zu", json_array_size(held));
        const char *cells[] = {field_text(key, "key_id"), field_text(key, "state"),
                               json_is_array(held) ? count
                                                   : field_count_cell(key, "held_by", count),
                               names.len > 1 ? (const char *)names.data : NULL};
        output_table_add(table, cells);
    }
    output_table_print(table, stdout);
    output_table_free(table);
    buf_deinit(&names);
}

/* The call's "key": read from a file that others cannot. */
static int set_key(json_t *call, const char *path, struct err *err)
{
    char text[CLUSTER_KEY_TEXT_MAX];
    struct cluster_key *key = NULL;
    int rc = cluster_key_load(path, &key, err);

    if (rc == 0) {
        cluster_key_print(key, text);
        manage_set_text(call, "key", text);
        explicit_bzero(text, sizeof text);
    }
    cluster_key_free(key);
    return rc;
}

static int run_ring(struct command_context *ctx, void *args_)
{
    const struct ring_args *args = args_;
    const char *action = ctx->words[0];
    bool lists = strcmp(action, "list") == 0;
    json_t *call = json_object();
    json_t *ring = NULL;
    int rc = 0;

    if (args->force) {
        json_object_set_new(call, "force", json_true());
    }
    if (lists != (ctx->n_words == 1)) {
        rc = lists ? err_set(&ctx->err, ERR_USAGE, "'manage cluster-keys list' takes no KEY")
                   : err_set(&ctx->err, ERR_USAGE, "'manage cluster-keys %s' needs KEY, %s", action,
                             strcmp(action, "add") == 0 ? "the file that holds it" : "its id");
    } else if (strcmp(action, "add") == 0) {
        rc = set_key(call, ctx->words[1], &ctx->err);
    } else if (!lists) {
        manage_set_text(call, "key_id", ctx->words[1]);
    }
    if (rc < 0) {
        json_decref(call);
        return rc;
    }
    manage_set_text(call, "action", action);
    rc = manage_ask(ctx, "swarm.keys", call, &ring);
    rc = rc < 0 ? rc : manage_check_list(ctx, "swarm.keys", &ring);
    if (rc < 0) {
        return rc;
    }
    if (ctx->global.json) {
        return output_json(stdout, ring, &ctx->err);
    }
    print_ring(ring);
    json_decref(ring);
    return 0;
}

const struct command cmd_manage_cluster_keys = {
    .name = "cluster-keys",
    .summary = "change the cluster key of a swarm while it runs",
    .words = ring_words,
    .n_words = ARRAY_LEN(ring_words),
    .options = ring_options,
    .n_options = ARRAY_LEN(ring_options),
    .args_size = sizeof(struct ring_args),
    OF_NODE,
    .description =
        (const char *const[]){
            "The ring of keys that seals what the members of a swarm say to each other. A change "
            "has three steps: 'add' gives a new key to all members; 'use' lets them seal with it "
            "and is refused while a live member lacks it; 'retire' takes an old one away. Each "
            "shows the ring as it is then; 'list' alone changes nothing. All need a key of the "
            "role admin.",
            "The key goes through a file that only its owner may read, never over the command "
            "line.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"keys cluster-new --of cluster.key > new.key", "a new key; umask 077 first"},
            {"manage cluster-keys add new.key", "the first step"},
            {"manage cluster-keys list", "who holds which"},
            {"manage cluster-keys use 5d1e90aa", "the second, once nobody lacks it"},
            {NULL, NULL},
        },
    .run = run_ring,
};
