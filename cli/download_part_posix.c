/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/download_part.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "shared/base/clock_posix.h"
#include "shared/base/crc32c.h"
#include "shared/base/mem.h"

#define STATE_VERSION   1
#define STATE_MAX_BYTES (64u * 1024u * 1024u)
#define SAVE_EVERY_NS   1000000000ULL
#define READ_BYTES      (1024u * 1024u)

static int write_all(int fd, const uint8_t *bytes, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno != EINTR) {
            return -1;
        }
        bytes += done > 0 ? done : 0;
        n -= done > 0 ? (size_t)done : 0;
    }
    return 0;
}

/* ---- the state ---- */

static json_t *state_json(const struct download_part *part)
{
    return json_pack("{s:i, s:O, s:I, s:I, s:s?}", "format_version", STATE_VERSION, "of",
                     part->what, "bytes", (json_int_t)part->offset, "crc32c", (json_int_t)part->sum,
                     "next", part->cursor);
}

int download_part_save(struct download_part *part, struct err *err)
{
    if (part->path == NULL || part->offset == 0) {
        return 0;
    }
    char *fresh = x_sprintf("%s.new", part->state_path);
    json_t *state = state_json(part);
    char *text = json_dumps(state, JSON_INDENT(2));
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = 0;

    if (fd < 0 || write_all(fd, (const uint8_t *)text, strlen(text)) < 0 ||
        rename(fresh, part->state_path) < 0) {
        rc = err_errno(err, errno, "writing '%s'", part->state_path);
    }
    if (fd >= 0) {
        close(fd);
    }
    part->saved_ns = clock_monotonic_ns();
    free(text);
    json_decref(state);
    mem_free(fresh);
    return rc;
}

/* NULL when there is none, or none that can be read. */
static json_t *load_state(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    json_t *state = NULL;
    struct stat st;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= STATE_MAX_BYTES) {
        state = json_loadfd(fd, JSON_REJECT_DUPLICATES, NULL);
    }
    close(fd);
    return state;
}

/* ---- what is there ---- */

static void see(const struct download_part *part, const uint8_t *bytes, size_t n)
{
    if (part->seen != NULL) {
        part->seen(part->seen_arg, bytes, n);
    }
}

/* Reads the first `bytes` of the part again: their sum and shape. */
static int read_again(struct download_part *part, uint64_t bytes, uint32_t *sum, struct err *err)
{
    uint8_t *room = x_alloc(READ_BYTES);
    uint64_t at = 0;
    int rc = 0;

    *sum = 0;
    while (rc == 0 && at < bytes) {
        size_t wanted = bytes - at < READ_BYTES ? (size_t)(bytes - at) : READ_BYTES;
        ssize_t n = pread(part->fd, room, wanted, (off_t)at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            rc = n == 0 ? ERR_DAMAGED : err_errno(err, errno, "reading '%s'", part->path);
            break;
        }
        *sum = crc32c(*sum, room, (size_t)n);
        see(part, room, (size_t)n);
        rc = capture_shape_take(&part->shape, room, (size_t)n, NULL);
        at += (uint64_t)n;
    }
    mem_free(room);
    return rc;
}

/* 1: the part is of the same and whole; 0: it is not, *note says so. */
static int try_resume(struct download_part *part, const json_t *state, const char **note,
                      struct err *err)
{
    const json_t *bytes = json_object_get(state, "bytes");
    const json_t *crc = json_object_get(state, "crc32c");
    const json_t *next = json_object_get(state, "next");
    uint32_t sum = 0;

    if (!json_equal((json_t *)(uintptr_t)json_object_get(state, "of"), part->what) ||
        json_integer_value(json_object_get(state, "format_version")) != STATE_VERSION) {
        *note = "is of another download";
        return 0;
    }
    if (!json_is_integer(bytes) || json_integer_value(bytes) <= 0 || !json_is_integer(crc) ||
        (!json_is_string(next) && !json_is_null(next))) {
        *note = "cannot be gone on with";
        return 0;
    }
    uint64_t n = (uint64_t)json_integer_value(bytes);
    int rc = read_again(part, n, &sum, err);
    if (rc < 0 && rc != ERR_DAMAGED) {
        return rc;
    }
    if (rc < 0 || (json_int_t)sum != json_integer_value(crc)) {
        *note = "was altered";
        return 0;
    }
    part->offset = part->resumed_at = n;
    part->sum = sum;
    part->cursor = json_is_null(next) ? NULL : x_strdup(json_string_value(next));
    return 1;
}

static int open_file(struct download_part *part, struct err *err)
{
    struct stat st;

    part->fd = open(part->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (part->fd < 0) {
        return err_errno(err, errno, "cannot write '%s'", part->path);
    }
    if (flock(part->fd, LOCK_EX | LOCK_NB) < 0) {
        close(part->fd);
        part->fd = -1; /* it is the other one's */
        return err_set(err, ERR_IN_USE, "another download writes to '%s'", part->path);
    }
    if (fstat(part->fd, &st) < 0 || !S_ISREG(st.st_mode)) {
        close(part->fd);
        part->fd = -1;
        return err_set(err, ERR_IO, "'%s' is no regular file", part->path);
    }
    return 0;
}

/* A device or a pipe, which must not be replaced by a file. */
static bool is_special(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && !S_ISREG(st.st_mode);
}

static int cut_to_offset(struct download_part *part, struct err *err)
{
    if (ftruncate(part->fd, (off_t)part->offset) < 0 ||
        lseek(part->fd, (off_t)part->offset, SEEK_SET) < 0) {
        return err_errno(err, errno, "cannot write '%s'", part->path);
    }
    return 0;
}

int download_part_restart(struct download_part *part, struct err *err)
{
    part->shape = (struct capture_shape){.kind = part->shape.kind};
    part->offset = part->resumed_at = 0;
    part->sum = 0;
    mem_free(part->cursor);
    part->cursor = NULL;
    see(part, NULL, 0);
    return part->path == NULL ? 0 : cut_to_offset(part, err);
}

int download_part_open(struct download_part *part, const struct download_part_opts *opts,
                       const char **note, struct err *err)
{
    const char *output = opts->output;

    *part = (struct download_part){.fd = -1,
                                   .what = opts->what,
                                   .shape = {.kind = opts->kind},
                                   .seen = opts->seen,
                                   .seen_arg = opts->arg};
    *note = NULL;
    part->output = x_strdup(output);
    see(part, NULL, 0);
    if (strcmp(output, "-") == 0) {
        part->fd = STDOUT_FILENO;
        return 0;
    }
    if (is_special(output)) {
        part->fd = open(output, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        return part->fd < 0 ? err_errno(err, errno, "cannot write '%s'", output) : 0;
    }
    part->path = x_sprintf("%s.part", output);
    part->state_path = x_sprintf("%s.part.state", output);
    int rc = open_file(part, err);
    if (rc < 0) {
        return rc;
    }
    json_t *state = load_state(part->state_path);
    rc = state == NULL ? 0 : try_resume(part, state, note, err);
    json_decref(state);
    if (rc < 0) {
        return rc;
    }
    return rc == 0 ? download_part_restart(part, err) : cut_to_offset(part, err);
}

int download_part_write(struct download_part *part, const uint8_t *bytes, size_t n, struct err *err)
{
    int rc = capture_shape_take(&part->shape, bytes, n, err);

    if (rc < 0) {
        return rc;
    }
    if (write_all(part->fd, bytes, n) < 0) {
        if (part->path == NULL && errno == EPIPE) {
            return err_set(err, -EPIPE, "nobody reads standard output any more");
        }
        rc =
            err_errno(err, errno, "writing %s%s%s", part->path == NULL ? "to standard output" : "'",
                      part->path == NULL ? "" : part->path, part->path == NULL ? "" : "'");
        return rc;
    }
    part->sum = crc32c(part->sum, bytes, n);
    part->offset += n;
    see(part, bytes, n);
    return 0;
}

static void set_cursor(struct download_part *part, const char *next)
{
    char *cursor = next == NULL ? NULL : x_strdup(next);
    mem_free(part->cursor);
    part->cursor = cursor;
}

int download_part_mark(struct download_part *part, const char *next, struct err *err)
{
    set_cursor(part, next);
    return download_part_save(part, err);
}

int download_part_append(struct download_part *part, const uint8_t *bytes, size_t n,
                         const char *next, struct err *err)
{
    int rc = download_part_write(part, bytes, n, err);

    if (rc < 0) {
        return rc;
    }
    set_cursor(part, next);
    if (part->path != NULL && clock_monotonic_ns() - part->saved_ns >= SAVE_EVERY_NS) {
        return download_part_save(part, err);
    }
    return 0;
}

int download_part_finish(struct download_part *part, bool replace, struct err *err)
{
    if (part->path == NULL) {
        return 0;
    }
    if (fsync(part->fd) < 0) {
        return err_errno(err, errno, "writing '%s'", part->path);
    }
    if (is_special(part->output)) {
        return err_set(err, ERR_EXISTS, "'%s' is no regular file any more; all of it is in '%s'",
                       part->output, part->path);
    }
    int rc =
        renameat2(AT_FDCWD, part->path, AT_FDCWD, part->output, replace ? 0 : RENAME_NOREPLACE);
    if (rc < 0 && !replace && (errno == EINVAL || errno == ENOSYS)) {
        /* A file system that cannot: looked at when it began, so this is as good as it gets. */
        rc = rename(part->path, part->output);
    }
    if (rc < 0 && errno == EEXIST) {
        return err_set(err, ERR_EXISTS, "'%s' exists: --force replaces it; all of it is in '%s'",
                       part->output, part->path);
    }
    if (rc < 0) {
        return err_errno(err, errno, "cannot rename '%s' to '%s'", part->path, part->output);
    }
    (void)unlink(part->state_path);
    return 0;
}

void download_part_close(struct download_part *part)
{
    /* Nothing came: nothing is left. */
    if (part->path != NULL && part->fd >= 0 && part->offset == 0 && part->what != NULL) {
        (void)unlink(part->path);
        (void)unlink(part->state_path);
    }
    if (part->fd > STDOUT_FILENO) {
        close(part->fd);
    }
    json_decref(part->what);
    mem_free(part->output);
    mem_free(part->path);
    mem_free(part->state_path);
    mem_free(part->cursor);
    *part = (struct download_part){.fd = -1};
}
