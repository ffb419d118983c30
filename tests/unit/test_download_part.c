/* SPDX-License-Identifier: Apache-2.0
 *
 * What a download leaves behind, and when it is gone on with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "cli/download_part.h"
#include "shared/base/bytes.h"
#include "shared/base/mem.h"
#include "tests/support/test_place.h"

#define FILE_BYTES 400

static char *output;
static uint8_t bytes[FILE_BYTES]; /* of a capture file: blocks of 40 */

static int set_up(void **state)
{
    assert_int_equal(make_place(state), 0);
    output = in_place("out.pcapng");
    for (size_t at = 0; at < FILE_BYTES; at += 40) {
        put_le32(bytes + at, at == 0 ? 0x0A0D0D0A : 6);
        put_le32(bytes + at + 4, 40);
        memset(bytes + at + 8, (int)at, 28);
        put_le32(bytes + at + 36, 40);
    }
    put_le32(bytes + 8, 0x1A2B3C4D);
    return 0;
}

static bool exists(const char *suffix)
{
    char path[200];

    snprintf(path, sizeof path, "%s%s", output, suffix);
    return access(path, F_OK) == 0;
}

static void take_away(const char *suffix)
{
    char path[200];

    snprintf(path, sizeof path, "%s%s", output, suffix);
    (void)unlink(path);
}

static int tear_down(void **state)
{
    mem_free(output);
    return drop_place(state);
}

static const char *note;

static int open_part(struct download_part *part, const char *session)
{
    const struct download_part_opts opts = {.output = output,
                                            .what = json_pack("{s:s}", "session_id", session),
                                            .kind = CAPTURE_SHAPE_PCAPNG};

    return download_part_open(part, &opts, &note, NULL);
}

/* The first n bytes, and then an interrupt. */
static void leave_behind(size_t n)
{
    struct download_part part;

    assert_int_equal(open_part(&part, "s1"), 0);
    assert_int_equal(part.offset, 0);
    assert_int_equal(download_part_append(&part, bytes, n, "cursor1", NULL), 0);
    assert_int_equal(download_part_save(&part, NULL), 0);
    download_part_close(&part);
    assert_true(exists(".part"));
    assert_true(exists(".part.state"));
    assert_false(exists(""));
}

static void check_content(size_t n)
{
    uint8_t found[FILE_BYTES + 1];
    FILE *in = fopen(output, "rb");

    assert_non_null(in);
    assert_int_equal(fread(found, 1, sizeof found, in), n);
    fclose(in);
    assert_memory_equal(found, bytes, n);
}

static void what_was_interrupted_goes_on_in_the_middle_of_a_block(void **state)
{
    struct download_part part;

    (void)state;
    leave_behind(130);
    assert_int_equal(open_part(&part, "s1"), 0);
    assert_null(note);
    assert_int_equal(part.offset, 130);
    assert_int_equal(part.resumed_at, 130);
    assert_string_equal(part.cursor, "cursor1");
    assert_int_equal(download_part_append(&part, bytes + 130, FILE_BYTES - 130, NULL, NULL), 0);
    assert_true(capture_shape_is_whole(&part.shape));
    assert_int_equal(part.shape.packets, 9);
    assert_int_equal(download_part_finish(&part, false, NULL), 0);
    download_part_close(&part);
    check_content(FILE_BYTES);
    assert_false(exists(".part"));
    assert_false(exists(".part.state"));
}

static void bytes_behind_what_the_state_tells_are_dropped(void **state)
{
    struct download_part part;
    char path[200];

    (void)state;
    leave_behind(80);
    snprintf(path, sizeof path, "%s.part", output);
    FILE *out = fopen(path, "ab");
    assert_non_null(out);
    assert_int_equal(fwrite("torn", 1, 4, out), 4);
    fclose(out);
    assert_int_equal(open_part(&part, "s1"), 0);
    assert_int_equal(part.offset, 80);
    assert_int_equal(download_part_append(&part, bytes + 80, 40, NULL, NULL), 0);
    assert_int_equal(download_part_finish(&part, false, NULL), 0);
    download_part_close(&part);
    check_content(120);
}

static void check_from_the_beginning(const char *session, const char *why)
{
    struct download_part part;

    assert_int_equal(open_part(&part, session), 0);
    assert_int_equal(part.offset, 0);
    assert_null(part.cursor);
    if (why == NULL) {
        assert_null(note);
    } else {
        assert_string_equal(note, why);
    }
    assert_int_equal(download_part_append(&part, bytes, FILE_BYTES, NULL, NULL), 0);
    assert_int_equal(download_part_finish(&part, true, NULL), 0);
    download_part_close(&part);
    check_content(FILE_BYTES);
}

static void a_part_that_is_not_the_same_is_not_gone_on_with(void **state)
{
    char path[200];

    (void)state;
    leave_behind(130);
    check_from_the_beginning("s2", "is of another download");
    take_away("");
    leave_behind(130);
    snprintf(path, sizeof path, "%s.part", output);
    FILE *out = fopen(path, "r+b");
    assert_non_null(out);
    assert_int_equal(fseek(out, 60, SEEK_SET), 0);
    assert_int_equal(fputc(0x77, out), 0x77);
    fclose(out);
    check_from_the_beginning("s1", "was altered");
    take_away("");
    leave_behind(130);
    assert_int_equal(truncate(path, 129), 0);
    check_from_the_beginning("s1", "was altered");
    take_away("");
    leave_behind(130);
    take_away(".part.state");
    check_from_the_beginning("s1", NULL);
}

static void two_downloads_do_not_write_to_one_file(void **state)
{
    struct download_part first;
    struct download_part second;

    (void)state;
    assert_int_equal(open_part(&first, "s1"), 0);
    assert_int_equal(download_part_append(&first, bytes, 80, "c", NULL), 0);
    assert_int_equal(open_part(&second, "s1"), ERR_IN_USE);
    download_part_close(&second);
    assert_true(exists(".part"));
    assert_int_equal(download_part_finish(&first, false, NULL), 0);
    download_part_close(&first);
    check_content(80);
}

static void a_file_that_appeared_meanwhile_is_not_replaced(void **state)
{
    struct download_part part;

    (void)state;
    assert_int_equal(open_part(&part, "s1"), 0);
    assert_int_equal(download_part_append(&part, bytes, FILE_BYTES, NULL, NULL), 0);
    FILE *out = fopen(output, "wb");
    assert_non_null(out);
    fclose(out);
    assert_int_equal(download_part_finish(&part, false, NULL), ERR_EXISTS);
    assert_true(exists(".part"));
    assert_int_equal(download_part_finish(&part, true, NULL), 0);
    download_part_close(&part);
    check_content(FILE_BYTES);
}

static void what_is_no_capture_file_is_not_kept(void **state)
{
    struct download_part part;

    (void)state;
    assert_int_equal(open_part(&part, "s1"), 0);
    assert_int_equal(download_part_append(&part, bytes + 40, 40, NULL, NULL), ERR_DAMAGED);
    download_part_close(&part);
    assert_false(exists(".part"));
}

/* What was /dev/null must stay one. */
static void a_pipe_is_written_to_and_not_replaced(void **state)
{
    struct download_part part;
    uint8_t found[FILE_BYTES];
    struct stat st;

    (void)state;
    assert_int_equal(mkfifo(output, 0600), 0);
    int reader = open(output, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(open_part(&part, "s1"), 0);
    assert_int_equal(download_part_append(&part, bytes, FILE_BYTES, NULL, NULL), 0);
    assert_int_equal(download_part_finish(&part, true, NULL), 0);
    download_part_close(&part);
    assert_false(exists(".part"));
    assert_int_equal(read(reader, found, sizeof found), FILE_BYTES);
    close(reader);
    assert_memory_equal(found, bytes, FILE_BYTES);
    assert_int_equal(stat(output, &st), 0);
    assert_true(S_ISFIFO(st.st_mode));
}

static void only_the_owner_can_read_it(void **state)
{
    struct download_part part;
    struct stat st;

    (void)state;
    assert_int_equal(open_part(&part, "s1"), 0);
    assert_int_equal(download_part_append(&part, bytes, FILE_BYTES, NULL, NULL), 0);
    assert_int_equal(download_part_finish(&part, false, NULL), 0);
    download_part_close(&part);
    assert_int_equal(stat(output, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_interrupted_goes_on_in_the_middle_of_a_block),
        TEST(bytes_behind_what_the_state_tells_are_dropped),
        TEST(a_part_that_is_not_the_same_is_not_gone_on_with),
        TEST(two_downloads_do_not_write_to_one_file),
        TEST(a_file_that_appeared_meanwhile_is_not_replaced),
        TEST(what_is_no_capture_file_is_not_kept),
        TEST(a_pipe_is_written_to_and_not_replaced),
        TEST(only_the_owner_can_read_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
