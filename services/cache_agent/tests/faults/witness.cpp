#include "tests/faults/witness.h"

#include <algorithm>
#include <chrono>
#include <stdexcept>
#include <utility>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "tests/agent_process.h"
#include "tests/faults/busy_client.h"

namespace larder::cache_agent {
namespace {

using base::kKiB;
using base::kMiB;

// Inline, packed side by side, and in extents of their own.
constexpr uint64_t kSizes[] = {100, 4 * kKiB, 60 * kKiB, 100 * kKiB, 700 * kKiB, 3 * kMiB + 5};
constexpr int kPuts = 4;  // small objects that take turns

double Percentile(std::vector<double>& values, double share) {
  if (values.empty()) return 0;
  const auto at = values.begin() + static_cast<ptrdiff_t>(share * static_cast<double>(values.size() - 1));
  std::ranges::nth_element(values, at);
  return *at;
}

double MicrosecondsSince(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun).count();
}

}  // namespace

Witness::Witness(const std::string& endpoint, const std::string& ns) : ns_(ns) {
  auto connected = client::Client::Connect(endpoint, {.ns = ns});
  if (!connected.ok()) throw std::runtime_error(connected.status().ToString());
  client_ = *std::move(connected);
  for (const uint64_t size : kSizes) {
    std::string key = "witness/" + std::to_string(size);
    std::string bytes = Pattern(ns + key, size);
    const auto put = client_->Put({.key = key, .overwrite = true}, base::AsBytes(bytes));
    if (!put.ok()) throw std::runtime_error(put.status().ToString());
    objects_.emplace_back(std::move(key), std::move(bytes));
  }
  auto kept = client_->Get(objects_.back().first);
  if (!kept.ok()) throw std::runtime_error(kept.status().ToString());
  kept_ = *std::move(kept);
  for (int number = 0; number < kPuts; ++number) {
    if (const absl::Status round = Round(number); !round.ok()) throw std::runtime_error(round.ToString());
  }
  thread_ = std::thread([this] { Run(); });
}

Witness::~Witness() {
  stop_ = true;
  thread_.join();
}

absl::Status Witness::Check(const std::string& key, object::ObjectReader& reader) {
  const auto it = std::ranges::find(objects_, key, &std::pair<std::string, std::string>::first);
  std::string copy;
  std::optional<base::ByteSpan> bytes = reader.Bytes();
  if (!bytes) {
    copy.resize(reader.info().size);
    LARDER_RETURN_IF_ERROR(reader.Read(0, std::as_writable_bytes(std::span(copy))));
    bytes = base::AsBytes(copy);
  }
  if (base::AsText(*bytes) == it->second) return absl::OkStatus();
  return absl::DataLossError("other bytes than were sealed");
}

absl::Status Witness::Round(int number) {
  std::vector<double> gets;
  for (const auto& [key, bytes] : objects_) {
    const auto begun = std::chrono::steady_clock::now();
    auto reader = client_->Get(key);
    gets.push_back(MicrosecondsSince(begun));
    if (!reader.ok()) return base::Annotate(reader.status(), "get " + key);
    LARDER_RETURN_IF_ERROR(base::Annotate(Check(key, **reader), key));
  }
  LARDER_RETURN_IF_ERROR(base::Annotate(Check(objects_.back().first, *kept_), "kept mapped"));
  const std::string key = "witness/put/" + std::to_string(number % kPuts);
  const auto begun = std::chrono::steady_clock::now();
  const auto put = client_->Put({.key = key, .overwrite = true}, base::AsBytes(objects_.front().second));
  const double put_time = MicrosecondsSince(begun);
  if (!put.ok()) return base::Annotate(put.status(), "put " + key);
  base::MutexLock lock(mutex_);
  gets_.insert(gets_.end(), gets.begin(), gets.end());
  puts_.push_back(put_time);
  return absl::OkStatus();
}

void Witness::Run() {
  for (int number = 0; !stop_; ++number) {
    const absl::Status status = Round(number);
    if (!status.ok()) {
      base::MutexLock lock(mutex_);
      complaint_ = fmt::format("namespace {}, round {}: {}", ns_, number, status.ToString());
      return;
    }
    ++rounds_;
  }
}

bool Witness::Verify(uint64_t more) {
  const uint64_t until = rounds_ + more + 1;
  Eventually([&] { return rounds_ >= until || !Complaint().empty(); }, std::chrono::minutes(1));
  return rounds_ >= until && Complaint().empty();
}

std::string Witness::Complaint() const {
  base::MutexLock lock(mutex_);
  return complaint_;
}

Witness::Times Witness::TakeTimes() {
  base::MutexLock lock(mutex_);
  Times times{.calls = gets_.size() + puts_.size(),
              .get_p50 = Percentile(gets_, 0.5),
              .get_p99 = Percentile(gets_, 0.99),
              .put_p99 = Percentile(puts_, 0.99)};
  gets_.clear();
  puts_.clear();
  return times;
}

}  // namespace larder::cache_agent
