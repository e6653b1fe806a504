/*
 * graph.c - see graph.h
 */
#include "snapshot/graph.h"

#include <stdlib.h>
#include <string.h>

#include <broker.h>

#include "core/attachment.h"
#include "core/collect.h"

#define FIRST_PLACES 64u

void bri_graph_init(struct bri_graph *g, broker *b)
{
    *g = (struct bri_graph){.broker = b};
}

void bri_graph_fini(struct bri_graph *g)
{
    for (uint32_t i = 1; i <= g->n; i++)
        bri_graph_release(g, i);
    free(g->nodes);
    free(g->places);
    *g = (struct bri_graph){0};
}

/* ---- numbers ---- */

/* Generations are given one after another: spread. */
static uint32_t *place_of(const struct bri_graph *g, uint64_t generation)
{
    uint32_t mask = g->n_places - 1;
    uint32_t i = (uint32_t)(generation * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;

    while (g->places[i] != 0 && g->nodes[g->places[i] - 1].generation != generation)
        i = (i + 1) & mask;
    return &g->places[i];
}

/* Never more than half full. */
static int grow(struct bri_graph *g)
{
    uint32_t n_places = g->n_places != 0 ? 2 * g->n_places : FIRST_PLACES;
    uint32_t *places = calloc(n_places, sizeof(*places));
    struct bri_graph_node *nodes = realloc(g->nodes, n_places / 2 * sizeof(*nodes));

    if (nodes != NULL)
        g->nodes = nodes;
    if (places == NULL || nodes == NULL) {
        free(places);
        return BROKER_NOMEM;
    }
    free(g->places);
    g->places = places;
    g->n_places = n_places;
    g->capacity = n_places / 2;
    for (uint32_t i = 0; i < g->n; i++)
        *place_of(g, g->nodes[i].generation) = i + 1;
    return 0;
}

int bri_graph_add(struct bri_graph *g, uint32_t slot, uint64_t generation, uint32_t *out_number)
{
    uint32_t *place;
    int r = 0;

    if (g->n == g->capacity)
        r = g->n < UINT32_MAX / 4 ? grow(g) : BROKER_LIMIT;
    if (r < 0)
        return r;
    place = place_of(g, generation);
    if (*place == 0) {
        g->nodes[g->n++] = (struct bri_graph_node){.slot = slot, .generation = generation};
        *place = g->n;
    }
    *out_number = *place;
    return 0;
}

/* ---- objects ---- */

static int bind(struct bri_arena *a, uint32_t slot, uint64_t generation, struct bri_object *out)
{
    struct bri_object o;
    int r = slot > a->first_slot + a->n_sessions ? bri_object_bind(a, slot, &o) : BROKER_GONE;

    if (r < 0 || o.generation != generation || atomic_load(&o.slot->status) != BRI_SLOT_LIVE)
        return BROKER_GONE;
    *out = o;
    return 0;
}

int bri_graph_bind(const struct bri_graph *g, uint32_t number, struct bri_object *out_object)
{
    const struct bri_graph_node *node = &g->nodes[number - 1];

    return bind(g->broker->arena, node->slot, node->generation, out_object);
}

int bri_graph_reach(struct bri_graph *g, struct bri_ref ref, uint32_t *out_number)
{
    struct bri_attachment_shm *held = NULL;
    broker *b = g->broker;
    struct bri_object o;
    uint32_t n = g->n;
    int r = bri_ref_is_of(b->arena, ref) ? bind(b->arena, ref.slot, bri_ref_generation(ref), &o)
                                         : BROKER_GONE;

    if (r < 0 || (g->n_places != 0 && *place_of(g, o.generation) != 0))
        return r < 0 ? r : bri_graph_add(g, o.id, o.generation, out_number);
    /* Who may have no more objects open saves it all the same, if it lives until then. */
    if (!b->read_only && atomic_load(&o.slot->anonymous) != 0 &&
        bri_attach(&b->session, &o, &held) == BROKER_GONE)
        return BROKER_GONE;
    r = bri_graph_add(g, o.id, o.generation, out_number);
    if (g->n > n)
        g->nodes[n].held = held;
    return r;
}

void bri_graph_release(struct bri_graph *g, uint32_t number)
{
    struct bri_graph_node *node = &g->nodes[number - 1];
    struct bri_object o = {.att = node->held};

    /* What cannot be given back now goes with the session. */
    if (node->held != NULL)
        (void)bri_detach(&g->broker->session, &o);
    node->held = NULL;
}
