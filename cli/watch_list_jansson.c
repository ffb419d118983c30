/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom and what to follow, out of the nodes' lists of their interfaces.
 */
#include "cli/watch_internal.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/answer_fields.h"
#include "shared/base/mem.h"

/* ---- what fits ---- */

static bool is_pattern(const char *text)
{
    return strpbrk(text, "*?[") != NULL;
}

static bool is_up(const json_t *interface)
{
    const json_t *flags = json_object_get(interface, "flags");

    for (size_t i = 0; i < json_array_size(flags); i++) {
        const char *flag = json_string_value(json_array_get(flags, i));
        if (flag != NULL && strcmp(flag, "up") == 0) {
            return true;
        }
    }
    return false;
}

/* A pattern means network devices that are up, as it does for start-capture: not "any", which would
 * show each packet twice. Interfaces of uplinks (NAME:IFACE) are meant where it has a colon. */
static bool fits(const char *pattern, const json_t *interface, const char *name)
{
    bool is_uplink = strchr(name, ':') != NULL;

    if (strlen(name) >= WATCH_NAME_MAX) {
        return false;
    }
    if (!is_pattern(pattern)) {
        return strcmp(pattern, name) == 0;
    }
    return fnmatch(pattern, name, 0) == 0 &&
           (is_uplink ? strchr(pattern, ':') != NULL
                      : is_up(interface) && json_is_integer(json_object_get(interface, "mtu")));
}

/* ---- nodes and streams ---- */

/* UINT32_MAX: there are too many. */
static uint32_t find_node(struct watch *w, const char *name, const char *id)
{
    for (uint32_t i = 0; i < w->n_nodes; i++) {
        if (strcmp(w->nodes[i].id, id) == 0 &&
            (id[0] != '\0' || strcmp(w->nodes[i].name, name) == 0)) {
            return i;
        }
    }
    if (w->n_nodes == WATCH_NODES_MAX) {
        return UINT32_MAX;
    }
    if ((w->n_nodes & (w->n_nodes - 1)) == 0) {
        w->nodes =
            x_realloc(w->nodes, (w->n_nodes == 0 ? 1 : 2 * (size_t)w->n_nodes) * sizeof *w->nodes);
    }
    w->nodes[w->n_nodes] = (struct watch_node){
        .name = x_strdup(name), .id = x_strdup(id), .is_whole = true, .answers = true};
    return w->n_nodes++;
}

static struct watch_stream *find_stream(struct watch *w, uint32_t node, const char *iface)
{
    for (uint32_t i = 0; i < w->n_streams; i++) {
        if (w->streams[i].node == node && strcmp(w->streams[i].iface, iface) == 0) {
            return &w->streams[i];
        }
    }
    return NULL;
}

static void add_stream(struct watch *w, uint32_t node, const char *iface)
{
    if (w->n_streams == WATCH_STREAMS_MAX) {
        watch_not_whole(&w->nodes[node], "not all of its interfaces are followed");
        if (!w->is_full) {
            w->is_full = true;
            watch_say(w, "more than %u interfaces fit: those beyond are not followed",
                      WATCH_STREAMS_MAX);
        }
        return;
    }
    if ((w->n_streams & (w->n_streams - 1)) == 0) {
        w->streams = x_realloc(w->streams, (w->n_streams == 0 ? 1 : 2 * (size_t)w->n_streams) *
                                               sizeof *w->streams);
    }
    w->streams[w->n_streams++] = (struct watch_stream){
        .iface = x_strdup(iface), .node = node, .is_listed = true, .source = UINT32_MAX};
}

/* ---- lists ---- */

static int refuse(struct err *err)
{
    return err_set(err, ERR_DAMAGED,
                   "the node answered node.interfaces with something that is no list; is it a "
                   "packetrecorder of another version?");
}

static void take_interfaces(struct watch *w, uint32_t node, const json_t *interfaces)
{
    bool any = false;

    for (uint32_t i = 0; i < w->n_streams; i++) {
        w->streams[i].is_listed = w->streams[i].is_listed && w->streams[i].node != node;
    }
    for (size_t i = 0; i < json_array_size(interfaces); i++) {
        const json_t *one = json_array_get(interfaces, i);
        const char *name = field_text(one, "name");
        struct watch_stream *known = name == NULL ? NULL : find_stream(w, node, name);
        if (known != NULL) {
            known->is_listed = true;
            any = true;
        } else if (name != NULL && fits(w->spec.pattern, one, name)) {
            add_stream(w, node, name);
            any = true;
        }
    }
    w->nodes[node].answers = true;
    if (!any && !w->nodes[node].is_unfit) {
        watch_say(w, "%s: no interface of it fits '%s'", w->nodes[node].name, w->spec.pattern);
        watch_not_whole(&w->nodes[node], "no interface of it fits");
    }
    w->nodes[node].is_unfit = !any;
}

static void take_error(struct watch *w, uint32_t node, const json_t *error)
{
    struct watch_node *of = &w->nodes[node];
    const char *why = field_text(error, "message");

    why = why == NULL ? field_text(error, "code") : why;
    why = why == NULL ? "it did not say why" : why;
    if (of->answers) {
        watch_say(w, "%s: %s", of->name, why);
        watch_not_whole(of, why);
    }
    of->answers = false;
}

static void open_all(struct watch *w, uint64_t now_ns)
{
    for (uint32_t i = 0; i < w->n_streams && !w->is_closing; i++) {
        struct watch_stream *s = &w->streams[i];
        if (s->state == WATCH_ENDED && s->is_listed && s->retry_ns <= now_ns) {
            watch_open_stream(w, s, now_ns);
        }
    }
}

int watch_list(struct watch *w, const json_t *answers, uint64_t now_ns, struct err *err)
{
    if (!json_is_array(answers)) {
        return refuse(err);
    }
    for (size_t i = 0; i < json_array_size(answers); i++) {
        const json_t *one = json_array_get(answers, i);
        const char *name = field_text(one, "node");
        const char *id = field_text(one, "id");
        const json_t *result = json_object_get(one, "result");
        if (name == NULL || (result != NULL && !json_is_array(result))) {
            return refuse(err);
        }
        uint32_t node = find_node(w, name, id == NULL ? "" : id);
        if (node == UINT32_MAX) {
            break;
        }
        if (result != NULL) {
            take_interfaces(w, node, result);
        } else {
            take_error(w, node, json_object_get(one, "error"));
        }
    }
    open_all(w, now_ns);
    return 0;
}

int watch_list_own(struct watch *w, const json_t *interfaces, uint64_t now_ns, struct err *err)
{
    const char *name = field_text(json_array_get(interfaces, 0), "node");

    if (!json_is_array(interfaces)) {
        return refuse(err);
    }
    if (w->n_nodes == 0) {
        uint32_t node = find_node(w, name == NULL ? "node" : name, "");
        w->nodes[node].is_asked = true;
    }
    take_interfaces(w, 0, interfaces);
    open_all(w, now_ns);
    return 0;
}
