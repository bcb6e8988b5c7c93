// SPDX-License-Identifier: GPL-3.0-or-later
#include "folder.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

namespace postern::certificates::test {

namespace fs = std::filesystem;

Folder::Folder() : path_(testing::TempDir() + "/postern-certificates-XXXXXX") {
  EXPECT_NE(mkdtemp(path_.data()), nullptr);
}

Folder::~Folder() {
  fs::remove_all(path_);
}

std::string Folder::write(const std::string& name, std::string_view bytes) const {
  const fs::path file = path(name);
  fs::create_directories(file.parent_path());
  const fs::path fresh = file.parent_path() / ".fresh";
  std::ofstream(fresh, std::ios::binary) << bytes;
  fs::rename(fresh, file);
  return file;
}

void Folder::write_pair(const std::string& name, const tls::test::Leaf& leaf) const {
  write(name + ".crt", leaf.chain);
  write(name + ".key", leaf.key);
}

void Folder::remove(const std::string& name) const {
  fs::remove_all(path(name));
}

}  // namespace postern::certificates::test
