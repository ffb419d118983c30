/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned fail_countdown;

void require_failed(const char *what, const char *file, int line)
{
    fprintf(stderr, "packetrecorder: broken promise: %s (%s:%d)\n", what, file, line);
    abort();
}

static void *or_die(void *p)
{
    if (p == NULL) {
        fputs("packetrecorder: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *x_alloc(size_t n)
{
    return or_die(calloc(1, n > 0 ? n : 1));
}

void *x_realloc(void *p, size_t n)
{
    return or_die(realloc(p, n > 0 ? n : 1));
}

char *x_strdup(const char *s)
{
    return or_die(strdup(s));
}

char *x_sprintf(const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, fmt);
    int n = vasprintf(&text, fmt, ap);
    va_end(ap);
    return or_die(n < 0 ? NULL : text);
}

static int fails_now(void)
{
    return fail_countdown > 0 && --fail_countdown == 0;
}

void *try_alloc(size_t n)
{
    return fails_now() ? NULL : malloc(n > 0 ? n : 1);
}

void *try_realloc(void *p, size_t n)
{
    return fails_now() ? NULL : realloc(p, n > 0 ? n : 1);
}

void mem_free(void *p)
{
    free(p);
}

void mem_fail_after(unsigned n)
{
    fail_countdown = n;
}
