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

using object::kGrain;

constexpr uint64_t kBlock = 4096;
constexpr uint64_t kCopyStep = 16 * kGrain;
constexpr size_t kSpareBuffers = 2;

constexpr uint64_t kLargest = uint64_t{1} << 62;  // files end before, also with what is beside the bytes

// Where a file of an object of `size` bytes ends.
uint64_t TableEnd(uint64_t size) { return kHeaderSize + size + object::GrainsOf(size) * sizeof(uint32_t); }

// What a file of an object of `size` bytes takes on disk, header and checksums included.
uint64_t Footprint(uint64_t size) {
  size = std::min(size, kLargest);
  return (TableEnd(size) + kBlock - 1) / kBlock * kBlock;
}

// A full disk is a full budget to callers.
absl::Status NamedFull(const absl::Status& status) {
  const std::string reason = base::Reason(status);
  if (reason != "ENOSPC" && reason != "EDQUOT") return status;
  return base::Error(absl::StatusCode::kResourceExhausted, "DISK_FULL", "the file system is full: {}",
                     base::Message(status));
}

// A file as it was found, its header and table; the bytes are not looked at, nor the table.
struct PlainFile {
  base::UniqueFd fd;
  Header header;
  std::vector<uint32_t> grains;
};
// DATA_LOSS (BAD_HEADER, SHORT_FILE, NO_FILE) if it is damaged, or no plain file.
absl::StatusOr<PlainFile> OpenPlain(const std::filesystem::path& path, int flags) {
  struct stat st {};
  // Looked at first: opening a device or a pipe may do anything.
  if (::lstat(path.c_str(), &st) != 0) return base::ErrnoError(errno, "stat " + path.string());
  if (!S_ISREG(st.st_mode)) {
    return base::Error(absl::StatusCode::kDataLoss, "NO_FILE", "{} is no plain file", path.string());
  }
  PlainFile file;
  LARDER_ASSIGN_OR_RETURN(file.fd, base::OpenFile(path, flags | O_NOFOLLOW));
  std::vector<std::byte> raw(kHeaderSize);
  LARDER_RETURN_IF_ERROR(base::PreadAll(file.fd.get(), raw, 0));
  LARDER_ASSIGN_OR_RETURN(file.header, DecodeHeader(raw));
  const uint64_t size = file.header.info.size;
  if (::fstat(file.fd.get(), &st) != 0) return base::ErrnoError(errno, "stat " + path.string());
  if (size > static_cast<uint64_t>(st.st_size) || TableEnd(size) != static_cast<uint64_t>(st.st_size)) {
    return base::Error(absl::StatusCode::kDataLoss, "SHORT_FILE", "{} has {} bytes, which is not what its header says",
                       path.string(), st.st_size);
  }
  file.grains.resize(object::GrainsOf(size));
  LARDER_RETURN_IF_ERROR(
      base::PreadAll(file.fd.get(), std::as_writable_bytes(std::span(file.grains)), kHeaderSize + size));
  return file;
}

}  // namespace

absl::Status DiskBudget::Take(uint64_t bytes) {
  const uint64_t limit = limit_ == 0 ? kLargest : limit_;
  uint64_t before = used_.load();
  do {
    if (before > limit || bytes > limit - before) {
      return base::Error(
          absl::StatusCode::kResourceExhausted, "DISK_FULL",
          "the disk budget has no room for {} (limit {}, in use {}): delete objects, or raise 'disk.max_bytes'",
          base::FormatBytes(bytes), base::FormatBytes(limit), base::FormatBytes(before));
    }
  } while (!used_.compare_exchange_weak(before, before + bytes));
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<FileBlob>> FileBlob::Make(std::filesystem::path path, std::shared_ptr<DiskBudget> budget,
                                                         uint64_t size_hint) {
  std::unique_ptr<FileBlob> blob(new FileBlob(std::move(path), std::move(budget)));
  const uint64_t charge = Footprint(size_hint);
  LARDER_RETURN_IF_ERROR(blob->file_->budget->Take(charge));
  blob->file_->charged = charge;
  auto fd = base::OpenFile(blob->path_, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (!fd.ok()) return NamedFull(fd.status());
  blob->file_->fd = *std::move(fd);
  return blob;
}

absl::StatusOr<std::unique_ptr<FileBlob>> FileBlob::MakeUnfinished(std::filesystem::path path,
                                                                   std::shared_ptr<DiskBudget> budget,
                                                                   const Header& header) {
  const uint64_t size = header.info.size;
  LARDER_ASSIGN_OR_RETURN(const auto bytes, EncodeHeader(header));
  LARDER_ASSIGN_OR_RETURN(std::unique_ptr<FileBlob> blob, Make(std::move(path), std::move(budget), size));
  LARDER_RETURN_IF_ERROR(blob->Expect(size, header.info.meta.piece_length));
  // A table of zeros: nothing has come.
  if (::ftruncate(blob->file_->fd.get(), static_cast<off_t>(TableEnd(size))) != 0) {
    return NamedFull(base::ErrnoError(errno, "size " + blob->path_.string()));
  }
  LARDER_RETURN_IF_ERROR(NamedFull(base::PwriteAll(blob->file_->fd.get(), bytes, 0)));
  blob->unfinished_ = true;
  return blob;
}

absl::StatusOr<FileBlob::Unfinished> FileBlob::OpenUnfinished(const std::filesystem::path& path,
                                                              std::shared_ptr<DiskBudget> budget) {
  LARDER_ASSIGN_OR_RETURN(PlainFile file, OpenPlain(path, O_RDWR));
  const object::ObjectInfo& info = file.header.info;
  if (info.meta.piece_length == 0 || info.meta.piece_length % kGrain != 0) {
    return base::Error(absl::StatusCode::kDataLoss, "BAD_HEADER", "{} has no parts", path.string());
  }
  std::unique_ptr<FileBlob> blob(new FileBlob(path, std::move(budget)));
  blob->file_->fd = std::move(file.fd);
  blob->part_ = info.meta.piece_length;
  blob->file_->sums.Resume(std::move(file.grains), info.size);
  blob->unfinished_ = true;
  blob->file_->charged = Footprint(info.size);
  blob->file_->budget->Count(blob->file_->charged);
  return Unfinished{.header = std::move(file.header), .blob = std::move(blob)};
}

FileBlob::~FileBlob() {
  if (file_ != nullptr && file_->fd && !(unfinished_ && leave_)) ::unlink(path_.c_str());
}

absl::Status FileBlob::Reserve(uint64_t size) {
  const uint64_t needed = Footprint(size);
  if (needed <= file_->charged) return absl::OkStatus();
  LARDER_RETURN_IF_ERROR(file_->budget->Take(needed - file_->charged));
  file_->charged = needed;
  return absl::OkStatus();
}

absl::Status FileBlob::Append(base::ByteSpan bytes) {
  const uint64_t size = file_->sums.size();
  const uint64_t needed = Footprint(size + bytes.size());
  const uint64_t more = needed > file_->charged ? needed - file_->charged : 0;
  LARDER_RETURN_IF_ERROR(file_->budget->Take(more));
  const uint32_t last = file_->sums.grains().empty() ? 0 : file_->sums.grains().back();
  if (absl::Status written = WriteSummed(bytes); !written.ok()) {
    // What was written beyond the end is overwritten, or cut off by Finish.
    file_->budget->Give(more);
    file_->sums.TakeBack(size, last);
    return NamedFull(written);
  }
  file_->charged += more;
  return absl::OkStatus();
}

absl::Status FileBlob::WriteSummed(base::ByteSpan bytes) {
  // The bytes may lie in memory that a client still writes: sum and store one private copy.
  const size_t step = std::min<size_t>(bytes.size(), kCopyStep);
  const auto copy = std::make_unique_for_overwrite<std::byte[]>(step);
  while (!bytes.empty()) {
    const base::ByteSpan part(copy.get(), std::min<uint64_t>(step, bytes.size()));
    std::memcpy(copy.get(), bytes.data(), part.size());
    LARDER_RETURN_IF_ERROR(base::PwriteAll(file_->fd.get(), part, kHeaderSize + file_->sums.size()));
    file_->sums.Append(part);
    bytes = bytes.subspan(part.size());
  }
  return absl::OkStatus();
}

absl::Status FileBlob::Expect(uint64_t size, uint32_t part) {
  LARDER_RETURN_IF_ERROR(Reserve(size));
  // Now, rather than when most of it has come.
  if (const int error = ::posix_fallocate(file_->fd.get(), 0, static_cast<off_t>(kHeaderSize + size)); error != 0) {
    return NamedFull(base::ErrnoError(error, "allocate " + path_.string()));
  }
  part_ = part;
  file_->sums.Expect(size);
  return absl::OkStatus();
}

base::MutableByteSpan FileBlob::At(uint64_t offset, uint64_t size) {
  const auto number = static_cast<uint32_t>(offset / part_);
  const uint64_t begin = uint64_t{number} * part_;
  Buffer& buffer = coming_[number];
  if (buffer == nullptr && spare_.empty()) {
    buffer = std::make_unique_for_overwrite<std::byte[]>(std::min<uint64_t>(part_, file_->sums.size()));
  } else if (buffer == nullptr) {
    buffer = std::move(spare_.back());
    spare_.pop_back();
  }
  return {buffer.get() + (offset - begin), std::min(size, PartEnd(number) - offset)};
}

absl::Status FileBlob::Keep(uint32_t number) {
  const uint64_t begin = uint64_t{number} * part_;
  const auto coming = coming_.find(number);
  const base::ByteSpan bytes(coming->second.get(), PartEnd(number) - begin);
  LARDER_RETURN_IF_ERROR(NamedFull(base::PwriteAll(file_->fd.get(), bytes, kHeaderSize + begin)));
  file_->sums.Put(begin, bytes);
  if (unfinished_) {
    const uint64_t at = kHeaderSize + file_->sums.size() + begin / kGrain * sizeof(uint32_t);
    LARDER_RETURN_IF_ERROR(NamedFull(base::PwriteAll(file_->fd.get(), std::as_bytes(SumsOf(number)), at)));
  }
  if (spare_.size() < kSpareBuffers) spare_.push_back(std::move(coming->second));
  coming_.erase(coming);
  return absl::OkStatus();
}

std::span<const uint32_t> FileBlob::SumsOf(uint32_t number) const {
  const uint64_t first = uint64_t{number} * part_ / kGrain;
  return std::span(file_->sums.grains()).subspan(first, object::GrainsOf(PartEnd(number)) - first);
}

bool FileBlob::IsThere(uint32_t number, base::MutableByteSpan buffer) const {
  const std::span<const uint32_t> sums = SumsOf(number);
  // Zeros were there from the start. A grain that has this sum for once comes again.
  if (std::ranges::find(sums, 0U) != sums.end()) return false;
  const uint64_t begin = uint64_t{number} * part_;
  base::MutableByteSpan bytes = buffer.first(PartEnd(number) - begin);
  if (!base::PreadAll(file_->fd.get(), bytes, kHeaderSize + begin).ok()) return false;
  return std::ranges::all_of(sums, [&bytes](uint32_t sum) {
    const base::ByteSpan grain = bytes.first(std::min<uint64_t>(kGrain, bytes.size()));
    bytes = bytes.subspan(grain.size());
    return base::Crc32c(grain) == sum;
  });
}

std::vector<bool> FileBlob::Kept() {
  std::vector<bool> kept((file_->sums.size() + part_ - 1) / part_);
  std::vector<std::byte> buffer(std::min<uint64_t>(part_, file_->sums.size()));
  for (uint32_t number = 0; number < kept.size(); ++number) kept[number] = IsThere(number, buffer);
  return kept;
}

absl::Status FileBlob::ReadKept(uint64_t offset, base::MutableByteSpan out) const {
  return base::PreadAll(file_->fd.get(), out, kHeaderSize + offset);
}

std::shared_ptr<const object::BlobView> FileBlob::View() const { return std::make_shared<const FileView>(file_); }

absl::Status FileBlob::Finish(Header header) {
  const uint64_t size = file_->sums.size();
  const auto table = std::as_bytes(std::span(file_->sums.grains()));
  header.crc32c = file_->sums.crc32c();
  header.table_crc32c = base::Crc32c(table);
  LARDER_ASSIGN_OR_RETURN(const auto bytes, EncodeHeader(header));
  LARDER_RETURN_IF_ERROR(NamedFull(base::PwriteAll(file_->fd.get(), table, kHeaderSize + size)));
  LARDER_RETURN_IF_ERROR(NamedFull(base::PwriteAll(file_->fd.get(), bytes, 0)));
  if (::ftruncate(file_->fd.get(), static_cast<off_t>(kHeaderSize + size + table.size())) != 0) {
    return base::ErrnoError(errno, "size " + path_.string());
  }
  if (::fdatasync(file_->fd.get()) != 0) return NamedFull(base::ErrnoError(errno, "flush " + path_.string()));
  // A hint that was too large reserved more.
  const uint64_t needed = Footprint(size);
  file_->budget->Give(file_->charged - needed);
  file_->charged = needed;
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const object::BlobView>> FileBlob::Publish(const std::filesystem::path& target) {
  if (::rename(path_.c_str(), target.c_str()) != 0) return base::ErrnoError(errno, "publish " + target.string());
  return std::make_shared<const FileView>(std::exchange(file_, nullptr));
}

absl::Status FileView::Read(uint64_t offset, base::MutableByteSpan out) const {
  const uint64_t size = file_->sums.size();
  if (offset > size || out.size() > size - offset) {
    return base::Error(absl::StatusCode::kOutOfRange, "OUT_OF_RANGE", "bytes {}+{} of an object of {}", offset,
                       out.size(), size);
  }
  std::vector<std::byte> edge;
  while (!out.empty()) {
    const uint64_t grain = offset / kGrain;
    const uint64_t begin = grain * kGrain;
    const uint64_t length = std::min(kGrain, size - begin);
    const uint64_t part = std::min<uint64_t>(out.size(), begin + length - offset);
    // A whole grain is read in place; of a part, the grain is read aside to be verified.
    base::MutableByteSpan whole = out.first(part);
    if (part != length) {
      edge.resize(length);
      whole = edge;
    }
    LARDER_RETURN_IF_ERROR(base::PreadAll(file_->fd.get(), whole, kHeaderSize + begin));
    if (base::Crc32c(whole) != file_->sums.grains()[grain]) {
      return base::Error(absl::StatusCode::kDataLoss, "CHECKSUM",
                         "the disk returned other bytes than were sealed, at {}", begin);
    }
    if (part != length) std::memcpy(out.data(), edge.data() + (offset - begin), part);
    out = out.subspan(part);
    offset += part;
  }
  return absl::OkStatus();
}

absl::StatusOr<FileView::Opened> FileView::Open(const std::filesystem::path& path, std::shared_ptr<DiskBudget> budget) {
  LARDER_ASSIGN_OR_RETURN(PlainFile file, OpenPlain(path, O_RDONLY));
  if (base::Crc32c(std::as_bytes(std::span(file.grains))) != file.header.table_crc32c) {
    return base::Error(absl::StatusCode::kDataLoss, "BAD_TABLE", "the checksums of {} are damaged", path.string());
  }
  const uint64_t size = file.header.info.size;
  auto open = std::make_shared<StoredFile>(std::move(budget));
  open->fd = std::move(file.fd);
  open->sums.Resume(std::move(file.grains), size);
  open->charged = Footprint(size);
  open->budget->Count(open->charged);
  return Opened{std::move(file.header), std::make_shared<const FileView>(std::move(open))};
}

}  // namespace larder::backends::file
