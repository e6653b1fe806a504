/*
 * monitor.c - `brokerctl monitor`: operations as they happen
 *
 * The programs write down what they do while somebody asks for it: see core/monitor.h. Killed, this
 * command asks no more, and two seconds later they have stopped.
 */
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/handle.h"
#include "fail.h"
#include "follow.h"
#include "monitor_read.h"
#include "options.h"
#include "print.h"
#include "rows.h"
#include "words.h"

enum {
    TYPE = CTL_OPTION_OWN,
    OPERATION,
    PID,
    AT_LEAST,
    ONCE,
};

/* Which operations. */
struct filter {
    char **globs; /* of names of objects, up to a NULL; none: whatever */
    const char *type, *operation;
    uint32_t pid; /* 0: whatever */
    int64_t least_ns;
};

struct monitor {
    struct ctl_monitor m;
    struct filter filter;
    struct ctl_follow follow;
    int64_t realtime_ns; /* what is to be added to the time of a record */
    int64_t told_ns;     /* when it was told last how many are missing */
    int code;
    bool enough;
};

/* ---- which ---- */

/* NULL if its program gives operations other numbers than this one. */
static const char *operation_name(const struct bri_record *seen)
{
    return seen->who.ops == BRI_OPS_PRINT && seen->op < BRI_N_OPS ? bri_op_info[seen->op].name
                                                                  : NULL;
}

static const char *type_name(const struct bri_record *seen, const struct ctl_named *object)
{
    if (object != NULL)
        return bri_type_name(object->type);
    return operation_name(seen) != NULL ? bri_type_name(bri_op_info[seen->op].type) : NULL;
}

/* "dict.get" is meant by that, by "get", and by patterns of both. */
static bool is_operation(const char *wanted, const char *name)
{
    const char *dot = strchr(name, '.');

    return fnmatch(wanted, name, 0) == 0 || (dot != NULL && fnmatch(wanted, dot + 1, 0) == 0);
}

static bool is_named(char **globs, const struct ctl_named *object)
{
    if (globs == NULL || globs[0] == NULL)
        return true;
    for (unsigned i = 0; object != NULL && globs[i] != NULL; i++)
        if (fnmatch(globs[i], object->name, 0) == 0)
            return true;
    return false;
}

static bool is_wanted(
    const struct filter *f, const struct bri_record *seen, const struct ctl_named *object)
{
    const char *operation = operation_name(seen), *type = type_name(seen, object);

    return seen->duration_ns >= f->least_ns && (f->pid == 0 || f->pid == seen->who.pid) &&
           (f->type == NULL || (type != NULL && strcmp(type, f->type) == 0)) &&
           (f->operation == NULL || (operation != NULL && is_operation(f->operation, operation))) &&
           is_named(f->globs, object);
}

static bool is_any_operation(const char *wanted)
{
    for (unsigned i = 0; i < BRI_N_OPS; i++)
        if (is_operation(wanted, bri_op_info[i].name))
            return true;
    return false;
}

/* ---- printing ---- */

static broker_value text_or_nil(const char *text)
{
    return text != NULL && text[0] != '\0' ? broker_str(text) : broker_nil();
}

static int print_line(struct monitor *x, struct bri_pack *p, broker_buffer *buffer)
{
    broker_value line;
    int code = bri_pack_end(p, &line) < 0 ? ctl_fail(BROKER_NOMEM, "no memory for the line")
                                          : ctl_print_json_line(x->m.ctl, line);

    broker_buffer_free(buffer);
    return code;
}

/* By the calendar. What was forged may be any number. */
static int64_t end_of(const struct monitor *x, const struct bri_record *seen)
{
    return (int64_t)((uint64_t)seen->end_ns + (uint64_t)x->realtime_ns);
}

static int print_json(
    struct monitor *x, const struct bri_record *seen, const struct ctl_named *object)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack p;

    bri_pack_start(&p, &buffer);
    bri_pack_map(&p, 10);
    bri_pack_entry(&p, "time_ns", broker_int(end_of(x, seen)));
    bri_pack_entry(&p, "operation", text_or_nil(operation_name(seen)));
    bri_pack_entry(&p, "type", text_or_nil(type_name(seen, object)));
    bri_pack_entry(&p, "object", text_or_nil(object != NULL ? object->name : NULL));
    bri_pack_entry(&p, "duration_ns", broker_int(seen->duration_ns));
    bri_pack_entry(&p, "result", broker_str(broker_error_name(seen->result)));
    bri_pack_entry(&p, "session", broker_uint(seen->who.session));
    bri_pack_entry(&p, "pid", broker_uint(seen->who.pid));
    bri_pack_entry(&p, "uid", broker_uint(seen->who.uid));
    bri_pack_entry(&p, "command", broker_str(seen->who.comm));
    return print_line(x, &p, &buffer);
}

static void format_time(int64_t ns, char out[32])
{
    static const struct {
        int64_t ns;
        const char *unit;
    } units[] = {{BRI_SECOND, "s"}, {BRI_MILLISECOND, "ms"}, {1000, "us"}};

    for (unsigned i = 0; i < sizeof(units) / sizeof(units[0]); i++)
        if (ns >= units[i].ns) {
            double n = (double)ns / (double)units[i].ns;

            (void)snprintf(out, 32, "%.*f%s", n < 10 ? 2 : n < 100 ? 1 : 0, n, units[i].unit);
            return;
        }
    (void)snprintf(out, 32, "%dns", (int)ns);
}

static void print_words(
    struct monitor *x, const struct bri_record *seen, const struct ctl_named *object)
{
    const char *operation = operation_name(seen);
    char clock[32], took[32];

    ctl_format_clock(end_of(x, seen), clock);
    format_time(seen->duration_ns, took);
    (void)printf("%s  %s", clock, operation != NULL ? operation : "(unknown operation)");
    if (object != NULL && object->name[0] != '\0')
        ctl_say(stdout, "  \"%s\"", object->name);
    else if (seen->object != 0)
        (void)printf("  (no name)");
    ctl_say(stdout, "  %s  %s  session %u, process %u (%s), uid %u", took,
        broker_error_name(seen->result), seen->who.session, seen->who.pid, seen->who.comm,
        seen->who.uid);
    (void)putchar('\n');
}

static void tell(struct monitor *x, const struct bri_record *seen)
{
    const struct ctl_named *object = ctl_monitor_object(&x->m, seen);

    if (!is_wanted(&x->filter, seen, object))
        return;
    if (!x->m.ctl->quiet && x->m.ctl->json)
        x->code = print_json(x, seen, object);
    else if (!x->m.ctl->quiet)
        print_words(x, seen, object);
    x->enough = x->code != 0 || (x->follow.is_counted && --x->follow.left == 0);
}

static void tell_missed(struct monitor *x)
{
    broker_buffer buffer = BROKER_BUFFER_INIT;
    int64_t now = ctl_realtime_ns();
    struct bri_pack p;
    char clock[32];

    if (x->m.ctl->quiet) {
        x->m.n_missed = 0;
    } else if (x->m.ctl->json) {
        bri_pack_start(&p, &buffer);
        bri_pack_map(&p, 2);
        bri_pack_entry(&p, "time_ns", broker_int(now));
        bri_pack_entry(&p, "left_out", broker_uint(x->m.n_missed));
        x->code = print_line(x, &p, &buffer);
    } else {
        ctl_format_clock(now, clock);
        (void)printf("%s  %llu more operations, too many to tell each\n", clock,
            (unsigned long long)x->m.n_missed);
    }
    x->m.n_missed = 0;
}

/* ---- following ---- */

static volatile sig_atomic_t interrupted; /* the signal */

static void on_signal(int number)
{
    interrupted = number;
}

/* A first signal lets it tell what there is to tell, and end the lease; a second one ends it. */
static void catch_signals(void)
{
    struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};

    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
}

static void tell_all(struct monitor *x, bool is_last)
{
    int64_t now = bri_now();

    x->realtime_ns = ctl_realtime_ns() - now;
    for (uint32_t i = 0; i < x->m.n_seen && !x->enough; i++)
        tell(x, &x->m.seen[i]);
    if (x->code == 0 && x->m.n_missed > 0 &&
        (is_last || x->enough || now - x->told_ns >= BRI_SECOND)) {
        tell_missed(x);
        x->told_ns = now;
    }
    if (x->code == 0)
        x->code = ctl_flush(x->m.ctl);
    x->enough |= x->code != 0;
}

static int fail(const struct monitor *x, int r)
{
    if (r == BROKER_NODAEMON)
        return ctl_fail(r,
            "the broker at %s is gone, which had the programs tell what they do: who may only "
            "read cannot",
            broker_address(x->m.ctl->broker));
    if (r == BROKER_LOST)
        return ctl_fail(r,
            "brokerd is moving everything to a new arena: begin again to see what happens there");
    return ctl_fail(r, "the operations have no place to be written down: %s", broker_error_text(r));
}

static int follow(struct monitor *x)
{
    int r = ctl_monitor_start(&x->m);
    bool is_time = true;

    catch_signals();
    ctl_follow_start(&x->follow);
    x->told_ns = bri_now();
    while (r == 0 && is_time && !x->enough) {
        is_time = ctl_follow_sleep(&x->follow) && interrupted == 0;
        r = ctl_monitor_look(&x->m);
        tell_all(x, !is_time);
    }
    ctl_monitor_stop(&x->m);
    if (interrupted != 0)
        (void)raise(interrupted); /* as commands end that know nothing of it */
    return r < 0 ? fail(x, r) : x->code;
}

static void read_pid(struct monitor *x, const char *arg, struct argp_state *state)
{
    struct ctl_remark why;
    uint64_t pid;

    if (ctl_read_count(arg, &pid, &why) < 0)
        argp_error(state, "--pid: %s", why.text);
    else if (pid == 0 || pid > INT32_MAX)
        argp_error(state, "--pid: %s is no process", arg);
    else
        x->filter.pid = (uint32_t)pid;
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct monitor *x = own;
    struct ctl_remark why;

    switch (key) {
    case TYPE:
        x->filter.type = arg;
        return 0;
    case OPERATION:
        x->filter.operation = arg;
        return 0;
    case PID:
        read_pid(x, arg, state);
        return 0;
    case AT_LEAST:
        if (ctl_read_duration(arg, &x->filter.least_ns, &why) < 0)
            argp_error(state, "--at-least: %s", why.text);
        return 0;
    case ONCE:
        x->follow.is_counted = true;
        x->follow.left = 1;
        return 0;
    default:
        return ctl_follow_option(&x->follow, key, arg, state);
    }
}

static int check_filter(const struct filter *f)
{
    if (f->type != NULL && bri_type_number(f->type) == 0)
        return ctl_fail_usage("there is no type \"%s\"; `brokerctl help` lists them", f->type);
    if (f->operation != NULL && !is_any_operation(f->operation))
        return ctl_fail_usage(
            "there is no operation \"%s\"; they are called as in \"dict.get\" or \"get\"",
            f->operation);
    return 0;
}

static const struct argp_option options[] = {
    {"type", TYPE, "TYPE", 0, "only of objects of this type", 0},
    {"operation", OPERATION, "OPERATION", 0,
        "only operations called so, such as dict.get or get; may be a pattern", 0},
    {"pid", PID, "PID", 0, "only of this process", 0},
    {"at-least", AT_LEAST, "DURATION", 0, "only what took so long or longer", 0},
    {"once", ONCE, NULL, 0, "end after one line", 0},
    {"count", CTL_FOLLOW_COUNT, "N", 0, "end after so many lines", 0},
    {"for", CTL_FOLLOW_TIMEOUT, "DURATION", 0, "end after this time", 0},
    {"timeout", CTL_FOLLOW_TIMEOUT, "DURATION", OPTION_HIDDEN, NULL, 0}, {0}};

int ctl_cmd_monitor(struct ctl *ctl, int argc, char **argv)
{
    struct monitor x = {.m = {.ctl = ctl},
        .follow = {.interval_ns = BRI_MONITOR_TICK_NS, .timeout_ns = BROKER_FOREVER}};
    const struct ctl_syntax syntax = {.title = "monitor",
        .args_doc = "[NAME|GLOB...]",
        .doc = "Operations of all programs as they happen, a line an operation: when it ended, "
               "what it was, how long it took, how it ended, and whose it was."
               "\vA thread tells its first 256 operations of each hundredth of a second, and "
               "besides all that had to wait. The next 1024 are counted, for all objects and "
               "operations together, and what comes behind them is reckoned: timing or counting "
               "each would slow a fast program down. So it costs programs less than a hundredth, "
               "and nothing while nobody monitors.\n\nPrograms that may only read tell nothing. "
               "What came "
               "by ZeroMQ is told under the process of brokerd-zmq and the name of the client. "
               "Operations on the arena itself, such as broker.rename, have no object.",
        .options = options,
        .option = parse_option,
        .own = &x,
        .max_words = 64};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    x.filter.globs = words.words;
    code = check_filter(&x.filter);
    if (code == 0)
        code = ctl_refuse_offline(ctl, "monitor");
    if (code == 0)
        code = ctl_connect_to_memory(ctl);
    if (code == 0)
        code = follow(&x);
    free(words.words);
    return code;
}
