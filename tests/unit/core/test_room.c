/*
 * test_room.c - reading the limits of control groups, in trees of files as the kernel has them
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "core/room.h"
#include "support/folder.h"

#define MIB (UINT64_C(1) << 20)

static char dir[] = "/tmp/broker-room-XXXXXX";
static char own[64], unified[64], memory[64];
static const struct bri_room_places places = {own, unified, memory};

static void start(void)
{
    folder_make(dir);
    (void)snprintf(own, sizeof(own), "%s/own", dir);
    (void)snprintf(unified, sizeof(unified), "%s/v2", dir);
    (void)snprintf(memory, sizeof(memory), "%s/v1", dir);
}

static void stop(void)
{
    folder_remove(dir);
}

TestSuite(room, .init = start, .fini = stop, .timeout = 30);

static void put(const char *name, const char *text)
{
    folder_put(dir, name, text);
}

static void expect(uint64_t limit, uint64_t left)
{
    struct bri_room room = bri_room_look(&places);

    cr_assert_eq(room.limit_bytes, limit, "%llu", (unsigned long long)room.limit_bytes);
    cr_assert_eq(room.free_bytes, left, "%llu", (unsigned long long)room.free_bytes);
}

Test(room, without_groups_there_is_no_limit)
{
    expect(BRI_ROOM_UNLIMITED, BRI_ROOM_UNLIMITED);
    put("own", "0::/a\n");
    expect(BRI_ROOM_UNLIMITED, BRI_ROOM_UNLIMITED);
    put("v2/a/memory.max", "max\n");
    expect(BRI_ROOM_UNLIMITED, BRI_ROOM_UNLIMITED);
}

Test(room, what_is_free_leaves_a_reserve)
{
    put("own", "0::/a/b.service\n");
    put("v2/a/b.service/memory.max", "67108864\n"); /* 64 MiB: the reserve is 4 */
    put("v2/a/b.service/memory.current", "10485760\n");
    expect(64 * MIB, 50 * MIB);
    put("v2/a/b.service/memory.current", "66060288\n");
    expect(64 * MIB, 0);
    put("v2/a/b.service/memory.max", "1073741824\n"); /* 1 GiB: the most, 8 */
    put("v2/a/b.service/memory.current", "0\n");
    expect(1024 * MIB, 1016 * MIB);
}

Test(room, cached_files_do_not_count)
{
    put("own", "0::/a\n");
    put("v2/a/memory.max", "67108864\n");
    put("v2/a/memory.current", "66060288\n");
    put("v2/a/memory.stat",
        "anon 1\nshmem 2\nworkingset_refault_inactive_file 9999999999\ninactive_file 10485760\n"
        "active_file 1048576\nslab 7\n");
    expect(64 * MIB, (64 - 4 - 63 + 11) * MIB);
}

Test(room, a_group_above_may_be_narrower)
{
    put("own", "0::/a/b/c\n");
    put("v2/a/memory.max", "33554432\n"); /* 32 MiB: the reserve is 2 */
    put("v2/a/memory.current", "20971520\n");
    put("v2/a/b/memory.max", "max\n");
    put("v2/a/b/c/memory.max", "67108864\n");
    put("v2/a/b/c/memory.current", "1048576\n");
    expect(32 * MIB, 10 * MIB);
    put("v2/memory.max", "16777216\n"); /* that of a container: its root has one */
    put("v2/memory.current", "16777216\n");
    expect(16 * MIB, 0);
}

Test(room, the_first_version_has_other_names)
{
    put("own", "5:cpu,cpuacct:/x\n4:not_memory:/y\n3:memory:/a\n0::/z\n");
    put("v1/a/memory.limit_in_bytes", "67108864\n");
    put("v1/a/memory.usage_in_bytes", "10485760\n");
    put("v1/a/memory.stat", "inactive_file 5\ntotal_inactive_file 1048576\n");
    put("v1/memory.limit_in_bytes", "9223372036854771712\n");
    put("v1/memory.usage_in_bytes", "99999999999\n");
    put("v1/y/memory.limit_in_bytes", "4096\n");
    expect(64 * MIB, 51 * MIB);
    put("own", "4:blkio,memory:/a\n");
    expect(64 * MIB, 51 * MIB);
}
