/*
 * keygen.c - brokerctl keygen: a pair of CURVE keys for addresses with tcp://
 *
 * FILE has both keys and is for its owner alone; FILE.pub has the public one, for whoever is to
 * trust it. Files that are there are never written over; if one of the two cannot be written, none
 * is left. libzmq makes the keys, loaded here so that no other command has to wait for it.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "fail.h"
#include "options.h"

#define LIBRARY "libzmq.so.5"
#define KEY_TEXT 41 /* 40 characters of Z85 and a NUL */
#define PATH_ROOM 4096

struct pair {
    char public[KEY_TEXT], secret[KEY_TEXT];
};

/* 0, or the exit code of what was told. */
static int make_pair(struct pair *out)
{
    void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
    int (*keypair)(char *, char *);
    void *symbol = library != NULL ? dlsym(library, "zmq_curve_keypair") : NULL;

    if (symbol == NULL)
        return ctl_fail(BROKER_SYSTEM,
            "keys are made by ZeroMQ, which cannot be loaded: %s; in Debian it is in the package "
            "libzmq5",
            dlerror());
    memcpy(&keypair, &symbol, sizeof(keypair));
    if (keypair(out->public, out->secret) != 0)
        return ctl_fail(BROKER_UNSUPPORTED, "this machine's ZeroMQ was built without CURVE");
    return 0;
}

/* 0, or the exit code of what was told; a file that could not be finished is gone then. */
static int write_new(const char *path, mode_t mode, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode), e = errno;
    size_t n = strlen(text);
    ssize_t written;

    if (fd < 0 && e == EEXIST)
        return ctl_fail(BROKER_EXISTS, "%s is there already; keys are never written over", path);
    if (fd < 0)
        return ctl_fail(BROKER_SYSTEM, "cannot make %s: %s", path, strerror(e));
    written = write(fd, text, n);
    e = written < 0 ? errno : ENOSPC;
    if (written == (ssize_t)n && fsync(fd) == 0) {
        (void)close(fd);
        return 0;
    }
    (void)close(fd);
    (void)unlink(path);
    return ctl_fail(BROKER_SYSTEM, "cannot write %s: %s", path, strerror(e));
}

static int write_files(const char *path, const char *public_path, const struct pair *pair)
{
    char text[512];
    int code;

    (void)snprintf(text, sizeof(text),
        "# The secret key of a pair: whoever can read this file can be its owner.\npublic = "
        "%s\nsecret = %s\n",
        pair->public, pair->secret);
    code = write_new(path, 0600, text);
    explicit_bzero(text, sizeof(text));
    if (code != 0)
        return code;
    (void)snprintf(text, sizeof(text), "public = %s\n", pair->public);
    code = write_new(public_path, 0644, text);
    if (code != 0)
        (void)unlink(path);
    return code;
}

int ctl_cmd_keygen(struct ctl *ctl, int argc, char **argv)
{
    static const struct ctl_syntax syntax = {.title = "keygen",
        .args_doc = "FILE",
        .doc =
            "Make a pair of keys for addresses with tcp://: FILE is for its owner alone, "
            "FILE.pub can be given away. Prints the public key."
            "\vFiles that are there are left as they are. A client's public key belongs into the "
            "file that `clients` in the broker's configuration names, the broker's into the "
            "client's address: server=FILE.pub&key=FILE.",
        .min_words = 1,
        .max_words = 1};
    struct ctl_words words;
    struct pair pair;
    char path[PATH_ROOM], public_path[PATH_ROOM + 4];
    int n, code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    n = snprintf(path, sizeof(path), "%s", words.words[0]);
    free(words.words);
    if (n == 0 || n >= PATH_ROOM)
        return ctl_fail_usage("the name of the file is empty or too long");
    (void)snprintf(public_path, sizeof(public_path), "%s.pub", path);
    code = make_pair(&pair);
    if (code == 0)
        code = write_files(path, public_path, &pair);
    if (code == 0 && !ctl->quiet)
        (void)printf("%s\n", pair.public);
    explicit_bzero(&pair, sizeof(pair));
    return code;
}
