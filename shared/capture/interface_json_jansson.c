/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/capture/interface_json.h"

#include <stdio.h>

#include <jansson.h>

#include "shared/base/mem.h"
#include "shared/base/to_json.h"

#define MAC_TEXT_MAX 32

static void format_mac(const struct interface *interface, char out[MAC_TEXT_MAX])
{
    const uint8_t *mac = interface->mac;

    snprintf(out, MAC_TEXT_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
}

static json_t *json_flags(const struct interface *interface)
{
    const struct {
        bool is_set;
        const char *name;
    } known[] = {{interface->up, "up"},
                 {interface->running, "running"},
                 {interface->loopback, "loopback"},
                 {interface->wireless, "wireless"}};
    json_t *flags = json_array();

    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (known[i].is_set) {
            json_array_append_new(flags, json_string(known[i].name));
        }
    }
    return flags;
}

static json_t *json_addresses(const struct interface *interface)
{
    json_t *addresses = json_array();

    for (size_t i = 0; i < interface->n_addresses; i++) {
        json_array_append_new(addresses, json_string(interface->addresses[i]));
    }
    return addresses;
}

static json_t *json_link_types(const struct interface *interface)
{
    json_t *link_types = json_array();

    if (interface->n_link_types == 0) {
        json_decref(link_types);
        return json_null();
    }
    for (size_t i = 0; i < interface->n_link_types; i++) {
        json_array_append_new(link_types, json_string(interface->link_types[i]));
    }
    return link_types;
}

static json_t *json_warnings(const struct interface *interface)
{
    char texts[INTERFACE_WARNINGS_MAX][INTERFACE_WARNING_MAX];
    size_t n = interface_warnings(interface, texts);
    json_t *warnings = json_array();

    for (size_t i = 0; i < n; i++) {
        json_array_append_new(warnings, to_json_text(texts[i]));
    }
    return warnings;
}

struct json_t *interface_json(const struct interface *interface)
{
    char mac[MAC_TEXT_MAX];
    json_t *object = json_object();

    format_mac(interface, mac);
    json_object_set_new(object, "name", to_json_text(interface->name));
    json_object_set_new(object, "description", to_json_text(interface->description));
    json_object_set_new(object, "mac", to_json_text(interface->has_mac ? mac : NULL));
    json_object_set_new(object, "addresses", json_addresses(interface));
    json_object_set_new(object, "link_types", json_link_types(interface));
    json_object_set_new(object, "mtu",
                        to_json_count(interface->mtu == 0 ? UINT64_MAX : interface->mtu));
    json_object_set_new(object, "flags", json_flags(interface));
    json_object_set_new(object, "warnings", json_warnings(interface));
    return object;
}
