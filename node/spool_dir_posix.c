/* SPDX-License-Identifier: Apache-2.0 */
#include "node/spool_dir_posix.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/log.h"
#include "shared/base/mem.h"
#include "shared/packet/pcapng_read.h"

#define FILE_NAME_MAX 32
#define TAKEN_NAME    "taken"
#define NOTE_BYTES    9 /* of it */

struct spool_place {
    char *path; /* SPOOL/IFACE */
    int base_fd;
    int fd;
    int lock_fd;
};

struct spool_dir {
    struct spool_place *place;
    char stream[ID_TEXT_MAX];
    int fd;      /* -1: not made yet */
    int file_fd; /* that is appended to; -1: none */
    off_t file_bytes;
    int taken_fd;
};

static int open_dir(int at, const char *path)
{
    if (mkdirat(at, path, 0700) < 0 && errno != EEXIST) {
        return -1;
    }
    return openat(at, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int spool_place_open(const char *path, const char *iface, struct spool_place **out, struct err *err)
{
    struct spool_place *place = x_alloc(sizeof *place);

    place->fd = place->lock_fd = -1;
    place->path = x_sprintf("%s/%s", path, iface);
    place->base_fd = open_dir(AT_FDCWD, path);
    if (place->base_fd >= 0) {
        place->fd = open_dir(place->base_fd, iface);
    }
    if (place->fd >= 0) {
        place->lock_fd = openat(place->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    }
    int rc = 0;
    if (place->lock_fd < 0) {
        rc = err_errno(err, errno, "cannot open the spool '%s'", place->path);
    } else if (flock(place->lock_fd, LOCK_EX | LOCK_NB) < 0) {
        rc = err_set(err, ERR_IN_USE,
                     "another sniffer uses the spool '%s'; give this one another --spool-dir",
                     place->path);
    }
    if (rc < 0) {
        spool_place_close(place);
        return rc;
    }
    *out = place;
    return 0;
}

static void close_fd(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

void spool_place_close(struct spool_place *place)
{
    if (place != NULL) {
        close_fd(place->lock_fd);
        close_fd(place->fd);
        close_fd(place->base_fd);
        mem_free(place->path);
        mem_free(place);
    }
}

static bool read_id(int at, char out[ID_TEXT_MAX])
{
    char text[ID_TEXT_MAX] = "";
    struct id id;
    int fd = openat(at, "sniffer-id", O_RDONLY | O_CLOEXEC);

    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n != ID_TEXT_MAX - 1 || !id_parse(text, &id)) {
        return false;
    }
    memcpy(out, text, ID_TEXT_MAX);
    return true;
}

int spool_place_id(struct spool_place *place, const struct id *fresh, char out[ID_TEXT_MAX],
                   struct err *err)
{
    if (read_id(place->base_fd, out)) {
        return 0;
    }
    id_format(fresh, out);
    int fd = openat(place->base_fd, "sniffer-id", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, out, ID_TEXT_MAX - 1) != ID_TEXT_MAX - 1) {
        int errnum = errno;
        close_fd(fd);
        return err_errno(err, errnum, "cannot write 'sniffer-id' beside '%s'", place->path);
    }
    close(fd);
    return 0;
}

static int compare_ids(const void *a, const void *b)
{
    return strcmp(a, b);
}

int spool_place_streams(struct spool_place *place, char (**out)[ID_TEXT_MAX], size_t *n,
                        struct err *err)
{
    char(*ids)[ID_TEXT_MAX] = x_alloc(SPOOL_STREAMS_MAX * sizeof *ids);
    int fd = openat(place->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *entry;
    struct id id;

    if (listing == NULL) {
        int errnum = errno;
        close_fd(fd);
        mem_free(ids);
        return err_errno(err, errnum, "cannot list the spool '%s'", place->path);
    }
    *n = 0;
    while ((entry = readdir(listing)) != NULL && *n < SPOOL_STREAMS_MAX) {
        if (id_parse(entry->d_name, &id)) {
            id_format(&id, ids[(*n)++]);
        }
    }
    closedir(listing);
    qsort(ids, *n, sizeof *ids, compare_ids);
    *out = ids;
    return 0;
}

int spool_dir_open(struct spool_place *place, const char *stream, struct spool_dir **out,
                   struct err *err)
{
    struct spool_dir *dir = x_alloc(sizeof *dir);

    dir->place = place;
    snprintf(dir->stream, sizeof dir->stream, "%s", stream);
    dir->file_fd = dir->taken_fd = -1;
    dir->fd = openat(place->fd, stream, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir->fd < 0 && errno != ENOENT) {
        int errnum = errno;
        mem_free(dir);
        return err_errno(err, errnum, "cannot open the spool '%s/%s'", place->path, stream);
    }
    *out = dir;
    return 0;
}

void spool_dir_close(struct spool_dir *dir)
{
    if (dir != NULL) {
        close_fd(dir->taken_fd);
        close_fd(dir->file_fd);
        close_fd(dir->fd);
        mem_free(dir);
    }
}

static void name_file(uint64_t first, char out[FILE_NAME_MAX])
{
    snprintf(out, FILE_NAME_MAX, "%016" PRIx64 ".pcapng", first);
}

static int write_all(int fd, const struct buf *buf)
{
    for (size_t at = 0; at < buf->len;) {
        ssize_t n = write(fd, buf->data + at, buf->len - at);
        if (n < 0 && errno != EINTR) {
            return -1;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int64_t files_create(void *arg, uint64_t first, const struct buf *section,
                            const struct buf *run, struct err *err)
{
    struct spool_dir *dir = arg;
    char name[FILE_NAME_MAX];

    name_file(first, name);
    if (dir->fd < 0) {
        dir->fd = open_dir(dir->place->fd, dir->stream);
    }
    close_fd(dir->file_fd);
    dir->file_fd =
        dir->fd < 0 ? -1 : openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (dir->file_fd < 0 || write_all(dir->file_fd, section) < 0 ||
        write_all(dir->file_fd, run) < 0) {
        int errnum = errno;
        if (dir->file_fd >= 0) {
            unlinkat(dir->fd, name, 0);
        }
        return err_errno(err, errnum, "cannot write '%s' in the spool '%s'", name,
                         dir->place->path);
    }
    dir->file_bytes = (off_t)(section->len + run->len);
    return dir->file_bytes;
}

static int files_append(void *arg, const struct buf *run, struct err *err)
{
    struct spool_dir *dir = arg;

    if (write_all(dir->file_fd, run) < 0) {
        int errnum = errno;
        (void)!ftruncate(dir->file_fd, dir->file_bytes);
        return err_errno(err, errnum, "cannot write to the spool '%s'", dir->place->path);
    }
    dir->file_bytes += (off_t)run->len;
    return 0;
}

static void files_remove(void *arg, uint64_t first)
{
    const struct spool_dir *dir = arg;
    char name[FILE_NAME_MAX];

    name_file(first, name);
    unlinkat(dir->fd, name, 0);
}

const struct spool_files spool_dir_files = {
    .create = files_create,
    .append = files_append,
    .remove = files_remove,
};

static int read_file(const struct spool_dir *dir, uint64_t first, struct buf *out, struct err *err)
{
    char name[FILE_NAME_MAX];
    struct stat st;

    name_file(first, name);
    int fd = openat(dir->fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int errnum = errno;
        close_fd(fd);
        return err_errno(err, errnum, "cannot open '%s' in the spool '%s'", name, dir->place->path);
    }
    size_t size = st.st_size < (off_t)SPOOL_READ_MAX ? (size_t)st.st_size : SPOOL_READ_MAX;
    buf_reset(out);
    uint8_t *at = buf_extend(out, size);
    size_t got = 0;
    ssize_t n = 1;
    while (got < size && n != 0) {
        n = read(fd, at + got, size - got);
        if (n < 0 && errno != EINTR) {
            int errnum = errno;
            close(fd);
            return err_errno(err, errnum, "cannot read '%s' in the spool '%s'", name,
                             dir->place->path);
        }
        got += n > 0 ? (size_t)n : 0;
    }
    out->len = got;
    close(fd);
    return 0;
}

/* Where the packets begin. ERR_DAMAGED when there are none. */
static int find_run(const struct buf *file, size_t *at, struct err *err)
{
    struct pcapng_reader reader;
    struct bytes_reader in = bytes_reader(file->data, file->len);

    pcapng_reader_init(&reader);
    int rc = pcapng_reader_skip(&reader, &in, err);
    bool found = rc == 1 && reader.n_ifaces == 1;
    *at = file->len - bytes_left(&in);
    pcapng_reader_deinit(&reader);
    return found ? 0 : rc < 0 ? rc : err_set(err, ERR_DAMAGED, "there are no packets in it");
}

int spool_dir_read(struct spool_dir *dir, uint64_t first, struct buf *section, struct buf *run,
                   struct err *err)
{
    size_t at = 0;
    int rc = read_file(dir, first, run, err);

    rc = rc == 0 ? find_run(run, &at, err) : rc;
    if (rc < 0) {
        return rc;
    }
    buf_reset(section);
    REQUIRE(run->data != NULL); /* a section was found in it */
    buf_append(section, run->data, at);
    buf_consume(run, at);
    run->len = spool_slice(run->data, run->len, 0, SIZE_MAX).n;
    return 0;
}

static int compare_positions(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* Positions of the files, sorted; mem_free. */
static uint64_t *list_files(const struct spool_dir *dir, size_t *n)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = fd < 0 ? NULL : fdopendir(fd);
    uint64_t *found = NULL;
    const struct dirent *entry;
    char name[FILE_NAME_MAX];

    *n = 0;
    if (listing == NULL) {
        close_fd(fd);
        return NULL;
    }
    while ((entry = readdir(listing)) != NULL) {
        uint64_t first = strtoull(entry->d_name, NULL, 16);
        name_file(first, name);
        if (strcmp(entry->d_name, name) == 0) {
            found = x_realloc(found, (*n + 1) * sizeof *found);
            found[(*n)++] = first;
        }
    }
    closedir(listing);
    if (*n > 0) {
        qsort(found, *n, sizeof *found, compare_positions);
    }
    return found;
}

static ssize_t read_note(const struct spool_dir *dir, uint8_t bytes[NOTE_BYTES])
{
    int fd = openat(dir->fd, TAKEN_NAME, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, bytes, NOTE_BYTES);

    close_fd(fd);
    return n;
}

static uint64_t read_taken(const struct spool_dir *dir)
{
    uint8_t bytes[NOTE_BYTES];

    return read_note(dir, bytes) >= 8 ? get_le64(bytes) : 0;
}

bool spool_dir_has_end(const struct spool_dir *dir)
{
    uint8_t bytes[NOTE_BYTES];

    return dir->fd >= 0 && read_note(dir, bytes) == NOTE_BYTES;
}

void spool_dir_load(struct spool_dir *dir, struct spool *spool)
{
    struct err err = {0};
    struct buf section = {0};
    struct buf run = {0};
    size_t n = 0;
    uint64_t *firsts = dir->fd < 0 ? NULL : list_files(dir, &n);

    for (size_t i = 0; i < n; i++) {
        int rc = spool_dir_read(dir, firsts[i], &section, &run, &err);
        bool is_empty = rc < 0 || run.len == 0;
        uint64_t n_packets = is_empty ? 0 : spool_slice(run.data, run.len, 0, SIZE_MAX).n_packets;
        if (n_packets == 0 || firsts[i] < spool->end) {
            log_warn("'%016" PRIx64 ".pcapng' in the spool '%s/%s' cannot be sent: %s", firsts[i],
                     dir->place->path, dir->stream,
                     rc < 0 ? err.text : "its packets are in another file too");
            files_remove(dir, firsts[i]);
            continue;
        }
        spool_adopt(spool, firsts[i], n_packets, section.len + run.len);
    }
    if (dir->fd >= 0) {
        spool_taken(spool, read_taken(dir));
    }
    mem_free(firsts);
    buf_deinit(&section);
    buf_deinit(&run);
}

void spool_dir_note_taken(struct spool_dir *dir, uint64_t taken)
{
    uint8_t bytes[8];

    if (dir->fd >= 0 && dir->taken_fd < 0) {
        dir->taken_fd = openat(dir->fd, TAKEN_NAME, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    }
    if (dir->taken_fd >= 0) {
        put_le64(bytes, taken);
        (void)!pwrite(dir->taken_fd, bytes, sizeof bytes, 0);
    }
}

void spool_dir_note_end(struct spool_dir *dir)
{
    if (dir->taken_fd >= 0) {
        (void)!pwrite(dir->taken_fd, &(uint8_t){1}, 1, NOTE_BYTES - 1);
    }
}

void spool_dir_remove(struct spool_dir *dir)
{
    size_t n = 0;
    uint64_t *firsts = dir->fd < 0 ? NULL : list_files(dir, &n);

    for (size_t i = 0; i < n; i++) {
        files_remove(dir, firsts[i]);
    }
    mem_free(firsts);
    if (dir->fd >= 0) {
        unlinkat(dir->fd, TAKEN_NAME, 0);
        unlinkat(dir->place->fd, dir->stream, AT_REMOVEDIR);
    }
}
