#include <poll.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/backends/memory/backend.h"
#include "larder/base/digest.h"
#include "larder/base/executor.h"
#include "larder/base/status.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/peers/single_peer.h"
#include "larder/transport/uds/uds.h"
#include "src/socket.h"
#include "src/wire.h"

// A client's whole connection to a real agent's side: any records, in any order. Whatever they say, the agent answers
// or cuts the connection off, and once it is gone not a byte, lease or session of it is left.
//
// The input: a byte, whose lowest bit says whether a proper HELLO goes first, then steps of u8 op, u16 length, payload.
// Of op, the lower five bits are the record's; 0x80 puts the last lease that was granted before the payload, 0x40 its
// epoch after that; 0x20 means that the payload is the whole record, header and all.
namespace larder::transport::uds {
namespace {

constexpr uint8_t kWithLease = 0x80;
constexpr uint8_t kWithEpoch = 0x40;
constexpr uint8_t kRaw = 0x20;
constexpr uint8_t kOpMask = 0x1F;
constexpr uint64_t kBarrier = uint64_t{1} << 63;

void Require(bool holds) {
  if (!holds) std::abort();
}

class Agent {
 public:
  Agent() {
    auto listener = Listen(
        {.address = dir_.path().string(),
         .peer = &peer_,
         .clock = &clock_,
         .executor = &pool_,
         .arena = arena_.get(),
         .identify = [](const object::CallerProcess&, const std::string&) -> absl::StatusOr<object::SessionOwner> {
           return object::SessionOwner{.ns = "default"};
         }});
    Require(listener.ok() && (*listener)->Start().ok());
    listener_ = *std::move(listener);
  }
  ~Agent() { listener_->Stop(base::kNoDeadline); }

  base::UniqueFd Connect() { return *ConnectTo((dir_.path() / kSocketName).string()); }
  // The agent's maintenance. Its time passes faster than ours, so that nothing waits long.
  void Maintain() {
    clock_.Advance(std::chrono::seconds(1));
    peer_.Tick();
    arena_->Maintain();
  }
  // After a client has left: nothing of it stays but sealed objects, and nothing at all once those are deleted.
  void RequireNothingLeft() {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (peer_.usage().sessions + peer_.usage().create_leases + peer_.usage().read_leases > 0) {
      Require(std::chrono::steady_clock::now() < until);
      std::this_thread::yield();
    }
    const object::SessionId session = *peer_.OpenSession({.ns = "default"});
    for (object::ListPage page{.more = true}; page.more;) {
      // A peer on memory answers at once.
      peer_.List(session, {}, [&page](absl::StatusOr<object::ListPage> listed) { page = *std::move(listed); });
      for (const object::ObjectInfo& info : page.objects) {
        peer_.Delete(session, info.id.key, [](const absl::Status& deleted) { Require(deleted.ok()); });
      }
    }
    peer_.CloseSession(session);
    Require(peer_.usage().bytes == 0 && peer_.usage().objects == 0);
    while (arena_->usage().live > 0) {  // a copy that was under way
      Require(std::chrono::steady_clock::now() < until);
      Maintain();
    }
  }

 private:
  base::Sha256 first_;  // OpenSSL tidies up at exit in its turn: after the threads that use it
  base::TempDir dir_;
  base::ManualClock clock_;
  base::ThreadPool pool_{"fuzz", 1};
  std::unique_ptr<arena::Arena> arena_ = *arena::Arena::Create({.size = 16 << 20});
  std::unique_ptr<object::Backend> backend_ = *backends::memory::Make({.clock = &clock_, .arena = arena_.get()});
  peers::SinglePeer peer_{*backend_, object::PeerSettings{.clock = &clock_}};
  std::unique_ptr<object::Listener> listener_;
};

class Client {
 public:
  explicit Client(Agent& agent) : agent_(agent), fd_(agent.Connect()), buffer_(kMaxRecord) {}

  bool connected() const { return connected_; }
  void Greet() {
    base::ByteWriter hello;
    hello.Str("default").U64(0).Str("fuzz");
    SendOp(Op::kHello, hello.bytes());
    Settle();
  }
  void Step(uint8_t op, base::ByteSpan payload) {
    if ((op & kRaw) != 0) {
      Send({payload});
    } else {
      base::ByteWriter out;
      if ((op & kWithLease) != 0) out.U64(lease_);
      if ((op & kWithEpoch) != 0) out.U64(epoch_);
      SendOp(static_cast<Op>(op & kOpMask), out.Raw(payload).bytes());
    }
    Settle();
  }

 private:
  void SendOp(Op op, base::ByteSpan payload, uint64_t id = 0) {
    if (id == 0) id = ++last_id_;
    std::array<std::byte, kHeaderSize> head;
    EncodeHeader({.op = op, .request_id = id, .length = static_cast<uint32_t>(payload.size())}, head.data());
    Send({head, payload});
  }
  void Send(const std::vector<base::ByteSpan>& parts) {
    while (connected_) {
      const absl::Status sent = SendRecord(fd_.get(), parts, {}, false);
      if (sent.ok()) return;
      if (base::Reason(sent) != "WOULD_BLOCK") connected_ = false;
      if (connected_) ReceiveOne();
    }
  }
  // Until the agent has done what was sent: it answers PING then, or cuts us off.
  void Settle() {
    SendOp(Op::kPing, {}, kBarrier);
    while (connected_ && ReceiveOne() != kBarrier) {
    }
  }
  // The request that the next record answers; 0 for the agent's own, or none.
  uint64_t ReceiveOne() {
    pollfd waited = {.fd = fd_.get(), .events = POLLIN, .revents = 0};
    while (::poll(&waited, 1, 1) == 0) agent_.Maintain();
    const absl::StatusOr<Received> received = ReceiveRecord(fd_.get(), buffer_, true);
    if (!received.ok()) {
      connected_ = false;
      return 0;
    }
    Require(!received->truncated && !received->fds_truncated);
    const base::ByteSpan record = base::ByteSpan(buffer_).first(received->size);
    const absl::StatusOr<Header> header = DecodeHeader(record);
    Require(header.ok());
    if (header->code == 0) Learn(*header, record.subspan(kHeaderSize));
    return header->request_id;
  }
  void Learn(const Header& header, base::ByteSpan payload) {
    base::ByteReader in(payload);
    if (header.op != Op::kCreate && header.op != Op::kGet && header.op != Op::kGetRange) return;
    lease_ = in.U64();
    if (header.op == Op::kCreate) epoch_ = in.U64();
    Require(in.ok());
  }

  Agent& agent_;
  base::UniqueFd fd_;
  std::vector<std::byte> buffer_;
  bool connected_ = true;
  uint64_t last_id_ = 0;
  uint64_t lease_ = 0;
  uint64_t epoch_ = 0;
};

}  // namespace
}  // namespace larder::transport::uds

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace larder::transport::uds;  // NOLINT: the names of this file
  static Agent agent;
  larder::base::ByteReader in(std::as_bytes(std::span(data, size)));
  {
    Client client(agent);
    if ((in.U8() & 1) != 0) client.Greet();
    while (client.connected() && in.ok() && !in.rest().empty()) {
      const uint8_t op = in.U8();
      const size_t length = in.U16();
      client.Step(op, in.Raw(std::min(length, in.rest().size())));
    }
  }
  agent.RequireNothingLeft();
  return 0;
}
