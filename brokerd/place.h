/*
 * place.h - where an instance lives: its name, its runtime folder, its locks and its attach socket
 */
#ifndef BROKERD_PLACE_H
#define BROKERD_PLACE_H

#include <stdbool.h>

#include "config.h"

enum brokerd_kind {
    BROKERD_SYSTEM,
    BROKERD_USER,
    BROKERD_NAMED,
    BROKERD_PRIVATE,
};

struct brokerd_place {
    enum brokerd_kind kind;
    bool of_system;                  /* for all users, with its files where the system's are */
    char name[BROKERD_NAME_MAX + 1]; /* part of the names of its arenas in /dev/shm */
    char dir[BROKERD_PATH_MAX];
    char socket[BROKERD_PATH_MAX];
    int dir_lock, name_lock; /* -1: not taken */
    bool made_socket;        /* not one that systemd listens on */
};

/*
 * Works out name and kind from --instance (NULL: system for root, else user) or from being private.
 * False when @instance is no name; logged.
 */
bool brokerd_place_name(struct brokerd_place *place, const char *instance, bool is_private);

/*
 * Makes the runtime folder and takes the instance's locks, which the kernel gives back however we
 * end: one in the folder and one by the name. @dir is NULL for the standard place. False when
 * another brokerd has one of them; logged.
 */
bool brokerd_place_take(struct brokerd_place *place, const char *dir);

/* Listens on the attach socket: on @inherited, the one that systemd made, unless it is -1. The
 * descriptor, or -1; logged. */
int brokerd_place_listen(struct brokerd_place *place, int inherited, int backlog);

/* Removes the socket and gives the locks back; for a private instance the folder goes as well. */
void brokerd_place_leave(struct brokerd_place *place);

#endif
