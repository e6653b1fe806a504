/*
 * test_operation.c - operations on objects: answers, exit codes, what is created and what is not
 */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

TestSuite(ctl_operation, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

Test(ctl_operation, dict_answers)
{
    EXPECT("dict set stock tickets 100", 0, "");
    EXPECT("dict add stock tickets -1", 0, "99\n");
    EXPECT("dict add stock tickets", 0, "100\n");
    EXPECT("dict get stock tickets", 0, "100\n");
    EXPECT("dict len stock", 0, "1\n");
    EXPECT("dict set stock name text", 0, "");
    EXPECT("dict get stock name", 0, "text");
    EXPECT("dict get stock name --json", 0, "\"text\"\n");
    EXPECT("--json dict get stock name", 0, "\"text\"\n");
    EXPECT("dict items stock", 0, "[[\"tickets\",100],[\"name\",\"text\"]]\n");
    EXPECT("dict copy stock", 0, "{\"tickets\":100,\"name\":\"text\"}\n");
    EXPECT("dict update stock {\"a\":1,\"b\":[true,null]}", 0, "");
    EXPECT("dict popitem stock", 0, "{\"key\":\"b\",\"value\":[true,null]}\n");
    EXPECT("dict get-and-set stock a 2", 0, "{\"value\":1,\"found\":true}\n");
    EXPECT("dict get_and_set stock a 3", 0, "{\"value\":2,\"found\":true}\n");
    EXPECT("dict setdefault stock a", 0, "{\"value\":3,\"inserted\":false}\n");
    EXPECT("dict compare-and-set stock a 3 4", 0, "");
    EXPECT("dict compare-and-set stock a 3 5", 17, "");
    EXPECT("dict get stock a", 0, "4\n");
    EXPECT("dict scan stock --limit 1000", 0, NULL);
    EXPECT("dict clear stock", 0, "");
    EXPECT("dict keys stock", 0, "[]\n");
}

Test(ctl_operation, keys_and_values_are_json_or_text)
{
    EXPECT("dict set d 5 number", 0, "");
    EXPECT("dict get d 5", 0, "number");
    EXPECT("dict get d 5.0", 0, "number");
    EXPECT("dict get d 5 --string", 10, "");
    EXPECT("dict set d 5 6 --string", 0, "");
    EXPECT("dict get d \"5\"", 0, "6");
    EXPECT("dict set d -7 -1.5e3", 0, "");
    EXPECT("dict get d -7", 0, "-1500.0\n");
    EXPECT("dict set d [1,\"x\"] null", 0, "");
    EXPECT("dict get d [1,\"x\"]", 0, "null\n");
    EXPECT("dict set d raw {\"$bin\":\"/wD+\"}", 0, "");
    EXPECT_SAYS("dict get d {\"a\":1}", 32, "BADKEY");
    EXPECT_SAYS("dict get d", 2, "KEY");

    struct run r = run("dict get d raw");

    cr_assert_eq(r.code, 0);
    cr_assert(r.out_size == 3 && memcmp(r.out, "\xff\0\xfe", 3) == 0);
    run_free(&r);
    EXPECT("dict get d raw --json", 0, "{\"$bin\":\"/wD+\"}\n");
}

Test(ctl_operation, a_word_that_only_looks_like_json_is_taken_with_a_note)
{
    EXPECT_SAYS("dict set d k [1,2", 0, "--string");
    EXPECT("dict get d k", 0, "[1,2");
    EXPECT("dict set d k [1,2 --string", 0, "");
    EXPECT("-q dict set d k [1,2", 0, "");
}

Test(ctl_operation, only_operations_that_store_or_wait_create)
{
    EXPECT_SAYS("dict get none k", 10, "there is no dict \"none\"");
    EXPECT("dict len none", 10, "");
    EXPECT("dict delete none k", 10, "");
    EXPECT("dict pop none k", 10, "");
    EXPECT("dict clear none", 10, "");
    EXPECT("dict set-if none k v 0", 10, "");
    EXPECT("dict compare-and-set none k 1 2", 10, "");
    EXPECT("queue get none --timeout 0", 10, "");
    EXPECT("queue shutdown none", 10, "");
    EXPECT("queue task-done none", 10, "");
    EXPECT("lock release none", 10, "");
    EXPECT("lock locked none", 10, "");
    EXPECT("ls", 0, "");
    EXPECT("dict add sums k 3", 0, "3\n");
    EXPECT("dict setdefault first k 1", 0, "{\"value\":1,\"inserted\":true}\n");
    EXPECT("dict update many {\"k\":1}", 0, "");
    EXPECT("queue put jobs 1", 0, "");
    EXPECT("ls --type dict --json", 0, NULL);
    EXPECT("dict len sums", 0, "1\n");
    EXPECT("dict len first", 0, "1\n");
    EXPECT("dict len many", 0, "1\n");
    EXPECT("queue qsize jobs", 0, "1\n");
}

Test(ctl_operation, create_is_exclusive_unless_told_otherwise)
{
    EXPECT("queue create jobs --max-items 5 --joinable --quota-bytes 1M", 0, "");
    EXPECT_SAYS("queue create jobs", 11, "--exist-ok");
    EXPECT("queue create jobs --exist-ok", 0, "");
    EXPECT("queue create jobs --exist-ok --max-items 5 --joinable", 0, "");
    EXPECT_SAYS("queue create jobs --exist-ok --max-items 6", 17, "brokerctl stat jobs");
    EXPECT_SAYS("dict create jobs --exist-ok", 31, "\"jobs\" is no dict but a queue");
    EXPECT_SAYS("queue create x --max-bytes 5X", 2, "no size");
    EXPECT_SAYS("queue create", 2, "NAME");

    EXPECT_SHOWS("stat jobs", 0, "max_items\t5\n", "joinable\t1\n", "quota_bytes\t1048576\n");
}

Test(ctl_operation, a_full_queue_and_an_empty_one_have_exit_codes_of_their_own)
{
    EXPECT("queue create jobs --max-items 1", 0, "");
    EXPECT_SAYS("queue get jobs --timeout 0", 12, "(EMPTY)");
    EXPECT_SAYS("queue get jobs --timeout 1ms", 14, "(TIMEDOUT)");
    EXPECT("queue put jobs one", 0, "");
    EXPECT_SAYS("queue put jobs two --timeout 0", 13, "(FULL)");
    EXPECT_SAYS("queue put jobs two --timeout 1ms", 14, "(TIMEDOUT)");
    EXPECT("queue qsize jobs", 0, "1\n");
    EXPECT("queue shutdown jobs", 0, "");
    EXPECT_SAYS("queue put jobs two", 15, "(CLOSED)");
    EXPECT("queue get jobs", 0, "one");
    EXPECT_SAYS("queue get jobs", 15, "(CLOSED)");
}

Test(ctl_operation, a_page_of_a_queue_is_a_table)
{
    struct run r;
    char *cursor, line[96];

    EXPECT("queue create jobs", 0, "");
    EXPECT("queue browse jobs", 0, "");
    EXPECT("queue put jobs one", 0, "");
    EXPECT("queue put jobs [2]", 0, "");
    EXPECT("queue peek jobs", 0, "one");
    r = run("queue browse jobs --limit 1");
    cr_assert_eq(r.code, 0, "%s", r.err);
    cr_assert(run_starts(r.out, "0\tready\t-\t-\t0\t"), "%s", r.out);
    cr_assert_not_null(strstr(r.out, "\t-\t4\tone\n"), "%s", r.out);
    cursor = strstr(r.err, "next: ");
    cr_assert_not_null(cursor, "%s", r.err);
    (void)snprintf(line, sizeof(line), "queue browse jobs --cursor %llu",
        strtoull(cursor + strlen("next: "), NULL, 10));
    run_free(&r);
    r = run(line);
    cr_assert(run_starts(r.out, "1\tready\t"), "%s", r.out);
    cr_assert_not_null(strstr(r.out, "\t2\t[2]\n"), "%s", r.out);
    cr_assert_str_eq(r.err, "");
    run_free(&r);
    EXPECT_TERMINAL("queue browse jobs", 0, "NUMBER", "SIZE VALUE");
    EXPECT_SHOWS("queue browse jobs --json", 0, "\n{\"items\":[{\"number\":0,\"state\":\"ready\",",
        "\"next\":0}");
}

Test(ctl_operation, failures_say_what_to_do_next)
{
    EXPECT("dict set stock tickets 100", 0, "");
    EXPECT_SAYS("dict get stok tickets", 10, "did you mean \"stock\"?");
    EXPECT_SAYS("dict get stock ticket", 10, "the key is not there");
    EXPECT_SAYS("queue get stock", 31, "write `brokerctl dict get stock`");
    EXPECT_SAYS("queue put stock x", 31, "`brokerctl help dict`");
    EXPECT_SAYS("dict add stock name x", 2, "DELTA: \"x\" is no whole number");
    EXPECT("dict set stock name x", 0, "");
    EXPECT_SAYS("dict add stock name", 22, "not a whole number");
    EXPECT_SAYS("queue get stock --timeout 3", 2, "--timeout: \"3\"");
    EXPECT_SAYS("dict update stock [1]", 2, "PAIRS: this must be an object");
    EXPECT("queue create jobs --max-bytes 16", 0, "");
    EXPECT_SAYS("queue put jobs 12345678901234567890 --string", 35, "TOOBIG");
}

Test(ctl_operation, names_are_checked)
{
    char name[300];
    const char *const words[] = {"dict", "set", name, "k", "v", NULL};
    struct run r;

    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    r = run_words(words);
    cr_assert_eq(r.code, 33, "%d: %s", r.code, r.err);
    run_free(&r);
    name[255] = '\0';
    r = run_words(words);
    cr_assert_eq(r.code, 0, "%d: %s", r.code, r.err);
    run_free(&r);
    name[0] = '\0';
    r = run_words(words);
    cr_assert_eq(r.code, 33, "%d: %s", r.code, r.err);
    run_free(&r);
}

Test(ctl_operation, quiet_turns_a_yes_or_no_into_the_exit_code)
{
    EXPECT("dict set stock tickets 1", 0, "");
    EXPECT("dict contains stock tickets", 0, "true\n");
    EXPECT("dict contains stock x", 0, "false\n");
    EXPECT("dict contains stock tickets -q", 0, "");
    EXPECT("dict contains stock x -q", 1, "");
    EXPECT("dict get stock tickets -q", 0, "");
    EXPECT_SAYS("dict get stock x -q", 10, "not there");
}

Test(ctl_operation, standard_input_is_one_value)
{
    static const char bytes[] = "\xff\n\n";
    struct run r = run_input("dict set d text -", "two\nlines\n", 10);

    cr_assert_eq(r.code, 0, "%s", r.err);
    run_free(&r);
    EXPECT("dict get d text", 0, "two\nlines");
    r = run_input("dict set d json -", "{\"a\": [1]}\n", 11);
    cr_assert_eq(r.code, 0, "%s", r.err);
    run_free(&r);
    EXPECT("dict get d json", 0, "{\"a\":[1]}\n");
    r = run_input("dict set d bytes - --bin", bytes, 3);
    cr_assert_eq(r.code, 0, "%s", r.err);
    run_free(&r);
    r = run("dict get d bytes");
    cr_assert_eq(r.code, 10, "the key is bytes too");
    run_free(&r);
    r = run("dict get d bytes --bin");
    cr_assert(r.out_size == 3 && memcmp(r.out, bytes, 3) == 0);
    run_free(&r);
    r = run_input("dict set d bad -", bytes, 3);
    cr_assert_eq(r.code, 2);
    cr_assert_not_null(strstr(r.err, "--bin"));
    run_free(&r);
    r = run_input("dict set d - -", "x", 1);
    cr_assert_eq(r.code, 2);
    run_free(&r);
    EXPECT("dict set d dash \"-\"", 0, "");
    EXPECT("dict get d dash", 0, "-");
}

Test(ctl_operation, a_large_value_goes_in_and_comes_out_as_it_was)
{
    const size_t size = 3 << 20;
    char *bytes = malloc(size);
    struct run r;

    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * 2654435761u >> 13);
    r = run_input("dict set d k - --bin", bytes, size);
    cr_assert_eq(r.code, 0, "%s", r.err);
    run_free(&r);
    r = run("dict get d k --bin");
    cr_assert(r.out_size == size && memcmp(r.out, bytes, size) == 0);
    run_free(&r);
    free(bytes);
}

Test(ctl_operation, an_arena_that_is_full_says_so_and_keeps_what_it_has)
{
    const size_t size = 20 << 20;
    char *bytes = calloc(1, size);
    struct run r;

    EXPECT("dict set d k 1", 0, "");
    r = run_input("dict set d k - --string", bytes, size);
    cr_assert_eq(r.code, 37, "%d: %s", r.code, r.err);
    cr_assert_not_null(strstr(r.err, "brokerctl ls"));
    run_free(&r);
    free(bytes);
    EXPECT("dict get d k", 0, "1\n");
    EXPECT("check", 0, NULL);
}

Test(ctl_operation, a_closed_stdout_is_not_taken_for_the_connection)
{
    const char *const words[] = {"queue", "get", "jobs", NULL};
    struct run r;

    EXPECT("queue create jobs --joinable", 0, "");
    EXPECT("queue put jobs item", 0, "");
    r = run_to(words, -1);
    cr_assert_eq(r.code, 1, "%d: %s", r.code, r.err);
    cr_assert_not_null(strstr(r.err, "cannot write the output"), "%s", r.err);
    run_free(&r);
    EXPECT("queue get jobs --timeout 0", 0, "item");
}

Test(ctl_operation, readers_read_and_may_not_write)
{
    char line[512];

    EXPECT("dict set stock tickets 100", 0, "");
    (void)snprintf(line, sizeof(line), "--address %s?access=ro dict get stock tickets",
        instance_address(instance));
    EXPECT(line, 0, "100\n");
    (void)snprintf(line, sizeof(line), "--address %s?access=ro dict set stock tickets 1",
        instance_address(instance));
    EXPECT_SAYS(line, 36, "ACCESS");
    EXPECT("queue put jobs 1", 0, "");
    (void)snprintf(
        line, sizeof(line), "--address %s?access=ro queue peek jobs", instance_address(instance));
    EXPECT(line, 0, "1\n");
    (void)snprintf(line, sizeof(line), "--address %s?access=ro queue browse jobs --quiet",
        instance_address(instance));
    EXPECT(line, 0, "");
    (void)snprintf(line, sizeof(line), "--address %s?access=ro queue get jobs --timeout 0",
        instance_address(instance));
    EXPECT_SAYS(line, 36, "ACCESS");
    (void)snprintf(line, sizeof(line), "--address %s?access=ro check", instance_address(instance));
    EXPECT_SAYS(line, 36, "access=ro");
}
