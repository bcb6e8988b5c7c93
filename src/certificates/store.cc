// SPDX-License-Identifier: GPL-3.0-or-later
#include "certificates/store.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"

namespace postern::certificates {
namespace {

// More names of one certificate do not stand in a line.
constexpr size_t shown_names_max = 5;

void add_fault(std::string& faults, const absl::Status& status) {
  if (status.ok()) return;
  if (!faults.empty()) faults += "\n";
  faults += std::string(status.message());
}

std::string day(int64_t seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M UTC", absl::FromUnixSeconds(seconds), absl::UTCTimeZone());
}

std::string described(const tls::Certificate& certificate) {
  const std::vector<std::string>& names = certificate.names;
  const auto end = names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), shown_names_max));
  return absl::StrFormat("for %s%s, valid until %s", absl::StrJoin(names.begin(), end, ", "),
                         end == names.end() ? "" : " and others", day(certificate.not_after));
}

// One note for each line of the status.
void note(const absl::Status& status, std::string_view consequence, const std::string& file, std::vector<Note>& notes) {
  notes.push_back({Severity::Warning, file, std::string(status.message()) + ". " + std::string(consequence)});
}

}  // namespace

Store::Store(tls::Options options, std::vector<ClientFiles> listeners, tls::TicketKeys& tickets)
    : options_(std::move(options)), tickets_(tickets) {
  for (ClientFiles& files : listeners)
    listeners_.push_back({.files = std::move(files), .ca = {}, .crl = {}});
  of_listeners_.resize(listeners_.size());
  for (const std::string& folder : options_.folders)
    folders_.emplace(folder, Folder());
}

absl::Status Store::load(std::vector<Note>& notes) {
  std::string faults;
  for (const tls::CertificateOptions& pair : options_.certificates)
    add_fault(faults, try_pair(pair, entries_[{pair.chain, pair.key}]));
  add_fault(faults, list_folders(notes));
  add_fault(faults, try_ticket_keys());
  if (!faults.empty()) return absl::InvalidArgumentError(faults);
  look_at_pairs(notes);
  // At the start only what is wrong is news.
  std::erase_if(notes, [](const Note& note) { return note.severity == Severity::Notice; });
  index();
  if (size() == 0 && !folders_.empty()) {
    return absl::NotFoundError(absl::StrFormat(
        "%s: there is no usable certificate. Put pairs such as mail.crt and mail.key there, or folders with "
        "fullchain.pem and privkey.pem",
        folders_.begin()->first));
  }
  for (size_t number = 0; number < listeners_.size(); ++number)
    add_fault(faults, build_listener(number));
  return faults.empty() ? absl::OkStatus() : absl::InvalidArgumentError(faults);
}

bool Store::refresh(std::vector<Note>& notes) {
  look_at_ticket_keys(notes);
  (void)list_folders(notes);
  bool changed = look_at_pairs(notes);
  changed |= drop_what_is_gone(notes);
  if (changed) index();
  return look_at_listeners(changed, notes) || changed;
}

// ---- Ticket keys -----------------------------------------------------------------------------------------------------

absl::Status Store::try_ticket_keys() {
  if (options_.ticket_keys.empty()) return absl::OkStatus();
  ticket_stamp_ = Stamp::of(options_.ticket_keys);
  absl::StatusOr<std::vector<Secret>> keys = read_ticket_keys(options_.ticket_keys);
  if (!keys.ok()) return keys.status();
  ticket_keys_ = *std::move(keys);
  return absl::OkStatus();
}

// No context changes with them: they are asked for at each ticket.
void Store::look_at_ticket_keys(std::vector<Note>& notes) {
  const std::string& path = options_.ticket_keys;
  if (path.empty() || ticket_stamp_ == Stamp::of(path)) return;
  if (const absl::Status status = try_ticket_keys(); !status.ok()) {
    return note(status, "The former keys stay in use.", path, notes);
  }
  publish_ticket_keys();
  notes.push_back({Severity::Notice, path, absl::StrFormat("%d ticket keys read again", ticket_keys_.size())});
}

// ---- Pairs ---------------------------------------------------------------------------------------------------------

absl::Status Store::list_folders(std::vector<Note>& notes) {
  std::string faults;
  for (auto& [path, folder] : folders_) {
    absl::StatusOr<std::vector<tls::CertificateOptions>> pairs = pairs_in(path);
    if (!pairs.ok()) {
      add_fault(faults, pairs.status());
      if (!folder.faulty) note(pairs.status(), "What it held stays in service.", path, notes);
    } else {
      folder.pairs = *std::move(pairs);
      if (folder.pairs.size() == folder_pairs_max) {
        notes.push_back(
            {Severity::Warning, path, absl::StrFormat("only the first %d pairs are used", folder_pairs_max)});
      }
    }
    folder.faulty = !pairs.ok();
  }
  return faults.empty() ? absl::OkStatus() : absl::NotFoundError(faults);
}

// In the order in which they count: the first is the default.
std::vector<tls::CertificateOptions> Store::wanted() const {
  std::vector<tls::CertificateOptions> pairs = options_.certificates;
  for (const std::string& path : options_.folders) {
    const std::vector<tls::CertificateOptions>& found = folders_.at(path).pairs;
    pairs.insert(pairs.end(), found.begin(), found.end());
  }
  return pairs;
}

// The files are looked at before they are read: what changes in between shows at the next look.
absl::Status Store::try_pair(const tls::CertificateOptions& pair, Entry& entry) {
  entry.chain = Stamp::of(pair.chain);
  entry.key = Stamp::of(pair.key);
  absl::StatusOr<tls::CertificatePem> pem = read(pair);
  if (!pem.ok()) return pem.status();
  absl::StatusOr<std::unique_ptr<tls::Certificate>> certificate =
      tls::load_certificate(*pem, options_.min_version, tickets_);
  if (!certificate.ok()) return certificate.status();
  entry.certificate = *std::move(certificate);
  return absl::OkStatus();
}

bool Store::look_at_pairs(std::vector<Note>& notes) {
  bool changed = false;
  for (const tls::CertificateOptions& pair : wanted()) {
    Entry& entry = entries_[{pair.chain, pair.key}];
    if (entry.chain == Stamp::of(pair.chain) && entry.key == Stamp::of(pair.key)) continue;
    const bool is_new = entry.certificate == nullptr;
    if (const absl::Status status = try_pair(pair, entry); !status.ok()) {
      note(status, is_new ? "It is left out until its files change." : "The former one stays in service.", pair.chain,
           notes);
      continue;
    }
    notes.push_back({Severity::Notice, pair.chain,
                     absl::StrFormat("%s, %s", is_new ? "new" : "renewed", described(*entry.certificate))});
    changed = true;
  }
  return changed;
}

// A renewal may take the old files away before it puts the new ones there: only what is gone at two looks has gone. And a
// folder that is all at once empty is being filled anew, or was moved by mistake.
bool Store::drop_what_is_gone(std::vector<Note>& notes) {
  std::set<Pair> here;
  for (const tls::CertificateOptions& pair : wanted())
    here.insert({pair.chain, pair.key});
  if (here.empty()) return false;
  bool changed = false;
  for (auto entry = entries_.begin(); entry != entries_.end();) {
    const bool was_gone = std::exchange(entry->second.gone, !here.contains(entry->first));
    if (!entry->second.gone || !was_gone) {
      ++entry;
      continue;
    }
    changed |= entry->second.certificate != nullptr;
    notes.push_back({Severity::Notice, entry->first.first, "gone, and served no longer"});
    entry = entries_.erase(entry);
  }
  return changed;
}

// What has just gone is served until the next look, behind all others.
void Store::index() {
  std::vector<std::shared_ptr<const tls::Certificate>> certificates;
  std::set<Pair> placed;
  const auto place = [&](const Pair& pair) {
    const auto entry = entries_.find(pair);
    if (entry == entries_.end() || entry->second.certificate == nullptr || !placed.insert(pair).second) return;
    certificates.push_back(entry->second.certificate);
  };
  for (const tls::CertificateOptions& pair : wanted())
    place({pair.chain, pair.key});
  for (const auto& [pair, entry] : entries_)
    place(pair);
  common_ = std::make_shared<const tls::FrontContext>(std::move(certificates));
}

// ---- Listeners that verify mail programs ---------------------------------------------------------------------------

// Each has the library's contexts for itself, so the pairs are read again.
absl::Status Store::build_listener(size_t number) {
  Clients& clients = listeners_[number];
  if (clients.files.ca.empty()) return absl::OkStatus();
  clients.stale = true;
  clients.ca = Stamp::of(clients.files.ca);
  clients.crl = Stamp::of(clients.files.crl);
  std::string faults;
  const auto text = [&](const std::string& path) {
    absl::StatusOr<Secret> contents = path.empty() ? Secret() : read(path);
    add_fault(faults, contents.status());
    return contents.ok() ? std::string(contents->reveal()) : std::string();
  };
  const tls::ClientTrust trust{clients.files.ca, text(clients.files.ca), clients.files.crl, text(clients.files.crl)};
  std::vector<tls::CertificatePem> pems;
  for (const tls::CertificateOptions& pair : wanted()) {
    const auto entry = entries_.find({pair.chain, pair.key});
    if (entry == entries_.end() || entry->second.certificate == nullptr) continue;
    absl::StatusOr<tls::CertificatePem> pem = read(pair);
    add_fault(faults, pem.status());
    if (pem.ok()) pems.push_back(*std::move(pem));
  }
  if (!faults.empty()) return absl::NotFoundError(faults);
  absl::StatusOr<std::unique_ptr<tls::FrontContext>> context =
      tls::FrontContext::load(pems, options_.min_version, tickets_, &trust);
  if (!context.ok()) return context.status();
  of_listeners_[number] = *std::move(context);
  clients.stale = false;
  return absl::OkStatus();
}

bool Store::look_at_listeners(bool certificates_changed, std::vector<Note>& notes) {
  bool changed = false;
  for (size_t number = 0; number < listeners_.size(); ++number) {
    const Clients& clients = listeners_[number];
    if (clients.files.ca.empty()) continue;
    const bool touched = clients.ca != Stamp::of(clients.files.ca) || clients.crl != Stamp::of(clients.files.crl);
    if (!touched && !certificates_changed && !clients.stale) continue;
    const bool was_stale = clients.stale;
    const absl::Status status = build_listener(number);
    changed |= status.ok();
    if (!status.ok() && (touched || !was_stale))
      note(status, "The former ones stay in force.", clients.files.ca, notes);
    if (status.ok() && touched)
      notes.push_back({Severity::Notice, clients.files.ca, "read again, with its list of what was revoked"});
  }
  return changed;
}

// ---- Expiry --------------------------------------------------------------------------------------------------------

void Store::note_expiries(int64_t now, std::vector<Note>& notes) const {
  const int64_t within = std::chrono::duration_cast<std::chrono::seconds>(options_.expiry_warning).count();
  const auto look = [&](const std::string& file, int64_t not_after, std::string_view consequence) {
    if (not_after <= now) {
      notes.push_back({Severity::Error, file, absl::StrFormat("ran out at %s. %s", day(not_after), consequence)});
    } else if (not_after - now < within) {
      notes.push_back({Severity::Warning, file, absl::StrFormat("runs out at %s. %s", day(not_after), consequence)});
    }
  };
  for (const auto& [pair, entry] : entries_) {
    if (entry.certificate == nullptr) continue;
    look(pair.first, entry.certificate->not_after, "Renew it: mail programs refuse one that has run out.");
  }
  std::set<std::string> looked_at;
  for (const std::shared_ptr<const tls::FrontContext>& context : of_listeners_) {
    if (context == nullptr || !context->trust_expiry()) continue;
    const tls::Expiry& expiry = *context->trust_expiry();
    if (!looked_at.insert(expiry.file_name).second) continue;
    look(expiry.file_name, expiry.not_after, "Replace it: mail programs cannot be verified by what has run out.");
  }
}

std::optional<tls::Expiry> Store::soonest_expiry() const {
  std::optional<tls::Expiry> soonest;
  const auto look = [&](const tls::Expiry& expiry) {
    if (!soonest || expiry.not_after < soonest->not_after) soonest = expiry;
  };
  for (const auto& [pair, entry] : entries_) {
    if (entry.certificate != nullptr) look({entry.certificate->not_after, pair.first});
  }
  for (const std::shared_ptr<const tls::FrontContext>& context : of_listeners_) {
    if (context != nullptr && context->trust_expiry()) look(*context->trust_expiry());
  }
  return soonest;
}

}  // namespace postern::certificates
