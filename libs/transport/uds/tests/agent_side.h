// The agent's side, with records written and read by hand.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/arena/arena.h"
#include "larder/backends/memory/backend.h"
#include "larder/base/executor.h"
#include "larder/base/mutex.h"
#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"
#include "larder/base/testing/temp_dir.h"
#include "larder/base/units.h"
#include "larder/object/registries.h"
#include "larder/peers/single_peer.h"
#include "larder/transport/uds/uds.h"
#include "src/socket.h"
#include "src/wire.h"

namespace larder::transport::uds {

using base::IsOk;
using base::StatusIs;

class AgentSide : public testing::Test, public object::TransportObserver {
 protected:
  void SetUp() override {
    peer_ = std::make_unique<peers::SinglePeer>(*backend_, peer_settings());
    object::ListenSettings settings = {
        .address = dir_.path().string(),
        .peer = peer_.get(),
        .clock = clock(),
        .executor = &pool_,
        .arena = arena_.get(),
        .observer = this,
        .identify = [](const object::CallerProcess&, const std::string& ns) -> absl::StatusOr<object::SessionOwner> {
          if (ns == "forbidden") return base::Error(absl::StatusCode::kPermissionDenied, "DENIED", "not yours");
          return object::SessionOwner{.ns = "default"};
        }};
    Change(settings);
    listener_ = *Listen(settings);
    ASSERT_THAT(listener_->Start(), IsOk());
  }
  void TearDown() override {
    listener_->Stop(base::kNoDeadline);
    pool_.Stop();
    EXPECT_EQ(peer_->usage().sessions, 0u);
    EXPECT_EQ(peer_->usage().create_leases, 0u);
  }
  void Denied(std::string_view reason) override {
    base::MutexLock lock(mutex_);
    denied_.emplace_back(reason);
  }
  void ConnectionOpened() override { ++connections_; }
  void ConnectionClosed() override { --connections_; }
  // What a suite listens with instead.
  virtual void Change(object::ListenSettings&) {}
  virtual const base::Clock* clock() const { return &clock_; }
  virtual object::PeerSettings peer_settings() const { return {.clock = clock()}; }
  // What the agent's maintenance does, a few times a second.
  void Maintain() {
    peer_->Tick();
    arena_->Maintain();
  }
  // Until it holds; the agent's tick is real time.
  template <typename Condition>
  static bool Eventually(Condition holds) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  }
  std::vector<std::string> denied() {
    base::MutexLock lock(mutex_);
    return denied_;
  }

  base::UniqueFd Connect() { return *ConnectTo((dir_.path() / kSocketName).string()); }
  static void SendOp(int fd, Op op, const base::ByteWriter& payload, uint64_t id = 1) {
    std::array<std::byte, kHeaderSize> head;
    EncodeHeader({.op = op, .request_id = id, .length = static_cast<uint32_t>(payload.size())}, head.data());
    const std::array<base::ByteSpan, 2> parts{head, payload.bytes()};
    ASSERT_THAT(SendRecord(fd, parts, {}, true), IsOk());
  }
  static base::ByteWriter HelloOf(std::string_view ns) {
    base::ByteWriter hello;
    hello.Str(ns).U64(0).Str("test");
    return hello;
  }
  struct Record {
    Header header;
    std::vector<std::byte> payload;
    std::vector<base::UniqueFd> fds;
  };
  // The next record, whatever it is, or CONNECTION_LOST.
  static absl::StatusOr<Record> ReceiveAny(int fd) {
    std::vector<std::byte> buffer(kMaxRecord);
    LARDER_ASSIGN_OR_RETURN(Received received, ReceiveRecord(fd, buffer, true));
    LARDER_ASSIGN_OR_RETURN(const Header header, DecodeHeader(base::ByteSpan(buffer).first(received.size)));
    buffer.resize(received.size);
    return Record{header, {buffer.begin() + kHeaderSize, buffer.end()}, std::move(received.fds)};
  }
  // The next reply: its payload, or the error it carries, or CONNECTION_LOST. Records of the agent's own are passed
  // over.
  static absl::StatusOr<std::vector<std::byte>> Receive(int fd) {
    while (true) {
      LARDER_ASSIGN_OR_RETURN(Record record, ReceiveAny(fd));
      if (record.header.request_id == 0) continue;
      if (record.header.code != 0) return TakeError(record.header.code, record.payload);
      return std::move(record.payload);
    }
  }
  static absl::StatusOr<std::vector<std::byte>> Ask(int fd, Op op, const base::ByteWriter& payload) {
    SendOp(fd, op, payload);
    return Receive(fd);
  }
  base::UniqueFd Greeted() {
    base::UniqueFd fd = Connect();
    SendOp(fd.get(), Op::kHello, HelloOf(""));
    EXPECT_THAT(Receive(fd.get()).status(), IsOk());
    return fd;
  }
  static void ExpectCutOff(int fd) {
    EXPECT_THAT(Receive(fd).status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_RECORD"));
    EXPECT_THAT(Receive(fd).status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  }

  base::TempDir dir_;
  base::SystemClock clock_;
  base::ThreadPool pool_{"test", 1};
  std::unique_ptr<arena::Arena> arena_ = *arena::Arena::Create({.size = 16 << 20});
  std::unique_ptr<object::Backend> backend_ = *backends::memory::Make({.clock = &clock_, .arena = arena_.get()});
  std::unique_ptr<peers::SinglePeer> peer_;
  base::Mutex mutex_;
  std::vector<std::string> denied_ LARDER_GUARDED_BY(mutex_);
  std::atomic<int> connections_ = 0;
  std::unique_ptr<object::Listener> listener_;
};

// The agent's time passes when the test says.
class AgentSideOverTime : public AgentSide {
 protected:
  const base::Clock* clock() const override { return &manual_; }
  base::ManualClock manual_;
};

}  // namespace larder::transport::uds
