/* SPDX-License-Identifier: Apache-2.0
 *
 * packetrecorderd sniff: checks what it was told, opens the interfaces while it has the rights,
 * starts two threads for each, and waits for a signal. SIGTERM: what can be sent in STOP_MS is
 * sent, the rest stays in the spool.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "node/command.h"
#include "node/privileges_posix.h"
#include "node/sniff_internal.h"
#include "shared/base/clock_posix.h"
#include "shared/base/id.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/capture/source.h"
#include "shared/packet/filter.h"
#include "shared/wire/api_key.h"

#define STOP_MS 3000

struct sniffer {
    struct sniff_setup setup;
    struct sniff_uplink uplinks[SNIFF_IFACE_MAX];
    size_t n;
    size_t n_started;
};

static struct id make_id(void)
{
    uint8_t random[ID_RANDOM_BYTES];

    REQUIRE(getrandom(random, sizeof random, 0) == (ssize_t)sizeof random);
    return id_make(clock_wall_ns() / 1000000u, random);
}

static bool is_loopback(const char *host)
{
    return strcmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host));
}

/* The host's name, with what cannot be in a sniffer's name made '-'. */
static void default_name(char out[INGEST_NAME_MAX])
{
    char host[256] = "";

    (void)gethostname(host, sizeof host - 1);
    snprintf(out, INGEST_NAME_MAX, "%.63s", host[0] == '\0' ? "sniffer" : host);
    for (char *at = out; *at != '\0'; at++) {
        char one[2] = {*at, '\0'};
        *at = ingest_name_is_good(one) || (*at == '.' && at != out) ? *at : '-';
    }
}

static int check_server(struct sniff_setup *setup, struct err *err)
{
    const struct sniff_options *options = setup->options;
    int rc = url_parse_endpoint(options->server, &setup->endpoint, err);

    if (rc < 0) {
        return rc;
    }
    if (!setup->endpoint.tls && !is_loopback(setup->endpoint.host) && !options->insecure) {
        return err_set(err, ERR_USAGE,
                       "'%s' is not encrypted, and packets and key could be read on the way: use "
                       "wss:// (--ca-file for a certificate of your own), or --insecure",
                       options->server);
    }
    return 0;
}

static int check(struct sniffer *sniffer, const struct sniff_options *options, struct err *err)
{
    struct sniff_setup *setup = &sniffer->setup;

    setup->options = options;
    int rc = check_server(setup, err);
    if (rc < 0) {
        return rc;
    }
    if (options->name == NULL) {
        default_name(setup->name);
    } else if (!ingest_name_is_good(options->name)) {
        return err_set(err, ERR_USAGE,
                       "the name '%s' must be 1 to 63 of A-Z a-z 0-9 . _ -, not a dot first",
                       options->name);
    } else {
        snprintf(setup->name, sizeof setup->name, "%s", options->name);
    }
    if (options->interfaces.n > SNIFF_IFACE_MAX) {
        return err_set(err, ERR_USAGE, "%zu interfaces; a sniffer takes %d at most",
                       options->interfaces.n, SNIFF_IFACE_MAX);
    }
    for (size_t i = 0; i < options->interfaces.n; i++) {
        if (!ingest_interface_is_good(options->interfaces.items[i])) {
            return err_set(err, ERR_USAGE, "'%s' cannot be the name of an uplink's interface",
                           options->interfaces.items[i]);
        }
        for (size_t k = 0; k < i; k++) {
            if (strcmp(options->interfaces.items[i], options->interfaces.items[k]) == 0) {
                return err_set(err, ERR_USAGE, "interface '%s' is named twice",
                               options->interfaces.items[i]);
            }
        }
    }
    REQUIRE(options->interfaces.n > 0); /* the option is required */
    setup->memory_bytes = options->memory_bytes / options->interfaces.n;
    setup->spool_bytes = options->spool_bytes / options->interfaces.n;
    return filter_check(options->filter, err);
}

/* Streams of earlier runs that were not sent to their end. */
static int load_streams(struct sniff_uplink *uplink, struct err *err)
{
    char(*ids)[ID_TEXT_MAX] = NULL;
    size_t n = 0;
    uint64_t found = 0;
    uint64_t disk = 0;

    int rc = uplink->place == NULL ? 0 : spool_place_streams(uplink->place, &ids, &n, err);
    if (rc < 0) {
        return rc;
    }
    uplink->streams = x_alloc((n + 1) * sizeof *uplink->streams);
    for (size_t i = 0; i < n; i++) {
        struct sniff_stream *stream = &uplink->streams[uplink->n_streams];
        const struct spool_opts opts = {
            .memory_bytes = UINT64_MAX, .disk_bytes = UINT64_MAX, .files = &spool_dir_files};
        memcpy(stream->id, ids[i], ID_TEXT_MAX);
        rc = spool_dir_open(uplink->place, ids[i], &stream->dir, err);
        if (rc < 0) {
            break;
        }
        spool_init(&stream->spool, &opts);
        stream->spool.opts.files_arg = stream->dir;
        spool_dir_load(stream->dir, &stream->spool);
        found += stream->spool.end - spool_first(&stream->spool);
        disk += stream->spool.disk_used;
        uplink->n_streams++;
    }
    mem_free(ids);
    if (found > 0) {
        log_info("uplink '%s': %" PRIu64 " packets of an earlier run are in the spool",
                 uplink->iface, found);
    }
    /* a quarter of the disk stays for what comes */
    for (size_t i = 0; rc == 0 && i < uplink->n_streams; i++) {
        struct spool *spool = &uplink->streams[i].spool;
        uint64_t limit = uplink->setup->spool_bytes / 4 * 3;
        uint64_t excess = disk > limit ? disk - limit : 0;
        uint64_t before = spool->disk_used;
        spool_shrink_disk(spool, before > excess ? before - excess : 0);
        disk -= before - spool->disk_used;
        if (spool->dropped > 0) {
            log_warn("uplink '%s': the spool is full; %" PRIu64 " packets of an earlier run are "
                     "dropped",
                     uplink->iface, spool->dropped);
        }
    }
    return rc;
}

/* The stream of this run, the last one. */
static int make_stream(struct sniff_uplink *uplink, struct err *err)
{
    struct sniff_stream *stream = &uplink->streams[uplink->n_streams];
    uint64_t old_bytes = 0;
    struct id id = make_id();

    for (size_t i = 0; i < uplink->n_streams; i++) {
        old_bytes += uplink->streams[i].spool.disk_used;
    }
    id_format(&id, stream->id);
    if (uplink->place != NULL) {
        int rc = spool_dir_open(uplink->place, stream->id, &stream->dir, err);
        if (rc < 0) {
            return rc;
        }
    }
    const struct spool_opts opts = {
        .memory_bytes = uplink->setup->memory_bytes,
        .disk_bytes = uplink->place == NULL ? 0 : uplink->setup->spool_bytes - old_bytes,
        .files = uplink->place == NULL ? NULL : &spool_dir_files,
        .files_arg = stream->dir,
    };
    spool_init(&stream->spool, &opts);
    stream->is_live = true;
    uplink->n_streams++;
    return 0;
}

static int open_uplink(struct sniffer *sniffer, const char *iface, const struct id *sniffer_id,
                       struct err *err)
{
    struct sniff_uplink *uplink = &sniffer->uplinks[sniffer->n];
    const struct sniff_options *options = sniffer->setup.options;
    pthread_condattr_t attr;
    int rc = 0;

    uplink->setup = &sniffer->setup;
    uplink->iface = iface;
    uplink->stop_fds[0] = uplink->stop_fds[1] = -1;
    pthread_mutex_init(&uplink->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&uplink->ended, &attr);
    pthread_condattr_destroy(&attr);
    sniff_capture_init(uplink);
    sniffer->n++;
    id_format(sniffer_id, uplink->sniffer);
    if (options->spool_dir != NULL) {
        rc = spool_place_open(options->spool_dir, iface, &uplink->place, err);
        rc = rc == 0 ? spool_place_id(uplink->place, sniffer_id, uplink->sniffer, err) : rc;
    }
    rc = rc == 0 ? load_streams(uplink, err) : rc;
    rc = rc == 0 ? make_stream(uplink, err) : rc;
    if (rc == 0 && pipe2(uplink->stop_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        rc = err_errno(err, errno, "cannot make a pipe");
    }
    return rc;
}

static void close_uplink(struct sniff_uplink *uplink)
{
    for (size_t i = 0; i < uplink->n_streams; i++) {
        spool_deinit(&uplink->streams[i].spool);
        spool_dir_close(uplink->streams[i].dir);
    }
    for (size_t i = 0; i < 2; i++) {
        if (uplink->stop_fds[i] >= 0) {
            close(uplink->stop_fds[i]);
        }
    }
    if (uplink->first != NULL) {
        uplink->first->ops->close(uplink->first);
    }
    mem_free(uplink->streams);
    spool_section_unref(uplink->section);
    spool_place_close(uplink->place);
    pthread_cond_destroy(&uplink->ended);
    pthread_mutex_destroy(&uplink->mutex);
}

static int start_threads(struct sniff_uplink *uplink, struct err *err)
{
    int errnum = pthread_create(&uplink->capture, NULL, sniff_capture_main, uplink);

    if (errnum != 0) {
        return err_errno(err, errnum, "cannot start a thread");
    }
    errnum = pthread_create(&uplink->sender, NULL, sniff_sender_main, uplink);
    REQUIRE(errnum == 0);
    return 0;
}

static void request_stop(struct sniff_uplink *uplink)
{
    pthread_mutex_lock(&uplink->mutex);
    uplink->stopping = true;
    uplink->deadline_ns = clock_monotonic_ns() + STOP_MS * 1000000ull;
    pthread_mutex_unlock(&uplink->mutex);
    (void)!write(uplink->stop_fds[1], "", 1);
    atomic_store(&uplink->sender_waits, true);
    sniff_wake_sender(uplink);
}

/* The threads have ended: what is left goes to the spool, or is lost and said so. */
static void put_away(struct sniff_uplink *uplink)
{
    struct sniff_stream *live = &uplink->streams[uplink->n_streams - 1];
    uint64_t dropped = live->spool.dropped;

    spool_put_away(&live->spool);
    if (live->dir != NULL) {
        spool_dir_note_taken(live->dir, live->spool.taken);
        spool_dir_note_end(live->dir);
        if (live->spool.head == NULL) {
            spool_dir_remove(live->dir);
        }
    }
    uint64_t left = live->spool.end - spool_first(&live->spool);
    uint64_t lost = live->spool.dropped - dropped;
    log_info("uplink '%s': %" PRIu64 " packets captured, %" PRIu64 " taken by the node, %" PRIu64
             " in the spool, %" PRIu64 " dropped",
             uplink->iface, live->spool.end, live->spool.taken, left, live->spool.dropped);
    if (lost > 0 && live->dir == NULL) {
        log_warn("uplink '%s': %" PRIu64 " packets could not be sent and are lost; with "
                 "--spool-dir they would be kept",
                 uplink->iface, lost);
    }
}

static int open_all(struct sniffer *sniffer, struct err *err)
{
    const struct sniff_options *options = sniffer->setup.options;
    const struct id id = make_id();
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < options->interfaces.n; i++) {
        const char *iface = options->interfaces.items[i];
        struct source *source = NULL;
        rc = sniff_open_source(&sniffer->setup, iface, &source, err);
        if (rc == 0) {
            rc = open_uplink(sniffer, iface, &id, err);
            sniffer->uplinks[i].first = source;
        }
    }
    return rc;
}

static void wait_for_signal(const sigset_t *signals)
{
    int number;

    do {
        number = sigwaitinfo(signals, NULL);
    } while (number != SIGTERM && number != SIGINT);
    log_info("%s: ending", number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static int run_all(struct sniffer *sniffer, const sigset_t *signals, struct err *err)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sniffer->n; i++) {
        rc = start_threads(&sniffer->uplinks[i], err);
        sniffer->n_started += rc == 0 ? 1 : 0;
    }
    if (rc == 0) {
        wait_for_signal(signals);
    }
    for (size_t i = 0; i < sniffer->n_started; i++) {
        request_stop(&sniffer->uplinks[i]);
    }
    for (size_t i = 0; i < sniffer->n_started; i++) {
        pthread_join(sniffer->uplinks[i].capture, NULL);
        pthread_join(sniffer->uplinks[i].sender, NULL);
        put_away(&sniffer->uplinks[i]);
    }
    return rc;
}

static int run(struct command_context *ctx, void *args)
{
    const struct sniff_options *options = args;
    struct sniffer *sniffer = x_alloc(sizeof *sniffer);
    char *key = NULL;
    sigset_t signals;

    log_set_level((enum log_level)options->log_level);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    int rc = check(sniffer, options, &ctx->err);
    rc = rc == 0 ? api_key_text(ctx->global.api_key_file, &key, &ctx->err) : rc;
    sniffer->setup.api_key = key;
    rc = rc == 0 ? open_all(sniffer, &ctx->err) : rc;
    rc = rc == 0 ? privileges_drop(options->user, &ctx->err) : rc;
    rc = rc == 0 ? run_all(sniffer, &signals, &ctx->err) : rc;
    for (size_t i = 0; i < sniffer->n; i++) {
        close_uplink(&sniffer->uplinks[i]);
    }
    mem_free(sniffer);
    sodium_free(key);
    return rc;
}

const struct command cmd_sniff = {
    COMMAND_SNIFF,
    .run = run,
};
