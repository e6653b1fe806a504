/*
 * open.h - what all types share: opening by options
 */
#ifndef BRI_OBJECTS_OPEN_H
#define BRI_OBJECTS_OPEN_H

#include <broker/options.h>

#include "client/handle.h"
#include "core/type.h"

/* Every options struct begins with these fields, generated from the schema's common options. */
struct bri_common_options {
    broker_mode mode;
    uint64_t quota_bytes;
};

/* Opens or makes an object of @type; @options is its options struct or NULL. */
int bri_open_object(broker *b, const char *name, const struct bri_type_ops *type,
    const void *options, struct bri_handle **out_handle);

/* For a condition that was opened by reference: opens the lock that it shares, too. condition.c */
int bri_condition_opened(broker *b, struct bri_handle *h);

/* MISMATCH unless the object has this quota, or @quota_bytes is 0. */
int bri_match_quota(const struct bri_object *o, uint64_t quota_bytes);

#endif
