/*
 * Shared by the translator's unit tests and its fuzzer: makes small ELF files around bytes of code, and checks that a
 * translation means what the original meant, by decoding both. Knows nothing of how the translator decides.
 */
#ifndef TRANSLATE_CHECK_H
#define TRANSLATE_CHECK_H

#include <stddef.h>
#include <stdint.h>

#include "translate/translate.h"

#define SMALL_ELF_TEXT 0x1000u /* file offset and link-time address of the code */

/* An ELF file with one executable segment and section that hold `code`. Free with free(). */
uint8_t *small_elf(const uint8_t *code, size_t size, size_t *file_size);

/* NULL if all is well, else what is wrong, and where. `orig` is the segment in the file, out->text_used bytes. */
const char *translate_check(const uint8_t *orig, const struct translate_output *out, uint64_t *where);

#endif
