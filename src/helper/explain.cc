// SPDX-License-Identifier: GPL-3.0-or-later
// The commands explain and test: one login asked of all sources as the daemon would ask them, and told to a person.
#include <stdio.h>

#include <string>
#include <utility>
#include <vector>

#include "base/endpoint.h"
#include "helper/commands.h"
#include "helper/options.h"
#include "helper/verifier.h"

namespace postern::helper {
namespace {

constexpr ExitStatus admitted = 0, rejected = 1, misused = 2, unknown = 3;

// A login that nobody has sent. Its texts live here.
class Trial {
 public:
  // A Status has one sentence on what is wrong with the arguments.
  static absl::StatusOr<Trial> make(const Arguments& arguments) {
    Trial trial;
    trial.user_ = arguments.words[1];
    trial.protocol_ = arguments.protocol.empty() ? "imap" : arguments.protocol;
    const std::optional<Endpoint> client =
        Endpoint::parse(arguments.client.empty() ? "127.0.0.1" : arguments.client, 1);
    if (!client) return absl::InvalidArgumentError("--client " + arguments.client + " is no address.");
    trial.client_ = client->text();
    trial.address_ = client->address_text();
    if (!is_protocol(trial.protocol_)) {
      return absl::InvalidArgumentError("--protocol " + trial.protocol_ + " is none of imap, pop3, submission, sieve.");
    }
    if (arguments.no_password) return trial;
    absl::StatusOr<Secret> password = get_password(arguments, "Password of " + trial.user_);
    if (!password.ok()) return password.status();
    trial.password_ = *std::move(password);
    trial.has_password_ = true;
    return trial;
  }

  bool has_password() const { return has_password_; }
  postern_question question() const {
    postern_question question{};
    question.op = postern_text("verify");
    question.mechanism = postern_text("PLAIN");
    question.protocol = {protocol_.data(), protocol_.size()};
    question.client = {client_.data(), client_.size()};
    question.user = {user_.data(), user_.size()};
    if (has_password_) question.password = {password_.reveal().data(), password_.size()};
    return question;
  }
  std::string described() const { return user_ + " by " + protocol_ + " from " + address_; }

 private:
  std::string user_, protocol_, client_, address_;
  Secret password_;
  bool has_password_ = false;
};

struct Outcome {
  Decision decision;
  std::vector<Step> steps;
};

// Says what is wrong, if anything is.
std::optional<Outcome> decide(const Arguments& arguments, const Trial& trial) {
  const std::string file = arguments.file.empty() ? default_file : arguments.file;
  ReadResult read = read_options(file);
  for (const std::string& problem : read.problems)
    fail(problem);
  if (!read.problems.empty()) return std::nullopt;
  Verifier verifier(make_sources(std::move(read.options.sources)), read.options.passwords, read.options.names);
  Outcome outcome;
  const postern_question question = trial.question();
  outcome.decision =
      trial.has_password() ? verifier.verify(question, &outcome.steps) : verifier.route(question, &outcome.steps);
  return outcome;
}

ExitStatus status_of(const Decision& decision) {
  if (decision.result == POSTERN_OK) return admitted;
  return decision.result == POSTERN_REJECT ? rejected : unknown;
}

std::string verdict_of(const Decision& decision) {
  std::string by = decision.source.empty() ? "" : " by " + decision.source;
  if (decision.result == POSTERN_OK) {
    return "accepted" + by + (decision.check_at_back ? ", if the mail server takes the password" : "");
  }
  return (decision.result == POSTERN_REJECT ? "refused" : "temporarily unavailable") + by + ": " + decision.why;
}

void print_route(const Decision& decision) {
  bool said = false;
  for (const RouteAttribute& attribute : route_attributes()) {
    std::string text = attribute_text(decision.route, attribute.name);
    if (!text.empty())
      printf("  %s = %s\n", std::string(attribute.name).c_str(), attribute.secret ? "(set)" : text.c_str());
    said = said || !text.empty();
    wipe(text);
  }
  if (!said) puts("  nothing is said: the listener's pool decides, with the name and password of the mail program");
}

}  // namespace

ExitStatus run_explain(const Arguments& arguments) {
  const absl::StatusOr<Trial> trial = Trial::make(arguments);
  if (!trial.ok()) return fail(std::string(trial.status().message())), misused;
  const std::optional<Outcome> outcome = decide(arguments, *trial);
  if (!outcome) return misused;
  printf("%s%s\n", trial->described().c_str(), trial->has_password() ? "" : ", as if the password were right");
  int number = 0;
  for (const Step& step : outcome->steps) {
    printf("%3d. %s: %s (%lld ms)\n", ++number, step.source.c_str(), step.what.c_str(),
           static_cast<long long>(step.taken.count()));
  }
  const Decision& decision = outcome->decision;
  printf("%s\n", verdict_of(decision).c_str());
  if (!decision.text.empty()) printf("  the user reads: %s\n", decision.text.c_str());
  if (decision.result == POSTERN_OK) print_route(decision);
  return status_of(decision);
}

ExitStatus run_test(const Arguments& arguments) {
  const absl::StatusOr<Trial> trial = Trial::make(arguments);
  if (!trial.ok()) return fail(std::string(trial.status().message())), misused;
  const std::optional<Outcome> outcome = decide(arguments, *trial);
  if (!outcome) return misused;
  printf("%s\n", verdict_of(outcome->decision).c_str());
  return status_of(outcome->decision);
}

}  // namespace postern::helper
