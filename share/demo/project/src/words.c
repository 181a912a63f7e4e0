#include "words.h"

#include <ctype.h>

size_t count_words(const char *text)
{
    size_t words = 0;
    int in_word = 0;

    for (; *text != '\0'; text++) {
        int blank = isspace((unsigned char)*text);
        if (!blank && !in_word)
            words++;
        in_word = !blank;
    }
    return words;
}
