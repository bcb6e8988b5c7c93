// SPDX-License-Identifier: GPL-3.0-or-later
// PostgreSQL for SqlSource. The only file that knows libpq is the .cc.
#pragma once

#include "helper/sources/sql_source.h"

namespace postern::helper {

// The settings connection, password_file and query.
SqlOptions read_postgresql(TableReader& reader);

}  // namespace postern::helper
