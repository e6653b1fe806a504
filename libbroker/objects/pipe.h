/*
 * pipe.h - the first half of receiving from a pipe
 */
#ifndef BRI_PIPE_H
#define BRI_PIPE_H

#include "objects/reading.h"

/* What is done at an end. */
struct bri_pipe_use {
    uint32_t end;
    bool sends;
};

struct bri_pipe_receive {
    struct bri_pipe_use use;
    struct bri_output out;
    uint64_t off;         /* of a large message, */
    const uint8_t *bytes; /* whose bytes are still to be copied from here; else NULL */
    bool waited;
};

/* Takes the first message: copied if it is small, else in this session's name until it was. A
 * bri_try_fn. */
int bri_pipe_receive_try(struct bri_txn *t, void *arg);

#endif
