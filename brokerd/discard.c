/*
 * discard.c - see discard.h
 *
 * The instance's locks are held meanwhile, so that no daemon adopts what is being removed. Programs
 * that are attached still keep their memory, which nobody else can reach any more.
 */
#include "discard.h"

#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

static bool remove_arenas(const struct brokerd_place *place)
{
    char pattern[BROKERD_NAME_MAX + 32];
    bool ok = true;
    glob_t found;
    int r;

    (void)snprintf(pattern, sizeof(pattern), "/dev/shm/brokerd.%s.*", place->name);
    r = glob(pattern, 0, NULL, &found);
    for (size_t i = 0; r == 0 && i < found.gl_pathc; i++) {
        const char *path = found.gl_pathv[i];
        const char *arena = path + strlen(pattern) - 1;

        if (!brokerd_name_ok(arena)) /* our lock */
            continue;
        if (unlink(path) == 0) {
            brokerd_log(LOG_INFO, &(struct brokerd_about){.arena = arena}, "removed %s", path);
            continue;
        }
        brokerd_log(LOG_ERR, NULL, "cannot remove %s: %s", path, strerror(errno));
        ok = false;
    }
    if (r == 0)
        globfree(&found);
    if (r == 0 || r == GLOB_NOMATCH)
        return ok;
    brokerd_log(LOG_ERR, NULL, "cannot look through /dev/shm");
    return false;
}

bool brokerd_discard(struct brokerd_place *place, const char *dir)
{
    bool ok = brokerd_place_take(place, dir) && remove_arenas(place);

    brokerd_place_leave(place);
    if (ok)
        (void)rmdir(place->dir); /* stays if systemd's socket is there, or where it is not ours */
    return ok;
}
