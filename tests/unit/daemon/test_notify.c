/*
 * test_notify.c - what the service manager hears: readiness, counts, reloads, and the pings that
 * follow the self-test
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/handle.h"
#include "core/arena.h"
#include "fixture.h"
#include "raw.h"

static char message[1024];

static void start(void)
{
    (void)setenv("WATCHDOG_USEC", "200000", 1);
    fixture_start();
}

TestSuite(notify, .init = start, .fini = fixture_stop, .timeout = 60);

static void hear(const char *text)
{
    (void)instance_hear(instance, text, NULL, message, sizeof(message));
}

Test(notify, status_has_the_counts)
{
    broker *b = open_broker();

    hear("STATUS=1 session, 0 readers, 1 arena; attach at ");
    cr_assert_not_null(strstr(message, instance_dir(instance)));
    broker_close(b);
    hear("STATUS=0 sessions, 0 readers, 1 arena; ");
}

Test(notify, a_reload_is_told_from_beginning_to_end)
{
    instance_ask_reload(instance, CONFIG "[arena more]\nsize = 2M\n");
    hear("RELOADING=1\nMONOTONIC_USEC=");
    hear("READY=1");
    cr_assert_not_null(strstr(message, "STATUS=0 sessions, 0 readers, 2 arenas"), "%s", message);
}

Test(notify, a_refused_configuration_is_named_until_there_is_a_good_one)
{
    instance_ask_reload(instance, CONFIG "nonsense = 1\n");
    hear("READY=1");
    cr_assert_not_null(strstr(message, "new configuration refused: "), "%s", message);
    cr_assert_not_null(strstr(message, "brokerd.conf:3: nonsense = 1: "), "%s", message);
    broker_close(open_broker());
    instance_ask_reload(instance, CONFIG);
    hear("READY=1");
    cr_assert_null(strstr(message, "refused"), "%s", message);
}

Test(notify, the_end_is_told)
{
    cr_assert_eq(instance_end(instance), 0);
    hear("STOPPING=1");
}

/* As a service manager does that has stopped reading. */
static void fill_the_queue_of_the_service_manager(void)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0);

    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/notify", instance_dir(instance));
    while (sendto(sock, "x", 1, 0, (const struct sockaddr *)&name, sizeof(name)) == 1)
        continue;
    cr_assert_eq(errno, EAGAIN);
    (void)close(sock);
}

Test(notify, nobody_waits_for_a_service_manager_that_does_not_read)
{
    fill_the_queue_of_the_service_manager();
    for (unsigned n = 0; n < 20; n++)
        broker_close(open_broker());
    cr_assert_eq(instance_end(instance), 0);
}

Test(notify, pings_come_while_a_client_is_in_the_way)
{
    broker *b = open_broker();
    struct bri_slot_shm *registry = bri_slot_at(b->arena, b->arena->first_slot);
    uint32_t free_word = 0;

    hear("WATCHDOG=1");
    /* As if this process had been stopped inside the registry. */
    while (!atomic_compare_exchange_strong(&registry->word, &free_word, (uint32_t)getpid()))
        free_word = 0;
    for (unsigned n = 0; n < 5; n++)
        cr_assert(instance_hear(instance, "WATCHDOG=1", "self-test", message, sizeof(message)),
            "%s", message);
    atomic_store(&registry->word, 0);
    broker_close(b);
}

Test(notify, pings_come_while_the_clients_are_too_many)
{
    int sock[3];

    instance_reload(instance, "[broker]\nmax_clients = 1\nmax_clients_per_user = 1\n");
    for (unsigned n = 0; n < 3; n++)
        sock[n] = raw_connect(instance);
    for (unsigned n = 0; n < 5; n++)
        cr_assert(instance_hear(instance, "WATCHDOG=1", "self-test", message, sizeof(message)),
            "%s", message);
    for (unsigned n = 0; n < 3; n++)
        (void)close(sock[n]);
}

static void no_ping_before(const char *trouble)
{
    cr_assert(
        instance_hear(instance, trouble, "WATCHDOG=1", message, sizeof(message)), "%s", message);
}

/* The daemon's loop runs, but who connects gets no answer, or a wrong one. */
Test(notify, no_ping_while_the_attach_socket_does_not_work)
{
    struct bri_attach_status foreign = {.head = bri_attach_head(BRI_ATTACH_STATUS)};
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_SEQPACKET, 0), held;

    (void)snprintf(name.sun_path, sizeof(name.sun_path), "%s/attach", instance_dir(instance));
    cr_assert_eq(unlink(name.sun_path), 0);
    cr_assert_eq(bind(sock, (const struct sockaddr *)&name, sizeof(name)), 0);
    cr_assert_eq(listen(sock, 5), 0);
    held = accept(sock, NULL, NULL);
    cr_assert_geq(held, 0);
    instance_drain(instance);
    no_ping_before("self-test failed: the attach socket does not answer");
    raw_send(held, &foreign, sizeof(foreign));
    no_ping_before("self-test failed: the attach socket gave no status of this daemon");
    (void)close(held);
    (void)close(sock);
    no_ping_before("self-test failed: the attach socket cannot be reached");
}
