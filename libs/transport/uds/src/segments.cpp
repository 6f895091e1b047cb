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

absl::Status CheckSealed(int fd, uint64_t size) {
  const auto refuse = [](const std::string& why) {
    return base::Error(absl::StatusCode::kFailedPrecondition, "NOT_SEALED", "shared memory {}", why);
  };
  const int seals = ::fcntl(fd, F_GET_SEALS);
  if (seals < 0) return refuse("is no memfd");
  if ((seals & kSeals) != kSeals) return refuse(fmt::format("has the seals {:#x}, of {:#x}", seals & kSeals, kSeals));
  struct stat st {};
  if (::fstat(fd, &st) != 0 || static_cast<uint64_t>(st.st_size) != size || size == 0) {
    return refuse(fmt::format("has {} bytes, not {}", st.st_size, size));
  }
  return absl::OkStatus();
}

std::shared_ptr<const Mapping> Mapping::OfSegment(const base::UniqueFd& fd, uint64_t size) {
  // Without its seals the agent, or a pretender, could change or cut off what is read.
  if (!CheckSealed(fd.get(), size).ok()) return nullptr;
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (at == MAP_FAILED) return nullptr;
  return std::make_shared<const Mapping>(static_cast<std::byte*>(at), size);
}

void Segments::Add(uint32_t id, std::shared_ptr<const Mapping> mapping) {
  segments_[id] = {.mapping = std::move(mapping), .used = ++clock_};
}

absl::StatusOr<Mapped> Segments::Map(const std::vector<WireExtent>& extents) {
  Shape shape;
  uint64_t total = 0;
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
    if (extents.size() == 1) {
      return Mapped{{segment->second.mapping->data() + e.offset, e.length}, segment->second.mapping};
    }
    parts.push_back(segment->second.mapping);
    shape.push_back({e.segment, e.offset, e.length});
    total += e.length;
  }
  auto known = joined_.find(shape);
  if (known == joined_.end()) {
    LARDER_ASSIGN_OR_RETURN(std::shared_ptr<Joined> joined, Join(extents, std::move(parts), total));
    known = joined_.emplace(std::move(shape), JoinedEntry{.joined = std::move(joined)}).first;
  }
  known->second.used = ++clock_;
  return Mapped{{known->second.joined->mapping->data(), total}, known->second.joined};
}

absl::StatusOr<std::shared_ptr<Segments::Joined>> Segments::Join(const std::vector<WireExtent>& extents,
                                                                 std::vector<std::shared_ptr<const Mapping>> parts,
                                                                 uint64_t total) {
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
  return std::make_shared<Joined>(Joined{.mapping = std::move(space), .parts = std::move(parts)});
}

// ---- giving back

void Segments::Take(const Shape&, JoinedEntry& entry, Unwanted& out) {
  // Without its parts: those may be idle now.
  out.mappings.emplace_back(std::move(entry.joined->mapping));
}

void Segments::Take(uint32_t id, Segment& segment, Unwanted& out) {
  out.segments.push_back(id);
  out.mappings.push_back(std::move(segment.mapping));
  asked_back_.erase(id);
}

template <typename Entries>
void Segments::TrimIdle(Entries& entries, Unwanted& out) {
  size_t idle = 0;
  for (const auto& [key, entry] : entries) {
    if (entry.idle()) idle += entry.size();
  }
  while (idle > kKeepIdle) {
    auto oldest = entries.end();
    for (auto it = entries.begin(); it != entries.end(); ++it) {
      if (it->second.idle() && (oldest == entries.end() || it->second.used < oldest->second.used)) oldest = it;
    }
    if (oldest == entries.end()) break;
    idle -= oldest->second.size();
    Take(oldest->first, oldest->second, out);
    entries.erase(oldest);
  }
}

template <typename Entries, typename Condition>
void Segments::TakeIf(Entries& entries, Condition condition, Unwanted& out) {
  for (auto it = entries.begin(); it != entries.end();) {
    if (!it->second.idle() || !condition(*it)) {
      ++it;
      continue;
    }
    Take(it->first, it->second, out);
    it = entries.erase(it);
  }
}

Unwanted Segments::Trim() {
  Unwanted out;
  TrimIdle(joined_, out);
  TrimIdle(segments_, out);
  if (!asked_back_.empty()) TakeAskedBack(out);
  return out;
}

Unwanted Segments::DropUnused() {
  Unwanted out;
  const auto unused = [this](const auto& entry) { return entry.second.used <= last_look_; };
  TakeIf(joined_, unused, out);
  TakeIf(segments_, unused, out);
  last_look_ = clock_;
  return out;
}

Unwanted Segments::AskedBack(std::span<const uint32_t> ids) {
  Unwanted out;
  for (const uint32_t id : ids) {
    segments_.contains(id) ? (void)asked_back_.insert(id) : out.segments.push_back(id);
  }
  TakeAskedBack(out);
  return out;
}

void Segments::TakeAskedBack(Unwanted& out) {
  const auto asked_for_part = [this](const auto& entry) {
    return std::ranges::any_of(
        entry.first, [this](const auto& extent) { return asked_back_.contains(static_cast<uint32_t>(extent[0])); });
  };
  TakeIf(joined_, asked_for_part, out);
  const std::set<uint32_t> asked = asked_back_;  // taking one changes it
  TakeIf(
      segments_, [&](const auto& entry) { return asked.contains(entry.first); }, out);
}

void Segments::Drop(std::span<const uint32_t> ids) {
  for (const uint32_t id : ids) {
    segments_.erase(id);
    asked_back_.erase(id);
  }
}

std::vector<std::weak_ptr<const Mapping>> Segments::Leave() {
  std::vector<std::weak_ptr<const Mapping>> held;
  joined_.clear();
  for (const auto& [id, segment] : segments_) {
    if (!segment.idle()) held.emplace_back(segment.mapping);
  }
  segments_.clear();
  asked_back_.clear();
  return held;
}

}  // namespace larder::transport::uds
