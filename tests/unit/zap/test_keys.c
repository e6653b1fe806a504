/*
 * test_keys.c - the allow list: what it grants, and that a mistake in it is named and grants
 * nothing
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "keys.h"
#include "log.h"

#define ALICE "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define BOB "#Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI"

static char path[] = "/tmp/broker-clients-XXXXXX";

static void make_file(void)
{
    int fd = mkstemp(path);

    cr_assert_geq(fd, 0);
    (void)close(fd);
}

static void remove_file(void)
{
    (void)unlink(path);
}

TestSuite(zmq_keys, .init = make_file, .fini = remove_file, .timeout = 30);

static void write_bytes(const char *text, size_t size)
{
    FILE *f = fopen(path, "we");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text, 1, size, f), size);
    cr_assert_eq(fclose(f), 0);
}

static struct zmqd_clients *read_good(const char *text)
{
    struct zmqd_clients *clients = NULL;

    write_bytes(text, strlen(text));
    cr_assert(zmqd_clients_read(path, &clients), "%s", brokerd_log_last_error());
    return clients;
}

static void expect_refused(const char *text, size_t size, const char *where, const char *what)
{
    struct zmqd_clients *clients = NULL;

    write_bytes(text, size);
    cr_assert_not(zmqd_clients_read(path, &clients), "%s", text);
    cr_assert_null(clients);
    cr_assert_not_null(
        strstr(brokerd_log_last_error(), path), "%s: %s", text, brokerd_log_last_error());
    cr_assert_not_null(
        strstr(brokerd_log_last_error(), where), "%s: %s", text, brokerd_log_last_error());
    cr_assert_not_null(
        strstr(brokerd_log_last_error(), what), "%s: %s", text, brokerd_log_last_error());
}

Test(zmq_keys, give_a_name_and_rights)
{
    struct zmqd_clients *clients =
        read_good("# people\n\n" ALICE "  alice\tdefault:rw logs:ro\r\n#\n" BOB " b-2_B *:ro");
    const struct zmqd_client *alice = zmqd_clients_by_key(clients, ALICE);
    const struct zmqd_client *bob = zmqd_clients_by_key(clients, BOB);

    cr_assert_eq(clients->n, 2);
    cr_assert_not_null(alice);
    cr_assert_not_null(bob);
    cr_assert_str_eq(alice->name, "alice");
    cr_assert_str_eq(bob->name, "b-2_B");
    cr_assert_eq(zmqd_clients_by_name(clients, "alice"), alice);
    cr_assert_null(zmqd_clients_by_name(clients, "alic"));
    cr_assert_eq(zmqd_client_access(alice, "default"), ZMQD_ACCESS_WRITE);
    cr_assert_eq(zmqd_client_access(alice, "logs"), ZMQD_ACCESS_READ);
    cr_assert_eq(zmqd_client_access(alice, "other"), ZMQD_ACCESS_NONE);
    cr_assert_eq(zmqd_client_access(bob, "other"), ZMQD_ACCESS_READ);
    zmqd_clients_free(clients);
}

Test(zmq_keys, the_first_right_that_fits_counts)
{
    struct zmqd_clients *clients = read_good(ALICE " alice logs:ro *:rw\n");
    const struct zmqd_client *alice = zmqd_clients_by_name(clients, "alice");

    cr_assert_eq(zmqd_client_access(alice, "logs"), ZMQD_ACCESS_READ);
    cr_assert_eq(zmqd_client_access(alice, "default"), ZMQD_ACCESS_WRITE);
    zmqd_clients_free(clients);
}

Test(zmq_keys, an_empty_list_and_none_at_all_have_nobody)
{
    struct zmqd_clients *clients = read_good("# nobody\n");

    cr_assert_null(zmqd_clients_by_key(clients, ALICE));
    cr_assert_null(zmqd_clients_by_key(NULL, ALICE));
    cr_assert_null(zmqd_clients_by_name(NULL, "alice"));
    zmqd_clients_free(clients);
    zmqd_clients_free(NULL);
}

Test(zmq_keys, there_is_room_for_many)
{
    struct zmqd_clients *clients = NULL;
    char key[ZMQD_KEY_TEXT] = ALICE;
    FILE *f = fopen(path, "we");

    cr_assert_not_null(f);
    for (unsigned i = 0; i < 1000; i++) {
        (void)snprintf(key + 36, 5, "%04u", i);
        (void)fprintf(f, "%s client%u", key, i);
        for (unsigned k = 0; k < 20; k++)
            (void)fprintf(f, " arena%u:ro", k);
        (void)fputc('\n', f);
    }
    cr_assert_eq(fclose(f), 0);
    cr_assert(zmqd_clients_read(path, &clients));
    cr_assert_eq(clients->n, 1000);
    cr_assert_str_eq(zmqd_clients_by_key(clients, key)->name, "client999");
    cr_assert_eq(
        zmqd_client_access(zmqd_clients_by_name(clients, "client7"), "arena19"), ZMQD_ACCESS_READ);
    zmqd_clients_free(clients);
}

Test(zmq_keys, a_mistake_is_named_and_refuses_the_file)
{
    static const struct {
        const char *text, *where, *what;
    } bad[] = {
        {"alice\n", ":1: ", "public key"},
        {"#alice default:rw\n", ":1: ", "public key"},
        {"\n" ALICE "x alice default:rw\n", ":2: ", "public key"},
        {"|q:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7 alice default:rw\n", ":1: ", "public key"},
        {ALICE "\n", ":1: ", "name of 1 to 15"},
        {ALICE " al/ice default:rw\n", ":1: ", "name of 1 to 15"},
        {ALICE " alicealicealicea default:rw\n", ":1: ", "name of 1 to 15"},
        {ALICE " alice\n", ":1: ", "such as default:rw"},
        {ALICE " alice default\n", ":1: ", "a right is"},
        {ALICE " alice default:wr\n", ":1: ", "a right is"},
        {ALICE " alice :rw\n", ":1: ", "a right is"},
        {ALICE " alice def*:rw\n", ":1: ", "a right is"},
        {ALICE " alice default:rw # comment\n", ":1: ", "a right is"},
        {ALICE " alice default:rw default:ro\n", ":1: ", "named twice"},
        {ALICE " alice default:rw\n" BOB " alice default:rw\n", ":2: ", "has this name"},
        {ALICE " alice default:rw\n" ALICE " bob default:rw\n", ":2: ", "there already"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        expect_refused(bad[i].text, strlen(bad[i].text), bad[i].where, bad[i].what);
    expect_refused(
        ALICE " alice d:rw\n# \0\n", sizeof(ALICE " alice d:rw\n# \0\n") - 1, ":2: ", "no text");
}

Test(zmq_keys, a_list_that_others_can_write_is_refused)
{
    struct zmqd_clients *clients = NULL;

    write_bytes("", 0);
    cr_assert_eq(chmod(path, 0664), 0);
    cr_assert_not(zmqd_clients_read(path, &clients));
    cr_assert_not_null(strstr(brokerd_log_last_error(), "chmod go-w"));
    cr_assert_eq(chmod(path, 0644), 0);
    cr_assert(zmqd_clients_read(path, &clients));
    zmqd_clients_free(clients);
}

Test(zmq_keys, a_list_that_is_not_there_is_refused)
{
    struct zmqd_clients *clients = NULL;

    cr_assert_not(zmqd_clients_read("/nowhere/clients", &clients));
    cr_assert_not_null(strstr(brokerd_log_last_error(), "cannot read /nowhere/clients"));
    cr_assert_not(zmqd_clients_read("/tmp", &clients));
}
