/* SPDX-License-Identifier: Apache-2.0 */
#include "shared/options/option_value.h"

#include <string.h>

#include "shared/base/mem.h"
#include "shared/base/text.h"

static const void *place_of(const struct command_option *option, const void *args)
{
    return (const char *)args + option->offset;
}

static size_t size_of(enum option_kind kind)
{
    switch (kind) {
    case OPT_FLAG:
    case OPT_NEGATABLE:
        return sizeof(bool);
    case OPT_STRING:
    case OPT_SECRET:
        return sizeof(char *);
    case OPT_LIST:
        return sizeof(struct option_list);
    case OPT_PAIRS:
        return sizeof(struct option_pairs);
    case OPT_CHOICE:
        return sizeof(int);
    case OPT_DECIMAL:
        return sizeof(double);
    default:
        return sizeof(uint64_t);
    }
}

void option_swap(const struct command_option *option, void *a, void *b)
{
    unsigned char kept[sizeof(struct option_list) + sizeof(struct option_pairs)];
    size_t n = size_of(option->kind);

    memcpy(kept, option_place(option, a), n);
    memcpy(option_place(option, a), option_place(option, b), n);
    memcpy(option_place(option, b), kept, n);
}

size_t option_n_items(const struct command_option *option, const void *args)
{
    const void *place = place_of(option, args);

    switch (option->kind) {
    case OPT_STRING:
    case OPT_SECRET:
        return *(const char *const *)place != NULL ? 1 : 0;
    case OPT_LIST:
        return ((const struct option_list *)place)->n;
    case OPT_PAIRS:
        return ((const struct option_pairs *)place)->n;
    case OPT_CHOICE:
        return *(const int *)place >= 0 ? 1 : 0;
    default:
        return 1;
    }
}

/* The unit where it comes out whole, so that people can read it and nothing is lost. */
static void format_size(uint64_t bytes, struct buf *out)
{
    static const struct {
        uint64_t unit;
        const char *name;
    } units[] = {{1ULL << 40, "TiB"}, {1ULL << 30, "GiB"}, {1ULL << 20, "MiB"}, {1ULL << 10, "KiB"},
                 {1000000000, "G"},   {1000000, "M"},      {1000, "k"}};

    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        if (bytes >= units[i].unit && bytes % units[i].unit == 0) {
            buf_printf(out, "%llu%s", (unsigned long long)(bytes / units[i].unit), units[i].name);
            return;
        }
    }
    buf_printf(out, "%llu", (unsigned long long)bytes);
}

static void format_number(const struct command_option *option, uint64_t value, struct buf *out)
{
    char text[TEXT_NUMBER_MAX];

    switch (option->kind) {
    case OPT_SIZE:
        format_size(value, out);
        break;
    case OPT_DURATION:
        text_format_seconds(value, text);
        buf_put_str(out, text);
        break;
    case OPT_TIME:
        buf_printf(out, "@%llu.%09llu", (unsigned long long)(value / 1000000000),
                   (unsigned long long)(value % 1000000000));
        break;
    default:
        buf_printf(out, "%llu", (unsigned long long)value);
        break;
    }
}

void option_format_item(const struct command_option *option, const void *args, size_t k,
                        struct buf *out)
{
    const void *place = place_of(option, args);

    REQUIRE(k < option_n_items(option, args));
    switch (option->kind) {
    case OPT_FLAG:
    case OPT_NEGATABLE:
        buf_put_str(out, *(const bool *)place ? "yes" : "no");
        break;
    case OPT_STRING:
        buf_put_str(out, *(const char *const *)place);
        break;
    case OPT_SECRET:
        buf_put_str(out, "(secret)");
        break;
    case OPT_LIST:
        buf_put_str(out, ((const struct option_list *)place)->items[k]);
        break;
    case OPT_PAIRS:
        buf_printf(out, "%s=%s", ((const struct option_pairs *)place)->items[k].key,
                   ((const struct option_pairs *)place)->items[k].value);
        break;
    case OPT_CHOICE:
        buf_put_str(out, option->words[*(const int *)place]);
        break;
    case OPT_DECIMAL:
        buf_printf(out, "%.17g", *(const double *)place);
        break;
    default:
        format_number(option, *(const uint64_t *)place, out);
        break;
    }
}

void option_format(const struct command_option *option, const void *args, struct buf *out)
{
    size_t n = option_n_items(option, args);

    for (size_t k = 0; k < n; k++) {
        if (k > 0) {
            buf_put_u8(out, '\n');
        }
        option_format_item(option, args, k, out);
    }
}
