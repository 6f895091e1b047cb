#include "tests/faults/worker.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "tests/faults/busy_client.h"

namespace larder::cache_agent {
namespace {

using base::kKiB;
using base::kMiB;

// Inline, packed side by side, and in extents of their own. A key says its size, so its content is known by its name.
constexpr uint64_t kSizes[] = {100, 20 * kKiB, 100 * kKiB, 700 * kKiB, 3 * kMiB};
constexpr int kKeys = 40;  // of each worker, each with one of the sizes
constexpr int kMany = 8;   // the first keys of a size that is inline

}  // namespace

Worker::Worker(const std::string& endpoint, std::string ns, int number)
    : endpoint_(endpoint),
      ns_(std::move(ns)),
      prefix_(fmt::format("worker/{}/", number)),
      random_(static_cast<uint32_t>(number)) {
  thread_ = std::thread([this] { Run(); });
}

Worker::~Worker() {
  stop_ = true;
  thread_.join();
}

std::string Worker::Complaint() const {
  base::MutexLock lock(mutex_);
  return complaint_;
}

void Worker::Run() {
  while (!stop_) {
    const absl::Status done = Step();
    if (done.ok() || absl::IsResourceExhausted(done) || absl::IsNotFound(done)) continue;
    base::MutexLock lock(mutex_);
    complaint_ = fmt::format("{}{}: {}", ns_, prefix_, done.ToString());
    return;
  }
}

absl::Status Worker::Step() {
  const uint32_t dice = random_() % 100;
  if (client_ == nullptr || dice == 0) {
    LARDER_ASSIGN_OR_RETURN(client_, client::Client::Connect(endpoint_, {.ns = ns_}));
  }
  if (dice < 40) return Put();
  if (dice < 50) return PutMany();
  const std::string key = fmt::format("{}{}", prefix_, random_() % kKeys);
  if (dice < 60) return client_->Delete(key);
  auto reader = client_->Get(key);
  return Check(reader, key);
}

absl::Status Worker::Put() {
  const uint32_t number = random_() % kKeys;
  const std::string key = fmt::format("{}{}", prefix_, number);
  const std::string bytes = Pattern(ns_ + key, kSizes[number % std::size(kSizes)]);
  LARDER_RETURN_IF_ERROR(client_->Put({.key = key, .overwrite = true}, base::AsBytes(bytes)).status());
  written_ += bytes.size();
  return absl::OkStatus();
}

absl::Status Worker::PutMany() {
  std::vector<std::string> keys, contents;
  for (int i = 0; i < kMany; ++i) {
    keys.push_back(fmt::format("{}many/{}", prefix_, i));
    contents.push_back(Pattern(ns_ + keys.back(), kSizes[static_cast<size_t>(i) % 2]));
  }
  std::vector<object::PutRequest> puts;
  for (size_t i = 0; i < keys.size(); ++i) {
    puts.push_back({.request = {.key = keys[i], .overwrite = true}, .bytes = base::AsBytes(contents[i])});
  }
  for (const auto& put : client_->PutMany(puts)) {
    if (put.ok()) {
      written_ += put->info.size;
    } else if (!absl::IsResourceExhausted(put.status())) {
      return put.status();
    }
  }
  auto readers = client_->GetMany(keys);
  for (size_t i = 0; i < keys.size(); ++i) {
    const absl::Status checked = Check(readers[i], keys[i]);
    if (!checked.ok() && !absl::IsNotFound(checked)) return checked;
  }
  return absl::OkStatus();
}

absl::Status Worker::Check(absl::StatusOr<std::unique_ptr<object::ObjectReader>>& reader, const std::string& key) {
  if (!reader.ok()) return reader.status();
  std::string found((*reader)->info().size, '\0');
  LARDER_RETURN_IF_ERROR((*reader)->Read(0, std::as_writable_bytes(std::span(found))));
  if (found != Pattern(ns_ + key, found.size())) {
    return base::Error(absl::StatusCode::kDataLoss, "OTHER_BYTES", "'{}' is not as it was sealed", key);
  }
  ++verified_;
  return absl::OkStatus();
}

}  // namespace larder::cache_agent
