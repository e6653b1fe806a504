/*
 * place.c - see place.h
 *
 * A lock file is locked with flock() and never handed to anybody. It is removed while it is still
 * locked, so whoever gets the lock makes sure that the file still is the one with that name.
 */
#include "place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "client/attach.h"
#include "log.h"

#define LOCK_NAME "lock"
#define SHM_DIR "/dev/shm"
#define LOCK_TRIES 16

bool brokerd_place_name(struct brokerd_place *place, const char *instance, bool is_private)
{
    *place = (struct brokerd_place){.dir_lock = -1, .name_lock = -1};
    if (instance == NULL)
        instance = geteuid() == 0 ? "system" : "user";
    if (is_private) {
        place->kind = BROKERD_PRIVATE;
        (void)snprintf(place->name, sizeof(place->name), "private-%d", (int)getpid());
        return true;
    }
    if (!brokerd_name_ok(instance)) {
        brokerd_log(LOG_ERR, NULL,
            "\"%s\" cannot name an instance: 1 to %d letters, digits, \"-\" and \"_\"", instance,
            BROKERD_NAME_MAX);
        return false;
    }
    place->kind = BROKERD_NAMED;
    if (strcmp(instance, "system") == 0)
        place->kind = BROKERD_SYSTEM;
    /* Only sessions of users have a runtime folder. */
    place->of_system = place->kind == BROKERD_SYSTEM || getenv("XDG_RUNTIME_DIR") == NULL;
    if (strcmp(instance, "user") == 0) {
        place->kind = BROKERD_USER;
        place->of_system = false;
        (void)snprintf(place->name, sizeof(place->name), "user-%u", (unsigned)geteuid());
        return true;
    }
    (void)snprintf(place->name, sizeof(place->name), "%s", instance);
    return true;
}

static bool standard_dir(struct brokerd_place *place)
{
    const char *base = getenv("XDG_RUNTIME_DIR");
    bool named = place->kind == BROKERD_NAMED;
    int n;

    if (place->of_system) {
        n = snprintf(place->dir, sizeof(place->dir), "%s%s%s", BRI_SYSTEM_DIR, named ? "-" : "",
            named ? place->name : "");
        return n < (int)sizeof(place->dir);
    }
    if (base == NULL || base[0] != '/') {
        brokerd_log(LOG_ERR, NULL,
            "$XDG_RUNTIME_DIR is not set: say with --runtime-dir where the instance lives");
        return false;
    }
    n = snprintf(place->dir, sizeof(place->dir), "%s/brokerd%s%s", base, named ? "-" : "",
        named ? place->name : "");
    return n < (int)sizeof(place->dir);
}

static bool make_dir(const struct brokerd_place *place)
{
    mode_t mode = place->of_system ? 0755 : 0700;
    struct stat st;

    if (mkdir(place->dir, mode) == 0)
        return chmod(place->dir, mode) == 0;
    if (errno == EEXIST && stat(place->dir, &st) == 0 && S_ISDIR(st.st_mode)) {
        if (st.st_uid == geteuid() || st.st_uid == 0)
            return true;
        brokerd_log(
            LOG_ERR, NULL, "the folder %s belongs to user %u", place->dir, (unsigned)st.st_uid);
        return false;
    }
    brokerd_log(LOG_ERR, NULL, "cannot make the folder %s: %s", place->dir, strerror(errno));
    return false;
}

static void say_taken(const char *path, int fd)
{
    char text[16] = "";
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    if (n <= 0)
        text[0] = '\0';
    text[strcspn(text, "\n")] = '\0';
    brokerd_log(LOG_ERR, NULL, "another brokerd (process %s) runs this instance: it has locked %s",
        text[0] != '\0' ? text : "unknown", path);
}

/* True if @fd still is the file at @path. */
static bool is_at(int fd, const char *path)
{
    struct stat mine, there;

    return fstat(fd, &mine) == 0 && lstat(path, &there) == 0 && mine.st_ino == there.st_ino &&
           mine.st_dev == there.st_dev;
}

static int take_lock(const char *path)
{
    char text[16];
    int fd, n;

    for (unsigned i = 0; i < LOCK_TRIES; i++) {
        fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            break;
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            say_taken(path, fd);
            (void)close(fd);
            return -1;
        }
        if (is_at(fd, path)) {
            n = snprintf(text, sizeof(text), "%d\n", (int)getpid());
            if (ftruncate(fd, 0) == 0)
                (void)!pwrite(fd, text, (size_t)n, 0); /* for people only */
            return fd;
        }
        (void)close(fd); /* its last owner has just removed it */
    }
    brokerd_log(LOG_ERR, NULL, "cannot lock %s: %s", path, strerror(errno));
    return -1;
}

static void lock_path(
    const struct brokerd_place *place, bool by_name, char out[BROKERD_PATH_MAX + 16])
{
    if (by_name) /* no arena can have that name: it has a dot */
        (void)snprintf(
            out, BROKERD_PATH_MAX + 16, "%s/brokerd.%s.daemon.lock", SHM_DIR, place->name);
    else
        (void)snprintf(out, BROKERD_PATH_MAX + 16, "%s/%s", place->dir, LOCK_NAME);
}

bool brokerd_place_take(struct brokerd_place *place, const char *dir)
{
    char path[BROKERD_PATH_MAX + 16];
    int n;

    if (dir != NULL && dir[0] == '/')
        n = snprintf(place->dir, sizeof(place->dir), "%s", dir);
    else if (dir != NULL && getcwd(place->dir, sizeof(place->dir)) != NULL)
        n = snprintf(path, sizeof(path), "%s/%s", place->dir, dir) < BROKERD_PATH_MAX
                ? snprintf(place->dir, sizeof(place->dir), "%.*s", BROKERD_PATH_MAX - 1, path)
                : BROKERD_PATH_MAX;
    else
        n = standard_dir(place) ? 0 : BROKERD_PATH_MAX;
    if (n >= BROKERD_PATH_MAX ||
        snprintf(place->socket, sizeof(place->socket), "%s/%s", place->dir, BRI_ATTACH_NAME) >=
            (int)sizeof(((struct sockaddr_un *)0)->sun_path)) {
        brokerd_log(
            LOG_ERR, NULL, "there is no usable runtime folder: the path is missing or too long");
        return false;
    }
    if (!make_dir(place))
        return false;
    lock_path(place, false, path);
    place->dir_lock = take_lock(path);
    if (place->dir_lock < 0 || place->kind == BROKERD_PRIVATE)
        return place->dir_lock >= 0;
    lock_path(place, true, path);
    place->name_lock = take_lock(path);
    return place->name_lock >= 0;
}

/* The socket that systemd made, made ready. */
static int use_inherited(int fd)
{
    if (sd_is_socket_unix(fd, SOCK_SEQPACKET, 1, NULL, 0) > 0 &&
        fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) == 0)
        return fd;
    brokerd_log(LOG_ERR, NULL,
        "the socket called " BRI_ATTACH_NAME
        " that brokerd was started with is none with ListenSequentialPacket=");
    (void)close(fd);
    return -1;
}

int brokerd_place_listen(struct brokerd_place *place, int inherited, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;

    if (inherited >= 0)
        return use_inherited(inherited);
    memcpy(address.sun_path, place->socket, strlen(place->socket) + 1);
    (void)unlink(place->socket); /* of one that was killed: we have the lock */
    fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* Everybody may connect; who may attach is decided by the arenas' rules. */
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) != 0 ||
        chmod(place->socket, 0666) != 0 || listen(fd, backlog) != 0) {
        brokerd_log(LOG_ERR, NULL, "cannot listen at %s: %s", place->socket, strerror(errno));
        if (fd >= 0)
            (void)close(fd);
        return -1;
    }
    place->made_socket = true;
    return fd;
}

void brokerd_place_leave(struct brokerd_place *place)
{
    char path[BROKERD_PATH_MAX + 16];

    if (place->made_socket)
        (void)unlink(place->socket);
    if (place->name_lock >= 0) {
        lock_path(place, true, path);
        (void)unlink(path);
        (void)close(place->name_lock);
    }
    if (place->dir_lock >= 0) {
        lock_path(place, false, path);
        (void)unlink(path);
        (void)close(place->dir_lock);
        if (place->kind == BROKERD_PRIVATE)
            (void)rmdir(place->dir);
    }
    place->name_lock = place->dir_lock = -1;
    place->made_socket = false;
}
