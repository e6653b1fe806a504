/*
 * test_quota.c - the limits of the configuration, and what is said to those who are over them
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "raw.h"

#define ARENA "[arena default]\nsize = 16M\n"

static struct instance *instance;
static broker *b;

static void start(void)
{
    instance = instance_start(ARENA "max_objects_per_user = 4\nmax_bytes_per_user = 256K\n"
                                    "max_sessions_per_user = 2\nmax_objects_per_session = 3\n");
    cr_assert_eq(broker_open(instance_address(instance), &b), 0);
}

static void stop(void)
{
    broker_close(b);
    instance_stop(instance);
}

TestSuite(limits, .init = start, .fini = stop, .timeout = 60);

static void says(const char *format, unsigned who)
{
    char wanted[200];

    (void)snprintf(wanted, sizeof(wanted), format, who);
    cr_assert_not_null(strstr(broker_last_error(), wanted), "%s", broker_last_error());
    cr_assert_null(strstr(broker_last_error(), "(null)"));
}

/* The number of objects in the arena. */
static uint32_t n_objects(void)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    broker_value objects;
    uint32_t n;

    cr_assert_eq(broker_objects(b, NULL, NULL, &buffer, &objects), 0);
    cr_assert_eq(broker_unpack_count(objects, &n), 0);
    broker_buffer_free(&buffer);
    return n;
}

Test(limits, one_object_too_many_names_the_user)
{
    broker_lock *lock;
    char name[2] = "a";

    for (; name[0] < 'e'; name[0]++) {
        cr_assert_eq(broker_lock_open(b, name, NULL, &lock), 0);
        broker_lock_close(lock);
    }
    cr_assert_eq(broker_lock_open(b, "e", NULL, &lock), BROKER_QUOTA);
    says("\"e\": A quota is used up. (QUOTA): uid %u may have 4 objects, and has 4",
        (unsigned)geteuid());
    cr_assert_eq(n_objects(), 4);
    cr_assert_eq(broker_lock_open(b, "a", NULL, &lock), 0, "what is there can be opened");
    cr_assert_eq(broker_destroy(b, "b"), 0);
    cr_assert_eq(broker_lock_open(b, "e", NULL, &lock), 0);
}

Test(limits, a_session_cannot_open_more_and_makes_nothing_that_it_cannot_open)
{
    broker_lock *locks[3], *lock;
    char name[2] = "a";

    for (int i = 0; i < 3; i++, name[0]++)
        cr_assert_eq(broker_lock_open(b, name, NULL, &locks[i]), 0);
    cr_assert_eq(broker_lock_open(b, "d", NULL, &lock), BROKER_QUOTA);
    says(" may have 3 objects open, and has 3", 0);
    cr_assert_eq(n_objects(), 3);
    cr_assert_eq(broker_lock_open(b, "d", &(broker_lock_options){.mode = BROKER_OPEN}, &lock),
        BROKER_NOTFOUND);
    cr_assert_eq(broker_lock_open(b, "a", &(broker_lock_options){.mode = BROKER_CREATE}, &lock),
        BROKER_EXISTS);
    cr_assert_eq(broker_lock_open(b, "", NULL, &lock), BROKER_BADNAME);
    cr_assert_eq(broker_lock_open(b, "a", NULL, &lock), 0, "it is open already");
    broker_lock_close(lock);
    broker_lock_close(locks[1]);
    cr_assert_eq(broker_lock_open(b, "d", NULL, &lock), 0);
    cr_assert_eq(
        broker_lock_open(b, "b", NULL, &locks[1]), BROKER_QUOTA, "there, but one too many");
    cr_assert_eq(n_objects(), 4);
}

Test(limits, memory_is_one_account_for_all_objects_of_a_user)
{
    static const uint8_t large[100000];
    broker_dict *one, *other;

    cr_assert_eq(broker_dict_open(b, "one", NULL, &one), 0);
    cr_assert_eq(broker_dict_open(b, "other", NULL, &other), 0);
    cr_assert_eq(broker_dict_set(one, broker_int(1), broker_bin(large, sizeof(large))), 0);
    cr_assert_eq(broker_dict_set(other, broker_int(1), broker_bin(large, sizeof(large))), 0);
    cr_assert_eq(
        broker_dict_set(one, broker_int(2), broker_bin(large, sizeof(large))), BROKER_QUOTA);
    says("the objects of uid %u may have 262144 bytes, and have ", (unsigned)geteuid());
    cr_assert_eq(broker_dict_clear(other), 0);
    cr_assert_eq(broker_dict_set(one, broker_int(2), broker_bin(large, sizeof(large))), 0);
    instance_reload(instance, ARENA "max_bytes_per_user = 512K\n");
    cr_assert_eq(broker_dict_set(other, broker_int(1), broker_bin(large, sizeof(large))), 0);
    instance_reload(instance, ARENA);
    for (int i = 0; i < 20; i++)
        cr_assert_eq(broker_dict_set(other, broker_int(i), broker_bin(large, sizeof(large))), 0);
    instance_reload(instance, ARENA "max_bytes_per_user = 512K\n");
    cr_assert_eq(
        broker_dict_set(one, broker_int(3), broker_bin(large, sizeof(large))), BROKER_QUOTA);
}

/* A quota of its own is named as such. */
Test(limits, an_objects_own_quota_is_told_from_its_users)
{
    static const uint8_t large[100000];
    broker_dict *d;

    cr_assert_eq(broker_dict_open(b, "d", &(broker_dict_options){.quota_bytes = 40960}, &d), 0);
    cr_assert_eq(broker_dict_set(d, broker_int(1), broker_bin(large, sizeof(large))), BROKER_QUOTA);
    says("the object may have 40960 bytes, and has ", 0);
}

Test(limits, one_session_too_many_is_turned_away)
{
    struct bri_attach_hello hello = raw_hello(BRI_ATTACH_WRITE);
    struct bri_attach_reply reply;
    int fd, first = raw_connect(instance), sock = raw_connect(instance);
    char wanted[100];

    raw_send(first, &hello, sizeof(hello));
    cr_assert_eq(raw_receive(first, &reply, &fd), sizeof(reply));
    cr_assert_eq(reply.status, 0);
    (void)close(fd);
    raw_send(sock, &hello, sizeof(hello));
    cr_assert_eq(raw_receive(sock, &reply, &fd), sizeof(reply));
    cr_assert_eq(reply.status, BROKER_QUOTA);
    (void)snprintf(wanted, sizeof(wanted),
        "user %u may have 2 sessions in the arena default, and has 2", (unsigned)geteuid());
    cr_assert_str_eq(reply.text, wanted);
    (void)close(sock);
    (void)close(first);
}
