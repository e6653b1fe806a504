/*
 * local.h - a broker for who has the arena already: the daemon, and what it starts
 */
#ifndef BRI_LOCAL_H
#define BRI_LOCAL_H

#include "client/handle.h"

/*
 * Makes @out, whose memory is the caller's, a broker on the arena @a that works as session
 * @session, which is this process's; UINT32_MAX: for reading alone. It must not move, and not be
 * given to broker_close(). INVALID if there is no such session.
 */
int bri_local_open(struct bri_arena *a, uint32_t session, struct broker *out);

/* Gives back what the session holds, and the session; the arena stays the caller's. */
void bri_local_close(struct broker *b);

#endif
