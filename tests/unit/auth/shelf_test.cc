// SPDX-License-Identifier: GPL-3.0-or-later
#include "auth/shelf.h"

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <string>

namespace postern::auth {
namespace {

Digest key_of(uint8_t number) {
  return Digest{{number, 1, 2, 3}};
}
Entry entry_of(std::string_view text) {
  return Entry{Secret(text)};
}

std::string look(Shelf& shelf, uint8_t key) {
  const Entry* entry = shelf.find(key_of(key));
  return entry != nullptr ? std::string(entry->packed.reveal()) : "-";
}

TEST(Shelf, LetsTheLeastRecentlyUsedGo) {
  Shelf shelf(3);
  EXPECT_EQ(shelf.put(key_of(1), {}, entry_of("one")), 0u);
  EXPECT_EQ(shelf.put(key_of(2), {}, entry_of("two")), 0u);
  EXPECT_EQ(shelf.put(key_of(3), {}, entry_of("three")), 0u);
  EXPECT_EQ(look(shelf, 1), "one");
  EXPECT_EQ(shelf.put(key_of(4), {}, entry_of("four")), 1u);
  EXPECT_EQ(look(shelf, 2), "-");
  EXPECT_EQ(look(shelf, 1), "one");
  EXPECT_EQ(shelf.put(key_of(3), {}, entry_of("again")), 0u);
  EXPECT_EQ(look(shelf, 3), "again");
  EXPECT_EQ(shelf.size(), 3u);
  EXPECT_TRUE(shelf.erase(key_of(3)));
  EXPECT_FALSE(shelf.erase(key_of(3)));
  EXPECT_EQ(shelf.clear(), 2u);
  EXPECT_EQ(look(shelf, 1), "-");
  shelf.put(key_of(1), {}, entry_of("anew"));
  EXPECT_EQ(look(shelf, 1), "anew");
}

TEST(Shelf, OfSizeZeroHoldsNothing) {
  Shelf shelf(0);
  EXPECT_EQ(shelf.put(key_of(1), {7}, entry_of("one")), 0u);
  EXPECT_EQ(shelf.size(), 0u);
  EXPECT_EQ(look(shelf, 1), "-");
}

TEST(Shelf, FindsByAnyName) {
  Shelf shelf(10);
  shelf.put(key_of(1), {7, 0, 8}, entry_of("one"));
  shelf.put(key_of(2), {7, 7, 7}, entry_of("two"));
  shelf.put(key_of(3), {9, 8, 0}, entry_of("three"));
  shelf.put(key_of(4), {}, entry_of("four"));
  EXPECT_EQ(shelf.erase_named(6), 0u);
  EXPECT_EQ(shelf.erase_named(7), 2u);
  EXPECT_EQ(look(shelf, 3), "three");
  EXPECT_EQ(shelf.erase_named(8), 1u);
  EXPECT_EQ(shelf.erase_named(9), 0u);
  EXPECT_EQ(look(shelf, 4), "four");
  EXPECT_EQ(shelf.size(), 1u);
}

// The linked slots against a plain list that does the same slowly, for many random steps.
TEST(Shelf, DoesWhatAListWouldDo) {
  struct Model {
    uint8_t key;
    std::array<NameDigest, names_of_entry> names;
  };
  constexpr size_t size_max = 12;
  Shelf shelf(size_max);
  std::list<Model> model;  // newest first
  std::mt19937 random(20240611);
  const auto at = [&model](uint8_t key) {
    return std::find_if(model.begin(), model.end(), [key](const Model& entry) { return entry.key == key; });
  };
  for (int step = 0; step < 20000; ++step) {
    const auto key = static_cast<uint8_t>(random() % 30);
    const uint32_t action = random() % 100;
    if (action < 50) {
      const std::array<NameDigest, names_of_entry> names{random() % 6, random() % 6, random() % 6};
      shelf.put(key_of(key), names, entry_of(std::to_string(key)));
      if (at(key) != model.end()) model.erase(at(key));
      model.push_front({key, names});
      if (model.size() > size_max) model.pop_back();
    } else if (action < 80) {
      ASSERT_EQ(look(shelf, key), at(key) == model.end() ? "-" : std::to_string(key)) << "step " << step;
      if (at(key) != model.end()) model.splice(model.begin(), model, at(key));
    } else if (action < 95) {
      ASSERT_EQ(shelf.erase(key_of(key)), at(key) != model.end()) << "step " << step;
      if (at(key) != model.end()) model.erase(at(key));
    } else if (action < 99) {
      const NameDigest name = 1 + random() % 5;
      const size_t erased = std::erase_if(model, [name](const Model& entry) {
        return std::find(entry.names.begin(), entry.names.end(), name) != entry.names.end();
      });
      ASSERT_EQ(shelf.erase_named(name), erased) << "step " << step;
    } else {
      ASSERT_EQ(shelf.clear(), model.size());
      model.clear();
    }
    ASSERT_EQ(shelf.size(), model.size()) << "step " << step;
  }
}

}  // namespace
}  // namespace postern::auth
