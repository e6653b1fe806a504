/*
 * chunks.h - where runs of free pages are, without looking at every page
 *
 * The page table alone says which pages are free. Beside it lies one word for each chunk of
 * BRI_CHUNK_PAGES pages, with the lengths of free runs in it, and for each short length a page
 * below which there is none. Both are hints: never less than there is but between a death and the
 * next count, and whoever finds that they promise too much puts them right.
 */
#ifndef BRI_CHUNKS_H
#define BRI_CHUNKS_H

#include "core/arena.h"

/* What a chunk has, in pages. */
struct bri_chunk {
    uint32_t head, longest, tail; /* free runs: from its beginning, anywhere, up to its end */
    uint32_t n_punched;           /* the system has their memory */
    uint32_t n_free, n_used;      /* known after a survey only */
};

/* Pages that have memory behind them, as far as this arena's own bounds allow. */
uint32_t bri_pages_committed(const struct bri_arena *a);

/* The lowest run of @n pages that were free a moment ago; 0 if there is none. */
uint32_t bri_chunks_find(struct bri_arena *a, uint32_t n);

/* Notes that the @n pages from @page have become free. */
void bri_chunks_note_free(struct bri_arena *a, uint32_t page, uint32_t n);

/* What is known of chunk number @chunk. */
struct bri_chunk bri_chunk_known(const struct bri_arena *a, uint32_t chunk);

/* Looks at each page of the chunk, and notes what is found unless something became free meanwhile.
 */
struct bri_chunk bri_chunk_survey(struct bri_arena *a, uint32_t chunk);

/* Has all searches begin at the first page again. */
void bri_chunks_rewind(struct bri_arena *a);

#endif
