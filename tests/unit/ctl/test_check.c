/*
 * test_check.c - the audit: live and of a copy, of sound arenas and of damaged ones
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker.h>

#include "core/layout.h"
#include "core/pages.h"
#include "fixture.h"

TestSuite(ctl_check, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

static void make_objects(void)
{
    EXPECT("dict set stock tickets 100", 0, "");
    EXPECT("queue put jobs 1", 0, "");
    EXPECT("lock create till", 0, "");
}

static void expect_offline(int wanted_code, const char *said)
{
    const char *path = instance_arena_path(instance);
    const char *const words[] = {"check", "--offline", path, NULL};
    struct run r = run_words(words);

    cr_assert_eq(r.code, wanted_code, "%d: %s%s", r.code, r.out, r.err);
    cr_assert(strstr(r.out, said) != NULL || strstr(r.err, said) != NULL, "%s%s", r.out, r.err);
    run_free(&r);
}

/* Writes over the arena's file. */
static void scribble(off_t at, const void *bytes, size_t size)
{
    int fd = open(instance_arena_path(instance), O_WRONLY | O_CLOEXEC);

    cr_assert_geq(fd, 0);
    cr_assert_eq(pwrite(fd, bytes, size, at), (ssize_t)size);
    (void)close(fd);
}

Test(ctl_check, a_sound_arena_has_no_problems)
{
    make_objects();
    EXPECT_SHOWS("check", 0, "\nno problem found (objects: 3, sessions: 1, memory: ");
    EXPECT_SHOWS("check --json", 0, "\"problems\":[]");
    EXPECT("check -q", 0, "");
    EXPECT_SAYS("check file", 2, "--offline");
    EXPECT_SAYS("check --arena default", 2, "--offline");
}

Test(ctl_check, offline_needs_no_daemon_and_changes_nothing)
{
    make_objects();
    instance_kill(instance);
    expect_offline(0, "no problem found (objects: 3, sessions: 0,");
    instance_restart(instance);
    EXPECT("dict get stock tickets", 0, "100\n");
}

Test(ctl_check, offline_finds_the_arena_by_its_names)
{
    const char *path = instance_arena_path(instance);
    const char *name = strstr(path, "brokerd.");
    char instance_name[128];
    const char *words[] = {
        "check", "--offline", "--instance", instance_name, "--arena", "default", NULL};
    struct run r;

    cr_assert_not_null(name);
    name += strlen("brokerd.");
    (void)snprintf(instance_name, sizeof(instance_name), "%.*s", (int)strcspn(name, "."), name);
    r = run_words(words);
    cr_assert_eq(r.code, 0, "%s", r.err);
    run_free(&r);
    words[5] = "other";
    r = run_words(words);
    cr_assert_eq(r.code, 10);
    cr_assert_not_null(strstr(r.err, ".other"), "%s", r.err);
    run_free(&r);
}

Test(ctl_check, a_guard_that_is_held_is_as_good_as_free_in_a_copy)
{
    const uint32_t holder = (uint32_t)gettid(); /* it lives: the live arena would wait for it */
    struct bri_slot_shm *registry;
    struct stat st;
    uint8_t *arena;
    int fd;

    make_objects();
    instance_kill(instance);
    fd = open(instance_arena_path(instance), O_RDWR | O_CLOEXEC);
    cr_assert(fd >= 0 && fstat(fd, &st) == 0);
    arena = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    cr_assert_neq(arena, MAP_FAILED);
    registry = (struct bri_slot_shm *)(arena + ((struct bri_arena_shm *)arena)->slots_off);
    atomic_store(&registry->word, holder);
    expect_offline(0, "no problem found (objects: 3,");
    cr_assert_eq(atomic_load(&registry->word), holder);
    atomic_store(&registry->word, 0);
    (void)munmap(arena, (size_t)st.st_size);
    (void)close(fd);
}

/* A page that says that it is the registry's, of which the registry knows nothing. */
static void lose_page(void)
{
    struct bri_arena_shm header;
    uint32_t page;
    uint64_t tag;
    int fd = open(instance_arena_path(instance), O_RDONLY | O_CLOEXEC);

    cr_assert_eq(pread(fd, &header, sizeof(header), 0), (ssize_t)sizeof(header));
    (void)close(fd);
    page = atomic_load(&header.committed) - 1;
    tag = bri_tag((uint32_t)(header.slots_off >> BRI_SLOT_SHIFT), BRI_PAGE_RUN, 1);
    scribble((off_t)(header.pages_off + page * sizeof(struct bri_page_shm)), &tag, sizeof(tag));
}

Test(ctl_check, while_programs_are_attached_offline_says_so_and_believes_less)
{
    broker *b;

    make_objects();
    lose_page();
    cr_assert_eq(broker_open(NULL, &b), 0);
    expect_offline(0, "programs are attached to");
    broker_close(b);
    expect_offline(39, "is lost");
}

Test(ctl_check, damage_is_found_and_has_an_exit_code)
{
    static const uint8_t noise[] = {0xff, 0xff, 0xff, 0x7f};
    struct bri_arena_shm header;
    int fd;

    make_objects();
    instance_kill(instance);
    fd = open(instance_arena_path(instance), O_RDONLY | O_CLOEXEC);
    cr_assert_eq(pread(fd, &header, sizeof(header), 0), (ssize_t)sizeof(header));
    (void)close(fd);
    /* The registry counts its names. */
    scribble((off_t)(header.slots_off + offsetof(struct bri_slot_shm, state) +
                     offsetof(struct bri_registry_shm, n_objects)),
        noise, sizeof(noise));
    expect_offline(39, "names, but the count says");
    scribble((off_t)offsetof(struct bri_arena_shm, n_pages), noise, sizeof(noise));
    expect_offline(39, "the header of");
}

Test(ctl_check, damage_in_a_live_arena_is_found_too)
{
    static const uint8_t noise[] = {0xff, 0xff, 0xff, 0x7f};
    struct bri_arena_shm header;
    struct run r;
    int fd = open(instance_arena_path(instance), O_RDONLY | O_CLOEXEC);

    make_objects();
    cr_assert_eq(pread(fd, &header, sizeof(header), 0), (ssize_t)sizeof(header));
    (void)close(fd);
    scribble((off_t)(header.slots_off + offsetof(struct bri_slot_shm, state) +
                     offsetof(struct bri_registry_shm, n_objects)),
        noise, sizeof(noise));
    r = run("check");
    cr_assert_eq(r.code, 39, "%d: %s", r.code, r.err);
    cr_assert(run_starts(r.out, "the registry\t3 names, but the count says "), "%s", r.out);
    cr_assert_not_null(strstr(r.err, "problems found: 1"), "%s", r.err);
    run_free(&r);
    EXPECT_SHOWS(
        "check --json", 39, "\"problems\":[{\"object\":\"the registry\",\"problem\":\"3 names");
}

Test(ctl_check, another_layout_is_named)
{
    static const uint32_t version = BRI_LAYOUT_VERSION + 1;
    char wanted[64];

    instance_kill(instance);
    scribble((off_t)offsetof(struct bri_arena_shm, layout_version), &version, sizeof(version));
    (void)snprintf(wanted, sizeof(wanted), "has memory layout %u", version);
    expect_offline(40, wanted);
}

Test(ctl_check, a_file_cut_short_is_told_and_not_touched_behind_its_end)
{
    instance_kill(instance);
    cr_assert_eq(truncate(instance_arena_path(instance), 4096), 0);
    expect_offline(39, "cut short");
    cr_assert_eq(truncate(instance_arena_path(instance), 0), 0);
    expect_offline(39, "cut short");
    EXPECT_SAYS("check --offline /nonexistent", 10, "/nonexistent");
    EXPECT_SAYS("check --offline /dev", 46, "/dev");
}
