/*
 * The bytes of a snapshot: what is written is read, and nothing else is.
 */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <broker/errors.h>

#include "snapshot/file.h"

static int new_file(void)
{
    int fd = memfd_create("snapshot", MFD_CLOEXEC);

    cr_assert_geq(fd, 0);
    return fd;
}

static void add(struct bri_snapshot_writer *w, const char *text)
{
    const struct bri_snapshot_part part = {BRI_SNAPSHOT_OBJECT, text, strlen(text)};

    cr_assert_eq(bri_snapshot_write(w, &part), 0);
}

/* A file of a few short records and, with @large, one that no buffer holds. */
static int make_file(bool large)
{
    struct bri_snapshot_writer *w;
    int fd = new_file();
    char *text;

    cr_assert_eq(bri_snapshot_write_begin(fd, 1234, &w), 0);
    cr_assert_eq(
        bri_snapshot_write(w, &(struct bri_snapshot_part){BRI_SNAPSHOT_INFO, "info", 4}), 0);
    add(w, "first");
    add(w, "");
    if (large) {
        text = malloc(300001);
        cr_assert_not_null(text);
        memset(text, 'x', 300000);
        text[300000] = '\0';
        add(w, text);
        free(text);
    }
    cr_assert_eq(bri_snapshot_written(w), large ? 4 : 3);
    cr_assert_eq(bri_snapshot_write_end(w), 0);
    bri_snapshot_writer_free(w);
    return fd;
}

static void expect(struct bri_snapshot_reader *r, enum bri_snapshot_kind kind, size_t size)
{
    struct bri_snapshot_part part;

    cr_assert_eq(bri_snapshot_read(r, &part), 0);
    cr_assert_eq(part.kind, kind);
    cr_assert_eq(part.size, size);
}

Test(snapshot_file, what_is_written_is_read)
{
    struct bri_snapshot_part part;
    struct bri_snapshot_reader *r;
    int fd = make_file(true);

    cr_assert_eq(bri_snapshot_read_begin(fd, &r), 0);
    cr_assert_eq(bri_snapshot_created_ns(r), 1234);
    expect(r, BRI_SNAPSHOT_INFO, 4);
    cr_assert_eq(bri_snapshot_read(r, &part), 0);
    cr_assert(part.size == 5 && memcmp(part.data, "first", 5) == 0);
    expect(r, BRI_SNAPSHOT_OBJECT, 0);
    expect(r, BRI_SNAPSHOT_OBJECT, 300000);
    cr_assert_eq(bri_snapshot_read(r, &part), BROKER_EMPTY);
    cr_assert_eq(bri_snapshot_read(r, &part), BROKER_EMPTY);
    bri_snapshot_reader_free(r);
    bri_snapshot_reader_free(NULL);
    bri_snapshot_writer_free(NULL);
    (void)close(fd);
}

/* The head as documented, byte for byte: it is read by versions that do not exist yet. */
Test(snapshot_file, head_is_as_documented)
{
    static const char start[40] = "brksnap\n\x01\0\0\0\0\0\0\0XXH64\0\0\0\0\0\0\0\0\0\0\0\xd2\x04";
    char found[40];
    int fd = make_file(false);

    cr_assert_eq(pread(fd, found, sizeof(found), 0), (ssize_t)sizeof(found));
    cr_assert_arr_eq(found, start, sizeof(start));
    (void)close(fd);
}

static off_t size_of(int fd)
{
    off_t size = lseek(fd, 0, SEEK_END);

    cr_assert_gt(size, 0);
    return size;
}

Test(snapshot_file, every_damaged_byte_is_found)
{
    static const uint8_t changes[] = {0x01, 0x80, 0xff};
    int fd = make_file(false);
    off_t size = size_of(fd);
    uint8_t good, bad;
    uint64_t n;

    cr_assert_eq(bri_snapshot_verify(fd, &n), 0);
    cr_assert_eq(n, 3);
    for (off_t at = 0; at < size; at++) {
        cr_assert_eq(pread(fd, &good, 1, at), 1);
        for (size_t i = 0; i < sizeof(changes); i++) {
            bad = good ^ changes[i];
            cr_assert_eq(pwrite(fd, &bad, 1, at), 1);
            cr_assert_eq(bri_snapshot_verify(fd, &n), BROKER_CORRUPT, "byte %ld", (long)at);
        }
        cr_assert_eq(pwrite(fd, &good, 1, at), 1);
    }
    cr_assert_eq(bri_snapshot_verify(fd, &n), 0);
    (void)close(fd);
}

Test(snapshot_file, every_other_length_is_found)
{
    int fd = make_file(false);
    off_t size = size_of(fd);
    uint64_t n;

    cr_assert_eq(pwrite(fd, "", 1, size), 1);
    cr_assert_eq(bri_snapshot_verify(fd, &n), BROKER_CORRUPT);
    for (off_t length = size - 1; length >= 0; length--) {
        cr_assert_eq(ftruncate(fd, length), 0);
        cr_assert_eq(bri_snapshot_verify(fd, &n), BROKER_CORRUPT, "length %ld", (long)length);
    }
    (void)close(fd);
}

/* Records that are all right, each by itself, but are not those that were written. */
Test(snapshot_file, exchanged_records_are_found)
{
    struct bri_snapshot_writer *w;
    uint64_t n, n_record = 16 + 1 + 8;
    char a[25], b[25];
    int fd = new_file();

    cr_assert_eq(bri_snapshot_write_begin(fd, 0, &w), 0);
    add(w, "a");
    add(w, "b");
    cr_assert_eq(bri_snapshot_write_end(w), 0);
    bri_snapshot_writer_free(w);
    cr_assert_eq(bri_snapshot_verify(fd, &n), 0);
    cr_assert_eq(pread(fd, a, sizeof(a), 64), (ssize_t)n_record);
    cr_assert_eq(pread(fd, b, sizeof(b), 64 + (off_t)n_record), (ssize_t)n_record);
    cr_assert_eq(pwrite(fd, b, sizeof(b), 64), (ssize_t)n_record);
    cr_assert_eq(pwrite(fd, a, sizeof(a), 64 + (off_t)n_record), (ssize_t)n_record);
    cr_assert_eq(bri_snapshot_verify(fd, &n), BROKER_CORRUPT);
    (void)close(fd);
}

Test(snapshot_file, other_things_are_no_snapshots)
{
    int fds[2];
    uint64_t n;

    cr_assert_eq(pipe(fds), 0);
    cr_assert_eq(bri_snapshot_verify(fds[0], &n), BROKER_CORRUPT);
    cr_assert_eq(bri_snapshot_verify(-1, &n), BROKER_SYSTEM);
    (void)close(fds[0]);
    (void)close(fds[1]);
}
