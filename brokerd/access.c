/*
 * access.c - see access.h
 */
#include "access.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <broker/errors.h>

#include "core/session.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77 /* Linux 6.5 */
#endif
#define MAX_GROUPS 65536u

static bool is_number(const char *word, uint32_t *out_number)
{
    char *end;
    unsigned long n;

    if (word[0] < '0' || word[0] > '9')
        return false;
    errno = 0;
    n = strtoul(word, &end, 10);
    if (errno != 0 || *end != '\0' || n >= UINT32_MAX)
        return false;
    *out_number = (uint32_t)n;
    return true;
}

static bool find_user(const char *word, uid_t *out_uid)
{
    const struct passwd *user;

    if (is_number(word, out_uid))
        return true;
    user = getpwnam(word);
    if (user != NULL)
        *out_uid = user->pw_uid;
    return user != NULL;
}

static bool find_group(const char *word, gid_t *out_gid)
{
    const struct group *group;

    if (is_number(word, out_gid))
        return true;
    group = getgrnam(word);
    if (group != NULL)
        *out_gid = group->gr_gid;
    return group != NULL;
}

bool brokerd_rule_add(struct brokerd_rule *rule, const char *word, const char **out_reason)
{
    *out_reason = "a rule has room for 64 users and 64 groups";
    if (strcmp(word, "*") == 0) {
        rule->everybody = true;
        return true;
    }
    if (rule->n_groups == BROKERD_RULE_MAX || rule->n_users == BROKERD_RULE_MAX)
        return false;
    if (word[0] == '@') {
        *out_reason = "there is no such group";
        if (!find_group(word + 1, &rule->groups[rule->n_groups]))
            return false;
        rule->n_groups++;
        return true;
    }
    *out_reason = "there is no such user (groups are written @group)";
    if (!find_user(word, &rule->users[rule->n_users]))
        return false;
    rule->n_users++;
    return true;
}

bool brokerd_peer_get(int sock, struct brokerd_peer *out_peer)
{
    struct ucred cred;
    socklen_t size = sizeof(cred);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &cred, &size) != 0 || size != sizeof(cred))
        return false;
    *out_peer = (struct brokerd_peer){.pid = cred.pid, .uid = cred.uid, .gid = cred.gid};
    return true;
}

static bool has_group(const struct brokerd_rule *rule, gid_t gid)
{
    for (uint32_t i = 0; i < rule->n_groups; i++)
        if (rule->groups[i] == gid)
            return true;
    return false;
}

/* The peer's further groups, which SO_PEERCRED does not tell. */
static bool has_peer_group(const struct brokerd_rule *rule, int sock)
{
    socklen_t size = MAX_GROUPS * sizeof(gid_t);
    gid_t *groups = malloc(size);
    bool found = false;

    if (groups != NULL && getsockopt(sock, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0)
        for (size_t i = 0; i < size / sizeof(gid_t) && !found; i++)
            found = has_group(rule, groups[i]);
    free(groups);
    return found;
}

/* By the databases, which are asked only where nothing else decides. */
static bool has_user_group(const struct brokerd_rule *rule, uid_t uid, gid_t gid)
{
    const struct passwd *user = getpwuid(uid);
    int n = MAX_GROUPS;
    gid_t *groups = user != NULL ? malloc((size_t)n * sizeof(gid_t)) : NULL;
    bool found = false;

    if (groups != NULL && getgrouplist(user->pw_name, gid, groups, &n) >= 0)
        for (int i = 0; i < n && !found; i++)
            found = has_group(rule, groups[i]);
    free(groups);
    return found;
}

static bool names_user(const struct brokerd_rule *rule, uid_t uid)
{
    for (uint32_t i = 0; i < rule->n_users; i++)
        if (rule->users[i] == uid)
            return true;
    return rule->everybody;
}

bool brokerd_rule_allows(const struct brokerd_rule *rule, int sock, const struct brokerd_peer *peer)
{
    return names_user(rule, peer->uid) ||
           (rule->n_groups > 0 && (has_group(rule, peer->gid) || has_peer_group(rule, sock)));
}

bool brokerd_rule_allows_user(const struct brokerd_rule *rule, uid_t uid, gid_t gid)
{
    return names_user(rule, uid) ||
           (rule->n_groups > 0 && (has_group(rule, gid) || has_user_group(rule, uid, gid)));
}

bool brokerd_pidfd_ended(int pidfd)
{
    struct pollfd p = {.fd = pidfd, .events = POLLIN};

    return poll(&p, 1, 0) != 0;
}

/*
 * NSpid lists a process's ids from our namespace inwards: one id means that it is in ours. What the
 * kernel says of a pidfd may be read about anybody's process, unlike /proc/PID/ns/pid, and costs a
 * fraction of /proc/PID/status.
 */
static bool is_in_our_namespace(int pidfd)
{
    static const char key[] = "\nNSpid:";
    char path[40], text[1024];
    const char *p, *end;
    unsigned ids = 0;
    ssize_t n = -1;
    int fd;

    (void)snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        n = read(fd, text, sizeof(text) - 1);
        (void)close(fd);
    }
    text[n > 0 ? n : 0] = '\0';
    p = strstr(text, key);
    if (p == NULL)
        return false;
    p += sizeof(key) - 1;
    end = p + strcspn(p, "\n");
    for (; p < end; p++)
        ids += *p >= '0' && *p <= '9' && (p[-1] < '0' || p[-1] > '9');
    return ids == 1;
}

static int open_pidfd(int sock, pid_t pid)
{
    int pidfd;
    socklen_t size = sizeof(pidfd);

    if (getsockopt(sock, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0)
        return pidfd;
    /* An older kernel: nobody else has got the number as long as the peer has not hung up. */
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (pidfd >= 0) {
        struct pollfd p = {.fd = sock, .events = POLLRDHUP};

        if (poll(&p, 1, 0) == 0)
            return pidfd;
        (void)close(pidfd);
    }
    return -1;
}

int brokerd_peer_pidfd(int sock, const struct brokerd_peer *peer, const char **out_reason)
{
    int pidfd;

    *out_reason = "it runs in another PID namespace than the broker";
    if (peer->pid <= 0)
        return -1;
    pidfd = open_pidfd(sock, peer->pid);
    if (pidfd >= 0 && is_in_our_namespace(pidfd) && !brokerd_pidfd_ended(pidfd))
        return pidfd;
    if (pidfd < 0 || brokerd_pidfd_ended(pidfd))
        *out_reason = "the process is gone";
    if (pidfd >= 0)
        (void)close(pidfd);
    return -1;
}

/* What a process that is being looked at can have done meanwhile is to end. */
int brokerd_pidfd_of(pid_t pid, uint64_t start_time)
{
    int pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    uint64_t found;
    int r;

    if (pidfd < 0) /* EINVAL: another process has a thread of that number */
        return pid <= 0 || errno == ESRCH || errno == EINVAL ? BROKER_GONE : BROKER_SYSTEM;
    r = bri_process_start_time(pid, &found);
    if (brokerd_pidfd_ended(pidfd) || (r == 0 && found != start_time))
        r = BROKER_GONE;
    else if (r == 0)
        return pidfd;
    else
        r = BROKER_SYSTEM;
    (void)close(pidfd);
    return r;
}
