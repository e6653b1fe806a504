/*
 * folder.h - a folder of its own for a test. What fails in here ends the test.
 */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

/* Makes one out of @template, as mkdtemp() does. */
void folder_make(char *template);

/* Writes a file below it, and the folders that lead to it. */
void folder_put(const char *folder, const char *name, const char *text);

/* Removes it with all that is in it. */
void folder_remove(const char *folder);

#endif
