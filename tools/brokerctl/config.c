/*
 * config.c - the configuration as the files say it: config show
 *
 * The files are read here, as brokerd would read them at its next start or reload; the daemon is
 * not asked. Which files depends on the instance that the address names.
 */
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/address.h"
#include "client/attach.h"
#include "config.h"
#include "ctl.h"
#include "fail.h"
#include "objects/pack.h"
#include "options.h"
#include "print.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

enum {
    OPTION_ORIGIN = CTL_OPTION_OWN,
    OPTION_CONFIG,
};

struct show {
    bool origin;
    const char *file;
};

static const struct argp_option options[] = {
    {"origin", OPTION_ORIGIN, NULL, 0, "also where each value comes from: file and line", 0},
    {"config", OPTION_CONFIG, "FILE", 0, "as if brokerd had been started with --config FILE", 0},
    {0},
};

static error_t take_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct show *show = own;

    (void)state;
    switch (key) {
    case OPTION_ORIGIN:
        show->origin = true;
        return 0;
    case OPTION_CONFIG:
        show->file = arg;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void complain(const char *text)
{
    (void)ctl_fail(BROKER_INVALID, "%s", text);
}

/*
 * What is between @dir and "/attach" in @path, with the "-" of a named instance: NULL if it does
 * not lie there, "" for the one without a name. In @store (BROKERD_NAME_MAX + 1 bytes).
 */
static const char *name_below(const char *path, const char *dir, char *store)
{
    size_t n = strlen(dir);
    const char *end = strrchr(path, '/');

    if (strncmp(path, dir, n) != 0 || end == NULL || end < path + n)
        return NULL;
    if (path + n == end)
        return "";
    if (path[n] != '-' || (size_t)(end - path) - n - 1 > BROKERD_NAME_MAX)
        return NULL;
    (void)snprintf(
        store, BROKERD_NAME_MAX + 1, "%.*s", (int)(end - path - (long)n) - 1, path + n + 1);
    return brokerd_name_ok(store) ? store : NULL;
}

/* Where the files of the instance lie; false if the address does not tell which instance. */
static bool find_places(
    const struct bri_address *address, bool *out_of_system, struct brokerd_config_source *out)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    char store[BROKERD_NAME_MAX + 1], dir[BROKERD_PATH_MAX];
    const char *name = name_below(address->path, BRI_SYSTEM_DIR, store);

    *out_of_system = name != NULL;
    if (name == NULL && runtime != NULL &&
        snprintf(dir, sizeof(dir), "%s/brokerd", runtime) < (int)sizeof(dir))
        name = name_below(address->path, dir, store);
    if (name == NULL)
        return false;
    brokerd_config_places(*out_of_system, name[0] != '\0' ? name : NULL, out);
    return true;
}

/* As the daemon of that instance has it: it runs as a user of its own, if there is one. */
static void set_base(bool of_system, char words[32], struct brokerd_config_base *out)
{
    static char state_dir[BROKERD_PATH_MAX];
    const struct passwd *owner = of_system ? getpwnam("broker") : NULL;
    unsigned uid = owner != NULL ? (unsigned)owner->pw_uid : of_system ? 0 : (unsigned)geteuid();

    brokerd_config_state(of_system, state_dir);
    (void)snprintf(words, 32, of_system && uid != 0 ? "0 %u" : "%u", uid);
    *out = (struct brokerd_config_base){.arena_write = words,
        .group = of_system ? "@broker" : NULL,
        .log_level = "info",
        .state_dir = state_dir,
        .persist = true,
        .zmq = true,
        .complain = complain};
}

/* ---- printing ---- */

struct listing {
    struct bri_pack *pack;
    bool origin;
};

static bool count_line(void *arg, const struct brokerd_config_line *line)
{
    (void)line;
    (*(uint32_t *)arg)++;
    return true;
}

static bool pack_line(void *arg, const struct brokerd_config_line *line)
{
    const struct brokerd_setting *setting = &line->setting;
    struct listing *l = arg;
    char section[BROKERD_NAME_MAX + 16];

    if (line->arena != NULL)
        (void)snprintf(section, sizeof(section), "arena %s", line->arena);
    else
        (void)snprintf(section, sizeof(section), "%s", line->section);
    bri_pack_map(l->pack, l->origin ? 5 : 3);
    bri_pack_entry(l->pack, "section", broker_str(section));
    bri_pack_entry(l->pack, "key", broker_str(line->key));
    bri_pack_entry(l->pack, "value", broker_str(setting->value != NULL ? setting->value : ""));
    if (!l->origin)
        return true;
    bri_pack_entry(l->pack, "origin",
        setting->file != NULL ? broker_str(setting->file) : broker_str("default"));
    bri_pack_entry(
        l->pack, "line", setting->file != NULL ? broker_uint(setting->line) : broker_nil());
    return true;
}

static int print_config(
    const struct ctl *ctl, const struct show *show, const struct brokerd_config *config)
{
    static const struct ctl_column columns[] = {
        {"section", "SECTION", CTL_CELL_TEXT},
        {"key", "KEY", CTL_CELL_TEXT},
        {"value", "VALUE", CTL_CELL_TEXT},
        {"origin", "ORIGIN", CTL_CELL_TEXT},
        {"line", "LINE", CTL_CELL_NUMBER},
    };
    const struct ctl_table table = {
        .columns = columns, .n_columns = show->origin ? COUNT(columns) : 3, .none = ""};
    broker_buffer buffer = BROKER_BUFFER_INIT;
    struct bri_pack pack;
    struct listing l = {.pack = &pack, .origin = show->origin};
    uint32_t n = 0;
    broker_value rows;
    int code;

    brokerd_config_each(config, count_line, &n);
    bri_pack_start(&pack, &buffer);
    bri_pack_array(&pack, n);
    brokerd_config_each(config, pack_line, &l);
    code = bri_pack_end(&pack, &rows) < 0 ? ctl_fail(BROKER_NOMEM, "no memory for the answer")
                                          : ctl_print_rows(ctl, &table, rows);
    broker_buffer_free(&buffer);
    return code;
}

static int show_config(struct ctl *ctl, const struct show *show)
{
    struct brokerd_config_source source = {0};
    struct brokerd_config_base base;
    struct brokerd_config *config;
    struct bri_address address;
    bool of_system = false;
    char words[32];
    int code, r = bri_address_parse(ctl->address, &address);

    if (r < 0)
        return ctl_fail_last(r);
    if (!find_places(&address, &of_system, &source) && show->file == NULL)
        return ctl_fail(BROKER_NOTFOUND,
            "the address does not tell where the configuration is: name it with --config FILE");
    source.file = show->file;
    set_base(of_system, words, &base);
    if (!brokerd_config_read(&source, &base, &config))
        return ctl_exit_code(BROKER_INVALID);
    code = print_config(ctl, show, config);
    brokerd_config_free(config);
    return code;
}

int ctl_cmd_config(struct ctl *ctl, int argc, char **argv)
{
    struct show show = {0};
    const struct ctl_syntax syntax = {.title = "config",
        .args_doc = "show",
        .prints_table = true,
        .doc = "The configuration as the files say it, key by key, with the defaults of the "
               "others.\vThe files are those of the instance at the address; "
               "a running brokerd has read them at its start or its last reload.",
        .options = options,
        .option = take_option,
        .own = &show,
        .min_words = 1,
        .max_words = 1};
    struct ctl_words words;
    int code;

    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    if (strcmp(words.words[0], "show") == 0)
        code = show_config(ctl, &show);
    else
        code = ctl_fail_usage(
            "config has no command \"%s\"; did you mean \"config show\"?", words.words[0]);
    free(words.words);
    return code;
}
