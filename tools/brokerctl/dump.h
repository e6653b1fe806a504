/*
 * dump.h - the two forms of a dump: what people read, and what machines do
 *
 * As text a dump is JSON lines: {"brokerdump":1}, then a line for each object with what
 * snapshot/record.h tells, then {"end":N} with the number of objects, so that a dump that was cut
 * short is not taken for a whole one. As bytes it is what a snapshot is.
 */
#ifndef CTL_DUMP_H
#define CTL_DUMP_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include <broker/value.h>

#define CTL_DUMP_VERSION 1

struct bri_snapshot_reader;

/* A dump that is read, as often as need be. */
struct ctl_dump {
    FILE *file;
    bool is_binary;
    struct bri_snapshot_reader *reader; /* of bytes */
    broker_buffer value;                /* of text: the line's value */
    char *line;
    size_t capacity;
    uint64_t number;     /* of the line */
    const char *message; /* what is wrong with it, a constant; or NULL */
};

/* Begins to read @file, which may be a pipe, from where it is. False: it cannot be read. */
bool ctl_dump_open(struct ctl_dump *dump, FILE *file);
void ctl_dump_close(struct ctl_dump *dump);

/* The next record, from the first on if @again; for struct bri_loading. */
int ctl_dump_next(void *dump, bool again, broker_value *out_record);

#endif
