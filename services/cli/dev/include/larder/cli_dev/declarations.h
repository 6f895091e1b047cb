#pragma once
#include <absl/status/statusor.h>

#include <string>
#include <string_view>
#include <vector>

#include "larder/config/setting.h"
#include "larder/observe/registry.h"

namespace larder::cli_dev {

// What a service declares about itself: the source of its pages in docs/.
struct Declarations {
  std::string_view service;  // the folder, "cache_agent"
  std::string_view binary;
  std::string_view summary;
  std::vector<config::Setting> settings;
  std::vector<observe::Declaration> metrics;  // by name
};

// Of every service. Metrics are declared by what a running service is made of, so each is started and stopped: with its
// smallest memory, in folders of `dir`, on no port. Errors: what the starts say.
absl::StatusOr<std::vector<Declarations>> DeclarationsOfAll(const std::string& dir);

}  // namespace larder::cli_dev
