#include "larder/resp/reply_writer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

namespace larder::resp {

void ReplyWriter::Header(char kind, size_t count) { fmt::format_to(std::back_inserter(out_), "{}{}\r\n", kind, count); }

void ReplyWriter::Simple(std::string_view text) { fmt::format_to(std::back_inserter(out_), "+{}\r\n", text); }

void ReplyWriter::Error(std::string_view text) {
  const bool own_word = text.starts_with('-');
  while (text.ends_with('\r') || text.ends_with('\n')) text.remove_suffix(1);
  out_ += own_word ? "" : "-ERR ";
  const size_t begin = out_.size();
  out_ += text;
  std::replace_if(
      out_.begin() + static_cast<ptrdiff_t>(begin), out_.end(), [](char c) { return c == '\r' || c == '\n'; }, ' ');
  out_ += "\r\n";
}

void ReplyWriter::Integer(int64_t value) { fmt::format_to(std::back_inserter(out_), ":{}\r\n", value); }

void ReplyWriter::Bulk(std::string_view bytes) {
  Header('$', bytes.size());
  out_ += bytes;
  out_ += "\r\n";
}

void ReplyWriter::Null() { out_ += resp3() ? "_\r\n" : "$-1\r\n"; }
void ReplyWriter::NullArray() { out_ += resp3() ? "_\r\n" : "*-1\r\n"; }
void ReplyWriter::Map(size_t pairs) { resp3() ? Header('%', pairs) : Header('*', pairs * 2); }

void ReplyWriter::Double(double value) {
  std::string text = fmt::format("{:.17g}", value);
  if (std::isnan(value)) text = "nan";
  if (!resp3()) return Bulk(text);
  fmt::format_to(std::back_inserter(out_), ",{}\r\n", text);
}

void ReplyWriter::Boolean(bool value) {
  if (!resp3()) return Integer(value ? 1 : 0);
  out_ += value ? "#t\r\n" : "#f\r\n";
}

void ReplyWriter::Verbatim(std::string_view format, std::string_view text) {
  if (!resp3()) return Bulk(text);
  Header('=', format.size() + 1 + text.size());
  fmt::format_to(std::back_inserter(out_), "{}:{}\r\n", format, text);
}

}  // namespace larder::resp
