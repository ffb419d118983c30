/* SPDX-License-Identifier: Apache-2.0
 *
 * Memory. Sizes that we choose: x_alloc and its kin, which end the program when there is none,
 * since nothing could go on. Sizes that a packet, file, peer or query chooses: check the named
 * limit first, then try_alloc, which can fail. One hook stands behind both, so that a test can fail
 * the n-th call.
 */
#pragma once

#include <stddef.h>

/* Ends the program with a sentence on stderr when a promise of our own code is broken. Stays in
 * Release. Never for anything that a peer, packet, file or user can cause. */
#define REQUIRE(cond) ((cond) ? (void)0 : require_failed(#cond, __FILE__, __LINE__))

_Noreturn void require_failed(const char *what, const char *file, int line);

/* Zeroed memory of n bytes; never NULL. n may be 0. Free with mem_free. */
void *x_alloc(size_t n) __attribute__((malloc, returns_nonnull));
void *x_realloc(void *p, size_t n) __attribute__((returns_nonnull));
char *x_strdup(const char *s) __attribute__((malloc, returns_nonnull));
/* printf into fresh memory, owned by the caller. */
char *x_sprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

/* As x_alloc, uninitialised, but NULL when there is no memory. */
void *try_alloc(size_t n) __attribute__((malloc));
void *try_realloc(void *p, size_t n);

/* Releases what the functions above gave; takes NULL. */
void mem_free(void *p);

/* Tests only: the n-th (from 1) following try_ call fails; 0 switches it off. Not thread safe. */
void mem_fail_after(unsigned n);

#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
