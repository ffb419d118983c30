/* SPDX-License-Identifier: Apache-2.0
 *
 * What stands in a store as text: the description of a session, and the file with its key.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "tests/support/store_place.h"

#include "shared/base/mem.h"
#include "shared/store/session_text.h"

#define AN_ID "01890000-0000-7000-8000-000000000001"

static void names_that_are_no_text_do_not_stop_a_capture(void **state)
{
    struct store_session s = {.id = AN_ID, .name = "na\xffme", .tags = "{\"k\":\"\xc3"};
    struct iface f = ethernet("et\xfeh");
    struct store_session back;

    (void)state;
    s.ifaces = &f;
    s.n_ifaces = 1;
    char *text = session_text_write(&s);
    assert_int_equal(session_text_read(text, strlen(text), &back), 0);
    assert_string_equal(back.name, "na?me");
    assert_string_equal(back.ifaces[0].name, "et?h");
    store_session_deinit(&back);
    mem_free(text);
}

static void a_description_fits_a_frame_whatever_is_announced(void **state)
{
    struct store_session s = {.id = AN_ID, .n_ifaces = IFACES_MAX};
    struct store_session back;

    (void)state;
    s.ifaces = x_alloc(s.n_ifaces * sizeof *s.ifaces);
    for (uint32_t i = 0; i < s.n_ifaces; i++) {
        s.ifaces[i].link_type = i;
        memset(s.ifaces[i].filter, 1, sizeof s.ifaces[i].filter - 1);
    }
    char *text = session_text_write(&s);
    assert_true(strlen(text) <= SESSION_TEXT_MAX);
    assert_int_equal(session_text_read(text, strlen(text), &back), 0);
    assert_int_equal(back.n_ifaces, IFACES_MAX);
    assert_int_equal(back.ifaces[IFACES_MAX - 1].link_type, IFACES_MAX - 1);
    store_session_deinit(&back);
    mem_free(text);
    mem_free(s.ifaces);
}

static void a_hostile_description_is_bounded(void **state)
{
    static const char text[] = "{\"id\":\"" AN_ID "\",\"state\":1,\"interfaces\":"
                               "[{\"mac\":\"zz0000000000\",\"digits\":200},7]}";
    struct store_session s;

    (void)state;
    assert_int_equal(session_text_read(text, strlen(text), &s), 0);
    assert_false(s.ifaces[0].has_mac);
    assert_int_equal(s.ifaces[0].ts_digits, 9);
    mem_free(s.ifaces);
}

static int key_of(const struct place *p, const void *bytes, size_t n, mode_t mode, struct err *err)
{
    char path[128];
    struct store_key *key = NULL;

    snprintf(path, sizeof path, "%s/key", p->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), n);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    int r = store_key_from_file(path, &key, err);
    store_key_free(key);
    return r;
}

static void a_key_file_is_one_line_of_text(void **state)
{
    char long_line[5000];
    struct place p;
    struct err err = {0};

    (void)state;
    memset(long_line, 'x', sizeof long_line);
    place_init(&p, NULL);
    assert_int_equal(key_of(&p, "secret\nmore", 11, 0600, &err), ERR_KEY);
    assert_int_equal(key_of(&p, "secret\r\n\n", 9, 0600, &err), 0);
    assert_int_equal(key_of(&p, "secret", 6, 0600, &err), 0);
    assert_int_equal(key_of(&p, "secret", 6, 0640, &err), ERR_KEY);
    assert_int_equal(key_of(&p, "", 0, 0600, &err), ERR_KEY);
    assert_int_equal(key_of(&p, "a\0bcdef", 7, 0600, &err), ERR_KEY);
    assert_int_equal(key_of(&p, long_line, sizeof long_line, 0600, &err), ERR_KEY);
    assert_int_equal(key_of(&p, "prd_AAAA", 8, 0600, &err), ERR_KEY);
    assert_null(strstr(err.text, "prd_AAAA"));
    place_deinit(&p);
}

static void a_directory_is_no_key_file(void **state)
{
    struct place p;
    struct store_key *key = NULL;
    struct err err = {0};

    (void)state;
    place_init(&p, NULL);
    assert_int_equal(store_key_from_file(p.dir, &key, &err), ERR_IO);
    place_deinit(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_are_no_text_do_not_stop_a_capture),
        cmocka_unit_test(a_description_fits_a_frame_whatever_is_announced),
        cmocka_unit_test(a_hostile_description_is_bounded),
        cmocka_unit_test(a_key_file_is_one_line_of_text),
        cmocka_unit_test(a_directory_is_no_key_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
