// SPDX-License-Identifier: GPL-3.0-or-later
// The certificates of all dialogs, as files in a folder that is there as long as the process.
#pragma once

#include <string>

#include "unit/tls/pki.h"

namespace postern::dialog {

// Holds mail.crt and mail.key (mail.example.test), other.* (other.example.test) and ca.crt.
const std::string& certificate_folder();

// What a mail server shows: "store" (store.example.test), "wrong" (wrong.example.test), "stranger" (the right name from an
// authority that nobody trusts), "expired". Throws std::out_of_range for another name.
const tls::test::Leaf& mail_server_certificate(const std::string& name);

}  // namespace postern::dialog
