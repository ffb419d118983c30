/* SPDX-License-Identifier: Apache-2.0 */
#include "node/health.h"

#include <stdarg.h>
#include <stdio.h>

#include <jansson.h>

#include "node/capture_failures.h"
#include "node/captures.h"
#include "node/gauges.h"
#include "node/http_server.h"
#include "node/node.h"
#include "node/relay.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"

struct checks {
    json_t *list;
    bool ok;
};

static void add(struct checks *checks, const char *name, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void add(struct checks *checks, const char *name, bool ok, const char *fmt, ...)
{
    char detail[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(detail, sizeof detail, fmt, ap);
    va_end(ap);
    json_t *text = json_string(detail);
    json_array_append_new(checks->list,
                          json_pack("{s:s, s:b, s:o}", "name", name, "ok", ok, "detail",
                                    text != NULL ? text : json_string("?")));
    checks->ok = checks->ok && ok;
}

static void check_store(struct checks *checks, const struct node *node)
{
    const struct gauges_store *store = &gauges_newest(node->gauges)->store;

    if (gauges_hang(node->gauges)) {
        add(checks, "store", false, "no answer from the disk for more than 15 s");
    } else if (!store->is_readable) {
        add(checks, "store", false, "%s", store->why_not);
    } else if (!store->exists) {
        add(checks, "store", true, "no store yet: the first capture makes it");
    } else {
        add(checks, "store", true, "%llu session%s", (unsigned long long)store->sessions,
            store->sessions == 1 ? "" : "s");
    }
}

static void check_disk(struct checks *checks, const struct node *node)
{
    const struct gauges_store *store = &gauges_newest(node->gauges)->store;
    uint64_t left = store->free_bytes;
    uint64_t least = node->options->min_free_bytes;
    char have[TEXT_NUMBER_MAX];
    char want[TEXT_NUMBER_MAX];

    if (store->no_writing[0] != '\0') {
        add(checks, "disk", false, "%s", store->no_writing);
        return;
    }
    if (left == UINT64_MAX) {
        add(checks, "disk", true, "the file system does not say what is free");
        return;
    }
    text_format_size(left, have);
    text_format_size(least, want);
    add(checks, "disk", left >= least, left >= least ? "%s free" : "%s free, less than %s", have,
        want);
}

struct away {
    char text[300];
    size_t n;
};

static void look_at_stream(const struct relay_stream_info *info, void *arg)
{
    struct away *away = arg;

    if (info->why[0] != '\0' && away->n++ == 0) {
        snprintf(away->text, sizeof away->text, "live capture on '%s' is away and tried again: %s",
                 info->interface, info->why);
    }
}

static void check_captures(struct checks *checks, struct node *node)
{
    struct captures_totals totals;
    struct away away = {0};

    size_t n_failed;
    const struct capture_failure *failed = captures_failed(node->captures, &n_failed);

    relay_streams(node, look_at_stream, &away);
    captures_totals(node->captures, &totals);
    if (totals.disk_full > 0) {
        add(checks, "captures", false, "%zu of %zu cannot write: the disk is full",
            totals.disk_full, totals.running);
    } else if (failed != NULL) {
        add(checks, "captures", false, "%zu running, %zu ended too early, the last: %s",
            totals.running, n_failed, failed->why);
    } else if (away.n > 1) {
        add(checks, "captures", false, "%s; and %zu more", away.text, away.n - 1);
    } else if (away.n == 1) {
        add(checks, "captures", false, "%s", away.text);
    } else {
        add(checks, "captures", true, "%zu running", totals.running);
    }
}

static void check_certificate(struct checks *checks, const struct node *node)
{
    uint64_t end = node->http == NULL ? UINT64_MAX : http_server_certificate_end(node->http);
    char text[TEXT_NUMBER_MAX];

    if (end == UINT64_MAX) {
        return; /* no TLS */
    }
    text_format_time(end, text);
    bool good = clock_wall_ns() < end;
    add(checks, "certificate", good, good ? "good until %s" : "ended %s", text);
}

/* Public: no names, no paths but where something fails. */
struct json_t *health_check(struct node *node, bool *ok)
{
    struct checks checks = {.list = json_array(), .ok = true};

    check_store(&checks, node);
    check_disk(&checks, node);
    check_captures(&checks, node);
    check_certificate(&checks, node);
    if (node->stopping) {
        add(&checks, "node", false, "the node is ending");
    }
    *ok = checks.ok;
    return json_pack("{s:s, s:o}", "status", checks.ok ? "ok" : "failing", "checks", checks.list);
}
