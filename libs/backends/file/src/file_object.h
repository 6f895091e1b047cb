#pragma once
#include <algorithm>
#include <atomic>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "larder/base/unique_fd.h"
#include "larder/object/blob.h"
#include "larder/object/grains.h"
#include "src/header.h"

namespace larder::backends::file {

// The disk budget of one backend; shared with its files, which give back what they took.
class DiskBudget {
 public:
  explicit DiskBudget(uint64_t limit) : limit_(limit) {}
  // RESOURCE_EXHAUSTED (DISK_FULL) naming limit and use, also for more than any disk has.
  absl::Status Take(uint64_t bytes);
  // What is there already, limit or not.
  void Count(uint64_t bytes) { used_.fetch_add(bytes); }
  void Give(uint64_t bytes) { used_.fetch_sub(bytes); }
  uint64_t limit() const { return limit_; }
  uint64_t used() const { return used_.load(); }

 private:
  const uint64_t limit_;  // 0: none
  std::atomic<uint64_t> used_{0};
};

// A file, open, with the checksums of what is in it; shared by who writes it and who reads it. Who reads keeps to
// grains that were written.
struct StoredFile {
  explicit StoredFile(std::shared_ptr<DiskBudget> from) : budget(std::move(from)) {}
  ~StoredFile() { budget->Give(charged); }
  const std::shared_ptr<DiskBudget> budget;
  uint64_t charged = 0;  // to it
  base::UniqueFd fd;
  object::GrainSums sums;
};

// A file being written in the creating folder; removed at the end of its life unless published.
class FileBlob final : public object::Blob {
 public:
  static absl::StatusOr<std::unique_ptr<FileBlob>> Make(std::filesystem::path path, std::shared_ptr<DiskBudget> budget,
                                                        uint64_t size_hint);
  // One that says from the start what it is to be, so that OpenUnfinished can go on with it. All of it is expected.
  static absl::StatusOr<std::unique_ptr<FileBlob>> MakeUnfinished(std::filesystem::path path,
                                                                  std::shared_ptr<DiskBudget> budget,
                                                                  const Header& header);
  struct Unfinished {
    Header header;
    std::unique_ptr<FileBlob> blob;
  };
  // DATA_LOSS (BAD_HEADER, SHORT_FILE) if it is damaged; parts are looked at by Kept.
  static absl::StatusOr<Unfinished> OpenUnfinished(const std::filesystem::path& path,
                                                   std::shared_ptr<DiskBudget> budget);
  ~FileBlob() override;
  absl::Status Append(base::ByteSpan bytes) override;
  // Of the budget; the disk may still be full.
  absl::Status Reserve(uint64_t size) override;
  uint64_t size() const override { return file_->sums.size(); }
  uint32_t crc32c() const override { return file_->sums.crc32c(); }
  // Of the disk, too.
  absl::Status Expect(uint64_t size, uint32_t part) override;
  base::MutableByteSpan At(uint64_t offset, uint64_t size) override;
  absl::Status Keep(uint32_t number) override;
  std::vector<bool> Kept() override;
  void Pause() override {
    coming_.clear();
    spare_.clear();
  }
  void Leave() override { leave_ = true; }
  absl::Status ReadKept(uint64_t offset, base::MutableByteSpan out) const override;
  std::shared_ptr<const object::BlobView> View() const override;
  // Writes header and checksums, flushes, and gives back what was reserved but not used.
  absl::Status Finish(Header header);
  // Renames a finished file to `target`, where it stays.
  absl::StatusOr<std::shared_ptr<const object::BlobView>> Publish(const std::filesystem::path& target);

 private:
  FileBlob(std::filesystem::path path, std::shared_ptr<DiskBudget> budget)
      : path_(std::move(path)), file_(std::make_shared<StoredFile>(std::move(budget))) {}
  // Writes at the end and sums; what it did to the sums when it fails is the caller's to undo.
  absl::Status WriteSummed(base::ByteSpan bytes);
  uint64_t PartEnd(uint32_t number) const { return std::min(file_->sums.size(), (uint64_t{number} + 1) * part_); }
  // The checksums of the grains of a part.
  std::span<const uint32_t> SumsOf(uint32_t number) const;
  // The part lies in the file as it was summed.
  bool IsThere(uint32_t number, base::MutableByteSpan buffer) const;
  std::filesystem::path path_;
  std::shared_ptr<StoredFile> file_;  // null once it is published
  bool unfinished_ = false;           // the file tells what came of it
  bool leave_ = false;
  // Parts that come, in memory until they are whole; memory of those that were, for the next: fresh memory costs a
  // page fault each 4 KiB.
  using Buffer = std::unique_ptr<std::byte[]>;
  uint32_t part_ = 0;
  std::map<uint32_t, Buffer> coming_;
  std::vector<Buffer> spare_;
};

// A published file, or what is written of one, open. Reads verify the grains they touch.
class FileView final : public object::BlobView {
 public:
  explicit FileView(std::shared_ptr<const StoredFile> file) : file_(std::move(file)) {}
  uint64_t size() const override { return file_->sums.size(); }
  absl::Status Read(uint64_t offset, base::MutableByteSpan out) const override;
  std::span<const uint32_t> grains() const override { return file_->sums.grains(); }
  std::optional<FilePart> File() const override { return FilePart{.fd = file_->fd.get(), .offset = kHeaderSize}; }

  struct Opened {
    Header header;
    std::shared_ptr<const FileView> view;
  };
  // DATA_LOSS (BAD_HEADER, BAD_TABLE, SHORT_FILE, NO_FILE) if it is damaged, or no plain file. The bytes are verified
  // as they are read.
  static absl::StatusOr<Opened> Open(const std::filesystem::path& path, std::shared_ptr<DiskBudget> budget);

 private:
  const std::shared_ptr<const StoredFile> file_;
};

}  // namespace larder::backends::file
