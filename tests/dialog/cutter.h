// SPDX-License-Identifier: GPL-3.0-or-later
// In what pieces the bytes of a dialog travel. One Cutter serves one run.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "session/plan.h"

namespace postern::dialog {

// The ways to play a dialog. "Front" is what mail programs send; "back" is what mail servers and the helper send.
enum class Kind : uint8_t {
  Whole,       // each line one segment, inside TLS one record
  Glued,       // neighbouring lines of a mail program in one
  FrontCuts,   // one run for each place: there a line is cut in two
  FrontBytes,  // a record and a segment for each byte
  BackCuts,
  BackBytes,
  WireBytes,  // records as in Whole, but all that travels, handshakes included, one byte a segment
  Moved,      // in segments of a few bytes, between which every relay leaves for another process and comes back
};
inline constexpr Kind kinds[] = {Kind::Whole,    Kind::Glued,     Kind::FrontCuts, Kind::FrontBytes,
                                 Kind::BackCuts, Kind::BackBytes, Kind::WireBytes, Kind::Moved};
const char* kind_word(Kind kind);

using session::Side;

class Cutter {
 public:
  // Lines longer than this are not cut everywhere: at each place near their ends, and at some between.
  static constexpr size_t line_size_max = 300;
  // Runs of one dialog and one kind at most; beyond, the places are thinned out evenly.
  static constexpr size_t places_max = 160;

  // `place`: for the two kinds of cuts, as places() counts it.
  explicit Cutter(Kind kind, std::optional<size_t> place = {}) : kind_(kind), place_(place) {}

  // The next line of that side, in pieces.
  std::vector<std::string> pieces(Side side, std::string_view octets);
  // What TLS made of a piece, in segments; `chunk`: of at most this many bytes, 0 for any number.
  std::vector<std::string> segments(std::string_view wire, size_t chunk) const;
  // How much of `size` bytes from the gate its peer takes at once.
  size_t gulp(size_t size) const;
  bool moves() const { return kind_ == Kind::Moved; }

  // After a run: where the lines of that side can be cut.
  std::vector<size_t> places(Side side) const;

 private:
  struct Line {
    size_t begin, size;
  };
  struct Track {
    size_t size = 0;  // of all lines so far
    std::vector<Line> lines;
  };

  Kind kind_;
  std::optional<size_t> place_;
  std::array<Track, 2> tracks_;
};

}  // namespace postern::dialog
