/*
 * save.c - `brokerctl save`: the daemon saves the arena now
 */
#include <stdio.h>

#include "client/attach.h"
#include "ctl.h"
#include "fail.h"
#include "options.h"
#include "print.h"

int ctl_cmd_save(struct ctl *ctl, int argc, char **argv)
{
    char path[BRI_ATTACH_TEXT];
    int r, code;

    if (!ctl_parse_none(ctl, "save",
            "Have the daemon save the arena to a snapshot now, and print where it is. The arena's "
            "configuration needs `snapshots = yes`; the daemon loads the last snapshot when it "
            "starts and there is no arena in memory.",
            argc, argv))
        return 0;
    code = ctl_refuse_offline(ctl, "save");
    if (code == 0)
        code = ctl_connect(ctl);
    if (code != 0)
        return code;
    r = bri_attach_save(ctl->broker, path);
    if (r < 0)
        return ctl_fail_last(r);
    return ctl->quiet ? 0 : ctl_print_json(ctl, broker_str(path));
}
