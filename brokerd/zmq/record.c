/*
 * record.c - see record.h
 */
#include "record.h"

#include <stdlib.h>
#include <string.h>

#define OVERHEAD 48 /* what an answer costs beside its bytes */

static void let_go(struct zmqd_records *r, uint64_t id)
{
    if (id > r->floor)
        r->floor = id;
}

static void drop_oldest(struct zmqd_records *r)
{
    struct zmqd_record *oldest = &r->all[r->first];

    let_go(r, oldest->id);
    r->n_bytes -= oldest->size + OVERHEAD;
    free(oldest->bytes);
    r->first = (r->first + 1) % r->max;
    r->n--;
}

void zmqd_record_shrink(struct zmqd_records *r, size_t max_bytes)
{
    while (r->n > 0 && r->n_bytes > max_bytes)
        drop_oldest(r);
}

void zmqd_record_keep(
    struct zmqd_records *r, uint32_t max, size_t max_bytes, const struct zmqd_record *answer)
{
    size_t cost = answer->size + OVERHEAD;
    void *bytes = NULL;

    if (r->all == NULL) {
        r->all = calloc(max, sizeof(*r->all));
        r->max = r->all != NULL ? max : 0;
    }
    if (r->max > 0 && cost <= max_bytes) {
        if (r->n == r->max)
            drop_oldest(r);
        zmqd_record_shrink(r, max_bytes - cost);
        bytes = malloc(answer->size);
    }
    if (bytes == NULL) {
        let_go(r, answer->id);
        return;
    }
    memcpy(bytes, answer->bytes, answer->size);
    r->all[(r->first + r->n) % r->max] =
        (struct zmqd_record){.id = answer->id, .size = answer->size, .bytes = bytes};
    r->n++;
    r->n_bytes += cost;
}

const struct zmqd_record *zmqd_record_find(const struct zmqd_records *r, uint64_t id)
{
    for (uint32_t i = r->n; i > 0; i--) {
        const struct zmqd_record *record = &r->all[(r->first + i - 1) % r->max];

        if (record->id == id)
            return record;
    }
    return NULL;
}

void zmqd_record_free(struct zmqd_records *r)
{
    zmqd_record_shrink(r, 0);
    free(r->all);
    *r = (struct zmqd_records){0};
}
