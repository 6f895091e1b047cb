#include <atomic>
#include <random>

#include "larder/base/status.h"
#include "larder/swarm/fetch.h"
#include "src/fetch_loop.h"

namespace larder::swarm {
namespace {

class LoopFetch final : public Fetch {
 public:
  LoopFetch(std::shared_ptr<FetchInbox> inbox, uint64_t id) : inbox_(std::move(inbox)), id_(id) {}

  void AddParent(Parent parent) override {
    Change([parent = std::move(parent)](FetchMachine& machine, base::MonotonicTime now) {
      machine.AddParent(parent, now);
    });
  }
  void RemoveParent(std::string node) override {
    Change([node = std::move(node)](FetchMachine& machine, base::MonotonicTime) { machine.RemoveParent(node); });
  }
  void Want(PieceRun pieces) override {
    Change([pieces](FetchMachine& machine, base::MonotonicTime now) { machine.Want(pieces, now); });
  }
  void Cancel() override {
    Change([](FetchMachine& machine, base::MonotonicTime) {
      machine.Cancel(base::Error(absl::StatusCode::kCancelled, "CANCELLED", "the fetch was cancelled"));
    });
  }

 private:
  void Change(std::function<void(FetchMachine&, base::MonotonicTime)> change) {
    inbox_->Post([id = id_, change = std::move(change)](FetchLoop& loop) { loop.With(id, change); });
  }
  const std::shared_ptr<FetchInbox> inbox_;
  const uint64_t id_;
};

class LoopFetcher final : public Fetcher {
 public:
  LoopFetcher(const FetcherOptions& options, Metrics& metrics, const base::Clock& clock)
      : options_(options), limiter_(options.rate), parts_{.limiter = limiter_, .metrics = metrics, .clock = clock} {}
  ~LoopFetcher() override { Stop(); }

  absl::Status StartLoops() {
    for (int i = 0; i < options_.threads; ++i) {
      loops_.push_back(std::make_unique<FetchLoop>(options_, parts_));
      LARDER_RETURN_IF_ERROR(loops_.back()->Start());
    }
    return absl::OkStatus();
  }

  std::shared_ptr<Fetch> Begin(FetchRequest request, Callbacks callbacks) override {
    const uint64_t id = next_fetch_++;
    FetchLoop& loop = *loops_[id % loops_.size()];
    const auto done = callbacks.done;
    const bool posted = loop.inbox()->Post([id, request = std::move(request), callbacks = std::move(callbacks),
                                            seed = Seed()](FetchLoop& on) { on.Begin(id, request, callbacks, seed); });
    if (!posted) done({.status = base::Error(absl::StatusCode::kCancelled, "STOPPING", "this node stops")});
    return std::make_shared<LoopFetch>(loop.inbox(), id);
  }

  void Stop() override {
    for (const auto& loop : loops_) loop->Stop();
  }

 private:
  static uint64_t Seed() {
    std::random_device device;
    return uint64_t{device()} << 32 | device();
  }

  const FetcherOptions options_;
  RateLimiter limiter_;
  const ChildParts parts_;
  std::atomic<uint64_t> next_fetch_ = 1;
  std::vector<std::unique_ptr<FetchLoop>> loops_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Fetcher>> Fetcher::Start(FetcherOptions options, Metrics& metrics,
                                                        const base::Clock& clock) {
  auto fetcher = std::make_unique<LoopFetcher>(options, metrics, clock);
  LARDER_RETURN_IF_ERROR(fetcher->StartLoops());
  return fetcher;
}

absl::Status MemoryDestination::Prepare(const std::shared_ptr<const Manifest>& manifest,
                                        const std::shared_ptr<PieceMap>&) {
  if (manifest->size <= memory_.size()) return absl::OkStatus();
  return base::Error(absl::StatusCode::kResourceExhausted, "TOO_SMALL", "an object of {} bytes, and room for {}",
                     manifest->size, memory_.size());
}

base::MutableByteSpan MemoryDestination::At(uint64_t offset, uint64_t size) { return memory_.subspan(offset, size); }

}  // namespace larder::swarm
