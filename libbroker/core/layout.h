/*
 * layout.h - every struct of the arena that belongs to the core
 *
 * This is what lies in shared memory, and nothing else. Whoever may write the arena can have
 * written anything here: load a field once, check it, use the copy. Each field names its rule:
 *   [const]   written before others can see it, never again
 *   [guard]   read and written under the guard of the object it belongs to, changed through the
 * journal [atomic]  read and written by anybody with atomic operations [hint]    [atomic], and
 * nothing goes wrong but speed if it is off A change of anything here is a new BRI_LAYOUT_VERSION.
 * Object types keep the structs of their own state in their .c file.
 */
#ifndef BRI_LAYOUT_H
#define BRI_LAYOUT_H

#include <stdatomic.h>
#include <stdint.h>

#define BRI_LAYOUT_VERSION 3u
#define BRI_MAGIC 0x31656e6572614272u /* "rBarene1" */

#define BRI_PAGE_SHIFT 12
#define BRI_PAGE_SIZE 4096u
#define BRI_SLOT_SHIFT 9
#define BRI_SLOT_SIZE 512u
#define BRI_SLOTS_PER_PAGE (BRI_PAGE_SIZE / BRI_SLOT_SIZE)
#define BRI_UNIT_SHIFT 4 /* block references of 32 bits count units of 16 bytes: 64 GiB */
#define BRI_ARENA_MAX (UINT64_C(1) << (32 + BRI_UNIT_SHIFT))

#define BRI_JOURNAL_SLOT 12u   /* journal entries in every slot */
#define BRI_JOURNAL_ROOT 64u   /* more, in the root page of an object that has one */
#define BRI_JOURNAL_EXTENTS 5u /* and more for bulk operations: page runs, claimed when needed */
#define BRI_JOURNAL_EXTENT_PAGES 16u /* the first; each further one is four times as long */

#define BRI_N_CHANNELS 5u
#define BRI_CHANGES                                                                                \
    4u /* the channel of those who wait for any change; the others are the types'                  \
        */
#define BRI_N_WAIT_NOTES 4u
#define BRI_N_CLASSES 24u
#define BRI_SLOT_STATE 128u
#define BRI_ROOT_STATE 2304u
#define BRI_SECRET_SIZE 192u
#define BRI_RING_PAGES 64u   /* of the records of operations */
#define BRI_NAME_MAX 255u    /* bytes of an object's name, without a NUL */
#define BRI_CHUNK_PAGES 256u /* whose free ones a word sums up; see chunks.c */
#define BRI_RUN_CURSORS 16u  /* runs of up to so many pages are looked for by length */

/* One page of the arena: who has it, and its neighbours in the owner's list of runs. */
struct bri_page_shm {
    _Atomic uint64_t tag; /* [atomic] 0 is free; see bri_tag() in pages.h */
    uint32_t next; /* [guard of the owner] first page of the next run in the owner's list, 0 at the
                      end */
    uint32_t prev; /* [guard of the owner] */
};

/* `where` is the offset of an aligned 64-bit word, or with its low bit set the first page of a
 * claimed run. */
struct bri_journal_entry_shm {
    uint64_t where;
    uint64_t old; /* the word's former value, or (owner slot << 32 | pages) of a claimed run */
};

/*
 * A slot: the fixed part of an object, and all of a small one. Slots are type-stable: memory that
 * was once a slot is a slot for ever, so that a lock word never turns into something else under a
 * thread that still looks at it.
 */
struct bri_slot_shm {
    /* Cache line 0: the guard. */
    _Atomic uint32_t
        word; /* [atomic] robust futex: owner's thread id, FUTEX_WAITERS, FUTEX_OWNER_DIED */
    _Atomic uint32_t
        n_journal; /* [guard] entries that recovery must undo; its reset to 0 is the commit */
    _Atomic uint64_t seq;        /* [guard] odd while a change is under way; readers compare it */
    _Atomic uint64_t generation; /* [guard] identity of the object that lives here; 0 is none */
    _Atomic uint32_t root_page;  /* [const while the object lives] 0 if the type has no heap */
    _Atomic uint32_t chores;     /* [guard] enum bri_chores */
    _Atomic uint32_t type;       /* [const while the object lives] */
    _Atomic uint32_t damaged; /* [guard] line of the check that failed: quarantined; BRI_SEALED */
    _Atomic uint32_t giving;  /* [guard] a run in no list any more, being given back: first page */
    uint32_t
        extents[BRI_JOURNAL_EXTENTS]; /* [guard] first pages of the journal's extents, 0 is none */

    /* Cache line 1: waiting. */
    _Atomic uint32_t wait_word[BRI_N_CHANNELS]; /* [atomic] event counts, bumped under the guard */
    uint32_t n_waiters[BRI_N_CHANNELS];         /* [guard] registered sleepers */
    uint64_t n_recovered; /* [guard] deaths inside an operation that were repaired */
    uint64_t n_contended; /* [guard] locks that had to wait */
    uint32_t n_giving;    /* [guard] its pages */
    uint32_t creator_uid; /* [const while the object lives] */

    struct bri_journal_entry_shm journal[BRI_JOURNAL_SLOT]; /* [guard] */

    uint64_t state[BRI_SLOT_STATE / 8]; /* the type's own */

    /* Last line: the registry's, under the registry's guard. */
    uint32_t next; /* slot: in the bucket of its name, or among the free or dying ones */
    _Atomic uint32_t granted_pages; /* that its heap may have without asking; see quota.h */
    uint64_t name_off;       /* block in the registry's heap: uint16_t length, then the bytes */
    uint64_t created_ns;     /* CLOCK_REALTIME */
    _Atomic uint32_t status; /* enum bri_slot_status */
    _Atomic uint32_t
        anonymous;     /* [const while the object lives] 1: it has no name, see collect.h */
    uint64_t n_silent; /* [guard] sections that changed nothing but who sleeps */
    _Atomic uint32_t
        n_pins; /* [guard] attachments that keep the object's memory from being given back */
    uint32_t scan_epoch;   /* [guard] the collection that `scan` is of */
    _Atomic uint64_t mark; /* [atomic] see collect.c */
    uint64_t scan; /* [guard] how far the collector has looked at what is stored; of a session, at
                      its attachments */
};

/* In `damaged`: nothing is wrong with it, but it is nobody's any more; see seal.h. */
#define BRI_SEALED (1u << 31)

enum bri_chores {
    BRI_CHORE_RUNS = 1, /* the heap has runs to give back */
    BRI_CHORE_REFS = 2, /* references are stored in it: its changes may leave garbage */
};

enum bri_slot_status {
    BRI_SLOT_FREE = 0,
    BRI_SLOT_LIVE = 1,
    BRI_SLOT_DYING = 2,  /* no name any more; its memory is being given back */
    BRI_SLOT_BURIED = 3, /* its memory is back: only the slot is still to be freed */
};

_Static_assert(sizeof(struct bri_slot_shm) == BRI_SLOT_SIZE, "slot size");
_Static_assert(sizeof(struct bri_page_shm) == 16, "page entry size");

/* An object's memory: slabs of equal blocks and runs of whole pages, claimed from the arena's page
 * table. */
struct bri_heap_shm {
    uint32_t runs;      /* [guard] list of all runs but the root page */
    uint32_t zombies;   /* [guard] runs of a cleared object, given back step by step */
    uint32_t released;  /* [guard] runs that the last operation freed */
    uint32_t draining;  /* [guard] the run that is being given back now */
    uint64_t n_pages;   /* [guard] pages in runs, zombies and released, and the root page */
    uint64_t max_pages; /* [const] quota; 0 is none */
    uint64_t epoch;     /* [guard] how often the object was cleared */
    uint32_t partial[BRI_N_CLASSES]; /* [guard] slabs with a free block, by class */
};

/* Operations that slept for something; noted when that was over. */
struct bri_sleeps_shm {
    uint64_t n;          /* [guard] */
    uint64_t wait_ns;    /* [guard] all of them together */
    uint64_t longest_ns; /* [guard] */
};

/* First page of an object that has a heap. */
struct bri_root_shm {
    struct bri_heap_shm heap;
    uint64_t state[BRI_ROOT_STATE / 8]; /* the type's own */
    struct bri_journal_entry_shm journal[BRI_JOURNAL_ROOT];
    struct bri_sleeps_shm sleeps;
    uint64_t spare[(BRI_PAGE_SIZE - sizeof(struct bri_sleeps_shm) - sizeof(struct bri_heap_shm) -
                       BRI_ROOT_STATE - BRI_JOURNAL_ROOT * sizeof(struct bri_journal_entry_shm)) /
                   8];
};

_Static_assert(sizeof(struct bri_root_shm) == BRI_PAGE_SIZE, "root size");

/* Head of a slab; its blocks follow. */
struct bri_slab_shm {
    uint64_t used[4];  /* [guard] one bit a block; bits past the last block are set */
    uint32_t class_no; /* [const while it is a slab] */
    uint32_t n_blocks; /* [const while it is a slab] */
    uint32_t next;     /* [guard] slabs of this class with a free block: first pages */
    uint32_t prev;     /* [guard] */
    uint64_t spare[2];
};

_Static_assert(sizeof(struct bri_slab_shm) == 64, "slab head size");

/*
 * A session's tie to one object that it has open. Lies in the session's heap; links and count are
 * under the session's guard, the rest under the guard of the object, so that what a session holds
 * of an object changes with the object.
 */
struct bri_attachment_shm {
    uint64_t generation; /* [const] of the object */
    uint32_t object;     /* [const] slot */
    uint32_t n_leases;   /* [guard of the object] */
    uint64_t next_off;   /* [guard of the session] next attachment */
    uint64_t prev_off;   /* [guard of the session] */
    uint32_t
        n_waiting[BRI_N_CHANNELS]; /* [guard of the object] registered sleepers of this session */
    uint32_t pinned;               /* [guard of the object] 1: it is one of the object's n_pins */
    uint64_t first_lease; /* [guard of the object] the type's list of what this session took and has
                             not finished */
    uint64_t last_lease;  /* [guard of the object] */
    uint32_t
        reserved; /* [guard of the object] page runs that this session fills outside the guard */
    uint32_t n_reserved; /* [guard of the object] their pages */
    uint64_t held[2];    /* [guard of the object] what else the type counts of this session */
    uint64_t waits[BRI_N_WAIT_NOTES]; /* [guard of the object] which threads sleep: see wait.h */
};

_Static_assert(sizeof(struct bri_attachment_shm) == 128, "attachment size");

/* State of a session slot. */
struct bri_session_shm {
    _Atomic uint32_t status; /* enum bri_session_status [guard] */
    uint32_t pid;            /* [const while it lives] in the daemon's namespace */
    uint64_t
        start_time;  /* [const while it lives] clock ticks since boot, /proc/PID/stat field 22 */
    uint32_t uid;    /* [const while it lives] */
    uint32_t gid;    /* [const while it lives] */
    uint32_t access; /* [const while it lives] 1 read, 2 read and write */
    uint32_t n_attachments;    /* [guard] */
    uint64_t first_attachment; /* [guard] offset, 0 is none */
    uint64_t attached_ns;      /* [const while it lives] CLOCK_REALTIME */
    char comm[16];             /* [const while it lives] */
    _Atomic uint32_t spinning; /* [hint] threads that spin now */
    _Atomic uint32_t mapped;   /* [owner] the process has had the arena in its memory */
    uint64_t spare2[6];
};

enum bri_session_status {
    BRI_SESSION_FREE = 0,
    BRI_SESSION_LIVE = 1,
    BRI_SESSION_DEAD = 2, /* known to be dead, being reaped */
};

_Static_assert(sizeof(struct bri_session_shm) <= BRI_SLOT_STATE, "session state size");

/* What is told of one operation: see monitor.c. It may be torn, and says so by its check. */
struct bri_record_shm {
    _Alignas(64) _Atomic uint64_t words[8]; /* [atomic] */
};

#define BRI_RING_RECORDS (BRI_RING_PAGES * (BRI_PAGE_SIZE / 64u) - 1u)

/* The last operations that were monitored. A run in the registry's heap, which stays there. */
struct bri_ring_shm {
    _Atomic uint64_t
        next; /* [atomic] number of the next record; its place is that modulo the size */
    _Atomic uint64_t n_left_out; /* [atomic] operations that have none */
    uint64_t spare[6];
    struct bri_record_shm records[BRI_RING_RECORDS];
};

_Static_assert(sizeof(struct bri_ring_shm) == BRI_RING_PAGES * BRI_PAGE_SIZE, "ring size");

/* What one user has of the arena. Lies in the registry's heap while there is anything. */
struct bri_account_shm {
    uint64_t next_off;  /* [registry's guard] */
    uint64_t n_objects; /* [registry's guard] that live */
    uint64_t n_pages;   /* [registry's guard] sum of what is granted to the user's objects */
    uint32_t uid;       /* [const] */
    uint32_t spare;
};

#define BRI_ACCOUNT_CHAINS 64u

/* In the registry's root page. */
struct bri_accounts_shm {
    uint64_t heads[BRI_ACCOUNT_CHAINS]; /* [registry's guard] by uid modulo their number */
};

_Static_assert(sizeof(struct bri_accounts_shm) <= BRI_ROOT_STATE, "accounts size");

/* State of the registry's slot. */
struct bri_registry_shm {
    uint32_t free_slots;        /* [guard] list by next */
    uint32_t dying_slots;       /* [guard] list by next */
    uint64_t n_objects;         /* [guard] that have names */
    uint64_t next_generation;   /* [guard] */
    uint64_t n_anonymous;       /* [guard] */
    _Atomic uint32_t ring_page; /* [guard] first page of the records of operations; 0 is none */
};

/* The first page: what the arena is. */
struct bri_arena_shm {
    _Atomic uint64_t magic;  /* [const] stored last */
    uint32_t layout_version; /* [const] */
    uint32_t abi;            /* [const] BRI_ABI of the creator */
    uint64_t size;           /* [const] bytes of the mapping, the most that the arena can grow to */
    uint32_t n_pages;        /* [const] */
    uint32_t n_sessions;     /* [const] */
    uint32_t n_buckets;      /* [const] of the name table */
    uint32_t first_page;     /* [const] pages before it hold the fixed tables */
    uint64_t pages_off;      /* [const] struct bri_page_shm[n_pages] */
    uint64_t slots_off; /* [const] struct bri_slot_shm: the registry, then n_sessions sessions */
    uint64_t names_off; /* [const] uint32_t[n_buckets], slots */
    uint64_t
        chunks_off; /* [const] _Atomic uint64_t[], one for BRI_CHUNK_PAGES pages: see chunks.c */
    uint8_t id[16]; /* [const] random */
    char name[64];  /* [const] NUL-terminated */
    uint8_t secret[BRI_SECRET_SIZE]; /* [const] random, for the hash */
    char libc[16];                   /* [const] of the creator, NUL-terminated */
    uint64_t created_ns;             /* [const] CLOCK_REALTIME */
    uint64_t spare0;

    /* Each on a line of its own: written often, by everybody. */
    _Alignas(64) _Atomic uint32_t committed; /* [atomic] pages below have memory behind them */
    _Atomic uint32_t n_free;                 /* [hint] free pages */
    /* [hint] No run of n pages or more is free below the page runs_from[n - 1]. */
    _Alignas(64) _Atomic uint32_t runs_from[BRI_RUN_CURSORS];
    _Alignas(64) _Atomic uint32_t spinners; /* [hint] threads that spin now */
    _Alignas(64) _Atomic uint64_t
        daemon_beat_ns; /* [atomic] CLOCK_MONOTONIC of the daemon's last look at the arena */
    _Atomic uint32_t daemon_pid;              /* [atomic] 0 after a clean stop */
    _Alignas(64) _Atomic uint64_t collection; /* [atomic] see collect.c */
    _Atomic uint32_t collect_wanted; /* [hint] futex: 1 since something may have become garbage */
    _Atomic uint32_t collect_above; /* [hint] who makes more anonymous objects than so many helps */

    /* What the daemon's configuration allows; 0 is no limit. Read often, written hardly ever. */
    _Alignas(64) _Atomic uint64_t max_user_pages; /* [atomic] of all objects that a user made */
    _Atomic uint64_t max_user_objects;            /* [atomic] that a user made */
    _Atomic uint32_t max_user_sessions;           /* [atomic] */
    _Atomic uint32_t max_session_objects;         /* [atomic] that a session has open */
    _Atomic uint64_t monitored_until_ns; /* [atomic] CLOCK_MONOTONIC; 0: nobody monitors. A lease,
                                            see monitor.h */
};

_Static_assert(sizeof(struct bri_arena_shm) <= BRI_PAGE_SIZE, "arena header size");

/* BRI_LAYOUT_VERSION, for all who compare it with another program's. */
uint32_t bri_layout_version(void);

/* Sizes and byte order in one number: two builds that disagree must not share an arena. */
#define BRI_ABI                                                                                    \
    ((uint32_t)(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1u : 2u) |                             \
        (uint32_t)sizeof(void *) << 8 | (uint32_t)(sizeof(struct bri_slot_shm) / 16) << 16 |       \
        (uint32_t)sizeof(struct bri_page_shm) << 24)

#endif
