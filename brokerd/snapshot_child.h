/*
 * snapshot_child.h - the processes that save and load arenas
 *
 * A fork of the daemon that keeps nothing of it but the arena and a socket. On that it is told its
 * session, and tells what it comes to, in packets; the last one is a result. It dies with the
 * daemon.
 */
#ifndef BROKERD_SNAPSHOT_CHILD_H
#define BROKERD_SNAPSHOT_CHILD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "snapshot/store.h"

#define BROKERD_SNAPSHOT_TEXT 1024

/* What the daemon tells: who the child is in the arena. */
struct brokerd_snapshot_start {
    uint32_t session;
};

enum brokerd_snapshot_packet_kind {
    BROKERD_SNAPSHOT_NOTE = 1, /* `text` is for the administrator */
    BROKERD_SNAPSHOT_RESULT = 2,
};

struct brokerd_snapshot_packet {
    uint32_t kind;
    int32_t status; /* 0, or a failure that `text` explains */
    uint64_t n_objects;
    uint64_t longest_ns;              /* that one object was copied */
    char text[BROKERD_SNAPSHOT_TEXT]; /* where it was saved to; a sentence */
};

/* What the child is to do. */
struct brokerd_snapshot_job {
    int arena_fd;
    const char *arena;
    struct bri_store store;
    uint64_t number; /* of the snapshot to load; 0: save */
};

/*
 * Starts a child: its process, and the daemon's end of its socket, in *@out_sock. -1 with errno.
 * It waits until it is told its session.
 */
pid_t brokerd_snapshot_start(const struct brokerd_snapshot_job *job, int *out_sock);

/* Tells it; then it works. */
bool brokerd_snapshot_tell(int sock, uint32_t session);

/* The next packet, waiting for it. False: it ended without a result. */
bool brokerd_snapshot_receive(int sock, struct brokerd_snapshot_packet *out);

/* Ends the child if it has not ended yet, and lets go of it. What it died of comes into @out_text
 * if it was a signal. */
void brokerd_snapshot_end(pid_t pid, bool kill_it, char out_text[64]);

#endif
