/*
 * remote.h - the remote engine: what the generated engine_remote.c is made of
 *
 * An operation is packed into a request as schemas/protocol.md says, asked over the broker's link,
 * and its answer taken apart. Answers are input: what is not of the kind that the schema says is
 * PROTO.
 */
#ifndef BRI_ENGINE_REMOTE_H
#define BRI_ENGINE_REMOTE_H

#include "client/handle.h"
#include "engine_ops.h"

/* What all requests of an operation have in common. */
struct bri_remote_shape {
    enum bri_op op;
    uint32_t n_args;
    uint32_t n_required; /* those behind need not be sent if they are nil */
    uint32_t n_results;
    enum bri_arg results[BRI_MAX_RESULTS];
};

struct bri_remote_call {
    const struct bri_remote_shape *shape;
    struct bri_handle *handle; /* NULL: an operation of the arena itself, */
    broker *broker;            /* which is this */
    const broker_value *args;
    int64_t timeout_ns;
    broker_buffer *buffer; /* for results that need one */
    broker_value results[BRI_MAX_RESULTS];
};

/* What the operation says; outcomes of the link (see link.h); PROTO. Results on success only. */
int bri_remote_call(struct bri_remote_call *call);

struct bri_remote_option {
    const char *name;
    broker_value value; /* nil: not given */
};

struct bri_remote_open {
    enum bri_op op;
    uint32_t type;
    int mode;
    broker_value object; /* a name, a reference, or nil */
    const struct bri_remote_option *options;
    size_t n_options;
};

int bri_remote_open(broker *b, const struct bri_remote_open *open, struct bri_handle **out_handle);

/* The operation that opens objects of a type. In engine_remote.c. */
enum bri_op bri_remote_opener(uint32_t type);

/* broker_wait_any() for handles of one remote broker; UNSUPPORTED for others among them. */
int bri_remote_wait_any(void *const objects[], size_t n, int64_t timeout_ns, size_t *out_index);

/* Members of the engine; see struct bri_engine_ops. */
void bri_remote_close_handle(struct bri_handle *h);
broker_value bri_remote_ref(const struct bri_handle *h);
int bri_remote_begin(broker *b, const struct bri_address *address, struct bri_arena *mapped);
void bri_remote_end(broker *b, bool died);
bool bri_remote_is_connected(broker *b);
int bri_remote_reattach(broker *b);
int bri_remote_reattach_handle(struct bri_handle *h);

#endif
