/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/export.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "shared/base/clock_posix.h"
#include "shared/base/mem.h"
#include "shared/store/export_file_posix.h"
#include "shared/store/export_run.h"

/* Packets between two looks at the clock and at signals. */
#define PACKETS_PER_LOOK 4096u

const struct export_writer_ops *const export_formats[] = {
    [EXPORT_PCAPNG] = &export_pcapng, [EXPORT_PCAP] = &export_pcap,
    [EXPORT_JSON] = &export_json,     [EXPORT_CSV] = &export_csv,
    [EXPORT_SQLITE] = &export_sqlite,
};

const char *const export_format_names[] = {"pcapng", "pcap", "json", "csv", "sqlite", NULL};

static bool has_suffix(const struct export_writer_ops *ops, const char *suffix)
{
    for (size_t i = 0; i < EXPORT_SUFFIXES_MAX && ops->suffixes[i] != NULL; i++) {
        if (strcasecmp(ops->suffixes[i], suffix) == 0) {
            return true;
        }
    }
    return false;
}

enum export_format export_format_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash == NULL ? path : slash, '.');

    for (int i = 0; dot != NULL && i < (int)ARRAY_LEN(export_formats); i++) {
        if (has_suffix(export_formats[i], dot + 1)) {
            return (enum export_format)i;
        }
    }
    return EXPORT_PCAPNG;
}

static int look(const struct export_run *e, struct err *err)
{
    uint64_t done;
    uint64_t total;

    if (e->spec->go_on == NULL) {
        return 0;
    }
    scan_progress(e->scan, &done, &total);
    if (e->spec->go_on(e->spec->go_on_arg, done, total)) {
        return 0;
    }
    return err_set(err, ERR_INTERRUPTED, "interrupted; '%s' was not written", e->spec->path);
}

int export_run_packet(struct export_run *e, const struct scan_packet *packet, struct err *err)
{
    int r = e->ops->packet(e->writer, packet, err);

    if (r == EXPORT_LEFT_OUT) {
        e->result.left_out++;
        e->result.left_why = e->writer->left_why;
        return 0;
    }
    if (r == 0) {
        e->result.packets++;
        e->result.packet_bytes += packet->view.caplen;
    }
    return r;
}

static int copy_packets(struct export_run *e, struct err *err)
{
    struct scan_packet packet;
    uint64_t limit = e->spec->limit == 0 ? UINT64_MAX : e->spec->limit;
    int r = 0;

    for (uint64_t n = 1; e->result.packets < limit; n++) {
        r = scan_next(e->scan, &packet, err);
        if (r <= 0) {
            break;
        }
        r = export_run_packet(e, &packet, err);
        if (r == 0 && n % PACKETS_PER_LOOK == 0) {
            r = look(e, err);
        }
        if (r < 0) {
            break;
        }
    }
    return r;
}

struct run_tally {
    uint64_t packets;
    uint64_t bytes;
    bool all_known; /* each packet's interface is described */
};

static int tally_run(const uint8_t *raw, size_t n, uint32_t n_ifaces, struct run_tally *out)
{
    struct block_cursor cursor = block_cursor(raw, n);
    struct packet_view view;
    int r;

    *out = (struct run_tally){.all_known = true};
    while ((r = block_next(&cursor, &view)) > 0) {
        out->packets++;
        out->bytes += view.caplen;
        out->all_known = out->all_known && view.iface < n_ifaces;
    }
    return r;
}

/* A run with packets of an interface that came up after the session was looked up. */
static int split_run(struct export_run *e, const uint8_t *raw, size_t n,
                     const struct store_session *session, struct err *err)
{
    static const struct iface unknown = {.link_type = UINT32_MAX};
    struct block_cursor cursor = block_cursor(raw, n);
    struct scan_packet packet = {.session = session};
    int r = 0;

    while (r == 0 && block_next(&cursor, &packet.view) > 0) {
        bool known = packet.view.iface < session->n_ifaces;
        packet.iface = known ? &session->ifaces[packet.view.iface] : &unknown;
        r = export_run_packet(e, &packet, err);
    }
    return r;
}

int export_run_step(struct export_run *e, struct err *err)
{
    const struct store_session *session;
    const uint8_t *raw;
    struct run_tally tally;
    size_t n;
    int r = scan_next_run(e->scan, &raw, &n, &session, err);

    if (r <= 0) {
        return r;
    }
    if (tally_run(raw, n, session->n_ifaces, &tally) < 0) {
        return err_set(err, ERR_DAMAGED, "session %s: a frame is not a run of packets",
                       session->id);
    }
    if (tally.all_known) {
        r = e->ops->run(e->writer, raw, n, err);
        e->result.packets += tally.packets;
        e->result.packet_bytes += tally.bytes;
    } else {
        r = split_run(e, raw, n, session, err);
    }
    return r < 0 ? r : 1;
}

static int copy_runs(struct export_run *e, struct err *err)
{
    int r;

    while ((r = export_run_step(e, err)) > 0) {
        r = look(e, err);
        if (r < 0) {
            return r;
        }
    }
    return r;
}

int export_run_scan(struct export_run *e, struct store *store, struct err *err)
{
    const struct export_spec *spec = e->spec;
    const struct scan_spec scan_spec = {
        .sessions = spec->sessions,
        .n = spec->n,
        .from_ns = spec->from_ns,
        .to_ns = spec->to_ns,
        .filter = spec->filter,
        .time_order = spec->n > 1,
        .after = spec->after,
    };

    return scan_new(store, &scan_spec, &e->scan, err);
}

int export_run_begin(struct export_run *e, struct export_sink *sink, const char *path,
                     struct err *err)
{
    struct utsname system;
    bool known = uname(&system) == 0;

    snprintf(e->os, sizeof e->os, "%.200s %.200s", known ? system.sysname : "",
             known ? system.release : "");
    snprintf(e->hardware, sizeof e->hardware, "%s", known ? system.machine : "");
    struct export_job job = {
        .spec = e->spec,
        .sink = sink,
        .path = path,
        .os = known ? e->os : NULL,
        .hardware = known ? e->hardware : NULL,
        .now_ns = clock_wall_ns(),
    };
    e->is_whole =
        e->ops->run != NULL && e->spec->n == 1 && e->spec->limit == 0 && scan_is_whole(e->scan);
    return e->ops->open(&job, &e->writer, err);
}

static int write_file(struct export_run *e, struct export_file *file, struct err *err)
{
    int r = export_run_begin(e, &file->sink, file->hidden, err);

    if (r < 0) {
        return r;
    }
    r = e->is_whole ? copy_runs(e, err) : copy_packets(e, err);
    e->result.damage = *scan_damage(e->scan);
    return r < 0 ? r : e->ops->finish(e->writer, &e->result.damage, err);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x;
    struct stat y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* --force must not replace the catalogue or a segment by what is exported from it. */
static int check_target(const struct store *store, const char *path, struct err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? x_strdup(".") : x_sprintf("%.*s/", (int)(slash - path), path);
    char *segments = x_sprintf("%s.d", store_path(store));
    bool wrong = strcmp(path, "-") != 0 &&
                 (is_same_file(path, store_path(store)) || is_same_file(folder, segments));

    mem_free(folder);
    mem_free(segments);
    return wrong ? err_set(err, ERR_USAGE, "'%s' is a part of the store that is exported", path)
                 : 0;
}

int export_run(struct store *store, const struct export_spec *spec, struct export_result *out,
               struct err *err)
{
    struct export_run e = {.spec = spec, .ops = export_formats[spec->format]};
    struct export_file file = {.fd = -1};
    int r = check_target(store, spec->path, err);

    r = r < 0 ? r : export_run_scan(&e, store, err);
    r = r < 0 ? r : export_file_open(&file, spec->path, spec->force, e.ops->own_file, err);
    r = r < 0 ? r : write_file(&e, &file, err);
    e.ops->free(e.writer);
    scan_free(e.scan);
    if (r < 0) {
        export_file_abandon(&file);
        return r;
    }
    r = export_file_commit(&file, &e.result.file_bytes, err);
    if (r == 0) {
        *out = e.result;
    }
    return r;
}
