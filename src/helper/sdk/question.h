// SPDX-License-Identifier: GPL-3.0-or-later
// OwnedQuestion: a postern_question together with the bytes that its fields point into and the way back to who asked.
#pragma once

#include "auth/form.h"
#include "postern/helper.h"

namespace postern::helper_sdk {

// Made by new and freed by delete, here only; callers of the SDK see its first half.
struct OwnedQuestion : postern_question {
  auth::Form form;
  uint64_t connection = 0;  // the server's number for it; 0: made by postern_question_parse()
  postern_peer peer{};
};

// What a gate may send as id; the answer repeats it, and it must leave room there.
inline constexpr size_t id_size_max = 64;

inline std::string_view view(postern_bytes bytes) {
  return {bytes.data, bytes.size};
}

inline OwnedQuestion* owned(postern_question* question) {
  return static_cast<OwnedQuestion*>(question);
}
inline const OwnedQuestion* owned(const postern_question* question) {
  return static_cast<const OwnedQuestion*>(question);
}

// The lines as values, for the server; postern_answer_build() and its like copy them out.
struct BuiltLine {
  postern_fault fault = POSTERN_FINE;
  Secret line;  // with its LF; empty after a fault
};
BuiltLine build_answer(std::string_view id, const postern_answer& answer);
BuiltLine build_invalidate(std::string_view user);
BuiltLine build_hello(std::string_view name);

}  // namespace postern::helper_sdk
