/*
 * inherit.c - see inherit.h
 */
#include "inherit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "config.h"
#include "log.h"
#include "notify.h"

#define ARENA_PREFIX "arena."
#define KEPT_NAME_SIZE (sizeof(ARENA_PREFIX) + BROKERD_NAME_MAX)

void brokerd_inherit(struct brokerd_inherited *in)
{
    *in = (struct brokerd_inherited){.first_fd = SD_LISTEN_FDS_START};
    in->n = sd_listen_fds_with_names(1, &in->names);
    if (in->n < 0)
        in->n = 0;
}

static int take(struct brokerd_inherited *in, int i)
{
    free(in->names[i]);
    in->names[i] = NULL;
    return in->first_fd + i;
}

int brokerd_inherited_take(struct brokerd_inherited *in, const char *name)
{
    for (int i = 0; i < in->n; i++)
        if (in->names[i] != NULL && strcmp(in->names[i], name) == 0)
            return take(in, i);
    return -1;
}

int brokerd_inherited_socket(struct brokerd_inherited *in, const char *name, int type)
{
    for (int i = 0; i < in->n; i++)
        if (in->names[i] != NULL && strcmp(in->names[i], name) == 0 &&
            sd_is_socket_unix(in->first_fd + i, type, 1, NULL, 0) > 0 &&
            fcntl(in->first_fd + i, F_SETFL, O_NONBLOCK) == 0)
            return take(in, i);
    return -1;
}

static void kept_name(const char *arena, char out_name[KEPT_NAME_SIZE])
{
    (void)snprintf(out_name, KEPT_NAME_SIZE, "%s%s", ARENA_PREFIX, arena);
}

int brokerd_inherited_arena(struct brokerd_inherited *in, const char *arena)
{
    char name[KEPT_NAME_SIZE];

    kept_name(arena, name);
    return brokerd_inherited_take(in, name);
}

void brokerd_inherit_keep(const char *arena, int fd)
{
    char name[KEPT_NAME_SIZE];

    kept_name(arena, name);
    brokerd_notify_store(name, fd);
}

void brokerd_inherit_forget(const char *arena)
{
    char name[KEPT_NAME_SIZE];

    kept_name(arena, name);
    brokerd_notify_forget(name);
}

void brokerd_inherited_close(struct brokerd_inherited *in)
{
    for (int i = 0; i < in->n; i++) {
        const char *name = in->names[i];

        if (name == NULL)
            continue;
        if (strncmp(name, ARENA_PREFIX, strlen(ARENA_PREFIX)) == 0) {
            brokerd_log(LOG_INFO, NULL,
                "the arena %s is not configured any more: its memory is not kept for it",
                name + strlen(ARENA_PREFIX));
            brokerd_notify_forget(name);
        } else {
            brokerd_log(LOG_WARNING, NULL, "no use for the descriptor called %s", name);
        }
        (void)close(in->first_fd + i);
        free(in->names[i]);
    }
    free(in->names);
    *in = (struct brokerd_inherited){0};
}
