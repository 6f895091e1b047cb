#pragma once
#include <absl/status/status.h>

#include <string>
#include <vector>

namespace larder::cli_dev {

// The services whose settings are known here, by the names of their folders, as the sections of a file for `larder
// dev`.
std::vector<std::string> ServiceNames();
// The names at the top of a service's own file.
std::vector<std::string> TopKeys(const std::string& service);

// Check files without starting anything; errors as of config::Resolve and config::Sections, with file and line.
absl::Status CheckServiceFile(const std::string& service, const std::string& file);
absl::Status CheckFile(const std::string& file);  // of `larder dev`: a section for each service

}  // namespace larder::cli_dev
