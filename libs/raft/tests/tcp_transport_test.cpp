#include "larder/raft/tcp_transport.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "larder/base/file.h"
#include "larder/base/mutex.h"
#include "larder/base/sockets.h"
#include "larder/base/testing/status_matchers.h"
#include "src/frames.h"

namespace larder::raft {
namespace {

using base::IsOk;
using base::StatusIs;
using ::testing::ElementsAre;

constexpr MemberId kA{1};
constexpr MemberId kB{2};

// A member, and all that its transport told.
class Member {
 public:
  explicit Member(TcpTransportOptions options, bool takes_application = false) {
    options.receive = [this](MemberId from, std::string message) {
      base::MutexLock lock(mutex_);
      while (held_ && !released_) changed_.Wait(mutex_);
      received_.emplace_back(from, std::move(message));
      changed_.NotifyAll();
    };
    if (takes_application) {
      options.receive_application = [this](MemberId from, std::string bytes) {
        base::MutexLock lock(mutex_);
        received_.emplace_back(from, "application " + bytes);
        changed_.NotifyAll();
      };
    }
    options.unreachable = [this](MemberId) {
      if (on_unreachable) on_unreachable();
      base::MutexLock lock(mutex_);
      ++unreachable_;
      changed_.NotifyAll();
    };
    options.refused = [this](const absl::Status& why) {
      base::MutexLock lock(mutex_);
      refused_.push_back(base::Reason(why));
      changed_.NotifyAll();
    };
    auto transport = TcpTransport::Listen(std::move(options));
    EXPECT_THAT(transport, IsOk());
    transport_ = *std::move(transport);
  }
  ~Member() {
    Release();
    transport_->Stop();
  }

  TcpTransport& transport() { return *transport_; }
  // `receive` blocks until Release.
  void Hold() {
    base::MutexLock lock(mutex_);
    held_ = true;
  }
  void Release() {
    base::MutexLock lock(mutex_);
    released_ = true;
    changed_.NotifyAll();
  }
  std::vector<std::string> AwaitMessages(size_t count) {
    base::MutexLock lock(mutex_);
    while (received_.size() < count) changed_.Wait(mutex_);
    std::vector<std::string> messages;
    for (const auto& [from, message] : received_) messages.push_back(message);
    return messages;
  }
  void AwaitUnreachable(int count = 1) {
    base::MutexLock lock(mutex_);
    while (unreachable_ < count) changed_.Wait(mutex_);
  }
  std::vector<std::string> AwaitRefused(size_t count = 1) {
    base::MutexLock lock(mutex_);
    while (refused_.size() < count) changed_.Wait(mutex_);
    return refused_;
  }
  int unreachable() {
    base::MutexLock lock(mutex_);
    return unreachable_;
  }
  std::vector<std::pair<MemberId, std::string>> received() {
    base::MutexLock lock(mutex_);
    return received_;
  }

  std::function<void()> on_unreachable;  // set before anything is sent

 private:
  base::Mutex mutex_;
  base::CondVar changed_;
  bool held_ LARDER_GUARDED_BY(mutex_) = false;
  bool released_ LARDER_GUARDED_BY(mutex_) = false;
  int unreachable_ LARDER_GUARDED_BY(mutex_) = 0;
  std::vector<std::pair<MemberId, std::string>> received_ LARDER_GUARDED_BY(mutex_);
  std::vector<std::string> refused_ LARDER_GUARDED_BY(mutex_);
  std::unique_ptr<TcpTransport> transport_;
};

TcpTransportOptions OptionsOf(MemberId self, std::map<MemberId, std::string> members = {}) {
  return {.listen = "127.0.0.1:0",
          .cluster = "blue",
          .node = fmt::format("node-{}", self.value),
          .self = self,
          .members = std::move(members)};
}

// A connection of the test's own, which may say anything.
class RawPeer {
 public:
  explicit RawPeer(const std::string& address) : stop_(base::MakeWake()) {
    auto fd = base::Dial(address, std::chrono::seconds(10), stop_.get());
    EXPECT_THAT(fd, IsOk());
    fd_ = *std::move(fd);
  }
  void Say(const std::string& bytes) { EXPECT_THAT(base::WriteAll(fd_.get(), base::AsBytes(bytes)), IsOk()); }
  // Waits for the other side to end the connection; true if it said nothing before.
  bool AwaitEnd() {
    pollfd polled{.fd = fd_.get(), .events = POLLIN};
    ::poll(&polled, 1, -1);
    std::array<char, 1> byte;
    return ::recv(fd_.get(), byte.data(), byte.size(), 0) <= 0;
  }

 private:
  base::UniqueFd stop_;
  base::UniqueFd fd_;
};

std::string FrameOf(FrameKind kind, const std::string& payload, GroupId group = {}) {
  const FrameHeader header = HeaderOf(group, kind, base::AsBytes(payload));
  return std::string(base::AsText(header)) + payload;
}

Hello HelloOf(MemberId member) {
  return {.cluster = "blue", .node = "raw", .member = member, .architecture = std::string(OwnArchitecture())};
}

std::string HelloFrame(const Hello& hello) { return FrameOf(FrameKind::kHello, EncodeHello(hello)); }

TEST(TcpTransport, DeliversInOrderAndWhole) {
  Member b(OptionsOf(kB));
  Member a(OptionsOf(kA, {{kB, b.transport().address()}}));
  std::vector<std::string> sent;
  for (size_t i = 0; i < 2000; ++i) {
    sent.push_back(fmt::format("{}:", i) + std::string(i % 7 == 0 ? 30'000 : i % 50, 'x'));
    a.transport().Send(kB, sent.back());
  }
  sent.emplace_back("");
  a.transport().Send(kB, "");
  EXPECT_EQ(b.AwaitMessages(sent.size()), sent);
  EXPECT_EQ(b.received().front().first, kA);
}

TEST(TcpTransport, WhatGoesPastTheQueueKeepsItsPlace) {
  Member b(OptionsOf(kB));
  Member a(OptionsOf(kA, {{kB, b.transport().address()}}));
  std::vector<std::string> sent;
  for (size_t i = 0; i < 500; ++i) {
    for (const size_t size : {10, 5000, 10}) {
      sent.push_back(fmt::format("{}:", sent.size()) + std::string(size, 'x'));
      a.transport().Send(kB, sent.back());
    }
    ASSERT_EQ(b.AwaitMessages(sent.size()), sent) << "and then the queue is empty";
  }
}

TEST(TcpTransport, SmallFramesAreWholeAfterTheSocketWasFull) {
  Member slow(OptionsOf(kB));
  Member a(OptionsOf(kA, {{kB, slow.transport().address()}}));
  std::vector<std::string> sent{"connected"};
  a.transport().Send(kB, sent.back());
  slow.AwaitMessages(1);
  slow.Hold();
  for (size_t bytes = 0; bytes < 24 * base::kMiB; bytes += sent.back().size()) {  // more than the kernel takes
    sent.push_back(fmt::format("{}:", sent.size()) + std::string(300 + sent.size() % 600, 'x'));
    a.transport().Send(kB, sent.back());
  }
  slow.Release();
  EXPECT_TRUE(slow.AwaitMessages(sent.size()) == sent);
  EXPECT_EQ(a.unreachable(), 0);
}

TEST(TcpTransport, DeliversWhatTheApplicationSendsInOrderWithMessages) {
  Member b(OptionsOf(kB), true);
  Member a(OptionsOf(kA, {{kB, b.transport().address()}}));
  EXPECT_THAT(a.transport().SendApplication(kB, "1"), IsOk());
  a.transport().Send(kB, "2");
  EXPECT_THAT(a.transport().SendApplication(kB, "3"), IsOk());
  EXPECT_THAT(b.AwaitMessages(3), ElementsAre("application 1", "2", "application 3"));
}

TEST(TcpTransport, WithoutAnApplicationItsBytesAreRefused) {
  Member b(OptionsOf(kB));
  Member a(OptionsOf(kA, {{kB, b.transport().address()}}));
  EXPECT_THAT(a.transport().SendApplication(kB, "1"), IsOk());
  EXPECT_THAT(b.AwaitRefused(), ElementsAre("BAD_FRAME"));
}

TEST(TcpTransport, TalksBothWaysAndToMembersThatCameLater) {
  Member a(OptionsOf(kA));
  Member b(OptionsOf(kB, {{kA, a.transport().address()}}));
  b.transport().Send(kA, "ping");
  EXPECT_THAT(a.AwaitMessages(1), ElementsAre("ping"));
  a.transport().SetMember(kB, b.transport().address());
  a.transport().Send(kB, "pong");
  EXPECT_THAT(b.AwaitMessages(1), ElementsAre("pong"));
  a.transport().RemoveMember(kB);
  a.transport().Send(kB, "to nobody");
  a.transport().SetMember(kB, b.transport().address());
  a.transport().Send(kB, "again");
  EXPECT_THAT(b.AwaitMessages(2), ElementsAre("pong", "again"));
}

TEST(TcpTransport, ReachesAMemberThatStartedAgain) {
  auto b = std::make_unique<Member>(OptionsOf(kB));
  const std::string address = b->transport().address();
  Member a(OptionsOf(kA, {{kB, address}}));
  // As the engine does: whoever was unreachable is tried again.
  a.on_unreachable = [&] { a.transport().Send(kB, "again"); };
  a.transport().Send(kB, "first");
  EXPECT_THAT(b->AwaitMessages(1), ElementsAre("first"));
  b.reset();
  a.AwaitUnreachable(2);
  TcpTransportOptions options = OptionsOf(kB);
  options.listen = address;
  Member restarted(std::move(options));
  EXPECT_EQ(restarted.AwaitMessages(1).front(), "again");
}

// Two followers elect another leader as fast as if they had talked before.
TEST(TcpTransport, IsConnectedBeforeThereIsSomethingToSend) {
  const auto listener = base::ListenOn("127.0.0.1:0");
  ASSERT_THAT(listener, IsOk());
  Member a(OptionsOf(kA, {{kB, *base::LocalAddress(listener->get())}}));
  pollfd polled{.fd = listener->get(), .events = POLLIN};
  ASSERT_EQ(::poll(&polled, 1, 10'000), 1);
  EXPECT_EQ(a.unreachable(), 0);
}

TEST(TcpTransport, TellsThatNobodyIsThere) {
  std::string nobody;
  {
    Member gone(OptionsOf(kB));
    nobody = gone.transport().address();
  }
  Member a(OptionsOf(kA, {{kB, nobody}}));
  a.transport().Send(kB, "x");
  a.AwaitUnreachable();
}

TEST(TcpTransport, ASlowReaderFillsItsQueueOnly) {
  Member slow(OptionsOf(kB));
  Member other(OptionsOf({3}));
  slow.Hold();
  TcpTransportOptions options = OptionsOf(kA, {{kB, slow.transport().address()}, {{3}, other.transport().address()}});
  options.queue_limit = base::kMiB;
  Member a(std::move(options));
  std::atomic<bool> full = false;
  a.on_unreachable = [&] { full = true; };
  size_t sent = 0;
  for (; !full; ++sent) a.transport().Send(kB, std::string(100'000, 'x'));
  a.transport().Send({3}, "unhindered");
  EXPECT_THAT(other.AwaitMessages(1), ElementsAre("unhindered"));
  slow.Release();
  slow.AwaitMessages(2);
  a.transport().Stop();
  slow.transport().Stop();
  EXPECT_LT(slow.received().size(), sent) << "some were dropped";
}

// Heartbeats go beside a burst of entries that are sent on, and whoever sent one too many hears of it at once.
TEST(TcpTransport, WhatTheApplicationSendsHasItsOwnRoom) {
  Member slow(OptionsOf(kB), true);
  slow.Hold();
  TcpTransportOptions options = OptionsOf(kA, {{kB, slow.transport().address()}});
  options.application_limit = 4 * base::kMiB;
  Member a(std::move(options));
  a.transport().Send(kB, "held");
  size_t sent = 0;
  absl::Status refused;
  // The kernel takes some.
  for (; (refused = a.transport().SendApplication(kB, std::string(base::kMiB, 'x'))).ok(); ++sent) {
    ASSERT_LT(sent, 1000u);
  }
  EXPECT_THAT(refused, StatusIs(absl::StatusCode::kResourceExhausted, "RAFT_BUSY"));
  EXPECT_GE(sent, 3u);
  a.transport().Send(kB, "heartbeat");
  slow.Release();
  const std::vector<std::string> received = slow.AwaitMessages(sent + 2);
  EXPECT_EQ(received.back(), "heartbeat");
  EXPECT_EQ(a.unreachable(), 0) << "nothing was lost";
  // The room is free again, once the sender has counted what it wrote.
  while (!a.transport().SendApplication(kB, std::string(base::kMiB, 'x')).ok()) std::this_thread::yield();
}

struct BadSpeech {
  const char* name;
  std::function<std::string()> said;
  const char* reason;
};

class TcpTransportRefuses : public ::testing::TestWithParam<BadSpeech> {};

// What goes before is delivered, what comes after is not, and other connections go on.
TEST_P(TcpTransportRefuses, AndEndsThatConnectionOnly) {
  TcpTransportOptions options = OptionsOf(kB);
  options.frame_limit = 1000;
  Member b(std::move(options));
  Member a(OptionsOf(kA, {{kB, b.transport().address()}}));
  a.transport().Send(kB, "before");
  b.AwaitMessages(1);
  RawPeer raw(b.transport().address());
  raw.Say(GetParam().said() + FrameOf(FrameKind::kMessage, "never seen"));
  EXPECT_TRUE(raw.AwaitEnd());
  EXPECT_THAT(b.AwaitRefused(), ElementsAre(GetParam().reason));
  a.transport().Send(kB, "after");
  EXPECT_THAT(b.AwaitMessages(2), ElementsAre("before", "after"));
}

std::string With(const std::function<void(Hello&)>& change) {
  Hello hello = HelloOf({7});
  change(hello);
  return HelloFrame(hello);
}

std::string Damaged(std::string bytes) {
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  return bytes;
}

const std::string kGoodHello = HelloFrame(HelloOf({7}));

INSTANTIATE_TEST_SUITE_P(
    All, TcpTransportRefuses,
    ::testing::Values(
        BadSpeech{"ADamagedHello", [] { return Damaged(kGoodHello); }, "BAD_FRAME"},
        BadSpeech{"ADamagedFrame", [] { return kGoodHello + Damaged(FrameOf(FrameKind::kMessage, "m")); }, "BAD_FRAME"},
        BadSpeech{"AnUnknownKind", [] { return kGoodHello + FrameOf(static_cast<FrameKind>(9), "m"); }, "BAD_FRAME"},
        BadSpeech{"ALongFrame", [] { return kGoodHello + FrameOf(FrameKind::kMessage, std::string(1001, 'm')); },
                  "FRAME_TOO_LARGE"},
        BadSpeech{"ALongHello", [] { return FrameOf(FrameKind::kHello, std::string(5000, 'm')); }, "FRAME_TOO_LARGE"},
        BadSpeech{"NoHello", [] { return FrameOf(FrameKind::kMessage, "m"); }, "BAD_HELLO"},
        BadSpeech{"ASecondHello", [] { return kGoodHello + kGoodHello; }, "BAD_HELLO"},
        BadSpeech{"AHelloCutOff", [] { return FrameOf(FrameKind::kHello, "\1"); }, "BAD_HELLO"},
        BadSpeech{"ItsOwnId", [] { return With([](Hello& hello) { hello.member = kB; }); }, "BAD_HELLO"},
        BadSpeech{"NoId", [] { return With([](Hello& hello) { hello.member = {}; }); }, "BAD_HELLO"},
        BadSpeech{"AForeignCluster", [] { return With([](Hello& hello) { hello.cluster = "red"; }); },
                  "FOREIGN_CLUSTER"},
        BadSpeech{"AForeignArchitecture", [] { return With([](Hello& hello) { hello.architecture = "vax"; }); },
                  "FOREIGN_ARCHITECTURE"},
        BadSpeech{"AnotherVersion", [] { return With([](Hello& hello) { hello.version = 9; }); }, "PROTOCOL_VERSION"},
        BadSpeech{"AForeignGroup", [] { return kGoodHello + FrameOf(FrameKind::kMessage, "m", {5}); },
                  "FOREIGN_GROUP"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(TcpTransport, EndsAConnectionThatDoesNotSayHello) {
  TcpTransportOptions options = OptionsOf(kB);
  options.hello_timeout = std::chrono::milliseconds(30);
  Member b(std::move(options));
  RawPeer raw(b.transport().address());
  raw.Say(kGoodHello.substr(0, kGoodHello.size() - 1));
  EXPECT_TRUE(raw.AwaitEnd());
  EXPECT_THAT(b.AwaitRefused(), ElementsAre("NO_HELLO"));
}

TEST(TcpTransport, AcceptsNoMoreThanItsLimit) {
  TcpTransportOptions options = OptionsOf(kB);
  options.incoming_limit = 1;
  Member b(std::move(options));
  RawPeer first(b.transport().address());
  first.Say(kGoodHello + FrameOf(FrameKind::kMessage, "one"));
  b.AwaitMessages(1);
  RawPeer second(b.transport().address());
  EXPECT_TRUE(second.AwaitEnd());
  EXPECT_THAT(b.AwaitRefused(), ElementsAre("TOO_MANY_CONNECTIONS"));
  first.Say(FrameOf(FrameKind::kMessage, "two"));
  EXPECT_THAT(b.AwaitMessages(2), ElementsAre("one", "two"));
}

TEST(TcpTransport, AMembersNewConnectionReplacesItsOldOne) {
  Member b(OptionsOf(kB));
  RawPeer old(b.transport().address());
  old.Say(kGoodHello + FrameOf(FrameKind::kMessage, "old"));
  b.AwaitMessages(1);
  RawPeer anew(b.transport().address());
  anew.Say(kGoodHello + FrameOf(FrameKind::kMessage, "new"));
  EXPECT_TRUE(old.AwaitEnd());
  EXPECT_THAT(b.AwaitMessages(2), ElementsAre("old", "new"));
}

TEST(TcpTransport, StopsUnderLoadAndCallsNobodyAfterwards) {
  for (int round = 0; round < 10; ++round) {
    Member b(OptionsOf(kB));
    Member a(OptionsOf(kA, {{kB, b.transport().address()}}));
    std::atomic<bool> done = false;
    std::thread sender([&] {
      while (!done) a.transport().Send(kB, std::string(5000, 'x'));
    });
    b.AwaitMessages(20);
    b.transport().Stop();
    const size_t received = b.received().size();
    a.AwaitUnreachable();
    a.transport().Stop();
    a.transport().Stop();
    done = true;
    sender.join();
    EXPECT_EQ(b.received().size(), received);
  }
}

TEST(TcpTransport, RefusesAnAddressThatIsNoneOrTaken) {
  TcpTransportOptions options = OptionsOf(kA);
  options.listen = "nowhere";
  EXPECT_THAT(TcpTransport::Listen(options), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_ADDRESS"));
  Member b(OptionsOf(kB));
  options.listen = b.transport().address();
  EXPECT_THAT(TcpTransport::Listen(options), StatusIs(absl::StatusCode::kUnavailable, "CANNOT_LISTEN"));
}

TEST(FrameDecoder, GivesTheSameFramesHoweverTheBytesArrive) {
  const std::string stream = kGoodHello + FrameOf(FrameKind::kMessage, "") + FrameOf(FrameKind::kMessage, "abc", {3});
  for (size_t step = 1; step <= stream.size(); ++step) {
    FrameDecoder decoder(1000);
    std::vector<Frame> frames;
    for (size_t at = 0; at < stream.size(); at += step) {
      decoder.Append(base::AsBytes(stream).subspan(at, std::min(step, stream.size() - at)));
      while (true) {
        LARDER_ASSERT_OK_AND_ASSIGN(auto frame, decoder.Next());
        if (!frame) break;
        frames.push_back(*std::move(frame));
      }
    }
    ASSERT_EQ(frames.size(), 3u) << step;
    EXPECT_EQ(*DecodeHello(frames[0].payload), HelloOf({7}));
    EXPECT_EQ(frames[1], (Frame{.payload = ""}));
    EXPECT_EQ(frames[2], (Frame{.group = {3}, .payload = "abc"}));
  }
}

TEST(FrameDecoder, FindsEveryFlippedBit) {
  const std::string good = FrameOf(FrameKind::kMessage, "some payload");
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bytes = good;
    bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ 1 << bit % 8);
    FrameDecoder decoder(1000);
    decoder.Append(base::AsBytes(bytes));
    const auto frame = decoder.Next();
    EXPECT_TRUE(!frame.ok() || !*frame) << "bit " << bit;
  }
}

}  // namespace
}  // namespace larder::raft
