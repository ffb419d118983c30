/* SPDX-License-Identifier: Apache-2.0
 *
 * inih gets the text line by line from us, which is how we know the number of each, and why an
 * indented line is no continuation of the one before it. It tells of wrong lines by the number of
 * the first alone: that a line had something to say and that nothing came out of it is seen here.
 */
#include "shared/options/config.h"

#include <string.h>

#include <ini.h>

#include "shared/base/mem.h"

#define BLANKS " \t\r\f\v"

struct reader {
    struct config *config;
    const char *at;
    const char *end;
    unsigned line;
    bool awaits; /* the line must come out as a value */
    char section[64];
};

static struct config_line *add_line(struct reader *r, const char *name, const char *value)
{
    struct config *config = r->config;

    config->lines = x_realloc(config->lines, (config->n_lines + 1) * sizeof *config->lines);
    config->lines[config->n_lines] = (struct config_line){
        .line = r->line,
        .section = x_strdup(r->section),
        .name = name == NULL ? NULL : x_strdup(name),
        .value = value == NULL ? NULL : x_strdup(value),
    };
    return &config->lines[config->n_lines++];
}

static int on_value(void *user, const char *section, const char *name, const char *value)
{
    struct reader *r = user;

    (void)section; /* ours is not cut */
    r->awaits = false;
    if (name[0] == '\0') {
        config_add_problem(r->config, r->line, "nothing stands before the '='");
    } else {
        add_line(r, name, value);
    }
    return 1;
}

static void end_line(struct reader *r)
{
    if (r->awaits) {
        config_add_problem(r->config, r->line,
                           "neither '[section]' nor 'name = value'; a comment begins with '#'");
    }
    r->awaits = false;
}

/* "[http]", with nothing but a comment behind it. */
static void read_section(struct reader *r, const char *text)
{
    size_t n = strcspn(text, "]");

    if (text[n] == '\0') {
        config_add_problem(r->config, r->line, "the ']' of the section is missing");
        return;
    }
    const char *rest = text + n + 1;
    rest += strspn(rest, BLANKS);
    if (*rest != '\0' && *rest != ';' && *rest != '#') {
        config_add_problem(r->config, r->line, "'%s' behind the section's ']'", rest);
    }
    if (n >= sizeof r->section) {
        config_add_problem(r->config, r->line, "the section's name is too long");
        n = sizeof r->section - 1;
    }
    memcpy(r->section, text, n);
    r->section[n] = '\0';
    add_line(r, NULL, NULL);
}

static void look_at(struct reader *r, const char *line)
{
    if (line[0] == '[') {
        read_section(r, line + 1);
    } else {
        r->awaits = line[0] != '\0' && line[0] != ';' && line[0] != '#';
    }
}

/* As fgets(), but a line that does not fit is a problem and comes as an empty one. */
static char *next_line(char *out, int room, void *stream)
{
    struct reader *r = stream;

    end_line(r);
    if (r->at >= r->end) {
        return NULL;
    }
    r->line++;
    const char *start = r->at;
    const char *end = memchr(start, '\n', (size_t)(r->end - start));
    end = end != NULL ? end : r->end;
    r->at = end < r->end ? end + 1 : end;
    if (r->line == 1 && end - start >= 3 && memcmp(start, "\xEF\xBB\xBF", 3) == 0) {
        start += 3;
    }
    bool zero = memchr(start, '\0', (size_t)(end - start)) != NULL;
    while (start < end && !zero && strchr(BLANKS, *start) != NULL) {
        start++;
    }
    size_t n = (size_t)(end - start);
    if (zero) {
        config_add_problem(r->config, r->line, "a zero byte: this is no text");
        n = 0;
    } else if (n + 1 > (size_t)room && *start != '#' && *start != ';') {
        config_add_problem(r->config, r->line, "the line is longer than %d bytes", room - 1);
        n = 0;
    } else if (n + 1 > (size_t)room) {
        n = 0;
    }
    memcpy(out, start, n);
    out[n] = '\0';
    look_at(r, out);
    return out;
}

void config_read_text(struct config *config, const char *text, size_t n)
{
    if (n == 0) {
        return;
    }
    if (n > CONFIG_MAX_BYTES) {
        config_add_problem(config, 0, "larger than %d bytes: this is no configuration",
                           CONFIG_MAX_BYTES);
        return;
    }
    struct reader r = {.config = config, .at = text, .end = text + n};
    (void)ini_parse_stream(next_line, &r, on_value, &r);
}
