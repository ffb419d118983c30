/* SPDX-License-Identifier: Apache-2.0
 *
 * Errors. A function that can fail returns int: 0, or negative. Negatives down to -4095 are errno
 * and libuv values and pass through; ours are the enum below. Where a human will read the reason, a
 * struct err carries the sentence: set once at the bottom by whoever knows the thing and the way
 * out, wrapped on the way up with what was being done, and printed or logged only by the place that
 * ends it. A NULL err is allowed everywhere.
 */
#pragma once

#include <stdarg.h>
#include <stddef.h>

enum err_code {
    ERR_USAGE = -10001,       /* the caller's words are wrong: exit 2 */
    ERR_NOT_FOUND = -10002,   /* no such session, interface, node */
    ERR_AMBIGUOUS = -10003,   /* an id prefix or name that fits several */
    ERR_FILTER = -10004,      /* libpcap refuses the filter expression */
    ERR_KEY = -10005,         /* wrong, missing or unreadable encryption key */
    ERR_NOT_A_STORE = -10006, /* a file that is not ours */
    ERR_VERSION = -10007,     /* a format newer than this program */
    ERR_IN_USE = -10008,      /* another writer has the store */
    ERR_FULL = -10009,        /* disk or quota full */
    ERR_DAMAGED = -10010,     /* a checksum, tag or length is wrong */
    ERR_PERMISSION = -10011,  /* rights are missing */
    ERR_UNSUPPORTED = -10012, /* not built in, or a link type that cannot be handled */
    ERR_LIMIT = -10013,       /* hostile or oversized input: a named limit was hit */
    ERR_EXISTS = -10014,      /* would overwrite */
    ERR_IO = -10015,          /* reading or writing failed */
    ERR_PARTLY = -10016,      /* some of it was done: exit 3 */
    ERR_INTERRUPTED = -10017, /* a second interrupt: exit 130 */
    ERR_NO_MEMORY = -10018,   /* memory of a size chosen by input */
    ERR_CAPTURE = -10019,     /* libpcap or the kernel refuses */
    ERR_DATABASE = -10020,    /* SQLite refuses */
};

struct err {
    int code;
    char text[1024];
};

/* Sets code and sentence; returns `code`, so that `return err_set(err, …)` reads well. err may be
 * NULL. */
int err_set(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int err_vset(struct err *err, int code, const char *fmt, va_list ap)
    __attribute__((format(printf, 3, 0)));

/* The same with ": " and the text of `errnum` behind it. ENOSPC and EDQUOT become ERR_FULL, EACCES
 * and EPERM ERR_PERMISSION, ENOENT ERR_NOT_FOUND, everything else ERR_IO. */
int err_errno(struct err *err, int errnum, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "what: " before the sentence that is already there. Returns err->code (or ERR_IO for NULL).
 */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One word for a code, for logs and JSON: "not_found". Unknown codes give "error". */
const char *err_name(int code);

/* The exit code of a program that ends with `code` (contract: 0, 1, 2, 3, 130). */
int err_exit_code(int code);
