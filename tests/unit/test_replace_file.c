/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
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

#include "shared/base/replace_file_posix.h"

struct folder {
    char path[64];
    int fd;
};

static struct folder folder_new(void)
{
    struct folder f = {.path = "/tmp/packetrecorder-replace.XXXXXX"};

    assert_non_null(mkdtemp(f.path));
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.fd >= 0);
    return f;
}

static void folder_free(struct folder *f)
{
    (void)unlinkat(f->fd, "it", 0);
    (void)unlinkat(f->fd, "elsewhere", 0);
    close(f->fd);
    assert_int_equal(rmdir(f->path), 0); /* nothing else is left */
}

static void assert_content(const struct folder *f, const char *name, const char *text)
{
    char got[64] = "";
    int fd = openat(f->fd, name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof got), strlen(text));
    assert_memory_equal(got, text, strlen(text));
    close(fd);
}

static void a_file_is_made_and_replaced_whole(void **state)
{
    struct folder f = folder_new();
    struct stat st;

    (void)state;
    umask(0);
    assert_int_equal(replace_file(f.fd, "it", "the first one", 13, false), 0);
    assert_content(&f, "it", "the first one");
    assert_int_equal(replace_file(f.fd, "it", "two", 3, true), 0);
    assert_content(&f, "it", "two");
    assert_int_equal(fstatat(f.fd, "it", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    folder_free(&f);
}

static void who_could_read_what_a_crash_left_cannot_read_the_next(void **state)
{
    struct folder f = folder_new();
    struct stat st;

    (void)state;
    int fd = openat(f.fd, ".it.new", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(write(fd, "half of a longer one", 20), 20);
    close(fd);
    assert_int_equal(replace_file(f.fd, "it", "new", 3, false), 0);
    assert_content(&f, "it", "new");
    assert_int_equal(fstatat(f.fd, "it", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    folder_free(&f);
}

static void a_link_in_its_place_is_not_followed(void **state)
{
    struct folder f = folder_new();

    (void)state;
    assert_int_equal(symlinkat("elsewhere", f.fd, ".it.new"), 0);
    assert_int_equal(replace_file(f.fd, "it", "secret", 6, false), ELOOP);
    assert_int_equal(faccessat(f.fd, "elsewhere", F_OK, 0), -1);
    assert_int_equal(unlinkat(f.fd, ".it.new", 0), 0);
    /* One that stands for the file itself is replaced, and what it points to stays. */
    assert_int_equal(replace_file(f.fd, "elsewhere", "other", 5, false), 0);
    assert_int_equal(symlinkat("elsewhere", f.fd, "it"), 0);
    assert_int_equal(replace_file(f.fd, "it", "mine", 4, false), 0);
    assert_content(&f, "elsewhere", "other");
    assert_content(&f, "it", "mine");
    folder_free(&f);
}

static void what_fails_leaves_the_file_as_it_was(void **state)
{
    struct folder f = folder_new();
    char name[REPLACE_FILE_NAME_MAX + 2];

    (void)state;
    assert_int_equal(mkdirat(f.fd, "it", 0700), 0);
    assert_int_equal(replace_file(f.fd, "it", "a", 1, false), EISDIR);
    assert_int_equal(faccessat(f.fd, ".it.new", F_OK, 0), -1);
    assert_int_equal(unlinkat(f.fd, "it", AT_REMOVEDIR), 0);
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(replace_file(f.fd, name, "a", 1, false), ENAMETOOLONG);
    folder_free(&f);
}

static void what_root_writes_belongs_to_whom_the_old_one_did(void **state)
{
    struct folder f = folder_new();
    struct stat st;

    (void)state;
    if (geteuid() != 0) {
        folder_free(&f);
        skip();
    }
    assert_int_equal(fchown(f.fd, 4711, 4712), 0);
    assert_int_equal(replace_file(f.fd, "it", "a", 1, true), 0); /* the directory's */
    assert_int_equal(fstatat(f.fd, "it", &st, 0), 0);
    assert_int_equal(st.st_uid, 4711);
    assert_int_equal(fchownat(f.fd, "it", 4800, 4801, 0), 0);
    assert_int_equal(replace_file(f.fd, "it", "b", 1, true), 0);
    assert_int_equal(fstatat(f.fd, "it", &st, 0), 0);
    assert_int_equal(st.st_uid, 4800);
    assert_int_equal(st.st_gid, 4801);
    folder_free(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_made_and_replaced_whole),
        cmocka_unit_test(who_could_read_what_a_crash_left_cannot_read_the_next),
        cmocka_unit_test(a_link_in_its_place_is_not_followed),
        cmocka_unit_test(what_fails_leaves_the_file_as_it_was),
        cmocka_unit_test(what_root_writes_belongs_to_whom_the_old_one_did),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
