// SPDX-License-Identifier: GPL-3.0-or-later
// The command `trace`: one user's next sessions, until enough have been seen or the time is over.
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "control/commands.h"

namespace postern::control {
namespace {

// Traces at the same time: each lets all new sessions remember their lines until they have a name.
constexpr uint32_t traces_max = 4;
constexpr uint32_t sessions_default = 1, sessions_max = 100;
constexpr uint32_t seconds_default = 300, seconds_max = 3600;

bool read_count(const auth::Form& request, std::string_view key, uint32_t max, uint32_t& value) {
  const std::string_view text = request.get(key);
  if (text.empty()) return true;
  return absl::SimpleAtoi(absl::string_view(text.data(), text.size()), &value) && value != 0 && value <= max;
}

Json json_of(const session::TraceLine& line) {
  Json json;
  json["session"] = session::text_of_id(line.session);
  json["ms"] = line.age.count();
  json["voice"] = std::string(session::voice_word(line.voice));
  json["text"] = line.text;
  return json;
}

}  // namespace

// Ends once, however it ends.
struct Commands::Tracing {
  Answer answer;
  std::shared_ptr<session::TraceWish> wish;
  std::vector<reactor::Reactor*> reactors;
  uint32_t wanted = 0;
  uint32_t seen = 0;
  bool ended = false;

  void end(std::string_view why) {
    if (std::exchange(ended, true)) return;
    for (reactor::Reactor* reactor : reactors)
      reactor->post(reactor::EndTrace{wish->id});
    answer.end(Json{{"sessions", seen}, {"end", std::string(why)}});
  }
};

void Commands::trace(const auth::Form& request, Answer answer) {
  const std::string_view user = request.get("user");
  if (user.empty()) return answer.fail("user= is missing: whose sessions are to be traced?");
  uint32_t sessions = sessions_default, seconds = seconds_default;
  if (!read_count(request, "sessions", sessions_max, sessions))
    return answer.fail(absl::StrFormat("sessions= must be a number from 1 to %u", sessions_max));
  if (!read_count(request, "seconds", seconds_max, seconds))
    return answer.fail(absl::StrFormat("seconds= must be a number from 1 to %u", seconds_max));
  std::erase_if(traces_, [](const std::weak_ptr<Tracing>& one) {
    const std::shared_ptr<Tracing> tracing = one.lock();
    return tracing == nullptr || tracing->ended;
  });
  if (traces_.size() >= traces_max) return answer.fail("there are enough traces already; end one of them first");
  auto tracing =
      std::make_shared<Tracing>(Tracing{answer, std::make_shared<session::TraceWish>(), means_.reactors, sessions});
  traces_.push_back(tracing);
  session::TraceWish& wish = *tracing->wish;
  wish.id = next_trace_++;
  wish.user = std::string(user);
  wish.left = sessions;
  // The reactors hold the wish, and the wish must not hold itself: so the functions know its Tracing weakly.
  const std::weak_ptr<Tracing> weak = tracing;
  wish.line = [control = control_, weak](session::TraceLine line) {
    control->post([weak, said = std::move(line)] {
      if (const std::shared_ptr<Tracing> one = weak.lock()) one->answer.add(json_of(said));
    });
  };
  wish.over = [control = control_, weak] {
    control->post([weak] {
      const std::shared_ptr<Tracing> one = weak.lock();
      if (one != nullptr && ++one->seen >= one->wanted) one->end("all sessions that were asked for");
    });
  };
  // The client keeps it alive until the answer has ended.
  answer.when_gone([tracing] { tracing->end("gone"); });
  answer.at(std::chrono::steady_clock::now() + std::chrono::seconds(seconds), [tracing] { tracing->end("time"); });
  for (reactor::Reactor* reactor : means_.reactors)
    reactor->post(reactor::Trace{tracing->wish});
  answer.add(Json{{"tracing", std::string(user)}, {"sessions", sessions}, {"seconds", seconds}});
}

}  // namespace postern::control
