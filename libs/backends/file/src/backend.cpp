#include "larder/backends/file/backend.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <map>

#include "larder/base/digest.h"
#include "larder/base/file.h"
#include "larder/base/mutex.h"
#include "larder/base/status.h"
#include "src/file_object.h"

namespace larder::backends::file {
namespace {

namespace fs = std::filesystem;
constexpr std::string_view kPin = ".pin";
constexpr std::string_view kHalfPin = ".pin.";  // what WriteFileAtomically renames to a pin
constexpr std::string_view kFormat = "larder file objects 1\n";

// 256 folders, and names that no key can steer.
fs::path NameOf(const object::ObjectId& id) {
  base::Sha256 sha;
  sha.Update(base::AsBytes(id.ns));
  sha.Update(base::AsBytes(std::string_view("\0", 1)));
  sha.Update(base::AsBytes(id.key));
  const std::string hex = base::FormatDigest(base::Sha256DigestOf(sha.Finish())).substr(sizeof("sha256:") - 1);
  return fs::path(hex.substr(0, 2)) / hex;
}

// What lies in a folder now; what is renamed or removed meanwhile does no harm.
absl::StatusOr<std::vector<fs::path>> Entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    paths.push_back(it->path());
  }
  if (error) return base::ErrnoError(error.value(), "read " + folder.string());
  return paths;
}

class FileBackend final : public object::Backend {
 public:
  FileBackend(fs::path dir, base::UniqueFd lock, uint64_t max_bytes, const base::Clock& clock)
      : dir_(std::move(dir)), lock_(std::move(lock)), budget_(std::make_shared<DiskBudget>(max_bytes)), clock_(clock) {}

  absl::Status Prepare() {
    const fs::path format = dir_ / "format";
    if (fs::exists(format)) {
      LARDER_ASSIGN_OR_RETURN(const std::string found, base::ReadFile(format, 4096));
      if (found != kFormat) {
        return base::Error(absl::StatusCode::kFailedPrecondition, "FORMAT",
                           "{} was written by another version: point the data directory elsewhere, or empty it",
                           dir_.string());
      }
    } else {
      LARDER_RETURN_IF_ERROR(base::WriteFileAtomically(format, kFormat));
    }
    LARDER_RETURN_IF_ERROR(base::MakeDirs(dir_ / "creating"));
    LARDER_RETURN_IF_ERROR(base::MakeDirs(dir_ / "receiving"));
    for (int i = 0; i < 256; ++i) {
      LARDER_RETURN_IF_ERROR(base::MakeDirs(dir_ / "objects" / fmt::format("{:02x}", i)));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<std::unique_ptr<object::Blob>> Create(const object::ObjectId&, object::Epoch epoch,
                                                       uint64_t size_hint) override {
    const fs::path path = dir_ / "creating" / fmt::format("{}-{}", epoch.value, next_.fetch_add(1));
    return FileBlob::Make(path, budget_, size_hint);
  }

  absl::StatusOr<std::unique_ptr<object::Blob>> Receive(const object::ObjectInfo& info) override {
    const fs::path path = dir_ / "receiving" / fmt::format("{}-{}", info.epoch.value, next_.fetch_add(1));
    return FileBlob::MakeUnfinished(path, budget_, {.info = info});
  }

  absl::StatusOr<std::shared_ptr<const object::BlobView>> Seal(std::unique_ptr<object::Blob> blob,
                                                               const object::ObjectInfo& info) override {
    const Header header{
        .info = info,
        .sealed_at_ms =
            std::chrono::duration_cast<std::chrono::milliseconds>(clock_.WallNow().time_since_epoch()).count()};
    const fs::path target = dir_ / "objects" / NameOf(info.id);
    FileBlob& file = static_cast<FileBlob&>(*blob);
    LARDER_RETURN_IF_ERROR(file.Finish(header));
    // Opened before anything is published: there may be no descriptor left.
    LARDER_ASSIGN_OR_RETURN(const base::UniqueFd folder, base::OpenFile(target.parent_path(), O_RDONLY | O_DIRECTORY));
    std::shared_ptr<const object::BlobView> view;
    {
      base::MutexLock lock(mutex_);
      LARDER_ASSIGN_OR_RETURN(view, file.Publish(target));
      ::unlink(PinOf(target).c_str());
      epochs_[info.id] = info.epoch;
    }
    if (::fsync(folder.get()) != 0) return base::ErrnoError(errno, "flush " + target.parent_path().string());
    return view;
  }

  absl::Status Remove(const object::ObjectId& id, object::Epoch epoch) override {
    const fs::path path = dir_ / "objects" / NameOf(id);
    base::MutexLock lock(mutex_);
    if (!IsCurrent(id, epoch)) return absl::OkStatus();  // a newer one took its place
    epochs_.erase(id);
    ::unlink(PinOf(path).c_str());
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) return base::ErrnoError(errno, "remove " + path.string());
    return absl::OkStatus();
  }

  absl::Status SetPinned(const object::ObjectId& id, object::Epoch epoch, bool pinned) override {
    base::MutexLock lock(mutex_);
    if (!IsCurrent(id, epoch)) return absl::OkStatus();
    const fs::path pin = PinOf(dir_ / "objects" / NameOf(id));
    if (pinned) return base::WriteFileAtomically(pin, "");
    if (::unlink(pin.c_str()) != 0 && errno != ENOENT) return base::ErrnoError(errno, "remove " + pin.string());
    return absl::OkStatus();
  }

  absl::Status SetTracked(const object::ObjectId& id, object::Epoch epoch, const object::TrackedAs& tracked) override {
    const fs::path path = dir_ / "objects" / NameOf(id);
    base::MutexLock lock(mutex_);
    if (!IsCurrent(id, epoch)) return absl::OkStatus();
    LARDER_ASSIGN_OR_RETURN(const base::UniqueFd file, base::OpenFile(path, O_WRONLY | O_NOFOLLOW));
    return base::PwriteAll(file.get(), EncodeTracked(tracked), kTrackedOffset);
  }

  absl::StatusOr<std::vector<Recovered>> Recover() override;
  std::vector<Unfinished> RecoverUnfinished() override;

  Usage usage() const override { return {.limit = budget_->limit(), .used = budget_->used()}; }
  object::Resource resource() const override { return object::Resource::kDisk; }
  uint64_t HeldBeside(const std::string&) const override { return 0; }
  std::shared_ptr<const object::BlobView> Compact(const object::ObjectId&, const object::BlobView&) override {
    return nullptr;  // a file of its own wastes none
  }
  std::string_view tier() const override { return "warm"; }
  object::Durability durability() const override { return object::Durability::kSync; }
  bool blocks() const override { return true; }

 private:
  static fs::path PinOf(const fs::path& object) { return object.string() + std::string(kPin); }
  bool IsCurrent(const object::ObjectId& id, object::Epoch epoch) const LARDER_REQUIRES(mutex_) {
    auto it = epochs_.find(id);
    return it != epochs_.end() && it->second == epoch;
  }
  absl::Status RecoverOne(const fs::path& path, std::vector<Recovered>& found);
  absl::Status SetAside(const fs::path& path);

  const fs::path dir_;
  const base::UniqueFd lock_;
  const std::shared_ptr<DiskBudget> budget_;
  const base::Clock& clock_;
  std::atomic<uint64_t> next_{1};
  // Names change hands under this lock, so that the end of an old epoch never takes a newer one's file.
  base::Mutex mutex_;
  std::map<object::ObjectId, object::Epoch> epochs_ LARDER_GUARDED_BY(mutex_);
};

absl::Status FileBackend::SetAside(const fs::path& path) {
  LARDER_RETURN_IF_ERROR(base::MakeDirs(dir_ / "damaged"));
  const fs::path to = dir_ / "damaged" / path.filename();
  if (::rename(path.c_str(), to.c_str()) != 0) return base::ErrnoError(errno, "set aside " + path.string());
  return absl::OkStatus();
}

absl::Status FileBackend::RecoverOne(const fs::path& path, std::vector<Recovered>& found) {
  absl::StatusOr<FileView::Opened> opened = FileView::Open(path, budget_);
  if (!opened.ok()) {
    if (opened.status().code() == absl::StatusCode::kDataLoss) return SetAside(path);
    return opened.status();
  }
  object::ObjectInfo info = opened->header.info;
  if (path != dir_ / "objects" / NameOf(info.id)) return SetAside(path);
  if (info.meta.ttl) {
    // Across a restart only the wall clock knows how long it lay; a clock set back must not lengthen its life.
    const auto now = clock_.WallNow().time_since_epoch();
    const auto age =
        std::max<base::Duration>(base::Duration(0), now - std::chrono::milliseconds(opened->header.sealed_at_ms));
    if (age >= *info.meta.ttl) {
      ::unlink(PinOf(path).c_str());
      if (::unlink(path.c_str()) != 0) return base::ErrnoError(errno, "remove " + path.string());
      return absl::OkStatus();
    }
    info.ttl_left = *info.meta.ttl - age;
  }
  info.pinned = fs::exists(PinOf(path));
  info.tier = tier();
  {
    base::MutexLock lock(mutex_);
    epochs_[info.id] = info.epoch;
  }
  found.push_back({std::move(info), std::move(opened->view)});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<object::Backend::Recovered>> FileBackend::Recover() {
  LARDER_ASSIGN_OR_RETURN(const std::vector<fs::path> creating, Entries(dir_ / "creating"));
  for (const fs::path& path : creating) ::unlink(path.c_str());  // nobody can seal these any more
  std::vector<Recovered> found;
  for (int i = 0; i < 256; ++i) {
    LARDER_ASSIGN_OR_RETURN(const std::vector<fs::path> paths, Entries(dir_ / "objects" / fmt::format("{:02x}", i)));
    for (const fs::path& path : paths) {
      const std::string name = path.filename().string();
      if (name.ends_with(kPin)) continue;
      if (name.find(kHalfPin) != name.npos) {
        ::unlink(path.c_str());  // a mark that was being made
        continue;
      }
      LARDER_RETURN_IF_ERROR(RecoverOne(path, found));
    }
  }
  return found;
}

std::vector<object::Backend::Unfinished> FileBackend::RecoverUnfinished() {
  std::vector<Unfinished> found;
  const absl::StatusOr<std::vector<fs::path>> paths = Entries(dir_ / "receiving");
  if (!paths.ok()) return found;
  for (const fs::path& path : *paths) {
    absl::StatusOr<FileBlob::Unfinished> opened = FileBlob::OpenUnfinished(path, budget_);
    if (opened.ok()) {
      found.push_back({.info = std::move(opened->header.info), .blob = std::move(opened->blob)});
    } else if (opened.status().code() == absl::StatusCode::kDataLoss) {
      ::unlink(path.c_str());  // it comes again from where it was to come
    }
  }
  return found;
}

}  // namespace

absl::StatusOr<std::unique_ptr<object::Backend>> Make(const object::BackendSettings& settings) {
  if (settings.path.empty() || settings.path.front() != '/') {
    return base::InvalidArgument("BAD_URI",
                                 "the file backend needs an absolute directory, as in file:///var/lib/larder");
  }
  const fs::path dir = settings.path;
  LARDER_RETURN_IF_ERROR(base::MakeDirs(dir));
  LARDER_ASSIGN_OR_RETURN(base::UniqueFd lock, base::LockFile(dir / "lock"));
  auto backend = std::make_unique<FileBackend>(dir, std::move(lock), settings.max_bytes, *settings.clock);
  LARDER_RETURN_IF_ERROR(backend->Prepare());
  return backend;
}

void Register(object::BackendRegistry& registry) {
  registry.Add(
      {.name = "file", .help = "One file an object below a directory; flushed, found again at start.", .make = Make});
}

}  // namespace larder::backends::file
