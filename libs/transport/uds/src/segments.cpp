#include "src/segments.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>

#include "larder/base/status.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

namespace larder::transport::uds {
namespace {

constexpr uint64_t kPage = 4096;
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE;

uint64_t PageUp(uint64_t size) { return (size + kPage - 1) / kPage * kPage; }

}  // namespace

Mapping::~Mapping() { ::munmap(data_, size_); }

absl::StatusOr<std::unique_ptr<Mapping>> Mapping::Reserve(size_t size) {
  void* at = ::mmap(nullptr, PageUp(size), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) return base::ErrnoError(errno, "reserve address space");
  return std::make_unique<Mapping>(static_cast<std::byte*>(at), PageUp(size));
}

void Segments::Add(uint32_t id, uint64_t size, base::UniqueFd fd) {
  struct stat st {};
  // Only a seal is a promise: without these the agent, or a pretender, could change or cut off what is read.
  if ((::fcntl(fd.get(), F_GET_SEALS) & kSeals) != kSeals) return;
  if (::fstat(fd.get(), &st) != 0 || static_cast<uint64_t>(st.st_size) != size || size == 0) return;
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return;
  auto mapping = std::make_shared<const Mapping>(static_cast<std::byte*>(at), size);
  base::MutexLock lock(mutex_);
  segments_[id] = {.mapping = std::move(mapping), .used = ++clock_};
}

absl::StatusOr<Mapped> Segments::Map(const std::vector<WireExtent>& extents) {
  Shape shape;
  uint64_t total = 0;
  base::MutexLock lock(mutex_);
  std::vector<std::shared_ptr<const Mapping>> parts;
  for (size_t i = 0; i < extents.size(); ++i) {
    const WireExtent& e = extents[i];
    auto segment = segments_.find(e.segment);
    if (segment == segments_.end()) {
      return base::Error(absl::StatusCode::kNotFound, "NO_SEGMENT", "segment {} is not mapped", e.segment);
    }
    const uint64_t size = segment->second.mapping->size();
    const bool last = i + 1 == extents.size();
    const bool aligned = extents.size() == 1 || (e.offset % kPage == 0 && (last || e.length % kPage == 0));
    if (e.length == 0 || e.offset > size || e.length > size - e.offset || !aligned) {
      return BadRecord("an extent outside its segment");
    }
    segment->second.used = ++clock_;
    parts.push_back(segment->second.mapping);
    shape.push_back({e.segment, e.offset, e.length});
    total += e.length;
  }
  if (extents.size() == 1) {
    return Mapped{{parts.front()->data() + extents.front().offset, total}, std::move(parts)};
  }
  auto known = joined_.find(shape);
  if (known == joined_.end()) {
    LARDER_ASSIGN_OR_RETURN(std::unique_ptr<Mapping> space, Mapping::Reserve(total));
    std::byte* at = space->data();
    for (size_t i = 0; i < extents.size(); ++i) {
      // With an old size of 0, a shared mapping is doubled rather than moved (mremap(2)).
      if (::mremap(parts[i]->data() + extents[i].offset, 0, PageUp(extents[i].length), MREMAP_MAYMOVE | MREMAP_FIXED,
                   at) == MAP_FAILED) {
        return base::ErrnoError(errno, "map an object");
      }
      at += extents[i].length;
    }
    known = joined_.emplace(shape, Joined{.mapping = std::move(space), .parts = parts}).first;
  }
  known->second.used = ++clock_;
  return Mapped{{known->second.mapping->data(), total}, {known->second.mapping}};
}

std::vector<uint32_t> Segments::Trim() {
  std::vector<std::shared_ptr<const Mapping>> dropped;  // unmapped after the lock
  std::vector<uint32_t> ids;
  base::MutexLock lock(mutex_);
  size_t idle = 0;
  for (const auto& [shape, joined] : joined_) {
    if (joined.mapping.use_count() == 1) idle += joined.mapping->size();
  }
  while (idle > kKeepIdle) {
    auto oldest = joined_.end();
    for (auto it = joined_.begin(); it != joined_.end(); ++it) {
      if (it->second.mapping.use_count() == 1 && (oldest == joined_.end() || it->second.used < oldest->second.used))
        oldest = it;
    }
    if (oldest == joined_.end()) break;
    idle -= oldest->second.mapping->size();
    dropped.push_back(std::move(oldest->second.mapping));
    joined_.erase(oldest);
  }
  idle = 0;
  for (const auto& [id, segment] : segments_) {
    if (segment.mapping.use_count() == 1) idle += segment.mapping->size();
  }
  while (idle > kKeepIdle) {
    auto oldest = segments_.end();
    for (auto it = segments_.begin(); it != segments_.end(); ++it) {
      if (it->second.mapping.use_count() == 1 && (oldest == segments_.end() || it->second.used < oldest->second.used)) {
        oldest = it;
      }
    }
    if (oldest == segments_.end()) break;
    idle -= oldest->second.mapping->size();
    ids.push_back(oldest->first);
    dropped.push_back(std::move(oldest->second.mapping));
    segments_.erase(oldest);
  }
  return ids;
}

std::vector<uint32_t> Segments::DropUnused() {
  std::vector<std::shared_ptr<const Mapping>> dropped;  // unmapped after the lock
  std::vector<uint32_t> ids;
  base::MutexLock lock(mutex_);
  std::erase_if(joined_, [&](auto& entry) {
    if (entry.second.used > last_look_ || entry.second.mapping.use_count() > 1) return false;
    dropped.push_back(std::move(entry.second.mapping));
    return true;
  });
  std::erase_if(segments_, [&](auto& entry) {
    if (entry.second.used > last_look_ || entry.second.mapping.use_count() > 1) return false;
    ids.push_back(entry.first);
    dropped.push_back(std::move(entry.second.mapping));
    return true;
  });
  last_look_ = clock_;
  return ids;
}

void Segments::Drop(const std::vector<uint32_t>& ids) {
  base::MutexLock lock(mutex_);
  for (const uint32_t id : ids) segments_.erase(id);
}

}  // namespace larder::transport::uds
