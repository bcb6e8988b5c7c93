// SPDX-License-Identifier: GPL-3.0-or-later
// Where wolfSSL gets its random bytes. The build forces this header into each of wolfSSL's files (assembly too) and names the function in
// CUSTOM_RAND_GENERATE_BLOCK; src/tls defines it, so a program that links the library without src/tls has to bring its own.
#ifndef POSTERN_RAND_H_
#define POSTERN_RAND_H_

#ifndef __ASSEMBLER__
#ifdef __cplusplus
extern "C" {
#endif

// Fills `out` with `size` unpredictable bytes. Returns 0, or anything else on failure: wolfSSL then gives up what it was doing.
// Called on whichever thread uses wolfSSL at that moment.
int postern_rand_block(unsigned char* out, unsigned int size);

#ifdef __cplusplus
}
#endif
#endif

#endif  // POSTERN_RAND_H_
