/*
 * file_read.c - see file.h
 *
 * A file is input. Sizes are believed only as far as the file is long, and bytes are given only
 * when their checksum was right; whether the whole is right is known at its end, so who must not
 * act on half of a file reads it twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker.h>

#include "core/errno.h"
#include "core/hash.h"
#include "snapshot/file.h"
#include "value/value.h"

#define BUFFER_SIZE 65536u

struct bri_snapshot_reader {
    int fd;
    int failed; /* what was found once is found from then on */
    bool at_end;
    uint64_t created_ns;
    uint64_t n_records;
    uint64_t left;     /* bytes of the file that were not taken out of the buffer yet */
    off_t at;          /* where the next ones are to be read */
    XXH64_state_t sum; /* of the whole */
    broker_buffer record;
    size_t n, used; /* bytes in the buffer, and those of them that were taken */
    uint8_t buffer[BUFFER_SIZE];
};

static int read_some(struct bri_snapshot_reader *r, void *to, size_t n, size_t *out_n)
{
    ssize_t got;

    do
        got = pread(r->fd, to, n, r->at);
    while (got < 0 && errno == EINTR);
    if (got < 0)
        return bri_from_errno(errno);
    r->at += got;
    *out_n = (size_t)got;
    return got > 0 ? 0 : BROKER_CORRUPT; /* it was cut short meanwhile */
}

static int take(struct bri_snapshot_reader *r, void *to, uint64_t n)
{
    uint8_t *p = to;
    size_t some;
    int e;

    if (n > r->left)
        return BROKER_CORRUPT;
    r->left -= n;
    while (n > 0) {
        if (r->used == r->n) {
            r->used = 0;
            r->n = 0;
            e = read_some(r, r->buffer, BUFFER_SIZE, &r->n);
            if (e < 0)
                return e;
        }
        some = n < r->n - r->used ? (size_t)n : r->n - r->used;
        memcpy(p, r->buffer + r->used, some);
        r->used += some;
        p += some;
        n -= some;
    }
    return 0;
}

static int read_head(struct bri_snapshot_reader *r)
{
    static const char checksum[sizeof(((struct bri_snapshot_head *)0)->checksum)] =
        BRI_SNAPSHOT_CHECKSUM;
    struct bri_snapshot_head head;
    int e = take(r, &head, sizeof(head));

    if (e < 0)
        return e;
    if (memcmp(head.magic, BRI_SNAPSHOT_MAGIC, sizeof(head.magic)) != 0 ||
        head.sum != XXH64(&head, offsetof(struct bri_snapshot_head, sum), 0))
        return BROKER_CORRUPT;
    if (head.version != BRI_SNAPSHOT_VERSION ||
        memcmp(head.checksum, checksum, sizeof(checksum)) != 0)
        return BROKER_VERSION;
    if ((head.zero | head.zeros[0] | head.zeros[1]) != 0)
        return BROKER_CORRUPT;
    (void)XXH64_update(&r->sum, &head, sizeof(head));
    r->created_ns = head.created_ns;
    return 0;
}

int bri_snapshot_read_begin(int fd, struct bri_snapshot_reader **out_reader)
{
    struct bri_snapshot_reader *r;
    struct stat st;
    int e;

    if (fstat(fd, &st) != 0)
        return bri_from_errno(errno);
    if (!S_ISREG(st.st_mode))
        return BROKER_CORRUPT;
    r = malloc(sizeof(*r));
    if (r == NULL)
        return BROKER_NOMEM;
    memset(r, 0, offsetof(struct bri_snapshot_reader, buffer));
    r->fd = fd;
    r->left = (uint64_t)st.st_size;
    (void)XXH64_reset(&r->sum, 0);
    e = read_head(r);
    if (e < 0) {
        free(r);
        return e;
    }
    *out_reader = r;
    return 0;
}

uint64_t bri_snapshot_created_ns(const struct bri_snapshot_reader *r)
{
    return r->created_ns;
}

static int check_end(struct bri_snapshot_reader *r, uint64_t sum_before)
{
    struct bri_snapshot_end end;

    if (r->record.size != sizeof(end) || r->left != 0)
        return BROKER_CORRUPT;
    memcpy(&end, r->record.data, sizeof(end));
    if (end.n_records != r->n_records || end.sum != sum_before)
        return BROKER_CORRUPT;
    r->at_end = true;
    return BROKER_EMPTY;
}

/* The record's bytes, and whether they are what was written. */
static int read_bytes(struct bri_snapshot_reader *r, const struct bri_snapshot_record *record)
{
    XXH64_state_t state;
    uint64_t sum;
    int e;

    if (record->zero != 0 || r->left < sizeof(sum) || record->size > r->left - sizeof(sum))
        return BROKER_CORRUPT;
    e = bri_buffer_reserve(&r->record, record->size > 0 ? record->size : 1);
    if (e == 0)
        e = take(r, r->record.data, record->size);
    if (e == 0)
        e = take(r, &sum, sizeof(sum));
    if (e < 0)
        return e;
    r->record.size = record->size;
    (void)XXH64_reset(&state, 0);
    (void)XXH64_update(&state, record, sizeof(*record));
    (void)XXH64_update(&state, r->record.data, r->record.size);
    if (XXH64_digest(&state) != sum)
        return BROKER_CORRUPT;
    (void)XXH64_update(&r->sum, record, sizeof(*record));
    (void)XXH64_update(&r->sum, r->record.data, r->record.size);
    (void)XXH64_update(&r->sum, &sum, sizeof(sum));
    return 0;
}

static int read_record(struct bri_snapshot_reader *r, struct bri_snapshot_part *out)
{
    uint64_t sum_before = XXH64_digest(&r->sum);
    struct bri_snapshot_record record;
    int e = take(r, &record, sizeof(record));

    if (e == 0)
        e = read_bytes(r, &record);
    if (e < 0)
        return e;
    if (record.kind == BRI_SNAPSHOT_END)
        return check_end(r, sum_before);
    if (record.kind != BRI_SNAPSHOT_INFO && record.kind != BRI_SNAPSHOT_OBJECT)
        return BROKER_CORRUPT;
    r->n_records++;
    *out = (struct bri_snapshot_part){
        (enum bri_snapshot_kind)record.kind, r->record.data, r->record.size};
    return 0;
}

int bri_snapshot_read(struct bri_snapshot_reader *r, struct bri_snapshot_part *out_part)
{
    int e = r->at_end ? BROKER_EMPTY : r->failed;

    if (e == 0)
        e = read_record(r, out_part);
    if (e < 0)
        r->failed = e;
    return e;
}

void bri_snapshot_reader_free(struct bri_snapshot_reader *r)
{
    if (r == NULL)
        return;
    broker_buffer_free(&r->record);
    free(r);
}

int bri_snapshot_verify(int fd, uint64_t *out_records)
{
    struct bri_snapshot_reader *r;
    struct bri_snapshot_part part;
    int e = bri_snapshot_read_begin(fd, &r);

    if (e < 0)
        return e;
    do
        e = bri_snapshot_read(r, &part);
    while (e == 0);
    if (e == BROKER_EMPTY) {
        *out_records = r->n_records;
        e = 0;
    }
    bri_snapshot_reader_free(r);
    return e;
}
