#include "larder/client/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>
#include <numeric>

#include "larder/base/testing/manual_clock.h"
#include "larder/base/testing/status_matchers.h"

namespace larder::client {
namespace {

using base::IsOk;
using base::StatusIs;
using testing::HasSubstr;

absl::Status Lost() { return base::Error(absl::StatusCode::kUnavailable, "CONNECTION_LOST", "gone"); }

// An agent that does as the script says: one entry per dial, one per call; past its end all is well.
struct Script {
  std::deque<absl::Status> dials;
  std::deque<absl::Status> calls;
  bool continues = false;  // sessions can be redialled
  int dialed = 0;
  int redialed = 0;
  int called = 0;
  base::Deadline deadline;  // of the last call
  object::ByteRange range;  // that was asked for

  static absl::Status Next(std::deque<absl::Status>& steps) {
    if (steps.empty()) return absl::OkStatus();
    const absl::Status step = steps.front();
    steps.pop_front();
    return step;
  }
};

class ScriptedChannel final : public object::Channel {
 public:
  explicit ScriptedChannel(Script& script) : script_(script) {}
  absl::StatusOr<std::unique_ptr<object::ObjectWriter>> Create(const object::CreateRequest&,
                                                               base::Deadline deadline) override {
    return Step(deadline);
  }
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> Get(const std::string&, base::Deadline deadline) override {
    return Step(deadline);
  }
  absl::StatusOr<std::unique_ptr<object::ObjectReader>> GetRange(const std::string&, const object::ByteRange& range,
                                                                 base::Deadline deadline) override {
    script_.range = range;
    return Step(deadline);
  }
  absl::StatusOr<object::SealResult> Put(const object::CreateRequest&, base::ByteSpan,
                                         base::Deadline deadline) override {
    if (absl::Status status = Call(deadline); !status.ok()) return status;
    return object::SealResult();
  }
  absl::StatusOr<object::ObjectInfo> Stat(const std::string& key, base::Deadline deadline) override {
    if (absl::Status status = Call(deadline); !status.ok()) return status;
    return object::ObjectInfo{.id = {.ns = ns_, .key = key}};
  }
  absl::StatusOr<object::ListPage> List(const object::ListRequest&, base::Deadline deadline) override {
    if (absl::Status status = Call(deadline); !status.ok()) return status;
    return object::ListPage();
  }
  absl::Status Delete(const std::string&, base::Deadline deadline) override { return Call(deadline); }
  absl::Status SetPinned(const std::string&, bool, base::Deadline deadline) override { return Call(deadline); }
  const std::string& ns() const override { return ns_; }
  const std::string& node() const override { return node_; }
  bool broken() const override { return broken_; }
  absl::StatusOr<std::unique_ptr<object::Channel>> Redial(base::Deadline deadline) override {
    if (!script_.continues) return object::Channel::Redial(deadline);
    ++script_.redialed;
    return std::make_unique<ScriptedChannel>(script_);
  }

 private:
  absl::Status Call(base::Deadline deadline) {
    ++script_.called;
    script_.deadline = deadline;
    absl::Status status = Script::Next(script_.calls);
    broken_ |= base::Reason(status) == "CONNECTION_LOST";
    return status;
  }
  // The scripts here end before anybody uses a writer or reader.
  absl::Status Step(base::Deadline deadline) {
    absl::Status status = Call(deadline);
    return status.ok() ? absl::UnimplementedError("no such thing in this test") : status;
  }
  Script& script_;
  bool broken_ = false;
  std::string ns_ = "team", node_ = "node-7";
};

class ClientTest : public testing::Test {
 protected:
  ClientTest() {
    transports_.Add({.name = "script",
                     .help = "",
                     .dial = [this](const std::string& address, const object::DialOptions& options)
                         -> absl::StatusOr<std::unique_ptr<object::Channel>> {
                       ++script_.dialed;
                       address_ = address;
                       asked_ns_ = options.ns;
                       call_timeout_ = options.call_timeout;
                       if (absl::Status status = Script::Next(script_.dials); !status.ok()) return status;
                       return std::make_unique<ScriptedChannel>(script_);
                     },
                     .listen = {}});
  }
  absl::StatusOr<std::unique_ptr<Client>> Connect(const std::string& endpoint = "script://there", Options more = {}) {
    more.ns = "team";
    more.wait = [this](base::Duration wait) {
      waits_.push_back(wait);
      clock_.Advance(wait);
    };
    more.clock = &clock_;
    more.transports = &transports_;
    return Client::Connect(endpoint, std::move(more));
  }
  base::Duration Waited() const { return std::accumulate(waits_.begin(), waits_.end(), base::Duration()); }
  static absl::Status NoAgent() { return base::Error(absl::StatusCode::kUnavailable, "NO_AGENT", "nobody at there"); }

  Script script_;
  std::string address_, asked_ns_;
  base::Duration call_timeout_{};
  base::ManualClock clock_;
  std::vector<base::Duration> waits_;
  object::TransportRegistry transports_{"transport"};
};

TEST_F(ClientTest, PicksTheTransportByTheEndpointsScheme) {
  auto client = Connect();
  ASSERT_THAT(client.status(), IsOk());
  EXPECT_EQ(address_, "there");
  EXPECT_EQ(asked_ns_, "team");
  EXPECT_EQ((*client)->ns(), "team");
  EXPECT_EQ((*client)->node(), "node-7");
  const auto unknown = Connect("scrpt://there");
  EXPECT_THAT(unknown.status(), StatusIs(absl::StatusCode::kInvalidArgument, "UNKNOWN_SCHEME"));
  EXPECT_THAT(base::Message(unknown.status()), testing::HasSubstr("'script'"));
  EXPECT_THAT(Connect("there").status(), StatusIs(absl::StatusCode::kInvalidArgument, "BAD_URI"));
}

TEST_F(ClientTest, TriesAnAbsentAgentThreeTimesMoreWithGrowingJitteredPauses) {
  script_.dials.assign(10, NoAgent());
  EXPECT_THAT(Connect().status(), StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  EXPECT_EQ(script_.dialed, 4);
  ASSERT_EQ(waits_.size(), 3u);
  base::Duration whole = std::chrono::milliseconds(100);
  for (const base::Duration wait : waits_) {
    EXPECT_GE(wait, whole / 2);
    EXPECT_LE(wait, whole);
    whole *= 2;
  }
}

TEST_F(ClientTest, ConnectsAnewByItselfAfterARestart) {
  auto client = Connect();
  ASSERT_THAT(client.status(), IsOk());
  script_.calls = {Lost()};
  EXPECT_THAT((*client)->Stat("k").status(), IsOk());
  EXPECT_EQ(script_.dialed, 2);
  EXPECT_EQ(script_.called, 2);
  EXPECT_TRUE(waits_.empty()) << "a restarted agent is there at once";
}

TEST_F(ClientTest, ARangeIsAskedForAsAnyRead) {
  auto client = Connect();
  ASSERT_THAT(client.status(), IsOk());
  script_.calls = {Lost(), base::Error(absl::StatusCode::kOutOfRange, "BAD_RANGE", "beyond")};
  EXPECT_THAT((*client)->GetRange("k", {.last = 5}).status(), StatusIs(absl::StatusCode::kOutOfRange, "BAD_RANGE"));
  EXPECT_EQ(script_.called, 2);
  EXPECT_EQ(script_.range, (object::ByteRange{.last = 5}));
}

TEST_F(ClientTest, RepeatsOnlyWhatIsSafeToRepeat) {
  auto client = *Connect();
  const auto lost_once = [&](const std::function<absl::Status()>& call) {
    script_.calls = {Lost()};
    return call();
  };
  EXPECT_THAT(lost_once([&] { return client->Put({.key = "k"}, {}).status(); }),
              StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_THAT(lost_once([&] { return client->Put({.key = "k", .overwrite = true}, {}).status(); }), IsOk());
  EXPECT_THAT(lost_once([&] { return client->Put({}, {}).status(); }), IsOk()) << "content-addressed";
  EXPECT_THAT(lost_once([&] { return client->SetPinned("k", true); }), IsOk());
  EXPECT_THAT(lost_once([&] { return client->List({}).status(); }), IsOk());
}

TEST_F(ClientTest, WaitsForAnAgentThatWasThereBeforeWithPausesOfAtMostASecond) {
  auto client = *Connect();
  script_.calls = {Lost()};
  script_.dials.assign(20, NoAgent());
  EXPECT_THAT(client->Stat("k").status(), IsOk());
  EXPECT_EQ(waits_.size(), 20u);
  EXPECT_LE(std::ranges::max(waits_), std::chrono::seconds(1));
  EXPECT_GE(waits_.back(), std::chrono::milliseconds(500));
}

TEST_F(ClientTest, GivesUpWhenTheReconnectWindowEnds) {
  auto client = *Connect("script://there", {.reconnect_window = std::chrono::seconds(7)});
  script_.calls = {Lost()};
  script_.dials.assign(1000, NoAgent());
  const absl::Status gone = client->Stat("k").status();
  EXPECT_THAT(gone, StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
  EXPECT_THAT(base::Message(gone), testing::AllOf(HasSubstr("nobody at there"), HasSubstr("7 s")));
  EXPECT_LE(Waited(), std::chrono::seconds(7));
  EXPECT_GE(Waited(), std::chrono::seconds(6));
  // Each call has a window of its own.
  waits_.clear();
  script_.dials.assign(3, NoAgent());
  EXPECT_THAT(client->Stat("k").status(), IsOk());
}

TEST_F(ClientTest, ACallsTimeoutEndsItsWait) {
  auto client = *Connect("script://there", {.timeout = std::chrono::seconds(2)});
  script_.calls = {Lost()};
  script_.dials.assign(1000, NoAgent());
  EXPECT_THAT(client->Stat("k").status(), StatusIs(absl::StatusCode::kDeadlineExceeded, "NO_AGENT"));
  EXPECT_LE(Waited(), std::chrono::seconds(2));
  EXPECT_EQ(call_timeout_, std::chrono::seconds(2)) << "of readers and writers";
}

TEST_F(ClientTest, EachCallIsDueByTheTimeout) {
  auto client = *Connect("script://there", {.timeout = std::chrono::seconds(2)});
  const std::pair<std::string_view, std::function<void()>> calls[] = {
      {"Create", [&] { client->Create({.key = "k"}).status().IgnoreError(); }},
      {"Get", [&] { client->Get("k").status().IgnoreError(); }},
      {"Put", [&] { client->Put({.key = "k"}, {}).status().IgnoreError(); }},
      {"Stat", [&] { client->Stat("k").status().IgnoreError(); }},
      {"List", [&] { client->List({}).status().IgnoreError(); }},
      {"Delete", [&] { client->Delete("k").IgnoreError(); }},
      {"SetPinned", [&] { client->SetPinned("k", true).IgnoreError(); }}};
  for (const auto& [name, call] : calls) {
    clock_.Advance(std::chrono::seconds(1));
    call();
    EXPECT_EQ(script_.deadline, clock_.Now() + std::chrono::seconds(2)) << name;
  }
}

TEST_F(ClientTest, AKernelThatIsNotSureOfTheCallerIsAskedAgain) {
  const absl::Status unsure = base::Error(absl::StatusCode::kUnavailable, "CALLER_UNSURE", "connect again");
  script_.dials.assign(2, unsure);
  auto client = Connect();
  ASSERT_THAT(client.status(), IsOk());
  EXPECT_EQ(script_.dialed, 3);
  script_.calls = {Lost()};
  script_.dials.assign(2, unsure);
  EXPECT_THAT((*client)->Stat("k").status(), IsOk());
  script_.dials.assign(1000, unsure);
  EXPECT_THAT(Connect().status(), StatusIs(absl::StatusCode::kUnavailable, "CALLER_UNSURE")) << "not for ever";
}

TEST_F(ClientTest, WhatMustNotBeRepeatedIsSentOnceButWaitsForAnAgent) {
  auto client = *Connect();
  script_.calls = {Lost()};
  script_.dials.assign(2, NoAgent());
  EXPECT_THAT(client->Put({.key = "k"}, {}).status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_EQ(script_.called, 1);
  EXPECT_TRUE(waits_.empty());
  EXPECT_THAT(client->Put({.key = "k"}, {}).status(), IsOk());
  EXPECT_EQ(script_.called, 2);
  EXPECT_EQ(waits_.size(), 2u);
}

TEST_F(ClientTest, ADeleteWhoseAnswerWasLostMayFindItsWorkDone) {
  auto client = *Connect();
  const absl::Status missing = base::Error(absl::StatusCode::kNotFound, "NO_OBJECT", "no such object");
  script_.calls = {Lost(), missing};
  EXPECT_THAT(client->Delete("k"), IsOk());
  script_.calls = {missing};
  EXPECT_THAT(client->Delete("k"), StatusIs(absl::StatusCode::kNotFound, "NO_OBJECT"));
}

TEST_F(ClientTest, AnAgentThatIsGoingIsGivenAMomentToBeGone) {
  auto client = *Connect();
  script_.calls = {base::Error(absl::StatusCode::kUnavailable, "STOPPING", "going")};
  EXPECT_THAT(client->Stat("k").status(), IsOk());
  EXPECT_EQ(waits_.size(), 1u);
}

TEST_F(ClientTest, AnAgentThatIsNoMemberYetIsAskedAgain) {
  auto client = *Connect();
  const absl::Status fenced = base::Error(absl::StatusCode::kUnavailable, "NODE_FENCED", "no member");
  script_.calls = {fenced, fenced};
  EXPECT_THAT(client->Put({.key = "k", .accept_same_content = true}, {}).status(), IsOk());
  EXPECT_EQ(waits_.size(), 2u);
  EXPECT_EQ(script_.dialed, 1) << "nothing is wrong with the connection";
  // After a seal that the cluster did not hear of, the same again would find its own object.
  script_.calls = {fenced};
  EXPECT_THAT(client->Put({.key = "k"}, {}).status(), StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"));
  script_.calls.assign(10, fenced);
  EXPECT_THAT(client->Stat("k").status(), StatusIs(absl::StatusCode::kUnavailable, "NODE_FENCED"));
  EXPECT_GT(script_.calls.size(), 0u) << "not for ever";
}

TEST_F(ClientTest, ASessionThatCanBeContinuedIsRedialled) {
  auto client = *Connect();
  script_.continues = true;
  script_.calls = {Lost()};
  EXPECT_THAT(client->Stat("k").status(), IsOk());
  EXPECT_EQ(script_.dialed, 1);
  EXPECT_EQ(script_.redialed, 1);
}

TEST_F(ClientTest, OfManyOnlyThoseWithoutAnAnswerAreAskedAgain) {
  auto client = *Connect();
  const absl::Status full = base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL", "no room");
  script_.calls = {absl::OkStatus(), Lost(), full, Lost(), absl::OkStatus(), Lost()};
  const std::vector<object::PutRequest> puts = {{.request = {.key = "a"}},
                                                {.request = {.key = "b"}},
                                                {.request = {.key = "c"}},
                                                {.request = {.key = "d", .overwrite = true}}};
  const auto results = client->PutMany(puts);
  ASSERT_EQ(results.size(), 4u);
  EXPECT_THAT(results[0].status(), IsOk());
  EXPECT_THAT(results[1].status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST")) << "not repeatable";
  EXPECT_THAT(results[2].status(), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  EXPECT_THAT(results[3].status(), IsOk());
  EXPECT_EQ(script_.called, 5);
  // Each second key is lost each time, until it is asked alone.
  const std::vector<std::string> keys = {"a", "b", "c"};
  script_.calls = {full, Lost(), Lost(), full, Lost(), full};
  for (const auto& reader : client->GetMany(keys)) {
    EXPECT_THAT(reader.status(), StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  }
  EXPECT_TRUE(script_.calls.empty());
  EXPECT_TRUE(client->GetMany({}).empty());
}

TEST_F(ClientTest, ManyGiveUpTogether) {
  auto client = *Connect();
  script_.calls.assign(1, Lost());
  script_.dials.assign(1000, NoAgent());
  const std::vector<std::string> keys = {"a"};
  const auto readers = client->GetMany(keys);
  EXPECT_THAT(readers[0].status(), StatusIs(absl::StatusCode::kUnavailable, "NO_AGENT"));
}

TEST_F(ClientTest, AnAnswerIsNeverRetried) {
  auto client = *Connect();
  const absl::Status full = base::Error(absl::StatusCode::kResourceExhausted, "ARENA_FULL", "no room");
  script_.calls = {full};
  EXPECT_THAT(client->Put({.key = "k", .overwrite = true}, {}).status(),
              StatusIs(absl::StatusCode::kResourceExhausted, "ARENA_FULL"));
  EXPECT_EQ(script_.called, 1);
  EXPECT_EQ(script_.dialed, 1);
}

TEST_F(ClientTest, GivesUpOnAConnectionThatBreaksEveryTime) {
  auto client = *Connect();
  script_.calls.assign(10, Lost());
  EXPECT_THAT(client->Stat("k").status(), StatusIs(absl::StatusCode::kUnavailable, "CONNECTION_LOST"));
  EXPECT_EQ(script_.called, 4);
}

}  // namespace
}  // namespace larder::client
