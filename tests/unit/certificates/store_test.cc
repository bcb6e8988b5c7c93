// SPDX-License-Identifier: GPL-3.0-or-later
// What is served while certificates come, are renewed in every order of steps, break and go.
#include "certificates/store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <time.h>

#include <functional>

#include "folder.h"

namespace postern::certificates::test {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using tls::test::authority;
using tls::test::Leaf;

Leaf leaf_of(const std::string& name, int valid_to_s = 30 * 86400) {
  return authority().issue({.dns = {name}, .valid_to_s = valid_to_s});
}

// The texts of what is new for the administrator.
using Notes = std::vector<std::string>;

class Stored : public testing::Test {
 protected:
  // Of the folder alone, unless more is given.
  Store& make(std::vector<tls::CertificateOptions> named = {}, std::vector<ClientFiles> listeners = {}) {
    tls::Options options;
    options.certificates = std::move(named);
    options.folders = {folder_.path()};
    store_.emplace(std::move(options), std::move(listeners), tickets_);
    return *store_;
  }

  Notes load() {
    std::vector<Note> notes;
    const absl::Status status = store_->load(notes);
    EXPECT_TRUE(status.ok()) << status;
    return texts(notes);
  }
  std::string fault() {
    std::vector<Note> notes;
    const absl::Status status = store_->load(notes);
    EXPECT_FALSE(status.ok());
    return std::string(status.message());
  }
  Notes refresh(bool changes) {
    std::vector<Note> notes;
    EXPECT_EQ(store_->refresh(notes), changes);
    return texts(notes);
  }
  Notes expiries(int64_t now = time(nullptr)) {
    std::vector<Note> notes;
    store_->note_expiries(now, notes);
    return texts(notes);
  }

  // The end of the certificate that a mail program gets who asks for the name; 0: one for other names.
  int64_t served(const std::string& name) const {
    tls::ClientHello hello;
    hello.server_name = name;
    hello.verifies_ecdsa = true;
    const tls::Certificate& certificate = store_->common()->choose(hello);
    return certificate.names == std::vector<std::string>{name} ? certificate.not_after : 0;
  }

  Folder folder_;

 private:
  Notes texts(const std::vector<Note>& notes) const {
    Notes texts;
    for (const Note& note : notes)
      texts.push_back(note.file + ": " + note.text);
    return texts;
  }

  tls::TicketKeys tickets_;
  std::optional<Store> store_;
};

TEST_F(Stored, ServesWhatTheFolderHolds) {
  folder_.write_pair("a", leaf_of("a.test"));
  folder_.write("b.test/fullchain.pem", leaf_of("b.test").chain);
  const Leaf leaf = leaf_of("b.test");
  folder_.write("b.test/fullchain.pem", leaf.chain);
  folder_.write("b.test/privkey.pem", leaf.key);
  const Leaf both = leaf_of("c.test");
  folder_.write("c.pem", both.key + both.chain);
  Store& store = make();
  EXPECT_THAT(load(), IsEmpty());
  EXPECT_EQ(store.size(), 3u);
  for (const char* name : {"a.test", "b.test", "c.test"})
    EXPECT_NE(served(name), 0) << name;
  // Nothing has changed, so nothing is read, and the context is the same.
  const auto before = store.common();
  EXPECT_THAT(refresh(false), IsEmpty());
  EXPECT_EQ(store.common(), before);
}

TEST_F(Stored, TheFirstNamedIsTheDefault) {
  const Folder elsewhere;
  elsewhere.write_pair("main", leaf_of("main.test"));
  folder_.write_pair("a", leaf_of("a.test"));
  Store& store = make({{elsewhere.path("main.crt"), elsewhere.path("main.key")}});
  load();
  tls::ClientHello stranger;
  stranger.server_name = "stranger.test";
  stranger.verifies_ecdsa = true;
  EXPECT_THAT(store.common()->choose(stranger).names, ElementsAre("main.test"));
  EXPECT_NE(served("a.test"), 0);
  // Without it: the first of the folder.
  Store& alone = make();
  load();
  EXPECT_THAT(alone.common()->choose(stranger).names, ElementsAre("a.test"));
}

TEST_F(Stored, AtTheStartOnlyWhatIsNamedMustBeRight) {
  folder_.write_pair("a", leaf_of("a.test"));
  folder_.write("b.crt", leaf_of("b.test").chain);
  folder_.write("b.key", leaf_of("b.test").key);
  folder_.write("chain.pem", authority().pem());
  Store& store = make();
  EXPECT_THAT(load(), ElementsAre(AllOf(HasSubstr("b.key: this key does not belong to"), HasSubstr("It is left out")),
                                  AllOf(HasSubstr("chain.pem: holds no private key"), HasSubstr("It is left out"))));
  EXPECT_EQ(store.size(), 1u);
  EXPECT_THAT(refresh(false), IsEmpty());  // said once
  make({{folder_.path("b.crt"), folder_.path("b.key")}});
  EXPECT_THAT(fault(), HasSubstr("b.key: this key does not belong to"));
}

TEST_F(Stored, AnEmptyFolderIsAFault) {
  make();
  EXPECT_THAT(fault(),
              AllOf(HasSubstr(folder_.path() + ": there is no usable certificate"), HasSubstr("fullchain.pem")));
}

TEST_F(Stored, NewOnesAreNoticed) {
  folder_.write_pair("a", leaf_of("a.test"));
  make();
  load();
  folder_.write_pair("b", leaf_of("b.test"));
  EXPECT_THAT(refresh(true), ElementsAre(AllOf(HasSubstr("b.crt: new, for b.test, valid until 20"))));
  EXPECT_NE(served("b.test"), 0);
  EXPECT_NE(served("a.test"), 0);
}

// In whatever order the two files are written, and whenever somebody looks, a pair is served: the old or the new.
TEST_F(Stored, ARenewalIsSwappedAsAPair) {
  const Leaf old = leaf_of("a.test", 10 * 86400);
  const Leaf fresh = leaf_of("a.test", 90 * 86400);
  for (const bool chain_first : {true, false}) {
    folder_.write_pair("a", old);
    make();
    load();
    const int64_t before = served("a.test");
    ASSERT_NE(before, 0);
    folder_.write(chain_first ? "a.crt" : "a.key", chain_first ? fresh.chain : fresh.key);
    EXPECT_THAT(refresh(false),
                ElementsAre(AllOf(HasSubstr("does not belong"), HasSubstr("The former one stays in service"))));
    EXPECT_EQ(served("a.test"), before);
    EXPECT_THAT(refresh(false), IsEmpty());
    folder_.write(chain_first ? "a.key" : "a.crt", chain_first ? fresh.key : fresh.chain);
    EXPECT_THAT(refresh(true), ElementsAre(HasSubstr("a.crt: renewed, for a.test")));
    EXPECT_GT(served("a.test"), before + 79 * 86400);
  }
}

TEST_F(Stored, WhatBreaksIsServedAsItWas) {
  folder_.write_pair("a", leaf_of("a.test"));
  folder_.write_pair("b", leaf_of("b.test"));
  make();
  load();
  for (const char* text : {"", "garbage", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"}) {
    folder_.write("a.crt", text);
    EXPECT_THAT(refresh(false), ElementsAre(HasSubstr("The former one stays in service"))) << text;
    EXPECT_NE(served("a.test"), 0);
  }
  folder_.write_pair("a", leaf_of("a.test"));
  EXPECT_THAT(refresh(true), ElementsAre(HasSubstr("renewed")));
}

// Some tools delete before they write.
TEST_F(Stored, WhatIsGoneAtTwoLooksIsServedNoLonger) {
  folder_.write_pair("a", leaf_of("a.test"));
  const Leaf leaf = leaf_of("b.test");
  folder_.write_pair("b", leaf);
  make();
  load();
  folder_.remove("b.crt");
  EXPECT_THAT(refresh(false), IsEmpty());
  EXPECT_NE(served("b.test"), 0);
  folder_.write("b.crt", leaf.chain);
  EXPECT_THAT(refresh(true), ElementsAre(HasSubstr("renewed")));
  folder_.remove("b.crt");
  EXPECT_THAT(refresh(false), IsEmpty());
  EXPECT_THAT(refresh(true), ElementsAre(HasSubstr("b.crt: gone, and served no longer")));
  EXPECT_EQ(served("b.test"), 0);
  EXPECT_NE(served("a.test"), 0);
}

TEST_F(Stored, AFolderThatIsEmptyOrAwayKeepsItsCertificates) {
  folder_.write_pair("a", leaf_of("a.test"));
  make();
  load();
  folder_.remove("a.crt");
  folder_.remove("a.key");
  for (int look = 0; look < 3; ++look)
    EXPECT_THAT(refresh(false), IsEmpty());
  folder_.remove("");
  EXPECT_THAT(refresh(false),
              ElementsAre(AllOf(HasSubstr("cannot be listed"), HasSubstr("What it held stays in service"))));
  EXPECT_THAT(refresh(false), IsEmpty());
  EXPECT_NE(served("a.test"), 0);
}

TEST_F(Stored, NamedFilesAreLookedAtToo) {
  const Folder elsewhere;
  elsewhere.write_pair("main", leaf_of("main.test", 10 * 86400));
  folder_.write_pair("a", leaf_of("a.test"));
  make({{elsewhere.path("main.crt"), elsewhere.path("main.key")}});
  load();
  const int64_t before = served("main.test");
  elsewhere.write_pair("main", leaf_of("main.test"));
  EXPECT_THAT(refresh(true), ElementsAre(HasSubstr("renewed, for main.test")));
  EXPECT_GT(served("main.test"), before);
  // Gone files of named ones are a fault to mend, not a wish.
  elsewhere.remove("main.key");
  EXPECT_THAT(refresh(false), ElementsAre(HasSubstr("The former one stays in service")));
  EXPECT_THAT(refresh(false), IsEmpty());
  EXPECT_NE(served("main.test"), 0);
}

TEST_F(Stored, AuthoritiesAndRevocationListsAreReadAgain) {
  const Folder users;
  users.write("ca.pem", authority().pem());
  users.write("list.pem", authority().revoke({}));
  folder_.write_pair("a", leaf_of("a.test"));
  Store& store = make({}, {{}, {users.path("ca.pem"), users.path("list.pem")}});
  load();
  ASSERT_EQ(store.of_listeners().size(), 2u);
  EXPECT_EQ(store.of_listeners()[0], nullptr);
  auto before = store.of_listeners()[1];
  ASSERT_NE(before, nullptr);
  EXPECT_THAT(refresh(false), IsEmpty());
  users.write("list.pem", authority().revoke({leaf_of("joe")}));
  EXPECT_THAT(refresh(true), ElementsAre(HasSubstr("ca.pem: read again")));
  EXPECT_NE(store.of_listeners()[1], before);
  before = store.of_listeners()[1];
  users.write("list.pem", "no list");
  EXPECT_THAT(refresh(false), ElementsAre(AllOf(HasSubstr("list.pem"), HasSubstr("The former ones stay in force"))));
  EXPECT_THAT(refresh(false), IsEmpty());
  EXPECT_EQ(store.of_listeners()[1], before);
  users.write("list.pem", authority().revoke({}));
  EXPECT_THAT(refresh(true), ElementsAre(HasSubstr("read again")));
  // Its certificates are renewed with the others.
  before = store.of_listeners()[1];
  folder_.write_pair("a", leaf_of("a.test"));
  EXPECT_THAT(refresh(true), ElementsAre(HasSubstr("renewed")));
  EXPECT_NE(store.of_listeners()[1], before);
}

TEST_F(Stored, WhatRunsOutIsSaid) {
  const Folder users;
  users.write("ca.pem", authority().pem());
  users.write("list.pem", authority().revoke({}, 3600));
  folder_.write_pair("far", leaf_of("far.test"));
  folder_.write_pair("near", leaf_of("near.test", 3 * 86400));
  folder_.write_pair("over", authority().issue({.dns = {"over.test"}, .valid_from_s = -7200, .valid_to_s = -3600}));
  Store& store = make({}, {{users.path("ca.pem"), users.path("list.pem")}});
  load();
  EXPECT_THAT(expiries(), ElementsAre(AllOf(HasSubstr("near.crt: runs out at 20"), HasSubstr("Renew it")),
                                      HasSubstr("over.crt: ran out at 20"), HasSubstr("list.pem: runs out at 20")));
  EXPECT_THAT(expiries(time(nullptr) + 7200), Contains(HasSubstr("list.pem: ran out")));
  EXPECT_EQ(store.soonest_expiry()->file_name, folder_.path("over.crt"));
}

}  // namespace
}  // namespace postern::certificates::test
