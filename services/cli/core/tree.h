#pragma once
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <functional>
#include <string>
#include <string_view>

namespace larder::cli {

// How a tree of files and a tree of keys map to each other: import -r DIR --prefix P and export -r P -O DIR are each
// other's inverse. Pure.

// "P/" for a prefix that names a folder of keys, with or without the slash; empty for all keys.
std::string FolderPrefix(std::string_view prefix);
// The path below the directory for `key`, which begins with `folder`. INVALID_ARGUMENT (BAD_KEY) for a key that would
// lead out of it, whoever said that it exists.
absl::StatusOr<std::string> PathOfKey(const std::string& key, std::string_view folder);

// Visits the regular files below `root`, in the order of their names, by paths relative to it. A link to a file counts
// as the file. What cannot be read, is no file, or is a link to a directory is told to `report`, and the walk goes on;
// an error of `visit` ends it. INVALID_ARGUMENT if `root` is no readable directory.
absl::Status WalkTree(const std::string& root, const std::function<absl::Status(const std::string& relative)>& visit,
                      const std::function<void(const absl::Status&)>& report);

}  // namespace larder::cli
