/*
 * zap.c - see zap.h
 */
#include "zap.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "source.h"

#define ENDPOINT "inproc://zeromq.zap.01"
#define LOCAL "local"
#define REMOTE "remote"
#define KEY_BYTES 32u
#define NAME_ROOM 96 /* for a name of ours */
#define MAX_FRAMES 16u
#define FRAME_MAX 255u
/* In the stable library, though its header has it among the drafts. */
#define OPTION_ENFORCE_DOMAIN 93

struct zmqd_zap {
    void *socket;
    struct zmqd_source *source;
    const struct zmqd_clients *clients;
    struct brokerd_rate refused;
};

enum frame { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, CREDENTIALS, N_FRAMES };

/* A question of libzmq; texts are NUL-terminated. */
struct question {
    char frames[N_FRAMES][FRAME_MAX + 1];
    size_t sizes[N_FRAMES];
    unsigned n_frames;
    bool is_odd; /* a frame is too long, or there are too many */
};

/* ---- who it is ---- */

/* "localhost:UID:GID:PID", as libzmq writes what the kernel says. */
static bool parse_address(const char *text, struct zmqd_caller *out)
{
    char again[64];
    uint32_t uid, gid;
    int32_t pid;

    if (sscanf(text, "localhost:%" SCNu32 ":%" SCNu32 ":%" SCNd32, &uid, &gid, &pid) != 3)
        return false;
    (void)snprintf(
        again, sizeof(again), "localhost:%" PRIu32 ":%" PRIu32 ":%" PRId32, uid, gid, pid);
    if (strcmp(again, text) != 0 || pid <= 0)
        return false;
    *out = (struct zmqd_caller){.uid = uid, .gid = gid, .pid = pid};
    return true;
}

/* What the answer calls the peer: its messages bear that. False: it is refused. */
static bool name_peer(const struct zmqd_zap *zap, const struct question *q, char user[NAME_ROOM])
{
    const struct zmqd_client *client;
    struct zmqd_caller caller;
    char key[ZMQD_KEY_TEXT];

    if (q->is_odd || strcmp(q->frames[VERSION], "1.0") != 0)
        return false;
    if (strcmp(q->frames[DOMAIN], LOCAL) == 0) {
        if (strcmp(q->frames[MECHANISM], "NULL") != 0 ||
            !parse_address(q->frames[ADDRESS], &caller))
            return false;
        (void)snprintf(user, NAME_ROOM, LOCAL ":%.63s", q->frames[ADDRESS]);
        return true;
    }
    if (strcmp(q->frames[DOMAIN], REMOTE) != 0 || strcmp(q->frames[MECHANISM], "CURVE") != 0 ||
        q->n_frames != N_FRAMES || q->sizes[CREDENTIALS] != KEY_BYTES ||
        zmq_z85_encode(key, (const uint8_t *)q->frames[CREDENTIALS], KEY_BYTES) == NULL)
        return false;
    client = zmqd_clients_by_key(zap->clients, key);
    if (client == NULL)
        return false;
    (void)snprintf(user, NAME_ROOM, REMOTE ":%s", client->name);
    return true;
}

const char *zmqd_zap_name(zmq_msg_t *message)
{
    const char *user = zmq_msg_gets(message, "User-Id");

    return user != NULL && (strncmp(user, LOCAL ":", strlen(LOCAL ":")) == 0 ||
                               strncmp(user, REMOTE ":", strlen(REMOTE ":")) == 0)
               ? user
               : NULL;
}

bool zmqd_zap_caller(const struct zmqd_zap *zap, const char *name, struct zmqd_caller *out_caller)
{
    struct zmqd_caller caller = {.client = NULL};

    if (strncmp(name, LOCAL ":", strlen(LOCAL ":")) == 0) {
        if (!parse_address(name + strlen(LOCAL ":"), &caller))
            return false;
    } else {
        if (strncmp(name, REMOTE ":", strlen(REMOTE ":")) != 0)
            return false;
        caller.client = zmqd_clients_by_name(zap->clients, name + strlen(REMOTE ":"));
        if (caller.client == NULL)
            return false;
    }
    *out_caller = caller;
    return true;
}

/* ---- answering ---- */

static void take_frame(struct question *q, zmq_msg_t *frame)
{
    size_t size = zmq_msg_size(frame);
    unsigned i = q->n_frames++;

    if (i >= N_FRAMES || size > FRAME_MAX) {
        q->is_odd = true;
        return;
    }
    memcpy(q->frames[i], zmq_msg_data(frame), size);
    q->frames[i][size] = '\0';
    q->sizes[i] = size;
    if (i != ROUTING_ID && i != CREDENTIALS && i != REQUEST_ID)
        q->is_odd |= strlen(q->frames[i]) != size;
}

/* False if there is none. */
static bool receive(const struct zmqd_zap *zap, struct question *out)
{
    zmq_msg_t frame;
    int more = 1;

    while (more != 0) {
        (void)zmq_msg_init(&frame);
        if (zmq_msg_recv(&frame, zap->socket, ZMQ_DONTWAIT) < 0) {
            (void)zmq_msg_close(&frame);
            return false;
        }
        take_frame(out, &frame);
        more = zmq_msg_more(&frame);
        (void)zmq_msg_close(&frame);
    }
    return true;
}

/* An answer that cannot be sent leaves the connection without one: it is not let in. */
static void reply(const struct zmqd_zap *zap, const struct question *q, const char *user)
{
    const char *code = user != NULL ? "200" : "400", *text = user != NULL ? "OK" : "refused";
    const int flags = ZMQ_SNDMORE | ZMQ_DONTWAIT;

    if (user == NULL)
        user = "";
    if (zmq_send(zap->socket, "1.0", 3, flags) < 0 ||
        zmq_send(zap->socket, q->frames[REQUEST_ID], q->sizes[REQUEST_ID], flags) < 0 ||
        zmq_send(zap->socket, code, strlen(code), flags) < 0 ||
        zmq_send(zap->socket, text, strlen(text), flags) < 0 ||
        zmq_send(zap->socket, user, strlen(user), flags) < 0 ||
        zmq_send(zap->socket, "", 0, ZMQ_DONTWAIT) < 0)
        brokerd_log(LOG_WARNING, NULL, "cannot answer libzmq: %s", zmq_strerror(zmq_errno()));
}

static bool take(void *arg)
{
    struct zmqd_zap *zap = arg;
    struct question q = {.n_frames = 0};
    char user[NAME_ROOM];
    bool ok;

    if (!receive(zap, &q))
        return false;
    ok = name_peer(zap, &q, user);
    if (!ok && brokerd_log_allowed(&zap->refused))
        brokerd_log(LOG_WARNING, NULL, "turned a ZeroMQ peer away (domain %s, %s, %s)",
            q.frames[DOMAIN], q.frames[MECHANISM], q.frames[ADDRESS]);
    reply(zap, &q, ok ? user : NULL);
    return true;
}

/* ---- starting and binding ---- */

bool zmqd_zap_start(sd_event *event, void *context, struct zmqd_zap **out_zap)
{
    struct zmqd_zap *zap = calloc(1, sizeof(*zap));
    int linger = 0;

    if (zap != NULL)
        zap->socket = zmq_socket(context, ZMQ_REP);
    if (zap == NULL || zap->socket == NULL ||
        zmq_setsockopt(zap->socket, ZMQ_LINGER, &linger, sizeof(linger)) != 0 ||
        zmq_bind(zap->socket, ENDPOINT) != 0 ||
        zmqd_source_new(event, zap->socket, take, zap, &zap->source) < 0) {
        brokerd_log(LOG_ERR, NULL, "cannot make the socket for authentication");
        zmqd_zap_stop(zap);
        return false;
    }
    *out_zap = zap;
    return true;
}

void zmqd_zap_stop(struct zmqd_zap *zap)
{
    if (zap == NULL)
        return;
    zmqd_source_free(zap->source);
    if (zap->socket != NULL)
        (void)zmq_close(zap->socket);
    free(zap);
}

void zmqd_zap_use(struct zmqd_zap *zap, const struct zmqd_clients *clients)
{
    zap->clients = clients;
}

/* Sets what makes libzmq ask, and looks whether it is set. */
static bool set_domain(void *socket, const char *domain)
{
    char found[32] = "";
    size_t size = sizeof(found);
    int enforce = 1;

    return zmq_setsockopt(socket, ZMQ_ZAP_DOMAIN, domain, strlen(domain)) == 0 &&
           zmq_setsockopt(socket, OPTION_ENFORCE_DOMAIN, &enforce, sizeof(enforce)) == 0 &&
           zmq_getsockopt(socket, ZMQ_ZAP_DOMAIN, found, &size) == 0 && strcmp(found, domain) == 0;
}

static bool has_mechanism(void *socket, int wanted)
{
    int found = -1;
    size_t size = sizeof(found);

    return zmq_getsockopt(socket, ZMQ_MECHANISM, &found, &size) == 0 && found == wanted;
}

static bool bind_socket(void *socket, const char *endpoint)
{
    if (zmq_bind(socket, endpoint) == 0)
        return true;
    brokerd_log(LOG_ERR, NULL, "cannot bind %s: %s", endpoint, zmq_strerror(zmq_errno()));
    return false;
}

bool zmqd_zap_bind_ipc(void *socket, const char *endpoint)
{
    int no = 0;

    if (strncmp(endpoint, "ipc://", 6) == 0 && set_domain(socket, LOCAL) &&
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &no, sizeof(no)) == 0 &&
        has_mechanism(socket, ZMQ_NULL))
        return bind_socket(socket, endpoint);
    brokerd_log(LOG_ERR, NULL, "cannot guard %s: it is not bound", endpoint);
    return false;
}

bool zmqd_zap_bind_tcp(void *socket, const char *endpoint, const char *secret)
{
    int yes = 1;

    if (strncmp(endpoint, "tcp://", 6) == 0 && set_domain(socket, REMOTE) &&
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &yes, sizeof(yes)) == 0 &&
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, secret, strlen(secret) + 1) == 0 &&
        has_mechanism(socket, ZMQ_CURVE))
        return bind_socket(socket, endpoint);
    brokerd_log(LOG_ERR, NULL, "cannot guard %s: it is not bound", endpoint);
    return false;
}
