/* SPDX-License-Identifier: Apache-2.0
 *
 * Large reads into one buffer; packets go to the sink straight from it. Between two reads only the
 * tail that holds no whole packet is moved to the front, so the cost of a packet is that of parsing
 * its header. The buffer grows for a packet that does not fit it, up to the limits of the parsers.
 */
#include "shared/capture/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/mem.h"
#include "shared/packet/capture_file.h"

#define READ_BYTES (1024u * 1024u)
/* A pipe that somebody else made non-blocking is waited for so long at a time. */
#define NONBLOCKING_WAIT_MS 100

struct source_file {
    struct source source;
    struct capture_file file;
    char *name; /* for messages; owned */
    int fd;
    bool is_stdin;
    bool at_end;
    uint64_t size; /* 0 = unknown */
    uint64_t n_packets;
    uint8_t *data; /* owned */
    size_t cap;
    size_t start; /* of what is not parsed yet */
    size_t end;
};

static struct source_file *source_file(struct source *source)
{
    return container_of(source, struct source_file, source);
}

static const struct source_file *const_source_file(const struct source *source)
{
    return (const void *)((const char *)source - offsetof(struct source_file, source));
}

static void file_close(struct source *source)
{
    struct source_file *self = source_file(source);

    if (self->fd >= 0 && !self->is_stdin) {
        close(self->fd);
    }
    capture_file_deinit(&self->file);
    mem_free(self->name);
    mem_free(self->data);
    mem_free(self);
}

/* Room for `need` bytes from start on, and never a read of less than a whole buffer can take. */
static int make_room(struct source_file *self, size_t need, struct err *err)
{
    size_t left = self->end - self->start;

    if (self->start > 0) {
        memmove(self->data, self->data + self->start, left);
        self->start = 0;
        self->end = left;
    }
    if (need <= self->cap) {
        return 0;
    }
    uint8_t *data = try_realloc(self->data, need);
    if (data == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory for a packet of %zu bytes", need);
    }
    self->data = data;
    self->cap = need;
    return 0;
}

/* One read(2). 1 when bytes came or the end is known, 0 when a signal came first. */
static int fill(struct source_file *self, struct err *err)
{
    int rc = make_room(self, capture_file_need(&self->file), err);

    if (rc < 0) {
        return rc;
    }
    ssize_t n = read(self->fd, self->data + self->end, self->cap - self->end);
    if (n < 0 && errno == EAGAIN) {
        struct pollfd wait = {.fd = self->fd, .events = POLLIN};
        poll(&wait, 1, NONBLOCKING_WAIT_MS);
        return 0;
    }
    if (n < 0) {
        return errno == EINTR ? 0 : err_errno(err, errno, "cannot read");
    }
    self->at_end = n == 0;
    self->end += (size_t)n;
    return 1;
}

static void publish_interfaces(struct source_file *self)
{
    self->source.ifaces = capture_file_ifaces(&self->file, &self->source.n_ifaces);
}

/* Hands over what is whole in the buffer. SOURCE_STOPPED, or 0 when more bytes are needed. */
static int hand_over(struct source_file *self, struct source_sink *sink, struct err *err)
{
    struct bytes_reader in = bytes_reader(self->data + self->start, self->end - self->start);
    struct packet_view packet;
    bool wanted = true;
    int rc = 0;

    while (wanted && (rc = capture_file_next(&self->file, &in, &packet, err)) == 1) {
        if (packet.iface >= self->source.n_ifaces) {
            publish_interfaces(self);
        }
        self->n_packets++;
        wanted = sink->packet(sink, &packet);
    }
    self->start = self->end - bytes_left(&in);
    publish_interfaces(self);
    return wanted ? rc : SOURCE_STOPPED;
}

static int file_read(struct source *source, struct source_sink *sink, struct err *err)
{
    struct source_file *self = source_file(source);
    int rc = hand_over(self, sink, err);

    if (rc == SOURCE_STOPPED) {
        return rc;
    }
    if (rc == 0 && self->at_end) {
        rc = capture_file_end(&self->file, self->end - self->start, err);
        if (rc == 0) {
            return SOURCE_END;
        }
    }
    if (rc == 0) {
        rc = fill(self, err);
    }
    if (rc < 0) {
        err_wrap(err, "%s", self->name);
        return rc;
    }
    return SOURCE_MORE;
}

static int file_fd(struct source *source)
{
    (void)source;
    return -1;
}

static void file_stats(struct source *source, struct source_stats *out)
{
    *out = (struct source_stats){
        .received = source_file(source)->n_packets,
        .kernel = SOURCE_UNKNOWN,
        .interface = SOURCE_UNKNOWN,
    };
}

static const struct source_ops file_ops = {
    .read = file_read,
    .fd = file_fd,
    .stats = file_stats,
    .close = file_close,
};

static int open_input(struct source_file *self, const char *path, struct err *err)
{
    struct stat st;

    self->is_stdin = strcmp(path, "-") == 0;
    self->name = x_strdup(self->is_stdin ? "standard input" : path);
    self->fd = self->is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (self->fd < 0) {
        return err_errno(err, errno, "cannot open '%s'", path);
    }
    if (isatty(self->fd)) {
        return err_set(err, ERR_USAGE, "%s is a terminal; packets come from a file or a pipe",
                       self->name);
    }
    if (fstat(self->fd, &st) == 0 && S_ISREG(st.st_mode)) {
        self->size = (uint64_t)st.st_size;
        posix_fadvise(self->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    }
    self->cap = READ_BYTES;
    self->data = try_alloc(self->cap);
    return self->data == NULL ? err_set(err, ERR_NO_MEMORY, "no memory to read '%s'", path) : 0;
}

/* Reads up to the first packet, so that the format is known to be right and the interfaces in front
 * of it can be shown. A file that ends or breaks before its first packet is told by the first read,
 * unless not even its header is there. */
static int read_front(struct source_file *self, struct err *err)
{
    int rc;

    for (;;) {
        struct bytes_reader in = bytes_reader(self->data + self->start, self->end - self->start);
        rc = capture_file_skip(&self->file, &in, err);
        self->start = self->end - bytes_left(&in);
        if (rc == 0 && self->at_end) {
            rc = capture_file_end(&self->file, self->end - self->start, err);
            break;
        }
        if (rc != 0) {
            break;
        }
        rc = fill(self, err);
        if (rc == 0 && errno == EINTR) {
            rc = err_set(err, ERR_INTERRUPTED, "interrupted");
        }
        if (rc < 0) {
            break;
        }
    }
    publish_interfaces(self);
    if (rc < 0 && self->source.n_ifaces == 0) {
        err_wrap(err, "%s", self->name);
        return rc;
    }
    return 0;
}

int source_file_open(const char *path, struct source **out, struct err *err)
{
    struct source_file *self = x_alloc(sizeof *self);

    self->source.ops = &file_ops;
    self->fd = -1;
    capture_file_init(&self->file);
    int rc = open_input(self, path, err);
    if (rc == 0) {
        rc = read_front(self, err);
    }
    if (rc < 0) {
        file_close(&self->source);
        return rc;
    }
    *out = &self->source;
    return 0;
}

void source_file_progress(const struct source *source, uint64_t *done, uint64_t *size)
{
    const struct source_file *self = const_source_file(source);

    *done = capture_file_offset(&self->file);
    *size = self->size;
}

void source_file_losses(const struct source *source, uint64_t *cut, uint64_t *options)
{
    const struct source_file *self = const_source_file(source);

    *cut = self->file.pcap.n_cut + self->file.pcapng.n_cut;
    *options = self->file.pcapng.n_options;
}
