#include "larder/swarm/piece_source.h"

#include <algorithm>
#include <optional>
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

class ViewBytes final : public PieceBytes {
 public:
  explicit ViewBytes(std::shared_ptr<const object::BlobView> view) : view_(std::move(view)), file_(view_->File()) {}
  Stretch At(uint64_t offset, uint64_t most) const override {
    if (file_) return {.fd = file_->fd, .fd_offset = file_->offset + offset, .size = most};
    const base::ByteSpan memory = view_->MemoryAt(offset);
    const uint64_t size = std::min<uint64_t>(memory.size(), most);
    return {.memory = memory.first(size), .size = size};
  }

 private:
  const std::shared_ptr<const object::BlobView> view_;
  const std::optional<object::BlobView::FilePart> file_;
};

}  // namespace

std::shared_ptr<const PieceBytes> BytesOfView(std::shared_ptr<const object::BlobView> view) {
  if (!view->File() && view->size() > 0 && view->MemoryAt(0).empty()) return nullptr;
  return std::make_shared<ViewBytes>(std::move(view));
}

std::shared_ptr<const PieceBytes> BytesInMemory(base::ByteSpan bytes, std::shared_ptr<const void> owner) {
  return std::make_shared<MemoryBytes>(bytes, std::move(owner));
}

std::shared_ptr<const PieceBytes> BytesInFile(base::UniqueFd fd, uint64_t offset) {
  return std::make_shared<FileBytes>(std::move(fd), offset);
}

}  // namespace larder::swarm
