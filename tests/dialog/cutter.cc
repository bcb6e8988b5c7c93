// SPDX-License-Identifier: GPL-3.0-or-later
#include "cutter.h"

#include <algorithm>

namespace postern::dialog {
namespace {

// A line of more bytes than this goes byte by byte at its ends only; its middle goes in pieces of an odd size.
constexpr size_t bytes_max = 4000;
constexpr size_t ends_size = 1000;
constexpr size_t middle_piece = 997;

std::vector<std::string> byte_by_byte(std::string_view octets) {
  std::vector<std::string> pieces;
  for (size_t i = 0; i < octets.size();) {
    const bool middle = octets.size() > bytes_max && i >= ends_size && i + ends_size < octets.size();
    const size_t size = middle ? std::min(middle_piece, octets.size() - ends_size - i) : 1;
    pieces.emplace_back(octets.substr(i, size));
    i += size;
  }
  return pieces;
}

std::vector<std::string> in_chunks(std::string_view octets, size_t chunk) {
  std::vector<std::string> pieces;
  for (size_t i = 0; i < octets.size(); i += chunk)
    pieces.emplace_back(octets.substr(i, chunk));
  return pieces;
}

}  // namespace

const char* kind_word(Kind kind) {
  switch (kind) {
    case Kind::Whole: return "Whole";
    case Kind::Glued: return "Glued";
    case Kind::FrontCuts: return "FrontCuts";
    case Kind::FrontBytes: return "FrontBytes";
    case Kind::BackCuts: return "BackCuts";
    case Kind::BackBytes: return "BackBytes";
    case Kind::WireBytes: return "WireBytes";
    case Kind::Moved: return "Moved";
  }
  return "";
}

std::vector<std::string> Cutter::pieces(Side side, std::string_view octets) {
  Track& track = tracks_[static_cast<size_t>(side)];
  const size_t begin = track.size;
  track.lines.push_back({begin, octets.size()});
  track.size += octets.size();
  if (octets.empty()) return {};
  const bool front = side == Side::Front;
  if (kind_ == (front ? Kind::FrontBytes : Kind::BackBytes)) return byte_by_byte(octets);
  const bool cuts = kind_ == (front ? Kind::FrontCuts : Kind::BackCuts);
  if (cuts && place_ && *place_ > begin && *place_ < track.size) {
    return {std::string(octets.substr(0, *place_ - begin)), std::string(octets.substr(*place_ - begin))};
  }
  return {std::string(octets)};
}

std::vector<std::string> Cutter::segments(std::string_view wire, size_t chunk) const {
  if (wire.empty()) return {};
  if (kind_ == Kind::WireBytes) return in_chunks(wire, 1);
  if (moves()) return in_chunks(wire, 11);
  return in_chunks(wire, chunk == 0 ? wire.size() : chunk);
}

size_t Cutter::gulp(size_t size) const {
  return kind_ == Kind::WireBytes || moves() ? std::min(size, std::max<size_t>(7, size / 64)) : size;
}

std::vector<size_t> Cutter::places(Side side) const {
  std::vector<size_t> all;
  for (const Line& line : tracks_[static_cast<size_t>(side)].lines) {
    const size_t near = line_size_max / 3;
    const size_t stride = line.size <= line_size_max ? 1 : std::max<size_t>(1, (line.size - 2 * near) / near);
    for (size_t i = 1; i < line.size;) {
      all.push_back(line.begin + i);
      const bool at_end = i < near || i + near >= line.size;
      i += at_end ? 1 : stride;
    }
  }
  if (all.size() <= places_max) return all;
  std::vector<size_t> some;
  for (size_t i = 0; i < places_max; ++i)
    some.push_back(all[i * all.size() / places_max]);
  return some;
}

}  // namespace postern::dialog
