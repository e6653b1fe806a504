/*
 * address.h - the text that says where a broker is, and by which road it is reached
 *
 * - `unix:`: $BROKER_ADDRESS if it is set, else the user's instance if there is one, else the
 *   system's
 * - `unix:PATH`: the instance whose attach socket is PATH (up to the first "?")
 * - `private:`: a new instance for this program and its children
 * - `ipc://PATH`: the instance whose ZeroMQ socket is PATH; without PATH the user's, else the
 *   system's
 * - `tcp://HOST:PORT?server=FILE&key=FILE`: a broker on another machine, by the files of its public
 *   key and of this client's keys
 *
 * All but `private:` take `arena=NAME`, for an arena other than the default one, `access=ro`
 * (only to read) or `access=rw` (also to write, the standard), and `wait=SECONDS`, how long to wait
 * for the broker's answer.
 */
#ifndef BRI_ADDRESS_H
#define BRI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BRI_SOCKET_PATH_MAX 108 /* of a unix socket, with its NUL */
#define BRI_HOST_MAX 264        /* of HOST:PORT, with its NUL */
#define BRI_KEY_PATH_MAX 512    /* of a key file, with its NUL */
#define BRI_ARENA_NAME_MAX 64   /* of an arena, with its NUL */
#define BRI_ADDRESS_MAX 1536    /* of a whole address, with its NUL */

enum bri_road {
    BRI_ROAD_UNIX,
    BRI_ROAD_PRIVATE,
    BRI_ROAD_IPC,
    BRI_ROAD_TCP,
};

struct bri_behalf;

struct bri_address {
    enum bri_road road;
    bool read_only;
    char path[BRI_SOCKET_PATH_MAX];                               /* of UNIX and IPC: absolute */
    char host[BRI_HOST_MAX];                                      /* of TCP: HOST:PORT */
    char server_key[BRI_KEY_PATH_MAX], own_key[BRI_KEY_PATH_MAX]; /* of TCP: absolute */
    char arena[BRI_ARENA_NAME_MAX];
    int64_t wait_ns; /* 0: as long as is usual on that road. Not where it is: not in the text */
    const struct bri_behalf *behalf; /* of UNIX: for whom (attach.h); NULL: for oneself. No part of
                                        the text */
};

/*
 * Reads @text; NULL and "" stand for "unix:".
 * ADDRESS, with a sentence (bri_fail_text), when it is not understood.
 */
int bri_address_parse(const char *text, struct bri_address *out_address);

/* Writes the address as text, such that bri_address_parse() gives the same place again. */
void bri_address_format(const struct bri_address *address, char out_text[BRI_ADDRESS_MAX]);

#endif
