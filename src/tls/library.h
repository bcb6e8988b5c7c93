// SPDX-License-Identifier: GPL-3.0-or-later
// The one way in to wolfSSL's headers, in the order that they need. Only this folder includes it.

#pragma once

#ifdef POSTERN_WOLFSSL_OWN
#include <wolfssl/options.h>
// The library's own structures, for what its interface has no call for: see free_handshake_state() in channel.cc.
#include <wolfssl/internal.h>
#else
#include <wolfssl/options.h>
#endif
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/hmac.h>

// wolfSSL's headers define words that are ours too.
#undef CHECK
#include "base/check.h"
