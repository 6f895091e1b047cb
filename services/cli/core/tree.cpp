#include "core/tree.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "core/failure.h"
#include "larder/base/status.h"
#include "larder/object/ids.h"

namespace larder::cli {
namespace {

namespace fs = std::filesystem;

absl::Status ListError(const fs::path& path, const std::error_code& error) {
  return LocalFileError(base::ErrnoError(error.value(), "list " + path.native()));
}

absl::StatusOr<std::vector<fs::directory_entry>> SortedEntries(const fs::path& dir) {
  std::error_code error;
  std::vector<fs::directory_entry> entries;
  fs::directory_iterator it(dir, error);
  if (error) return ListError(dir, error);
  for (; it != fs::directory_iterator(); it.increment(error)) {
    if (error) return ListError(dir, error);
    entries.push_back(*it);
  }
  std::sort(entries.begin(), entries.end());
  return entries;
}

class Walk {
 public:
  Walk(fs::path root, const std::function<absl::Status(const std::string&)>& visit,
       const std::function<void(const absl::Status&)>& report)
      : root_(std::move(root)), visit_(visit), report_(report) {}

  absl::Status Below(const fs::path& dir) {
    absl::StatusOr<std::vector<fs::directory_entry>> entries = SortedEntries(dir);
    if (!entries.ok() && dir == root_) return entries.status();
    if (!entries.ok()) {
      report_(entries.status());
      return absl::OkStatus();
    }
    for (const fs::directory_entry& entry : *entries) {
      std::error_code error;
      const bool is_link = entry.is_symlink(error);
      if (entry.is_directory(error) && !is_link) {
        LARDER_RETURN_IF_ERROR(Below(entry.path()));
      } else if (entry.is_regular_file(error)) {
        LARDER_RETURN_IF_ERROR(visit_(entry.path().lexically_relative(root_).native()));
      } else {
        const std::string_view what = is_link ? "a link that leads to no file" : "neither a file nor a directory";
        report_(base::InvalidArgument("NOT_A_FILE", "{} is {}", entry.path().native(), what));
      }
    }
    return absl::OkStatus();
  }

 private:
  const fs::path root_;
  const std::function<absl::Status(const std::string&)>& visit_;
  const std::function<void(const absl::Status&)>& report_;
};

}  // namespace

std::string FolderPrefix(std::string_view prefix) {
  return prefix.empty() || prefix.ends_with('/') ? std::string(prefix) : std::string(prefix) + "/";
}

absl::StatusOr<std::string> PathOfKey(const std::string& key, std::string_view folder) {
  // Keys have neither empty nor `.` nor `..` segments, so what follows the folder is a path below it.
  LARDER_RETURN_IF_ERROR(object::CheckKey(key));
  if (!key.starts_with(folder) || key.size() == folder.size()) {
    return base::InvalidArgument("BAD_KEY", "'{}' is not below '{}'", key, folder);
  }
  std::string path = key.substr(folder.size());
  if (path.front() == '/') return base::InvalidArgument("BAD_KEY", "'{}' is not below '{}'", key, folder);
  return path;
}

absl::Status WalkTree(const std::string& root, const std::function<absl::Status(const std::string& relative)>& visit,
                      const std::function<void(const absl::Status&)>& report) {
  return Walk(root, visit, report).Below(root);
}

}  // namespace larder::cli
