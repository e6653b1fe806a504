/*
 * test_complete.c - what the shells are told, and that bash hears it
 */
#include <stdio.h>
#include <string.h>

#include "fixture.h"

TestSuite(ctl_complete, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

/* The words after the program's name, of which the last is being typed: it may be empty. */
static void expect(const char *const typed[], const char *wanted)
{
    const char *words[16] = {"--complete"};
    struct run r;
    size_t n = 1;

    for (; typed[n - 1] != NULL; n++)
        words[n] = typed[n - 1];
    r = run_words(words);
    cr_assert_eq(r.code, 0);
    cr_assert_str_empty(r.err);
    cr_assert_str_eq(r.out, wanted, "%s: %s", typed[0], r.out);
    run_free(&r);
}
#define TYPED(...)                                                                                 \
    (const char *const[])                                                                          \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

Test(ctl_complete, commands_types_and_verbs)
{
    expect(TYPED("c"), "collect\nclients\nconfig\ncheck\ncondition\n");
    expect(TYPED("l"), "ls\nleases\nlocks\nlock\nlist\n");
    expect(TYPED("help", "l"), "ls\nleases\nlocks\nlock\nlist\n");
    expect(TYPED("--json", "qu"), "quota\nqueue\n");
    expect(TYPED("queue", "q"), "qsize\n");
    expect(TYPED("lock", ""), "create\nrun\nacquire\nrelease\nlocked\nowner\n");
    expect(TYPED("help", "lock", "re"), "release\n");
    expect(TYPED("nothing", ""), "");
    expect(TYPED("queue", "nothing", ""), "");
}

Test(ctl_complete, live_names)
{
    EXPECT("dict set stock k 1", 0, "");
    EXPECT("queue put jobs 1", 0, "");
    EXPECT("queue put jobs2 1", 0, "");
    expect(TYPED("queue", "get", ""), "jobs\njobs2\n");
    expect(TYPED("queue", "get", "--timeout", "j"), "jobs\njobs2\n");
    expect(TYPED("dict", "get", ""), "stock\n");
    expect(TYPED("dict", "get", "stock", ""), "");
    expect(TYPED("dict", "create", ""), "");
    expect(TYPED("stat", ""), "jobs\njobs2\nstock\n");
    expect(TYPED("rm", "jobs", "j"), "jobs\njobs2\n");
    expect(TYPED("mv", "j"), "jobs\njobs2\n");
    expect(TYPED("monitor", "--json", "j"), "jobs\njobs2\n");
    instance_kill(instance);
    expect(TYPED("queue", "get", ""), "");
    expect(TYPED("--address", "unix:/nonexistent", "stat", ""), "");
}

Test(ctl_complete, options_are_the_commands_own_and_the_global_ones)
{
    expect(TYPED("--j"), "--json\n");
    expect(TYPED("queue", "get", "jobs", "--"), "--timeout\n--count\n--address\n--json\n--output\n-"
                                                "-no-header\n--no-pager\n--color\n--quiet\n"
                                                "--offline\n--instance\n--arena\n");
    expect(TYPED("queue", "create", "--max"), "--max-items\n--max-bytes\n--max-deliveries\n");
    expect(TYPED("lock", "run", "--t"), "--timeout\n");
    expect(TYPED("lock", "run", "till", "--", "ls", "--"), "");
    expect(TYPED("ls", "--type", "q"), "queue\n");
    expect(TYPED("monitor", "--o"), "--operation\n--once\n--output\n--offline\n");
    expect(TYPED("check", "--o"), "--output\n--offline\n");
}

Test(ctl_complete, bash_offers_what_it_is_told)
{
    char command[1024], line[256];
    const char *dir = getenv("COMPLETIONS"), *program = getenv("BROKERCTL");
    FILE *f;

    cr_assert(dir != NULL && program != NULL);
    EXPECT("queue put jobs 1", 0, "");
    cr_assert_eq(setenv("PROGRAM", program, 1), 0);
    (void)snprintf(command, sizeof(command),
        "bash --norc -c 'source \"$COMPLETIONS/brokerctl.bash\"; COMP_WORDS=(\"$PROGRAM\" queue "
        "get \"\"); "
        "COMP_CWORD=3; _brokerctl; printf \"<%%s>\" \"${COMPREPLY[@]}\"; complete -p brokerctl'");
    f = popen(command, "r");
    cr_assert_not_null(f);
    cr_assert_not_null(fgets(line, sizeof(line), f));
    cr_assert_str_eq(line, "<jobs>complete -o default -F _brokerctl brokerctl\n");
    cr_assert_eq(pclose(f), 0);
}
