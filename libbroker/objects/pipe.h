/*
 * pipe.h - what the parts of the pipe type share
 */
#ifndef BRI_PIPE_H
#define BRI_PIPE_H

#include "client/handle.h"
#include "core/heap.h"
#include "core/type.h"
#include "objects/reading.h"

#define BRI_PIPE_RECEIVE(end) (end) /* channels: for those who wait at an end */
#define BRI_PIPE_SEND(end) (2u + (end))

#define BRI_PIPE_ONE_WAY 4u /* flags, and for each end one that says that somebody has held it */
#define BRI_PIPE_WAS_HELD(end) (UINT64_C(1) << (end))

#define BRI_MESSAGE_MAX (UINT32_C(1) << 30) /* encoded bytes */
#define BRI_MESSAGE_SMALL (BRI_SMALL_MAX - (uint32_t)sizeof(struct bri_message_shm))
#define BRI_PIPE_MAX_WALK 100000000u

struct bri_message_shm {
    uint64_t next_off; /* [guard] the one behind it */
    uint32_t size;     /* [const] of the encoded value, which follows */
    uint32_t reader;   /* [guard] who copies it: attachment, in units; 0: nobody has it */
};

/* The messages to one end. */
struct bri_lane_shm {
    uint64_t first_off; /* [guard] */
    uint64_t last_off;  /* [guard] */
    uint64_t n_ready;   /* [guard] of those that nobody has */
    uint64_t n_bytes;   /* [guard] of the same */
    uint64_t n_sent;    /* [guard] ever */
};

struct bri_pipe_shm {
    struct bri_lane_shm to[2];
    uint32_t n_holders[2]; /* [guard] sessions, by end */
    uint32_t n_reading[2]; /* [guard] messages that are being copied */
    uint64_t max_items;    /* [const] in one lane; 0 is none */
    uint64_t max_bytes;    /* [const] the same */
    uint64_t flags;        /* [guard] BRI_PIPE_ONE_WAY [const], BRI_PIPE_WAS_HELD */
};

_Static_assert(sizeof(struct bri_pipe_shm) <= BRI_SLOT_STATE, "pipe state size");

static inline struct bri_pipe_shm *bri_pipe_of(const struct bri_object *o)
{
    return (struct bri_pipe_shm *)o->slot->state;
}

static inline uint32_t bri_pipe_reader(const struct bri_object *o)
{
    return (uint32_t)(bri_off(o->arena, o->att) >> BRI_UNIT_SHIFT);
}

/* The last one to hold this end is gone. */
static inline bool bri_pipe_is_deserted(const struct bri_pipe_shm *p, uint32_t end)
{
    return (p->flags & BRI_PIPE_WAS_HELD(end)) != 0 && p->n_holders[end] == 0;
}

/* In a section or an audit. NULL if there is no message. */
struct bri_message_shm *bri_message_at(const struct bri_object *o, uint64_t off);

/* In a section: puts a message of encoded bytes at the end of a lane. The section's failure. */
int bri_pipe_add(struct bri_txn *t, struct bri_lane_shm *lane, const void *bytes, uint32_t size);

/* pipe_save.c */
int bri_pipe_save(const struct bri_object *o, struct bri_save *save);
int bri_pipe_load(struct bri_handle *h, const struct bri_load *load);

/* What is done at an end. */
struct bri_pipe_use {
    uint32_t end;
    bool sends;
};

/* Checks what an operation on an end is given, and holds the end if this session does not yet. */
int bri_pipe_begin_use(struct bri_handle *h, uint64_t end, bool sends, struct bri_pipe_use *out);

/* In every try: another thread of this session may have released the end. */
int bri_pipe_check_use(const struct bri_txn *t, const struct bri_pipe_use *use);

/* ---- receiving ---- */

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

/* 0 if a message is there, CLOSED if none will come any more, BRI_WAIT. One that is being copied
 * may come back. */
int bri_pipe_look(const struct bri_pipe_shm *p, uint32_t end);

/* What the session was copying from @end can be received again. */
void bri_pipe_give_back(struct bri_txn *t, uint32_t end);

#endif
