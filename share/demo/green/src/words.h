#ifndef WORDS_H
#define WORDS_H

#include <stddef.h>

/* The number of words in a text; blanks, tabs and line ends lie between them. */
size_t count_words(const char *text);

/* The length of the longest word in a text, 0 without one. */
size_t longest_word(const char *text);

#endif
