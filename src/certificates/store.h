// SPDX-License-Identifier: GPL-3.0-or-later
// Store: the certificates that the gate shows, the ticket keys that it shares, and the authorities by which listeners verify mail programs. It reads
// them at the start and looks at their files from time to time, so that a renewal needs no signal.
//
// A pair is swapped as a pair: what does not fit together, or cannot be read, leaves the former one in service, and is
// tried again when its files change. Never used by a reactor: reading blocks. Not safe for several threads at once; the
// contexts that it hands out are immutable.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/clock.h"
#include "base/log_line.h"
#include "certificates/files.h"
#include "tls/context.h"
#include "tls/options.h"
#include "tls/tickets.h"

namespace postern::certificates {

// Something for the administrator.
struct Note {
  Severity severity = Severity::Notice;
  std::string file;
  std::string text;  // full sentences
};

// A listener that verifies mail programs; without `ca` it does not.
struct ClientFiles {
  std::string ca;
  std::string crl;  // may be empty
};

class Store {
 public:
  // `tickets` must outlive the store and all contexts. One of `listeners` for each listener, in their order.
  Store(tls::Options options, std::vector<ClientFiles> listeners, tls::TicketKeys& tickets);

  // Reads everything, once. What is named file by file must be right; the status has a sentence for each fault. Of a
  // folder, what is right is taken, and there is a note on the rest. A folder that cannot be listed is a fault.
  absl::Status load(std::vector<Note>& notes);
  // Reads what has changed since. True: there are other contexts now.
  bool refresh(std::vector<Note>& notes);
  // From now on tickets are sealed under the keys that were read, or under the process's own where no file is named.
  // load() does not do so itself: a store that is loaded may still be thrown away.
  void publish_ticket_keys() { tickets_.share(ticket_keys_); }
  // What runs out within the configured time, or has, at `now` in seconds since 1970.
  void note_expiries(int64_t now, std::vector<Note>& notes) const;
  // What runs out first of all, for a line of figures.
  std::optional<tls::Expiry> soonest_expiry() const;

  // Certificates that are served.
  size_t size() const { return common_ == nullptr ? 0 : common_->size(); }
  // For listeners that verify nobody.
  const std::shared_ptr<const tls::FrontContext>& common() const { return common_; }
  // By listener; null where it is the common one.
  const std::vector<std::shared_ptr<const tls::FrontContext>>& of_listeners() const { return of_listeners_; }

 private:
  struct Entry {
    Stamp chain, key;                                     // as last tried
    std::shared_ptr<const tls::Certificate> certificate;  // null: never was right
    bool gone = false;                                    // at the last look no folder had it
  };
  struct Folder {
    std::vector<tls::CertificateOptions> pairs;  // as last listed
    bool faulty = false;                         // it could not be listed the last time
  };
  struct Clients {
    ClientFiles files;
    Stamp ca, crl;       // as last tried
    bool stale = false;  // what is served is older than that
  };
  using Pair = std::pair<std::string, std::string>;  // the two paths

  absl::Status try_ticket_keys();
  void look_at_ticket_keys(std::vector<Note>& notes);
  absl::Status list_folders(std::vector<Note>& notes);
  std::vector<tls::CertificateOptions> wanted() const;
  absl::Status try_pair(const tls::CertificateOptions& pair, Entry& entry);
  bool look_at_pairs(std::vector<Note>& notes);
  bool drop_what_is_gone(std::vector<Note>& notes);
  void index();
  absl::Status build_listener(size_t number);
  bool look_at_listeners(bool certificates_changed, std::vector<Note>& notes);

  tls::Options options_;
  tls::TicketKeys& tickets_;
  Stamp ticket_stamp_;  // of their file, as last tried
  std::vector<Secret> ticket_keys_;
  std::vector<Clients> listeners_;
  std::map<std::string, Folder> folders_;
  std::map<Pair, Entry> entries_;
  std::shared_ptr<const tls::FrontContext> common_;
  std::vector<std::shared_ptr<const tls::FrontContext>> of_listeners_;
};

}  // namespace postern::certificates
