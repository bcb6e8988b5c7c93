// SPDX-License-Identifier: GPL-3.0-or-later
#include "pki.h"

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace postern::dialog {
namespace {

using tls::test::authority;
using tls::test::Authority;
using tls::test::Leaf;

struct Folder {
  std::string path;

  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "postern-dialog-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) abort();
    path = name;
    write("ca.crt", authority().pem());
    for (const std::string host : {"mail", "other"}) {
      const Leaf leaf = authority().issue({.dns = {host + ".example.test"}});
      write(host + ".crt", leaf.chain);
      write(host + ".key", leaf.key);
    }
  }
  ~Folder() { std::filesystem::remove_all(path); }

  void write(const std::string& name, const std::string& text) const { std::ofstream(path + "/" + name) << text; }
};

}  // namespace

const std::string& certificate_folder() {
  static const Folder folder;
  return folder.path;
}

const Leaf& mail_server_certificate(const std::string& name) {
  static const std::map<std::string, Leaf> leaves = [] {
    std::map<std::string, Leaf> made;
    made["store"] = authority().issue({.dns = {"store.example.test"}});
    made["wrong"] = authority().issue({.dns = {"wrong.example.test"}});
    made["stranger"] = Authority("A stranger").issue({.dns = {"store.example.test"}});
    made["expired"] = authority().issue({.dns = {"store.example.test"}, .valid_from_s = -3000, .valid_to_s = -60});
    return made;
  }();
  return leaves.at(name);
}

}  // namespace postern::dialog
