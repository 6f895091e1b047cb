#include "core/incarnation.h"

#include <absl/strings/numbers.h>

#include <algorithm>
#include <string>

#include "larder/base/file.h"
#include "larder/base/status.h"

namespace larder::cache_agent {

absl::StatusOr<uint64_t> NextIncarnation(const std::filesystem::path& data_dir, base::WallTime now) {
  const auto wall = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  auto incarnation = static_cast<uint64_t>(std::max<int64_t>(wall, 1));
  if (data_dir.empty()) return incarnation;
  const std::filesystem::path file = data_dir / "incarnation";
  if (std::filesystem::exists(file)) {
    LARDER_ASSIGN_OR_RETURN(const std::string text, base::ReadFile(file, 64));
    uint64_t last = 0;
    if (!absl::SimpleAtoi(text, &last)) {
      return base::Error(absl::StatusCode::kDataLoss, "BAD_FILE", "{} should hold a number (remove it)", file.string());
    }
    incarnation = std::max(incarnation, last + 1);
  }
  LARDER_RETURN_IF_ERROR(base::MakeDirs(data_dir));
  LARDER_RETURN_IF_ERROR(base::WriteFileAtomically(file, std::to_string(incarnation) + "\n"));
  return incarnation;
}

}  // namespace larder::cache_agent
