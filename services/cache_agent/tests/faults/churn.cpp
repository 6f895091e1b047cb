#include "tests/faults/churn.h"

#include <fmt/format.h>

#include <fstream>
#include <stdexcept>

#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::cache_agent {
namespace {

using base::kKiB;
using base::kMiB;

constexpr uint64_t kLarge = 2 * kMiB;
constexpr uint64_t kPacked = 100 * kKiB;
constexpr int kOfARound = 40;
constexpr int kOneIsLeftOf = 4;

}  // namespace

std::string EvictingFlag(const std::filesystem::path& dir, const std::vector<std::string>& namespaces) {
  const std::filesystem::path config = dir / "evicting.yaml";
  std::ofstream out(config);
  out << "namespaces:\n";
  for (const std::string& ns : namespaces) out << "  " << ns << ": {evict_last: true}\n";
  return "--config=" + config.string();
}

Churn::Churn(const std::string& endpoint, Kind kind) {
  auto connected = client::Client::Connect(endpoint, {.ns = kChurnNamespace, .reconnect_window = base::Duration(0)});
  if (!connected.ok()) throw std::runtime_error(connected.status().ToString());
  client_ = *std::move(connected);
  thread_ = std::thread([this, kind] {
    for (uint64_t round = 0; !stop_; ++round) {
      const absl::Status done = kind == Kind::kEvicting ? Evict(round) : Scatter(round);
      if (done.ok()) continue;
      code_ = done.raw_code();
      return;
    }
  });
}

Churn::~Churn() {
  stop_ = true;
  thread_.join();
}

absl::Status Churn::failure() const { return absl::Status(static_cast<absl::StatusCode>(code_.load()), "churn"); }

absl::Status Churn::Evict(uint64_t round) {
  const std::string bytes(kLarge, 'c');
  return client_->Put({.key = fmt::format("large/{}", round)}, base::AsBytes(bytes)).status();
}

absl::Status Churn::Scatter(uint64_t round) {
  const std::string bytes(kPacked, 'c');
  const auto key = [&](int i) { return fmt::format("small/{}/{}", round, i); };
  for (int i = 0; i < kOfARound; ++i) {
    LARDER_RETURN_IF_ERROR(client_->Put({.key = key(i)}, base::AsBytes(bytes)).status());
  }
  for (int i = 0; i < kOfARound; ++i) {
    if (i % kOneIsLeftOf == 0) continue;
    const absl::Status deleted = client_->Delete(key(i));
    if (!deleted.ok() && !absl::IsNotFound(deleted)) return deleted;  // it may have been evicted
  }
  return absl::OkStatus();
}

}  // namespace larder::cache_agent
