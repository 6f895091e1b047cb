#pragma once
#include <absl/status/status.h>

#include <string>
#include <string_view>
#include <vector>

#include "larder/base/bytes.h"

namespace larder::cli {

// Results, on stdout. Text is buffered until Flush; a write that failed is told by it. Not thread-safe.
class Output {
 public:
  explicit Output(int fd) : fd_(fd) {}

  void Text(std::string_view text);
  void Line(std::string_view line);
  // CANCELLED (STDOUT_CLOSED) if the reader has gone, RESOURCE_EXHAUSTED for a full disk, else INVALID_ARGUMENT.
  absl::Status Flush();
  // Unbuffered, after what was buffered; errors as of Flush.
  absl::Status Bytes(base::ByteSpan bytes);

 private:
  absl::Status Write(base::ByteSpan bytes);

  const int fd_;
  std::string buffer_;
  absl::Status failed_;
};

// Rows of cells as aligned columns, two blanks between them; the last one is as long as it is. Numbers go to the right
// where `right` says so. Pure.
struct Column {
  std::string title;
  size_t width;  // at least; longer cells push the rest aside
  bool right = false;
};
std::string TableHead(const std::vector<Column>& columns);
std::string TableRow(const std::vector<Column>& columns, const std::vector<std::string>& cells);

}  // namespace larder::cli
