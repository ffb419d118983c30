/* SPDX-License-Identifier: Apache-2.0 */
#include <sodium.h>
#include <string.h>

#include "node/tickets.h"
#include "shared/base/mem.h"

#define SECRET_BYTES 24
#define LIFE_NS      (AUTH_TICKET_LIFE_S * 1000000000ULL)

struct ticket {
    uint8_t secret[SECRET_BYTES];
    uint64_t until_ns; /* 0 = free */
    struct auth_grant grant;
};

struct tickets {
    struct ticket all[TICKETS_MAX];
};

struct tickets *tickets_new(void)
{
    return x_alloc(sizeof(struct tickets));
}

void tickets_free(struct tickets *tickets)
{
    if (tickets != NULL) {
        sodium_memzero(tickets, sizeof *tickets);
        mem_free(tickets);
    }
}

/* A clock that was set back does not prolong one. */
static bool is_open(const struct ticket *ticket, uint64_t now_ns)
{
    return ticket->until_ns > now_ns && ticket->until_ns <= now_ns + LIFE_NS;
}

bool tickets_make(struct tickets *tickets, const struct auth_grant *grant, uint64_t now_ns,
                  char out[AUTH_TICKET_MAX])
{
    _Static_assert(sodium_base64_ENCODED_LEN(
                       SECRET_BYTES, sodium_base64_VARIANT_URLSAFE_NO_PADDING) <= AUTH_TICKET_MAX,
                   "the text fits");
    for (size_t i = 0; i < TICKETS_MAX; i++) {
        struct ticket *ticket = &tickets->all[i];
        if (is_open(ticket, now_ns)) {
            continue;
        }
        randombytes_buf(ticket->secret, sizeof ticket->secret);
        ticket->until_ns = now_ns + LIFE_NS;
        ticket->grant = *grant;
        sodium_bin2base64(out, AUTH_TICKET_MAX, ticket->secret, sizeof ticket->secret,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING);
        return true;
    }
    return false;
}

bool tickets_use(struct tickets *tickets, const char *text, uint64_t now_ns, struct auth_grant *out)
{
    uint8_t secret[SECRET_BYTES];
    size_t n;

    if (sodium_base642bin(secret, sizeof secret, text, strlen(text), NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0 ||
        n != sizeof secret) {
        return false;
    }
    for (size_t i = 0; i < TICKETS_MAX; i++) {
        struct ticket *ticket = &tickets->all[i];
        if (is_open(ticket, now_ns) && sodium_memcmp(ticket->secret, secret, sizeof secret) == 0) {
            *out = ticket->grant;
            sodium_memzero(ticket, sizeof *ticket);
            return true;
        }
    }
    return false;
}
