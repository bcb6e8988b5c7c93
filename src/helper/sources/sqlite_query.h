// SPDX-License-Identifier: GPL-3.0-or-later
// SQLite files of others for SqlSource: any schema, opened for reading only.
#pragma once

#include "helper/sources/sql_source.h"

namespace postern::helper {

// The settings database, busy_timeout (for which the source's time-out stands here) and query.
SqlOptions read_sqlite_query(TableReader& reader);

}  // namespace postern::helper
