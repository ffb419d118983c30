/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/extcap_folders.h"
#include "shared/base/buf.h"
#include "shared/base/mem.h"

#define PROGRAM          "packetrecorder-extcap"
#define OUTPUT_MAX_BYTES (256u * 1024u)

struct install_args {
    bool global;
    bool copy;
    bool uninstall;
    const char *folder;
};

#define AT(member) .offset = offsetof(struct install_args, member)

/* clang-format off */
static const struct command_option options[] = {
    {.name = "global", .kind = OPT_FLAG,
     .help = "For all users of this host; else for you alone.", AT(global)},
    {.name = "dir", .kind = OPT_STRING, .placeholder = "FOLDER",
     .help = "Into this folder.", .note = "where Wireshark looks", .complete = COMPLETE_FILE,
     AT(folder)},
    {.name = "copy", .kind = OPT_FLAG,
     .help = "Put a copy there in place of a symbolic link.", AT(copy)},
    {.name = "uninstall", .kind = OPT_FLAG, .help = "Take it away again.", AT(uninstall)},
};
/* clang-format on */

/* What a program prints; empty where there is none. */
static void read_output(const char *command, struct buf *out)
{
    FILE *pipe = popen(command, "r"); /* the commands are constants */
    char bytes[4096];
    size_t n;

    while (pipe != NULL && (n = fread(bytes, 1, sizeof bytes, pipe)) > 0) {
        if (out->len < OUTPUT_MAX_BYTES) {
            buf_append(out, bytes, n);
        }
    }
    if (pipe != NULL) {
        (void)pclose(pipe);
    }
    buf_put_u8(out, 0);
}

/* Beside this program, where it was installed or built. */
static int find_program(char **out, struct err *err)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);

    if (n < 0) {
        return err_errno(err, errno, "cannot find out where this program is");
    }
    self[n] = '\0';
    char *slash = strrchr(self, '/');
    char *program = x_sprintf("%.*s/" PROGRAM, (int)(slash == NULL ? 0 : slash - self), self);
    if (access(program, X_OK) < 0) {
        int code = err_errno(err, errno, "no '%s' beside this program", program);
        mem_free(program);
        return code;
    }
    *out = program;
    return 0;
}

static int make_folders(const char *folder, struct err *err)
{
    char *path = x_strdup(folder);
    int code = 0;

    for (char *p = path + 1; code == 0; p++) {
        if (*p == '/' || *p == '\0') {
            char kept = *p;
            *p = '\0';
            if (mkdir(path, 0755) < 0 && errno != EEXIST) {
                code = err_errno(err, errno, "cannot make the folder '%s'", path);
            }
            *p = kept;
            if (kept == '\0') {
                break;
            }
        }
    }
    mem_free(path);
    return code;
}

static int copy_bytes(int from, int to)
{
    char bytes[65536];
    ssize_t n;

    while ((n = read(from, bytes, sizeof bytes)) > 0) {
        for (ssize_t at = 0; at < n;) {
            ssize_t done = write(to, bytes + at, (size_t)(n - at));
            if (done < 0) {
                return -1;
            }
            at += done;
        }
    }
    return n < 0 ? -1 : 0;
}

static int make_copy(const char *program, const char *to)
{
    int in = open(program, O_RDONLY | O_CLOEXEC);
    int out = in < 0 ? -1 : open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0755);
    int result = in < 0 || out < 0 ? -1 : copy_bytes(in, out);
    int errnum = errno;

    if (out >= 0 && close(out) < 0 && result == 0) {
        errnum = errno;
        result = -1;
    }
    if (in >= 0) {
        close(in);
    }
    errno = errnum;
    return result;
}

/* Complete under another name first, so that Wireshark never runs half a program. */
static int put(const struct install_args *args, const char *program, const char *folder,
               struct err *err)
{
    REQUIRE(program != NULL); /* only --uninstall does without */
    char *path = x_sprintf("%s/" PROGRAM, folder);
    char *fresh = x_sprintf("%s/." PROGRAM ".%ld", folder, (long)getpid());
    int code = make_folders(folder, err);

    if (code == 0) {
        int made = args->copy ? make_copy(program, fresh) : symlink(program, fresh);
        if (made < 0 || rename(fresh, path) < 0) {
            code = err_errno(err, errno, "cannot put '%s' in place", path);
            (void)unlink(fresh);
        }
    }
    if (code == 0) {
        printf("%s '%s'%s%s%s\n", args->copy ? "copied to" : "linked", path,
               args->copy ? "" : " to '", args->copy ? "" : program, args->copy ? "" : "'");
    }
    mem_free(fresh);
    mem_free(path);
    return code;
}

static int take_away(const char *folder, struct err *err)
{
    char *path = x_sprintf("%s/" PROGRAM, folder);
    int code = 0;

    if (unlink(path) == 0) {
        printf("removed '%s'\n", path);
    } else if (errno == ENOENT) {
        printf("there is no '%s'\n", path);
    } else {
        code = err_errno(err, errno, "cannot remove '%s'", path);
    }
    mem_free(path);
    return code;
}

struct folders {
    char *items[2]; /* owned */
    size_t n;
};

/* Without tshark the version is not known: Wireshark from 4.2 on looks in the first, before that in
 * the second. */
static int find_folders(const struct install_args *args, struct folders *out, struct err *err)
{
    struct buf told = {0};
    const char *home = getenv("HOME");

    if (args->folder != NULL) {
        out->items[out->n++] = x_strdup(args->folder);
        return 0;
    }
    read_output("tshark -G folders 2>/dev/null", &told);
    char *folder = extcap_folder_of((const char *)told.data, args->global);
    buf_deinit(&told);
    if (folder != NULL) {
        out->items[out->n++] = folder;
    } else if (!args->global && home != NULL) {
        out->items[out->n++] = x_sprintf("%s/.local/lib/wireshark/extcap", home);
        out->items[out->n++] = x_sprintf("%s/.config/wireshark/extcap", home);
    }
    return out->n > 0 ? 0
                      : err_set(err, ERR_NOT_FOUND,
                                "no tshark to ask where Wireshark looks for extcap programs; name "
                                "the folder with --dir (Wireshark: Help, About, Folders)");
}

static void tell_how(const struct install_args *args)
{
    struct buf listed = {0};

    read_output("tshark -D 2>/dev/null", &listed);
    if (extcap_is_listed((const char *)listed.data)) {
        puts("tshark -D lists it now");
    } else if (listed.len > 1) {
        printf("tshark -D does not list it%s\n",
               args->folder != NULL ? ": it does not look in that folder" : "");
    } else {
        puts("to see it: wireshark, or tshark -D");
    }
    if (getenv("PACKETRECORDER_ENDPOINT") == NULL) {
        puts("name your node: export PACKETRECORDER_ENDPOINT=HOST:PORT, or the line 'endpoint = "
             "HOST:PORT' below '[extcap]' in ~/.config/packetrecorder/extcap");
    }
    buf_deinit(&listed);
}

static int run(struct command_context *ctx, void *args_)
{
    const struct install_args *args = args_;
    struct folders folders = {0};
    char *program = NULL;
    int code = find_folders(args, &folders, &ctx->err);

    if (code == 0 && !args->uninstall) {
        code = find_program(&program, &ctx->err);
    }
    for (size_t i = 0; code == 0 && i < folders.n; i++) {
        code = args->uninstall ? take_away(folders.items[i], &ctx->err)
                               : put(args, program, folders.items[i], &ctx->err);
    }
    if (code == 0 && !args->uninstall && !ctx->global.quiet) {
        tell_how(args);
    }
    for (size_t i = 0; i < folders.n; i++) {
        mem_free(folders.items[i]);
    }
    mem_free(program);
    return code;
}

const struct command cmd_install_extcap = {
    .name = "install-extcap",
    .summary = "show a node's interfaces in Wireshark",
    .options = options,
    .n_options = ARRAY_LEN(options),
    .args_size = sizeof(struct install_args),
    .description =
        (const char *const[]){
            "Puts packetrecorder-extcap where Wireshark and tshark look for programs that capture, "
            "and asks tshark whether it is found. They then list the interfaces of your node "
            "beside those of this host.",
            "The folder is the one that 'tshark -G folders' names. Without tshark it goes into "
            "~/.local/lib/wireshark/extcap, where Wireshark looks from 4.2 on, and into "
            "~/.config/wireshark/extcap, where it looked before.",
            NULL,
        },
    .examples =
        (const struct command_example[]){
            {"install-extcap", "for you"},
            {"install-extcap --global", "for all users; as root"},
            {"install-extcap --uninstall", "take it away again"},
            {NULL, NULL},
        },
    .run = run,
};
