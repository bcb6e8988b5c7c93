// SPDX-License-Identifier: GPL-3.0-or-later
// The one way in to wolfSSL's headers, in the order that they need. Only this folder includes it.

#pragma once

#include <wolfssl/options.h>
// options.h comes first, whatever the alphabet says.
#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/hmac.h>

// wolfSSL's headers define words that are ours too.
#undef CHECK
#include "base/check.h"
