#include "core/output.h"

#include "core/failure.h"
#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::cli {
namespace {

constexpr size_t kBuffer = 64 << 10;

std::string RowOf(const std::vector<Column>& columns, const std::vector<std::string>& cells) {
  std::string row;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i > 0) row += "  ";
    if (columns[i].right) {
      row += fmt::format("{:>{}}", cells[i], columns[i].width);
    } else if (i + 1 < columns.size()) {
      row += fmt::format("{:{}}", cells[i], columns[i].width);
    } else {
      row += cells[i];
    }
  }
  return row;
}

}  // namespace

void Output::Text(std::string_view text) {
  buffer_ += text;
  if (buffer_.size() >= kBuffer) Flush().IgnoreError();  // kept in failed_
}

void Output::Line(std::string_view line) {
  buffer_ += line;
  Text("\n");
}

absl::Status Output::Flush() {
  const std::string text = std::exchange(buffer_, {});
  return Write(base::AsBytes(text));
}

absl::Status Output::Bytes(base::ByteSpan bytes) {
  LARDER_RETURN_IF_ERROR(Flush());
  return Write(bytes);
}

absl::Status Output::Write(base::ByteSpan bytes) {
  if (!failed_.ok() || bytes.empty()) return failed_;
  const absl::Status written = base::WriteAll(fd_, bytes);
  if (base::Reason(written) == "EPIPE") {
    failed_ = base::Error(absl::StatusCode::kCancelled, "STDOUT_CLOSED", "whoever read our output has gone");
  } else if (!written.ok()) {
    failed_ = base::Annotate(LocalFileError(written), "stdout");
  }
  return failed_;
}

std::string TableHead(const std::vector<Column>& columns) {
  std::vector<std::string> titles;
  for (const Column& column : columns) titles.push_back(column.title);
  return RowOf(columns, titles);
}

std::string TableRow(const std::vector<Column>& columns, const std::vector<std::string>& cells) {
  return RowOf(columns, cells);
}

}  // namespace larder::cli
