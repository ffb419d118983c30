/* SPDX-License-Identifier: Apache-2.0 */
#include "node/command.h"

#include <stdlib.h>

#include "node/early_bind_posix.h"
#include "node/node_uv.h"
#include "node/notify_posix.h"
#include "node/privileges_posix.h"
#include "node/rpc_server.h"
#include "node/rpc_unix_posix.h"
#include "node/start_keys.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/options/node_check.h"
#include "shared/options/node_config.h"

static void tell_problem(void *arg, const char *option, const char *text)
{
    struct err *err = arg;

    if (err->text[0] != '\0') {
        log_error("%s", err->text); /* the last one is told by whoever ends it */
    }
    err_set(err, ERR_USAGE, "--%s: %s", option, text);
}

static void tell_changed(void *arg, const char *name)
{
    (void)arg;
    log_warn("'%s' is another one in the configuration now: it takes a restart", name);
}

static int reload(void *arg, struct err *err)
{
    struct command_context *ctx = arg;
    const struct node_options *options = ctx->args;

    int rc = node_config_reload(ctx, tell_changed, NULL, clock_wall_ns(), err);
    if (rc == 0) {
        log_set_level((enum log_level)options->log_level);
    }
    return rc;
}

static void warn_without_rights(void)
{
    if (!privileges_can_capture()) {
        log_warn("no right to capture on this host: run as root (with --user), or 'setcap "
                 "cap_net_raw,cap_net_admin+ep' the program; 'packetrecorder doctor' says more");
    }
}

static int run(struct command_context *ctx, void *args_)
{
    const struct node_options *options = args_;
    const struct node_run_opts opts = {.reload = reload, .arg = ctx};

    int rc = node_config_load(ctx, getenv, clock_wall_ns());
    if (rc < 0) {
        return rc;
    }
    log_set_level((enum log_level)options->log_level);
    if (node_options_check(options, tell_problem, &ctx->err) > 0) {
        return ERR_USAGE;
    }
    /* Names in filters hold a worker: not for half a minute each. Who sets it has it his way. */
    setenv("RES_OPTIONS", "timeout:2 attempts:1", 0);
    notify_open();
    rc = early_bind(&options->http_addrs, "http-addr", &ctx->err);
    if (rc == 0) {
        rc = early_bind(&options->pcapng_listen, "pcapng-listen", &ctx->err);
    }
    if (rc == 0) {
        rc = rpc_server_bind(options, &ctx->err);
    }
    if (rc == 0) {
        rc = privileges_drop(options->user, &ctx->err);
    }
    if (rc == 0) {
        warn_without_rights();
        privileges_warn_of_store(options->database);
        rc = start_keys_check(options, clock_wall_ns(), &ctx->err);
    }
    if (rc == 0) {
        rc = node_run(options, &opts, &ctx->err);
    }
    early_bind_release();
    rpc_unix_release();
    notify_close();
    return rc;
}

const struct command cmd_serve = {
    COMMAND_SERVE,
    .run = run,
};
