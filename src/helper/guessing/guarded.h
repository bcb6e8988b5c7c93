// SPDX-License-Identifier: GPL-3.0-or-later
// The Verifier's word, where guessing allows to ask for it.
#pragma once

#include <functional>

#include "helper/guessing/guessing.h"
#include "helper/names.h"
#include "helper/verifier.h"
#include "postern/helper.h"

namespace postern::helper {

// Calls `verify` unless whoever asks is blocked; then the answer is that of a wrong password, which the gate does not
// keep. Tokens and certificates cannot be guessed: their questions pass.
// `names`: however somebody spells a user, it is the same user who is counted.
Decision guarded(Guessing& guessing, const NameRules& names, const postern_question& question,
                 const std::function<Decision()>& verify);

}  // namespace postern::helper
