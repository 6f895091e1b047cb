#include "larder/rpc/process.h"

#include <cstdlib>
#include <utility>

#include "larder/base/error_table.h"

namespace larder::rpc {
namespace {

constexpr observe::GaugeDecl<observe::VersionLabel> kBuildInfo = {
    .name = "larder_build_info", .help = "Always 1; the label tells the version.", .labels = {"version"}};
constexpr observe::GaugeDecl<> kStartTime = {.name = "larder_process_start_time_seconds",
                                             .help = "When the process started, seconds since 1970."};

}  // namespace

std::string_view Version() { return LARDER_VERSION; }

Process::Process(ProcessOptions options)
    : clock_(options.clock != nullptr ? *options.clock : system_clock_),
      log_(std::move(options.log), clock_),
      on_fail_(std::move(options.on_fail)),
      admin_(std::move(options.admin), metrics_, log_, [this] { return ConfigText(); }) {
  metrics_.Add(kBuildInfo).With(observe::VersionLabel(std::string(Version()))).Set(1);
  metrics_.Add(kStartTime).Set(std::chrono::duration<double>(clock_.WallNow().time_since_epoch()).count());
}

Process::~Process() { Stop(); }

void Process::Fail(const absl::Status& why) {
  log_.Error("cannot go on", {{"error", why}});
  if (on_fail_) return on_fail_(why);
  // Not exit(): other threads are in the middle of what they do, and what they do is not to be finished.
  std::_Exit(base::ErrorRowOf(why.code()).exit_code);
}

void Process::SetConfigText(std::string text) {
  base::MutexLock lock(mutex_);
  config_text_ = std::move(text);
}

std::string Process::ConfigText() {
  base::MutexLock lock(mutex_);
  return config_text_;
}

}  // namespace larder::rpc
