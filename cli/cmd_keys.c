/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/key_table.h"
#include "cli/output.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/base/to_json.h"
#include "shared/options/secret_sodium.h"
#include "shared/wire/api_key.h"
#include "shared/wire/cluster_key.h"

struct keys_args {
    const char *database;
    int role;
    const char *name;
    const char *expires;
    const char *of;
};

static const struct command_option options[] = {
    {.name = "database",
     .letter = 'd',
     .kind = OPT_STRING,
     .placeholder = "DB",
     .help = "The store of the node; its API keys lie in DB.d/api-keys.",
     .value = "packets.db",
     .complete = COMPLETE_FILE,
     .offset = offsetof(struct keys_args, database)},
    {.name = "role",
     .kind = OPT_CHOICE,
     .placeholder = "ROLE",
     .help = "What the new key may do: view (read and watch), capture (and start captures), inject "
             "(view and transmit), ingest (feed an uplink, nothing else), admin (all).",
     .words = api_role_names,
     .offset = offsetof(struct keys_args, role)},
    {.name = "name",
     .kind = OPT_STRING,
     .placeholder = "NAME",
     .help = "Whose the new key is, in words, for the list.",
     .offset = offsetof(struct keys_args, name)},
    {.name = "expires",
     .kind = OPT_STRING,
     .placeholder = "WHEN",
     .help = "When the new key ends: after a duration ('30d', '12h') or at a time.",
     .note = "never",
     .offset = offsetof(struct keys_args, expires)},
    {.name = "of",
     .kind = OPT_STRING,
     .placeholder = "FILE",
     .help =
         "For cluster-new: another key for the cluster whose key is in FILE. For admin-new: the "
         "cluster's key; for admin-public: the admin's.",
     .note = "a new cluster",
     .complete = COMPLETE_FILE,
     .offset = offsetof(struct keys_args, of)},
};

static const char *const actions[] = {"add",         "list",      "revoke",       "db-new",
                                      "cluster-new", "admin-new", "admin-public", NULL};

static const struct command_word words[] = {
    {.name = "ACTION",
     .help = "'add', 'list' and 'revoke' for the API keys of a node; 'db-new' makes a key for an "
             "encrypted store, 'cluster-new' one for a new cluster of nodes, 'admin-new' one for "
             "who gives orders there, and 'admin-public' prints what the nodes are told of it.",
     .words = actions},
    {.name = "ID",
     .help = "For 'revoke': id of the key, its first characters, or its name.",
     .optional = true},
};

static int print_secret(const char *text, struct err *err)
{
    return puts(text) == EOF || fflush(stdout) != 0
               ? err_set(err, ERR_IO, "cannot write the key to standard output")
               : 0;
}

static int make_db_key(struct command_context *ctx)
{
    char text[SECRET_KEY_TEXT_MAX];

    secret_make_db_key(text);
    int rc = print_secret(text, &ctx->err);
    explicit_bzero(text, sizeof text);
    return rc;
}

/* of: a file with a key of the cluster, or NULL for a new one. */
static int make_cluster_key(struct command_context *ctx, const char *of)
{
    struct cluster_key *key = NULL;
    struct cluster_key *known = NULL;
    char text[CLUSTER_KEY_TEXT_MAX];
    int rc = of == NULL ? 0 : cluster_key_load(of, &known, &ctx->err);

    if (rc == 0) {
        key = cluster_key_new();
        if (known == NULL) {
            cluster_key_make(key);
        } else {
            cluster_key_make_next(known, key);
        }
        cluster_key_print(key, text);
        rc = print_secret(text, &ctx->err);
        explicit_bzero(text, sizeof text);
    }
    cluster_key_free(key);
    cluster_key_free(known);
    return rc;
}

/* of: a file with a key of the cluster. */
static int make_admin_key(struct command_context *ctx, const char *of)
{
    struct cluster_key *cluster = NULL;
    char text[CLUSTER_KEY_TEXT_MAX];

    if (of == NULL) {
        return err_set(&ctx->err, ERR_USAGE, "keys admin-new needs --of FILE, the cluster's key");
    }
    int rc = cluster_key_load(of, &cluster, &ctx->err);
    if (rc == 0) {
        struct cluster_key *key = cluster_key_new();
        cluster_key_make_next(cluster, key);
        admin_key_print(key, text);
        rc = print_secret(text, &ctx->err);
        explicit_bzero(text, sizeof text);
        cluster_key_free(key);
    }
    cluster_key_free(cluster);
    return rc;
}

static int print_admin_public(struct command_context *ctx, const char *of)
{
    uint8_t public_key[ADMIN_PUBLIC_BYTES];
    char text[ADMIN_PUBLIC_TEXT_MAX];
    struct cluster_key *key = NULL;

    if (of == NULL) {
        return err_set(&ctx->err, ERR_USAGE, "keys admin-public needs --of FILE, the admin's key");
    }
    int rc = admin_key_load(of, &key, &ctx->err);
    if (rc == 0) {
        admin_key_public(key, public_key);
        admin_public_print(public_key, text);
        rc = print_secret(text, &ctx->err);
    }
    cluster_key_free(key);
    return rc;
}

static int add_to_list(struct api_keys *keys, void *arg, struct err *err)
{
    return api_keys_add(keys, arg, err);
}

static int add(struct command_context *ctx, const struct keys_args *args)
{
    struct api_key key = {.created_ns = clock_wall_ns()};
    char text[API_KEY_TEXT_MAX];

    if (args->role < 0) {
        return err_set(&ctx->err, ERR_USAGE,
                       "keys add needs --role: view, capture, inject, ingest or admin");
    }
    if (args->name != NULL && !api_key_name_is_good(args->name)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "--name must be text of at most %d bytes without control characters",
                       API_KEY_NAME_MAX - 1);
    }
    key.role = (enum api_role)args->role;
    snprintf(key.name, sizeof key.name, "%s", args->name == NULL ? "" : args->name);
    int rc = api_key_parse_expiry(args->expires, key.created_ns, &key.expires_ns, &ctx->err);
    if (rc < 0) {
        return err_wrap(&ctx->err, "--expires");
    }
    char *path = api_keys_path(args->database);
    api_key_make(&key, text);
    rc = api_keys_change(path, add_to_list, &key, &ctx->err);
    rc = rc < 0 ? rc : print_secret(text, &ctx->err);
    explicit_bzero(text, sizeof text);
    if (rc == 0 && !ctx->global.quiet) {
        fprintf(stderr,
                "key %s, role %s, is in '%s'; the secret above is shown this once\n"
                "give it to a client in a file of mode 600 (--api-key-file FILE)\n",
                key.id, api_role_name(key.role), path);
    }
    mem_free(path);
    return rc;
}

static json_t *list_json(const struct api_keys *keys, uint64_t now_ns)
{
    json_t *list = json_array();

    for (size_t i = 0; i < keys->n; i++) {
        json_array_append_new(list, api_key_json(&keys->items[i], now_ns));
    }
    return list;
}

static int list(struct command_context *ctx, const struct keys_args *args)
{
    char *path = api_keys_path(args->database);
    struct api_keys keys = {0};
    int rc = api_keys_load(path, &keys, &ctx->err);

    if (rc == 0 && ctx->global.json) {
        rc = output_json(stdout, list_json(&keys, clock_wall_ns()), &ctx->err);
    } else if (rc == 0 && keys.n > 0) {
        json_t *listed = list_json(&keys, clock_wall_ns());
        key_table_print(listed, false, stdout);
        json_decref(listed);
    } else if (rc == 0 && !ctx->global.quiet) {
        fprintf(stderr, "no API keys in '%s': packetrecorder keys add makes one\n", path);
    }
    api_keys_free(&keys);
    mem_free(path);
    return rc;
}

struct revoked {
    const char *word;
    struct api_key key;
    size_t n_left;
};

static int remove_from_list(struct api_keys *keys, void *arg, struct err *err)
{
    struct revoked *revoked = arg;
    size_t index = 0;
    int rc = api_keys_find(keys, revoked->word, &index, err);

    if (rc == 0) {
        revoked->key = keys->items[index];
        api_keys_remove(keys, index);
        revoked->n_left = keys->n;
    }
    return rc;
}

static int revoke(struct command_context *ctx, const struct keys_args *args)
{
    struct revoked revoked = {.word = ctx->n_words > 1 ? ctx->words[1] : NULL};
    struct api_keys keys = {0};
    size_t index;

    if (revoked.word == NULL) {
        return err_set(&ctx->err, ERR_USAGE,
                       "keys revoke needs the ID: packetrecorder keys list shows it");
    }
    char *path = api_keys_path(args->database);
    /* Looked up first, so that a wrong --database makes no directory. */
    int rc = api_keys_load(path, &keys, &ctx->err);
    rc = rc == 0 ? api_keys_find(&keys, revoked.word, &index, &ctx->err) : rc;
    rc = rc == 0 ? api_keys_change(path, remove_from_list, &revoked, &ctx->err) : rc;
    if (rc == 0 && !ctx->global.quiet) {
        fprintf(stderr, "revoked %s%s%s: a running node ends its connections within two seconds\n",
                revoked.key.id, revoked.key.name[0] == '\0' ? "" : " ", revoked.key.name);
    }
    if (rc == 0 && revoked.n_left == 0) {
        log_warn("that was the last key: without one every user of the node's host can watch its "
                 "packets and record them; 'packetrecorder keys add -d %s --role view' ends that",
                 args->database);
    }
    api_keys_free(&keys);
    mem_free(path);
    return rc;
}

static bool takes_of(const char *action)
{
    return strcmp(action, "cluster-new") == 0 || strcmp(action, "admin-new") == 0 ||
           strcmp(action, "admin-public") == 0;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct keys_args *args = args_;
    const char *action = ctx->words[0];
    bool adds = strcmp(action, "add") == 0;

    if (!adds && (args->role >= 0 || args->name != NULL || args->expires != NULL)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "--role, --name and --expires go with 'keys add', not with 'keys %s'",
                       action);
    }
    if (args->of != NULL && !takes_of(action)) {
        return err_set(&ctx->err, ERR_USAGE,
                       "--of goes with 'keys cluster-new' and 'keys admin-new', not with 'keys %s'",
                       action);
    }
    if (strcmp(action, "revoke") == 0) {
        return revoke(ctx, args);
    }
    if (ctx->n_words > 1) {
        return err_set(&ctx->err, ERR_USAGE, "'keys %s' takes no ID; --name gives a name", action);
    }
    if (adds) {
        return add(ctx, args);
    }
    if (strcmp(action, "list") == 0) {
        return list(ctx, args);
    }
    if (strcmp(action, "admin-new") == 0) {
        return make_admin_key(ctx, args->of);
    }
    if (strcmp(action, "admin-public") == 0) {
        return print_admin_public(ctx, args->of);
    }
    return strcmp(action, "cluster-new") == 0 ? make_cluster_key(ctx, args->of) : make_db_key(ctx);
}

const struct command cmd_keys = {
    .name = "keys",
    .summary = "make, list and revoke keys",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct keys_args),
    .description =
        (const char *const[]){
            "'keys add' prints one line pr_ID_SECRET, an API key for the node of that store, and "
            "nothing else; the node keeps only a hash of it. While a node has no key at all it "
            "serves its own host only; once it has one everybody needs one. Changes reach a "
            "running node by themselves, and a key that is revoked or expires ends its "
            "connections.",
            "'keys list' shows id, name, role, times and state, never a secret. 'keys revoke' "
            "takes the id, the first characters of it, or the name.",
            "'keys db-new' prints one line prd_KEY, 32 random bytes in base64url, and nothing "
            "else. Keep it in a file that only you can read and give that file to "
            "--encryption-key-file: who has the key reads the store, who loses it has lost the "
            "store. A key is used as it is, so opening a store with it takes no time. A passphrase "
            "is turned into a key by Argon2id, which is slow on purpose.",
            "'keys cluster-new' prints one line prc_CLUSTERID_KEY, the key of a new cluster, and "
            "nothing else. Copy it to every node that is to be a member, into a file of mode 600 "
            "for --cluster-key-file: who has it is a member and reads what members say. "
            "With --of FILE it is another key for the cluster of that one, which 'manage "
            "cluster-keys' gives to the members while they run.",
            "'keys admin-new --of FILE' prints one line pra_CLUSTERID_SEED for who may forget and "
            "ban members of that cluster; it stays with them. 'keys admin-public --of FILE' prints "
            "the other half, prv_PUBLIC, which is no secret: with --swarm-admin the nodes obey it "
            "and no member else.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"keys add -d p.db --role view --name laptop --expires 30d > laptop.key",
             "a key that reads and watches for 30 days; umask 077 first"},
            {"keys revoke -d p.db laptop", "the end of it"},
            {"keys db-new > store.key", "a new key for an encrypted store"},
            {"keys cluster-new > cluster.key", "a key for the nodes of a new cluster"},
            {"keys cluster-new --of cluster.key > next.key",
             "another one for it: 'manage cluster-keys add next.key' begins to change it"},
            {"keys admin-new --of cluster.key > admin.key", "for 'manage members ban'"},
            {"keys admin-public --of admin.key", "the line for --swarm-admin of all nodes"},
            {"capture -i eth0 -d p.db --encryption-key-file store.key",
             "record into a store that this key opens"},
            {NULL, NULL},
        },
    .run = run,
};
