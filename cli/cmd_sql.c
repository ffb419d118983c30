/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/database.h"
#include "cli/option_groups.h"
#include "cli/session_choice.h"
#include "cli/sql_output.h"
#include "cli/terminal_posix.h"
#include "shared/base/buf.h"
#include "shared/base/mem.h"

/* SQLite's own limit on a statement is 1 GB; nobody types more than this. */
#define TEXT_MAX (16u * 1024u * 1024u)

struct sql_args {
    struct store_args store;
};

static const struct command_option options[] = {
    OPTIONS_STORE(struct sql_args, store),
};

static const struct command_word words[] = {
    {.name = "SQL", .help = "One or more statements; '-' reads them from standard input."},
};

static int read_stdin(struct buf *text, struct err *err)
{
    size_t n;

    do {
        uint8_t *at = buf_extend(text, 65536);
        n = fread(at, 1, 65536, stdin);
        text->len -= 65536 - n;
        if (text->len > TEXT_MAX) {
            return err_set(err, ERR_LIMIT, "more than %u bytes of SQL", TEXT_MAX);
        }
    } while (n > 0);
    if (ferror(stdin)) {
        return err_errno(err, errno, "reading standard input");
    }
    buf_put_u8(text, '\0');
    return 0;
}

static enum sql_style style_of(const struct command_context *ctx)
{
    return ctx->global.json         ? SQL_STYLE_JSON
           : terminal_is_on(stdout) ? SQL_STYLE_TABLE
                                    : SQL_STYLE_TABS;
}

static int run(struct command_context *ctx, void *args_)
{
    const struct sql_args *args = args_;
    const char *sql = ctx->words[0];
    struct scan_damage damage = {0};
    struct store *store = NULL;
    struct buf text = {0};
    int r = 0;

    if (strcmp(sql, "-") == 0) {
        r = read_stdin(&text, &ctx->err);
        sql = (const char *)text.data;
    }
    if (r == 0) {
        r = database_open(&args->store, STORE_READ, &store, &ctx->err);
    }
    if (r == 0) {
        struct sql_output *output = sql_output_new(style_of(ctx));
        r = sql_run(store, sql, output, &damage, &ctx->err);
        sql_output_free(output);
    }
    if (r == 0) {
        r = session_choice_damage(&damage, &ctx->err);
    }
    store_close(store);
    buf_deinit(&text);
    return r;
}

const struct command cmd_sql = {
    .name = "sql",
    .summary = "ask a store in SQL",
    .words = words,
    .n_words = ARRAY_LEN(words),
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct sql_args),
    .description =
        (const char *const[]){
            "Runs SQL statements, in SQLite's words, over the tables of a store. Nothing is copied "
            "and nothing is written: CREATE TABLE and the like work in memory and are forgotten at "
            "the end.",
            "'packets' has the columns session, number, time, time_ns, iface, link_type, caplen, "
            "len, src, dst, sport, dport, proto, flags, info, data. Addresses and ports are those "
            "of the outermost IP header; times are text with nine digits in UTC, and time_ns "
            "nanoseconds since 1970. Three more columns exist for conditions with = alone: host "
            "(src or dst), port (sport or dport) and filter, an expression of pcap-filter(7). Two "
            "hosts are host = 'A' AND 'B' IN (src, dst).",
            "Conditions on session (also a prefix of at least 8 characters, a name, or 'last'), "
            "time, time_ns, src, dst, sport, dport, proto, host, port and filter are answered from "
            "the index, so that only the parts of the store that may hold a row are read. A time "
            "may be compared with anything that --from of query takes. ORDER BY time needs no "
            "sorting.",
            "'sessions' (id, name, node, state, filter, started, ended, packets, bytes, "
            "stored_bytes, first_time, last_time, tags, loss_kernel, loss_interface, loss_limit, "
            "loss_store) and 'interfaces' (session, number, name, link_type, snaplen, description, "
            "mac, filter, speed_bps, os) are the catalogue.",
            "Prints a table on a terminal, tab-separated lines with the names first elsewhere; "
            "with --json an array of objects for each statement that gives rows. Blobs are hex.",
            "The sqlite3 shell (3.40 or newer) reads unencrypted stores with the extension that is "
            "installed beside this program: .load LIBDIR/packetrecorder/packetrecorder_sql, then "
            "CREATE VIRTUAL TABLE temp.p USING packets('packets.db'); packet_sessions and "
            "packet_interfaces are the other two tables.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"sql 'SELECT src, count(*) n FROM packets GROUP BY src ORDER BY n DESC LIMIT 10'",
             "who sends most"},
            {"sql \"SELECT time, info FROM packets WHERE session = 'last' AND port = 53\"",
             "DNS in the newest session"},
            {"sql --json \"SELECT * FROM packets WHERE filter = 'tcp[13] & 4 != 0' LIMIT 5\"",
             "five resets"},
            {NULL, NULL},
        },
    .run = run,
};
