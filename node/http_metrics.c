/* SPDX-License-Identifier: Apache-2.0 */
#include "node/auth_internal.h"
#include "node/http_server_internal_uv.h"
#include "node/metrics.h"
#include "shared/base/mem.h"

static const char *const rejected_names[N_REJECTED] = {
    [REJECTED_CONNECTIONS] = "connections",
    [REJECTED_ADDRESS] = "address",
    [REJECTED_SLOW] = "slow",
    [REJECTED_MALFORMED] = "malformed",
    [REJECTED_TOO_LARGE] = "too_large",
    [REJECTED_HOST] = "host",
    [REJECTED_KEY] = "key",
    [REJECTED_RIGHT] = "right",
    [REJECTED_SILENT] = "silent",
    [REJECTED_STALLED] = "stalled",
    [REJECTED_OVERFULL] = "overfull",
    [REJECTED_DESCRIPTORS] = "descriptors",
    [REJECTED_IDLE] = "idle",
};

/* One family of one label. */
static void count_by(struct buf *out, const char *name, const char *label, const char *value,
                     uint64_t n)
{
    struct buf labels = {0};

    metrics_label(&labels, label, value);
    buf_put_u8(&labels, '\0');
    metrics_count(out, name, (const char *)labels.data, n);
    buf_deinit(&labels);
}

static uint64_t rejected(const struct http_server *server, enum rejected reason)
{
    uint64_t n = server->counters.rejected[reason];

    if (reason == REJECTED_STALLED) {
        n += server->streams.counters.stalled;
    } else if (reason == REJECTED_OVERFULL) {
        n += server->streams.counters.overfull;
    } else if (reason == REJECTED_DESCRIPTORS) {
        for (size_t i = 0; i < server->n_listeners; i++) {
            n += server->listeners[i].no_descriptors;
        }
    }
    return n;
}

static void put_connections(const struct http_server *server, struct buf *out)
{
    static const char open[] = "packetrecorder_http_connections";
    static const char total[] = "packetrecorder_http_connections_total";

    metrics_family(out, open, "gauge", "Connections that are open, by what they speak now.");
    count_by(out, open, "kind", "http", server->streams.n - server->n_sockets);
    count_by(out, open, "kind", "websocket", server->n_sockets);
    metrics_family(out, total, "counter",
                   "Connections accepted (http) and upgraded (websocket) since the start.");
    count_by(out, total, "kind", "http", server->counters.accepted);
    count_by(out, total, "kind", "websocket", server->counters.upgrades);
}

static void put_requests(const struct http_server *server, struct buf *out)
{
    static const char requests[] = "packetrecorder_http_requests_total";
    static const char answers[] = "packetrecorder_http_answers_total";
    static const char refused[] = "packetrecorder_http_rejected_total";
    static const char *const classes[] = {"", "1xx", "2xx", "3xx", "4xx", "5xx"};

    metrics_family(out, requests, "counter", "Requests whose head was read.");
    metrics_count(out, requests, "", server->counters.requests);
    metrics_family(out, answers, "counter", "Answers by status.");
    for (size_t i = 1; i < ARRAY_LEN(classes); i++) {
        count_by(out, answers, "status", classes[i], server->counters.statuses[i]);
    }
    metrics_family(out, refused, "counter", "Connections and requests refused or ended, by why.");
    for (int i = 0; i < N_REJECTED; i++) {
        count_by(out, refused, "reason", rejected_names[i], rejected(server, (enum rejected)i));
    }
}

static void put_bytes(const struct http_server *server, struct buf *out)
{
    static const char bytes[] = "packetrecorder_http_bytes_total";
    static const char done[] = "packetrecorder_tls_handshakes_total";
    static const char expiry[] = "packetrecorder_tls_certificate_expiry_seconds";
    const struct streams_counters *counters = &server->streams.counters;

    metrics_family(out, bytes, "counter", "Bytes on the wire, encryption included.");
    count_by(out, bytes, "direction", "in", counters->bytes_in);
    count_by(out, bytes, "direction", "out", counters->bytes_out);
    if (server->tls == NULL) {
        return;
    }
    metrics_family(out, done, "counter", "TLS handshakes by how they ended.");
    count_by(out, done, "result", "done", counters->handshakes);
    count_by(out, done, "result", "failed", counters->handshakes_failed);
    metrics_family(out, expiry, "gauge", "When the certificate ends, in seconds since 1970.");
    metrics_value(out, expiry, "", (double)server->tls_expires_ns / 1e9);
}

void http_server_metrics(struct node *node, struct buf *out)
{
    put_connections(node->http, out);
    put_requests(node->http, out);
    put_bytes(node->http, out);
}

void auth_metrics(struct node *node, struct buf *out)
{
    static const char failures[] = "packetrecorder_auth_failures_total";
    static const char tickets[] = "packetrecorder_auth_tickets_total";
    static const char keys[] = "packetrecorder_auth_keys";
    const struct auth *auth = node->auth;

    metrics_family(out, keys, "gauge", "API keys in force.");
    metrics_count(out, keys, "", auth->keys.n);
    metrics_family(out, failures, "counter", "Requests without the key they need.");
    count_by(out, failures, "reason", "missing", auth->counters.missing);
    count_by(out, failures, "reason", "refused", auth->counters.refused);
    metrics_family(out, tickets, "counter", "Tickets asked for.");
    count_by(out, tickets, "result", "given", auth->counters.tickets);
    count_by(out, tickets, "result", "refused", auth->counters.tickets_refused);
}
