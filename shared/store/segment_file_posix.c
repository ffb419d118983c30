/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/segment_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "shared/base/bytes.h"
#include "shared/base/clock_posix.h"
#include "shared/base/id.h"
#include "shared/base/mem.h"

#define RESYNC_BYTES (256u * 1024u)

static int write_all(int fd, struct iovec *v, int n)
{
    while (n > 0) {
        ssize_t done = v->iov_len == 0 ? 0 : writev(fd, v, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done < 0 || (done == 0 && v->iov_len > 0)) {
            return done == 0 ? ENOSPC : errno;
        }
        while (n > 0 && (size_t)done >= v->iov_len) {
            done -= (ssize_t)v->iov_len;
            v++;
            n--;
        }
        if (n > 0) {
            v->iov_base = (uint8_t *)v->iov_base + done;
            v->iov_len -= (size_t)done;
        }
    }
    return 0;
}

static int write_header(const struct store *store, const uint8_t *data_key,
                        const struct id *session_id, struct segment_file *f, struct err *err)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct segment_header h = {
        .sealed = data_key != NULL,
        .algorithm = data_key != NULL ? seal_best() : SEAL_NONE,
        .sequence = f->row.sequence,
        .created_ns = clock_wall_ns(),
        .first_number = f->row.first_number,
    };

    memcpy(h.session_id, session_id->bytes, sizeof h.session_id);
    memcpy(h.segment_id, f->row.id, 16);
    segment_header_write(bytes, &h);
    if (data_key != NULL) {
        seal_slot_write(bytes + SEGMENT_SLOT_A, &store->kdf, store->master, data_key, bytes,
                        SEGMENT_BOUND_BYTES);
        int r = seal_new(h.algorithm, data_key, h.segment_id, &f->seal, err);
        if (r < 0) {
            return r;
        }
    }
    segment_header_finish(bytes, SEGMENT_SLOT_A);
    int failed = write_all(f->fd, &(struct iovec){bytes, sizeof bytes}, 1);
    f->bytes = sizeof bytes;
    return failed == 0 ? 0 : err_errno(err, failed, "cannot write segment '%s'", f->row.file);
}

int segment_file_create(const struct store *store, const char *session_id, uint32_t sequence,
                        uint64_t first_number, const uint8_t *data_key, struct segment_file *out,
                        struct err *err)
{
    struct segment_file f = {.fd = -1};
    struct id session;

    REQUIRE(id_parse(session_id, &session));
    f.row = (struct catalogue_segment){
        .sequence = sequence, .first_number = first_number, .min_ns = UINT64_MAX};
    seal_random(f.row.id, sizeof f.row.id);
    snprintf(f.row.file, sizeof f.row.file, "%s-%06u.seg", session_id, sequence);
    char *path = store_file(store, f.row.file);
    f.fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    int r = 0;
    if (f.fd < 0) {
        r = err_errno(err, errno, "cannot make segment '%s'", path);
    } else {
        r = write_header(store, data_key, &session, &f, err);
    }
    if (r < 0) {
        if (f.fd >= 0) {
            unlink(path);
        }
        segment_file_close(&f);
    } else {
        store_sync_dir(store->dir);
        f.row.bytes = f.bytes;
        *out = f;
    }
    mem_free(path);
    return r;
}

int segment_file_append(struct segment_file *f, const struct frame_bytes *frame, struct err *err)
{
    struct iovec pieces[] = {{(void *)(uintptr_t)frame->head, frame->head_n},
                             {(void *)(uintptr_t)frame->body, frame->body_n}};
    int failed = write_all(f->fd, pieces, frame->body == NULL ? 1 : 2);

    if (failed != 0) {
        if (ftruncate(f->fd, (off_t)f->bytes) < 0) {
            err_errno(err, errno, "cannot cut segment '%s' back", f->row.file);
        }
        return err_errno(err, failed, "cannot write segment '%s'", f->row.file);
    }
    f->bytes += frame->head_n + (frame->body == NULL ? 0 : frame->body_n);
    f->next_frame++;
    return 0;
}

int segment_file_sync(const struct segment_file *f, struct err *err)
{
    if (f->fd >= 0 && fdatasync(f->fd) < 0) {
        return err_errno(err, errno, "cannot make segment '%s' durable", f->row.file);
    }
    return 0;
}

void segment_file_close(struct segment_file *f)
{
    if (f->fd >= 0) {
        close(f->fd);
        f->fd = -1;
    }
    seal_close(f->seal);
    f->seal = NULL;
}

int segment_file_destroy(const struct store *store, const char *file, struct err *err)
{
    static const uint8_t zeros[SEGMENT_HEADER_BYTES];
    char *path = store_file(store, file);
    int fd = store->encrypted ? open(path, O_WRONLY | O_CLOEXEC) : -1;
    int r = 0;

    if (fd >= 0) {
        /* The wrapped key goes first: whatever keeps the other blocks, nobody can open them. */
        if (pwrite(fd, zeros, sizeof zeros, 0) == (ssize_t)sizeof zeros) {
            fdatasync(fd);
        }
        close(fd);
    }
    if (unlink(path) < 0 && errno != ENOENT) {
        r = err_errno(err, errno, "cannot delete segment '%s'", path);
    }
    mem_free(path);
    return r;
}

/* The session's data key out of whichever slot this store's key opens. */
static int unwrap(const struct store *store, const uint8_t *bytes, struct segment_reader *r,
                  const char *file, struct err *err)
{
    static const uint32_t slots[] = {SEGMENT_SLOT_A, SEGMENT_SLOT_B};

    if (store->master == NULL) {
        return err_set(err, ERR_KEY, "segment '%s' is encrypted, the store is not", file);
    }
    r->data_key = seal_alloc(SEAL_KEY_BYTES);
    for (size_t i = 0; i < ARRAY_LEN(slots); i++) {
        if (seal_slot_read(bytes + slots[i], store->master, bytes, SEGMENT_BOUND_BYTES,
                           r->data_key) == 0) {
            return seal_new(r->header.algorithm, r->data_key, r->header.segment_id, &r->seal, err);
        }
    }
    return err_set(err, ERR_DAMAGED, "the key in the header of segment '%s' does not open", file);
}

static int read_header(const struct store *store, const char *file, const uint8_t *id,
                       struct segment_reader *r, struct err *err)
{
    static const uint8_t zeros[SEGMENT_HEADER_BYTES];
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    struct stat st;
    ssize_t got = -1;

    if (fstat(r->fd, &st) < 0 || (got = pread(r->fd, bytes, sizeof bytes, 0)) < 0) {
        return err_set(err, ERR_IO, "segment '%s' cannot be read: %s", file, strerror(errno));
    }
    if (got != (ssize_t)sizeof bytes) {
        return err_set(err, ERR_DAMAGED, "segment '%s' has no whole header", file);
    }
    if (memcmp(bytes, zeros, sizeof zeros) == 0) {
        return err_set(err, ERR_NOT_FOUND, "segment '%s' is being deleted", file);
    }
    r->size = (uint64_t)st.st_size;
    r->mended = segment_header_mend(bytes);
    int code = segment_header_read(bytes, &r->header);
    if (code == 0 && id != NULL && memcmp(id, r->header.segment_id, 16) != 0) {
        return err_set(err, ERR_DAMAGED, "segment '%s' is not the one in the catalogue", file);
    }
    if (code < 0) {
        return err_set(err, code, "the header of segment '%s' is %s", file,
                       code == ERR_VERSION ? "of a newer format" : "damaged");
    }
    if (r->header.sealed != store->encrypted) {
        return err_set(err, ERR_DAMAGED, "segment '%s' is %s, the store is not", file,
                       r->header.sealed ? "sealed" : "unsealed");
    }
    return r->header.sealed ? unwrap(store, bytes, r, file, err) : 0;
}

int segment_reader_open(const struct store *store, const char *file, const uint8_t *id,
                        struct segment_reader *out, struct err *err)
{
    struct segment_reader r = {.fd = -1};
    char *path = store_file(store, file);
    int code;

    r.fd = open(path, O_RDONLY | O_CLOEXEC);
    code = r.fd < 0 ? err_errno(err, errno, "segment '%s'", file)
                    : read_header(store, file, id, &r, err);
    mem_free(path);
    if (code < 0) {
        segment_reader_close(&r);
        return code;
    }
    *out = r;
    return 0;
}

int segment_file_mend(const struct store *store, const char *file, struct err *err)
{
    uint8_t bytes[SEGMENT_HEADER_BYTES];
    char *path = store_file(store, file);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    int r = 0;

    if (fd < 0 || pread(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        r = err_errno(err, fd < 0 ? errno : EIO, "segment '%s'", file);
    } else if (segment_header_mend(bytes) &&
               (pwrite(fd, bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes || fdatasync(fd) < 0)) {
        r = err_errno(err, errno, "cannot mend the header of segment '%s'", file);
    }
    if (fd >= 0) {
        close(fd);
    }
    mem_free(path);
    return r;
}

void segment_reader_close(struct segment_reader *r)
{
    if (r->fd >= 0) {
        close(r->fd);
    }
    seal_close(r->seal);
    seal_free(r->data_key);
    mem_free(r->frame);
    *r = (struct segment_reader){.fd = -1};
}

static int damaged(const struct segment_reader *r, uint64_t offset, const char *how,
                   struct err *err)
{
    return err_set(err, ERR_DAMAGED, "segment %u: the frame at byte %llu is %s", r->header.sequence,
                   (unsigned long long)offset, how);
}

/* n bytes at an offset: 0, ERR_DAMAGED where the file is shorter, ERR_IO. */
static int read_at(const struct segment_reader *r, uint64_t offset, uint8_t *out, size_t n)
{
    size_t done = 0;

    if (offset > INT64_MAX - n) {
        return ERR_DAMAGED;
    }
    while (done < n) {
        ssize_t got = pread(r->fd, out + done, n - done, (off_t)(offset + done));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            return got == 0 ? ERR_DAMAGED : ERR_IO;
        }
        done += (size_t)got;
    }
    return 0;
}

static int unreadable(const struct segment_reader *r, int code, uint64_t offset, struct err *err)
{
    if (code == ERR_DAMAGED) {
        return damaged(r, offset, "cut off", err);
    }
    return err_set(err, code, "segment %u cannot be read at byte %llu: %s", r->header.sequence,
                   (unsigned long long)offset, strerror(errno));
}

int segment_reader_frame(struct segment_reader *r, struct frame_decoder *d, uint64_t offset,
                         struct frame_header *h, const uint8_t **raw, struct err *err)
{
    uint8_t head[SEGMENT_FRAME_BYTES];

    h->kind = 0;
    int code = read_at(r, offset, head, sizeof head);
    if (code < 0) {
        return unreadable(r, code, offset, err);
    }
    if (frame_header_read(head, h) < 0) {
        h->kind = 0;
        return damaged(r, offset, "not a frame", err);
    }
    size_t n = SEGMENT_FRAME_BYTES + h->stored_len;
    if (r->frame_cap < n) {
        uint8_t *more = try_realloc(r->frame, n);
        if (more == NULL) {
            return err_set(err, ERR_NO_MEMORY, "no memory for a frame of %zu bytes", n);
        }
        r->frame = more;
        r->frame_cap = n;
    }
    memcpy(r->frame, head, sizeof head);
    code = read_at(r, offset + sizeof head, r->frame + sizeof head, h->stored_len);
    if (code < 0) {
        return unreadable(r, code, offset, err);
    }
    code = frame_decode(d, h, r->frame, r->seal, raw);
    return code == ERR_DAMAGED ? damaged(r, offset, "damaged", err)
           : code < 0          ? err_set(err, code, "the frame at byte %llu cannot be read: %s",
                                         (unsigned long long)offset, err_name(code))
                               : 0;
}

uint64_t segment_reader_resync(struct segment_reader *r, uint64_t from)
{
    uint8_t *buf = x_alloc(RESYNC_BYTES);
    struct frame_header h;
    ssize_t n;

    while ((n = pread(r->fd, buf, RESYNC_BYTES, (off_t)from)) >= (ssize_t)SEGMENT_FRAME_BYTES) {
        for (ssize_t i = 0; i + (ssize_t)SEGMENT_FRAME_BYTES <= n; i++) {
            if (buf[i] == 'P' && frame_header_read(buf + i, &h) == 0) {
                mem_free(buf);
                return from + (uint64_t)i;
            }
        }
        from += (uint64_t)n - SEGMENT_FRAME_BYTES + 1;
    }
    mem_free(buf);
    return r->size;
}
