/*
 * create.c - `brokerctl TYPE create NAME`, with the options of the type's schema
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fail.h"
#include "object.h"
#include "options.h"
#include "words.h"

#define EXIST_OK (CTL_OPTION_OWN + CTL_MAX_OPTIONS)

struct create {
    const struct ctl_type *type;
    broker_mode mode;
    broker_value values[CTL_MAX_OPTIONS]; /* nil: not given */
    broker_buffer buffer;                 /* in which options are read */
};

static int read_option(struct create *c, int i, const char *arg, struct ctl_remark *why)
{
    const struct ctl_option *option = &c->type->options[i];
    const struct ctl_parameter parameter = {option->kind, option->name, CTL_FORM_JSON};

    return ctl_read_argument(
        &parameter, (struct ctl_text){arg, strlen(arg)}, &c->buffer, &c->values[i], why);
}

static error_t parse_option(int key, char *arg, struct argp_state *state, void *own)
{
    struct create *c = own;
    const struct ctl_option *option;
    struct ctl_remark why;
    int i = key - CTL_OPTION_OWN;

    if (key == EXIST_OK) {
        c->mode = BROKER_OPEN_OR_CREATE;
        return 0;
    }
    if (i < 0 || i >= (int)c->type->n_options)
        return ARGP_ERR_UNKNOWN;
    option = &c->type->options[i];
    if (option->kind == BRI_ARG_BOOL)
        c->values[i] = broker_bool(true);
    else if (read_option(c, i, arg, &why) < 0)
        argp_error(state, "%s: %s", option->flag, why.text);
    return 0;
}

static void make_options(const struct ctl_type *type, struct argp_option *list)
{
    unsigned n = 0;

    for (unsigned i = 0; i < type->n_options; i++) {
        const struct ctl_option *option = &type->options[i];
        const char *arg = option->kind == BRI_ARG_DURATION ? "DURATION"
                          : option->kind == BRI_ARG_STRING ? "TEXT"
                          : ctl_is_size(option->name)      ? "SIZE"
                                                           : "N";

        if (option->flag == NULL)
            continue;
        list[n++] = (struct argp_option){option->flag + strlen("--"), CTL_OPTION_OWN + (int)i,
            option->kind == BRI_ARG_BOOL ? NULL : arg, 0, option->doc, 0};
    }
    list[n++] = (struct argp_option){"exist-ok", EXIST_OK, NULL, 0,
        "all is well if it is there already, with the same options", 0};
    list[n] = (struct argp_option){0};
}

/* What no object of the type can be without. */
static int check_needed(const struct create *c)
{
    for (unsigned i = 0; i < c->type->n_options; i++)
        if (c->type->options[i].needed && c->values[i].type == BROKER_NIL)
            return ctl_fail_usage("%s create: %s is missing: %s", c->type->name,
                c->type->options[i].flag, c->type->options[i].doc);
    return 0;
}

int ctl_create(struct ctl *ctl, const struct ctl_type *type, int argc, char **argv)
{
    struct argp_option options[CTL_MAX_OPTIONS + 2];
    struct create c = {.type = type, .mode = BROKER_CREATE};
    char title[64], doc[128];
    const struct ctl_syntax syntax = {.title = title,
        .args_doc = "NAME",
        .doc = doc,
        .options = options,
        .option = parse_option,
        .own = &c,
        .min_words = 1,
        .max_words = 1};
    struct bri_handle *handle;
    struct ctl_words words;
    struct ctl_target target = {type, "create", NULL};
    int code;

    if (type->n_options > CTL_MAX_OPTIONS)
        return ctl_fail(BROKER_INTERNAL, "a %s has too many options", type->name);
    (void)snprintf(title, sizeof(title), "%s create", type->name);
    (void)snprintf(doc, sizeof(doc), "Create a %s that is not there yet.", type->name);
    make_options(type, options);
    if (!ctl_parse(ctl, &syntax, argc, argv, &words))
        return 0;
    broker_buffer_free(&c.buffer);
    code = check_needed(&c);
    target.name = words.words[0];
    free(words.words);
    if (code == 0)
        code = ctl_refuse_offline(ctl, title);
    if (code == 0)
        code = ctl_open_object(ctl, &target, c.mode, c.values, &handle);
    if (code == 0)
        bri_dispatch_close(handle);
    return code;
}
