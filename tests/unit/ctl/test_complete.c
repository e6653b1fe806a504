/*
 * test_complete.c - what the shells are told, and that they hear it
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

/* What a shell prints that runs this, with the program under its name in the PATH; skipped where
 * there is no such shell. */
static void expect_of_shell(const char *shell, const char *script, const char *wanted)
{
    const char *dir = getenv("COMPLETIONS"), *program = getenv("BROKERCTL"), *path = getenv("PATH");
    char command[1024], line[256] = "", all[4096];
    FILE *f;

    cr_assert(dir != NULL && program != NULL && path != NULL);
    (void)snprintf(command, sizeof(command), "set -- %s; command -v \"$1\" >/dev/null", shell);
    if (system(command) != 0)
        cr_skip_test("%s is not installed", shell);
    (void)snprintf(
        all, sizeof(all), "%.*s:%s", (int)(strrchr(program, '/') - program), program, path);
    cr_assert_eq(setenv("PATH", all, 1), 0);
    EXPECT("queue put jobs 1", 0, "");
    (void)snprintf(command, sizeof(command), "%s '%s'", shell, script);
    f = popen(command, "r");
    cr_assert_not_null(f);
    cr_assert_not_null(fgets(line, sizeof(line), f), "%s printed nothing", shell);
    cr_assert_str_eq(line, wanted);
    cr_assert_null(fgets(line, sizeof(line), f), "more: %s", line);
    cr_assert_eq(pclose(f), 0);
}

Test(ctl_complete, bash_offers_what_it_is_told)
{
    expect_of_shell("bash --norc -c",
        "source \"$COMPLETIONS/brokerctl.bash\"; COMP_WORDS=(brokerctl queue get \"\"); "
        "COMP_CWORD=3; _brokerctl; printf \"<%s>\" \"${COMPREPLY[@]}\"; complete -p brokerctl",
        "<jobs>complete -o default -F _brokerctl brokerctl\n");
}

/* Without a terminal zsh has no completion: the two names that it would give are ours. */
Test(ctl_complete, zsh_offers_what_it_is_told)
{
    expect_of_shell("zsh -fc",
        "compadd() { print -rl -- \"$*\" \"${(@)candidates}\" | tr \"\\n\" \" \"; }; "
        "_files() { print files; }; complete_it() { source \"$COMPLETIONS/_brokerctl\"; }; "
        "words=(brokerctl queue get \"\"); CURRENT=4; complete_it; "
        "words=(brokerctl --address unix:/nonexistent stat \"\"); CURRENT=5; complete_it",
        "-a candidates jobs files\n");
}

Test(ctl_complete, fish_offers_what_it_is_told)
{
    expect_of_shell("fish --no-config -c",
        "source \"$COMPLETIONS/brokerctl.fish\"; complete -C \"brokerctl queue get \"", "jobs\n");
}
