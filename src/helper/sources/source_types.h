// SPDX-License-Identifier: GPL-3.0-or-later
// Which types of sources there are: how the settings of each are read, and how it is made from them.
#pragma once

#include "helper/options.h"
#include "helper/table_reader.h"

namespace postern::helper {

// One [[source]]. Nothing: its type is missing or unknown, which `reader` has been told.
std::optional<SourceSetting> read_source(TableReader& reader);

}  // namespace postern::helper
