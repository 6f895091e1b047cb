#include "larder/backends/toy/backend.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "larder/object/grains.h"

namespace larder::backends::toy {
namespace {

constexpr uint64_t kLimit = base::kGiB;  // where the settings give none

struct Budget {
  const uint64_t limit;
  std::atomic<uint64_t> used = 0;
};

// Bytes of a budget, given back at the end of its life.
class Charge {
 public:
  explicit Charge(std::shared_ptr<Budget> budget) : budget_(std::move(budget)) {}
  Charge(Charge&& other) noexcept : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
  Charge& operator=(Charge&&) = delete;
  ~Charge() { budget_->used -= bytes_; }

  absl::Status GrowTo(uint64_t bytes) {
    if (bytes <= bytes_) return absl::OkStatus();
    const uint64_t more = bytes - bytes_;
    uint64_t used = budget_->used;
    do {
      if (more > budget_->limit - used) {
        return base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL",
                           "{} bytes more do not fit: {} of {} are in use", more, used, budget_->limit);
      }
    } while (!budget_->used.compare_exchange_weak(used, used + more));
    bytes_ = bytes;
    return absl::OkStatus();
  }
  void ShrinkTo(uint64_t bytes) {
    budget_->used -= bytes_ - bytes;
    bytes_ = bytes;
  }

 private:
  std::shared_ptr<Budget> budget_;
  uint64_t bytes_ = 0;
};

// The bytes of one object, shared by who writes and who reads them.
struct Stored {
  Charge charge;
  std::string bytes;
  object::GrainSums sums;
};

class ToyBlob final : public object::Blob {
 public:
  explicit ToyBlob(Charge charge) : stored_(new Stored{.charge = std::move(charge), .bytes = {}, .sums = {}}) {}
  absl::Status Append(base::ByteSpan bytes) override {
    LARDER_RETURN_IF_ERROR(stored_->charge.GrowTo(stored_->bytes.size() + bytes.size()));
    const size_t before = stored_->bytes.size();
    stored_->bytes.append(base::AsText(bytes));
    // Of the copy: the source may be memory that somebody else is writing.
    stored_->sums.Append(base::AsBytes(stored_->bytes).subspan(before));
    return absl::OkStatus();
  }
  absl::Status Reserve(uint64_t size) override { return stored_->charge.GrowTo(size); }
  uint64_t size() const override { return stored_->bytes.size(); }
  uint32_t crc32c() const override { return stored_->sums.crc32c(); }
  absl::Status Expect(uint64_t size, uint32_t part) override {
    LARDER_RETURN_IF_ERROR(Reserve(size));
    stored_->bytes.resize(size);
    stored_->sums.Expect(size);
    part_ = part;
    kept_.resize(size / part + (size % part != 0 ? 1 : 0));
    return absl::OkStatus();
  }
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override {
    return std::as_writable_bytes(std::span(stored_->bytes)).subspan(offset, size);
  }
  absl::Status Keep(uint32_t number) override {
    const uint64_t begin = uint64_t{number} * part_;
    stored_->sums.Put(
        begin, base::AsBytes(stored_->bytes).subspan(begin, std::min<uint64_t>(part_, stored_->bytes.size() - begin)));
    kept_[number] = true;
    return absl::OkStatus();
  }
  std::vector<bool> Kept() override { return kept_; }
  absl::Status ReadKept(uint64_t offset, base::MutableByteSpan out) const override {
    std::ranges::copy(base::AsBytes(stored_->bytes).subspan(offset, out.size()), out.begin());
    return absl::OkStatus();
  }

  std::shared_ptr<const object::BlobView> View() const override;
  // Ends it; without the room that was not used.
  std::shared_ptr<const Stored> Take() {
    stored_->charge.ShrinkTo(stored_->bytes.size());
    return std::move(stored_);
  }

 private:
  std::shared_ptr<Stored> stored_;
  uint32_t part_ = 0;
  std::vector<bool> kept_;
};

class ToyView final : public object::BlobView {
 public:
  explicit ToyView(std::shared_ptr<const Stored> stored) : stored_(std::move(stored)) {}
  uint64_t size() const override { return stored_->bytes.size(); }
  absl::Status Read(uint64_t offset, base::MutableByteSpan out) const override {
    if (offset > stored_->bytes.size() || out.size() > stored_->bytes.size() - offset) {
      return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", "bytes {}+{} of an object of {}", offset,
                         out.size(), stored_->bytes.size());
    }
    if (!out.empty()) std::memcpy(out.data(), stored_->bytes.data() + offset, out.size());
    return absl::OkStatus();
  }
  std::span<const uint32_t> grains() const override { return stored_->sums.grains(); }
  base::ByteSpan MemoryAt(uint64_t offset) const override { return base::AsBytes(stored_->bytes).subspan(offset); }

 private:
  const std::shared_ptr<const Stored> stored_;
};

std::shared_ptr<const object::BlobView> ToyBlob::View() const { return std::make_shared<const ToyView>(stored_); }

// Who holds a view holds the bytes, so there is nothing to remove, to pin or to find again.
class ToyBackend final : public object::Backend {
 public:
  explicit ToyBackend(uint64_t limit) : budget_(new Budget{.limit = limit}) {}
  absl::StatusOr<std::unique_ptr<object::Blob>> Create(const object::ObjectId&, object::Epoch,
                                                       uint64_t size_hint) override {
    Charge charge(budget_);
    LARDER_RETURN_IF_ERROR(charge.GrowTo(size_hint));
    return std::make_unique<ToyBlob>(std::move(charge));
  }
  absl::StatusOr<std::shared_ptr<const object::BlobView>> Seal(std::unique_ptr<object::Blob> blob,
                                                               const object::ObjectInfo&) override {
    return std::make_shared<const ToyView>(static_cast<ToyBlob&>(*blob).Take());
  }
  absl::Status Remove(const object::ObjectId&, object::Epoch) override { return absl::OkStatus(); }
  absl::Status SetPinned(const object::ObjectId&, object::Epoch, bool) override { return absl::OkStatus(); }
  absl::Status SetTracked(const object::ObjectId&, object::Epoch, const object::TrackedAs&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Recovered>> Recover() override { return std::vector<Recovered>(); }
  Usage usage() const override { return {.limit = budget_->limit, .used = budget_->used}; }
  object::Resource resource() const override { return object::Resource::kMemory; }
  uint64_t HeldBeside(const std::string&) const override { return 0; }
  std::shared_ptr<const object::BlobView> Compact(const object::ObjectId&, const object::BlobView&) override {
    return nullptr;
  }
  std::string_view tier() const override { return "hot"; }
  object::Durability durability() const override { return object::Durability::kMemory; }
  bool blocks() const override { return false; }

 private:
  const std::shared_ptr<Budget> budget_;
};

absl::StatusOr<std::unique_ptr<object::Backend>> Make(const object::BackendSettings& settings) {
  return std::make_unique<ToyBackend>(settings.max_bytes == 0 ? kLimit : settings.max_bytes);
}

}  // namespace

void Register(object::BackendRegistry& registry) {
  registry.Add({.name = "toy", .help = "Objects in strings.", .make = Make});
}

}  // namespace larder::backends::toy
