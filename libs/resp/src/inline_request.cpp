#include "src/inline_request.h"

#include <string_view>

namespace larder::resp {
namespace {

// isspace() of the C locale.
bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

char Unescaped(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    case 'b':
      return '\b';
    case 'a':
      return '\a';
    default:
      return c;
  }
}

// Reads one word from `read` on and writes it to where it begins: what is resolved is never longer than what was read.
class Word {
 public:
  Word(std::span<char> line, size_t begin) : line_(line), read_(begin), write_(begin) {}

  bool Take() {
    while (read_ < line_.size() && !IsBlank(line_[read_])) {
      const char c = line_[read_];
      if (c == '"' || c == '\'') return Quoted(c);
      Put(1, c);
    }
    return true;
  }
  size_t read() const { return read_; }
  size_t write() const { return write_; }

 private:
  void Put(size_t used, char c) {
    read_ += used;
    line_[write_++] = c;
  }
  bool Quoted(char quote) {
    ++read_;
    while (read_ < line_.size()) {
      const char c = line_[read_];
      const std::string_view rest(&line_[read_], line_.size() - read_);
      if (c == quote) {
        ++read_;
        return read_ == line_.size() || IsBlank(line_[read_]);
      }
      if (quote == '\'') {
        const bool escaped = rest.starts_with("\\'");
        Put(escaped ? 2 : 1, escaped ? '\'' : c);
      } else if (rest.starts_with("\\x") && rest.size() >= 4 && HexValue(rest[2]) >= 0 && HexValue(rest[3]) >= 0) {
        Put(4, static_cast<char>(HexValue(rest[2]) * 16 + HexValue(rest[3])));
      } else if (c == '\\' && rest.size() >= 2) {
        Put(2, Unescaped(rest[1]));
      } else {
        Put(1, c);
      }
    }
    return false;
  }

  std::span<char> line_;
  size_t read_;
  size_t write_;
};

}  // namespace

std::optional<std::vector<std::pair<size_t, size_t>>> SplitWords(std::span<char> line) {
  std::vector<std::pair<size_t, size_t>> words;
  size_t at = 0;
  while (true) {
    while (at < line.size() && IsBlank(line[at])) ++at;
    if (at == line.size()) return words;
    Word word(line, at);
    if (!word.Take()) return std::nullopt;
    words.emplace_back(at, word.write() - at);
    at = word.read();
  }
}

}  // namespace larder::resp
