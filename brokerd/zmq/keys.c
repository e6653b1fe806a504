/*
 * keys.c - see keys.h
 */
#include "keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"

#define BLANK " \t\r\n"
#define Z85 "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"

struct reading {
    const char *path;
    unsigned line;
    struct zmqd_clients *clients;
};

static bool refuse(const struct reading *in, const char *why)
{
    brokerd_log(LOG_ERR, NULL, "%s:%u: %s", in->path, in->line, why);
    return false;
}

/* Room for one more behind @n of them, which may move. */
static void *grow(void *all, size_t n, size_t size)
{
    return n == 0 || (n >= 8 && (n & (n - 1)) == 0) ? reallocarray(all, n < 8 ? 8 : 2 * n, size)
                                                    : all;
}

/* ---- one line ---- */

/* As the names of arenas are. */
static bool is_name(const char *word, size_t room)
{
    size_t n = strlen(word);

    return n > 0 && n < room &&
           strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") == n;
}

static bool take_right(const struct reading *in, struct zmqd_client *c, char *word)
{
    char *access = strrchr(word, ':');
    struct zmqd_right right = {.access = ZMQD_ACCESS_NONE}, *rights;

    if (access != NULL) {
        *access++ = '\0';
        if (strcmp(access, "rw") == 0)
            right.access = ZMQD_ACCESS_WRITE;
        else if (strcmp(access, "ro") == 0)
            right.access = ZMQD_ACCESS_READ;
    }
    if (right.access == ZMQD_ACCESS_NONE ||
        (strcmp(word, "*") != 0 && !is_name(word, sizeof(right.arena))))
        return refuse(in, "a right is ARENA:rw or ARENA:ro, or *:rw or *:ro for all arenas");
    (void)snprintf(right.arena, sizeof(right.arena), "%s", word);
    for (size_t i = 0; i < c->n_rights; i++)
        if (strcmp(c->rights[i].arena, right.arena) == 0)
            return refuse(in, "the same arena is named twice");
    rights = grow(c->rights, c->n_rights, sizeof(*rights));
    if (rights == NULL)
        return refuse(in, "no memory");
    c->rights = rights;
    c->rights[c->n_rights++] = right;
    return true;
}

static bool take_name(const struct reading *in, struct zmqd_client *c, const char *word)
{
    if (word == NULL || !is_name(word, sizeof(c->name)))
        return refuse(in, "behind the key comes a name of 1 to 15 letters, digits, \"-\" and "
                          "\"_\"");
    if (zmqd_clients_by_name(in->clients, word) != NULL)
        return refuse(in, "another key has this name");
    (void)snprintf(c->name, sizeof(c->name), "%s", word);
    return true;
}

static bool take_key(const struct reading *in, struct zmqd_client *c, const char *word)
{
    if (strlen(word) != ZMQD_KEY_TEXT - 1 || strspn(word, Z85) != ZMQD_KEY_TEXT - 1)
        return refuse(in, "a line begins with a public key of 40 characters of Z85, or with \"# \" "
                          "for a comment");
    if (zmqd_clients_by_key(in->clients, word) != NULL)
        return refuse(in, "this key is there already");
    (void)snprintf(c->public, sizeof(c->public), "%s", word);
    return true;
}

/* @word is the first of a line that has one. */
static bool take_client(struct reading *in, const char *word, char **save)
{
    struct zmqd_clients *clients = in->clients;
    struct zmqd_client c = {.public = ""}, *all;
    bool ok = take_key(in, &c, word) && take_name(in, &c, strtok_r(NULL, BLANK, save));
    char *right = ok ? strtok_r(NULL, BLANK, save) : NULL;

    if (ok && right == NULL)
        ok = refuse(in, "behind the name comes what the key may use, such as default:rw");
    for (; ok && right != NULL; right = strtok_r(NULL, BLANK, save))
        ok = take_right(in, &c, right);
    all = ok ? grow(clients->all, clients->n, sizeof(*all)) : NULL;
    if (all == NULL) {
        free(c.rights);
        return ok ? refuse(in, "no memory") : false;
    }
    clients->all = all;
    clients->all[clients->n++] = c;
    return true;
}

/* ---- the file ---- */

static bool take_lines(struct reading *in, FILE *f)
{
    char *line = NULL, *save, *word;
    size_t room = 0;
    ssize_t n;
    bool ok = true;

    while (ok && (n = getline(&line, &room, f)) >= 0) {
        in->line++;
        if (memchr(line, '\0', (size_t)n) != NULL) {
            ok = refuse(in, "this is no text");
            break;
        }
        word = strtok_r(line, BLANK, &save);
        if (word != NULL && strcmp(word, "#") != 0)
            ok = take_client(in, word, &save);
    }
    if (ok && ferror(f) != 0)
        ok = refuse(in, "it cannot be read");
    free(line);
    return ok;
}

static FILE *open_file(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    FILE *f = NULL;

    if (fd < 0 || fstat(fd, &st) != 0) {
        brokerd_log(LOG_ERR, NULL, "cannot read %s: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode) || (st.st_mode & 022) != 0) {
        brokerd_log(LOG_ERR, NULL,
            "others than its owner can write %s, and so let anybody in: `chmod go-w` it", path);
    } else {
        f = fdopen(fd, "r");
        if (f == NULL)
            brokerd_log(LOG_ERR, NULL, "no memory to read %s", path);
    }
    if (f == NULL && fd >= 0)
        (void)close(fd);
    return f;
}

bool zmqd_clients_read(const char *path, struct zmqd_clients **out_clients)
{
    struct reading in = {.path = path};
    FILE *f = open_file(path);
    bool ok;

    if (f == NULL)
        return false;
    in.clients = calloc(1, sizeof(*in.clients));
    ok = in.clients != NULL ? take_lines(&in, f) : refuse(&in, "no memory");
    (void)fclose(f);
    if (ok)
        *out_clients = in.clients;
    else
        zmqd_clients_free(in.clients);
    return ok;
}

void zmqd_clients_free(struct zmqd_clients *clients)
{
    if (clients == NULL)
        return;
    for (size_t i = 0; i < clients->n; i++)
        free(clients->all[i].rights);
    free(clients->all);
    free(clients);
}

/* ---- looking up ---- */

const struct zmqd_client *zmqd_clients_by_key(
    const struct zmqd_clients *clients, const char *public)
{
    for (size_t i = 0; clients != NULL && i < clients->n; i++)
        if (strcmp(clients->all[i].public, public) == 0)
            return &clients->all[i];
    return NULL;
}

const struct zmqd_client *zmqd_clients_by_name(const struct zmqd_clients *clients, const char *name)
{
    for (size_t i = 0; clients != NULL && i < clients->n; i++)
        if (strcmp(clients->all[i].name, name) == 0)
            return &clients->all[i];
    return NULL;
}

enum zmqd_access zmqd_client_access(const struct zmqd_client *client, const char *arena)
{
    for (size_t i = 0; i < client->n_rights; i++)
        if (strcmp(client->rights[i].arena, "*") == 0 ||
            strcmp(client->rights[i].arena, arena) == 0)
            return client->rights[i].access;
    return ZMQD_ACCESS_NONE;
}
