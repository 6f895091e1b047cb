#include <fmt/format.h>

#include <charconv>

#include "src/tracker/protocol.h"

namespace larder::bench {
namespace {

constexpr std::string_view kEnd = "\r\n";

class Resp final : public Protocol {
 public:
  Resp(Verb verb, std::string_view value) : verb_(verb), size_(value.size()) {
    if (verb == Verb::kSet) tail_ = fmt::format("${}\r\n{}\r\n", value.size(), value);
  }

  void Greet(std::string&) override {}

  uint32_t Request(std::string_view key, std::string& out) override {
    out += verb_ == Verb::kSet ? "*3\r\n$3\r\nSET\r\n" : "*2\r\n$3\r\nGET\r\n";
    fmt::format_to(std::back_inserter(out), "${}\r\n{}\r\n", key.size(), key);
    out += tail_;
    return last_ = 1 - last_;
  }

  size_t Take(std::string_view in, std::string&, std::vector<Answer>& answers) override {
    const size_t line = in.find(kEnd);
    if (line == std::string_view::npos) return 0;
    if (verb_ == Verb::kSet || in[0] != '$') {
      answers.push_back({.request = last_, .ok = verb_ == Verb::kSet && in.starts_with("+OK")});
      return line + kEnd.size();
    }
    int64_t size = -1;
    std::from_chars(in.data() + 1, in.data() + line, size);
    const size_t whole = line + kEnd.size() + (size < 0 ? 0 : static_cast<size_t>(size) + kEnd.size());
    if (in.size() < whole) return 0;
    answers.push_back({.request = last_, .ok = size == static_cast<int64_t>(size_)});
    return whole;
  }

 private:
  Verb verb_;
  size_t size_;
  std::string tail_;
  uint32_t last_ = 0;
};

}  // namespace

std::unique_ptr<Protocol> SpeakResp(Verb verb, std::string_view value) { return std::make_unique<Resp>(verb, value); }

}  // namespace larder::bench
