/*
 * address.h - the text that says where a broker is
 *
 * - `unix:`: $BROKER_ADDRESS if it is set, else the user's instance if there is one, else the
 *   system's
 * - `unix:PATH`: the instance whose attach socket is PATH (up to the first "?")
 * - `unix:PATH?arena=NAME&access=ro`: an arena other than the default one; only to read (`ro`) or
 *   also to write (`rw`, the standard)
 * - `private:`: a new instance for this program and its children
 */
#ifndef BRI_ADDRESS_H
#define BRI_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#define BRI_SOCKET_PATH_MAX 108 /* of a unix socket, with its NUL */

struct bri_address {
    bool is_private;
    bool read_only;
    char path[BRI_SOCKET_PATH_MAX]; /* absolute; empty for a private instance */
    char arena[64];
};

/*
 * Reads @text; NULL and "" stand for "unix:".
 * ADDRESS, with a sentence (bri_fail_text), when it is not understood.
 */
int bri_address_parse(const char *text, struct bri_address *out_address);

/* Writes the address as text, such that bri_address_parse() gives the same again. */
void bri_address_format(const struct bri_address *address, char *out_text, size_t size);

#endif
