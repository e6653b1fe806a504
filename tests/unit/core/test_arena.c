/*
 * test_arena.c - making and mapping arenas, and headers that are not right
 */
#include "lab.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker/errors.h>
#include <criterion/criterion.h>

#include "core/audit.h"
#include "core/hash.h"
#include "core/listing.h"
#include "core/pages.h"
#include "engine_ops.h"

TestSuite(arena, .timeout = 60);

Test(arena, what_was_made_is_what_is_mapped)
{
    struct bri_arena_options options = {.name = "stock", .size = 3 * MIB + 1, .n_sessions = 5};
    struct bri_arena *a = NULL, *b = NULL;

    cr_assert_eq(bri_arena_create(lab_file(), &options, &a), 0);
    cr_assert_eq(a->size, 3 * MIB + BRI_PAGE_SIZE);
    cr_assert_eq(a->n_sessions, 5);
    b = lab_map(a);
    cr_assert_eq(b->size, a->size);
    cr_assert_eq(b->n_sessions, 5);
    cr_assert_str_eq(b->name, "stock");
    cr_assert_eq(memcmp(a->id, b->id, sizeof(a->id)), 0);
    cr_assert_eq(bri_hash(a, "key", 3), bri_hash(b, "key", 3));
    cr_assert_eq(lab_used(b), 1, "but the registry's root nothing is used");
    cr_assert_eq(lab_free(b), 0);
    lab_audit(a);
    lab_audit(b);
    bri_arena_unmap(a);
    bri_arena_unmap(b);
    bri_arena_unmap(NULL);
}

Test(arena, options_out_of_range_are_invalid_and_leave_the_file_empty)
{
    char name[65];
    struct bri_arena_options wrong[] = {{.name = NULL, .size = MIB}, {.name = "", .size = MIB},
        {.name = name, .size = MIB}, {.name = "a", .size = 0}, {.name = "a", .size = BRI_PAGE_SIZE},
        {.name = "a", .size = BRI_ARENA_MAX + 1}, {.name = "a", .size = UINT64_MAX},
        {.name = "a", .size = MIB, .n_sessions = 8193},
        {.name = "a", .size = MIB, .n_sessions = 8192}}; /* no room for their slots */
    int fd = lab_file();
    struct stat st;

    memset(name, 'x', sizeof(name));
    name[64] = '\0';
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct bri_arena *a = NULL;

        cr_assert_eq(bri_arena_create(fd, &wrong[i], &a), BROKER_INVALID, "options %zu", i);
        cr_assert_null(a);
        cr_assert_eq(fstat(fd, &st), 0);
        cr_assert_eq(st.st_size, 0);
    }
    (void)close(fd);
}

Test(arena, what_is_no_arena_is_corrupt)
{
    struct bri_arena *a = lab_arena(MIB), *none = NULL;
    int empty = lab_file(), garbage = lab_file(), fd = dup(a->fd);
    uint64_t no_magic = 0;
    char bytes[8192];

    memset(bytes, 0xa5, sizeof(bytes));
    cr_assert_eq(write(garbage, bytes, sizeof(bytes)), (ssize_t)sizeof(bytes));
    cr_assert_eq(bri_arena_map(empty, false, &none, NULL), BROKER_CORRUPT);
    cr_assert_eq(bri_arena_map(garbage, false, &none, NULL), BROKER_CORRUPT);
    cr_assert_eq(bri_arena_map(garbage, true, &none, NULL), BROKER_CORRUPT);
    /* Cut short, and made longer. */
    cr_assert_eq(ftruncate(fd, (off_t)MIB - BRI_PAGE_SIZE), 0);
    cr_assert_eq(bri_arena_map(fd, false, &none, NULL), BROKER_CORRUPT);
    cr_assert_eq(ftruncate(fd, (off_t)MIB + BRI_PAGE_SIZE), 0);
    cr_assert_eq(bri_arena_map(fd, false, &none, NULL), BROKER_CORRUPT);
    cr_assert_eq(ftruncate(fd, (off_t)MIB), 0);
    /* Its maker died before the magic, which is stored last. */
    cr_assert_eq(pwrite(fd, &no_magic, sizeof(no_magic), 0), (ssize_t)sizeof(no_magic));
    cr_assert_eq(bri_arena_map(fd, false, &none, NULL), BROKER_CORRUPT);
    cr_assert_null(none);
    (void)close(empty);
    (void)close(garbage);
    (void)close(fd);
    bri_arena_unmap(a);
}

Test(arena, another_layout_or_abi_is_told_with_its_numbers)
{
    struct bri_arena *a = lab_arena(MIB), *none = NULL;
    uint32_t found[2] = {0, 0};
    int fd = dup(a->fd);

    a->shm->layout_version = BRI_LAYOUT_VERSION + 7;
    a->shm->size = 12345; /* the rest of a foreign header means nothing */
    cr_assert_eq(bri_arena_map(fd, false, &none, found), BROKER_VERSION);
    cr_assert_eq(found[0], BRI_LAYOUT_VERSION + 7);
    cr_assert_eq(found[1], BRI_ABI);
    a->shm->layout_version = BRI_LAYOUT_VERSION;
    a->shm->size = MIB;
    a->shm->abi = BRI_ABI ^ 3;
    cr_assert_eq(bri_arena_map(fd, false, &none, found), BROKER_VERSION);
    cr_assert_eq(found[0], BRI_LAYOUT_VERSION);
    cr_assert_eq(found[1], BRI_ABI ^ 3);
    cr_assert_eq(bri_arena_map(fd, false, &none, NULL), BROKER_VERSION);
    cr_assert_null(none);
    (void)close(fd);
    bri_arena_unmap(a);
}

/* With the header as it is now, an arena that lets itself be mapped can be worked in, or refuses.
 */
static void try_to_work(struct bri_arena *view)
{
    struct bri_open open = {.name = "new", .type = bri_type_ops(BRI_TYPE_DICT)};
    struct bri_audit audit = {.quiet_arena = true};
    struct bri_listing entries[16];
    struct bri_object o;
    uint32_t cursor = 0;

    (void)bri_registry_open(view, &open, &o);
    (void)bri_registry_list(view, &cursor, entries, 16);
    (void)lab_used(view);
    (void)bri_audit_arena(view, &audit);
    (void)bri_registry_destroy(view, "new");
}

/* Every byte of the header page, as several other values: mapping says what it is, or all works. */
Test(arena, no_byte_of_the_header_can_do_harm)
{
    static const uint8_t masks[] = {0x01, 0x80, 0xff};
    struct bri_arena *a = lab_arena(MIB), *m = NULL;
    size_t n_mapped = 0, n_refused = 0;
    struct bri_object o = lab_object(a, "there", BRI_TYPE_DICT, 0);
    int fd = dup(a->fd);

    cr_assert_gt(o.generation, 0);
    for (size_t i = 0; i < BRI_PAGE_SIZE * sizeof(masks); i++) {
        uint8_t *byte = a->base + i / sizeof(masks), before = *byte;
        int r;

        *byte = (uint8_t)(before ^ masks[i % sizeof(masks)]);
        r = bri_arena_map(fd, false, &m, NULL);
        if (r == 0) {
            bri_arena_unmap(m);
            fd = dup(a->fd);
            m = lab_view(a);
            try_to_work(m);
            lab_unview(m);
            n_mapped++;
        } else if (r == BROKER_CORRUPT || r == BROKER_VERSION) {
            n_refused++;
        } else {
            cr_assert_fail("byte %zu: %s", i / sizeof(masks), broker_error_name(r));
        }
        *byte = before;
    }
    cr_assert_gt(
        n_mapped, sizeof(struct bri_arena_shm), "names, secrets and what follows may be anything");
    cr_assert_geq(n_refused, sizeof(masks) * 60, "magic, versions, sizes and places may not");
    lab_audit(a);
    (void)close(fd);
    bri_arena_unmap(a);
}

Test(arena, offsets_are_checked_for_range_and_alignment)
{
    struct bri_arena *a = lab_arena(MIB);

    cr_assert_null(bri_at(a, 0, 1, 1), "nothing points into the header");
    cr_assert_null(bri_at(a, BRI_PAGE_SIZE - 1, 1, 1));
    cr_assert_eq(bri_at(a, BRI_PAGE_SIZE, 1, 1), a->base + BRI_PAGE_SIZE);
    cr_assert_eq(bri_at(a, MIB - 8, 8, 8), a->base + MIB - 8);
    cr_assert_null(bri_at(a, MIB - 7, 8, 1));
    cr_assert_null(bri_at(a, MIB, 1, 1));
    cr_assert_eq(bri_at(a, MIB, 0, 1), a->base + MIB);
    cr_assert_null(bri_at(a, BRI_PAGE_SIZE + 4, 8, 8));
    cr_assert_null(bri_at(a, BRI_PAGE_SIZE, SIZE_MAX, 1));
    cr_assert_null(bri_at(a, UINT64_MAX, 1, 1));
    cr_assert_null(bri_at(a, UINT64_MAX - 7, 16, 8));
    cr_assert_null(bri_page_at(a, 0));
    cr_assert_null(bri_page_at(a, (uint32_t)(MIB >> BRI_PAGE_SHIFT)));
    cr_assert_null(bri_page_at(a, UINT32_MAX));
    cr_assert_null(bri_slot_at(a, 0));
    cr_assert_null(bri_slot_at(a, UINT32_MAX));
    bri_arena_unmap(a);
}

/* ---- a file system that is full ---- */

/* Does without root where user namespaces are allowed. */
static bool mount_small_tmpfs(char *dir, const char *size)
{
    uid_t uid = geteuid();
    char map[64];
    int fd;

    if (unshare(CLONE_NEWNS) != 0) {
        if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0)
            return false;
        fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);
        (void)snprintf(map, sizeof(map), "0 %u 1", uid);
        if (fd < 0 || write(fd, map, strlen(map)) < 0)
            return false;
        (void)close(fd);
    }
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mkdtemp(dir) != NULL &&
           mount("tmpfs", dir, "tmpfs", 0, size) == 0;
}

#define NOT_HERE 77
#define REQUIRE(condition)                                                                         \
    do                                                                                             \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);          \
            return 1;                                                                              \
        }                                                                                          \
    while (0)

/* Claims pages until there are none; how many that was. */
static int fill(struct bri_arena *a, uint32_t *out_n)
{
    uint32_t page;
    int r;

    for (*out_n = 0;; ++*out_n) {
        while ((r = bri_pages_find(a, 1, &page)) < 0) {
            r = bri_pages_grow(a, 1);
            if (r < 0)
                return r;
        }
        if (!bri_pages_take(a, page, 1, a->first_slot, BRI_PAGE_RUN))
            return BROKER_INTERNAL;
        memset(
            bri_page_at(a, page), 0xaa, BRI_PAGE_SIZE); /* SIGBUS if there is no memory behind it */
    }
}

static int on_full_tmpfs(void *arg)
{
    struct bri_arena_options big = {.name = "big", .size = 4096 * MIB, .n_sessions = 8192};
    struct bri_arena_options small = {.name = "small", .size = 64 * MIB, .n_sessions = 8};
    char dir[] = "/tmp/broker-test-XXXXXX", path[64];
    struct bri_arena *a = NULL;
    uint32_t n, again;
    int fd;

    (void)arg;
    if (!mount_small_tmpfs(dir, "size=4m"))
        return NOT_HERE;
    (void)snprintf(path, sizeof(path), "%s/arena", dir);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    REQUIRE(fd >= 0);
    /* Its tables alone do not fit. */
    REQUIRE(bri_arena_create(fd, &big, &a) == BROKER_NOMEM);
    REQUIRE(a == NULL && ftruncate(fd, 0) == 0);
    REQUIRE(bri_arena_create(fd, &small, &a) == 0);
    REQUIRE(fill(a, &n) == BROKER_NOMEM);
    REQUIRE(n > 100 && n < (4 * MIB >> BRI_PAGE_SHIFT));
    REQUIRE(fill(a, &again) == BROKER_NOMEM && again == 0);
    /* What is given back can be had again. */
    bri_pages_give(a, a->first_page + 1, n, a->first_slot);
    REQUIRE(fill(a, &again) == BROKER_NOMEM && again == n);
    bri_pages_give(a, a->first_page + 1, n, a->first_slot);
    REQUIRE(bri_pages_trim(a, UINT32_MAX) == n);
    REQUIRE(fill(a, &again) == BROKER_NOMEM && again == n);
    bri_arena_unmap(a);
    (void)unlink(path);
    (void)umount(dir);
    (void)rmdir(dir);
    return 0;
}

Test(arena, a_full_file_system_is_nomem_and_never_sigbus)
{
    int status = lab_child(on_full_tmpfs, NULL);

    if (status == NOT_HERE)
        cr_skip_test("this user may not mount a file system of its own");
    cr_assert_eq(status, 0);
}
