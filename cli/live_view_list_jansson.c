/* SPDX-License-Identifier: Apache-2.0
 *
 * The interfaces of a node, as it lists them itself.
 */
#include "cli/live_view_posix.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "cli/viewer_request.h"
#include "shared/base/buf.h"
#include "shared/wire/ws_client.h"

#define LIST_MAX_BYTES (4u * 1024u * 1024u)
/* A member that is away must not keep Wireshark's start waiting. */
#define ALL_WAIT_MS 80u

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static bool has_flag(const json_t *object, const char *flag)
{
    const json_t *flags = json_object_get(object, "flags");

    for (size_t i = 0; i < json_array_size(flags); i++) {
        const char *text = json_string_value(json_array_get(flags, i));
        if (text != NULL && strcmp(text, flag) == 0) {
            return true;
        }
    }
    return false;
}

/* What has no size of a frame is a device of the kernel's own ("any", "nflog"); an uplink has a
 * colon in its name. */
static bool is_real(const json_t *object, const char *name)
{
    return json_is_integer(json_object_get(object, "mtu")) || strchr(name, ':') != NULL;
}

static void tell_one(const json_t *value,
                     void (*each)(const struct live_view_interface *interface, void *arg),
                     void *arg)
{
    struct live_view_interface one = {.node = "", .description = "", .link_type = ""};

    one.name = json_is_string(value) ? json_string_value(value) : text_of(value, "name");
    if (one.name[0] == '\0') {
        return;
    }
    if (json_is_object(value)) {
        const json_t *types = json_object_get(value, "link_types");
        const char *type = json_string_value(json_array_get(types, 0));

        one.node = text_of(value, "node");
        one.description = text_of(value, "description");
        one.link_type = type == NULL ? "" : type;
        one.loopback = has_flag(value, "loopback");
        one.up =
            is_real(value, one.name) && (has_flag(value, "up") || strchr(one.name, ':') != NULL);
    }
    each(&one, arg);
}

int live_view_interfaces(const struct live_view_spec *spec, uint64_t deadline_ns,
                         void (*each)(const struct live_view_interface *interface, void *arg),
                         void *arg, unsigned *status, struct err *err)
{
    struct buf target = {0};
    struct buf body = {0};

    buf_printf(&target, "%s/api/v1/interfaces", spec->endpoint->path);
    if (spec->all_nodes) {
        buf_printf(&target, "?nodes=all&wait_ms=%u",
                   spec->all_wait_ms == 0 ? ALL_WAIT_MS : spec->all_wait_ms);
    }
    const struct http_call call = {
        .endpoint = spec->endpoint,
        .method = "GET",
        .target = (const char *)target.data,
        .api_key = spec->api_key,
        .ca_file = spec->ca_file,
        .max_body = LIST_MAX_BYTES,
    };
    *status = 0;
    int code = http_call(&call, deadline_ns, status, &body, err);
    json_t *list = NULL;
    if (code == 0 && *status == 200) {
        list = json_loadb((const char *)body.data, body.len, 0, NULL);
        if (!json_is_array(list)) {
            code = err_set(err, ERR_DAMAGED,
                           "the list of interfaces cannot be read; is it packetrecorderd?");
        }
    } else if (code == 0) {
        json_t *problem = json_loadb((const char *)body.data, body.len, 0, NULL);
        const char *detail = text_of(problem, "detail");
        code = err_set(err, *status == 404 ? ERR_NOT_FOUND : ERR_PERMISSION,
                       "the node answers %u%s%s%s", *status, detail[0] == '\0' ? "" : ": ", detail,
                       viewer_refusal_hint(*status, spec->endpoint->path));
        json_decref(problem);
    }
    for (size_t i = 0; code == 0 && i < json_array_size(list); i++) {
        tell_one(json_array_get(list, i), each, arg);
    }
    json_decref(list);
    buf_deinit(&target);
    buf_deinit(&body);
    return code;
}
