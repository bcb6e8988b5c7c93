// SPDX-License-Identifier: GPL-3.0-or-later
#include "config/values.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

#include "config/words.h"

namespace postern::config {
namespace {

// The setting at hand, and where to complain about it.
struct Reading {
  Draft& draft;
  const Setting& setting;
  const Value& value;

  std::string label() const { return std::string(setting.name) + " in " + heading(setting.section); }
  std::string remedy() const {
    return "Write, for example: " + std::string(setting.name) + " = " + example_text(setting);
  }
  // "timeout in [auth] " + what + " " + remedy
  void wrong(const std::string& what) const { draft.problem(value.place, label() + " " + what); }
};

std::string_view wanted(Kind kind) {
  switch (kind) {
    case Kind::Bool: return "true or false, without quotes";
    case Kind::Count: return "a whole number, without quotes";
    case Kind::Duration: return "a duration in quotes";
    case Kind::Size: return "a size in quotes";
    case Kind::Choice: return "a word in quotes";
    case Kind::Name: return "a name in quotes";
    case Kind::Host: return "a host name in quotes";
    case Kind::Path: return "a path in quotes";
    case Kind::Endpoints: return "a list of addresses in quotes";
    case Kind::Networks: return "a list of networks in quotes";
    case Kind::Members: return "a list of hosts with ports in quotes";
    case Kind::Choices: return "a list of words in quotes";
    case Kind::Names: return "a list of names in quotes";
    case Kind::Texts: return "a list of texts in quotes";
  }
  return "another value";
}

std::string found(const Value& value) {
  switch (value.kind) {
    case Value::Kind::Table: return "a table";
    case Value::Kind::List: return "a list";
    case Value::Kind::Text: return "the text " + quoted(value.text);
    case Value::Kind::Integer: return "the number " + value.text;
    case Value::Kind::Float: return "the number " + value.text;
    case Value::Kind::Bool: return value.text;
    case Value::Kind::Date: return "a date";
  }
  return "something else";
}

bool expect(const Reading& reading, Value::Kind kind) {
  if (reading.value.kind == kind) return true;
  reading.wrong("must be " + std::string(wanted(reading.setting.type.kind)) + "; found " + found(reading.value) + ". " +
                reading.remedy());
  return false;
}

struct Unit {
  std::string_view word;
  uint64_t amount;
};
constexpr Unit duration_units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};
constexpr Unit plain_unit[] = {{"", 1}};
// Of a member; enough to tell machines of different size apart.
constexpr uint32_t weight_max = 1000;
constexpr Unit size_units[] = {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

// A whole number with its unit. Too large for 64 bits is UINT64_MAX, which is out of every range.
std::optional<uint64_t> parse_amount(std::string_view text, std::span<const Unit> units) {
  uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc::invalid_argument) return std::nullopt;
  const std::string_view word(rest, static_cast<size_t>(end - rest));
  for (const Unit& unit : units) {
    if (unit.word != word) continue;
    const bool too_large = error == std::errc::result_out_of_range || number > UINT64_MAX / unit.amount;
    return too_large ? UINT64_MAX : number * unit.amount;
  }
  return std::nullopt;
}

std::string amount_text(Kind kind, uint64_t amount) {
  if (kind == Kind::Duration) return quoted(duration_text(amount));
  if (kind == Kind::Size) return quoted(size_text(amount));
  return std::to_string(amount);
}

bool in_range(const Reading& reading, uint64_t amount) {
  const Type& type = reading.setting.type;
  if (amount >= type.min && amount <= type.max) return true;
  const Value& value = reading.value;
  reading.wrong("is " + (value.kind == Value::Kind::Text ? quoted(value.text) : value.text) + "; it can be " +
                range_text(reading.setting) + ".");
  return false;
}

bool read_count(const Reading& reading, uint32_t& into) {
  if (!expect(reading, Value::Kind::Integer)) return false;
  // A negative number becomes one that is beyond every range.
  const uint64_t number = static_cast<uint64_t>(reading.value.integer);
  if (!in_range(reading, number)) return false;
  into = static_cast<uint32_t>(number);
  return true;
}

bool read_duration(const Reading& reading, Duration& into) {
  if (!expect(reading, Value::Kind::Text)) return false;
  const std::optional<uint64_t> amount = parse_amount(reading.value.text, duration_units);
  if (!amount) {
    reading.wrong("is " + quoted(reading.value.text) +
                  ", which is no duration: a whole number and then ms, s, m, h or d. " + reading.remedy());
    return false;
  }
  if (!in_range(reading, *amount)) return false;
  into = Duration(*amount);
  return true;
}

template <typename Number>
bool read_size(const Reading& reading, Number& into) {
  if (!expect(reading, Value::Kind::Text)) return false;
  const std::optional<uint64_t> amount = parse_amount(reading.value.text, size_units);
  if (!amount) {
    reading.wrong("is " + quoted(reading.value.text) +
                  ", which is no size: a whole number and then B, KiB, MiB or GiB. " + reading.remedy());
    return false;
  }
  if (!in_range(reading, *amount)) return false;
  into = static_cast<Number>(*amount);
  return true;
}

bool read_choice(const Reading& reading, ChoiceField into) {
  if (!expect(reading, Value::Kind::Text)) return false;
  const Type& type = reading.setting.type;
  const std::string& text = reading.value.text;
  for (size_t i = 0; i < type.words.size(); ++i) {
    if (type.words[i] != text) continue;
    *into.at = static_cast<unsigned char>(i);
    return true;
  }
  const std::string_view meant = nearest(text, type.words);
  const std::string hint = meant.empty() ? "" : "; did you mean " + quoted(meant) + "?";
  reading.wrong("is " + quoted(text) + (meant.empty() ? "; it can be " : hint + " It can be ") +
                range_text(reading.setting) + ".");
  return false;
}

bool is_alphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool is_name(std::string_view text, const Type& type) {
  return text.size() >= type.min && text.size() <= type.max && std::all_of(text.begin(), text.end(), [](char c) {
           return is_alphanumeric(c) || c == '.' || c == '-' || c == '_';
         });
}

// RFC 1123, section 2.1: labels of letters, digits and inner hyphens. IPv4 addresses have the same form.
bool is_host(std::string_view text, const Type& type) {
  if (text.size() < type.min || text.size() > type.max) return false;
  while (true) {
    const size_t dot = text.find('.');
    const std::string_view label = text.substr(0, dot);
    if (label.empty() || label.size() > 63 || label.front() == '-' || label.back() == '-') return false;
    if (!std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; })) return false;
    if (dot == text.npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool read_name(const Reading& reading, std::string& into) {
  if (!expect(reading, Value::Kind::Text)) return false;
  const std::string& text = reading.value.text;
  const Type& type = reading.setting.type;
  if (!is_name(text, type)) {
    reading.wrong("is " + quoted(text) + "; a name has " + std::to_string(type.min) + " to " +
                  std::to_string(type.max) + " letters, digits, \".\", \"-\" or \"_\". " + reading.remedy());
    return false;
  }
  into = text;
  return true;
}

bool read_host(const Reading& reading, std::string& into) {
  if (!expect(reading, Value::Kind::Text)) return false;
  const std::string& text = reading.value.text;
  if (!is_host(text, reading.setting.type)) {
    reading.wrong("is " + quoted(text) + ", which is no host name: letters, digits and \"-\", with dots between. " +
                  reading.remedy());
    return false;
  }
  into = text;
  return true;
}

bool read_path(const Reading& reading, std::string& into) {
  if (!expect(reading, Value::Kind::Text)) return false;
  const std::string& text = reading.value.text;
  const Type& type = reading.setting.type;
  if (text.size() < type.min || text.front() != '/' || text.find('\0') != text.npos) {
    reading.wrong("is " + quoted(text) + "; a path must be whole, from \"/\" on. " + reading.remedy());
    return false;
  }
  if (text.size() > type.max) {
    reading.wrong("is " + std::to_string(text.size()) + " bytes long; the kernel takes " + std::to_string(type.max) +
                  ". Choose a shorter path.");
    return false;
  }
  into = text;
  return true;
}

// Why this text is no address and port, and what to write instead.
std::string endpoint_fault(std::string_view text) {
  const std::string head = "has " + quoted(text) + ", which ";
  const size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon);
  const std::string port(colon == text.npos ? "143" : text.substr(colon + 1));
  const bool bare_v6 = !text.starts_with('[') && text.find(':') != colon;
  if (bare_v6 && Endpoint::parse(text, 143)) {
    return head + "lacks the brackets of IPv6. Write, for example, \"[2001:db8::10]:143\"";
  }
  if (const std::optional<Endpoint> bare = Endpoint::parse(text, 143)) {
    return head + "lacks its port. Write, for example, " + quoted(bare->text());
  }
  if (host == "*") {
    return head + "is no address. Write " + quoted("0.0.0.0:" + port) + " for all of IPv4 and " +
           quoted("[::]:" + port) + " for all of IPv6";
  }
  if (Endpoint::parse(host, 143) && colon != text.npos) {
    return head + "has the port " + quoted(port) + ". Ports go from 1 to 65535";
  }
  const bool numeric = host.find_first_not_of("0123456789.") == host.npos;
  if (is_host(host, Type{Kind::Host, 1, 253}) && !numeric && port.find_first_not_of("0123456789") == port.npos) {
    return head + "is a name; names are not looked up. Write an address, such as \"192.0.2.10:" + port + "\"";
  }
  return head + "is no address with a port. Write IPv4 as \"192.0.2.10:143\" and IPv6 as \"[2001:db8::10]:143\"";
}

std::string member_fault(std::string_view text) {
  const size_t space = text.find(' ');
  if (space == text.npos) {
    const std::string fault = endpoint_fault(text);
    // Names are welcome here.
    if (text.find(':') != text.npos || Endpoint::parse(text, 143)) return fault;
    return "has " + quoted(text) + ", which lacks its port. Write, for example, " + quoted(std::string(text) + ":143");
  }
  return "has " + quoted(text) + ", which is no host with a port. Behind it only a weight may stand: " +
         quoted(std::string(text.substr(0, space)) + " weight=2") + ", from 1 to " + std::to_string(weight_max);
}

std::optional<Endpoint> parse_item(const std::string& text, const Endpoint*) {
  return Endpoint::parse(text);
}
std::optional<Network> parse_item(const std::string& text, const Network*) {
  return Network::parse(text);
}

// "host:port", and perhaps " weight=3".
std::optional<session::MemberOptions> parse_item(const std::string& text, const session::MemberOptions*) {
  session::MemberOptions member;
  const size_t space = text.find(' ');
  const std::string where = text.substr(0, space);
  if (space != text.npos) {
    constexpr std::string_view mark = "weight=";
    const std::string_view rest = std::string_view(text).substr(space + 1);
    if (!rest.starts_with(mark)) return std::nullopt;
    const std::optional<uint64_t> weight = parse_amount(rest.substr(mark.size()), plain_unit);
    if (!weight || *weight == 0 || *weight > weight_max) return std::nullopt;
    member.weight = static_cast<uint32_t>(*weight);
  }
  if ((member.address = Endpoint::parse(where))) {
    member.host = member.address->address_text();
    member.port = member.address->port;
    return member;
  }
  const size_t colon = where.rfind(':');
  if (colon == where.npos) return std::nullopt;
  member.host = where.substr(0, colon);
  const std::optional<uint64_t> port = parse_amount(std::string_view(where).substr(colon + 1), plain_unit);
  const bool numeric = member.host.find_first_not_of("0123456789.") == member.host.npos;
  if (!port || *port == 0 || *port > 65535 || numeric || !is_host(member.host, Type{Kind::Host, 1, 253})) {
    return std::nullopt;
  }
  member.port = static_cast<uint16_t>(*port);
  return member;
}

std::optional<std::string> parse_item(const std::string& text, const std::string*, const Type& type) {
  if (type.kind == Kind::Names) return is_name(text, Type{Kind::Name, 1, 64}) ? std::optional(text) : std::nullopt;
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  return printable && !text.empty() ? std::optional(text) : std::nullopt;
}

template <typename Item>
std::string item_fault(const std::string& text, const Type& type) {
  if constexpr (std::is_same_v<Item, Endpoint>) return endpoint_fault(text);
  if constexpr (std::is_same_v<Item, session::MemberOptions>) return member_fault(text);
  if (type.kind == Kind::Names) {
    return "has " + quoted(text) + ", which is no name: 1 to 64 letters, digits, \".\", \"-\" or \"_\"";
  }
  if (type.kind == Kind::Texts) return "has " + quoted(text) + ", which is empty or not printable ASCII";
  return "has " + quoted(text) +
         ", which is no network. Write an address, a slash and the number of leading bits, such as \"10.0.0.0/8\"";
}

template <typename Item>
bool read_list(const Reading& reading, std::vector<Item>& into, Given& given) {
  if (!expect(reading, Value::Kind::List)) return false;
  const Type& type = reading.setting.type;
  const std::vector<Value>& items = reading.value.items;
  into.clear();  // of the default
  if (items.size() < type.min || items.size() > type.max) {
    reading.wrong("has " + std::to_string(items.size()) + " entries; it can have " + range_text(reading.setting) +
                  ". " + (items.empty() ? reading.remedy() : "Take some out."));
    return false;
  }
  bool good = true;
  for (const Value& item : items) {
    const Reading one{reading.draft, reading.setting, item};
    if (item.kind != Value::Kind::Text) {
      one.wrong("must be " + std::string(wanted(type.kind)) + "; found " + found(item) + " in it. " + one.remedy());
      good = false;
      continue;
    }
    std::optional<Item> parsed;
    if constexpr (std::is_same_v<Item, std::string>) {
      parsed = parse_item(item.text, static_cast<const Item*>(nullptr), type);
    } else {
      parsed = parse_item(item.text, static_cast<const Item*>(nullptr));
    }
    if (parsed) {
      into.push_back(*std::move(parsed));
      given.items.push_back(item.place);
      continue;
    }
    one.wrong(item_fault<Item>(item.text, type) + ".");
    good = false;
  }
  return good;
}

// Each word is one mechanism; the passwords' ones bring the protocol's own command with them.
bool read_mechanisms(const Reading& reading, protocol::Mechanisms& into, Given& given) {
  std::vector<std::string> words;
  if (!read_list(reading, words, given)) return false;
  const Type& type = reading.setting.type;
  protocol::Mechanisms mechanisms;
  bool good = true;
  for (const std::string& word : words) {
    const auto known = std::find(type.words.begin(), type.words.end(), word);
    if (known == type.words.end()) {
      const std::string_view meant = nearest(word, type.words);
      reading.wrong("has " + quoted(word) + (meant.empty() ? "" : "; did you mean " + quoted(meant) + "?") +
                    " It can have " + range_text(reading.setting) + ".");
      good = false;
      continue;
    }
    const auto mechanism = static_cast<protocol::Mechanism>(known - type.words.begin() + 1);
    mechanisms.add(mechanism);
    if (mechanism == protocol::Mechanism::Plain || mechanism == protocol::Mechanism::SaslLogin) {
      mechanisms.add(protocol::Mechanism::Login);
    }
  }
  into = mechanisms;
  return good;
}

bool read_truth(const Reading& reading, bool& into) {
  if (!expect(reading, Value::Kind::Bool)) return false;
  into = reading.value.truth;
  return true;
}

bool read_string(const Reading& reading, std::string& into) {
  if (reading.setting.type.kind == Kind::Name) return read_name(reading, into);
  if (reading.setting.type.kind == Kind::Host) return read_host(reading, into);
  return read_path(reading, into);
}

struct Reader {
  const Reading& reading;
  Given& given;

  bool operator()(bool* into) const { return read_truth(reading, *into); }
  bool operator()(uint32_t* into) const {
    return reading.setting.type.kind == Kind::Size ? read_size(reading, *into) : read_count(reading, *into);
  }
  bool operator()(uint64_t* into) const { return read_size(reading, *into); }
  bool operator()(Duration* into) const { return read_duration(reading, *into); }
  bool operator()(std::string* into) const { return read_string(reading, *into); }
  bool operator()(std::vector<Endpoint>* into) const { return read_list(reading, *into, given); }
  bool operator()(std::vector<Network>* into) const { return read_list(reading, *into, given); }
  bool operator()(std::vector<session::MemberOptions>* into) const { return read_list(reading, *into, given); }
  bool operator()(std::vector<std::string>* into) const { return read_list(reading, *into, given); }
  bool operator()(protocol::Mechanisms* into) const { return read_mechanisms(reading, *into, given); }
  bool operator()(ChoiceField into) const { return read_choice(reading, into); }
};

std::string item_text(const Endpoint& endpoint) {
  return endpoint.text();
}
std::string item_text(const Network& network) {
  return network.base.address_text() + "/" + std::to_string(network.prefix_bits);
}

std::string item_text(const session::MemberOptions& member) {
  return member.text() + (member.weight == 1 ? "" : " weight=" + std::to_string(member.weight));
}
std::string item_text(const std::string& text) {
  return text;
}

template <typename Item>
std::string list_text(const std::vector<Item>& items) {
  std::string text;
  for (const Item& item : items)
    text += (text.empty() ? "[" : ", ") + quoted(item_text(item));
  return text.empty() ? "" : text + "]";
}

struct Writer {
  const Type& type;

  std::string operator()(const bool* value) const { return *value ? "true" : "false"; }
  std::string operator()(const uint32_t* value) const { return amount_text(type.kind, *value); }
  std::string operator()(const uint64_t* value) const { return amount_text(type.kind, *value); }
  std::string operator()(const Duration* value) const {
    return amount_text(Kind::Duration, static_cast<uint64_t>(value->count()));
  }
  std::string operator()(const std::string* value) const { return value->empty() ? "" : quoted(*value); }
  std::string operator()(const std::vector<Endpoint>* value) const { return list_text(*value); }
  std::string operator()(const std::vector<Network>* value) const { return list_text(*value); }
  std::string operator()(const std::vector<session::MemberOptions>* value) const { return list_text(*value); }
  std::string operator()(const std::vector<std::string>* value) const { return list_text(*value); }
  std::string operator()(const protocol::Mechanisms* value) const {
    std::vector<std::string> words;
    for (size_t i = 0; i < type.words.size(); ++i) {
      if (value->has(static_cast<protocol::Mechanism>(i + 1))) words.emplace_back(type.words[i]);
    }
    return list_text(words);
  }
  std::string operator()(ChoiceField value) const { return quoted(type.words[*value.at]); }
};

}  // namespace

void read_value(Draft& draft, const Setting& setting, const Value& value, Given& given) {
  const Reading reading{draft, setting, value};
  given.good = std::visit(Reader{reading, given}, setting.field(draft.config));
}

std::string value_text(const Setting& setting, Config& config) {
  return std::visit(Writer{setting.type}, setting.field(config));
}

std::string example_text(const Setting& setting) {
  if (!setting.example.empty()) return std::string(setting.example);
  Config defaults = default_config();
  return value_text(setting, defaults);
}

std::string range_text(const Setting& setting) {
  const Type& type = setting.type;
  switch (type.kind) {
    case Kind::Count:
    case Kind::Duration:
    case Kind::Size: return "from " + amount_text(type.kind, type.min) + " to " + amount_text(type.kind, type.max);
    case Kind::Endpoints:
    case Kind::Networks:
    case Kind::Members:
    case Kind::Names:
    case Kind::Texts: return std::to_string(type.min) + " to " + std::to_string(type.max);
    case Kind::Choices:
    case Kind::Choice: {
      std::vector<std::string> words;
      for (const std::string_view word : type.words)
        words.push_back(quoted(word));
      return listed(words, type.kind == Kind::Choice ? "or" : "and");
    }
    case Kind::Bool:
    case Kind::Name:
    case Kind::Host:
    case Kind::Path: return "";
  }
  return "";
}

}  // namespace postern::config
