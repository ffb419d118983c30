/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "shared/base/mem.h"
#include "shared/store/store.h"
#include "shared/wire/api_key.h"
#include "tests/support/test_place.h"

#define NOW  1800000000000000000ULL
#define HOUR 3600000000000ULL

static int make_place_without_keys(void **state)
{
    unsetenv("PACKETRECORDER_API_KEY");
    unsetenv("PACKETRECORDER_API_KEY_FILE");
    return make_place(state);
}

static struct api_key make(enum api_role role, const char *name, char text[API_KEY_TEXT_MAX])
{
    struct api_key key = {.role = role, .created_ns = NOW, .expires_ns = API_KEY_NEVER};

    snprintf(key.name, sizeof key.name, "%s", name);
    api_key_make(&key, text);
    return key;
}

static void roles_are_sets_of_rights(void **state)
{
    enum api_role role = ROLE_VIEW;

    (void)state;
    assert_int_equal(api_role_rights(ROLE_VIEW), RIGHT_VIEW);
    assert_int_equal(api_role_rights(ROLE_CAPTURE), RIGHT_VIEW | RIGHT_CAPTURE);
    assert_int_equal(api_role_rights(ROLE_INJECT), RIGHT_VIEW | RIGHT_INJECT);
    assert_int_equal(api_role_rights(ROLE_INGEST), RIGHT_INGEST);
    assert_int_equal(api_role_rights(ROLE_ADMIN), 31);
    for (int i = 0; i < API_ROLES; i++) {
        assert_true(api_role_parse(api_role_name((enum api_role)i), &role));
        assert_int_equal(role, i);
    }
    assert_false(api_role_parse("root", &role));
    assert_false(api_role_parse("", &role));
    assert_null(api_role_names[API_ROLES]);
}

static void a_new_key_is_what_it_says_and_no_other(void **state)
{
    char text[API_KEY_TEXT_MAX];
    char other[API_KEY_TEXT_MAX];
    char id[API_KEY_ID_CHARS + 1];
    uint8_t hash[API_KEY_HASH_BYTES];
    struct api_key keys[2] = {make(ROLE_VIEW, "a", text), make(ROLE_ADMIN, "", other)};
    struct api_keys list = {.items = keys, .n = 2};
    const struct api_key *found = NULL;

    (void)state;
    assert_int_equal(strlen(text), 55);
    assert_string_not_equal(text, other);
    assert_true(api_key_id_is_good(keys[0].id));
    assert_int_equal(api_key_parse(text, id, hash, NULL), 0);
    assert_string_equal(id, keys[0].id);
    assert_memory_equal(hash, keys[0].hash, sizeof hash);
    assert_int_equal(api_keys_check(&list, text, NOW, &found, NULL), 0);
    assert_ptr_equal(found, &keys[0]);
    assert_int_equal(api_keys_check(&list, other, NOW, &found, NULL), 0);
    assert_ptr_equal(found, &keys[1]);
}

static void each_wrong_character_is_refused_and_never_quoted(void **state)
{
    char text[API_KEY_TEXT_MAX];
    struct api_key key = make(ROLE_VIEW, "a", text);
    struct api_keys list = {.items = &key, .n = 1};
    const struct api_key *found = NULL;
    size_t n = strlen(text);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        struct err err = {0};
        char was = text[i];
        text[i] = was == 'b' ? 'c' : 'b';
        /* The last character carries two bits that are no part of the secret: base64 refuses them.
         */
        assert_int_equal(api_keys_check(&list, text, NOW, &found, &err), ERR_KEY);
        assert_null(strstr(err.text, text + 12));
        text[i] = was;
    }
    for (size_t cut = 0; cut < n; cut++) {
        char part[API_KEY_TEXT_MAX] = {0};
        memcpy(part, text, cut);
        assert_int_equal(api_keys_check(&list, part, NOW, &found, NULL), ERR_KEY);
    }
    char longer[API_KEY_TEXT_MAX + 8];
    snprintf(longer, sizeof longer, "%sA", text);
    assert_int_equal(api_keys_check(&list, longer, NOW, &found, NULL), ERR_KEY);
    assert_null(found);
}

static void a_key_ends_when_it_expires(void **state)
{
    char text[API_KEY_TEXT_MAX];
    struct api_key key = make(ROLE_VIEW, "a", text);
    struct api_keys list = {.items = &key, .n = 1};
    const struct api_key *found = NULL;
    struct err err = {0};

    (void)state;
    key.expires_ns = NOW + HOUR;
    assert_int_equal(api_keys_check(&list, text, NOW + HOUR - 1, &found, NULL), 0);
    assert_int_equal(api_keys_check(&list, text, NOW + HOUR, &found, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "expired"));
    assert_non_null(strstr(err.text, key.id));
    /* Who does not have the secret does not learn that it expired. */
    text[20] = text[20] == 'b' ? 'c' : 'b';
    assert_int_equal(api_keys_check(&list, text, NOW + HOUR, &found, &err), ERR_KEY);
    assert_null(strstr(err.text, "expired"));
}

static void the_file_gives_back_what_was_written(void **state)
{
    char text[API_KEY_TEXT_MAX];
    struct api_keys list = {0};
    struct api_keys back = {0};

    (void)state;
    for (int i = 0; i < API_ROLES; i++) {
        struct api_key key = make((enum api_role)i, i == 1 ? "m\xc3\xbcller \"x\"" : "", text);
        key.expires_ns = i == 2 ? NOW + 5 : API_KEY_NEVER;
        assert_int_equal(api_keys_add(&list, &key, NULL), 0);
    }
    char *json = api_keys_encode(&list);
    assert_null(strstr(json, text + 12)); /* no secret */
    assert_int_equal(api_keys_decode(json, strlen(json), &back, NULL), 0);
    assert_int_equal(back.n, list.n);
    for (size_t i = 0; i < back.n; i++) {
        assert_string_equal(back.items[i].id, list.items[i].id);
        assert_string_equal(back.items[i].name, list.items[i].name);
        assert_int_equal(back.items[i].role, list.items[i].role);
        assert_int_equal(back.items[i].created_ns, list.items[i].created_ns);
        assert_int_equal(back.items[i].expires_ns, list.items[i].expires_ns);
        assert_memory_equal(back.items[i].hash, list.items[i].hash, API_KEY_HASH_BYTES);
    }
    mem_free(json);
    api_keys_free(&back);
    api_keys_free(&list);
}

#define HASH "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ENTRY(id, rest)                                                                            \
    "{\"id\":\"" id "\",\"role\":\"view\",\"created\":\"2026-01-02T03:04:05Z\",\"hash\":\"" HASH   \
    "\"," rest "}"

static void damaged_files_are_refused(void **state)
{
    static const char *const texts[] = {
        "", "{}", "[", "[1]", "[null]", "[{}]", "[] []",
        "[" ENTRY("abcdefg", "\"expires\":null") "]", "[" ENTRY("abcdefg1", "\"expires\":null") "]",
        "[" ENTRY("ABCDEFGH", "\"expires\":null") "]",
        "[" ENTRY("abcdefgh", "\"expires\":\"never\"") "]",
        "[" ENTRY("abcdefgh", "\"expires\":5") "]",
        "[" ENTRY("abcdefgh", "\"expires\":\"now\"") "]",
        "[" ENTRY("abcdefgh", "\"name\":null") "]", /* would never expire */
        "[" ENTRY("abcdefgh", "\"expires\":null,\"name\":5") "]",
        "[" ENTRY("abcdefgh", "\"expires\":null,\"name\":\"a\\nb\"") "]",
        "[" ENTRY("abcdefgh", "\"expires\":null,\"role\":\"admin\"") "]",
        "[" ENTRY("abcdefgh", "\"expires\":null") "," ENTRY("abcdefgh", "\"expires\":null") "]",
        "[{\"id\":\"abcdefgh\",\"role\":\"root\",\"expires\":null}]",
        /* clang-format off */
        "[{\"id\":\"abcdefgh\",\"role\":\"view\",\"expires\":null,\"created\":\"2026-01-01\",\"hash\":\"00\"}]",
        /* clang-format on */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct api_keys keys = {.n = 7};
        struct err err = {0};
        if (api_keys_decode(texts[i], strlen(texts[i]), &keys, &err) != ERR_DAMAGED) {
            fail_msg("'%s' was taken", texts[i]);
        }
        assert_int_equal(keys.n, 7);
        assert_true(err.text[0] != '\0');
    }
    struct api_keys keys = {0};
    const char *good = "[" ENTRY("abcdefgh", "\"expires\":null,\"later\":[1]") "]";
    assert_int_equal(api_keys_decode(good, strlen(good), &keys, NULL), 0);
    assert_int_equal(keys.n, 1);
    api_keys_free(&keys);
}

static void a_key_is_found_by_what_users_type(void **state)
{
    struct api_key items[] = {
        {.id = "abcdefgh", .name = "one"}, {.id = "abcdxxxx"}, {.id = "zzzzzzzz", .name = "abcd"}};
    struct api_keys keys = {.items = items, .n = 3};
    size_t index = 9;

    (void)state;
    assert_int_equal(api_keys_find(&keys, "abcdefgh", &index, NULL), 0);
    assert_int_equal(index, 0);
    assert_int_equal(api_keys_find(&keys, "abcdx", &index, NULL), 0);
    assert_int_equal(index, 1);
    assert_int_equal(api_keys_find(&keys, "one", &index, NULL), 0);
    assert_int_equal(index, 0);
    assert_int_equal(api_keys_find(&keys, "pr_zz", &index, NULL), 0);
    assert_int_equal(index, 2);
    assert_int_equal(api_keys_find(&keys, "pr_abcdxxxx_SECRET", &index, NULL), 0);
    assert_int_equal(index, 1);
    assert_int_equal(api_keys_find(&keys, "abcd", &index, NULL), ERR_AMBIGUOUS);
    assert_int_equal(api_keys_find(&keys, "", &index, NULL), ERR_NOT_FOUND);
    assert_int_equal(api_keys_find(&keys, "pr_", &index, NULL), ERR_NOT_FOUND);
    assert_int_equal(api_keys_find(&keys, "abcdefghi", &index, NULL), ERR_NOT_FOUND);
    api_keys_remove(&keys, 0);
    assert_int_equal(keys.n, 2);
    assert_string_equal(keys.items[0].id, "abcdxxxx");
}

static int add_one(struct api_keys *keys, void *arg, struct err *err)
{
    return api_keys_add(keys, arg, err);
}

static int change_mind(struct api_keys *keys, void *arg, struct err *err)
{
    (void)arg;
    api_keys_remove(keys, 0);
    return err_set(err, ERR_USAGE, "no");
}

static void the_file_is_made_private_and_replaced_whole(void **state)
{
    char text[API_KEY_TEXT_MAX];
    struct api_key key = make(ROLE_VIEW, "a", text);
    char *db = in_place("p.db");
    char *path = api_keys_path(db);
    struct api_keys keys = {.n = 7};
    struct stat st;

    (void)state;
    assert_int_equal(api_keys_load(path, &keys, NULL), 0);
    assert_int_equal(keys.n, 0);
    umask(0);
    assert_int_equal(api_keys_change(path, add_one, &key, NULL), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    ino_t before = st.st_ino;
    assert_int_equal(api_keys_change(path, change_mind, NULL, NULL), ERR_USAGE);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_ino, before);
    assert_int_equal(api_keys_load(path, &keys, NULL), 0);
    assert_int_equal(keys.n, 1);
    api_keys_free(&keys);

    struct err err = {0};
    assert_int_equal(chmod(path, 0640), 0);
    assert_int_equal(api_keys_load(path, &keys, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "chmod 600"));
    assert_int_equal(api_keys_change(path, add_one, &key, NULL), ERR_KEY);
    mem_free(path);
    mem_free(db);
}

static void *add_many(void *arg)
{
    char text[API_KEY_TEXT_MAX];

    for (int i = 0; i < 20; i++) {
        struct api_key key = make(ROLE_VIEW, "", text);
        if (api_keys_change(arg, add_one, &key, NULL) != 0) {
            return arg;
        }
    }
    return NULL;
}

static void programs_that_change_it_at_once_lose_nothing(void **state)
{
    char *path = in_place("p.db.d/api-keys");
    pthread_t threads[4];
    struct api_keys keys = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, path), 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        void *failed = NULL;
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    assert_int_equal(api_keys_load(path, &keys, NULL), 0);
    assert_int_equal(keys.n, 80);
    api_keys_free(&keys);
    mem_free(path);
}

static void keys_may_come_before_the_store(void **state)
{
    char text[API_KEY_TEXT_MAX];
    struct api_key key = make(ROLE_VIEW, "a", text);
    char *db = in_place("p.db");
    char *path = api_keys_path(db);
    struct store *store = NULL;
    struct store_options options = {.path = db, .mode = STORE_CREATE};
    struct api_keys keys = {0};
    struct err err = {0};

    (void)state;
    assert_int_equal(api_keys_change(path, add_one, &key, NULL), 0);
    int rc = store_open(&options, &store, &err);
    if (rc != 0) {
        fail_msg("%s", err.text);
    }
    /* And while somebody writes the store. */
    assert_int_equal(api_keys_change(path, add_one, &key, NULL), ERR_EXISTS);
    key = make(ROLE_VIEW, "b", text);
    assert_int_equal(api_keys_change(path, add_one, &key, NULL), 0);
    store_close(store);
    options.mode = STORE_READ;
    assert_int_equal(store_open(&options, &store, &err), 0);
    store_close(store);
    assert_int_equal(api_keys_load(path, &keys, NULL), 0);
    assert_int_equal(keys.n, 2);
    api_keys_free(&keys);
    mem_free(path);
    mem_free(db);
}

static void write_file(const char *path, const char *text, unsigned mode)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static void clients_take_their_key_from_a_file_or_the_environment(void **state)
{
    char text[API_KEY_TEXT_MAX];
    char other[API_KEY_TEXT_MAX];
    char line[API_KEY_TEXT_MAX + 2];
    char *path = in_place("key");
    char *got = NULL;

    (void)state;
    make(ROLE_VIEW, "a", text);
    make(ROLE_VIEW, "a", other);
    assert_int_equal(api_key_text(NULL, &got, NULL), 0);
    assert_null(got);
    snprintf(line, sizeof line, "%s\r\n", text);
    write_file(path, line, 0600);
    assert_int_equal(api_key_text(path, &got, NULL), 0);
    assert_string_equal(got, text);
    sodium_free(got);
    setenv("PACKETRECORDER_API_KEY_FILE", path, 1);
    assert_int_equal(api_key_text(NULL, &got, NULL), 0);
    assert_string_equal(got, text);
    sodium_free(got);
    setenv("PACKETRECORDER_API_KEY", other, 1);
    assert_int_equal(api_key_text(NULL, &got, NULL), 0);
    assert_string_equal(got, other);
    sodium_free(got);
    assert_int_equal(api_key_text(path, &got, NULL), 0);
    assert_string_equal(got, text);
    sodium_free(got);
    mem_free(path);
}

static void unfit_key_files_are_refused_without_quoting_them(void **state)
{
    char text[API_KEY_TEXT_MAX];
    char *path = in_place("key");
    char *got = NULL;
    struct err err = {0};

    (void)state;
    make(ROLE_VIEW, "a", text);
    assert_int_equal(api_key_text(path, &got, &err), ERR_KEY);
    write_file(path, text, 0644);
    assert_int_equal(api_key_text(path, &got, &err), ERR_KEY);
    assert_non_null(strstr(err.text, "chmod 600"));
    write_file(path, "my secret", 0600);
    assert_int_equal(api_key_text(path, &got, &err), ERR_KEY);
    assert_null(strstr(err.text, "my secret"));
    write_file(path, "", 0600);
    assert_int_equal(api_key_text(path, &got, &err), ERR_KEY);
    assert_int_equal(api_key_text(place, &got, &err), ERR_KEY);
    setenv("PACKETRECORDER_API_KEY", "my secret", 1);
    assert_int_equal(api_key_text(NULL, &got, &err), ERR_KEY);
    assert_null(strstr(err.text, "my secret"));
    assert_null(got);
    mem_free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(roles_are_sets_of_rights),
        cmocka_unit_test(a_new_key_is_what_it_says_and_no_other),
        cmocka_unit_test(each_wrong_character_is_refused_and_never_quoted),
        cmocka_unit_test(a_key_ends_when_it_expires),
        cmocka_unit_test(the_file_gives_back_what_was_written),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(a_key_is_found_by_what_users_type),
        cmocka_unit_test_setup_teardown(the_file_is_made_private_and_replaced_whole,
                                        make_place_without_keys, drop_place),
        cmocka_unit_test_setup_teardown(programs_that_change_it_at_once_lose_nothing,
                                        make_place_without_keys, drop_place),
        cmocka_unit_test_setup_teardown(keys_may_come_before_the_store, make_place_without_keys,
                                        drop_place),
        cmocka_unit_test_setup_teardown(clients_take_their_key_from_a_file_or_the_environment,
                                        make_place_without_keys, drop_place),
        cmocka_unit_test_setup_teardown(unfit_key_files_are_refused_without_quoting_them,
                                        make_place_without_keys, drop_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
