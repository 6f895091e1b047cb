#include "larder/rpc/process.h"

#include <utility>

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
      admin_(std::move(options.admin), metrics_, log_, [this] { return ConfigText(); }) {
  metrics_.Add(kBuildInfo).With(observe::VersionLabel(std::string(Version()))).Set(1);
  metrics_.Add(kStartTime).Set(std::chrono::duration<double>(clock_.WallNow().time_since_epoch()).count());
}

Process::~Process() { Stop(); }

void Process::SetConfigText(std::string text) {
  base::MutexLock lock(mutex_);
  config_text_ = std::move(text);
}

std::string Process::ConfigText() {
  base::MutexLock lock(mutex_);
  return config_text_;
}

}  // namespace larder::rpc
