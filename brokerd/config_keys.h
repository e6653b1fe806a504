/*
 * config_keys.h - the keys of the configuration: their defaults, what they are for, and which
 * values they take
 */
#ifndef BROKERD_CONFIG_KEYS_H
#define BROKERD_CONFIG_KEYS_H

#include <stddef.h>

#include "config.h"

enum brokerd_section { BROKERD_IN_BROKER, BROKERD_IN_ZMQ, BROKERD_IN_ARENA };

extern const char *const brokerd_section_names[];

struct brokerd_key {
    enum brokerd_section section;
    const char *name;
    const char *standard; /* as in the file; NULL: see `help` */
    const char *help;
    size_t offset; /* of the field in its struct */
    /* Reads the value into the field; NULL, or why it cannot. */
    const char *(*read)(const char *value, void *field);
};

/* In the order of sections. A key's place here is that of its setting. */
#define BROKERD_N_KEYS 31u
extern const struct brokerd_key brokerd_keys[];

/* NULL if the section has no such key. */
const struct brokerd_key *brokerd_key_find(enum brokerd_section section, const char *name);

/* Takes the value of @to for the field of @target, and notes where it comes from. NULL, or why it
 * cannot be taken. */
const char *brokerd_key_set(struct brokerd_setting *settings, const struct brokerd_key *key,
    void *target, const struct brokerd_setting *to);

/* The same with a value that no file gave; false without memory. */
bool brokerd_key_set_default(struct brokerd_setting *settings, const struct brokerd_key *key,
    void *target, const char *value);

/* For all keys of a section that have a default. */
bool brokerd_keys_set_defaults(
    enum brokerd_section section, struct brokerd_setting *settings, void *target);

#endif
