// SPDX-License-Identifier: GPL-3.0-or-later
// RecordReader: whole records come out however the bytes come in, and what is no record is found out early.
#include "tls/records.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postern::tls {
namespace {

std::string record(char type, size_t body_size, char fill = 'b') {
  std::string bytes = {type, 3, 3, static_cast<char>(body_size >> 8), static_cast<char>(body_size)};
  return bytes + std::string(body_size, fill);
}

struct Outcome {
  std::vector<std::string> records;
  RecordReader::Fault fault = RecordReader::Fault::None;
  size_t held = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome read_in_pieces(std::string_view bytes, size_t first, size_t rest) {
  RecordReader reader;
  Outcome outcome;
  size_t piece = first;
  while (!bytes.empty()) {
    std::span<const char> part(bytes.substr(0, piece));
    bytes.remove_prefix(part.size());
    while (const auto whole = reader.next(part))
      outcome.records.emplace_back(whole->data(), whole->size());
    EXPECT_TRUE(part.empty());
    piece = rest;
  }
  outcome.fault = reader.fault();
  outcome.held = reader.held();
  return outcome;
}

void expect_same_at_every_cut(const std::string& bytes, const Outcome& expected) {
  EXPECT_EQ(read_in_pieces(bytes, bytes.size(), 1), expected);
  EXPECT_EQ(read_in_pieces(bytes, 1, 1), expected);
  EXPECT_EQ(read_in_pieces(bytes, 3, 7), expected);
  for (size_t cut = 1; cut < bytes.size(); ++cut)
    EXPECT_EQ(read_in_pieces(bytes, cut, bytes.size()), expected) << cut;
}

TEST(RecordReader, WholeRecordsAreViewsOfTheInput) {
  const std::string bytes = record(22, 10) + record(23, 0) + record(23, 3);
  std::span<const char> rest(bytes);
  RecordReader reader;
  const auto first = reader.next(rest);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->data(), bytes.data());
  EXPECT_EQ(first->size(), 15u);
  EXPECT_EQ(reader.next(rest)->size(), 5u);
  EXPECT_EQ(reader.next(rest)->size(), 8u);
  EXPECT_TRUE(rest.empty());
  EXPECT_FALSE(reader.next(rest));
  EXPECT_EQ(reader.held(), 0u);
}

TEST(RecordReader, EveryCutGivesTheSameRecords) {
  const std::string bytes = record(22, 40) + record(20, 1) + record(21, 2) + record(23, 0) + record(23, 90);
  expect_same_at_every_cut(bytes, {{record(22, 40), record(20, 1), record(21, 2), record(23, 0), record(23, 90)}});
}

TEST(RecordReader, KeepsAnUnfinishedRecord) {
  const std::string bytes = record(23, 20).substr(0, 12);
  expect_same_at_every_cut(bytes, {{}, RecordReader::Fault::None, 12});
}

// A record that was cut lives until the next call only, and then its memory goes.
TEST(RecordReader, HoldsNothingBetweenRecords) {
  const std::string bytes = record(23, 300);
  RecordReader reader;
  std::span<const char> part(bytes.data(), 100);
  EXPECT_FALSE(reader.next(part));
  EXPECT_EQ(reader.held(), 100u);
  part = std::span(bytes).subspan(100);
  const auto whole = reader.next(part);
  ASSERT_TRUE(whole);
  EXPECT_EQ(std::string(whole->data(), whole->size()), bytes);
  EXPECT_FALSE(reader.next(part));
  EXPECT_EQ(reader.held(), 0u);
}

TEST(RecordReader, TheLongestRecordIsRead) {
  const std::string bytes = record(23, RecordReader::body_size_max);
  for (const size_t cut : {size_t{1}, size_t{5}, size_t{6}, size_t{9000}, bytes.size()})
    EXPECT_EQ(read_in_pieces(bytes, cut, 4096).records, std::vector<std::string>{bytes});
}

TEST(RecordReader, TooLongIsAFaultAtTheHeader) {
  std::string bytes = record(23, 4) + record(23, RecordReader::body_size_max + 1).substr(0, 5);
  expect_same_at_every_cut(bytes, {{record(23, 4)}, RecordReader::Fault::TooLong, 0});
}

TEST(RecordReader, TextIsAFaultAtTheFirstByte) {
  for (const std::string text : {"a1 LOGIN joe secret\r\n", "\r\n", "\x13", "\x18"}) {
    expect_same_at_every_cut(text, {{}, RecordReader::Fault::NotTls, 0});
  }
  expect_same_at_every_cut(std::string(1, '\0'), {{}, RecordReader::Fault::NotTls, 0});
  expect_same_at_every_cut("\x16\x02\x03\x01\x01", {{}, RecordReader::Fault::NotTls, 0});
  expect_same_at_every_cut(record(23, 9) + "HELO", {{record(23, 9)}, RecordReader::Fault::NotTls, 0});
}

TEST(RecordReader, FaultStays) {
  RecordReader reader;
  const std::string text = "EHLO x\r\n";
  std::span<const char> bytes(text);
  EXPECT_FALSE(reader.next(bytes));
  const std::string good = record(22, 5);
  bytes = good;
  EXPECT_FALSE(reader.next(bytes));
  EXPECT_TRUE(bytes.empty());
  EXPECT_EQ(reader.fault(), RecordReader::Fault::NotTls);
}

}  // namespace
}  // namespace postern::tls
