// SPDX-License-Identifier: GPL-3.0-or-later
// The child process in which PAM's modules run: they block, leak and crash, and here they do it alone.
//
// It is postern-auth itself with a word that no manual has. Its standard input is a socket of whole messages: a PamAsked
// in, a PamAnswer out, one at a time, until the socket ends. Nothing secret stands in its arguments or its environment.
#pragma once

#include <cstddef>
#include <cstdint>

namespace postern::helper {

inline constexpr const char* pam_worker_word = "--pam-worker";

// PAM keeps C strings, and no longer answers than PAM_MAX_RESP_SIZE with their NUL.
struct PamAsked {
  char user[513];      // user_size_max, and a NUL
  char password[512];  // PAM_MAX_RESP_SIZE
  char client[64];     // an address; empty: unknown
};

struct PamAnswer {
  int32_t code = 0;     // PAM_SUCCESS, ...
  char doing[32]{};     // what gave that code: "pam_acct_mgmt"
  char meaning[160]{};  // what PAM calls it
};

// Its exit status. `folder` has the file `service`, as /etc/pam.d has.
int run_pam_worker(const char* service, const char* folder);

}  // namespace postern::helper
