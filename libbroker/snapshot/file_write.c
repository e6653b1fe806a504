/*
 * file_write.c - see file.h
 *
 * Bytes are gathered into a buffer, so that small records cost no system call each. Whatever part
 * of a file a death leaves has no end, and is nothing to a reader.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/errno.h"
#include "core/hash.h"
#include "snapshot/file.h"

#define BUFFER_SIZE 65536u

struct bri_snapshot_writer {
    int fd;
    int failed;
    uint64_t n_records;
    XXH64_state_t sum; /* of the whole */
    size_t n;          /* bytes in the buffer */
    uint8_t buffer[BUFFER_SIZE];
};

static void write_through(struct bri_snapshot_writer *w, const uint8_t *data, size_t n)
{
    while (n > 0 && w->failed == 0) {
        ssize_t written = write(w->fd, data, n);

        if (written < 0 && errno != EINTR)
            w->failed = bri_from_errno(errno);
        if (written > 0) {
            data += written;
            n -= (size_t)written;
        }
    }
}

static void flush(struct bri_snapshot_writer *w)
{
    write_through(w, w->buffer, w->n);
    w->n = 0;
}

static void put(struct bri_snapshot_writer *w, const void *data, size_t n)
{
    (void)XXH64_update(&w->sum, data, n);
    if (n > BUFFER_SIZE - w->n)
        flush(w);
    if (n > BUFFER_SIZE) {
        write_through(w, data, n);
        return;
    }
    memcpy(w->buffer + w->n, data, n);
    w->n += n;
}

static int put_record(struct bri_snapshot_writer *w, const struct bri_snapshot_part *part)
{
    const struct bri_snapshot_record record = {.kind = part->kind, .size = part->size};
    XXH64_state_t state;
    uint64_t sum;

    (void)XXH64_reset(&state, 0);
    (void)XXH64_update(&state, &record, sizeof(record));
    (void)XXH64_update(&state, part->data, part->size);
    sum = XXH64_digest(&state);
    put(w, &record, sizeof(record));
    put(w, part->data, part->size);
    put(w, &sum, sizeof(sum));
    return w->failed;
}

int bri_snapshot_write_begin(int fd, uint64_t created_ns, struct bri_snapshot_writer **out_writer)
{
    struct bri_snapshot_head head = {.version = BRI_SNAPSHOT_VERSION,
        .checksum = BRI_SNAPSHOT_CHECKSUM,
        .created_ns = created_ns};
    struct bri_snapshot_writer *w = malloc(sizeof(*w));

    if (w == NULL)
        return BROKER_NOMEM;
    w->fd = fd;
    w->failed = 0;
    w->n_records = 0;
    w->n = 0;
    (void)XXH64_reset(&w->sum, 0);
    memcpy(head.magic, BRI_SNAPSHOT_MAGIC, sizeof(head.magic));
    head.sum = XXH64(&head, offsetof(struct bri_snapshot_head, sum), 0);
    put(w, &head, sizeof(head));
    *out_writer = w;
    return 0;
}

int bri_snapshot_write(struct bri_snapshot_writer *w, const struct bri_snapshot_part *part)
{
    w->n_records++;
    return put_record(w, part);
}

int bri_snapshot_write_end(struct bri_snapshot_writer *w)
{
    const struct bri_snapshot_end end = {.n_records = w->n_records, .sum = XXH64_digest(&w->sum)};

    (void)put_record(w, &(struct bri_snapshot_part){BRI_SNAPSHOT_END, &end, sizeof(end)});
    flush(w);
    return w->failed;
}

uint64_t bri_snapshot_written(const struct bri_snapshot_writer *w)
{
    return w->n_records;
}

void bri_snapshot_writer_free(struct bri_snapshot_writer *w)
{
    free(w);
}
