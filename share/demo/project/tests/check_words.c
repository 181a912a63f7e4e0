#include "words.h"

#include <stdio.h>

static int failed;

static void check(const char *name, size_t got, size_t expected)
{
    if (got == expected) {
        printf("PASS: %s\n", name);
    } else {
        printf("FAIL: %s: got %zu, expected %zu\n", name, got, expected);
        failed++;
    }
}

int main(void)
{
    check("no words", count_words(""), 0);
    check("one word", count_words("word"), 1);
    check("two words", count_words("two words"), 2);
    check("several blanks", count_words("several  \t blanks"), 2);
    printf("%d failed\n", failed);
    return failed != 0;
}
