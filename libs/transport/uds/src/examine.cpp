#include "src/examine.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "larder/base/digest.h"
#include "larder/base/status.h"
#include "larder/base/units.h"
#include "src/caller.h"
#include "src/channel.h"

namespace larder::transport::uds {
namespace {

using absl::StatusCode;
using object::Advice;
using object::Finding;

constexpr std::string_view kNoAgent = "#no-agent", kPermissions = "#permissions", kSharedMemory = "#shared-memory";
constexpr uint64_t kSmall = 1000;
constexpr uint64_t kLarge = 256 * base::kKiB;
constexpr uint64_t kLargestRead = 64 * base::kMiB;  // of an object that was there
constexpr uint64_t kWindow = 64 * base::kKiB;
constexpr base::Duration kProbeTtl = std::chrono::minutes(1);  // should we be killed before the delete

constexpr std::string_view kLargeObject = "large object";

// A key that no user has.
std::string ProbeKey() {
  uint64_t random = 0;
  [[maybe_unused]] const ssize_t got = ::getrandom(&random, sizeof random, 0);
  return fmt::format(".larder-doctor/{}-{:016x}", ::getpid(), random);
}

object::CreateRequest ProbeRequest(const std::string& key) {
  object::CreateRequest request{.key = key};
  request.meta.ttl = kProbeTtl;
  return request;
}

class Examiner {
 public:
  Examiner(const std::string& directory, const object::ExamineOptions& options)
      : directory_(directory), path_(directory + "/" + std::string(kSocketName)), options_(options) {}

  object::Examination Run() {
    Directory() && Socket() && Kernel() && Greet() && Objects();
    return std::move(found_);
  }

 private:
  bool Directory();
  bool Socket();
  bool Kernel();
  bool Greet();
  bool Objects();
  bool Window();
  bool SmallObject();
  bool LargeObject();
  bool LargeObjectThatIsThere();
  // Reads `key`, whose bytes have `crc` if it is known, by whatever way the agent gives them.
  bool ReadLarge(const std::string& key, std::optional<uint32_t> crc);
  enum class Arrival : uint8_t { kRecords, kShared, kNoDescriptor };
  // Asks for `key` and keeps the descriptors that arrive.
  absl::StatusOr<Arrival> TakeDescriptors(const std::string& key);
  // Whether the bytes lay in one piece of our memory; DATA_LOSS if they are others.
  absl::StatusOr<bool> Compare(const std::string& key, std::optional<uint32_t> crc);

  // Each says whether what follows can be looked at.
  bool Fine(std::string_view name, std::string what) {
    found_.findings.push_back({.name = std::string(name), .what = std::move(what)});
    return true;
  }
  bool Warn(std::string_view name, std::string what, const Advice& advice) {
    found_.findings.push_back({.verdict = Finding::Verdict::kWarning,
                               .name = std::string(name),
                               .what = std::move(what),
                               .remedy = std::string(advice.remedy),
                               .topic = std::string(advice.topic)});
    return true;
  }
  bool Fail(std::string_view name, StatusCode code, std::string what, const Advice& advice) {
    found_.findings.push_back({.verdict = Finding::Verdict::kFailure,
                               .name = std::string(name),
                               .what = std::move(what),
                               .remedy = std::string(advice.remedy),
                               .topic = std::string(advice.topic),
                               .code = code});
    return false;
  }
  bool Fail(std::string_view name, const absl::Status& status) {
    return Fail(name, status.code(), base::Message(status), object::AdviceFor(status));
  }
  base::Deadline Patience() const { return base::SystemClock().Now() + options_.patience; }

  const std::string directory_;
  const std::string path_;
  const object::ExamineOptions options_;
  Line line_;  // once greeted
  object::Examination found_;
};

bool Examiner::Directory() {
  constexpr std::string_view kName = "directory";
  if (!directory_.starts_with('/')) {
    return Fail(kName, StatusCode::kInvalidArgument, fmt::format("'{}' is no absolute path", directory_),
                {"an endpoint reads uds:///run/larder, for example", kNoAgent});
  }
  struct stat st {};
  if (::stat(directory_.c_str(), &st) != 0) {
    if (errno == ENOENT) {
      return Fail(kName, StatusCode::kUnavailable, directory_ + " is not there",
                  {"start the agent; in a pod, mount its socket directory", kNoAgent});
    }
    const absl::Status why = base::ErrnoError(errno, directory_);
    return Fail(kName, why.code(), base::Message(why), {"let this user pass its parents", kPermissions});
  }
  if (!S_ISDIR(st.st_mode)) {
    return Fail(kName, StatusCode::kInvalidArgument, directory_ + " is no directory",
                {"name the directory of the sockets, not a socket; mount it, not a socket", kNoAgent});
  }
  if (::faccessat(AT_FDCWD, directory_.c_str(), X_OK, AT_EACCESS) != 0) {
    return Fail(kName, StatusCode::kPermissionDenied, directory_ + " may not be entered by this user",
                {"chmod o+x it, or run as its owner", kPermissions});
  }
  return Fine(kName, directory_);
}

bool Examiner::Socket() {
  constexpr std::string_view kName = "data socket";
  struct stat st {};
  if (::stat(path_.c_str(), &st) != 0) {
    return Fail(kName, StatusCode::kUnavailable, path_ + " is not there",
                {"start the agent, and check its 'socket_dir'", kNoAgent});
  }
  if (!S_ISSOCK(st.st_mode)) {
    return Fail(kName, StatusCode::kInvalidArgument, path_ + " is no socket",
                {"remove it, and restart the agent; mount the directory, not the socket", kNoAgent});
  }
  const absl::StatusOr<base::UniqueFd> connected = ConnectTo(path_);
  if (connected.ok()) return Fine(kName, path_);
  const absl::Status why = connected.status();
  if (base::Reason(why) == "NO_AGENT") {
    return Fail(kName, StatusCode::kUnavailable, path_ + " is stale: nobody listens",
                {"start the agent; a pod must mount the directory, not the socket", "#stale-sockets"});
  }
  if (why.code() == StatusCode::kPermissionDenied) {
    return Fail(kName, why.code(), base::Message(why), {"the socket's mode must let this user write", kPermissions});
  }
  if (base::Reason(why) == "PATH_TOO_LONG") {
    return Fail(kName, why.code(), base::Message(why),
                {"choose a shorter 'socket_dir', or mount it elsewhere", "#long-paths"});
  }
  return Fail(kName, why);
}

// The agent's kernel is ours, unless a sandbox stands between.
bool Examiner::Kernel() {
  constexpr std::string_view kName = "kernel";
  utsname system{};
  ::uname(&system);
  const base::UniqueFd memory(static_cast<int>(::memfd_create("larder-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  constexpr int kFutureWrite = 0x0010;  // F_SEAL_FUTURE_WRITE
  if (!memory || ::fcntl(memory.get(), F_ADD_SEALS, kFutureWrite) != 0) {
    return Warn(kName, fmt::format("{} {} cannot seal shared memory", system.sysname, system.release),
                {"bytes are copied instead: run the pod without gVisor or a seccomp profile that forbids memfd_create",
                 kSharedMemory});
  }
  int pair[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0) {
    const base::UniqueFd one(pair[0]), other(pair[1]);
    const base::Duration now = BootNow();
    const absl::StatusOr<Caller> caller = CallerOf(one.get(), {.since = now, .until = now});
    if (!caller.ok() || !caller->pidfd) {
      return Warn(kName, fmt::format("{} {} gives no pidfd", system.sysname, system.release),
                  {"the leases of a killed client whose children live on end by their TTL only", "#kernel"});
    }
  }
  return Fine(kName, fmt::format("{} {}: sealed memory, pidfd", system.sysname, system.release));
}

bool Examiner::Greet() {
  constexpr std::string_view kName = "session";
  std::shared_ptr<Keeper> keeper = Keeper::Make(directory_, {.ns = options_.ns});
  absl::StatusOr<std::shared_ptr<Session>> session = keeper->Connect(Patience());
  if (session.ok()) {
    line_ = {.keeper = std::move(keeper), .session = *std::move(session)};
    const Welcome& welcome = line_.session->welcome;
    found_.ns = welcome.ns;
    found_.node = welcome.node;
    found_.version = welcome.version;
    return Fine(kName, fmt::format("agent {} of version {}, namespace {}", welcome.node, welcome.version, welcome.ns));
  }
  const absl::Status why = session.status();
  if (base::Reason(why) == "NO_AGENT") {  // there was one, just now
    return Fail(
        kName, StatusCode::kUnavailable,
        fmt::format("the agent took the connection and says nothing for {}", base::FormatDuration(options_.patience)),
        {"is it stopped, or out of CPU? look at its log, restart it", "#no-answer"});
  }
  if (base::Reason(why) == "BAD_RECORD") {  // INVALID_ARGUMENT, though no user gave it
    return Fail(kName, StatusCode::kUnavailable, base::Message(why), object::AdviceFor(why));
  }
  return Fail(kName, why);
}

bool Examiner::Objects() {
  if (options_.read_only) return LargeObjectThatIsThere();
  Window();
  SmallObject();
  return LargeObject();
}

// A ring, given back before the connection needs one itself.
bool Examiner::Window() {
  constexpr std::string_view kName = "write window";
  std::vector<uint32_t> segments;
  const absl::Status mapped = MapWindow(line_.session->link, {}, kWindow, Patience(), segments).status();
  line_.keeper->DropSegments(*line_.session, segments);
  if (mapped.ok()) return Fine(kName, "memory to write into is shared");
  if (mapped.code() == StatusCode::kResourceExhausted) {
    return Warn(kName, base::Message(mapped),
                {"writes are carried by the socket meanwhile, at a third of speed", "#no-window"});
  }
  return Fail(kName, mapped);
}

bool Examiner::SmallObject() {
  constexpr std::string_view kName = "small object";
  UdsChannel channel(line_);
  const std::string key = ProbeKey();
  const std::string bytes(kSmall, 'd');
  const auto stored = channel.Put(ProbeRequest(key), base::AsBytes(bytes), Patience());
  if (!stored.ok()) return Fail(kName, stored.status());
  const absl::Status read = Compare(key, base::Crc32c(base::AsBytes(bytes))).status();
  const absl::Status deleted = channel.Delete(key, Patience());
  if (!read.ok()) return Fail(kName, read);
  if (!deleted.ok()) return Fail(kName, deleted);
  return Fine(kName, "stored, read and deleted");
}

bool Examiner::LargeObject() {
  UdsChannel channel(line_);
  const std::string key = ProbeKey();
  std::string bytes(kLarge, '\0');
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i / 4096 + i % 251);
  const auto stored = channel.Put(ProbeRequest(key), base::AsBytes(bytes), Patience());
  if (!stored.ok()) return Fail(kLargeObject, stored.status());
  const bool read = ReadLarge(key, base::Crc32c(base::AsBytes(bytes)));
  const absl::Status deleted = channel.Delete(key, Patience());
  return deleted.ok() || !read ? read : Fail(kLargeObject, deleted);
}

bool Examiner::LargeObjectThatIsThere() {
  const absl::StatusOr<object::ListPage> page = UdsChannel(line_).List({.limit = 1000}, Patience());
  if (!page.ok()) return Fail(kLargeObject, page.status());
  const auto large = std::find_if(page->objects.begin(), page->objects.end(), [&](const object::ObjectInfo& info) {
    return info.size > line_.session->welcome.inline_limit && info.size <= kLargestRead;
  });
  if (large == page->objects.end()) {
    return Fine(kLargeObject, "none is there to be read; without --read-only one is made");
  }
  const base::Digest& digest = large->digest;
  return ReadLarge(large->id.key,
                   digest.kind == base::Digest::Kind::kCrc32c ? std::optional(digest.crc32c) : std::nullopt);
}

bool Examiner::ReadLarge(const std::string& key, std::optional<uint32_t> crc) {
  const absl::StatusOr<Arrival> arrival = TakeDescriptors(key);
  if (base::Reason(arrival.status()) == "NOT_SEALED") {
    return Fail(kLargeObject, StatusCode::kDataLoss, base::Message(arrival.status()),
                {"do not trust what listens there: is it a larder-agent?", kSharedMemory});
  }
  const absl::StatusOr<bool> in_memory = arrival.ok() ? Compare(key, crc) : arrival.status();
  if (!in_memory.ok()) return Fail(kLargeObject, in_memory.status());
  if (*arrival == Arrival::kRecords) {
    return Fine(kLargeObject, "read through the socket: the agent's store shares no memory");
  }
  if (*arrival == Arrival::kShared && *in_memory) return Fine(kLargeObject, "read by mapping sealed memory");
  return Warn(
      kLargeObject,
      *arrival == Arrival::kShared ? "shared memory cannot be mapped" : "no descriptor of shared memory arrives",
      {"SELinux, gVisor and Kata do this: bytes are copied through the socket, several times slower", kSharedMemory});
}

absl::StatusOr<Examiner::Arrival> Examiner::TakeDescriptors(const std::string& key) {
  base::ByteWriter request;
  request.U32(0).U32(0).Str(key);
  LARDER_ASSIGN_OR_RETURN(Reply reply, line_.session->link.Call(Op::kGet, request.bytes(), Patience()));
  base::ByteReader in(reply.payload);
  const uint64_t lease = in.U64();
  TakeObject(in);
  const auto form = static_cast<Form>(in.U8());
  line_.session->link.Tell(Op::kRelease, base::ByteWriter().U64(lease).bytes());  // of lease 0: of nothing
  if (form != Form::kShared) return Arrival::kRecords;
  in.U32();
  std::vector<uint32_t> segments;
  size_t next = 0;
  absl::Status sealed;
  for (const WireExtent& extent : TakeExtents(in)) {
    segments.push_back(extent.segment);
    if (!extent.has_descriptor || next >= reply.fds.size()) continue;
    const base::UniqueFd& fd = reply.fds[next++];
    if (sealed.ok()) sealed = CheckSealed(fd.get(), extent.segment_size);
    line_.keeper->AddSegment(*line_.session, extent.segment, Mapping::OfSegment(fd, extent.segment_size));
  }
  LARDER_RETURN_IF_ERROR(sealed);
  if (next > 0) return Arrival::kShared;
  line_.keeper->DropSegments(*line_.session, segments);  // the agent believes that we have them
  return Arrival::kNoDescriptor;
}

absl::StatusOr<bool> Examiner::Compare(const std::string& key, std::optional<uint32_t> crc) {
  LARDER_ASSIGN_OR_RETURN(const std::unique_ptr<object::ObjectReader> reader, OpenReader(line_, key, Patience()));
  std::vector<std::byte> bytes(reader->info().size);
  LARDER_RETURN_IF_ERROR(reader->Read(0, bytes));
  if (!crc || base::Crc32c(bytes) == *crc) return reader->Bytes().has_value();
  return base::Error(StatusCode::kDataLoss, "DIGEST_MISMATCH", "other bytes came back than were stored");
}

}  // namespace

object::Examination Examine(const std::string& directory, const object::ExamineOptions& options) {
  return Examiner(directory, options).Run();
}

}  // namespace larder::transport::uds
