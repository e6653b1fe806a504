/*
 * access.h - who may do what: rules of the configuration, and what the kernel says of a peer
 */
#ifndef BROKERD_ACCESS_H
#define BROKERD_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define BROKERD_RULE_MAX 64

/* A set of users, by themselves and by their groups. */
struct brokerd_rule {
    bool everybody;
    uint32_t n_users, n_groups;
    uid_t users[BROKERD_RULE_MAX];
    gid_t groups[BROKERD_RULE_MAX];
};

/* Adds one word: "*", a user ("alice", "1000") or a group ("@staff", "@50"). False, with a reason,
 * if it is none. */
bool brokerd_rule_add(struct brokerd_rule *rule, const char *word, const char **out_reason);

/* Who is at the other end of a connection: as of its connect(), unforgeable. */
struct brokerd_peer {
    pid_t pid;
    uid_t uid;
    gid_t gid;
};

/* False if the kernel does not tell. */
bool brokerd_peer_get(int sock, struct brokerd_peer *out_peer);

bool brokerd_rule_allows(
    const struct brokerd_rule *rule, int sock, const struct brokerd_peer *peer);

/* The same for a user who is at the other end of no socket of ours: his groups are those that the
 * system's databases say. */
bool brokerd_rule_allows_user(const struct brokerd_rule *rule, uid_t uid, gid_t gid);

/*
 * A pidfd of the peer, which must live and be in our PID namespace: lock words hold thread ids,
 * which mean nothing elsewhere. -1, with a reason, if it is not so.
 */
int brokerd_peer_pidfd(int sock, const struct brokerd_peer *peer, const char **out_reason);

/* A pidfd of the process with this id and start time. GONE; SYSTEM: nobody can tell now. */
int brokerd_pidfd_of(pid_t pid, uint64_t start_time);

/* True once the process behind the pidfd is dead, with all its threads. */
bool brokerd_pidfd_ended(int pidfd);

#endif
