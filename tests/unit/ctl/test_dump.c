/*
 * test_dump.c - save, dump and restore: what is printed is what is made again
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fixture.h"
#include "support/folder.h"

TestSuite(ctl_dump, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

static void make_objects(void)
{
    EXPECT("dict set stock tickets 100", 0, "");
    EXPECT("dict set stock {\"$bin\":\"/w==\"} [1,2.5,null,{\"a\":true}]", 0, "");
    EXPECT("queue create jobs --joinable --max-deliveries 3", 0, "");
    EXPECT("queue put jobs \"x\"", 0, "");
    EXPECT("lock create till", 0, "");
    EXPECT("list append names \"\\u00fc\"", 0, "");
}

/* Runs a line and gives what it printed. */
static struct run printed(const char *line)
{
    struct run r = run(line);

    cr_assert_eq(r.code, 0, "%s: %s", line, r.err);
    return r;
}

static void expect_same(const struct run *a, const struct run *b)
{
    cr_assert_eq(a->out_size, b->out_size, "%s\n%s", a->out, b->out);
    cr_assert_eq(memcmp(a->out, b->out, a->out_size), 0);
}

Test(ctl_dump, lines_of_json)
{
    static const char *const lines[] = {
        "{\"brokerdump\":1}\n",
        ("{\"id\":1,\"name\":\"jobs\",\"type\":\"queue\",\"options\":{\"joinable\":true,"
         "\"max_deliveries\":3},\"state\":{\"unfinished\":1},\"contents\":[[\"x\"]]}\n"),
        "{\"id\":4,\"name\":\"till\",\"type\":\"lock\"}\n",
        "\n{\"end\":4}\n",
    };
    struct run r;

    make_objects();
    r = printed("dump");
    cr_assert(run_starts(r.out, lines[0]));
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        cr_assert_not_null(strstr(r.out, lines[i]), "%s", r.out);
    run_free(&r);
    EXPECT("dump t*", 0,
        "{\"brokerdump\":1}\n{\"id\":1,\"name\":\"till\",\"type\":\"lock\"}\n"
        "{\"end\":1}\n");
    EXPECT("dump nothing", 0, "{\"brokerdump\":1}\n{\"end\":0}\n");
}

/* Dumped, restored and dumped again: the same, to the byte, in both forms and by both. */
Test(ctl_dump, round_trip)
{
    static const char *const forms[] = {"dump", "dump --binary"};
    struct run text, bytes, again;

    make_objects();
    text = printed("dump");
    bytes = printed("dump --binary");
    cr_assert(run_starts(bytes.out, "brksnap\n"));
    for (size_t i = 0; i < 2; i++) {
        const struct run *from = i == 0 ? &text : &bytes;

        EXPECT("rm jobs names stock till", 0, "");
        again = run_input("restore -", from->out, from->out_size);
        cr_assert_eq(again.code, 0, "%s", again.err);
        cr_assert_not_null(strstr(again.err, "objects restored: 4"), "%s", again.err);
        run_free(&again);
        again = printed(forms[0]);
        expect_same(&again, &text);
        run_free(&again);
        again = printed(forms[1]);
        expect_same(&again, &bytes);
        run_free(&again);
    }
    run_free(&text);
    run_free(&bytes);
}

static void expect_restore(const char *input, int wanted_code, const char *says)
{
    struct run r = run_input("restore -", input, strlen(input));

    cr_assert_eq(r.code, wanted_code, "%d: %s", r.code, r.err);
    cr_assert_not_null(strstr(r.err, says), "%s", r.err);
    run_free(&r);
}

Test(ctl_dump, nothing_is_overwritten_unasked)
{
    struct run before, after;

    make_objects();
    before = printed("dump stock");
    EXPECT("dict set stock tickets 5", 0, "");
    expect_restore(before.out, 11, "\"stock\" is there already, nothing was done");
    EXPECT("dict get stock tickets", 0, "5\n");
    after = run_input("restore --replace -", before.out, before.out_size);
    cr_assert_eq(after.code, 0, "%s", after.err);
    run_free(&after);
    EXPECT("dict get stock tickets", 0, "100\n");
    run_free(&before);
}

/* References within, and to what is outside. */
Test(ctl_dump, references)
{
    static const char dump[] =
        "{\"brokerdump\":1}\n"
        "{\"id\":1,\"name\":\"a\",\"type\":\"list\",\"contents\":[{\"$ref\":\"2:1:0000\"},"
        "{\"$ref\":\"3:1:0000\"},{\"$ref\":\"9:1:0000\"}]}\n"
        "{\"id\":2,\"type\":\"dict\",\"contents\":{\"up\":{\"$ref\":\"1:1:0000\"}}}\n"
        "{\"id\":3,\"name\":\"b\",\"type\":\"event\",\"outside\":true}\n"
        "{\"end\":3}\n";
    struct run r;

    EXPECT("event create b", 0, "");
    expect_restore(dump, 0, "references to objects that are not there are nil now: 1");
    r = printed("dump a");
    cr_assert_not_null(
        strstr(r.out, "\"contents\":[{\"$ref\":\"2:1:0000\"},{\"$ref\":\"3:1:0000\"},null]"), "%s",
        r.out);
    cr_assert_not_null(
        strstr(r.out, "{\"id\":3,\"name\":\"b\",\"type\":\"event\",\"outside\":true}"), "%s",
        r.out);
    run_free(&r);
}

/* Nothing is made of what is not whole or no dump. */
Test(ctl_dump, bad_dumps)
{
    static const struct {
        const char *dump, *says;
    } bad[] = {
        {"", "-:0: the dump ends"},
        {"hello\n", "-:1: "},
        {"{}\n", "-:1: this is no dump"},
        {"{\"brokerdump\":2}\n{\"end\":0}\n", "another version"},
        {"{\"brokerdump\":1}\n{\"id\":1,\"type\":\"dict\",\"name\":\"a\"}\n",
            "ends before its last line"},
        {"{\"brokerdump\":1}\n{\"id\":1,\"type\":\"dict\",\"name\":\"a\"}\n{\"end\":2}\n",
            "lines are missing"},
        {"{\"brokerdump\":1}\n5\n{\"end\":1}\n", "-:2: this is no object"},
        {"{\"brokerdump\":1}\n{\"id\":1,\"type\":\"dice\",\"name\":\"a\"}\n{\"end\":1}\n",
            "cannot restore"},
        {"{\"brokerdump\":1}\n{\"id\":1,\"type\":\"dict\",\"name\":\"a\",\"contents\":[1]}\n{"
         "\"end\":1}\n",
            "cannot restore a"},
        {"{\"brokerdump\":1}\n{\"id\":2,\"type\":\"dict\",\"name\":\"a\"}\n"
         "{\"id\":2,\"type\":\"dict\",\"name\":\"b\"}\n{\"end\":2}\n",
            "cannot restore b"},
        {"{\"brokerdump\":1}\n{\"id\":1,\"type\":\"barrier\",\"name\":\"a\"}\n{\"end\":1}\n",
            "cannot restore a"},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct run r = run_input("restore -", bad[i].dump, strlen(bad[i].dump));

        cr_assert_neq(r.code, 0, "%s", bad[i].dump);
        cr_assert_not_null(strstr(r.err, bad[i].says), "%s: %s", bad[i].dump, r.err);
        run_free(&r);
        EXPECT("ls", 0, "");
    }
    EXPECT_SAYS("restore /nowhere", 10, "cannot read /nowhere");
}

/* Each byte of a dump of bytes counts. */
Test(ctl_dump, damaged_bytes)
{
    struct run r, made;

    make_objects();
    made = printed("dump --binary till");
    EXPECT("rm jobs names stock till", 0, "");
    for (size_t at = 8; at < made.out_size; at += 7) {
        made.out[at] ^= 4;
        r = run_input("restore -", made.out, made.out_size);
        cr_assert_neq(r.code, 0);
        cr_assert_not_null(strstr(r.err, "damaged"), "byte %zu: %s", at, r.err);
        run_free(&r);
        made.out[at] ^= 4;
    }
    EXPECT("ls", 0, "");
    run_free(&made);
}

Test(ctl_dump, bytes_are_not_for_terminals)
{
    struct run r = run_terminal("dump --binary");

    cr_assert_eq(r.code, 2);
    run_free(&r);
}

Test(ctl_dump, a_reader_may_dump)
{
    char line[200];
    struct run r, own;

    make_objects();
    own = printed("dump");
    (void)snprintf(line, sizeof(line), "--address %s?access=ro dump", instance_address(instance));
    r = printed(line);
    expect_same(&r, &own);
    run_free(&r);
    run_free(&own);
}

/* Without a daemon: what it left in memory. */
Test(ctl_dump, without_a_daemon)
{
    char line[200];
    struct run r, own;

    make_objects();
    own = printed("dump");
    (void)snprintf(line, sizeof(line), "--offline=%s dump", instance_arena_path(instance));
    instance_kill(instance);
    r = printed(line);
    expect_same(&r, &own);
    run_free(&r);
    run_free(&own);
    EXPECT_SAYS("--offline save", 36, "needs a daemon");
    EXPECT_SAYS("--offline restore /dev/null", 36, "needs a daemon");
}

Test(ctl_dump, save)
{
    char config[160], dir[] = "/tmp/broker-save-XXXXXX";
    struct run r;

    EXPECT_SAYS("save", 48, "the arena default keeps no snapshots");
    folder_make(dir);
    (void)snprintf(config, sizeof(config),
        "[arena default]\nsize = 16M\nsnapshots = yes\nsnapshot_dir = %s\n", dir);
    instance_reload(instance, config);
    make_objects();
    r = printed("save");
    cr_assert_not_null(strstr(r.out, ".snapshot\""), "%s", r.out);
    run_free(&r);
    folder_remove(dir);
}
