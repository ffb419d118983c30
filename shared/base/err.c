/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    int code;
    const char *name;
} names[] = {
    {ERR_USAGE, "usage"},
    {ERR_NOT_FOUND, "not_found"},
    {ERR_AMBIGUOUS, "ambiguous"},
    {ERR_FILTER, "filter"},
    {ERR_KEY, "key"},
    {ERR_NOT_A_STORE, "not_a_store"},
    {ERR_VERSION, "version"},
    {ERR_IN_USE, "in_use"},
    {ERR_FULL, "full"},
    {ERR_DAMAGED, "damaged"},
    {ERR_PERMISSION, "permission"},
    {ERR_UNSUPPORTED, "unsupported"},
    {ERR_LIMIT, "limit"},
    {ERR_EXISTS, "exists"},
    {ERR_IO, "io"},
    {ERR_PARTLY, "partly"},
    {ERR_INTERRUPTED, "interrupted"},
    {ERR_NO_MEMORY, "no_memory"},
    {ERR_CAPTURE, "capture"},
    {ERR_DATABASE, "database"},
};

int err_vset(struct err *err, int code, const char *fmt, va_list ap)
{
    if (err != NULL) {
        err->code = code;
        vsnprintf(err->text, sizeof err->text, fmt, ap);
    }
    return code;
}

int err_set(struct err *err, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    return code;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return ERR_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return ERR_PERMISSION;
    case ENOENT:
        return ERR_NOT_FOUND;
    case EPIPE:
        return -EPIPE;
    default:
        return ERR_IO;
    }
}

int err_errno(struct err *err, int errnum, const char *fmt, ...)
{
    int code = code_of_errno(errnum);
    va_list ap;

    va_start(ap, fmt);
    err_vset(err, code, fmt, ap);
    va_end(ap);
    if (err != NULL) {
        size_t used = strlen(err->text);
        snprintf(err->text + used, sizeof err->text - used, ": %s", strerror(errnum));
    }
    return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
    if (err == NULL) {
        return ERR_IO;
    }
    char before[sizeof err->text];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(before, sizeof before, fmt, ap);
    va_end(ap);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof before ? (size_t)n : sizeof before - 1;
    snprintf(before + used, sizeof before - used, ": %.*s", (int)(sizeof before - 3), err->text);
    memcpy(err->text, before, sizeof before);
    return err->code;
}

const char *err_name(int code)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (names[i].code == code) {
            return names[i].name;
        }
    }
    return "error";
}

int err_exit_code(int code)
{
    switch (code) {
    case 0:
        return 0;
    case ERR_USAGE:
        return 2;
    case ERR_PARTLY:
        return 3;
    case ERR_INTERRUPTED:
        return 130;
    default:
        return code > 0 ? code : 1;
    }
}
