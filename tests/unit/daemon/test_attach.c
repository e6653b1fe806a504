/*
 * test_attach.c - the attach socket: who gets in, who is turned away, and that nothing a peer sends
 * does harm
 */
#include <grp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/handle.h"
#include "core/registry.h"
#include "core/session.h"
#include "raw.h"
#include "support/child.h"

#define NOBODY 65534

static struct instance *instance;

static void start(void)
{
    instance = instance_start(
        "[arena default]\nsize = 16M\nsessions = 4\n[arena open]\nsize = 16M\nread = *\n");
}

static void stop(void)
{
    instance_stop(instance);
}

TestSuite(attach, .init = start, .fini = stop, .timeout = 60);

/* The daemon still is there and lets people in. */
static void daemon_is_well(void)
{
    broker *b;

    cr_assert_eq(broker_open(instance_address(instance), &b), 0, "%s", broker_last_error());
    broker_close(b);
}

Test(attach, a_hello_gives_a_session_and_the_arena)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);
    struct bri_attach_reply reply;
    struct bri_session_info info;
    struct bri_arena *a;
    int fd, sock = raw_connect(instance);

    raw_send(sock, &hello, sizeof(hello));
    cr_assert_eq(raw_receive(sock, &reply, &fd), sizeof(reply));
    cr_assert_eq(reply.status, 0);
    cr_assert_eq(reply.head.kind, BRI_ATTACH_HELLO);
    cr_assert_eq(reply.arena_size, 16u << 20);
    cr_assert_eq(bri_arena_map(fd, false, &a, NULL), 0);
    cr_assert_eq(bri_session_info(a, reply.session, &info), 0);
    cr_assert_eq(info.status, BRI_SESSION_LIVE);
    cr_assert_eq(info.pid, (uint32_t)getpid());
    cr_assert_eq(info.uid, geteuid());
    cr_assert(info.may_write);
    bri_arena_unmap(a);
    (void)close(sock);
}

Test(attach, garbage_gets_an_error_and_is_dropped)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);
    char bytes[4096];
    uint64_t before = raw_status(instance).n_refused;

    memset(bytes, 0xa5, sizeof(bytes));
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), bytes, 1), BROKER_PROTO);
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), bytes, sizeof(bytes)), BROKER_PROTO);
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello) - 1), BROKER_PROTO);
    memcpy(bytes, &hello, sizeof(hello));
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), bytes, sizeof(hello) + 1), BROKER_PROTO);
    hello.on_behalf = 2;
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_PROTO);
    hello = raw_hello(3);
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_PROTO);
    hello = raw_hello(BRI_ATTACH_WRITE);
    hello.head.kind = 77;
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_PROTO);
    cr_assert_eq(raw_status(instance).n_refused, before + 7);
    cr_assert_eq(raw_status(instance).n_sessions, 0);
    daemon_is_well();
}

Test(attach, requests_need_a_hello_first_and_only_one)
{
    struct bri_attach_request unstick = {.head = bri_attach_head(BRI_ATTACH_UNSTICK), .slot = 1};
    struct bri_attach_request leave = {.head = bri_attach_head(BRI_ATTACH_LEAVE)};
    struct bri_attach_request monitor = {.head = bri_attach_head(BRI_ATTACH_MONITOR)};
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_READ);
    struct bri_attach_reply reply;
    int fd, sock;

    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &unstick, sizeof(unstick)), BROKER_PROTO);
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &monitor, sizeof(monitor)), BROKER_PROTO);
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &leave, sizeof(leave)), BROKER_PROTO);
    sock = raw_connect(instance);
    raw_send(sock, &hello, sizeof(hello));
    (void)raw_receive(sock, &reply, &fd);
    cr_assert_eq(reply.status, 0);
    (void)close(fd);
    cr_assert_eq(raw_ask_and_end(sock, &hello, sizeof(hello)), BROKER_PROTO);
}

Test(attach, another_version_is_refused_by_name)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);

    hello.head.version = BRI_ATTACH_VERSION + 1;
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_VERSION);
    cr_assert_eq(
        raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello.head)), BROKER_VERSION);
    hello = raw_hello(BRI_ATTACH_WRITE);
    hello.layout_version++;
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_VERSION);
    hello = raw_hello(BRI_ATTACH_WRITE);
    hello.abi ^= 1;
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_VERSION);
}

Test(attach, an_arena_that_is_none_is_not_found)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);
    char address[128];
    broker *b = NULL;

    memset(hello.arena, 'x', sizeof(hello.arena)); /* without an end */
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_NOTFOUND);
    memset(hello.arena, 0, sizeof(hello.arena));
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_NOTFOUND);
    (void)snprintf(address, sizeof(address), "%s?arena=other", instance_address(instance));
    cr_assert_eq(broker_open(address, &b), BROKER_NOTFOUND);
    cr_assert_null(b);
}

Test(attach, who_says_nothing_is_dropped)
{
    struct bri_attach_reply reply;
    int fd, sock = raw_connect(instance);

    cr_assert_eq(raw_receive(sock, &reply, &fd), sizeof(reply)); /* after the daemon's patience */
    cr_assert_eq(reply.status, BROKER_PROTO);
    cr_assert_eq(raw_receive(sock, &reply, &fd), 0);
    (void)close(sock);
}

Test(attach, a_reader_gets_no_session_and_a_descriptor_that_cannot_write)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_READ);
    struct bri_attach_reply reply;
    int fd, sock = raw_connect(instance);

    raw_send(sock, &hello, sizeof(hello));
    (void)raw_receive(sock, &reply, &fd);
    cr_assert_eq(reply.status, 0);
    cr_assert_eq(reply.session, UINT32_MAX);
    cr_assert_eq(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
    cr_assert_neq(ftruncate(fd, 0), 0);
    cr_assert_neq(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
    cr_assert_eq(raw_status(instance).n_sessions, 0);
    cr_assert_eq(raw_status(instance).n_readers, 1);
    (void)close(fd);
    (void)close(sock);
}

Test(attach, a_reader_opens_what_is_there_and_makes_nothing)
{
    const broker_dict_options existing = {.mode = BROKER_OPEN};
    char address[128];
    broker *writer, *reader;
    broker_dict *mine, *theirs = NULL;
    uint64_t n = 0;

    (void)snprintf(address, sizeof(address), "%s?access=ro", instance_address(instance));
    cr_assert_eq(broker_open(instance_address(instance), &writer), 0);
    cr_assert_eq(broker_open(address, &reader), 0);
    cr_assert_str_eq(broker_address(reader), address);
    cr_assert_eq(broker_dict_open(reader, "d", NULL, &theirs), BROKER_ACCESS);
    cr_assert_eq(broker_dict_open(reader, "d", &existing, &theirs), BROKER_NOTFOUND);
    cr_assert_eq(broker_dict_open(writer, "d", NULL, &mine), 0);
    cr_assert_eq(broker_dict_set(mine, broker_str("k"), broker_int(1)), 0);
    cr_assert_eq(broker_dict_open(reader, "d", &existing, &theirs), 0);
    cr_assert_eq(broker_dict_len(theirs, &n), 0);
    cr_assert_eq(n, 1);
    cr_assert_eq(broker_dict_set(theirs, broker_str("k"), broker_int(2)), BROKER_ACCESS);
    broker_close(reader);
    broker_close(writer);
}

/* Runs @fn as a user without rights; its result must be small and not negative. */
static int as_nobody(int (*fn)(void))
{
    int status = 0;
    pid_t pid = fork();

    cr_assert_geq(pid, 0);
    if (pid == 0) {
        if (setgroups(0, NULL) != 0 || setresgid(NOBODY, NOBODY, NOBODY) != 0 ||
            setresuid(NOBODY, NOBODY, NOBODY) != 0)
            _exit(98);
        _exit(fn());
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int open_as_stranger(void)
{
    char address[128];
    broker *b;

    if (broker_open(instance_address(instance), &b) != BROKER_ACCESS)
        return 1;
    (void)snprintf(address, sizeof(address), "%s?access=ro", instance_address(instance));
    if (broker_open(address, &b) != BROKER_ACCESS)
        return 2;
    (void)snprintf(address, sizeof(address), "%s?arena=open", instance_address(instance));
    if (broker_open(address, &b) != BROKER_ACCESS)
        return 3;
    (void)snprintf(address, sizeof(address), "%s?arena=open&access=ro", instance_address(instance));
    return broker_open(address, &b) == 0 ? 0 : 4;
}

Test(attach, the_rules_decide_who_may_read_and_who_may_write)
{
    if (geteuid() != 0)
        cr_skip_test("only root can become another user");
    cr_assert_eq(chmod(instance_dir(instance), 0755), 0);
    cr_assert_eq(as_nobody(open_as_stranger), 0);
    instance_reload(instance, "[arena default]\nsize = 16M\nwrite = root 65534\n[arena open]\nsize "
                              "= 16M\nread = @65534\n");
    cr_assert_eq(as_nobody(open_as_stranger), 1, "the rule that was just read lets the user in");
}

/* Lock words hold thread ids, which mean nothing in another namespace. */
Test(attach, a_process_of_another_pid_namespace_is_refused)
{
    char address[128];
    int status = 0;
    pid_t pid;

    (void)snprintf(address, sizeof(address), "%s?access=ro", instance_address(instance));
    pid = fork();
    if (pid == 0) {
        broker *b;

        if (unshare(CLONE_NEWPID) != 0)
            _exit(77);
        pid = fork();
        if (pid == 0)
            _exit(broker_open(instance_address(instance), &b) == BROKER_ACCESS &&
                          broker_open(address, &b) == BROKER_ACCESS &&
                          strstr(broker_last_error(), "PID namespace") != NULL
                      ? 0
                      : 1);
        _exit(waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1);
    }
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
        cr_skip_test("this user cannot make a PID namespace");
    cr_assert_eq(status, 0);
}

Test(attach, a_full_session_table_is_a_limit_and_closing_makes_room)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);
    struct bri_attach_request leave = {.head = bri_attach_head(BRI_ATTACH_LEAVE)};
    struct bri_attach_reply reply;
    int fd, socks[4];

    for (int i = 0; i < 4; i++) {
        socks[i] = raw_connect(instance);
        raw_send(socks[i], &hello, sizeof(hello));
        (void)raw_receive(socks[i], &reply, &fd);
        cr_assert_eq(reply.status, 0);
        cr_assert_eq(reply.session, (uint32_t)i);
        cr_assert_neq(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0), MAP_FAILED);
        (void)close(fd);
    }
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_LIMIT);
    (void)close(socks[0]); /* the end of a connection tells nothing */
    cr_assert_eq(raw_ask_and_end(raw_connect(instance), &hello, sizeof(hello)), BROKER_LIMIT);
    cr_assert_eq(raw_ask(socks[1], &leave, sizeof(leave)), 0);
    daemon_is_well();
}

Test(attach, too_many_connections_are_turned_away)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_READ);
    struct bri_attach_reply reply;
    int fd, first, second;

    instance_reload(instance,
        "[broker]\nmax_clients_per_user = 1\n[arena default]\nsize = 16M\nsessions = 4\n");
    first = raw_connect(instance);
    raw_send(first, &hello, sizeof(hello));
    (void)raw_receive(first, &reply, &fd);
    cr_assert_eq(reply.status, 0);
    second = raw_connect(instance);
    cr_assert_eq(raw_receive(second, &reply, &fd), sizeof(reply));
    cr_assert_eq(reply.status, BROKER_LIMIT);
    (void)close(second);
    (void)close(first);
}

/* A descriptor that a peer sends along must not stay open in the daemon. */
Test(attach, descriptors_from_peers_are_not_kept)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_READ);
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {.iov_base = &hello, .iov_len = sizeof(hello)};
    struct msghdr m = {.msg_iov = &part,
        .msg_iovlen = 1,
        .msg_control = control.bytes,
        .msg_controllen = sizeof(control.bytes)};
    struct bri_attach_reply reply;
    int fd, ends[2], sock = raw_connect(instance);
    char byte;

    cr_assert_eq(pipe(ends), 0);
    control.align.cmsg_level = SOL_SOCKET;
    control.align.cmsg_type = SCM_RIGHTS;
    control.align.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.align), &ends[1], sizeof(int));
    cr_assert_eq(sendmsg(sock, &m, 0), (ssize_t)sizeof(hello));
    (void)raw_receive(sock, &reply, &fd);
    cr_assert_eq(reply.status, 0);
    (void)close(ends[1]);
    cr_assert_eq(read(ends[0], &byte, 1), 0, "the daemon holds the pipe open");
    (void)close(ends[0]);
    (void)close(fd);
    (void)close(sock);
}

Test(attach, the_same_place_opened_twice_is_one_broker)
{
    broker *a, *b;

    cr_assert_eq(broker_open(instance_address(instance), &a), 0);
    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
    cr_assert_eq(a, b);
    cr_assert_eq(raw_status(instance).n_sessions, 1);
    broker_close(a);
    cr_assert_eq(raw_status(instance).n_sessions, 1);
    broker_close(b);
    cr_assert(raw_await_sessions(instance, 0));
}

Test(attach, a_reader_may_have_programs_monitored_for_two_seconds)
{
    struct bri_attach_request monitor = {.head = bri_attach_head(BRI_ATTACH_MONITOR)};
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_READ);
    struct bri_attach_reply reply;
    _Atomic uint64_t *word;
    int fd, sock = raw_connect(instance);
    broker *b;

    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
    word = &b->arena->shm->monitored_until_ns;
    raw_send(sock, &hello, sizeof(hello));
    (void)raw_receive(sock, &reply, &fd);
    (void)close(fd);
    cr_assert_eq(atomic_load(word), 0);
    cr_assert_eq(raw_ask(sock, &monitor, sizeof(monitor)), 0);
    cr_assert(bri_monitor_check(b->arena, bri_now()));
    cr_assert_not_null(bri_monitor_ring(b->arena));
    monitor.zero = 1;
    cr_assert_eq(raw_ask_and_end(sock, &monitor, sizeof(monitor)), BROKER_PROTO);
    while (atomic_load(word) != 0) /* nobody renews it, and nobody does anything */
        (void)sched_yield();
    broker_close(b);
}

Test(attach, unstick_frees_a_dead_owners_guard_for_readers)
{
    const struct bri_attach_request stick = {
        .head = bri_attach_head(BRI_ATTACH_UNSTICK), .slot = UINT32_MAX};
    char address[128];
    broker *writer, *reader;
    broker_dict *d;
    struct bri_slot_shm *slot;
    pid_t pid;
    int sock;
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_READ);
    struct bri_attach_reply reply;
    int fd;

    (void)snprintf(address, sizeof(address), "%s?access=ro", instance_address(instance));
    cr_assert_eq(broker_open(instance_address(instance), &writer), 0);
    cr_assert_eq(broker_dict_open(writer, "d", NULL, &d), 0);
    slot = ((struct bri_handle *)d)->object.slot;
    pid = fork();
    if (pid == 0)
        _exit(0);
    (void)waitpid(pid, NULL, 0);
    /* As a death that the kernel missed leaves it: locked by a thread that is no more, in the
     * middle of a change. */
    atomic_store(&slot->word, (uint32_t)pid);
    atomic_fetch_add(&slot->seq, 1);
    cr_assert_eq(broker_open(address, &reader), 0);
    cr_assert_eq(bri_unstick(reader, ((struct bri_handle *)d)->object.id), 0);
    cr_assert_eq(atomic_load(&slot->word), 0);
    cr_assert_eq(atomic_load(&slot->seq) % 2, 0);
    cr_assert_eq(slot->n_recovered, 1);
    /* One who lives and holds it is not robbed. */
    atomic_store(&slot->word, (uint32_t)getpid());
    cr_assert_eq(bri_unstick(reader, ((struct bri_handle *)d)->object.id), 0);
    cr_assert_eq(atomic_load(&slot->word) & 0x3fffffff, (uint32_t)getpid());
    atomic_store(&slot->word, 0);
    sock = raw_connect(instance);
    raw_send(sock, &hello, sizeof(hello));
    (void)raw_receive(sock, &reply, &fd);
    (void)close(fd);
    cr_assert_eq(raw_ask(sock, &stick, sizeof(stick)), BROKER_CORRUPT, "no slot has that number");
    (void)close(sock);
    broker_close(reader);
    broker_close(writer);
}

/* A daemon that is killed with our hello in its hands, and the next one, which gets another. */
Test(attach, a_connection_that_ends_before_the_answer_is_made_anew)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    char address[128], real[96];
    int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0), first;
    pid_t pid;

    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/first", instance_dir(instance));
    (void)snprintf(real, sizeof(real), "%s/attach", instance_dir(instance));
    (void)snprintf(address, sizeof(address), "unix:%s", name.sun_path);
    cr_assert_eq(bind(sock, (const struct sockaddr *)&name, sizeof(name)), 0);
    cr_assert_eq(listen(sock, 5), 0);
    pid = fork();
    if (pid == 0) {
        broker *b;

        _exit(broker_open(address, &b) == 0 ? 0 : 1);
    }
    first = accept(sock, NULL, NULL);
    cr_assert_geq(first, 0);
    cr_assert_eq(unlink(name.sun_path), 0);
    cr_assert_eq(symlink(real, name.sun_path), 0);
    (void)close(first);
    child_expect_success(pid);
    (void)close(sock);
}
