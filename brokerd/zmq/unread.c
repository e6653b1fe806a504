/*
 * unread.c - see unread.h
 *
 * libzmq's own thread lets go of a message when it has written it, or when the connection is lost.
 */
#include "unread.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define COUNTED_FROM 1024u

struct zmqd_unread {
    _Atomic uint64_t bytes;
    _Atomic uint32_t refs; /* of the connection and the messages */
};

struct counted {
    struct zmqd_unread *unread;
    size_t size;
    uint8_t bytes[];
};

struct zmqd_unread *zmqd_unread_new(void)
{
    struct zmqd_unread *unread = calloc(1, sizeof(*unread));

    if (unread != NULL)
        atomic_init(&unread->refs, 1);
    return unread;
}

void zmqd_unread_free(struct zmqd_unread *unread)
{
    if (unread != NULL && atomic_fetch_sub(&unread->refs, 1) == 1)
        free(unread);
}

uint64_t zmqd_unread_bytes(const struct zmqd_unread *unread)
{
    return atomic_load(&unread->bytes);
}

static void let_go(void *data, void *hint)
{
    struct counted *c = hint;

    (void)data;
    (void)atomic_fetch_sub(&c->unread->bytes, c->size);
    zmqd_unread_free(c->unread);
    free(c);
}

static bool make_counted(
    struct zmqd_unread *unread, zmq_msg_t *out_message, const void *data, size_t size)
{
    struct counted *c = malloc(sizeof(*c) + size);

    if (c == NULL)
        return false;
    *c = (struct counted){.unread = unread, .size = size};
    memcpy(c->bytes, data, size);
    if (zmq_msg_init_data(out_message, c->bytes, size, let_go, c) != 0) {
        free(c);
        return false;
    }
    (void)atomic_fetch_add(&unread->bytes, size);
    (void)atomic_fetch_add(&unread->refs, 1);
    return true;
}

bool zmqd_unread_message(
    struct zmqd_unread *unread, zmq_msg_t *out_message, const void *data, size_t size)
{
    if (unread != NULL && size >= COUNTED_FROM)
        return make_counted(unread, out_message, data, size);
    if (zmq_msg_init_size(out_message, size) != 0)
        return false;
    memcpy(zmq_msg_data(out_message), data, size);
    return true;
}
