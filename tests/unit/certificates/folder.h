// SPDX-License-Identifier: GPL-3.0-or-later
// Folder: files of a test, gone with it.
#pragma once

#include <string>
#include <string_view>

#include "pki.h"

namespace postern::certificates::test {

class Folder {
 public:
  Folder();
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }
  // Folders on the way are made. As renewals do it, the file takes the former one's place at once.
  std::string write(const std::string& name, std::string_view bytes) const;
  // NAME.crt and NAME.key.
  void write_pair(const std::string& name, const tls::test::Leaf& leaf) const;
  void remove(const std::string& name) const;

 private:
  std::string path_;
};

}  // namespace postern::certificates::test
