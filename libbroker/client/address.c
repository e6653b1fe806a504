/*
 * address.c - see address.h
 *
 * Addresses come from users and from the environment; nothing is taken that is not understood to
 * its last byte.
 */
#include "client/address.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/attach.h"
#include "client/handle.h"

#define UNIX_PREFIX "unix:"
#define PRIVATE_PREFIX "private:"

static int too_long(const char *path)
{
    return bri_fail_text(BROKER_ADDRESS,
        "the path %s is too long for a socket: %d bytes are allowed", path,
        BRI_SOCKET_PATH_MAX - 1);
}

/* The user's instance, if it is there, else the system's. */
static void find_instance(char out_path[BRI_SOCKET_PATH_MAX])
{
    const char *dir = secure_getenv("XDG_RUNTIME_DIR");
    int n;

    if (dir != NULL && dir[0] == '/') {
        n = snprintf(out_path, BRI_SOCKET_PATH_MAX, "%s/brokerd/%s", dir, BRI_ATTACH_NAME);
        if (n < BRI_SOCKET_PATH_MAX && access(out_path, F_OK) == 0)
            return;
    }
    (void)snprintf(out_path, BRI_SOCKET_PATH_MAX, "%s/%s", BRI_SYSTEM_DIR, BRI_ATTACH_NAME);
}

/* Paths are kept absolute: the working directory may change before they are used again. */
static int set_path(const char *path, size_t n, struct bri_address *out)
{
    char dir[BRI_SOCKET_PATH_MAX] = "";
    int written;

    if (path[0] != '/' && getcwd(dir, sizeof(dir)) == NULL)
        return too_long(path);
    written = snprintf(
        out->path, sizeof(out->path), "%s%s%.*s", dir, path[0] == '/' ? "" : "/", (int)n, path);
    return written < (int)sizeof(out->path) ? 0 : too_long(path);
}

static int set_parameter(const char *text, size_t n, struct bri_address *out)
{
    static const char arena[] = "arena=", access_[] = "access=";
    const char *value;

    if (n >= sizeof(arena) - 1 && strncmp(text, arena, sizeof(arena) - 1) == 0) {
        value = text + sizeof(arena) - 1;
        n -= sizeof(arena) - 1;
        if (n == 0 || n >= sizeof(out->arena))
            return bri_fail_text(
                BROKER_ADDRESS, "an arena's name has 1 to %zu bytes", sizeof(out->arena) - 1);
        memcpy(out->arena, value, n);
        out->arena[n] = '\0';
        return 0;
    }
    if (n == sizeof(access_) - 1 + 2 && strncmp(text, access_, sizeof(access_) - 1) == 0) {
        value = text + sizeof(access_) - 1;
        out->read_only = strncmp(value, "ro", 2) == 0;
        if (out->read_only || strncmp(value, "rw", 2) == 0)
            return 0;
    }
    return bri_fail_text(BROKER_ADDRESS,
        "\"%.*s\" is no part of an address: \"arena=NAME\", \"access=ro\" and \"access=rw\" are",
        (int)n, text);
}

static int parse(const char *text, const char *standard, struct bri_address *out);

static int parse_unix(const char *rest, const char *standard, struct bri_address *out)
{
    size_t n = strcspn(rest, "?");
    int r = 0;

    if (n > 0)
        r = set_path(rest, n, out);
    else if (standard != NULL && standard[0] != '\0')
        r = parse(standard, NULL, out);
    else
        find_instance(out->path);
    while (r == 0 && rest[n] != '\0') {
        rest += n + 1;
        n = strcspn(rest, "&");
        r = set_parameter(rest, n, out);
    }
    return r;
}

/* @standard is what an address without a path stands for; NULL when there is no such thing. */
static int parse(const char *text, const char *standard, struct bri_address *out)
{
    if (strcmp(text, PRIVATE_PREFIX) == 0) {
        out->is_private = true;
        return 0;
    }
    if (strncmp(text, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0)
        return parse_unix(text + strlen(UNIX_PREFIX), standard, out);
    return bri_fail_text(BROKER_ADDRESS,
        "the address \"%s\" is not understood: it is \"unix:\", \"unix:PATH\" or \"private:\"",
        text);
}

int bri_address_parse(const char *text, struct bri_address *out_address)
{
    struct bri_address address = {.arena = BRI_DEFAULT_ARENA};
    int r;

    if (text == NULL || text[0] == '\0')
        text = UNIX_PREFIX;
    r = parse(text, secure_getenv("BROKER_ADDRESS"), &address);
    if (r == 0)
        *out_address = address;
    return r;
}

void bri_address_format(const struct bri_address *address, char *out_text, size_t size)
{
    bool named = strcmp(address->arena, BRI_DEFAULT_ARENA) != 0;

    (void)snprintf(out_text, size, "%s%s%s%s%s", UNIX_PREFIX, address->path, named ? "?arena=" : "",
        named ? address->arena : "",
        !address->read_only ? ""
        : named             ? "&access=ro"
                            : "?access=ro");
}
