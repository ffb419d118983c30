/* SPDX-License-Identifier: Apache-2.0
 *
 * Prints docs/rpc.md; with the path of one, tells whether it is that.
 */
#include <stdio.h>
#include <string.h>

#include "shared/base/buf.h"
#include "shared/wire/rpc_methods.h"

static int compare(const char *path, const struct buf *doc)
{
    static char text[1 << 20];
    FILE *file = fopen(path, "re");
    size_t n = file == NULL ? 0 : fread(text, 1, sizeof text, file);

    if (file != NULL) {
        fclose(file);
    }
    if (n == doc->len && memcmp(text, doc->data, n) == 0) {
        return 0;
    }
    fprintf(stderr, "%s is not of this table: 'build/dev/tests/rpc_doc > docs/rpc.md' mends it\n",
            path);
    return 1;
}

int main(int argc, char **argv)
{
    struct buf doc = {0};
    int rc = 0;

    rpc_methods_doc(&doc);
    if (argc > 1) {
        rc = compare(argv[1], &doc);
    } else {
        fwrite(doc.data, 1, doc.len, stdout);
    }
    buf_deinit(&doc);
    return rc;
}
