/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams are sent one after the other, the oldest first, each over connections of its own. Within
 * a connection: a description, then packets as far as the credit goes, and once a second what the
 * sniffer counts. Whatever breaks, the next connection goes on where the node says.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "node/sniff_internal.h"
#include "shared/base/backoff.h"
#include "shared/base/clock_posix.h"
#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/wire/ws_client.h"

#define MS_NS       1000000ull
#define CONNECT_NS  (15000 * MS_NS)
#define SEND_NS     (60000 * MS_NS) /* the node takes nothing for so long: it is gone */
#define TELL_NS     (1000 * MS_NS)  /* statistics, and the note of what was taken */
#define PING_NS     (15000 * MS_NS) /* nothing came for so long */
#define SILENCE_NS  (45000 * MS_NS) /* nor after that: it is gone */
#define FINISH_NS   (1000 * MS_NS)
#define FLIGHTS_MAX 4096u

/* What was sent and not taken yet. */
struct flight {
    uint64_t end;
    uint64_t cost;
};

enum outcome { GO_ON, BROKEN, FINISHED };

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
    uint64_t flying; /* cost of them all */
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

void sniff_wake_sender(struct sniff_uplink *uplink)
{
    if (atomic_exchange(&uplink->sender_waits, false)) {
        pthread_mutex_lock(&uplink->mutex);
        if (uplink->client != NULL) {
            ws_client_interrupt(uplink->client);
        }
        pthread_mutex_unlock(&uplink->mutex);
    }
}

/* When all must be done; UINT64_MAX while nobody wants an end. */
static uint64_t deadline_of(struct sniff_uplink *uplink)
{
    pthread_mutex_lock(&uplink->mutex);
    uint64_t deadline = uplink->stopping ? uplink->deadline_ns : UINT64_MAX;
    pthread_mutex_unlock(&uplink->mutex);
    return deadline;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum outcome broken(const struct sending *s, const struct err *err)
{
    log_warn("uplink '%s': the connection broke: %s", s->uplink->iface, err->text);
    return BROKEN;
}

static enum outcome send_payload(struct sending *s, uint64_t position, uint32_t n_packets)
{
    const struct ingest_header header = {INGEST_PACKETS, n_packets, position};
    uint64_t until = earlier(clock_monotonic_ns() + SEND_NS, deadline_of(s->uplink));
    struct err err = {0};

    buf_reset(&s->message);
    ingest_encode_packets(s->encoder, &header, s->payload.data, s->payload.len, &s->message);
    int rc = ws_client_send(s->client, WS_BINARY, s->message.data, s->message.len, until, &err);
    return rc < 0 ? broken(s, &err) : GO_ON;
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

/* The packets at the cursor go into the payload behind their section; how many. */
static uint32_t take_packets(struct sending *s, const struct spool_piece *piece)
{
    struct spool_slice slice;

    if (!piece->is_file) {
        put_section(s, &piece->section->bytes);
        slice = spool_slice(piece->data.data, piece->data.len, s->cursor - piece->first,
                            SPOOL_PIECE_BYTES);
    } else {
        if (!read_file(s, piece)) {
            return 0;
        }
        if (s->cursor < s->run_position) {
            s->run_position = piece->first;
            s->run_at = 0;
        }
        put_section(s, &s->file_section);
        slice = spool_slice(s->file_run.data + s->run_at, s->file_run.len - s->run_at,
                            s->cursor - s->run_position, SPOOL_PIECE_BYTES);
        s->run_at = (size_t)(slice.data - s->file_run.data) + slice.n;
        s->run_position = s->cursor + slice.n_packets;
    }
    buf_append(&s->payload, slice.data, slice.n);
    return slice.n_packets;
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

static void note_flight(struct sending *s, uint64_t cost)
{
    s->cost += cost;
    s->flying += cost;
    s->flights[(s->head + s->n_flights++) % FLIGHTS_MAX] =
        (struct flight){.end = s->cursor, .cost = cost};
    pthread_mutex_lock(&s->uplink->mutex);
    spool_sent(&s->stream->spool, s->cursor);
    pthread_mutex_unlock(&s->uplink->mutex);
}

/* Room for a largest message, by the credit and by what may be on its way. */
static bool may_send(const struct sending *s)
{
    uint64_t largest = SPOOL_PIECE_BYTES * 2 + INGEST_MESSAGE_COST;

    return s->cost + largest <= s->credit && s->n_flights < FLIGHTS_MAX &&
           (s->n_flights == 0 || s->flying + largest <= s->uplink->setup->memory_bytes / 2);
}

/* One message of packets. *any tells whether there were any. */
static enum outcome send_packets(struct sending *s, bool *any)
{
    *any = false;
    if (!may_send(s)) {
        return GO_ON;
    }
    struct spool_piece *piece = next_piece(s);
    if (piece == NULL) {
        return GO_ON;
    }
    *any = true;
    buf_reset(&s->payload);
    uint32_t n = take_packets(s, piece);
    if (n == 0) {
        discard(s, piece);
        spool_piece_unref(piece);
        return GO_ON;
    }
    spool_piece_unref(piece);
    uint64_t position = s->cursor;
    uint64_t cost = s->payload.len + INGEST_MESSAGE_COST;
    enum outcome outcome = send_payload(s, position, n);
    s->cursor += n;
    note_flight(s, cost);
    return outcome;
}

static void on_taken(struct sending *s, uint64_t position)
{
    while (s->n_flights > 0 && s->flights[s->head].end <= position) {
        s->flying -= s->flights[s->head].cost;
        s->head = (s->head + 1) % FLIGHTS_MAX;
        s->n_flights--;
    }
    pthread_mutex_lock(&s->uplink->mutex);
    spool_taken(&s->stream->spool, position);
    pthread_mutex_unlock(&s->uplink->mutex);
}

/* What the node said, waiting for it until then. *any: something came. */
static enum outcome receive(struct sending *s, uint64_t until, bool *any)
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
        return GO_ON;
    }
    if (rc == 0) {
        log_warn("uplink '%s': the node ended the connection: %u %.*s", s->uplink->iface, code,
                 (int)n, (const char *)data);
        return BROKEN;
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
        on_taken(s, position);
    }
    return GO_ON;
}

static enum outcome receive_all(struct sending *s)
{
    bool any = true;
    enum outcome outcome = GO_ON;

    while (outcome == GO_ON && any) {
        outcome = receive(s, 0, &any);
    }
    return outcome;
}

/* A description as far as there is one, and what the sniffer counts. */
static enum outcome tell(struct sending *s, uint64_t now)
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
    return s->payload.len > 0 ? send_payload(s, s->cursor, 0) : GO_ON;
}

/* A stream of an earlier run is described by its first file. */
static enum outcome describe_old(struct sending *s)
{
    pthread_mutex_lock(&s->uplink->mutex);
    struct spool_piece *piece = spool_at(&s->stream->spool, spool_first(&s->stream->spool));
    pthread_mutex_unlock(&s->uplink->mutex);
    if (piece == NULL) {
        return GO_ON;
    }
    bool there = read_file(s, piece);
    if (!there) {
        discard(s, piece);
    }
    spool_piece_unref(piece);
    if (!there) {
        return GO_ON;
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

static enum outcome watch_silence(struct sending *s, uint64_t now)
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
    return GO_ON;
}

/* Until something comes, is to be sent, or is due. */
static enum outcome wait(struct sending *s, uint64_t now)
{
    struct sniff_uplink *uplink = s->uplink;
    uint64_t until = earlier(s->told_ns + TELL_NS, deadline_of(uplink));
    bool any;

    (void)now;
    atomic_store(&uplink->sender_waits, true);
    pthread_mutex_lock(&uplink->mutex);
    bool there_is_more = may_send(s) && s->cursor < s->stream->spool.end;
    pthread_mutex_unlock(&uplink->mutex);
    enum outcome outcome = there_is_more ? GO_ON : receive(s, until, &any);
    atomic_store(&uplink->sender_waits, false);
    return outcome;
}

static enum outcome step(struct sending *s)
{
    bool any = false;
    enum outcome outcome = receive_all(s);
    uint64_t now = clock_monotonic_ns(); /* not before what was just heard */

    if (outcome == GO_ON && is_finished(s)) {
        return FINISHED;
    }
    if (outcome == GO_ON && now >= deadline_of(s->uplink)) {
        return BROKEN;
    }
    if (outcome == GO_ON && (now - s->told_ns >= TELL_NS || s->section.len == 0)) {
        outcome = tell(s, now);
    }
    if (outcome == GO_ON) {
        outcome = watch_silence(s, now);
    }
    if (outcome == GO_ON) {
        outcome = send_packets(s, &any);
    }
    return outcome == GO_ON && !any ? wait(s, now) : outcome;
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

static enum outcome send_stream(struct sniff_uplink *uplink, struct sniff_stream *stream,
                                struct ws_client *client)
{
    const char *header = ws_client_header(client, "packetrecorder-position");
    struct sending *s = x_alloc(sizeof *s);
    enum outcome outcome = GO_ON;

    s->uplink = uplink;
    s->stream = stream;
    s->client = client;
    s->encoder = ingest_encoder_new(uplink->setup->options->compress);
    s->heard_ns = clock_monotonic_ns();
    begin(s, header == NULL ? 0 : strtoull(header, NULL, 10));
    if (!stream->is_live) {
        outcome = describe_old(s);
    }
    while (outcome == GO_ON) {
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

/* The next connection, or NULL. */
static struct ws_client *dial(struct sniff_uplink *uplink, struct sniff_stream *stream,
                              struct err *err)
{
    const struct sniff_setup *setup = uplink->setup;
    struct buf target = {0};
    struct ws_client *client = NULL;
    unsigned status = 0;

    pthread_mutex_lock(&uplink->mutex);
    uint64_t taken = stream->spool.taken;
    pthread_mutex_unlock(&uplink->mutex);
    sniff_target(uplink, stream, taken, &target);
    buf_put_u8(&target, 0);
    const struct ws_client_opts opts = {
        .endpoint = &setup->endpoint,
        .target = (const char *)target.data,
        .api_key = setup->api_key,
        .ca_file = setup->options->ca_file,
        .max_message = INGEST_MESSAGE_MAX,
        .local_port_from = SNIFF_PORT_FROM,
        .local_port_to = SNIFF_PORT_TO,
    };
    uint64_t until = earlier(clock_monotonic_ns() + CONNECT_NS, deadline_of(uplink));
    int rc = ws_client_open(&opts, until, &client, &status, err);
    buf_deinit(&target);
    if (rc < 0 && status != 0) {
        err_wrap(err, "the node answered %u", status);
    }
    return rc < 0 ? NULL : client;
}

static void set_client(struct sniff_uplink *uplink, struct ws_client *client)
{
    pthread_mutex_lock(&uplink->mutex);
    uplink->client = client;
    pthread_mutex_unlock(&uplink->mutex);
}

/* Waits before the next try, in steps that an end can interrupt. */
static void back_off(struct sniff_uplink *uplink, struct backoff *backoff)
{
    uint64_t random = 0;

    (void)!getrandom(&random, sizeof random, 0);
    uint64_t until = clock_monotonic_ns() + backoff_next_ns(backoff, random);
    while (clock_monotonic_ns() < earlier(until, deadline_of(uplink))) {
        nanosleep(&(struct timespec){.tv_nsec = 50 * (long)MS_NS}, NULL);
    }
}

/* The oldest stream that is not finished; the live one when it is the only one. */
static struct sniff_stream *choose(struct sniff_uplink *uplink)
{
    size_t i = 0;

    pthread_mutex_lock(&uplink->mutex);
    while (i + 1 < uplink->n_streams && uplink->streams[i].spool.head == NULL) {
        i++;
    }
    pthread_mutex_unlock(&uplink->mutex);
    return &uplink->streams[i];
}

static void connect_once(struct sniff_uplink *uplink, struct backoff *backoff, struct err *last)
{
    struct sniff_stream *stream = choose(uplink);
    struct err err = {0};
    struct ws_client *client = dial(uplink, stream, &err);

    if (client == NULL) {
        if (strcmp(err.text, last->text) != 0) {
            log_warn("uplink '%s': %s; it is tried again", uplink->iface, err.text);
            *last = err;
        }
        back_off(uplink, backoff);
        return;
    }
    log_info("uplink '%s': connected", uplink->iface);
    uint64_t began = clock_monotonic_ns();
    set_client(uplink, client);
    enum outcome outcome = send_stream(uplink, stream, client);
    set_client(uplink, NULL);
    last->text[0] = '\0';
    if (outcome == FINISHED) {
        ws_client_finish(client, WS_CLOSE_NORMAL, "",
                         earlier(clock_monotonic_ns() + FINISH_NS, deadline_of(uplink)));
        if (stream->dir != NULL) {
            spool_dir_remove(stream->dir);
        }
    } else {
        ws_client_close(client);
    }
    if (outcome == FINISHED || clock_monotonic_ns() - began > PING_NS) {
        backoff_reset(backoff);
    }
    if (outcome == BROKEN) {
        back_off(uplink, backoff);
    }
}

/* Everything of this run is taken, or the time is over. */
static bool is_over(struct sniff_uplink *uplink)
{
    pthread_mutex_lock(&uplink->mutex);
    const struct sniff_stream *live = &uplink->streams[uplink->n_streams - 1];
    bool empty = uplink->capture_ended;
    for (size_t i = 0; i < uplink->n_streams; i++) {
        empty = empty && uplink->streams[i].spool.head == NULL;
    }
    bool over = empty && live->spool.taken >= live->spool.end;
    pthread_mutex_unlock(&uplink->mutex);
    return over || clock_monotonic_ns() >= deadline_of(uplink);
}

void *sniff_sender_main(void *arg)
{
    struct sniff_uplink *uplink = arg;
    struct backoff backoff = {0};
    struct err last = {0};

    while (!is_over(uplink)) {
        connect_once(uplink, &backoff, &last);
    }
    pthread_mutex_lock(&uplink->mutex);
    uplink->sender_ended = true;
    pthread_mutex_unlock(&uplink->mutex);
    return NULL;
}
