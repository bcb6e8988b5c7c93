// SPDX-License-Identifier: GPL-3.0-or-later
#include "script.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

namespace postern::dialog {
namespace {

constexpr std::string_view default_back = "127.0.1.1";

std::string_view strip(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t");
  if (begin == text.npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

std::string_view take_first(std::string_view& text) {
  text = strip(text);
  const std::string_view first = text.substr(0, text.find(' '));
  text = strip(text.substr(first.size()));
  return first;
}

// The words of an act again, as one text that words_of() understands.
std::string quoted(std::string_view octets) {
  std::string text = "\"";
  for (const char c : octets) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

What line_what(const std::string& pattern, size_t line) {
  What what;
  what.kind = What::Kind::Line;
  what.source = "/" + pattern + "/";
  try {
    what.pattern = std::make_shared<std::regex>(pattern, std::regex::ECMAScript | std::regex::optimize);
  } catch (const std::regex_error& error) {
    throw Fault(line, "this is no regular expression: " + pattern);
  }
  return what;
}

std::string escaped_for_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}/").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

class Parser {
 public:
  Parser(std::string_view text, Dialog& dialog) : dialog_(dialog) {
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);)
      lines_.push_back(line);
  }

  void parse() { parse_range(0, lines_.size()); }

 private:
  void parse_range(size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      std::string_view text = strip(lines_[i]);
      line_ = i + 1;
      if (text.empty() || text.starts_with('#')) continue;
      if (text.starts_with("repeat ")) {
        i = parse_repeat(i, end);
      } else {
        parse_line(text);
      }
    }
  }

  // Returns the index of the `end` line.
  size_t parse_repeat(size_t begin, size_t end) {
    const std::vector<Word> words = words_of(strip(lines_[begin]).substr(7), begin + 1);
    size_t count = 0;
    if (!words.empty()) std::from_chars(words[0].value.data(), words[0].value.data() + words[0].value.size(), count);
    size_t last = begin + 1;
    while (last < end && strip(lines_[last]) != "end")
      ++last;
    if (count == 0 || last == end) throw Fault(begin + 1, "repeat needs a number, and a line `end` below it");
    for (size_t i = 0; i < count; ++i)
      parse_range(begin + 1, last);
    return last;
  }

  void parse_line(std::string_view text) {
    std::optional<Duration> within;
    if (text.starts_with("within ")) {
      text.remove_prefix(7);
      within = duration_of(take_first(text));
      if (!within) throw Fault(line_, "within needs a length of time");
    }
    const size_t before = dialog_.steps.size();
    if (!parse_talk(text)) parse_act(text);
    if (!within) return;
    if (dialog_.steps.size() != before + 1) throw Fault(line_, "within goes with one expectation");
    dialog_.steps.back().within = within;
  }

  // WHO> and WHO< lines.
  bool parse_talk(std::string_view text) {
    const size_t mark = text.find_first_of("<> ");
    if (mark == text.npos || mark == 0 || text[mark] == ' ') return false;
    const std::string who(text.substr(0, mark));
    const bool inward = text[mark] == '>';
    text.remove_prefix(mark + 1);
    const bool optional = text.starts_with('?');
    if (optional) text.remove_prefix(1);
    text = strip(text);
    if (who == "close") return parse_close(inward, text);
    Step step = begin(inward ? Verb::Send : Verb::Expect, who);
    step.optional = optional;
    step.dialect = dialect_of(who);
    if (who == "helper") {
      step.verb = inward ? Verb::HelperAsked : Verb::HelperSays;
      step.words = words_of(text, line_);
      if (inward) {
        note_secret(step.words);
        if (setting(step.words, "protocol").empty()) {
          step.words.push_back({"protocol", std::string(session::dialect_word(dialect_of(last_front_)))});
        }
      }
    } else if (is_end(who, "front")) {
      inward ? parse_send(step, text) : parse_expect(step, text);
    } else if (is_end(who, "back")) {
      used_backs_ = std::max(used_backs_, number_of_end(who));
      step.verb = inward ? Verb::Expect : Verb::Send;
      inward ? parse_expect(step, text) : parse_send(step, text);
    } else {
      throw Fault(line_, "nobody is called " + who);
    }
    dialog_.steps.push_back(std::move(step));
    return true;
  }

  void parse_send(Step& step, std::string_view text) {
    const DialectWords& words = words_in(step.dialect);
    if (is_end(step.who, "back") && text == "@greet") {
      step.octets = back_greeting(step.dialect, dialog_.capability);
      return;
    }
    if (is_end(step.who, "back") && text == "@ok") {
      step.octets = agreeing_to_tls_.contains(step.who) ? words.back_starttls_ok : words.back_ok;
      return;
    }
    step.octets = octets_of(text, line_);
    if (!is_end(step.who, "front")) return;
    // The command that @ok and its like stand for.
    static const std::regex tagged("(?:^|\n)(\\S+) (?:LOGIN|AUTHENTICATE)(?= )", std::regex::icase);
    static const std::regex bare("(?:^|\n)(PASS|AUTH|AUTHENTICATE) ", std::regex::icase);
    std::smatch found;
    const std::string begin = step.octets.substr(0, 1000);
    if (!std::regex_search(begin, found, step.dialect == Dialect::Imap ? tagged : bare)) return;
    tags_[step.who] = found[1];
    last_front_ = step.who;
  }

  void parse_expect(Step& step, std::string_view text) {
    What& what = step.what;
    if (text.size() > 1 && text.starts_with('/') && text.ends_with('/')) {
      what = line_what(std::string(text.substr(1, text.size() - 2)), line_);
    } else if (text.starts_with('@')) {
      parse_special(step, text);
    } else if (text.ends_with("...")) {
      what.kind = What::Kind::Begins;
      what.text = octets_of(text.substr(0, text.size() - 3), line_);
    } else {
      what.text = octets_of(text, line_);
    }
    what.source = text;
  }

  void parse_special(Step& step, std::string_view text) {
    const std::string name(take_first(text));
    What& what = step.what;
    what.words = words_of(text, line_);
    static const std::map<std::string, What::Kind> kinds = {{"@login", What::Kind::Login},
                                                            {"@starttls", What::Kind::StartTls},
                                                            {"@id", What::Kind::Id},
                                                            {"@list", What::Kind::List},
                                                            {"@proxy", What::Kind::Proxy}};
    if (const auto kind = kinds.find(name); kind != kinds.end()) {
      what.kind = kind->second;
      if (name == "@login") note_secret(what.words);
      if (name == "@login") agreeing_to_tls_.erase(step.who);
      if (name == "@starttls") agreeing_to_tls_.insert(step.who);
      return;
    }
    const DialectWords& words = words_in(step.dialect);
    if (name == "@greet") {
      words.greet.empty() ? void(what.kind = What::Kind::List)
                          : void(what = line_what(std::string(words.greet), line_));
      return;
    }
    const std::string tag = step.dialect == Dialect::Imap ? escaped_for_pattern(tags_[step.who]) : std::string();
    if (tag.empty() && step.dialect == Dialect::Imap) throw Fault(line_, name + " needs a login command before it");
    const std::map<std::string_view, std::string_view> answers = {
        {"@ok", words.ok}, {"@no", words.no}, {"@bad", words.bad}, {"@temp", words.temp}};
    const auto found = answers.find(name);
    if (found == answers.end()) throw Fault(line_, "unknown: " + name);
    what = line_what(tag + std::string(found->second), line_);
  }

  bool parse_close(bool by, std::string_view text) {
    Step step = begin(by ? Verb::CloseBy : Verb::ClosedBy, std::string(take_first(text)));
    step.words = words_of(text, line_);
    static constexpr std::string_view known[] = {"half", "bare", "rst", "notify", "anything"};
    for (const Word& word : step.words) {
      if (std::find(std::begin(known), std::end(known), word.value) == std::end(known)) {
        throw Fault(line_, "close knows no word " + word.value);
      }
    }
    dialog_.steps.push_back(std::move(step));
    return true;
  }

  void parse_act(std::string_view text) {
    const std::string name(take_first(text));
    if (name == "set") return parse_set(text);
    if (name == "only") {
      const std::string_view where = take_first(text);
      if (text.empty()) throw Fault(line_, "only needs a reason");
      (where == "memory" ? dialog_.live : dialog_.in_memory) = false;
      return;
    }
    if (name == "secret") return note_secrets(words_of(text, line_));
    if (name == "fails") {
      dialog_.fault = text;
      return;
    }
    if (name == "greet") return run("WHO< @greet", std::string(text.empty() ? "front" : text));
    if (name == "starttls") return parse_starttls(std::string(text));
    if (name == "login") return parse_login(words_of(text, line_));
    if (name == "admit") return parse_admit(text);
    parse_plain_act(name, text);
  }

  void parse_plain_act(const std::string& name, std::string_view text) {
    static const std::map<std::string, Verb> verbs = {
        {"open", Verb::Open}, {"tcp", Verb::Open},    {"tls", Verb::StartTls},
        {"wait", Verb::Wait}, {"pause", Verb::Pause}, {"resume", Verb::Resume},
        {"do", Verb::Do},     {"check", Verb::Check}, {"crowd", Verb::Crowd}};
    const auto found = verbs.find(name);
    if (found == verbs.end()) throw Fault(line_, "there is no act " + name);
    Step step = begin(found->second, "");
    step.words = words_of(text, line_);
    if (step.words.empty()) throw Fault(line_, name + " needs more words");
    const bool names_somebody = name == "open" || name == "tcp" || name == "tls" || name == "pause" || name == "resume";
    if (names_somebody) step.who = take_word(step);
    if (name == "open" || name == "tcp") step.words.insert(step.words.begin(), Word{"how", name});
    if (name == "tls") {
      const std::string act = take_word(step);
      if (act == "open") {
        step.verb = Verb::Open;
        step.words.insert(step.words.begin(), Word{"how", "tls"});
      } else if (act == "send") {
        step.verb = Verb::SendRecords;
      } else if (act != "start") {
        throw Fault(line_, "tls knows open, start and send");
      }
    }
    if (name == "wait" && step.words[0].value == "quiet") {
      step.verb = Verb::Quiet;
      take_word(step);
      step.who = take_word(step);
    }
    if (name == "wait" && (step.words.empty() || !duration_of(step.words[0].value))) {
      throw Fault(line_, "wait needs a length of time");
    }
    if (is_end(step.who, "back")) used_backs_ = std::max(used_backs_, number_of_end(step.who));
    note_dialect(step);
    dialog_.steps.push_back(std::move(step));
  }

  // Who speaks what is known from where he connects, and of a mail server from who logged in before it was named.
  void note_dialect(Step& step) {
    const auto name = [&step](size_t i) { return i < step.words.size() ? step.words[i].value : std::string(); };
    if (step.verb == Verb::Open) {
      const UsualListener* const listener = note_listener(name(1));
      const Dialect dialect = listener == nullptr ? Dialect::Imap : listener->dialect;
      dialects_[step.who] = dialect != Dialect::Alpn ? dialect : dialect_of_alpn(setting(step.words, "alpn"));
    }
    if (step.verb == Verb::Crowd) note_listener(name(1));
    if (step.verb == Verb::Check && name(0) == "refused") note_listener(name(1));
    step.dialect = dialect_of(step.verb == Verb::Check ? name(0) : step.who);
  }

  const UsualListener* note_listener(const std::string& name) {
    const UsualListener* const listener = find_listener(name);
    if (listener != nullptr) dialog_.listeners.emplace(name);
    return listener;
  }

  Dialect dialect_of(const std::string& who) {
    const auto known = dialects_.find(who);
    if (known != dialects_.end()) return known->second;
    if (!is_end(who, "back") || last_front_.empty()) return Dialect::Imap;
    return dialects_[who] = dialects_[last_front_];
  }

  std::string take_word(Step& step) {
    if (step.words.empty() || !step.words[0].key.empty()) throw Fault(line_, "a word is missing");
    std::string value = step.words[0].value;
    step.words.erase(step.words.begin());
    return value;
  }

  void parse_starttls(const std::string& who) {
    const DialectWords& words = words_in(dialect_of(who));
    run("WHO> " + std::string(words.dialect == Dialect::Imap ? "s0 " : "") + std::string(words.starttls) + "\\r\\n",
        who);
    run("WHO< /" + std::string(words.starttls_ok) + "/", who);
    run("tls WHO start", who);
    // RFC 5804, section 2.2: the list comes again, unasked.
    if (words.dialect == Dialect::Sieve) run("WHO< @list", who);
  }

  // login FRONT USER PASSWORD [LISTENER]
  void parse_login(const std::vector<Word>& words) {
    if (words.size() < 3) throw Fault(line_, "login FRONT USER PASSWORD");
    const std::string& front = words[0].value;
    const std::string user = quoted(words[1].value), password = quoted(words[2].value);
    const std::string plain = base64_of(std::string(1, '\0') + words[1].value + std::string(1, '\0') + words[2].value);
    run("open WHO " + (words.size() > 3 ? words[3].value : std::string("imaps")), front);
    run("WHO< @greet", front);
    std::string command, method = "PLAIN";
    switch (dialect_of(front)) {
      case Dialect::Pop3:
        push_send(front, "USER " + words[1].value + "\r\n");
        run("WHO< @ok", front);
        command = "PASS " + words[2].value;
        method = "LOGIN";
        break;
      case Dialect::Submission:
        push_send(front, "EHLO laptop.example.test\r\n");
        run("WHO< @list", front);
        command = "AUTH PLAIN " + plain;
        break;
      case Dialect::Sieve: command = "AUTHENTICATE \"PLAIN\" \"" + plain + "\""; break;
      case Dialect::Imap:
      case Dialect::Alpn:
        command = "a1 LOGIN " + user + " " + password;
        method = "LOGIN";
        tags_[front] = "a1";
    }
    push_send(front, command + "\r\n");
    last_front_ = front;
    parse_admit(user + " " + password + " via " + method);
  }

  void push_send(const std::string& who, std::string octets) {
    Step step = begin(Verb::Send, who);
    step.dialect = dialect_of(who);
    step.octets = std::move(octets);
    dialog_.steps.push_back(std::move(step));
  }

  // admit "USER" "PASSWORD" via METHOD [from ADDR]
  void parse_admit(std::string_view text) {
    const std::vector<Word> words = words_of(text, line_);
    if (words.size() < 4 || last_front_.empty()) throw Fault(line_, "admit follows a login command");
    const std::string back = used_backs_ == 0 ? "back" : "back" + std::to_string(used_backs_ + 1);
    const std::string front = last_front_;
    parse_line("helper> verify " + std::string(text));
    parse_line("helper< accept back=" + std::string(default_back));
    run("WHO< @greet", back);
    Step step = begin(Verb::Expect, back);
    step.dialect = dialect_of(back);
    step.what.kind = What::Kind::Login;
    step.what.words = {words[0], words[1]};
    step.what.source = "@login";
    dialog_.steps.push_back(std::move(step));
    run("WHO< @ok", back);
    run("WHO< @ok", front);
  }

  // set SECTION [NAME] KEY = VALUE, and what stands beside the configuration.
  void parse_set(std::string_view text) {
    const size_t equals = text.find(" = ");
    const std::vector<Word> words = words_of(text.substr(0, std::min(equals, text.size())), line_);
    const auto is = [&words](size_t index, std::string_view value) {
      return index < words.size() && words[index].value == value;
    };
    if (is(0, "listen") && words.size() == 3) note_listener(words[1].value);
    if (equals != text.npos && (words.size() == 2 || words.size() == 3)) {
      dialog_.settings.push_back({words[0].value, words.size() == 3 ? words[1].value : "", words.back().value,
                                  std::string(strip(text.substr(equals + 3)))});
    } else if (words.size() == 3 && is(2, "absent")) {
      dialog_.settings.push_back({words[0].value, words[1].value, "", ""});
    } else if (is(0, "helper") && is(1, "away")) {
      dialog_.helper_away = true;
    } else if (is(0, "helper") && is(1, "hello") && words.size() == 3) {
      dialog_.helper_hello = words[2].value;
    } else if (is(0, "limit") && is(1, "files") && words.size() == 3) {
      // The live player's.
    } else if (is(0, "back") && is(1, "capability") && words.size() == 3) {
      dialog_.capability = words[2].value;
    } else if (is(0, "back") && words.size() == 3 && (is(2, "refuses") || is(2, "silent"))) {
      dialog_.backs[words[1].value] = is(2, "refuses") ? BackTemper::Refuses : BackTemper::Silent;
    } else {
      throw Fault(line_, "set what?");
    }
  }

  void note_secret(const std::vector<Word>& words) {
    // verify "USER" "PASSWORD", @login "USER" "PASSWORD"
    size_t seen = 0;
    for (const Word& word : words) {
      if (word.key.empty() && word.quoted && ++seen == 2) note_secrets({word});
    }
  }

  void note_secrets(const std::vector<Word>& words) {
    for (const Word& word : words) {
      if (!word.value.empty() &&
          std::find(dialog_.secrets.begin(), dialog_.secrets.end(), word.value) == dialog_.secrets.end()) {
        dialog_.secrets.push_back(word.value);
      }
    }
  }

  Step begin(Verb verb, std::string who) {
    Step step;
    step.line = line_;
    step.verb = verb;
    step.who = std::move(who);
    return step;
  }

  // Parses a line in which WHO stands for a name.
  void run(std::string text, const std::string& who) {
    const size_t place = text.find("WHO");
    parse_line(text.replace(place, 3, who));
  }

  Dialog& dialog_;
  std::vector<std::string> lines_;
  size_t line_ = 0;
  size_t used_backs_ = 0;  // the highest number of a mail server's connection that was named
  std::string last_front_;
  std::map<std::string, std::string> tags_;
  std::map<std::string, Dialect> dialects_;
  std::set<std::string> agreeing_to_tls_;  // mail servers that were asked for TLS, and not yet for a login
};

}  // namespace

Dialog read_dialog_text(std::string_view text, const std::string& name) {
  Dialog dialog;
  dialog.name = name;
  dialog.file = name;
  dialog.helper_hello = "op=hello&version=1&name=dialog\n";
  Parser(text, dialog).parse();
  if (dialog.steps.empty()) throw Fault(0, "nothing happens in this dialog");
  return dialog;
}

Dialog read_dialog(const std::string& file, const std::string& name) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  if (!stream) throw Fault(0, "cannot be read");
  Dialog dialog = read_dialog_text(text.str(), name);
  dialog.file = file;
  return dialog;
}

}  // namespace postern::dialog
