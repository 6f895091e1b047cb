#include <sys/mman.h>

#include <algorithm>

#include "larder/base/status.h"
#include "src/channel.h"

namespace larder::transport::uds {

absl::StatusOr<std::unique_ptr<Mapping>> MapWindow(Link& link, object::LeaseId lease, uint64_t size,
                                                   std::vector<uint32_t>* segments) {
  LARDER_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> space, Mapping::Reserve(size));
  uint64_t at = 0;
  uint32_t total = 1;
  for (uint32_t from = 0; from < total;) {
    base::ByteWriter out;
    out.U64(lease.value);
    from == 0 ? out.U64(size) : out.U32(from);
    LARDER_ASSIGN_OR_RETURN(Reply reply, link.Call(from == 0 ? Op::kWindow : Op::kExtents, out.bytes()));
    base::ByteReader in(reply.payload);
    total = in.U32();
    const std::vector<WireExtent> extents = TakeExtents(in);
    LARDER_RETURN_IF_ERROR(Finished(in, "WINDOW's reply"));
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
      if (segments != nullptr) segments->push_back(e.segment);
    }
    from += static_cast<uint32_t>(extents.size());
  }
  if (at < size) return BadRecord("a window of another size");
  return space;
}

bool Ring::Open() {
  if (refused_) return false;
  segments_.clear();
  auto mapping = MapWindow(link_, {}, kSlot * kSlots, &segments_);
  if (!mapping.ok()) {
    refused_ = true;  // its bytes travel in the records; asked again after a while
    return false;
  }
  mapping_ = *std::move(mapping);
  for (uint64_t slot = kSlots; slot > 0; --slot) free_.push_back(slot - 1);
  return true;
}

std::optional<uint64_t> Ring::Take() {
  base::MutexLock lock(mutex_);
  if (mapping_ == nullptr && !Open()) return std::nullopt;
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

void Ring::ReturnIdle() {
  base::MutexLock lock(mutex_);
  refused_ = false;
  if (std::exchange(used_, false) || mapping_ == nullptr || free_.size() < kSlots) return;
  mapping_.reset();
  free_.clear();
  base::ByteWriter out;
  PutUnmapped(out, {.segments = segments_});
  link_.Tell(Op::kUnmapped, out.bytes());
}

}  // namespace larder::transport::uds
