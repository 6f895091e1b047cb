#include "larder/swarm/piece_source.h"

#include <utility>

namespace larder::swarm {
namespace {

class MemoryBytes final : public PieceBytes {
 public:
  MemoryBytes(base::ByteSpan bytes, std::shared_ptr<const void> owner) : bytes_(bytes), owner_(std::move(owner)) {}
  Stretch At(uint64_t offset, uint64_t most) const override {
    return {.memory = bytes_.subspan(offset, most), .size = most};
  }

 private:
  const base::ByteSpan bytes_;
  const std::shared_ptr<const void> owner_;
};

class FileBytes final : public PieceBytes {
 public:
  FileBytes(base::UniqueFd fd, uint64_t begin) : fd_(std::move(fd)), begin_(begin) {}
  Stretch At(uint64_t offset, uint64_t most) const override {
    return {.fd = fd_.get(), .fd_offset = begin_ + offset, .size = most};
  }

 private:
  const base::UniqueFd fd_;
  const uint64_t begin_;
};

}  // namespace

std::shared_ptr<const PieceBytes> BytesInMemory(base::ByteSpan bytes, std::shared_ptr<const void> owner) {
  return std::make_shared<MemoryBytes>(bytes, std::move(owner));
}

std::shared_ptr<const PieceBytes> BytesInFile(base::UniqueFd fd, uint64_t offset) {
  return std::make_shared<FileBytes>(std::move(fd), offset);
}

}  // namespace larder::swarm
