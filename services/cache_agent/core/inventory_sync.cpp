#include "core/inventory_sync.h"

#include <algorithm>
#include <utility>

#include "larder/base/backoff.h"
#include "larder/base/status.h"

namespace larder::cache_agent {

using object::BlobId;
using object::InventorySums;
using object::TrackedAs;

namespace {

constexpr base::Duration kFirstPause = std::chrono::milliseconds(200);
constexpr base::Duration kLongestPause = std::chrono::seconds(10);
constexpr size_t kMostGone = 1'000'000;
constexpr size_t kToldAtOnce = 1024;

}  // namespace

InventorySync::InventorySync(ClusterRegistry& registry, const base::Clock& clock, Node node)
    : registry_(registry), clock_(clock), node_(std::move(node)) {}

void InventorySync::Request() {
  base::MutexLock lock(mutex_);
  wanted_ = true;
  pass_at_ = {};
}

// ---- what goes

void InventorySync::GiveUp(const object::ObjectId& id, const TrackedAs& copy) {
  {
    base::MutexLock lock(mutex_);
    if (gone_.size() >= kMostGone) return;
    gone_.emplace_back(id, copy);
  }
  TellGone();
}

void InventorySync::TellGone() {
  std::vector<Gone> now;
  {
    base::MutexLock lock(mutex_);
    if (running_ || wanted_ || clock_.Now() < tell_at_) return;
    while (!gone_.empty() && telling_ < kToldAtOnce) {
      now.push_back(std::move(gone_.front()));
      gone_.pop_front();
      ++telling_;
    }
  }
  for (Gone& gone : now) {
    switch (node_.presence(gone.first, gone.second)) {
      case Presence::kGone:
        registry_.GiveUp(gone.first, gone.second, [this, gone](const absl::Status& told) { OnGiven(gone, told); });
        break;
      case Presence::kHere: {  // the same content came back
        base::MutexLock lock(mutex_);
        --telling_;
        break;
      }
      case Presence::kUndecided: {
        base::MutexLock lock(mutex_);
        --telling_;
        gone_.push_back(std::move(gone));
        tell_at_ = clock_.Now() + kFirstPause;
        break;
      }
    }
  }
}

void InventorySync::OnGiven(Gone gone, const absl::Status& told) {
  // It came back while the cluster was told: a pass says so.
  if (told.ok() && node_.presence(gone.first, gone.second) != Presence::kGone) Request();
  {
    base::MutexLock lock(mutex_);
    --telling_;
    refusals_ = told.ok() ? 0 : refusals_ + 1;
    if (!told.ok()) {
      gone_.push_back(std::move(gone));
      tell_at_ = clock_.Now() + base::BackoffDelay(refusals_, kFirstPause, kLongestPause, base::BackoffRandom());
    }
  }
  if (told.ok()) TellGone();
}

void InventorySync::Offer(std::vector<Gone> copies, object::Done<std::vector<bool>> done) {
  struct Answers {
    base::Mutex mutex;
    size_t missing LARDER_GUARDED_BY(mutex);
    std::vector<bool> may_go LARDER_GUARDED_BY(mutex);
  };
  const auto answers = std::make_shared<Answers>();
  bool asks = false;
  {
    base::MutexLock lock(mutex_);
    asks = !running_ && !wanted_ && !copies.empty();
    if (asks) ++telling_;  // so that no pass begins with what goes
  }
  if (!asks) return done(std::vector<bool>(copies.size()));
  {
    base::MutexLock lock(answers->mutex);
    answers->missing = copies.size();
    answers->may_go.resize(copies.size());
  }
  for (size_t i = 0; i < copies.size(); ++i) {
    registry_.Offer(copies[i].first, copies[i].second, [this, answers, i, done](const absl::Status& told) {
      std::vector<bool> may_go;
      {
        base::MutexLock lock(answers->mutex);
        answers->may_go[i] = told.ok();
        if (--answers->missing > 0) return;
        may_go = answers->may_go;
      }
      done(std::move(may_go));
      base::MutexLock lock(mutex_);
      --telling_;
    });
  }
}

// ---- a pass

void InventorySync::Tick() {
  bool begins = false;
  {
    base::MutexLock lock(mutex_);
    begins = wanted_ && !running_ && telling_ == 0 && clock_.Now() >= pass_at_;
    if (begins) {
      running_ = true;
      wanted_ = false;
    }
  }
  if (!begins) return TellGone();
  const PassPtr pass = Begin();
  registry_.GetInventory([this, pass](const absl::StatusOr<InventorySums>& there) { OnSums(pass, there); });
}

InventorySync::PassPtr InventorySync::Begin() {
  auto pass = std::make_shared<Pass>();
  for (const TrackedAs& copy : node_.copies()) {
    const uint8_t bucket = object::InventoryBucket(copy.blob);
    pass->copies.at(bucket).push_back(copy);
    pass->sums.at(bucket) += object::InventoryHash(copy, /*staged=*/false);
  }
  for (auto& copies : pass->copies) std::ranges::sort(copies);
  return pass;
}

void InventorySync::OnSums(const PassPtr& pass, const absl::StatusOr<InventorySums>& there) {
  if (!there.ok()) return End(pass, there.status());
  std::vector<std::pair<uint8_t, uint64_t>> equal;
  for (size_t i = 0; i < object::kInventoryBuckets; ++i) {
    const auto bucket = static_cast<uint8_t>(i);
    if (pass->sums.at(i) == there->at(i)) {
      equal.emplace_back(bucket, pass->sums.at(i));
    } else {
      pass->differing.push_back(bucket);
    }
  }
  if (equal.empty()) return SendPage(pass, {});
  registry_.ConfirmBuckets(
      equal, [this, pass](const absl::StatusOr<std::vector<uint8_t>>& differing) { OnCompared(pass, differing); });
}

void InventorySync::OnCompared(const PassPtr& pass, const absl::StatusOr<std::vector<uint8_t>>& differing) {
  if (!differing.ok()) return End(pass, differing.status());
  pass->differing.insert(pass->differing.end(), differing->begin(), differing->end());
  SendPage(pass, {});
}

void InventorySync::SendPage(const PassPtr& pass, BlobId from) {
  if (pass->differing.empty()) return End(pass, absl::OkStatus());
  const std::vector<TrackedAs>& copies = pass->copies.at(pass->differing.back());
  const auto first = std::ranges::lower_bound(copies, TrackedAs{.blob = from});
  const auto left = static_cast<size_t>(copies.end() - first);
  InventoryPage page{.bucket = pass->differing.back(), .from = from, .to = InventoryPage::kEnd};
  auto last = first + static_cast<ptrdiff_t>(std::min(left, InventoryPage::kMaxCopies));
  if (last != copies.end()) {
    // No blob is parted.
    page.to = last->blob;
    while (last != first && std::prev(last)->blob == page.to) --last;
  }
  page.copies.assign(first, last);
  registry_.SyncBucket(std::move(page),
                       [this, pass](const absl::StatusOr<InventoryAnswer>& answer) { OnPage(pass, answer); });
}

void InventorySync::OnPage(const PassPtr& pass, const absl::StatusOr<InventoryAnswer>& answer) {
  if (!answer.ok()) return End(pass, answer.status());
  pass->over.insert(answer->over.begin(), answer->over.end());
  if (answer->next != InventoryPage::kEnd) return SendPage(pass, answer->next);
  pass->differing.pop_back();
  SendPage(pass, {});
}

void InventorySync::End(const PassPtr& pass, const absl::Status& status) {
  if (!pass->over.empty()) node_.over(pass->over);
  {
    base::MutexLock lock(mutex_);
    running_ = false;
    failures_ = status.ok() ? 0 : failures_ + 1;
    if (!status.ok()) {
      wanted_ = true;
      pass_at_ = clock_.Now() + base::BackoffDelay(failures_, kFirstPause, kLongestPause, base::BackoffRandom());
    }
  }
  TellGone();
}

}  // namespace larder::cache_agent
