// SPDX-License-Identifier: GPL-3.0-or-later
// MariaDB and MySQL for SqlSource. The only file that knows their library is the .cc.
#pragma once

#include "helper/sources/sql_source.h"

namespace postern::helper {

// The settings host or hosts, port, socket, database, user, password_file, those of TLS, and query.
SqlOptions read_mariadb(TableReader& reader);

}  // namespace postern::helper
