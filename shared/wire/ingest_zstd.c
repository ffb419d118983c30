/* SPDX-License-Identifier: Apache-2.0
 *
 * The payload is inflated into one buffer of the largest size that is allowed plus a byte: a
 * payload that reaches that byte is refused, whatever it would have become.
 */
#include "shared/wire/ingest.h"

#include <inttypes.h>
#include <string.h>

#include <zstd.h>

#include "shared/base/mem.h"
#include "shared/packet/pcapng.h"

#define LEVEL      1
#define WINDOW_LOG 20

struct ingest_encoder {
    ZSTD_CCtx *zstd; /* NULL: not compressed */
};

struct ingest_decoder {
    ZSTD_DCtx *zstd;   /* NULL: not compressed */
    uint8_t *inflated; /* INGEST_PAYLOAD_MAX + 1 bytes; NULL without zstd */
    bool in_section;
    bool failed;
    struct pcapng_reader reader;
    struct ingest_batch *batch; /* that statistics go to; during a call */
};

bool ingest_name_is_good(const char *text)
{
    size_t n = strlen(text);

    return n > 0 && n < INGEST_NAME_MAX && text[0] != '.' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == n;
}

bool ingest_interface_is_good(const char *text)
{
    size_t n = strlen(text);

    for (size_t i = 0; i < n; i++) {
        if (text[i] <= ' ' || text[i] > '~' || strchr("/%?#\"\\", text[i]) != NULL) {
            return false;
        }
    }
    return n > 0 && n < INGEST_NAME_MAX;
}

struct ingest_encoder *ingest_encoder_new(bool compress)
{
    struct ingest_encoder *encoder = x_alloc(sizeof *encoder);

    if (compress) {
        encoder->zstd = ZSTD_createCCtx();
        REQUIRE(encoder->zstd != NULL);
        ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_compressionLevel, LEVEL);
        ZSTD_CCtx_setParameter(encoder->zstd, ZSTD_c_windowLog, WINDOW_LOG);
    }
    return encoder;
}

void ingest_encoder_free(struct ingest_encoder *encoder)
{
    if (encoder != NULL) {
        ZSTD_freeCCtx(encoder->zstd);
        mem_free(encoder);
    }
}

static void put_header(struct buf *out, const struct ingest_header *header)
{
    buf_put_le32(out, (uint32_t)header->kind);
    buf_put_le32(out, header->n_packets);
    buf_put_le64(out, header->position);
}

static void compress(ZSTD_CCtx *zstd, const void *payload, size_t n, struct buf *out)
{
    ZSTD_inBuffer in = {.src = payload, .size = n};
    size_t left;

    do {
        size_t room = ZSTD_compressBound(n - in.pos) + 64;
        buf_reserve(out, room);
        ZSTD_outBuffer to = {.dst = out->data + out->len, .size = room};
        left = ZSTD_compressStream2(zstd, &to, &in, ZSTD_e_flush);
        REQUIRE(!ZSTD_isError(left));
        out->len += to.pos;
    } while (left > 0 || in.pos < in.size);
}

void ingest_encode_packets(struct ingest_encoder *encoder, const struct ingest_header *header,
                           const void *payload, size_t n, struct buf *out)
{
    REQUIRE(n <= INGEST_PAYLOAD_MAX && header->kind == INGEST_PACKETS);
    put_header(out, header);
    if (encoder->zstd == NULL) {
        buf_append(out, payload, n);
    } else {
        compress(encoder->zstd, payload, n, out);
    }
}

void ingest_encode_taken(uint64_t position, uint64_t credit, struct buf *out)
{
    put_header(out, &(struct ingest_header){.kind = INGEST_TAKEN, .position = position});
    buf_put_le64(out, credit);
}

static int read_header(struct bytes_reader *in, enum ingest_kind wanted, struct ingest_header *out,
                       struct err *err)
{
    uint32_t kind = bytes_le32(in);

    *out = (struct ingest_header){.kind = wanted};
    out->n_packets = bytes_le32(in);
    out->position = bytes_le64(in);
    if (in->failed) {
        return err_set(err, ERR_DAMAGED, "a message is shorter than its header");
    }
    if (kind != (uint32_t)wanted) {
        return err_set(err, ERR_DAMAGED, "a message of kind %" PRIu32 " where %d was expected",
                       kind, (int)wanted);
    }
    if (out->position > INGEST_POSITION_MAX) {
        return err_set(err, ERR_LIMIT, "position %" PRIu64 " is beyond what can be counted",
                       out->position);
    }
    return 0;
}

int ingest_decode_taken(const uint8_t *data, size_t n, uint64_t *position, uint64_t *credit,
                        struct err *err)
{
    struct bytes_reader in = bytes_reader(data, n);
    struct ingest_header header;
    int rc = read_header(&in, INGEST_TAKEN, &header, err);

    if (rc < 0) {
        return rc;
    }
    uint64_t told = bytes_le64(&in);
    if (in.failed) {
        return err_set(err, ERR_DAMAGED, "a message is shorter than its kind has to be");
    }
    *position = header.position;
    *credit = told;
    return 0;
}

static void on_statistics(void *arg, uint32_t iface, const struct pcapng_told_statistics *told)
{
    struct ingest_decoder *decoder = arg;

    (void)iface;
    if (decoder->batch != NULL) {
        decoder->batch->has_statistics = true;
        decoder->batch->statistics = *told;
    }
}

static void begin_section(struct ingest_decoder *decoder)
{
    pcapng_reader_deinit(&decoder->reader);
    decoder->reader.max_ifaces = 1;
    decoder->reader.statistics = on_statistics;
    decoder->reader.statistics_arg = decoder;
}

struct ingest_decoder *ingest_decoder_new(bool compressed)
{
    struct ingest_decoder *decoder = x_alloc(sizeof *decoder);

    pcapng_reader_init(&decoder->reader);
    if (compressed) {
        decoder->zstd = ZSTD_createDCtx();
        REQUIRE(decoder->zstd != NULL);
        ZSTD_DCtx_setParameter(decoder->zstd, ZSTD_d_windowLogMax, WINDOW_LOG);
        decoder->inflated = x_alloc(INGEST_PAYLOAD_MAX + 1);
    }
    return decoder;
}

void ingest_decoder_free(struct ingest_decoder *decoder)
{
    if (decoder != NULL) {
        pcapng_reader_deinit(&decoder->reader);
        ZSTD_freeDCtx(decoder->zstd);
        mem_free(decoder->inflated);
        mem_free(decoder);
    }
}

/* *payload is what the bytes stand for, borrowed from them or from the decoder. */
static int inflate(struct ingest_decoder *decoder, struct bytes_reader in,
                   struct bytes_reader *payload, struct err *err)
{
    size_t n = bytes_left(&in);

    if (decoder->zstd != NULL) {
        ZSTD_inBuffer from = {.src = in.p, .size = n};
        ZSTD_outBuffer to = {.dst = decoder->inflated, .size = INGEST_PAYLOAD_MAX + 1};
        while (from.pos < from.size && to.pos < to.size) {
            size_t rc = ZSTD_decompressStream(decoder->zstd, &to, &from);
            if (ZSTD_isError(rc)) {
                return err_set(err, ERR_DAMAGED, "the payload cannot be inflated: %s",
                               ZSTD_getErrorName(rc));
            }
        }
        n = to.pos;
        in.p = decoder->inflated;
    }
    if (n > INGEST_PAYLOAD_MAX) {
        return err_set(err, ERR_LIMIT, "a payload is longer than %u bytes", INGEST_PAYLOAD_MAX);
    }
    *payload = bytes_reader(in.p, n);
    return 0;
}

/* Behind the others. Our layout is as long as the sender's as a rule; a Simple or obsolete Packet
 * Block grows by up to 16 bytes of its 16 or more, hence twice the payload is always enough. */
static bool put_packet(struct block **block, const struct packet_view *packet, size_t payload)
{
    if (*block == NULL) {
        *block = block_new((uint32_t)payload);
    }
    if (*block == NULL || block_append_as(*block, packet, 0, packet->caplen)) {
        return *block != NULL;
    }
    struct block *larger = block_new((uint32_t)payload * 2);
    if (larger == NULL) {
        return false;
    }
    memcpy(larger->data, (*block)->data, (*block)->len);
    larger->len = (*block)->len;
    larger->n_packets = (*block)->n_packets;
    larger->packet_bytes = (*block)->packet_bytes;
    larger->min_ns = (*block)->min_ns;
    larger->max_ns = (*block)->max_ns;
    block_unref(*block);
    *block = larger;
    REQUIRE(block_append_as(larger, packet, 0, packet->caplen));
    return true;
}

static int read_packets(struct ingest_decoder *decoder, struct bytes_reader *payload,
                        uint64_t wanted_from, struct ingest_batch *out, struct err *err)
{
    uint64_t position = out->header.position;
    size_t n = bytes_left(payload);
    struct packet_view packet;
    int rc;

    while ((rc = pcapng_reader_next(&decoder->reader, payload, &packet, err)) == 1) {
        if (position - out->header.position >= out->header.n_packets) {
            return err_set(err, ERR_DAMAGED,
                           "more packets in a message than the %" PRIu32 " that it announces",
                           out->header.n_packets);
        }
        if (position++ < wanted_from) {
            continue;
        }
        if (!put_packet(&out->block, &packet, n)) {
            return err_set(err, ERR_NO_MEMORY, "no memory for a message of packets");
        }
    }
    if (rc == 0 && bytes_left(payload) > 0) {
        return err_set(err, ERR_DAMAGED, "a message ends inside of a block");
    }
    if (rc == 0 && position - out->header.position != out->header.n_packets) {
        return err_set(err, ERR_DAMAGED, "%" PRIu64 " packets in a message that announces %" PRIu32,
                       position - out->header.position, out->header.n_packets);
    }
    return rc;
}

static int decode(struct ingest_decoder *decoder, struct bytes_reader in, uint64_t wanted_from,
                  struct ingest_batch *out, struct err *err)
{
    struct bytes_reader payload = bytes_reader("", 0);
    int rc = read_header(&in, INGEST_PACKETS, &out->header, err);

    rc = rc == 0 ? inflate(decoder, in, &payload, err) : rc;
    if (rc < 0) {
        return rc;
    }
    out->cost = out->header.n_packets == 0 ? 0 : bytes_left(&payload) + INGEST_MESSAGE_COST;
    out->is_new_section = bytes_left(&payload) >= 4 && pcapng_is_magic(payload.p);
    if (out->is_new_section) {
        begin_section(decoder);
        decoder->in_section = true;
    } else if (!decoder->in_section) {
        return err_set(err, ERR_DAMAGED, "the first message does not begin with a section header");
    }
    rc = read_packets(decoder, &payload, wanted_from, out, err);
    out->iface = decoder->reader.n_ifaces > 0 ? &decoder->reader.ifaces[0] : NULL;
    return rc;
}

int ingest_decode_packets(struct ingest_decoder *decoder, const uint8_t *data, size_t n,
                          uint64_t wanted_from, struct ingest_batch *out, struct err *err)
{
    struct ingest_batch batch = {0};

    REQUIRE(!decoder->failed);
    decoder->batch = &batch;
    int rc = decode(decoder, bytes_reader(data, n), wanted_from, &batch, err);
    decoder->batch = NULL;
    if (rc < 0) {
        decoder->failed = true;
        block_unref(batch.block);
        return rc;
    }
    *out = batch;
    return 0;
}
