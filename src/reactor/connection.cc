// SPDX-License-Identifier: GPL-3.0-or-later
#include "reactor/connection.h"

#include "base/check.h"

namespace postern::reactor {

Connection& Slab::create(uint32_t index, uint32_t generation) {
  CHECK(index / page_size < pages_.size());
  std::unique_ptr<Page>& page = pages_[index / page_size];
  if (!page) page = std::make_unique<Page>();
  std::optional<Connection>& place = page->places[index % page_size];
  CHECK(!place);
  place.emplace();
  place->index = index;
  place->generation = generation;
  page->live++;
  live_++;
  return *place;
}

void Slab::destroy(Connection& connection) {
  std::unique_ptr<Page>& page = pages_[connection.index / page_size];
  page->places[connection.index % page_size].reset();
  live_--;
  if (--page->live == 0) page.reset();
}

Connection* Slab::find(uint32_t index, uint32_t generation) {
  if (index / page_size >= pages_.size()) return nullptr;
  const std::unique_ptr<Page>& page = pages_[index / page_size];
  if (!page) return nullptr;
  std::optional<Connection>& place = page->places[index % page_size];
  return place && place->generation == generation ? &*place : nullptr;
}

}  // namespace postern::reactor
