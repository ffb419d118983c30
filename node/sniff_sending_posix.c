/* SPDX-License-Identifier: Apache-2.0
 *
 * One stream over one connection: a description, then packets as far as the credit goes, and once a
 * second what the sniffer counts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "node/sniff_internal.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/wire/ws_client.h"

#define MS_NS       1000000ull
#define SEND_NS     (60000 * MS_NS) /* the node takes nothing for so long: it is gone */
#define TELL_NS     (1000 * MS_NS)  /* statistics, and the note of what was taken */
#define PING_NS     (15000 * MS_NS) /* nothing came for so long */
#define SILENCE_NS  (45000 * MS_NS) /* nor after that: it is gone */
#define FLIGHTS_MAX 4096u

/* What was sent and not taken yet. */
struct flight {
    uint64_t end;
    uint64_t cost;
    bool is_file; /* it lies on disk until it is taken, not in memory */
};

/* One connection. */
struct sending {
    struct sniff_uplink *uplink;
    struct sniff_stream *stream;
    struct ws_client *client;
    struct ingest_encoder *encoder;
    struct buf section; /* as the node knows it */
    struct buf payload;
    struct buf message;
    uint64_t cursor; /* position of the next packet to be sent */
    uint64_t credit;
    uint64_t cost;
    struct flight flights[FLIGHTS_MAX]; /* a ring */
    uint32_t head;
    uint32_t n_flights;
    uint64_t flying[2]; /* cost of them all: in memory, in files */
    bool blocked;       /* what comes next does not fit until the node has said something */
    uint64_t told_ns;
    uint64_t heard_ns;
    bool pinged;
    /* the file that is being read */
    uint64_t file_first;
    bool has_file;
    struct buf file_section;
    struct buf file_run;
    size_t run_at; /* in the run, of the packet run_position */
    uint64_t run_position;
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum sniff_outcome broken(const struct sending *s, const struct err *err)
{
    log_warn("uplink '%s': the connection broke: %s", s->uplink->iface, err->text);
    return SNIFF_BROKEN;
}

static enum sniff_outcome send_payload(struct sending *s, uint64_t position, uint32_t n_packets)
{
    const struct ingest_header header = {INGEST_PACKETS, n_packets, position};
    uint64_t until = earlier(clock_monotonic_ns() + SEND_NS, sniff_deadline_ns(s->uplink));
    struct err err = {0};

    buf_reset(&s->message);
    ingest_encode_packets(s->encoder, &header, s->payload.data, s->payload.len, &s->message);
    int rc = ws_client_send(s->client, WS_BINARY, s->message.data, s->message.len, until, &err);
    return rc < 0 ? broken(s, &err) : SNIFF_GO_ON;
}

static void put_section(struct sending *s, const struct buf *section)
{
    if (s->section.len == section->len &&
        memcmp(s->section.data, section->data, section->len) == 0) {
        return;
    }
    buf_reset(&s->section);
    buf_append(&s->section, section->data, section->len);
    buf_append(&s->payload, section->data, section->len);
}

/* The file of the piece, read whole. False: it was dropped or is damaged, and is gone now. */
static bool read_file(struct sending *s, const struct spool_piece *piece)
{
    struct err err = {0};

    if (s->has_file && s->file_first == piece->first) {
        return true;
    }
    int rc = spool_dir_read(s->stream->dir, piece->first, &s->file_section, &s->file_run, &err);
    s->has_file = rc == 0;
    s->file_first = s->run_position = piece->first;
    s->run_at = 0;
    if (rc < 0 && rc != ERR_NOT_FOUND) {
        log_error("%s", err.text);
    }
    return rc == 0;
}

static void discard(struct sending *s, const struct spool_piece *piece)
{
    pthread_mutex_lock(&s->uplink->mutex);
    spool_discard(&s->stream->spool, piece->first);
    pthread_mutex_unlock(&s->uplink->mutex);
    s->has_file = false;
}

/* The packets at the cursor, as many as go into one message. False: they cannot be read. */
static bool peek(struct sending *s, const struct spool_piece *piece, struct spool_slice *out)
{
    if (!piece->is_file) {
        *out = spool_slice(piece->data.data, piece->data.len, s->cursor - piece->first,
                           SPOOL_PIECE_BYTES);
        return out->n_packets > 0;
    }
    if (!read_file(s, piece)) {
        return false;
    }
    if (s->cursor < s->run_position) {
        s->run_position = piece->first;
        s->run_at = 0;
    }
    *out = spool_slice(s->file_run.data + s->run_at, s->file_run.len - s->run_at,
                       s->cursor - s->run_position, SPOOL_PIECE_BYTES);
    return out->n_packets > 0;
}

/* How those packets are described. */
static const struct buf *section_of(const struct sending *s, const struct spool_piece *piece)
{
    return piece->is_file ? &s->file_section : &piece->section->bytes;
}

/* They go into the payload, behind their section. */
static void take_packets(struct sending *s, const struct spool_piece *piece,
                         const struct spool_slice *slice)
{
    put_section(s, section_of(s, piece));
    buf_append(&s->payload, slice->data, slice->n);
    if (piece->is_file) {
        s->run_at = (size_t)(slice->data - s->file_run.data) + slice->n;
        s->run_position = s->cursor + slice->n_packets;
    }
}

static struct spool_piece *next_piece(struct sending *s)
{
    pthread_mutex_lock(&s->uplink->mutex);
    struct spool_piece *piece = spool_at(&s->stream->spool, s->cursor);
    pthread_mutex_unlock(&s->uplink->mutex);
    if (piece != NULL && piece->first > s->cursor) {
        s->cursor = piece->first; /* what was between has been dropped */
    }
    return piece;
}

static void note_flight(struct sending *s, uint64_t cost, bool is_file)
{
    s->cost += cost;
    s->flying[is_file] += cost;
    s->flights[(s->head + s->n_flights++) % FLIGHTS_MAX] =
        (struct flight){.end = s->cursor, .cost = cost, .is_file = is_file};
    pthread_mutex_lock(&s->uplink->mutex);
    spool_sent(&s->stream->spool, s->cursor);
    pthread_mutex_unlock(&s->uplink->mutex);
}

/* By the credit, and by what may be on its way: half of the place where it lies, so that the other
 * half can be dropped when that gets full. Nothing comes to a stream of an earlier run any more. */
static bool has_room(const struct sending *s, uint64_t cost, bool is_file)
{
    const struct sniff_setup *setup = s->uplink->setup;
    uint64_t limit = (is_file ? setup->spool_bytes : setup->memory_bytes) / 2;

    return s->cost + cost <= s->credit && s->n_flights < FLIGHTS_MAX &&
           (s->flying[is_file] == 0 || !s->stream->is_live || s->flying[is_file] + cost <= limit);
}

static enum sniff_outcome send_piece(struct sending *s, const struct spool_piece *piece, bool *any)
{
    struct spool_slice slice;

    if (!peek(s, piece, &slice)) {
        discard(s, piece);
        *any = true;
        return SNIFF_GO_ON;
    }
    uint64_t cost = section_of(s, piece)->len + slice.n + INGEST_MESSAGE_COST;
    *any = has_room(s, cost, piece->is_file);
    s->blocked = !*any;
    if (s->blocked) {
        return SNIFF_GO_ON;
    }
    buf_reset(&s->payload);
    take_packets(s, piece, &slice);
    cost = s->payload.len + INGEST_MESSAGE_COST;
    enum sniff_outcome outcome = send_payload(s, s->cursor, slice.n_packets);
    s->cursor += slice.n_packets;
    note_flight(s, cost, piece->is_file);
    return outcome;
}

/* One message of packets. *any tells whether there is to be another look at once. */
static enum sniff_outcome send_packets(struct sending *s, bool *any)
{
    struct spool_piece *piece = s->blocked ? NULL : next_piece(s);
    enum sniff_outcome outcome = SNIFF_GO_ON;

    *any = false;
    if (piece != NULL) {
        outcome = send_piece(s, piece, any);
        spool_piece_unref(piece);
    }
    return outcome;
}

static void on_taken(struct sending *s, uint64_t position)
{
    while (s->n_flights > 0 && s->flights[s->head].end <= position) {
        s->flying[s->flights[s->head].is_file] -= s->flights[s->head].cost;
        s->head = (s->head + 1) % FLIGHTS_MAX;
        s->n_flights--;
    }
    pthread_mutex_lock(&s->uplink->mutex);
    spool_taken(&s->stream->spool, position);
    pthread_mutex_unlock(&s->uplink->mutex);
}

/* What the node said, waiting for it until then. *any: something came. */
static enum sniff_outcome receive(struct sending *s, uint64_t until, bool *any)
{
    enum ws_opcode opcode;
    const uint8_t *data;
    size_t n;
    uint16_t code = 0;
    uint64_t position;
    uint64_t credit;
    struct err err = {0};

    *any = false;
    int rc = ws_client_receive(s->client, until, &opcode, &data, &n, &code, &err);
    if (rc == -ETIMEDOUT || rc == ERR_INTERRUPTED) {
        return SNIFF_GO_ON;
    }
    if (rc == 0) {
        log_warn("uplink '%s': the node ended the connection: %u %.*s", s->uplink->iface, code,
                 (int)n, (const char *)data);
        return SNIFF_BROKEN;
    }
    if (rc < 0) {
        return broken(s, &err);
    }
    *any = true;
    s->heard_ns = clock_monotonic_ns();
    s->pinged = false;
    if (opcode == WS_BINARY) {
        if (ingest_decode_taken(data, n, &position, &credit, &err) < 0) {
            return broken(s, &err);
        }
        s->credit = credit > s->credit ? credit : s->credit;
        s->blocked = false;
        on_taken(s, position);
    }
    return SNIFF_GO_ON;
}

static enum sniff_outcome receive_all(struct sending *s)
{
    bool any = true;
    enum sniff_outcome outcome = SNIFF_GO_ON;

    while (outcome == SNIFF_GO_ON && any) {
        outcome = receive(s, 0, &any);
    }
    return outcome;
}

/* A description as far as there is one, and what the sniffer counts. */
static enum sniff_outcome tell(struct sending *s, uint64_t now)
{
    struct sniff_uplink *uplink = s->uplink;
    bool has_section = s->section.len > 0;

    s->told_ns = now;
    buf_reset(&s->payload);
    pthread_mutex_lock(&uplink->mutex);
    if (!has_section && s->stream->is_live && uplink->section != NULL) {
        put_section(s, &uplink->section->bytes);
        has_section = true;
    }
    if (has_section && s->stream->is_live) {
        sniff_put_statistics(uplink, s->stream, clock_wall_ns(), &s->payload);
    }
    uint64_t taken = s->stream->spool.taken;
    pthread_mutex_unlock(&uplink->mutex);
    if (s->stream->dir != NULL && taken != s->stream->noted_taken) {
        s->stream->noted_taken = taken;
        spool_dir_note_taken(s->stream->dir, taken);
    }
    return s->payload.len > 0 ? send_payload(s, s->cursor, 0) : SNIFF_GO_ON;
}

/* A stream of an earlier run is described by its first file. */
static enum sniff_outcome describe_old(struct sending *s)
{
    pthread_mutex_lock(&s->uplink->mutex);
    struct spool_piece *piece = spool_at(&s->stream->spool, spool_first(&s->stream->spool));
    pthread_mutex_unlock(&s->uplink->mutex);
    if (piece == NULL) {
        return SNIFF_GO_ON;
    }
    bool there = read_file(s, piece);
    if (!there) {
        discard(s, piece);
    }
    spool_piece_unref(piece);
    if (!there) {
        return SNIFF_GO_ON;
    }
    buf_reset(&s->payload);
    put_section(s, &s->file_section);
    return send_payload(s, s->cursor, 0);
}

static bool is_finished(struct sending *s)
{
    struct sniff_uplink *uplink = s->uplink;

    pthread_mutex_lock(&uplink->mutex);
    const struct spool *spool = &s->stream->spool;
    bool all_taken = spool->head == NULL || spool->taken >= spool->end;
    bool ends = !s->stream->is_live || uplink->capture_ended;
    pthread_mutex_unlock(&uplink->mutex);
    return all_taken && ends;
}

/* All is taken. A stream of an earlier run that was killed ends without the word. */
static enum sniff_outcome say_goodbye(struct sending *s)
{
    enum sniff_outcome outcome = s->stream->is_live ? tell(s, s->told_ns) : SNIFF_GO_ON;

    if (outcome == SNIFF_GO_ON && s->section.len > 0 &&
        (s->stream->is_live || spool_dir_has_end(s->stream->dir))) {
        buf_reset(&s->payload);
        sniff_put_goodbye(clock_wall_ns(), &s->payload);
        outcome = send_payload(s, s->cursor, 0);
    }
    return outcome == SNIFF_GO_ON ? SNIFF_FINISHED : outcome;
}

static enum sniff_outcome watch_silence(struct sending *s, uint64_t now)
{
    struct err err = {0};

    if (now - s->heard_ns > SILENCE_NS) {
        err_set(&err, -ETIMEDOUT, "nothing was heard of the node for %llu s",
                SILENCE_NS / 1000 / MS_NS);
        return broken(s, &err);
    }
    if (now - s->heard_ns > PING_NS && !s->pinged) {
        s->pinged = true;
        if (ws_client_send(s->client, WS_PING, NULL, 0, now + SEND_NS, &err) < 0) {
            return broken(s, &err);
        }
    }
    return SNIFF_GO_ON;
}

/* Until something comes, is to be sent, or is due. */
static enum sniff_outcome wait(struct sending *s, uint64_t now)
{
    struct sniff_uplink *uplink = s->uplink;
    uint64_t until = earlier(s->told_ns + TELL_NS, sniff_deadline_ns(uplink));
    bool any;

    (void)now;
    atomic_store(&uplink->sender_waits, true);
    pthread_mutex_lock(&uplink->mutex);
    bool there_is_more = !s->blocked && s->cursor < s->stream->spool.end;
    pthread_mutex_unlock(&uplink->mutex);
    enum sniff_outcome outcome = there_is_more ? SNIFF_GO_ON : receive(s, until, &any);
    atomic_store(&uplink->sender_waits, false);
    return outcome;
}

static enum sniff_outcome step(struct sending *s)
{
    bool any = false;
    enum sniff_outcome outcome = receive_all(s);
    uint64_t now = clock_monotonic_ns(); /* not before what was just heard */

    if (outcome == SNIFF_GO_ON && is_finished(s)) {
        return say_goodbye(s);
    }
    if (outcome == SNIFF_GO_ON && now >= sniff_deadline_ns(s->uplink)) {
        return SNIFF_BROKEN;
    }
    if (outcome == SNIFF_GO_ON && (now - s->told_ns >= TELL_NS || s->section.len == 0)) {
        outcome = tell(s, now);
    }
    if (outcome == SNIFF_GO_ON) {
        outcome = watch_silence(s, now);
    }
    if (outcome == SNIFF_GO_ON) {
        outcome = send_packets(s, &any);
    }
    return outcome == SNIFF_GO_ON && !any ? wait(s, now) : outcome;
}

/* Where this connection goes on. */
static void begin(struct sending *s, uint64_t position)
{
    pthread_mutex_lock(&s->uplink->mutex);
    struct spool *spool = &s->stream->spool;
    uint64_t first = spool_first(spool);
    s->cursor = position > first ? position : first;
    spool_sent(spool, earlier(position, spool->end));
    if (!s->stream->is_live && position > spool->end) {
        spool_taken(spool, spool->end); /* it got what was lost here */
    }
    pthread_mutex_unlock(&s->uplink->mutex);
}

enum sniff_outcome sniff_send_stream(struct sniff_uplink *uplink, struct sniff_stream *stream,
                                     struct ws_client *client)
{
    const char *header = ws_client_header(client, "packetrecorder-position");
    struct sending *s = x_alloc(sizeof *s);
    enum sniff_outcome outcome = SNIFF_GO_ON;

    s->uplink = uplink;
    s->stream = stream;
    s->client = client;
    s->encoder = ingest_encoder_new(uplink->setup->options->compress);
    s->heard_ns = clock_monotonic_ns();
    begin(s, header == NULL ? 0 : strtoull(header, NULL, 10));
    if (!stream->is_live) {
        outcome = describe_old(s);
    }
    while (outcome == SNIFF_GO_ON) {
        outcome = step(s);
    }
    ingest_encoder_free(s->encoder);
    buf_deinit(&s->section);
    buf_deinit(&s->payload);
    buf_deinit(&s->message);
    buf_deinit(&s->file_section);
    buf_deinit(&s->file_run);
    mem_free(s);
    return outcome;
}
