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

#define ZMQ_NAME "zmq" /* the socket of the ZeroMQ road in an instance's folder */

struct road {
    const char *prefix;
    enum bri_road road;
};

static const struct road roads[] = {
    {"unix:", BRI_ROAD_UNIX},
    {"private:", BRI_ROAD_PRIVATE},
    {"ipc://", BRI_ROAD_IPC},
    {"tcp://", BRI_ROAD_TCP},
};

static int too_long(const char *path)
{
    return bri_fail_text(BROKER_ADDRESS,
        "the path %s is too long for a socket: %d bytes are allowed", path,
        BRI_SOCKET_PATH_MAX - 1);
}

/* A socket of the user's instance, if it is there, else of the system's. */
static void find_instance(const char *name, char out_path[BRI_SOCKET_PATH_MAX])
{
    const char *dir = secure_getenv("XDG_RUNTIME_DIR");
    int n;

    if (dir != NULL && dir[0] == '/') {
        n = snprintf(out_path, BRI_SOCKET_PATH_MAX, "%s/brokerd/%s", dir, name);
        if (n < BRI_SOCKET_PATH_MAX && access(out_path, F_OK) == 0)
            return;
    }
    (void)snprintf(out_path, BRI_SOCKET_PATH_MAX, "%s/%s", BRI_SYSTEM_DIR, name);
}

/* Paths are kept absolute: the working directory may change before they are used again. */
static bool to_absolute(const char *path, size_t n, char *out, size_t size)
{
    char dir[BRI_KEY_PATH_MAX] = "";
    int written;

    if (path[0] != '/' && getcwd(dir, sizeof(dir)) == NULL)
        return false;
    written = snprintf(out, size, "%s%s%.*s", dir, path[0] == '/' ? "" : "/", (int)n, path);
    return written >= 0 && (size_t)written < size;
}

static int set_path(const char *path, size_t n, struct bri_address *out)
{
    return to_absolute(path, n, out->path, sizeof(out->path)) ? 0 : too_long(path);
}

/* HOST:PORT; HOST may be an IPv6 address in brackets. */
static int set_host(const char *host, size_t n, struct bri_address *out)
{
    const char *colon = memrchr(host, ':', n);
    size_t n_host = colon != NULL ? (size_t)(colon - host) : 0, n_port = n - n_host;
    long port = 0;

    if (n_host > 0 && n < sizeof(out->host) && strcspn(host, ";*@/ ") >= n && n_port > 1 &&
        n_port <= 6 && strspn(colon + 1, "0123456789") >= n_port - 1)
        port = strtol(colon + 1, NULL, 10);
    if (port < 1 || port > UINT16_MAX)
        return bri_fail_text(BROKER_ADDRESS, "\"%.*s\" is no HOST:PORT", (int)n, host);
    memcpy(out->host, host, n);
    out->host[n] = '\0';
    return 0;
}

/* ---- parameters ---- */

static int set_arena(const char *value, size_t n, struct bri_address *out)
{
    if (n == 0 || n >= sizeof(out->arena))
        return bri_fail_text(
            BROKER_ADDRESS, "an arena's name has 1 to %zu bytes", sizeof(out->arena) - 1);
    memcpy(out->arena, value, n);
    out->arena[n] = '\0';
    return 0;
}

static int set_access(const char *value, size_t n, struct bri_address *out)
{
    if (n != 2 || (strncmp(value, "ro", 2) != 0 && strncmp(value, "rw", 2) != 0))
        return bri_fail_text(
            BROKER_ADDRESS, "\"%.*s\" is no access: \"ro\" and \"rw\" are", (int)n, value);
    out->read_only = value[1] == 'o';
    return 0;
}

static int set_wait(const char *value, size_t n, struct bri_address *out)
{
    long seconds = n > 0 && n < 6 && strspn(value, "0123456789") >= n ? strtol(value, NULL, 10) : 0;

    if (seconds == 0)
        return bri_fail_text(
            BROKER_ADDRESS, "\"wait=%.*s\": it is 1 to 99999 seconds", (int)n, value);
    out->wait_ns = seconds * BRI_SECOND;
    return 0;
}

static int set_key(const char *value, size_t n, char out_path[BRI_KEY_PATH_MAX])
{
    if (n > 0 && to_absolute(value, n, out_path, BRI_KEY_PATH_MAX))
        return 0;
    return bri_fail_text(
        BROKER_ADDRESS, "the path of a key file has 1 to %d bytes", BRI_KEY_PATH_MAX - 1);
}

static int set_server_key(const char *value, size_t n, struct bri_address *out)
{
    return set_key(value, n, out->server_key);
}

static int set_own_key(const char *value, size_t n, struct bri_address *out)
{
    return set_key(value, n, out->own_key);
}

static const struct parameter {
    const char *prefix;
    int (*set)(const char *value, size_t n, struct bri_address *out);
    bool is_tcp; /* only there */
} parameters[] = {
    {"arena=", set_arena, false},
    {"access=", set_access, false},
    {"wait=", set_wait, false},
    {"server=", set_server_key, true},
    {"key=", set_own_key, true},
};

static int set_parameter(const char *text, size_t n, struct bri_address *out)
{
    for (size_t i = 0; i < sizeof(parameters) / sizeof(parameters[0]); i++) {
        const struct parameter *p = &parameters[i];
        size_t length = strlen(p->prefix);

        if (n >= length && strncmp(text, p->prefix, length) == 0 &&
            (!p->is_tcp || out->road == BRI_ROAD_TCP))
            return p->set(text + length, n - length, out);
    }
    return bri_fail_text(BROKER_ADDRESS,
        "\"%.*s\" is no part of such an address: \"arena=NAME\", \"access=ro\", "
        "\"access=rw\" and \"wait=SECONDS\" are; behind \"tcp://HOST:PORT\" also \"server=FILE\" "
        "and \"key=FILE\"",
        (int)n, text);
}

static int check_keys(const struct bri_address *a)
{
    if (a->road != BRI_ROAD_TCP || (a->server_key[0] != '\0' && a->own_key[0] != '\0'))
        return 0;
    return bri_fail_text(BROKER_ADDRESS,
        "\"tcp://%s\" needs \"server=FILE\", the broker's public key, and \"key=FILE\", this "
        "client's keys",
        a->host);
}

/* ---- the whole ---- */

static int parse(const char *text, const char *standard, struct bri_address *out);

/* Up to the parameters. @standard is what `unix:` stands for; NULL when there is no such thing. */
static int parse_place(const char *rest, size_t n, const char *standard, struct bri_address *out)
{
    if (out->road == BRI_ROAD_TCP)
        return set_host(rest, n, out);
    if (n > 0)
        return set_path(rest, n, out);
    if (out->road == BRI_ROAD_UNIX && standard != NULL && standard[0] != '\0')
        return parse(standard, NULL, out);
    find_instance(out->road == BRI_ROAD_UNIX ? BRI_ATTACH_NAME : ZMQ_NAME, out->path);
    return 0;
}

static int parse_road(const char *rest, const char *standard, struct bri_address *out)
{
    size_t n = strcspn(rest, "?");
    int r = parse_place(rest, n, standard, out);

    while (r == 0 && rest[n] != '\0') {
        rest += n + 1;
        n = strcspn(rest, "&");
        r = set_parameter(rest, n, out);
    }
    return r < 0 ? r : check_keys(out);
}

static int parse(const char *text, const char *standard, struct bri_address *out)
{
    for (size_t i = 0; i < sizeof(roads) / sizeof(roads[0]); i++) {
        size_t n = strlen(roads[i].prefix);

        if (strncmp(text, roads[i].prefix, n) != 0)
            continue;
        out->road = roads[i].road;
        if (out->road != BRI_ROAD_PRIVATE)
            return parse_road(text + n, standard, out);
        if (text[n] == '\0')
            return 0;
    }
    return bri_fail_text(BROKER_ADDRESS,
        "the address \"%s\" is not understood: it is \"unix:\", \"unix:PATH\", \"private:\", "
        "\"ipc://PATH\" or \"tcp://HOST:PORT?server=FILE&key=FILE\"",
        text);
}

int bri_address_parse(const char *text, struct bri_address *out_address)
{
    struct bri_address address = {.arena = BRI_DEFAULT_ARENA};
    int r;

    if (text == NULL || text[0] == '\0')
        text = roads[0].prefix;
    r = parse(text, secure_getenv("BROKER_ADDRESS"), &address);
    if (r == 0)
        *out_address = address;
    return r;
}

/* One more parameter, if there is something to say. */
static size_t add(char *text, size_t n, const char *name, const char *value)
{
    int written;

    if (value[0] == '\0')
        return n;
    written = snprintf(text + n, BRI_ADDRESS_MAX - n, "%c%s%s",
        memchr(text, '?', n) == NULL ? '?' : '&', name, value);
    return written > 0 && n + (size_t)written < BRI_ADDRESS_MAX ? n + (size_t)written : n;
}

void bri_address_format(const struct bri_address *a, char out_text[BRI_ADDRESS_MAX])
{
    bool is_tcp = a->road == BRI_ROAD_TCP, named = strcmp(a->arena, BRI_DEFAULT_ARENA) != 0;
    const char *prefix = roads[a->road].prefix;
    size_t n;

    n = (size_t)snprintf(out_text, BRI_ADDRESS_MAX, "%s%s", prefix, is_tcp ? a->host : a->path);
    n = add(out_text, n, "server=", is_tcp ? a->server_key : "");
    n = add(out_text, n, "key=", is_tcp ? a->own_key : "");
    n = add(out_text, n, "arena=", named ? a->arena : "");
    (void)add(out_text, n, "access=", a->read_only ? "ro" : "");
}
