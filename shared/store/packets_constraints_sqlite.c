/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/store/packets_constraints_sqlite.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"

#define ROWS_ALL       1e7
#define CONSTRAINT_MAX 24

/* What is taken, of which column, and how much it narrows. `exact`: SQLite need not test it again.
 * `only`: without it the column has no value. */
static const struct pushed {
    const char *name;
    bool is_range; /* <, <=, >, >= too */
    bool exact;
    bool only;
    double share;
} pushed[PACKETS_SQL_COLUMNS] = {
    [PACKETS_SESSION] = {"session", .exact = true, .share = 0.1},
    [PACKETS_TIME] = {"time", .is_range = true, .exact = true, .share = 0.2},
    [PACKETS_TIME_NS] = {"time_ns", .is_range = true, .share = 0.2},
    [PACKETS_SRC_COLUMN] = {"src", .share = 0.01},
    [PACKETS_DST_COLUMN] = {"dst", .share = 0.01},
    [PACKETS_SPORT] = {"sport", .share = 0.02},
    [PACKETS_DPORT] = {"dport", .share = 0.02},
    [PACKETS_PROTO] = {"proto", .share = 0.3},
    [PACKETS_HOST] = {"host", .exact = true, .only = true, .share = 0.01},
    [PACKETS_PORT] = {"port", .exact = true, .only = true, .share = 0.02},
    [PACKETS_FILTER] = {"filter", .exact = true, .only = true, .share = 0.05},
};

static const struct {
    unsigned char code;
    const char *text;
} comparisons[] = {
    {SQLITE_INDEX_CONSTRAINT_EQ, "="},  {SQLITE_INDEX_CONSTRAINT_GT, ">"},
    {SQLITE_INDEX_CONSTRAINT_LE, "<="}, {SQLITE_INDEX_CONSTRAINT_LT, "<"},
    {SQLITE_INDEX_CONSTRAINT_GE, ">="},
};

static const char *comparison_text(unsigned char code)
{
    for (size_t i = 0; i < ARRAY_LEN(comparisons); i++) {
        if (comparisons[i].code == code) {
            return comparisons[i].text;
        }
    }
    return NULL;
}

/* The record of the constraint's column when the constraint is one that is taken. */
static const struct pushed *find_pushed(const struct sqlite3_index_constraint *constraint)
{
    if (constraint->iColumn < 0 || constraint->iColumn >= PACKETS_SQL_COLUMNS) {
        return NULL;
    }
    const struct pushed *p = &pushed[constraint->iColumn];
    bool is_equal = constraint->op == SQLITE_INDEX_CONSTRAINT_EQ;
    return p->name != NULL && comparison_text(constraint->op) != NULL && (is_equal || p->is_range)
               ? p
               : NULL;
}

static bool is_binary(sqlite3_index_info *info, int i)
{
    const char *collation = sqlite3_vtab_collation(info, i);

    return collation == NULL || sqlite3_stricmp(collation, "BINARY") == 0;
}

static bool orders_by_time(const sqlite3_index_info *info)
{
    return info->nOrderBy == 1 && !info->aOrderBy[0].desc &&
           (info->aOrderBy[0].iColumn == PACKETS_TIME ||
            info->aOrderBy[0].iColumn == PACKETS_TIME_NS);
}

int packets_best_index(sqlite3_index_info *info)
{
    sqlite3_str *text = sqlite3_str_new(NULL);
    double rows = ROWS_ALL;
    int n = 0;

    for (int i = 0; i < info->nConstraint; i++) {
        const struct sqlite3_index_constraint *constraint = &info->aConstraint[i];
        const struct pushed *p = find_pushed(constraint);
        if (p == NULL || (!p->exact && !is_binary(info, i))) {
            continue;
        }
        if (!constraint->usable && p->only) { /* this join order cannot be */
            sqlite3_free(sqlite3_str_finish(text));
            return SQLITE_CONSTRAINT;
        }
        if (constraint->usable) {
            sqlite3_str_appendf(text, "%s%s%s", n > 0 ? " " : "", p->name,
                                comparison_text(constraint->op));
            info->aConstraintUsage[i].argvIndex = ++n;
            info->aConstraintUsage[i].omit = p->exact;
            rows *= p->share;
        }
    }
    info->idxNum = orders_by_time(info) ? PACKETS_IN_TIME_ORDER : 0;
    info->orderByConsumed = info->idxNum;
    info->estimatedRows = rows < 1 ? 1 : (sqlite3_int64)rows;
    /* Finding the frames costs something even when no row follows. */
    info->estimatedCost = 1000 + rows * 10;
    info->idxStr = sqlite3_str_finish(text);
    info->needToFreeIdxStr = 1;
    return n > 0 && info->idxStr == NULL ? SQLITE_NOMEM : SQLITE_OK;
}

/* The next "column comparison" of the list; moves behind it. */
static bool next_constraint(const char **at, int *column, unsigned char *code)
{
    char word[CONSTRAINT_MAX];
    size_t n = strcspn(*at, " ");
    size_t name = strcspn(*at, "<>= ");

    if (n == 0 || n >= sizeof word) {
        return false;
    }
    memcpy(word, *at, n);
    word[n] = '\0';
    *at += n + strspn(*at + n, " ");
    *code = 0;
    for (size_t i = 0; i < ARRAY_LEN(comparisons); i++) {
        *code = strcmp(word + name, comparisons[i].text) == 0 ? comparisons[i].code : *code;
    }
    for (*column = 0; *column < PACKETS_SQL_COLUMNS; (*column)++) {
        const char *known = pushed[*column].name;
        if (known != NULL && strlen(known) == name && memcmp(word, known, name) == 0) {
            return *code != 0;
        }
    }
    return false;
}

static void narrow(struct packets_query *q, unsigned char code, uint64_t low, uint64_t high)
{
    bool from = code == SQLITE_INDEX_CONSTRAINT_GE || code == SQLITE_INDEX_CONSTRAINT_EQ;
    bool to = code == SQLITE_INDEX_CONSTRAINT_LE || code == SQLITE_INDEX_CONSTRAINT_EQ;

    if (from && low > q->from_ns) {
        q->from_ns = low;
    }
    if (to && high < q->to_ns) {
        q->to_ns = high;
    }
}

/* The column is text of nine digits; the value is a time however it is written. */
static int read_time(struct packets_query *q, unsigned char code, const char *text, uint64_t now_ns,
                     struct err *err)
{
    uint64_t ns;
    int r = text_parse_time(text, now_ns, &ns, err);

    if (r < 0) {
        return r;
    }
    if (code == SQLITE_INDEX_CONSTRAINT_GT) {
        q->nothing |= ns == UINT64_MAX;
        ns += ns < UINT64_MAX;
        code = SQLITE_INDEX_CONSTRAINT_GE;
    } else if (code == SQLITE_INDEX_CONSTRAINT_LT) {
        q->nothing |= ns == 0;
        ns -= ns > 0;
        code = SQLITE_INDEX_CONSTRAINT_LE;
    }
    narrow(q, code, ns, ns);
    return 0;
}

/* SQLite tests these again, so a range that is a little too wide will do: doubles have no room for
 * the nanoseconds of today. */
static void read_time_ns(struct packets_query *q, unsigned char code, sqlite3_value *value)
{
    const double end = 18446744073709549568.0; /* the last double below 2^64 */
    const double step = 4096;
    uint64_t low, high;

    if (sqlite3_value_type(value) == SQLITE_INTEGER) {
        sqlite3_int64 v = sqlite3_value_int64(value);
        low = high = v < 0 ? 0 : (uint64_t)v;
    } else if (sqlite3_value_type(value) == SQLITE_FLOAT) {
        double v = sqlite3_value_double(value);
        low = v - step <= 0 ? 0 : v - step >= end ? (uint64_t)end : (uint64_t)(v - step);
        high = v + step <= 0 ? 0 : v + step >= end ? UINT64_MAX : (uint64_t)(v + step);
    } else {
        return;
    }
    code = code == SQLITE_INDEX_CONSTRAINT_GT   ? SQLITE_INDEX_CONSTRAINT_GE
           : code == SQLITE_INDEX_CONSTRAINT_LT ? SQLITE_INDEX_CONSTRAINT_LE
                                                : code;
    narrow(q, code, low, high);
}

static int read_host(struct packets_query *q, const char *text, struct err *err)
{
    if (packets_want_addr(&q->want, PACKETS_EITHER, text)) {
        return 0;
    }
    return q->want.n_addrs == PACKETS_WANT_MAX
               ? err_set(err, ERR_LIMIT, "at most %d addresses in one condition", PACKETS_WANT_MAX)
               : err_set(err, ERR_USAGE,
                         "host = '%s': not an IPv4 or IPv6 address; names and networks go into "
                         "filter = 'net 10.0.0.0/8'",
                         text);
}

static int read_port(struct packets_query *q, sqlite3_value *value, struct err *err)
{
    if (sqlite3_value_type(value) != SQLITE_INTEGER) {
        return err_set(err, ERR_USAGE, "port = '%s': not a number",
                       (const char *)sqlite3_value_text(value));
    }
    if (!packets_want_port(&q->want, PACKETS_EITHER, sqlite3_value_int64(value))) {
        return err_set(err, ERR_LIMIT, "at most %d ports in one condition", PACKETS_WANT_MAX);
    }
    return 0;
}

static int read_filter(struct packets_query *q, const char *text, struct err *err)
{
    if (q->filter != NULL && strcmp(q->filter, text) != 0) {
        return err_set(err, ERR_USAGE, "one filter a statement: put 'and' into the expression");
    }
    q->filter = text;
    return 0;
}

static int read_session(struct packets_query *q, const char *text, struct err *err)
{
    if (q->n_sessions == PACKETS_SESSIONS_MAX) {
        return err_set(err, ERR_LIMIT, "at most %d sessions in one condition",
                       PACKETS_SESSIONS_MAX);
    }
    q->sessions[q->n_sessions++] = text;
    return 0;
}

/* Conditions on visible columns that cannot be tested here are left to SQLite. */
static void read_decoded(struct packets_query *q, int column, sqlite3_value *value)
{
    bool is_number = sqlite3_value_type(value) == SQLITE_INTEGER;
    bool is_text = sqlite3_value_type(value) == SQLITE_TEXT;
    const char *text = is_text ? (const char *)sqlite3_value_text(value) : "";

    if (column == PACKETS_SRC_COLUMN && is_text) {
        packets_want_addr(&q->want, PACKETS_SRC, text);
    } else if (column == PACKETS_DST_COLUMN && is_text) {
        packets_want_addr(&q->want, PACKETS_DST, text);
    } else if (column == PACKETS_SPORT && is_number) {
        packets_want_port(&q->want, PACKETS_SRC, sqlite3_value_int64(value));
    } else if (column == PACKETS_DPORT && is_number) {
        packets_want_port(&q->want, PACKETS_DST, sqlite3_value_int64(value));
    } else if (column == PACKETS_PROTO && is_text) {
        packets_want_proto(&q->want, text);
    }
}

static int read_text(struct packets_query *q, int column, unsigned char code, const char *text,
                     uint64_t now_ns, struct err *err)
{
    if (text == NULL) {
        return err_set(err, ERR_NO_MEMORY, "no memory");
    }
    switch (column) {
    case PACKETS_SESSION:
        return read_session(q, text, err);
    case PACKETS_TIME:
        return read_time(q, code, text, now_ns, err);
    case PACKETS_HOST:
        return read_host(q, text, err);
    default:
        return read_filter(q, text, err);
    }
}

static int read_constraint(struct packets_query *q, int column, unsigned char code,
                           sqlite3_value *value, uint64_t now_ns, struct err *err)
{
    if (sqlite3_value_type(value) == SQLITE_NULL) { /* nothing compares with NULL */
        q->nothing = true;
        return 0;
    }
    if (pushed[column].only) {
        q->hidden[column] = value;
    }
    switch (column) {
    case PACKETS_SESSION:
    case PACKETS_TIME:
    case PACKETS_HOST:
    case PACKETS_FILTER:
        return read_text(q, column, code, (const char *)sqlite3_value_text(value), now_ns, err);
    case PACKETS_PORT:
        return read_port(q, value, err);
    case PACKETS_TIME_NS:
        read_time_ns(q, code, value);
        return 0;
    default:
        read_decoded(q, column, value);
        return 0;
    }
}

int packets_query_read(struct packets_query *out, int flags, const char *constraints,
                       sqlite3_value **values, int n_values, uint64_t now_ns, struct err *err)
{
    int r = 0;

    *out = (struct packets_query){.to_ns = UINT64_MAX,
                                  .time_order = (flags & PACKETS_IN_TIME_ORDER) != 0};
    for (int i = 0; i < n_values && r == 0; i++) {
        int column;
        unsigned char code;
        REQUIRE(next_constraint(&constraints, &column, &code));
        r = read_constraint(out, column, code, values[i], now_ns, err);
    }
    out->nothing |= out->want.nothing || out->from_ns > out->to_ns;
    return r;
}
