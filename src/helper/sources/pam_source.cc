// SPDX-License-Identifier: GPL-3.0-or-later
#include "helper/sources/pam_source.h"

#include <security/pam_appl.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "base/secret.h"
#include "config/words.h"

namespace postern::helper {
namespace {

// A question, wiped when it has been asked.
struct Question {
  PamAsked asked{};

  Question() = default;
  ~Question() { wipe(&asked, sizeof asked); }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;
};

// False: it does not fit, or has a NUL in it, behind which PAM would not look.
template <size_t size>
bool put(char (&into)[size], std::string_view text) {
  if (text.size() >= size || text.find('\0') != text.npos) return false;
  text.copy(into, text.size());
  return true;
}

}  // namespace

PamOptions read_pam(TableReader& reader, SourceRules& rules) {
  PamOptions options;
  reader.text("service", options.service);
  reader.path("service_folder", options.folder);
  if (options.service.find('/') != std::string::npos) {
    reader.wrong(
        *reader.take("service"), "service",
        "is " + config::quoted(options.service) + "; it is a file's name alone, and its folder is service_folder");
  }
  if (rules.only_route) reader.wrong_table("PAM knows no routes, so role = \"route\" says nothing here");
  return options;
}

PamSource::PamSource(PamOptions options) : options_(std::move(options)), name_("pam:" + options_.service) {}

Lookup PamSource::find(const Asked& asked) {
  const Instant deadline = std::chrono::steady_clock::now() + rules().turnstile.timeout;
  const std::string_view password = view(asked.question.password);
  Question question;
  if (password.empty() || !put(question.asked.password, password)) {
    return refuse(POSTERN_REASON_CREDENTIALS, "the password is empty, has a NUL, or is longer than PAM can take");
  }
  if (!put(question.asked.user, asked.user)) return UnknownUser{};
  // An address always fits.
  static_cast<void>(put(question.asked.client, value_of(Variable::Client, asked)));
  absl::StatusOr<std::unique_ptr<PamChild>> child = children_.take([](const auto& one) { return one->is_ready(); });
  if (*child == nullptr) child = PamChild::start(options_.service, options_.folder);
  if (!child.ok()) return SourceFailure{std::string(child.status().message())};
  const absl::StatusOr<PamAnswer> answer = (*child)->ask(question.asked, deadline);
  if (!answer.ok()) return SourceFailure{std::string(answer.status().message())};
  children_.give_back(*std::move(child));
  return meaning_of(*answer);
}

Lookup meaning_of(const PamAnswer& answer) {
  const std::string said = std::string(answer.doing) + ": " + answer.meaning;
  switch (answer.code) {
    case PAM_SUCCESS: return Admitted{};
    case PAM_USER_UNKNOWN: return UnknownUser{};
    case PAM_AUTH_ERR: return refuse(POSTERN_REASON_CREDENTIALS, "wrong password");
    case PAM_PERM_DENIED: return refuse(POSTERN_REASON_NOT_ALLOWED, said);
    case PAM_ACCT_EXPIRED:
    case PAM_AUTHTOK_EXPIRED:
    case PAM_NEW_AUTHTOK_REQD: return refuse(POSTERN_REASON_DISABLED, said);
    default: return SourceFailure{said};
  }
}

absl::Status PamSource::check() {
  const std::string file = options_.folder + "/" + options_.service;
  if (access(file.c_str(), R_OK) != 0) {
    return absl::NotFoundError(
        file + ": " + std::strerror(errno) +
        ". Without it PAM follows its file \"other\", which refuses everybody. Write for example "
        "\"auth required pam_unix.so\" and \"account required pam_unix.so\" into it");
  }
  // Nobody has this name; modules that cannot be loaded show themselves only when one asks.
  const postern_question question = question_of_nobody();
  const Lookup lookup = find(Asked(question, "postern-check"));
  if (std::holds_alternative<Admitted>(lookup)) {
    return absl::FailedPreconditionError(file + " lets a user in whom there is not: any password may do");
  }
  const auto* failure = std::get_if<SourceFailure>(&lookup);
  if (failure == nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(file + ": " + failure->text + ". Are all modules of this file installed?");
}

}  // namespace postern::helper
