/*
 * open.h - opening objects in shared memory: handles, and the attachments behind them
 */
#ifndef BRI_OPEN_H
#define BRI_OPEN_H

#include "client/address.h"
#include "client/handle.h"
#include "core/registry.h"

/*
 * For a program that acts for many others: a session of its own in the arena at @address, however
 * many this process has there already. If @mapped (may be NULL) is that arena, it becomes one more
 * user of that mapping. Not for programs that fork. What broker_open() says.
 */
int bri_open_session(
    const struct bri_address *address, struct bri_arena *mapped, broker **out_broker);

/* As broker_open(), waiting for the broker's answer for @wait_ns unless the address says how long.
 */
int bri_open_within(const char *address, int64_t wait_ns, broker **out_broker);

/* Gives back all that it holds and ends it: as one that leaves, or (@died) as one that died. */
void bri_close_session(broker *b, bool died);

/*
 * Opens or makes an object for this process. One handle and one attachment per object and process,
 * counted. Handles that are still open end with their broker. All that bri_registry_open() and
 * bri_attach() say; ACCESS when it would have to be made and the broker may only read.
 */
int bri_shm_open_handle(broker *b, const struct bri_open *open, struct bri_handle **out_handle);

/* Makes an object without a name; @open has none. It does its part of collecting garbage
 * if there may be much. */
int bri_shm_open_anonymous(broker *b, const struct bri_open *open, struct bri_handle **out_handle);

/* The same for the object of a reference. GONE, WRONGTYPE; INVALID if it is of another arena. */
int bri_shm_open_ref(
    broker *b, struct bri_ref ref, const struct bri_type_ops *type, struct bri_handle **out_handle);

/* One who uses it less. Whether it was the last: then nobody finds it any more, and it is the
 * caller's to end. False also for NULL and for what is closed already. */
bool bri_handle_unref(struct bri_handle *h);

/* The last close gives back what this session holds of the object. NULL is allowed. */
void bri_shm_close_handle(struct bri_handle *h);

#endif
