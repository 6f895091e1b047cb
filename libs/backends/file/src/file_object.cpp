#include "src/file_object.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "larder/base/digest.h"
#include "larder/base/file.h"
#include "larder/base/status.h"
#include "larder/base/units.h"

namespace larder::backends::file {
namespace {

constexpr uint64_t kBlock = 4096;

// What a file of an object of `size` bytes takes on disk, header and checksums included.
uint64_t Footprint(uint64_t size) {
  const uint64_t grains = (size + kGrain - 1) / kGrain;
  return (kHeaderSize + size + grains * sizeof(uint32_t) + kBlock - 1) / kBlock * kBlock;
}

}  // namespace

absl::Status DiskBudget::Take(uint64_t bytes) {
  const uint64_t before = used_.fetch_add(bytes);
  if (limit_ == 0 || before + bytes <= limit_) return absl::OkStatus();
  used_.fetch_sub(bytes);
  return base::Error(absl::StatusCode::kResourceExhausted, "DISK_FULL",
                     "the disk budget has no room for {} (limit {}, in use {}): delete objects, or raise 'disk.max_bytes'",
                     base::FormatBytes(bytes), base::FormatBytes(limit_), base::FormatBytes(before));
}

absl::StatusOr<std::unique_ptr<FileBlob>> FileBlob::Make(std::filesystem::path path, std::shared_ptr<DiskBudget> budget,
                                                         uint64_t size_hint) {
  std::unique_ptr<FileBlob> blob(new FileBlob(std::move(path), std::move(budget)));
  const uint64_t charge = Footprint(size_hint);
  LARDER_RETURN_IF_ERROR(blob->budget_->Take(charge));
  blob->charged_ = charge;
  LARDER_ASSIGN_OR_RETURN(blob->fd_, base::OpenFile(blob->path_, O_RDWR | O_CREAT | O_EXCL, 0600));
  return blob;
}

FileBlob::~FileBlob() {
  if (fd_) ::unlink(path_.c_str());
  budget_->Give(charged_);
}

absl::Status FileBlob::Append(base::ByteSpan bytes) {
  const uint64_t needed = Footprint(size_ + bytes.size());
  if (needed > charged_) {
    LARDER_RETURN_IF_ERROR(budget_->Take(needed - charged_));
    charged_ = needed;
  }
  // The bytes may lie in memory that a client still writes: sum and store one private copy.
  std::vector<std::byte> copy(std::min<uint64_t>(bytes.size(), 16 * kGrain));
  uint64_t done = 0;
  uint32_t crc = crc_;
  std::vector<uint32_t> grains = grains_;
  while (done < bytes.size()) {
    const uint64_t part = std::min<uint64_t>(copy.size(), bytes.size() - done);
    std::memcpy(copy.data(), bytes.data() + done, part);
    LARDER_RETURN_IF_ERROR(base::PwriteAll(fd_.get(), {copy.data(), part}, kHeaderSize + size_ + done));
    crc = base::Crc32c({copy.data(), part}, crc);
    for (uint64_t at = 0; at < part;) {
      const uint64_t in_grain = (size_ + done + at) % kGrain;
      const uint64_t step = std::min(kGrain - in_grain, part - at);
      if (in_grain == 0) grains.push_back(0);
      grains.back() = base::Crc32c({copy.data() + at, step}, grains.back());
      at += step;
    }
    done += part;
  }
  crc_ = crc;
  grains_ = std::move(grains);
  size_ += bytes.size();
  return absl::OkStatus();
}

absl::Status FileBlob::Finish(Header header) {
  const auto table = std::as_bytes(std::span(grains_));
  header.crc32c = crc_;
  header.table_crc32c = base::Crc32c(table);
  LARDER_ASSIGN_OR_RETURN(const auto bytes, EncodeHeader(header));
  LARDER_RETURN_IF_ERROR(base::PwriteAll(fd_.get(), table, kHeaderSize + size_));
  LARDER_RETURN_IF_ERROR(base::PwriteAll(fd_.get(), bytes, 0));
  if (::ftruncate(fd_.get(), static_cast<off_t>(kHeaderSize + size_ + table.size())) != 0) {
    return base::ErrnoError(errno, "size " + path_.string());
  }
  if (::fdatasync(fd_.get()) != 0) return base::ErrnoError(errno, "flush " + path_.string());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const object::BlobView>> FileBlob::Publish(const std::filesystem::path& target) {
  if (::rename(path_.c_str(), target.c_str()) != 0) return base::ErrnoError(errno, "publish " + target.string());
  return std::make_shared<const FileView>(std::move(fd_), size_, std::move(grains_), budget_,
                                          std::exchange(charged_, 0));
}

FileView::~FileView() { budget_->Give(charged_); }

absl::Status FileView::Read(uint64_t offset, base::MutableByteSpan out) const {
  if (offset > size_ || out.size() > size_ - offset) {
    return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", "bytes {}+{} of an object of {}", offset, out.size(),
                       size_);
  }
  std::vector<std::byte> edge;
  while (!out.empty()) {
    const uint64_t grain = offset / kGrain;
    const uint64_t begin = grain * kGrain;
    const uint64_t length = std::min(kGrain, size_ - begin);
    const uint64_t part = std::min<uint64_t>(out.size(), begin + length - offset);
    // A whole grain is read in place; of a part, the grain is read aside to be verified.
    base::MutableByteSpan whole = out.first(part);
    if (part != length) {
      edge.resize(length);
      whole = edge;
    }
    LARDER_RETURN_IF_ERROR(base::PreadAll(fd_.get(), whole, kHeaderSize + begin));
    if (base::Crc32c(whole) != grains_[grain]) {
      return base::Error(absl::StatusCode::kDataLoss, "CHECKSUM", "the disk returned other bytes than were sealed, at {}",
                         begin);
    }
    if (part != length) std::memcpy(out.data(), edge.data() + (offset - begin), part);
    out = out.subspan(part);
    offset += part;
  }
  return absl::OkStatus();
}

absl::StatusOr<FileView::Opened> FileView::Open(const std::filesystem::path& path, std::shared_ptr<DiskBudget> budget) {
  LARDER_ASSIGN_OR_RETURN(base::UniqueFd fd, base::OpenFile(path, O_RDWR | O_NOFOLLOW));
  std::vector<std::byte> raw(kHeaderSize);
  LARDER_RETURN_IF_ERROR(base::PreadAll(fd.get(), raw, 0));
  LARDER_ASSIGN_OR_RETURN(Header header, DecodeHeader(raw));
  const uint64_t size = header.info.size;
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) return base::ErrnoError(errno, "stat " + path.string());
  const uint64_t count = size / kGrain + (size % kGrain != 0 ? 1 : 0);
  if (size > static_cast<uint64_t>(st.st_size) ||
      kHeaderSize + size + count * sizeof(uint32_t) != static_cast<uint64_t>(st.st_size)) {
    return base::Error(absl::StatusCode::kDataLoss, "SHORT_FILE", "{} has {} bytes, which is not what its header says",
                       path.string(), st.st_size);
  }
  std::vector<uint32_t> grains(count);
  LARDER_RETURN_IF_ERROR(base::PreadAll(fd.get(), std::as_writable_bytes(std::span(grains)), kHeaderSize + size));
  if (base::Crc32c(std::as_bytes(std::span(grains))) != header.table_crc32c) {
    return base::Error(absl::StatusCode::kDataLoss, "BAD_TABLE", "the checksums of {} are damaged", path.string());
  }
  const uint64_t charge = Footprint(size);
  budget->Count(charge);
  return Opened{std::move(header),
                std::make_shared<const FileView>(std::move(fd), size, std::move(grains), std::move(budget), charge)};
}

}  // namespace larder::backends::file
