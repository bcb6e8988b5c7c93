// SPDX-License-Identifier: GPL-3.0-or-later
// The files that a configuration names are looked at, and so is the configuration file itself.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/config/sentences.h"

namespace postern::config {
namespace {

// The marks are all that is looked at here; these are no real certificates and keys.
constexpr std::string_view certificate = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";
constexpr std::string_view key = "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n";
constexpr std::string_view ec_key = "-----BEGIN EC PRIVATE KEY-----\nAA==\n-----END EC PRIVATE KEY-----\n";
constexpr std::string_view locked_key =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n";
constexpr std::string_view old_locked_key =
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAA==\n-----END RSA PRIVATE KEY-----\n";

class Files : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/postern-config-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }

  std::string write(const std::string& name, std::string_view bytes, mode_t mode = 0600) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    EXPECT_EQ(chmod(path(name).c_str(), mode), 0);
    return path(name);
  }

  // Loads a file with this certificate section, and returns what is said, without the path of the configuration.
  std::string said(const std::string& chain, const std::string& key_path) const {
    return load("[[tls.certificate]]\nchain = \"" + chain + "\"\nkey = \"" + key_path +
                "\"\n[[listen]]\naddresses = [\"127.0.0.1:993\"]\n");
  }

  std::string load(const std::string& text) const {
    const std::string file = write("postern.toml", text);
    std::string result = sentences(load_file(file));
    for (size_t at = result.find(folder_); at != result.npos; at = result.find(folder_))
      result.erase(at, folder_.size());
    return result;
  }

 private:
  std::string folder_;
};

TEST_F(Files, ThatAreRightPass) {
  EXPECT_EQ(said(write("c", certificate), write("k", key)), "");
  EXPECT_EQ(said(write("c", certificate), write("k", ec_key, 0640)), "");
  // Both in one file.
  const std::string both = write("b", std::string(key) + std::string(certificate));
  EXPECT_EQ(said(both, both), "");
}

TEST_F(Files, MustBeThere) {
  EXPECT_EQ(
      said(path("c"), path("k")),
      "/postern.toml:2: chain \"/c\" cannot be read: No such file or directory. Correct the path, or put the file "
      "there.\n"
      "/postern.toml:3: key \"/k\" cannot be read: No such file or directory. Correct the path, or put the file "
      "there.\n");
}

TEST_F(Files, MustBeOrdinaryFiles) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  EXPECT_EQ(said(path(""), path("pipe")),
            "/postern.toml:2: chain \"/\" is a folder. Name a file in it.\n"
            "/postern.toml:3: key \"/pipe\" is no ordinary file. Name one.\n");
  EXPECT_EQ(said(write("c", std::string((4 << 20) + 1, 'x')), write("k", key)),
            "/postern.toml:2: chain \"/c\" is larger than 4MiB, which is not what belongs here. Correct the path.\n");
}

// As root every file can be read; the test then drops to a user to whom this one is closed.
TEST_F(Files, MustBeReadable) {
  write("c", certificate);
  write("k", key, 0000);
  const std::string text = "[[tls.certificate]]\nchain = \"" + path("c") + "\"\nkey = \"" + path("k") +
                           "\"\n[[listen]]\naddresses = [\"127.0.0.1:993\"]\n";
  ASSERT_EQ(chmod(path("").c_str(), 0777), 0);
  ASSERT_EQ(chmod(path("c").c_str(), 0644), 0);
  const bool is_root = geteuid() == 0;
  if (is_root) {
    ASSERT_EQ(seteuid(65534), 0);
  }
  const std::string result = load(text);
  if (is_root) {
    ASSERT_EQ(seteuid(0), 0);
  }
  EXPECT_EQ(
      result,
      "/postern.toml:3: key \"/k\" cannot be read: Permission denied. Let the user who starts Postern read it and its "
      "folder.\n");
}

TEST_F(Files, MustBePem) {
  EXPECT_EQ(
      said(write("c", "x"), write("k", "y")),
      "/postern.toml:2: chain \"/c\" holds no certificate in PEM form (\"-----BEGIN CERTIFICATE-----\"). From DER it "
      "is "
      "made by: openssl x509 -inform der -in FILE -out FILE.pem\n"
      "/postern.toml:3: key \"/k\" holds no private key in PEM form (\"-----BEGIN PRIVATE KEY-----\"). From DER it is "
      "made by: openssl pkey -inform der -in FILE -out FILE.pem\n");
  EXPECT_EQ(
      said(write("c", key), write("k", certificate)),
      "/postern.toml:2: chain \"/c\" holds a private key and no certificate. Are chain and key the wrong way round?\n"
      "/postern.toml:3: key \"/k\" holds a certificate and no private key. Are chain and key the wrong way round?\n");
}

TEST_F(Files, MustBeUnlockedKeys) {
  for (const std::string_view locked : {locked_key, old_locked_key}) {
    EXPECT_EQ(said(write("c", certificate), write("k", locked)),
              "/postern.toml:3: key \"/k\" is locked with a passphrase, and nobody is there to type it. Unlock it by: "
              "openssl "
              "pkey -in FILE -out FILE.unlocked\n");
  }
}

TEST_F(Files, WarnOfKeysThatAreOpenToAll) {
  EXPECT_EQ(
      said(write("c", certificate, 0644), write("k", key, 0644)),
      "warning: /postern.toml:3: key \"/k\" can be read by every user of this machine. Close it by: chmod o= FILE\n");
}

TEST_F(Files, OfPoolsAreLookedAt) {
  EXPECT_EQ(
      load("[[listen]]\naddresses = [\"127.0.0.1:143\"]\ntls = \"none\"\nlogin_without_tls = true\n"
           "[[pool]]\nname = \"a\"\nmembers = [\"127.0.0.1:993\"]\ntls = \"implicit\"\ntls_name = \"a.test\"\ntls_ca = "
           "\"" +
           path("ca") + "\"\n"),
      "/postern.toml:10: tls_ca \"/ca\" cannot be read: No such file or directory. Correct the path, or put the file "
      "there.\n");
}

TEST_F(Files, ConfigurationItself) {
  EXPECT_EQ(sentences(load_file(path("none"))),
            path("none") +
                ": The configuration cannot be read: No such file or directory. Correct the path, or put the file "
                "there.\n");
  EXPECT_EQ(sentences(load_file(path(""))), path("") + ": The configuration is a folder. Name a file in it.\n");
  const std::string file = write("ok.toml",
                                 "[[listen]]\naddresses = [\"127.0.0.1:143\"]\ntls = \"none\"\n"
                                 "login_without_tls = true\n");
  const LoadResult result = load_file(file);
  ASSERT_TRUE(result.config.has_value());
  EXPECT_EQ(result.config->file, file);
}

}  // namespace
}  // namespace postern::config
