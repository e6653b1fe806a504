/*
 * test_keys.c - files with keys, and CURVE
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zmq.h>

#include "engine/keys.h"
#include "fake.h"

#define PUBLIC "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
#define SECRET "JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6"

static char dir[] = "/tmp/broker-keys-XXXXXX", path[64];

static void make_dir(void)
{
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/keys", dir);
}

static void remove_dir(void)
{
    (void)unlink(path);
    (void)rmdir(dir);
}

TestSuite(keys, .init = make_dir, .fini = remove_dir, .timeout = 60);

static void write_keys(const char *to, const char *text, mode_t mode)
{
    FILE *f = fopen(to, "we");

    cr_assert(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
    cr_assert_eq(chmod(to, mode), 0);
}

Test(keys, public_and_secret)
{
    struct bri_keys keys;

    write_keys(path, "# mine\n\n  public =" PUBLIC " \n\tsecret\t=\t" SECRET "\r\n", 0600);
    cr_assert_eq(bri_keys_read(path, &keys), 0, "%s", broker_last_error());
    cr_assert_str_eq(keys.public, PUBLIC);
    cr_assert_str_eq(keys.secret, SECRET);
    write_keys(path, "public = " PUBLIC, 0644);
    cr_assert_eq(bri_keys_read(path, &keys), 0);
    cr_assert_str_eq(keys.secret, "");
}

Test(keys, secret_that_others_can_read_is_refused)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0601};
    struct bri_keys keys;

    for (size_t i = 0; i < 4; i++) {
        write_keys(path, "public = " PUBLIC "\nsecret = " SECRET "\n", modes[i]);
        cr_assert_eq(bri_keys_read(path, &keys), BROKER_ACCESS);
        cr_assert_not_null(strstr(broker_last_error(), path));
        cr_assert_null(strstr(broker_last_error(), SECRET));
    }
}

Test(keys, what_is_no_key_file_is_refused)
{
    static const char *const bad[] = {"", "secret = " SECRET, "public = " PUBLIC "x",
        "public = short", "public " PUBLIC, "name = " PUBLIC,
        "public = " PUBLIC "\npublic = " PUBLIC, "public = " PUBLIC " and more"};
    struct bri_keys keys;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        write_keys(path, bad[i], 0600);
        cr_assert_eq(bri_keys_read(path, &keys), BROKER_ADDRESS, "%s", bad[i]);
    }
    (void)unlink(path);
    cr_assert_eq(bri_keys_read(path, &keys), BROKER_ADDRESS);
}

/* The fake behind tcp, with a key; gives the address. */
static const char *bind_tcp(void)
{
    static char address[400], server_path[64], endpoint[64];
    char public[41], secret[41], text[200];
    size_t size = sizeof(endpoint);
    int yes = 1;

    cr_assert_eq(zmq_curve_keypair(public, secret), 0);
    cr_assert_eq(zmq_setsockopt(fake.router, ZMQ_CURVE_SERVER, &yes, sizeof(yes)), 0);
    cr_assert_eq(zmq_setsockopt(fake.router, ZMQ_CURVE_SECRETKEY, secret, sizeof(secret)), 0);
    cr_assert_eq(zmq_bind(fake.router, "tcp://127.0.0.1:*"), 0);
    cr_assert_eq(zmq_getsockopt(fake.router, ZMQ_LAST_ENDPOINT, endpoint, &size), 0);
    (void)snprintf(server_path, sizeof(server_path), "%s/server", dir);
    (void)snprintf(text, sizeof(text), "public = %s\n", public);
    write_keys(server_path, text, 0644);
    cr_assert_eq(zmq_curve_keypair(public, secret), 0);
    (void)snprintf(text, sizeof(text), "public = %s\nsecret = %s\n", public, secret);
    write_keys(path, text, 0600);
    (void)snprintf(address, sizeof(address), "%s?server=%s&key=%s", endpoint, server_path, path);
    return address;
}

static int open_there(struct calling *c)
{
    return broker_open((const char *)c->object, (broker **)&c->object);
}

Test(keys, tcp_goes_by_curve)
{
    const char *address;
    char server_path[64];
    struct calling c;

    fake_start();
    address = bind_tcp();
    call(&c, open_there, (void *)(uintptr_t)address, 0);
    fake_serve_until(is_over, &c);
    cr_assert_eq(called(&c), 0, "%s", c.error);
    cr_assert_str_eq(broker_address(c.object), address);
    fake_close(c.object);
    /* Another server's key: whoever answers there is not who was meant. */
    (void)snprintf(server_path, sizeof(server_path), "%s/server", dir);
    write_keys(server_path, "public = " PUBLIC "\n", 0644);
    call(&c, open_there, (void *)(uintptr_t)address, 0);
    fake_serve_until(is_over, &c);
    cr_assert_eq(called(&c), BROKER_NODAEMON);
    fake_stop();
    (void)unlink(server_path);
}
