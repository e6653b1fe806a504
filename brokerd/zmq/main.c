/*
 * main.c - brokerd-zmq: see server.h
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <systemd/sd-daemon.h>

#include "log.h"
#include "loop.h"
#include "request.h"
#include "router.h"
#include "sandbox.h"
#include "serve.h"
#include "session.h"

/* Sessions end before the process does. */
static int on_stop(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
    struct zmqd *z = arg;

    (void)info;
    for (struct zmqd_session *s = z->first_session, *next; s != NULL; s = next) {
        next = s->next;
        zmqd_session_end(s, true);
    }
    zmqd_work(z, 0);
    return sd_event_exit(sd_event_source_get_event(source), EXIT_SUCCESS);
}

static int on_reload(sd_event_source *source, const struct signalfd_siginfo *info, void *arg)
{
    struct zmqd *z = arg;

    (void)source;
    (void)info;
    zmqd_router_reload(z);
    zmqd_work(z, 0);
    return 0;
}

static bool start_events(struct zmqd *z)
{
    if (brokerd_loop_new(&z->event, on_stop, on_reload, z) >= 0)
        return true;
    brokerd_log(LOG_ERR, NULL, "cannot make an event loop");
    return false;
}

static bool start(struct zmqd *z)
{
    if (!start_events(z))
        return false;
    if (zmqd_requests_start() < 0) {
        brokerd_log(LOG_ERR, NULL, "no memory");
        return false;
    }
    z->park = zmqd_park_new(z->event, zmqd_worker_resume);
    return z->park != NULL && zmqd_sessions_start(z) && zmqd_router_start(z) &&
           zmqd_sandbox_filter();
}

/* Sessions that could not end, because somebody stopped is in the way, are the broker's to end. */
static void stop(struct zmqd *z)
{
    zmqd_router_stop(z);
    if (z->n_sessions > 0)
        return;
    zmqd_peers_free(z);
    zmqd_park_free(z->park);
    zmqd_workers_free(z);
    zmqd_sessions_free(z);
    zmqd_requests_free();
    broker_buffer_free(&z->answer);
    z->event = sd_event_unref(z->event);
}

int main(int argc, char **argv)
{
    struct zmqd z = {.last_job = NULL};
    int r = EXIT_FAILURE;

    brokerd_log_open();
    zmqd_settings_parse(argc, argv, &z.settings);
    brokerd_log_level(z.settings.log_level);
    z.last_job = &z.first_job;
    if (zmqd_sandbox_limit(z.settings.memory) && start(&z)) {
        brokerd_log(LOG_INFO, NULL, "brokerd-zmq %s is ready at %s", broker_version(),
            z.settings.ipc != NULL ? z.settings.ipc : z.settings.tcp);
        (void)sd_notify(0, "READY=1");
        r = zmqd_serve(&z);
    }
    if (r < 0)
        brokerd_log(LOG_ERR, NULL, "the event loop failed: %s", strerror(-r));
    stop(&z);
    return r < 0 ? EXIT_FAILURE : r;
}
