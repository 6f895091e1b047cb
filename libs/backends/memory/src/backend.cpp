#include "larder/backends/memory/backend.h"

#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/blob.h"

namespace larder::backends::memory {
namespace {

// What the tables hold for an object besides its bytes and words, so that many small ones cannot outgrow the budget.
constexpr uint64_t kRecordBytes = 768;

class MemoryBackend final : public object::Backend {
 public:
  explicit MemoryBackend(arena::Arena& arena) : arena_(arena) {}

  absl::StatusOr<std::unique_ptr<object::Blob>> Create(const object::ObjectId& id, object::Epoch,
                                                       uint64_t size_hint) override {
    const uint64_t limit = usage().limit;
    if (size_hint > limit) {
      return base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL",
                         "an object of {} can never fit in the memory arena of {} (in use {}): raise 'arena'",
                         base::FormatBytes(size_hint), base::FormatBytes(limit), base::FormatBytes(usage().used));
    }
    auto blob = std::make_unique<MemoryBlob>(arena_, id.ns);
    LARDER_RETURN_IF_ERROR(blob->ChargeRecord(kRecordBytes + 2 * id.key.size()));
    if (size_hint > 0) LARDER_RETURN_IF_ERROR(blob->Reserve(size_hint));
    return blob;
  }
  absl::StatusOr<std::shared_ptr<const object::BlobView>> Seal(std::unique_ptr<object::Blob> blob,
                                                               const object::ObjectInfo& info) override {
    MemoryBlob& memory = static_cast<MemoryBlob&>(*blob);
    uint64_t words = info.meta.application.size();
    for (const std::string& tag : info.meta.tags) words += sizeof(tag) + tag.size();
    LARDER_RETURN_IF_ERROR(memory.ChargeRecord(words));
    return std::make_shared<const MemoryView>(memory.Take());
  }
  absl::Status Remove(const object::ObjectId&, object::Epoch) override { return absl::OkStatus(); }
  absl::Status SetPinned(const object::ObjectId&, object::Epoch, bool) override { return absl::OkStatus(); }
  absl::Status SetTracked(const object::ObjectId&, object::Epoch, const object::TrackedAs&) override {
    return absl::OkStatus();
  }
  absl::StatusOr<std::vector<Recovered>> Recover() override { return std::vector<Recovered>(); }
  Usage usage() const override {
    const arena::Arena::Usage usage = arena_.usage();
    return {.limit = usage.limit - usage.reserved,
            .used = usage.live,
            .quarantined = usage.quarantined,
            .wasted = usage.wasted,
            .scattered = usage.scattered};
  }
  object::Resource resource() const override { return object::Resource::kMemory; }
  uint64_t HeldBeside(const std::string& ns) const override { return arena_.HeldBeside(ns); }
  std::shared_ptr<const object::BlobView> Compact(const object::ObjectId& id, const object::BlobView& view) override {
    const auto& memory = static_cast<const MemoryView&>(view);
    return memory.Sparse() ? memory.CopyTo(MemoryBlob(arena_, id.ns, arena::Purpose::kMove)) : nullptr;
  }
  std::string_view tier() const override { return "hot"; }
  object::Durability durability() const override { return object::Durability::kMemory; }
  bool blocks() const override { return false; }

 private:
  arena::Arena& arena_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<object::Backend>> Make(const object::BackendSettings& settings) {
  if (settings.arena == nullptr) {
    return base::InvalidArgument("NO_ARENA", "the memory backend needs an arena");
  }
  return std::make_unique<MemoryBackend>(*settings.arena);
}

void Register(object::BackendRegistry& registry) {
  registry.Add(
      {.name = "memory", .help = "Objects in the node's arena; readers map them without a copy.", .make = Make});
}

}  // namespace larder::backends::memory
