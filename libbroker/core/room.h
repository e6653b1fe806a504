/*
 * room.h - how much memory the control groups of this process let it take
 *
 * Memory of an arena is charged to the groups of the process that has it put there. Past a group's
 * limit the kernel refuses nothing: it kills a process of the group. So whoever is about to put
 * memory behind pages looks here first, and says NOMEM (P8). Between the look and the allocation
 * others of the group may take memory, too; a reserve is left for that. Swap is not counted on:
 * shared memory that is swapped is of no use.
 */
#ifndef BRI_ROOM_H
#define BRI_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#define BRI_ROOM_UNLIMITED UINT64_MAX

struct bri_room {
    uint64_t limit_bytes; /* the least of all groups that this process is in */
    uint64_t free_bytes;  /* what can be taken in all of them, the reserve left out */
};

/* Where the kernel tells of groups. */
struct bri_room_places {
    const char *own;     /* /proc/self/cgroup */
    const char *unified; /* the root of cgroup v2 */
    const char *memory;  /* the root of v1's memory controller */
};

/* Looks at all groups; at those of this machine if @places is NULL. What cannot be read limits
 * nothing. Makes system calls. */
struct bri_room bri_room_look(const struct bri_room_places *places);

/* Whether this process can take so many bytes more. That there is no limit is believed for a
 * second. */
bool bri_room_for(uint64_t bytes);

#endif
