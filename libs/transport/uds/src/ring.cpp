#include <sys/mman.h>

#include <algorithm>

#include "larder/base/status.h"
#include "src/session.h"

namespace larder::transport::uds {

absl::StatusOr<std::shared_ptr<const Mapping>> MapWindow(Link& link, object::LeaseId lease, uint64_t size,
                                                         base::Deadline deadline, std::vector<uint32_t>& segments) {
  LARDER_ASSIGN_OR_RETURN(std::shared_ptr<const Mapping> space, Mapping::Reserve(size));
  uint64_t at = 0;
  uint32_t total = 1;
  for (uint32_t from = 0; from < total;) {
    base::ByteWriter out;
    from == 0 ? PutWindow(out, {.lease = lease, .size = size}) : PutExtentsRequest(out, {.lease = lease, .from = from});
    LARDER_ASSIGN_OR_RETURN(Reply reply, link.Call(from == 0 ? Op::kWindow : Op::kExtents, out.bytes(), deadline));
    base::ByteReader in(reply.payload);
    const ExtentList list = TakeExtentList(in);
    LARDER_RETURN_IF_ERROR(Finished(in, "WINDOW's reply"));
    total = list.total;
    const std::vector<WireExtent>& extents = list.extents;
    if (extents.empty() || extents.size() > reply.fds.size()) {
      return base::Error(absl::StatusCode::kResourceExhausted, "NO_WINDOW", "the window's descriptors did not arrive");
    }
    for (size_t i = 0; i < extents.size(); ++i) {
      const WireExtent& e = extents[i];
      if (e.length == 0 || e.length > space->size() - at) return BadRecord("a window of another size");
      if (::mmap(space->data() + at, e.length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, reply.fds[i].get(),
                 static_cast<off_t>(e.offset)) == MAP_FAILED) {
        return base::ErrnoError(errno, "map a window");
      }
      at += e.length;
      segments.push_back(e.segment);
    }
    from += static_cast<uint32_t>(extents.size());
  }
  if (at < size) return BadRecord("a window of another size");
  return space;
}

absl::Status Ring::Open(base::Deadline deadline) {
  if (refused_) return absl::OkStatus();
  segments_.clear();
  auto mapping = MapWindow(link_, {}, kSlot * kSlots, deadline, segments_);
  if (mapping.status().code() == absl::StatusCode::kDeadlineExceeded) return mapping.status();
  if (!mapping.ok()) {
    refused_ = true;  // its bytes travel in the records; asked again after a while
    return absl::OkStatus();
  }
  mapping_ = *std::move(mapping);
  for (uint64_t slot = kSlots; slot > 0; --slot) free_.push_back(slot - 1);
  return absl::OkStatus();
}

Unwanted Ring::Close() {
  free_.clear();
  Unwanted out{.segments = std::move(segments_), .mappings = {std::move(mapping_)}};
  segments_.clear();
  mapping_ = nullptr;
  return out;
}

absl::StatusOr<std::optional<uint64_t>> Ring::Take(base::Deadline deadline) {
  base::MutexLock lock(mutex_);
  if (mapping_ == nullptr) LARDER_RETURN_IF_ERROR(Open(deadline));
  if (mapping_ == nullptr) return std::nullopt;
  used_ = true;
  if (free_.empty()) return std::nullopt;
  const uint64_t slot = free_.back();
  free_.pop_back();
  return slot;
}

void Ring::Give(uint64_t slot) {
  base::MutexLock lock(mutex_);
  free_.push_back(slot);
}

Unwanted Ring::ReturnIdle() {
  base::MutexLock lock(mutex_);
  refused_ = false;
  return std::exchange(used_, false) || !idle() ? Unwanted() : Close();
}

Unwanted Ring::AskedBack(std::vector<uint32_t>& asked) {
  base::MutexLock lock(mutex_);
  size_t ours = 0;
  for (const uint32_t segment : segments_) ours += std::erase(asked, segment);
  return ours > 0 && idle() ? Close() : Unwanted();
}

std::weak_ptr<const Mapping> Ring::Leave() {
  base::MutexLock lock(mutex_);
  if (idle()) Close();
  return mapping_;
}

}  // namespace larder::transport::uds
