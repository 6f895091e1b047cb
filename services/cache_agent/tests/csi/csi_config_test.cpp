#include <gmock/gmock.h>

#include "larder/base/testing/status_matchers.h"
#include "larder/cache_agent/config.h"
#include "larder/config/loader.h"

namespace larder::cache_agent::csi {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::HasSubstr;

absl::Status Load(const std::map<std::string, std::string>& flags) {
  config::Loader<Config> loader({.env_prefix = config::ServiceEnvPrefix("cache_agent")});
  std::vector<std::string> argv = {"larder-agent", "--identity=csi"};
  for (const auto& [name, value] : flags) argv.push_back("--" + name + "=" + value);
  std::vector<const char*> raw;
  for (const std::string& arg : argv) raw.push_back(arg.c_str());
  return loader
      .LoadArguments({.name = "larder-agent", .summary = "", .version = ""}, static_cast<int>(raw.size()), raw.data(),
                     {})
      .status();
}

TEST(CsiConfig, TakesDirectoriesThatLieApart) {
  EXPECT_THAT(Load({}), IsOk());
  EXPECT_THAT(Load({{"csi-run-dir", "/run/larder-agent/h"}, {"socket-dir", "/run/larder"}, {"data-dir", "/var/l"}}),
              IsOk());
}

TEST(CsiConfig, RefusesWhatLiesInRunDirOrHasItWithin) {
  for (const char* name : {"socket-dir", "data-dir", "csi-kubelet-dir"}) {
    for (const char* path : {"/run/a", "/run/a/b", "/run"}) {
      const absl::Status refused = Load({{"csi-run-dir", "/run/a"}, {name, path}});
      EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument, "BAD_VALUE")) << name << "=" << path;
      EXPECT_THAT(base::Message(refused), HasSubstr("csi.run_dir '/run/a'"));
    }
  }
}

TEST(CsiConfig, RefusesPathsThatTheKubeletWritesOtherwise) {
  for (const char* path : {"/var/lib/kubelet/", "/var//lib/kubelet", "/var/lib/../lib/kubelet"}) {
    const absl::Status refused = Load({{"csi-kubelet-dir", path}});
    EXPECT_THAT(refused, StatusIs(absl::StatusCode::kInvalidArgument, "BAD_VALUE"));
    EXPECT_THAT(base::Message(refused), HasSubstr("must be written as '/var/lib/kubelet'"));
  }
}

}  // namespace
}  // namespace larder::cache_agent::csi
