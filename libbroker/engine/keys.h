/*
 * keys.h - files with CURVE keys
 *
 * Text: lines `public = KEY` and `secret = KEY`, each key 40 characters of Z85; empty lines and
 * lines that begin with # are skipped. A file with a secret key may be read by its owner alone.
 */
#ifndef BRI_ENGINE_KEYS_H
#define BRI_ENGINE_KEYS_H

#define BRI_KEY_TEXT 41 /* a key with its NUL */

struct bri_keys {
    char public[BRI_KEY_TEXT];
    char secret[BRI_KEY_TEXT]; /* empty if there is none */
};

/* Reads a file. ADDRESS, ACCESS, SYSTEM, each with a sentence that names it. */
int bri_keys_read(const char *path, struct bri_keys *out_keys);

#endif
