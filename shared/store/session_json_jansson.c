/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/session_json.h"

#include <jansson.h>

#include "shared/base/to_json.h"
#include "shared/packet/link_type.h"

static json_t *interfaces(const struct store_session *session)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < session->n_ifaces; i++) {
        const struct iface *iface = &session->ifaces[i];
        char link_type[LINK_TYPE_TEXT_MAX];
        json_t *one = json_object();

        link_type_text(iface->link_type, link_type);
        json_object_set_new(one, "name", to_json_text(iface->name));
        json_object_set_new(one, "link_type", json_string(link_type));
        json_object_set_new(one, "snaplen",
                            to_json_count(iface->snaplen == 0 ? UINT64_MAX : iface->snaplen));
        json_array_append_new(list, one);
    }
    return list;
}

static json_t *loss(const struct ledger *ledger)
{
    json_t *object = json_object();

    json_object_set_new(object, "kernel", to_json_count(ledger->kernel));
    json_object_set_new(object, "interface", to_json_count(ledger->interface));
    json_object_set_new(object, "store", to_json_count(ledger->store));
    json_object_set_new(object, "limit", to_json_count(ledger->limit));
    return object;
}

static json_t *tags(const char *text)
{
    json_t *object = json_loads(text[0] == '\0' ? "{}" : text, 0, NULL);

    return object == NULL ? json_object() : object;
}

static json_t *time_or_null(uint64_t ns)
{
    return to_json_time(ns == 0 ? UINT64_MAX : ns);
}

struct json_t *session_json(const struct store_session *session, bool encrypted)
{
    json_t *object = json_object();

    json_object_set_new(object, "id", json_string(session->id));
    json_object_set_new(object, "name", to_json_text(session->name));
    json_object_set_new(object, "node", to_json_text(session->node));
    json_object_set_new(object, "state", json_string(store_state_name(session->state)));
    json_object_set_new(object, "error", to_json_text(session->error));
    json_object_set_new(object, "interfaces", interfaces(session));
    json_object_set_new(object, "filter", to_json_text(session->filter));
    json_object_set_new(object, "started", time_or_null(session->started_ns));
    json_object_set_new(object, "ended", time_or_null(session->ended_ns));
    json_object_set_new(object, "packets", to_json_count(session->packets));
    json_object_set_new(object, "bytes", to_json_count(session->bytes));
    json_object_set_new(object, "stored_bytes", to_json_count(session->stored_bytes));
    json_object_set_new(object, "encrypted", json_boolean(encrypted));
    json_object_set_new(object, "tags", tags(session->tags));
    json_object_set_new(object, "loss", loss(&session->loss));
    json_object_set_new(object, "self_excluded", json_boolean(session->excluded[0] != '\0'));
    json_object_set_new(object, "excluded_filter", to_json_text(session->excluded));
    json_object_set_new(object, "clock", clock_samples_json(&session->clock));
    return object;
}
