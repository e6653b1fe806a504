/*
 * keys.h - who may come over tcp: the allow list of public keys
 *
 * A text file, a line a client: its public key (40 characters of Z85), a name for it, and what it
 * may use, as ARENA:rw, ARENA:ro, *:rw or *:ro; the first that fits an arena counts.
 *
 *     rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7  warehouse  default:rw logs:ro
 *
 * A line that begins with "#" and a blank, or has nothing else, is a comment; Z85 has "#" too.
 * Nobody but its owner may be able to write the file. Anything that is not understood refuses the
 * whole file, so that nobody gets more or less than was meant.
 */
#ifndef ZMQD_KEYS_H
#define ZMQD_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define ZMQD_KEY_TEXT 41 /* a key in Z85, with its NUL */
#define ZMQD_CLIENT_NAME 16
#define ZMQD_ARENA_NAME 41

enum zmqd_access {
    ZMQD_ACCESS_NONE,
    ZMQD_ACCESS_READ,
    ZMQD_ACCESS_WRITE, /* and read */
};

struct zmqd_right {
    char arena[ZMQD_ARENA_NAME]; /* or "*" */
    enum zmqd_access access;
};

struct zmqd_client {
    char public[ZMQD_KEY_TEXT];
    char name[ZMQD_CLIENT_NAME];
    struct zmqd_right *rights;
    size_t n_rights;
};

struct zmqd_clients {
    struct zmqd_client *all;
    size_t n;
};

/* Reads the list. False, logged with file and line, if anything is wrong with it. */
bool zmqd_clients_read(const char *path, struct zmqd_clients **out_clients);

/* NULL is allowed. */
void zmqd_clients_free(struct zmqd_clients *clients);

/* NULL if there is none; a NULL list has nobody. */
const struct zmqd_client *zmqd_clients_by_key(
    const struct zmqd_clients *clients, const char *public);
const struct zmqd_client *zmqd_clients_by_name(
    const struct zmqd_clients *clients, const char *name);

enum zmqd_access zmqd_client_access(const struct zmqd_client *client, const char *arena);

#endif
