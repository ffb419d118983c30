/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/packet/filter.h"

#include <ctype.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <pcap/pcap.h>

#include "shared/base/mem.h"
#include "shared/packet/iface.h"

#define FILTER_SNAPLEN 262144
/* Of an expression, what an error sentence shows. */
#define SHOWN_MAX 300
/* A number that libpcap's scanner refuses by name. See find_stumble. */
#define PROBE "99999999999999"

struct filter {
    struct bpf_program program; /* owned, of pcap_compile */
    bool empty;
};

/* Before 1.8 pcap_compile keeps its state in globals, and getaddrinfo and friends behind it are not
 * all reentrant on every system. */
static pthread_mutex_t compile_lock = PTHREAD_MUTEX_INITIALIZER;

_Static_assert(sizeof(struct filter_insn) == sizeof(struct bpf_insn) &&
                   offsetof(struct filter_insn, jt) == offsetof(struct bpf_insn, jt) &&
                   offsetof(struct filter_insn, jf) == offsetof(struct bpf_insn, jf) &&
                   offsetof(struct filter_insn, k) == offsetof(struct bpf_insn, k),
               "struct filter_insn is struct bpf_insn under our name");

/* LINKTYPE_ values stand in files and are the same everywhere, DLT_ values are libpcap's own. They
 * differ only in this handful (libpcap's pcap-common.c). */
static int dlt_from_link_type(uint32_t link_type)
{
    static const struct {
        uint32_t link_type;
        int dlt;
    } map[] = {
        {50, DLT_PPP_SERIAL},  {51, DLT_PPP_ETHER},  {100, DLT_ATM_RFC1483}, {LINK_RAW, DLT_RAW},
        {102, DLT_SLIP_BSDOS}, {103, DLT_PPP_BSDOS}, {104, DLT_C_HDLC},      {106, DLT_ATM_CLIP},
        {LINK_LOOP, DLT_LOOP}, {109, DLT_ENC},       {246, DLT_PFSYNC},
    };

    for (size_t i = 0; i < ARRAY_LEN(map); i++) {
        if (map[i].link_type == link_type) {
            return map[i].dlt;
        }
    }
    return (int)link_type;
}

/* pcap_compile with its words in `why`. 0 or -1. */
static int compile(const char *expression, uint32_t link_type, struct bpf_program *out, char *why,
                   size_t n)
{
    int status = -1;

    pthread_mutex_lock(&compile_lock);
    pcap_t *handle = pcap_open_dead(dlt_from_link_type(link_type), FILTER_SNAPLEN);
    if (handle == NULL) {
        snprintf(why, n, "libpcap has no memory");
    } else if (pcap_compile(handle, out, expression, 1, PCAP_NETMASK_UNKNOWN) != 0) {
        snprintf(why, n, "%s", pcap_geterr(handle));
    } else {
        status = 0;
    }
    if (handle != NULL) {
        pcap_close(handle);
    }
    pthread_mutex_unlock(&compile_lock);
    return status;
}

struct word {
    size_t at;
    size_t len;
};

static bool is_word_char(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("_.:-\\", c) != NULL);
}

/* Splits at least as finely as people read; a run that libpcap's scanner splits further is named as
 * a whole. */
static size_t split(const char *s, struct word *words, size_t max)
{
    size_t n = 0;

    for (size_t at = 0; s[at] != '\0' && n < max;) {
        size_t len = 1;
        if (isspace((unsigned char)s[at])) {
            at++;
            continue;
        }
        if (is_word_char(s[at])) {
            while (is_word_char(s[at + len])) {
                len++;
            }
        } else if ((s[at + 1] == '=' && strchr("<>!=", s[at]) != NULL) ||
                   (s[at + 1] == s[at] && strchr("<>&|", s[at]) != NULL)) {
            len = 2;
        }
        words[n++] = (struct word){at, len};
        at += len;
    }
    return n;
}

/* True when libpcap's parser takes the first `len` bytes of the expression. Its parser reads a word
 * only when it has accepted all words before; so with a number behind them that the scanner itself
 * refuses, the complaint is about the number exactly when everything before it was accepted. */
static bool prefix_is_accepted(const char *expression, size_t len, uint32_t link_type)
{
    struct bpf_program program;
    char why[PCAP_ERRBUF_SIZE];
    char *text = x_sprintf("%.*s " PROBE, (int)len, expression);
    bool syntax = false;

    if (compile(text, link_type, &program, why, sizeof why) == 0) {
        pcap_freecode(&program);
    } else {
        syntax = strstr(why, "syntax error") != NULL && strstr(why, PROBE) == NULL;
    }
    mem_free(text);
    return !syntax;
}

/* The word at which a syntax error is: the first one that libpcap's parser does not accept; `n`
 * words mean the end. Acceptance is monotone, hence a binary search. */
static size_t find_stumble(const char *expression, const struct word *words, size_t n,
                           uint32_t link_type)
{
    size_t low = 0, high = n; /* the first `low` words are accepted; the answer is in [low, high] */

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (prefix_is_accepted(expression, words[middle].at + words[middle].len, link_type)) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The word of the expression that libpcap's sentence names, `n` when it names none: in quotes, or a
 * number or address. */
static size_t find_named(const char *expression, const struct word *words, size_t n,
                         const char *why)
{
    for (size_t i = 0; i < n; i++) {
        char word[128];
        char quoted[132];
        if (words[i].len >= sizeof word) {
            continue;
        }
        snprintf(word, sizeof word, "%.*s", (int)words[i].len, expression + words[i].at);
        snprintf(quoted, sizeof quoted, "'%s'", word);
        const char *plain = strpbrk(word, "0123456789") != NULL ? strstr(why, word) : NULL;
        if (strstr(why, quoted) != NULL ||
            (plain != NULL && plain > why && plain[-1] == ' ' && !isalnum(plain[words[i].len]))) {
            return i;
        }
    }
    return n;
}

static int explain(const char *expression, uint32_t link_type, const char *why, struct err *err)
{
    if (err == NULL) {
        return ERR_FILTER;
    }
    size_t max = strlen(expression);
    struct word *words = try_alloc(max * sizeof *words);
    if (words == NULL) {
        return err_set(err, ERR_FILTER, "bad filter: %s", why);
    }
    size_t n = split(expression, words, max);
    bool syntax = strstr(why, "syntax error") != NULL;
    size_t i = syntax ? find_stumble(expression, words, n, link_type)
                      : find_named(expression, words, n, why);
    const char *more = strlen(expression) > SHOWN_MAX ? "…" : "";

    if (!syntax && i == n) {
        err_set(err, ERR_FILTER, "bad filter '%.*s%s': %s", SHOWN_MAX, expression, more, why);
    } else if (!syntax) {
        err_set(err, ERR_FILTER, "bad filter '%.*s%s': %s (character %zu)", SHOWN_MAX, expression,
                more, why, words[i].at + 1);
    } else if (i == n) {
        err_set(err, ERR_FILTER, "bad filter '%.*s%s': syntax error at its end (character %zu)",
                SHOWN_MAX, expression, more, strlen(expression) + 1);
    } else {
        err_set(err, ERR_FILTER, "bad filter '%.*s%s': syntax error at '%.*s' (character %zu)",
                SHOWN_MAX, expression, more, (int)(words[i].len < 64 ? words[i].len : 64),
                expression + words[i].at, words[i].at + 1);
    }
    mem_free(words);
    return ERR_FILTER;
}

static bool is_blank(const char *expression)
{
    return expression == NULL || expression[strspn(expression, " \t\r\n")] == '\0';
}

int filter_new(const char *expression, uint32_t link_type, struct filter **out, struct err *err)
{
    char why[PCAP_ERRBUF_SIZE];
    struct bpf_program program = {0};
    bool empty = is_blank(expression);

    if (!empty && compile(expression, link_type, &program, why, sizeof why) != 0) {
        return explain(expression, link_type, why, err);
    }
    struct filter *filter = x_alloc(sizeof *filter);
    *filter = (struct filter){.program = program, .empty = empty};
    *out = filter;
    return 0;
}

void filter_free(struct filter *filter)
{
    if (filter != NULL) {
        pcap_freecode(&filter->program);
        mem_free(filter);
    }
}

bool filter_matches(const struct filter *filter, const struct packet_view *packet)
{
    return filter->empty ||
           bpf_filter(filter->program.bf_insns, packet->data, packet->len, packet->caplen) != 0;
}

bool filter_is_empty(const struct filter *filter)
{
    return filter->empty;
}

const struct filter_insn *filter_program(const struct filter *filter, uint32_t *n)
{
    *n = filter->program.bf_len;
    return filter->empty ? NULL
                         : (const struct filter_insn *)(const void *)filter->program.bf_insns;
}

int filter_check(const char *expression, struct err *err)
{
    /* Some words have a meaning on some link types only (`wlan`, `inbound`, `mpls`); 127 is 802.11
     * with radiotap. The sentence for the user is the one of Ethernet. */
    static const uint32_t usual[] = {LINK_RAW, LINK_SLL, LINK_SLL2, 127};
    struct filter *filter = NULL;
    int status = filter_new(expression, LINK_ETHERNET, &filter, err);

    for (size_t i = 0; status != 0 && i < ARRAY_LEN(usual); i++) {
        struct bpf_program program;
        char why[PCAP_ERRBUF_SIZE];
        if (compile(expression, usual[i], &program, why, sizeof why) == 0) {
            pcap_freecode(&program);
            return 0;
        }
        if (strstr(why, "syntax error") != NULL || strstr(why, "unknown host") != NULL) {
            return status; /* the same on every link type */
        }
    }
    if (status == 0) {
        filter_free(filter);
    }
    return status;
}

/* One entry a link type. What feeds a set bounds it: IFACES_MAX interfaces. */
struct filter_set_entry {
    uint32_t link_type;
    struct filter *filter; /* owned; NULL = the expression makes no sense for this link type */
    char *why;             /* owned; NULL when there is a filter */
    struct filter_set_entry *next;
};

struct filter_set {
    char *expression; /* owned */
    struct filter_set_entry *entries;
    pthread_mutex_t lock;
};

static struct bpf_insn reject_all[] = {{.code = BPF_RET | BPF_K, .k = 0}};
static const struct filter filter_nothing = {.program = {.bf_len = 1, .bf_insns = reject_all}};

int filter_set_new(const char *expression, struct filter_set **out, struct err *err)
{
    int status = filter_check(expression, err);

    if (status != 0) {
        return status;
    }
    struct filter_set *set = x_alloc(sizeof *set);
    set->expression = x_strdup(expression != NULL ? expression : "");
    pthread_mutex_init(&set->lock, NULL);
    *out = set;
    return 0;
}

void filter_set_free(struct filter_set *set)
{
    if (set == NULL) {
        return;
    }
    for (struct filter_set_entry *entry = set->entries, *next; entry != NULL; entry = next) {
        next = entry->next;
        filter_free(entry->filter);
        mem_free(entry->why);
        mem_free(entry);
    }
    pthread_mutex_destroy(&set->lock);
    mem_free(set->expression);
    mem_free(set);
}

static struct filter_set_entry *set_find(const struct filter_set *set, uint32_t link_type)
{
    struct filter_set_entry *entry = set->entries;

    while (entry != NULL && entry->link_type != link_type) {
        entry = entry->next;
    }
    return entry;
}

static struct filter_set_entry *set_add(struct filter_set *set, uint32_t link_type)
{
    struct filter_set_entry *entry = x_alloc(sizeof *entry);
    struct err err;

    entry->link_type = link_type;
    if (filter_new(set->expression, link_type, &entry->filter, &err) != 0) {
        entry->why = x_sprintf("link type %u: %s", (unsigned)link_type, err.text);
    }
    entry->next = set->entries;
    set->entries = entry;
    return entry;
}

const struct filter *filter_set_for(struct filter_set *set, uint32_t link_type, const char **why)
{
    const char *told = NULL;

    pthread_mutex_lock(&set->lock);
    struct filter_set_entry *entry = set_find(set, link_type);
    if (entry == NULL) {
        entry = set_add(set, link_type);
        told = entry->why;
    }
    pthread_mutex_unlock(&set->lock);
    if (why != NULL) {
        *why = told;
    }
    return entry->filter != NULL ? entry->filter : &filter_nothing;
}
