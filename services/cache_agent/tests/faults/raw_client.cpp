#include "tests/faults/raw_client.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cstring>
#include <map>
#include <system_error>
#include <utility>

#include "larder/base/status.h"

namespace larder::cache_agent {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kMostFds = 253;  // of one record: SCM_MAX_FD
constexpr uint8_t kCrcDigest = 1;
constexpr uint8_t kShaDigest = 2;
enum : uint8_t { kFromRecord = 0, kFromWindow = 1, kFromRing = 2 };
enum : uint8_t { kFormInline = 0, kFormShared = 1 };

absl::Status Lost() {
  return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "the connection to the agent has ended");
}

void PutDigest(base::ByteWriter& out, const base::Digest& digest) {
  out.U8(static_cast<uint8_t>(digest.kind));
  if (digest.kind == base::Digest::Kind::kCrc32c) out.U32(digest.crc32c);
  if (digest.kind == base::Digest::Kind::kSha256) out.Raw(std::as_bytes(std::span(digest.sha256)));
}

void PassDigest(base::ByteReader& in) {
  const uint8_t kind = in.U8();
  if (kind == kCrcDigest) in.U32();
  if (kind == kShaDigest) in.Raw(32);
}

// OBJECT: its size and epoch are what matters here.
void TakeObject(base::ByteReader& in, Got& got) {
  in.Str();  // key
  in.U8();   // state
  got.epoch = in.U64();
  got.size = in.U64();
  PassDigest(in);
  in.U32();  // piece length
  in.I64();  // TTL
  in.U32();  // wanted copies
  in.U8();   // pinned
  in.Str();  // tier
  in.Str();  // application
  for (uint16_t tags = in.U16(); tags > 0 && in.ok(); --tags) in.Str();
}

base::ByteWriter LeaseOf(const Creating& creating) {
  base::ByteWriter out;
  out.U64(creating.lease).U64(creating.epoch);
  return out;
}

}  // namespace

// ---- memory

Memory::Memory(int fd, uint64_t offset, uint64_t size, int protection) : size_(size) {
  const uint64_t skipped = offset % kPage;  // a single extent may begin anywhere
  void* at = ::mmap(nullptr, size + skipped, protection, MAP_SHARED, fd, static_cast<off_t>(offset - skipped));
  if (at == MAP_FAILED) throw std::system_error(errno, std::generic_category(), "map the agent's memory");
  data_ = static_cast<std::byte*>(at) + skipped;
}
Memory::Memory(Memory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, uint64_t{0})) {}
Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}
Memory::~Memory() {
  if (data_ == nullptr) return;
  const uint64_t skipped = reinterpret_cast<uintptr_t>(data_) % kPage;
  ::munmap(data_ - skipped, size_ + skipped);
}

std::vector<Memory> MapAll(const Shared& shared, int protection) {
  std::vector<Memory> all;
  std::map<uint32_t, int> given;  // segment, descriptor
  size_t next = 0;
  for (const WireExtent& extent : shared.extents) {
    if (extent.has_descriptor) given[extent.segment] = shared.fds.at(next++).get();
    all.emplace_back(given.at(extent.segment), extent.offset, extent.length, protection);
  }
  return all;
}

// ---- records

std::vector<WireExtent> TakeExtents(base::ByteReader& in) {
  std::vector<WireExtent> extents;
  for (uint16_t n = in.U16(); n > 0 && in.ok(); --n) {
    WireExtent e;
    e.segment = in.U32();
    e.has_descriptor = (in.U32() & 1) != 0;
    e.segment_size = in.U64();
    e.offset = in.U64();
    e.length = in.U64();
    extents.push_back(e);
  }
  return extents;
}

base::ByteWriter CreationOf(const std::string& key, const CreationOptions& options) {
  base::ByteWriter out;
  out.U32(options.overwrite ? 1 : 0).U8(0).U8(0).U16(1).U32(0).U64(options.size_hint).I64(-1).U32(options.wait_ms);
  out.Str(key).Str("").U16(0);
  return out;
}

base::ByteWriter PutOf(const std::string& key, base::ByteSpan bytes, const CreationOptions& options,
                       const base::Digest& expected) {
  base::ByteWriter out = CreationOf(key, options);
  PutDigest(out, expected);
  out.Raw(bytes);
  return out;
}

base::ByteWriter SealOf(const Creating& creating, uint64_t size, const base::Digest& expected) {
  base::ByteWriter out = LeaseOf(creating);
  PutDigest(out.U64(size), expected);
  return out;
}

base::ByteWriter GetOf(const std::string& key, uint32_t flags) {
  base::ByteWriter out;
  out.U32(flags).U32(0).Str(key);
  return out;
}

std::vector<std::byte> RecordOf(Op op, base::ByteSpan payload, uint64_t id) {
  base::ByteWriter out;
  out.Raw(base::AsBytes("LRD1")).U16(1).U16(static_cast<uint16_t>(op)).U64(id);
  out.U32(static_cast<uint32_t>(payload.size())).U32(0).U64(0).Raw(payload);
  return {out.bytes().begin(), out.bytes().end()};
}

// ---- the connection

absl::StatusOr<RawClient> RawClient::Dial(const std::filesystem::path& socket_dir) {
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strncpy(address.sun_path, (socket_dir / "data.sock").c_str(), sizeof address.sun_path - 1);
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return base::ErrnoError(errno, "connect to the agent");
  }
  return RawClient(std::move(fd));
}

absl::StatusOr<RawClient> RawClient::Greeted(const std::filesystem::path& socket_dir, const std::string& ns) {
  LARDER_ASSIGN_OR_RETURN(RawClient client, Dial(socket_dir));
  LARDER_RETURN_IF_ERROR(client.Hello(ns));
  return client;
}

void RawClient::Cut() const { ::shutdown(fd_.get(), SHUT_RDWR); }

absl::Status RawClient::SendBytes(base::ByteSpan record, std::span<const int> fds, bool wait) const {
  iovec part{const_cast<std::byte*>(record.data()), record.size()};
  msghdr message{.msg_iov = &part, .msg_iovlen = 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control{};
  if (!fds.empty()) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(header), fds.data(), sizeof(int) * fds.size());
  }
  while (::sendmsg(fd_.get(), &message, MSG_NOSIGNAL | (wait ? 0 : MSG_DONTWAIT)) < 0) {
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN) return Lost();
    if (errno != EINTR) return base::ErrnoError(errno, "send a record");
  }
  return absl::OkStatus();
}

absl::Status RawClient::Send(Op op, const base::ByteWriter& payload, uint64_t id) const {
  return SendBytes(RecordOf(op, payload.bytes(), id));
}

absl::StatusOr<RawClient::Record> RawClient::Receive() const {
  std::vector<std::byte> buffer(kRecordLimit);
  iovec part{buffer.data(), buffer.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostFds)> control;
  msghdr message{.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.data(), .msg_controllen = control.size()};
  ssize_t size = 0;
  while ((size = ::recvmsg(fd_.get(), &message, MSG_CMSG_CLOEXEC)) < 0) {
    // ECONNRESET is told once, before the records that were sent ahead of the end.
    if (errno != EINTR && errno != ECONNRESET) return base::ErrnoError(errno, "receive a record");
  }
  if (size == 0) return Lost();
  Record record;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    for (size_t i = 0; i < (header->cmsg_len - CMSG_LEN(0)) / sizeof(int); ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof fd);
      record.fds.emplace_back(fd);
    }
  }
  base::ByteReader in(base::ByteSpan(buffer).first(static_cast<size_t>(size)));
  in.Raw(4);
  in.U16();
  record.op = static_cast<Op>(in.U16());
  record.id = in.U64();
  in.U32();
  record.code = in.U32();
  in.U64();
  if (!in.ok()) return absl::InternalError("the agent sent less than a header");
  record.payload.assign(in.rest().begin(), in.rest().end());
  return record;
}

absl::StatusOr<RawClient::Record> RawClient::ReceiveReply() const {
  while (true) {
    LARDER_ASSIGN_OR_RETURN(Record record, Receive());
    if (record.id == 0) continue;
    if (record.code == 0) return record;
    base::ByteReader in(record.payload);
    const std::string_view reason = in.Str();
    return base::MakeError(static_cast<absl::StatusCode>(record.code), reason, in.Str());
  }
}

absl::StatusOr<RawClient::Record> RawClient::Ask(Op op, const base::ByteWriter& payload) const {
  // It may be gone because it said why: what came before the end is still there to read.
  if (const absl::Status sent = Send(op, payload); !sent.ok() && base::Reason(sent) != "CONNECTION_LOST") return sent;
  return ReceiveReply();
}

// ---- operations

absl::Status RawClient::Hello(const std::string& ns, uint64_t earlier_bytes) const {
  base::ByteWriter out;
  out.Str(ns).U64(earlier_bytes).Str("by hand");
  return Ask(Op::kHello, out).status();
}

absl::StatusOr<Creating> RawClient::Create(const std::string& key, const CreationOptions& options) const {
  LARDER_RETURN_IF_ERROR(Send(Op::kCreate, CreationOf(key, options)));
  return ReceiveCreating();
}

absl::StatusOr<Creating> RawClient::ReceiveCreating() const {
  LARDER_ASSIGN_OR_RETURN(const Record reply, ReceiveReply());
  base::ByteReader in(reply.payload);
  Creating creating{.lease = in.U64()};
  creating.epoch = in.U64();
  return creating;
}

absl::StatusOr<Shared> RawClient::Window(uint64_t lease, uint64_t size) const {
  LARDER_ASSIGN_OR_RETURN(Record reply, Ask(Op::kWindow, base::ByteWriter().U64(lease).U64(size)));
  base::ByteReader in(reply.payload);
  in.U32();
  return Shared{TakeExtents(in), std::move(reply.fds)};
}

absl::Status RawClient::WriteInline(const Creating& creating, base::ByteSpan bytes) const {
  return Ask(Op::kWrite, LeaseOf(creating).U8(kFromRecord).Raw(bytes)).status();
}

absl::Status RawClient::WriteShared(const Creating& creating, bool from_ring, uint64_t offset, uint32_t length) const {
  return Ask(Op::kWrite, LeaseOf(creating).U8(from_ring ? kFromRing : kFromWindow).U64(offset).U32(length)).status();
}

absl::Status RawClient::Seal(const Creating& creating, uint64_t size, const base::Digest& expected) const {
  return Ask(Op::kSeal, SealOf(creating, size, expected)).status();
}

absl::Status RawClient::Discard(const Creating& creating) const {
  return Ask(Op::kDiscard, LeaseOf(creating)).status();
}

absl::Status RawClient::Put(const std::string& key, base::ByteSpan bytes, const CreationOptions& options) const {
  return Ask(Op::kPut, PutOf(key, bytes, options)).status();
}

absl::StatusOr<Got> RawClient::Get(const std::string& key, uint32_t flags) const {
  LARDER_RETURN_IF_ERROR(Send(Op::kGet, GetOf(key, flags)));
  return ReceiveGot();
}

absl::StatusOr<std::vector<std::byte>> RawClient::Read(uint64_t lease, uint64_t offset, uint32_t length) const {
  LARDER_ASSIGN_OR_RETURN(Record reply, Ask(Op::kRead, base::ByteWriter().U64(lease).U64(offset).U32(length)));
  return std::move(reply.payload);
}

absl::StatusOr<Got> RawClient::ReceiveGot() const {
  LARDER_ASSIGN_OR_RETURN(Record reply, ReceiveReply());
  base::ByteReader in(reply.payload);
  Got got{.lease = in.U64()};
  TakeObject(in, got);
  const uint8_t form = in.U8();
  if (form == kFormInline) got.bytes.assign(in.rest().begin(), in.rest().end());
  if (form == kFormShared) {
    in.U32();
    got.shared = {TakeExtents(in), std::move(reply.fds)};
  }
  if (!in.ok()) return absl::InternalError("GET's reply is cut off");
  return got;
}

absl::Status RawClient::Delete(const std::string& key) const {
  return Ask(Op::kDelete, base::ByteWriter().Str(key)).status();
}

absl::Status RawClient::Release(uint64_t lease) const {
  return Ask(Op::kRelease, base::ByteWriter().U64(lease)).status();
}

absl::Status RawClient::Unmapped(std::span<const uint32_t> segments, uint64_t earlier_bytes) const {
  base::ByteWriter out;
  out.U64(earlier_bytes).U16(static_cast<uint16_t>(segments.size()));
  for (const uint32_t segment : segments) out.U32(segment);
  return Ask(Op::kUnmapped, out).status();
}

}  // namespace larder::cache_agent
