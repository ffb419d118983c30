/* SPDX-License-Identifier: Apache-2.0 */
#include "node/node_doctor.h"

#include <stdarg.h>

#include <jansson.h>

#include "node/auth.h"
#include "node/gauges.h"
#include "node/gossip.h"
#include "node/health.h"
#include "node/privileges_posix.h"
#include "node/rpc_server.h"
#include "shared/base/clock_posix.h"
#include "shared/base/to_json.h"

#define DESCRIPTORS_SPARE 64 /* less is trouble soon */

struct doctor {
    json_t *checks; /* borrowed */
    bool ok;
};

static void add(struct doctor *doctor, const char *name, bool ok, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

static void add(struct doctor *doctor, const char *name, bool ok, const char *fmt, ...)
{
    struct err text;
    va_list ap;

    va_start(ap, fmt);
    err_vset(&text, ERR_IO, fmt, ap);
    va_end(ap);
    doctor->ok = doctor->ok && ok;
    json_array_append_new(doctor->checks, json_pack("{s:s, s:b, s:o}", "name", name, "ok", (int)ok,
                                                    "detail", to_json_text(text.text)));
}

static void check_rights(struct doctor *doctor)
{
    bool can = privileges_can_capture();

    add(doctor, "rights", can, "%s",
        can ? "the node may capture"
            : "no right to capture: run as root (with --user), or 'setcap "
              "cap_net_raw,cap_net_admin+ep' the program");
}

static void check_keys(struct doctor *doctor, struct node *node)
{
    if (auth_has_keys(node->auth, clock_wall_ns())) {
        add(doctor, "keys", true, "API keys exist: everybody needs one");
    } else {
        add(doctor, "keys", true,
            "no API key: users of this host may watch and record over HTTP, RPC on TCP refuses "
            "everybody; 'packetrecorder keys add -d %s --role view' makes one",
            node->options->database);
    }
}

static void check_rpc(struct doctor *doctor, struct node *node)
{
    const char *socket = rpc_server_socket(node->rpc);
    struct buf places = {0};

    buf_printf(&places, "%s", socket == NULL ? "no UNIX socket" : socket);
    for (size_t i = 0; i < rpc_server_listeners(node->rpc); i++) {
        buf_printf(&places, ", %s", rpc_server_address(node->rpc, i));
    }
    add(doctor, "rpc", true, "%s", (const char *)places.data);
    buf_deinit(&places);
}

static void check_descriptors(struct doctor *doctor, struct node *node)
{
    const struct gauges_process *process = &gauges_newest(node->gauges)->process;

    if (process->max_fds == UINT64_MAX) {
        return;
    }
    bool ok = process->open_fds + DESCRIPTORS_SPARE < process->max_fds;
    add(doctor, "descriptors", ok, "%llu of %llu are open%s", (unsigned long long)process->open_fds,
        (unsigned long long)process->max_fds,
        ok ? "" : ": raise LimitNOFILE= or 'ulimit -n', or lower --max-connections");
}

static void on_finding(void *arg, const char *name, bool ok, const char *text)
{
    add(arg, name, ok, "%s", text);
}

struct json_t *node_doctor(struct node *node)
{
    struct doctor doctor = {.ok = false};
    json_t *report = health_check(node, &doctor.ok);

    doctor.checks = json_object_get(report, "checks");
    check_rights(&doctor);
    check_keys(&doctor, node);
    check_rpc(&doctor, node);
    check_descriptors(&doctor, node);
    gossip_doctor(node->gossip, on_finding, &doctor);
    json_object_set_new(report, "ok", json_boolean(doctor.ok));
    json_object_set_new(report, "status", json_string(doctor.ok ? "ok" : "failing"));
    return report;
}
