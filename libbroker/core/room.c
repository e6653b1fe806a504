/*
 * room.c - see room.h
 *
 * No state but the time until which no limit is believed in, which all threads may write.
 */
#include "core/room.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

#define RESERVE_PART 16u /* of the limit */
#define RESERVE_MOST (UINT64_C(8) << 20)
#define TEXT_SIZE 4096 /* more than the files have before what is looked for */
#define GROUP_SIZE 1024
#define V1_UNLIMITED (UINT64_C(1) << 62) /* v1 has a large number for "no limit" */

/* What a version of control groups calls its files. */
struct files {
    const char *limit, *used, *stat;
    const char *reclaimable[2]; /* in `stat`: what the kernel drops before it kills */
};

static const struct files v2 = {
    "memory.max", "memory.current", "memory.stat", {"inactive_file ", "active_file "}};
static const struct files v1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "memory.stat",
    {"total_inactive_file ", "total_active_file "}};

/* The whole file, cut at @size - 1; false if it cannot be read. */
static bool read_text(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t used = 0;
    ssize_t n = 1;

    if (fd < 0)
        return false;
    while (n > 0 && used < size - 1) {
        n = read(fd, text + used, size - 1 - used);
        used += n > 0 ? (size_t)n : 0;
    }
    (void)close(fd);
    text[used] = '\0';
    return n >= 0;
}

static bool read_file(const char *group, const char *name, char text[TEXT_SIZE])
{
    char path[GROUP_SIZE + 32];

    return snprintf(path, sizeof(path), "%s/%s", group, name) < (int)sizeof(path) &&
           read_text(path, text, TEXT_SIZE);
}

/* The number behind @name at the beginning of a line; 0 if there is none. */
static uint64_t number_of(const char *text, const char *name)
{
    size_t n = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += line[0] == '\n';
        if (strncmp(line, name, n) == 0)
            return strtoull(line + n, NULL, 10);
    }
    return 0;
}

/* One group. */
static void look_at(const char *group, const struct files *files, struct bri_room *room)
{
    uint64_t limit, used, reserve, reclaimable, left;
    char text[TEXT_SIZE];

    if (!read_file(group, files->limit, text) || text[0] < '0' || text[0] > '9')
        return; /* "max", or not there */
    limit = strtoull(text, NULL, 10);
    if (limit >= V1_UNLIMITED || !read_file(group, files->used, text))
        return;
    used = strtoull(text, NULL, 10);
    reclaimable = 0;
    if (read_file(group, files->stat, text))
        reclaimable =
            number_of(text, files->reclaimable[0]) + number_of(text, files->reclaimable[1]);
    reserve = limit / RESERVE_PART < RESERVE_MOST ? limit / RESERVE_PART : RESERVE_MOST;
    used = (used > reclaimable ? used - reclaimable : 0) + reserve;
    left = used < limit ? limit - used : 0;
    if (limit < room->limit_bytes)
        room->limit_bytes = limit;
    if (left < room->free_bytes)
        room->free_bytes = left;
}

/* A group and all that it is in. */
static void look_up(
    const char *root, const char *path, const struct files *files, struct bri_room *room)
{
    char group[GROUP_SIZE];
    size_t n = strlen(root);

    if (snprintf(group, sizeof(group), "%s%s", root, path) >= (int)sizeof(group))
        return;
    for (;;) {
        char *slash;

        look_at(group, files, room);
        slash = strrchr(group, '/');
        if (slash == NULL || (size_t)(slash - group) < n)
            return;
        *slash = '\0';
    }
}

/* Whether `memory` is one of the controllers in "a,b,c". */
static bool has_memory(const char *controllers)
{
    for (const char *at = controllers; (at = strstr(at, "memory")) != NULL; at++)
        if ((at == controllers || at[-1] == ',') && (at[6] == '\0' || at[6] == ','))
            return true;
    return false;
}

struct bri_room bri_room_look(const struct bri_room_places *places)
{
    static const struct bri_room_places kernel = {
        "/proc/self/cgroup", "/sys/fs/cgroup", "/sys/fs/cgroup/memory"};
    struct bri_room room = {BRI_ROOM_UNLIMITED, BRI_ROOM_UNLIMITED};
    char text[TEXT_SIZE], *save = NULL;

    if (places == NULL)
        places = &kernel;
    if (!read_text(places->own, text, sizeof(text)))
        return room;
    /* A line is "number:controllers:path"; v2 has no controllers there. */
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        char *controllers = strchr(line, ':');
        char *path = controllers != NULL ? strchr(controllers + 1, ':') : NULL;

        if (path == NULL)
            continue;
        *path++ = '\0';
        controllers++;
        if (controllers[0] == '\0')
            look_up(places->unified, path, &v2, &room);
        else if (has_memory(controllers))
            look_up(places->memory, path, &v1, &room);
    }
    return room;
}

bool bri_room_for(uint64_t bytes)
{
    static _Atomic int64_t unlimited_until_ns;
    int64_t now = bri_now();
    struct bri_room room;

    if (now < atomic_load_explicit(&unlimited_until_ns, memory_order_relaxed))
        return true;
    room = bri_room_look(NULL);
    if (room.limit_bytes == BRI_ROOM_UNLIMITED)
        atomic_store_explicit(&unlimited_until_ns, now + BRI_SECOND, memory_order_relaxed);
    return bytes <= room.free_bytes;
}
