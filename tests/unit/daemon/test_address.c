/*
 * test_address.c - what is an address, and what it means
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <broker.h>
#include <criterion/criterion.h>

#include "client/address.h"
#include "client/attach.h"

static void without_environment(void)
{
    (void)unsetenv("BROKER_ADDRESS");
    (void)unsetenv("XDG_RUNTIME_DIR");
}

TestSuite(address, .init = without_environment, .timeout = 20);

static struct bri_address good(const char *text)
{
    struct bri_address a;

    cr_assert_eq(bri_address_parse(text, &a), 0, "%s: %s", text, broker_last_error());
    return a;
}

Test(address, nothing_said_means_the_systems_instance_when_the_user_has_none)
{
    static const char *const same[] = {NULL, "", "unix:"};

    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        struct bri_address a = good(same[i]);

        cr_assert_str_eq(a.path, BRI_SYSTEM_DIR "/attach");
        cr_assert_str_eq(a.arena, "default");
        cr_assert_not(a.read_only);
        cr_assert_eq(a.road, BRI_ROAD_UNIX);
    }
}

Test(address, the_users_instance_comes_first_if_it_is_there)
{
    char dir[] = "/tmp/broker-address-XXXXXX", path[80], sub[64];

    cr_assert_not_null(mkdtemp(dir));
    (void)setenv("XDG_RUNTIME_DIR", dir, 1);
    cr_assert_str_eq(good(NULL).path, BRI_SYSTEM_DIR "/attach");
    (void)snprintf(sub, sizeof(sub), "%s/brokerd", dir);
    (void)snprintf(path, sizeof(path), "%s/attach", sub);
    cr_assert_eq(mkdir(sub, 0700), 0);
    cr_assert_eq(mkdir(path, 0700), 0);
    cr_assert_str_eq(good(NULL).path, path);
    (void)rmdir(path);
    (void)rmdir(sub);
    (void)rmdir(dir);
}

Test(address, the_environment_stands_in_for_what_was_not_said)
{
    (void)setenv("BROKER_ADDRESS", "unix:/somewhere/attach?arena=jobs", 1);
    cr_assert_str_eq(good(NULL).path, "/somewhere/attach");
    cr_assert_str_eq(good(NULL).arena, "jobs");
    cr_assert_str_eq(good("unix:?access=ro").path, "/somewhere/attach");
    cr_assert(good("unix:?access=ro").read_only);
    cr_assert_str_eq(good("unix:/else").path, "/else");
    cr_assert_str_eq(good("unix:/else").arena, "default");
    (void)setenv("BROKER_ADDRESS", "private:", 1);
    cr_assert_eq(good(NULL).road, BRI_ROAD_PRIVATE);
    (void)setenv("BROKER_ADDRESS", "unix:", 1);
    cr_assert_str_eq(good(NULL).path, BRI_SYSTEM_DIR "/attach");
    (void)setenv("BROKER_ADDRESS", "ipc:///somewhere/zmq", 1);
    cr_assert_eq(good("unix:?arena=jobs").road, BRI_ROAD_IPC);
    cr_assert_str_eq(good("unix:?arena=jobs").arena, "jobs");
    cr_assert_str_eq(good("ipc://").path, BRI_SYSTEM_DIR "/zmq", "it stands in for unix: alone");
}

Test(address, parameters_say_arena_and_access)
{
    struct bri_address a = good("unix:/x/y?arena=jobs&access=ro");

    cr_assert_str_eq(a.path, "/x/y");
    cr_assert_str_eq(a.arena, "jobs");
    cr_assert(a.read_only);
    cr_assert_not(good("unix:/x/y?access=rw").read_only);
    cr_assert_eq(good("unix:/x/y").wait_ns, 0);
    cr_assert_eq(good("unix:/x/y?wait=7&access=ro").wait_ns, 7 * BROKER_SECOND);
    cr_assert_eq(good("ipc:///x/zmq?wait=99999").wait_ns, 99999 * BROKER_SECOND);
    cr_assert_eq(good("private:").road, BRI_ROAD_PRIVATE);
}

Test(address, other_roads)
{
    struct bri_address a = good("ipc:///x/zmq?access=ro");

    cr_assert_eq(a.road, BRI_ROAD_IPC);
    cr_assert_str_eq(a.path, "/x/zmq");
    cr_assert(a.read_only);
    cr_assert_eq(chdir("/usr"), 0);
    a = good("tcp://far.example:5000?server=/k/far&key=mine&arena=jobs");
    cr_assert_eq(a.road, BRI_ROAD_TCP);
    cr_assert_str_eq(a.host, "far.example:5000");
    cr_assert_str_eq(a.server_key, "/k/far");
    cr_assert_str_eq(a.own_key, "/usr/mine");
    cr_assert_str_eq(a.arena, "jobs");
}

Test(address, relative_paths_become_absolute)
{
    cr_assert_eq(chdir("/usr"), 0);
    cr_assert_str_eq(good("unix:x/attach").path, "/usr/x/attach");
}

Test(address, what_is_not_understood_is_refused_with_a_reason)
{
    static const char *const bad[] = {"x", "tcp://localhost:1", "unix", "private:x", "unix:/a?",
        "unix:/a?arena=", "unix:/a?access=", "unix:/a?access=w", "unix:/a?access=rox",
        "unix:/a?arena=b&", "unix:/a?b=c", "unix:/a?wait=", "unix:/a?wait=0", "unix:/a?wait=1s",
        "unix:/a?wait=-1", "unix:/a?wait=100000", "ipc:/a", "ipc:///a?key=/k", "unix:/a?server=/k",
        "tcp://", "tcp://h:1?server=/k", "tcp://h:1?key=/k",
        "tcp://h:1?server=/k&key=", "tcp://h?server=/k&key=/k", "tcp://:1?server=/k&key=/k",
        "tcp://h:?server=/k&key=/k", "tcp://h:0?server=/k&key=/k", "tcp://h:65536?server=/k&key=/k",
        "tcp://h:1x?server=/k&key=/k", "tcp://a;h:1?server=/k&key=/k", "tcp://*:1?server=/k&key=/k",
        "unix:/a?arena=0123456789012345678901234567890123456789012345678901234567890123"};
    char long_path[200] = "unix:/", long_key[700] = "tcp://h:1?server=/k&key=/";
    size_t n_bad = sizeof(bad) / sizeof(bad[0]);

    memset(long_path + 6, 'x', 150);
    memset(long_key + strlen(long_key), 'x', 600);
    for (size_t i = 0; i < n_bad + 2; i++) {
        const char *text = i < n_bad ? bad[i] : i == n_bad ? long_path : long_key;
        struct bri_address a;
        broker *b = NULL;

        cr_assert_eq(bri_address_parse(text, &a), BROKER_ADDRESS, "%s", text);
        cr_assert_eq(broker_open(text, &b), BROKER_ADDRESS);
        cr_assert_null(b);
        cr_assert_neq(broker_last_error()[0], '\0');
    }
}

Test(address, formatting_gives_the_same_address_again)
{
    static const char *const texts[] = {"unix:/x/y", "unix:/x/y?arena=jobs", "unix:/x/y?access=ro",
        "unix:/x/y?arena=jobs&access=ro", "ipc:///x/y", "ipc:///x/y?arena=jobs&access=ro",
        "tcp://h:1?server=/k&key=/l", "tcp://[::1]:65535?server=/k&key=/l&arena=jobs&access=ro"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct bri_address a = good(texts[i]);
        char text[BRI_ADDRESS_MAX];

        bri_address_format(&a, text);
        cr_assert_str_eq(text, texts[i]);
    }
}
