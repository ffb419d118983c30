/* SPDX-License-Identifier: Apache-2.0
 *
 * packetrecorder-extcap: reads what Wireshark asks, the environment and the file, answers on
 * standard output. Standard error is for errors alone, because Wireshark shows it as one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/extcap_posix.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/base/standard_fds_posix.h"
#include "shared/options/config.h"
#include "shared/options/help.h"
#include "shared/options/option_layers.h"
#include "shared/options/options.h"
#include "shared/packet/filter.h"

/* Together with what starting takes well below the 200 ms that Wireshark's start may wait. */
#define ASK_MS 150
/* Somebody pressed a button and waits. */
#define RELOAD_MS 3000

/* What an answer is made in; some of it is large. */
struct extcap {
    struct command_context ctx;
    struct extcap_node node;
    struct extcap_list list;
    struct buf out;
};

static char *config_path(void)
{
    const char *base = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");

    if (base != NULL && base[0] == '/') {
        return x_sprintf("%s/packetrecorder/extcap", base);
    }
    return x_sprintf("%s/.config/packetrecorder/extcap", home == NULL ? "" : home);
}

/* No file is no error. */
static int read_file(struct command_context *ctx)
{
    struct command_context lower = {.program = &extcap_program};
    struct config config = {0};
    char *path = config_path();
    int code = 0;

    if (access(path, F_OK) == 0) {
        code = config_read_file(&config, path, &ctx->err);
        if (code == 0) {
            options_begin(&lower, &extcap_command, clock_wall_ns());
            config_apply(&config, &lower, clock_wall_ns());
            code = config_verdict(&config, &ctx->err);
        }
        if (code == 0) {
            options_adopt(ctx, &lower);
        }
        options_free(&lower);
        config_deinit(&config);
    }
    mem_free(path);
    return code;
}

static int read_options(struct command_context *ctx, int argc, char **argv)
{
    int code = options_parse(ctx, &extcap_program, argc, argv, clock_wall_ns());

    if (code == 0 && !ctx->global.help && !ctx->global.version) {
        code = options_read_environment(ctx, getenv, clock_wall_ns());
        code = code == 0 ? read_file(ctx) : code;
    }
    return code;
}

/* The list stays empty where the node does not answer: whoever lists interfaces sees the others. */
static int ask(struct extcap *x, unsigned limit_ms, struct err *err)
{
    int code = extcap_node_open(x->ctx.args, &x->node, err);

    return code == 0 ? extcap_ask(&x->node, limit_ms, &x->list, err) : code;
}

static const char *link_type_of(const struct extcap *x)
{
    const struct extcap_args *args = x->ctx.args;
    const char *interface = extcap_remote_interface(args);

    if (interface != NULL && strncmp(interface, "swarm:", 6) == 0) {
        interface += 6; /* the list has NODE/IFACE */
    }
    for (size_t i = 0; interface != NULL && i < x->list.n; i++) {
        if (strcmp(x->list.items[i].name, interface) == 0) {
            return x->list.items[i].link_type;
        }
    }
    return "";
}

static int answer(struct extcap *x)
{
    const struct extcap_args *args = x->ctx.args;
    struct err err = {0};
    int code = 0;

    if (args->list) {
        code = ask(x, ASK_MS, &err);
        extcap_put_interfaces(&x->out, code == 0 ? x->node.endpoint.host : "", x->list.items,
                              x->list.n);
        return 0;
    }
    if (args->dlts) {
        (void)ask(x, ASK_MS, NULL);
        extcap_put_dlts(&x->out, link_type_of(x));
        return 0;
    }
    if (args->config && args->reload != NULL) {
        code = ask(x, RELOAD_MS, &x->ctx.err);
        extcap_put_reloaded(&x->out, x->list.items, x->list.n);
        return code;
    }
    if (args->config) {
        extcap_put_config(&x->out, args);
        if (extcap_is_generic(args) && ask(x, ASK_MS, NULL) == 0) {
            extcap_put_reloaded(&x->out, x->list.items, x->list.n);
        }
        return 0;
    }
    if (args->capture) {
        code = extcap_node_open(args, &x->node, &x->ctx.err);
        return code == 0 ? extcap_capture(args, &x->node, &x->ctx.err) : code;
    }
    if (args->filter != NULL) {
        if (filter_check(args->filter, &err) < 0) {
            buf_printf(&x->out, "%s\n", err.text);
        }
        return 0;
    }
    return err_set(&x->ctx.err, ERR_USAGE,
                   "Wireshark runs this program; 'packetrecorder install-extcap' puts it where it "
                   "is found, --help says more");
}

static int run(struct extcap *x, int argc, char **argv)
{
    int code = read_options(&x->ctx, argc, argv);

    if (code < 0) {
        return code;
    }
    if (x->ctx.global.version) {
        help_print_version(stdout, &extcap_program);
        return 0;
    }
    if (x->ctx.global.help) {
        help_print_command(stdout, &extcap_program, &extcap_command);
        return 0;
    }
    return answer(x);
}

int main(int argc, char **argv)
{
    if (!standard_fds_hold()) {
        return 1;
    }
    log_init_from_env();
    struct extcap *x = x_alloc(sizeof *x);
    int code = run(x, argc, argv);
    if (x->out.len > 0) {
        fwrite(x->out.data, 1, x->out.len, stdout);
    }
    bool written = fflush(stdout) == 0;
    if (code < 0) {
        log_error("%s", x->ctx.err.text);
    }
    /* A thread may still look up a name: nothing is torn down under it. */
    _exit(code < 0 ? err_exit_code(code) : written ? 0 : 1);
}
