/*
 * test_doctor.c - what doctor finds, what health makes of it, and the metrics
 */
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <broker.h>

#include "core/layout.h"
#include "engine_ops.h"
#include "fixture.h"

TestSuite(ctl_doctor, .init = fixture_start, .fini = fixture_stop, .timeout = 60);

/* Doctor finds it, and health says so as well. */
static void expect_found(const char *level, const char *object, const char *finding)
{
    bool critical = strcmp(level, "critical") == 0;
    char wanted[512];

    (void)snprintf(wanted, sizeof(wanted), "%s\t%s\t", level, object);
    EXPECT_SHOWS("doctor", 1, wanted);
    EXPECT_SHOWS("doctor", 1, finding);
    EXPECT_SHOWS("health", critical ? 2 : 1, critical ? "BROKER CRITICAL - " : "BROKER WARNING - ");
    EXPECT_SHOWS("health", critical ? 2 : 1, finding);
}

Test(ctl_doctor, all_is_well)
{
    struct run r;

    EXPECT("lock create till", 0, "");
    EXPECT("doctor", 0, "");
    EXPECT("doctor --json", 0, "[]\n");
    r = run_terminal("doctor");
    cr_assert_str_eq(r.out, "all is well\r\n");
    run_free(&r);
    EXPECT_SHOWS("health", 0, "BROKER OK - arena default: ");
    EXPECT_SHOWS("health", 0, " | used=");
    EXPECT_SHOWS("health", 0, "objects=1;;;0 sessions=1;;;0;256 dead_sessions=0;;;0");
}

Test(ctl_doctor, queues_that_nobody_takes_from)
{
    EXPECT("queue put jobs 1", 0, "");
    expect_found("warning", "jobs", "1 items wait, and no program has it open");
}

Test(ctl_doctor, full_queues_and_dead_items)
{
    broker_queue *jobs;
    broker *b;

    EXPECT("queue create jobs --max-items 1 --max-deliveries 1", 0, "");
    cr_assert_eq(broker_open(NULL, &b), 0);
    cr_assert_eq(broker_queue_open(b, "jobs", NULL, &jobs), 0);
    EXPECT("doctor", 0, "");
    EXPECT("queue put jobs 1", 0, "");
    expect_found("warning", "jobs", "it is full (1 items)");
    EXPECT("worker jobs --until-empty -q false", 1, "");
    expect_found("warning", "jobs", "1 items failed too often and are dead");
    EXPECT_SHOWS("health", 1, "dead_items=1;;;0");
    broker_close(b);
}

Test(ctl_doctor, broken_barriers_and_locks_of_the_dead)
{
    EXPECT("barrier create all --parties 2", 0, "");
    EXPECT("barrier abort all", 0, "");
    expect_found("warning", "all", "the barrier is broken");
    EXPECT("rm all", 0, "");
    EXPECT("lock create till --keep-on-death", 0, "");
    EXPECT("lock acquire till", 0, NULL);
    expect_found("warning", "till", "its owner has ended");
}

Test(ctl_doctor, processes_that_are_stopped)
{
    pid_t child = fork();
    broker *b;

    cr_assert_geq(child, 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (broker_open(NULL, &b) == 0)
            (void)raise(SIGSTOP);
        _exit(1);
    }
    cr_assert_eq(waitpid(child, NULL, WUNTRACED), child);
    expect_found("warning", "-", "is stopped: what it holds stays held");
    cr_assert_eq(kill(instance_pid(instance), SIGSTOP), 0); /* nobody reaps it */
    cr_assert_eq(kill(child, SIGKILL), 0);
    cr_assert_eq(waitpid(child, NULL, 0), child);
    cr_assert_eq(kill(instance_pid(instance), SIGCONT), 0);
}

Test(ctl_doctor, memory_and_quotas_that_are_nearly_used_up)
{
    EXPECT_SHOWS("health --warning 0", 1, "the arena default is");
    EXPECT_SHOWS("health --warning 0 --critical 0", 2, "the arena default is");
    instance_reload(instance, "[arena default]\nsize = 16M\nmax_objects_per_user = 2\n");
    EXPECT("lock create a", 0, "");
    EXPECT("doctor", 0, "");
    EXPECT("lock create b", 0, "");
    expect_found("warning", "-", "has 100 % of the objects that he may have");
}

/* Writes over the `damaged` of every slot that is a lock: there is one. */
static void quarantine_lock(void)
{
    static const uint32_t line = 1;
    struct bri_slot_shm slot;
    struct bri_arena_shm header;
    int fd = open(instance_arena_path(instance), O_RDWR | O_CLOEXEC);
    unsigned n = 0;

    cr_assert_eq(pread(fd, &header, sizeof(header), 0), (ssize_t)sizeof(header));
    for (off_t at = (off_t)header.first_page * BRI_PAGE_SIZE;
         pread(fd, &slot, sizeof(slot), at) == (ssize_t)sizeof(slot); at += BRI_SLOT_SIZE)
        if (atomic_load(&slot.type) == BRI_TYPE_LOCK &&
            atomic_load(&slot.status) == BRI_SLOT_LIVE && atomic_load(&slot.generation) != 0 &&
            atomic_load(&slot.root_page) == 0 && slot.created_ns != 0) {
            cr_assert_eq(
                pwrite(fd, &line, sizeof(line), at + (off_t)offsetof(struct bri_slot_shm, damaged)),
                (ssize_t)sizeof(line));
            n++;
        }
    (void)close(fd);
    cr_assert_eq(n, 1);
}

Test(ctl_doctor, objects_that_are_damaged)
{
    EXPECT("lock create till", 0, "");
    quarantine_lock();
    expect_found("critical", "till", "its memory is damaged");
    EXPECT("rm till", 0, "");
    EXPECT("doctor", 0, "");
}

Test(ctl_doctor, depths_are_watched)
{
    EXPECT("dict set stock a 1", 0, "");
    EXPECT("dict set stock b 1", 0, "");
    EXPECT_SHOWS("health --depth stock=3,4", 0, " 'stock'=2;3;4;0\n");
    EXPECT_SHOWS("health --depth stock=2,4", 1, "BROKER WARNING - stock: 2 items");
    EXPECT_SHOWS("health --depth stock=1,2", 2, "BROKER CRITICAL - stock: 2 items");
    EXPECT_SHOWS("health --depth nothing=1,2", 2, "nothing: there is no such object");
    EXPECT_SAYS("health --depth stock", 3, "NAME=WARNING,CRITICAL");
    EXPECT_SAYS("health --depth stock=2,1", 3, "NAME=WARNING,CRITICAL");
    EXPECT_SAYS("health --warning x", 3, "-w:");
    EXPECT_SAYS("health --offline", 3, "neither --offline nor --json");
}

Test(ctl_doctor, a_daemon_that_is_gone_is_critical)
{
    instance_kill(instance);
    EXPECT_SHOWS("health", 2, "BROKER CRITICAL - no broker answers at");
    EXPECT_SAYS("doctor", 41, "no broker answers at");
    EXPECT_SHOWS("--address nonsense health", 3, "BROKER UNKNOWN - ");
}

/* ---- metrics ---- */

Test(ctl_doctor, metrics_are_open_metrics)
{
    struct run r;
    const char *end;

    EXPECT("queue put a\"b\\c 1", 0, "");
    EXPECT("lock create till", 0, "");
    r = run("metrics");
    cr_assert_eq(r.code, 0, "%s", r.err);
    cr_assert(run_starts(r.out, "# TYPE broker_up gauge\n# HELP broker_up "), "%s", r.out);
    cr_assert_not_null(strstr(r.out,
        "\n# TYPE broker_queue_puts counter\n# HELP broker_queue_puts Items that were put.\n"
        "broker_queue_puts_total{arena=\"default\",object=\"a\\\"b\\\\c\",type=\"queue\"} 1\n"));
    cr_assert_not_null(strstr(r.out, "\n# UNIT broker_object_wait_seconds seconds\n"));
    cr_assert_not_null(
        strstr(r.out, "\nbroker_object_wait_seconds_total{arena=\"default\",object=\"till\","
                      "type=\"lock\"} 0.000000000\n"));
    cr_assert_not_null(strstr(r.out, "\nbroker_objects{arena=\"default\"} 2\n"));
    end = r.out + r.out_size - strlen("\n# EOF\n");
    cr_assert_str_eq(end, "\n# EOF\n");
    cr_assert_null(strstr(r.out, "\n\n"));
    run_free(&r);
    r = run("metrics ti");
    cr_assert_null(strstr(r.out, "broker_queue"), "%s", r.out);
    run_free(&r);
    r = run("metrics --no-objects");
    cr_assert_null(strstr(r.out, "till"), "%s", r.out);
    run_free(&r);
}

static void expect_file(const char *path, const char *wanted)
{
    char text[65536];
    FILE *f = fopen(path, "r");
    size_t n;

    cr_assert_not_null(f, "%s", path);
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    (void)fclose(f);
    cr_assert_not_null(strstr(text, wanted), "%s", text);
}

Test(ctl_doctor, the_textfile_is_replaced_at_once)
{
    char path[256], line[512];

    (void)snprintf(path, sizeof(path), "%s/broker.prom", instance_dir(instance));
    (void)snprintf(line, sizeof(line), "metrics --textfile %s", path);
    EXPECT("queue put jobs 1", 0, "");
    EXPECT(line, 0, "");
    expect_file(path, "broker_up 1\n");
    expect_file(path, "\n# TYPE broker_queue_puts_total counter\n");
    instance_kill(instance);
    EXPECT_SAYS(line, 41, "no broker answers");
    expect_file(path, "broker_up 0\n# EOF\n");
    EXPECT_SHOWS("metrics", 41, "broker_up 0\n# EOF\n");
    EXPECT_SAYS("metrics --textfile /nonexistent/x", 46, "cannot write /nonexistent/x");
    cr_assert_eq(unlink(path), 0);
}
