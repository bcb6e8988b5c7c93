// SPDX-License-Identifier: GPL-3.0-or-later
// Which files of a folder are pairs, how they are read, and how a change shows.
#include "certificates/files.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "folder.h"

namespace postern::certificates::test {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// "mail.crt+mail.key", without the folder.
std::vector<std::string> found_in(const Folder& folder) {
  const auto pairs = pairs_in(folder.path());
  EXPECT_TRUE(pairs.ok()) << pairs.status();
  std::vector<std::string> found;
  for (const tls::CertificateOptions& pair : pairs.value_or(std::vector<tls::CertificateOptions>())) {
    const auto inside = [&](const std::string& path) { return path.substr(folder.path().size() + 1); };
    found.push_back(inside(pair.chain) + "+" + inside(pair.key));
  }
  return found;
}

TEST(Pairs, ByTheirNames) {
  const Folder folder;
  for (const char* name : {"b.crt", "b.key", "a.pem", "c.cer", "c.key", "d.crt", "e.key", "f.pem", "f.key", "g.txt",
                           "README", ".hidden.pem", "h.crt", "h.pem", "h.key", "two.dots.crt", "two.dots.key"})
    folder.write(name, "");
  EXPECT_THAT(found_in(folder), ElementsAre("a.pem+a.pem", "b.crt+b.key", "c.cer+c.key", "f.pem+f.key", "h.crt+h.key",
                                            "two.dots.crt+two.dots.key"));
}

TEST(Pairs, OneFolderDeeper) {
  const Folder folder;
  for (const char* name :
       {"z.pem", "mail.test/fullchain.pem", "mail.test/privkey.pem", "mail.test/cert.pem", "mail.test/chain.pem",
        "other.test/x.crt", "other.test/x.key", "other.test/deeper/y.pem", ".git/q.pem", "half.test/fullchain.pem"})
    folder.write(name, "");
  EXPECT_THAT(found_in(folder),
              ElementsAre("z.pem+z.pem", "half.test/fullchain.pem+half.test/fullchain.pem",
                          "mail.test/fullchain.pem+mail.test/privkey.pem", "other.test/x.crt+other.test/x.key"));
}

// certbot's folder live/ holds links, and its names are folders that may be links, too.
TEST(Pairs, ThroughLinks) {
  const Folder folder;
  folder.write(".archive/1/fullchain.pem", "");
  folder.write(".archive/1/privkey.pem", "");
  std::filesystem::create_directory_symlink(folder.path(".archive/1"), folder.path("mail.test"));
  std::filesystem::create_symlink(folder.path("nowhere"), folder.path("broken"));
  EXPECT_THAT(found_in(folder), ElementsAre("mail.test/fullchain.pem+mail.test/privkey.pem"));
}

TEST(Pairs, OfNoFolder) {
  const Folder folder;
  folder.write("file", "");
  for (const char* name : {"nothing", "file"}) {
    const auto pairs = pairs_in(folder.path(name));
    ASSERT_FALSE(pairs.ok());
    EXPECT_THAT(std::string(pairs.status().message()),
                AllOf(HasSubstr(folder.path(name) + " cannot be listed: "), HasSubstr("Correct the path")));
  }
}

TEST(Read, PairInOneFile) {
  const Folder folder;
  const tls::test::Leaf leaf = tls::test::authority().issue({.dns = {"mail.test"}});
  for (const std::string& text : {leaf.key + leaf.chain, leaf.chain + leaf.key, "words\n" + leaf.chain + leaf.key}) {
    const std::string file = folder.write("mail.pem", text);
    const auto pem = read(tls::CertificateOptions{file, file});
    ASSERT_TRUE(pem.ok()) << pem.status();
    EXPECT_EQ(pem->chain, leaf.chain);
    EXPECT_THAT(std::string(pem->key.reveal()), HasSubstr(leaf.key));
  }
}

// Wherever a block breaks off, no key gets into the chain.
TEST(Read, ChainNeverHoldsTheKey) {
  const Folder folder;
  const tls::test::Leaf leaf = tls::test::authority().issue({.dns = {"mail.test"}});
  for (size_t size = 0; size < leaf.chain.size(); size += 5) {
    const std::string file = folder.write("mail.pem", leaf.chain.substr(0, size) + leaf.key);
    const auto pem = read(tls::CertificateOptions{file, file});
    ASSERT_TRUE(pem.ok());
    EXPECT_EQ(pem->chain.find("KEY"), std::string::npos) << pem->chain;
    EXPECT_EQ(pem->chain.find(leaf.key.substr(40, 60)), std::string::npos);
  }
}

TEST(Read, FaultsNameTheFile) {
  const Folder folder;
  const std::string chain = folder.write("mail.crt", "x");
  const auto said = [&](const std::string& a, const std::string& b) {
    return std::string(read(tls::CertificateOptions{a, b}).status().message());
  };
  EXPECT_THAT(said(chain, folder.path("mail.key")), HasSubstr(folder.path("mail.key") + " cannot be read"));
  EXPECT_THAT(said(folder.path("a"), folder.path("b")), AllOf(HasSubstr("/a cannot"), HasSubstr("/b cannot")));
  EXPECT_THAT(said(folder.path(), chain), HasSubstr("is a folder"));
  // Nobody waits for a pipe's writer.
  ASSERT_EQ(mkfifo(folder.path("pipe").c_str(), 0600), 0);
  EXPECT_THAT(said(folder.path("pipe"), chain), HasSubstr("is no ordinary file"));
}

// The sizes of the keys, or the fault.
std::string keys_in(const Folder& folder, const std::string& text, mode_t mode = 0640) {
  const std::string path = folder.write("keys", text);
  EXPECT_EQ(chmod(path.c_str(), mode), 0);
  const auto keys = read_ticket_keys(path);
  if (!keys.ok()) return std::string(keys.status().message());
  std::string sizes;
  for (const Secret& key : *keys)
    sizes += std::to_string(key.reveal().size()) + key.reveal().front() + " ";
  return sizes;
}

TEST(TicketKeyFile, OneKeyALine) {
  const Folder folder;
  const std::string a = "YWFh", b = "YmJi";  // "aaa" and "bbb"
  const auto line = [](const std::string& three) {
    std::string text;
    for (int count = 0; count < 16; ++count)
      text += three;
    return text + "\n";
  };
  EXPECT_EQ(keys_in(folder, "# newest\n" + line(a) + "\n" + line(b)), "48a 48b ");
  EXPECT_EQ(keys_in(folder, line(a), 0600), "48a ");
  EXPECT_THAT(keys_in(folder, line(a), 0644), HasSubstr("can be read by others"));
  EXPECT_THAT(keys_in(folder, line(a), 0660), HasSubstr("chmod 640"));
  EXPECT_THAT(keys_in(folder, line(a) + a + "\n"), HasSubstr("keys:2: this is no key of 48 bytes in base64"));
  EXPECT_THAT(keys_in(folder, line(a) + "!\n"), HasSubstr("keys:2: "));
  EXPECT_THAT(keys_in(folder, "# none\n"), HasSubstr("openssl rand -base64 48"));
  std::string many;
  for (size_t count = 0; count <= ticket_keys_max; ++count)
    many += line(a);
  EXPECT_THAT(keys_in(folder, many), HasSubstr("at most"));
  EXPECT_FALSE(read_ticket_keys(folder.path("absent")).ok());
}

TEST(Stamp, ChangesWithTheFile) {
  const Folder folder;
  const std::string file = folder.path("x");
  const Stamp none = Stamp::of(file);
  EXPECT_FALSE(none.exists());
  folder.write("x", "1");
  const Stamp first = Stamp::of(file);
  EXPECT_TRUE(first.exists());
  EXPECT_EQ(first, Stamp::of(file));
  // Of the same size and times, but another file.
  folder.write("y", "2");
  struct stat status {};
  ASSERT_EQ(stat(file.c_str(), &status), 0);
  const timespec times[] = {status.st_atim, status.st_mtim};
  ASSERT_EQ(utimensat(AT_FDCWD, folder.path("y").c_str(), times, 0), 0);
  std::filesystem::rename(folder.path("y"), file);
  EXPECT_NE(first, Stamp::of(file));
  folder.remove("x");
  EXPECT_EQ(none, Stamp::of(file));
}

}  // namespace
}  // namespace postern::certificates::test
