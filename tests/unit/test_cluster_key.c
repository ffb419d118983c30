/* SPDX-License-Identifier: Apache-2.0
 *
 * The line prc_CLUSTERID_KEY and the file that holds it: what is read, what is refused, and that no
 * error repeats a key.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "shared/base/mem.h"
#include "shared/wire/cluster_key.h"
#include "tests/support/test_place.h"

/* Bytes 0 to 15, then 0 to 31: base64url of RFC 4648. */
#define CLUSTER "AAECAwQFBgcICQoLDA0ODw"
#define KEY     "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
#define LINE    "prc_" CLUSTER "_" KEY

static void a_line_is_read_and_written(void **state)
{
    struct cluster_key key = {{0}, {0}};
    char text[CLUSTER_KEY_TEXT_MAX];

    (void)state;
    assert_int_equal(cluster_key_parse(LINE, &key, NULL), 0);
    for (unsigned i = 0; i < CLUSTER_KEY_BYTES; i++) {
        assert_int_equal(key.key[i], i);
        assert_int_equal(key.cluster[i % CLUSTER_ID_BYTES], i % CLUSTER_ID_BYTES);
    }
    cluster_key_print(&key, text);
    assert_string_equal(text, LINE);
}

static void other_lines_are_refused_and_not_repeated(void **state)
{
    static const char *const bad[] = {
        "",
        "prc_",
        "prd_" CLUSTER "_" KEY,
        "prc_" CLUSTER "-" KEY,
        "prc_" CLUSTER "_" KEY "A",
        "prc_" CLUSTER "_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh", /* a character short */
        "prc_AAECAwQFBgcICQoLDA0OD!_" KEY,
        "prc_AAECAwQFBgcICQoLDA0ODx_" KEY, /* spare bits that are not zero: a second text */
        "prc_" CLUSTER "_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9",
        "prc_" CLUSTER "_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh=",
        "prc_" CLUSTER "_AAECAwQFBgcICQoLDA0ODx+REhMUFRYXGBkaGxwdHh8", /* not the url alphabet */
        " " LINE,
        LINE " ",
    };
    struct cluster_key key = {{7}, {7}};
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(cluster_key_parse(bad[i], &key, &err), ERR_KEY);
        assert_null(strstr(err.text, "AAECAw"));
        assert_non_null(strstr(err.text, "keys cluster-new"));
        assert_int_equal(key.key[0], 7);
    }
}

/* RFC 8032, 7.1, TEST 1: seed and public key. */
static void the_halves_of_an_admin_key_belong_together(void **state)
{
    static const uint8_t seed[] = {0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a,
                                   0xf4, 0x92, 0xec, 0x2c, 0xc4, 0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32,
                                   0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60};
    static const uint8_t half[] = {0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe,
                                   0xd3, 0xc9, 0x64, 0x07, 0x3a, 0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6,
                                   0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a};
    struct cluster_key key = {{0}, {0}};
    struct cluster_key back;
    uint8_t public_key[ADMIN_PUBLIC_BYTES];
    uint8_t read[ADMIN_PUBLIC_BYTES] = {7};
    char text[CLUSTER_KEY_TEXT_MAX];
    char public_text[ADMIN_PUBLIC_TEXT_MAX];
    struct err err;

    (void)state;
    memcpy(key.key, seed, sizeof seed);
    admin_key_public(&key, public_key);
    assert_memory_equal(public_key, half, sizeof half);
    admin_public_print(public_key, public_text);
    assert_int_equal(strncmp(public_text, "prv_", 4), 0);
    assert_int_equal(admin_public_parse(public_text, read, NULL), 0);
    assert_memory_equal(read, half, sizeof half);
    admin_key_print(&key, text);
    assert_int_equal(admin_key_parse(text, &back, NULL), 0);
    assert_memory_equal(&back, &key, sizeof key);
    /* Neither is taken for the other, nor for a cluster's. */
    assert_int_equal(cluster_key_parse(text, &back, &err), ERR_KEY);
    assert_int_equal(admin_key_parse(LINE, &back, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "keys admin-new"));
    assert_int_equal(admin_public_parse(text, read, &err), ERR_USAGE);
    public_text[46] = '=';
    assert_int_equal(admin_public_parse(public_text, read, &err), ERR_USAGE);
    assert_memory_equal(read, half, sizeof half);
}

static void new_keys_differ_and_the_next_one_is_of_the_same_cluster(void **state)
{
    struct cluster_key *a = cluster_key_new();
    struct cluster_key *b = cluster_key_new();
    struct cluster_key back;
    char text[CLUSTER_KEY_TEXT_MAX];

    (void)state;
    cluster_key_make(a);
    cluster_key_make(b);
    assert_memory_not_equal(a->cluster, b->cluster, sizeof a->cluster);
    assert_memory_not_equal(a->key, b->key, sizeof a->key);
    cluster_key_make_next(a, b);
    assert_memory_equal(a->cluster, b->cluster, sizeof a->cluster);
    assert_memory_not_equal(a->key, b->key, sizeof a->key);
    cluster_key_print(a, text);
    assert_int_equal(cluster_key_parse(text, &back, NULL), 0);
    assert_memory_equal(&back, a, sizeof back);
    cluster_key_free(a);
    cluster_key_free(b);
    cluster_key_free(NULL);
}

static char *write_file(const char *text, size_t n, mode_t mode)
{
    char *path = in_place("cluster.key");
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, n, file), n);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
    return path;
}

static void a_file_of_one_line_is_read(void **state)
{
    static const char *const good[] = {LINE, LINE "\n", LINE "\r\n"};
    struct cluster_key *key = NULL;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        char *path = write_file(good[i], strlen(good[i]), 0600);
        assert_int_equal(cluster_key_load(path, &key, NULL), 0);
        assert_int_equal(key->key[31], 31);
        cluster_key_free(key);
        mem_free(path);
    }
}

struct bad_file {
    const char *text;
    size_t n;
    mode_t mode;
    const char *words;
};

static void other_files_are_refused_with_the_way_out(void **state)
{
    static const char zero[] = LINE "\0x";
    static const char big[2000] = {'x'};
    static const struct bad_file bad[] = {
        {LINE, sizeof LINE - 1, 0640, "chmod 600"},
        {LINE, sizeof LINE - 1, 0604, "chmod 600"},
        {LINE "\n" LINE "\n", 2 * sizeof LINE, 0600, "more than one line"},
        {zero, sizeof zero - 1, 0600, "zero byte"},
        {"", 0, 0600, "keys cluster-new"},
        {big, sizeof big, 0600, "cannot read"},
    };
    struct cluster_key *key = NULL;
    struct err err;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        char *path = write_file(bad[i].text, bad[i].n, bad[i].mode);
        assert_true(cluster_key_load(path, &key, &err) < 0);
        assert_non_null(strstr(err.text, bad[i].words));
        assert_non_null(strstr(err.text, path));
        assert_null(strstr(err.text, "AAECAw"));
        assert_null(key);
        mem_free(path);
    }
    char *path = in_place("none");
    assert_int_equal(cluster_key_load(path, &key, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "keys cluster-new"));
    assert_int_equal(cluster_key_load(place, &key, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "no regular file"));
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_is_read_and_written),
        cmocka_unit_test(other_lines_are_refused_and_not_repeated),
        cmocka_unit_test(the_halves_of_an_admin_key_belong_together),
        cmocka_unit_test(new_keys_differ_and_the_next_one_is_of_the_same_cluster),
        cmocka_unit_test_setup_teardown(a_file_of_one_line_is_read, make_place, drop_place),
        cmocka_unit_test_setup_teardown(other_files_are_refused_with_the_way_out, make_place,
                                        drop_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
