/*
 * private.h - starting an instance for this program alone
 *
 * The instance ends by itself when nobody is attached to it any more. Its daemon is no child of the
 * program: it can neither be waited for nor left as a zombie.
 *
 * Between the starter and its daemon is a SOCK_SEQPACKET pair, whose other end the daemon is given
 * with --private. One packet comes from the daemon: a letter and a text.
 */
#ifndef BRI_PRIVATE_H
#define BRI_PRIVATE_H

#include "client/address.h"

#define BRI_PRIVATE_READY 'R'   /* then the path of the attach socket, NUL-terminated */
#define BRI_PRIVATE_FAILED 'E'  /* then a sentence, NUL-terminated */
#define BRI_PRIVATE_NO_EXEC 'X' /* then errno, an int: the daemon's program could not be run */
#define BRI_PRIVATE_PACKET 512

/*
 * Starts a daemon and waits until it can be attached to. *@out_starter is to be closed after the
 * first attach: the daemon ends when it is closed and nobody ever attached. NODAEMON, SYSTEM,
 * LIMIT, each with a sentence.
 */
int bri_private_start(char out_path[BRI_SOCKET_PATH_MAX], int *out_starter);

#endif
