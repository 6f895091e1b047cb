#include "src/line.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace larder::observe {
namespace {

constexpr std::array<std::string_view, 4> kJsonLevels = {"debug", "info", "warning", "error"};
constexpr std::array<std::string_view, 4> kTextLevels = {"DEBUG", "INFO", "WARNING", "ERROR"};

std::string TimeText(base::WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto millis = std::chrono::floor<std::chrono::milliseconds>(time - seconds).count();
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), millis);
}

// The length of the UTF-8 sequence that `text` begins with, or 0 if it is none (RFC 3629, without its rarer overlong
// and surrogate cases, which parsers accept).
size_t Utf8Length(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  const size_t length = first < 0x80   ? 1
                        : first < 0xC2 ? 0
                        : first < 0xE0 ? 2
                        : first < 0xF0 ? 3
                        : first < 0xF5 ? 4
                                       : 0;
  if (length == 0 || text.size() < length) return 0;
  const bool continued = std::all_of(text.begin() + 1, text.begin() + static_cast<ptrdiff_t>(length),
                                     [](char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; });
  return continued ? length : 0;
}

// A JSON string. Control characters are escaped, so no value ever breaks the line; bytes that are no UTF-8 become
// U+FFFD.
void AppendQuoted(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    const char c = text[0];
    if (length == 0) {
      out += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  out += '"';
}

bool IsPlain(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && static_cast<unsigned char>(c) < 0x7F && c != '"' && c != '\\' &&
           c != '=';
  });
}

struct AppendText {
  std::string& out;
  void operator()(std::string_view text) const {
    if (IsPlain(text)) {
      out += text;
    } else {
      AppendQuoted(out, text);
    }
  }
  void operator()(const auto& number) const { fmt::format_to(std::back_inserter(out), "{}", number); }
};

struct AppendJson {
  std::string& out;
  void operator()(std::string_view text) const { AppendQuoted(out, text); }
  void operator()(double number) const {
    if (std::isfinite(number)) {
      fmt::format_to(std::back_inserter(out), "{}", number);
    } else {
      out += "null";  // JSON has no infinity
    }
  }
  void operator()(const auto& number) const { fmt::format_to(std::back_inserter(out), "{}", number); }
};

template <typename Append>
void AppendValue(std::string& out, const LogField& field) {
  std::visit(
      [&](const auto& value) {
        if constexpr (std::convertible_to<decltype(value), std::string_view>) {
          Append{out}(std::string_view(value));
        } else {
          Append{out}(value);
        }
      },
      field.value());
}

}  // namespace

std::string TextLine(const Line& line) {
  std::string out = TimeText(line.time);
  fmt::format_to(std::back_inserter(out), " {} ", kTextLevels[static_cast<size_t>(line.level)]);
  if (!line.service.empty()) fmt::format_to(std::back_inserter(out), "{}: ", line.service);
  out += line.event;
  for (const LogField& field : line.fields) {
    fmt::format_to(std::back_inserter(out), " {}=", field.key());
    AppendValue<AppendText>(out, field);
  }
  return out;
}

std::string JsonLine(const Line& line) {
  std::string out =
      fmt::format(R"({{"time":"{}","level":"{}")", TimeText(line.time), kJsonLevels[static_cast<size_t>(line.level)]);
  if (!line.service.empty()) {
    out += R"(,"service":)";
    AppendQuoted(out, line.service);
  }
  out += R"(,"event":)";
  AppendQuoted(out, line.event);
  for (const LogField& field : line.fields) {
    out += ',';
    AppendQuoted(out, field.key());
    out += ':';
    AppendValue<AppendJson>(out, field);
  }
  out += '}';
  return out;
}

}  // namespace larder::observe
