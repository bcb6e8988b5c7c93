// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/conform/show.h"

#include <algorithm>
#include <optional>

#include "auth/form.h"

namespace postern::helper::conform {
namespace {

// Bytes of one line, and lines of one conversation, that a person still reads.
constexpr size_t line_shown_max = 160;
constexpr size_t lines_shown_max = 2;

constexpr std::string_view secret_keys[] = {"password", "master_password", "token", "salt", "stored_key", "server_key"};

bool is_secret(std::string_view key) {
  return std::find(std::begin(secret_keys), std::end(secret_keys), key) != std::end(secret_keys);
}

std::string encoded(std::string_view key, std::string_view value) {
  const std::optional<Secret> line = auth::FormWriter().add(key, value).finish();
  return line ? std::string(line->reveal().substr(0, line->size() - 1)) : "(long)";
}

std::string shown_piece(std::string_view piece) {
  auth::Form form;
  if (form.read(piece) != auth::FormFault::None || form.size() != 1) return "(malformed)";
  if (is_secret(form.key(0))) return std::string(form.key(0)) + (form.value(0).empty() ? "=" : "=***");
  // Without its "=" nobody would take it for a pair.
  const std::string pair = encoded(form.key(0), form.value(0));
  return piece.find('=') == piece.npos ? pair.substr(0, pair.size() - 1) : pair;
}

}  // namespace

std::string shown(std::string_view line) {
  std::string text;
  while (!line.empty()) {
    const std::string_view piece = line.substr(0, line.find('&'));
    line.remove_prefix(std::min(line.size(), piece.size() + 1));
    if (!piece.empty()) text += shown_piece(piece);
    if (!line.empty()) text += '&';
    if (text.size() > line_shown_max) return text.substr(0, line_shown_max) + "...";
  }
  return text;
}

void Transcript::add(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view line = bytes.substr(0, bytes.find('\n'));
    bytes.remove_prefix(std::min(bytes.size(), line.size() + 1));
    if (++lines_ > lines_shown_max) continue;
    text_.append(text_.empty() ? "" : " ; ").append(shown(line));
  }
}

std::string Transcript::text() const {
  if (lines_ == 0) return "nothing";
  return lines_ <= lines_shown_max ? text_ : text_ + " ; ... (" + std::to_string(lines_) + " lines)";
}

}  // namespace postern::helper::conform
