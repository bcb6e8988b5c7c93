// SPDX-License-Identifier: GPL-3.0-or-later
// From the document to the draft: each heading and key finds its row in the table, or a sentence that says which was
// probably meant.
#pragma once

#include "config/draft.h"

namespace postern::config {

void read_document(const Value& root, Draft& draft);

}  // namespace postern::config
