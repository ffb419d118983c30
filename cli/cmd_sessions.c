/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/output.h"
#include "shared/store/session_json.h"
#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/base/text.h"
#include "shared/store/store.h"

/* Of the names in a cell; what does not fit is counted. */
#define INTERFACES_MAX 40

struct sessions_args {
    struct store_args store;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct sessions_args, store),
};

static int print_json(const struct store *store, const struct store_session *sessions, size_t n,
                      struct err *err)
{
    json_t *array = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(array, session_json(&sessions[i], store_is_encrypted(store)));
    }
    return output_json(stdout, array, err);
}

static void say_interfaces(const struct store_session *session, char *out, size_t n)
{
    size_t used = 0;

    out[0] = '\0';
    for (uint32_t i = 0; i < session->n_ifaces; i++) {
        const char *name = session->ifaces[i].name[0] != '\0' ? session->ifaces[i].name : "-";
        if (i > 0 && used + strlen(name) + 1 > INTERFACES_MAX) {
            snprintf(out + used, n - used, " +%u", session->n_ifaces - i);
            return;
        }
        used += (size_t)snprintf(out + used, n - used, "%s%s", i > 0 ? "," : "", name);
    }
}

/* Packets lost on the way into the store. What a platform does not count makes the sum a lower
 * bound. */
static void say_loss(const struct ledger *loss, char *out, size_t n)
{
    const uint64_t counters[] = {loss->kernel, loss->interface, loss->store};
    uint64_t sum = 0;
    bool all_known = true;

    for (size_t i = 0; i < ARRAY_LEN(counters); i++) {
        bool known = counters[i] != LEDGER_UNKNOWN;
        all_known = all_known && known;
        sum += known ? counters[i] : 0;
    }
    if (all_known) {
        snprintf(out, n, "%" PRIu64, sum);
    } else if (sum > 0) {
        snprintf(out, n, ">=%" PRIu64, sum);
    } else {
        snprintf(out, n, "n/a");
    }
}

static void add_row(struct output_table *table, const struct store_session *session,
                    uint64_t now_ns)
{
    char started[TEXT_NUMBER_MAX];
    char duration[TEXT_NUMBER_MAX];
    char packets[TEXT_NUMBER_MAX];
    char bytes[TEXT_NUMBER_MAX];
    char stored[TEXT_NUMBER_MAX];
    char loss[TEXT_NUMBER_MAX];
    char interfaces[IFACE_NAME_MAX + INTERFACES_MAX];
    uint64_t end_ns = session->ended_ns != 0            ? session->ended_ns
                      : session->state == STORE_RUNNING ? now_ns
                                                        : 0;
    bool has_duration = end_ns >= session->started_ns;

    text_format_time(session->started_ns, started);
    text_format_duration(has_duration ? end_ns - session->started_ns : 0, duration);
    snprintf(packets, sizeof packets, "%" PRIu64, session->packets);
    text_format_size(session->bytes, bytes);
    text_format_size(session->stored_bytes, stored);
    say_interfaces(session, interfaces, sizeof interfaces);
    say_loss(&session->loss, loss, sizeof loss);
    const char *cells[] = {
        session->id,
        session->name[0] != '\0' ? session->name : NULL,
        session->state == STORE_COMPLETE && session->error[0] != '\0'
            ? "cut short"
            : store_state_name(session->state),
        started,
        has_duration ? duration : NULL,
        packets,
        bytes,
        stored,
        loss,
        interfaces,
    };
    output_table_add(table, cells);
}

static void print_text(const struct store_session *sessions, size_t n)
{
    static const struct output_column columns[] = {
        {"ID", 0},      {"NAME", 0},  {"STATE", 0},  {"STARTED", 0}, {"DURATION", 1},
        {"PACKETS", 1}, {"BYTES", 1}, {"STORED", 1}, {"LOST", 1},    {"INTERFACES", 0},
    };
    struct output_table *table = output_table_new(columns, ARRAY_LEN(columns));
    uint64_t now_ns = clock_wall_ns();

    for (size_t i = 0; i < n; i++) {
        add_row(table, &sessions[i], now_ns);
    }
    output_table_print(table, stdout);
    output_table_free(table);
}

static int run(struct command_context *ctx, void *args_)
{
    const struct sessions_args *args = args_;
    struct store_session *sessions = NULL;
    struct store *store = NULL;
    size_t n = 0;
    int r = database_open(&args->store, STORE_READ, &store, &ctx->err);

    r = r < 0 ? r : store_sessions(store, &sessions, &n, &ctx->err);
    if (r == 0 && ctx->global.json) {
        r = print_json(store, sessions, n, &ctx->err);
    } else if (r == 0) {
        print_text(sessions, n);
        if (n == 0 && !ctx->global.quiet) {
            fprintf(stderr, "the store '%s' holds no session\n", args->store.database);
        }
    }
    store_sessions_free(sessions, n);
    store_close(store);
    return r;
}

const struct command cmd_sessions = {
    .name = "sessions",
    .summary = "list the sessions of a store",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct sessions_args),
    .description =
        (const char *const[]){
            "Lists the sessions, oldest first: id, name, state, start, duration, packets and their "
            "captured bytes, bytes on disk, packets lost on the way into the store, interfaces. "
            "BYTES and PACKETS count what is stored now.",
            "States: running; complete; recovered, after a crash; damaged; disk_full, when it "
            "ended because there was no room.",
            "LOST is n/a where the platform does not count it, and >=N where it counts a part.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"sessions -d packets.db", "a table"},
            {"sessions --json | jq -r '.[-1].id'", "the id of the newest"},
            {NULL, NULL},
        },
    .run = run,
};
