/*
 * test_config.c - the configuration file: what is wrong is named with its line, and what is shipped
 * is right
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "support/instance.h"

static char path[] = "/tmp/brokerd-config-XXXXXX";

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

TestSuite(config, .init = make_file, .fini = remove_file, .timeout = 30);

static int check_file(const char *file, char text[2000])
{
    const char *const arguments[] = {"brokerd", "--check-config", "--config", file, NULL};

    return instance_run(arguments, text, 2000);
}

static int check(const char *config, char text[2000])
{
    FILE *f = fopen(path, "we");

    cr_assert_not_null(f);
    cr_assert_geq(fputs(config, f), 0);
    (void)fclose(f);
    return check_file(path, text);
}

Test(config, what_is_right_is_accepted_silently)
{
    static const char *const good[] = {
        "",
        "# nothing\n; and nothing\n",
        "\xef\xbb\xbf[broker]\nmax_clients = 5\n",
        "[broker]\nruntime_dir = /run/x\nmax_clients = 100000\nmax_clients_per_user = 1\nlog_level "
        "= debug\n",
        "[arena default]\nsize = 1M\nsessions = 1\npersist = no\nkeep_free = 0\nread = *\nwrite = "
        "root 0 @root, @0\n",
        "[arena default]\nsize=64G\n[arena a-b_3]\n   size = 1048576\n",
        "[arena only-a-name]\n",
        "[arena x]\nmax_bytes_per_user = 64M\nmax_objects_per_user = 1000000\n"
        "max_sessions_per_user = 1\nmax_objects_per_session = 0\n",
        "[broker]\nlog_level = info ; said twice\n",
        "[arena x]\nsnapshots = yes\nsnapshot_interval = 0\nsnapshot_keep = 1000\nsnapshot_dir = "
        "/x\n",
        "[arena x]\nsnapshot_interval = 366d\n[arena y]\nsnapshot_interval = 1s\n",
        "[zmq]\nipc = no\ntcp = 127.0.0.1:5555 [::1]:5555\nserver_key = /k\nclients = /c\n",
        "[zmq]\nmax_message = 1G\nmax_sessions = 65536\nmax_pending = 1\nsession_memory = 4K\n"
        "max_queued = 65536\nmax_unread = 4K\n"
        "memory = 64M\ntimeout = 1s\nmax_timeout = 1d\n",
    };
    char text[2000];

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        cr_assert_eq(check(good[i], text), 0, "%s: %s", good[i], text);
        cr_assert_str_empty(text);
    }
}

Test(config, what_is_wrong_is_named_with_its_line)
{
    static const struct {
        const char *config, *where, *what;
    } bad[] = {
        {"\n[broker]\nmax_clents = 5\n", ":3: ", "no such key"},
        {"[broker]\nmax_clients = 0\n", ":2: ", "from 1 to 100000"},
        {"[zmq]\nipc = maybe\n", ":2: ", "yes or no"},
        {"[zmq]\nsize = 1G\n", ":2: ", "no such key"},
        {"[broker]\nipc = yes\n", ":2: ", "no such key"},
        {"[zmq]\ntcp = 127.0.0.1\n", ":2: ", "HOST:PORT"},
        {"[zmq]\ntcp = 127.0.0.1:5x\n", ":2: ", "HOST:PORT"},
        {"[zmq]\ntcp = 127.0.0.1:5555\nclients = /c\n", ":2: ", "needs server_key and clients"},
        {"[zmq]\nserver_key = key\n", ":2: ", "absolute path"},
        {"[zmq]\nmax_message = 1\n", ":2: ", "1K to 1G"},
        {"[zmq]\nsession_memory = 1K\n", ":2: ", "4K or more"},
        {"[zmq]\nmemory = 1M\n", ":2: ", "64M or more"},
        {"[zmq]\nmax_pending = 0\n", ":2: ", "from 1 to 65536"},
        {"[zmq]\nmax_queued = 65537\n", ":2: ", "from 1 to 65536"},
        {"[zmq]\nmax_unread = 4095\n", ":2: ", "4K or more"},
        {"[zmq]\nmax_unread = 1025G\n", ":2: ", "up to 1024G"},
        {"[zmq]\ntimeout = 0\n", ":2: ", "from 1s to 1d"},
        {"[zmq]\ntimeout = 10\n", ":2: ", "a time such as 10s"},
        {"[zmq]\nmax_timeout = 2d\n", ":2: ", "from 1s to 1d"},
        {"[broker]\nmax_clients = 5x\n", ":2: ", "from 1 to 100000"},
        {"[broker]\nmax_clients = -5\n", ":2: ", "from 1 to 100000"},
        {"[broker]\nmax_clients = 99999999999999999999\n", ":2: ", "from 1 to 100000"},
        {"[broker]\nmax_clients = 5\nmax_clients = 6\n", ":3: ", "already"},
        {"[broker]\nlog_level = loud\n", ":2: ", "error, warning, info or debug"},
        {"[broker]\nruntime_dir = run\n", ":2: ", "absolute path"},
        {"[broker]\nsize = 1G\n", ":2: ", "no such key"},
        {"[brokers]\nmax_clients = 5\n", ":1: ", "no section"},
        {"max_clients = 5\n", ":1: ", "before the first section"},
        {"[arena default]\nmax_clients = 5\n", ":2: ", "no such key"},
        {"[arena default]\nsize = 1023K\n", ":2: ", "1M to 64G"},
        {"[arena default]\nsize = 65G\n", ":2: ", "1M to 64G"},
        {"[arena default]\nsize = 18446744073709551615G\n", ":2: ", "number of bytes"},
        {"[arena default]\nsize = 1GB\n", ":2: ", "number of bytes"},
        {"[arena default]\nsessions = 8193\n", ":2: ", "from 1 to 8192"},
        {"[arena default]\nmax_bytes_per_user = much\n", ":2: ", "number of bytes"},
        {"[arena default]\nmax_objects_per_user = 1000001\n", ":2: ", "0 for no limit"},
        {"[arena default]\nmax_sessions_per_user = -1\n", ":2: ", "0 for no limit"},
        {"[arena default]\nmax_objects_per_session = 1K\n", ":2: ", "0 for no limit"},
        {"[arena default]\npersist = maybe\n", ":2: ", "yes or no"},
        {"[arena default]\nsnapshots = 5\n", ":2: ", "yes or no"},
        {"[arena default]\nsnapshot_interval = 5\n", ":2: ", "30s, 5m, 1h or 7d"},
        {"[arena default]\nsnapshot_interval = 367d\n", ":2: ", "30s, 5m, 1h or 7d"},
        {"[arena default]\nsnapshot_interval = -1s\n", ":2: ", "30s, 5m, 1h or 7d"},
        {"[arena default]\nsnapshot_keep = 0\n", ":2: ", "from 1 to 1000"},
        {"[arena default]\nsnapshot_dir = here\n", ":2: ", "absolute path"},
        {"[arena default]\nread = no-such-user-here\n", ":2: ", "no such user"},
        {"[arena default]\nwrite = root @no-such-group-here\n", ":2: ", "no such group"},
        {"[arena a b]\n", ":1: ", "letters, digits"},
        {"[arena x]\n[arena x]\n", ":2: ", "already"},
        {"[arena 01234567890123456789012345678901234567890]\n", ":1: ", "40 letters"},
        {"[arena 0123456789012345678901234567890123456789012345678901234567890]\n", ":1: ", "long"},
        {"[broker]\nnonsense\n", ":2: ", "no \"key = value\""},
        {"[broker\n", ":1: ", "no [section]"},
        /* An indented line is no continuation, and a wrong line does not hide the next one. */
        {"[broker]\nlog_level = info\n  debug\n", ":3: ", "no \"key = value\""},
        {"[broker]\nmax_clients = x\nlog_level = y\n", ":3: ", "log_level"},
    };
    char text[2000];

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(check(bad[i].config, text), 1, "%s: %s", bad[i].config, text);
        cr_assert_not_null(strstr(text, path), "%s: %s", bad[i].config, text);
        cr_assert_not_null(strstr(text, bad[i].where), "%s: %s", bad[i].config, text);
        cr_assert_not_null(strstr(text, bad[i].what), "%s: %s", bad[i].config, text);
    }
}

Test(config, a_line_that_is_too_long_is_refused_and_not_cut)
{
    char config[1000] = "[broker]\nlog_level = info ", text[2000];

    memset(config + strlen(config), ' ', 300);
    (void)strcat(config, "\nmax_clients = 5\n");
    cr_assert_eq(check(config, text), 1);
    cr_assert_not_null(strstr(text, ":2: the line is longer"), "%s", text);
    cr_assert_null(strstr(text, ":3:"));
}

Test(config, a_file_that_was_asked_for_must_be_there)
{
    char text[2000];

    cr_assert_eq(check_file("/nonexistent/brokerd.conf", text), 1);
    cr_assert_not_null(strstr(text, "/nonexistent/brokerd.conf"));
}

Test(config, drop_ins_beside_the_file_are_checked_too)
{
    char dir[64], drop_in[80], text[2000];
    FILE *f;

    (void)snprintf(dir, sizeof(dir), "%s.d", path);
    (void)snprintf(drop_in, sizeof(drop_in), "%s/x.conf", dir);
    cr_assert_eq(mkdir(dir, 0700), 0);
    f = fopen(drop_in, "we");
    cr_assert(f != NULL && fputs("[broker]\nmax_clients = many\n", f) >= 0 && fclose(f) == 0);
    cr_assert_eq(check("[broker]\nmax_clients = 5\n", text), 1);
    cr_assert_not_null(strstr(text, drop_in), "%s", text);
    cr_assert_not_null(strstr(text, ":2: max_clients = many"), "%s", text);
    (void)unlink(drop_in);
    (void)rmdir(dir);
}

/* The lines "  key = default" of --help. */
Test(config, the_shipped_file_is_good_and_explains_every_key)
{
    const char *const arguments[] = {"brokerd", "--help", NULL};
    const char *file = getenv("BROKERD_CONF");
    char help[16000], text[2000], conf[16000], key[64];
    unsigned n_keys = 0;
    FILE *f;

    cr_assert_not_null(file);
    cr_assert_eq(check_file(file, text), 0, "%s", text);
    f = fopen(file, "re");
    cr_assert_not_null(f);
    conf[fread(conf, 1, sizeof(conf) - 1, f)] = '\0';
    (void)fclose(f);
    cr_assert_eq(instance_run(arguments, help, sizeof(help)), 0);
    for (char *line = strtok(help, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char wanted[80], name[64];

        if (sscanf(line, "  %63[a-z_] %63[=]", name, key) != 2)
            continue;
        (void)snprintf(wanted, sizeof(wanted), "\n#%s =", name);
        cr_assert_not_null(strstr(conf, wanted), "%s is not explained", name);
        n_keys++;
    }
    cr_assert_eq(n_keys, 31);
}

Test(config, commented_lines_of_the_shipped_file_are_good_as_they_stand)
{
    FILE *in = fopen(getenv("BROKERD_CONF"), "re"), *out = fopen(path, "we");
    char line[400], text[2000];

    cr_assert(in != NULL && out != NULL);
    while (fgets(line, sizeof(line), in) != NULL) {
        bool is_key = line[0] == '#' && line[1] != ' ' && line[1] != '\n';

        if (strstr(line, "@broker") == NULL) /* a group that only an installation makes */
            (void)fputs(is_key ? line + 1 : line, out);
    }
    (void)fclose(in);
    (void)fclose(out);
    cr_assert_eq(check_file(path, text), 0, "%s", text);
}
