#include "core/copy_check.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "larder/base/digest.h"
#include "larder/base/status.h"
#include "larder/object/grains.h"

namespace larder::cache_agent {
namespace {

constexpr observe::CounterDecl<DoubtResult> kDoubts = {
    .name = "larder_transfer_doubts_total",
    .help =
        "Pieces of copies here that other nodes got wrong, by what a look at them showed: ok, damaged (the copy was "
        "dropped), unread (they could not be read).",
    .labels = {"result"}};

}  // namespace

std::string_view LabelText(DoubtResult result) {
  switch (result) {
    case DoubtResult::kOk:
      return "ok";
    case DoubtResult::kDamaged:
      return "damaged";
    case DoubtResult::kUnread:
      break;
  }
  return "unread";
}

absl::Status CheckBytes(const object::BlobView& view, uint64_t offset, uint64_t size) {
  const uint64_t end = std::min(view.size(), offset + size);
  std::vector<std::byte> grain(object::kGrain);
  for (uint64_t number = offset / object::kGrain; number * object::kGrain < end; ++number) {
    const uint64_t begin = number * object::kGrain;
    const auto bytes = std::span(grain).first(std::min(object::kGrain, view.size() - begin));
    // A disk's are compared by the read itself, memory's by nobody.
    LARDER_RETURN_IF_ERROR(view.Read(begin, bytes));
    if (base::Crc32c(bytes) != view.grains()[number]) {
      return base::Error(absl::StatusCode::kDataLoss, "CHECKSUM", "the bytes at {} are not those that were sealed",
                         begin);
    }
  }
  return absl::OkStatus();
}

CopyCheck::CopyCheck(Parts parts, observe::Registry& metrics)
    : parts_(std::move(parts)), results_(metrics.Add(kDoubts)) {}

void CopyCheck::Look(const object::ObjectId& id, object::Epoch epoch, uint64_t offset, uint64_t size) {
  absl::StatusOr<TrackedPeer::Served> copy = parts_.lookup(id, epoch);
  if (!copy.ok()) return;  // it went, or is not sealed, and then is compared when it will be
  {
    base::MutexLock lock(mutex_);
    if (under_way_ >= kAtOnce) return;
    ++under_way_;
  }
  const auto look = [this, copy = *std::move(copy), offset, size] {
    Judge(copy, offset, size);
    base::MutexLock lock(mutex_);
    --under_way_;
  };
  // While the agent stops nobody looks.
  static_cast<void>(parts_.executor.Submit(look));
}

void CopyCheck::Judge(const TrackedPeer::Served& copy, uint64_t offset, uint64_t size) {
  const absl::Status state = CheckBytes(*copy.view, offset, size);
  if (state.ok()) return results_.With(DoubtResult::kOk).Increment();
  const bool damaged = state.code() == absl::StatusCode::kDataLoss;
  results_.With(damaged ? DoubtResult::kDamaged : DoubtResult::kUnread).Increment();
  parts_.log.Warning(damaged ? "a copy is damaged, and was dropped" : "a copy that another node doubts cannot be read",
                     {{"namespace", copy.info.id.ns},
                      {"key", copy.info.id.key},
                      {"reason", base::Reason(state)},
                      {"why", base::Message(state)}});
  if (damaged) Drop(copy.info);
}

// As a reader that found it so.
void CopyCheck::Drop(const object::ObjectInfo& damaged) {
  const absl::StatusOr<object::SessionId> session = parts_.peer.OpenSession({.ns = damaged.id.ns});
  if (!session.ok()) {
    return parts_.log.Warning("a damaged copy stays until somebody reads it",
                              {{"why", base::Message(session.status())}});
  }
  parts_.peer.Get(*session, damaged.id.key, base::kNoDeadline,
                  [this, session = *session, epoch = damaged.epoch](const absl::StatusOr<object::ReadGrant>& found) {
                    // What took its place meanwhile is another matter.
                    if (found.ok() && found->info.epoch == epoch) parts_.peer.ReportDamage(session, found->lease);
                    parts_.peer.CloseSession(session);
                  });
}

}  // namespace larder::cache_agent
