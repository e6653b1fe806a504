/*
 * test_config.c - brokerctl config show: which files count, in which order, and where a value comes
 * from; by it the reading of the daemon's own configuration is tested
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "run.h"
#include "support/folder.h"

static char dir[] = "/tmp/brokerd-config-XXXXXX";
static char address[64], line[256], wanted[512];

static void start(void)
{
    folder_make(dir);
    cr_assert_eq(setenv("XDG_CONFIG_HOME", dir, 1), 0);
    cr_assert_eq(setenv("XDG_RUNTIME_DIR", dir, 1), 0);
    (void)snprintf(address, sizeof(address), "unix:%s/brokerd/attach", dir);
    cr_assert_eq(setenv("BROKER_ADDRESS", address, 1), 0);
}

static void stop(void)
{
    folder_remove(dir);
}

TestSuite(config, .init = start, .fini = stop, .timeout = 30);

static void put(const char *name, const char *text)
{
    folder_put(dir, name, text);
}

/* The line of a listing that begins with this section and key. */
static void expect_line(const char *listing, const char *begin, const char *rest)
{
    const char *at = strstr(listing, begin);

    cr_assert_not_null(at, "%s: %s", begin, listing);
    (void)snprintf(wanted, sizeof(wanted), "%s%s\n", begin, rest);
    cr_assert_eq(strncmp(at, wanted, strlen(wanted)), 0, "%s is not in %s", wanted, listing);
}

static void expect_origin(const char *listing, const char *begin, const char *file, unsigned n)
{
    char rest[256];

    (void)snprintf(rest, sizeof(rest), "%s/%s\t%u", dir, file, n);
    expect_line(listing, begin, rest);
}

static const char *wrong(const char *file, const char *what)
{
    (void)snprintf(wanted, sizeof(wanted), "%s/%s:%s", dir, file, what);
    return wanted;
}

Test(config, without_files_all_is_default)
{
    struct run r = run("config show --origin");

    cr_assert_eq(r.code, 0, "%s", r.err);
    expect_line(r.out, "broker\tmax_clients\t1024\t", "default\t-");
    expect_line(r.out, "arena default\tpersist\tyes\t", "default\t-");
    expect_line(r.out, "broker\truntime_dir\t\t", "default\t-");
    run_free(&r);
    r = run("config show");
    expect_line(r.out, "arena default\tsize\t1G", "");
    run_free(&r);
}

Test(config, drop_ins_win_in_the_order_of_their_names)
{
    struct run r;

    put("brokerd/brokerd.conf",
        "[broker]\nmax_clients = 5\n[arena default]\nsize = 2M\nsessions = 3\n");
    put("brokerd/brokerd.conf.d/20-b.conf", "[arena default]\nsize = 4M\n[arena more]\n");
    put("brokerd/brokerd.conf.d/10-a.conf", "\n[arena default]\nsize = 3M\nkeep_free = 1M\n");
    put("brokerd/brokerd.conf.d/README", "this is no configuration\n");
    put("brokerd/brokerd.conf.d/.hidden.conf", "neither is this\n");
    r = run("config show --origin");
    cr_assert_eq(r.code, 0, "%s", r.err);
    expect_origin(r.out, "broker\tmax_clients\t5\t", "brokerd/brokerd.conf", 2);
    expect_origin(r.out, "arena default\tsize\t4M\t", "brokerd/brokerd.conf.d/20-b.conf", 2);
    expect_origin(r.out, "arena default\tsessions\t3\t", "brokerd/brokerd.conf", 5);
    expect_origin(r.out, "arena default\tkeep_free\t1M\t", "brokerd/brokerd.conf.d/10-a.conf", 4);
    expect_line(r.out, "arena more\tsize\t1G\t", "default\t-");
    run_free(&r);
}

Test(config, a_drop_in_needs_no_main_file_and_may_be_empty)
{
    struct run r;

    put("brokerd/brokerd.conf.d/empty.conf", "");
    put("brokerd/brokerd.conf.d/x.conf", "[broker]\nmax_clients = 7\n");
    r = run("config show --origin");
    cr_assert_eq(r.code, 0, "%s", r.err);
    expect_origin(r.out, "broker\tmax_clients\t7\t", "brokerd/brokerd.conf.d/x.conf", 2);
    run_free(&r);
}

Test(config, all_mistakes_of_all_files_are_told)
{
    struct run r;

    put("brokerd/brokerd.conf", "[broker]\nmax_clients = 0\n");
    put("brokerd/brokerd.conf.d/x.conf", "[arena default]\nsize = 2M\nsize = 3M\n");
    put("brokerd/brokerd.conf.d/y.conf", "[arena z]\n[arena z]\n");
    r = run("config show");
    cr_assert_eq(r.code, 30);
    cr_assert_str_empty(r.out);
    cr_assert_not_null(strstr(r.err, wrong("brokerd/brokerd.conf", "2: max_clients")), "%s", r.err);
    cr_assert_not_null(
        strstr(r.err, wrong("brokerd/brokerd.conf.d/x.conf", "3: size = 3M: it was given")), "%s",
        r.err);
    cr_assert_not_null(
        strstr(r.err, wrong("brokerd/brokerd.conf.d/y.conf", "2: [arena z] is there")), "%s",
        r.err);
    run_free(&r);
}

Test(config, a_file_by_name_brings_its_own_drop_ins)
{
    struct run r;

    put("brokerd/brokerd.conf.d/x.conf", "[broker]\nmax_clients = 7\n");
    put("mine", "[broker]\nmax_clients_per_user = 2\n");
    put("mine.d/more.conf", "[broker]\nmax_clients = 3\n");
    (void)snprintf(line, sizeof(line), "config show --origin --config %s/mine", dir);
    r = run(line);
    cr_assert_eq(r.code, 0, "%s", r.err);
    expect_origin(r.out, "broker\tmax_clients\t3\t", "mine.d/more.conf", 2);
    expect_origin(r.out, "broker\tmax_clients_per_user\t2\t", "mine", 2);
    run_free(&r);
    (void)snprintf(line, sizeof(line), "config show --config %s/yours", dir);
    (void)snprintf(wanted, sizeof(wanted), "cannot read %s/yours", dir);
    EXPECT_SAYS(line, 30, wanted);
}

Test(config, the_address_tells_which_instance)
{
    struct run r;

    put("brokerd/other/brokerd.conf", "[broker]\nmax_clients = 9\n");
    (void)snprintf(line, sizeof(line), "--address unix:%s/brokerd-other/attach config show", dir);
    r = run(line);
    cr_assert_eq(r.code, 0, "%s", r.err);
    expect_line(r.out, "broker\tmax_clients\t9", "");
    run_free(&r);
    (void)snprintf(line, sizeof(line), "--address unix:%s/elsewhere/attach config show", dir);
    EXPECT_SAYS(line, 10, "name it with --config FILE");
}

Test(config, json_has_what_programs_need)
{
    struct run r;

    put("brokerd/brokerd.conf", "[broker]\nmax_clients = 5\n");
    r = run("config show --origin --json");
    (void)snprintf(wanted, sizeof(wanted),
        "{\"section\":\"broker\",\"key\":\"max_clients\",\"value\":\"5\",\"origin\":\"%s/brokerd/"
        "brokerd.conf\",\"line\":2}",
        dir);
    cr_assert_not_null(strstr(r.out, wanted), "%s", r.out);
    run_free(&r);
}

Test(config, a_wrong_word_is_told)
{
    EXPECT_SAYS("config print", 2, "did you mean \"config show\"?");
}
