#pragma once
#include <absl/status/statusor.h>

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "larder/base/bytes.h"
#include "larder/base/codec.h"
#include "larder/base/digest.h"
#include "larder/base/unique_fd.h"

// A client of data.sock that speaks its records by hand, after docs/formats/uds.md alone: it can stop half-way, and say
// what no honest client would.
namespace larder::cache_agent {

enum class Op : uint16_t {
  kHello = 1,
  kCreate = 2,
  kWindow = 3,
  kWrite = 4,
  kSeal = 5,
  kPut = 6,
  kDiscard = 7,
  kGet = 8,
  kRead = 9,
  kRelease = 10,
  kRenew = 11,
  kUnmapped = 12,
  kStat = 13,
  kList = 14,
  kDelete = 15,
  kPin = 16,
  kPing = 17,
  kExtents = 18,
  kBatch = 19,
  kRevoke = 20,
  kLapsed = 21,
};

inline constexpr size_t kRecordHeader = 32;
inline constexpr size_t kRecordLimit = 96 * 1024;
inline constexpr size_t kInlineLimit = 64 * 1024;
inline constexpr uint32_t kForever = 0xFFFFFFFF;

// One mapping of a process, unmapped at the end of its life.
class Memory {
 public:
  Memory() = default;
  // Throws std::system_error if it cannot be mapped.
  Memory(int fd, uint64_t offset, uint64_t size, int protection);
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;
  ~Memory();
  base::MutableByteSpan bytes() const { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  uint64_t size_ = 0;
};

struct WireExtent {
  uint32_t segment = 0;
  bool has_descriptor = false;
  uint64_t segment_size = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
};
std::vector<WireExtent> TakeExtents(base::ByteReader& in);

// A create lease.
struct Creating {
  uint64_t lease = 0;
  uint64_t epoch = 0;
};
// Shared memory as the agent gave it: its extents with their descriptors, in order.
struct Shared {
  std::vector<WireExtent> extents;
  std::vector<base::UniqueFd> fds;
  // The process could take none (MSG_CTRUNC).
  bool WithoutDescriptors() const { return !extents.empty() && fds.empty(); }
};
// What a GET was answered with: `bytes` if they came inline, else `shared` and a lease.
struct Got {
  uint64_t lease = 0;
  uint64_t epoch = 0;
  uint64_t size = 0;
  std::vector<std::byte> bytes;
  Shared shared;
};

// GET's flag: send no descriptors.
inline constexpr uint32_t kNoDescriptors = 1;

struct CreationOptions {
  uint64_t size_hint = 0;
  uint32_t wait_ms = kForever;
  bool overwrite = false;
};
// CREATE's payload, and the first part of PUT's.
base::ByteWriter CreationOf(const std::string& key, const CreationOptions& options = {});
base::ByteWriter PutOf(const std::string& key, base::ByteSpan bytes, const CreationOptions& options = {},
                       const base::Digest& expected = {});
base::ByteWriter GetOf(const std::string& key, uint32_t flags = 0);
base::ByteWriter SealOf(const Creating& creating, uint64_t size, const base::Digest& expected = {});
// A whole record: header and payload.
std::vector<std::byte> RecordOf(Op op, base::ByteSpan payload, uint64_t id = 1);

// Blocking; one thread. Errors are the agent's own, or UNAVAILABLE (CONNECTION_LOST).
class RawClient {
 public:
  // Connected, before HELLO.
  static absl::StatusOr<RawClient> Dial(const std::filesystem::path& socket_dir);
  static absl::StatusOr<RawClient> Greeted(const std::filesystem::path& socket_dir, const std::string& ns = "default");

  int fd() const { return fd_.get(); }
  // Lets the connection end; what was given over it stays.
  void Hangup() { fd_.Reset(); }
  // Ends the connection in both directions, the descriptor stays.
  void Cut() const;

  struct Record {
    Op op{};
    uint64_t id = 0;
    uint32_t code = 0;
    std::vector<std::byte> payload;
    std::vector<base::UniqueFd> fds;
  };
  absl::Status Send(Op op, const base::ByteWriter& payload = {}, uint64_t id = 1) const;
  // Any bytes as one record, with any descriptors; not blocking unless `wait`.
  absl::Status SendBytes(base::ByteSpan record, std::span<const int> fds = {}, bool wait = true) const;
  // The next record, whatever it is.
  absl::StatusOr<Record> Receive() const;
  // The next reply; the error that it carries. Records of the agent's own are passed over.
  absl::StatusOr<Record> ReceiveReply() const;
  absl::StatusOr<Record> Ask(Op op, const base::ByteWriter& payload = {}) const;

  absl::Status Hello(const std::string& ns, uint64_t earlier_bytes = 0) const;
  absl::StatusOr<Creating> Create(const std::string& key, const CreationOptions& options = {}) const;
  // The reply to a CREATE that was sent.
  absl::StatusOr<Creating> ReceiveCreating() const;
  // `lease` 0: the ring.
  absl::StatusOr<Shared> Window(uint64_t lease, uint64_t size) const;
  absl::Status WriteInline(const Creating& creating, base::ByteSpan bytes) const;
  // From the creation's window, or from the ring.
  absl::Status WriteShared(const Creating& creating, bool from_ring, uint64_t offset, uint32_t length) const;
  absl::Status Seal(const Creating& creating, uint64_t size, const base::Digest& expected = {}) const;
  absl::Status Discard(const Creating& creating) const;
  absl::Status Put(const std::string& key, base::ByteSpan bytes, const CreationOptions& options = {}) const;
  absl::StatusOr<Got> Get(const std::string& key, uint32_t flags = 0) const;
  // The reply to a GET that was sent.
  absl::StatusOr<Got> ReceiveGot() const;
  absl::StatusOr<std::vector<std::byte>> Read(uint64_t lease, uint64_t offset, uint32_t length) const;
  absl::Status Delete(const std::string& key) const;
  absl::Status Release(uint64_t lease) const;
  absl::Status Unmapped(std::span<const uint32_t> segments, uint64_t earlier_bytes = 0) const;

 private:
  explicit RawClient(base::UniqueFd fd) : fd_(std::move(fd)) {}
  base::UniqueFd fd_;
};

// All extents, mapped; of segments whose descriptors came with them.
std::vector<Memory> MapAll(const Shared& shared, int protection);

}  // namespace larder::cache_agent
