/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/capture_args.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/options/options.h"
#include "shared/packet/link_type.h"

/* "n/a" for what the platform does not tell. */
static void print_count(uint64_t count, const char *what)
{
    if (count == LEDGER_UNKNOWN) {
        fprintf(stderr, "n/a %s\n", what);
    } else {
        fprintf(stderr, "%" PRIu64 " %s\n", count, what);
    }
}

void capture_report_counters(const struct session_counters *counters)
{
    const struct ledger *total = &counters->total;

    print_count(total->captured, "packets captured");
    print_count(total->received, "packets received by filter");
    print_count(total->kernel, "packets dropped by kernel");
    print_count(total->interface, "packets dropped by interface");
    print_count(total->limit, "packets dropped at the limit");
    for (uint32_t i = 0; i < counters->n_stages; i++) {
        char what[64];
        snprintf(what, sizeof what, "packets dropped at the %s", counters->stages[i].stage);
        print_count(counters->stages[i].packets, what);
    }
}

void capture_report_start(const struct command_context *ctx, const struct capture_args *args,
                          struct source *const *sources, uint32_t n_sources)
{
    const char *file = args->write != NULL ? args->write : args->beside;
    char *given = options_describe_given(ctx);

    fputs(args->read != NULL ? "reading" : "capturing on", stderr);
    if (args->read != NULL) {
        fprintf(stderr, " '%s'", args->read);
    }
    for (uint32_t i = 0; args->read == NULL && i < n_sources; i++) {
        const struct iface *iface = &sources[i]->ifaces[0];
        char link_type[LINK_TYPE_TEXT_MAX];

        link_type_text(iface->link_type, link_type);
        fprintf(stderr, "%s '%s' (%s, %s)", i > 0 ? "," : "", iface->name, link_type,
                iface->ts_digits == 9 ? "ns" : "us");
    }
    if (args->write == NULL) {
        fprintf(stderr, " into store '%s'", args->store.database);
    }
    if (file != NULL) {
        bool is_stdout = strcmp(file, "-") == 0;
        fprintf(stderr, " %s %s%s%s", args->write != NULL ? "into" : "and",
                is_stdout ? "standard output" : "file '", is_stdout ? "" : file,
                is_stdout ? "" : "'");
    }
    if (args->filter != NULL && args->filter[0] != '\0') {
        fprintf(stderr, ", filter: %s", args->filter);
    }
    fprintf(stderr, "\n%s", given);
    mem_free(given);
}

static void copy_text(char *out, size_t n, const char *text)
{
    snprintf(out, n, "%s", text == NULL ? "" : text);
}

void capture_describe(struct store_session *out, const struct capture_args *args, const char *id,
                      const struct session_result *result)
{
    const struct ledger *total = &result->counters.total;
    char *tags = NULL;

    *out = (struct store_session){
        .state = STORE_COMPLETE,
        .started_ns = result->started_ns,
        .ended_ns = result->ended_ns,
        .packets = total->captured - total->store,
        .bytes = total->bytes,
        .stored_bytes = UINT64_MAX,
        .loss = *total,
        .ifaces = (struct iface *)(uintptr_t)result->ifaces,
        .n_ifaces = result->n_ifaces,
    };
    if (result->code == ERR_FULL) {
        out->state = STORE_DISK_FULL;
    } else if (result->code == ERR_DAMAGED) {
        out->state = STORE_DAMAGED;
    }
    copy_text(out->id, sizeof out->id, id);
    copy_text(out->name, sizeof out->name, args->name);
    copy_text(out->filter, sizeof out->filter, args->filter);
    if (capture_tags(&args->tags, &tags, NULL) == 0) {
        copy_text(out->tags, sizeof out->tags, tags);
    }
    mem_free(tags);
}

int capture_check_name(const char *name, struct err *err)
{
    if (name == NULL) {
        return 0;
    }
    json_t *text = json_string(name);
    json_decref(text);
    if (text == NULL) {
        return err_set(err, ERR_USAGE, "the name is not UTF-8");
    }
    if (strlen(name) >= STORE_NAME_MAX) {
        return err_set(err, ERR_USAGE, "the name is longer than %d bytes", STORE_NAME_MAX - 1);
    }
    if (strcmp(name, "last") == 0 || strcmp(name, "all") == 0) {
        return err_set(err, ERR_USAGE, "no session can be named '%s': -s %s means something else",
                       name, name);
    }
    return 0;
}

int capture_tags(const struct option_pairs *tags, char **out, struct err *err)
{
    json_t *object = json_object();
    int code = 0;

    for (size_t i = 0; i < tags->n; i++) {
        if (json_object_set_new(object, tags->items[i].key, json_string(tags->items[i].value)) <
            0) {
            code = err_set(err, ERR_USAGE, "tag '%s' is not UTF-8", tags->items[i].key);
            break;
        }
    }
    char *text = code == 0 ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text != NULL && strlen(text) >= STORE_TAGS_MAX) {
        code = err_set(err, ERR_USAGE, "the tags are longer than %d bytes", STORE_TAGS_MAX - 1);
    }
    if (code == 0) {
        *out = text;
    } else {
        mem_free(text);
    }
    return code;
}
